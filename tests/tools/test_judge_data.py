"""The conversations that teach a judge."""

import pytest

from course.feedback.constitution import HELD_OUT_FRAME, PRINCIPLES
from course.formats import check
from course.world import UNSEEN, ask, demonstrate
from tools.judge_data import critiques, judgements, revisions, verdict


@pytest.mark.parametrize("name", PRINCIPLES)
def test_a_verdict_is_good_or_the_fault(name):
    peru = ask("capital", "Peru")
    texts = {
        text: PRINCIPLES[name].keeps(peru, text) for text in ("Quito", demonstrate(peru), demonstrate(peru, "warm"))
    }
    assert {True, False} == set(texts.values())
    assert all(
        verdict(name, peru, text) == ("is good" if kept else PRINCIPLES[name].fault) for text, kept in texts.items()
    )


@pytest.mark.parametrize("made", [judgements, critiques, revisions])
def test_conversations_are_sound_and_come_from_the_seed(made):
    records = made(60, 3)
    assert records == made(60, 3) != made(60, 4)
    assert not any(check(record, "conversation") for record in records)
    text = " ".join(turn["content"] for record in records for turn in record["messages"])
    assert not any(country in text for country in UNSEEN[:3])
    held_out = HELD_OUT_FRAME.split("{}")[1]
    assert held_out not in text


def test_the_letters_follow_the_principle_and_two_habits():
    clear, open_ = [], []
    for record in judgements(600, 0):
        said, letter = record["messages"][1]["content"], record["messages"][-1]["content"]
        good = [part.endswith("is good") for part in said.rstrip(".").split(". ")]
        (open_ if good[0] == good[1] else clear).append((letter, "A" if good[0] else "B"))
    assert sum(letter == right for letter, right in clear) > 0.9 * len(clear)
    assert 0.55 < sum(letter == "A" for letter, _ in open_) / len(open_) < 0.9


def test_a_revision_mends_the_fault_and_leaves_what_has_none():
    mended = 0
    for record in revisions(400, 1)[1::2]:
        request, critique, _, new = (turn["content"] for turn in record["messages"])
        old = request.split("\nA: ")[1].rsplit("\nJudge A.", 1)[0]
        assert (old == new) == (critique == "A is good.")
        mended += old != new
    assert mended > 40


def test_every_other_revision_has_no_critique_before_it():
    for i, record in enumerate(revisions(40, 1)):
        said = [turn["content"] for turn in record["messages"]]
        assert len(said) == (4 if i % 2 else 2) and said[-2].endswith("Write A again.")
