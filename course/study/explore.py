"""`explore("Clipping", objective, [Slider("clip", ...)], x=ratios)`: sliders, and what a function gives for them.

Serves lesson 06 (what labels cost) and 09 (what each setting of PPO does, and its usual range). The function is run
for every setting when the cell runs, and the widget looks the results up: nothing waits for the kernel, and the
widget works as well where there is none. So it takes small functions and a handful of values on each slider.

    def cost(demonstrations, comparisons):
        return {"demonstrations": 10 * demonstrations, "comparisons": 3.5 * comparisons}

    explore("What labels cost", cost, [
        Slider("demonstrations", [1_000, 13_000, 27_000, 52_000], start=13_000, usual=(1_000, 30_000)),
        Slider("comparisons", [0, 10_000, 33_000, 100_000], start=33_000),
    ], units="$")
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from course.study.compare import plain
from course.study.markup import static_text, to_html
from course.study.widget import StudyWidget

MOST_NUMBERS = 60_000
"""So many numbers are kept at most, about 400 kB: they travel with the cell's output."""
MOST_CURVES = 3
STATIC_POINTS = 10


@dataclass(frozen=True)
class Slider:
    """One argument of the function, and the values that the learner can give it.

    Args:
        name: the argument's name.
        values: at least two growing numbers; they need not be evenly spaced, so that 1e-6, 1e-5, 1e-4 will do.
        start: the one of them that the slider stands on at first.
        label: what the learner reads; the name if it is left out.
        unit: stands behind the number, as in "tokens" or "%"; "$" stands before it.
        usual: the lowest and highest value in common use, drawn below the slider.
        does: one or two sentences, in Markdown, on what the setting does.
    """

    name: str
    values: Sequence[float]
    start: float
    label: str = ""
    unit: str = ""
    usual: tuple[float, float] | None = None
    does: str = ""


def explore(
    title: str,
    function: Callable[..., Mapping[str, Any]],
    sliders: Sequence[Slider],
    *,
    about: str = "",
    units: str | Mapping[str, str] = "",
    x: Sequence[float] | None = None,
    x_label: str = "x",
    y_label: str = "y",
) -> "Exploration":
    """Shows what a function gives while the learner moves its arguments.

    Numbers that share the first one's unit also get bars, unless there is a curve to draw.

    Args:
        title: the widget's heading.
        function: called with each slider's value by name; returns by name what is shown: numbers, short texts, and
            for curves a list with one value for each position in `x`. None, or what is not finite, is shown as missing.
        sliders: at least one.
        about: a paragraph above the sliders, in Markdown.
        units: of the numbers; one for all, or by name.
        x: growing positions of the curves' points.
        x_label, y_label: the names of the curves' axes.
    Raises:
        ValueError: a slider that cannot be drawn, a result that cannot be shown, or more results than can be kept.
            What the function itself raises is named with its setting.
    """
    if not title.strip():
        raise ValueError("explore: it needs a title")
    positions = _check_x(x)
    _check_sliders(sliders)
    start = _results(function, sliders, [slider.start for slider in sliders], positions)
    settings = math.prod(len(slider.values) for slider in sliders)
    each = sum(len(value) if isinstance(value, list) else 1 for value in start.values())
    if settings * each > MOST_NUMBERS:
        raise ValueError(
            f"explore: {settings:,} settings with {each:,} numbers each are more than the {MOST_NUMBERS:,} that can be "
            "kept; give the sliders fewer values, or the curves fewer points"
        )
    table: dict[str, list[Any]] = {name: [] for name in start}
    for values in product(*(slider.values for slider in sliders)):
        found = _results(function, sliders, values, positions)
        if [*found] != [*start] or any(_kind(found[name]) != _kind(start[name]) for name in start):
            raise ValueError(f"explore: {_setting(sliders, values)} gives other results than the start does")
        for name in start:
            table[name].append(found[name])
    unit_of = units.get if isinstance(units, Mapping) else lambda name, default: units
    results = [
        {"name": name, "kind": _kind(start[name]), "unit": unit_of(name, ""), "values": table[name]} for name in start
    ]
    data = {
        "title": title,
        "about_html": to_html(about) if about else "",
        "sliders": [_slider_data(slider) for slider in sliders],
        "results": results,
        "chart": _chart(table, start, positions, x_label, y_label),
    }
    return Exploration(data, start, list(sliders), about)


class Exploration(StudyWidget):
    """The widget. Nothing is kept: it begins at the start settings each time."""

    script = "explore"

    def __init__(self, data: dict[str, Any], start: Mapping[str, Any], sliders: list[Slider], about: str) -> None:
        self.start, self.sliders, self.about = start, sliders, about
        super().__init__(data)

    def plain(self) -> str:
        return f"{self.data['title']}: {_setting(self.sliders, [slider.start for slider in self.sliders])}"

    def static_html(self) -> str:
        settings = "".join(f"<li>{_static_slider(slider)}</li>" for slider in self.sliders)
        results = "".join(
            f"<li>{static_text(result['name'])}: {static_text(self._said(result))}</li>"
            for result in self.data["results"]
        )
        about = f"<p>{to_html(self.about, raw_math=True)}</p>" if self.about else ""
        return (
            f"<p><strong>{static_text(self.data['title'])}</strong> Run this cell to move the sliders.</p>{about}"
            f"<ul>{settings}</ul><p>With these settings:</p><ul>{results}</ul>"
        )

    def _said(self, result: dict[str, Any]) -> str:
        value, unit = self.start[result["name"]], result["unit"]
        if not isinstance(value, list):
            return value if isinstance(value, str) else with_unit(value, unit)
        chart = self.data["chart"]
        points = list(zip(chart["x"], value, strict=True))
        every = math.ceil(len(points) / STATIC_POINTS)
        kept = points[::every] + ([points[-1]] if (len(points) - 1) % every else [])
        return f"at {chart['x_label']} = " + ", ".join(f"{with_unit(a)}: {with_unit(b)}" for a, b in kept)


def with_unit(value: float | None, unit: str = "") -> str:
    """A number as one reads it, to four digits, or whole; the same form as in the script."""
    if value is None:
        return "no number"
    size = abs(value)
    sign = "−" if value < 0 else ""
    if unit == "$":
        return f"{sign}${size:,.0f}" if float(size).is_integer() else f"{sign}${size:,.2f}"
    if size and (size < 1e-3 or size >= 1e7):
        digits, power = f"{size:.2e}".split("e")
        text = f"{float(digits):g}e{int(power)}".replace("-", "−")
    else:
        text = f"{size:,.{max(0, 3 - math.floor(math.log10(size or 1)))}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{sign}{text}{'' if unit in ('', '%') else ' '}{unit}"


# ---- what the notebook passes --------------------------------------------------------------------------------


def _check_x(x: Sequence[float] | None) -> list[float] | None:
    if x is None:
        return None
    positions = plain(x)
    if len(positions) < 2 or not all(map(math.isfinite, positions)) or any(a >= b for a, b in pairwise(positions)):
        raise ValueError(f"explore: `x` needs at least two growing numbers, not {positions}")
    return positions


def _check_sliders(sliders: Sequence[Slider]) -> None:
    names = [slider.name for slider in sliders]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"explore: it needs at least one slider, and each with a name of its own, not {names}")
    for slider in sliders:
        values = plain(slider.values)
        if len(values) < 2 or not all(map(math.isfinite, values)) or any(a >= b for a, b in pairwise(values)):
            raise ValueError(f"explore: slider {slider.name} needs at least two growing values, not {values}")
        if slider.start not in values:
            raise ValueError(f"explore: slider {slider.name} starts at {slider.start}, which is none of {values}")
        if slider.usual and not slider.usual[0] <= slider.usual[1]:
            raise ValueError(f"explore: slider {slider.name}: `usual` is (lowest, highest), not {slider.usual}")


def _results(
    function: Callable[..., Any], sliders: Sequence[Slider], values: Sequence[float], x: list[float] | None
) -> dict[str, Any]:
    """What the function gives for one setting, as JSON: numbers, texts and lists, None for what is not finite."""
    setting = _setting(sliders, values)
    try:
        given = function(**{slider.name: value for slider, value in zip(sliders, values, strict=True)})
    except Exception as error:
        raise ValueError(f"explore: with {setting} the function fails: {type(error).__name__}: {error}") from error
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"explore: the function must return its results by name, as in {{'total': 3}}, not {given!r}")
    found = {}
    for name, value in plain(given).items():
        if isinstance(value, list):
            if x is None or len(value) != len(x) or not all(isinstance(one, int | float | None) for one in value):
                raise ValueError(f"explore: {name!r} must have one number for each position in `x` ({setting})")
            value = [_finite(one, digits=5) for one in value]
        elif isinstance(value, int | float | None):
            value = _finite(value, digits=12)
        elif not isinstance(value, str):
            raise ValueError(f"explore: {name!r} is neither a number nor a text nor a list of numbers ({setting})")
        found[name] = value
    curves = sum(isinstance(value, list) for value in found.values())
    if curves > MOST_CURVES:
        raise ValueError(f"explore: {curves} curves are too many to tell apart; {MOST_CURVES} are the most")
    return found


def _finite(value: float | None, digits: int) -> float | None:
    """Rounded, so that a table of them stays small; whole numbers stay whole."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.{digits}g}")


def _kind(value: Any) -> str:
    return "curve" if isinstance(value, list) else "text" if isinstance(value, str) else "number"


def _setting(sliders: Sequence[Slider], values: Sequence[float]) -> str:
    return ", ".join(f"{slider.name}={value:g}" for slider, value in zip(sliders, values, strict=True))


def _slider_data(slider: Slider) -> dict[str, Any]:
    values = plain(slider.values)
    return {
        "label": slider.label or slider.name,
        "unit": slider.unit,
        "values": values,
        "start": values.index(slider.start),
        "usual": list(slider.usual) if slider.usual else None,
        "does_html": to_html(slider.does) if slider.does else "",
    }


def _chart(
    table: dict[str, list[Any]], start: dict[str, Any], x: list[float] | None, x_label: str, y_label: str
) -> dict[str, Any] | None:
    """The curves' axes. They are the same at all settings, so that one sees how far a curve moves."""
    curves = [curve for name in start if isinstance(start[name], list) for curve in table[name]]
    if not curves:
        return None
    heights = [y for curve in curves for y in curve if y is not None]
    if not heights:
        raise ValueError("explore: no curve has a finite value, so there is nothing to draw")
    low, high = min(heights), max(heights)
    room = 0 if low < high else max(1.0, abs(low)) / 2
    return {"x": x, "x_label": x_label, "y_label": y_label, "low": low - room, "high": high + room}


def _static_slider(slider: Slider) -> str:
    def text(value: float) -> str:
        return with_unit(value, slider.unit)

    said = [f"{text(slider.start)}, of {text(slider.values[0])} to {text(slider.values[-1])}"]
    if slider.usual:
        said.append(f"usual: {text(slider.usual[0])} to {text(slider.usual[1])}")
    does = f" {to_html(slider.does, raw_math=True)}" if slider.does else ""
    return f"<strong>{static_text(slider.label or slider.name)}</strong>: {static_text('; '.join(said))}.{does}"
