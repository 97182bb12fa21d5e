"""`grade`: what it says of stubs, right and wrong code, and what it leaves alone."""

import itertools
from collections import deque
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from course.exercises import Exercise, Sign
from course.study.grading import grade


def double(values: list[float]) -> list[float]:
    return [2 * value for value in values]


DOUBLE = Exercise(
    cases=[([1.0, 2.0],), ([],), ([3.0, -1.0, 0.5],)],
    solution=double,
    mistakes={
        "squared": lambda values: [value * value for value in values],
        "reversed": Sign(lambda got, right: got == right[::-1]),
    },
)

# ---- stubs -------------------------------------------------------------------------------------------------


def raises(values):
    raise NotImplementedError("your turn")


def passes(values):
    """What is asked for."""
    pass


@pytest.mark.parametrize("stub", [None, ..., raises, passes, lambda values: ..., lambda values: None])
def test_a_stub_is_not_attempted_and_raises_nothing(stub):
    assert grade(DOUBLE, stub).kind == "not attempted"


def test_a_forgotten_return_is_wrong_and_hinted_at():
    def no_return(values):
        [2 * value for value in values]

    verdict = grade(DOUBLE, no_return)
    assert verdict.kind == "wrong" and "return" in verdict.message


def test_none_is_an_answer_where_it_is_a_right_one():
    exercise = Exercise(cases=[(1,), (2,)], solution=lambda n: None if n == 1 else n)
    assert grade(exercise, lambda n: None if n == 1 else 3).kind == "wrong"
    assert grade(exercise, lambda n: None if n == 1 else n).kind == "right"
    assert grade(exercise, lambda n: None).kind == "not attempted"


# ---- right and wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        double,
        lambda values: torch.tensor(values) * 2,
        lambda values: np.array(values) * 2,
        lambda values: tuple(value + value for value in values),
        lambda values: (value * 2 for value in values),
        lambda values: map(lambda value: 2 * value, values),
        lambda values: [torch.tensor(2 * value, requires_grad=True) for value in values],
        lambda values: [2 * value * (1 + 1e-7) for value in values],
        lambda values: deque(double(values)),
        lambda values: [Decimal(value) * 2 for value in values],
        lambda values: [Fraction(value) * 2 for value in values],
        lambda values: [np.float32(value) * 2 for value in values],
        lambda values: dict(enumerate(double(values))).values(),
    ],
)
def test_right_in_whatever_form(attempt):
    assert grade(DOUBLE, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda values: [2 * value + 0.001 for value in values], "[0]"),
        (lambda values: [*double(values), 0.0], "list of 3"),
        (lambda values: 4.0, "single number"),
        (lambda values: "two", "text"),
        (lambda values: {"a": 1}, "dict"),
        (lambda values: [[value] for value in double(values)], "shape (2, 1)"),
        (lambda values: [float("nan")] * len(values), "[0]"),
        (lambda values: [f"{value}" for value in double(values)], "[0]"),
    ],
)
def test_wrong_says_what_differed_on_the_smallest_case(attempt, says):
    verdict = grade(DOUBLE, attempt)
    assert (verdict.kind, verdict.mistake) == ("wrong", None)
    assert verdict.difference.call == "values = [1, 2]"
    assert verdict.difference.expected == "[2, 4]"
    assert says in verdict.difference.where


def test_right_on_one_case_only_shows_a_case_on_which_it_is_wrong():
    verdict = grade(DOUBLE, lambda values: [2.0, 4.0] if len(values) == 2 else values)
    assert verdict.difference.call == "values = [3, -1, 0.5]"


def test_a_mistake_is_named_by_its_results_or_by_its_sign():
    assert grade(DOUBLE, lambda values: [value**2 for value in values]).mistake == "squared"
    assert grade(DOUBLE, lambda values: double(values)[::-1]).mistake == "reversed"


def test_a_result_in_place_of_the_function_says_so():
    verdict = grade(DOUBLE, [2.0, 4.0])
    assert verdict.kind == "wrong" and "check(..., double)" in verdict.message


# ---- the learner's code and the cases --------------------------------------------------------------------------


def test_an_attempt_that_changes_its_input_spoils_no_other_case_and_is_told():
    exercise = Exercise(cases=[([1.0, 2.0],)] * 3, solution=double)
    before = exercise.cases[0][0].copy()

    def in_place(values):
        for i in range(len(values)):
            values[i] *= 2
        return values

    verdict = grade(exercise, in_place)
    assert verdict.kind == "right" and "values in place" in verdict.note
    assert exercise.cases[0][0] == before
    assert grade(exercise, double).note == ""


def test_an_attempt_that_changes_a_tensor_in_place_is_told_too():
    exercise = Exercise(cases=[(torch.ones(2, 2),)], solution=lambda scores: scores * 3)
    verdict = grade(exercise, lambda scores: scores.mul_(3))
    assert verdict.kind == "right" and "scores in place" in verdict.note
    assert exercise.cases[0][0].sum() == 4


def test_an_attempt_that_returns_one_and_the_same_list_is_judged_by_what_it_was():
    kept = []

    def collects(values):
        kept.extend(double(values))
        return kept

    assert grade(DOUBLE, collects).kind == "wrong"


def helper(values):
    return values["first"]


def test_what_outlives_a_call_is_found_by_a_second_call():
    calls = []

    def spent(values):
        calls.append(1)
        return double(values) if len(calls) <= len(DOUBLE.all_cases) else []

    verdict = grade(DOUBLE, spent)
    assert verdict.kind == "wrong" and "a second call" in verdict.message and verdict.difference.got == "[]"


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda values: print(*values, end="") if values else print(end=""), "what stands there is None"),
        (lambda values: values.sort(), "what stands there is None"),
    ],
)
def test_none_behind_a_return_is_not_called_a_missing_return(attempt, says):
    message = grade(DOUBLE, attempt).message
    assert says in message and "missing" not in message


def test_what_an_attempt_does_to_torch_spoils_nothing_that_is_expected():
    half = Exercise(cases=[([1.0],), ([0.1],)], solution=lambda values: torch.tensor(values) / 3)

    def sets_the_type(values):
        torch.set_default_dtype(torch.float64)
        return torch.tensor(values) / 3

    try:
        assert grade(half, sets_the_type).kind == "right"
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_attempt_that_stops_later_is_no_mistake_that_goes_on():
    def stops(values):
        return [value * value for value in values] if len(values) < 3 else values[9]

    verdict = grade(DOUBLE, stops)
    assert verdict.kind == "wrong" and verdict.mistake is None
    assert "On a later case your code stops with IndexError" in verdict.hint


def test_an_error_shows_the_learners_line_and_does_not_raise():
    def broken(values):
        total = helper(values)
        return total

    verdict = grade(DOUBLE, broken)
    assert verdict.kind == "error" and "TypeError" in verdict.message
    first = helper.__code__.co_firstlineno
    assert f"line {first + 1}" in verdict.message
    assert "total = helper(values)" in verdict.trace and 'values["first"]' in verdict.trace
    assert "grading.py" not in verdict.trace and "/" not in verdict.trace.splitlines()[0]
    assert "indices" in verdict.difference.got


def test_an_error_inside_a_library_points_at_the_learners_line():
    def broken(values):
        return torch.tensor(values).view(7, 7)

    verdict = grade(DOUBLE, broken)
    assert verdict.kind == "error"
    assert f"line {broken.__code__.co_firstlineno + 1}" in verdict.message
    assert ".view(7, 7)" in verdict.trace


def test_an_error_on_a_later_case_only_is_shown_with_that_case():
    verdict = grade(DOUBLE, lambda values: [value / values[0] * 2 * values[0] for value in values] or values[0])
    assert verdict.kind == "error" and verdict.difference.call == "values = []"


def test_a_wrong_number_of_parameters_is_an_error_in_words():
    verdict = grade(DOUBLE, lambda: 1)
    assert verdict.kind == "error" and "positional argument" in verdict.difference.got


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt])
def test_leaving_python_and_an_interrupt_are_verdicts_without_the_courses_inside(stop):
    def stopped(values):
        raise stop

    verdict = grade(DOUBLE, stopped)
    assert verdict.kind == "error" and f"line {stopped.__code__.co_firstlineno + 1}" in verdict.message
    assert "grading.py" not in verdict.trace


def test_a_loop_without_end_is_stopped_and_its_line_named():
    def endless(values):
        while True:
            values = values[:]

    verdict = grade(DOUBLE, endless, seconds=0.2)
    assert verdict.kind == "error" and "never ends" in verdict.message and "in endless" in verdict.trace


@pytest.mark.parametrize(
    "attempt",
    [
        lambda values: itertools.count(),
        lambda values: range(5_000_000),
        lambda values: torch.zeros(5_000_000),
        lambda values: np.zeros((5, 1_000_000)),
        lambda values: [list(range(1000))] * 5000,
        lambda values: dict.fromkeys(range(5_000_000)),
        lambda values: set(range(5_000_000)),
    ],
)
def test_a_result_without_end_or_far_too_large_says_so(attempt):
    verdict = grade(DOUBLE, attempt)
    assert verdict.kind == "wrong" and "more than" in verdict.message
    assert verdict.difference.expected == "[2, 4]"


def test_a_not_implemented_of_the_library_is_an_error_and_not_a_stub():
    def attempt(values):
        return torch.tensor([1, 2]).softmax(-1)

    verdict = grade(DOUBLE, attempt)
    assert verdict.kind == "error" and "softmax" in verdict.trace


def test_a_sign_that_cannot_look_at_a_result_is_not_there():
    exercise = Exercise(DOUBLE.cases, double, {"first": Sign(lambda got, right: got["first"])})
    assert grade(exercise, lambda values: {"second": 1}).mistake is None


def test_a_number_too_long_to_print_is_no_error():
    assert "bits" in grade(DOUBLE, lambda values: [10**5000]).difference.got


# ---- a known mistake, and special cases treated in another way ---------------------------------------------------

EDGE = Exercise(
    cases=[([1.0, 2.0],), ([3.0, -1.0, 0.5],)],
    solution=double,
    mistakes={
        "squared": lambda values: [value * value for value in values],
        "halved": lambda values: [value / 2 for value in values],
        "nothing": lambda values: [],
    },
    special={"there are no values": [([],)], "a value is 0": [([0.0, 5.0],)]},
)


def test_a_mistake_is_named_though_special_cases_come_out_in_another_way():
    def squared(values):
        return [value * value for value in values] if 0 not in values else None

    assert grade(EDGE, squared).mistake == "squared"


def test_what_is_the_same_in_every_case_or_in_no_case_twice_is_no_mistake_by_chance():
    assert grade(EDGE, lambda values: [] if values else None).mistake is None
    assert grade(EDGE, lambda values: [v / 2 if len(values) == 2 else 2 * v for v in values] or None).mistake is None
    calls = []

    def changes_its_mind(values):
        calls.append(values)
        return [value * value * (1 if len(calls) < 5 else 2) for value in values] or None

    assert grade(EDGE, changes_its_mind).mistake is None
