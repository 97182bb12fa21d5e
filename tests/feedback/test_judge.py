"""The judge's protocol without a model: what it is asked, what its two answers mean, and its biases."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.feedback.judge import (
    IN_FULL,
    SHORT,
    Judgement,
    agreement_with,
    follow_up,
    letter_of,
    pair_messages,
    position_bias,
    probability,
    single_messages,
    without_length,
    word_worth,
)
from tests.feedback.pairs import NOISE

ODDS = st.floats(-30, 30)
PLAIN = "Prefer the answer that is true."


# --- what it is asked -------------------------------------------------------------------------------------------------


def test_the_prompt_holds_everything_in_the_order_of_its_reading():
    (asked,) = pair_messages(PLAIN, "Where is Peru?", "In Asia.", "In America.", "It is in America.")
    assert asked == {
        "role": "user",
        "content": "Principle: Prefer the answer that is true.\nQuestion: Where is Peru?\n"
        "Reference: It is in America.\nA: In Asia.\nB: In America.\nJudge A and B.",
    }


def test_swapping_the_answers_changes_their_places_only():
    one, other = (pair_messages(PLAIN, "Q?", *two)[0]["content"] for two in (("x", "y"), ("y", "x")))
    assert one.replace("A: x\nB: y", "A: y\nB: x") == other


@pytest.mark.parametrize("protocol", [SHORT, IN_FULL])
def test_without_a_reference_there_is_no_line_for_it(protocol):
    for (asked,) in (
        pair_messages(PLAIN, "Q?", "x", "y", "", protocol),
        single_messages(PLAIN, "Q?", "x", "", protocol.one),
    ):
        assert "Reference" not in asked["content"]
        assert asked["content"].endswith((protocol.both, protocol.one))


def test_a_critique_is_asked_of_one_answer():
    (asked,) = single_messages(PLAIN, "Q?", "x", "r")
    assert "\nA: x\n" in asked["content"] and "\nB:" not in asked["content"]


def test_a_rewriting_is_asked_for_at_once():
    (asked,) = single_messages(PLAIN, "Q?", "x", "r", SHORT.again)
    assert asked["content"].endswith("\nA: x\nWrite A again.") and SHORT.one not in asked["content"]


def test_the_conversation_goes_on_with_what_the_judge_said():
    asked = pair_messages(PLAIN, "Q?", "x", "y")
    longer = follow_up(asked, "A is good. B is wrong.", SHORT.choice)
    assert [one["role"] for one in longer] == ["user", "assistant", "user"]
    assert longer[0] == asked[0] and longer[-1]["content"] == SHORT.choice and len(asked) == 1


@pytest.mark.parametrize(("principle", "a", "b", "named"), [(" ", "x", "y", "principle"), (PLAIN, "x", "", "answer B")])
def test_there_must_be_something_to_judge(principle, a, b, named):
    with pytest.raises(ValueError, match=f"The {named} is empty"):
        pair_messages(principle, "Q?", a, b)


def test_a_critique_needs_an_answer():
    with pytest.raises(ValueError, match="nothing to judge"):
        single_messages(PLAIN, "Q?", "  ")


# --- what it means ----------------------------------------------------------------------------------------------------


@given(ODDS, st.floats(-10, 10))
def test_a_lean_to_the_first_place_drops_out(belief, lean):
    one = Judgement(given=belief + lean, swapped=-belief + lean)
    assert one.log_odds == pytest.approx(belief, abs=1e-9) and one.lean == pytest.approx(lean, abs=1e-9)


@given(ODDS, ODDS)
def test_asked_about_the_swapped_pair_it_says_the_opposite(given_, swapped):
    one, other = Judgement(given_, swapped), Judgement(swapped, given_)
    assert one.log_odds == -other.log_odds and one.lean == other.lean and one.flips == other.flips


def test_a_judge_flips_where_its_lean_exceeds_its_belief():
    assert Judgement(1.5, 0.5).flips and Judgement(-0.2, -1.0).flips
    assert not Judgement(1.5, -0.5).flips
    assert position_bias([Judgement(1.0, 1.0), Judgement(2.0, -2.0), Judgement(-2.0, 2.0), Judgement(3, 1)]) == 0.5


@given(ODDS)
def test_the_soft_labels_of_a_pair_add_up_to_one(odds):
    assert probability(odds) + probability(-odds) == pytest.approx(1)
    assert probability(odds) == pytest.approx(1 / (1 + math.exp(-odds)))


def test_agreement_leaves_out_pairs_without_an_order_and_halves_the_judges_ties():
    assert agreement_with([1.0, -2.0, 0.0, 5.0], [0.5, 0.5, 1.0, 0.0]) == pytest.approx((1 + 0 + 0.5) / 3)


@given(st.lists(st.tuples(ODDS, st.sampled_from([-1.0, 1.0])), min_size=1, max_size=8))
def test_agreement_of_the_opposite_is_one_minus_it(rows):
    said, true = zip(*rows, strict=True)
    assert agreement_with(said, true) + agreement_with([-x for x in said], true) == pytest.approx(1)


@pytest.mark.parametrize(
    ("said", "true", "message"),
    [([1.0], [0.0], "no order to agree"), ([], [], "0 and 0 numbers"), ([1.0], [1.0, 2.0], "1 and 2 numbers")],
)
def test_agreement_says_what_is_missing(said, true, message):
    with pytest.raises(ValueError, match=message):
        agreement_with(said, true)


def test_position_bias_needs_a_judgement():
    with pytest.raises(ValueError, match="put at least one pair"):
        position_bias([])


# --- length -----------------------------------------------------------------------------------------------------------

ROWS = st.lists(st.tuples(ODDS, st.integers(-20, 20)), min_size=1, max_size=10).filter(lambda r: any(w for _, w in r))


@given(ROWS)
def test_the_worth_of_a_word_is_the_least_squares_slope(rows):
    said, words = map(np.array, zip(*rows, strict=True))
    slope, *_ = np.linalg.lstsq(words[:, None].astype(float), said.astype(float), rcond=None)
    assert word_worth(said, words) == pytest.approx(float(slope[0]), abs=1e-9)


@given(ROWS)
def test_nothing_is_left_of_it_once_taken_out(rows):
    said, words = zip(*rows, strict=True)
    left = without_length(said, words, word_worth(said, words))
    assert word_worth(left, words) == pytest.approx(0, abs=1e-6)


def test_a_judge_of_length_alone_is_left_with_nothing():
    words = [3, -2, 8]
    assert agreement_with([0.1 * w for w in words], words) == 1.0
    assert without_length([0.1 * w for w in words], words, 0.1) == pytest.approx([0, 0, 0])


def test_equal_lengths_tell_nothing():
    with pytest.raises(ValueError, match="equally long"):
        word_worth([1.0, 2.0], [0, 0])


@pytest.mark.parametrize(
    ("token", "letter"), [("A", "A"), (" B", "B"), ("\nA", "A"), ("(B", "B"), ("An", ""), ("C", "")]
)
def test_a_letter_is_a_letter_with_whatever_stands_before_it(token, letter):
    assert letter_of(token) == letter


# What is the same up to rounding is a tie: noise of a millionth changes nothing.


VERDICTS = st.lists(st.sampled_from([-1.5, 0.0, 0.2, 3.0]), min_size=1, max_size=8)


@given(given=VERDICTS, seed=NOISE, data=st.data())
def test_verdicts_of_a_judge(given, seed, data):
    swapped = data.draw(st.lists(st.sampled_from([-1.5, 0.0, 0.2]), min_size=len(given), max_size=len(given)))
    rng = random.Random(seed)

    def noisy(odds: list[float]) -> list[float]:
        return [one + rng.uniform(-1e-6, 1e-6) for one in odds]

    exact = [Judgement(*both) for both in zip(given, swapped, strict=True)]
    assert position_bias([Judgement(*both) for both in zip(noisy(given), noisy(swapped), strict=True)]) == (
        position_bias(exact)
    )
    worths = [1.0, *swapped[1:]]
    assert agreement_with(noisy(given), noisy(worths)) == agreement_with(given, worths)


def test_a_judge_without_an_opinion_does_not_flip():
    assert not Judgement(0.0, 0.0).flips and Judgement(1.0, 2.0).flips and not Judgement(1.0, -2.0).flips
