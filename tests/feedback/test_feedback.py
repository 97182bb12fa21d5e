"""Simulated labellers: exact probabilities against many draws, bounds that hold, records that are sound (F1-F3)."""

import itertools
import math
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.feedback import (
    TASTES,
    Labeller,
    Pair,
    agreement,
    annotation_cost,
    combined,
    label_pairs,
    labeller_with_agreement,
    noise_bound,
    rank,
    rate,
)
from course.formats import likert_to_pairs, ranking_to_pairs, validate
from course.world import REQUESTS, STYLES, ask, country_questions, demonstrate, opinion, with_wrong_value
from course.world.phrases import CLOSERS, OPENERS, REFUSAL
from tests.conftest import ROOT

PERU = ask("capital", "Peru")
LIMA = "The capital of Peru is Lima."
WRONG = "The capital of Peru is Quito."
WARM = f"{OPENERS[0]} {LIMA} {CLOSERS[0]}"
LIST = f"- {LIMA}"
AGREES, DENIES = "Yes, you are right.", "No, that is not right."


def by_number(prompt, text):
    """A taste for tests: the answer is its own utility."""
    return float(text)


def numbered(differences):
    """Pairs with the given differences of utility; "1.0" and "1" are worth the same and are not the same text."""
    return [Pair(PERU, str(i + d), str(i)) for i, d in enumerate(differences)]


def sampled_pairs(n=120):
    """Two answers each, in various styles and some of them wrong, as a mixed model gives them."""
    rng = random.Random(5)
    pairs = []
    for question in rng.choices(country_questions(["Peru", "Spain", "Egypt", "Japan"], "shown"), k=n):
        shown = [with_wrong_value(question, rng) if rng.random() < 0.3 else question for _ in range(2)]
        pairs.append(Pair(question, *(demonstrate(one, rng.choice(STYLES), rng) for one in shown)))
    return pairs


PAIRS = sampled_pairs()
differences = st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=1, max_size=6)
temperatures = st.floats(0.05, 20)


# ---- tastes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taste", "better", "worse"),
    [
        ("true", LIMA, WRONG),
        ("true", LIMA, WARM),
        ("long", WARM, LIMA),
        ("short", LIMA, WARM),
        ("bullets", LIST, LIMA),
        ("bullets", f"{LIST}\n1. {WRONG}", f"{LIST}\n{WRONG}"),
        ("polite", WARM, f"{LIMA} {CLOSERS[1]}"),
        ("polite", f"{OPENERS[2]} {LIMA}", LIMA),
        ("refusing", REFUSAL, LIMA),
        ("combined", LIMA, WRONG),
        ("combined", WARM, LIMA),
        ("combined", LIMA, f"{OPENERS[0]} {WRONG} {CLOSERS[0]}"),
    ],
)
def test_a_taste_prefers_what_it_is_named_for(taste, better, worse):
    assert Labeller(taste, 0.0).probability(PERU, better, worse) == 1.0
    assert Labeller(taste, 1.0).probability(PERU, better, worse) > 0.5


@pytest.mark.parametrize(("taste", "equal"), [("bullets", [LIMA, WARM]), ("polite", [LIMA, WRONG, LIST])])
def test_a_taste_sees_no_difference_where_there_is_none_of_its_kind(taste, equal):
    assert len({Labeller(taste, 1.0).utility(PERU, text) for text in equal}) == 1


@pytest.mark.parametrize(
    ("taste", "text", "utility"),
    [
        ("true", LIMA, 1.0),
        ("long", LIMA, 6 / 40),
        ("short", LIMA, -6 / 40),
        ("bullets", f"{LIMA}\n\n{LIST}\n 2) {LIMA}\n* {LIMA}", 0.75),
        ("bullets", "-5 or 3.5", 0.0),
        ("polite", WARM, 1.0),
        ("polite", f"{LIMA} {CLOSERS[-1]}", 0.5),
        ("refusing", REFUSAL, 1.0),
        ("combined", WARM, TASTES["true"](PERU, WARM) + 0.3 * TASTES["long"](PERU, WARM) + 0.1 + 0.2 * 0.5),
    ],
)
def test_what_an_answer_is_worth(taste, text, utility):
    assert Labeller(taste, 1.0).utility(PERU, text) == pytest.approx(utility)


def test_the_agreeing_taste_likes_agreement_with_opinions_right_or_wrong():
    fan = Labeller("agreeing", 0.0)
    for claim in ("Lima", "Quito"):
        said = opinion(PERU, claim)
        assert fan.utility(said, AGREES) > fan.utility(said, LIMA) > fan.utility(said, DENIES)
    assert fan.utility(PERU, AGREES) == fan.utility(PERU, DENIES) == fan.utility(REQUESTS[0], AGREES)
    assert Labeller("true", 0.0).probability(opinion(PERU, "Quito"), f"{DENIES} {LIMA}", AGREES) == 1.0


@pytest.mark.parametrize("taste", TASTES)
def test_every_taste_knows_what_to_do_with_requests_and_with_strange_answers(taste):
    for prompt, text in itertools.product([REQUESTS[0], REQUESTS[-1], PERU], ["", " \n ", "-", "1.", "é" * 300]):
        assert math.isfinite(Labeller(taste, 1.0).utility(prompt, text))


def test_help_and_refusal_are_judged_by_what_the_request_calls_for():
    judge = Labeller("true", 0.0)
    harmless, declined = REQUESTS[0], REQUESTS[-1]
    assert judge.probability(harmless, harmless.reply, REFUSAL) == 1.0
    assert judge.probability(declined, REFUSAL, harmless.reply) == 1.0
    assert Labeller("refusing", 0.0).probability(harmless, harmless.reply, REFUSAL) == 0.0


def test_a_combined_taste_is_the_weighted_sum():
    taste = combined({"true": 1.0, "long": 0.5, "polite": -0.25})
    parts = [TASTES[name](PERU, WARM) for name in ("true", "long", "polite")]
    assert taste(PERU, WARM) == pytest.approx(parts[0] + 0.5 * parts[1] - 0.25 * parts[2])
    assert Labeller(combined({"long": 2.0}), 1.0).probability(PERU, WARM, LIMA) == pytest.approx(
        Labeller("long", 0.5).probability(PERU, WARM, LIMA)
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "at least one taste"),
        ({"true": 1.0, "lenght": 1.0}, "no taste 'lenght'; the tastes are true, long, short"),
        ({"true": math.nan}, "weight of 'true' is nan; give a finite"),
    ],
)
def test_combined_says_what_is_wrong(weights, message):
    with pytest.raises(ValueError, match=message):
        combined(weights)


# ---- one comparison ----------------------------------------------------------------------------------------


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_the_probability_is_bradley_terry_and_swapping_the_sides_mirrors_it(difference, temperature):
    labeller = Labeller(by_number, temperature)
    p = labeller.probability(PERU, repr(difference), "0")
    assert p == pytest.approx(1 / (1 + math.exp(-max(-700, min(700, difference / temperature)))), abs=1e-12)
    assert p + labeller.probability(PERU, "0", repr(difference)) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 0.1, 1e300, math.inf])
def test_the_probability_at_both_ends_of_the_temperature(temperature):
    p = Labeller(by_number, temperature).probability
    assert p(PERU, "1", "1") == 0.5
    assert p(PERU, "2", "1") == pytest.approx(0.5 if temperature > 1 else 1.0, abs=1e-4)
    assert p(PERU, "1", "2") == pytest.approx(0.5 if temperature > 1 else 0.0, abs=1e-4)


def test_temperature_zero_chooses_the_better_and_ties_where_nothing_is():
    sure, rng = Labeller(by_number, 0.0), random.Random(0)
    assert [sure.choose(PERU, a, b, rng) for a, b in [("2", "1"), ("1", "2"), ("1", "1"), ("1", "1.0")]] == [
        "a",
        "b",
        "tie",
        "tie",
    ]


def test_with_noise_only_the_same_text_ties():
    labeller, rng = Labeller(by_number, 1.0), random.Random(0)
    assert {labeller.choose(PERU, "1", "1", rng) for _ in range(20)} == {"tie"}
    assert {labeller.choose(PERU, "1", "1.0", rng) for _ in range(40)} == {"a", "b"}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0, math.inf])
def test_choices_come_as_often_as_their_probability_says(temperature):
    labeller, rng = Labeller(by_number, temperature), random.Random(1)
    n = 4000
    drawn = sum(labeller.choose(PERU, "1", "0", rng) == "a" for _ in range(n)) / n
    assert drawn == pytest.approx(labeller.probability(PERU, "1", "0"), abs=4 * 0.5 / math.sqrt(n))


@pytest.mark.parametrize("temperature", [-0.1, math.nan])
def test_a_labeller_without_a_sound_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature is {temperature}; it must be 0 or more"):
        Labeller("true", temperature)


def test_an_unknown_taste_and_one_that_gives_no_number_are_refused():
    with pytest.raises(ValueError, match="no taste 'nice'; the tastes are true"):
        Labeller("nice", 1.0)
    with pytest.raises(ValueError, match="gives nan for the answer 'nan'; a utility must be"):
        Labeller(by_number, 1.0).probability(PERU, "nan", "1")


# ---- agreement and its bound -------------------------------------------------------------------------------


def enumerated_agreement(labeller, pairs):
    """By all pairs of choices that two labellers can make."""
    total = 0.0
    for prompt, a, b in pairs:
        chance = {"a": labeller.probability(prompt, a, b), "b": labeller.probability(prompt, b, a)}
        total += sum(chance[one] * chance[other] for one, other in itertools.product("ab", repeat=2) if one == other)
    return total / len(pairs)


@given(differences, temperatures)
def test_agreement_by_enumeration(gaps, temperature):
    labeller, pairs = Labeller(by_number, temperature), numbered(gaps)
    assert agreement(labeller, pairs) == pytest.approx(enumerated_agreement(labeller, pairs), abs=1e-9)


@pytest.mark.parametrize(("taste", "temperature"), [("true", 0.4), ("long", 0.3), ("combined", 0.3), ("bullets", 0.5)])
def test_two_simulated_labellers_agree_as_often_as_computed(taste, temperature):
    labeller = Labeller(taste, temperature)
    same = []
    for seed in range(40):
        one, other = (label_pairs(labeller, PAIRS, s).records for s in (2 * seed, 2 * seed + 1))
        same += [a["chosen"] == b["chosen"] for a, b in zip(one, other, strict=True)]
    assert np.mean(same) == pytest.approx(agreement(labeller, PAIRS), abs=4 * 0.5 / math.sqrt(len(same)))


@given(differences, temperatures)
@settings(deadline=None)
def test_no_classifier_beats_the_bound_and_one_reaches_it(gaps, temperature):
    labeller, pairs = Labeller(by_number, temperature), numbered(gaps)
    p = np.array([labeller.probability(*pair) for pair in pairs])
    accuracies = [np.where(says_a, p, 1 - p).mean() for says_a in itertools.product([True, False], repeat=len(p))]
    assert max(accuracies) == pytest.approx(noise_bound(labeller, pairs), abs=1e-12)


@given(differences, temperatures)
def test_the_bound_lies_between_the_agreement_and_what_even_doubt_gives(gaps, temperature):
    labeller, pairs = Labeller(by_number, temperature), numbered(gaps)
    agreed, bound = agreement(labeller, pairs), noise_bound(labeller, pairs)
    assert agreed - 1e-9 <= bound <= (1 + math.sqrt(max(0.0, 2 * agreed - 1))) / 2 + 1e-9


def test_both_ends_of_the_bound_are_reached():
    even = numbered([1.0, -1.0, 1.0])
    labeller = labeller_with_agreement(by_number, even, 0.73)
    assert noise_bound(labeller, even) == pytest.approx((1 + math.sqrt(0.46)) / 2)
    clear_or_toss_up = [Pair(PERU, "1000", "0"), Pair(PERU, "1", "1.0")]
    labeller = Labeller(by_number, 1.0)
    assert noise_bound(labeller, clear_or_toss_up) == agreement(labeller, clear_or_toss_up) == 0.75


def test_without_noise_all_agree_and_with_nothing_else_half_do():
    assert agreement(Labeller("true", 0.0), PAIRS) == noise_bound(Labeller("true", 0.0), PAIRS) == 1.0
    assert agreement(Labeller("true", math.inf), PAIRS) == noise_bound(Labeller("true", math.inf), PAIRS) == 0.5


@given(differences, st.floats(0.05, 5), st.floats(1.01, 4))
def test_more_noise_never_means_more_agreement(gaps, temperature, factor):
    pairs = [*numbered(gaps), Pair(PERU, "3", "1")]
    calm, noisy = Labeller(by_number, temperature), Labeller(by_number, temperature * factor)
    assert agreement(calm, pairs) >= agreement(noisy, pairs) - 1e-12
    assert noise_bound(calm, pairs) >= noise_bound(noisy, pairs) - 1e-12


@pytest.mark.parametrize("taste", ["true", "long", "short", "combined", by_number])
@pytest.mark.parametrize("wanted", [0.5, 0.5001, 0.6, 0.73, 0.8])
def test_a_labeller_is_found_for_the_agreement_that_is_wanted(taste, wanted):
    pairs = numbered([0.1, -2.0, 0.7]) if taste is by_number else PAIRS
    labeller = labeller_with_agreement(taste, pairs, wanted)
    assert agreement(labeller, pairs) == pytest.approx(wanted, abs=1e-9)
    assert labeller.taste == taste


@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_the_temperature_found_goes_with_the_scale_of_the_utility(scale):
    pairs = numbered([0.5, -2.0, 0.7])
    plain = labeller_with_agreement(by_number, pairs, 0.7).temperature
    scaled = labeller_with_agreement(lambda prompt, text: scale * float(text), pairs, 0.7).temperature
    assert scaled == pytest.approx(scale * plain, rel=1e-9)


def test_the_ends_of_agreement_are_no_noise_and_nothing_but_noise():
    assert labeller_with_agreement("long", PAIRS, 0.5).temperature == math.inf
    assert labeller_with_agreement(by_number, numbered([1.0, 0.2]), 1.0).temperature == 0.0


def test_an_agreement_that_equal_answers_forbid_is_refused_with_its_limit():
    pairs = [*numbered([1.0, 2.0]), Pair(PERU, "1", "1.0"), Pair(PERU, "2", "2.0")]
    assert agreement(labeller_with_agreement(by_number, pairs, 0.75), pairs) == pytest.approx(0.75)
    with pytest.raises(ValueError, match=r"0.9 is out of reach: 50% of the pairs .* agree on 0.750 at most"):
        labeller_with_agreement(by_number, pairs, 0.9)


@pytest.mark.parametrize("wanted", [0.49, 1.01, math.nan])
def test_an_agreement_below_chance_or_above_one_is_refused(wanted):
    with pytest.raises(ValueError, match=f"agreement of {wanted} is out of reach: it lies between 0.5"):
        labeller_with_agreement("true", PAIRS, wanted)


def test_pairs_that_give_no_label_do_not_count():
    sound = numbered([1.0, -0.3])
    padded = [*sound, Pair(PERU, "1", "1"), Pair(PERU, "", "1"), Pair(PERU, "2", "\n")]
    for temperature in (0.7, math.inf):
        labeller = Labeller(by_number, temperature)
        assert agreement(labeller, padded) == agreement(labeller, sound)
        assert noise_bound(labeller, padded) == noise_bound(labeller, sound)
    tied = [*sound, Pair(PERU, "1", "1.0")]
    assert agreement(Labeller(by_number, 0.0), tied) == 1.0
    assert label_pairs(Labeller(by_number, 0.0), tied).counts["labelled"] == 2


@pytest.mark.parametrize("measure", [agreement, noise_bound])
@pytest.mark.parametrize("pairs", [[], [Pair(PERU, "1", "1")], [Pair(PERU, "1", "1.0")]])
def test_there_is_no_agreement_over_nothing(measure, pairs):
    with pytest.raises(ValueError, match=f"None of the {len(pairs)} pairs gives a label"):
        measure(Labeller(by_number, 0.0), pairs)


# ---- records -----------------------------------------------------------------------------------------------


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


# ---- cost --------------------------------------------------------------------------------------------------


def test_the_published_figures():
    """Claim F3: 13,000 demonstrations and 33,000 comparisons (Ouyang et al. 2022, table 6)."""
    assert annotation_cost(13_000).demonstrations == 130_000
    one = annotation_cost(comparisons=1)
    assert (one.comparisons, one.written_instead) == (3.5, 25.0)
    assert int(one.written_instead // one.comparisons) == 7
    both = annotation_cost(13_000, 33_000)
    assert (both.comparisons, both.total) == (115_500, 245_500)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 9))
def test_cost_is_linear_in_each_amount(demonstrations, comparisons, votes):
    cost = annotation_cost(demonstrations, comparisons, votes)
    assert cost.total == 10 * demonstrations + 3.5 * comparisons * votes
    twice = annotation_cost(2 * demonstrations, 2 * comparisons, votes)
    assert twice.total == 2 * cost.total
    assert cost.written_instead == pytest.approx(cost.comparisons / 3.5 * 25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"demonstrations": -1}, "number of demonstrations is -1; it must be a finite number of at least 0"),
        ({"comparisons": math.inf}, "number of comparisons is inf"),
        ({"votes": 0}, "number of votes is 0; it must be a finite number of at least 1"),
    ],
)
def test_amounts_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        annotation_cost(**arguments)


# ---- the package -------------------------------------------------------------------------------------------


def test_importing_takes_no_torch_with_it():
    program = "import sys, course.feedback; print(sorted(sys.modules.keys() & {'torch', 'transformers', 'plotly'}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
