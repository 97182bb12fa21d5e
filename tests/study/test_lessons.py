"""The overview over all lessons, what counts as opened, and taking things out again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from course.study import content, flashcards, mark_done, my_progress, quiz, reset, schedule, warm_up
from course.study import progress as module
from course.study.content import ContentError
from course.study.lessons import note_opened, opened_lessons
from course.study.progress import RESET, ProgressError, progress

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture(autouse=True)
def sample(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(content, "FOLDER", SAMPLE)


def review(id: str, rating: str, now: datetime | None = None) -> datetime:
    return progress().atomically(lambda kept: schedule.review(kept, id, rating, now))


def score(lesson: str):
    return next(score for score in my_progress() if score.lesson == lesson)


@pytest.mark.parametrize(
    "do",
    [
        lambda: quiz("01"),
        lambda: flashcards("01"),
        lambda: warm_up("01"),
        lambda: mark_done("01"),
        lambda: review("01-card-base", "known"),
        lambda: progress().put("prediction", "01-asks-back", {"guess": 3}),
        lambda: progress().atomically(lambda t: t.log("exercise", "01-loss", {"verdict": "wrong"})),
    ],
)
def test_what_opens_a_lesson(do):
    assert opened_lessons() == set()
    do()
    assert opened_lessons() == {"01"}


def test_a_guess_under_another_name_opens_nothing():
    progress().put("prediction", "S10", {"guess": 3})
    assert opened_lessons() == set()


def test_a_lesson_opens_though_nothing_can_be_kept(monkeypatch):
    def full(*_):
        raise ProgressError("disk full")

    monkeypatch.setattr(module.Progress, "put", full)
    note_opened("01")


def test_scores_count_what_is_answered_right_and_due():
    assert (score("01").state, score("01").right, score("01").questions) == ("", 0, 5)
    widget = quiz("01")
    widget.state = {
        "01-carries-on": {"chosen": ["x"], "checked": True, "right": True, "tries": 2},
        "01-knows": {"chosen": ["x"], "checked": True, "right": False, "tries": 1},
        "01-cost": {"text": "12", "checked": False},
        "01-why": {"text": "mine", "shown": True, "grade": 3},
    }
    review("01-card-base", "known", datetime.now(UTC) - timedelta(days=9))
    review("01-card-loss", "known")
    assert (score("01").state, score("01").right, score("01").due) == ("opened", 2, 1)
    done = {id: {"text": "1", "checked": True, "right": False} for id in ("01-cost", "01-perplexity")}
    widget.state = {**widget.state, **done}
    for exercise in content.load_lesson("01").exercises:
        assert score("01").state == "opened"
        progress().put("exercise", exercise.id, {"solved": "2026-01-01"})
    assert score("01").state == "done"
    mark_done("00")
    assert score("00").state == "done"
    with pytest.raises(ContentError, match="no lesson"):
        mark_done("77")


def test_the_table_names_what_is_due_and_links_to_notebooks_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "01_base_model.ipynb").write_text("{}")
    (tmp_path / "01_base_model_more.ipynb").write_text("{}")
    review("01-card-base", "known", datetime.now(UTC) - timedelta(days=9))
    html, text = my_progress()._repr_html_(), repr(my_progress())
    assert '<a href="01_base_model.ipynb">01 The base model</a>' in html and html.count("<a ") == 1
    assert "1 card is due; due_cards() shows them." in html and "1 card is due" in text
    assert "0 of 5" in text and "<" not in text


def test_a_title_cannot_bring_markup_into_the_table(tmp_path, monkeypatch):
    (tmp_path / "05.yaml").write_text('lesson: "05"\ntitle: "<script>x"\n')
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    assert "<script>" not in my_progress()._repr_html_()


def fill() -> None:
    for id in ("01-asks-back", "S10", "02-padding"):
        progress().put("prediction", id, {"guess": 1})
    quiz("01").state = {"01-cost": {"text": "125", "checked": True, "right": True, "tries": 1}}
    review("01-card-base", "known")


def left() -> list[str]:
    entries = progress().atomically(lambda t: [*t.kept(), *t.logged()])
    return sorted({entry.id for entry in entries if entry.kind != RESET} - {"seed"})


@pytest.mark.parametrize(
    ("what", "stays"),
    [
        ("S10", ["01", "01-asks-back", "01-card-base", "01-cost", "02-padding"]),
        ("01", ["02-padding", "S10"]),
        ("everything", []),
    ],
)
def test_reset_asks_first_and_keeps_a_copy(what, stays, capsys):
    fill()
    before = left()
    reset(what)
    assert left() == before and f"reset({what!r}, sure=True)" in capsys.readouterr().out
    reset(what, sure=True)
    assert left() == stays
    [copy] = progress().path.parent.glob("*before-reset*")
    assert str(copy) in capsys.readouterr().out
    copy.replace(progress().path)
    assert left() == before


def test_reset_of_what_is_not_there_says_what_is():
    fill()
    with pytest.raises(ValueError, match="Did you mean '01-asks-back'"):
        reset("01-ask-back", sure=True)
    with pytest.raises(ValueError, match="nothing was kept under ''"):
        reset("", sure=True)
    assert len(left()) == 6
