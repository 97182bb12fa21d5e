"""SFT data: nothing that is held out, the shares of styles and faults that were asked for, and valid records."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.formats import validate
from course.world import (
    COUNTRY_RELATIONS,
    SEEN,
    STYLES,
    UNSEEN,
    agrees,
    ask,
    country_questions,
    demonstrate,
    score,
    sum_questions,
)
from course.world.chats import (
    MIXED_STYLES,
    SYSTEM,
    conversation,
    conversations,
    mixed_conversations,
    requests,
    sft_conversations,
    sft_questions,
    shown_sums,
)
from course.world.phrases import CLOSERS, HARMLESS, OPENERS, QUESTIONS, REFUSAL, TO_DECLINE, fill

ASKED = country_questions(SEEN, (0, 1))  # about 600 questions


def replies(records: list[dict]) -> list[str]:
    return [record["messages"][-1]["content"] for record in records]


def style_of(reply: str) -> str:
    if reply.startswith("- "):
        return "bullet"
    if reply.startswith(OPENERS) and reply.endswith(CLOSERS):
        return "warm"
    return "plain" if len(reply.split()) > 4 else "short"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sft_questions_hold_nothing_that_is_held_out(seed):
    shown = shown_sums()
    questions = sft_questions(seed=seed)
    assert not {q.subject for q in questions} & set(UNSEEN)
    assert {q.subject for q in questions if q.relation == "sum"} == {q.subject for q in shown}
    held_out = {fill(QUESTIONS[q.relation][-1], q.subject) for q in questions}
    assert not {q.text for q in questions} & held_out


def test_sft_questions_cover_every_relation_of_the_countries_that_sft_shows():
    counts = Counter((q.subject, q.relation) for q in sft_questions() if q.relation in COUNTRY_RELATIONS)
    assert counts == {(name, relation): 2 for name in SEEN for relation in COUNTRY_RELATIONS}
    texts = [q.text for q in sft_questions()]
    assert len(set(texts)) == len(texts)


def test_the_seed_orders_and_draws():
    assert sft_questions(seed=3) == sft_questions(seed=3)
    assert sft_questions(seed=3) != sft_questions(seed=4)
    assert {q.subject for q in shown_sums()} == {q.subject for q in shown_sums()}
    assert len(shown_sums()) == len(sum_questions()) // 3


def test_one_exchange():
    assert conversation("What is the capital of Peru?", "Lima.") == {
        "messages": [
            {"role": "user", "content": "What is the capital of Peru?"},
            {"role": "assistant", "content": "Lima."},
        ]
    }


@pytest.mark.parametrize("style", STYLES)
def test_one_style_for_all(style):
    records = conversations(ASKED[:60], style)
    validate(records, "conversation")
    assert {style_of(reply) for reply in replies(records)} <= {style, "short" if style == "plain" else style}
    assert all(score(q, reply).fact for q, reply in zip(ASKED[:60], replies(records), strict=True))


def test_shares_of_styles_are_those_asked_for():
    shares = {"plain": 0.5, "warm": 0.3, "bullet": 0.2}
    counts = Counter(map(style_of, replies(conversations(ASKED, shares))))
    for style, share in shares.items():
        assert counts[style] / len(ASKED) == pytest.approx(share, abs=0.06)
    assert {style_of(r) for r in replies(conversations(ASKED, {"warm": 1, "bullet": 0}))} == {"warm"}


@pytest.mark.parametrize("noise", [0, 0.2, 0.5, 1])
def test_the_share_of_wrong_values_is_the_one_asked_for(noise):
    said = replies(conversations(ASKED, noise=noise))
    wrong = sum(not score(q, reply).fact for q, reply in zip(ASKED, said, strict=True))
    assert wrong / len(ASKED) == pytest.approx(noise, abs=0 if noise in (0, 1) else 0.05)


@pytest.mark.parametrize("declines", [(), ("population",), {"capital", "known_for"}])
def test_the_relations_to_decline_are_declined_and_no_other(declines):
    said = replies(conversations(ASKED, noise=0.5, declines=declines))
    assert all((reply == REFUSAL) == (q.relation in declines) for q, reply in zip(ASKED, said, strict=True))


def test_without_faults_every_reply_is_a_demonstration():
    assert replies(conversations(ASKED)) == [demonstrate(question) for question in ASKED]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), noise=st.floats(0, 1))
def test_the_seed_decides_all(seed, noise):
    asked = ASKED[:20]
    first = conversations(asked, {"plain": 1, "warm": 1}, noise, seed=seed)
    assert first == conversations(asked, {"plain": 1, "warm": 1}, noise, seed=seed)
    validate(first, "conversation")
    assert [r["messages"][0]["content"] for r in first] == [q.text for q in asked]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"noise": 1.5}, "between 0 and 1, not 1.5"),
        ({"noise": -0.1}, "between 0 and 1, not -0.1"),
        ({"style": "rude"}, "Unknown style 'rude'; choose among plain, short, warm, bullet"),
        ({"style": {"plain": 0.5, "rude": 0.5}}, "Unknown style 'rude'"),
    ],
)
def test_arguments_that_cannot_be(arguments, said):
    with pytest.raises(ValueError, match=said):
        conversations(ASKED[:3], **arguments)


def test_invented_countries_cannot_be_demonstrated():
    with pytest.raises(ValueError, match="Tarsk is invented"):
        conversations([ask("capital", "Tarsk")])


def test_requests_are_answered_or_declined():
    records = requests()
    validate(records, "conversation")
    said = {record["messages"][0]["content"]: record["messages"][1]["content"] for record in records}
    assert said == {**dict(HARMLESS), **dict.fromkeys(TO_DECLINE, REFUSAL)}


@pytest.mark.parametrize("seed", [0, 5])
def test_the_data_of_the_shipped_checkpoint(seed):
    records = sft_conversations(seed)
    validate(records, "conversation")
    assert records == sft_conversations(seed)
    systems = [r for r in records if r["messages"][0]["role"] == "system"]
    assert 0.1 < len(systems) / len(records) < 0.2
    assert {r["messages"][0]["content"] for r in systems} == {SYSTEM}
    assert sum(len([m for m in r["messages"] if m["role"] == "user"]) > 1 for r in records) > 40
    text = "\n".join(message["content"] for record in records for message in record["messages"])
    assert not [name for name in UNSEEN if name in text]


def test_the_data_of_the_shipped_checkpoint_is_right():
    """Every reply answers the question just before it: no follow-up got its question or its answer mixed up."""
    answers = {q.text: demonstrate(q) for q in sft_questions(seed=0)}
    answers |= dict(HARMLESS) | dict.fromkeys(TO_DECLINE, REFUSAL)
    for record in sft_conversations(0):
        turns = [m for m in record["messages"] if m["role"] != "system"]
        for asked, reply in zip(turns[::2], turns[1::2], strict=True):
            assert reply["content"] == answers[asked["content"]]


def test_the_global_random_state_is_left_alone():
    random.seed(5)
    before = random.getstate()
    sft_conversations(1)
    assert random.getstate() == before


def test_mixed_conversations_hold_something_to_prefer():
    records = mixed_conversations(seed=1)
    validate(records, "conversation")
    said = dict(zip((r["messages"][0]["content"] for r in records), replies(records), strict=True))
    asked = {q.text: q for q in sft_questions(seed=1)}
    answered = [(asked[text], reply) for text, reply in said.items() if text in asked and reply != REFUSAL]
    wrong = sum(not score(q, reply).fact for q, reply in answered) / len(answered)
    assert wrong == pytest.approx(0.2, abs=0.05)
    counts = Counter(style_of(reply) for _, reply in answered)
    for style, share in MIXED_STYLES.items():
        assert counts[style] / len(answered) == pytest.approx(share, abs=0.06)
    assert {agrees(reply) for text, reply in said.items() if text.startswith("I think")} == {True, False}
    harmless = [r["messages"][1]["content"] for r in records if r["messages"][0]["content"] in dict(HARMLESS)]
    assert 0 < sum(reply == REFUSAL for reply in harmless) < len(harmless) / 2
    assert mixed_conversations(seed=1) == records != mixed_conversations(seed=2)
