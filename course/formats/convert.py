"""From one shape of data to another.

Serves notebook 02 (instruction to conversation) and 06 (rankings and ratings to pairs). Each function checks what it
takes and returns new records. Columns that the two shapes do not name, such as `task` or `source`, travel along.

Rankings become pairs as in Ouyang et al. 2022, section 3.5: K answers give K(K-1)/2 comparisons.
"""

from itertools import combinations
from operator import itemgetter
from typing import Any

from course.formats.problems import DataError, refused
from course.formats.records import Record, check
from course.formats.whole import as_turns, said, whole_conversations
from course.text import visible

_PROMPTED = ("prompt", "chosen", "rejected", "completion", "completions")


def instruction_to_conversation(record: Record) -> Record:
    """The user's turn is the instruction and, after an empty line, its input; the output is the answer."""
    _require(record, "instruction")
    given = record["instruction"], record.get("input")
    asked = [text for text in given if isinstance(text, str) and visible(text).strip()]
    messages = [_turn("user", "\n\n".join(asked)), _turn("assistant", record["output"])]
    return {**_others(record, "instruction", "input", "output"), "messages": messages}


def as_messages(record: Record) -> Record:
    """A record with a text prompt as one made of messages, which TRL puts into the model's chat template."""
    if not isinstance(record.get("prompt"), str):
        return dict(record)

    def turns(answer: Any) -> list[Any]:
        return [turns(one) for one in answer] if isinstance(answer, list) else [_turn("assistant", answer)]

    changed = {field: turns(record[field]) for field in _PROMPTED[1:] if record.get(field) is not None}
    return {**record, **changed, "prompt": [_turn("user", record["prompt"])]}


def preference_to_conversation(record: Record) -> Record:
    """Prompt and chosen answer as a demonstration for SFT; the rejected answer is left behind."""
    _require(record, "preference")
    chat = as_messages(record)
    return {**_others(record, *_PROMPTED), "messages": [*chat["prompt"], *chat["chosen"]]}


def extract_prompt(record: Record) -> Record:
    """A preference record of two whole conversations, with the prompt and the two answers apart, in messages.

    Such are UltraFeedback, in messages, and hh-rlhf, texts in which `Human:` and `Assistant:` take turns. The turns
    that both share at the start become the prompt, as in TRL's function of this name, which compares texts by letters.

    Raises:
        DataError: no such record, another prompt, two different questions, or another turn after an answer.
    """
    if not (sides := whole_conversations(record)):
        raise refused("chosen", "is no whole conversation", "A record with prompt and answers apart stays as it is.")
    chosen, rejected = sides
    both = list(zip(said(chosen), said(rejected), strict=False))
    same = next((i for i, (one, other) in enumerate(both) if one != other), len(both))
    shared, given = chosen[:same], record.get("prompt")
    asked = [str(text).strip() for role, text in said(shared) if role == "user"]
    if said(chosen) == said(rejected):
        raise refused("rejected", "is the same as chosen", "It prefers nothing: remove the record.")
    if not asked or shared[-1].get("role") != "user":
        what = "parts from rejected before an answer, so they answer different questions"
        raise refused("chosen", what, "Remove the record.")
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        if isinstance(record[name], str) and len(side) > same + 1:
            what = "has another turn after its answer, or an answer that quotes one"
            raise refused(name, what, "Cut it after the answer, write it as messages, or remove the record.")
    if isinstance(given, list):
        turns = said(as_turns(given))
        fits = said(shared) in (turns, [turn for turn in turns if turn[0] != "system"])
        shared = given  # it may be alone in having the system turn
    else:
        plain = given is None or (isinstance(given, str) and given.strip() in ("", *asked))
        fits = plain or isinstance(record["chosen"], str)
    if not fits:
        raise refused("prompt", "is not what chosen and rejected begin with", "Correct it, or remove the record.")
    return {**_others(record, *_PROMPTED), "prompt": shared, "chosen": chosen[same:], "rejected": rejected[same:]}


def ranking_to_pairs(record: Record) -> list[Record]:
    """Every comparison that a ranking of K answers implies: K(K-1)/2 preference records, best first."""
    _require(record, "ranking")
    return _compared(record, [-rank for rank in record["ranks"]], "ranks")[0]


def pairs_to_ranking(pairs: list[Record]) -> Record:
    """The inverse of `ranking_to_pairs`: all pairs of one prompt as one ranking, best answer first.

    Raises:
        DataError: several prompts, a pair missing or doubled, or a circle (A over B, B over C, C over A), as
            comparisons by different people may have.
    """
    for pair in pairs:
        _require(pair, "preference")
    if not pairs or any(pair["prompt"] != pairs[0]["prompt"] for pair in pairs):
        raise refused("prompt", "is not the same in all pairs", "Give the pairs of one prompt at a time.")
    answers: list[Any] = []
    for answer in (pair[side] for pair in pairs for side in ("chosen", "rejected")):
        if answer not in answers:  # not a set: an answer may be a list of messages
            answers.append(answer)
    answers.sort(key=lambda answer: -sum(pair["chosen"] == answer for pair in pairs))
    implied = list(combinations(answers, 2))
    given = [(pair["chosen"], pair["rejected"]) for pair in pairs]
    if len(given) != len(implied) or any(pair not in given for pair in implied):
        what = f"{len(given)} pairs of {len(answers)} answers do not give one order"
        raise refused("chosen", what, f"Compare each two answers once ({len(implied)} pairs), without a circle.")
    ranks = list(range(1, len(answers) + 1))
    return {**_others(pairs[0], *_PROMPTED), "prompt": pairs[0]["prompt"], "completions": answers, "ranks": ranks}


def likert_to_pairs(record: Record) -> tuple[list[Record], int]:
    """Pairs of differently rated answers, and the number of ties, which are dropped. How much better is lost."""
    _require(record, "likert")
    return _compared(record, record["ratings"], "ratings", "scale")


def preference_to_unpaired(record: Record) -> list[Record]:
    """The chosen answer with label true and the rejected one with label false, as KTO reads them."""
    _require(record, "preference")
    rest = {**_others(record, *_PROMPTED), "prompt": record["prompt"]}
    return [{**rest, "completion": record[side], "label": side == "chosen"} for side in ("chosen", "rejected")]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _compared(record: Record, points: list[float], *named: str) -> tuple[list[Record], int]:
    """A pair for each two completions of different points, the best first, and the number of ties."""
    rated = sorted(zip(points, record["completions"], strict=True), key=itemgetter(0), reverse=True)
    rest = {**_others(record, *_PROMPTED, *named), "prompt": record["prompt"]}
    couples = list(combinations(rated, 2))
    pairs = [{**rest, "chosen": one, "rejected": two} for (high, one), (low, two) in couples if high > low]
    return pairs, len(couples) - len(pairs)


def _others(record: Record, *named: str) -> Record:
    """The columns that travel along; first in a new record, as empty ones may have the name of a result."""
    return {field: value for field, value in record.items() if field not in named}


def _require(record: Record, kind: str) -> None:
    if problems := check(record, kind):
        raise DataError(f"This is no {kind} record that can be converted.", problems)
