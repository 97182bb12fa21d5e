"""Claims: what a lesson says, checked by the run that you have just made. Serves every lesson.

A lesson has cells such as `claim("S10", "With another template accuracy falls.", other < usual - 0.2, measured)`.
The cell prints the statement and the numbers behind it, and fails the notebook when the condition is false.
A statement that the small model did not show, after an honest try, is recorded with `reproduced=False`.

`make claims` runs the notebooks over several seeds with COURSE_CLAIMS_LOG naming a file; every call then
appends one line of JSON to it, and a table is made of those lines.
"""

import json
import math
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course import SEED
from course.show import plain, short
from course.stops import half_trained


class ClaimFailed(AssertionError):
    """The run did not show what the lesson says."""


KINDS = ("exact", "seen on both", "toy only", "other on the real model")
"""What a claim rests on: arithmetic; runs on the toy and on the real model; runs on the toy, no real model having been
asked; runs on the toy, while the real model did something else."""


def claim(
    id: str,
    statement: str,
    condition: Any,
    evidence: Mapping[str, Any] | str,
    kind: str = "toy only",
    reproduced: bool = True,
) -> None:
    """Print a claim with its evidence, record it, and fail when the condition is false.

    Args:
        id: a letter and a number, used by no other claim.
        statement: what is claimed, in a sentence.
        condition: a truth value: bool, or a NumPy or torch scalar of truth values.
        evidence: the measured numbers by name (Python, NumPy or torch scalars, or lists of them), or a sentence.
        kind: one of `KINDS`; for those asked of a real model, what `course.experiments.real.verdicts.kind` says.
        reproduced: False where the small model did not show the claim. It is then printed and recorded
            as not reproduced and never raises.
    Raises:
        ClaimFailed: the condition is false, and no training was stopped before its end; the message holds the statement
            and the evidence.
        ValueError: no evidence, or no such kind.
        TypeError: the statement is no sentence, or the condition no truth value (a number or a dict would always pass).
    """
    if not isinstance(statement, str) or not statement.endswith("."):
        raise TypeError(f"claim {id}: the second argument is what is claimed, in a sentence, but it is {statement!r}.")
    if kind not in KINDS:
        raise ValueError(f"claim {id}: there is no kind {kind!r}; choose from {', '.join(KINDS)}.")
    held = _truth(id, condition)
    measured = evidence.strip() if isinstance(evidence, str) else {str(k): plain(v) for k, v in evidence.items()}
    if not measured:
        raise ValueError(f"claim {id} came without evidence: pass the numbers that the condition compares.")

    block = describe(id, statement, held, measured, kind, reproduced)
    print(block)
    _record(id, held, measured, kind, reproduced)
    if not half_trained() and reproduced and not held:
        raise ClaimFailed(block)


def describe(
    id: str, statement: str, held: bool, evidence: Mapping[str, Any] | str, kind: str, reproduced: bool = True
) -> str:
    """The block of text that `claim` prints: verdict and kind, statement, and a line for each piece of evidence."""
    if reproduced:
        verdict = "holds" if held else "FAILED"
    else:
        verdict = "was not reproduced on this model" + (", though it held in this run" if held else "")
    if isinstance(evidence, str):
        lines = textwrap.wrap(evidence, 94)
    else:
        width = max(len(name) for name in evidence)
        lines = [f"{name:<{width}}  {short(value)}" for name, value in evidence.items()]
    return "\n  ".join([f"Claim {id} {verdict} ({kind})", *textwrap.wrap(statement, 94), *lines])


def _truth(id: str, condition: Any) -> bool:
    """The condition as a bool. Anything that merely counts as true in Python is refused."""
    value = plain(condition)
    if not isinstance(value, bool):
        raise TypeError(
            f"claim {id}: the condition must be true or false, but it is {condition!r}. "
            "Compare it with something, and reduce a whole array with .all()."
        )
    return value


def _record(id: str, held: bool, evidence: Any, kind: str, reproduced: bool) -> None:
    """Append one line of JSON to the file that COURSE_CLAIMS_LOG names, if it names one."""
    log = os.environ.get("COURSE_CLAIMS_LOG")
    if not log:
        return
    line = {"claim": id, "notebook": _notebook(), "seed": SEED, "held": held, "kind": kind, "reproduced": reproduced}
    with open(log, "a", encoding="utf-8") as file:  # one write a line: two notebooks may append at once
        file.write(json.dumps({**line, "evidence": _json(evidence)}, allow_nan=False) + "\n")


def _notebook() -> str:
    """Name of the running notebook: given by whoever runs it, or by Jupyter's server; else empty."""
    name = os.environ.get("COURSE_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME", "")
    return Path(name).stem


def _json(value: Any) -> Any:
    """What JSON cannot hold becomes text: NaN, infinity, and objects of other kinds."""
    if isinstance(value, list):
        return [_json(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
