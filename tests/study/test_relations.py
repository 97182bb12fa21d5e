"""What is said of a wrong result that is no known mistake: facts that hold on every case."""

import numpy as np
import pytest
import torch

from course.exercises import Exercise
from course.study.grading import grade


def scaled(values: list[float], factor: float) -> list[float]:
    return [factor * value for value in values]


SCALED = Exercise(
    cases=[([1.0, 2.5], 3.0), ([3.0, -1.0, 0.5], 0.5)],
    solution=scaled,
    special={"the factor is 0": [([1.0, 2.0], 0.0)], "there are no values": [([], 2.0)]},
)


def total(values: list[float]) -> float:
    return sum(values)


TOTAL = Exercise(cases=[([1.0, 2.0],), ([3.0, -1.0, 0.5],)], solution=total)


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda values, factor: scaled(values, 2.0), "never looks at `factor`"),
        (lambda values, factor: [-v for v in scaled(values, factor)], "opposite sign"),
        (lambda values, factor: [v / 100 for v in scaled(values, factor)], "0.01 times"),
        (lambda values, factor: scaled(values, factor)[::-1], "reverse order"),
        (lambda values, factor: sorted(scaled(values, factor), reverse=factor > 1), "another order"),
        (lambda values, factor: [scaled(values, factor)], "one more list"),
        (lambda values, factor: [str(v) for v in scaled(values, factor)], "as text"),
        (lambda values, factor: [*scaled(values, factor), 0.0], "too many at the end"),
        (lambda values, factor: scaled(values, factor)[:-1], "last entry is missing"),
        (lambda values, factor: scaled(values, factor or 1.0), "where the factor is 0"),
        (lambda values, factor: [*scaled(values, factor)[:-1], *[9.0] * bool(values)], "but the last entry"),
        (lambda values, factor: scaled(values, factor) if factor else values, "where the factor is 0"),
        (lambda values, factor: sum(scaled(values, factor)), "the sum of those"),
        (lambda values, factor: [max(v, 0) for v in scaled(values, factor)], "cut off below 0"),
        (lambda values, factor: np.random.default_rng().normal(size=len(values)) * factor, "another result"),
        (lambda values, factor: [float("nan") * v * factor for v in values], "NaN"),
    ],
)
def test_a_fact_about_the_result_is_told(attempt, says):
    verdict = grade(SCALED, attempt)
    assert verdict.kind == "wrong" and says in verdict.hint


def test_a_length_by_which_a_result_was_divided_is_named():
    assert "divided by the length of `values`" in grade(TOTAL, lambda values: sum(values) / len(values)).hint
    assert "the sum of yours" in grade(TOTAL, lambda values: values[::-1]).hint


def test_a_stop_on_a_special_case_says_which():
    def divides(values, factor):
        return [value / (1 / factor) for value in values]

    verdict = grade(SCALED, divides)
    assert verdict.kind == "error" and "where the factor is 0" in verdict.hint


def test_what_is_wrong_on_a_small_case_is_said_before_what_stops_on_a_later_one():
    verdict = grade(SCALED, lambda values, factor: [-value / (1 / factor) for value in values])
    assert verdict.kind == "wrong" and "opposite sign" in verdict.hint


@pytest.mark.parametrize("result", [None, ..., object(), {}, {"a": [1]}, [[]], [None], "x", 1j, [[[1]]], float("inf")])
def test_no_result_breaks_the_search(result):
    assert grade(SCALED, lambda values, factor: (values, factor) and result).kind == "wrong"


def shifted(values: list[float], steps: int) -> list[float]:
    return [value + steps * n for n, value in enumerate(values)]


SHIFTED = Exercise(cases=[([1.0, 2.5, 4.0], 2), ([3.0, -1.0, 0.5, 7.0], 5)], solution=shifted)


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda values, steps: shifted(values, steps + 1), "when `steps` is 1 more"),
        (lambda values, steps: shifted(values, -steps), "when `steps` has the opposite sign"),
        (lambda values, steps: list(shifted(values, steps)[:1]), "from inside its loop"),
        (lambda values, steps: shifted(sorted(values), steps), "when `values` is sorted"),
        (lambda values, steps: np.float16(shifted(values, steps * 1.001)), "about two digits"),
    ],
)
def test_a_changed_argument_that_gives_the_same_is_named(attempt, says):
    assert says in grade(SHIFTED, attempt).hint


def records(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"won": won, "lost": lost} for won, lost in pairs]


RECORDS = Exercise(cases=[([("a", "b"), ("c", "d"), ("e", "f")],), ([("p", "q"), ("r", "s")],)], solution=records)


def one_for_all(pairs):
    record, made = {}, []
    for won, lost in pairs:
        record.update(won=won, lost=lost)
        made.append(record)
    return made


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda pairs: [one | {"lost": "x"} for one in records(pairs)], "everything is right but `lost`"),
        (lambda pairs: records([pair[::-1] for pair in pairs]), "`won` and `lost` have changed places"),
        (
            lambda pairs: records([pairs[0], *(pair[::-1] for pair in pairs[1:])]),
            "`won` and `lost` have changed places",
        ),
        (one_for_all, "one object appended again and again"),
        (lambda pairs: records(pairs[:1] + pairs[2:]), "some entries are missing"),
        (lambda pairs: records([*pairs, ("x", "y"), pairs[0]]), "some entries that should not be"),
    ],
)
def test_what_is_wrong_within_the_entries_is_told(attempt, says):
    assert says in grade(RECORDS, attempt).hint


def test_as_many_entries_of_which_some_are_wrong_are_not_called_missing():
    hint = grade(RECORDS, lambda pairs: records([pairs[0], pairs[0], *pairs[2:]])).hint
    assert "missing" not in hint and "should not be" not in hint


def test_objects_that_cannot_be_compared_are_not_said_to_vary():
    class Result:
        def __eq__(self, other):
            raise TypeError

    for attempt in (lambda pairs: Result(), lambda pairs: [Result()], lambda pairs: lambda: pairs):
        assert "second call" not in grade(RECORDS, attempt).hint


# ---- facts about entries, rows and names --------------------------------------------------------------------------


def numbered(words: list[str]) -> list[dict[str, object]]:
    return [{"word": word, "place": place} for place, word in enumerate(words)]


NUMBERED = Exercise(cases=[(["b", "a", "c"],), (["d", "b", "e", "a"],)], solution=numbered)
REPEATED = Exercise(cases=[(["b", "a", "b"],), (["d", "b", "e", "d"],)], solution=lambda words: [*words])
WRAPPED = Exercise(
    cases=[(["b", "a"],), (["d", "b", "e"],)],
    solution=lambda words: [{"words": [word, word.upper()]} for word in words],
)
PLACE = Exercise(
    cases=[([3, 5, 7], 5), ([4, 1], 4), ([2, 6, 8, 9], 9), ([5, 8, 1], 3)],
    solution=lambda values, value: values.index(value) if value in values else None,
)
RUNNING = Exercise(
    cases=[([1.0, 2.5, 4.0],), ([3.0, -1.0, 0.5, 7.0],)], solution=lambda values: [2 * v for v in values]
)
TABLE = Exercise(
    cases=[([[1, 2], [3, 4]],), ([[5, 0], [7, 8], [1, 9]],)], solution=lambda rows: [[-x for x in row] for row in rows]
)
COUPLES = Exercise(
    cases=[(["a", "b"],), (["c", "d", "e"],)], solution=lambda names: {(a, b) for a in names for b in names if a < b}
)
SPREAD = Exercise(cases=[([1.0, 4.0],), ([2.0, 7.0, 3.0],)], solution=lambda values: (max(values), min(values)))
HALVES = Exercise(
    cases=[
        (torch.tensor([1.0, -0.5]), torch.tensor([-1.0, 0.5])),
        (torch.tensor([2.0, 0.0, -1.0]), torch.tensor([0.5, 0.25, 3.0])),
        (torch.tensor([0.5, -2.0]), torch.tensor([0.1, 1.0])),
        (torch.tensor([0.75]), torch.tensor([-3.0])),
    ],
    solution=lambda mine, theirs: (mine - theirs).sigmoid().mean(),
)
SIZE = Exercise(
    cases=[(1,), (5,), (20,), (60,), (2,), (30,)],
    solution=lambda n: "small" if n < 4 else "medium" if n < 40 else "large",
)


@pytest.mark.parametrize(
    ("exercise", "attempt", "says"),
    [
        (NUMBERED, len, "how many entries"),
        (NUMBERED, lambda words: (numbered(words), len(words)), "first part of yours"),
        (NUMBERED, lambda words: numbered(words)[:1], "from inside its loop"),
        (NUMBERED, lambda words: numbered(words)[-1:], "made anew"),
        (NUMBERED, lambda words: [{"text": w, "at": n} for n, w in enumerate(words)], "keys of the dicts are not"),
        (NUMBERED, lambda words: [{w: n} for n, w in enumerate(words)], "Asked for are `word`, `place`"),
        (REPEATED, sorted, "but sorted"),
        (REPEATED, lambda words: list(dict.fromkeys(words)), "should come twice"),
        (REPEATED, lambda words: [*words, words[0]], "too many at the end"),
        (WRAPPED, lambda words: [[word, word.upper()] for word in words], "dict with one key"),
        (WRAPPED, lambda words: [one for word in words for one in (word, word.upper())], "all in one list"),
        (PLACE, lambda values, value: values.index(value) or None if value in values else None, "None instead of 0"),
        (PLACE, lambda values, value: values.index(value) + 1 if value in values else None, "yours is 1 too high"),
        (RUNNING, lambda values: list(2 * np.cumsum(values)), "running sum"),
        (RUNNING, lambda values: [0.0, *(2 * v for v in values[:-1])], "one place too late"),
        (RUNNING, lambda values: [2 * v - sum(values) for v in values], "off by the same amount"),
        (RUNNING, lambda values: [2 * v / max(values) for v in values], "up to a factor"),
        (TABLE, lambda rows: [[-x for x in rows[0]], *([0, 0] for _ in rows[1:])], "first row is always right"),
        (TABLE, lambda rows: [[-x for x in row[:-1]] for row in rows], "last value is missing"),
        (COUPLES, lambda names: {(a, b) for a in names for b in names if a <= b}, "paired with itself"),
        (SPREAD, lambda values: max(values) - min(values), "the difference of those"),
        (SPREAD, lambda values: (max(values), [9.0, *values]), "that part: you return a list, and a number"),
        (HALVES, lambda mine, theirs: HALVES.solution(2 * mine, 2 * theirs), "`mine` and `theirs` are doubled"),
        (HALVES, lambda mine, theirs: (mine - theirs).sigmoid().max(), "the largest or the first of the numbers"),
        (HALVES, lambda mine, theirs: float((mine > theirs).float().mean() > 0.5), "is 0 or 1"),
        (HALVES, lambda mine, theirs: 3 * HALVES.solution(mine, theirs) - 1, "3 times what it should be, -1"),
        (
            COUPLES,
            lambda names: {a + b for a in names for b in names if a < b},
            "a text; it should be a tuple of 2 texts",
        ),
        (NUMBERED, str, "You return a text, and a list is asked for"),
        (SIZE, lambda n: "small" if n < 10 else "medium" if n < 40 else "large", "'medium' is right"),
        (
            SIZE,
            lambda n: "medium" if n < 3 or n > 40 else "small" if n < 10 else "large",
            "'medium' is there and should",
        ),
    ],
)
def test_what_is_wrong_with_entries_rows_and_names_is_told(exercise, attempt, says):
    assert says in grade(exercise, attempt).hint


def test_zeros_and_ones_in_another_order_are_no_fact():
    marks = Exercise(cases=[([1, 0, 0, 1],), ([0, 1, 1],)], solution=lambda values: [*values])
    assert "order" not in grade(marks, lambda values: sorted(values)[::-1] if len(values) > 3 else [1, 1, 0]).hint


def test_a_row_put_together_with_every_other_is_seen_by_its_diagonal():
    first = Exercise(
        cases=[([[1, 2], [3, 4]],), ([[5, 6, 7], [8, 9, 1], [2, 3, 4]],)], solution=lambda rows: [r[0] for r in rows]
    )
    assert (
        "on the diagonal"
        in grade(first, lambda rows: [[row[0] + n - m for n, _ in enumerate(rows)] for m, row in enumerate(rows)]).hint
    )
