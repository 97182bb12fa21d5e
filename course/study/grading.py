"""Is an attempt at an exercise right, and if not, which mistake is it? What is behind `check`, for all lessons.

`grade` runs the learner's function; `compare` knows when two values are equal, and `relations` what a wrong result has
to do with the right one.
"""

import copy
import dis
import inspect
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from course.study.compare import LONGEST, TooLarge, brief, kind, plain, same, show, where
from course.study.relations import read_names, relation, varies
from course.study.running import Runner, TimeUp

if TYPE_CHECKING:
    from course.exercises import Exercise

SECONDS = 10.0  # for all cases together; a solution takes milliseconds
NOT_THE_LEARNERS = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)


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
        hint: what the results have to do with the right ones, where no mistake fits.
        difference: where the results part, when they do.
        trace: the learner's part of the traceback, when the attempt raised.
        note: a remark that does not change the verdict.
    """

    kind: Literal["not attempted", "right", "wrong", "error"]
    message: str
    mistake: str | None = None
    hint: str = ""
    difference: Difference | None = None
    trace: str = ""
    note: str = ""


def grade(exercise: "Exercise", attempt: Any, seconds: float = SECONDS) -> Verdict:
    """Runs the attempt on copies of the exercise's cases and compares with the solution and the mistakes.

    A stub (it never looks at its arguments and returns None or `...`, or raises NotImplementedError) counts as not
    attempted. Whatever the attempt raises is reported and not raised again, `sys.exit()` and an interrupt by the
    learner included, so that Run All reaches the cells below and the hints stay at hand.

    Args:
        seconds: how long the attempt may take on all cases together.
    """
    if attempt is None or attempt is ...:
        return Verdict("not attempted", "Not attempted yet.")
    if not callable(attempt):
        name = exercise.solution.__name__
        return Verdict("wrong", f"Hand over the function itself, as in check(..., {name}), not what it returns.")

    got: list[Any] = []
    # Before the first call of the attempt, which may set torch's default type or replace a function.
    expected = [plain(exercise.solution(*copy.deepcopy(case))) for case in exercise.all_cases]
    wrong: list[int] = []
    changed: set[int] = set()
    run = Runner(attempt, seconds)
    stopped: Exception | None = None
    for n, case in enumerate(exercise.all_cases):
        arguments = copy.deepcopy(case)
        try:
            result, after = run(arguments)
        except TooLarge as error:
            return _too_large(exercise, case, str(error), expected[n])
        except BaseException as error:
            if isinstance(error, NotImplementedError) and _is_stub(attempt):
                return Verdict("not attempted", "Not attempted yet.")
            if wrong and isinstance(error, Exception):
                stopped = error  # a smaller case says what is wrong
                break
            return _error(exercise, n, error, seconds, expected[n])
        got.append(result)
        changed |= {n for n, (now, was) in enumerate(zip(after, case, strict=True)) if not same(now, plain(was), 0.0)}
        wrong += [] if same(got[n], expected[n]) else [n]

    expected = expected[: len(got)]
    nothing = all(value is None or value is ... for value in got) and got != expected
    if nothing and _is_stub(attempt):
        return Verdict("not attempted", "Not attempted yet.")
    note = _note(exercise, changed)
    if not wrong:
        return _second_time(exercise, run, expected[0]) or Verdict("right", "Right.", note=note)
    case = exercise.all_cases[wrong[0]]
    difference = Difference(
        _call_in_words(exercise, case),
        brief(expected[wrong[0]]),
        brief(got[wrong[0]]),
        where(got[wrong[0]], expected[wrong[0]]),
    )
    if nothing:
        message = f"Your function returns nothing (None). {_why_nothing(attempt)}".rstrip()
        return Verdict("wrong", message, difference=difference, note=note)
    again = partial(_again, exercise, run, got)
    mistake, hint = _mistake(exercise, got, expected), ""
    if not mistake:
        hint = varies(got, again)
        mistake = None if hint else _nearly(exercise, got, expected)
        hint = hint or ("" if mistake else relation(exercise, attempt, got, expected))
    if stopped and not mistake:
        said = "".join(traceback.format_exception_only(stopped)).strip()
        hint = f"{hint} On a later case your code stops with {said[:LONGEST]}".strip()
    return Verdict("wrong", "Not right yet.", mistake=mistake, hint=hint, difference=difference, note=note)


def _mistake(exercise: "Exercise", got: list[Any], expected: list[Any]) -> str | None:
    """The first mistake that does what the attempt does on every case, up to the one on which the attempt raised."""
    stopped = exercise.all_cases[len(got)] if len(got) < len(exercise.all_cases) else None
    for name, wrong in exercise.mistakes.items():
        if callable(wrong):
            fits = all(_gives(wrong, case, one) for case, one in zip(exercise.all_cases, got, strict=False))
            fits = fits and (stopped is None or _raises(wrong, stopped))
        else:
            fits = all(_seen(wrong.seen, one, right) for one, right in zip(got, expected, strict=True))
        if fits:
            return name
    return None


def _nearly(exercise: "Exercise", got: list[Any], expected: list[Any]) -> str | None:
    """The only mistake that does the same on every ordinary case, if two or more of them come out wrong.

    An attempt may make a known mistake and treat an empty list, say, in its own way. What returns the same whatever
    it is given may agree with a mistake by chance.
    """
    ordinary = list(zip(exercise.cases, got, expected, strict=False))
    wrong = [one for _, one, right in ordinary if not same(one, right)]
    if len(ordinary) < len(exercise.cases) or len(wrong) < 2 or all(same(one, wrong[0]) for one in wrong):
        return None
    known = {name: one for name, one in exercise.mistakes.items() if callable(one)}
    fits = [name for name, one in known.items() if all(_gives(one, case, value) for case, value, _ in ordinary)]
    return fits[0] if len(fits) == 1 else None


def _gives(wrong: Callable[..., Any], case: tuple[Any, ...], got: Any) -> bool:
    """Whether the wrong function gives this; one that raises on a special case gives nothing."""
    try:
        return same(plain(wrong(*copy.deepcopy(case))), got)
    except Exception:
        return False


def _raises(wrong: Callable[..., Any], case: tuple[Any, ...]) -> bool:
    try:
        wrong(*copy.deepcopy(case))
    except Exception:
        return True
    return False


def _seen(seen: Callable[[Any, Any], bool], got: Any, expected: Any) -> bool:
    """Whether the sign is there; a result of a form that the sign does not foresee does not bear it."""
    try:
        return bool(seen(got, expected))
    except Exception:
        return False


# ---- running the learner's code --------------------------------------------------------------------------------


def _again(exercise: "Exercise", run: Runner, got: list[Any], n: int) -> Any:
    """The result of one more call with case n, taken to be as before where no time is left; the exception, if any."""
    try:
        return run(copy.deepcopy(exercise.all_cases[n]), aloud=False)[0]
    except TimeUp:
        return got[n]
    except BaseException as error:
        return error


def _second_time(exercise: "Exercise", run: Runner, expected: Any) -> Verdict | None:
    """The verdict on an attempt that was right, and is not when the first case is called again; None for all others."""
    got = _again(exercise, run, [expected], 0)
    if same(got, expected):
        return None
    message = (
        "Right at first, but a second call with the same arguments gives another result: something outlives a call."
    )
    call = _call_in_words(exercise, exercise.all_cases[0])
    return Verdict("wrong", message, difference=Difference(call, brief(expected), brief(got), where(got, expected)))


def _is_stub(attempt: Callable[..., Any]) -> bool:
    """Whether the function does nothing with its arguments, nor with anything else: `...`, `pass`, `return None`."""
    code = getattr(attempt, "__code__", None)
    return code is not None and set(code.co_names) <= {"NotImplementedError"} and not read_names(code)


def _why_nothing(attempt: Callable[..., Any]) -> str:
    """What a function that returns None lacks: `return` itself, or a value behind it."""
    code = getattr(attempt, "__code__", None)
    if code is None:
        return ""
    lines = list(dis.get_instructions(code))
    pairs = pairwise(lines)
    if all(one.opname == "LOAD_CONST" and one.argval is None for one, two in pairs if two.opname == "RETURN_VALUE"):
        return "Its `return` is missing."
    return (
        "Either it ends before it reaches its `return`, or what stands there is None: `print` gives None, and so do "
        "methods that work in place, such as `append`."
    )


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The learner's own lines of the traceback: neither the course's inside nor a library's."""
    found = traceback.extract_tb(error.__traceback__)
    return [frame for frame in found if not frame.filename.startswith((*NOT_THE_LEARNERS, "<frozen "))]


def _error(exercise: "Exercise", n: int, error: BaseException, seconds: float, expected: Any) -> Verdict:
    case = exercise.all_cases[n]
    frames = _frames(error)
    at = f" in line {frames[-1].lineno}" if frames else ""
    said = "".join(traceback.format_exception_only(error)).strip()[:LONGEST]
    if isinstance(error, TimeUp):
        said = f"no result after {seconds:g} seconds"
        message = f"Your code was still running after {seconds:g} seconds{at}. Is there a loop that never ends?"
    elif isinstance(error, KeyboardInterrupt):
        said = "interrupted"
        message = f"You interrupted your code{at}."
    elif isinstance(error, SystemExit):
        message = f"Your code stopped{at} with SystemExit. Return the result; do not leave Python."
    else:
        message = f"Your code stopped{at} with {type(error).__name__}."
    lines = [f"line {frame.lineno}, in {frame.name}\n    {frame.line}" for frame in frames[-6:]]
    about = exercise.special_of(n)
    hint = f"Right in the ordinary cases, but it stops where {about}." if about else ""
    return Verdict(
        "error",
        message,
        hint=hint,
        difference=Difference(_call_in_words(exercise, case), brief(expected), said),
        trace="\n".join([*lines, said]),
    )


# ---- words -----------------------------------------------------------------------------------------------------


def _call_in_words(exercise: "Exercise", case: tuple[Any, ...]) -> str:
    names = inspect.signature(exercise.solution).parameters
    return "\n".join(f"{name} = {show(value)}" for name, value in zip(names, case, strict=False))


def _too_large(exercise: "Exercise", case: tuple[Any, ...], got: str, expected: Any) -> Verdict:
    sentence = f"{kind(expected)[:1].upper()}{kind(expected)[1:]} should come out."
    return Verdict(
        "wrong",
        f"Your result has {got}.",
        difference=Difference(_call_in_words(exercise, case), brief(expected), got, sentence),
    )


def _note(exercise: "Exercise", changed: set[int]) -> str:
    """A remark on arguments that the attempt changed; it got copies, so that no later case suffers."""
    names = list(inspect.signature(exercise.solution).parameters)
    if not changed:
        return ""
    listed = " and ".join(names[n] for n in sorted(changed))
    return f"Your function changes its argument {listed} in place; whoever calls it would find other data afterwards."
