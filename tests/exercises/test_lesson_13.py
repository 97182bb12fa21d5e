"""Exercises of lesson 13: many right ways to write them, and wrong ones with the hint that fits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.exercises.lesson_13 import EXERCISES, flip_rate, soft_label, without_length
from course.feedback.judge import Judgement, position_bias, probability, word_worth
from course.feedback.judge import without_length as in_the_course
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of

LABEL, FLIPS, LENGTH = (EXERCISES[f"13-{name}"] for name in ("soft-label", "flip-rate", "without-length"))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# ---- the soft label --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        lambda g, s: sigmoid((g - s) / 2),
        lambda g, s: np.exp(g / 2) / (np.exp(g / 2) + np.exp(s / 2)),
        lambda g, s: 0.5 + 0.5 * math.tanh((g - s) / 4),
    ],
)
def test_label_right(attempt):
    assert grade(LABEL, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda g, s: sigmoid((g + s) / 2), "lean"),
        (lambda g, s: sigmoid(g), "one_order"),
        (lambda g, s: sigmoid(g - s), "not_halved"),
        (lambda g, s: 1 - sigmoid((g - s) / 2), "of_b"),
        (lambda g, s: g / 2 - s / 2, "log_odds"),
        (lambda g, s: 1.0 if g > s else 0.0, "hard"),
        (lambda g, s: (sigmoid(g) + sigmoid(-s)) / 2, "mean_of_probabilities"),
        (lambda g, s: (sigmoid(g) + sigmoid(s)) / 2, "mean_of_letters"),
        (lambda g, s: sigmoid(-s), "swapped_alone"),
    ],
)
def test_label_wrong(attempt, mistake):
    assert verdict_of(LABEL, attempt) == ("wrong", mistake)


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_the_label_is_the_courses_and_knows_no_place(one, other):
    assert soft_label(one, other) == pytest.approx(probability(Judgement(one, other).log_odds))
    assert soft_label(one, other) + soft_label(other, one) == pytest.approx(1)
    assert soft_label(one + 3, other + 3) == pytest.approx(soft_label(one, other))


# ---- position bias ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        lambda g, s: np.mean(np.array(g) == np.array(s)),
        lambda g, s: 1 - sum(a != b for a, b in zip(g, s, strict=True)) / len(g),
        lambda g, s: len([1 for i in range(len(g)) if {"A": "B", "B": "A"}[s[i]] != g[i]]) / len(g),
    ],
)
def test_flips_right(attempt):
    assert grade(FLIPS, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda g, s: np.mean(np.array(g) != np.array(s)), "letters_change"),
        (lambda g, s: sum(a == b == "A" for a, b in zip(g, s, strict=True)) / len(g), "first_twice"),
        (lambda g, s: (g.count("A") + s.count("A")) / (len(g) + len(s)), "share_of_a"),
        (lambda g, s: sum(a == b for a, b in zip(g, s, strict=True)), "count"),
        (lambda g, s: sum(a == b == "B" for a, b in zip(g, s, strict=True)) / len(g), "second_twice"),
    ],
)
def test_flips_wrong(attempt, mistake):
    assert verdict_of(FLIPS, attempt) == ("wrong", mistake)


ODDS = st.floats(0.01, 5) | st.floats(-5, -0.01)  # at 0 the judge names no letter


@given(st.lists(st.tuples(ODDS, ODDS), min_size=1, max_size=9))
def test_the_share_is_the_courses(rows):
    letters = [["A" if odds > 0 else "B" for odds in column] for column in zip(*rows, strict=True)]
    assert flip_rate(*letters) == pytest.approx(position_bias([Judgement(*row) for row in rows]))


# ---- length ----------------------------------------------------------------------------------------------------------


def by_least_squares(z, d):
    z, d = np.array(z), np.array(d)
    slope = np.linalg.lstsq(d[:, None], z, rcond=None)[0][0]
    return z - slope * d


def by_projection(z, d):
    z, unit = np.array(z), np.array(d) / np.linalg.norm(d)
    return z - (z @ unit) * unit


@pytest.mark.parametrize("attempt", [by_least_squares, by_projection])
def test_length_right(attempt):
    assert grade(LENGTH, attempt).kind == "right"


def with_polyfit(z, d):
    slope, at_zero = np.polyfit(d, z, 1)
    return np.array(z) - slope * np.array(d) - at_zero


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (with_polyfit, "intercept"),
        (lambda z, d: np.array(z) - np.dot(z, d) / np.dot(z, z) * np.array(d), "other_regression"),
        (lambda z, d: np.array(z) - sum(z) / sum(d) * np.array(d), "ratio_of_sums"),
        (lambda z, d: np.array(z) - np.mean(z), "mean"),
        (lambda z, d: np.array(z) - np.dot(z, d) / np.dot(d, d), "slope_alone"),
        (lambda z, d: np.array(z) + np.dot(z, d) / np.dot(d, d) * np.array(d), "added"),
        (lambda z, d: np.dot(z, d) / np.dot(d, d) * np.array(d), "explained"),
        (lambda z, d: np.dot(z, d) / np.dot(d, d), "slope_returned"),
        (lambda z, d: np.array(z), None),
    ],
)
def test_length_wrong(attempt, mistake):
    assert verdict_of(LENGTH, attempt) == ("wrong", mistake)


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 20)), min_size=1, max_size=8))
def test_what_is_left_is_what_the_course_leaves(rows):
    z, d = map(list, zip(*rows, strict=True))
    assert without_length(z, d) == pytest.approx(in_the_course(z, d, word_worth(z, d)), abs=1e-9)
