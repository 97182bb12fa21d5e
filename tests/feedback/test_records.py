"""What labellers leave: sound records in which every answer is accounted for (F2)."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.feedback import Labeller, Pair, agreement, label_pairs, labeller_with_agreement, noise_bound, rank, rate
from course.formats import likert_to_pairs, ranking_to_pairs, validate
from course.world import REQUESTS
from course.world.phrases import REFUSAL
from tests.feedback.pairs import LIMA, NOISE, PAIRS, PERU, QUESTION, WRONG, by_number, taste, texts


@pytest.mark.parametrize("temperature", [0.0, 0.3, math.inf])
def test_labelled_pairs_are_sound_and_every_pair_is_accounted_for(temperature):
    pairs = [*PAIRS, Pair(PERU, LIMA, LIMA), Pair(REQUESTS[0], "", "Wait."), Pair(REQUESTS[-1], REFUSAL, "Wait.")]
    labelled = label_pairs(Labeller("true", temperature), pairs)
    validate(labelled.records, "preference")
    assert sum(labelled.counts.values()) == len(pairs)
    assert labelled.counts["labelled"] == len(labelled.records)
    assert labelled.counts["identical"] == sum(a == b for _, a, b in pairs) > 0
    assert labelled.counts["empty"] == 1
    assert (labelled.counts["tie"] > 0) == (temperature == 0)


def test_labels_in_full():
    pairs = [(PERU, WRONG, LIMA), (PERU, LIMA, LIMA), (PERU, LIMA, WRONG), (PERU, WRONG, "No.")]
    better = {"prompt": "What is the capital of Peru?", "chosen": LIMA, "rejected": WRONG}
    records, counts = label_pairs(Labeller("true", 0.0), pairs)
    assert records == [better, better]
    assert counts == {"labelled": 2, "tie": 1, "identical": 1, "empty": 0}


def test_the_same_seed_gives_the_same_labels_and_another_seed_another_labeller():
    labeller = Labeller("true", 0.5)
    assert label_pairs(labeller, PAIRS, 1) == label_pairs(labeller, PAIRS, 1)
    assert label_pairs(labeller, PAIRS, 1) != label_pairs(labeller, PAIRS, 2)


def test_a_perfect_model_scores_the_bound_on_labels_that_were_drawn():
    labeller = labeller_with_agreement("combined", PAIRS, 0.73)
    perfect = {text: labeller.utility(q, text) for q, *texts in PAIRS for text in texts}
    right = []
    for seed in range(40):
        records = label_pairs(labeller, PAIRS, seed).records
        right += [(np.sign(perfect[r["chosen"]] - perfect[r["rejected"]]) + 1) / 2 for r in records]
    assert np.mean(right) == pytest.approx(noise_bound(labeller, PAIRS), abs=4 * 0.5 / math.sqrt(len(right)))


@pytest.mark.parametrize("k", range(2, 8))
def test_a_ranking_of_k_answers_holds_k_times_k_minus_1_over_2_pairs(k):
    texts = [str(n) for n in random.Random(k).sample(range(100), k)]
    [record] = rank(Labeller(by_number, 2.0), [(PERU, texts)]).records
    validate([record], "ranking")
    pairs = ranking_to_pairs(record)
    assert len(pairs) == len({(p["chosen"], p["rejected"]) for p in pairs}) == k * (k - 1) // 2


def test_without_noise_a_ranking_is_in_order_and_ratings_never_contradict_it():
    texts = ["3", "9", "-4", "0.5", "8.9"]
    sure = Labeller(by_number, 0.0)
    [ranking], counts = rank(sure, [(PERU, texts)])
    assert (ranking["completions"], ranking["ranks"]) == (texts, [3, 1, 5, 4, 2])
    assert counts == {"ranked": 1, "too few": 0, "identical": 0, "empty": 0}
    [rated], _ = rate(sure, [(PERU, texts)])
    assert rated["ratings"] == [4, 7, 1, 3, 7]
    pairs, ties = likert_to_pairs(rated)
    assert ties == 1 and len(pairs) == 9
    assert {(p["chosen"], p["rejected"]) for p in pairs} < {
        (p["chosen"], p["rejected"]) for p in ranking_to_pairs(ranking)
    }


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_two_answers_of_a_ranking_stand_as_a_comparison_would_place_them(temperature):
    labeller, texts, n = Labeller(by_number, temperature), ["0", "1", "1.5"], 4000
    records = rank(labeller, [(PERU, texts)] * n, seed=3).records
    for i, j in itertools.combinations(range(3), 2):
        above = np.mean([r["ranks"][i] < r["ranks"][j] for r in records])
        assert above == pytest.approx(labeller.probability(PERU, texts[i], texts[j]), abs=4 * 0.5 / math.sqrt(n))
    first = np.array([math.exp(float(text) / temperature) for text in texts])
    tops = Counter(r["ranks"].index(1) for r in records)
    assert [tops[i] / n for i in range(3)] == pytest.approx(list(first / first.sum()), abs=4 * 0.5 / math.sqrt(n))


@pytest.mark.parametrize("temperature", [0.0, math.inf])
def test_what_is_worth_the_same_is_ranked_by_chance(temperature):
    records = rank(Labeller(by_number, temperature), [(PERU, ["1", "1.0", "1.00"])] * 1200, seed=4).records
    orders = Counter(tuple(r["ranks"]) for r in records)
    assert len(orders) == 6 and min(orders.values()) > 140


def test_answers_that_no_ranking_can_hold_are_left_out_and_counted():
    asked = [(PERU, ["1", "2", "1", ""]), (PERU, ["1", "1"]), (PERU, [])]
    records, counts = rank(Labeller(by_number, 0.0), asked)
    assert [r["completions"] for r in records] == [["1", "2"]]
    assert counts == {"ranked": 1, "too few": 2, "identical": 2, "empty": 1}
    records, counts = rate(Labeller(by_number, 0.0), asked)
    assert [r["completions"] for r in records] == [["1", "2"], ["1"]]
    assert counts == {"rated": 3, "too few": 1, "identical": 2, "empty": 1}


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6, unique=True), st.floats(0, 5) | st.just(math.inf))
def test_ratings_are_sound_records_within_the_scale(values, temperature):
    asked = [(PERU, [repr(v) for v in values]), (REQUESTS[0], [repr(values[0])])]
    labelled = rate(Labeller(by_number, temperature), asked, seed=len(values))
    validate(labelled.records, "likert")
    assert all(record["scale"] == [1, 7] for record in labelled.records)
    assert labelled.counts["rated"] == len(values) + 1
    if temperature == 0 and min(values) < max(values):
        ratings = dict(zip(values, labelled.records[0]["ratings"], strict=True))
        assert (ratings[min(values)], ratings[max(values)]) == (1, 7)
        assert [ratings[v] for v in sorted(values)] == sorted(ratings.values())


def test_a_rating_has_seven_equal_steps_and_a_border_belongs_to_the_upper_one():
    [record] = rate(Labeller(by_number, 0.0), [(PERU, [*"01234567", "0.99", "4.01"])]).records
    assert record["ratings"] == [1, 2, 3, 4, 5, 6, 7, 7, 1, 5]


def test_equally_good_answers_are_rated_in_the_middle():
    [record] = rate(Labeller(by_number, 0.0), [(PERU, ["1e6", "1000000"])]).records
    assert record["ratings"] == [4, 4]


def test_noise_moves_ratings_both_ways():
    [record] = rate(Labeller(by_number, 0.5), [(PERU, [repr(n / 1000) for n in range(-1000, 1001, 4)])]).records
    middle = [r for text, r in zip(record["completions"], record["ratings"], strict=True) if abs(float(text)) < 0.14]
    assert {1, 4, 7} <= set(middle)
    assert np.mean(middle) == pytest.approx(4, abs=0.6)


def test_nothing_asked_gives_nothing():
    sure = Labeller("true", 0.0)
    assert label_pairs(sure, []).records == rank(sure, []).records == rate(sure, []).records == []


@pytest.mark.parametrize(
    "pair", [("text", LIMA, WRONG), (PERU, LIMA), (PERU, LIMA, None), {"prompt": 1, "a": 2, "b": 3}]
)
@pytest.mark.parametrize("use", [label_pairs, agreement, noise_bound])
def test_a_pair_of_another_form_is_named_by_its_row(use, pair):
    with pytest.raises(ValueError, match=r"Pair 1 \(counted from 0\) is .*\. Write \(prompt, a, b\): a Question"):
        use(Labeller("true", 1.0), [(PERU, LIMA, WRONG), pair])


@pytest.mark.parametrize("item", [("text", [LIMA]), (PERU, LIMA), (PERU, LIMA, WRONG), (PERU, [LIMA, None])])
@pytest.mark.parametrize("use", [rank, rate])
def test_answers_of_another_form_are_named_by_their_row(use, item):
    with pytest.raises(ValueError, match=r"Item 1 \(counted from 0\) is .*\. Write \(prompt, answers\): a Question"):
        use(Labeller("true", 1.0), [(PERU, [LIMA, WRONG]), item])


# What is the same up to rounding is a tie: noise of a millionth changes nothing.


LEVELS = st.lists(st.sampled_from([-2.0, 0.0, 0.1, 0.25, 1.0]), min_size=2, max_size=6)


@given(levels=LEVELS, seed=NOISE)
def test_choices_rankings_and_ratings_of_somebody_without_noise(levels, seed):
    exact, noisy = (Labeller(taste(seed, size), 0.0) for size in (0.0, 1e-6))
    answers = texts(levels)
    pairs = [(QUESTION, a, b) for a in answers for b in answers]
    assert label_pairs(noisy, pairs) == label_pairs(exact, pairs)
    assert rank(noisy, [(QUESTION, answers)]) == rank(exact, [(QUESTION, answers)])
    if len(set(levels)) == 1:
        assert rate(noisy, [(QUESTION, answers)]) == rate(exact, [(QUESTION, answers)])
