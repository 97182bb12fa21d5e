"""Values that a learner's function returned: as plain Python, compared, and in words. Pure; serves `grade`.

A tensor or an array stands for its numbers, so that this module needs no torch and a learner may answer with a loop,
with numpy or with torch.
"""

import math
import numbers
import reprlib
from collections.abc import Iterator, Mapping, MappingView, Sequence, Set
from decimal import Decimal
from itertools import islice
from typing import Any

TOLERANCE = 1e-5  # relative and absolute, for floats; whole numbers must be equal
MOST = 20_000  # values in one result; the largest that is expected has about a hundred
LONGEST = 600  # characters of a value in words
LONGEST_TEXT = 100_000  # a longer text is cut; those that are expected have a line
MOST_BITS = 10_000  # of a whole number
DEEPEST = 50


class TooLarge(Exception):
    """A result is larger than any that an exercise asks for; the message says what there is too much of."""


class Other:
    """A value of a type that no exercise asks for, in words. It equals nothing, not even what its class says."""

    def __init__(self, value: Any) -> None:
        self.kind = f"an object of type {type(value).__name__}"
        self.text = brief(value)

    def __repr__(self) -> str:
        return self.text


class View(list):
    """The entries of a dict's view, which is as good as a list and as good as a set."""


# ---- plain values ----------------------------------------------------------------------------------------------


def plain(value: Any, room: list[int] | None = None, depth: int = 0) -> Any:
    """Tensors, arrays, tuples and iterators as (nested) lists, numbers of any type as int or float; the rest in words.

    Args:
        room: how many values may still come, in a list of one number that is counted down.
        depth: inside how many lists and dicts the value is.
    Raises:
        TooLarge: more than `MOST` values or `DEEPEST` lists inside each other, or an iterator without an end.
    """
    if depth > DEEPEST:
        raise TooLarge(f"more than {DEEPEST} lists inside each other")
    room = [MOST] if room is None else room
    if isinstance(value, bool | None) or value is ...:
        return value
    if isinstance(value, int | float | str):  # numpy's and other subclasses, whose repr tells more than the value
        _take(room, 1)
        if isinstance(value, str):
            return str.__str__(value[:LONGEST_TEXT])
        if isinstance(value, float):
            return value if type(value) is float else float(value)
        return Other(value) if value.bit_length() > MOST_BITS else value if type(value) is int else int(value)
    if hasattr(value, "tolist") and not isinstance(value, type):
        _take(room, math.prod(getattr(value, "shape", ())))
        return plain(value.tolist(), room, depth)
    if isinstance(value, Decimal | numbers.Rational):
        return _float(value)
    if isinstance(value, Mapping):
        _take(room, len(value))
        return {_member(key): plain(item, room, depth + 1) for key, item in value.items()}
    if isinstance(value, MappingView):
        return View(plain(item, room, depth + 1) if isinstance(item, list) else item for item in value)
    if isinstance(value, Set):
        _take(room, len(value))
        return frozenset(map(_member, value)) if isinstance(value, frozenset) else set(map(_member, value))
    if isinstance(value, Iterator):
        return [plain(item, room, depth + 1) for item in islice(value, MOST + 1)]
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, room, depth + 1) for item in value]
    return Other(value)


def _member(value: Any) -> Any:
    """An entry of a set or a key of a dict, which stays hashable."""
    if isinstance(value, tuple | frozenset):
        return type(value)(map(_member, value)) if type(value) in (tuple, frozenset) else Other(value)
    return value if isinstance(value, str | numbers.Number | None) else Other(value)


def _take(room: list[int], count: int) -> None:
    room[0] -= count
    if room[0] < 0:
        raise TooLarge(f"more than {MOST:,} values")


def _float(value: Decimal | numbers.Rational) -> Any:
    try:
        return float(value)
    except (OverflowError, ValueError):
        return value


def same(one: Any, other: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two plain values are equal: whole numbers exactly, floats within the tolerance, NaN like NaN."""
    if is_number(one) and is_number(other):
        if isinstance(one, float) or isinstance(other, float):
            try:
                both_nan = math.isnan(one) and math.isnan(other)
                return both_nan or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
            except OverflowError:  # a whole number that is too large for a float
                return False
        return one == other
    if (isinstance(one, View) and isinstance(other, Set)) or (isinstance(other, View) and isinstance(one, Set)):
        return set(one) == set(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key], tolerance) for key in one)
    try:
        return not is_number(one) and not is_number(other) and bool(one == other)
    except Exception:  # what a learner returns may refuse to be compared, as a data frame does
        return False


def is_number(value: Any) -> bool:
    return isinstance(value, int | float)


# ---- words -----------------------------------------------------------------------------------------------------


class _Short(reprlib.Repr):
    """A repr of at most a line or two, with six digits for a float."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxset = self.maxdict = self.maxtuple = 24
        self.maxlevel = 4
        self.maxstring = self.maxother = 80

    def repr_int(self, value: int, level: int) -> str:
        return super().repr_int(value, level) if value.bit_length() < 1000 else f"a number of {value.bit_length()} bits"

    def repr_float(self, value: float, level: int) -> str:
        return f"{value:.6g}"


_short = _Short()


def brief(value: Any) -> str:
    """The value in at most a line or two."""
    text = _short.repr(list(value) if isinstance(value, View) else value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def show(value: Any) -> str:
    """The value in short, with the shape in front when it is a tensor or an array of several numbers."""
    if not hasattr(value, "tolist"):
        return brief(value)
    shape = tuple(getattr(value, "shape", ()))
    return f"shape {shape}: {brief(plain(value, [10**9]))}" if shape else brief(plain(value))


def kind(value: Any) -> str:
    """What the value is, with its length or shape: words for a sentence."""
    if value is None:
        return "nothing (None)"
    if isinstance(value, bool):
        return "True or False"
    if is_number(value):
        return "a single number"
    if not isinstance(value, list):
        names = {str: "a text", dict: "a dict", set: "a set", frozenset: "a set"}
        return value.kind if isinstance(value, Other) else names.get(type(value), type(value).__name__)
    shape, inner = [len(value)], value
    while inner and isinstance(inner[0], list) and all(_length(item) == len(inner[0]) for item in inner):
        inner = inner[0]
        shape.append(len(inner))
    return f"shape {tuple(shape)}" if len(shape) > 1 else f"a list of {shape[0]}"


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def where(got: Any, expected: Any, place: str = "") -> str:
    """A sentence about the first place where two plain values differ; empty where the two themselves say it."""
    at = f"At {place}: " if place else ""
    if isinstance(got, list) and isinstance(expected, list):
        shapes = not place and kind(got) != kind(expected) and not any(isinstance(item, dict) for item in expected)
        if len(got) == len(expected) and not shapes:
            n = next((n for n, (a, b) in enumerate(zip(got, expected, strict=True)) if not same(a, b)), None)
            return "" if n is None else where(got[n], expected[n], f"{place}[{n}]")
    elif isinstance(got, dict) and isinstance(expected, dict):
        if got.keys() == expected.keys():
            key = next((key for key in expected if not same(got[key], expected[key])), None)
            return "" if key is None else where(got[key], expected[key], f"{place}[{key!r}]")
        return f"{at}your dict has the keys {brief(list(got))}; expected are {brief(list(expected))}."
    elif isinstance(got, Set) and isinstance(expected, Set):
        return _sets(set(got), set(expected))
    if not (is_number(got) and is_number(expected)) and kind(got) != kind(expected):
        return f"{at}yours is {kind(got)}; {kind(expected)} should come out.{_parting(got, expected, place)}"
    if not place:
        return ""
    one, other = brief(expected), brief(got)
    if one == other:
        one, other = repr(expected)[:LONGEST], repr(got)[:LONGEST]
    return f"The first difference is at position {place}: {one} should be there, and yours has {other}."


def _parting(got: Any, expected: Any, place: str) -> str:
    """Where two lists of different lengths part, if their first entries agree."""
    if not isinstance(got, list) or not isinstance(expected, list):
        return ""
    n = next((n for n, (a, b) in enumerate(zip(got, expected, strict=False)) if not same(a, b)), None)
    n = min(len(got), len(expected)) if n is None else n
    one, other = (brief(values[n]) if n < len(values) else "nothing" for values in (expected, got))
    return f" The first difference is at position {place}[{n}]: {one} should be there, and yours has {other}."


def _sets(got: set[Any], expected: set[Any]) -> str:
    missing, extra = expected - got, got - expected
    said = [f"missing is {brief(missing)}"] if missing else []
    said += [f"{brief(extra)} should not be there"] if extra else []
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."
