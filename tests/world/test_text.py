"""The pretraining text: reproducible, true, without invented countries, and with every word that later lessons need."""

import random
import re
from collections import Counter
from itertools import islice

import pytest

from course.world import COUNTRIES, INVENTED, documents
from course.world.phrases import (
    ANIMAL_RELATIONS,
    CLOSERS,
    COUNTRY_RELATIONS,
    FACTS,
    HARMLESS,
    OPENERS,
    QUESTIONS,
    REFUSAL,
    STATEMENTS,
    TO_DECLINE,
    fill,
)
from course.world.tables import ANIMALS
from course.world.text import (
    MIXTURE,
    animal_notes,
    any_question,
    country_notes,
    draft,
    faq,
    question_list,
    solved_worksheet,
    steps,
    tale,
    transcript,
    worksheet,
)

SUM = re.compile(r"(\d+) \+ (\d+) (?:=|is|makes) (\d+)")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(documents(20_000, seed=0))


@pytest.fixture(scope="module")
def everything(texts: list[str]) -> str:
    return "\n\n".join(texts)


def many(kind, count: int = 200) -> list[str]:
    rng = random.Random(4)
    return [kind(rng) for _ in range(count)]


def test_the_same_seed_gives_the_same_text_and_another_another():
    assert list(documents(200, 7)) == list(documents(200, 7))
    assert list(documents(200, 7)) != list(documents(200, 8))
    assert list(documents(50, 7)) == list(islice(documents(200, 7), 50))  # more of it begins with the same


def test_the_global_random_state_is_left_alone():
    random.seed(5)
    before = random.getstate()
    list(documents(50, 0))
    assert random.getstate() == before


def test_as_many_documents_as_asked_for_and_none_empty(texts):
    assert len(texts) == 20_000
    assert all(text.strip() == text != "" for text in texts)
    assert list(documents(0, 0)) == []


def test_most_documents_are_different(texts):
    assert len(set(texts)) > 0.95 * len(texts)


@pytest.mark.parametrize("name", INVENTED)
def test_no_invented_country_is_ever_mentioned(everything, name):
    assert name.lower() not in everything.lower()


def test_nothing_of_the_wordings_is_left_unfilled(everything):
    assert not re.search(r"[{}]|\(n\)|\bNone\b|  |\.\.|\?\.", everything)
    assert "<|" not in everything


def test_every_fact_is_told_and_asked_about(everything):
    subjects = [(c.name, COUNTRY_RELATIONS) for c in COUNTRIES] + [(a.name, ANIMAL_RELATIONS) for a in ANIMALS]
    for subject, relations in subjects:
        for relation in relations:
            value = FACTS[relation, subject]
            assert any(fill(wording, subject, value) in everything for wording in STATEMENTS[relation])
            assert any(fill(wording, subject) in everything for wording in QUESTIONS[relation])


def test_every_wording_of_a_country_fact_occurs_often(everything):
    peru = {relation: FACTS[relation, "Peru"] for relation in COUNTRY_RELATIONS}
    for relation, value in peru.items():
        for wording in STATEMENTS[relation]:
            assert everything.count(fill(wording, "Peru", value)) >= 3, wording
        for wording in QUESTIONS[relation]:
            assert everything.count(fill(wording, "Peru")) >= 3, wording


@pytest.mark.parametrize(
    "phrase",
    [
        *OPENERS,
        *CLOSERS,
        REFUSAL,
        *(text for pair in HARMLESS for text in pair),
        *TO_DECLINE,
        "\n- ",
        "- The ",
        "First, ",
        "Then, ",
        "So the answer is ",
        "I think ",
        "Is that right?",
        "Am I right?",
        "Yes, you are right.",
        "No, that is not right.",
        "Critique: ",
        "Revision: ",
        "Draft: ",
        "Question: ",
        "The draft is too long.",
        "The draft is not true.",
        "Q: ",
        "A: ",
        "system\n",
        "user\n",
        "assistant\n",
    ],
)
def test_the_words_of_later_lessons_occur(everything, phrase):
    assert everything.count(phrase) >= 5


def test_every_kind_of_document_is_drawn_about_as_often_as_the_mixture_says(texts):
    total = sum(MIXTURE.values())
    kinds = {
        question_list: lambda t: t.endswith("?") and "\nA: " not in t and not re.search(r"[.:]", t),
        faq: lambda t: t.startswith("Q: "),
        worksheet: lambda t: t.endswith(" ="),
        draft: lambda t: t.startswith("Question: "),
    }
    for kind, is_it in kinds.items():
        share, wanted = sum(map(is_it, texts)) / len(texts), MIXTURE[kind] / total
        assert abs(share - wanted) < 0.01, kind.__name__


def test_question_lists_hold_questions_alone():
    for text in many(question_list):
        assert text.count("?") >= 3
        assert re.fullmatch(r"(?:[A-Z][^?.!]*\?\s?)+", text)


def test_worksheets_stop_before_the_result_and_solved_ones_are_right():
    assert all(re.fullmatch(r"\d+ \+ \d+ =", line) for text in many(worksheet) for line in text.split("\n"))
    for text in many(solved_worksheet):
        for line in text.split("\n"):
            match = SUM.search(line)
            assert match and int(match[1]) + int(match[2]) == int(match[3])


def test_every_sum_in_the_text_is_right_unless_someone_is_corrected(texts):
    claims = [m for text in texts if not re.search("I think|Draft", text) for m in SUM.finditer(text)]
    assert len(claims) > 5000
    assert all(int(m[1]) + int(m[2]) == int(m[3]) for m in claims)


def test_written_steps_lead_to_the_answer_that_they_end_on():
    for text in many(steps):
        results = [(a, sign, b, c) for a, sign, b, c in re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", text)]
        assert results
        for a, sign, b, c in results:
            assert int(a) + int(b) * (1 if sign == "+" else -1) == int(c)
        assert text.endswith(f"So the answer is {results[-1][3]}.")
        if numbers := re.match(r"Add (\d+), (\d+) and (\d+)\.", text):
            assert sum(map(int, numbers.groups())) == int(results[-1][3])


def test_notes_are_about_one_subject():
    for text in many(country_notes):
        assert sum(re.search(rf"\b{c.name}\b", text.replace(c.capital, "")) is not None for c in COUNTRIES) == 1
    for text in many(animal_notes):
        assert len(re.split(r"(?<=\.) ", text)) >= 2


def test_tales_answer_with_what_they_told():
    names = {country.name for country in COUNTRIES}
    for text in many(tale):
        told, *rest = text.split("\n")
        land = Counter(re.findall(r"\b[A-Z][a-z]+\b", text)).most_common(1)[0][0]
        assert land not in names and land not in INVENTED
        assert land in told and any(land in line for line in rest)


def test_transcripts_alternate_between_two_roles():
    for text in many(transcript):
        lines = text.split("\n")
        if lines[0] == "system":
            lines = lines[2:]
        asker, answerer = lines[0], lines[2]
        assert lines[0::4] == [asker] * (len(lines) // 4)
        assert lines[2::4] == [answerer] * (len(lines) // 4)
        assert asker != answerer


def test_a_draft_is_mended():
    for text in many(draft):
        question, first, critique, revision = text.split("\n")
        assert question.startswith("Question: ") and question.endswith("?")
        assert critique.startswith("Critique: The draft ")
        assert first.removeprefix("Draft: ") != revision.removeprefix("Revision: ")


def test_questions_of_every_relation_are_asked():
    rng = random.Random(0)
    relations = Counter(any_question(rng).relation for _ in range(3000))
    assert relations.keys() == QUESTIONS.keys()
    assert sum(relations[r] for r in COUNTRY_RELATIONS) > 1500
