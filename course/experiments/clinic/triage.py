"""What to look at first: rules that name the kind of a fault by its curves, in the order in which they are asked.

Serves notebook 10 (claim H8). The thresholds were set on the stored runs of seeds 0 and 1; the others were left to test
them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from course.numerics import tied

History = Mapping[str, Sequence[float]]
"""Name of a curve -> a number for each iteration, as in the `curves` of a run."""

LATE = 3  # iterations at the end of a run that are averaged


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


def decision_order() -> list[dict[str, str]]:
    """The rules as rows of a table, in their order: the question, and where to look when the answer is no."""
    asked = [
        {"question": f"{number}. {rule.question}", "if not, look at": rule.look} for number, rule in enumerate(RULES, 1)
    ]
    return [*asked, {"question": "Nothing found: read the answers all the same."}]
