"""Read records from a file, a list or a data set, and check all of them at once.

Serves notebook 02. Whoever writes data by hand makes more than one mistake, so that one error lists them
all, each with its place and its fix, and nothing is skipped in silence.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from course.formats.convert import extract_prompt
from course.formats.records import SHOWN, DataError, Problem, Record, check, describe, quote, repeats_prompt

DEEPEST = 100
"""A record nested deeper than this is no record of text."""


def validate(records: Iterable[Any], kind: str) -> None:
    """Check every record; return quietly if all are sound.

    Raises:
        DataError: lists each fault with its row (counted from 0, as in `records[0]`), its field and the fix.
        ValueError: there is no such kind, or there are no records.
        TypeError: a table or a dict instead of a list of records, or nothing that holds records.
    """
    if rows(records) is not records:
        raise TypeError(f"This is a {type(records).__name__}, not a list of records: pass load_records(..., {kind!r}).")
    _accept([(f"row {row}", record) for row, record in enumerate(records)], kind, "records")


def load_records(source: str | Path | Iterable[Record], kind: str) -> list[Record]:
    """Read and check records.

    Preference data in two other shapes that people have, conversations that repeat their prompt and texts with
    `Human:` and `Assistant:` turns, are converted with `extract_prompt`, and a line says how many.

    Args:
        source: path of a JSONL file (one JSON object a line, UTF-8; blank lines are skipped), a list of
            dicts, a `datasets.Dataset`, or a table of pandas, polars or Arrow (an empty cell is a missing field).
        kind: one of `KINDS`.
    Returns:
        The records as dicts of their own, NumPy's numbers and arrays in them as Python's: changing one, or a message
        in it, does not change the source's row.
    Raises:
        DataError: a line is not JSON, or a record is not sound. All faults of the source are listed together,
            with line (and column where JSON breaks off) or row, field and fix.
        FileNotFoundError: there is no such file.
        ValueError: no such kind, no records, or a `DatasetDict`, of which a split must be named.
        TypeError: nothing that holds records.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}. Paths count from {Path.cwd()}.")
        name, (placed, faults) = str(path), _parse_jsonl(path.read_bytes())
    else:
        name, placed, faults = "records", [], []
        for i, row in enumerate(rows(source)):
            try:
                placed.append((f"row {i}", own(row)))
            except RecursionError:
                faults.append(_too_deep(f"row {i}"))
    converted = 0
    for i, (where, record) in reversed(list(enumerate(placed))):
        if kind == "preference" and repeats_prompt(record):
            try:
                placed[i] = (where, extract_prompt(record))
                converted += 1
            except DataError as error:
                faults += [Problem(p.field, p.what, p.mend, where) for p in error.problems]
                del placed[i]
    records = _accept(placed, kind, name, faults)
    if converted:
        what = "the turns that `chosen` and `rejected` share at the start are now the prompt"
        print(f"{name}: {converted} of {len(records)} records held whole conversations; {what}.")
    return records


def rows(source: Any) -> Iterable[Any]:
    """What is iterated to get one record after the other: a table's rows, and any other source as it is.

    Raises:
        ValueError: a dict, which may hold splits or columns.
        TypeError: nothing that can be iterated.
    """
    if isinstance(source, dict):
        names = ", ".join(map(quote, list(source)[:SHOWN]))
        what = f"A dict is not a list of records. If it holds splits, choose one of them: {names}."
        raise ValueError(f"{what} If it holds columns, pass datasets.Dataset.from_dict(...).")
    if hasattr(source, "iloc") and hasattr(source, "columns"):  # pandas, whose empty cells are NaN or NaT
        table = source.astype(object).where(source.notna(), None)
        return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]
    for name in ("to_pylist", "to_dicts"):  # Arrow, polars
        if hasattr(source, name):
            return getattr(source, name)()
    if not isinstance(source, Iterable) or isinstance(source, str | bytes):
        raise TypeError(f"Records come as a list of dicts, a data set or a table, not as {describe(source)}.")
    return source


def own(value: Any, depth: int = 0) -> Any:
    """A copy that shares nothing with the source; what NumPy or torch holds becomes Python's numbers and lists.

    Raises:
        RecursionError: it is nested more than `DEEPEST` levels deep.
    """
    if depth > DEEPEST:
        raise RecursionError
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: own(part, depth + 1) for key, part in value.items()}
    return [own(part, depth + 1) for part in value] if isinstance(value, list | tuple) else value


def _parse_jsonl(data: bytes) -> tuple[list[tuple[str, Any]], list[Problem]]:
    """Split a file into (place, record) and the lines that are not JSON."""
    placed, faults = [], []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        where = f"line {number}"
        try:
            if line.strip():
                record = json.loads(text := line.decode(), object_pairs_hook=_object, parse_int=_whole)
                placed.append((where, own(record)))
        except UnicodeDecodeError as error:
            mend = "Save the file as UTF-8."
            faults.append(Problem(f"byte {error.start + 1}", "is not UTF-8 text", mend, where))
        except json.JSONDecodeError as error:
            column, mend = _why(error, text)
            faults.append(Problem(f"column {column}", f"is not JSON ({error.msg})", mend, where))
        except DataError as error:
            faults += [Problem(p.field, p.what, p.mend, where) for p in error.problems]
        except RecursionError:
            faults.append(_too_deep(where))
    return placed, faults


def _why(error: json.JSONDecodeError, text: str) -> tuple[int, str]:
    """The column where JSON breaks off, and the fix that fits what is found there."""
    rest = text[error.pos :].lstrip()
    if "\ufeff" in (rest[:1], text[:1]):
        joined = "Two files were joined here: remove the byte-order mark, the invisible U+FEFF,"
        return error.colno, f"{joined} and let the second begin on a line of its own."
    if "\0" in text:
        return error.colno, "It holds zero bytes, as UTF-16 does: save the file as UTF-8."
    if error.msg == "Extra data" and rest[:1] == "{":
        return error.colno, "Put each record on a line of its own."
    mend = "Write each record as one JSON object on a line of its own"
    return error.colno, mend + (", not as one list with brackets around it." if text.strip() == "[" else ".")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; Python's reader would keep the last of two equal keys and say nothing."""
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        mend = "Keep the one that is meant."
        raise DataError("", [Problem(quote(key), "is there twice in one object", mend) for key in twice])
    return record


def _whole(digits: str) -> int:
    if len(digits) > 309:
        mend = "Write a number, or put it in quotes if it is text."
        raise DataError("", [Problem(f"{digits[:12]}...", f"is a whole number of {len(digits)} digits", mend)])
    return int(digits)


def _too_deep(where: str) -> Problem:
    return Problem("", f"is nested more than {DEEPEST} levels deep", "Write the record's fields side by side.", where)


def _accept(placed: list[tuple[str, Any]], kind: str, source: str, faults: list[Problem] | None = None) -> list[Record]:
    """The records if all of them are sound, else one error with all that is wrong."""
    faults = faults or []
    for where, record in placed:
        faults += [Problem(p.field, p.what, p.mend, where) for p in check(record, kind)]
    if faults:
        faults.sort(key=lambda fault: int(fault.where.split()[1]))
        count = f"{len(faults)} problem{'s' if len(faults) > 1 else ''}"
        from_0 = " (rows count from 0)" if faults[0].where.startswith("row") else ""
        raise DataError(f"{source}: {count} in {kind} data{from_0}.", faults)
    if not placed:
        raise ValueError(f"{source}: there is not a single record.")
    return [record for _, record in placed]
