import itertools
import json
import math
import sys
import types
from collections import Counter
from typing import Any

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient

from course.plots import LiveCurve, bars, figures, histogram, lines, live, panels, show
from course.plots.figures import thin
from tests.contrast import contrast, linear

MIME = "application/vnd.plotly.v1+json"

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


# --- the look ---------------------------------------------------------------------------------------------


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


# --- lines ------------------------------------------------------------------------------------------------


def test_lines_leave_a_gap_for_what_is_not_finite() -> None:
    fig = lines({"a": ([1, 2, 3, 4], [0.5, float("nan"), float("inf"), 1.0])}, "t", "x", "y")
    assert stored(fig)["data"][0]["y"] == [0.5, None, None, 1.0]


def test_a_band_surrounds_its_series() -> None:
    fig = lines({"a": ([1, 2], [5, 6]), "b": ([1], [0])}, "t", "x", "y", band={"a": ([4, 5], [6, 8])})
    area, a, b = stored(fig)["data"]
    assert area["x"] == [1, 2, 2, 1] and area["y"] == [6, 8, 5, 4]
    assert (a["name"], b["name"]) == ("a", "b")
    assert area["showlegend"] is False


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(10, 400))
def test_thinning_keeps_ends_order_and_extremes(ys: list[float], most: int) -> None:
    keep = thin(ys, most)
    assert len(keep) <= max(most, 1) and keep == sorted(set(keep))
    assert {0, len(ys) - 1} <= set(keep)
    assert {min(ys), max(ys)} <= {ys[k] for k in keep}
    if len(ys) <= most:
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
    assert len(thin([float("nan")] * 5000, 100)) <= 100


def test_bad_series_are_named() -> None:
    with pytest.raises(ValueError, match="'t' has nothing to draw"):
        lines({}, "t", "x", "y")
    with pytest.raises(ValueError, match=r"series 'a': lengths differ \(2 x, 1 y\)"):
        lines({"a": ([1, 2], [1])}, "t", "x", "y")
    with pytest.raises(ValueError, match="1 low, 2 high"):
        lines({"a": ([1, 2], [1, 2])}, "t", "x", "y", band={"a": ([1], [1, 2])})
    with pytest.raises(ValueError, match="no series for the band z"):
        lines({"a": ([1], [1])}, "t", "x", "y", band={"z": ([1], [1])})


# --- panels -----------------------------------------------------------------------------------------------


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


def test_bad_panels_are_named() -> None:
    with pytest.raises(ValueError, match="'t' has nothing to draw"):
        panels({}, "t", "x")
    with pytest.raises(ValueError, match="'b' has nothing to draw"):
        panels({"a": {"run": ([1], [1])}, "b": {}}, "t", "x")
    with pytest.raises(ValueError, match=r"'a', series 'run': lengths differ"):
        panels({"a": {"run": ([1, 2], [1])}}, "t", "x")


# --- bars and histograms ----------------------------------------------------------------------------------


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


# --- showing ----------------------------------------------------------------------------------------------


class Screen:
    """Stands in for a notebook: what was displayed, and in which of its places it was updated."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []

    def display(self, bundle: dict[str, Any], raw: bool, display_id: bool = False) -> "Screen | None":
        assert raw
        self.shown.append(bundle)
        return self if display_id else None

    def update(self, bundle: dict[str, Any], raw: bool) -> None:
        assert raw
        self.updates.append(bundle)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", screen.display)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    return screen


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    clock = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(live.time, "monotonic", lambda: clock.now)
    return clock


FIGURE = bars({"a": 1.0}, "t", "y")


def test_a_notebook_gets_plotly_and_words(screen: Screen) -> None:
    show(FIGURE, "One bar.")
    [bundle] = screen.shown
    assert set(bundle) == {MIME, "text/plain"} and bundle["text/plain"] == "One bar."
    assert bundle[MIME]["layout"].pop("meta") == {"alt": "One bar."}, "the chart's name, for screen readers"
    assert go.Figure({k: bundle[MIME][k] for k in ("data", "layout")}) == FIGURE
    assert "responsive" not in bundle[MIME]["config"], "with it, a change of theme leaves the chart no height"
    json.dumps(bundle, allow_nan=False)


@pytest.mark.parametrize("host", ["colab", "kaggle"])
def test_colab_and_kaggle_draw_with_their_own_renderer(
    host: str, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host == "colab":
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    else:
        monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    drawn: list[go.Figure] = []
    monkeypatch.setattr(go.Figure, "show", lambda fig: drawn.append(fig))
    show(FIGURE, "One bar.")
    assert drawn == [FIGURE] and screen.shown == []

    with LiveCurve("SFT", 2) as curve:
        curve.update(1, train=2.0)
        curve.update(2, train=1.0)
    assert len(drawn) == 2 and drawn[1].data[0].y == (2, 1)
    assert all(set(bundle) == {"text/plain"} for bundle in [*screen.shown, *screen.updates])
    assert "2 steps" in screen.updates[-1]["text/plain"]


def test_a_terminal_prints_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    show(FIGURE, "One bar.")
    assert capsys.readouterr().out == "One bar.\n"
    with pytest.raises(ValueError, match="one sentence"):
        show(FIGURE, " ")


# --- the live curve ---------------------------------------------------------------------------------------


def drawn_series(bundle: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    return {t["name"]: list(zip(t["x"], t["y"], strict=True)) for t in bundle[MIME]["data"] if t["x"]}


def test_one_display_redrawn_at_most_twice_a_second(screen: Screen, clock: types.SimpleNamespace) -> None:
    with LiveCurve("SFT", 100) as curve:
        for step in range(1, 101):
            clock.now += 0.125
            curve.update(step, train=1 / step)
    assert len(screen.shown) == 1
    assert len(screen.updates) == 100 / 4 + 1  # every half second, and the end
    assert "step 40 of 100 · 8 s left · train 0.025" in screen.updates[9]["text/plain"]
    assert "100 steps in 12 s · train 0.01" in screen.updates[-1]["text/plain"]
    assert drawn_series(screen.updates[-1])["train"][-1] == (100, 0.01)


def test_several_values_each_at_its_own_steps(screen: Screen) -> None:
    with LiveCurve("SFT <x>", 3) as curve:
        for step in (1, 2, 3):
            curve.update(step, train=float(step))
        curve.update(3, held_out=np.float64(0.5))
    final = screen.updates[-1]
    assert drawn_series(final) == {"train": [(1, 1), (2, 2), (3, 3)], "held out": [(3, 0.5)]}
    assert "SFT &lt;x&gt;" in final[MIME]["layout"]["title"]["text"]
    assert "train 3 · held out 0.5" in final["text/plain"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_ends_the_run_leaves_the_last_state(error: type[BaseException], screen: Screen) -> None:
    with pytest.raises(error), LiveCurve("SFT", 300) as curve:
        curve.update(1, train=2.0)
        curve.update(2, train=1.5)
        raise error
    assert "stopped at step 2 of 300 · train 1.5" in screen.updates[-1]["text/plain"]
    assert drawn_series(screen.updates[-1]) == {"train": [(1, 2), (2, 1.5)]}


def test_a_run_that_never_came_to_a_step_is_drawn_too(screen: Screen) -> None:
    with LiveCurve("SFT", 3):
        pass
    assert "stopped at step 0 of 3" in screen.updates[-1]["text/plain"]


def test_a_diverged_run_says_nan_and_stays_valid_json(screen: Screen) -> None:
    with LiveCurve("SFT", 2) as curve:
        curve.update(1, train=2.0)
        curve.update(2, train=float("nan"))
    json.dumps(screen.updates[-1], allow_nan=False)
    assert "train nan" in screen.updates[-1]["text/plain"]


def test_time_left_of_a_resumed_run_counts_its_own_steps(screen: Screen, clock: types.SimpleNamespace) -> None:
    with LiveCurve("SFT", 300) as curve:
        for step in range(201, 211):
            clock.now += 1
            curve.update(step, train=1.0)
    assert "step 210 of 300 · 2 min left" in screen.updates[-2]["text/plain"]


def test_what_is_replayed_is_drawn_and_takes_no_time(screen: Screen, clock: types.SimpleNamespace) -> None:
    with LiveCurve("SFT", 300) as curve:
        for step in range(200):
            curve.replay(step, train=1.0)
        curve.replay(100, held_out=2.0)
        assert curve._status() == "step 199 of 300 · train 1 · held out 2"
        clock.now += 10
        curve.update(200, train=0.5)
        assert curve._status().startswith("step 200 of 300 · 17 min left")
    assert len(curve.points["train"]) == 201 and curve.points["held out"] == [(100, 2.0)]


def test_quiet_notebooks_get_one_figure_that_holds_no_time(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    with LiveCurve("SFT", 2) as curve:
        curve.update(1, train=2.0)
        assert screen.shown == []
        curve.update(2, train=1.0)
    assert screen.updates == []
    assert [bundle["text/plain"] for bundle in screen.shown] == ["SFT: 2 steps · train 1"]


@pytest.mark.parametrize(("terminal", "quiet"), [(True, "0"), (True, "1"), (False, "0")])
def test_a_terminal_gets_a_bar_unless_told_otherwise(
    terminal: bool, quiet: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", quiet)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with LiveCurve("SFT", 2) as curve:
        curve.update(1, train=2.0)
        curve.update(2, train=1.0)
    printed = capsys.readouterr()
    assert printed.out == ""
    if terminal and quiet == "0":
        assert "SFT: 100%" in printed.err and "2/2" in printed.err and "train 1" in printed.err
    else:
        assert printed.err == ""


def test_values_in_other_units_get_a_plot_each(screen: Screen) -> None:
    with LiveCurve("PPO", 2, x="iteration", panels={"reward": "the reward", "kl": "KL (nats)"}) as curve:
        curve.update(1, reward=0.5, kl=0.0)
        curve.update(2, reward=0.75)
    final = screen.updates[-1]
    assert [a["text"] for a in final[MIME]["layout"]["annotations"]] == ["the reward", "KL (nats)"]
    assert [(t["xaxis"], t["x"], t["y"]) for t in final[MIME]["data"]] == [("x", [1, 2], [0.5, 0.75]), ("x2", [1], [0])]
    assert "2 iterations in" in final[MIME]["layout"]["title"]["text"]
    assert "reward" not in final[MIME]["layout"]["title"]["text"]  # the plots say it
    assert final["text/plain"].endswith("reward 0.75 · kl 0")


def test_long_work_is_counted_and_the_line_goes_away(screen: Screen, clock: types.SimpleNamespace) -> None:
    done = []
    for i in live.progress(range(4), "batches"):
        clock.now += 2
        done.append(i)
    said = [bundle["text/plain"] for bundle in screen.shown + screen.updates]
    assert done == [0, 1, 2, 3] and said == ["batches: 2 of 4", "batches: 3 of 4", ""]


def test_short_work_and_quiet_notebooks_show_no_count(
    screen: Screen, clock: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(live.progress(range(9), "batches")) == list(range(9)) and not screen.shown
    monkeypatch.setenv("TQDM_DISABLE", "1")
    for _ in live.progress(range(4), "batches"):
        clock.now += 2
    assert not screen.shown


def test_a_run_needs_a_step() -> None:
    with pytest.raises(ValueError, match="'SFT': total_steps must be at least 1, but it is 0"):
        LiveCurve("SFT", 0)


CELL = """
from course.plots import LiveCurve, bars, show
from course.show import show_table, show_tokens
with LiveCurve("SFT", 3) as curve:
    for step in (1, 2, 3):
        curve.update(step, train=1 / step, held_out=1.0)
show(bars({"a": 1.0}, "t", "y"), "One bar.")
show_tokens(("strip", ["a"], [1]))
show_table([{"a": 1}], "caption")
"""


def test_a_real_kernel_stores_one_clean_output_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=300).execute()
    outputs = notebook.cells[0].outputs
    assert [o.output_type for o in outputs] == ["display_data"] * 4  # and nothing on stderr
    curve, figure, tokens, table = (o.data for o in outputs)
    assert set(curve) == set(figure) == {MIME, "text/plain"}
    assert drawn_series(curve) == {"train": [(1, 1), (2, 0.5), (3, 0.333333)], "held out": [(1, 1), (2, 1), (3, 1)]}
    assert curve["text/plain"].startswith("SFT: 3 steps in ")
    assert set(tokens) == set(table) == {"text/html", "text/plain"}
