"""The shapes that post-training data comes in, and what each must satisfy.

Serves notebook 02 (instruction and conversation) and 06 (the four shapes of preference data). The column names are
those that TRL's trainers read (its guide "Dataset formats and types"), except of instructions (Alpaca's), rankings and
Likert ratings, which are converted first (see `convert.py`).

A record is a plain dict, and columns that a kind does not name travel along untouched:

    instruction   {instruction, input, output}        `input` may be empty or absent
    conversation  {messages: [{role, content}, ...]}
    preference    {prompt, chosen, rejected}
    unpaired      {prompt, completion, label}         label: true if the completion is good
    ranking       {prompt, completions, ranks}        ranks: 1 is the best, no ties
    likert        {prompt, completions, ratings}      1 to 5, or within the record's own `scale: [low, high]`

A prompt or a completion is a string or a list of messages; within one record all are of the same sort.
"""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any

from course.formats.problems import Problem, describe, is_empty_cell, is_number, is_truth, quote
from course.formats.whole import conversation_in, said, whole_conversations
from course.text import half_character, visible

Record = dict[str, Any]
Message = dict[str, str]

ROLES = ("system", "user", "assistant")
LIKERT_SCALE = (1, 5)

ELSEWHERE = {
    **{"system": ("developer",), "user": ("human", "prompter"), "assistant": ("gpt", "bot", "model", "chatgpt")},
    **{"messages": ("conversations", "conversation", "dialog", "dialogue"), "role": ("from",), "content": ("value",)},
    **{"instruction": ("question", "query", "prompt"), "input": ("context",), "prompt": ("question", "instruction")},
    **{"output": ("response", "answer", "completion"), "completion": ("response", "output", "answer")},
}
"""What other data sets call a role or a field: ShareGPT, Dolly, OASST and their like."""
FIELDS = frozenset(
    {"messages", "role", "content", "instruction", "input", "output", "prompt", "chosen", "rejected", "completion"}
    | {"completions", "label", "ranks", "ratings", "scale"}
)
UNREAD = ("tool_calls", "function_call", "weight", "reasoning_content", "thinking")
"""Parts of a message that other trainers read, and that would be lost here."""
QUOTES = "'\""


def _missing(holder: dict, name: str, at: str = "", mend: str = "") -> Problem:
    """That a field is missing; the fix names what the record has instead, if that can be guessed."""
    given = {key.strip("\ufeff ").lower(): key for key in holder if isinstance(key, str) and holder[key] is not None}
    close = [key for key in get_close_matches(name, given, n=1, cutoff=0.8) if key not in FIELDS or given[key] != key]
    found = next((given[key] for key in (*close, *ELSEWHERE.get(name, ())) if key in given), None)
    if found is not None:
        second = ", and 'context' to 'input'" if name == "output" and "context" in given else ""  # Dolly has two texts
        mend = f"Rename {quote(found)} to {name!r}{second}."
    return Problem(at + name, "is missing", mend or f"Add {at + name!r} to the record, or remove the record.")


def _unusable(holder: dict, name: str, kind: type, write: str, at: str = "") -> Problem | None:
    """That a field is missing or of another type than `str` or `list`; the fix says how to write it."""
    value = holder.get(name)
    if value is None:
        return _missing(holder, name, at)
    wanted = "text" if kind is str else "a list"
    return None if isinstance(value, kind) else Problem(at + name, f"is {describe(value)}, not {wanted}", write)


def _check_text(holder: dict, name: str, at: str = "") -> Iterator[Problem]:
    if fault := _unusable(holder, name, str, "Write it as a string.", at):
        yield fault
    elif not visible(holder[name]).strip():
        hidden = " It holds only characters that show nothing, such as U+200B." if holder[name].strip() else ""
        yield Problem(at + name, "is empty", f"Write the text, or remove the record.{hidden}")


def _check_messages(holder: dict, name: str, starts: str, ends: str) -> Iterator[Problem]:
    """Turns must alternate between user and assistant, after at most one system turn in front."""
    if fault := _unusable(holder, name, list, "Write [{'role': ..., 'content': ...}, ...]."):
        yield fault
    elif not (messages := holder[name]):
        yield Problem(name, "is empty", "Add its turns, or remove the record.")
    else:
        yield from (faults := [fault for i, turn in enumerate(messages) for fault in check_turn(turn, f"{name}[{i}]")])
        if all(fault.field.endswith(".content") for fault in faults):  # else their order cannot be checked
            yield from _check_order([turn["role"] for turn in messages], name, starts, ends)


def check_turn(turn: Any, field: str) -> Iterator[Problem]:
    """What is wrong with one message, whichever stand beside it."""
    if not isinstance(turn, dict):
        yield Problem(field, f"is {describe(turn)}, not a message", "Write {'role': ..., 'content': ...}.")
        return
    role, use = turn.get("role"), f"Use one of {', '.join(ROLES)}."
    if role is None:
        yield _missing(turn, "role", f"{field}.", use)
    elif not isinstance(role, str) or role not in ROLES:
        plain = str(role).strip().lower()
        if plain in ("tool", "function", "ipython", "observation"):
            use += " The templates here write no calls of tools: remove the record, or tell it in words."
        meant = [f"Call it {name!r}." for name in ROLES if plain in (name, *ELSEWHERE[name])]
        yield Problem(f"{field}.role", f"unknown role {quote(role)}", (*meant, use)[0])
    yield from _check_text(turn, "content", f"{field}.")
    for name in UNREAD:
        if (found := quote(turn.get(name))) not in ("None", "''", "[]", "1", "1.0"):
            mend = "Remove it to learn the turn without it, or remove the record."
            yield Problem(f"{field}.{name}", f"is {found}, which is not read here", mend)


def _check_order(roles: list[str], field: str, starts: str, ends: str) -> Iterator[Problem]:
    for i, (before, role) in enumerate(zip([None, *roles], roles, strict=False)):
        if role == "system" and i > 0:
            yield Problem(f"{field}[{i}]", "a system turn that is not the first", "Move it to the front, as one turn.")
        elif role == before:
            yield Problem(f"{field}[{i}]", f"two {role} turns in a row", "Join them, or put the missing turn between.")
    spoken = [role for role in roles if role != "system"]
    if not spoken or (ends == "assistant" and "assistant" not in spoken):
        yield Problem(field, f"has no {ends} turn", "Add one, or remove the record.")
        return
    if spoken[0] != starts:
        also = ", or let both answers repeat the prompt" if starts == "assistant" else ""
        yield Problem(field, f"starts with the {spoken[0]}", f"Put the {starts}'s turn first{also}.")
    if spoken[-1] != ends:
        yield Problem(field, f"ends with the {spoken[-1]}", f"Add the {ends}'s turn, or drop the last one.")


def _check_side(holder: dict, name: str, role: str, prompt: Any = None) -> Iterator[Problem]:
    """A prompt (`role` is user) or an answer to it (assistant): text, or messages that begin and end with that role."""
    value = holder.get(name)
    is_chat = isinstance(value, list)
    yield from _check_messages(holder, name, role, role) if is_chat else _check_text(holder, name)
    if role == "user" and isinstance(value, str) and (form := conversation_in(value)):
        yield Problem(name, f"is a conversation written as {form}", "Write it as a list of messages.")
    if value is not None and prompt is not None and is_chat != isinstance(prompt, list):
        sorts = ("messages", "text") if is_chat else ("text", "messages")
        yield Problem(name, f"is {sorts[0]} while the prompt is {sorts[1]}", "Use one sort for both.")


def _check_answers(holder: dict, names: Iterable[str], prompt: Any, mend: str) -> Iterator[Problem]:
    """Several answers to a prompt, no two of them the same (those with faults of their own are not compared)."""
    seen: dict[str, Any] = {}
    for name in names:
        yield from (faults := list(_check_side(holder, name, "assistant", prompt)))
        if faults:
            continue
        words = holder[name] if isinstance(holder[name], str) else said(holder[name])
        if twin := next((other for other, text in seen.items() if text == words), None):
            yield Problem(name, f"is the same as {twin}", mend)
        seen[name] = words


def _check_completions(record: Record, at_least: int) -> Iterator[Problem]:
    """The prompt and the list of answers to it."""
    yield from _check_side(record, "prompt", "user")
    if fault := _unusable(record, "completions", list, "Write a list of answers, one entry for each answer."):
        yield fault
        return
    completions = record["completions"]
    if len(completions) < at_least:
        yield Problem("completions", f"has {len(completions)} of at least {at_least}", "Add answers.")
    answers = {f"completions[{i}]": completion for i, completion in enumerate(completions)}
    yield from _check_answers(answers, answers, record.get("prompt"), "Keep one of them.")


def _check_numbers(record: Record, field: str) -> Iterator[Problem]:
    """One number for each completion; yields nothing only if the numbers can be used."""
    completions = record.get("completions")
    if fault := _unusable(record, field, list, "Write a list with one number for each completion."):
        yield fault
        return
    for i, number in enumerate(record[field]):
        if not is_number(number):
            yield Problem(f"{field}[{i}]", f"is {quote(number)}, not a number", "Write it as a number.")
    if isinstance(completions, list) and (count := len(record[field])) != len(completions):
        yield Problem(field, f"has {count} numbers for {len(completions)} completions", "Give each completion one.")


def _instruction(record: Record) -> Iterator[Problem]:
    yield from _check_text(record, "instruction")
    write, empty = "Write a string, '' if there is none.", is_empty_cell(record.get("input"))
    if not empty and (fault := _unusable(record, "input", str, write)):
        yield fault
    yield from _check_text(record, "output")


def _preference(record: Record) -> Iterator[Problem]:
    if whole_conversations(record):
        mend = "Separate them with `extract_prompt`, or read the data with `load_records`, which does."
        yield Problem("chosen", "is a whole conversation, prompt and answer in one", mend)
        return
    yield from _check_side(record, "prompt", "user")
    sides, mend = ("chosen", "rejected"), "It prefers nothing: remove the record."
    yield from _check_answers(record, sides, record.get("prompt"), mend)


def _unpaired(record: Record) -> Iterator[Problem]:
    yield from _check_side(record, "prompt", "user")
    yield from _check_side(record, "completion", "assistant", record.get("prompt"))
    label = record.get("label")
    if label is None:
        yield _missing(record, "label", mend="Add true for a good completion, false for a bad one.")
    elif not is_truth(label):
        yield Problem("label", f"is {quote(label)}, not true or false", "Write true or false, without quotes.")


def _ranking(record: Record) -> Iterator[Problem]:
    yield from _check_completions(record, at_least=2)
    yield from (faults := list(_check_numbers(record, "ranks")))
    if not faults and sorted(ranks := record["ranks"]) != list(range(1, len(ranks) + 1)):
        mend = "Give the best 1, the next 2, and so on, each once; with ties, use ratings (likert) instead."
        yield Problem("ranks", f"{quote(ranks)} is not an order of 1 to {len(ranks)}", mend)


def _likert(record: Record) -> Iterator[Problem]:
    yield from _check_completions(record, at_least=1)
    yield from (faults := list(_check_numbers(record, "ratings")))
    scale = LIKERT_SCALE if record.get("scale") is None else record["scale"]
    two = isinstance(scale, list | tuple) and len(scale) == 2 and all(map(is_number, scale))
    if not two or scale[0] >= scale[1]:
        yield Problem("scale", f"is {quote(scale)}", "Write [low, high], such as [1, 5], or leave it out.")
    elif not faults:
        for i, rating in enumerate(record["ratings"]):
            if not scale[0] <= rating <= scale[1]:
                mend = "Correct it, or give the record the `scale` that it was rated on."
                yield Problem(f"ratings[{i}]", f"{rating} is outside the scale {scale[0]} to {scale[1]}", mend)


KINDS: dict[str, Callable[[Record], Iterator[Problem]]] = {
    "instruction": _instruction,
    "conversation": partial(_check_messages, name="messages", starts="user", ends="assistant"),
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
    if kind not in list(KINDS):
        raise ValueError(f"There is no kind of record called {kind!r}; the kinds are {', '.join(KINDS)}.")
    if not isinstance(record, dict):
        return [Problem("", f"is {describe(record)}, not a record", "Write an object with named fields.")]
    return [*KINDS[kind](record), *_check_characters(record)]


def _check_characters(record: Record) -> Iterator[Problem]:
    """Halves of characters, in any column: they pass as JSON and fail in every tokenizer and on every disk."""
    waiting: list[tuple[str, Any]] = [("", record)]
    seen: set[int] = set()
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, str):
            if half := half_character(value):
                mend = "Write the whole character; in JSON an emoji is two such escapes, one after the other."
                yield Problem(field, f"holds half of a character ({half})", mend)
        elif isinstance(value, dict | list | tuple | set | frozenset) and id(value) not in seen:
            seen.add(id(value))  # a list may hold itself
            if isinstance(value, dict):
                waiting += [(f"the name {quote(key)}", key) for key in value]
                waiting += [(f"{field}.{quote(key).strip(QUOTES)}".lstrip("."), part) for key, part in value.items()]
            else:
                waiting += [(f"{field}[{i}]", part) for i, part in enumerate(value)]
