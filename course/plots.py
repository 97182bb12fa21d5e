"""Figures in one look, and the live curve of a training run. Serves every lesson.

Every figure sits on its own light panel with dark ink, so that it reads the same on a light and a dark page.
The palette keeps 3:1 against the panel and stays apart for colour-blind eyes; dashes, markers and hatching say
the same thing once more. Numbers are rounded to six digits and long series are thinned, because a figure is
stored in the notebook. Works with plotly 5.24 (Colab) to 7.
"""

import itertools
import json
import math
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from html import escape
from types import TracebackType
from typing import Any, Self

import numpy as np
import plotly.graph_objects as go
from tqdm import tqdm

from course.show import in_notebook, short

PANEL, INK, GRID = "#f6f5f1", "#23272b", "#dcdad3"
PALETTE = ("#2450d8", "#c96410", "#1c9474", "#66104f", "#b466d8", "#2a2f2a")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross")  # 7 and 6: 42 pairs before a repeat
PATTERNS = ("", "/", "x", ".", "-", "\\", "|")
MOST_POINTS = 400  # drawn for each series
MOST_BINS = 40
SECONDS_BETWEEN_DRAWINGS = 0.5
ABOVE, PLOT, BELOW, LEGEND_ROW = 60, 240, 56, 22  # pixels: title, the plot itself, its x axis, one row of names

_AXIS = {
    "automargin": True,
    "gridcolor": GRID,
    "linecolor": INK,
    "showline": True,
    "ticks": "outside",
    "zeroline": False,
}
TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": PANEL,
        "plot_bgcolor": PANEL,
        "colorway": PALETTE,
        "font": {"color": INK, "family": "system-ui, sans-serif", "size": 13},
        "title": {"x": 0.01, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 14}, "font": {"size": 16}},
        "legend": {"orientation": "h", "x": 0, "y": -BELOW / PLOT, "yanchor": "top"},
        "hoverlabel": {"bgcolor": PANEL, "bordercolor": INK, "font": {"color": INK}},
        "margin": {"l": 60, "r": 20, "t": ABOVE, "b": BELOW},
        "height": ABOVE + PLOT + BELOW,
        "xaxis": {**_AXIS, "showgrid": False, "title": {"standoff": 6}},
        "yaxis": _AXIS,
    }
)

Numbers = Sequence[float]


def lines(
    series: Mapping[str, tuple[Numbers, Numbers]],
    title: str,
    x: str,
    y: str,
    band: Mapping[str, tuple[Numbers, Numbers]] | None = None,
) -> go.Figure:
    """Curves over a common x axis.

    Args:
        series: name -> (xs, ys), of equal length. NaN and infinity leave a gap. Of a longer series,
            MOST_POINTS points are drawn: the first, the last, and the lowest and highest of each stretch.
        title, x, y: what the figure shows, and the axes with their units.
        band: name of a series -> (low, high) at each of its xs, drawn as a soft area: a spread over seeds, say.
    Raises:
        ValueError: no series, lengths that differ, or a band without its series.
    """
    _some(series, title)
    band = band or {}
    if unknown := set(band) - set(series):
        raise ValueError(f"figure {title!r}: no series for the band {', '.join(sorted(unknown))}.")
    fig = _figure(title, x, y, names=series, hover="x unified")
    for i, (name, (xs, ys)) in enumerate(series.items()):
        low, high = band.get(name, (ys, ys))
        if not len(xs) == len(ys) == len(low) == len(high):
            sizes = f"{len(xs)} x, {len(ys)} y" + (f", {len(low)} low, {len(high)} high" if name in band else "")
            raise ValueError(f"figure {title!r}, series {name!r}: lengths differ ({sizes}).")
        keep = thin(ys)
        at = [_short(xs[k]) for k in keep]
        if name in band:
            edge = [_short(high[k]) for k in keep] + [_short(low[k]) for k in reversed(keep)]
            fill = {"fill": "toself", "fillcolor": _rgba(_cycle(PALETTE, i), 0.15)}
            fig.add_scatter(
                x=at + at[::-1], y=edge, mode="lines", line_width=0, hoverinfo="skip", showlegend=False, **fill
            )
        fig.add_scatter(
            x=at,
            y=[_short(ys[k]) for k in keep],
            name=_text(name),
            mode="lines+markers",
            line={"color": _cycle(PALETTE, i), "dash": _cycle(DASHES, i), "width": 2.5},
            marker={"symbol": _cycle(MARKERS, i), "size": 8, "maxdisplayed": 10},
            hovertemplate="%{y:.4~g}",
        )
    return fig


def bars(values: Mapping[str, float] | Mapping[str, Mapping[str, float]], title: str, y: str) -> go.Figure:
    """Bars with their values written on them.

    Args:
        values: name -> height; or, for groups side by side, series -> (name -> height). A name that a series
            lacks leaves a gap.
        title, y: what the figure shows, and the axis with its unit.
    Raises:
        ValueError: no values, or heights and groups mixed.
    """
    _some(values, title)
    nested = [isinstance(v, Mapping) for v in values.values()]
    if any(nested) and not all(nested):
        raise ValueError(f"figure {title!r}: either every value is a number or every value is a group of numbers.")
    groups = values if all(nested) else {"": values}
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    fig = _figure(title, None, y, names=groups)
    for i, (group, heights) in enumerate(groups.items()):
        color = _cycle(PALETTE, i)
        tall = [_short(heights[name]) if name in heights else None for name in names]
        fig.add_bar(
            x=[_text(name) for name in names],
            y=tall,
            text=[short(height) for height in tall],
            name=_text(group),
            # Thin hatching in the panel's colour: the pattern is seen, the bar keeps its colour.
            marker={
                "color": color,
                "line": {"color": INK, "width": 1},
                "pattern": {"shape": _cycle(PATTERNS, i), "bgcolor": color, "fgcolor": PANEL, "solidity": 0.15},
            },
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x}: %{y:.4~g}",
        )
    fig.update_layout(bargap=0.35, xaxis_type="category")
    return fig


def histogram(values: Mapping[str, Numbers], title: str, x: str, y: str = "count") -> go.Figure:
    """How often each value occurs, one outline for each name over common bins.

    Args:
        values: name -> numbers; what is not finite is left out. The bins are about as many as the root of their count;
            for whole numbers each bin covers equally many of them.
        title, x, y: what the figure shows, and the axes with their units.
    Raises:
        ValueError: nothing to count.
    """
    _some(values, title)
    finite = {name: np.asarray(v, dtype=float) for name, v in values.items()}
    finite = {name: v[np.isfinite(v)] for name, v in finite.items()}
    together = np.concatenate(list(finite.values()))
    if not together.size:
        raise ValueError(f"figure {title!r} has no finite value to count.")
    edges = _bins(together)
    fig = _figure(title, x, y, names=finite)
    starts = [_short(edge) for edge in edges]
    spans = [f"{a:g} up to {b:g}" for a, b in itertools.pairwise(starts)]
    for i, (name, numbers) in enumerate(finite.items()):
        counts = np.histogram(numbers, edges)[0].tolist()
        fig.add_scatter(
            # A point of height 0 at both ends closes the outline.
            x=[starts[0], *starts],
            y=[0, *counts, 0],
            text=["", *spans, ""],
            name=_text(name),
            mode="lines",
            line={"shape": "hv", "color": _cycle(PALETTE, i), "dash": _cycle(DASHES, i), "width": 2.5},
            fill="tozeroy",
            fillcolor=_rgba(_cycle(PALETTE, i), 0.15),
            hovertemplate="%{text}: %{y}",
        )
    fig.update_yaxes(rangemode="tozero")
    return fig


def show(fig: go.Figure, alt: str) -> None:
    """Display a figure, with a sentence that says in words what is to be seen in it.

    JupyterLab and its kin get plotly's own format, a few kilobytes, with the sentence beside it; on Colab and
    Kaggle plotly's renderer for them is used; a terminal prints the sentence.

    Raises:
        ValueError: the sentence is empty.
    """
    if not alt.strip():
        raise ValueError("say in one sentence what the figure shows: it stands in where the picture cannot be seen.")
    if not in_notebook():
        print(alt)
    elif _hosted():
        fig.show()
    else:
        from IPython.display import display

        display(_bundle(fig, alt), raw=True)


class LiveCurve:
    """A curve that grows while a model trains.

        with LiveCurve("SFT", total_steps=300) as curve:
            for step in range(1, 301):
                curve.update(step, train=loss, held_out=other)   # any names; not each at every step

    A notebook gets one figure, redrawn at most twice a second, with the steps done and the time left in its
    title; Colab and Kaggle a line of text that becomes a figure at the end; a terminal a progress bar (none if
    its output goes to a file). Whatever ends the run, an interrupt too, the last state stays on the page.
    TQDM_DISABLE=1 gives no bar and, in a notebook, one final figure that holds no time.
    """

    def __init__(self, title: str, total_steps: int, y: str = "loss") -> None:
        if total_steps < 1:
            raise ValueError(f"curve {title!r}: total_steps must be at least 1, but it is {total_steps}.")
        self.title, self.total, self.y = title, total_steps, y
        self.points: dict[str, list[tuple[int, float]]] = {}
        self.step = 0
        self._first_step: int | None = None  # a resumed run does not start at 1
        self._over = False
        self._quiet = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
        self._notebook = in_notebook()
        self._handle: Any = None
        self._bar: Any = None
        self._start = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if self._notebook and not self._quiet:
            self._draw()
        elif not self._notebook:
            self._bar = tqdm(total=self.total, desc=self.title, disable=self._quiet or None)  # None: terminals only
        return self

    def update(self, step: int, **values: float) -> None:
        """Add what was measured after `step`, counted from 1. An underscore in a name is shown as a space."""
        self._first_step = step if self._first_step is None else self._first_step
        self.step = step
        for name, value in values.items():
            self.points.setdefault(name.replace("_", " "), []).append((step, float(value)))
        if self._bar is not None:
            self._bar.set_postfix_str(self._latest(), refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._handle is not None and time.monotonic() - self._drawn >= SECONDS_BETWEEN_DRAWINGS:
            self._draw()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if self._bar is not None:
            self._bar.close()
        else:
            self._draw()

    def figure(self) -> go.Figure:
        """The curve so far, with the state of the run under its title."""
        series = {name: tuple(zip(*points, strict=True)) for name, points in self.points.items()}
        fig = lines(series or {"": ([], [])}, self.title, "step", self.y)
        if len(series) < 2:  # keep one row of names throughout, so that the page does not jump
            _legend(fig, rows=1)
        fig.layout.title.pad.t = 24
        fig.layout.title.text += f"<br><span style='font-size:12px'>{_text(self._status())}</span>"
        fig.update_xaxes(range=[0, max(self.total, self.step) * 1.01])
        return fig

    def _draw(self) -> None:
        from IPython.display import display

        self._drawn = time.monotonic()
        # Colab and Kaggle do not draw plotly's own format, and their HTML for it is too heavy to send twice a second.
        words = f"{self.title}: {self._status()}"
        bundle = {"text/plain": words} if _hosted() else _bundle(self.figure(), words)
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        if self._over and _hosted():
            self.figure().show()

    def _status(self) -> str:
        elapsed = time.monotonic() - self._start
        if self._over and self.step >= self.total:
            state = f"{self.step} steps" + ("" if self._quiet else f" in {_duration(elapsed)}")
        elif self._over:
            state = f"stopped at step {self.step} of {self.total}"
        else:
            state = f"step {self.step} of {self.total}"
            if self._first_step is not None:
                steps_left = max(0, self.total - self.step)
                state += f" · {_duration(elapsed / (self.step - self._first_step + 1) * steps_left)} left"
        return " · ".join(filter(None, [state, self._latest()]))

    def _latest(self) -> str:
        return " · ".join(f"{name} {points[-1][1]:.4g}" for name, points in self.points.items())


def thin(ys: Numbers, most: int = MOST_POINTS) -> list[int]:
    """Which points of a long series to draw: the first, the last, and each stretch's lowest and highest.

    At even distances instead, a spike in a loss could fall between two points.
    """
    if len(ys) <= most:
        return list(range(len(ys)))
    stretches = most // 2 - 1
    keep = {0, len(ys) - 1}
    for s in range(stretches):
        stretch = range(s * len(ys) // stretches, (s + 1) * len(ys) // stretches)
        finite = [k for k in stretch if math.isfinite(ys[k])] or stretch
        keep |= {min(finite, key=ys.__getitem__), max(finite, key=ys.__getitem__)}
    return sorted(keep)


def _figure(title: str, x: str | None, y: str, names: Collection[str], hover: str = "closest") -> go.Figure:
    fig = go.Figure(layout={"template": TEMPLATE, "title": {"text": _text(title)}, "hovermode": hover})
    fig.update_xaxes(title_text=x and _text(x))
    fig.update_yaxes(title_text=_text(y))
    columns = max(1, 620 // (50 + 8 * max(len(str(name)) for name in names)))  # on a page 700 pixels wide
    _legend(fig, rows=math.ceil(len(names) / columns) if len(names) > 1 else 0)
    return fig


def _legend(fig: go.Figure, rows: int) -> None:
    """Make room under the plot for so many rows of names; plotly would take it from the plot."""
    room = rows * LEGEND_ROW
    fig.update_layout(showlegend=rows > 0, height=ABOVE + PLOT + BELOW + room, margin_b=BELOW + room)


def _bundle(fig: go.Figure, alt: str) -> dict[str, Any]:
    """What a notebook gets: plotly's format for a front end that draws it, words for every other reader."""
    figure = {**json.loads(fig.to_json()), "config": {"displaylogo": False, "responsive": True}}
    return {"application/vnd.plotly.v1+json": figure, "text/plain": alt}


def _hosted() -> bool:
    """Colab and Kaggle, whose pages do not draw plotly's own format."""
    return "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ


def _some(values: Mapping[str, Any], title: str) -> None:
    if not values:
        raise ValueError(f"figure {title!r} has nothing to draw.")


def _bins(numbers: np.ndarray) -> np.ndarray:
    count = min(MOST_BINS, math.isqrt(numbers.size) + 1)
    if np.any(numbers % 1):
        return np.histogram_bin_edges(numbers, bins=count)
    span = np.ptp(numbers) + 1
    width = math.ceil(span / count)
    return numbers.min() + width * np.arange(math.ceil(span / width) + 1)


def _short(number: float) -> float | None:
    """Six significant digits, whole numbers untouched; None, a gap, for what is not finite."""
    if isinstance(number, int):
        return number
    number = float(number)
    return float(f"{number:.6g}") if math.isfinite(number) else None


def _text(text: Any) -> str:
    """Any text as it is: plotly reads some HTML in titles and names."""
    return escape(str(text))


def _cycle(choices: Sequence[str], i: int) -> str:
    return choices[i % len(choices)]


def _rgba(color: str, alpha: float) -> str:
    r, g, b = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
