"""Run lessons with their training stopped, and list the cells that fail: `python -m tools.stops [01 ...]`.

Every run is stopped after its first step, then every second one, then the others. A run that is not stopped is filled
up with copies of its first record, which is enough to see whether curves of different lengths fit together; and answers
are cut short. So this takes a fraction of the lessons' time, and says nothing about what they measure.
"""

import argparse
import contextlib
import copy
import inspect
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from tools import notebooks
from tools.notebook_form import code_cells

TOKENS = 14  # of an answer: most plain sentences are no longer
STOPPED = {"every run": lambda i: True, "every second run": lambda i: i % 2 == 1, "the others": lambda i: i % 2 == 0}


def stopping(stopped: Callable[[int], bool], unfinished: dict[str, str]) -> Callable[..., Any]:
    """Stands in for `course.resume.drive`: the i-th run of a lesson is stopped after a step, or filled up."""
    begun: list[str] = []

    def drive(
        run: Any, steps: int, step_fn: Any, curve: Any, shown: Any, keeper: Any = None, finish: Any = lambda: None
    ) -> Any:
        begun.append(curve.title)
        run.interrupted = steps > 1 and stopped(len(begun) - 1)
        known = inspect.getclosurevars(step_fn).nonlocals  # of the loop that looks at the model after each epoch
        step_fn(0)
        for step in range(1, 1 if run.interrupted else steps):
            if step % known.get("steps_per_epoch", steps) == 0:
                known["between_epochs"](step)
            records = [run.losses, *run.measured.values()] if hasattr(run, "losses") else [run.history]
            for record in records:
                record.append(copy.copy(record[-1]))
        unfinished.pop(curve.title, None)
        if run.interrupted:
            unfinished[curve.title] = f"{curve.title!r} was stopped at {curve.x} 1 of {steps}"
        else:
            finish()
        return run

    return drive


def cut(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with short answers."""

    @wraps(answer)
    def short(*args: Any, **options: Any) -> Any:
        return answer(*args, **options | {"max_new_tokens": min(TOKENS, options.get("max_new_tokens", TOKENS))})

    return short


def run(path: Path, which: str) -> list[str]:
    """What goes wrong in a lesson whose runs are stopped, a line for each cell; in a process of its own."""
    os.environ |= notebooks.environment(Path(tempfile.mkdtemp()), seed=0)
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config(HistoryManager={"hist_file": ":memory:"}))
    library = import_module("course")
    for module in walk_packages(library.__path__, "course."):
        if not module.name.startswith(("course.study", "course.exercises", "course.__main__")):
            import_module(module.name)
    resume, rollouts, stops = (import_module(f"course.{name}") for name in ("resume", "rollouts", "stops"))
    instead = {id(resume.drive): stopping(STOPPED[which], stops.unfinished)}
    instead |= {id(one): cut(one) for one in (rollouts.sample, rollouts.generate)}
    for module in [module for name, module in sys.modules.items() if name.startswith("course")]:
        for name, value in list(vars(module).items()):
            if id(value) in instead:
                setattr(module, name, instead[id(value)])
    stops.unfinished["tools.stops"] = "'tools.stops' was stopped at all"  # what was not learnt fails nothing
    cells = code_cells(notebooks.read(path))
    os.chdir(tempfile.mkdtemp())
    faults = []
    for number, cell in enumerate(cells, start=1):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result = shell.run_cell(cell.source, store_history=True)
        if error := result.error_before_exec or result.error_in_exec:
            place = traceback.extract_tb(error.__traceback__)[-1]
            faults.append(f"code cell {number}: {type(error).__name__}: {error} ({place.name}: {place.line})")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", metavar="NB", help="beginning of a notebook's name (default: all)")
    failed = 0
    for path in notebooks.find(parser.parse_args().only):
        for which in STOPPED:
            with get_context("spawn").Pool(1) as pool:  # a fresh interpreter for each
                faults = pool.apply(run, (path, which))
            failed += bool(faults)
            print(
                f"{path.stem}, {which} stopped: {'survives' if not faults else ''}", *faults, sep="\n    ", flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
