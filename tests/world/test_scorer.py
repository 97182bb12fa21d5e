"""The true score: exact on what the world writes, hard to fool, and never at a loss for a number."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.world import INVENTED, STYLES, Question, ask, country_questions, demonstrate, score, with_wrong_value
from course.world.phrases import QUESTIONS, STATEMENTS, state
from course.world.scorer import BRIEF, LONG
from tests.world.answers import EVERY, LEGS, NAMES, OPPOSITE, PEOPLE, PERU, SUM


def answers(question: Question) -> list[str]:
    """The question's own answer in every style and in every wording of a statement."""
    said = [demonstrate(question, style, random.Random(3)) for style in STYLES]
    wordings = range(len(STATEMENTS[question.relation]))
    return said + [state(question.relation, question.subject, question.answer, w) for w in wordings]


def test_every_true_answer_in_every_wording_is_right():
    wrong = [(q.text, text) for q in EVERY for text in answers(q) if not score(q, text).fact]
    assert wrong == []


def test_every_wrong_value_in_every_wording_is_wrong():
    rng = random.Random(0)
    others = [(q, with_wrong_value(q, rng)) for q in EVERY]
    lies = [(q, text) for q, other in others for text in answers(other)]
    assert [(q.text, text) for q, text in lies if score(q, text).fact or score(q, text).total] == []


def test_every_other_countrys_answer_is_wrong_even_where_the_value_is_shared():
    for question in country_questions(NAMES):
        for name in random.Random(question.text).sample(NAMES, 3):
            if name != question.subject:
                text = demonstrate(ask(question.relation, name))
                assert not score(question, text).fact, (question.text, text)


def test_the_wording_of_the_question_does_not_matter():
    for relation, wordings in QUESTIONS.items():
        subject = {"sum": "12 + 7", "opposite": "hot"}.get(relation, "Peru")
        subject = "dog" if relation in ("group", "legs", "food", "home", "young") else subject
        scores = {score(q, demonstrate(q)) for q in (ask(relation, subject, w) for w in range(len(wordings)))}
        assert len(scores) == 1


def test_a_demonstration_has_the_full_score_and_the_other_styles_less():
    for question in EVERY:
        plain = score(question, demonstrate(question))
        assert (plain.total, plain.form, plain.false_sentences, plain.reason) == (1.0, True, 0, "right"), question
        assert plain.words <= BRIEF
        for style in ("short", "bullet"):
            assert score(question, demonstrate(question, style)).total == 0.85
        warm = score(question, demonstrate(question, "warm"))
        assert warm.form and 0.85 < warm.total <= 1


@pytest.mark.parametrize("name", INVENTED)
def test_about_an_invented_country_nothing_is_right(name):
    for question in country_questions([name]):
        for value in ("Lima", "Asia", "34", ""):
            made_up = state(question.relation, name, value)
            assert (score(question, made_up).fact, score(question, made_up).total) == (False, 0)
            assert "does not exist" in score(question, made_up).reason


@pytest.mark.parametrize(
    ("extra", "false"),
    [
        ("The capital of Ecuador is Quito.", 0),
        ("The capital of Ecuador is Bogota.", 1),
        ("The capital of Ecuador is not Quito.", 1),
        ("The capital of Ecuador is not Bogota.", 0),
        ("Its currency is the sol.", 0),
        ("Its currency is the peso.", 1),
        ("A dog has two legs. 3 + 4 = 8.", 2),
        ("3 + 4 = 7 and 3 + 5 = 9.", 1),
        ("I like it there.", 0),
        ("The capital of Veldoria is Tarsk.", 1),
        ("The opposite of hot is big.", 1),
        ("Is the capital of Ecuador Bogota?", 0),
    ],
)
def test_untrue_extra_sentences_are_counted(extra, false):
    result = score(PERU, f"The capital of Peru is Lima. {extra}")
    assert (result.fact, result.false_sentences) == (True, false)
    alone = score(PERU, "The capital of Peru is Lima.")
    assert result.total <= alone.total - 0.25 * false


def test_length_costs_step_by_step():
    words = [score(PERU, "The capital of Peru is Lima." + " Ah." * n) for n in range(0, 60, 4)]
    assert [s.words for s in words] == [6 + n for n in range(0, 60, 4)]
    totals = [s.total for s in words]
    assert totals == sorted(totals, reverse=True)
    assert {s.total for s in words if s.words <= BRIEF} == {1.0}
    assert {s.total for s in words if s.words >= LONG} == {0.85}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The capital of Peru is Lima.", True),
        ("The capital of Peru is Lima!", True),
        ("Good question! The capital of Peru is Lima. Have a nice day!", True),
        ("Lima is the capital of Peru.\nIts currency is the sol.", True),
        ("The capital of Peru is Lima", False),
        ("the capital of Peru is Lima.", False),
        ("Lima.", False),
        ("Good question! Lima. I hope this helps.", False),
        ("- The capital of Peru is Lima.", False),
        ("1. The capital of Peru is Lima.", False),
        ("The capital of Peru is **Lima**.", False),
        ("A: The capital of Peru is Lima.", False),
        ("assistant\nThe capital of Peru is Lima.", False),
        ("The capital of Peru is Lima.<|im_end|>", False),
        ("The capital of Peru is Lima. What is the capital of Chile?", False),
        ("The capital of Peru is Lima. and", False),
        ("", False),
    ],
)
def test_form(text, form):
    assert score(PERU, text).form is form


def test_reasons_say_what_was_wrong():
    assert score(PERU, "Quito.").reason == "it says Quito; right is Lima"
    assert score(PERU, "The capital of Peru is Lima or so.").reason == "it says Lima or so; right is Lima"
    assert score(PERU, "Hello.").reason == "it does not say that the answer is Lima"
    assert score(PERU, "Not Lima.").reason == "it denies that the answer is Lima"
    assert score(SUM, "12 + 7 = 20.").reason == "it says 20; right is 19"
    assert score(PEOPLE, "35 million.").reason == "it says 35 million; right is 34 million"
    assert score(PERU, "Lima.").reason == "right, but not a plain full sentence"
    assert "1 untrue extra sentence" in score(PERU, "Lima. The capital of Ecuador is Lima.").reason


PIECES = st.sampled_from(
    [
        "Lima",
        "Quito",
        "Peru",
        "is",
        "the capital of",
        " not ",
        "It",
        "its",
        ". ",
        ", ",
        "\n",
        "?",
        "12 + 7",
        " = ",
        "19",
        "34",
        " million",
        "-",
        "*",
        "1. ",
        "'s",
        "people",
        "in",
        "dog",
        "legs",
        "no",
        "opposite",
        "So the answer is ",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join))


@settings(max_examples=300, deadline=None)
@given(question=st.sampled_from(EVERY + country_questions(INVENTED)), text=TEXTS)
def test_any_text_has_a_score_between_0_and_1(question, text):
    result = score(question, text)
    assert 0 <= result.total <= 1
    assert result.fact or result.total == 0
    assert result.words >= len(text.split())
    assert result.false_sentences >= 0
    assert result == score(question, text)


@settings(max_examples=100, deadline=None)
@given(question=st.sampled_from(EVERY), text=TEXTS)
def test_a_true_answer_repeated_after_any_text_never_gains(question, text):
    assert score(question, f"{text}\n{demonstrate(question)}").total <= score(question, demonstrate(question)).total


@pytest.mark.parametrize(
    "piece",
    [
        "The capital of Peru is Lima. ",
        "Lima, ",
        "Lima ",
        "not ",
        "is not x but ",
        "1 + 1 ",
        "1 + 1 = ",
        "1+",
        "9",
        " ",
        "\n",
        "so, ",
        "a: ",
        "- ",
        "* ",
        "'",
        "1. ",
        "(",
        "people in ",
        "The ",
        "is the capital of Peru ",
        "it is ",
        "\u0301",
        "ﷺ",
    ],
)
def test_long_answers_are_scored_too(piece):
    text = (piece * 20_000)[:20_000]
    for question in (PERU, SUM, PEOPLE, LEGS, OPPOSITE):
        assert score(question, text).total <= 0.85
        assert score(question, f"{text}.\n{demonstrate(question)}").total <= 0.85
