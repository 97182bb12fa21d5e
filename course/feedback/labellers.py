"""People who compare answers, how often two of them agree, and how well anybody can foresee their choices.

Serves notebooks 06 and 07. A labeller has a taste and a temperature, and prefers the first answer with probability
sigmoid((u_a - u_b) / temperature): the model of Bradley and Terry (1952), which reward models assume (Ouyang et al.
2022, section 3.5). Choices are independent of each other, so two labellers of one kind are two seeds.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from course.feedback.tastes import Taste, WorldPrompt, find
from course.numerics import sign


class Pair(NamedTuple):
    """Two answers to one prompt; a plain tuple of the three does as well."""

    prompt: WorldPrompt
    a: str
    b: str


@dataclass(frozen=True)
class Labeller:
    """Somebody who compares answers.

    Attributes:
        taste: a name in `TASTES`, or a function of (prompt, text) such as `combined` makes.
        temperature: in units of the utility, 0 or more. At 0 the better answer is always chosen and equal ones are a
            tie; at infinity every choice is a toss of a coin. Above 0 different answers never tie.
    Raises:
        ValueError: unknown taste, or a temperature below 0 or NaN.
    """

    taste: str | Taste
    temperature: float

    def __post_init__(self) -> None:
        find(self.taste)
        if not self.temperature >= 0:
            raise ValueError(f"The temperature is {self.temperature}; it must be 0 or more.")

    def utility(self, prompt: WorldPrompt, text: str) -> float:
        """What the answer is worth to this labeller.

        Raises:
            ValueError: the taste gives no finite number.
        """
        value = float(find(self.taste)(prompt, text))
        if not math.isfinite(value):
            raise ValueError(f"The taste gives {value} for the answer {text!r}; a utility must be a finite number.")
        return value

    def probability(self, prompt: WorldPrompt, a: str, b: str) -> float:
        """Probability that a is preferred over b: 0.5 where both are worth the same; with swapped sides 1 minus it."""
        return float(_sigmoid(self.utility(prompt, a) - self.utility(prompt, b), self.temperature))

    def choose(self, prompt: WorldPrompt, a: str, b: str, rng: random.Random) -> Literal["a", "b", "tie"]:
        """One choice. It is a tie where the texts are the same, or worth the same to a labeller without noise."""
        difference = self.utility(prompt, a) - self.utility(prompt, b)
        if a == b or (self.temperature == 0 and not sign(difference)):
            return "tie"
        return "a" if rng.random() < _sigmoid(difference, self.temperature) else "b"


def agreement(labeller: Labeller, pairs: Sequence[Pair]) -> float:
    """Expected share of pairs on which two such labellers, independent of each other, choose the same answer.

    Exact, not simulated: the mean of p² + (1 - p)². Pairs that give no label (empty or identical answers, and ties at
    temperature 0) are left out, as `label_pairs` leaves them out.

    Args:
        pairs: (prompt, a, b), prompts of the world.
    Raises:
        ValueError: a pair is not of that form, or none of them gives a label.
    """
    return _agreement(_differences(labeller, pairs), labeller.temperature)


def noise_bound(labeller: Labeller, pairs: Sequence[Pair]) -> float:
    """The highest accuracy that any model can be expected to reach on this labeller's labels of these pairs.

    A model that knew the labeller's mind would name the likelier answer of each pair and be right with probability
    max(p, 1 - p); the bound is the mean. On n labels that were really drawn, its accuracy scatters about the bound
    with a standard deviation of at most 0.5 / sqrt(n). An agreement of A means a bound between A (some pairs clear,
    the others a toss-up) and (1 + sqrt(2 A - 1)) / 2 (the same doubt about every pair).

    Args:
        pairs: as in `agreement`; the same ones are left out.
    Raises:
        ValueError: a pair is not of that form, or none of them gives a label.
    """
    p = _sigmoid(_differences(labeller, pairs), labeller.temperature)
    return float(np.mean(np.maximum(p, 1 - p)))


def labeller_with_agreement(taste: str | Taste, pairs: Sequence[Pair], agreement: float) -> Labeller:
    """A labeller of this taste, so noisy that two such labellers agree on this share of the pairs.

    Args:
        taste: a name in `TASTES`, or a function of (prompt, text).
        pairs: as in `agreement`; the temperature fits these.
        agreement: expected share, from 0.5 (by chance, temperature infinity) to 1 (temperature 0). Two of
            InstructGPT's labellers made the same choice 72.6% of the time (Ouyang et al. 2022, section 3.4).
    Raises:
        ValueError: the share is out of reach, since too many pairs are worth the same to this taste; a pair is not of
            that form, or none of them gives a label.
    """
    if not 0.5 <= agreement <= 1:
        raise ValueError(f"An agreement of {agreement} is out of reach: it lies between 0.5, by chance, and 1.")
    differences = _differences(Labeller(taste, math.inf), pairs)
    equal = float(np.mean([not sign(one) for one in differences]))
    if agreement > 1 - equal / 2:
        raise ValueError(
            f"An agreement of {agreement} is out of reach: {equal:.0%} of the pairs are worth the same to this taste. "
            f"There, noisy labellers toss a coin, so they agree on {1 - equal / 2:.3f} at most. Ask for less, or leave "
            "such pairs out."
        )
    if agreement in (0.5, 1):
        return Labeller(taste, math.inf if agreement == 0.5 else 0.0)
    low, high = -600.0, 600.0  # logarithm of the temperature: no agreement changes beyond these
    while (middle := (low + high) / 2) not in (low, high):
        if _agreement(differences, math.exp(middle)) > agreement:
            low = middle
        else:
            high = middle
    return Labeller(taste, math.exp(high))


def checked_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, each with a prompt of the world and two texts.

    Raises:
        ValueError: one is not; its row is named.
    """
    checked = []
    for row, pair in enumerate(pairs):
        parts = tuple(pair)
        sound = len(parts) == 3 and isinstance(parts[0], WorldPrompt)
        if not sound or not all(isinstance(text, str) for text in parts[1:]):
            mend = "Write (prompt, a, b): a Question or Request and two texts."
            raise ValueError(f"Pair {row} (counted from 0) is {pair!r}. {mend}")
        checked.append(Pair(*parts))
    return checked


def unusable(a: str, b: str) -> Literal["", "empty", "identical"]:
    """Why two answers make no comparison, whoever is asked; "" if they do."""
    if not a.strip() or not b.strip():
        return "empty"
    return "identical" if a == b else ""


def _differences(labeller: Labeller, pairs: Sequence[Pair]) -> np.ndarray:
    """u(a) - u(b) of each pair that gets a label, shape (labelled,)."""
    usable = [pair for pair in checked_pairs(pairs) if not unusable(pair.a, pair.b)]
    differences = np.array([labeller.utility(p, a) - labeller.utility(p, b) for p, a, b in usable])
    if labeller.temperature == 0:
        differences = differences[[bool(sign(one)) for one in differences]]
    if not len(differences):
        raise ValueError(f"None of the {len(pairs)} pairs gives a label: their answers are empty, identical or tied.")
    return differences


def _agreement(differences: np.ndarray, temperature: float) -> float:
    p = _sigmoid(differences, temperature)
    return float(np.mean(p**2 + (1 - p) ** 2))


def _sigmoid(difference: float | np.ndarray, temperature: float) -> np.ndarray:
    """sigmoid(difference / temperature), with its limits at temperatures 0 and infinity."""
    if temperature == 0:
        return (np.sign(difference) + 1) / 2
    with np.errstate(over="ignore"):  # a tiny temperature gives an infinite quotient, and its tanh is 1
        return (1 + np.tanh(np.divide(difference, temperature) / 2)) / 2
