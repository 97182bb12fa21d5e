"""`check`: the verdict as a widget, its hints, and what is kept of it."""

import pytest

from course.exercises import EXERCISES
from course.study import content, exercises
from course.study.content import ContentError
from course.study.exercises import check
from course.study.progress import progress


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))


ID = "01-prompt-tokens"
RIGHT, WRONG = EXERCISES[ID].solution, EXERCISES[ID].mistakes["shots_once"]


def test_a_stub_keeps_nothing():
    shown = check(ID, None)
    assert shown.verdict.kind == "not attempted" and "not attempted" in shown.plain().lower()
    assert progress().history("exercise") == [] and progress().get("exercise", ID) is None


def test_right_is_kept_with_its_reason_and_stays_so():
    first = check(ID, RIGHT)
    assert first.data["kind"] == "right" and first.data["why_html"] and not first.data["solved_before"]
    solved = progress().get("exercise", ID)
    assert solved["solved"]
    again = check(ID, WRONG)
    assert again.data["solved_before"] and again.data["why_html"] == ""
    assert progress().get("exercise", ID) == solved
    assert [entry.value for entry in progress().history("exercise", ID)] == [
        {"verdict": "right", "mistake": None},
        {"verdict": "wrong", "mistake": "shots_once"},
    ]


def test_a_mistake_gets_its_hint():
    shown = check(ID, WRONG)
    assert "examples once" in shown.data["mistake_html"]
    assert "examples once" in shown.plain()
    assert "examples once" not in check(ID, lambda shots, question, queries: 0).data["mistake_html"]


def test_hints_that_were_opened_stay_open():
    shown = check(ID, None)
    shown.state = {ID: {"hints": 1, "solution": False}}
    assert check(ID, WRONG).state == {ID: {"hints": 1, "solution": False}}


def test_progress_that_cannot_be_kept_is_said_and_the_verdict_stands(monkeypatch):
    class Full:
        def get(self, kind, id):
            return None

        def atomically(self, work):
            raise OSError("no space left")

    monkeypatch.setattr(exercises, "progress", Full)
    shown = check(ID, RIGHT)
    assert shown.verdict.kind == "right" and shown.notice.endswith("no space left")


def test_the_static_face_is_the_same_on_every_run_and_hides_the_solution():
    first = check(ID, None).static_html()
    check(ID, RIGHT)
    shown = check(ID, None)
    shown.state = {ID: {"hints": 2, "solution": True}}
    assert check(ID, None).static_html() == first
    chain = first.index("Hint 1"), first.index("Hint 2"), first.index("Solution"), first.index("def prompt_tokens")
    assert list(chain) == sorted(chain)
    assert first.count("<details>") == first.count("</details>") == 3
    assert "(sum(shots) + question) * queries" in first


def test_what_the_learners_code_gives_is_escaped():
    hostile = "<img src=x onerror=alert(1)>"
    shown = check("02-dedupe", lambda texts: hostile)
    assert hostile not in shown.static_html()
    assert hostile in shown.data["rows"][2][1]  # the script sets it as text

    def named(texts):
        raise ValueError(hostile)

    assert hostile not in check("02-dedupe", named).static_html()


def test_an_unknown_id_says_which_there_are():
    with pytest.raises(ContentError, match="02-dedupe"):
        check("02-dedup", None)
    with pytest.raises(ContentError):
        check("77-nothing", None)
    with pytest.raises(ContentError):
        check("", None)
    with pytest.raises(ContentError, match="the id first"):
        check(RIGHT, ID)


def test_a_text_without_cases_is_a_clear_error(tmp_path, monkeypatch):
    folder = tmp_path / "quizzes"
    folder.mkdir()
    (folder / "one.yaml").write_text(
        'lesson: "01"\ntitle: t\nexercises:\n  - {id: 01-new, title: t, task: t, hints: [h], solution: s}\n'
    )
    monkeypatch.setattr(content, "FOLDER", folder)
    with pytest.raises(ContentError, match=r"no cases.*course/exercises"):
        check("01-new", None)


def test_a_verdict_in_a_notebook_needs_no_display(at_home):
    bundle = check(ID, RIGHT)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "Right." in data["text/plain"] and "<details>" in data["text/html"]
