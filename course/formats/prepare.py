"""From raw records to a set to fine-tune on: format, filter, de-duplicate, balance.

Serves notebook 02, where every step is run by itself, and 05, where it cleans what a model wrote. Near duplicates are
found by the overlap of word shingles (Broder 1997, "On the resemblance and containment of documents"). On millions of
rows one would estimate that overlap by MinHash; here it is exact.

Each step is a pure function that gives one verdict per record, in order: None to keep it, or the reason to drop it.
"""

import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from course import SEED
from course.formats.convert import instruction_to_conversation
from course.formats.filters import REASONS, fault
from course.formats.load import own, rows
from course.formats.problems import DataError, Problem, is_empty_cell
from course.formats.records import Record, check
from course.formats.whole import conversation_in
from course.text import canonical, segments, visible

Verdict = str | None
Shingles = frozenset[tuple[str, ...]]

STEPS = {"filter": REASONS, "de-duplicate": ("exact duplicate", "near duplicate")}
"""The steps that can be chosen, each with the reasons for which it drops a record."""
PUNCTUATION = frozenset(".,;:!?'\"\u2018\u2019\u201c\u201d")


@dataclass(frozen=True)
class Step:
    """What one step left over, and how many records it dropped for which reason."""

    name: str
    kept: int
    dropped: dict[str, int]

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items())
        return f"{self.name:<14}{self.kept:>7} kept" + (f"   dropped {reasons}" if reasons else "")


@dataclass(frozen=True)
class Dropped:
    """A record that was left out: its row in the raw data (from 0), the step, the reason, and itself."""

    row: int
    step: str
    reason: str
    record: Record


@dataclass(frozen=True)
class Prepared:
    """Conversation records to train on, the counts of each step, and every record that was dropped."""

    records: list[Record]
    counts: list[Step]
    dropped: list[Dropped]

    def __str__(self) -> str:
        return "\n".join(map(str, self.counts))


def prepare_sft_data(
    raw: Sequence[Record],
    *,
    min_words: int = 1,
    max_words: int = 400,
    keep: Callable[[Record], bool] | None = None,
    similar: float = 0.8,
    steps: Collection[str] = tuple(STEPS),
    balance_by: str | None = None,
    per_task: int | None = None,
    seed: int = SEED,
) -> Prepared:
    """Format, filter, de-duplicate and balance raw records for SFT.

    Args:
        raw: instruction, conversation or prompt-and-completion records; a list, a `datasets.Dataset` or a table.
        min_words, max_words: bounds for the words of each answer (see `course.text.word_count`).
        keep: your own filter. Gets a formatted record and says whether it may stay.
        similar: word-shingle overlap, above 0 and up to 1, from which the later of two records is dropped.
        steps: which of `STEPS` to take, by name or by single reasons, as in `["too short", "de-duplicate"]`.
        balance_by: column that names a record's task; without it nothing is balanced.
        per_task, seed: the most records of a task, by default as many as the smallest has, and which of them stay.
    Returns:
        What is left, in the order of `raw`; raw = kept + dropped, step after step.
    Raises:
        DataError: a record lacks the column `balance_by`.
        ValueError: a bound makes no sense.
    """
    if not 0 < similar <= 1:
        raise ValueError(f"similar is a share above 0 and up to 1, not {similar}.")
    if not 0 <= min_words <= max_words:
        raise ValueError(f"min_words={min_words} and max_words={max_words} leave no length between them.")
    if per_task is not None and (not isinstance(per_task, int) or per_task < 1 or balance_by is None):
        raise ValueError("per_task is a count of 1 or more, and wants balance_by to say what a task is.")
    named = [steps] if isinstance(steps, str) else steps
    wanted = {reason for name in named for reason in STEPS.get(name, (name,))}
    if unknown := wanted.difference(*STEPS.values()):
        there = ", ".join(repr(name) for step, reasons in STEPS.items() for name in (step, *reasons))
        raise ValueError(f"There is no step {min(unknown)!r}; `steps` takes a list of {there}.")
    raw = list(rows(raw))
    kept: dict[int, Any] = {row: as_conversation(record) for row, record in enumerate(raw)}
    counts, dropped = [Step("raw", len(kept), {})], []

    def apply(name: str, verdicts: list[Verdict]) -> None:
        out = [(row, verdict) for row, verdict in zip(kept, verdicts, strict=True) if verdict is not None]
        dropped.extend(Dropped(row, name, verdict, raw[row]) for row, verdict in out)
        for row, _ in out:
            del kept[row]
        counts.append(Step(name, len(kept), dict(Counter(verdict for _, verdict in out).most_common())))

    apply("format", [result if isinstance(result, str) else None for result in kept.values()])
    apply("filter", [fault(record, min_words, max_words, keep, wanted) for record in kept.values()])
    apply("de-duplicate", duplicates(list(kept.values()), similar, wanted))
    if balance_by is not None:
        problem = Problem(balance_by, "is missing", "Add it, or call without balance_by.")
        if missing := [replace(problem, where=f"row {i}") for i, one in kept.items() if one.get(balance_by) is None]:
            raise DataError(f"Not every record has the column {balance_by!r} (rows count from 0).", missing)
        apply("balance", surplus([str(record[balance_by]) for record in kept.values()], per_task, seed))
    return Prepared(list(kept.values()), counts, dropped)


def as_conversation(record: Record) -> Record | str:
    """One raw record as a tidy conversation, or the reason why it cannot become one."""
    try:
        record = own(record)
    except DataError as error:  # it is nested too deep
        return error.problems[0].what
    # In a data set of mixed records every row has all columns, and None in those that are not its own.
    given = {name for name in record if not is_empty_cell(record[name])} if isinstance(record, dict) else set()
    kind = "instruction" if "instruction" in given and "messages" not in given else "conversation"
    chat = record
    if "prompt" in given and "completion" in record and given.isdisjoint(("messages", "instruction")):
        if isinstance(record["prompt"], str) and (form := conversation_in(record["prompt"])):
            return f"prompt is a conversation written as {form}"
        sides = {"user": record["prompt"], "assistant": record["completion"]}
        turns = [side if isinstance(side, list) else [{"role": role, "content": side}] for role, side in sides.items()]
        rest = {field: value for field, value in record.items() if field not in ("prompt", "completion")}
        chat = {**rest, "messages": turns[0] + turns[1]}
    if problems := check(chat, kind):
        field = re.sub(r"\[\d+\]", "", problems[0].field)  # without the turn's number: reasons are counted
        return f"{field} {problems[0].what}".strip()
    if kind == "instruction":
        chat = instruction_to_conversation(record)
    return {**chat, "messages": [{**turn, "content": tidy(turn["content"])} for turn in chat["messages"]]}


def tidy(text: str) -> str:
    """The text with one way of writing each character and line end, and no space around it."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def words(text: str) -> list[str]:
    """Words in lower case, and signs that carry meaning (+, -, %); punctuation and spacing are dropped.

    After a number, case and `!` stay: 5 Mg are not 5 mg, and 5! is not 5.
    """
    found: list[str] = []
    for part in segments(canonical(text)):
        counted = bool(found) and found[-1][-1].isnumeric()
        if part not in PUNCTUATION or (part == "!" and counted):
            found.append(part if counted else part.casefold())
    return found


def shingles(text: str, size: int = 3) -> Shingles:
    """All runs of `size` neighbouring words; a shorter text is one shingle."""
    found = words(text)
    return frozenset(tuple(found[i : i + size]) for i in range(max(1, len(found) - size + 1)))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared shingles as a part of all shingles of the two: 1 for the same set, 0 for nothing in common."""
    return len(one & other) / len(one | other)


def duplicates(
    records: Sequence[Record], similar: float, wanted: Collection[str] = STEPS["de-duplicate"]
) -> list[Verdict]:
    """Which records repeat an earlier one that stays.

    An exact duplicate differs at most in spaces within a line, in invisible characters and in how an accent is
    composed. A near duplicate has a word-shingle overlap >= `similar`; case and punctuation do not count.

    Two sets can only overlap that much if they share one of the few rarest shingles of the later one, so each record
    is compared with those candidates only (the prefix filter of Chaudhuri et al. 2006).
    """
    near = "near duplicate" in wanted
    sets = [shingles(_said(record)) if near else frozenset() for record in records]
    count = Counter(shingle for one in sets for shingle in one)
    seen: set[tuple[Any, ...]] = set()
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)  # which kept records have a shingle
    verdicts: list[Verdict] = []
    for i, (record, own_set) in enumerate(zip(records, sets, strict=True)):
        exact = tuple((turn["role"], _as_seen(turn["content"])) for turn in record["messages"])
        rarest_first = sorted(own_set, key=lambda shingle: (count[shingle], shingle))
        prefix = rarest_first[: len(own_set) - ceil(similar * len(own_set) - 1e-9) + 1]  # 1e-9: 0.56 * 25 is above 14
        candidates = {j for shingle in prefix for j in holders[shingle]}
        if exact in seen and "exact duplicate" in wanted:
            verdicts.append("exact duplicate")
        elif any(jaccard(own_set, sets[j]) >= similar for j in candidates):
            verdicts.append("near duplicate")
        else:
            verdicts.append(None)
            seen.add(exact)
            for shingle in prefix:
                holders[shingle].append(i)
    return verdicts


def _as_seen(text: str) -> tuple[tuple[str, str], ...]:
    """The lines of a text, each with its indentation, which is part of a program."""
    lines = visible(text).strip().splitlines()
    return tuple((line[: len(line) - len(line.lstrip())] if line.strip() else "", canonical(line)) for line in lines)


def _said(record: Record) -> str:
    """What user and assistant say; a system turn is left out, since whole data sets share one."""
    return "\n".join(f"{turn['role']} {turn['content']}" for turn in record["messages"] if turn["role"] != "system")


def surplus(tasks: Sequence[str], per_task: int | None, seed: int) -> list[Verdict]:
    """Which records are more than their task's share, `per_task` or the size of the smallest task; chosen at random.

    A task draws from its own stream of the seed, so that adding another does not change this one's choice.
    """
    verdicts: list[Verdict] = [None] * len(tasks)
    by_task: defaultdict[str, list[int]] = defaultdict(list)
    for row, task in enumerate(tasks):
        by_task[task].append(row)
    share = per_task or min(map(len, by_task.values()), default=0)
    for task, members in by_task.items():
        for row in random.Random(f"{seed} {task}").sample(members, max(0, len(members) - share)):
            verdicts[row] = f"more than {share} of {task}"
    return verdicts
