"""The quiz as Python makes it; how it behaves in a browser is in tests/browser/test_study_tools.py."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from course.study import content, quiz
from course.study.content import ContentError, Option, Single
from course.study.markup import to_html
from course.study.progress import progress
from course.study.quiz import STATIC_SEED, Quiz, in_order
from course.study.yaml_lines import read_mapping

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
    assert [option["text_html"] for option in single["options"] if option["right"]] == [
        "<code>What is the capital of Chile?</code>"
    ]
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


def with_options(*options: str) -> Single:
    marked = [Option(text=text, why="w", right=text == "b") for text in options]
    return Single(id="01-q", type="single", prompt="?", options=marked)


def texts(question: Single, seed: int) -> list[str]:
    return [option.text for option in in_order(question, seed)]


@given(order=st.permutations(["a", "b", "c", "d"]), seed=st.integers(0, 2**31))
def test_the_order_of_options_hangs_on_the_seed_and_not_on_the_file(order, seed):
    shown = texts(with_options(*order), seed)
    assert sorted(shown) == sorted(order) and shown == texts(with_options("a", "b", "c", "d"), seed)
    assert [text for text in texts(with_options(*order, "e"), seed) if text != "e"] == shown, "a new one moves no other"


def test_every_place_is_equally_common_for_the_right_option():
    places = Counter(texts(with_options("a", "b", "c", "d"), seed).index("b") for seed in range(2000))
    assert all(400 < places[place] < 600 for place in range(4))


@pytest.mark.parametrize(
    "text",
    [
        "None of these.",
        "none of the above",
        "All of these",
        "Both of them.",
        "Both.",
        "Neither",
        "Neither can tell; only the curves can.",
        "None of these; for that, something has to look at quality which is not in the loop.",
    ],
)
def test_an_option_about_the_others_stays_at_the_end(text):
    assert {texts(with_options(text, "b", "c", "d"), seed)[-1] for seed in range(30)} == {text}


@pytest.mark.parametrize("text", ["All tokens count.", "Both are right in most pairs.", "None is trained.", "Anyone."])
def test_an_option_that_only_begins_so_is_shuffled(text):
    assert len({texts(with_options(text, "b", "c", "d"), seed).index(text) for seed in range(30)}) == 4


def test_two_learners_have_two_orders_and_each_keeps_their_own(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_SEED", raising=False)

    def keys(home: str) -> list[list[str]]:
        monkeypatch.setenv("COURSE_HOME", str(tmp_path / home))
        return [[option["key"] for option in question.get("options", [])] for question in quiz("01").data["questions"]]

    orders = {home: keys(home) for home in map(str, range(8))}
    assert all(keys(home) == order for home, order in orders.items())
    assert len({str(order) for order in orders.values()}) > 1
    monkeypatch.setenv("COURSE_SEED", "3")
    assert len({str(keys(home)) for home in orders}) == 1


def test_what_is_stored_in_notebooks_has_one_order_for_all(monkeypatch):
    monkeypatch.setenv("COURSE_SEED", "3")
    mine = quiz("01").static_html()
    monkeypatch.setenv("COURSE_SEED", "4")
    assert quiz("01").static_html() == mine
    shown = texts(quiz("01").questions[0], STATIC_SEED)
    assert sorted(shown, key=lambda text: mine.index(to_html(text, raw_math=True))) == shown


def test_an_answer_survives_another_order(monkeypatch):
    monkeypatch.setenv("COURSE_SEED", "1")
    first = quiz("01")
    right = next(option["key"] for option in first.data["questions"][0]["options"] if option["right"])
    first.state = {"01-carries-on": {"chosen": [right], "checked": True, "right": True, "tries": 1}}
    for seed in range(2, 8):
        monkeypatch.setenv("COURSE_SEED", str(seed))
        again = quiz("01")
        chosen = again.state["01-carries-on"]["chosen"]
        assert [option["right"] for option in again.data["questions"][0]["options"] if option["key"] in chosen] == [
            True
        ]


def test_a_damaged_seed_is_drawn_anew(monkeypatch):
    monkeypatch.delenv("COURSE_SEED", raising=False)
    progress().put("learner", "seed", {"seed": "x"})
    assert quiz("01").data == quiz("01").data
    assert isinstance(progress().get("learner", "seed")["seed"], int)


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


@pytest.mark.parametrize(("value", "status"), [("", 0), (" 7 ", 0), ("abc", 1), ("-1", 1), ("1.5", 1)])
def test_a_seed_that_is_no_whole_number_is_said(value, status):
    done = subprocess.run(
        [sys.executable, "-c", "import course"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "COURSE_SEED": value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status
    assert not status or f"COURSE_SEED is {value!r}; set it to a whole number" in done.stderr


@pytest.mark.parametrize("quiz_id", ["01-carries-on", "01-knows"])
def test_an_answer_stays_with_its_option_when_the_file_lists_the_options_in_another_order(
    quiz_id, tmp_path, monkeypatch
):
    def options():
        question = next(one for one in quiz("01").data["questions"] if one["id"] == quiz_id)
        return {option["key"]: option["text_html"] for option in question["options"]}

    before = options()
    answers = [{"chosen": [key], "checked": True, "right": False, "tries": 1} for key in before]
    lesson = read_mapping(SAMPLE / "01_sample.yaml")[0]
    for question in lesson["questions"]:
        question.get("options", []).reverse()
    (tmp_path / "01.yaml").write_text(yaml.safe_dump(lesson, sort_keys=False), encoding="utf-8")
    for answer in answers:
        monkeypatch.setattr(content, "FOLDER", SAMPLE)
        quiz("01").state = {quiz_id: answer}
        monkeypatch.setattr(content, "FOLDER", tmp_path)
        assert quiz("01").state[quiz_id] == answer
        assert options()[answer["chosen"][0]] == before[answer["chosen"][0]]
