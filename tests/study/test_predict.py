"""`predict`: what it asks, what it keeps, what it takes for a measurement; its drawing is tested in tests/browser."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.study import predict
from course.study.predict import _step
from course.study.progress import progress
from tests.standalone import page_of


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))


def number(**more):
    return predict("S10", "How many of 90 survive?", low=0, high=90, **more)


def choice():
    return predict("S9", "Where does the loss go?", choices=["up", "down"])


def curve():
    return predict("S6", "Draw the loss.", x=[0, 10, 20], low=0, high=6, x_label="step", y_label="loss")


# ---- asking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "kind"), [(number, "number"), (choice, "choice"), (curve, "curve")])
def test_a_guess_is_kept_and_found_again(make, kind):
    guess = {"number": 40, "choice": "up", "curve": [5.0, 3.0, 2.0]}[kind]
    first = make()
    assert first.data["type"] == kind and first.state == {}
    first.state = {first.data["id"]: {"guess": guess}}  # what the browser sends when the learner commits
    assert progress().get("prediction", first.data["id"]) == {"guess": guess}
    assert make().state == {first.data["id"]: {"guess": guess}}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "`low` and `high`"),
        ({"low": 0}, "`low` and `high`"),
        ({"low": 1, "high": 1}, "below"),
        ({"low": 2, "high": 1}, "below"),
        ({"low": 0, "high": float("inf")}, "below"),
        ({"low": float("nan"), "high": 1}, "below"),
        ({"choices": ["up"]}, "at least two"),
        ({"choices": ["up", "up"]}, "different"),
        ({"choices": "up or down"}, "list"),
        ({"choices": ["up", " "]}, "list"),
        ({"choices": ["up", "down"], "low": 0, "high": 1}, "alone"),
        ({"choices": ["up", "down"], "x": [1, 2]}, "alone"),
        ({"x": [1, 2]}, "`low` and `high`"),
        ({"x": [1], "low": 0, "high": 1}, "growing"),
        ({"x": [2, 1], "low": 0, "high": 1}, "growing"),
        ({"x": [1, 1], "low": 0, "high": 1}, "growing"),
        ({"x": [1, float("inf")], "low": 0, "high": 1}, "growing"),
    ],
)
def test_what_cannot_be_asked_says_why_and_names_the_prediction(wrong, says):
    with pytest.raises(ValueError, match=says) as raised:
        predict("S10", "How many?", **wrong)
    assert "S10" in str(raised.value)


@pytest.mark.parametrize(("id", "prompt"), [("", "How many?"), ("S10", "  ")])
def test_an_id_and_a_prompt_are_needed(id, prompt):
    with pytest.raises(ValueError, match=r"id.*prompt"):
        predict(id, prompt, low=0, high=1)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_the_sliders_step_is_fine_enough_and_not_too_fine(low, width):
    high = low + width
    if high <= low:
        return
    steps = (high - low) / _step(low, high)
    assert steps <= 101
    assert steps >= 39 or (float(low).is_integer() and float(high).is_integer() and _step(low, high) == 1)


def test_counts_are_guessed_in_whole_numbers():
    assert number().data["step"] == 1
    assert _step(0, 1000) == 10 and _step(0, 1) == 0.01 and _step(0, 12) == 1


def test_tensors_will_do_for_the_scale():
    asked = predict("x", "?", x=torch.tensor([1, 2]), low=torch.tensor(0.0), high=np.float32(2))
    assert json.loads(json.dumps(asked.data))["x"] == [1, 2]


# ---- revealing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measured", [3, 3.0, torch.tensor(3), np.int64(3)])
def test_a_measured_number_in_any_form(measured):
    assert number().reveal(measured).data["measured"] == {"value": 3}


def test_a_measured_curve_at_its_points_or_at_others():
    assert curve().reveal(torch.tensor([5.0, 4.0, 3.0])).data["measured"] == {"x": [0, 10, 20], "y": [5, 4, 3]}
    assert curve().reveal(([20, 0], [1, 5])).data["measured"] == {"x": [0, 20], "y": [5, 1]}
    two = predict("two", "?", x=[1, 2], low=0, high=1).reveal([0.25, 0.5])
    assert two.data["measured"] == {"x": [1, 2], "y": [0.25, 0.5]}


def test_what_is_not_finite_is_missing_and_breaks_nothing():
    nan = float("nan")
    lost = number().reveal(nan)
    assert lost.data["measured"] == {"value": None} and "no number" in lost.plain()
    assert curve().reveal([5.0, nan, float("inf")]).data["measured"]["y"] == [5.0, None, None]
    assert "NaN" not in json.dumps(lost.data)


@pytest.mark.parametrize(
    ("make", "measured"),
    [
        (number, [3]),
        (number, "3"),
        (number, None),
        (choice, "sideways"),
        (choice, 1),
        (curve, [1.0, 2.0]),
        (curve, 3.0),
        (curve, ([1, 2], [1, 2, 3])),
        (curve, ["a", "b", "c"]),
        (curve, ([0, float("nan"), 2], [1, 2, 3])),
    ],
)
def test_a_measurement_that_does_not_fit_is_a_clear_error(make, measured):
    with pytest.raises(ValueError, match="prediction S"):
        make().reveal(measured)


def test_the_measurement_finds_the_guess_that_was_committed():
    asked = number()
    assert asked.reveal(3).state == {}
    asked.state = {"S10": {"guess": 40}}
    assert asked.reveal(3).state == {"S10": {"guess": 40}}


# ---- the faces without script -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "measured"), [(number, 3), (choice, "up"), (curve, [5, 4, 3])])
def test_the_static_faces_do_not_depend_on_the_guess(make, measured):
    before = make().static_html(), make().reveal(measured).static_html()
    asked = make()
    asked.state = {asked.data["id"]: {"guess": {"S10": 40, "S9": "up", "S6": [1, 2, 3]}[asked.data["id"]]}}
    assert (make().static_html(), make().reveal(measured).static_html()) == before


def test_the_static_faces_say_what_is_asked_and_what_came_out():
    assert "between 0 and 90 tokens" in number(unit="tokens").static_html()
    assert "90%" in number(unit="%").static_html()
    assert "up, or down" in choice().static_html()
    assert "step = 0, 10, 20" in curve().static_html()
    assert "3 tokens" in number(unit="tokens").reveal(3).static_html()
    assert "0: 5, 10: 4, 20: 3" in curve().reveal([5, 4, 3]).static_html()
    long = curve().reveal((list(range(500)), [1.0] * 500)).static_html()
    assert "0: 1" in long and "499: 1" in long and long.count(": 1") <= 14


def test_hostile_text_is_escaped():
    hostile = "<img src=x onerror=alert(1)>"
    asked = predict("h", hostile, choices=[hostile, "b"])
    for face in (asked.static_html(), asked.reveal(hostile).static_html(), page_of(asked)):
        assert "<img" not in face


def test_the_mime_bundle_has_text_and_html():
    bundle = number().reveal(3)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["text/plain"] == "Measured (S10): 3" and "Measured" in data["text/html"]
