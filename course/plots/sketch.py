"""A line figure as a plain SVG picture, for as long as it still grows. Serves every lesson that trains.

JupyterLab's renderer of plotly figures draws a figure once and ignores every update of it, while a picture is drawn
anew. So a live curve is a picture until the run is over, and plotly's figure after that.
"""

import math
import re
from collections.abc import Iterator, Sequence
from html import escape, unescape

import plotly.graph_objects as go

from course.plots.figures import LINE

WIDTH = 760
STROKES = {"dash": "9 4", "dot": "2 3", "dashdot": "9 3 2 3", "longdash": "14 4", "longdashdot": "14 3 2 3"}


def sketch(fig: go.Figure) -> str:
    """Draw a figure of `lines` or `panels` as an SVG document: titles, axes with ticks, curves and their names.

    Args:
        fig: scatter traces only. What is not finite leaves a gap.
    """
    layout, look = fig.layout, fig.layout.template.layout
    height = layout.height or look.height
    margin = {side: getattr(layout.margin, side) or getattr(look.margin, side) for side in "lrtb"}
    ink, grid = look.font.color, look.yaxis.gridcolor
    parts = [f'<rect width="{WIDTH}" height="{height}" fill="{look.paper_bgcolor}"/>']
    parts += _title(layout.title.text or "")
    inner = (margin["l"], margin["t"], WIDTH - margin["l"] - margin["r"], height - margin["t"] - margin["b"])
    for number in dict.fromkeys((trace.xaxis or "x")[1:] for trace in fig.data):
        traces = [trace for trace in fig.data if (trace.xaxis or "x")[1:] == number]
        parts += _plot(traces, layout[f"xaxis{number}"], layout[f"yaxis{number}"], inner, grid)
    for note in layout.annotations:
        x, y = inner[0] + note.x * inner[2], inner[1] + (1 - note.y) * inner[3]
        for line, words in enumerate(reversed(note.text.split("<br>"))):
            parts.append(_text(x, y - 6 - LINE * line, words, size=13, anchor="middle"))
    if layout.showlegend:
        parts += _names([trace for trace in fig.data if trace.showlegend is not False], height)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" fill="{ink}" color="{ink}">\n{body}\n</svg>'
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at steps of 1, 2 or 5 times a power of ten; `most` of them or fewer."""
    step = 10 ** math.floor(math.log10((high - low) / most))
    step = next(step * k for k in (1, 2, 5, 10, 20) if (high - low) / (step * k) <= most - 1)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _title(text: str) -> Iterator[str]:
    head, _, status = text.partition("<br>")
    yield _text(8, 26, head, size=16)
    yield _text(8, 46, re.sub(r"</?span[^>]*>", "", status), size=12)


def _plot(traces: Sequence, x_axis: go.layout.XAxis, y_axis: go.layout.YAxis, inner: tuple, grid: str) -> Iterator[str]:
    (left, right), (bottom, top) = x_axis.domain or (0, 1), y_axis.domain or (0, 1)
    x0, x1 = inner[0] + left * inner[2], inner[0] + right * inner[2]
    y0, y1 = inner[1] + (1 - bottom) * inner[3], inner[1] + (1 - top) * inner[3]
    xs = x_axis.range or _span([x for trace in traces for x in trace.x])
    ys = y_axis.range or _span([y for trace in traces for y in trace.y])

    def at(x: float, y: float) -> tuple[float, float]:
        return x0 + (x - xs[0]) / (xs[1] - xs[0]) * (x1 - x0), y0 + (y - ys[0]) / (ys[1] - ys[0]) * (y1 - y0)

    for tick in ticks(*ys, most=6 if y0 - y1 > 150 else 4):
        y = at(xs[0], tick)[1]
        yield f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="{grid}"/>'
        yield _text(x0 - 7, y + 4, f"{tick:.6g}", size=12, anchor="end")
    for tick in ticks(*xs, most=8 if x1 - x0 > 400 else 5):
        yield _text(at(tick, ys[0])[0], y0 + 18, f"{tick:.6g}", size=12, anchor="middle")
    yield f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="currentColor"/>'
    if x_axis.title.text:
        yield _text((x0 + x1) / 2, y0 + 38, x_axis.title.text, size=13, anchor="middle")
    if y_axis.title.text:
        yield f'<g transform="rotate(-90)">{_text(-(y0 + y1) / 2, 16, y_axis.title.text, size=13, anchor="middle")}</g>'
    for trace in traces:
        for run in _runs(trace.x, trace.y):
            points = [at(x, y) for x, y in run]
            if len(points) == 1:
                yield f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2.5" fill="{trace.line.color}"/>'
            else:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
                yield f'<polyline points="{path}" fill="none" {_stroke(trace)}/>'


def _stroke(trace: go.Scatter) -> str:
    dashes = STROKES.get(trace.line.dash or "solid")
    return f'stroke="{trace.line.color}" stroke-width="2"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _runs(xs: Sequence, ys: Sequence) -> Iterator[list[tuple[float, float]]]:
    """The stretches of points without a gap."""
    run: list[tuple[float, float]] = []
    for x, y in zip(xs, ys, strict=True):
        if y is not None and math.isfinite(y):
            run.append((x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _span(values: Sequence) -> tuple[float, float]:
    finite = [value for value in values if value is not None and math.isfinite(value)] or [0, 1]
    low, high = min(finite), max(finite)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _names(traces: Sequence, height: float) -> Iterator[str]:
    x, y = 60.0, height - 12.0
    for trace in traces:
        if not trace.name:
            continue
        yield f'<path d="M{x:.0f} {y - 4:.0f}h24" {_stroke(trace)}/>'
        yield _text(x + 30, y, trace.name, size=12)
        x += 50 + 8 * len(trace.name)


def _text(x: float, y: float, text: str, size: int, anchor: str = "start") -> str:
    said = escape(unescape(text))  # plotly's text holds entities; SVG knows only those of XML
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{said}</text>'
