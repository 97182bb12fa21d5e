"""What a wrong result has to do with the right one, as a fact for the learner: "every number of yours is 2 times ...".

Serves `grade`, for attempts that are none of an exercise's own mistakes. Each sentence says only what has been found
on all cases, so it cannot mislead, whatever the cause is. Pure, but for calls of the learner's function that the
caller hands over.
"""

import copy
import dis
import inspect
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, combinations
from typing import TYPE_CHECKING, Any

from course.study.compare import brief, is_number, kind, plain, same

if TYPE_CHECKING:
    from course.exercises import Exercise

Values = list[Any]  # one for each case


def relation(exercise: "Exercise", attempt: Callable[..., Any], got: Values, expected: Values) -> str:
    """The most telling sentence that holds; empty where none does.

    Args:
        got: what the attempt returned on each of `exercise.all_cases` up to the first that raised, as plain values.
        expected: what should have come.
    """
    expected = expected[: len(got)]
    if said := _first(
        lambda: _unused(exercise, attempt),
        lambda: _special(exercise, got, expected),
    ):
        return said
    wrong = [n for n in range(len(got)) if not same(got[n], expected[n])]
    # A few names or whole numbers agree by chance with what a changed argument gives.
    few = len(wrong) < 4 and any(
        all(isinstance(one, str | None) or (is_number(one) and one in range(20)) for one in values)
        for values in (got, expected)
    )
    if said := _fact(exercise, got, expected, few):
        return said
    some_got, some_expected = [got[n] for n in wrong], [expected[n] for n in wrong]
    some = replace(exercise, cases=[exercise.all_cases[n] for n in wrong], special={})
    said = _nothing(some_got, some_expected)
    if 3 <= len(wrong) < len(got):
        said = said or _fact(some, some_got, some_expected, few, whole=False)
    if said:
        return f"Where yours is wrong: {said[:1].lower()}{said[1:]}"
    return _first(
        lambda: _places(got, expected),
        lambda: _labels(got, expected),
        lambda: _kinds(some_got, some_expected),
        lambda: _side(got, expected),
    )


def varies(got: Values, again: Callable[[int], Any]) -> str:
    """What to say of an attempt whose results are others when it is called again; empty where they are not.

    Args:
        again: calls the attempt once more on the case of this number.
    """
    if not all(map(_known, got)) or all(same(again(n), value, 1e-9) for n, value in enumerate(got)):
        return ""
    return (
        "A second call with the same arguments gives another result. Nothing random, and nothing that outlives a call, "
        "may have a part in it."
    )


def _known(value: Any) -> bool:
    """Whether the value is of a kind that can be compared; two equal objects of a learner's class need not be."""
    if isinstance(value, dict):
        return all(map(_known, value.values()))
    if isinstance(value, list | set | frozenset | tuple):
        return all(map(_known, value))
    return value is None or isinstance(value, int | float | str)


def _fact(exercise: "Exercise", got: Values, expected: Values, few: bool, whole: bool = True) -> str:
    """What holds on all of these cases.

    Args:
        few: the results are too few, or too alike, to tell what was done with the arguments.
        whole: these are all cases, so that what is the same in each of them is a fact about the function.
    """
    return _first(
        lambda: _nothing(got, expected),
        lambda: _constant(got, expected) if whole else "",
        lambda: _arguments(exercise, got) if whole and not few else "",
        lambda: "" if few else _exchanged(exercise, got),
        lambda: _form(got, expected),
        lambda: "" if few else _of_each(exercise, got, expected),
        lambda: "" if few else _changed(exercise, got),
        lambda: _not_a_number(got, expected),
        lambda: _one_value(got, expected),
        lambda: _numbers(exercise, got, expected),
        lambda: _reduced(got, expected),
        lambda: _parts(exercise, got, expected) if whole else "",
        lambda: _columns(got, expected),
        lambda: _moved(got, expected),
    )


def _first(*finders: Callable[[], str]) -> str:
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
    if not all(about):
        return ""
    nothing = _nothing([got[n] for n in wrong], [expected[n] for n in wrong])
    return f"Right in the ordinary cases, and wrong where {' and where '.join(about)}. {nothing}".rstrip()


def _nothing(got: Values, expected: Values) -> str:
    if not all(one is None for one in got) or any(one is None for one in expected):
        return ""
    if all(is_number(one) and one == 0 for one in expected):
        return (
            "Your function returns None instead of 0. Either place 0 is never looked at, or a 0 is taken for false; "
            "then ask `is None`."
        )
    return "Your function returns None. Not every way through it ends in a `return`."


def _constant(got: Values, expected: Values) -> str:
    if len(got) < 2 or not all(same(one, got[0]) for one in got) or all(same(one, expected[0]) for one in expected):
        return ""
    return f"Your function gives the same result in every case: {brief(got[0])}."


def _arguments(exercise: "Exercise", got: Values) -> str:
    names = list(inspect.signature(exercise.solution).parameters)
    for n, name in enumerate(names):
        if all(same(one, plain(case[n])) for one, case in zip(got, exercise.all_cases, strict=False)):
            return f"Your function returns its argument `{name}` as it came."
    return ""


def _exchanged(exercise: "Exercise", got: Values) -> str:
    names = list(inspect.signature(exercise.solution).parameters)
    for one, other in combinations(range(len(exercise.all_cases[0])), 2):

        def swap(arguments: list[Any], one: int = one, other: int = other) -> list[Any]:
            arguments[one], arguments[other] = arguments[other], arguments[one]
            return arguments

        if _is_right_for(exercise, got, swap):
            return f"Yours is what comes out when `{names[one]}` and `{names[other]}` change places."
    return ""


def _is_right_for(exercise: "Exercise", got: Values, change: Callable[[list[Any]], list[Any]]) -> bool:
    """Whether every result is the right one for arguments that were changed in this way."""
    cases = zip(exercise.all_cases, got, strict=False)
    return all(same(plain(exercise.solution(*change(list(copy.deepcopy(case))))), value) for case, value in cases)


_OF_A_SEQUENCE: dict[str, Callable[[Any], Any]] = {
    "only the first entry of {} counts": lambda x: x[:1],
    "only the last entry of {} counts": lambda x: x[-1:],
    "the first entry of {} is left out": lambda x: x[1:],
    "the last entry of {} is left out": lambda x: x[:-1],
    "{} is in reverse order": lambda x: x.flip(0) if hasattr(x, "flip") else x[::-1],
    "{} is sorted": lambda x: x.sort(0).values if hasattr(x, "values") else sorted(x),
    "each entry of {} counts once": lambda x: list(dict.fromkeys(x)),
}
_OF_A_TENSOR: dict[str, Callable[[Any], Any]] = {
    "{} is shifted by one place to the left": lambda x: x.roll(-1, -1),
    "{} is shifted by one place to the right": lambda x: x.roll(1, -1),
    "each row of {} is in reverse order": lambda x: x.flip(-1),
    "rows and columns of {} change places": lambda x: x.T if x.ndim == 2 else None,
    "{} has the opposite sign": lambda x: -x,
    "{} is without its signs": lambda x: x.abs(),
    "{} is cut off below 0": lambda x: x.clamp(min=0),
    "{} is doubled": lambda x: 2 * x,
    "{} is halved": lambda x: x / 2,
    "{} is squared": lambda x: x * x,
    "{} is turned into its exponential": lambda x: x.exp(),
    "{} is turned into its sigmoid": lambda x: x.sigmoid(),
    "every entry of {} is the mean of all": lambda x: x * 0 + x.mean(),
    "every row of {} is the first": lambda x: x * 0 + x[:1] if x.ndim > 1 else None,
    "{} is 0 everywhere": lambda x: x * 0,
    "{} is 1 everywhere": lambda x: x * 0 + 1,
    "0 and 1 change places in {}": lambda x: 1 - x if set(x.flatten().tolist()) <= {0, 1} else None,
}
_OF_A_NUMBER: dict[str, Callable[[Any], Any]] = {
    "{} is 1": lambda x: 1,
    "{} is 0": lambda x: 0,
    "{} is 1 more": lambda x: x + 1,
    "{} is 1 less": lambda x: x - 1,
    "{} is doubled": lambda x: 2 * x,
    "{} is halved": lambda x: x / 2,
    "{} is squared": lambda x: x * x,
    "{} is turned into 1 / {}": lambda x: 1 / x,
    "{} has the opposite sign": lambda x: -x,
}


def _changed(exercise: "Exercise", got: Values) -> str:
    """The right function with one argument changed, or with all that are equally long."""
    names, example = list(inspect.signature(exercise.solution).parameters), exercise.all_cases[0]
    for n, value in enumerate(example):
        for words, change in _changes_of(value).items():

            def of_one(arguments: list[Any], n: int = n, change: Callable[[Any], Any] = change) -> list[Any]:
                arguments[n] = change(arguments[n])
                return arguments

            if _fits(exercise, got, of_one):
                return f"Yours is what comes out when {words.replace('{}', f'`{names[n]}`')}."
    long = [n for n, value in enumerate(example) if isinstance(value, list) or getattr(value, "ndim", 0)]
    if len(long) < 2 or any(len({len(case[n]) for n in long}) > 1 for case in exercise.all_cases):
        return ""
    named = ", ".join(f"`{names[n]}`" for n in long[:-1]) + f" and `{names[long[-1]]}`"
    tensors = all(hasattr(example[n], "ndim") for n in long)
    for words, change in (_OF_A_SEQUENCE | _OF_A_TENSOR if tensors else _OF_A_SEQUENCE).items():

        def of_all(arguments: list[Any], change: Callable[[Any], Any] = change) -> list[Any]:
            return [change(value) if n in long else value for n, value in enumerate(arguments)]

        if _fits(exercise, got, of_all):
            words = words.replace("{} is ", "{} are ").replace("{} has ", "{} have ")
            return f"Yours is what comes out when {words.format(named)}."
    return ""


def _changes_of(value: Any) -> dict[str, Callable[[Any], Any]]:
    if is_number(value) and not isinstance(value, bool):
        return _OF_A_NUMBER
    if getattr(value, "ndim", 0):
        return _OF_A_SEQUENCE | _OF_A_TENSOR
    return _OF_A_SEQUENCE if isinstance(value, list) else {}


def _fits(exercise: "Exercise", got: Values, change: Callable[[list[Any]], list[Any]]) -> bool:
    """`_is_right_for` for a change that cannot be made in every case, or after which the solution raises."""
    try:
        return _is_right_for(exercise, got, change)
    except Exception:
        return False


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
        (lambda g, e: isinstance(g, dict) and (same(list(g), e) or same(set(g), e)), "Right, but as keys of a dict."),
        (
            lambda g, e: _transposed(e) is not None and same(g, _transposed(e)),
            "Right, but rows and columns have changed places.",
        ),
        (lambda g, e: _nested(e) and same(_flat(g), _flat(e)), "The right values, in another shape."),
        (
            _one_for_all,
            "Each entry of yours is the last one that should be there. Is one object appended again and again?",
        ),
        (lambda g, e: _entries(g, e, _values_of), "Each entry should be a dict; yours has the values alone."),
        (lambda g, e: _entries(g, e, _other_keys), "The values are right; the keys of the dicts are not."),
        (
            lambda g, e: is_number(g) and not is_number(e) and g == len(e),
            "You return how many entries there should be. Return the entries themselves.",
        ),
        (
            lambda g, e: isinstance(g, list) and len(g) > 1 and same(g[0], e),
            "The first part of yours is what is asked for. Return it alone.",
        ),
        (
            _diagonal,
            "Right on the diagonal of yours: each row was put together with every other one, and not with its own.",
        ),
        (
            lambda g, e: _entries(g, e, _only_value_of),
            "Each entry should be a dict with one key; yours is the value alone.",
        ),
        (lambda g, e: same(g, [one for right in e for one in _inside(right)]), "The right entries, all in one list."),
        (_both_lists(lambda g, e: same(g, e[::-1])), "The right entries, in reverse order."),
        (_both_lists(lambda g, e: _several(e) and g == sorted(e)), "The right entries, but sorted."),
        (_both_lists(lambda g, e: _several(e) and _sorted(g) == _sorted(e)), "The right entries, in another order."),
        (lambda g, e: len(g) > len(e) and same(_each_once(g), e), "The right entries, but some stand there twice."),
        (lambda g, e: len(g) < len(e) and same(_each_once(e), g), "An entry that should come twice stands there once."),
        (lambda g, e: _rows(g, e, lambda right: right[:-1]), "In each entry the last value is missing."),
        (lambda g, e: same(g, [one[::-1] for one in e]), "In each entry, the two sides have changed places."),
    ]
    for test, said in forms:
        if _all(lambda g, e, test=test: test(g, e) or same(g, e), got, expected):
            return said
    if said := _keys(got, expected):
        return said
    if any(isinstance(e, list) and len(e) > 1 for e in expected):
        if _all(lambda g, e: same(g, e[:1]), got, expected):
            return "Only the first entry comes out. Does your function return from inside its loop?"
        if _all(lambda g, e: same(g, e[-1:]), got, expected):
            return "Only the last entry comes out. Is the list made anew for every entry?"
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
    if all(isinstance(e, set | list) for e in expected) and not all(map(_numeric, expected)):
        alike = all(isinstance(g, set | frozenset | list) for g in got)
        alike = alike and any(len(g) != len(e) for g, e in zip(got, expected, strict=True))
        if alike and any(got) and _all(lambda g, e: _left_over(g, e) == 0, got, expected):
            return "Everything in your result is right, but some entries are missing."
        if alike and any(expected) and _all(lambda g, e: _left_over(e, g) == 0, got, expected):
            both = [(g, e) for g, e in zip(got, expected, strict=True) if len(g) > len(e)]
            if all(_with_itself(one) for g, e in both for one in g if not any(same(plain(one), plain(x)) for x in e)):
                return "Everything that is expected is there, and entries in which something is paired with itself."
            return "Everything that is expected is there, and some entries that should not be."
    return ""


def _with_itself(entry: Any) -> bool:
    sides = list(entry.values())[-2:] if isinstance(entry, dict) else entry
    return isinstance(sides, list | tuple) and len(sides) == 2 and sides[0] == sides[1]


def _keys(got: Values, expected: Values) -> str:
    """Where entries have the wrong keys: which, if they are always the same."""
    if any(isinstance(g, list) != isinstance(e, list) for g, e in zip(got, expected, strict=True)):
        return ""
    pairs = [
        (one, right)
        for g, e in zip(got, expected, strict=True)
        for one, right in zip(g if isinstance(g, list) else [g], e if isinstance(e, list) else [e], strict=False)
    ]
    if not pairs or not all(isinstance(one, dict) and isinstance(right, dict) for one, right in pairs):
        return ""
    wrong = [one for one, right in pairs if one.keys() != right.keys()]
    asked = {tuple(right) for _, right in pairs}
    if len(wrong) < len(pairs) or len(asked) > 1:
        return ""
    named = [", ".join(f"`{key}`" for key in keys) for keys in (dict.fromkeys(k for one in wrong for k in one), *asked)]
    return f"The keys of your dicts are {named[0]}. Asked for {'are' if ',' in named[1] else 'is'} {named[1]}."


def _diagonal(g: Any, e: Any) -> bool:
    square = isinstance(e, list) and isinstance(g, list) and len(g) == len(e) and all(len(row) == len(e) for row in g)
    return square and same([row[n] for n, row in enumerate(g)], e)


def _only_value_of(one: Any, right: dict[Any, Any]) -> bool:
    return len(right) == 1 and same(one, next(iter(right.values())))


def _inside(entry: Any) -> list[Any]:
    return next(iter(entry.values())) if isinstance(entry, dict) and len(entry) == 1 else entry


def _several(values: list[Any]) -> bool:
    """Whether an order means something: any two lists of as many zeros and ones are the same in some order."""
    return not all(map(is_number, values)) or len(values) < 3 or len(set(values)) > 2


def _each_once(values: Any) -> list[Any]:
    return [one for n, one in enumerate(values) if not any(same(one, before) for before in values[:n])]


def _rows(g: Any, e: Any, cut: Callable[[list[Any]], list[Any]]) -> bool:
    rows = isinstance(g, list) and isinstance(e, list) and len(g) == len(e)
    return rows and all(isinstance(right, list) and same(one, cut(right)) for one, right in zip(g, e, strict=True))


def _left_over(some: Any, many: Any) -> int:
    """How many of some are not among the many, of which each can be taken once."""
    left, over = [plain(one) for one in many], 0
    for one in map(plain, some):
        at = next((n for n, other in enumerate(left) if same(one, other)), None)
        if at is None:
            over += 1
        else:
            del left[at]
    return over


def _transposed(value: Any) -> Any:
    nested = isinstance(value, list) and value and all(isinstance(row, list) for row in value)
    return [list(column) for column in zip(*value, strict=True)] if nested else None


def _one_for_all(g: Any, e: Any) -> bool:
    return isinstance(e, list) and isinstance(g, list) and len(g) == len(e) > 1 and all(same(one, e[-1]) for one in g)


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
    "is what it should be, divided by one minus it": lambda e: e / (1 - e),
    "is the tangens hyperbolicus of what it should be": math.tanh,
    "is the sigmoid of what it should be": lambda e: 1 / (1 + math.exp(-e)),
    "is what it should be, cut off below 0": lambda e: max(e, 0),
    "is what it should be, cut off above 0": lambda e: min(e, 0),
    "is what it should be, cut off above 1": lambda e: min(e, 1),
    "is the right one, rounded to a whole number": round,
    "is the right one, rounded down to a whole number": math.floor,
    "is the right one, cut to a whole number": math.trunc,
    "is the right one, rounded to one digit": lambda e: round(e, 1),
    "is the right one, rounded to two digits": lambda e: round(e, 2),
    "is the right one, rounded to three digits": lambda e: round(e, 3),
    "is the right one, rounded to four digits": lambda e: round(e, 4),
}


def _one_value(got: Values, expected: Values) -> str:
    """Where a wrong number is always the same one in place of the same one, in several places."""
    pairs = [(g, e) for g, e, _ in _pairs(got, expected) if not same(g, e)]
    if len(pairs) < 3 or len({g for g, _ in pairs}) > 1 or len({e for _, e in pairs}) > 1:
        return ""
    return f"Where yours is wrong, it always has {brief(pairs[0][0])}, and {brief(pairs[0][1])} should be there."


def _moved(got: Values, expected: Values) -> str:
    """What the numbers of a row have to do with each other, where single ones are wrong."""
    rows = [(g, e) for g, e in zip(got, expected, strict=True) if _numeric(e) and not any(map(_nested, e))]
    if len(rows) < len(got) or any(not _numeric(g) or len(g) != len(e) for g, e in rows):
        return ""
    long = [(g, e) for g, e in rows if len(set(e)) > 1]
    if len(long) < 2 or max(len(e) for _, e in long) < 3:
        return ""
    ways: list[tuple[Callable[[list[Any], list[Any]], bool], str]] = [
        (lambda g, e: same(g, list(accumulate(e))), "Yours is the running sum of what it should be."),
        (lambda g, e: same(g[1:], e[:-1]), "Every number of yours stands one place too late."),
        (lambda g, e: same(g[:-1], e[1:]), "Every number of yours stands one place too early."),
        (
            lambda g, e: same([a - b for a, b in zip(g, e, strict=True)], [g[0] - e[0]] * len(g)),
            "The differences between your numbers are right; in each case all of them are off by the same amount.",
        ),
        (
            lambda g, e: same([a * e[0] for a in g], [b * g[0] for b in e]) and any(g) and e[0] != 0,
            "In each case your numbers are right up to a factor, which is not the same in all cases.",
        ),
    ]
    return next((said for test, said in ways if _all(test, *zip(*long, strict=True))), "")


def _of_each(exercise: "Exercise", got: Values, expected: Values) -> str:
    """Where the result is a mean of what comes out for single rows: what yours makes of the same numbers."""
    example = exercise.all_cases[0]
    long = [n for n, value in enumerate(example) if isinstance(value, list) or getattr(value, "ndim", 0)]
    if not long or not all(map(is_number, [*got, *expected])):
        return ""
    each = []
    for case in exercise.all_cases[: len(got)]:
        rows = [
            [value[n : n + 1] if at in long else value for at, value in enumerate(case)]
            for n in range(len(case[long[0]]))
        ]
        each.append([plain(exercise.solution(*copy.deepcopy(row))) for row in rows])
    if not all(same(sum(values) / len(values), e) for values, e in zip(each, expected, strict=True)):
        return ""
    ways: dict[str, Callable[[list[float]], float]] = {
        "largest": max,
        "smallest": min,
        "middle one": lambda values: sorted(values)[(len(values) - 1) // 2],
        "median": statistics.median,
        "first": lambda values: values[0],
        "last": lambda values: values[-1],
        "product": math.prod,
    }
    fits = [name for name, way in ways.items() if all(_is(g, way, one) for g, one in zip(got, each, strict=True))]
    said = "Yours is the {} of the numbers that come out for each entry alone. Take their mean."
    return said.format(" or the ".join(fits)) if fits else ""


def _kinds(got: Values, expected: Values) -> str:
    """Where something of another kind comes out than is asked for, or is inside it."""
    names = [{_name(one) for one in values} for values in (got, expected)]
    if len(names[0]) == len(names[1]) == 1 and names[0] != names[1]:
        return f"You return {names[0].pop()}, and {names[1].pop()} is asked for."
    inside = [{_name(x) for one in values for x in one} for values in (got, expected)]
    if len(inside[0]) == len(inside[1]) == 1 and inside[0] != inside[1]:
        return f"Each entry of yours is {inside[0].pop()}; it should be {inside[1].pop()}."
    return ""


def _name(value: Any) -> str:
    if isinstance(value, tuple):
        what = {_name(one).removeprefix("a ") for one in value}
        return f"a tuple of {len(value)}" + (f" {what.pop()}s" if len(what) == 1 else "")
    return "a number" if is_number(value) else "a list" if isinstance(value, list) else kind(value)


def _numbers(exercise: "Exercise", got: Values, expected: Values) -> str:
    pairs = _pairs(got, expected)
    if any(len({round(pair[n], 6) for pair in pairs if math.isfinite(pair[n])}) < 2 for n in (0, 1)):
        return ""
    if all(g in (0, 1) and 0 <= e <= 1 for g, e, _ in pairs) and not all(e in (0, 1) for _, e, _ in pairs):
        return "Every number of yours is 0 or 1. Is something cut or rounded (`int`, `//`), or looked at only once?"
    for said, function in _FUNCTIONS.items():
        if all(_is(g, function, e) for g, e, _ in pairs):
            return f"Every number of yours {said}."
    factors = [g / e for g, e, _ in pairs if e]
    if len(factors) > 1 and all(g == 0 for g, e, _ in pairs if not e) and all(same(f, factors[0]) for f in factors):
        base = next((base for base in (2, 10) if same(factors[0], 1 / math.log(base), 1e-4)), None)
        known = f", as with a logarithm to base {base}" if base else ""
        return f"Every number of yours is {brief(float(factors[0]))} times what it should be{known}."
    if all(same(float(g), float(e), 1e-2) for g, e, _ in pairs):
        return "Every number of yours is right to about two digits. Is something rounded, or held in half precision?"
    offsets = [g - e for g, e, _ in pairs]
    if all(same(float(offset), float(offsets[0])) for offset in offsets):
        size, word = abs(offsets[0]), "too high" if offsets[0] > 0 else "too low"
        return f"Every number of yours is {brief(float(size))} {word}."
    if said := _line(pairs):
        return said
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


def _line(pairs: list[tuple[float, float, int]]) -> str:
    """Where every number is the right one times something and something added, on four different numbers or more."""
    points = sorted({(e, g) for g, e, _ in pairs})
    (low, g_low), (high, g_high) = points[0], points[-1]
    if len(points) < 4 or same(low, high):
        return ""
    factor = (g_high - g_low) / (high - low)
    added = g_low - factor * low
    if factor == 0 or not all(same(float(g), factor * e + added) for e, g in points):
        return ""
    return f"Every number of yours is {brief(factor)} times what it should be, {added:+.6g}."


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
        "first": lambda values: values[0],
        "last": lambda values: values[-1],
        "largest": max,
        "smallest": min,
        "difference": lambda values: values[0] - values[1] if len(values) == 2 else math.nan,
        "quotient": lambda values: values[0] / values[1] if len(values) == 2 else math.nan,
    }
    several = all(map(is_number, expected)) and all(isinstance(one, list) and one for one in got)
    one = all(map(is_number, got)) and all(isinstance(right, list) for right in expected)
    if (not several and not one) or len(set(map(repr, expected))) < 2:
        return ""
    if several:
        fits = [
            name
            for name, way in ways.items()
            if _all(lambda g, e, way=way: _is(way(_flat(g)), float, e), got, expected)
        ]
        said = "You return several numbers where one is asked for: the {} of yours."
    else:
        fits = [
            n for n, way in ways.items() if _all(lambda g, e, way=way: not e or _is(g, way, _flat(e)), got, expected)
        ]
        said = "You return one number, the {} of those that are asked for. Return them all."
    return said.format(" and ".join(fits)) if fits else ""


def _parts(exercise: "Exercise", got: Values, expected: Values) -> str:
    """Where a result always has the same few parts: which of them is right."""
    lengths = {len(right) if isinstance(right, list) else 0 for right in expected}
    if len(lengths) != 1 or not 2 <= (count := lengths.pop()) <= 3 or not all(isinstance(g, list) for g in got):
        return ""
    if any(len(g) != count for g in got):
        return ""
    right = [n for n in range(count) if _all(lambda g, e, n=n: same(g[n], e[n]), got, expected)]
    names = ["first", "second", "third"]
    if not right:
        return ""
    wrong = [n for n in range(count) if n not in right]
    said = " and the ".join(names[n] for n in right)
    said = (
        f"The {said} of the {count} parts {'are' if len(right) > 1 else 'is'} right; the "
        f"{' and the '.join(names[n] for n in wrong)} {'are' if len(wrong) > 1 else 'is'} not."
    )
    if len(wrong) > 1:
        return said
    mine, theirs = [g[wrong[0]] for g in got], [e[wrong[0]] for e in expected]
    more = _first(
        lambda: _form(mine, theirs),
        lambda: _numbers(exercise, mine, theirs),
        lambda: _kinds(mine, theirs),
        lambda: _side(mine, theirs),
    )
    return f"{said} In that part: {more[0].lower()}{more[1:]}" if more else said


def _columns(got: Values, expected: Values) -> str:
    """Where each entry of a result is a row or a dict of the same few things: what is right in every entry."""
    pairs = [(g, e) for one, right in zip(got, expected, strict=True) for g, e in zip(one, right, strict=True)]
    if not pairs:
        return ""
    example = pairs[0][1]
    if not isinstance(example, dict | list):
        return ""
    if isinstance(example, dict):
        keys, said = list(example), [f"`{key}`" for key in example]
    else:
        keys, said = list(range(len(example))), ["first", "second", "third", "fourth"]
    if not 1 <= len(keys) <= len(said) or any(len(one) != len(keys) for pair in pairs for one in pair):
        return ""
    wrong = [n for n, key in enumerate(keys) if not all(same(g[key], e[key]) for g, e in pairs)]
    if len(wrong) == 2:
        one, other = (keys[n] for n in wrong)
        if all(g == e or (g[one] == e[other] and g[other] == e[one]) for g, e in pairs):
            return f"In each entry that is wrong, {said[wrong[0]]} and {said[wrong[1]]} have changed places."
    if len(wrong) == len(keys) and len({path for g, e in pairs for path, _, _ in _leaves(g, e)}) != 1:
        return ""
    named = " and ".join(said[n] for n in wrong)
    if said[0] == "first":
        named = f"the {named} value{'s' if len(wrong) > 1 else ''}"
    leaves = [leaf for g, e in pairs for leaf in _leaves(g, e)]
    if len({path for path, _, _ in leaves}) == 1:
        path, (g, e) = leaves[0][0], leaves[0][1:]
        always = len({repr(leaf) for leaf in leaves}) == 1
        named = path if isinstance(example, dict) and path.count("[") > 1 else named
        return f"In each entry everything is right but {named}" + (
            f": yours has {brief(g)}, and {brief(e)} should be there." if always else "."
        )
    return f"In each entry everything is right but {named}."


def _leaves(g: Any, e: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """The places at which two values of the same build differ."""
    if isinstance(g, dict) and isinstance(e, dict) and g.keys() == e.keys():
        return [leaf for key in e for leaf in _leaves(g[key], e[key], f"{path}[{key!r}]")]
    if isinstance(g, list) and isinstance(e, list) and len(g) == len(e):
        return [leaf for n, (a, b) in enumerate(zip(g, e, strict=True)) for leaf in _leaves(a, b, f"{path}[{n}]")]
    return [] if same(g, e) else [(path, g, e)]


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
    what = "row" if any(isinstance(e, list) for _, e, _, _ in differing) else "entry"
    if len(differing) > 1 and all(n == 0 and length > 1 for _, _, n, length in differing):
        return f"Everything is right but the first {what}."
    if len(differing) > 1 and all(n == length - 1 and length > 1 for _, _, n, length in differing):
        return f"Everything is right but the last {what}."
    if what == "row" and len(differing) > 1 and all(n > 0 for _, _, n, _ in differing):
        return "The first row is always right, and others are not. Is something of the first row taken for all of them?"
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
    for name in sorted({name for pair in wrong for name in pair}):
        if all(name in pair for pair in wrong):
            return f"Whenever yours is wrong, {brief(name)} is there and should not be, or is not there and should be."
    return ""
