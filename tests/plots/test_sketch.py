"""The picture of a growing curve: well-formed, every point and name in it, whatever they are."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.plots import LiveCurve, lines
from course.plots.sketch import sketch, ticks

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e6, 1e6) | st.just(math.nan)


def drawn(fig) -> ET.Element:
    return ET.fromstring(sketch(fig))


def texts(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def polylines(root: ET.Element) -> list[list[tuple[float, float]]]:
    return [
        [tuple(map(float, point.split(","))) for point in node.get("points", "").split()]
        for node in root.iter(f"{SVG}polyline")
    ]


def test_a_curve_falls_on_the_page_as_its_values_fall():
    [points] = polylines(drawn(lines({"loss": ([0, 1, 2], [4.0, 2.0, 1.0])}, "SFT", "step", "loss in nats")))
    xs, ys = zip(*points, strict=True)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert ys[1] - ys[0] == pytest.approx(2 * (ys[2] - ys[1]), abs=0.3) and ys[0] < ys[1]  # down the page is larger


def test_titles_axes_and_names_are_written():
    said = texts(drawn(lines({"ours": ([0, 1], [1, 2]), "theirs": ([0, 1], [2, 1])}, "A <b>&", "step", "nats")))
    assert {"A <b>&", "step", "nats", "ours", "theirs"} <= set(said)


def test_the_state_of_a_live_curve_is_under_its_title():
    curve = LiveCurve("Run", 10)
    curve.replay(3, training=0.5)
    said = texts(drawn(curve.figure()))
    assert said[0] == "Run" and said[1].startswith("step 3 of 10") and "<" not in said[1]


def test_a_curve_without_points_is_an_empty_plot():
    root = drawn(LiveCurve("Run", 10).figure())
    assert polylines(root) == [] and "step 0 of 10" in texts(root)[1]


def test_a_single_point_is_seen():
    root = drawn(lines({"held out": ([3], [2.0])}, "t", "x", "y"))
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_what_is_no_number_leaves_a_gap():
    root = drawn(lines({"a": ([0, 1, 2, 3, 4], [1, 2, math.nan, 2, math.inf])}, "t", "x", "y"))
    assert [len(points) for points in polylines(root)] == [2]
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_values_in_different_units_get_a_plot_each():
    panels = {"reward": "Reward", "kl": "KL from the reference (nats per answer)", "length": "Length"}
    curve = LiveCurve("PPO", 9, x="iteration", panels=panels)
    for step in range(4):
        curve.replay(step, reward=step, kl=step / 1000, length=1000 * step)
    root = drawn(curve.figure())
    assert {"Reward", "KL from the reference", "(nats per answer)", "Length", "iteration"} <= set(texts(root))
    spans = [max(y for _, y in points) - min(y for _, y in points) for points in polylines(root)]
    assert len(spans) == 3 and max(spans) - min(spans) < 1  # each fills its own plot


@given(ys=st.lists(NUMBERS, min_size=1, max_size=30), name=st.text(min_size=1, max_size=20))
def test_any_numbers_and_any_names_make_a_picture_inside_its_frame(ys, name):
    name = "".join(c for c in name if c.isprintable()) or "a"
    root = drawn(lines({name: (range(len(ys)), ys)}, name, name, name))
    width, height = float(root.get("width")), float(root.get("height"))
    for points in polylines(root):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert texts(root)[0] == name


@given(low=st.floats(-1e9, 1e9), share=st.floats(1e-6, 1e3), most=st.integers(3, 9))
def test_ticks_are_few_round_and_inside(low, share, most):
    span = share * max(1, abs(low))  # what a float of that size can tell apart
    marks = ticks(low, low + span, most)
    assert len(marks) <= most
    assert all(low - 1e-6 * span <= mark <= low + span + 1e-6 * span for mark in marks)
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(0, 1, 4) == pytest.approx([0, 0.5, 1])
