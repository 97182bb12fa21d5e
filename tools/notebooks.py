"""Run the notebooks and store their outputs, or check what is stored. For maintainers, not for learners.

    python -m tools.notebooks run [01 ...]     run on seed 0; store outputs, pictures and measured numbers
    python -m tools.notebooks header [01 ...]  only bring badges and set-up lines up to date
    python -m tools.notebooks check [01 ...]   list what is wrong with the committed form

A run has a fresh kernel, an empty home, two cores and no model hub; a notebook that fails stays as it was.
"""

import argparse
import asyncio
import base64
import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kaleido
import nbformat
import psutil
from choreographer.browsers.chromium import Chromium
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

from tools import notebook_form as form

CORES = 2
CELL_SECONDS = 600
NO_BROWSER = "no Chromium or Chrome: install one (Debian: apt-get install chromium) or set BROWSER_PATH"
PICTURE_SIZE = (800, 450)
PICTURE_SCALE = 1  # JupyterLab shows a stored picture pixel by pixel until the cell is run, and cuts off what is wider


def find(only: list[str]) -> list[Path]:
    """The notebooks whose names begin with one of `only` ("01", or more of the name), or all of them.

    Raises:
        FileNotFoundError: a given beginning fits no notebook.
    """
    every = sorted(form.FOLDER.glob("[0-9][0-9]*_*.ipynb"))
    for start in only:
        if not any(path.name.startswith(start) for path in every):
            raise FileNotFoundError(f"no notebook in {form.FOLDER} begins with {start!r}")
    return [path for path in every if not only or path.name.startswith(tuple(only))]


def find_browser() -> str | None:
    """Path of the Chromium or Chrome that draws pictures and runs the browser tests: $BROWSER_PATH, else one found."""
    return Chromium.find_browser(skip_local=False)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write whole or not at all, so that an interruption leaves the old file."""
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)


def environment(home: Path, seed: int) -> dict[str, str]:
    """The variables of a run: seeded, hub switched off, no progress bars, nobody's progress and no cache."""
    return os.environ | {
        "COURSE_FACE": "static",
        "COURSE_HOME": str(home),
        "COURSE_SEED": str(seed),
        "HF_HOME": str(home / "hub"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(min(CORES, _cores())),
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }


def _cores() -> int:
    """How many cores this process may use: more threads than that wait for one another and take many times as long."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class PeakMemory(threading.Thread):
    """Watches the largest resident memory of all child processes together, in bytes, until the block ends."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            self.look()

    def look(self) -> None:
        now = 0
        for child in psutil.Process().children(recursive=True):
            try:
                now += child.memory_info().rss
            except psutil.Error:  # it ended between the two calls
                continue
        self.peak = max(self.peak, now)

    def __enter__(self) -> "PeakMemory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


@contextmanager
def few_cores() -> Iterator[None]:
    """Hold this process and those it starts to `CORES` cores, where the system can; elsewhere do nothing."""
    if not hasattr(os, "sched_setaffinity"):  # Linux has it; macOS and Windows hold down the thread count only
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def execute(notebook: NotebookNode, folder: Path, env: dict[str, str], *, keep_going: bool = False) -> form.Measured:
    """Run all cells in place, in a fresh kernel, on at most two cores.

    Args:
        folder: the working directory of the run.
        keep_going: go on after a cell that raises, and store its error.
    Raises:
        CellExecutionError: a cell raised, unless `keep_going`.
        CellTimeoutError: a cell took longer than `CELL_SECONDS`.
        DeadKernelError: the kernel died, most often because the memory ran out.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        allow_errors=keep_going,
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,
    )
    start = time.perf_counter()
    with PeakMemory() as memory, few_cores():
        client.on_cell_executed = lambda **_: memory.look()  # also what the last cell holds, before the kernel goes
        client.execute(env=env)
    return form.Measured(round(time.perf_counter() - start, 1), round(memory.peak / 1e6))


def no_end(error: CellTimeoutError | DeadKernelError) -> str:
    """In words, what kept a run from coming to its end."""
    return "The kernel died, most often for want of memory." if isinstance(error, DeadKernelError) else str(error)


def add_pictures(notebook: NotebookNode) -> int:
    """Put a PNG beside every plotly figure, for readers that show no live one; return how many."""
    bundles = [
        output for cell in form.code_cells(notebook) for output in cell.outputs if form.PLOTLY in output.get("data", {})
    ]
    for output, picture in zip(bundles, asyncio.run(_draw([o.data[form.PLOTLY] for o in bundles])), strict=True):
        output.data["image/png"] = base64.b64encode(picture).decode()
        width, height = _size(output.data[form.PLOTLY])
        output.metadata["image/png"] = {"alt": output.data["text/plain"], "width": width, "height": height}
    return len(bundles)


def _size(figure: dict[str, Any]) -> tuple[int, int]:
    layout = figure.get("layout", {})
    return layout.get("width") or PICTURE_SIZE[0], layout.get("height") or PICTURE_SIZE[1]


async def _draw(figures: list[dict[str, Any]]) -> list[bytes]:
    if not figures:
        return []
    async with kaleido.Kaleido(n=1, mathjax=False) as browser:
        pictures = []
        for figure in figures:
            width, height = _size(figure)
            options = {"format": "png", "width": width, "height": height, "scale": PICTURE_SCALE}
            drawn = {"data": figure["data"], "layout": figure.get("layout", {})}
            pictures.append(_few_colours(await browser.calc_fig(drawn, opts=options)))
        return pictures


def _few_colours(png: bytes) -> bytes:
    """The picture with a palette of 64 colours: a third of the size, and no eye sees it in a line chart."""
    small = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue()


def refresh(path: Path) -> str:
    """Run one notebook and write it back; return a line on what that took.

    Raises:
        CellExecutionError, CellTimeoutError, DeadKernelError: as in `execute`; the file is unchanged.
        HeaderError: the first cell has not the form of a header; the file is unchanged.
    """
    notebook, url = read(path), form.project_url()
    form.write_header(notebook, path.name, url)  # before the minutes that the run takes
    with tempfile.TemporaryDirectory(prefix="course-run-", ignore_cleanup_errors=True) as home:
        measured = execute(notebook, path.parent, environment(Path(home), seed=0))
    notebook.metadata["measured"] = measured._asdict()
    form.tidy(notebook)
    pictures = add_pictures(notebook)
    form.write_header(notebook, path.name, url)
    write(notebook, path)
    return f"{form.measured_text(measured)} · {pictures} pictures · {path.stat().st_size / 1000:.0f} kB"


def rewrite_header(path: Path) -> str:
    notebook = read(path)
    form.write_header(notebook, path.name, form.project_url())
    write(notebook, path)
    return "header up to date"


def check(path: Path) -> list[str]:
    """The faults of one committed notebook; see `tools/notebook_form.py`."""
    return form.faults(read(path), path.name, form.project_url())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["run", "header", "check"])
    parser.add_argument(
        "only", nargs="*", metavar="NB", help="beginning of a notebook's name, such as 01 (default: all)"
    )
    arguments = parser.parse_args()
    if arguments.action == "run" and find_browser() is None:  # said now, not after the minutes that a run takes
        parser.error(NO_BROWSER)
    try:
        paths = find(arguments.only)
    except FileNotFoundError as error:
        parser.error(str(error))
    failed = 0
    for path in paths:
        try:
            if arguments.action == "check":
                found = check(path)
                failed += bool(found)
                print(f"{path.name}: {'in order' if not found else ''}", *found, sep="\n    " if found else "")
            else:
                print(f"{path.name}: ", end="", flush=True)
                print(refresh(path) if arguments.action == "run" else rewrite_header(path))
        except (CellExecutionError, form.HeaderError) as error:
            failed += 1
            print(f"not written, because\n{error}", flush=True)
        except (CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(f"not written, because\n{no_end(error)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
