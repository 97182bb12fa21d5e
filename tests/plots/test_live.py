"""Showing a figure, and the live curve, in a notebook, on hosted ones and in a terminal."""

import json
import sys
import types
from typing import Any

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from nbclient import NotebookClient

from course.plots import LiveCurve, bars, live, show

MIME = "application/vnd.plotly.v1+json"


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
