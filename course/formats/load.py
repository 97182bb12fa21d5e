"""Read records from a file, a list or a data set, and check all of them at once.

Serves notebook 02. One error lists all mistakes, each with its place and its fix, and nothing is skipped in silence.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from course.formats.convert import extract_prompt
from course.formats.problems import SHOWN, DataError, Problem, describe, placed, quote, refused
from course.formats.records import Record, check
from course.formats.whole import whole_conversations

DEEPEST = 100  # a record nested deeper than this is no record of text
TOO_DEEP = "", f"is nested more than {DEEPEST} levels deep", "Write the record's fields side by side."

_ONE_LINE = "Write each record as one JSON object on a line of its own"
_TABLE = "Read it with pandas.read_{}, and pass the table."
OTHER_FILES = {
    **dict.fromkeys((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"), ("is compressed", "Unpack it first.")),
    b"PK\3\4": ("is a zip archive or a workbook", f"Unpack it first. {_TABLE.format('excel')}"),
    b"PAR1": ("is a Parquet table", _TABLE.format("parquet")),
    b"ARROW1": ("is an Arrow table", _TABLE.format("feather")),
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), ("is UTF-16 text", "Save the file as UTF-8.")),
    b"version https://git-lfs": ("is a note of Git LFS and not the data", "Fetch the data with `git lfs pull`."),
    b"<": ("is a web page", "Download the file itself."),
    **dict.fromkeys(
        (b"SQLite", b"\x80\4\x95", b"\x80\5\x95", b"\x93NUMPY", b"%PDF"),
        ("is no text", "Write its records as JSON lines."),
    ),
}
"""How files begin that hold no JSON lines, with what they are and what to do."""
MENDS = (
    (r".*(?: \ufeff|BOM)", "Two files were joined here: put a line break in the place of the invisible U+FEFF."),
    (r".* (?:#|//|/\*)", "JSON has no comments: remove it."),
    (r".*\0", "It holds zero bytes, as UTF-16 does: save the file as UTF-8."),
    (r"Extra data [{\x1e]", "Put each record on a line of its own."),
    (r"Extra data ,|Illegal trailing|Expecting \w+.* []}]", "Remove the comma, or write what is missing after it."),
    (r"Expecting .* ['\u2018\u201c]", 'Put names and texts between straight double quotes, as in {"prompt": "Hi"}.'),
    (r"Expecting .* (?:None|True|False)", "JSON writes null, true and false."),
    (r"Unterminated", r"Close the text with a double quote; a line break inside it is written as \n."),
    (r"Invalid control", r"Inside a text, write a tab as \t and a line break as \n."),
    (r"Invalid \\", "Inside a text, write a backslash as two."),
)
"""The fix for what Python's reader says and for what stands where it stopped."""


def validate(records: Iterable[Any], kind: str) -> None:
    """Check every record; return quietly if all are sound.

    Raises:
        DataError: lists each fault with its row (from 0), its field and the fix.
        ValueError: there is no such kind, or there are no records, or a dict of them.
        TypeError: a table, or nothing that holds records.
    """
    if rows(records) is not records or not hasattr(records, "__len__"):
        raise TypeError(f"This is a {type(records).__name__}, not a list of records: pass load_records(..., {kind!r}).")
    _accept([(f"row {row}", record) for row, record in enumerate(records)], kind, "records", [])


def load_records(source: str | Path | Iterable[Record], kind: str) -> list[Record]:
    """Read and check records.

    Preference data that repeats its prompt in both answers is converted by `extract_prompt`, and a line says how many.

    Args:
        source: path of a JSONL file (UTF-8, blank lines are skipped), a list of dicts, a `datasets.Dataset`, or a
            table of pandas, polars or Arrow (an empty cell is a missing field).
        kind: one of `KINDS`.
    Returns:
        The records as dicts of their own, which share nothing with the source; NumPy's values become Python's.
    Raises:
        DataError: lines that are not JSON and records that are not sound, all of them, with line or row, field and fix.
        FileNotFoundError: there is no such file.
        ValueError: no such kind, no records, or a `DatasetDict`, of which a split must be named.
        TypeError: nothing that holds records.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            what = f"{path} is a folder: name the file in it" if path.is_dir() else f"There is no file {path}"
            raise FileNotFoundError(f"{what}. Paths count from {Path.cwd()}.")
        name, found, parse = str(path), _lines(path), _parse
    else:
        name, found, parse = "records", [(f"row {i}", row) for i, row in enumerate(rows(source))], own
    records, faults, converted = [], [], 0
    for where, given in found:
        try:
            record = parse(given)
            if kind == "preference" and whole_conversations(record):
                record, converted = extract_prompt(record), converted + 1
            records.append((where, record))
        except DataError as error:
            faults += placed(where, error.problems)
    sound = _accept(records, kind, name, faults)
    if converted:
        what = "the turns that `chosen` and `rejected` share at the start are now the prompt"
        print(f"{name}: {converted} of {len(sound)} records held whole conversations; {what}.")
    return sound


def rows(source: Any) -> Iterable[Any]:
    """What is iterated to get one record after the other: a table's rows, and any other source as it is.

    Raises:
        ValueError: a dict, which may hold splits or columns, or a table with two columns of one name.
        TypeError: nothing that can be iterated.
    """
    if isinstance(source, Mapping):
        names = ", ".join(map(quote, list(source)[:SHOWN]))
        mend = f"Choose one of its splits ({names}), put a single record in a list, or turn columns into records with"
        raise ValueError(f"A dict is not a list of records. {mend} datasets.Dataset.from_dict(...).")
    is_pandas = hasattr(source, "iloc") and hasattr(source, "columns")
    if twice := _twice(source.columns if is_pandas else getattr(source, "column_names", None) or ()):
        raise ValueError(f"The table has two columns called {quote(twice[0])}: rename one, or leave it out.")
    if is_pandas:  # its empty cells are NaN or NaT
        table = source.astype(object).where(source.notna(), None)
        return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]
    for name in ("to_pylist", "to_dicts"):  # Arrow, polars
        if hasattr(source, name):
            return getattr(source, name)()
    if not isinstance(source, Iterable) or isinstance(source, str | bytes):
        raise TypeError(f"Records come as a list of dicts, a data set or a table, not as {describe(source)}.")
    return source


def _twice(names: Iterable[Any]) -> list[Any]:
    return [name for name, count in Counter(names).items() if count > 1]


def own(value: Any, depth: int = 0) -> Any:
    """A copy in Python's values and lists, whoever held them; raises DataError if nested deeper than `DEEPEST`."""
    if depth > DEEPEST:
        raise refused(*TOO_DEEP)
    for name in ("_asdict", "to_dict", "tolist"):  # a named tuple, a row of pandas, numbers and arrays
        if hasattr(value, name):
            value = getattr(value, name)()
    if isinstance(value, Mapping):
        return {key: own(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [own(part, depth + 1) for part in value]
    if isinstance(value, Decimal):
        return math.nan if value.is_nan() else float(value)
    return None if type(value).__name__ in ("NAType", "NaTType") else value  # the empty cells of pandas


def _lines(path: Path) -> list[tuple[str, bytes]]:
    """The lines of a file that are not blank, with their places; raises DataError for a file of another sort."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines = [(f"line {i}", line) for i, line in enumerate(re.split(rb"\r\n|\n|\r", data), 1) if line.strip()]
    first = lines[0][1].strip() if lines else b""
    other = next((said for start, said in OTHER_FILES.items() if first.startswith(start)), None)
    if path.suffix.lower() in (".csv", ".tsv") and first[:1] != b"{":
        other = "is a table of separated values", _TABLE.format("csv")
    elif first == b"{":
        other = "has its records on several lines each", f"{_ONE_LINE}, as json.dumps(record) does."
    elif first == b"[" or (first[:1] == b"[" and lines[-1][1].strip()[-1:] == b"]"):
        other = "is one JSON list", f"{_ONE_LINE}, without brackets around them; or pass what json.load reads."
    if other:
        raise DataError(f"{path} holds no JSON lines.", [Problem("", *other, "the file")])
    return lines


def _parse(line: bytes) -> Any:
    """The record in a line; raises DataError with what is wrong with it."""
    try:
        return own(json.loads(text := line.decode(), object_pairs_hook=_object, parse_int=_whole))
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1}", "is not UTF-8 text", "Save the file as UTF-8."
    except json.JSONDecodeError as error:
        found = f"{error.msg} {text[error.pos :].lstrip()[:5]} {chr(0) * (chr(0) in text)}"
        mend = next((mend for form, mend in MENDS if re.match(form, found)), f"{_ONE_LINE}.")
        problem = f"column {error.colno}", f"is not JSON ({error.msg})", mend
    except RecursionError:
        problem = TOO_DEEP
    raise refused(*problem)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; Python's reader would keep the last of two equal keys and say nothing."""
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = ", ".join(map(quote, _twice(name for name, _ in pairs)))
        raise refused(twice, "is there twice in one object", "Keep the one that is meant.")
    return record


def _whole(digits: str) -> int:
    if (size := len(digits.lstrip("-"))) > 309:
        raise refused(f"{digits[:12]}...", f"is a whole number of {size} digits", "If it is text, put it in quotes.")
    return int(digits)


def _accept(records: list[tuple[str, Any]], kind: str, source: str, faults: list[Problem]) -> list[Record]:
    """The records if all of them are sound, else one error with all that is wrong."""
    faults += [fault for where, record in records for fault in placed(where, check(record, kind))]
    if faults:
        faults.sort(key=lambda fault: int(fault.where.split()[1]))
        count = f"{len(faults)} problem{'s' if len(faults) > 1 else ''}"
        from_0 = " (rows count from 0)" if faults[0].where.startswith("row") else ""
        raise DataError(f"{source}: {count} in {kind} data{from_0}.", faults)
    if not records:
        raise ValueError(f"{source}: there is not a single record.")
    return [record for _, record in records]
