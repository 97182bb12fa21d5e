"""Progress: kept, shared by two processes, moved aside when damaged, and never silently lost."""

import contextlib
import multiprocessing
import os
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
    assert capsys.readouterr().out.count("damaged and could not be read") == 1


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


def test_a_row_that_was_edited_into_nonsense_counts_as_absent(at_home):
    progress().put("quiz", "good", {"n": 1})
    with sqlite3.connect(at_home / FILE) as file:
        file.execute("insert into state values ('quiz', 'bad', '{\"n\": ', '')")
        file.execute("insert into state values ('quiz', 'list', '[1]', '')")
    file.close()
    assert progress().get("quiz", "bad") is None
    assert progress().get("quiz", "list") is None
    assert progress().get("quiz", "good") == {"n": 1}


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
