"""What is said of a wrong result that is no known mistake: facts that hold on every case."""

import numpy as np
import pytest

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
