"""Exercises of lesson 11's second notebook: many right ways to write them, and wrong ones with the hint that fits."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.exercises.lesson_11 import contradictions, longer_wins, two_margins
from course.preferences.check import check_pairs
from course.study.judge import judge

LONGER, AGAINST, ANCHORS = (EXERCISES[f"11-{name}"] for name in ("longer-wins", "contradictions", "two-margins"))

TEXTS = st.sampled_from(["a", "a b", "c d", "e f g"])
LABELS = st.lists(st.tuples(st.sampled_from("pq"), TEXTS, TEXTS).filter(lambda label: label[1] != label[2]), min_size=1)


def verdict_of(exercise, attempt):
    verdict = judge(exercise, attempt)
    return verdict.kind, verdict.mistake


# ---- the longer answer wins --------------------------------------------------------------------------------


def by_counting(pairs):
    wins = losses = 0
    for chosen, rejected in pairs:
        wins += len(chosen.split()) > len(rejected.split())
        losses += len(chosen.split()) < len(rejected.split())
    return wins / (wins + losses)


def in_numpy(pairs):
    counts = np.array([[len(text.split()) for text in pair] for pair in pairs])
    signs = np.sign(counts[:, 0] - counts[:, 1])
    return (signs[signs != 0] > 0).mean()


@pytest.mark.parametrize("attempt", [by_counting, in_numpy])
def test_longer_wins_right(attempt):
    assert judge(LONGER, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda pairs: sum(len(a.split()) > len(b.split()) for a, b in pairs) / len(pairs), "all_pairs"),
        (lambda pairs: sum(len(a.split()) >= len(b.split()) for a, b in pairs) / len(pairs), "ties_won"),
        (lambda pairs: 1 - by_counting(pairs), "shorter"),
        (lambda pairs: by_counting([(" ".join(a), " ".join(b)) for a, b in pairs]), None),
        (lambda pairs: np.mean([len(a.split()) - len(b.split()) for a, b in pairs]), "mean_difference"),
        (lambda pairs: 100 * by_counting(pairs), None),
    ],
)
def test_longer_wins_wrong(attempt, mistake):
    assert verdict_of(LONGER, attempt) == ("wrong", mistake)


@given(LABELS)
def test_longer_wins_is_what_the_check_counts(labels):
    records = [{"prompt": prompt, "chosen": won, "rejected": lost} for prompt, won, lost in labels]
    found = check_pairs(records).rules["the longer answer"]
    if found.of:
        assert longer_wins([(won, lost) for _, won, lost in labels]) == pytest.approx(found.share)


# ---- contradictions ----------------------------------------------------------------------------------------


def row_by_row(labels):
    found = set()
    for i, (prompt, won, lost) in enumerate(labels):
        for j, other in enumerate(labels):
            if other == (prompt, lost, won):
                found |= {i, j}
    return sorted(found)


def by_counter(labels):
    said = Counter(labels)
    return tuple(i for i, (prompt, won, lost) in enumerate(labels) if said[prompt, lost, won])


@pytest.mark.parametrize("attempt", [row_by_row, by_counter])
def test_contradictions_right(attempt):
    assert judge(AGAINST, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda labels: [i for i, (p, a, b) in enumerate(labels) if (p, b, a) in labels[:i]], "later_only"),
        (lambda labels: row_by_row([("", *label[1:]) for label in labels]), "no_prompt"),
        (lambda labels: len(row_by_row(labels)), "count"),
        (lambda labels: [labels[i] for i in row_by_row(labels)], "labels"),
        (lambda labels: [i + 1 for i in row_by_row(labels)], None),
        (lambda labels: [], None),
    ],
)
def test_contradictions_wrong(attempt, mistake):
    assert verdict_of(AGAINST, attempt) == ("wrong", mistake)


@given(LABELS)
def test_contradictions_are_among_those_that_the_check_finds(labels):
    records = [{"prompt": prompt, "chosen": won, "rejected": lost} for prompt, won, lost in labels]
    assert set(contradictions(labels)) <= set(check_pairs(records).contradicting.rows)


# ---- two anchors -------------------------------------------------------------------------------------------


def in_numpy_margins(logps, beta):
    ahead = np.array(logps) @ [1, -1]
    return beta * np.diff(ahead), beta * (ahead[1:] - ahead[0])


def by_running_sum(logps, beta):
    moving = [beta * ((b[0] - a[0]) - (b[1] - a[1])) for a, b in itertools.pairwise(logps)]
    return moving, list(np.cumsum(moving))


@pytest.mark.parametrize("attempt", [in_numpy_margins, by_running_sum])
def test_anchors_right(attempt):
    assert judge(ANCHORS, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda logps, beta: by_running_sum(logps, beta)[::-1], "swapped"),
        (lambda logps, beta: by_running_sum(logps, 1), "no_beta"),
        (lambda logps, beta: (by_running_sum(logps, beta)[0],) * 2, "moving_only"),
        (lambda logps, beta: (by_running_sum(logps, beta)[1],) * 2, "first_only"),
        (lambda logps, beta: by_running_sum(logps, -beta), "rejected_first"),
        (lambda logps, beta: by_running_sum(logps, beta)[1], None),
    ],
)
def test_anchors_wrong(attempt, mistake):
    assert verdict_of(ANCHORS, attempt) == ("wrong", mistake)


@given(st.lists(st.tuples(st.floats(-50, 0), st.floats(-50, 0)), min_size=2), st.floats(0.01, 5))
def test_the_rounds_add_up_to_the_whole_way(logps, beta):
    moving, first = two_margins(logps, beta)
    assert sum(moving) == pytest.approx(first[-1], abs=1e-6)
    assert moving[0] == first[0]
