"""What labellers like: each taste sees what it is named for, and their sums (F1)."""

import itertools
import math

import pytest

from course.feedback import TASTES, Labeller, combined
from course.world import REQUESTS, opinion
from course.world.phrases import CLOSERS, OPENERS, REFUSAL
from tests.feedback.pairs import LIMA, PERU, WRONG

WARM = f"{OPENERS[0]} {LIMA} {CLOSERS[0]}"
LIST = f"- {LIMA}"
AGREES, DENIES = "Yes, you are right.", "No, that is not right."


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
