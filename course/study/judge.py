"""Is an attempt at an exercise right, and if not, which mistake is it? Pure functions behind `check`.

Values are compared as plain Python: a tensor or an array stands for its numbers, so that this module needs no
torch and a learner may answer with a loop, with numpy or with torch. Serves all lessons.
"""

import copy
import inspect
import math
import reprlib
import sysconfig
import traceback
from collections.abc import Callable, Iterator, KeysView, Mapping, Set, ValuesView
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from course.exercises import Exercise

LONGEST = 600
TOLERANCE = 1e-5  # relative and absolute, for floats; whole numbers must be equal
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


@dataclass(frozen=True)
class Difference:
    """The smallest case on which an attempt is wrong: the call, and what should and what did come out."""

    call: str
    expected: str
    got: str
    where: str = ""


@dataclass(frozen=True)
class Verdict:
    """What is said about an attempt.

    Args:
        kind: how it stands.
        mistake: name of the exercise's mistake that gives the same results, if any.
        message: one or two sentences for the learner.
        difference: where the results part, when they do.
        trace: the learner's part of the traceback, when the attempt raised.
        note: a remark that does not change the verdict.
    """

    kind: Literal["not attempted", "right", "wrong", "error"]
    message: str
    mistake: str | None = None
    difference: Difference | None = None
    trace: str = ""
    note: str = ""


def judge(exercise: "Exercise", attempt: Any) -> Verdict:
    """Runs the attempt on copies of the exercise's cases and compares with the solution and the mistakes.

    A stub (it returns None or `...` everywhere, or raises NotImplementedError) counts as not attempted. What
    the attempt raises is reported and not raised again, so that Run All reaches the cells below and the hints
    stay at hand; an interrupt by the learner passes through.
    """
    if attempt is None or attempt is ...:
        return Verdict("not attempted", "Not attempted yet.")
    if not callable(attempt):
        name = getattr(exercise.solution, "__name__", "your_function")
        return Verdict("wrong", f"Hand over the function itself, as in check(..., {name}), not what it returns.")

    got: list[Any] = []
    changed: set[int] = set()
    for case in exercise.cases:
        arguments = copy.deepcopy(case)
        try:
            got.append(plain(attempt(*arguments)))
        except NotImplementedError:
            return Verdict("not attempted", "Not attempted yet.")
        except Exception as error:
            return _error(exercise, case, error)
        pairs = zip(arguments, case, strict=True)
        changed |= {n for n, (now, was) in enumerate(pairs) if not same(plain(now), plain(was), 0.0)}

    expected = _results(exercise.solution, exercise.cases)
    if all(value is None or value is ... for value in got) and got != expected:
        message = "Not attempted yet: the function returns nothing. If you did write it, its return is missing."
        return Verdict("not attempted", message)

    wrong = [n for n in range(len(got)) if not same(got[n], expected[n])]
    note = _note(exercise, changed)
    if not wrong:
        return Verdict("right", "Right.", note=note)
    first = wrong[0]
    return Verdict(
        "wrong",
        "Not right yet.",
        mistake=_mistake(exercise, got, expected),
        difference=_difference(exercise, exercise.cases[first], expected[first], got[first]),
        note=note,
    )


# ---- values ----------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Tensors, arrays and tuples as (nested) lists, numbers of theirs as numbers; anything else as it is."""
    if hasattr(value, "tolist") and not isinstance(value, type):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range | Iterator | KeysView | ValuesView):
        return [plain(item) for item in value]
    return copy.copy(value) if isinstance(value, Set) else value


def same(one: Any, other: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two plain values are equal: whole numbers exactly, floats within the tolerance, NaN like NaN."""
    if _number(one) and _number(other):
        if isinstance(one, float) or isinstance(other, float):
            both_nan = math.isnan(one) and math.isnan(other)
            return both_nan or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key], tolerance) for key in one)
    try:
        return not _number(one) and not _number(other) and bool(one == other)
    except Exception:  # what a learner returns may refuse to be compared, as a data frame does
        return False


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _results(function: Callable[..., Any], cases: list[tuple[Any, ...]]) -> list[Any]:
    return [plain(function(*copy.deepcopy(case))) for case in cases]


def _mistake(exercise: "Exercise", got: list[Any], expected: list[Any]) -> str | None:
    """The first mistake whose results are the attempt's on every case."""
    for name, wrong in exercise.mistakes.items():
        if not callable(wrong):
            fits = all(wrong.seen(one, right) for one, right in zip(got, expected, strict=True))
        else:
            theirs = _results(wrong, exercise.cases)
            fits = all(same(one, other) for one, other in zip(got, theirs, strict=True))
        if fits:
            return name
    return None


# ---- words -----------------------------------------------------------------------------------------------


class _Short(reprlib.Repr):
    """A repr of at most a line or two, with six digits for a float."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxset = self.maxdict = self.maxtuple = 14
        self.maxlevel = 4
        self.maxstring = self.maxother = 80

    def repr_float(self, value: float, level: int) -> str:
        return f"{value:.6g}"


_short = _Short()


def _brief(value: Any) -> str:
    text = _short.repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def show(value: Any) -> str:
    """The value in short, with the shape in front when it is a tensor or an array of several numbers."""
    if not hasattr(value, "tolist"):
        return _brief(value)
    shape = tuple(getattr(value, "shape", ()))
    return f"shape {shape}: {_brief(plain(value))}" if shape else _brief(plain(value))


def _difference(exercise: "Exercise", case: tuple[Any, ...], expected: Any, got: Any) -> Difference:
    call = _call(exercise, case)
    if _kind(got) != _kind(expected):
        where = f"That is {_kind(got)}; {_kind(expected)} should come out."
    elif isinstance(expected, list) and (at := _first_difference(got, expected)):
        where = f"The first difference is at position {at}."
    else:
        where = ""
    return Difference(call, _brief(expected), _brief(got), where)


def _call(exercise: "Exercise", case: tuple[Any, ...]) -> str:
    names = inspect.signature(exercise.solution).parameters
    return "\n".join(f"{name} = {show(value)}" for name, value in zip(names, case, strict=False))


def _kind(value: Any) -> str:
    """What the value is, with its length or shape: words for a sentence."""
    if value is None:
        return "nothing (None)"
    if _number(value):
        return "a single number"
    if not isinstance(value, list):
        return {"str": "a text", "dict": "a dict", "set": "a set"}.get(type(value).__name__, repr(type(value)))
    shape, inner = [len(value)], value
    while inner and isinstance(inner[0], list) and all(_length(item) == len(inner[0]) for item in inner):
        inner = inner[0]
        shape.append(len(inner))
    return f"shape {tuple(shape)}" if len(shape) > 1 else f"a list of {shape[0]}"


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def _first_difference(got: list[Any], expected: list[Any]) -> str:
    """Index of the first unequal place of two lists of one length, as in [0][2]."""
    for n, (one, other) in enumerate(zip(got, expected, strict=True)):
        if not same(one, other):
            deeper = isinstance(one, list) and isinstance(other, list) and len(one) == len(other)
            return f"[{n}]{_first_difference(one, other) if deeper else ''}"
    return ""


def _note(exercise: "Exercise", changed: set[int]) -> str:
    """A remark on arguments that the attempt changed; it got copies, so that no later case suffers."""
    names = list(inspect.signature(exercise.solution).parameters)
    if not changed:
        return ""
    listed = " and ".join(names[n] for n in sorted(changed))
    return f"Your function changes its argument {listed} in place; whoever calls it would find other data afterwards."


def _error(exercise: "Exercise", case: tuple[Any, ...], error: Exception) -> Verdict:
    """The learner's own lines of the traceback: neither this file nor the inside of a library."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith(LIBRARIES)
    ]
    said = "".join(traceback.format_exception_only(error)).strip()
    lines = [f"line {frame.lineno}, in {frame.name}\n    {frame.line}" for frame in frames[-6:]]
    at = f" in line {frames[-1].lineno}" if frames else ""
    expected = _brief(plain(exercise.solution(*copy.deepcopy(case))))
    return Verdict(
        "error",
        f"Your code stopped{at} with {type(error).__name__}.",
        difference=Difference(_call(exercise, case), expected, said),
        trace="\n".join([*lines, said]),
    )
