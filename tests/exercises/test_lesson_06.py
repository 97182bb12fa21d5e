"""Exercises of lesson 06: many right ways to write them, and wrong ones with the hint that fits."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.exercises.lesson_06 import clicks_to_records, label_noise, ranking_to_records, ratings_to_pairs
from course.feedback import Labeller, Pair, agreement, noise_bound
from course.formats import likert_to_pairs, ranking_to_pairs, validate
from course.study.grading import grade
from course.world import ask
from tests.exercises.verdicts import verdict_of

RANKING, NOISE, RATINGS, CLICKS = (
    EXERCISES[f"06-{name}"] for name in ("ranking-records", "label-noise", "ratings-to-pairs", "clicks")
)
NAMES = ["ann", "bob", "cat", "dan", "eve"]


# ---- rankings ----------------------------------------------------------------------------------------------


def by_places(prompt, answers, ranks):
    at = dict(zip(ranks, answers, strict=True))
    k = len(answers)
    return [{"rejected": at[j], "chosen": at[i], "prompt": prompt} for i in range(1, k) for j in range(i + 1, k + 1)]


def by_sorting_all_pairs(prompt, answers, ranks):
    pairs = [(ra, rb, a, b) for ra, a in zip(ranks, answers, strict=True) for rb, b in zip(ranks, answers, strict=True)]
    return ({"prompt": prompt, "chosen": a, "rejected": b} for ra, rb, a, b in sorted(pairs) if ra < rb)


@pytest.mark.parametrize(
    "attempt",
    [
        by_places,
        by_sorting_all_pairs,
        lambda prompt, answers, ranks: ranking_to_pairs({"prompt": prompt, "completions": answers, "ranks": ranks}),
    ],
)
def test_ranking_right(attempt):
    verdict = grade(RANKING, attempt)
    assert verdict.kind == "right"
    assert not verdict.note


def as_listed(prompt, answers, ranks):
    return [
        {"prompt": prompt, "chosen": answers[i], "rejected": answers[j]}
        for i, j in itertools.permutations(range(len(answers)), 2)
        if ranks[i] < ranks[j]
    ]


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (as_listed, "other_order"),
        (lambda prompt, answers, ranks: by_places(prompt, answers, ranks)[::-1], "other_order"),
        (lambda prompt, answers, ranks: by_places(prompt, answers, range(1, len(ranks) + 1)), "listed_order"),
        (lambda prompt, answers, ranks: by_places(prompt, answers, [len(ranks) + 1 - r for r in ranks]), "upside_down"),
        (lambda prompt, answers, ranks: [{**r, "prompt": ""} for r in by_places(prompt, answers, ranks)], None),
        (
            lambda prompt, answers, ranks: [r for r in by_places(prompt, answers, ranks)][: len(ranks) - 1],
            "winner_only",
        ),
        (lambda prompt, answers, ranks: [tuple(r.values()) for r in by_places(prompt, answers, ranks)], None),
        (lambda prompt, answers, ranks: [*by_places(prompt, answers, ranks)] * 2, None),
    ],
)
def test_ranking_wrong(attempt, mistake):
    assert verdict_of(RANKING, attempt) == ("wrong", mistake)


@given(st.integers(2, 5).flatmap(lambda k: st.permutations(range(1, k + 1))))
def test_a_ranking_becomes_sound_records_as_the_library_makes_them(ranks):
    answers = NAMES[: len(ranks)]
    records = ranking_to_records("q", answers, ranks)
    validate(records, "preference")
    assert records == ranking_to_pairs({"prompt": "q", "completions": answers, "ranks": list(ranks)})
    assert len(records) == len(ranks) * (len(ranks) - 1) // 2


# ---- noise -------------------------------------------------------------------------------------------------


def in_numpy(utilities, temperature):
    a, b = np.array(utilities).T
    p = 1 / (1 + np.exp((b - a) / temperature))
    return np.array([(1 - 2 * p * (1 - p)).mean(), (0.5 + abs(p - 0.5)).mean()])


def by_worths(utilities, temperature):
    agree, right = [], []
    for u_a, u_b in utilities:
        one, other = math.exp(u_a / temperature), math.exp(u_b / temperature)
        shares = one / (one + other), other / (one + other)
        agree.append(sum(share**2 for share in shares))
        right.append(max(shares))
    return [sum(agree) / len(agree), sum(right) / len(right)]


@pytest.mark.parametrize("attempt", [in_numpy, by_worths])
def test_noise_right(attempt):
    assert grade(NOISE, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda u, t: in_numpy(u, t)[::-1], "swapped"),
        (lambda u, t: in_numpy(u, t) * [-1, 1] + [1, 0], "disagreement"),
        (lambda u, t: in_numpy(u, t)[[1, 1]], "model_for_agreement"),
        (lambda u, t: in_numpy(u, 1 / t), "temperature_multiplied"),
        (lambda u, t: in_numpy(u, 1), "temperature_forgotten"),
        (lambda u, t: in_numpy(u[:1], t), None),
        (lambda u, t: in_numpy(u, t) * len(u), None),
        (lambda u, t: 100 * in_numpy(u, t), None),
        (lambda u, t: in_numpy(u, t)[0], None),
        (lambda u, t: in_numpy(u, t).round(2), None),
    ],
)
def test_noise_wrong(attempt, mistake):
    assert verdict_of(NOISE, attempt) == ("wrong", mistake)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=6), st.floats(0.1, 5))
def test_noise_is_what_the_simulated_labellers_have(utilities, temperature):
    labeller = Labeller(lambda prompt, text: float(text.split()[1]), temperature)
    pairs = [Pair(ask("capital", "Peru"), f"a {a!r}", f"b {b!r}") for a, b in utilities]
    expected = agreement(labeller, pairs), noise_bound(labeller, pairs)
    assert label_noise(utilities, temperature) == pytest.approx(expected, abs=1e-9)


# ---- ratings -----------------------------------------------------------------------------------------------


def by_comparison(answers, ratings):
    couples = [
        (points[i] - points[j], answers[i], answers[j])
        for points in ratings
        for i, j in itertools.combinations(range(len(answers)), 2)
    ]
    pairs = [(a, b) if gap > 0 else (b, a) for gap, a, b in couples if gap]
    return [sorted(pairs), len(couples) - len(pairs)]


def by_permutations(answers, ratings):
    pairs, ties = [], 0
    for points in ratings:
        for (p, a), (q, b) in itertools.permutations(zip(points, answers, strict=True), 2):
            pairs += [[a, b]] if p > q else []
            ties += p == q
    return sorted(pairs), ties // 2


def as_they_come(answers, ratings):
    pairs, ties = by_comparison(answers, ratings)
    return pairs[::-1], ties


@pytest.mark.parametrize("attempt", [by_comparison, by_permutations])
def test_ratings_right(attempt):
    assert grade(RATINGS, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (as_they_come, "unsorted"),
        (lambda answers, ratings: (by_comparison(answers, ratings)[0], 0), "ties_not_counted"),
        (lambda answers, ratings: by_comparison(answers, [np.mean(ratings, axis=0)]), "averaged"),
        (lambda answers, ratings: by_comparison(answers, [np.median(ratings, axis=0)]), None),
        (lambda answers, ratings: by_comparison(answers, ratings[-1:]), None),
        (lambda answers, ratings: by_comparison(answers, ratings)[0], None),
        (lambda answers, ratings: by_comparison(answers, ratings)[::-1], None),
        (lambda answers, ratings: 0, None),
    ],
)
def test_ratings_wrong(attempt, mistake):
    assert verdict_of(RATINGS, attempt) == ("wrong", mistake)


@given(st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=3), min_size=1, max_size=4), st.data())
def test_ratings_become_pairs_as_the_library_makes_them_and_strictness_changes_nothing(ratings, data):
    answers = NAMES[:3]
    pairs, ties = ratings_to_pairs(answers, ratings)
    made = [likert_to_pairs({"prompt": "q", "completions": answers, "ratings": row}) for row in ratings]
    assert pairs == sorted((r["chosen"], r["rejected"]) for records, _ in made for r in records)
    assert ties == sum(tied for _, tied in made)
    shifts = data.draw(st.lists(st.integers(-3, 3), min_size=len(ratings), max_size=len(ratings)))
    shifted = [[points + shift for points in row] for row, shift in zip(ratings, shifts, strict=True)]
    assert ratings_to_pairs(answers, shifted) == (pairs, ties)


# ---- clicks ------------------------------------------------------------------------------------------------


def by_index(clicks):
    made = []
    for prompt, a, b, swapped, key in clicks:
        if key.isdigit():
            shown = [a, b][:: -1 if swapped else 1]
            won = int(key) - 1
            made.append({"prompt": prompt, "chosen": shown[won], "rejected": shown[1 - won]})
    return made


def by_parity(clicks):
    choices = [(c, (c[3] + (c[4] == "2")) % 2) for c in clicks if c[4] not in ("t", "s")]
    return [{"prompt": c[0], "chosen": c[1 + odd], "rejected": c[2 - odd]} for c, odd in choices]


@pytest.mark.parametrize("attempt", [by_index, by_parity])
def test_clicks_right(attempt):
    assert grade(CLICKS, attempt).kind == "right"


def right_unless_one(clicks):
    made = []
    for prompt, a, b, swapped, key in clicks:
        left, right = (b, a) if swapped else (a, b)
        better, worse = (left, right) if key == "1" else (right, left)
        made.append({"prompt": prompt, "chosen": better, "rejected": worse})
    return made


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda clicks: by_index([(p, a, b, False, key) for p, a, b, _, key in clicks]), "swap_ignored"),
        (lambda clicks: by_index([(p, a, b, not swapped, key) for p, a, b, swapped, key in clicks]), "inverted"),
        (right_unless_one, "right_by_default"),
        (lambda clicks: right_unless_one([c for c in clicks if c[4] != "s"]), "ties_kept"),
        (lambda clicks: right_unless_one([c for c in clicks if c[4] != "t"]), "skips_kept"),
        (lambda clicks: by_index([c for c in clicks if c[4] == "1"]), "left_only"),
        (lambda clicks: by_index([c for c in clicks if not c[3]]), "swapped_dropped"),
        (lambda clicks: by_index(clicks)[::-1], None),
        (lambda clicks: [{"chosen": r["chosen"], "rejected": r["rejected"]} for r in by_index(clicks)], None),
        (lambda clicks: len(by_index(clicks)), None),
    ],
)
def test_clicks_wrong(attempt, mistake):
    assert verdict_of(CLICKS, attempt) == ("wrong", mistake)


@given(st.lists(st.tuples(st.sampled_from("pq"), st.just("x"), st.just("y"), st.booleans(), st.sampled_from("12ts"))))
def test_showing_a_pair_the_other_way_round_and_choosing_the_same_answer_gives_the_same_record(clicks):
    other = {"1": "2", "2": "1", "t": "t", "s": "s"}
    mirrored = [(p, a, b, not swapped, other[key]) for p, a, b, swapped, key in clicks]
    records = clicks_to_records(clicks)
    assert clicks_to_records(mirrored) == records
    assert len(records) == sum(key in "12" for *_, key in clicks)
