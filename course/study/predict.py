"""`predict("S10", "How many survive?", low=0, high=90)`: a guess before a run, and the run beside it.

Serves every lesson. A guess is a number on a slider, one of several choices, or a curve drawn through given
points. The result stays folded until the guess is made or given up, since a guess that follows the result teaches
nothing; one made after it was seen is marked as such.

    guess = predict("S10", "Of 90 answers that are right in ChatML, how many survive?", low=0, high=90)
    guess                      # in the cell before the run
    guess.reveal(survivors)    # in the cell after it
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from course.study.compare import plain
from course.study.markup import static_text, to_html
from course.study.widget import StudyWidget

STATIC_POINTS = 12
OPEN_RESULT = "Make your guess, then open the result"


def predict(
    id: str,
    prompt: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: Sequence[str] | None = None,
    x: Sequence[float] | None = None,
    x_label: str = "x",
    y_label: str = "y",
) -> "Prediction":
    """Asks for a guess: a number (`low`, `high`), a choice (`choices`) or a curve (`x`, `low`, `high`).

    Args:
        id: under which the guess is kept, for example the id of the claim that it is about.
        prompt: the question, in Markdown.
        low, high: ends of the number's or the curve's scale.
        unit: stands behind a number, as in "tokens" or "%".
        choices: at least two different answers, as in ["rises", "falls"].
        x: at least two growing positions at which the learner places a point of the curve.
        x_label, y_label: the names of the curve's axes.
    Raises:
        ValueError: no kind of guess, or more than one, or a scale or list that cannot be drawn.
    """
    if not id.strip() or not prompt.strip():
        raise ValueError("a prediction needs an id, under which the guess is kept, and a prompt")
    data: dict[str, Any] = {"id": id, "prompt_html": to_html(prompt), "measured": None}
    if choices is not None:
        if low is not None or high is not None or x is not None:
            raise ValueError(f"prediction {id}: give `choices` alone, or `low` and `high` for a number or a curve")
        data |= {"type": "choice", "choices": _check_choices(id, choices)}
    else:
        low, high = _check_scale(id, low, high)
        data |= {"type": "number", "low": low, "high": high, "step": _step(low, high), "unit": unit}
        if x is not None:
            data |= {"type": "curve", "x": _check_positions(id, x), "x_label": x_label, "y_label": y_label}
    return Prediction(prompt, data)


class _Guess(StudyWidget):
    """What the two widgets share: they keep and find {guess, seen, late} under the prediction's id.

    `guess` is None when it was given up or taken back, `seen` is there once the result was shown, and `late` when the
    guess was made after that.
    """

    kind = "prediction"

    def __init__(self, prompt: str, data: dict[str, Any]) -> None:
        self.prompt = prompt
        super().__init__(data, ids=[data["id"]])

    @property
    def _prompt(self) -> str:
        return f"<div>{to_html(self.prompt, raw_math=True)}</div>"


class Prediction(_Guess):
    """The question; `reveal` answers it."""

    script = "predict"

    def reveal(self, measured: Any) -> "Reveal":
        """The measurement, with the committed guess beside it if there is one.

        Args:
            measured: a number, one of the choices, or for a curve the values at its x or a pair (xs, values). Tensors
                and arrays will do. What is not finite is shown as missing.
        Raises:
            ValueError: not one of the choices, or a curve that has not as many values as positions.
        """
        return Reveal(self.prompt, self.data | {"measured": _check_measured(self.data, plain(measured))})

    def plain(self) -> str:
        return f"Your guess first ({self.data['id']}): {self.prompt}"

    def static_html(self) -> str:
        return f"<p><strong>Your guess first</strong></p>{self._prompt}<p>{static_text(_asked_for(self.data))}</p>"


class Reveal(_Guess):
    """The measurement, and the guess that the state holds."""

    script = "predict"

    def plain(self) -> str:
        return f"Measured ({self.data['id']}): {_said(self.data)}"

    def static_html(self) -> str:
        folded = f"<details><summary>{OPEN_RESULT}</summary><p>{static_text(_said(self.data))}</p></details>"
        return f"<p><strong>Measured</strong></p>{self._prompt}{folded}"


# ---- checking what the notebook passes ---------------------------------------------------------------------


def _check_choices(id: str, choices: Sequence[str]) -> list[str]:
    if isinstance(choices, str) or not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise ValueError(f'prediction {id}: `choices` is a list of texts, as in ["rises", "falls"]')
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise ValueError(f"prediction {id}: `choices` needs at least two different answers, not {list(choices)}")
    return list(choices)


def _check_scale(id: str, low: float | None, high: float | None) -> tuple[float, float]:
    if low is None or high is None:
        raise ValueError(f"prediction {id}: give `low` and `high` for a number or a curve, or `choices`")
    low, high = plain(low), plain(high)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"prediction {id}: `low` must be a number below `high`; they are {low} and {high}")
    return low, high


def _check_positions(id: str, x: Sequence[float]) -> list[float]:
    positions = plain(x)
    grows = all(a < b for a, b in pairwise(positions))
    if len(positions) < 2 or not grows or not all(map(math.isfinite, positions)):
        raise ValueError(f"prediction {id}: `x` needs at least two growing numbers, not {positions}")
    return positions


def _check_measured(data: dict[str, Any], value: Any) -> Any:
    """The measurement as JSON: a choice, a number or None, or {x, y} with None for what is not finite."""
    id, type_ = data["id"], data["type"]
    if type_ == "choice":
        if value not in data["choices"]:
            raise ValueError(f"prediction {id}: {value!r} was measured, which is none of {data['choices']}")
        return {"choice": value}
    if type_ == "number":
        if not isinstance(value, int | float):
            raise ValueError(f"prediction {id}: reveal takes one number, not {value!r}")
        return {"value": _finite(value)}
    pair = isinstance(value, list) and len(value) == 2 and all(isinstance(part, list) for part in value)
    xs, ys = value if pair else (data["x"], value)
    if not isinstance(ys, list) or len(xs) != len(ys) or not all(isinstance(v, int | float) for v in [*xs, *ys]):
        raise ValueError(
            f"prediction {id}: reveal takes the {len(data['x'])} values at the curve's x, or a pair (xs, values) of "
            "two lists of one length"
        )
    if not all(map(math.isfinite, xs)):
        raise ValueError(f"prediction {id}: the positions of the measured curve must be finite numbers")
    points = sorted(zip(map(float, xs), map(_finite, ys), strict=True), key=lambda point: point[0])
    return {"x": [point[0] for point in points], "y": [point[1] for point in points]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _step(low: float, high: float) -> float:
    """A round step, between fifty and a hundred and some to the scale; whole between whole ends."""
    raw = (high - low) / 100
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(round(m * power, 12) or m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    whole = float(low).is_integer() and float(high).is_integer() and high - low > 10
    return max(1, int(step)) if whole else step


# ---- words for the face without script ----------------------------------------------------------------------


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "no number"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"{text}{'' if unit in ('', '%') else ' '}{unit}"


def _asked_for(data: dict[str, Any]) -> str:
    if data["type"] == "choice":
        return "Choose: " + ", or ".join(data["choices"]) + "."
    scale = f"between {_number(data['low'])} and {_number(data['high'], data['unit'])}"
    if data["type"] == "number":
        return f"A number {scale}."
    at = ", ".join(map(_number, data["x"]))
    return f"A curve of {data['y_label']} {scale}, over {data['x_label']} = {at}."


def _said(data: dict[str, Any]) -> str:
    measured = data["measured"]
    if data["type"] == "choice":
        return measured["choice"]
    if data["type"] == "number":
        return _number(measured["value"], data["unit"])
    points = list(zip(measured["x"], measured["y"], strict=True))
    every = math.ceil(len(points) / STATIC_POINTS)
    kept = points[::every] + ([points[-1]] if (len(points) - 1) % every else [])
    return f"{data['y_label']} at {data['x_label']}: " + ", ".join(f"{_number(a)}: {_number(b)}" for a, b in kept)
