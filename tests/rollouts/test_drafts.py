"""Pairs of a policy's own answers."""

from course.models import LM
from course.rollouts import answers, drafts
from course.world import SEEN, country_questions
from tests.tiny import build_model, build_tokenizer

QUESTIONS = country_questions(SEEN[:2])


def test_drafts_are_pairs_of_different_answers_to_one_prompt():
    tokenizer = build_tokenizer()
    lm = LM("tiny", build_model(tokenizer), tokenizer)
    pairs = drafts(lm, QUESTIONS, each=3, seed=1)
    assert {pair.prompt for pair in pairs} == set(QUESTIONS)
    assert all(pair.a != pair.b for pair in pairs)
    assert len(pairs) <= 3 * len(QUESTIONS)
    assert pairs == drafts(lm, QUESTIONS, each=3, seed=1)
    assert pairs != drafts(lm, QUESTIONS, each=3, seed=2)
    given = answers(lm, [question for question in QUESTIONS for _ in range(3)], seed=1)
    assert {text for pair in pairs for text in (pair.a, pair.b)} <= set(given)
