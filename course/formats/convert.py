"""From one shape of data to another, and back wherever nothing is lost on the way.

Serves notebook 02 (instruction to conversation) and 06 (rankings and ratings to pairs). Each function takes
one record, or the list that belongs together, checks it and returns new records. Columns that the two
shapes do not name, such as `task` or `source`, travel along.

Rankings become pairs as in Ouyang et al. 2022, section 3.5: K answers give K(K-1)/2 comparisons.
"""

import json
from itertools import combinations
from typing import Any

from course.formats.records import DataError, Problem, Record, as_turns, check, repeats_prompt

_PROMPTED = ("prompt", "chosen", "rejected", "completion", "completions")


def instruction_to_conversation(record: Record) -> Record:
    """The user's turn is the instruction and, after an empty line, its input; the output is the answer."""
    _require(record, "instruction")
    asked = "\n\n".join(filter(None, [record["instruction"], record.get("input")]))
    messages = [_turn("user", asked), _turn("assistant", record["output"])]
    return {**_others(record, "instruction", "input", "output"), "messages": messages}


def conversation_to_instruction(record: Record) -> Record:
    """One question and one answer as an instruction, with the whole question in `instruction`.

    Undoes `instruction_to_conversation` except for the border between instruction and input, which a
    conversation does not keep.

    Raises:
        DataError: the conversation has a system turn or more than one answer; an instruction holds neither.
    """
    _require(record, "conversation")
    _require_roles(record["messages"], ["user", "assistant"], "messages")
    asked, answer = (turn["content"] for turn in record["messages"])
    return {**_others(record, "messages"), "instruction": asked, "input": "", "output": answer}


def as_messages(record: Record) -> Record:
    """A record with a text prompt (preference, unpaired, ranking, Likert) as one made of messages.

    TRL puts messages into the model's chat template, and leaves text as it is.
    """
    if not isinstance(record.get("prompt"), str):
        return dict(record)
    changed: Record = {"prompt": [_turn("user", record["prompt"])]}
    for field in ("chosen", "rejected", "completion"):
        if record.get(field) is not None:
            changed[field] = [_turn("assistant", record[field])]
    if record.get("completions") is not None:
        changed["completions"] = [[_turn("assistant", text)] for text in record["completions"]]
    return {**record, **changed}


def as_text(record: Record) -> Record:
    """The inverse of `as_messages`, for a prompt of one user turn and answers of one turn.

    Raises:
        DataError: the record has a system turn or several turns, which plain text does not hold.
    """
    if not isinstance(record.get("prompt"), list):
        return dict(record)

    def text(messages: list[dict[str, str]], role: str, field: str) -> str:
        _require_roles(messages, [role], field)
        return messages[0]["content"]

    changed: Record = {"prompt": text(record["prompt"], "user", "prompt")}
    for field in ("chosen", "rejected", "completion"):
        if record.get(field) is not None:
            changed[field] = text(record[field], "assistant", field)
    if record.get("completions") is not None:
        changed["completions"] = [text(answer, "assistant", "completions") for answer in record["completions"]]
    return {**record, **changed}


def preference_to_conversation(record: Record) -> Record:
    """Prompt and chosen answer as a demonstration for SFT; the rejected answer is left behind."""
    _require(record, "preference")
    chat = as_messages(record)
    return {**_others(record, *_PROMPTED), "messages": [*chat["prompt"], *chat["chosen"]]}


def extract_prompt(record: Record) -> Record:
    """A preference record of two whole conversations, with the prompt and the two answers apart, in messages.

    Such are UltraFeedback, where messages repeat the prompt, and hh-rlhf, texts in which `Human:` and `Assistant:` take
    turns. The turns that both share at the start become the prompt, as in TRL's function of this name. TRL compares
    texts letter by letter, so that answers which begin with the same letters lose them to the prompt; here they are
    read as turns.

    Raises:
        DataError: it is no such record, its prompt is another one, or the two ask different questions.
    """
    if not repeats_prompt(record):
        raise _refuse("chosen", "is no whole conversation", "A record with prompt and answers apart stays as it is.")
    chosen, rejected = (as_turns(record[side]) for side in ("chosen", "rejected"))
    same = 0
    while same < min(len(chosen), len(rejected)) and chosen[same] == rejected[same]:
        same += 1
    shared, given = chosen[:same], record.get("prompt")
    asked = [str(turn.get("content")).strip() for turn in shared if turn.get("role") == "user"]
    if chosen == rejected:
        raise _refuse("rejected", "is the same as chosen", "It prefers nothing: remove the record.")
    if not asked or (shared[-1].get("role") != "user"):
        what = "and rejected part before an answer, so they answer different questions"
        raise _refuse("chosen", what, "Remove the record.")
    if given is not None and given != shared and not (isinstance(given, str) and given.strip() in asked):
        raise _refuse("prompt", "is not what chosen and rejected begin with", "Correct it, or remove the record.")
    return {**_others(record, *_PROMPTED), "prompt": shared, "chosen": chosen[same:], "rejected": rejected[same:]}


def ranking_to_pairs(record: Record) -> list[Record]:
    """Every comparison that a ranking of K answers implies: K(K-1)/2 preference records, best first."""
    _require(record, "ranking")
    by_rank = [answer for _, answer in sorted(zip(record["ranks"], record["completions"], strict=True), key=_first)]
    rest = _others(record, *_PROMPTED, "ranks")
    return [_pair(record["prompt"], better, worse, rest) for better, worse in combinations(by_rank, 2)]


def pairs_to_ranking(pairs: list[Record]) -> Record:
    """The inverse of `ranking_to_pairs`: all pairs of one prompt as one ranking, best answer first.

    Raises:
        DataError: the pairs are of several prompts, one is missing or doubled, or they run in a circle
            (A over B, B over C, C over A), as comparisons by different people may.
    """
    for pair in pairs:
        _require(pair, "preference")
    if not pairs or any(pair["prompt"] != pairs[0]["prompt"] for pair in pairs):
        raise _refuse("prompt", "is not the same in all pairs", "Give the pairs of one prompt at a time.")
    answers: list[Any] = []
    for answer in (pair[side] for pair in pairs for side in ("chosen", "rejected")):
        if answer not in answers:  # not a set: an answer may be a list of messages
            answers.append(answer)
    answers.sort(key=lambda answer: -sum(pair["chosen"] == answer for pair in pairs))
    ranking = {
        "prompt": pairs[0]["prompt"],
        "completions": answers,
        "ranks": list(range(1, len(answers) + 1)),
    }
    implied = [(better, worse) for better, worse in combinations(answers, 2)]
    given = [(pair["chosen"], pair["rejected"]) for pair in pairs]
    if len(given) != len(implied) or any(pair not in given for pair in implied):
        what = f"{len(given)} pairs of {len(answers)} answers do not give one order"
        mend = f"Compare each two answers once ({len(implied)} pairs), and without a circle."
        raise _refuse("chosen", what, mend)
    return {**_others(pairs[0], *_PROMPTED), **ranking}


def likert_to_pairs(record: Record) -> tuple[list[Record], int]:
    """Pairs of differently rated answers, and the number of ties, which prefer nothing and are dropped.

    It cannot be undone: a pair says which answer is better, no longer by how much.
    """
    _require(record, "likert")
    pairs, ties = [], 0
    rest = _others(record, *_PROMPTED, "ratings", "scale")
    rated = sorted(zip(record["ratings"], record["completions"], strict=True), key=_first, reverse=True)
    for (high, better), (low, worse) in combinations(rated, 2):
        if high == low:
            ties += 1
        else:
            pairs.append(_pair(record["prompt"], better, worse, rest))
    return pairs, ties


def preference_to_unpaired(record: Record) -> list[Record]:
    """The chosen answer with label true and the rejected one with label false, as KTO reads them."""
    _require(record, "preference")
    rest = _others(record, *_PROMPTED)
    return [
        {**rest, "prompt": record["prompt"], "completion": record[side], "label": side == "chosen"}
        for side in ("chosen", "rejected")
    ]


def unpaired_to_preference(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Each good answer of a prompt over each of its bad ones, and the records that found no partner.

    Undoes `preference_to_unpaired` where every prompt occurs in one pair; with g good and b bad answers to
    a prompt it makes g times b pairs. A pair takes the other columns from its good answer.
    """
    sides: dict[str, dict[bool, list[Record]]] = {}
    for record in records:
        _require(record, "unpaired")
        key = json.dumps(record["prompt"], sort_keys=True)
        sides.setdefault(key, {True: [], False: []})[record["label"]].append(record)
    pairs, alone = [], []
    for answers in sides.values():
        if not (answers[True] and answers[False]):
            alone += answers[True] + answers[False]
        for good in answers[True]:
            rest = _others(good, *_PROMPTED, "label")
            pairs += [_pair(good["prompt"], good["completion"], bad["completion"], rest) for bad in answers[False]]
    return pairs, alone


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _pair(prompt: Any, better: Any, worse: Any, rest: Record) -> Record:
    return {**rest, "prompt": prompt, "chosen": better, "rejected": worse}


def _others(record: Record, *named: str) -> Record:
    """The columns that travel along. They come first in a new record: one of them may have the name of a result,
    as the empty columns do that a data set of mixed records gives to every row.
    """
    return {field: value for field, value in record.items() if field not in named}


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _require(record: Record, kind: str) -> None:
    if problems := check(record, kind):
        raise DataError(f"This is no {kind} record that can be converted.", problems)


def _require_roles(messages: list[dict[str, str]], roles: list[str], field: str) -> None:
    found = [turn["role"] for turn in messages]
    if found != roles:
        what = f"has the turns {', '.join(found)}; only {' and '.join(roles)} fit"
        raise _refuse(field, what, "Keep it as messages.")


def _refuse(field: str, what: str, mend: str) -> DataError:
    return DataError("This cannot be converted.", [Problem(field, what, mend)])
