"""Exercises of lesson 08: many right ways to write them, and wrong ones with the hint that fits."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.best_of_n import best_of_n_kl, expected_best
from course.exercises import EXERCISES
from course.exercises.lesson_08 import best_of_pool, chances_to_win, keep_best
from course.formats import validate
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of

KEEP, POOL, CHANCES = (EXERCISES[f"08-{name}"] for name in ("keep-best", "expected-best", "chances-to-win"))


# ---- the data of a round -----------------------------------------------------------------------------------


def record(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def by_groups(stream):
    questions = list(dict.fromkeys(q for q, *_ in stream))
    return [record(q, max((one for one in stream if one[0] == q), key=lambda one: one[2])[1]) for q in questions]


def by_sorting(stream):
    best = {}
    for question, answer, _ in sorted(stream, key=lambda one: one[2], reverse=True):
        best.setdefault(question, answer)
    return [record(q, best[q]) for q in dict.fromkeys(q for q, *_ in stream)]


def as_it_comes(stream):
    answers, scores = {}, {}
    for question, answer, score in stream:
        if score > scores.get(question, -math.inf):
            answers[question], scores[question] = answer, score
    return [record(*pair) for pair in answers.items()]


@pytest.mark.parametrize("attempt", [by_groups, by_sorting, as_it_comes])
def test_keep_best_right(attempt):
    assert grade(KEEP, attempt).kind == "right"


def sorted_by_name(stream):
    return sorted(keep_best(stream), key=lambda one: one["messages"][0]["content"])


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda s: [record(q, a) for q, a, _ in s], "all"),
        (lambda s: [record(*max(s, key=lambda one: one[2])[:2])], "only_one"),
        (lambda s: [record(q, a) for q, a in {q: a for q, a, _ in s}.items()], "last_answer"),
        (
            lambda s: [record(q, next(a for p, a, _ in s if p == q)) for q in dict.fromkeys(one[0] for one in s)],
            "first_answer",
        ),
        (lambda s: [record(q, a) for q, a in {q: a for q, a, _ in sorted(s, key=lambda o: o[2])}.items()], "by_score"),
        (lambda s: [one["messages"] for one in keep_best(s)], None),
        (lambda s: keep_best(s)[::-1], None),
        (lambda s: [(q, a) for q, a, _ in s], None),
        (lambda s: [], None),
        (lambda s: by_groups([(q, a, max(0.0, r)) for q, a, r in s]), None),
    ],
)
def test_keep_best_wrong(attempt, mistake):
    assert verdict_of(KEEP, attempt) == ("wrong", mistake)


STREAMS = st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("abcde"), st.integers(-3, 3)), max_size=12)


@given(STREAMS)
def test_each_question_keeps_its_first_best_answer(stream):
    kept = keep_best(stream)
    validate(kept, "conversation") if kept else None
    assert kept == by_groups(stream)
    assert keep_best(iter(stream)) == kept  # nothing is read twice, so it may come from a generator


# ---- the best of n from a pool -----------------------------------------------------------------------------


def by_enumeration(scores, n):
    bests = [max(subset) for subset in combinations(scores.tolist(), n)]
    return sum(bests) / len(bests)


def by_removing(scores, n):
    """The highest wins with probability n/M; else it is not in the subset, and the next one has its turn."""
    left, ordered, total = 1.0, sorted(scores.tolist(), reverse=True), 0.0
    for place, score in enumerate(ordered):
        wins = min(1.0, n / (len(ordered) - place))
        total, left = total + left * wins * score, left * (1 - wins)
    return total


@pytest.mark.parametrize(
    "attempt",
    [
        expected_best,
        by_enumeration,
        by_removing,
        lambda s, n: torch.tensor([max(subset) for subset in combinations(s.tolist(), n)]).mean(),
        lambda s, n: torch.combinations(s, n).amax(1).mean(),
    ],
)
def test_pool_right(attempt):
    assert grade(POOL, attempt).kind == "right"


def drawn(scores, n):
    rng = np.random.default_rng(0)
    return float(np.mean([rng.choice(scores.numpy(), n, replace=False).max() for _ in range(4000)]))


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (drawn, None),
        (lambda s, n: torch.combinations(s, n, with_replacement=True).amax(1).mean(), "repeats_allowed"),
        (lambda s, n: sum(max(draw) for draw in product(s.tolist(), repeat=n)) / len(s) ** n, "with_replacement"),
        (lambda s, n: torch.combinations(s, n).amin(1).mean(), "worst"),
        (lambda s, n: sorted(s.tolist())[-1], "highest"),
        (lambda s, n: torch.sort(s, descending=True).values[:n].mean(), "mean_of_top"),
        (lambda s, n: torch.combinations(s, n).amax(1).sum(), "not_divided"),
        (lambda s, n: torch.combinations(s, n).amax(1), None),
        (lambda s, n: s.median(), None),
    ],
)
def test_pool_wrong(attempt, mistake):
    assert verdict_of(POOL, attempt) == ("wrong", mistake)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=9), st.data())
def test_the_pool_is_counted_as_in_the_course(scores, data):
    pool = torch.tensor(scores)
    n = data.draw(st.integers(1, len(scores)))
    assert best_of_pool(pool, n) == pytest.approx(expected_best(pool, n), abs=1e-3)
    assert best_of_pool(pool, n) == pytest.approx(by_enumeration(pool, n), abs=1e-3)


# ---- who wins ----------------------------------------------------------------------------------------------


def by_all_draws(probabilities, rewards, n):
    chances = torch.zeros(len(probabilities))
    for draw in product(range(len(probabilities)), repeat=n):
        first_best = max(draw, key=lambda i: rewards[i])  # max gives the first of several
        chances[first_best] += float(probabilities[list(draw)].prod())
    return chances


def by_levels(probabilities, rewards, n):
    levels, level = rewards.unique(return_inverse=True)
    mass = torch.zeros(len(levels)).index_add(0, level, probabilities)
    won = (mass.cumsum(0) ** n).diff(prepend=torch.zeros(1))
    return (won / mass)[level] * probabilities


@pytest.mark.parametrize("attempt", [by_all_draws, by_levels, lambda p, r, n: by_levels(p, r, n).tolist()])
def test_chances_right(attempt):
    assert grade(CHANCES, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda p, r, n: torch.stack([p[r <= one].sum() ** n for one in r]), "none_better"),
        (lambda p, r, n: (p**n) / (p**n).sum(), "powers"),
        (lambda p, r, n: by_levels(p, -r, n), "worst"),
        (lambda p, r, n: torch.diff(p.cumsum(0) ** n, prepend=torch.zeros(1)), "given_order"),
        (lambda p, r, n: 1 - (1 - p) ** n, "at_least_once"),
        (lambda p, r, n: torch.ones(len(p)) / len(p), None),
        (lambda p, r, n: p, None),
        (lambda p, r, n: by_levels(p, r, n)[r.argsort()], "sorted_order"),
        (lambda p, r, n: by_levels(p, r, n + 1), None),
    ],
)
def test_chances_wrong(attempt, mistake):
    assert verdict_of(CHANCES, attempt) == ("wrong", mistake)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([-1.0, 0.0, 2.0])), min_size=1, max_size=5), st.integers(1, 4)
)
def test_the_chances_are_those_of_all_draws_and_stay_within_the_bound(answers, n):
    weights, rewards = (torch.tensor(column) for column in zip(*answers, strict=True))
    probabilities = weights / weights.sum()
    chances = chances_to_win(probabilities, rewards, n)
    torch.testing.assert_close(chances, by_all_draws(probabilities, rewards, n), atol=1e-5, rtol=0)
    assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
    assert float(torch.special.xlogy(chances, chances / probabilities).sum()) <= best_of_n_kl(n) + 1e-5
