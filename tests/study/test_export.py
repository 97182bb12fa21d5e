"""A notebook as one HTML page that asks nobody for anything."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course.__main__ import main
from course.study.export import close, draw_math, export_html

ROOT = Path(__file__).parents[2]
pytest.importorskip("nbconvert")


def notebook(path: Path, markdown: str, html: str = "") -> Path:
    cell = nbformat.v4.new_code_cell("1")
    cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": "x"})]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(markdown), cell])
    nbformat.write(book, path)
    return path


@pytest.mark.parametrize("name", ["01_base_model", "18_review"])
def test_a_lesson_loads_nothing_and_draws_its_formulas(name, tmp_path):
    page = export_html(ROOT / "notebooks" / f"{name}.ipynb", tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"<script[^>]*\bsrc\s*=|mathjax/|MathJax\.|<script[^>]*type=\"module\"|@import", page)
    assert page.index("Content-Security-Policy") < page.index("<style") and "default-src 'none'" in page
    assert "<math" in page
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img\b[^>]*>", page))
    text = re.sub(r"<(script|style|pre|code)\b.*?</\1>|<[^>]*>", "", page, flags=re.DOTALL)
    assert not re.search(r"\$[^$\n]*\\[a-z]+[^$\n]*\$", text)


def test_formulas_of_text_and_outputs_are_drawn_and_what_cannot_be_is_shown(tmp_path):
    source = notebook(
        tmp_path / "a.ipynb",
        "Inline $\\beta < 1$ and\n\n$$\\frac{a}{b}$$\n\n\\begin{matrix}a & b\\end{matrix}\n\n$\\href{javascript:x}{y}$",
        "<p>$x &lt; 1$ and $$\\log p$$, not <code>$HOME$</code>, not $5 and $6</p>",
    )
    page = export_html(source).read_text(encoding="utf-8")
    assert page.count("<math") == 5
    assert "<code>\\href{javascript:x}{y}</code>" in page
    assert "<code>$HOME$</code>" in page and "$5 and $6" in page


@pytest.mark.parametrize(
    "html", ["", "no formula", "<b>$</b>", "$x", "<script>'$a$'</script>", '<a title="$a$">b</a>', "<pre>$a$</pre>"]
)
def test_what_is_no_formula_stays(html):
    assert draw_math(html) == html


def test_scripts_from_elsewhere_go_and_own_ones_stay():
    page = (
        '<html><head><script src="https://cdn.example/require.js"></script>'
        '<script type="module">import x from "https://cdn.example/m.mjs";</script>'
        '<script type="module">own()</script><script>also()</script></head></html>'
    )
    closed = close(page)
    assert "cdn.example" not in closed and "own()" in closed and "also()" in closed


def test_the_command_says_where_the_page_is_and_what_was_wrong(tmp_path, capsys):
    source = notebook(tmp_path / "a.ipynb", "text")
    assert main(["export", str(source)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "a.html") and (tmp_path / "a.html").is_file()
    assert main(["export", str(tmp_path / "missing.ipynb")]) == 1
    assert "missing.ipynb" in capsys.readouterr().err


DAMAGE = {
    "a list": lambda book: [1],
    "a number for cells": lambda book: book | {"cells": 1},
    "a number for a text": lambda book: book | {"cells": [book["cells"][0] | {"source": [1]}]},
    "an unknown cell": lambda book: book | {"cells": [book["cells"][0] | {"cell_type": "x"}]},
    "no format": lambda book: {"cells": book["cells"]},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_notebook_is_said_in_a_line(tmp_path, capsys, damage):
    path = notebook(tmp_path / "b.ipynb", "text")
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    assert main(["export", str(path)]) == 1
    said = capsys.readouterr().err
    assert "b.ipynb is no notebook that can be read" in said and said.count("\n") == 1


def test_the_command_needs_no_torch():
    code = "import sys, course.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
