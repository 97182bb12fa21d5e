"""What to look at first: rules that name the kind of a fault by its curves, in the order in which they are asked.

Serves notebook 10 (claim H8). The thresholds were set on the stored runs of seeds 0 and 1; the others were left to test
them.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import plotly.graph_objects as go

from course.numerics import tied
from course.plots.figures import INK, PALETTE, TEMPLATE

History = Mapping[str, Sequence[float]]
"""Name of a curve -> a number for each iteration, as in the `curves` of a run."""

LATE = 3  # iterations at the end of a run that are averaged
ROW = 58  # pixels: one question of the drawing


@dataclass(frozen=True)
class Rule:
    """One question to the curves.

    Attributes:
        name: the finding, in a word.
        question: what to look at; a healthy run answers yes.
        look: where the fault is to be sought otherwise.
        found: whether a history answers no.
    """

    name: str
    question: str
    look: str
    found: Callable[[History], bool]


def _late(values: Sequence[float]) -> float:
    return mean(values[-LATE:])


def _above(value: float, other: float) -> bool:
    """Above by more than rounding: a curve that stays where it is rises on one processor and falls on another."""
    return value > other and not tied(value, other)


def _parted(history: History) -> bool:
    reward, true = history["reward"], history["true score"]
    return _above(_late(reward), reward[0]) and _late(true) < true[0] - 0.15


RULES: tuple[Rule, ...] = (
    Rule(
        "prompt",
        "Iteration 1: does it answer as it did before any training?",
        "what the policy reads: template, prompt, stop token",
        lambda h: h["entropy"][0] > 0.9,
    ),
    Rule(
        "signal",
        "Do rewards differ from answer to answer?",
        "the reward: can it tell a good answer from a bad one?",
        lambda h: not _above(max(h["reward std"]), 0.0),
    ),
    Rule(
        "gradient",
        "Does the KL leave zero?",
        "the policy's gradient: is it zero? log-probabilities, stop-gradients",
        lambda h: max(map(abs, h["kl"])) < 1e-3,
    ),
    Rule(
        "reward",
        "Where the reward rises, does the quality rise too?",
        "the reward: labels swapped, or a gap in it that was found",
        _parted,
    ),
    Rule(
        "rate",
        "Iterations 1 and 2: do nearly all tokens stay within the clip?",
        "the size of a step: learning rate, epochs, clipping",
        lambda h: max(h["clip fraction"][:2]) > 0.15,
    ),
    Rule(
        "entropy",
        "Does the entropy fall, or stay where it began?",
        "what pays for chance: the bonus, its weight, sum or mean",
        lambda h: _late(h["entropy"]) > 3,
    ),
    Rule(
        "penalty",
        "Does the KL come to rest?",
        "the penalty: beta, its sign, its reference",
        lambda h: _late(h["kl"]) > 8,
    ),
    Rule(
        "values",
        "Does the error of the values fall?",
        "the value model: its rate, its targets",
        # the second highest, as one odd answer makes one high peak
        lambda h: _above(sorted(h["value error"])[-2:][0], 3 * h["value error"][0]),
    ),
)


def triage(history: History) -> str:
    """The name of the first rule that finds something in these curves; "healthy" where none does."""
    return next((rule.name for rule in RULES if rule.found(history)), "healthy")


def decision_order() -> go.Figure:
    """The rules as a picture: the questions from the top down, and at the right where to look when the answer is no."""
    layout = {"template": TEMPLATE, "title": {"text": "In which order to look at a run"}}
    fig = go.Figure(layout=layout | {"margin": {"l": 10, "r": 10, "t": 50, "b": 10}})
    fig.update_xaxes(visible=False, fixedrange=True, range=[0, 1])
    fig.update_yaxes(visible=False, fixedrange=True, range=[len(RULES) + 0.5, -0.5])
    fig.layout.height = ROW * (len(RULES) + 1) + 50
    for row, rule in enumerate(RULES):
        _box(fig, 0.0, 0.47, row, f"<b>{row + 1}.</b> {rule.question}", INK)
        _box(fig, 0.56, 1.0, row, rule.look, PALETTE[1])
        _arrow(fig, 0.47, row, 0.56, row, PALETTE[1])
        _arrow(fig, 0.08, row + 0.36, 0.08, row + 0.64, INK)
        for x, y, text in ((0.515, row - 0.2, "no"), (0.105, row + 0.5, "yes")):
            fig.add_annotation(x=x, y=y, text=text, showarrow=False, font={"size": 11, "color": INK})
    _box(fig, 0.0, 0.47, len(RULES), "Nothing found: read the answers all the same.", PALETTE[2])
    return fig


def _box(fig: go.Figure, left: float, right: float, row: int, text: str, color: str) -> None:
    line = {"color": color, "width": 1.5}
    fig.add_shape(type="rect", x0=left, x1=right, y0=row - 0.36, y1=row + 0.36, line=line, fillcolor="white")
    lines = "<br>".join(textwrap.wrap(text, 46, break_on_hyphens=False))
    fig.add_annotation(x=left + 0.01, y=row, text=lines, showarrow=False, xanchor="left", align="left", font_size=12)


def _arrow(fig: go.Figure, x0: float, y0: float, x1: float, y1: float, color: str) -> None:
    look = {"arrowcolor": color, "arrowwidth": 1.5, "arrowhead": 2, "axref": "x", "ayref": "y"}
    fig.add_annotation(x=x1, y=y1, ax=x0, ay=y0, xref="x", yref="y", text="", **look)
