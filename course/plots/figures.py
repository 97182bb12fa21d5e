"""Lines, bars and histograms in one look. Serves every lesson.

Every figure sits on its own light panel with dark ink, so that it reads the same on a light and a dark page; in a dark
JupyterLab, the style of the study widgets turns the panel dark and leaves the hues.
The palette keeps 3:1 against the panel and stays apart for colour-blind eyes; dashes, markers and hatching say
the same thing once more. Numbers are rounded to six digits and long series are thinned, because a figure is
stored in the notebook. Works with plotly 5.24 (Colab) to 7.
"""

import itertools
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from course.show import short

PANEL, INK, GRID = "#f6f5f1", "#23272b", "#dcdad3"
PALETTE = ("#2450d8", "#c96410", "#1c9474", "#66104f", "#b466d8", "#2a2f2a")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross")  # 7 and 6: 42 pairs before a repeat
PATTERNS = ("", "/", "x", ".", "-", "\\", "|")
MOST_POINTS = 400  # drawn for each series
MOST_BINS = 40
ABOVE, PLOT, BELOW, LEGEND_ROW = 60, 240, 56, 22  # pixels: title, the plot itself, its x axis, one row of names
SMALL, LINE = 110, 17  # pixels: one of several plots, a line of its title
WIDEST = 26  # characters in such a line, so that it fits half of a narrow page

_AXIS = {"automargin": True, "gridcolor": GRID, "linecolor": INK, "showline": True, "ticks": "outside"}
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
        "xaxis": {**_AXIS, "showgrid": False, "zeroline": False, "title": {"standoff": 6}},
        "yaxis": {**_AXIS, "zeroline": False},
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
            unseen = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "showlegend": False}
            fig.add_scatter(x=at + at[::-1], y=edge, fill="toself", fillcolor=_soft(i), **unseen)
        fig.add_scatter(
            x=at,
            y=[_short(ys[k]) for k in keep],
            name=literal(name),
            mode="lines+markers",
            line=_line(i),
            marker={"symbol": _cycle(MARKERS, i), "size": 8, "maxdisplayed": 10},
            hovertemplate="%{y:.4~g}",
        )
    return fig


def panels(series: Mapping[str, Mapping[str, tuple[Numbers, Numbers]]], title: str, x: str) -> go.Figure:
    """Small plots in two columns over one x axis, each with its own scale: what a run measured in different units.

    Args:
        series: title of a plot -> name of a curve -> (xs, ys). A name looks the same in all plots; where there are
            several, as when two runs are compared, they are listed once.
        title, x: what the figure shows, and the common axis with its unit.
    Raises:
        ValueError: no plots, a plot without curves, or lengths that differ.
    """
    _some(series, title)
    names = list(dict.fromkeys(name for curves in series.values() for name in curves))
    rows = math.ceil(len(series) / 2)
    titles = [textwrap.wrap(panel, WIDEST) for panel in series]
    more = LINE * (max(map(len, titles)) - 1)  # pixels, for titles of several lines
    plot = rows * (SMALL + BELOW + more) - BELOW - more  # from the top of the first row to the bottom of the last
    fig = _figure(title, None, "", names=names)
    fig.set_subplots(
        rows,
        2,
        subplot_titles=["<br>".join(map(literal, lines)) for lines in titles],
        horizontal_spacing=0.12,
        vertical_spacing=(BELOW + more) / plot,
    )
    for i, (panel, curves) in enumerate(series.items()):
        _some(curves, panel)
        place = {"row": i // 2 + 1, "col": i % 2 + 1}
        for trace in lines({name: curves.get(name, ([], [])) for name in names}, panel, x, "").data:
            fig.add_trace(trace.update(legendgroup=trace.name, showlegend=i == 0 and len(names) > 1), **place)
        lowest = i >= len(series) - 2
        fig.update_xaxes(title={"text": literal(x) if lowest else None, "font_size": 13}, **place)
    fig.update_annotations(font_size=13)
    height = fig.layout.height - PLOT + plot + 10 + more
    fig.update_layout(height=height, margin_t=ABOVE + 10 + more, legend_y=-BELOW / plot)
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
            x=[literal(name) for name in names],
            y=tall,
            text=[short(height) for height in tall],
            name=literal(group),
            # Thin hatching in the panel's colour: the pattern is seen, the bar keeps its colour.
            marker={
                "color": color,
                "line": {"color": INK, "width": 1},
                "pattern": {"shape": _cycle(PATTERNS, i), "bgcolor": color, "fgcolor": PANEL, "solidity": 0.15},
            },
            textposition="outside",
            textfont_size=13 if len(names) * len(groups) <= 12 else 10,  # labels of many bars would touch
            cliponaxis=False,
            hovertemplate="%{x}: %{y:.4~g}",
        )
    fig.update_layout(bargap=0.35, xaxis_type="category")
    return fig


def histogram(values: Mapping[str, Numbers], title: str, x: str) -> go.Figure:
    """How often each value occurs, one outline for each name over common bins.

    Args:
        values: name -> numbers; what is not finite is left out. The bins are about as many as the root of their count;
            for whole numbers each bin covers equally many of them.
        title, x: what the figure shows, and the axis of the values with its unit.
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
    fig = _figure(title, x, "count", names=finite)
    starts = [_short(edge) for edge in edges]
    spans = [f"{a:g} up to {b:g}" for a, b in itertools.pairwise(starts)]
    for i, (name, numbers) in enumerate(finite.items()):
        counts = np.histogram(numbers, edges)[0].tolist()
        fig.add_scatter(
            # A point of height 0 at both ends closes the outline.
            x=[starts[0], *starts],
            y=[0, *counts, 0],
            text=["", *spans, ""],
            name=literal(name),
            mode="lines",
            line={"shape": "hv", **_line(i)},
            fill="tozeroy",
            fillcolor=_soft(i),
            hovertemplate="%{text}: %{y}",
        )
    fig.update_yaxes(rangemode="tozero")
    return fig


def thin(ys: Numbers) -> list[int]:
    """Which points of a long series to draw: the first, the last, and each stretch's lowest and highest.

    At even distances instead, a spike in a loss could fall between two points.
    """
    if len(ys) <= MOST_POINTS:
        return list(range(len(ys)))
    stretches = MOST_POINTS // 2 - 1
    keep = {0, len(ys) - 1}
    for s in range(stretches):
        stretch = range(s * len(ys) // stretches, (s + 1) * len(ys) // stretches)
        finite = [k for k in stretch if math.isfinite(ys[k])] or stretch
        keep |= {min(finite, key=ys.__getitem__), max(finite, key=ys.__getitem__)}
    return sorted(keep)


def _figure(title: str, x: str | None, y: str, names: Collection[str], hover: str = "closest") -> go.Figure:
    fig = go.Figure(layout={"template": TEMPLATE, "title": {"text": literal(title)}, "hovermode": hover})
    fig.update_xaxes(title_text=x and literal(x))
    fig.update_yaxes(title_text=literal(y))
    columns = max(1, 620 // (50 + 8 * max(len(str(name)) for name in names)))  # on a page 700 pixels wide
    legend_rows(fig, rows=math.ceil(len(names) / columns) if len(names) > 1 else 0)
    return fig


def legend_rows(fig: go.Figure, rows: int) -> None:
    """Make room under the plot for so many rows of names; plotly would take it from the plot."""
    room = rows * LEGEND_ROW
    fig.update_layout(showlegend=rows > 0, height=ABOVE + PLOT + BELOW + room, margin_b=BELOW + room)


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


def literal(text: Any) -> str:
    """Any text as it is: plotly reads some HTML in titles and names."""
    return escape(str(text))


def _cycle(choices: Sequence[str], i: int) -> str:
    return choices[i % len(choices)]


def _line(i: int) -> dict[str, Any]:
    return {"color": _cycle(PALETTE, i), "dash": _cycle(DASHES, i), "width": 2.5}


def _soft(i: int) -> str:
    """The colour of a series for an area under or around it."""
    r, g, b = (int(_cycle(PALETTE, i)[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({r},{g},{b},0.15)"
