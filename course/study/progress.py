"""What the learner has done, kept in one small sqlite file; used by every study tool of every lesson.

The file lies in the folder that the environment variable COURSE_HOME names; without it, in a mounted
Google Drive (Colab), in /kaggle/working (Kaggle), or in the user's data folder. Where that cannot be
written, a temporary folder stands in and a message says so.

Two notebooks may write at once: every access opens its own connection (widget events may come from
another thread than the cells) and takes the write lock first, waiting for its turn. The rollback journal
is used rather than sqlite's WAL, because WAL needs shared memory, which network homes and Drive lack.

Every row has a checksum, and the whole file is checked when it is opened. A file with a fault is moved aside,
never deleted; its sound rows are carried over into a new one, and a message names the others.
"""

import getpass
import json
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
APP = "post-training-hands-on"
FILE = "progress.sqlite3"
VERSION = 2  # of the tables; version 1 had no checksums
WAIT_SECONDS = 30.0
NAMED = 8  # so many damaged rows are named in a message
DRIVE = Path("/content/drive/MyDrive")
KAGGLE = Path("/kaggle/working")
RESET = "reset"  # the kind under which it is kept when something was taken out
# Every column with its type, whether it must have a value, and its place in the primary key.
_TEXT = [(name, "text", 1, 0) for name in ("kind", "id", "value", "at", "sum")]
TABLES = {
    "log": [("n", "integer", 0, 1), *_TEXT],
    "state": [("kind", "text", 1, 1), ("id", "text", 1, 2), *_TEXT[2:]],
}
SCHEMA = (
    "create table state(kind text not null, id text not null, value text not null, at text not null, "
    "sum text not null, primary key (kind, id))",
    "create table log(n integer primary key, kind text not null, id text not null, value text not null, "
    "at text not null, sum text not null)",
)
INDEX = "create index if not exists log_of on log (kind, id)"


class ProgressError(OSError):
    """Progress could not be read or saved; the message says where and what to do."""


class _Damaged(sqlite3.DatabaseError):
    """The file can be opened, but something in it is not as this module wrote it."""


@dataclass(frozen=True)
class Entry:
    """One row: something that was kept, or one line of the append-only log."""

    kind: str
    id: str
    value: dict[str, Any]
    at: datetime


class Transaction:
    """Reads and writes that happen together or not at all; handed out by `Progress.atomically`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The value last put under this kind and id, or None."""
        return self.get_dated(kind, id)[0]

    def get_dated(self, kind: str, id: str) -> tuple[dict[str, Any] | None, datetime | None]:
        """The value last put under this kind and id, and when; (None, None) if there is none."""
        found = self._entries("state where kind = ? and id = ?", kind, id)
        return (found[0].value, found[0].at) if found else (None, None)

    def kept(self) -> list[Entry]:
        """All that was put and stands, ordered by kind and id."""
        return self._entries("state order by kind, id")

    def put(self, kind: str, id: str, value: dict[str, Any]) -> None:
        """Keeps `value` under this kind and id, in place of an earlier one."""
        row = _row(kind, id, value, datetime.now(UTC))
        self._connection.execute("insert or replace into state values (?, ?, ?, ?, ?)", row)

    def log(self, kind: str, id: str, value: dict[str, Any], at: datetime | None = None) -> None:
        """Appends to the log, which only `Progress.remove` shortens. `at` has a time zone; now when left out."""
        row = _row(kind, id, value, at or datetime.now(UTC))
        self._connection.execute("insert into log (kind, id, value, at, sum) values (?, ?, ?, ?, ?)", row)

    def history(self, kind: str, id: str | None = None) -> list[Entry]:
        """The log of this kind (and id), in the order of writing."""
        if id is None:
            return self._entries("log where kind = ? order by n", kind)
        return self._entries("log where kind = ? and id = ? order by n", kind, id)

    def logged(self) -> list[Entry]:
        """The whole log, in the order of writing."""
        return self._entries("log order by n")

    def _entries(self, where: str, *values: str) -> list[Entry]:
        rows = self._connection.execute(f"select kind, id, value, at, sum from {where}", values)
        return [_entry(row) for row in rows]


class Progress:
    """The learner's progress in one folder. Values are JSON objects, found again by kind and id.

    Args:
        folder: where the file lies; made when it is missing.
    Raises:
        ProgressError: the folder or the file cannot be written, or a newer version of the course wrote the file.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.atomically(_check)

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The value last put under this kind and id, or None."""
        return self.atomically(lambda t: t.get(kind, id))

    def get_dated(self, kind: str, id: str) -> tuple[dict[str, Any] | None, datetime | None]:
        """The value last put under this kind and id, and when; (None, None) if there is none."""
        return self.atomically(lambda t: t.get_dated(kind, id))

    def put(self, kind: str, id: str, value: dict[str, Any]) -> None:
        """Keeps `value` under this kind and id, in place of an earlier one."""
        self.atomically(lambda t: t.put(kind, id, value))

    def history(self, kind: str, id: str | None = None) -> list[Entry]:
        """The log of this kind (and id), in the order of writing."""
        return self.atomically(lambda t: t.history(kind, id))

    def remove(self, chosen: Callable[[str, str], bool]) -> tuple[int, Path]:
        """Takes out all rows whose (kind, id) are chosen, after a copy of the whole file was put beside it.

        Returns:
            How many rows were taken out, and where the copy is (none is made for no rows).
        """
        copy = self.path.with_name(f"{FILE}.before-reset-{time.time_ns()}")

        def work(transaction: Transaction) -> int:
            execute = transaction._connection.execute
            rows = [
                (table, number)
                for table in TABLES
                for number, kind, id in execute(f"select rowid, kind, id from {table}").fetchall()
                if chosen(kind, id)
            ]
            if rows:
                shutil.copy2(self.path, copy)  # whole, since nobody else writes and this transaction has not yet
            for table, number in rows:
                execute(f"delete from {table} where rowid = ?", (number,))
            return len(rows)

        return self.atomically(work), copy

    def atomically(self, work: Callable[[Transaction], T]) -> T:
        """Runs `work` on the file under its write lock: all of it is kept, or, if it raises, none.

        A file with a fault is replaced by one with its sound rows first, and `work` then runs on that.

        Raises:
            ProgressError: the file cannot be written, or a newer version of the course wrote it.
        """
        try:
            return self._attempt(work)
        except sqlite3.DatabaseError as error:
            if _environment(error) and _header_fits(self.path):
                raise self._unusable(error) from error
        try:
            self._replace_if_damaged()
            return self._attempt(work)
        except ProgressError:
            raise
        except (sqlite3.DatabaseError, OSError, NotImplementedError) as error:  # the last: no locks in this folder
            raise self._unusable(error) from error

    def _attempt(self, work: Callable[[Transaction], T]) -> T:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            emptied = self.path.is_file() and not self.path.stat().st_size
        except OSError as error:
            raise self._unusable(error) from error
        with closing(_connect(self.path)) as connection:
            connection.execute("begin immediate")  # before reading: two readers who turn writers deadlock
            try:
                version = connection.execute("pragma user_version").fetchone()[0]
                if version > VERSION:
                    raise ProgressError(
                        f"{self.path} was written by a newer version of the course (format {version}; this one knows "
                        f"{VERSION}), so it was left as it is. Update the course, or set the environment variable "
                        "COURSE_HOME to another folder, then restart the kernel."
                    )
                new = _prepare(connection, version)
                result = work(Transaction(connection))
                connection.execute("commit")
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("rollback")
                if isinstance(error, UnicodeDecodeError):  # of sqlite's message, which quotes the damaged schema
                    raise _Damaged("its tables cannot be read") from error
                raise
        if new and emptied:
            print(f"Your progress file {self.path} was there but empty, so progress starts anew in it.")
        return result

    def _replace_if_damaged(self) -> None:
        from filelock import FileLock  # only a repair needs it

        with FileLock(self.path.with_suffix(".lock")):  # a second notebook must not move the new file away
            fault = _fault(self.path)
            if not fault:
                return
            moved = self.path.with_name(f"{FILE}.damaged-{time.time_ns()}")
            new = self.path.with_name(f"{FILE}.new")
            new.unlink(missing_ok=True)
            carried, lost = _salvage(self.path, new)
            for end in ("-journal", "-wal", "-shm", ""):
                part = self.path.with_name(self.path.name + end)
                if part.exists():
                    part.replace(moved.with_name(moved.name + end))
            new.replace(self.path)
        said = f"Your progress file is damaged ({fault}). It was moved to {moved}, and nothing in it was changed. "
        if carried:
            said += f"{carried} sound entr{'y was' if carried == 1 else 'ies were'} carried over into {self.path}."
        else:
            said += f"Nothing in it could be read. Progress starts anew in {self.path}."
        if lost:
            more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
            said += f" Left out, because they cannot be trusted: {', '.join(lost[:NAMED])}{more}."
        print(said)

    def _unusable(self, error: Exception) -> ProgressError:
        return ProgressError(
            f"Your progress could not be saved in {self.path}: {error}. Set the environment variable "
            "COURSE_HOME to a folder that you can write, then restart the kernel."
        )


def progress() -> Progress:
    """The learner's progress, in the folder that the module's docstring describes.

    A folder that cannot be written is replaced by a temporary one, with one message that says where.
    """
    named = os.environ.get("COURSE_HOME", "")
    try:
        folder = home()
        if folder not in _opened:
            _opened[folder] = Progress(folder)
    except ProgressError as error:
        folder = Path(named) if named else home()
        if folder not in _opened:
            _opened[folder] = stand_in = Progress(_temporary())
            print(
                f"Your progress cannot be kept in {folder} ({error.__cause__ or error}). For now it is in "
                f"{stand_in.path.parent}, which may be emptied when the computer restarts. To keep it, set "
                "the environment variable COURSE_HOME to a folder you can write, then restart the kernel."
            )
    return _opened[folder]


def home() -> Path:
    """The folder in which progress belongs; it need not exist yet.

    Raises:
        ProgressError: COURSE_HOME begins with `~` and a name that nobody has here.
    """
    if named := os.environ.get("COURSE_HOME"):
        try:
            return Path(named).expanduser().absolute()
        except RuntimeError as error:
            raise ProgressError(
                f"COURSE_HOME is {named}, and no user here is called {named.split('/')[0][1:]}; write ~/ for your own "
                "folder, or the whole path"
            ) from error
    if DRIVE.is_dir():
        return DRIVE / APP
    if KAGGLE.is_dir():
        return KAGGLE / APP
    from platformdirs import user_data_path

    return user_data_path(APP, appauthor=False)


_opened: dict[Path, Progress] = {}


def _temporary() -> Path:
    """A folder of this user's own, the same in every notebook, so that they still share progress."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    folder = Path(tempfile.gettempdir()) / f"{APP}-{user}"
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    return folder if _is_own(folder) else Path(tempfile.mkdtemp(prefix=f"{APP}-"))


def _is_own(folder: Path) -> bool:
    """Whether this is a folder, no link to one, that this user made and nobody else can write."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    private = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return stat.S_ISDIR(found.st_mode) and private and os.access(folder, os.W_OK)


# ---- rows ----------------------------------------------------------------------------------------------------


def _row(kind: str, id: str, value: dict[str, Any], at: datetime) -> tuple[str, str, str, str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"progress keeps dicts, not {type(value).__name__}: {value!r}")
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; use datetime.now(UTC)")
    row = (kind, id, json.dumps(value), at.isoformat())
    return (*row, _sum(row))


def _sum(row: tuple[str, ...]) -> str:
    return sha256("\0".join(row).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _entry(row: tuple[Any, ...]) -> Entry:
    """A row as it was written.

    Args:
        row: kind, id, value, at and checksum, which is None in a file of version 1.
    Raises:
        _Damaged: it is not as it was written.
    """
    *content, checksum = row
    try:
        kind, id, text, at = content
        "".join(content).encode()  # what is no text, or no UTF-8, ends here
        value, when = json.loads(text), datetime.fromisoformat(at)
        if isinstance(value, dict) and when.tzinfo and checksum in (None, _sum((kind, id, text, at))):
            return Entry(kind, id, value, when.astimezone(UTC))
    except (ValueError, TypeError, OverflowError, RecursionError):
        pass
    raise _Damaged(f"the entry {_name(row)} is not as it was written")


def _name(row: tuple[Any, ...]) -> str:
    """Kind and id of a row that may hold anything, short and without signs that steer a terminal."""
    return " ".join("".join(c if c.isprintable() else "?" for c in str(part)[:40]) for part in row[:2])


# ---- the file ------------------------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # one bad byte spoils one row only
    return connection


def _prepare(connection: sqlite3.Connection, version: int) -> bool:
    """Makes the tables, or brings those of version 1 up to date. Returns whether they were made."""
    tables = _columns(connection)
    if not tables:
        for statement in (*SCHEMA, INDEX, f"pragma user_version = {VERSION}"):
            connection.execute(statement)
        return True
    if version < VERSION and tables == {table: columns[:-1] for table, columns in TABLES.items()}:
        for table in TABLES:
            connection.execute(f"alter table {table} add column sum text not null default ''")
            rows = connection.execute(f"select rowid, kind, id, value, at from {table}").fetchall()
            for number, *row in rows:
                _entry((*row, None))
                connection.execute(f"update {table} set sum = ? where rowid = ?", (_sum(tuple(row)), number))
        connection.execute(f"pragma user_version = {VERSION}")
    elif tables != TABLES:
        raise _Damaged("its tables are not those of the course")
    return False


def _columns(connection: sqlite3.Connection) -> dict[str, list[tuple[str, str, int, int]]]:
    """Every table with its columns, as in `TABLES`."""
    names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    return {
        name: connection.execute(
            'select name, lower(type), "notnull", pk from pragma_table_info(?)', (name,)
        ).fetchall()
        for name in sorted(names)
        if not name.startswith("sqlite_")
    }


def _check(transaction: Transaction) -> None:
    """Reads the whole file, and writes to it: one that can only be read opens without complaint.

    Raises:
        _Damaged: sqlite finds a fault, or a row is not as it was written.
    """
    execute = transaction._connection.execute
    execute(INDEX)
    execute(f"pragma user_version = {VERSION}")
    found = execute("pragma integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise _Damaged("sqlite's check says: " + " ".join(found.replace("*** in database main ***", "").split())[:80])
    transaction.kept()
    transaction.logged()


def _fault(path: Path) -> str:
    """What is wrong with the content of the file; "" if nothing is.

    Raises:
        sqlite3.DatabaseError: it cannot be told, since the file cannot be opened or locked.
    """
    if not _header_fits(path):
        return "its first bytes are not those of a sqlite file that can be written"
    try:
        with closing(_connect(path)) as connection:
            connection.execute("begin immediate")
            _prepare(connection, connection.execute("pragma user_version").fetchone()[0])
            _check(Transaction(connection))
            connection.execute("rollback")
    except sqlite3.DatabaseError as error:
        if _environment(error):
            raise
        return str(error)
    except UnicodeDecodeError:
        return "its tables cannot be read"
    return ""


def _header_fits(path: Path) -> bool:
    """Whether the file, if there is one, begins as sqlite's rollback mode writes it; others open for reading only."""
    if not path.is_file():
        return True
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return True
    return not head or (head.startswith(b"SQLite format 3\0") and head[18:20] == b"\1\1")


def _environment(error: sqlite3.DatabaseError) -> bool:
    """Whether the surroundings are at fault (rights, space, another writer) rather than the content."""
    causes = ("BUSY", "LOCKED", "READONLY", "CANTOPEN", "IOERR", "FULL", "PERM", "AUTH", "PROTOCOL", "NOLFS")
    return (getattr(error, "sqlite_errorname", None) or "").startswith(tuple(f"SQLITE_{cause}" for cause in causes))


def _salvage(damaged: Path, new: Path) -> tuple[int, list[str]]:
    """Copies every sound row of a damaged file into a new one, whatever its table is called.

    Returns:
        How many there were, and the names of those that were left out.
    """
    sound: dict[tuple[str, int], tuple[str, Entry]] = {}
    lost: dict[tuple[str, int], str] = {}
    with tempfile.TemporaryDirectory() as folder:  # opening a file may change it, as an unfinished write is undone
        for end in ("-journal", ""):
            if (part := damaged.with_name(damaged.name + end)).exists():
                shutil.copyfile(part, Path(folder) / part.name)
        with closing(_connect(Path(folder) / damaged.name)) as connection:
            for place, table, row in _all_rows(connection):
                try:
                    sound[place] = (table, _entry(row))
                except _Damaged:
                    lost[place] = _name(row)
    with closing(_connect(new)) as connection:
        connection.execute("begin immediate")
        _prepare(connection, 0)
        for table, entry in sound.values():
            row = _row(entry.kind, entry.id, entry.value, entry.at)
            where = "log (kind, id, value, at, sum)" if table == "log" else "state"
            connection.execute(f"insert or replace into {where} values (?, ?, ?, ?, ?)", row)
        connection.execute("commit")
    return len(sound), list(lost.values())


def _all_rows(connection: sqlite3.Connection) -> Iterator[tuple[tuple[str, int], str, tuple[Any, ...]]]:
    """(place, "log" or "state", row) of all that can be read; from both ends, since a bad page ends a reading."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        version = connection.execute("pragma user_version").fetchone()[0]
        for table, found in _columns(connection).items():
            columns = [name for name, *_ in found]
            if {"kind", "id", "value", "at"} <= set(columns):
                which = "log" if "n" in columns else "state"
                checksum = "null" if version < VERSION else _quoted("sum" if "sum" in columns else columns[-1])
                query = f"select rowid, kind, id, value, at, {checksum} from {_quoted(table)} order by rowid"
                for order in ("asc", "desc"):
                    with suppress(sqlite3.DatabaseError):
                        for number, *row in connection.execute(f"{query} {order}"):
                            yield (table, number), which, tuple(row)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
