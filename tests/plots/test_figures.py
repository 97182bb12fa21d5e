"""Figures: seen by everybody, small, and with nothing left out that matters."""

import itertools
import json
import math
from collections import Counter
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.plots import bars, figures, histogram, lines, panels
from course.plots.figures import thin
from tests.contrast import contrast, linear

# What eyes without one kind of cone see of linear RGB: Machado et al. 2009, severity 1.
SEEN_BY = {
    "all cones": np.eye(3),
    "no long": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no medium": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "no short": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def cielab(color: str, eye: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(eye @ np.array(linear(color)), 0, 1) / TO_XYZ.sum(1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def stored(fig: go.Figure) -> dict[str, Any]:
    return json.loads(fig.to_json())


def test_text_and_palette_are_seen_on_the_panel() -> None:
    assert contrast(figures.INK, figures.PANEL) >= 4.5
    for color in figures.PALETTE:
        assert contrast(color, figures.PANEL) >= 3, color
    layout = figures.TEMPLATE.layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor, layout.font.color) == (figures.PANEL, figures.PANEL, figures.INK)


@pytest.mark.parametrize("eye", SEEN_BY)
def test_colours_stay_apart_for_colour_blind_eyes(eye: str) -> None:
    seen = [cielab(color, SEEN_BY[eye]) for color in figures.PALETTE]
    assert min(math.dist(a, b) for a, b in itertools.combinations(seen, 2)) > 12  # 2 is just noticeable


def test_no_two_series_share_dash_and_marker() -> None:
    fig = lines({f"series {i}": ([0, 1], [i, i]) for i in range(42)}, "t", "x", "y")
    looks = Counter((trace.line.dash, trace.marker.symbol) for trace in fig.data)
    assert len(looks) == 42
    groups = bars({f"model {i}": {"a": 1.0} for i in range(7)}, "t", "y")
    assert len({trace.marker.pattern.shape for trace in groups.data}) == 7


def test_a_stored_figure_is_small_and_names_its_axes() -> None:
    fig = lines({"train": ([1, 2], [np.float32(1 / 3), 2 / 3])}, "Loss", "step", "nats")
    text = fig.to_json()
    assert len(text) < 2500 and "bdata" not in text
    layout = stored(fig)["layout"]
    assert [layout[k]["title"]["text"] for k in ("xaxis", "yaxis")] == ["step", "nats"]
    assert layout["title"]["text"] == "Loss"
    assert stored(fig)["data"][0]["y"] == [0.333333, 0.666667]


def test_names_are_shown_and_not_obeyed() -> None:
    hostile = "<a href='javascript:x'>&"
    fig = lines({hostile: ([0], [1]), "b": ([0], [1])}, hostile, hostile, hostile)
    for text in (
        fig.to_json(),
        bars({hostile: 1.0}, hostile, hostile).to_json(),
        histogram({hostile: [1]}, "t", "x").to_json(),
    ):
        assert "<a" not in text and "&lt;a" in text


def test_lines_leave_a_gap_for_what_is_not_finite() -> None:
    fig = lines({"a": ([1, 2, 3, 4], [0.5, float("nan"), float("inf"), 1.0])}, "t", "x", "y")
    assert stored(fig)["data"][0]["y"] == [0.5, None, None, 1.0]


def test_a_band_surrounds_its_series() -> None:
    fig = lines({"a": ([1, 2], [5, 6]), "b": ([1], [0])}, "t", "x", "y", band={"a": ([4, 5], [6, 8])})
    area, a, b = stored(fig)["data"]
    assert area["x"] == [1, 2, 2, 1] and area["y"] == [6, 8, 5, 4]
    assert (a["name"], b["name"]) == ("a", "b")
    assert area["showlegend"] is False


@given(st.integers(1, 3000), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_thinning_keeps_ends_order_and_extremes(count: int, some: list[float]) -> None:
    ys = [some[k * k % len(some)] for k in range(count)]
    keep = thin(ys)
    assert len(keep) <= figures.MOST_POINTS and keep == sorted(set(keep))
    assert {0, len(ys) - 1} <= set(keep)
    assert {min(ys), max(ys)} <= {ys[k] for k in keep}
    if len(ys) <= figures.MOST_POINTS:
        assert keep == list(range(len(ys)))


def test_a_long_run_keeps_its_spike() -> None:
    ys = np.ones(100_000)
    ys[54_321] = 99
    fig = lines({"loss": (range(100_000), ys)}, "t", "x", "y")
    [trace] = stored(fig)["data"]
    assert len(trace["x"]) <= figures.MOST_POINTS
    assert trace["x"][trace["y"].index(99)] == 54_321
    assert (trace["x"][0], trace["x"][-1]) == (0, 99_999)


def test_thinning_survives_a_run_that_is_nan_throughout() -> None:
    assert len(thin([float("nan")] * 5000)) <= figures.MOST_POINTS


def test_bad_series_are_named() -> None:
    with pytest.raises(ValueError, match="'t' has nothing to draw"):
        lines({}, "t", "x", "y")
    with pytest.raises(ValueError, match=r"series 'a': lengths differ \(2 x, 1 y\)"):
        lines({"a": ([1, 2], [1])}, "t", "x", "y")
    with pytest.raises(ValueError, match="1 low, 2 high"):
        lines({"a": ([1, 2], [1, 2])}, "t", "x", "y", band={"a": ([1], [1, 2])})
    with pytest.raises(ValueError, match="no series for the band z"):
        lines({"a": ([1], [1])}, "t", "x", "y", band={"z": ([1], [1])})


def test_panels_have_a_plot_for_each_title_and_a_look_for_each_name() -> None:
    one, other = ([1, 2], [3.0, 4.0]), ([1, 2], [5.0, 6.0])
    fig = panels({"<a>": {"run": one, "rerun": other}, "b": {"rerun": one}, "c": {"run": other}}, "t", "iteration")
    layout, data = stored(fig)["layout"], stored(fig)["data"]
    assert [a["text"] for a in layout["annotations"]] == ["&lt;a&gt;", "b", "c"]
    points = [(t["name"], t["xaxis"], t["y"]) for t in data if t["y"]]
    assert points == [("run", "x", [3, 4]), ("rerun", "x", [5, 6]), ("rerun", "x2", [3, 4]), ("run", "x3", [5, 6])]
    for name in ("run", "rerun"):
        traces = [t for t in data if t["name"] == name]
        assert len({t["line"]["color"] for t in traces}) == len({t["marker"]["symbol"] for t in traces}) == 1
        assert [t["showlegend"] for t in traces] == [True, False, False]
    titles = [layout[axis]["title"].get("text") for axis in ("xaxis", "xaxis2", "xaxis3")]
    assert titles == [None, "iteration", "iteration"]  # the lowest of each column


def test_panels_of_one_name_need_no_legend_and_more_rows_more_room() -> None:
    curves = {str(i): {"": ([1], [i])} for i in range(7)}
    few, many = panels(dict(list(curves.items())[:2]), "t", "x"), panels(curves, "t", "x")
    assert not many.layout.showlegend
    assert many.layout.height - few.layout.height == 3 * (figures.SMALL + figures.BELOW)


def test_a_long_title_of_a_panel_gets_lines_and_room_for_them() -> None:
    """Half of a page 900 pixels wide has room for 26 characters."""
    curve = {"": ([1], [1])}
    plain, long = (
        panels({title: curve, "b": curve, "c": curve}, "t", "x") for title in ("a", "margin (chosen - rejected reward)")
    )
    assert long.layout.annotations[0].text == "margin (chosen - rejected<br>reward)"
    assert long.layout.height - plain.layout.height == 2 * figures.LINE  # above each row


def test_bad_panels_are_named() -> None:
    with pytest.raises(ValueError, match="'t' has nothing to draw"):
        panels({}, "t", "x")
    with pytest.raises(ValueError, match="'b' has nothing to draw"):
        panels({"a": {"run": ([1], [1])}, "b": {}}, "t", "x")
    with pytest.raises(ValueError, match=r"'a', series 'run': lengths differ"):
        panels({"a": {"run": ([1, 2], [1])}}, "t", "x")


def test_bars_carry_their_values() -> None:
    [trace] = stored(bars({"base": 0.125, "sft": 12000}, "t", "y"))["data"]
    assert (trace["x"], trace["y"], trace["text"]) == (["base", "sft"], [0.125, 12000], ["0.125", "12,000"])


def test_groups_of_bars_line_up_and_leave_gaps() -> None:
    base, sft = stored(bars({"base": {"a": 1, "b": 2}, "sft": {"b": 3, "c": 4}}, "t", "y"))["data"]
    assert base["x"] == sft["x"] == ["a", "b", "c"]
    assert (base["y"], sft["y"]) == ([1, 2, None], [None, 3, 4])
    assert (base["name"], sft["name"]) == ("base", "sft")


def test_bad_bars() -> None:
    with pytest.raises(ValueError, match="every value is a number or every value is a group"):
        bars({"a": 1.0, "b": {"c": 1.0}}, "t", "y")  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="nothing to draw"):
        bars({}, "t", "y")


NUMBERS = st.lists(st.integers(-1000, 1000), max_size=200) | st.lists(st.floats(-1e3, 1e3), max_size=200)


@settings(max_examples=40)
@given(NUMBERS, NUMBERS.filter(len))
def test_every_number_is_counted_once(a: list[float], b: list[float]) -> None:
    fig = histogram({"a": [*a, float("nan")], "b": b}, "t", "tokens")
    for trace, numbers in zip(stored(fig)["data"], (a, b), strict=True):
        assert sum(trace["y"]) == len(numbers)
        assert trace["y"][0] == trace["y"][-1] == 0
        assert len(trace["x"]) == len(trace["y"]) == len(trace["text"]) <= figures.MOST_BINS + 2


@settings(max_examples=40)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=300))
def test_bins_of_whole_numbers_have_one_whole_width(numbers: list[int]) -> None:
    edges = stored(histogram({"a": numbers}, "t", "tokens"))["data"][0]["x"][1:]
    widths = set(np.diff(edges))
    assert len(widths) == 1 and widths.pop() % 1 == 0
    assert edges[0] == min(numbers) and edges[-2] <= max(numbers) < edges[-1]


def test_nothing_to_count() -> None:
    with pytest.raises(ValueError, match="no finite value"):
        histogram({"a": [float("nan")]}, "t", "x")
