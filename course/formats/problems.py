"""What is wrong with data: each fault with its place and its fix, and the words in which errors speak of values.

Serves all checks of `course.formats`, and with them notebooks 02 and 06."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

SHOWN = 20  # problems are written out in an error; all of them are in its `problems`


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one record: in which field, what, and how to mend it."""

    field: str
    what: str
    mend: str
    where: str = ""  # the line of a file or the row of a list, once it is known

    def __str__(self) -> str:
        return f"{', '.join(part for part in (self.where, self.field) if part)}: {self.what}. {self.mend}"


class DataError(ValueError):
    """Data that cannot be used as it is. `problems` holds every fault that was found, in order."""

    def __init__(self, headline: str, problems: list[Problem]) -> None:
        self.problems = problems
        lines = [headline, *(f"  {problem}" for problem in problems[:SHOWN])]
        if len(problems) > SHOWN:
            lines.append(f"  ... and {len(problems) - SHOWN} more, all in the error's `problems`.")
        super().__init__("\n".join(lines))


def refused(field: str, what: str, mend: str) -> DataError:
    """The error of a single problem."""
    return DataError("This cannot be used.", [Problem(field, what, mend)])


def placed(where: str, problems: Iterable[Problem]) -> list[Problem]:
    """The problems with the line or the row of their record."""
    return [replace(problem, where=where) for problem in problems]


def is_empty_cell(value: Any) -> bool:
    """Whether it is what a table holds where nothing was written: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_truth(value: Any) -> bool:
    """Whether it is true or false, NumPy's too."""
    return isinstance(value, bool | np.bool_)


def is_number(value: Any) -> bool:
    """Whether it is a finite number, NumPy's too; true and false are none."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def quote(value: Any, longest: int = 60) -> str:
    """A value as an error may quote it: cut where it is long, and readable whatever it holds."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a whole number of more digits than Python writes out; lists in lists
        text = "a number of thousands of digits" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= longest else f"{text[:longest]}..."


def describe(value: Any) -> str:
    """What a value is, in words for an error message."""
    if value is not None and is_empty_cell(value):
        return "NaN, which tables write for an empty cell"
    names = {type(None): "nothing", bool | np.bool_: "true/false", Real: "a number"}
    names |= {str: "text", list: "a list", dict: "an object"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), type(value).__name__)
