"""Simulated labellers: exact probabilities against many draws, and bounds that hold (F1, F2)."""

import itertools
import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.feedback import Labeller, Pair, agreement, label_pairs, labeller_with_agreement, noise_bound
from tests.conftest import ROOT
from tests.feedback.pairs import NOISE, PAIRS, PERU, QUESTION, by_number, taste, texts


def numbered(differences):
    """Pairs with the given differences of utility; "1.0" and "1" are worth the same and are not the same text."""
    return [Pair(PERU, str(i + d), str(i)) for i, d in enumerate(differences)]


differences = st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=1, max_size=6)


temperatures = st.floats(0.05, 20)


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


def test_importing_takes_no_torch_with_it():
    program = "import sys, course.feedback; print(sorted(sys.modules.keys() & {'torch', 'transformers', 'plotly'}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


# What is the same up to rounding is a tie: noise of a millionth changes nothing.


@given(seed=NOISE)
def test_pairs_that_are_worth_the_same_put_the_same_limit_to_an_agreement(seed):
    answers = texts([0.0, 0.0, 1.0])
    pairs = [(QUESTION, a, b) for i, a in enumerate(answers) for b in answers[i + 1 :]]
    exact, noisy = (labeller_with_agreement(taste(seed, size), pairs, 0.8) for size in (0.0, 1e-6))
    assert abs(noisy.temperature / exact.temperature - 1) < 1e-3
