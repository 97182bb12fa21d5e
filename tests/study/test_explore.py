"""`explore`: the table holds what the function gives, and what cannot be shown is said; drawing is in tests/browser."""

import json
import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.study import Slider, explore
from course.study.explore import with_unit
from tests.standalone import page_of

PRICE = Slider("price", [1, 3.5, 10], start=3.5, label="price of one", unit="$", usual=(3, 4), does="What *one* costs.")
COUNT = Slider("count", [0, 1000, 33_000], start=33_000)


def cost(price, count):
    return {"together": price * count, "judged": "much" if price * count > 1e5 else "little"}


def curve(clip, **_):
    return {"kept": [min(r, 1 + clip) for r in (0.0, 1.0, 2.0)], "highest": 1 + clip}


CLIP = Slider("clip", [0.1, 0.2], start=0.2)
AXES = {"x": [0, 1, 2], "x_label": "ratio", "y_label": "objective"}


def of(widget, name):
    return next(result for result in widget.data["results"] if result["name"] == name)


# ---- the table -----------------------------------------------------------------------------------------------


def test_the_table_holds_what_the_function_gives_in_the_order_in_which_the_script_looks():
    widget = explore("Costs", cost, [PRICE, COUNT], units={"together": "$"})
    together = of(widget, "together")
    assert together["values"] == [price * count for price, count in product(PRICE.values, COUNT.values)]
    row = 0
    for slider in widget.data["sliders"]:  # as static/explore.js does
        row = row * len(slider["values"]) + slider["start"]
    assert together["values"][row] == 3.5 * 33_000
    assert (together["unit"], of(widget, "judged")["unit"]) == ("$", "")
    assert of(widget, "judged")["values"][row] == "much" and widget.data["chart"] is None


def test_curves_share_axes_that_hold_at_all_settings():
    widget = explore("Clipping", curve, [CLIP], **AXES)
    assert of(widget, "kept")["values"] == [[0, 1, 1.1], [0, 1, 1.2]]
    assert widget.data["chart"] == AXES | {"low": 0, "high": 1.2}
    flat = explore("Flat", lambda clip: {"y": [2.0, 2.0, 2.0]}, [CLIP], **AXES).data["chart"]
    assert flat["low"] < 2 < flat["high"]


def test_what_is_not_finite_is_missing_and_json_stays_json():
    def odd(clip):
        return {"a": float("nan"), "b": None, "c": [1, float("inf"), None], "d": True}

    data = explore("Odd", odd, [CLIP], **AXES).data
    assert [result["values"][0] for result in data["results"]] == [None, None, [1, None, None], True]
    json.dumps(data, allow_nan=False)


def test_tensors_and_arrays_will_do():
    def tensors(clip):
        return {"a": torch.tensor(clip), "b": np.array([1.0, 2.0, clip])}

    widget = explore("T", tensors, [Slider("clip", np.array([0.25, 0.5]), start=0.5)], x=torch.tensor([0, 1, 2]))
    assert of(widget, "a")["values"] == [0.25, 0.5] and of(widget, "b")["values"][1] == [1, 2, 0.5]
    json.dumps(widget.data)


def test_numbers_are_rounded_to_what_one_can_see():
    widget = explore("R", lambda clip: {"n": 1 / 3, "whole": 10**15 + 1, "y": [1 / 3] * 3}, [CLIP], **AXES)
    assert of(widget, "n")["values"][0] == 0.333333333333 and of(widget, "whole")["values"][0] == 10**15 + 1
    assert of(widget, "y")["values"][0] == [0.33333] * 3


# ---- what cannot be shown --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slider", "says"),
    [
        (Slider("a", [1], start=1), "at least two growing values"),
        (Slider("a", [2, 1], start=1), "growing"),
        (Slider("a", [1, 1], start=1), "growing"),
        (Slider("a", [1, math.inf], start=1), "growing"),
        (Slider("a", [1, 2], start=1.5), "starts at 1.5, which is none of"),
        (Slider("a", [1, 2], start=1, usual=(2, 1)), "lowest, highest"),
    ],
)
def test_a_slider_that_cannot_be_drawn_is_named(slider, says):
    with pytest.raises(ValueError, match=says) as raised:
        explore("T", lambda a: {"y": a}, [slider])
    assert "slider a" in str(raised.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda clip: 3, "results by name"),
        (lambda clip: {}, "results by name"),
        (lambda clip: {"y": object()}, "neither a number nor a text"),
        (lambda clip: {"y": [1, 2]}, "one number for each position"),
        (lambda clip: {"y": [1, "2", 3]}, "one number for each position"),
        (lambda clip: {name: [1, 2, 3] for name in "abcd"}, "4 curves are too many"),
        (lambda clip: {"y": [math.nan] * 3}, "nothing to draw"),
        (lambda clip: {"y": 1} if clip > 0.1 else {"z": 1}, r"clip=0.1 gives other results"),
        (lambda clip: {"y": 1} if clip > 0.1 else {"y": "text"}, r"clip=0.1 gives other results"),
        (lambda clip: {"y": 1 / (clip - 0.1)}, "with clip=0.1 the function fails: ZeroDivisionError"),
        (lambda epsilon: {"y": 1}, "with clip=0.2 the function fails: TypeError"),
    ],
)
def test_results_that_cannot_be_shown_say_why(function, says):
    with pytest.raises(ValueError, match=says):
        explore("T", function, [CLIP], **AXES)


@pytest.mark.parametrize("x", [[1], [1, 1], [2, 1], [1, math.nan]])
def test_positions_must_grow(x):
    with pytest.raises(ValueError, match="growing numbers"):
        explore("T", lambda clip: {"y": x}, [CLIP], x=x)


def test_a_list_needs_positions():
    with pytest.raises(ValueError, match="each position in `x`"):
        explore("T", lambda clip: {"y": [1, 2, 3]}, [CLIP])


@pytest.mark.parametrize("sliders", [[], [CLIP, CLIP]])
def test_sliders_need_names_of_their_own(sliders):
    with pytest.raises(ValueError, match="at least one slider"):
        explore("T", lambda clip: {"y": 1}, sliders)


def test_a_title_is_needed():
    with pytest.raises(ValueError, match="title"):
        explore(" ", lambda clip: {"y": 1}, [CLIP])


def test_too_large_a_table_is_refused_before_it_is_computed():
    calls = []
    many = [Slider(name, range(20), start=0) for name in "abcd"]
    with pytest.raises(ValueError, match=r"160,000 settings with 1 numbers each .* fewer values"):
        explore("T", lambda **values: calls.append(1) or {"y": 1}, many)
    assert len(calls) == 1


# ---- words and faces -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (13_000, "", "13,000"),
        (245_500.0, "$", "$245,500"),
        (3.5, "$", "$3.50"),
        (-3.5, "$", "−$3.50"),
        (0.2, "", "0.2"),
        (73, "%", "73%"),
        (56, "tokens", "56 tokens"),
        (1e-5, "", "1e−5"),
        (3e-4, "", "3e−4"),
        (-0.0004, "", "−4e−4"),
        (12_345_678, "", "1.23e7"),
        (0.123456, "", "0.1235"),
        (None, "$", "no number"),
    ],
)
def test_numbers_read_as_people_write_them(value, unit, text):
    assert with_unit(value, unit) == text


@given(st.floats(-1e6, 1e6).filter(lambda value: abs(value) >= 1e-3))
def test_a_number_is_right_to_four_digits(value):
    assert float(with_unit(value).replace(",", "").replace("−", "-")) == pytest.approx(value, rel=6e-4)


def test_the_static_face_shows_the_start_the_usual_range_and_what_it_does():
    html = explore("Costs", cost, [PRICE, COUNT], units={"together": "$"}, about="Sums of **labels**.").static_html()
    html = html.replace("<span>$</span>", "$")
    assert "<strong>price of one</strong>: $3.50, of $1 to $10; usual: $3 to $4. What <em>one</em> costs." in html
    assert "together: $115,500" in html and "judged: much" in html and "<strong>labels</strong>" in html
    assert "usual" not in html.split("count")[1]


def test_the_static_face_of_a_curve_lists_some_points():
    html = explore("C", curve, [CLIP], **AXES).static_html()
    assert "kept: at ratio = 0: 0, 1: 1, 2: 1.2" in html
    x = list(range(100))
    html = explore("C", lambda clip: {"y": x}, [CLIP], x=x).static_html()
    assert "0: 0" in html and "99: 99" in html and html.count(": ") < 20


def test_all_faces_are_the_same_on_every_run_and_one_line_names_the_setting():
    one, two = (explore("Costs", cost, [PRICE, COUNT]) for _ in range(2))
    assert page_of(one) == page_of(two) and one.static_html() == two.static_html()
    assert one.plain() == "Costs: price=3.5, count=33000"


def test_hostile_text_is_escaped():
    hostile = "<img src=x onerror=alert(1)> $\\href{javascript:alert(1)}{x}$"
    slider = Slider("clip", [0.1, 0.2], start=0.1, label=hostile, unit=hostile, usual=(0.1, 0.2))
    axes = {"x": [0, 1], "x_label": hostile, "y_label": hostile}
    widget = explore(hostile, lambda clip: {hostile: hostile, hostile + "2": [1, 2]}, [slider], units=hostile, **axes)
    for face in (widget.static_html(), page_of(widget)):
        assert "<img" not in face
    assert "$" not in widget.static_html().replace("<span>$</span>", "")
    widget = explore("T", lambda clip: {"y": 1}, [Slider("clip", [1, 2], start=1, does="<b onclick=x>")], about="<i>")
    assert "<b onclick" not in page_of(widget) and "<i>" not in page_of(widget)
