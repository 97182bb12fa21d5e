"""Values that a learner's function returned: as plain Python, compared, and in words. Pure; serves `grade`.

A tensor or an array stands for its numbers, so that this module needs no torch and a learner may answer with a loop,
with numpy or with torch.
"""

import copy
import math
import numbers
import reprlib
from collections.abc import Iterator, Mapping, MappingView, Sequence, Set
from decimal import Decimal
from itertools import islice
from typing import Any

TOLERANCE = 1e-5  # relative and absolute, for floats; whole numbers must be equal
MOST = 20_000  # values in one result; the largest that is expected has about a hundred
LONGEST = 600


class TooLarge(Exception):
    """A result has more than `MOST` values."""


class View(list):
    """The entries of a dict's view, which is as good as a list and as good as a set."""


# ---- plain values ----------------------------------------------------------------------------------------------


def plain(value: Any, room: list[int] | None = None) -> Any:
    """Tensors, arrays, tuples and iterators as (nested) lists, numbers of any type as int or float; the rest as it is.

    Args:
        room: how many values may still come, in a list of one number that is counted down.
    Raises:
        TooLarge: more than `MOST` values, or an iterator without an end.
    """
    room = [MOST] if room is None else room
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | float | str):  # numpy's and other subclasses, whose repr tells more than the value
        _take(room, 1)
        basic = next(kind for kind in (int, float, str) if isinstance(value, kind))
        return value if type(value) is basic else basic.__str__(value) if basic is str else basic(value)
    if hasattr(value, "tolist") and not isinstance(value, type):
        _take(room, math.prod(getattr(value, "shape", ())))
        return plain(value.tolist(), room)
    if isinstance(value, Decimal | numbers.Rational):
        return _float(value)
    if isinstance(value, Mapping):
        _take(room, len(value))
        return {key: plain(item, room) for key, item in value.items()}
    if isinstance(value, MappingView):
        return View(plain(item, room) if isinstance(item, list) else item for item in value)
    if isinstance(value, Set):
        _take(room, len(value))
        return copy.copy(value)
    if isinstance(value, Iterator):
        return [plain(item, room) for item in islice(value, MOST + 1)]
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, room) for item in value]
    return value


def _take(room: list[int], count: int) -> None:
    room[0] -= count
    if room[0] < 0:
        raise TooLarge


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
        return names.get(type(value), f"an object of type {type(value).__name__}")
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
        return f"{at}yours is {kind(got)}; {kind(expected)} should come out.".removeprefix(" ")
    if not place:
        return ""
    one, other = brief(expected), brief(got)
    if one == other:
        one, other = repr(expected)[:LONGEST], repr(got)[:LONGEST]
    return f"The first difference is at position {place}: {one} should be there, and yours has {other}."


def _sets(got: set[Any], expected: set[Any]) -> str:
    missing, extra = expected - got, got - expected
    said = [f"missing is {brief(missing)}"] if missing else []
    said += [f"{brief(extra)} should not be there"] if extra else []
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."
