"""Copies of the notebooks: kept up to date where they are untouched, never written over where they are not."""

from pathlib import Path

import pytest

from course.study.working_copy import NOTE, refresh


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    source = tmp_path / "notebooks"
    source.mkdir()
    for name in ("a", "b"):
        (source / f"{name}.ipynb").write_text(f"{name} 1")
    return source, tmp_path / "mine"


def texts(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.ipynb"))}


def test_first_all_are_copied_and_then_nothing_happens(folders):
    source, target = folders
    assert refresh(source, target) == [] and texts(target) == texts(source)
    assert refresh(source, target) == [] and texts(target) == texts(source)


def test_an_untouched_copy_is_brought_up_to_date_and_a_changed_one_is_kept(folders):
    source, target = folders
    refresh(source, target)
    (target / "a.ipynb").write_text("a with my answers")
    assert refresh(source, target) == [], "without an update there is nothing to say"
    for name in ("a", "b"):
        (source / f"{name}.ipynb").write_text(f"{name} 2")
    said = refresh(source, target)
    assert texts(target) == {"a": "a with my answers", "a_new": "a 2", "b": "b 2"}
    assert said == [
        "a.ipynb is yours, with your changes. The course's new version is a_new.ipynb.",
        "b.ipynb was brought up to date.",
    ]
    assert refresh(source, target) == [], "it is said once"
    (source / "a.ipynb").write_text("a 3")
    refresh(source, target)
    assert texts(target) == {"a": "a with my answers", "a_new": "a 3", "b": "b 2"}
    (target / "a_new.ipynb").write_text("changed too")
    (source / "a.ipynb").write_text("a 4")
    assert "a_new2.ipynb" in refresh(source, target)[0]
    assert texts(target) == {"a": "a with my answers", "a_new": "changed too", "a_new2": "a 4", "b": "b 2"}


def test_a_copy_that_was_removed_comes_back_and_new_lessons_come(folders):
    source, target = folders
    refresh(source, target)
    (target / "a.ipynb").unlink()
    (source / "c.ipynb").write_text("c 1")
    assert refresh(source, target) == [] and texts(target) == {"a": "a 1", "b": "b 1", "c": "c 1"}


@pytest.mark.parametrize("note", ["", "[]", "{", "[" * 100_000, '{"a.ipynb": 3}', None])
def test_without_a_readable_note_nothing_of_the_learner_is_written_over(folders, note):
    source, target = folders
    refresh(source, target)
    (target / "a.ipynb").write_text("mine")
    (source / "b.ipynb").write_text("b 2")
    (target / NOTE).unlink() if note is None else (target / NOTE).write_text(note)
    refresh(source, target)
    assert texts(target) == {"a": "mine", "a_new": "a 1", "b": "b 1", "b_new": "b 2"}


def test_files_of_the_learners_own_and_what_is_in_the_way_stay(folders):
    source, target = folders
    target.mkdir()
    (target / "own.ipynb").write_text("own")
    (target / "b.ipynb").write_text("was here before")
    refresh(source, target)
    assert texts(target) == {"a": "a 1", "b": "was here before", "b_new": "b 1", "own": "own"}


@pytest.mark.parametrize("put", [Path.mkdir, lambda place: place.symlink_to("nowhere")], ids=["folder", "link"])
def test_what_is_no_file_blocks_no_other_notebook(folders, put):
    source, target = folders
    target.mkdir()
    put(target / "a.ipynb")
    put(source / "0.ipynb")
    assert "a_new.ipynb" in refresh(source, target)[0]
    assert (target / "b.ipynb").read_text() == "b 1" and refresh(source, target) == []


def test_no_notebooks_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="in a clone of the course"):
        refresh(tmp_path / "nowhere", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
