"""`python -m course export NOTEBOOK`: one HTML page that needs nothing from the network. Serves every notebook.

nbconvert's own pages fetch MathJax, require.js and Mermaid from elsewhere. Here formulas are MathML, those scripts are
taken out, and a content security policy keeps the browser from loading anything that an output may still ask for.
"""

import re
from html import escape, unescape
from pathlib import Path
from typing import Any

from course.study.markup import to_mathml

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)
# Scripts from elsewhere, what sets MathJax up, and modules that import from elsewhere (Mermaid).
FOREIGN = re.compile(
    r"<script\b[^>]*?(?:\bsrc\s*=|text/x-mathjax-config)[^>]*>.*?</script>"
    r"|<script\b[^>]*type=\"module\"[^>]*>(?:(?!</script>).)*?https?://.*?</script>",
    re.DOTALL | re.IGNORECASE,
)
NOT_TEXT = re.compile(r"(<(script|style|pre|code|math)\b.*?</\2\s*>|<[^>]*>)", re.DOTALL | re.IGNORECASE)
# As in the static face of a quiz: no space inside the dollar signs, so that two prices are no formula.
MATH = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$]+?)(?<!\s)\$(?!\d)", re.DOTALL)


def export_html(notebook: str | Path, to: str | Path | None = None) -> Path:
    """Writes a notebook with its stored outputs as one HTML page.

    Args:
        notebook: the .ipynb file. It is not run.
        to: where the page goes; beside the notebook when left out.
    Returns:
        The page's full path.
    Raises:
        ImportError: nbconvert, which comes with JupyterLab, is not installed.
        OSError: the notebook cannot be read, or the page cannot be written.
        ValueError: the file is no notebook.
    """
    source = Path(notebook).expanduser().absolute()
    target = Path(to).expanduser().absolute() if to else source.with_suffix(".html")
    exporter = _exporter()
    import nbformat

    try:
        book = nbformat.reads(source.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(book)
    except OSError:
        raise
    except Exception as error:  # of a file that is no notebook, nbformat's reader raises whatever it meets first
        why = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ValueError(f"{source} is no notebook that can be read: {why}") from error
    for cell in book.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if isinstance(html := data.get("text/html"), str):
                data["text/html"] = draw_math(html)
            elif "image/png" in data:
                data["text/html"] = _picture(data, output.get("metadata", {}).get("image/png", {}))
    page, _ = exporter.from_notebook_node(book, {"metadata": {"name": source.stem, "path": str(source.parent)}})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(close(page), encoding="utf-8")
    return target


def draw_math(html: str) -> str:
    """HTML with each `$formula$` of its text as MathML; tags, code and scripts stay as they are."""
    parts = NOT_TEXT.split(html)
    # `split` gives text, what was found, and the name of the tag in it, in turns.
    texts = [MATH.sub(_found, text) for text in parts[::3]]
    return "".join(text + tag for text, tag in zip(texts, [*parts[1::3], ""], strict=True))


def close(page: str) -> str:
    """A page without scripts from elsewhere, and with the policy that lets the browser load none."""
    policy = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return FOREIGN.sub("", page).replace("<head>", policy, 1)


def _found(match: re.Match[str]) -> str:
    block, inline = match.groups()
    return _formula(unescape(block or inline), display=block is not None)


def _formula(tex: str, display: bool) -> str:
    try:
        return to_mathml(tex.strip(), display)
    except ValueError:
        return f"<code>{escape(tex)}</code>"


def _picture(data: dict[str, Any], size: dict[str, Any]) -> str:
    """A figure with its one-line text as the alternative text, which nbconvert would leave out."""
    width = f' width="{int(size["width"])}"' if isinstance(size.get("width"), int) else ""
    text = escape(str(data.get("text/plain", "A figure")))
    image = "".join(str(data["image/png"]).split())
    return f'<img src="data:image/png;base64,{escape(image)}" alt="{text}"{width} style="max-width: 100%">'


def _exporter() -> Any:
    try:
        from nbconvert import HTMLExporter
        from nbconvert.filters import markdown_mistune as mistune
    except ImportError as error:
        raise ImportError("The export needs nbconvert, which comes with JupyterLab: pip install nbconvert") from error

    class Renderer(mistune.IPythonRenderer):
        def block_math(self, body: str) -> str:
            return _formula(body, display=True)

        def inline_math(self, body: str) -> str:
            return _formula(body, display=False)

        def latex_environment(self, name: str, body: str) -> str:
            return _formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)

    class Exporter(HTMLExporter):
        def default_filters(self) -> Any:
            yield from super().default_filters()
            yield "markdown2html", render

    def render(source: str) -> str:
        return mistune.MarkdownWithMath(renderer=Renderer(escape=False)).render(source)

    return Exporter()
