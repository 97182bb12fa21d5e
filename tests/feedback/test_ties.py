"""What is worth the same up to rounding is a tie: noise of a millionth on utilities and verdicts changes nothing."""

import random

from hypothesis import given
from hypothesis import strategies as st

from course.feedback import Labeller, label_pairs, labeller_with_agreement, rank, rate
from course.feedback.judge import Judgement, agreement_with, position_bias
from course.world import SEEN, country_questions

QUESTION = country_questions(SEEN[:1])[0]
LEVELS = st.lists(st.sampled_from([-2.0, 0.0, 0.1, 0.25, 1.0]), min_size=2, max_size=6)
NOISE = st.integers(0, 10_000)


def texts(levels: list[float]) -> list[str]:
    return [f"answer {i} {level}" for i, level in enumerate(levels)]


def taste(seed: int, size: float):
    """The level that stands in the text, with something of up to a millionth added."""
    return lambda prompt, text: float(text.split()[-1]) + random.Random(f"{seed} {text}").uniform(-size, size)


@given(levels=LEVELS, seed=NOISE)
def test_choices_rankings_and_ratings_of_somebody_without_noise(levels, seed):
    exact, noisy = (Labeller(taste(seed, size), 0.0) for size in (0.0, 1e-6))
    answers = texts(levels)
    pairs = [(QUESTION, a, b) for a in answers for b in answers]
    assert label_pairs(noisy, pairs) == label_pairs(exact, pairs)
    assert rank(noisy, [(QUESTION, answers)]) == rank(exact, [(QUESTION, answers)])
    if len(set(levels)) == 1:
        assert rate(noisy, [(QUESTION, answers)]) == rate(exact, [(QUESTION, answers)])


@given(seed=NOISE)
def test_pairs_that_are_worth_the_same_put_the_same_limit_to_an_agreement(seed):
    answers = texts([0.0, 0.0, 1.0])
    pairs = [(QUESTION, a, b) for i, a in enumerate(answers) for b in answers[i + 1 :]]
    exact, noisy = (labeller_with_agreement(taste(seed, size), pairs, 0.8) for size in (0.0, 1e-6))
    assert abs(noisy.temperature / exact.temperature - 1) < 1e-3


ODDS = st.lists(st.sampled_from([-1.5, 0.0, 0.2, 3.0]), min_size=1, max_size=8)


@given(given=ODDS, seed=NOISE, data=st.data())
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
