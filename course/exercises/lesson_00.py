"""Exercises of lesson 00: a chat as a list of messages, and cutting what a model wrote at its stop token."""

from collections.abc import Callable
from typing import Any

from course.exercises.definition import Exercise, Sign

Messages = list[dict[str, str]]


def to_messages(question: str, system: str) -> Messages:
    """A chat of one question; the system turn comes first, and only where there is something in it."""
    before = [{"role": "system", "content": system}] if system else []
    return [*before, {"role": "user", "content": question}]


def _system_behind(question: str, system: str) -> Messages:
    return to_messages(question, system)[::-1]


def _pasted_into_the_question(question: str, system: str) -> Messages:
    return to_messages(f"{system}\n{question}" if system else question, "")


def _renamed(name: str, other: str) -> Callable[[str, str], Messages]:
    return lambda question, system: [
        turn | {"role": other} if turn["role"] == name else turn for turn in to_messages(question, system)
    ]


def _keys_are_others(got: Any, expected: Messages) -> bool:
    """A list of as many dicts, whose values are there under other names than role and content."""
    if not isinstance(got, list) or len(got) != len(expected) or not all(isinstance(turn, dict) for turn in got):
        return False
    return any(turn.keys() != right.keys() for turn, right in zip(got, expected, strict=True)) and all(
        list(turn.values()) == list(right.values()) for turn, right in zip(got, expected, strict=True)
    )


def _in_capitals(got: Any, expected: Messages) -> bool:
    return [turn | {"role": turn["role"].lower()} for turn in got] == expected


def until_stop(token_ids: list[int], stop_id: int) -> list[int]:
    """The ids in front of the first stop token; all of them where there is none."""
    return token_ids[: token_ids.index(stop_id)] if stop_id in token_ids else list(token_ids)


def _last_stop(token_ids: list[int], stop_id: int) -> list[int]:
    at = max((n for n, token in enumerate(token_ids) if token == stop_id), default=len(token_ids))
    return token_ids[:at]


def _cut_at(shift: int, without: int | None) -> Callable[[list[int], int], list[int]]:
    """Cut this far behind the first stop token, and here where there is none."""
    return lambda token_ids, stop_id: token_ids[: token_ids.index(stop_id) + shift if stop_id in token_ids else without]


def _after_stop(token_ids: list[int], stop_id: int) -> list[int]:
    return token_ids[token_ids.index(stop_id) + 1 :] if stop_id in token_ids else []


EXERCISES: dict[str, Exercise] = {
    "00-messages": Exercise(
        cases=[
            ("What is the capital of Peru?", "Be brief."),
            ("What is the capital of Peru?", ""),
            ("How many legs does a bee have?", "Answer in one sentence."),
        ],
        solution=to_messages,
        why="This list is what every chat API and every SFT record holds; a template turns it into one row of tokens.",
        special={
            "a text begins or ends with spaces": [("  How?", "Be brief. ")],
            "the two texts are equal": [("Hello!", "Hello!")],
        },
        mistakes={
            "always_system": lambda question, system: [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
            ],
            "never_system": lambda question, system: to_messages(question, ""),
            "system_behind": _system_behind,
            "contents_swapped": lambda question, system: (
                to_messages(system, question) if system else to_messages(question, "")
            ),
            "pasted": _pasted_into_the_question,
            "answer_appended": lambda question, system: [
                *to_messages(question, system),
                {"role": "assistant", "content": ""},
            ],
            "human": _renamed("user", "human"),
            "as_record": lambda question, system: {"messages": to_messages(question, system)},
            "other_keys": Sign(_keys_are_others),
            "keys_are_roles": lambda question, system: [
                {turn["role"]: turn["content"]} for turn in to_messages(question, system)
            ],
            "capitals": Sign(_in_capitals),
        },
    ),
    "00-until-stop": Exercise(
        cases=[([5, 7, 2, 9], 2), ([5, 7, 5, 2, 9, 2, 4], 2), ([6, 3, 5, 1], 3), ([12, 25, 8, 2, 9], 2)],
        solution=until_stop,
        why="Whatever serves a model does this to every answer: without it, users read what comes after the end.",
        special={
            "no stop token occurs": [([6, 8, 9], 2), ([], 1)],
            "the stop token comes first": [([4, 4, 2], 4), ([2, 5, 7], 2)],
            "the stop token has the id 0": [([3, 0, 4], 0)],
            "the answer has a token with the id 0": [([3, 0, 4, 2, 6], 2)],
            "the stop token comes last": [([3, 1, 7], 7)],
        },
        mistakes={
            "keeps_stop": _cut_at(1, None),
            "one_early": lambda token_ids, stop_id: until_stop(token_ids, stop_id)[:-1],
            "last_stop": _last_stop,
            "only_removed": lambda token_ids, stop_id: [token for token in token_ids if token != stop_id],
            "nothing_without_stop": _cut_at(0, 0),
            "last_token_lost": _cut_at(0, -1),
            "the_rest": _after_stop,
            "first_removed": lambda token_ids, stop_id: (
                [token for n, token in enumerate(token_ids) if n != token_ids.index(stop_id)]
                if stop_id in token_ids
                else token_ids
            ),
            "id_as_length": lambda token_ids, stop_id: token_ids[:stop_id],
        },
    ),
}
