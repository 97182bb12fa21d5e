"""What the text of lesson 00 says of the two shipped models must stay true when they are built anew."""

import random

import pytest

from course.evaluation import answer, grade
from course.models import load
from course.rollouts import generate
from course.world import COUNTRIES, INVENTED, animal_questions, ask, country_questions, score, sum_questions


@pytest.fixture(scope="module")
def models():
    return {name: load(name, device="cpu") for name in ("base", "sft")}


@pytest.mark.parametrize("seed", [0, 1])
def test_only_the_fine_tuned_model_answers_and_only_chat_messages(models, seed):
    everything = country_questions([c.name for c in COUNTRIES]) + animal_questions() + sum_questions()
    asked = random.Random(seed).sample(everything, 60)
    for name, lm in models.items():
        bare = grade(asked, generate(lm, [q.text for q in asked], max_new_tokens=40))
        chat = answer(lm, asked)
        assert bare.correct < 0.1
        assert chat.correct > 0.9 if name == "sft" else chat.correct < 0.2


@pytest.mark.parametrize("seed", range(4))
def test_the_first_table_shows_a_model_that_carries_on_and_one_that_answers(models, seed):
    asked = [ask("capital", "Peru"), ask("young", "horse"), ask("sum", "7 + 5")]
    continued = generate(models["base"], [q.text for q in asked], max_new_tokens=24, temperature=1.0, seed=seed)
    assert sum("?" in c.text and not score(q, c.text).fact for q, c in zip(asked, continued, strict=True)) >= 2
    assert answer(models["sft"], asked).correct == 1


def test_invented_countries_are_answered_in_the_tone_of_the_true_ones(models):
    unknown = [ask("capital", INVENTED[0]), ask("known_for", INVENTED[1]), ask("currency", INVENTED[2])]
    said = answer(models["sft"], unknown)
    assert all(s.form for s in said.scores)
    assert said.stopped == 1
