"""Progress: kept, shared by two processes, moved aside when damaged, and never silently lost."""

import contextlib
import multiprocessing
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.study import progress as module
from course.study.progress import FILE, Progress, ProgressError, home, progress

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def log(store: Progress, *line, **at) -> None:
    store.atomically(lambda transaction: transaction.log(*line, **at))


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "_opened", {})
    return tmp_path / "home"


def test_what_was_put_is_found_again_by_a_later_session(at_home):
    progress().put("quiz", "01-a", {"chosen": [1], "note": "naïve <b>"})
    module._opened.clear()
    assert progress().get("quiz", "01-a") == {"chosen": [1], "note": "naïve <b>"}
    assert progress().get("quiz", "01-b") is None
    assert progress().get("cards", "01-a") is None
    assert progress().path == at_home / FILE


def test_a_later_value_replaces_an_earlier_one_and_the_log_keeps_both():
    store = progress()
    for n in (1, 2):
        store.put("quiz", "q", {"n": n})
        log(store, "quiz", "q", {"n": n})
    store.put("quiz", "p", {"n": 3})
    assert (store.get("quiz", "p"), store.get("quiz", "q")) == ({"n": 3}, {"n": 2})
    assert [entry.value["n"] for entry in store.history("quiz", "q")] == [1, 2]
    assert store.history("quiz", "p") == []


def test_the_log_keeps_the_time_it_was_given():
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    log(progress(), "review", "c", {"rating": 3}, at=at)
    assert [entry.at for entry in progress().history("review")] == [at]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=st.text(min_size=1), value=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_object_under_any_id_comes_back_equal(id, value):
    try:
        id.encode()
    except UnicodeEncodeError:
        return
    progress().put("k", id, value)
    assert progress().get("k", id) == value


def test_a_value_that_is_no_object_is_refused_and_the_old_one_stays():
    progress().put("quiz", "q", {"n": 1})
    with pytest.raises(TypeError, match="list"):
        progress().put("quiz", "q", [1])
    with pytest.raises(TypeError, match="set"):
        progress().put("quiz", "q", {"n": {1}})
    assert progress().get("quiz", "q") == {"n": 1}


def test_a_transaction_that_fails_keeps_nothing():
    store = progress()

    def half(transaction):
        transaction.put("quiz", "q", {"n": 1})
        transaction.log("quiz", "q", {"n": 1})
        raise RuntimeError("stopped in the middle")

    with pytest.raises(RuntimeError, match="middle"):
        store.atomically(half)
    assert store.get("quiz", "q") is None
    assert store.history("quiz") == []


def _increase(transaction):
    value = transaction.get("count", "all") or {"n": 0}
    transaction.put("count", "all", {"n": value["n"] + 1})


def _write(worker: int, rounds: int) -> None:
    store = progress()
    for n in range(rounds):
        store.put(f"worker-{worker}", f"{n}", {"n": n})
        log(store, "log", f"{worker}", {"n": n})
        store.atomically(_increase)


def test_processes_that_write_at_once_lose_nothing():
    rounds = 25
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(worker, rounds)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert progress().get("count", "all") == {"n": 3 * rounds}
    for worker in range(3):
        assert [progress().get(f"worker-{worker}", f"{n}") for n in range(rounds)] == [{"n": n} for n in range(rounds)]
        assert [e.value["n"] for e in progress().history("log", f"{worker}")] == list(range(rounds))


def test_threads_of_one_kernel_share_it():
    store = progress()
    threads = [threading.Thread(target=lambda: store.atomically(_increase)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("count", "all") == {"n": 8}


@pytest.mark.parametrize(
    "content", [b"this is no database at all" * 50, b"SQLite format 3\x00" + b"\xff" * 5000, b"\x00" * 4096]
)
def test_a_damaged_file_is_moved_aside_whole(at_home, capsys, content):
    at_home.mkdir()
    (at_home / FILE).write_bytes(content)
    progress().put("quiz", "q", {"n": 1})
    [moved] = at_home.glob(f"{FILE}.damaged-*")
    assert moved.read_bytes() == content
    said = capsys.readouterr().out
    assert str(moved) in said and "damaged" in said
    assert progress().get("quiz", "q") == {"n": 1}


def test_damage_during_a_session_is_met_at_the_next_write(at_home, capsys):
    store = progress()
    for n in range(200):
        store.put("quiz", f"{n}", {"text": "x" * 200})
    whole = (at_home / FILE).read_bytes()
    torn = whole[:4096] + os.urandom(len(whole) - 4096)
    (at_home / FILE).write_bytes(torn)
    store.put("quiz", "later", {"n": 1})
    assert store.get("quiz", "later") == {"n": 1}
    [moved] = at_home.glob(f"{FILE}.damaged-*")
    assert moved.read_bytes() == torn
    assert capsys.readouterr().out.count("Your progress file is damaged") == 1


def test_a_database_of_another_program_is_moved_aside_too(at_home):
    at_home.mkdir()
    with sqlite3.connect(at_home / FILE) as other:
        other.execute("create table state (colour text)")
        other.execute("insert into state values ('blue')")
    other.close()
    progress().put("quiz", "q", {"n": 1})
    [moved] = at_home.glob(f"{FILE}.damaged-*")
    with sqlite3.connect(moved) as other:
        assert other.execute("select colour from state").fetchall() == [("blue",)]
    other.close()


def _write_one(worker: int) -> None:
    progress().put("quiz", f"{worker}", {"n": worker})


def test_two_processes_that_meet_a_damaged_file_move_it_aside_once(at_home):
    at_home.mkdir()
    (at_home / FILE).write_bytes(b"nonsense" * 200)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_one, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [progress().get("quiz", f"{n}") for n in range(3)] == [{"n": n} for n in range(3)]
    assert len(list(at_home.glob(f"{FILE}.damaged-*"))) == 1


def edit(at_home: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(at_home / FILE)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()
    module._opened.clear()  # the next notebook


@pytest.mark.parametrize(
    "change",
    [
        "update state set value = '{\"n\": ' where id = 'bad'",
        "update state set value = '[1]' where id = 'bad'",
        "update state set value = '{\"n\": 7}' where id = 'bad'",
        "update state set value = cast(x'7b226e223a2022ff227d' as text) where id = 'bad'",
        "update state set value = x'00ff' where id = 'bad'",
        "update state set at = '2026-01-01T09:00:00' where id = 'bad'",
        "update state set at = 'yesterday' where id = 'bad'",
        "update state set sum = 'x' where id = 'bad'",
        "insert into state values ('quiz', cast(x'6261ff' as text), '{}', '2026-01-01T09:00:00+00:00', 'x')",
        "update log set value = '' where id = 'bad'",
    ],
)
@pytest.mark.parametrize("mid_session", [True, False])
def test_a_damaged_row_is_named_and_all_others_are_carried_over(at_home, capsys, change, mid_session):
    store = progress()
    for id in ("good", "bad", "later"):
        store.put("quiz", id, {"n": 1})
        log(store, "quiz", id, {"n": 1})
    edit(at_home, change)
    if mid_session:
        module._opened[at_home] = store
        store.atomically(lambda t: (t.kept(), t.history("quiz")))
    store = progress()
    assert store.get("quiz", "good") == store.get("quiz", "later") == {"n": 1}
    assert [entry.id for entry in store.history("quiz")][:1] == ["good"]
    said = capsys.readouterr().out
    assert said.count("Left out") == 1 and "quiz ba" in said and "carried over" in said
    assert len(list(at_home.glob(f"{FILE}.damaged-*"))) == 1
    store.put("quiz", "bad", {"n": 2})
    module._opened.clear()
    assert progress().get("quiz", "bad") == {"n": 2}
    assert capsys.readouterr().out == ""


def test_flipped_bytes_never_block_and_never_lose_in_silence(at_home, tmp_path, monkeypatch, capsys):
    """Every answer is either there again, or a message says that something was left out."""
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path / "tmp"))
    store = progress()
    for n in range(40):
        store.put("quiz", f"01-{n}", {"text": "abc" * 20, "n": n})
        log(store, "review", f"01-{n}", {"rating": 3})
    whole = (at_home / FILE).read_bytes()
    chance = random.Random(0)
    used = [place for place, byte in enumerate(whole) if byte]  # most of the others are free space
    expected = {f"01-{n}": {"text": "abc" * 20, "n": n} for n in range(40)}
    shares = []
    for place in [*range(100), *chance.sample(used, 60)]:
        torn = bytearray(whole)
        torn[place] ^= 1 << chance.randrange(8)
        for path in at_home.iterdir():
            path.unlink()
        (at_home / FILE).write_bytes(torn)
        shutil.rmtree(tmp_path / "tmp", ignore_errors=True)
        (tmp_path / "tmp").mkdir()  # of the stand-in, where a byte of the version was hit
        module._opened.clear()
        found = {entry.id: entry.value for entry in progress().atomically(lambda t: t.kept())}
        reviews = {entry.id for entry in progress().history("review")}
        text = capsys.readouterr().out
        assert found.items() <= expected.items() and reviews <= expected.keys(), place
        whole_again = found == expected and reviews == expected.keys()
        assert whole_again or "damaged" in text or "newer version" in text, place
        progress().put("quiz", "new", {"n": 1})
        assert progress().get("quiz", "new") == {"n": 1}
        shares.append((len(found) + len(reviews)) / 80)
    assert sum(shares) > 0.6 * len(shares), "most rows outlive most flips"


def test_a_schema_that_is_no_text_is_damage_like_any_other(at_home, capsys):
    progress().put("quiz", "a", {"n": 1})
    whole = (at_home / FILE).read_bytes()
    (at_home / FILE).write_bytes(whole.replace(b"primary key,", b"prim\xecry key,"))
    module._opened.clear()
    progress().put("quiz", "b", {"n": 1})
    assert progress().get("quiz", "b") == {"n": 1} and "damaged" in capsys.readouterr().out


def test_without_the_name_of_the_checksums_they_count_all_the_same(at_home, capsys):
    store = progress()
    for id in ("good", "bad"):
        store.put("quiz", id, {"n": 1})
    edit(at_home, "alter table state rename column sum to sun", "update state set value = '{}' where id = 'bad'")
    assert progress().get("quiz", "good") == {"n": 1} and progress().get("quiz", "bad") is None
    assert "quiz bad" in capsys.readouterr().out


# ---- other versions of the file --------------------------------------------------------------------------------

VERSION_1 = (
    "create table state(kind text not null, id text not null, value text not null, at text not null, "
    "primary key (kind, id))",
    "create table log(n integer primary key, kind text not null, id text not null, value text not null, "
    "at text not null)",
    "create index log_of on log (kind, id)",
    "insert into state values ('quiz', 'a', '{\"n\": 1}', '2026-01-01T09:00:00+00:00')",
    "insert into log values (1, 'review', 'a', '{\"rating\": 3}', '2026-01-01T09:00:00+00:00')",
    "pragma user_version = 1",
)


def test_a_file_without_checksums_is_brought_up_to_date(at_home, capsys):
    at_home.mkdir()
    edit(at_home, *VERSION_1)
    for _ in range(2):
        assert progress().get("quiz", "a") == {"n": 1}
        assert [entry.value for entry in progress().history("review", "a")] == [{"rating": 3}]
        module._opened.clear()
    progress().put("quiz", "b", {"n": 2})
    assert capsys.readouterr().out == "" and [path.name for path in at_home.iterdir()] == [FILE]


def test_a_damaged_row_of_an_older_file_is_named(at_home, capsys):
    at_home.mkdir()
    edit(at_home, *VERSION_1, "insert into state values ('quiz', 'bad', '{', '')")
    assert progress().get("quiz", "a") == {"n": 1} and progress().get("quiz", "bad") is None
    assert "quiz bad" in capsys.readouterr().out


def test_a_newer_file_is_left_as_it_is(at_home, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    progress().put("quiz", "a", {"n": 1})
    edit(at_home, "alter table state add column mood text", "pragma user_version = 7")
    before = (at_home / FILE).read_bytes()
    progress().put("quiz", "a", {"n": 2})
    assert (at_home / FILE).read_bytes() == before and [path.name for path in at_home.iterdir()] == [FILE]
    said = capsys.readouterr().out
    assert "newer version of the course (format 7; this one knows 2)" in said and "Update the course" in said


@pytest.mark.parametrize(
    "change",
    [
        "alter table state rename to stata",
        "alter table state add column mood text",
        "alter table log add column mood text not null default ''",
        "create table other (x)",
        "drop index log_of",
    ],
)
def test_changed_tables_lose_nothing(at_home, capsys, change):
    progress().put("quiz", "a", {"n": 1})
    log(progress(), "review", "a", {"rating": 3})
    edit(at_home, change)
    assert progress().get("quiz", "a") == {"n": 1}
    assert [entry.value for entry in progress().history("review")] == [{"rating": 3}]
    progress().put("quiz", "a", {"n": 2})
    assert ("2 sound entries were carried over" in capsys.readouterr().out) != change.startswith("drop")


def test_an_empty_file_is_said(at_home, capsys):
    at_home.mkdir()
    (at_home / FILE).touch()
    progress().put("quiz", "a", {"n": 1})
    said = capsys.readouterr().out
    assert said.count("was there but empty") == 1 and str(at_home / FILE) in said


def test_what_is_removed_is_copied_first(at_home):
    store = progress()
    for id in ("01-a", "02-a"):
        store.put("quiz", id, {"n": 1})
        log(store, "review", id, {"rating": 3})
    n, copy = store.remove(lambda kind, id: id.startswith("01-"))
    assert n == 2 and store.get("quiz", "01-a") is None and store.get("quiz", "02-a") == {"n": 1}
    assert [entry.id for entry in store.history("review")] == ["02-a"]
    copy.rename(at_home / FILE)
    assert store.get("quiz", "01-a") == {"n": 1} and len(store.history("review")) == 2
    n, copy = store.remove(lambda kind, id: id == "nobody")
    assert n == 0 and not copy.exists()


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        log(progress(), "review", "a", {"rating": 3}, at=datetime(2026, 1, 1))
    assert progress().history("review") == []


# ---- where it lies -----------------------------------------------------------------------------------------------


def test_a_home_of_nobody_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("COURSE_HOME", "~nobody-of-this-name/x")
    progress().put("quiz", "q", {"n": 1})
    assert progress().get("quiz", "q") == {"n": 1}
    said = capsys.readouterr().out
    assert said.count("no user here is called nobody-of-this-name") == 1 or "could not determine home" in said.lower()
    assert progress().path.parent.parent == tmp_path


def _in_the_way(kind: str, place: Path, elsewhere: Path) -> None:
    elsewhere.mkdir()
    if kind == "file":
        place.write_text("in the way")
    elif kind == "dangling link":
        place.symlink_to(elsewhere / "missing")
    elif kind == "planted link":
        place.symlink_to(elsewhere)
    elif kind == "open to all":
        place.mkdir()
        place.chmod(0o777)


@pytest.mark.skipif(sys.platform == "win32", reason="rights and owners are those of POSIX")
@pytest.mark.parametrize("kind", ["file", "dangling link", "planted link", "open to all"])
def test_what_lies_where_the_stand_in_should_be_is_not_used(tmp_path, monkeypatch, kind):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(module.tempfile, "tempdir", str(temporary))
    (tmp_path / "home").write_text("a file where the home should be")
    place = temporary / f"{module.APP}-{os.getuid()}"
    _in_the_way(kind, place, tmp_path / "elsewhere")
    progress().put("quiz", "q", {"n": 1})
    assert progress().get("quiz", "q") == {"n": 1}
    assert progress().path.parent != place and progress().path.parent.parent == temporary
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="rights and owners are those of POSIX")
def test_a_stand_in_of_another_user_is_not_used(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    assert module._is_own(own)
    monkeypatch.setattr(module.os, "getuid", lambda: own.stat().st_uid + 1)
    assert not module._is_own(own)


def test_a_home_that_cannot_be_made_is_replaced_with_one_message(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    progress().put("quiz", "q", {"n": 1})
    progress().put("quiz", "p", {"n": 1})
    said = capsys.readouterr().out
    assert said.count("cannot be kept") == 1
    assert str(tmp_path / "file" / "home") in said and "COURSE_HOME" in said
    assert progress().path.parent.parent == tmp_path and str(progress().path.parent) in said
    assert (tmp_path / "file").read_text() == "in the way"
    module._opened.clear()  # the next notebook finds the same stand-in
    assert progress().get("quiz", "q") == {"n": 1}


def _read_only_session(home_folder: Path, scratch: Path, said: Path) -> None:
    """In a process of its own: gives up root's rights, which no read-only folder stops, and works."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    os.environ["COURSE_HOME"] = str(home_folder)
    module.tempfile.tempdir = str(scratch)
    with said.open("w") as out, contextlib.redirect_stdout(out):
        progress().put("quiz", "q", {"n": 1})
        progress().put("quiz", "p", {"n": 2})
        print([progress().get("quiz", id) for id in ("p", "q")])


@pytest.mark.skipif(sys.platform != "linux", reason="takes another user's rights, as only Linux lets it")
@pytest.mark.parametrize("existing", [False, True])
def test_a_read_only_home_for_real(existing):
    place = Path(tempfile.mkdtemp(prefix="read-only-"))  # pytest's own folders are closed to another user
    here, scratch, said = place / "home", place / "scratch", place / "scratch" / "said"
    try:
        here.mkdir()
        scratch.mkdir()
        before = None
        if existing:
            Progress(here).put("quiz", "old", {"n": 0})
            before = (here / FILE).read_bytes()
            (here / FILE).chmod(0o444)
        place.chmod(0o755)
        scratch.chmod(0o777)
        here.chmod(0o555)
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=_read_only_session, args=(here, scratch, said))
        child.start()
        child.join(60)
        here.chmod(0o755)
        text = said.read_text()
        assert child.exitcode == 0
        assert text.count("cannot be kept") == 1 and "COURSE_HOME" in text
        assert str(here) in text and str(scratch) in text
        assert "[{'n': 2}, {'n': 1}]" in text
        assert [path.name for path in here.iterdir()] == ([FILE] if existing else [])
        assert before is None or (here / FILE).read_bytes() == before
    finally:
        shutil.rmtree(place)


def test_a_full_disk_is_said_and_the_old_value_stays(monkeypatch):
    store = progress()
    store.put("quiz", "q", {"n": 1})

    def full(transaction):
        transaction.put("quiz", "q", {"n": 2})
        transaction._connection.execute("pragma max_page_count = 1")
        for n in range(200):
            transaction.put("quiz", f"{n}", {"text": "x" * 4000})

    with pytest.raises(ProgressError, match=r"full.*COURSE_HOME"):
        store.atomically(full)
    assert store.get("quiz", "q") == {"n": 1} and store.get("quiz", "0") is None


def test_another_writer_who_never_ends_is_a_clear_error(at_home, monkeypatch):
    store = progress()
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    blocker = sqlite3.connect(at_home / FILE, isolation_level=None)
    blocker.execute("begin immediate")
    with pytest.raises(ProgressError, match="locked"):
        store.put("quiz", "q", {"n": 1})
    blocker.execute("commit")
    blocker.close()
    store.put("quiz", "q", {"n": 1})
    assert not list(at_home.glob("*damaged*"))


def test_where_progress_lives(tmp_path, monkeypatch):
    drive, kaggle = tmp_path / "MyDrive", tmp_path / "working"
    monkeypatch.setattr(module, "DRIVE", drive)
    monkeypatch.setattr(module, "KAGGLE", kaggle)
    assert home() == tmp_path / "home"
    monkeypatch.setenv("COURSE_HOME", "~/somewhere")
    assert home() == Path.home() / "somewhere"
    monkeypatch.setenv("COURSE_HOME", "")
    assert home().name == "post-training-hands-on"
    assert tmp_path not in home().parents
    kaggle.mkdir()
    assert home() == kaggle / "post-training-hands-on"
    drive.mkdir()
    assert home() == drive / "post-training-hands-on"


def test_a_new_home_in_the_same_session_is_another_file(tmp_path, monkeypatch):
    progress().put("quiz", "q", {"n": 1})
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "other"))
    assert progress().get("quiz", "q") is None
