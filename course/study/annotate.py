"""`annotate(pairs, "my_preferences.jsonl")`: two answers side by side, and each click becomes preference data.

Serves lesson 06, whose file lesson 11 trains on. There are two files, side by side:

- the journal (`my_preferences.jsonl.journal`), one JSON object a line: {prompt, a, b, choice, left, at}. A click is
  appended, and on the disk, before the widget calls it saved. Nothing is ever taken out of it; an undo is one more
  line. It is what a killed kernel leaves behind, and what the widget goes on from when the cell runs again.
- the preference file itself, {prompt, chosen, rejected}, made anew from the journal after each click and put in place
  in one step, so that it is sound at every moment. Ties, skips and undone choices are in the journal only.

Both hold all pairs that were ever decided under this name, also those of an earlier list: real preferences stay real
when the next run samples other answers. So do records that are in the preference file and not in the journal, as when
it was downloaded from a page without a kernel: they are taken over. Several notebooks may write to one name; a lock
gives each its turn.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from course import SEED
from course.formats import DataError, Problem, Record, load_records
from course.study.markup import static_text
from course.study.widget import WAITED, StudyWidget, outdated
from course.text import visible

CHOICES = ("a", "b", "tie", "skip")
UNDO = "undo"
TEXTS = ("prompt", "a", "b")
STATIC_PAIRS = 10
WAIT_SECONDS = 10.0


def annotate(pairs: Sequence[Mapping[str, str]], path: str | Path, seed: int = SEED) -> "Annotation":
    """Asks which of two answers is better, pair by pair, and writes the choices to a preference file.

    Run the cell again and it goes on where you stopped.

    Args:
        pairs: each with the texts `prompt`, `a` and `b`. A pair that comes twice is shown once. One that could not
            become a preference, since both answers are the same or one is empty, is left out, and the widget says so.
        path: the preference file, made if it is missing; `load_records(path, "preference")` reads it.
        seed: which answer of a pair stands first, so that the place tells nothing about where an answer comes from.
    Raises:
        DataError: pairs that lack a text, all of them listed.
        ValueError: there is no pair to show.
        FileExistsError: there is such a file, and it holds something else than preferences between texts.
        OSError: nothing can be written there.
    """
    whole = _check(pairs)
    journal = Journal(path)
    journal.open()
    return Annotation(whole, journal, len(pairs), seed)


def annotations(path: str | Path) -> list[Record]:
    """The choices that stand, in the order in which they were made: {prompt, a, b, choice, left, at}.

    `choice` is "a", "b", "tie" or "skip"; `left` is the answer that stood first, or on the left ("" where that is not
    known, since the record came from elsewhere); `at` is the time. A line of the journal that cannot be read is named
    and left out.

    Args:
        path: the preference file that `annotate` was given.
    Raises:
        FileNotFoundError: `annotate` has never written there.
    """
    journal = Journal(path)
    if not journal.file.is_file():
        raise FileNotFoundError(f'There is no {journal.file}. Run annotate(pairs, "{path}") first.')
    standing, damaged = journal.read()
    journal.report(damaged)
    return list(standing.values())


class Journal:
    """What was chosen under one name: an append-only file, and the preference file that is made from it.

    Args:
        path: the preference file. The journal lies beside it, and so does a lock that is empty.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self.path = Path(path).expanduser().resolve()
        self.file = self.path.with_name(f"{self.path.name}.journal")
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=WAIT_SECONDS)

    def open(self) -> None:
        """Makes sure that both files are there, can be written and say the same.

        Raises:
            FileExistsError: the preference file holds what would be lost.
            OSError: they cannot be written.
        """
        if self.path.is_dir():
            raise OSError(f'{self.path} is a folder. Name a file in it, as in "{self.name}/my_preferences.jsonl".')
        found = self._of_the_file()
        try:
            self.append([])  # makes the journal, so that it can be read
            known = {key_of(event) for event in self._events()[0]}
            self.append([event for event in found if key_of(event) not in known])
        except OSError as problem:
            raise OSError(
                f"Your choices could not be saved in {self.path} ({problem}). Name a file in a folder that you can "
                "write."
            ) from problem
        self.report(self.read()[1])

    def read(self) -> tuple[dict[str, Record], list[str]]:
        """The choices that stand, by the pair's key and in the order in which they were made, and what is damaged."""
        standing: dict[str, Record] = {}
        events, damaged = self._events()
        for event in events:
            key = key_of(event)
            standing.pop(key, None)
            if event["choice"] != UNDO:
                standing[key] = event
        return standing, damaged

    def report(self, damaged: list[str]) -> None:
        """Names damaged lines, as a kill in the midst of writing leaves them."""
        if damaged:
            print(f"{self.file} has lines that cannot be read: {'; '.join(damaged)}. All others count.")

    def append(self, events: Sequence[Record]) -> None:
        """Writes down what changes something, then the preference file anew.

        Raises:
            OSError: it could not be done, or another notebook did not finish within ten seconds.
        """
        with self._turn():
            standing = self.read()[0]
            lines = [_line(event) for event in events if _verdict(event) != _verdict(standing.get(key_of(event)))]
            if lines:
                cut = self.file.read_bytes()[-1:] not in (b"", b"\n")  # the last writer was killed within its line
                self._write(self.file, "ab", (b"\n" if cut else b"") + b"".join(lines))
                standing = self.read()[0]
            records = [_preference(event) for event in standing.values() if event["choice"] in ("a", "b")]
            # A fixed name: what a killed kernel leaves of it is overwritten by the next.
            part = self.path.with_name(f".{self.path.name}.part")
            self._write(part, "wb", b"".join(map(_line, records)))
            os.replace(part, self.path)

    def _events(self) -> tuple[list[Record], list[str]]:
        """All lines of the journal that can be read, and what is wrong with the others."""
        events, damaged = [], []
        for number, line in enumerate(self.file.read_bytes().split(b"\n"), start=1):
            if line.strip():
                try:
                    events.append(_event(json.loads(line.decode())))
                except (ValueError, RecursionError) as problem:
                    damaged.append(f"line {number} ({problem})")
        return events, damaged

    def _of_the_file(self) -> list[Record]:
        """The records of the preference file as choices, to be taken over where the journal does not know them."""
        if not self.path.exists() or not self.path.stat().st_size:
            return []
        found = []
        try:
            for record in load_records(self.path, "preference"):
                if record.keys() != {"prompt", "chosen", "rejected"}:
                    raise ValueError(f"it has the columns {', '.join(map(str, record))}")
                texts = {"prompt": record["prompt"], "a": record["chosen"], "b": record["rejected"]}
                found.append(_event({**texts, "choice": "a", "left": "", "at": _now()}))
        except ValueError as problem:
            raise FileExistsError(
                f"{self.path} is there already and holds something else than preferences between two texts, which "
                f"would be lost. Name another file, or remove this one. ({problem})"
            ) from problem
        return found

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self.file.open("ab").close()  # unlike touch, fails where it cannot be written
            yield

    @staticmethod
    def _write(file: Path, mode: str, data: bytes) -> None:
        with file.open(mode) as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())


class Annotation(StudyWidget):
    """The widget. `state` has {choice, n} by the pair's key: "a", "b", "tie", "skip" or None once it is undone.

    n counts the decisions, undoing included, so that the last one is known.
    """

    script = "annotate"

    def __init__(self, pairs: Mapping[str, Record], journal: Journal, given: int, seed: int) -> None:
        self.pairs, self.journal = pairs, journal
        self.flipped = {key for key in pairs if sha256(f"{seed}/{key}".encode()).digest()[0] % 2}
        self.left_out = given - len(pairs)
        shown = [{"id": key, **self._shown(key), "flipped": key in self.flipped} for key in pairs]
        data = {"pairs": shown, "left_out": _left_out(self.left_out), "file": journal.path.name, "path": journal.name}
        super().__init__(data, ids=pairs)
        self.store = f"annotate/{journal.path.name}"
        if others := len(journal.read()[0].keys() - pairs.keys()):
            self.notice = f"Also in {journal.name}: {_count(others, 'earlier choice')} between other answers."

    def recall(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        state: dict[str, dict[str, Any]] = {}
        for key, event in self.journal.read()[0].items():
            if key in self.pairs:
                choice = event["choice"]
                if event["a"] != self.pairs[key]["a"]:  # the same two answers, listed the other way round
                    choice = {"a": "b", "b": "a"}.get(choice, choice)
                state[key] = {"choice": choice, "n": len(state) + 1}
        return state

    def _keep(self) -> None:
        """Writes down all that is not yet on the disk, also what failed before; in one go, for it is one list."""
        state, kept = {key: self._settled(key, value) for key, value in self.state.items()}, dict(self.kept)
        news = {key: state[key] for key in state if state[key] != kept.get(key) and self._fits(key, state[key])}
        in_order = sorted(news, key=lambda key: news[key]["n"])
        trouble = ""
        try:
            self.journal.append([self._event_of(key, news[key]["choice"]) for key in in_order])
        except OSError as problem:
            trouble = f"{self.journal.path} could not be written ({problem})."
        with self.hold_sync():
            self.kept, self.state = kept if trouble else {**kept, **news}, state
            self.notice = trouble
        if news and not trouble:
            self._refresh_face()

    def _settled(self, key: str, value: Any) -> Any:
        """What counts: a choice that waited in the browser does not replace one that was saved after it was made."""
        if not isinstance(value, dict) or not isinstance(value.get(WAITED), dict):
            return value
        if event := self.journal.read()[0].get(key):
            with suppress(KeyError, ValueError, TypeError):  # a time in the journal that is none
                if outdated(value[WAITED], self.recall([key]).get(key), datetime.fromisoformat(event["at"])):
                    return self.kept.get(key)
        return {name: part for name, part in value.items() if name != WAITED}

    def _fits(self, key: str, value: Any) -> bool:
        """Whether this is what our script sends; nothing else gets into the files."""
        sound = isinstance(value, dict) and value.keys() == {"choice", "n"} and isinstance(value["n"], int)
        return sound and value["choice"] in (*CHOICES, None) and key in self.pairs

    def _event_of(self, key: str, choice: str | None) -> Record:
        left = "b" if key in self.flipped else "a"
        return {**self.pairs[key], "choice": choice or UNDO, "left": left, "at": _now()}

    def _shown(self, key: str) -> Record:
        pair = self.pairs[key]
        first, second = ("b", "a") if key in self.flipped else ("a", "b")
        return {"prompt": pair["prompt"], "first": pair[first], "second": pair[second]}

    def plain(self) -> str:
        return f"Which answer is better? {_count(len(self.pairs), 'pair')}, written to {self.journal.name}"

    def static_html(self) -> str:
        def text(value: str) -> str:
            return static_text(value).replace("\n", "<br>")

        n = len(self.pairs)
        items = []
        for key in list(self.pairs)[:STATIC_PAIRS]:
            pair = self._shown(key)
            answers = f"<li>Answer 1: {text(pair['first'])}</li><li>Answer 2: {text(pair['second'])}</li>"
            items.append(f"<li>{text(pair['prompt'])}<ul>{answers}</ul></li>")
        more = f"These are the first {STATIC_PAIRS} of {n}." if n > STATIC_PAIRS else ""
        notes = [f"Run this cell to choose; your choices go to {static_text(self.journal.name)}.", more]
        notes.append(_left_out(self.left_out))
        head = f"<p><strong>Which answer is better?</strong> {' '.join(filter(None, notes))}</p>"
        return f"{head}<ol>{''.join(items)}</ol>"


def key_of(pair: Mapping[str, Any]) -> str:
    """A pair's name: the same for a prompt and two answers in any order, in any list and on any machine."""
    texts = [pair["prompt"], *sorted((pair["a"], pair["b"]))]
    return sha256(json.dumps(texts).encode()).hexdigest()[:16]


# ---- checking and writing records ----------------------------------------------------------------------------


def _check(pairs: Sequence[Mapping[str, str]]) -> dict[str, Record]:
    """The pairs that can be compared, by their key."""
    faults: list[Problem] = []
    whole: dict[str, Record] = {}
    for row, pair in enumerate(pairs):
        where = f"pairs[{row}]"
        if not isinstance(pair, Mapping):
            mend = 'Write {"prompt": ..., "a": ..., "b": ...}.'
            faults.append(Problem("", f"is {type(pair).__name__}, not a pair", mend, where))
            continue
        wrong = {field: what for field in TEXTS if (what := _not_text(pair.get(field)))}
        faults += [Problem(field, what, "Give it as a string.", where) for field, what in wrong.items()]
        if not wrong and not visible(pair["prompt"]).strip():
            faults.append(Problem("prompt", "is empty", "Write what both answers reply to.", where))
            continue
        if not wrong and _comparable(pair):
            texts = {field: pair[field] for field in TEXTS}
            whole.setdefault(key_of(texts), texts)
    if faults:
        raise DataError(f"annotate: {len(faults)} problem{'s' if len(faults) > 1 else ''} in the pairs.", faults)
    if not whole:
        raise ValueError("annotate: there is no pair of two different answers to choose between.")
    return whole


def _not_text(value: Any) -> str:
    """What is wrong with a value that should be text; nothing if it is one."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not text"
    return "" if _has_utf8(value) else "has half a character in it, which no file can hold"


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _comparable(pair: Mapping[str, str]) -> bool:
    """Whether one can prefer one of the answers: both say something, and not the same to the eye."""
    return bool(visible(pair["a"]).strip() and visible(pair["b"]).strip()) and pair["a"].strip() != pair["b"].strip()


def _event(value: Any) -> Record:
    """A line of the journal as it was written, or an error that says what is wrong with it."""
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    if wrong := [f"its {field} {what}" for field in TEXTS if (what := _not_text(value.get(field)))]:
        raise ValueError(wrong[0])
    if value.get("choice") not in (*CHOICES, UNDO):
        raise ValueError(f"its choice is {value.get('choice')!r}")
    if not visible(value["prompt"]).strip() or not _comparable(value):
        raise ValueError("its answers cannot be compared")
    return value


def _verdict(event: Record | None) -> tuple[str, str]:
    """What an event says, whichever way round its answers are listed."""
    choice = event["choice"] if event else UNDO
    return ("better", event[choice]) if event and choice in ("a", "b") else (choice, "")


def _preference(event: Record) -> Record:
    chosen, rejected = ("a", "b") if event["choice"] == "a" else ("b", "a")
    return {"prompt": event["prompt"], "chosen": event[chosen], "rejected": event[rejected]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _left_out(n: int) -> str:
    return f"{_count(n, 'pair')} left out: shown already, with an empty answer, or with two equal ones." if n else ""


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"
