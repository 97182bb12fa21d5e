"""What a wrong result has to do with the right one, as a fact for the learner: "every number of yours is 2 times ...".

For attempts that are none of an exercise's own mistakes. Each sentence says only what has been found on all cases, so
it cannot mislead, whatever the cause is. Pure, but for calls of the learner's function that the caller hands over.
"""

import copy
import dis
import inspect
import math
from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, Any

from course.study.compare import brief, is_number, plain, same

if TYPE_CHECKING:
    from course.exercises import Exercise

Values = list[Any]  # one for each case


def relation(
    exercise: "Exercise", attempt: Callable[..., Any], got: Values, expected: Values, again: Callable[[], Any]
) -> str:
    """The most telling sentence that holds; empty where none does.

    Args:
        got: what the attempt returned on each of `exercise.all_cases` up to the first that raised, as plain values.
        expected: what should have come.
        again: calls the attempt once more on the first case that is wrong.
    """
    first = next(n for n in range(len(got)) if not same(got[n], expected[n]))
    finders = (
        lambda: _varies(got[first], again),
        lambda: _unused(exercise, attempt),
        lambda: _special(exercise, got, expected),
        lambda: _constant(got, expected),
        lambda: _arguments(exercise, got),
        lambda: _exchanged(exercise, got, expected),
        lambda: _form(got, expected),
        lambda: _not_a_number(got, expected),
        lambda: _numbers(exercise, got, expected),
        lambda: _reduced(got, expected),
        lambda: _parts(got, expected),
        lambda: _places(got, expected),
        lambda: _labels(got, expected),
    )
    for find in finders:
        try:
            if said := find():
                return said
        except Exception:  # a result of a form that was not thought of bears no relation
            continue
    return ""


def _all(test: Callable[[Any, Any], bool], got: Values, expected: Values) -> bool:
    """Whether the test holds on every case; one that cannot be made on a result of this form does not hold."""
    try:
        return all(test(one, right) for one, right in zip(got, expected, strict=True))
    except Exception:
        return False


# ---- what the function looks at --------------------------------------------------------------------------------


def read_names(code: Any) -> set[str]:
    """The parameters of a function that its code looks at, functions inside it included."""
    names = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    loads = [one.argval for one in dis.get_instructions(code) if one.opname.startswith(("LOAD_FAST", "LOAD_DEREF"))]
    flat = {name for value in loads for name in (value if isinstance(value, tuple) else (value,))}
    inner = {name for const in code.co_consts if inspect.iscode(const) for name in const.co_freevars}
    return names & (flat | inner)


def _varies(got: Any, again: Callable[[], Any]) -> str:
    if same(again(), got, 1e-9):
        return ""
    return "Each call with the same arguments gives another result; the task has one exact answer."


def _unused(exercise: "Exercise", attempt: Any) -> str:
    code, right = getattr(attempt, "__code__", None), exercise.solution.__code__
    if code is None or code.co_argcount != right.co_argcount or code.co_flags & inspect.CO_VARARGS:
        return ""
    read, needed = read_names(code), read_names(right)
    given, wanted = code.co_varnames[: code.co_argcount], right.co_varnames[: right.co_argcount]
    unused = [f"`{mine}`" for mine, name in zip(given, wanted, strict=True) if name in needed and mine not in read]
    return f"Your function never looks at {' and '.join(unused)}." if unused else ""


def _special(exercise: "Exercise", got: Values, expected: Values) -> str:
    wrong = [n for n in range(len(got)) if not same(got[n], expected[n])]
    about = list(dict.fromkeys(exercise.special_of(n) for n in wrong))
    return f"Right on ordinary input, and wrong where {' and where '.join(about)}." if all(about) else ""


def _constant(got: Values, expected: Values) -> str:
    if len(got) < 2 or not all(same(one, got[0]) for one in got) or all(same(one, expected[0]) for one in expected):
        return ""
    return "Your function gives the same result whatever it is called with."


def _arguments(exercise: "Exercise", got: Values) -> str:
    names = list(inspect.signature(exercise.solution).parameters)
    for n, name in enumerate(names):
        if all(same(one, plain(case[n])) for one, case in zip(got, exercise.all_cases, strict=False)):
            return f"Your function returns its argument `{name}` as it came."
    return ""


def _exchanged(exercise: "Exercise", got: Values, expected: Values) -> str:
    names = list(inspect.signature(exercise.solution).parameters)
    for one, other in combinations(range(len(exercise.all_cases[0])), 2):
        if all(
            _fits_exchanged(exercise, case, one, other, value)
            for case, value in zip(exercise.all_cases, got, strict=True)
        ):
            return f"Yours is what comes out when `{names[one]}` and `{names[other]}` change places."
    return ""


def _fits_exchanged(exercise: "Exercise", case: tuple[Any, ...], one: int, other: int, got: Any) -> bool:
    arguments = list(copy.deepcopy(case))
    arguments[one], arguments[other] = arguments[other], arguments[one]
    return same(plain(exercise.solution(*arguments)), got)


# ---- form ------------------------------------------------------------------------------------------------------


def _form(got: Values, expected: Values) -> str:
    forms: list[tuple[Callable[[Any, Any], bool], str]] = [
        (lambda g, e: isinstance(e, list) and same(g, [e]), "Right, but wrapped into one more list."),
        (lambda g, e: same([g], e), "Right, but it should be inside a list."),
        (lambda g, e: is_number(e) and same(g, [e]), "Right, but inside a list; the number alone is asked for."),
        (_same_as_text, "The right values, but as text."),
        (_same_as_set, "The right entries, in a list; a set is asked for."),
        (lambda g, e: _same_as_set(e, g), "The right entries, in a set; a list in the order of the task is asked for."),
        (lambda g, e: isinstance(g, dict) and same(list(g.values()), e), "Right, but as values of a dict."),
        (lambda g, e: isinstance(g, dict) and same(list(g), e), "Right, but as keys of a dict."),
        (lambda g, e: _nested(e) and same(_flat(g), _flat(e)), "The right numbers, in another shape."),
        (lambda g, e: _entries(g, e, _values_of), "Each entry should be a dict; yours has the values alone."),
        (lambda g, e: _entries(g, e, _other_keys), "The values are right; the keys of the dicts are not."),
        (_both_lists(lambda g, e: same(g, e[::-1])), "The right entries, in reverse order."),
        (_both_lists(lambda g, e: _sorted(g) == _sorted(e)), "The right entries, in another order."),
        (lambda g, e: same(g, [one[::-1] for one in e]), "In each entry, the two sides have changed places."),
    ]
    for test, said in forms:
        if _all(lambda g, e, test=test: test(g, e) or same(g, e), got, expected):
            return said
    cuts: list[tuple[Callable[[Any], Any], str]] = [
        (lambda e: e[1:], "Right, but the first entry is missing."),
        (lambda e: e[:-1], "Right, but the last entry is missing."),
    ]
    for cut, said in cuts:
        if _all(lambda g, e, cut=cut: same(g, cut(e)), got, expected):
            return said
    if _all(lambda g, e: same(g[1:], e), got, expected):
        return "Right, but there is one entry too many at the beginning."
    if _all(lambda g, e: same(g[:-1], e), got, expected):
        return "Right, but there is one entry too many at the end."
    if all(isinstance(e, set | list) for e in expected):
        g_in_e = _all(lambda g, e: all(_among(one, e) for one in g), got, expected)
        e_in_g = _all(lambda g, e: all(_among(one, g) for one in e), got, expected)
        if g_in_e and e_in_g and not all(map(_numeric, expected)):
            return "The right entries, but not each of them as often or where it should be."
        if g_in_e and any(got) and not all(map(_numeric, expected)):
            return "Everything in your result is right, but some entries are missing."
        if e_in_g and any(expected) and not all(map(_numeric, expected)):
            return "Everything that is expected is there, and some entries that should not be."
    return ""


def _among(one: Any, many: Any) -> bool:
    return any(same(plain(one), plain(other)) for other in many)


def _numeric(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, _flat(value)))


def _both_lists(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda g, e: isinstance(g, list) and isinstance(e, list) and len(g) == len(e) and test(g, e)


def _sorted(values: list[Any]) -> list[str]:
    return sorted(map(repr, values))


def _same_as_text(g: Any, e: Any) -> bool:
    if isinstance(g, list) and isinstance(e, list):
        return len(g) == len(e) and all(_same_as_text(a, b) for a, b in zip(g, e, strict=True))
    return isinstance(g, str) and is_number(e) and same(float(g), float(e))


def _same_as_set(g: Any, e: Any) -> bool:
    return (
        isinstance(g, list)
        and isinstance(e, set | frozenset)
        and same([*map(plain, g)], [*map(plain, g)])
        and ({_key(one) for one in g} == {_key(one) for one in e} and len(g) == len(e))
    )


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list | tuple) else value


def _entries(g: Any, e: Any, test: Callable[[Any, Any], bool]) -> bool:
    both = isinstance(g, list) and isinstance(e, list) and len(g) == len(e)
    return both and all(isinstance(right, dict) and test(one, right) for one, right in zip(g, e, strict=True))


def _values_of(one: Any, right: dict[Any, Any]) -> bool:
    return isinstance(one, list) and same(one, list(right.values()))


def _other_keys(one: Any, right: dict[Any, Any]) -> bool:
    return isinstance(one, dict) and same(list(one.values()), list(right.values()))


def _nested(value: Any) -> bool:
    return isinstance(value, list)


def _flat(value: Any) -> list[Any]:
    return [inner for item in value for inner in _flat(item)] if isinstance(value, list) else [value]


# ---- numbers ---------------------------------------------------------------------------------------------------


def _not_a_number(got: Values, expected: Values) -> str:
    for test, name in ((math.isnan, "NaN"), (math.isinf, "infinite")):
        bad = [
            (g, e)
            for one, right in zip(got, expected, strict=True)
            for g, e in zip(_flat(one), _flat(right), strict=False)
            if isinstance(g, float) and test(g) and is_number(e) and math.isfinite(e)
        ]
        if bad:
            where = "where" if len(bad) > 1 else "once, where"
            return f"Your result is {name} {where} {brief(bad[0][1])} is expected."
    return ""


def _pairs(got: Values, expected: Values) -> list[tuple[float, float, int]]:
    """All numbers of all cases as (got, expected, case); empty where the shapes are not the same."""
    found = []
    for n, (one, right) in enumerate(zip(got, expected, strict=True)):
        if _shape(one) != _shape(right) or not all(map(is_number, [*_flat(one), *_flat(right)])):
            return []
        found += [(g, e, n) for g, e in zip(_flat(one), _flat(right), strict=True)]
    return found


def _shape(value: Any) -> Any:
    return [_shape(item) for item in value] if isinstance(value, list) else None


_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "has the opposite sign": lambda e: -e,
    "is one minus what it should be": lambda e: 1 - e,
    "is the size without the sign": abs,
    "is the exponential of what it should be": math.exp,
    "is the exponential of minus what it should be": lambda e: math.exp(-e),
    "is the natural logarithm of what it should be": math.log,
    "is minus the natural logarithm of what it should be": lambda e: -math.log(e),
    "is the square of what it should be": lambda e: e * e,
    "is the square root of what it should be": math.sqrt,
    "is one over what it should be": lambda e: 1 / e,
    "is the sigmoid of what it should be": lambda e: 1 / (1 + math.exp(-e)),
    "is what it should be, cut off below 0": lambda e: max(e, 0),
    "is what it should be, cut off above 0": lambda e: min(e, 0),
    "is what it should be, cut off above 1": lambda e: min(e, 1),
    "is rounded to a whole number": round,
    "is rounded down to a whole number": math.floor,
    "is cut to a whole number": math.trunc,
    "is rounded to one digit": lambda e: round(e, 1),
    "is rounded to two digits": lambda e: round(e, 2),
    "is rounded to three digits": lambda e: round(e, 3),
    "is rounded to four digits": lambda e: round(e, 4),
}


def _numbers(exercise: "Exercise", got: Values, expected: Values) -> str:
    pairs = _pairs(got, expected)
    if len({round(e, 6) for _, e, _ in pairs if math.isfinite(e)}) < 2:
        return ""
    for said, function in _FUNCTIONS.items():
        if all(_is(g, function, e) for g, e, _ in pairs):
            return f"Every number of yours {said}."
    factors = [g / e for g, e, _ in pairs if e]
    if len(factors) > 1 and all(g == 0 for g, e, _ in pairs if not e) and all(same(f, factors[0]) for f in factors):
        return f"Every number of yours is {brief(float(factors[0]))} times what it should be."
    offsets = [g - e for g, e, _ in pairs]
    if all(same(float(offset), float(offsets[0])) for offset in offsets):
        size, word = abs(offsets[0]), "too high" if offsets[0] > 0 else "too low"
        return f"Every number of yours is {brief(float(size))} {word}."
    for name, values in _sizes(exercise).items():
        for said, function in (
            (f"multiplied by {name}", lambda e, n: e * n),
            (f"divided by {name}", lambda e, n: e / n),
            (f"with {name} added", lambda e, n: e + n),
            (f"with {name} subtracted", lambda e, n: e - n),
        ):
            if all(_is(g, lambda e, f=function, size=values[n]: f(e, size), e) for g, e, n in pairs):
                return f"Yours is what it should be, {said}."
    return ""


def _is(got: float, function: Callable[[float], float], expected: float) -> bool:
    try:
        return same(float(got), float(function(expected)))
    except (ValueError, ZeroDivisionError, OverflowError):
        return False


def _sizes(exercise: "Exercise") -> dict[str, list[float]]:
    """What is a number in each case: an argument, or how many entries an argument has."""
    sizes: dict[str, list[float]] = {}
    for n, name in enumerate(inspect.signature(exercise.solution).parameters):
        values = [case[n] for case in exercise.all_cases]
        if all(map(is_number, values)):
            sizes[f"`{name}`"] = values
        elif all(hasattr(value, "__len__") for value in values):
            sizes[f"the length of `{name}`"] = [len(value) for value in values]
            if all(len(getattr(value, "shape", ())) > 1 for value in values):
                sizes[f"the number of columns of `{name}`"] = [value.shape[1] for value in values]
                sizes[f"the number of entries of `{name}`"] = [value.numel() for value in values]
    return sizes


def _reduced(got: Values, expected: Values) -> str:
    ways: dict[str, Callable[[list[float]], float]] = {
        "mean": lambda values: sum(values) / len(values),
        "sum": sum,
        "largest": max,
        "smallest": min,
        "first": lambda values: values[0],
        "last": lambda values: values[-1],
    }
    several = all(map(is_number, expected)) and all(isinstance(one, list) and one for one in got)
    one = all(map(is_number, got)) and all(isinstance(right, list) for right in expected)
    if (not several and not one) or len(set(map(repr, expected))) < 2:
        return ""
    for name, way in ways.items():
        if several and _all(lambda g, e, way=way: same(float(way(_flat(g))), float(e)), got, expected):
            return f"You return several numbers where one is asked for: the {name} of yours."
        if one and _all(lambda g, e, way=way: not e or same(float(g), float(way(_flat(e)))), got, expected):
            return f"You return one number, the {name} of those that are asked for. Return them all."
    return ""


def _parts(got: Values, expected: Values) -> str:
    """Where a result always has the same few parts: which of them is right."""
    lengths = {len(right) if isinstance(right, list) else 0 for right in expected}
    if len(lengths) != 1 or not 2 <= (count := lengths.pop()) <= 3 or not all(isinstance(g, list) for g in got):
        return ""
    if any(len(g) != count for g in got):
        return ""
    right = [n for n in range(count) if _all(lambda g, e, n=n: same(g[n], e[n]), got, expected)]
    names = ["first", "second", "third"]
    if not right:
        return "The two have changed places." if _all(lambda g, e: same(g, e[::-1]), got, expected) else ""
    wrong = [names[n] for n in range(count) if n not in right]
    said = " and the ".join(names[n] for n in right)
    return (
        f"The {said} of the {count} parts {'are' if len(right) > 1 else 'is'} right; the {' and the '.join(wrong)}"
        f" {'are' if len(wrong) > 1 else 'is'} not."
    )


def _places(got: Values, expected: Values) -> str:
    """Where several entries are right: what those that are not have in common."""
    differing = [
        (g, e, n, len(right))
        for one, right in zip(got, expected, strict=True)
        if isinstance(one, list) and isinstance(right, list) and len(one) == len(right)
        for n, (g, e) in enumerate(zip(one, right, strict=True))
        if not same(g, e)
    ]
    if not differing or any(not isinstance(g, list) or len(g) != len(e) for g, e in zip(got, expected, strict=True)):
        return _side(got, expected)
    if all(n == 0 for _, _, n, _ in differing):
        return "Everything is right but the first entry."
    if all(n == length - 1 for _, _, n, length in differing):
        return "Everything is right but the last entry."
    pairs = [(g, e) for g, e, _ in _pairs(got, expected) if not same(g, e)]
    if len({g for g, _ in pairs}) == 1 and len({e for _, e in pairs}) == 1:
        g, e = pairs[0]
        return f"Where yours is wrong, it always has {brief(g)}, and {brief(e)} should be there."
    if pairs and len({e for _, e in pairs}) == 1:
        return f"Yours is wrong only where {brief(pairs[0][1])} should be."
    if pairs and len({g for g, _ in pairs}) == 1:
        return f"Where yours is wrong, it always has {brief(pairs[0][0])}."
    return _side(got, expected)


def _side(got: Values, expected: Values) -> str:
    pairs = [(g, e) for g, e, _ in _pairs(got, expected) if not same(g, e)]
    if len(pairs) > 2 and all(g > e for g, e in pairs):
        return "Where yours is wrong, it is always too high."
    if len(pairs) > 2 and all(g < e for g, e in pairs):
        return "Where yours is wrong, it is always too low."
    return ""


def _labels(got: Values, expected: Values) -> str:
    """Where each result is a name: what the wrong ones have in common."""
    if not all(isinstance(one, str) for one in [*got, *expected]):
        return ""
    wrong = {(g, e) for g, e in zip(got, expected, strict=True) if g != e}
    given, wanted = sorted({g for g, _ in wrong}), sorted({e for _, e in wrong})
    if len(given) == 1:
        return f"Where yours is wrong, it is always {brief(given[0])}, and {' or '.join(map(brief, wanted))} is right."
    if len(wanted) == 1:
        return f"Yours is wrong only where {brief(wanted[0])} is right."
    return f"Yours is never right where {brief(never[0])} is." if (never := _never(got, expected)) else ""


def _never(got: Values, expected: Values) -> list[str]:
    found = {e for g, e in zip(got, expected, strict=True) if g == e}
    return sorted(set(expected) - found)
