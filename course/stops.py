"""What a stop leaves behind: which training runs and cells are half done, and what to do next. Serves every lesson.

A training run stops between two steps (`course.resume`), any other cell where it is, without a traceback; both are
noted in `unfinished`. Tables, figures, claims and a lesson's assertions ask `half_trained` about it.
"""

import sys
from types import TracebackType
from typing import Any

unfinished: dict[str, str] = {}
"""What was stopped in this kernel before its end and not made since, by title or source: a clause that says so."""


def half_trained() -> bool:
    """Whether something was stopped before its end; prints what, and how to go on.

    An assertion about what was trained ends with `or half_trained()`: after a stop it says nothing yet.
    """
    if unfinished:
        what = ", ".join(unfinished.values())
        print(f"Half-trained, so this says nothing yet: {what}. Run its cell again, then this.")
    return bool(unfinished)


def _note_cell(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> None:
    source = shell.history_manager.input_hist_raw[-1]
    unfinished[source] = f"the cell that begins {source.strip().splitlines()[0]!r} was stopped"
    print("You stopped this cell before its end, so what it makes is missing. Run it again before those below it.")


def _forget_cell(result: Any) -> None:
    if result.success:
        unfinished.pop(result.info.raw_cell.rstrip("\n"), None)


if "IPython" in sys.modules:
    from IPython import get_ipython

    if (shell := get_ipython()) is not None:
        shell.set_custom_exc((KeyboardInterrupt,), _note_cell)
        shell.events.register("post_run_cell", _forget_cell)
