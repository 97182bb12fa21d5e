"""What a set of preference pairs will teach, looked up before anything is trained on it: serves notebook 11.

Preference tuning amplifies what the labels have in common, whether or not anybody meant it. So count first: how long
chosen and rejected answers are, how often a rule that reads neither prompt nor meaning foretells the label, which rows
are copies, which contradict each other, how often two labels of one comparison agree. It reads texts only.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from statistics import mean
from typing import Any

from course.formats import DataError, Record, check
from course.formats.load import rows
from course.text import word_count

RULES: dict[str, Callable[[str], float]] = {
    "the longer answer": word_count,
    "more items of a list": lambda text: len(re.findall(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S", text, re.M)),
    "more exclamation marks": lambda text: text.count("!"),
}
"""Rules that foretell a label without knowing what was asked: the answer with the larger number wins."""


NAMED = 8


@dataclass(frozen=True)
class Counted:
    """So many of so many, and which.

    Attributes:
        count, of: the share is their quotient.
        rows: the records counted, from 0; empty where they would say nothing.
    """

    count: int
    of: int
    rows: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Between 0 and 1; NaN if there was nothing to count."""
        return self.count / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of many more such records would lie, with 95% confidence (Wilson 1927); 0 to 1 if `of` is 0.

        The records are taken as independent. Several pairs of one prompt are not quite, so this is a little narrow.
        """
        if not self.of:
            return 0.0, 1.0
        z = 1.96
        middle = (self.share + z * z / (2 * self.of)) / (1 + z * z / self.of)
        reach = z / (1 + z * z / self.of) * (self.share * (1 - self.share) / self.of + (z / (2 * self.of)) ** 2) ** 0.5
        return max(0.0, min(middle - reach, self.share)), min(1.0, max(middle + reach, self.share))  # rounding apart


@dataclass(frozen=True)
class PairReport:
    """What `check_pairs` found.

    Attributes:
        pairs: number of records.
        prompts: number of different prompts.
        chosen_words, rejected_words: mean lengths.
        rules: by name, how often the rule of `RULES` names the chosen answer, of the pairs in which it names one.
        equal: rows whose two answers are the same.
        copies: rows that say what an earlier row says, label included.
        contradicting: rows that no ranking of their prompt's answers can satisfy together: A over B beside B over A, or
            a circle of three and more.
        agreement: of all two labels of one comparison (the same prompt and answers), those that agree.
    """

    pairs: int
    prompts: int
    chosen_words: float
    rejected_words: float
    rules: dict[str, Counted]
    equal: Counted
    copies: Counted
    contradicting: Counted
    agreement: Counted

    def table(self) -> list[dict[str, Any]]:
        """One row for each check, for `show_table`; the first `NAMED` records that it found are in it."""
        rows: list[dict[str, Any]] = [
            {"check": "pairs", "found": str(self.pairs)},
            {"check": "prompts", "found": str(self.prompts)},
            {"check": "words, chosen", "found": f"{self.chosen_words:.1f}"},
            {"check": "words, rejected", "found": f"{self.rejected_words:.1f}"},
        ]
        for rule, found in self.rules.items():
            rows += _rate(f"{rule} wins", found)
        for name, found in (("answers equal", self.equal), ("copies", self.copies), ("contradict", self.contradicting)):
            rest = f" and {found.count - NAMED} more" if found.count > NAMED else ""
            named = ", ".join(map(str, found.rows[:NAMED])) + rest
            rows.append({"check": name, "found": str(found.count), "rows": named})
        return rows + _rate("two labels agree", self.agreement)

    def __str__(self) -> str:
        """The table as text, a line for each check."""
        lines = []
        for row in self.table():
            rest = [row[name] for name in ("95% interval", "rows") if row.get(name)]
            lines.append(f"{row['check']:<28}{row['found']:>12}   {', '.join(rest)}".rstrip())
        return "\n".join(lines)


def check_pairs(records: Sequence[Record]) -> PairReport:
    """Count what is suspicious about preference records; nothing is changed or left out.

    Two answers are the same if their texts are, apart from spaces at the ends. If records have a column `labeller`, two
    rows that are equal but for it are two opinions; without it they count as a copy, and as two labels that agree.

    Args:
        records: preference records {prompt, chosen, rejected}, of texts or of messages. They may have equal answers.
    Raises:
        DataError: a record is no preference record; lists every fault with its row.
        ValueError: there are no records.
    """
    if not (records := list(rows(records))):
        raise ValueError("There are no pairs to check.")
    faults = [
        replace(problem, where=f"row {row}")
        for row, record in enumerate(records)
        for problem in check(record, "preference")
        if problem.what != "is the same as chosen"  # the report counts these
    ]
    if faults:
        raise DataError("These are no preference records that could be counted (rows count from 0).", faults)
    labels = [tuple(_text(record[name]) for name in ("prompt", "chosen", "rejected")) for record in records]
    people, count = [record.get("labeller") for record in records], len(records)
    different = [row for row, (_, won, lost) in enumerate(labels) if won != lost]

    def counted(rows: Iterable[int]) -> Counted:
        found = tuple(rows)
        return Counted(len(found), count, found)

    def foretold(rule: Callable[[str], float]) -> Counted:
        ahead = [rule(won) - rule(lost) for _, won, lost in (labels[row] for row in different)]
        return Counted(sum(difference > 0 for difference in ahead), sum(difference != 0 for difference in ahead))

    said = list(zip(labels, map(repr, people), strict=True))
    first = {one: row for row, one in reversed(list(enumerate(said)))}
    return PairReport(
        pairs=count,
        prompts=len({prompt for prompt, _, _ in labels}),
        chosen_words=mean(word_count(won) for _, won, _ in labels),
        rejected_words=mean(word_count(lost) for _, _, lost in labels),
        rules={name: foretold(rule) for name, rule in RULES.items()},
        equal=counted(row for row, (_, won, lost) in enumerate(labels) if won == lost),
        copies=counted(row for row, one in enumerate(said) if first[one] < row),
        contradicting=counted(_in_circles(labels, different)),
        agreement=_agreement([(labels[row], people[row]) for row in different]),
    )


def _rate(name: str, found: Counted) -> list[dict[str, str]]:
    """The row of a share and its interval; none where there was nothing to count."""
    low, high = found.interval
    row = {"check": name, "found": f"{found.share:.0%} of {found.of}", "95% interval": f"{low:.0%} to {high:.0%}"}
    return [row] if found.of else []


def _in_circles(labels: Sequence[tuple[str, str, str]], different: Sequence[int]) -> list[int]:
    """Rows whose rejected answer beats their chosen one in turn, at once or by way of others."""
    beaten: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in different:
        prompt, won, lost = labels[row]
        beaten[prompt, won].add(lost)

    @cache
    def below(prompt: str, answer: str) -> set[str]:
        reached, todo = set(), [answer]
        while todo:
            new = beaten.get((prompt, todo.pop()), set()) - reached
            reached |= new
            todo += new
        return reached

    return [row for row in different if labels[row][1] in below(labels[row][0], labels[row][2])]


def _agreement(labels: Sequence[tuple[tuple[str, str, str], Any]]) -> Counted:
    """Two labels of one named labeller are not counted: nobody is a witness for himself."""
    by_comparison: defaultdict[tuple[str, frozenset[str]], list[tuple[str, Any]]] = defaultdict(list)
    for (prompt, won, lost), labeller in labels:
        by_comparison[prompt, frozenset((won, lost))].append((won, labeller))
    twos = [two for given in by_comparison.values() for two in combinations(given, 2)]
    said = [one[0] == other[0] for one, other in twos if one[1] is None or one[1] != other[1]]
    return Counted(sum(said), len(said))


def _text(value: Any) -> str:
    """A text, or who says what in messages, without spaces at the ends."""
    if isinstance(value, str):
        return value.strip()
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in value).strip()
