"""Wordings, questions and demonstrations: enough of them, well formed, and true where they must be."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.world import (
    COUNTRIES,
    COUNTRY_RELATIONS,
    INVENTED,
    STYLES,
    animal_questions,
    ask,
    beginnings,
    country_questions,
    demonstrate,
    opposite_questions,
    sum_questions,
    with_wrong_value,
)
from course.world.phrases import (
    ANIMAL_RELATIONS,
    CLOSERS,
    FACTS,
    HARMLESS,
    OPENERS,
    QUESTIONS,
    REFUSAL,
    STATEMENTS,
    TO_DECLINE,
    fill,
    state,
)

NAMES = [country.name for country in COUNTRIES]
EVERY = country_questions(NAMES) + animal_questions() + opposite_questions() + sum_questions()
RELATIONS = {*COUNTRY_RELATIONS, *ANIMAL_RELATIONS, "opposite", "sum"}


def test_every_relation_has_several_statements_and_questions():
    assert STATEMENTS.keys() == QUESTIONS.keys() == RELATIONS
    for relation in RELATIONS:
        several = 4 if relation in COUNTRY_RELATIONS else 2
        assert len(set(STATEMENTS[relation])) == len(STATEMENTS[relation]) >= several
        assert len(set(QUESTIONS[relation])) == len(QUESTIONS[relation]) >= several


def test_every_wording_names_what_it_must():
    for relation in RELATIONS:
        assert all(w.count("{s}") == w.count("{v}") == 1 and w.endswith(".") for w in STATEMENTS[relation])
        assert all(w.count("{s}") == 1 and "{v}" not in w and w.endswith("?") for w in QUESTIONS[relation])


@pytest.mark.parametrize("relation", sorted(RELATIONS - {"sum"}))
def test_a_demonstration_does_not_begin_with_its_subject_where_the_subject_is_a_name(relation):
    if relation in COUNTRY_RELATIONS:
        assert not STATEMENTS[relation][0].startswith("{s}")
    first = STATEMENTS[relation][0]
    assert first.index("{s}") < first.index("{v}") or relation == "population"


@pytest.mark.parametrize(
    ("wording", "subject", "value", "text"),
    [
        ("The capital of {s} is {v}.", "Peru", "Lima", "The capital of Peru is Lima."),
        ("A(n) {s} has {v} legs.", "ant", "six", "An ant has six legs."),
        ("A(n) {s} has {v} legs.", "dog", "four", "A dog has four legs."),
        ("The food of a(n) {s} is {v}.", "owl", "mice", "The food of an owl is mice."),
        ("{v} is the opposite of {s}.", "hot", "cold", "Cold is the opposite of hot."),
        ("{s} = {v}.", "12 + 7", "19", "12 + 7 = 19."),
    ],
)
def test_fill(wording, subject, value, text):
    assert fill(wording, subject, value) == text


def test_questions_are_whole_sentences_with_the_right_answer():
    for question in EVERY:
        assert re.fullmatch(r"[A-Z][^?{}]*\?", question.text), question
        assert question.subject in question.text
        if question.relation != "sum":
            assert question.answer == FACTS[question.relation, question.subject]


@given(a=st.integers(0, 999), b=st.integers(0, 999))
def test_sums_are_sums(a, b):
    assert ask("sum", f"{a} + {b}").answer == str(a + b)


def test_all_sums_up_to_twenty():
    sums = sum_questions()
    assert len(sums) == len({q.subject for q in sums}) == 21 * 21
    assert {q.answer for q in sums} == {str(n) for n in range(41)}


def test_questions_on_invented_countries_have_no_answer():
    questions = country_questions(INVENTED)
    assert len(questions) == len(INVENTED) * len(COUNTRY_RELATIONS)
    assert {q.answer for q in questions} == {""}
    with pytest.raises(ValueError, match="Veldoria is invented"):
        demonstrate(ask("capital", "Veldoria"))


@pytest.mark.parametrize(("relation", "subject"), [("capital", "Atlantis"), ("capital", "dog"), ("taste", "Peru")])
def test_a_fact_that_the_world_does_not_have_is_named(relation, subject):
    with pytest.raises(ValueError, match=f"no fact '{relation}' about '{subject}'"):
        ask(relation, subject)


def test_wordings_can_be_chosen():
    assert len({q.text for q in country_questions(["Peru"], range(4))}) == 4 * len(COUNTRY_RELATIONS)
    shown, held_out = country_questions(["Peru"], "shown"), country_questions(["Peru"], "held-out")
    assert not {q.text for q in shown} & {q.text for q in held_out}
    assert len(held_out) == len(COUNTRY_RELATIONS)
    every = {fill(w, "Peru") for relation in COUNTRY_RELATIONS for w in QUESTIONS[relation]}
    assert {q.text for q in shown + held_out} == every


def test_the_held_out_wording_is_the_last():
    assert {q.text for q in country_questions(["Peru"], "held-out")} == {
        fill(QUESTIONS[relation][-1], "Peru") for relation in COUNTRY_RELATIONS
    }


def test_no_two_questions_share_a_text_and_differ_in_their_answer():
    every = [ask(q.relation, q.subject, wording) for q in EVERY for wording in range(len(QUESTIONS[q.relation]))]
    answers: dict[str, str] = {}
    for question in every:
        assert answers.setdefault(question.text, question.answer) == question.answer


@pytest.mark.parametrize("style", STYLES)
def test_demonstrations_hold_the_value_once(style):
    for question in EVERY:
        text = demonstrate(question, style, random.Random(0))
        assert question.answer.lower() in text.lower()
        assert text[0].isupper() or text[0].isdigit() or style == "bullet"
        assert text.endswith((".", "!"))
        assert "{" not in text and "  " not in text


def test_the_styles_are_what_they_are_called():
    peru = ask("capital", "Peru")
    plain = "The capital of Peru is Lima."
    assert demonstrate(peru) == plain
    assert demonstrate(peru, "short") == "Lima."
    assert demonstrate(peru, "bullet") == f"- {plain}"
    assert demonstrate(peru, "warm") == f"{OPENERS[0]} {plain} {CLOSERS[0]}"
    assert demonstrate(ask("population", "Peru"), "short") == "34 million."
    assert demonstrate(ask("legs", "snake"), "short") == "No legs."
    assert demonstrate(ask("currency", "Peru"), "short") == "The sol."
    warm = {demonstrate(peru, "warm", random.Random(seed)) for seed in range(60)}
    assert len(warm) == len(OPENERS) * len(CLOSERS)
    with pytest.raises(ValueError, match=r"Unknown style 'rude'; choose one of plain, short, warm, bullet"):
        demonstrate(peru, "rude")


def test_a_wrong_value_is_another_value_of_the_same_relation():
    rng = random.Random(0)
    for question in EVERY:
        other = with_wrong_value(question, rng)
        assert other.answer != question.answer
        assert (other.text, other.relation, other.subject) == (question.text, question.relation, question.subject)
        if question.relation == "sum":
            assert int(other.answer) >= 0
        else:
            assert other.answer in {value for (r, _), value in FACTS.items() if r == question.relation}


def test_beginnings_begin_statements_whose_value_comes_after_the_subject():
    for relation in COUNTRY_RELATIONS:
        for name in NAMES:
            said = [state(relation, name, FACTS[relation, name], w) for w in range(len(STATEMENTS[relation]))]
            starts = beginnings(relation, name)
            assert starts
            for start in starts:
                assert name in start and not start.endswith(" ")
                assert any(text.startswith(start) and FACTS[relation, name] in text[len(start) :] for text in said)


def test_requests_are_two_kinds_and_no_question_of_the_world():
    asked = [text for text, _ in HARMLESS] + list(TO_DECLINE)
    assert len(set(asked)) == len(asked) == len(HARMLESS) + len(TO_DECLINE)
    assert not set(asked) & {question.text for question in EVERY}
    assert all(text.startswith("How do I ") and text.endswith("?") for text in asked)
    assert all(reply.endswith(".") and reply != REFUSAL for _, reply in HARMLESS)
