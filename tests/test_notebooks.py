"""The committed notebooks have the form that CONTRIBUTING.md describes, and the tools that give it to them work.

That the cells run is tested beside this, by nbval, which pytest calls on notebooks/ itself.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode, v4

from tests.conftest import require_browser
from tools import notebook_form as form
from tools import notebooks

URL = "https://github.com/somebody/something"
NAME = "07_some_lesson.ipynb"
HEADER = "# Some lesson\n\nStage 3 of 6 · <!-- measured --><!-- /measured --> · before this: notebook 06"
FIGURE = {"data": [{"type": "scatter", "y": [1, 3, 2]}], "layout": {"height": 300}}


@pytest.mark.parametrize("path", notebooks.find([]), ids=lambda path: path.stem)
def test_committed_notebook_is_in_order(path: Path) -> None:
    assert notebooks.check(path) == []


def test_every_notebook_is_found_and_a_second_part_follows_the_first() -> None:
    found = [path.name for path in notebooks.find([])]
    assert found == sorted(path.name for path in form.FOLDER.glob("*.ipynb"))
    for second in (name for name in found if name[2] == "b"):
        assert re.match(rf"{second[:2]}_", found[found.index(second) - 1])


def lesson(*sources: str) -> NotebookNode:
    """A notebook that has been run in order, with no outputs yet."""
    cells = [v4.new_markdown_cell(HEADER)]
    cells += [v4.new_code_cell(source, execution_count=i) for i, source in enumerate(sources, start=1)]
    notebook = v4.new_notebook(cells=cells, metadata={"measured": {"seconds": 75.0, "memory_mb": 930}})
    form.tidy(notebook)
    form.write_header(notebook, NAME, URL)
    return notebook


def display(**data: object) -> NotebookNode:
    return v4.new_output("display_data", {kind.replace("__", "/"): value for kind, value in data.items()})


def test_a_lesson_in_order_has_no_faults() -> None:
    assert form.faults(lesson("1 + 1", "2 + 2"), NAME, URL) == []


def test_header_is_derived_from_address_name_and_measurement() -> None:
    notebook = lesson("print(1)")
    header = notebook.cells[0].source
    assert header.startswith("# Some lesson\n\n[![")
    assert "colab.research.google.com/github/somebody/something/blob/main/notebooks/07_some_lesson.ipynb" in header
    assert "mybinder.org/v2/gh/somebody/something/HEAD?urlpath=lab/tree/notebooks/07_some_lesson.ipynb" in header
    assert "src=https://github.com/somebody/something/blob/main/notebooks/07_some_lesson.ipynb" in header
    assert "1.2 minutes on two CPU cores · 0.9 GB of memory<!-- /measured --> · before this" in header
    setup = notebook.cells[1].source
    assert setup.startswith("from importlib.util import find_spec\n")
    assert f"    %pip install -q git+{URL}\n" in setup
    assert setup.endswith('\n__import__("course")  # before torch, whose threads it sets\n\nprint(1)')


def test_writing_the_header_twice_changes_nothing_and_a_move_leaves_nothing_behind() -> None:
    notebook = lesson("print(1)")
    once = [cell.source for cell in notebook.cells]
    form.write_header(notebook, NAME, URL)
    assert [cell.source for cell in notebook.cells] == once
    form.write_header(notebook, "08_moved.ipynb", "https://github.com/other/place")
    everything = "".join(cell.source for cell in notebook.cells)
    assert "somebody" not in everything and NAME not in everything
    assert everything.count("%pip install") == 1


@pytest.mark.parametrize(
    "first", ["Some lesson", "# Some lesson", "# Some lesson\n\n<!-- measured --><!-- /measured -->"]
)
def test_a_header_that_cannot_be_filled_in_says_what_is_missing(first: str) -> None:
    with pytest.raises(form.HeaderError, match=r"07_some_lesson\.ipynb: the first cell"):
        form.write_header(v4.new_notebook(cells=[v4.new_markdown_cell(first)]), NAME, URL)


def _widget_state(notebook: NotebookNode) -> None:
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}


def _typed_number(notebook: NotebookNode) -> None:
    notebook.cells[0].source = notebook.cells[0].source.replace("1.2 minutes", "0.3 minutes")


def _foreign_badge(notebook: NotebookNode) -> None:
    notebook.cells[0].source = notebook.cells[0].source.replace("somebody", "elsewhere")


def _no_setup(notebook: NotebookNode) -> None:
    notebook.cells[1].source = "1 + 1"


def _never_measured(notebook: NotebookNode) -> None:
    del notebook.metadata["measured"]


def _not_run(notebook: NotebookNode) -> None:
    notebook.cells[1].execution_count = None


def _result_of_another_run(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs = [v4.new_output("execute_result", {"text/plain": "2"}, execution_count=5)]


def _empty_cell(notebook: NotebookNode) -> None:
    notebook.cells.append(v4.new_code_cell(""))


def _outputs(*outputs: NotebookNode) -> Callable[[NotebookNode], None]:
    def add(notebook: NotebookNode) -> None:
        notebook.cells[1].outputs = list(outputs)

    return add


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_widget_state, "metadata.widgets"),
        (_typed_number, "measured numbers in the header are out of date"),
        (_foreign_badge, "badges"),
        (_no_setup, "does not begin with the set-up lines"),
        (_never_measured, "never measured"),
        (_not_run, "cell 2: not run in order"),
        (_result_of_another_run, "cell 2: its output says it was run as 5"),
        (_empty_cell, "cell 3: an empty code cell"),
        (_outputs(v4.new_output("error", ename="ValueError", evalue="bad")), "cell 2: a stored error: ValueError: bad"),
        (_outputs(v4.new_output("stream", name="stderr", text="careful")), "cell 2: text on stderr"),
        (_outputs(v4.new_output("stream", text="at\n/home/ann/course")), "path of the machine .*: /home/ann"),
        (_outputs(display(text__html="<p>", **{form.WIDGET_VIEW: {"model_id": "1"}})), "cell 2: a live widget view"),
        (_outputs(display(**{form.PLOTLY: FIGURE})), "cell 2: a figure has no static picture"),
        (_outputs(display(text__html="x" * 200_001)), "cell 2: an output of 200 kB"),
    ],
)
def test_each_fault_is_found_and_named(spoil: Callable[[NotebookNode], None], fault: str) -> None:
    notebook = lesson("1 + 1")
    spoil(notebook)
    found = form.faults(notebook, NAME, URL)
    assert len(found) == 1
    assert re.search(fault, found[0])


def test_tidying_keeps_the_static_face_and_drops_what_belongs_to_one_session() -> None:
    notebook = lesson("deck", "bar")
    view = {"model_id": "abc", "version_major": 2}
    notebook.metadata["widgets"] = {"state": {}}
    notebook.metadata["language_info"]["version"] = "3.11.7"
    notebook.cells[1].metadata |= {"execution": {"iopub.status.busy": "now"}, "tags": ["hide-input"]}
    notebook.cells[1].outputs = [display(text__html="<details>", text__plain="Deck", **{form.WIDGET_VIEW: view})]
    notebook.cells[2].outputs = [display(text__plain="0%", **{form.WIDGET_VIEW: view})]
    form.tidy(notebook)
    assert notebook.cells[1].outputs[0].data == {"text/html": "<details>", "text/plain": "Deck"}
    assert notebook.cells[1].metadata == {"tags": ["hide-input"]}
    assert notebook.cells[2].outputs == []
    assert notebook.metadata == form.METADATA | {"measured": {"seconds": 75.0, "memory_mb": 930}}
    assert form.faults(notebook, NAME, URL) == []


def stored(folder: Path, *sources: str) -> Path:
    """A notebook on disk that has never been run."""
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(HEADER), *map(v4.new_code_cell, sources)])
    nbformat.write(notebook, folder / NAME)
    return folder / NAME


def test_a_refreshed_notebook_is_in_order(tmp_path: Path, chromium: str) -> None:
    figure = "display({'application/vnd.plotly.v1+json': " + repr(FIGURE) + ", 'text/plain': 'Three points'}, raw=True)"
    surroundings = "import os\n\nprint(os.environ['COURSE_SEED'], os.listdir(os.environ['COURSE_HOME']))"
    path = stored(tmp_path, surroundings, figure, "memory = bytearray(b'1') * 100_000_000\nlen(memory)")
    notebooks.refresh(path)
    assert notebooks.check(path) == []
    notebook = notebooks.read(path)
    assert notebook.cells[1].outputs[0].text == "0 []\n"
    picture = notebook.cells[2].outputs[0]
    assert picture.data[form.PLOTLY] == FIGURE
    assert picture.metadata["image/png"] == {"alt": "Three points", "width": 800, "height": 300}
    assert notebook.metadata.measured.memory_mb > 100


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path: Path) -> None:
    path = stored(tmp_path, "print('a')", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.refresh(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_fits_no_notebook_is_said_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["notebooks", "check", "77"])
    with pytest.raises(SystemExit) as stopped:
        notebooks.main()
    assert stopped.value.code == 2
    assert "begins with '77'" in capsys.readouterr().err


def test_a_cell_without_end_and_a_kernel_that_dies_stop_no_other_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = ["while True: pass", "import os; os._exit(1)", "1 + 1"]
    paths = [tmp_path / f"0{number}_lesson.ipynb" for number in range(3)]
    for path, source in zip(paths, sources, strict=True):
        stored(tmp_path, source).rename(path)
    monkeypatch.setattr(form, "FOLDER", tmp_path)
    monkeypatch.setattr(notebooks, "CELL_SECONDS", 5)
    monkeypatch.setattr(notebooks, "find_browser", lambda: "a browser")
    monkeypatch.setattr(sys, "argv", ["notebooks", "run"])
    before = [path.read_bytes() for path in paths]
    assert notebooks.main() == 1
    said = capsys.readouterr().out
    assert "after 5 seconds" in said and "while True: pass" in said and "The kernel died" in said
    assert [path.read_bytes() == was for path, was in zip(paths, before, strict=True)] == [True, True, False]


@pytest.mark.parametrize(("ci", "outcome"), [("1", pytest.fail.Exception), (None, pytest.skip.Exception)])
def test_a_missing_browser_skips_at_home_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str | None, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(notebooks, "find_browser", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="BROWSER_PATH"):
        require_browser()
