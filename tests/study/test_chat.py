"""`chat`: each question reaches each model, and what goes wrong is said; drawing is in tests/browser."""

import subprocess
import sys

import pytest

from course.study import chat
from course.study.chat import MOST_EXCHANGES
from tests.standalone import page_of

HOSTILE = "<img src=x onerror=alert(1)> $\\href{javascript:alert(1)}{x}$\n</script>"


def loud(question: str) -> str:
    return question.upper()


def picky(question: str) -> str:
    if len(question) > 20:
        raise ValueError(f"Prompt 0 has {len(question)} tokens, which exceeds the model's context of 20.")
    return f" {question} \n"


def talk(**more):
    return chat({"loud": loud, "picky": picky}, ["Where is Peru?", "And Chile?"], **more)


def send(widget, id: str, value) -> None:
    """What the browser does when the learner asks."""
    widget.state = {**widget.state, id: value}


def test_the_suggestions_are_answered_when_the_cell_runs():
    assert talk().data["suggestions"] == [
        {"question": "Where is Peru?", "answers": [{"text": "WHERE IS PERU?"}, {"text": "Where is Peru?"}]},
        {"question": "And Chile?", "answers": [{"text": "AND CHILE?"}, {"text": "And Chile?"}]},
    ]


def test_a_question_goes_to_every_model_by_itself_and_the_answers_come_back_under_its_id():
    asked = []
    widget = chat({"one": lambda q: asked.append(q) or "1", "two": lambda q: asked.append(q) or "2"}, ["x"])
    asked.clear()
    send(widget, "pt-a", {"question": "Who?"})
    send(widget, "pt-b", {"question": "Who?"})
    assert asked == ["Who?"] * 4
    answers = [{"text": "1"}, {"text": "2"}]
    assert widget.exchanges == [{"id": id, "question": "Who?", "answers": answers} for id in ("pt-a", "pt-b")]
    assert widget.notice == ""


def test_an_error_takes_the_place_of_one_answer_and_nothing_else_is_lost():
    widget = talk()
    send(widget, "a", {"question": "Short?"})
    send(widget, "b", {"question": "A question that is far too long"})
    send(widget, "c", {"question": "Again?"})
    assert [one["question"] for one in widget.exchanges] == ["Short?", "A question that is far too long", "Again?"]
    loud_one, picky_one = widget.exchanges[1]["answers"]
    assert loud_one == {"text": "A QUESTION THAT IS FAR TOO LONG"}
    assert picky_one == {"error": "ValueError: Prompt 0 has 31 tokens, which exceeds the model's context of 20."}


@pytest.mark.parametrize(("returned", "says"), [(None, "NoneType"), (["a"], "list"), (b"a", "bytes")])
def test_what_is_no_text_is_said(returned, says):
    (answer,) = chat({"odd": lambda question: returned}, ["x"]).data["suggestions"][0]["answers"]
    assert answer == {"error": f"The model's function returned {says} instead of text."}


@pytest.mark.parametrize("value", [None, 3, "Who?", {}, {"question": 3}, {"question": "  "}, {"text": "Who?"}])
def test_what_our_script_does_not_send_is_not_asked(value):
    widget = talk()
    send(widget, "a", value)
    assert widget.exchanges == [] and widget.notice == ""


def test_the_oldest_exchanges_leave_the_widget():
    widget = talk()
    for i in range(MOST_EXCHANGES + 5):
        send(widget, f"pt-{i}", {"question": f"{i}?"})
    assert [one["question"] for one in widget.exchanges] == [f"{i}?" for i in range(5, MOST_EXCHANGES + 5)]


@pytest.mark.parametrize(
    ("models", "questions", "more", "says"),
    [
        ({}, ["x"], {}, "one to 4 models"),
        (dict.fromkeys("abcde", loud), ["x"], {}, "there are 5"),
        ({"a": loud}, [], {}, "at least one suggested question"),
        ({"a": loud}, ["x", " "], {}, "none empty"),
        ({"a": loud}, ["x", "x "], {}, "none twice"),
        ({" ": loud}, ["x"], {}, "name of every model"),
        ({"a": loud}, ["x"], {"title": ""}, "title"),
    ],
)
def test_what_cannot_be_drawn_is_refused(models, questions, more, says):
    with pytest.raises(ValueError, match=says):
        chat(models, questions, **more)


def test_the_faces_without_a_script_show_the_suggestions_answered_and_are_the_same_on_every_run():
    one, two = talk(), talk()
    send(two, "a", {"question": "Asked in one run only?"})
    assert one.static_html() == two.static_html() and page_of(one) == page_of(two)
    assert "<th>loud</th><th>picky</th>" in one.static_html()
    assert "<tr><td>And Chile?</td><td>AND CHILE?</td><td>And Chile?</td></tr>" in one.static_html()
    lines = ["Two models", "Where is Peru?", "  loud: WHERE IS PERU?", "  picky: Where is Peru?", "And Chile?"]
    assert talk(title="Two models").plain().splitlines()[:5] == lines


def test_an_empty_answer_and_an_error_have_words_in_every_face():
    def fails(question):
        raise KeyError("gone")

    widget = chat({"empty": lambda question: " ", "fails": fails}, ["x"])
    for face in (widget.plain(), widget.static_html()):
        assert "(an empty answer)" in face and "gone" in face


def test_hostile_text_is_escaped():
    widget = chat({HOSTILE: lambda question: HOSTILE}, [HOSTILE], title=HOSTILE)
    for face in (widget.static_html(), page_of(widget)):
        assert "<img" not in face and "</script>" not in face.removesuffix("</script></main></body></html>")
    assert "$" not in widget.static_html().replace("<span>$</span>", "")


def test_it_needs_no_torch():
    code = "import sys, course.study; course.study.chat({'a': str}, ['x']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
