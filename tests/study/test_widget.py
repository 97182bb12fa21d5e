"""The base of the study widgets: three faces, and answers that are kept."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.study import chat, check, content, flashcards, my_progress, predict, quiz, warm_up
from course.study import widget as module
from course.study.lessons import reset
from course.study.progress import progress
from course.study.widget import STATIC, StudyWidget, to_script_json
from tests.standalone import page_of

VIEW = "application/vnd.jupyter.widget-view+json"


class Mood(StudyWidget):
    """The smallest widget: it borrows the quiz's script and keeps entries of its own kind."""

    script = "quiz"
    kind = "mood"

    def __init__(self, *ids: str) -> None:
        super().__init__({"title": "T", "questions": []}, ids=ids)

    def static_html(self) -> str:
        return "<p>static</p>"

    def plain(self) -> str:
        return "Mood <&>"


class Still(Mood):
    """A widget that keeps nothing."""

    kind = ""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_FACE", "live")


def test_the_bundle_has_a_view_a_static_face_and_a_line():
    data, _ = Mood()._repr_mimebundle_()
    assert set(data) == {VIEW, "text/html", "text/plain"}
    assert data["text/html"] == "<p>static</p>"
    assert data["text/plain"] == "Mood <&>"


def test_script_and_style_travel_with_the_widget():
    mood = Mood()
    assert "function mount(" in mood._esm and "function draw(" in mood._esm
    assert mood._esm.rstrip().endswith("mount(model, el, true) };")
    assert ".pt-study" in mood._css


def test_state_starts_from_progress_and_goes_there():
    progress().put("mood", "01-a", {"mood": "fine"})
    first = Mood("01-a", "01-b")
    assert first.state == {"01-a": {"mood": "fine"}}
    first.state = {**first.state, "01-b": {"mood": "better"}}
    assert progress().get("mood", "01-b") == {"mood": "better"}
    assert Mood("01-a", "01-b").state == first.state


def test_only_what_changed_is_remembered(monkeypatch):
    mood = Mood()
    remembered = []
    monkeypatch.setattr(Mood, "remember", lambda self, id, value: remembered.append(id))
    mood.state = {"01-a": {"x": 1}}
    mood.state = {"01-a": {"x": 1}, "01-b": {"x": 2}}
    assert remembered == ["01-a", "01-b"]


def test_a_widget_without_a_kind_touches_no_file(tmp_path):
    still = Still("01-a")
    still.state = {"01-a": {"x": 1}}
    assert list(tmp_path.iterdir()) == []


def full(self, id, value):
    raise OSError("disk full")


def test_what_could_not_be_kept_is_said_until_it_is_on_the_disk(monkeypatch):
    mood = Mood("01-a", "01-b")
    with monkeypatch.context() as patch:
        patch.setattr(Mood, "remember", full)
        mood.state = {"01-a": {"x": 1}}
        assert "disk full" in mood.notice and mood.kept == {}
    mood.state = {**mood.state, "01-b": {"x": 2}}  # room again: the lost one comes along with the next
    assert mood.notice == "" and mood.kept == mood.state
    assert progress().get("mood", "01-a") == {"x": 1}


def test_the_script_can_have_it_tried_again(monkeypatch):
    mood = Mood("01-a")
    with monkeypatch.context() as patch:
        patch.setattr(Mood, "remember", full)
        mood.state = {"01-a": {"x": 1}}
    mood._handle_custom_msg({"retry": True}, [])
    assert mood.notice == "" and mood.kept == {"01-a": {"x": 1}} and progress().get("mood", "01-a") == {"x": 1}


def test_each_of_several_that_cannot_be_kept_is_announced_and_the_others_are_kept(monkeypatch):
    mood = Mood()

    def odd_ones_fail(self, id, value):
        if value["x"] % 2:
            raise OSError(f"no room for {id}")

    monkeypatch.setattr(Mood, "remember", odd_ones_fail)
    mood.state = {"01-a": {"x": 1}, "01-b": {"x": 2}, "01-c": {"x": 3}}
    assert "no room for 01-a" in mood.notice and "no room for 01-c" in mood.notice
    assert mood.kept == {"01-b": {"x": 2}}


def waited(over: dict | None = None, **ago: float) -> dict:
    return {"waited": {"at": (datetime.now(UTC) - timedelta(**ago)).timestamp() * 1000, "over": over}}


def test_what_waited_in_a_browser_is_kept_without_its_mark():
    mood = Mood("01-a")
    mood.state = {"01-a": {"x": 1, **waited(days=1)}}
    assert mood.state == mood.kept == {"01-a": {"x": 1}} and progress().get("mood", "01-a") == {"x": 1}


def test_what_waited_does_not_replace_what_was_saved_later_nor_come_twice(monkeypatch):
    progress().put("mood", "01-a", {"x": 2})
    remembered = []
    monkeypatch.setattr(Mood, "remember", lambda self, id, value: remembered.append(value))
    mood = Mood("01-a")
    mood.state = {"01-a": {"x": 1, **waited(days=1)}}
    assert mood.state == mood.kept == {"01-a": {"x": 2}}
    mood.state = {"01-a": {"x": 2, **waited(days=-1)}}  # two tabs hand over the same
    assert remembered == [] and mood.state == mood.kept == {"01-a": {"x": 2}}
    mood.state = {"01-a": {"x": 3, **waited(days=-1)}}
    assert remembered == [{"x": 3}]


def test_what_was_answered_in_sight_of_the_saved_answer_is_newer_though_the_clock_went_back():
    progress().put("mood", "01-a", {"x": 2})
    mood = Mood("01-a")
    mood.state = {"01-a": {"x": 1, **waited(over={"x": 2}, hours=1)}}
    assert mood.state == mood.kept == {"01-a": {"x": 1}} and progress().get("mood", "01-a") == {"x": 1}


@pytest.mark.parametrize("what", ["01-a", "01", "everything"])
def test_what_waited_before_a_reset_does_not_come_back(what):
    progress().put("mood", "01-a", {"x": 1})
    reset(what, sure=True)
    mood = Mood("01-a")
    mood.state = {"01-a": {"x": 2, **waited(hours=1)}}
    assert mood.state == {} and progress().get("mood", "01-a") is None
    mood.state = {"01-a": {"x": 3}}
    assert progress().get("mood", "01-a") == {"x": 3}


@pytest.mark.parametrize("value", [3, "x", None, ["x"], {"x": 1, "waited": "soon"}, {"x": 1, "waited": {}}])
def test_what_our_script_does_not_send_stops_nothing(value):
    mood = Mood("01-a", "01-b")
    mood.state = {"01-a": value, "01-b": {"x": 2}, "77-z": {"x": 1, **waited(days=1)}}
    assert mood.kept["01-b"] == {"x": 2} and progress().get("mood", "77-z") is None


def test_two_outputs_the_view_and_the_face_that_outlives_it(monkeypatch):
    shown = []
    monkeypatch.setattr(module, "display", lambda bundle, **_: shown.append(bundle))
    progress().put("mood", "01-a", {"text": "mine"})
    mood = Mood("01-a")
    mood._ipython_display_()
    view, face = shown
    assert view.keys() == {VIEW, "text/html"} and view["text/html"] == ""
    assert VIEW not in face and mood.place in face["text/html"] and "mine" in face["text/html"]
    monkeypatch.setenv("COURSE_FACE", "static")
    mood._ipython_display_()
    assert shown[2:] == [{"text/html": "<p>static</p>", "text/plain": "Mood <&>"}]


def test_kaggle_gets_the_standalone_face(monkeypatch):
    monkeypatch.setenv("COURSE_FACE", "standalone")
    data, metadata = Mood()._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain"} and metadata == {}
    assert "<p>static</p>" in data["text/html"] and "<script>" in data["text/html"]


def test_kaggle_is_known_by_its_folder_and_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_FACE")
    monkeypatch.setattr(module, "KAGGLE", tmp_path / "working")
    assert module.face() == "live"
    (tmp_path / "working").mkdir()
    assert module.face() == "standalone"
    monkeypatch.setenv("COURSE_FACE", "live")
    assert module.face() == "live"


def test_a_home_that_goes_away_stops_no_cell_and_is_said(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("COURSE_HOME", str(home))
    quiz("01")
    shutil.rmtree(home)
    home.write_text("in the way")
    guess = predict("S1", "How many?", low=0, high=9)
    asked = quiz("01")
    for widget in (asked, flashcards("01"), guess, guess.reveal(3), check("01-next-token-loss", None)):
        assert str(home) in widget.notice
    assert str(home) in warm_up("02").data["note"]
    asked.state = {"01-why": {"text": "given meanwhile"}}
    assert str(home) in asked.notice and asked.kept == {}
    home.unlink()
    asked._handle_custom_msg({"retry": True}, [])
    assert asked.notice == "" and progress().get("quiz", "01-why") == {"text": "given meanwhile"}


HOSTILE = "\u202e<b>x</b> \\(\\href{javascript:1}{y}\\)"
LESSON = {
    "lesson": "66",
    "title": HOSTILE,
    "questions": [
        {"id": "66-n", "type": "numeric", "prompt": HOSTILE, "answer": 1.0, "tolerance": 0.0, "unit": HOSTILE}
    ],
    "cards": [{"id": "66-c", "front": HOSTILE, "back": HOSTILE}],
}
LESSON["questions"][0]["explanation"] = HOSTILE


def test_hostile_text_is_shown_as_it_stands_wherever_it_is_shown(tmp_path, monkeypatch):
    """No sign turns the text around, and no reader finds a tag or a formula in it."""
    (tmp_path / "66.yaml").write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in LESSON.items()))
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    number, choice = predict("n", HOSTILE, low=0, high=1, unit=HOSTILE), predict("c", HOSTILE, choices=[HOSTILE, "b"])
    curve = predict("x", HOSTILE, low=0, high=1, x=[0, 1], x_label=HOSTILE, y_label=HOSTILE)
    shown = [quiz("66"), flashcards("66"), chat({HOSTILE: str}, [HOSTILE], title=HOSTILE)]
    shown += [number, number.reveal(1), choice, choice.reveal(HOSTILE), curve, curve.reveal([0, 1])]
    faces = [face for widget in shown for face in (widget.static_html(), widget._repr_mimebundle_()[0]["text/plain"])]
    faces += [my_progress()._repr_html_(), repr(my_progress()), flashcards("66").print_html()]
    assert not [face for face in faces if "\u202e" in face]
    html = [face for face in faces if face.startswith("<")]
    assert len(html) == len(shown) + 2
    assert not [face for face in html if "<b>x" in face or "\\(\\href" in re.sub("<title>.*?</title>", "", face)]


def test_all_faces_are_the_same_on_every_run():
    one, two = Mood(), Mood()
    two.state = {"01-a": {"mood": "fine"}}
    assert page_of(one) == page_of(two)
    assert one._repr_mimebundle_()[0]["text/html"] == two._repr_mimebundle_()[0]["text/html"]


def test_the_standalone_face_needs_no_second_file():
    page = page_of(Mood())
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert page.count("<script>") == page.count("</script>") == 1


@given(st.text())
def test_json_in_a_script_is_the_same_value_and_closes_nothing(text):
    written = to_script_json({"text": text, "end": "</script><!--"})
    assert json.loads(written)["text"] == text
    assert not set("<>&\u2028\u2029") & set(written)


def test_no_script_file_would_end_the_script_element():
    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert "</script" not in text.lower() and "<!--" not in text, path.name
        assert re.search(r"\binnerHTML\b", text) is None or path.name == "common.js", path.name


def test_every_style_rule_stands_below_the_widget():
    text = re.sub(r"/\*.*?\*/", "", (STATIC / "study.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    for selectors in re.findall(r"([^{};]+)\{", text):
        for selector in re.split(r",(?![^(]*\))", selectors):
            assert selector.strip().startswith((".pt-study", ".pt-notice", "@", "body[data-jp-theme-light")), selector
