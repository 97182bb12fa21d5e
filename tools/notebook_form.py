"""The form of a committed notebook: what the tools write into it, what they take out, what is at fault in it.

Only functions of a notebook, for `tools/notebooks.py` and the tests; nothing here runs a cell or
writes a file. CONTRIBUTING.md describes the marks that the header carries.
"""

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
PICTURES = ("image/png", "image/svg+xml")
LARGEST_OUTPUT = 200_000

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
KEPT_CELL_METADATA = ("tags", "jupyter")

BADGES = re.compile(r"^\[!\[.*(?:\n\[!\[.*)*", re.MULTILINE)
MEASURED = re.compile(r"<!-- measured -->.*?<!-- /measured -->")
HEADER_LINE = re.compile(rf"^\w.* · {MEASURED.pattern} · \w.*$", re.MULTILINE)
HEADER_MODEL = "Stage 1 of 6 · <!-- measured --><!-- /measured --> · before this: notebook 00"
BOOT = re.compile(
    r"from importlib.util import find_spec\n\n"
    r"if not find_spec\(\"course\"\):.*\n    %pip install .*\n__import__\(\"course\"\).*\n?"
)
# A path of the machine that ran the notebook. In base64 no such path can follow one of the excluded signs.
LOCAL_PATH = re.compile(r"(?<![\w.+/=])/(?:home|root|Users|tmp|var/folders)/[\w.-]+")


class HeaderError(ValueError):
    """The first cell does not have the form that the tools can fill in."""


class Measured(NamedTuple):
    """What a run of a whole notebook took on two CPU cores: seconds, and peak memory in 10**6 bytes."""

    seconds: float
    memory_mb: float


def project_url() -> str:
    """The project's address, from the only place that defines it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"]


def launch_badges(name: str, url: str) -> str:
    """Badges that open notebook `name` (file name with its ending) of the GitHub project `url` elsewhere."""
    project = url.removeprefix("https://github.com/")
    in_repository = f"{project}/blob/main/notebooks/{name}"
    places = {
        "JupyterLab on Binder": (
            "https://mybinder.org/badge_logo.svg",
            f"https://mybinder.org/v2/gh/{project}/HEAD?urlpath=lab/tree/notebooks/{name}",
        ),
        "Colab": (
            "https://colab.research.google.com/assets/colab-badge.svg",
            f"https://colab.research.google.com/github/{in_repository}",
        ),
        "Kaggle": (
            "https://kaggle.com/static/images/open-in-kaggle.svg",
            f"https://kaggle.com/kernels/welcome?src=https://github.com/{in_repository}",
        ),
    }
    return "\n".join(f"[![Open in {place}]({image})]({link})" for place, (image, link) in places.items())


def boot_lines(url: str) -> str:
    """The lines that open the first code cell: they fetch the course where the notebook came without it."""
    return (
        "from importlib.util import find_spec\n\n"
        'if not find_spec("course"):  # opened on its own, in Colab or Kaggle: fetch the course (needs internet)\n'
        f"    %pip install -q git+{url}\n"
        '__import__("course")  # before torch, whose threads it sets\n'
    )


def measured_text(measured: Measured) -> str:
    """What the header says of a run, rounded so that small differences do not show."""
    minutes = max(0.1, measured.seconds / 60)
    gigabytes = max(0.1, measured.memory_mb / 1000)
    return f"{minutes:.1f} minutes on two CPU cores · {gigabytes:.1f} GB of memory"


def measured_in(notebook: NotebookNode) -> Measured | None:
    """The measurement that the last run stored in the notebook's metadata, if there was one."""
    stored = notebook.metadata.get("measured")
    return Measured(stored["seconds"], stored["memory_mb"]) if stored else None


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def write_header(notebook: NotebookNode, name: str, url: str) -> None:
    """Bring launch badges, measured numbers and set-up lines up to date, in place.

    Raises:
        HeaderError: the first cell is no title, or it lacks the line that holds the measured numbers.
    """
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        raise HeaderError(f"{name}: the first cell must be Markdown and begin with '# ' and the title")
    if not HEADER_LINE.search(first.source):
        raise HeaderError(f"{name}: the first cell needs a line of this form:\n    {HEADER_MODEL}")
    title, _, rest = first.source.partition("\n")
    first.source = f"{title}\n\n{launch_badges(name, url)}\n\n{BADGES.sub('', rest).strip()}"
    if measured := measured_in(notebook):
        text = f"<!-- measured -->{measured_text(measured)}<!-- /measured -->"
        first.source = MEASURED.sub(lambda _: text, first.source)
    for setup in code_cells(notebook)[:1]:
        rest = BOOT.sub("", setup.source).lstrip("\n")
        setup.source = f"{boot_lines(url)}\n{rest}".rstrip("\n")


def tidy(notebook: NotebookNode) -> None:
    """Take out what only one session needs, in place: widget state and views, time stamps, versions.

    A widget's view goes where its static text/html stands beside it; an output that is nothing but a view,
    such as a progress bar, goes as a whole.
    """
    measured = notebook.metadata.get("measured")
    kept = copy.deepcopy(METADATA) | ({"measured": measured} if measured else {})
    notebook.metadata = nbformat.from_dict(kept)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEPT_CELL_METADATA if cell.metadata.get(k)})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _without_view(output)]


def _without_view(output: NotebookNode) -> bool:
    """Take the widget's view out of an output; False when nothing readable is left of it."""
    data = output.get("data", {})
    if data.pop(WIDGET_VIEW, None) is None:
        return True
    output.get("metadata", {}).pop(WIDGET_VIEW, None)
    return bool(data.get("text/html"))


def faults(notebook: NotebookNode, name: str, url: str) -> list[str]:
    """What keeps a notebook from being committed, a line each with the cell's number; empty if nothing."""
    return [*_form_faults(notebook, name, url), *_run_faults(notebook)]


def _form_faults(notebook: NotebookNode, name: str, url: str) -> Iterator[str]:
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {error.message}"
    if "widgets" in notebook.metadata:
        yield "metadata.widgets is stored; run `make notebooks`"
    elif {k: v for k, v in notebook.metadata.items() if k != "measured"} != METADATA:
        yield "the metadata are not the ones that the tools write; run `make notebooks`"
    fresh = copy.deepcopy(notebook)
    try:
        write_header(fresh, name, url)
    except HeaderError as error:
        yield str(error)
        return
    if fresh.cells[0].source != notebook.cells[0].source:
        yield "badges or measured numbers in the header are out of date; run `make header`"
    if [cell.source for cell in fresh.cells[1:]] != [cell.source for cell in notebook.cells[1:]]:
        yield "the first code cell does not begin with the set-up lines; run `make header`"
    if sum(cell.source.count("%pip install") for cell in code_cells(notebook)) > 1:
        yield "set-up lines of an older form stand below the present ones; delete them"
    if measured_in(notebook) is None:
        yield "it was never measured; run `make notebooks`"


def _run_faults(notebook: NotebookNode) -> Iterator[str]:
    count = 0
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        if not cell.source.strip():
            yield f"cell {number}: an empty code cell"
            continue
        count += 1
        if cell.execution_count != count:
            yield f"cell {number}: not run in order (count {cell.execution_count}, should be {count})"
        for output in cell.outputs:
            yield from (f"cell {number}: {fault}" for fault in _output_faults(output, cell.execution_count))


def _output_faults(output: NotebookNode, count: int | None) -> Iterator[str]:
    data = output.get("data", {})
    if output.output_type == "error":
        yield f"a stored error: {output.ename}: {output.evalue}"
    if output.get("name") == "stderr":
        yield f"text on stderr is stored: {output.text.strip()[:80]!r}"
    if output.output_type == "execute_result" and output.execution_count != count:
        yield f"its output says it was run as {output.execution_count}, the cell says {count}"
    if WIDGET_VIEW in data:
        yield "a live widget view is stored; run `make notebooks`"
    if PLOTLY in data and not any(kind in data for kind in PICTURES):
        yield "a figure has no static picture beside it; run `make notebooks`"
    size = len(json.dumps(output, ensure_ascii=False).encode())
    if size > LARGEST_OUTPUT:
        yield f"an output of {size / 1000:.0f} kB; {LARGEST_OUTPUT / 1000:.0f} kB is the most"
    readable = {**output, "data": {kind: value for kind, value in data.items() if kind not in PICTURES}}
    if path := LOCAL_PATH.search(json.dumps(readable).replace("\\n", " ")):
        yield f"a path of the machine that ran it is stored: {path[0]}"
