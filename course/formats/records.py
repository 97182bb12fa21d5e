"""The shapes that post-training data comes in, and what each must satisfy.

Serves notebook 02 (instruction and conversation) and 06 (the four shapes of preference data). The
column names are those that TRL reads (its guide "Dataset formats and types"), so that a record from
here goes into one of its trainers as it is; Alpaca's `instruction`, `input`, `output`, rankings and
Likert ratings, which TRL has no trainer for, are converted first (see `convert.py`).

A record is a plain dict, and columns that a kind does not name travel along untouched:

    instruction   {instruction, input, output}        `input` may be empty or absent
    conversation  {messages: [{role, content}, ...]}
    preference    {prompt, chosen, rejected}
    unpaired      {prompt, completion, label}         label: true if the completion is good
    ranking       {prompt, completions, ranks}        ranks: 1 is the best, no ties
    likert        {prompt, completions, ratings}      1 to 5, or within the record's own `scale: [low, high]`

A prompt or a completion is a string or a list of messages; within one record all are of the same sort.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from course.text import half_character, visible

Record = dict[str, Any]
Message = dict[str, str]

ROLES = ("system", "user", "assistant")
LIKERT_SCALE = (1, 5)
SHOWN = 20
"""So many problems are written out in an error; all of them are in its `problems`."""

_OTHER_NAMES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one record: in which field, what, and how to mend it."""

    field: str
    what: str
    mend: str
    where: str = ""
    """The line of a file or the row of a list, once it is known."""

    def __str__(self) -> str:
        return f"{', '.join(part for part in (self.where, self.field) if part)}: {self.what}. {self.mend}"


class DataError(ValueError):
    """Data that cannot be used as it is. `problems` holds every fault that was found, in order."""

    def __init__(self, headline: str, problems: list[Problem]) -> None:
        self.problems = problems
        lines = [headline, *(f"  {problem}" for problem in problems[:SHOWN])]
        if len(problems) > SHOWN:
            lines.append(f"  ... and {len(problems) - SHOWN} more, all in the error's `problems`.")
        super().__init__("\n".join(lines))


# --- checks: each takes a value and the name of its field, and yields what is wrong -------------------------


def _check_text(value: Any, field: str) -> Iterator[Problem]:
    if value is None:
        yield Problem(field, "is missing", f"Add {field!r} to the record, or remove the record.")
    elif not isinstance(value, str):
        yield Problem(field, f"is {describe(value)}, not text", "Write it as a string.")
    elif not visible(value).strip():
        hidden = " It holds only characters that show nothing, such as U+200B." if value.strip() else ""
        yield Problem(field, "is empty", f"Write the text, or remove the record.{hidden}")


def _check_messages(messages: Any, field: str, starts: str, ends: str) -> Iterator[Problem]:
    """Turns must alternate between user and assistant, after at most one system turn in front."""
    if messages is None:
        yield Problem(field, "is missing", f"Add {field!r} to the record, or remove the record.")
        return
    if not isinstance(messages, list):
        yield Problem(field, f"is {describe(messages)}, not a list", "Write [{'role': ..., 'content': ...}, ...].")
        return
    if not messages:
        yield Problem(field, "is empty", "Add its turns, or remove the record.")
        return
    faults = [fault for i, turn in enumerate(messages) for fault in _check_turn(turn, f"{field}[{i}]")]
    yield from faults
    if any(not fault.field.endswith(".content") for fault in faults):
        return  # without sound roles their order cannot be judged
    yield from _check_order([turn["role"] for turn in messages], field, starts, ends)


def _check_turn(turn: Any, field: str) -> Iterator[Problem]:
    if not isinstance(turn, dict):
        yield Problem(field, f"is {describe(turn)}, not a message", "Write {'role': ..., 'content': ...}.")
        return
    role = turn.get("role")
    if role is None:
        yield Problem(f"{field}.role", "is missing", f"Add one of {', '.join(ROLES)}.")
    elif role not in ROLES:
        wanted = _OTHER_NAMES.get(role) if isinstance(role, str) else None
        yield Problem(
            f"{field}.role",
            f"unknown role {quote(role)}",
            f"Call it {wanted!r}." if wanted else f"Use one of {', '.join(ROLES)}.",
        )
    yield from _check_text(turn.get("content"), f"{field}.content")


def _check_order(roles: list[str], field: str, starts: str, ends: str) -> Iterator[Problem]:
    for i, (before, role) in enumerate(zip([None, *roles], roles, strict=False)):
        if role == "system" and i > 0:
            mend = "Move it to the front, and join several into one."
            yield Problem(f"{field}[{i}]", "a system turn that is not the first", mend)
        elif role == before:
            mend = "Join them into one, or put the missing turn between them."
            yield Problem(f"{field}[{i}]", f"two {role} turns in a row", mend)
    spoken = [role for role in roles if role != "system"]
    if not spoken or (ends == "assistant" and "assistant" not in spoken):
        yield Problem(field, f"has no {ends} turn", "Add one, or remove the record.")
        return
    if spoken[0] != starts:
        yield Problem(field, f"starts with the {spoken[0]}", f"Put the {starts}'s turn first.")
    if spoken[-1] != ends:
        mend = f"Add the {ends}'s turn that is missing, or drop the last one."
        yield Problem(field, f"ends with the {spoken[-1]}", mend)


def _check_prompt(value: Any, field: str) -> Iterator[Problem]:
    is_chat = isinstance(value, list)
    yield from _check_messages(value, field, "user", "user") if is_chat else _check_text(value, field)


def _check_completion(value: Any, field: str, prompt: Any) -> Iterator[Problem]:
    is_chat = isinstance(value, list)
    yield from (_check_messages(value, field, "assistant", "assistant") if is_chat else _check_text(value, field))
    if value is not None and prompt is not None and is_chat != isinstance(prompt, list):
        sorts = ("messages", "text") if is_chat else ("text", "messages")
        yield Problem(field, f"is {sorts[0]} while the prompt is {sorts[1]}", "Use one sort for both.")


def _check_completions(record: Record, at_least: int) -> Iterator[Problem]:
    completions = record.get("completions")
    if completions is None:
        yield Problem("completions", "is missing", "Add the list of answers to the prompt.")
        return
    if not isinstance(completions, list):
        yield Problem("completions", f"is {describe(completions)}, not a list", "Write one entry for each answer.")
        return
    if len(completions) < at_least:
        yield Problem("completions", f"has {len(completions)} of at least {at_least}", "Add answers.")
    for i, completion in enumerate(completions):
        yield from _check_completion(completion, f"completions[{i}]", record.get("prompt"))
        if completion in completions[:i]:
            twin = completions.index(completion)
            yield Problem(f"completions[{i}]", f"is the same as completions[{twin}]", "Keep one of them.")


def _check_numbers(record: Record, field: str) -> Iterator[Problem]:
    """One number for each completion; yields nothing only if the numbers can be used."""
    numbers, completions = record.get(field), record.get("completions")
    if numbers is None:
        yield Problem(field, "is missing", "Add a list with one number for each completion.")
    elif not isinstance(numbers, list):
        yield Problem(field, f"is {describe(numbers)}, not a list", "Write one number for each completion.")
    else:
        for i, number in enumerate(numbers):
            if not is_number(number):
                yield Problem(f"{field}[{i}]", f"is {quote(number)}, not a number", "Write it as a number.")
        if isinstance(completions, list) and len(numbers) != len(completions):
            what = f"has {len(numbers)} numbers for {len(completions)} completions"
            yield Problem(field, what, "Give each completion one.")


def is_truth(value: Any) -> bool:
    """Whether it is true or false, NumPy's too."""
    return isinstance(value, bool | np.bool_)


def is_number(value: Any) -> bool:
    """Whether it is a finite number, NumPy's too; true and false are none."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _is_scale(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] < value[1]


# --- the six kinds ------------------------------------------------------------------------------------------


def _instruction(record: Record) -> Iterator[Problem]:
    yield from _check_text(record.get("instruction"), "instruction")
    if not isinstance(record.get("input"), str | None):
        yield Problem("input", f"is {describe(record['input'])}, not text", "Write a string, '' if there is none.")
    yield from _check_text(record.get("output"), "output")


def _conversation(record: Record) -> Iterator[Problem]:
    yield from _check_messages(record.get("messages"), "messages", "user", "assistant")


def _preference(record: Record) -> Iterator[Problem]:
    if repeats_prompt(record):
        mend = "Separate them with `extract_prompt`, or read the data with `load_records`, which does."
        yield Problem("chosen", "is a whole conversation, prompt and answer in one", mend)
        return
    prompt, chosen, rejected = (record.get(field) for field in ("prompt", "chosen", "rejected"))
    yield from _check_prompt(prompt, "prompt")
    yield from _check_completion(chosen, "chosen", prompt)
    yield from _check_completion(rejected, "rejected", prompt)
    if chosen is not None and chosen == rejected:
        yield Problem("rejected", "is the same as chosen", "It prefers nothing: remove the record.")


def _unpaired(record: Record) -> Iterator[Problem]:
    yield from _check_prompt(record.get("prompt"), "prompt")
    yield from _check_completion(record.get("completion"), "completion", record.get("prompt"))
    label = record.get("label")
    if label is None:
        yield Problem("label", "is missing", "Add true for a good completion, false for a bad one.")
    elif not is_truth(label):
        yield Problem("label", f"is {quote(label)}, not true or false", "Write true or false, without quotes.")


def _ranking(record: Record) -> Iterator[Problem]:
    yield from _check_prompt(record.get("prompt"), "prompt")
    yield from _check_completions(record, at_least=2)
    faults = list(_check_numbers(record, "ranks"))
    yield from faults
    if not faults and sorted(ranks := record["ranks"]) != list(range(1, len(ranks) + 1)):
        mend = "Give the best 1, the next 2, and so on, each once; with ties, use ratings (likert) instead."
        yield Problem("ranks", f"{quote(ranks)} is not an order of 1 to {len(ranks)}", mend)


def _likert(record: Record) -> Iterator[Problem]:
    yield from _check_prompt(record.get("prompt"), "prompt")
    yield from _check_completions(record, at_least=1)
    faults = list(_check_numbers(record, "ratings"))
    yield from faults
    scale = record.get("scale") or list(LIKERT_SCALE)
    if not _is_scale(scale):
        yield Problem("scale", f"is {quote(scale)}", "Write [low, high], such as [1, 5], or leave it out.")
    elif not faults:
        low, high = scale
        for i, rating in enumerate(record["ratings"]):
            if not low <= rating <= high:
                mend = "Correct it, or give the record the `scale` that it was rated on."
                yield Problem(f"ratings[{i}]", f"{rating} is outside the scale {low} to {high}", mend)


KINDS: dict[str, Callable[[Record], Iterator[Problem]]] = {
    "instruction": _instruction,
    "conversation": _conversation,
    "preference": _preference,
    "unpaired": _unpaired,
    "ranking": _ranking,
    "likert": _likert,
}


def check(record: Any, kind: str) -> list[Problem]:
    """What is wrong with one record of this kind; an empty list if nothing is.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no kind of record called {kind!r}; the kinds are {', '.join(KINDS)}.")
    if not isinstance(record, dict):
        return [Problem("", f"is {describe(record)}, not a record", "Write an object with named fields.")]
    return list(KINDS[kind](record)) + list(_check_characters(record))


def _check_characters(record: Record) -> Iterator[Problem]:
    """Halves of characters, in any column: they pass as JSON and fail in every tokenizer and on every disk."""
    waiting: list[tuple[str, Any]] = [("", record)]
    seen: set[int] = set()
    while waiting:
        field, value = waiting.pop()
        if id(value) in seen:  # a list may hold itself
            continue
        if not isinstance(value, str):
            seen.add(id(value))
        if isinstance(value, str) and (half := half_character(value)):
            mend = "Write the whole character; in JSON an emoji is two such escapes, one after the other."
            yield Problem(field, f"holds half of a character ({half})", mend)
        elif isinstance(value, dict):
            for key, part in value.items():
                name = f"{field}.{key}".lstrip(".")
                waiting += [(name, part)] + [(f"the name {quote(key)}", key)] * isinstance(key, str)
        elif isinstance(value, list | tuple):
            waiting += [(f"{field}[{i}]", part) for i, part in enumerate(value)]


def quote(value: Any, longest: int = 60) -> str:
    """A value as an error may quote it: cut where it is long, and readable whatever it holds."""
    try:
        text = ascii(value) if isinstance(value, str) and half_character(value) else repr(value)
    except ValueError:  # a whole number of more digits than Python writes out
        text = "a number of thousands of digits"
    return text if len(text) <= longest else f"{text[:longest]}..."


def repeats_prompt(record: Any) -> bool:
    """Whether `chosen` and `rejected` are whole conversations, and there is no prompt or one that they repeat."""
    if not isinstance(record, dict):
        return False
    sides = [record.get(side) for side in ("chosen", "rejected")]
    whole = all((turns := as_turns(side)) and turns[0].get("role") in ("system", "user") for side in sides)
    return whole and (record.get("prompt") is None or all(isinstance(side, list) for side in sides))


def as_turns(value: Any) -> list[dict[str, Any]]:
    """A conversation in messages, or in a text as hh-rlhf writes it, as messages; an empty list if it is neither."""
    if isinstance(value, list):
        return value if all(isinstance(turn, dict) for turn in value) else []
    if not isinstance(value, str):
        return []
    before, *parts = re.split(r"(?:^|\n\n)(Human|Assistant):", value.lstrip())
    turns = [
        {"role": "user" if name == "Human" else "assistant", "content": text.strip()}
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    return turns if not before and len(turns) > 1 else []


def describe(value: Any) -> str:
    """What a value is, in words for an error message."""
    if value is None:
        return "nothing"
    if is_truth(value):
        return "true/false"
    names = {Real: "a number", str: "text", list: "a list", dict: "an object"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), type(value).__name__)
