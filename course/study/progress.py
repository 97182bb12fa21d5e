"""What the learner has done, kept in one small sqlite file; used by every study tool of every lesson.

The file lies in the folder that the environment variable COURSE_HOME names; without it, in a mounted
Google Drive (Colab), in /kaggle/working (Kaggle), or in the user's data folder. Where that cannot be
written, a temporary folder stands in and a message says so.

Two notebooks may write at once: every access opens its own connection (widget events may come from
another thread than the cells) and takes the write lock first, waiting for its turn. The rollback journal
is used rather than sqlite's WAL, because WAL needs shared memory, which network homes and Drive lack.
A damaged file is moved aside, never deleted.
"""

import getpass
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
APP = "post-training-hands-on"
FILE = "progress.sqlite3"
WAIT_SECONDS = 30.0
DRIVE = Path("/content/drive/MyDrive")
KAGGLE = Path("/kaggle/working")
SCHEMA = (
    "create table if not exists state"
    "(kind text not null, id text not null, value text not null, at text not null, primary key (kind, id))",
    "create table if not exists log"
    "(n integer primary key, kind text not null, id text not null, value text not null, at text not null)",
    "create index if not exists log_of on log (kind, id)",
)


class ProgressError(OSError):
    """Progress could not be read or saved; the message says where and what to do."""


@dataclass(frozen=True)
class Entry:
    """One line of the append-only log."""

    kind: str
    id: str
    value: dict[str, Any]
    at: datetime


class Transaction:
    """Reads and writes that happen together or not at all; handed out by `Progress.atomically`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        query = "select value from state where kind = ? and id = ?"
        row = self._connection.execute(query, (kind, id)).fetchone()
        return _decode(row[0]) if row else None

    def put(self, kind: str, id: str, value: dict[str, Any]) -> None:
        row = (kind, id, _encode(value), datetime.now(UTC).isoformat())
        self._connection.execute("insert or replace into state values (?, ?, ?, ?)", row)

    def write_nothing(self) -> None:
        self._connection.execute("pragma user_version = 1")

    def log(self, kind: str, id: str, value: dict[str, Any], at: datetime | None = None) -> None:
        """Appends to the log, which is never rewritten. `at` is now when left out."""
        row = (kind, id, _encode(value), (at or datetime.now(UTC)).isoformat())
        self._connection.execute("insert into log (kind, id, value, at) values (?, ?, ?, ?)", row)

    def history(self, kind: str, id: str | None = None) -> list[Entry]:
        which, values = ("", (kind,)) if id is None else (" and id = ?", (kind, id))
        query = f"select id, value, at from log where kind = ?{which} order by n"
        rows = ((id, _decode(text), at) for id, text, at in self._connection.execute(query, values))
        return [Entry(kind, id, v, datetime.fromisoformat(at)) for id, v, at in rows if v is not None]


class Progress:
    """The learner's progress in one folder. Values are JSON objects, found again by kind and id.

    Args:
        folder: where the file lies; made when it is missing.
    Raises:
        ProgressError: the folder or the file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.atomically(lambda t: t.write_nothing())  # a file that one can only read opens without complaint

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The value last put under this kind and id, or None."""
        return self.atomically(lambda t: t.get(kind, id))

    def put(self, kind: str, id: str, value: dict[str, Any]) -> None:
        """Keeps `value` under this kind and id, in place of an earlier one."""
        self.atomically(lambda t: t.put(kind, id, value))

    def history(self, kind: str, id: str | None = None) -> list[Entry]:
        """The log of this kind (and id), in the order of writing."""
        return self.atomically(lambda t: t.history(kind, id))

    def atomically(self, work: Callable[[Transaction], T]) -> T:
        """Runs `work` on the file under its write lock: all of it is kept, or, if it raises, none.

        A file that turns out to be damaged is moved aside first, and `work` then runs on a new one.
        """
        try:
            return self._attempt(work)
        except sqlite3.DatabaseError as error:
            if _environment(error):
                raise self._unusable(error) from error
        try:
            self._set_aside_if_damaged()
            return self._attempt(work)
        except (sqlite3.DatabaseError, PermissionError) as error:
            raise self._unusable(error) from error

    def _attempt(self, work: Callable[[Transaction], T]) -> T:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
        with closing(connection):
            connection.execute("begin immediate")  # before reading: two readers who turn writers deadlock
            try:
                for statement in SCHEMA:
                    connection.execute(statement)
                result = work(Transaction(connection))
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        return result

    def _set_aside_if_damaged(self) -> None:
        from filelock import FileLock  # only a repair needs it

        with FileLock(self.path.with_suffix(".lock")):  # a second notebook must not move the new file away
            if _sound(self.path):
                return
            moved = self.path.with_name(f"{FILE}.damaged-{time.time_ns()}")
            for end in ("-journal", "-wal", "-shm", ""):
                part = self.path.with_name(self.path.name + end)
                if part.exists():
                    part.replace(moved.with_name(moved.name + end))
        print(
            f"Your progress file is damaged and could not be read. It was moved to {moved}, and nothing in "
            f"it was changed. Progress starts anew in {self.path}."
        )

    def _unusable(self, error: Exception) -> ProgressError:
        return ProgressError(
            f"Your progress could not be saved in {self.path}: {error}. Set the environment variable "
            "COURSE_HOME to a folder that you can write, then restart the kernel."
        )


def progress() -> Progress:
    """The learner's progress, in the folder that the module's docstring describes.

    A folder that cannot be written is replaced by a temporary one, with one message that says where.
    """
    folder = home()
    if folder not in _opened:
        try:
            _opened[folder] = Progress(folder)
        except ProgressError as error:
            _opened[folder] = stand_in = Progress(_temporary())
            print(
                f"Your progress cannot be kept in {folder} ({error.__cause__ or error}). For now it is in "
                f"{stand_in.path.parent}, which may be emptied when the computer restarts. To keep it, set "
                "the environment variable COURSE_HOME to a folder you can write, then restart the kernel."
            )
    return _opened[folder]


def home() -> Path:
    """The folder in which progress belongs; it need not exist yet."""
    if named := os.environ.get("COURSE_HOME"):
        return Path(named).expanduser().absolute()
    if DRIVE.is_dir():
        return DRIVE / APP
    if KAGGLE.is_dir():
        return KAGGLE / APP
    from platformdirs import user_data_path

    return user_data_path(APP, appauthor=False)


_opened: dict[Path, Progress] = {}


def _temporary() -> Path:
    """A folder of this user's own, the same in every notebook, so that they still share progress."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        user = str(os.getuid())
    folder = Path(tempfile.gettempdir()) / f"{APP}-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.access(folder, os.W_OK):
        return folder
    return Path(tempfile.mkdtemp(prefix=f"{APP}-"))


def _environment(error: sqlite3.DatabaseError) -> bool:
    """Whether the surroundings are at fault (rights, space, another writer) rather than the content."""
    causes = ("BUSY", "LOCKED", "READONLY", "CANTOPEN", "IOERR", "FULL", "PERM", "AUTH", "PROTOCOL", "NOLFS")
    return getattr(error, "sqlite_errorname", "").startswith(tuple(f"SQLITE_{cause}" for cause in causes))


def _sound(path: Path) -> bool:
    """Whether the file is a sqlite file with our tables in it, readable throughout."""
    try:
        with closing(sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
            if connection.execute("pragma quick_check").fetchall() != [("ok",)]:
                return False
            connection.execute("select kind, id, value, at from state limit 1")
            connection.execute("select n, kind, id, value, at from log limit 1")
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return True
        if _environment(error):
            raise
        return False
    return True


def _encode(value: dict[str, Any]) -> str:
    if not isinstance(value, dict):
        raise TypeError(f"progress keeps dicts, not {type(value).__name__}: {value!r}")
    return json.dumps(value)


def _decode(text: str) -> dict[str, Any] | None:
    """The stored value; None for a row that someone has edited into something else."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError):
        return None
    return value if isinstance(value, dict) else None
