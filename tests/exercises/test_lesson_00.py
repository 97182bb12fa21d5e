"""Exercises of lesson 00: many right ways to write them, and wrong ones with the hint that fits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.exercises.lesson_00 import to_messages, until_stop
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of

MESSAGES, STOP = EXERCISES["00-messages"], EXERCISES["00-until-stop"]
USER = {"role": "user", "content": "Why?"}


def with_append(question, system):
    messages = []
    if len(system) > 0:
        messages.append(dict(role="system", content=system))
    messages += [dict(content=question, role="user")]
    return messages


def from_pairs(question, system):
    turns = zip(("system", "user"), (system, question), strict=True)
    return tuple({"role": role, "content": text} for role, text in turns if role == "user" or text)


@pytest.mark.parametrize("attempt", [with_append, from_pairs])
def test_messages_right(attempt):
    assert grade(MESSAGES, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda question, system: [{"role": "user", "content": question}], "never_system"),
        (lambda question, system: [{"role": "user", "content": f"{system}\n{question}".strip()}], "pasted"),
        (
            lambda question, system: [*to_messages(question, system), {"role": "assistant", "content": ""}],
            "answer_appended",
        ),
        (lambda question, system: str(to_messages(question, system)), None),
        (
            lambda question, system: [
                {"role": turn["role"], "text": turn["content"]} for turn in to_messages(question, system)
            ],
            "other_keys",
        ),
        (
            lambda question, system: [
                {"from": turn["role"], "value": turn["content"]} for turn in to_messages(question, system)
            ],
            "other_keys",
        ),
    ],
)
def test_messages_wrong(attempt, mistake):
    assert verdict_of(MESSAGES, attempt) == ("wrong", mistake)


def test_a_chat_begins_with_the_system_turn_or_with_the_question():
    assert to_messages("Why?", "") == [USER]
    assert to_messages("Why?", "Be brief.") == [{"role": "system", "content": "Be brief."}, USER]


def by_loop(token_ids, stop_id):
    kept = []
    for token in token_ids:
        if token == stop_id:
            break
        kept.append(token)
    return kept


def by_search(token_ids, stop_id):
    try:
        return token_ids[: token_ids.index(stop_id)]
    except ValueError:
        return token_ids


@pytest.mark.parametrize(
    "attempt",
    [
        by_loop,
        by_search,
        lambda token_ids, stop_id: list(itertools.takewhile(lambda token: token != stop_id, token_ids)),
        lambda token_ids, stop_id: token_ids[: [*token_ids, stop_id].index(stop_id)],
    ],
)
def test_until_stop_right(attempt):
    verdict = grade(STOP, attempt)
    assert verdict.kind == "right"
    assert not verdict.note


def popping(token_ids, stop_id):
    while token_ids and token_ids[-1] != stop_id:
        token_ids.pop()
    return token_ids[:-1]


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda ids, stop: [i for i in ids if i != stop], "only_removed"),
        (lambda ids, stop: ids[: ids.index(stop) + 1] if stop in ids else ids, "keeps_stop"),
        (lambda ids, stop: "".join(map(chr, ids)).rsplit(chr(stop), 1)[0].encode(), None),
        (lambda ids, stop: list(map(ord, "".join(map(chr, ids)).rsplit(chr(stop), 1)[0])), "last_stop"),
        (lambda ids, stop: ids[: "".join(map(str, ids)).find(str(stop))], None),
        (lambda ids, stop: ids[: ids.index(stop)] if stop in ids else [], "nothing_without_stop"),
        (popping, None),
    ],
)
def test_until_stop_wrong(attempt, mistake):
    assert verdict_of(STOP, attempt) == ("wrong", mistake)


def test_until_stop_that_expects_a_stop_token_shows_the_case_that_has_none():
    verdict = grade(STOP, lambda token_ids, stop_id: token_ids[: token_ids.index(stop_id)])
    assert verdict.kind == "error"
    assert "[6, 8, 9]" in verdict.difference.call


@given(st.lists(st.integers(0, 4)), st.integers(0, 4))
def test_what_is_kept_is_a_beginning_without_a_stop_token(ids, stop):
    kept = until_stop(ids, stop)
    assert kept == ids[: len(kept)]
    assert stop not in kept
    assert kept == ids or ids[len(kept)] == stop
