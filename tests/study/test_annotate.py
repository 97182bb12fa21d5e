"""`annotate`: what it asks, and that what was chosen is kept whatever happens to the kernel or the files."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.formats import DataError, load_records, validate
from course.study import annotate, annotations
from course.study.annotate import Journal, key_of
from course.text import visible
from tests.conftest import ROOT
from tests.standalone import page_of

PAIRS = [{"prompt": f"Question {i}?", "a": f"Answer A{i}.", "b": f"Answer B{i}."} for i in range(6)]
KEYS = [key_of(pair) for pair in PAIRS]
HOSTILE = '<img src=x onerror=alert(1)></script>$\\href{javascript:alert(1)}{x}$\n{"choice": "a"}\r\u2028 \u202e\0'


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "prefs.jsonl"


def click(widget, i: int, choice: str | None) -> None:
    """What the browser sends when the learner decides the i-th pair, or undoes it (None)."""
    n = max((value["n"] for value in widget.state.values()), default=0) + 1
    widget.state = {**widget.state, KEYS[i]: {"choice": choice, "n": n}}


def wanted(i: int, choice: str) -> dict[str, str]:
    pair = PAIRS[i]
    chosen, rejected = (pair["a"], pair["b"]) if choice == "a" else (pair["b"], pair["a"])
    return {"prompt": pair["prompt"], "chosen": chosen, "rejected": rejected}


def lines(path: Path) -> list[dict[str, str]]:
    """The preference file as any reader of JSONL sees it."""
    records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    if records:
        assert load_records(path, "preference") == records
    return records


# ---- choosing ------------------------------------------------------------------------------------------------


def test_each_click_is_in_both_files_at_once(path):
    widget = annotate(PAIRS, path)
    assert path.read_bytes() == b""
    for i, choice in enumerate(["a", "b", "tie", "skip", "a"]):
        click(widget, i, choice)
        assert annotations(path)[-1]["choice"] == choice
        assert widget.kept == widget.state and widget.notice == ""
    assert lines(path) == [wanted(0, "a"), wanted(1, "b"), wanted(4, "a")]
    assert [record["choice"] for record in annotations(path)] == ["a", "b", "tie", "skip", "a"]
    assert {*annotations(path)[0]} == {"prompt", "a", "b", "choice", "left", "at"}


def test_the_columns_are_those_that_the_trainers_read(path):
    click(annotate(PAIRS, path), 0, "b")
    assert [*lines(path)[0]] == ["prompt", "chosen", "rejected"]
    validate(lines(path), "preference")


def test_undo_takes_back_and_a_second_choice_replaces_the_first(path):
    widget = annotate(PAIRS, path)
    click(widget, 0, "a")
    click(widget, 1, "a")
    click(widget, 1, None)
    assert lines(path) == [wanted(0, "a")] and len(annotations(path)) == 1
    click(widget, 1, "b")
    click(widget, 0, None)
    click(widget, 0, "tie")
    assert lines(path) == [wanted(1, "b")]
    assert len(Journal(path).file.read_text().splitlines()) == 6  # nothing is ever taken out of the journal


def test_several_clicks_in_one_message_are_written_in_their_order(path):
    widget = annotate(PAIRS, path)
    widget.state = {
        KEYS[0]: {"choice": "a", "n": 3},
        KEYS[1]: {"choice": "b", "n": 1},
        KEYS[2]: {"choice": None, "n": 2},
    }
    assert lines(path) == [wanted(1, "b"), wanted(0, "a")] and widget.kept == widget.state
    assert len(Journal(path).file.read_text().splitlines()) == 2  # undoing what was never chosen is no event


def test_running_the_cell_again_goes_on_where_one_stopped(path):
    first = annotate(PAIRS, path)
    for i, choice in ((2, "tie"), (0, "a"), (1, "b"), (1, None)):
        click(first, i, choice)
    second = annotate(PAIRS, path)
    assert second.state == {KEYS[2]: {"choice": "tie", "n": 1}, KEYS[0]: {"choice": "a", "n": 2}}
    assert second.kept == second.state and second.notice == ""
    before = Journal(path).file.read_bytes()
    second.state = dict(second.state)
    annotate(PAIRS, path)
    assert Journal(path).file.read_bytes() == before


def test_pairs_of_an_earlier_list_stay_in_the_file_and_are_mentioned(path):
    old = annotate(PAIRS, path)
    click(old, 0, "a")
    click(old, 1, "b")
    new = annotate([PAIRS[1], {**PAIRS[0], "a": "Another answer."}], path)
    assert [*new.state] == [KEYS[1]]
    assert "1 earlier choice between other answers" in new.notice
    click(new, 1, None)
    assert lines(path) == [wanted(0, "a")] and new.notice == ""
    assert "1 earlier choice " in annotate([{"prompt": "p", "a": "x", "b": "y"}], path).notice


def test_two_widgets_on_one_name_lose_nothing_of_each_other(path):
    one, two = annotate(PAIRS, path), annotate(PAIRS[::-1], path)
    click(one, 0, "a")
    click(two, 1, "b")
    click(one, 2, "a")
    click(two, 0, "b")  # the later of two opinions on one pair counts
    assert lines(path) == [wanted(1, "b"), wanted(2, "a"), wanted(0, "b")]


@pytest.mark.parametrize(
    "value", ["a", None, 3, {}, {"choice": "a"}, {"choice": "both", "n": 1}, {"choice": "a", "n": "1"}, {"n": 1}]
)
def test_what_our_script_does_not_send_gets_into_no_file(path, value):
    widget = annotate(PAIRS, path)
    widget.state = {KEYS[0]: value, "unknown": {"choice": "a", "n": 1}}
    assert annotations(path) == [] and lines(path) == []


# ---- the places of the two answers ---------------------------------------------------------------------------


def test_places_come_from_the_seed_and_not_from_the_list(path, tmp_path):
    many = [{"prompt": str(i), "a": "x", "b": "y"} for i in range(200)]
    one = annotate(many, path, seed=1)
    assert 70 < len(one.flipped) < 130
    assert annotate(many[::-1][:100], path, seed=1).flipped == one.flipped & {key_of(pair) for pair in many[100:]}
    assert annotate(many, path, seed=2).flipped != one.flipped


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shown_chosen_and_noted_agree(path, seed):
    widget = annotate(PAIRS, path, seed=seed)
    for i, shown in enumerate(widget.data["pairs"]):
        first, second = ("b", "a") if shown["flipped"] else ("a", "b")
        assert (shown["first"], shown["second"]) == (PAIRS[i][first], PAIRS[i][second])
        click(widget, i, "a")
        assert annotations(path)[-1]["left"] == first


# ---- what can go wrong with files ----------------------------------------------------------------------------


def test_whatever_part_of_the_journal_a_kill_leaves_the_rest_counts(tmp_path, capsys):
    """The journal cut at each of its bytes: every whole line counts, and what follows is written on a new one."""
    whole = Journal(tmp_path / "whole.jsonl")
    widget = annotate(PAIRS, tmp_path / "whole.jsonl")
    for i, choice in ((0, "a"), (1, "b"), (0, None)):
        click(widget, i, choice)
    data = whole.file.read_bytes()
    ends = [k for k in range(len(data)) if data[k : k + 1] == b"\n"]
    states = [[], [(0, "a")], [(0, "a"), (1, "b")], [(1, "b")]]
    for cut in range(0, len(data), 29):
        path = tmp_path / "cut.jsonl"
        path.unlink(missing_ok=True)
        Journal(path).file.write_bytes(data[:cut])
        rest = annotate(PAIRS, path)
        kept = states[sum(end <= cut for end in ends)]
        assert lines(path) == [wanted(*one) for one in kept]
        click(rest, 5, "a")
        assert lines(path) == [wanted(*one) for one in [*kept, (5, "a")]]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (b'{"prompt": "Ques', "line 2 (Unterminated"),
        (b"\0\0\0\0", "line 2 (Expecting"),
        (b"\xff\xfe", "line 2 ('utf-8'"),
        (b"[" * 100_000, "line 2 ("),
        (b"[1, 2]", "line 2 (it is no object)"),
        (b'{"prompt": "p", "b": "y", "choice": "a"}', "its a is missing"),
        (b'{"prompt": "p", "a": 1, "b": "y", "choice": "a"}', "its a is int, not text"),
        (b'{"prompt": "p", "a": "\\ud800", "b": "y", "choice": "a"}', "half a character"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "c"}', "its choice is 'c'"),
        (b'{"prompt": "p", "a": "x", "b": "x ", "choice": "a"}', "cannot be compared"),
    ],
)
def test_a_damaged_line_is_named_and_the_others_count(path, capsys, damage, says):
    widget = annotate(PAIRS, path)
    for i in range(3):
        click(widget, i, "a")
    journal = Journal(path).file
    first, _, third = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join([first, damage, third]) + b"\n")
    path.unlink()
    capsys.readouterr()
    again = annotate(PAIRS, path)
    assert says in capsys.readouterr().out
    assert [*again.state] == [KEYS[0], KEYS[2]]
    assert lines(path) == [wanted(0, "a"), wanted(2, "a")]
    assert len(annotations(path)) == 2 and says in capsys.readouterr().out
    assert damage in journal.read_bytes()  # it may still be mended by hand


def test_a_choice_whose_line_is_damaged_is_taken_over_from_the_preference_file(path, capsys):
    widget = annotate(PAIRS, path)
    click(widget, 0, "a")
    click(widget, 1, "b")
    journal = Journal(path).file
    journal.write_bytes(b'{"prom' + journal.read_bytes()[30:])
    assert annotate(PAIRS, path).state.keys() == {KEYS[0], KEYS[1]}
    assert lines(path) == [wanted(1, "b"), wanted(0, "a")] and "line 1 (" in capsys.readouterr().out


def test_a_file_that_fell_behind_the_journal_is_made_up(path):
    widget = annotate(PAIRS, path)
    click(widget, 0, "a")
    before = path.read_bytes()
    click(widget, 1, "b")
    path.write_bytes(before)  # killed after the journal and before the file
    path.with_name(".prefs.jsonl.part").write_bytes(b'{"prompt": "Ques')
    annotate(PAIRS, path)
    assert lines(path) == [wanted(0, "a"), wanted(1, "b")]
    assert not path.with_name(".prefs.jsonl.part").exists()


def test_records_that_came_from_elsewhere_are_taken_over_and_go_on(path):
    """As when the file was downloaded from a page without a kernel, with or without a journal there."""
    downloaded = [wanted(0, "b"), wanted(1, "a"), {"prompt": "mine", "chosen": "x", "rejected": "y"}]
    for _ in range(2):
        path.write_text("".join(json.dumps(record) + "\n" for record in downloaded))
        widget = annotate(PAIRS, path)
        assert {key: value["choice"] for key, value in widget.state.items()} == {KEYS[0]: "b", KEYS[1]: "a"}
        assert "1 earlier choice " in widget.notice
        assert sorted(map(json.dumps, lines(path))) == sorted(map(json.dumps, downloaded))
    click(widget, 0, None)
    assert lines(path) == downloaded[1:]
    annotate(PAIRS, path)
    assert lines(path) == downloaded[1:] and annotations(path)[0]["left"] == ""


def test_what_was_undone_does_not_come_back_from_a_file_that_fell_behind(path):
    widget = annotate(PAIRS, path)
    click(widget, 0, "a")
    before = path.read_bytes()
    click(widget, 0, None)
    path.write_bytes(before)
    assert annotate(PAIRS, path).state == {} and lines(path) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": "mine", "chosen": "x", "rejected": "y", "source": "people"}\n',
        '{"prompt": "mine", "chosen": "x", "rejected": "x "}\n',
        '{"prompt": "mine", "chosen": "x", "rejected": "\\ud800"}\n',
        '{"prompt": [{"role": "user", "content": "Q"}], "chosen": [{"role": "assistant", "content": "x"}], '
        '"rejected": [{"role": "assistant", "content": "y"}]}\n',
        "my notes\n",
    ],
)
def test_a_file_that_holds_something_else_is_left_alone(path, text):
    path.write_text(text)
    with pytest.raises(FileExistsError, match="something else than preferences between two texts"):
        annotate(PAIRS, path)
    assert path.read_text() == text and not Journal(path).file.exists()


def test_the_same_answers_listed_the_other_way_round_are_the_same_pair(path):
    click(annotate(PAIRS, path), 0, "a")
    turned = [{"prompt": pair["prompt"], "a": pair["b"], "b": pair["a"]} for pair in PAIRS]
    widget = annotate([*turned, *PAIRS], path)
    assert widget.state == {KEYS[0]: {"choice": "b", "n": 1}} and len(widget.data["pairs"]) == len(PAIRS)
    click(widget, 0, "b")  # says the same, so that it is no event
    assert len(Journal(path).file.read_text().splitlines()) == 1
    click(widget, 0, "a")
    assert lines(path) == [wanted(0, "b")]


def test_a_choice_that_waited_in_the_browser_gives_way_to_a_later_one_unless_it_was_made_in_sight_of_it(path):
    click(annotate(PAIRS, path), 0, "a")
    [saved] = annotate(PAIRS, path).state.values()
    long_ago = {"at": 1000.0, "over": None}
    for waited, stands in ((long_ago, "a"), ({**long_ago, "over": saved}, "b"), ({"at": 4e12, "over": None}, "b")):
        widget = annotate(PAIRS, path)
        widget.state = {KEYS[0]: {"choice": "b", "n": 2, "waited": waited}}
        assert widget.state[KEYS[0]]["choice"] == stands and widget.notice == ""
        assert lines(path) == [wanted(0, stands)]


@pytest.mark.parametrize("at", ['"soon"', "null", '"2026-01-01"'])
def test_a_journal_with_a_time_that_is_none_takes_what_waited(path, at):
    click(annotate(PAIRS, path), 0, "a")
    journal = Journal(path).file
    journal.write_text(re.sub(r'"at": "[^"]*"', f'"at": {at}', journal.read_text()))
    annotate(PAIRS, path).state = {KEYS[0]: {"choice": "b", "n": 2, "waited": {"at": 4e12, "over": None}}}
    assert lines(path) == [wanted(0, "b")]


def test_a_folder_or_a_file_in_the_way_is_said_before_the_first_click(tmp_path):
    with pytest.raises(OSError, match="is a folder"):
        annotate(PAIRS, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"could not be saved in .* folder that you can write"):
        annotate(PAIRS, tmp_path / "file" / "prefs.jsonl")


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="folder that you can write"):
            annotate(PAIRS, tmp_path / "prefs.jsonl")
    finally:
        tmp_path.chmod(0o700)


def test_another_notebook_that_holds_the_lock_is_waited_for_and_then_named(path, monkeypatch):
    monkeypatch.setattr(sys.modules[Journal.__module__], "WAIT_SECONDS", 0.1)
    with Journal(path)._turn(), pytest.raises(OSError, match="could not be saved"):
        annotate(PAIRS, path)
    annotate(PAIRS, path)


def test_what_could_not_be_written_is_said_and_comes_with_the_next_click(path, monkeypatch):
    widget = annotate(PAIRS, path)
    click(widget, 0, "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        click(widget, 1, "b")
        assert (
            "could not be written" in widget.notice and "no space left" in widget.notice and [*widget.kept] == [KEYS[0]]
        )
    click(widget, 2, "a")
    assert widget.notice == "" and widget.kept == widget.state
    assert {record["chosen"] for record in lines(path)} == {"Answer A0.", "Answer B1.", "Answer A2."}


def _full(_: int) -> None:
    raise OSError("no space left")


def test_folders_are_made_and_a_later_change_of_folder_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    widget = annotate(PAIRS, "new/folder/prefs.jsonl")
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    click(widget, 0, "a")
    assert lines(tmp_path / "new/folder/prefs.jsonl") == [wanted(0, "a")]
    with pytest.raises(FileNotFoundError, match="Run annotate"):
        annotations("new/folder/prefs.jsonl")


WRITER = """
import sys
from course.study import annotate
from course.study.annotate import key_of

path, start, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pairs = [{"prompt": f"Question {i}?", "a": f"Answer A{i}.", "b": f"Answer B{i}."} for i in range(10_000)]
widget = annotate(pairs[start:end], path)
for n, pair in enumerate(pairs[start:end], start=1):
    widget.state = {key_of(pair): {"choice": "a", "n": n}}
    print(len(widget.kept), flush=True)
"""


def writers(path: Path, *ranges: tuple[int, int]) -> Iterator[subprocess.Popen]:
    for start, end in ranges:
        command = [sys.executable, "-c", WRITER, str(path), str(start), str(end)]
        yield subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_kernels_at_once_and_one_killed_in_the_midst_lose_nothing_that_was_called_saved(path):
    whole, killed = writers(path, (0, 30), (5000, 9000))
    for _ in range(15):
        called = int(killed.stdout.readline())
    os.kill(killed.pid, signal.SIGKILL)
    called += sum(1 for line in killed.stdout.read().splitlines() if line)
    assert whole.wait(timeout=120) == 0
    annotate(PAIRS[:1], path)  # brings in what the killed kernel wrote in the journal and not yet in the file
    records = lines(path)
    numbers = [int(record["prompt"].split()[1].rstrip("?")) for record in records]
    assert len(numbers) == len(set(numbers))
    assert set(range(30)) <= set(numbers)
    assert sum(number >= 5000 for number in numbers) >= called
    assert len(annotations(path)) == len(records)


# ---- any course of events ------------------------------------------------------------------------------------

EVENTS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", "tie", "skip", None])), max_size=12)


@given(EVENTS)
@settings(max_examples=12, deadline=None)
def test_the_file_holds_exactly_what_stands(events):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prefs.jsonl"
        widget = annotate(PAIRS, path)
        standing: dict[int, str | None] = {}
        for i, choice in events:
            click(widget, i, choice)
            if standing.get(i) != choice:
                standing.pop(i, None)
                standing[i] = choice
        assert lines(path) == [wanted(i, choice) for i, choice in standing.items() if choice in ("a", "b")]
        assert {key: value["choice"] for key, value in annotate(PAIRS, path).state.items()} == {
            KEYS[i]: choice for i, choice in standing.items() if choice
        }


TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


@given(TEXT, TEXT, TEXT)
@settings(max_examples=25, deadline=None)
def test_any_text_comes_back_as_it_was(prompt, a, b):
    if not all(visible(text).strip() for text in (prompt, a, b)) or a.strip() == b.strip():
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prefs.jsonl"
        pair = {"prompt": prompt, "a": a, "b": b}
        widget = annotate([pair], path)
        widget.state = {key_of(pair): {"choice": "b", "n": 1}}
        assert load_records(path, "preference") == [{"prompt": prompt, "chosen": b, "rejected": a}]
        assert annotate([pair], path).state == widget.state


# ---- what can be asked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([{"prompt": "p", "a": "x"}], r"pairs\[0\], b: is missing"),
        ([PAIRS[0], {"prompt": "p", "a": "x", "b": 3}], r"pairs\[1\], b: is int, not text"),
        ([{"prompt": "p", "a": "x", "b": "\ud800"}], r"pairs\[0\], b: has half a character"),
        ([{"prompt": " ", "a": "x", "b": "y"}], r"pairs\[0\], prompt: is empty"),
        (["p"], r"pairs\[0\]: is str, not a pair"),
        ([{}, {"prompt": None, "a": "x", "b": "y"}], "4 problems"),
    ],
)
def test_pairs_that_lack_something_are_listed(path, pairs, says):
    with pytest.raises(DataError, match=says):
        annotate(pairs, path)
    assert not path.parent.joinpath("prefs.jsonl").exists()


@pytest.mark.parametrize("pairs", [[], [{"prompt": "p", "a": "x", "b": "x\n"}], [{"prompt": "p", "a": "", "b": "x"}]])
def test_no_pair_to_choose_between_is_an_error(path, pairs):
    with pytest.raises(ValueError, match="no pair of two different answers"):
        annotate(pairs, path)


def test_pairs_that_nobody_could_judge_are_left_out_and_counted(path):
    same, empty = {**PAIRS[0], "b": "Answer A0. "}, {**PAIRS[1], "a": ""}
    widget = annotate([same, PAIRS[2], empty, PAIRS[2]], path)
    assert [pair["id"] for pair in widget.data["pairs"]] == [KEYS[2]]
    assert widget.data["left_out"].startswith("3 pairs left out")
    assert "3 pairs left out" in widget.static_html()
    assert annotate(PAIRS, path).data["left_out"] == ""


def test_columns_that_are_not_asked_for_stay_out(path):
    widget = annotate([{**PAIRS[0], "better": "a"}], path)
    click(widget, 0, "b")
    assert "better" not in json.dumps(widget.data) and "better" not in path.read_text()


# ---- faces ---------------------------------------------------------------------------------------------------


def test_no_face_depends_on_what_was_chosen(path):
    first = annotate(PAIRS, path)
    before = first.static_html(), first.plain(), page_of(first)
    click(first, 0, "a")
    second = annotate(PAIRS, path)
    assert (second.static_html(), second.plain(), page_of(second)) == before
    assert "6 pairs" in before[1] and before[0].count("Answer 1: ") == 6


def test_the_static_face_lists_the_first_pairs_only(path):
    many = [{"prompt": str(i), "a": "x", "b": "y"} for i in range(200)]
    html = annotate(many, path).static_html()
    assert html.count("Answer 1: ") == 10 and "the first 10 of 200" in html


def test_hostile_text_is_text_in_every_face_and_file(path):
    widget = annotate([{"prompt": HOSTILE, "a": HOSTILE + "1", "b": HOSTILE + "2"}], path)
    for face in (widget.static_html(), page_of(widget)):
        assert "<img" not in face and "</script>$" not in face
    assert "$" not in widget.static_html().replace("<span>$</span>", "")
    (key,) = widget.pairs
    widget.state = {key: {"choice": "a", "n": 1}}
    assert [record["chosen"] for record in lines(path)] == [HOSTILE + "1"]
    assert path.read_bytes().count(b"\n") == 1
