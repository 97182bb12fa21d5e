"""The quiz as Python makes it; how it behaves in a browser is in tests/browser/test_study_tools.py."""

import re
from pathlib import Path

import pytest

from course.study import content, quiz
from course.study.content import ContentError
from course.study.quiz import Quiz

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture(autouse=True)
def sample(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(content, "FOLDER", SAMPLE)


def test_all_questions_or_those_named():
    assert [q["id"] for q in quiz("01").data["questions"]] == [
        "01-carries-on",
        "01-knows",
        "01-cost",
        "01-perplexity",
        "01-why",
    ]
    assert [q["id"] for q in quiz("01", "01-why", "01-cost").data["questions"]] == ["01-why", "01-cost"]
    with pytest.raises(ContentError, match='each id in quotes, as in "01-carries-on"'):
        quiz("01", ["01-why"])
    with pytest.raises(ContentError, match="did you mean 01-cost"):
        quiz("01", "01-coast")


def test_each_type_carries_what_its_checking_needs():
    single, several, number, _, short = quiz("01").data["questions"]
    assert [option["right"] for option in single["options"]] == [False, True, False]
    assert all(option["why_html"] for option in several["options"])
    assert len({option["key"] for option in single["options"]}) == 3
    assert (number["answer"], number["tolerance"], number["unit"]) == (125, 0.5, "tokens")
    assert number["answer_text"] == "125 tokens"
    assert "<math" in number["explanation_html"]
    assert len(short["rubric_html"]) == 2


def test_an_option_keeps_its_key_when_others_move(tmp_path, monkeypatch):
    before = {option["text_html"]: option["key"] for option in quiz("01").data["questions"][0]["options"]}
    text = (SAMPLE / "01_sample.yaml").read_text(encoding="utf-8")
    (tmp_path / "01.yaml").write_text(text.replace("    options:\n", "    options:\n      - {text: new, why: w}\n", 1))
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    after = {option["text_html"]: option["key"] for option in quiz("01").data["questions"][0]["options"]}
    assert before.items() <= after.items()


def test_answers_are_there_again_when_the_cell_runs_again():
    first = quiz("01")
    answer = {"chosen": [first.data["questions"][0]["options"][1]["key"]], "checked": True, "right": True, "tries": 2}
    first.state = {"01-carries-on": answer}
    assert quiz("01").state == {"01-carries-on": answer}
    assert quiz("01", "01-cost").state == {}


def test_static_face_opens_no_answer_and_knows_no_learner():
    asked = quiz("01")
    before = asked.static_html()
    asked.state = {"01-why": {"text": "mine", "shown": True, "grade": 3}}
    assert asked.static_html() == before == quiz("01").static_html()
    open_text = re.sub(r"<details>.*?</details>", "", before, flags=re.DOTALL)
    assert "What does it most likely write next?" in open_text
    for hidden in ("Right.", "125 tokens", "It does not ask; it begins a document", "Knowing and answering"):
        assert hidden in before and hidden not in open_text
    assert "<script" not in before and "<math" not in before and r"$-\log p_\theta" in before


def test_one_line_for_readers_without_html():
    assert quiz("01").plain() == "Quiz: The base model (5 questions)"
    assert quiz("01", "01-why").plain() == "Quiz: The base model (1 question)"
    assert isinstance(quiz("01"), Quiz)
