"""Written principles, their measures, and the conversations that teach a judge."""

import pytest

from course.feedback.constitution import (
    FRAMES,
    HELD_OUT_FRAME,
    PRINCIPLES,
    critiques,
    judgements,
    objections,
    principle_score,
    revisions,
    verdict,
    write,
)
from course.formats import check
from course.world import UNSEEN, ask, demonstrate
from course.world.phrases import CLOSERS, OPENERS

PERU = ask("capital", "Peru")
PLAIN, SHORT, LIST = (demonstrate(PERU, style) for style in ("plain", "short", "bullet"))
WARM = f"{OPENERS[0]} {PLAIN} {CLOSERS[0]}"


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [
        ("true", [PLAIN, SHORT, LIST, WARM], ["The capital of Peru is Quito."]),
        ("short", [PLAIN, SHORT, LIST], [WARM]),
        ("long", [WARM], [PLAIN, SHORT]),
        ("sentence", [PLAIN, WARM], [SHORT, LIST]),
        ("kind", [WARM, f"{OPENERS[1]} {SHORT}"], [PLAIN, LIST]),
        ("direct", [PLAIN, LIST], [WARM]),
    ],
)
def test_what_keeps_to_a_principle(name, kept, broken):
    assert all(PRINCIPLES[name].keeps(PERU, text) for text in kept)
    assert not any(PRINCIPLES[name].keeps(PERU, text) for text in broken)
    assert {verdict(name, PERU, text) for text in kept} == {"is good"}
    assert {verdict(name, PERU, text) for text in broken} == {PRINCIPLES[name].fault}


@pytest.mark.parametrize("name", PRINCIPLES)
def test_what_keeps_to_it_is_never_worth_less_than_what_does_not(name):
    texts, principle = [PLAIN, SHORT, LIST, WARM], PRINCIPLES[name]
    kept = [principle.worth(PERU, text) for text in texts if principle.keeps(PERU, text)]
    broken = [principle.worth(PERU, text) for text in texts if not principle.keeps(PERU, text)]
    assert not broken or min(kept) > max(broken)


def test_opposite_principles_are_opposite():
    for one, other in (("short", "long"), ("kind", "direct")):
        for text in (PLAIN, SHORT, WARM):
            for second in (PLAIN, WARM):
                differ = [
                    PRINCIPLES[name].worth(PERU, text) - PRINCIPLES[name].worth(PERU, second) for name in (one, other)
                ]
                assert differ[0] == -differ[1]
            assert PRINCIPLES[one].keeps(PERU, text) is not PRINCIPLES[other].keeps(PERU, text)


def test_a_principle_is_written_as_a_sentence():
    assert write("true") == "Prefer the answer that is true."
    assert write("short", HELD_OUT_FRAME, 2) == "The answer that has fewer words is the better one."
    with pytest.raises(ValueError, match="no principle 'wise'; there are true, short"):
        write("wise")


def test_an_objection_names_the_fault():
    assert objections("true", "kind") == {write("true"): "A is wrong.", write("kind"): "A is not kind."}


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


def test_the_principle_score_is_the_share_kept():
    assert principle_score(["true", "kind"], [PERU, PERU], [PLAIN, WARM]) == 0.75
    with pytest.raises(ValueError, match="2 questions, 1 answers"):
        principle_score(["true"], [PERU, PERU], [PLAIN])


def test_every_frame_has_a_place_for_the_principle():
    assert all(frame.count("{}") == 1 for frame in (*FRAMES, HELD_OUT_FRAME))
