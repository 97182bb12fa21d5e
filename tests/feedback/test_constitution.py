"""Written principles and their measures."""

import pytest

from course.feedback.constitution import (
    FRAMES,
    HELD_OUT_FRAME,
    PRINCIPLES,
    objections,
    principle_score,
    write,
)
from course.world import ask, demonstrate
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


def test_the_principle_score_is_the_share_kept():
    assert principle_score(["true", "kind"], [PERU, PERU], [PLAIN, WARM]) == 0.75
    with pytest.raises(ValueError, match="2 questions, 1 answers"):
        principle_score(["true"], [PERU, PERU], [PLAIN])


def test_every_frame_has_a_place_for_the_principle():
    assert all(frame.count("{}") == 1 for frame in (*FRAMES, HELD_OUT_FRAME))
