"""Read records from a file, a list or a data set, and check all of them at once.

Serves notebook 02. Whoever writes data by hand makes more than one mistake, so that one error lists them
all, each with its place and its mend, and nothing is skipped in silence.
"""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from course.formats.records import DataError, Problem, Record, check


def validate(records: Iterable[Any], kind: str) -> None:
    """Check every record; return quietly if all are sound.

    Raises:
        DataError: lists each fault with its row (counted from 0, as in `records[0]`), its field and the mend.
        ValueError: there is no such kind, or there are no records.
    """
    _accept([(f"row {row}", record) for row, record in enumerate(records)], kind, "records")


def load_records(source: str | Path | Iterable[Record], kind: str) -> list[Record]:
    """Read and check records.

    Args:
        source: path of a JSONL file (one JSON object a line, UTF-8; blank lines are skipped), a list of
            dicts, or a `datasets.Dataset`.
        kind: one of `KINDS`.
    Returns:
        The records as dicts of their own: changing one, or a message in it, does not change the source's row.
    Raises:
        DataError: a line is not JSON, or a record is not sound. All faults of the source are listed together,
            with line (and column where JSON breaks off) or row, field and mend.
        FileNotFoundError: there is no such file.
        ValueError: no such kind, no records, or a `DatasetDict`, of which a split must be named.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}. Paths count from {Path.cwd()}.")
        rows, broken = _parse_jsonl(path.read_bytes())
        return _accept(rows, kind, str(path), broken)
    if isinstance(source, dict):
        names = ", ".join(map(repr, source))
        raise ValueError(f"A dict is not a list of records. If it holds splits, choose one of them: {names}.")
    rows = [(f"row {i}", copy.deepcopy(row)) for i, row in enumerate(source)]
    return _accept(rows, kind, "records")


def _parse_jsonl(data: bytes) -> tuple[list[tuple[str, Any]], list[Problem]]:
    """Split a file into (place, record) and the lines that are not JSON."""
    rows, broken = [], []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        where = f"line {number}"
        try:
            if line.strip():
                rows.append((where, json.loads(line.decode())))
        except UnicodeDecodeError as error:
            mend = "Save the file as UTF-8."
            broken.append(Problem(f"byte {error.start + 1}", "is not UTF-8 text", mend, where))
        except json.JSONDecodeError as error:
            mend = "Write each record as one JSON object on a line of its own"
            mend += ", not as one list with brackets around it." if line.strip() == b"[" else "."
            broken.append(Problem(f"column {error.colno}", f"is not JSON ({error.msg})", mend, where))
    return rows, broken


def _accept(rows: list[tuple[str, Any]], kind: str, source: str, broken: list[Problem] | None = None) -> list[Record]:
    """The records of the rows if all of them are sound, else one error with all that is wrong."""
    faults = broken or []
    for where, record in rows:
        faults += [Problem(p.field, p.what, p.mend, where) for p in check(record, kind)]
    if faults:
        faults.sort(key=lambda fault: int(fault.where.split()[1]))
        count = f"{len(faults)} problem{'s' if len(faults) > 1 else ''}"
        from_0 = " (rows count from 0)" if faults[0].where.startswith("row") else ""
        raise DataError(f"{source}: {count} in {kind} data{from_0}.", faults)
    if not rows:
        raise ValueError(f"{source}: there is not a single record.")
    return [record for _, record in rows]
