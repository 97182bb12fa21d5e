"""Exercises of lesson 18: right solutions in many forms are accepted, wrong ones in many forms are not."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.study.grading import grade


def test_labelling_cost():
    exercise = EXERCISES["18-cost"]
    assert (
        grade(
            exercise, lambda demonstrations, comparisons, votes: 7 * comparisons * votes / 2 + demonstrations * 10
        ).kind
        == "right"
    )
    for wrong in (
        lambda d, c, v: 10 * d + 3.5 * (c + v),
        lambda d, c, v: 10 * d + 3.5 * c**v,
        lambda d, c, v: 10 * d + 25 * c * v,
        lambda d, c, v: 10 * d + 3.5 * c / v,
        lambda d, c, v: int(10 * d + 3 * c * v),
    ):
        assert grade(exercise, wrong).kind == "wrong"


def test_pairs_from_ranks():
    exercise = EXERCISES["18-pairs"]

    def with_combinations(completions, ranks):
        both = itertools.combinations(zip(ranks, completions, strict=True), 2)
        return {tuple(text for _, text in sorted(pair)) for pair in both if pair[0][0] != pair[1][0]}

    assert grade(exercise, with_combinations).kind == "right"
    for wrong in (
        lambda c, r: list(with_combinations(c, r)),
        lambda c, r: {frozenset(pair) for pair in with_combinations(c, r)},
        lambda c, r: {(a, b) for a, b in itertools.combinations(c, 2)},
        lambda c, r: {pair for pair in with_combinations(c, r) if c[r.index(min(r))] == pair[0]},
        lambda c, r: len(with_combinations(c, r)),
    ):
        assert grade(exercise, wrong).kind == "wrong"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_ranking_without_ties_gives_every_pair_once(ranks):
    names = [f"answer {i}" for i in range(len(ranks))]
    pairs = EXERCISES["18-pairs"].solution(names, ranks)
    tied = sum(ranks[i] == ranks[j] for i, j in itertools.combinations(range(len(ranks)), 2))
    assert len(pairs) == len(ranks) * (len(ranks) - 1) / 2 - tied
    assert not any((worse, better) in pairs for better, worse in pairs)
