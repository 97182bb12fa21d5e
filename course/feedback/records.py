"""What labellers leave behind: comparisons, rankings and ratings, as records of `course.formats`.

Serves notebooks 06 and 07. Rankings and ratings come from the same labeller as comparisons do: each utility gets
Gumbel noise of the labeller's temperature, and since the difference of two such noises is logistic, any two answers
of a ranking stand in the order that a comparison gives, with the same probability (Luce 1959; Yellott 1977).
"""

import math
import random
from collections.abc import Sequence
from functools import cmp_to_key
from typing import NamedTuple

import numpy as np

from course import SEED
from course.feedback.labellers import Labeller, Pair, checked_pairs, unusable
from course.feedback.tastes import WorldPrompt
from course.formats import Record
from course.numerics import sign

LIKERT_SCALE = (1, 7)

Asked = Sequence[tuple[WorldPrompt, Sequence[str]]]


class Labelled(NamedTuple):
    """Records, and by kind how much came of what was handed in."""

    records: list[Record]
    counts: dict[str, int]


def label_pairs(labeller: Labeller, pairs: Sequence[Pair], seed: int = SEED) -> Labelled:
    """One choice for each pair, as preference records {prompt, chosen, rejected}.

    Args:
        pairs: (prompt, a, b); the answers to a prompt are usually two samples of the SFT model.
        seed: of the choices; a second labeller is the same call with another seed.
    Returns:
        The records in the order of the pairs, and how many pairs were `labelled`, or gave no record: `tie`,
        `identical`, `empty` (one answer at least has no text).
    Raises:
        ValueError: a pair is not of that form.
    """
    rng = random.Random(seed)
    records: list[Record] = []
    counts = dict.fromkeys(("labelled", "tie", "identical", "empty"), 0)
    for prompt, a, b in checked_pairs(pairs):
        fate = unusable(a, b) or labeller.choose(prompt, a, b, rng)
        if fate in ("a", "b"):
            chosen, rejected = (a, b) if fate == "a" else (b, a)
            records.append({"prompt": prompt.text, "chosen": chosen, "rejected": rejected})
            fate = "labelled"
        counts[fate] += 1
    return Labelled(records, counts)


def rank(labeller: Labeller, asked: Asked, seed: int = SEED) -> Labelled:
    """One ranking of the answers to each prompt, as ranking records {prompt, completions, ranks}.

    The first place goes to an answer with probability proportional to exp(utility / temperature), the second likewise
    among the rest (Plackett-Luce). Whoever ranks has to decide, so at temperature 0 chance orders what is worth the
    same.

    Args:
        asked: (prompt, answers). Answers that are empty or repeat another are left out.
        seed: of the noise.
    Returns:
        The records, answers in the order given; how many prompts were `ranked` and how many had `too few` answers left
        (fewer than two), and how many answers were `identical` or `empty`.
    Raises:
        ValueError: an item is not of that form.
    """
    rng = random.Random(seed)
    records: list[Record] = []
    counts = dict.fromkeys(("ranked", "too few", "identical", "empty"), 0)
    for prompt, texts in _distinct(asked, counts):
        if len(texts) < 2:
            counts["too few"] += 1
            continue
        seen = [(_perceived(labeller, prompt, text, rng), rng.random()) for text in texts]
        best_first = sorted([(*each, i) for i, each in enumerate(seen)], key=cmp_to_key(_before))
        place = {i: rank for rank, (*_, i) in enumerate(best_first, 1)}
        ranks = [place[i] for i in range(len(texts))]
        records.append({"prompt": prompt.text, "completions": texts, "ranks": ranks})
        counts["ranked"] += 1
    return Labelled(records, counts)


def _before(one: tuple[float, float, int], other: tuple[float, float, int]) -> int:
    """Below 0 where `one` (its utility, a number by chance, its place) comes first: chance orders equal utilities."""
    return sign(other[0] - one[0]) or (-1 if one[1] > other[1] else 1)


def rate(labeller: Labeller, asked: Asked, seed: int = SEED) -> Labelled:
    """A rating of each answer from 1 to 7, as Likert records {prompt, completions, ratings, scale}.

    The seven steps divide evenly the range of utilities between the worst and the best of all answers handed in. Noise
    moves an answer along this range, and never beyond the ends of the scale.

    Args:
        asked: (prompt, answers). Answers that are empty or repeat another are left out.
        seed: of the noise.
    Returns:
        The records, answers in the order given; how many answers were `rated`, `identical` or `empty`, and how many
        prompts had `too few` left (none).
    Raises:
        ValueError: an item is not of that form.
    """
    rng = random.Random(seed)
    low, high = LIKERT_SCALE
    counts = dict.fromkeys(("rated", "too few", "identical", "empty"), 0)
    kept = _distinct(asked, counts)
    counts["too few"] = sum(not texts for _, texts in kept)
    utilities = [labeller.utility(prompt, text) for prompt, texts in kept for text in texts]
    worst, best = min(utilities, default=0.0), max(utilities, default=0.0)
    if not sign(best - worst):  # nothing to tell apart: the middle of the scale, noise aside
        worst, best = worst - 0.5, best + 0.5
    edges = np.linspace(worst, best, high - low + 2)[1:-1]
    records: list[Record] = []
    for prompt, texts in kept:
        seen = [_perceived(labeller, prompt, text, rng) for text in texts]
        if texts:
            ratings = [low + int(step) for step in np.searchsorted(edges, seen, side="right")]
            scale = list(LIKERT_SCALE)
            records.append({"prompt": prompt.text, "completions": texts, "ratings": ratings, "scale": scale})
        counts["rated"] += len(texts)
    return Labelled(records, counts)


def _perceived(labeller: Labeller, prompt: WorldPrompt, text: str, rng: random.Random) -> float:
    """The utility and the labeller's Gumbel noise, which has mean zero."""
    noise = -math.log(rng.expovariate(1.0) or 1e-300) - np.euler_gamma
    return labeller.utility(prompt, text) + labeller.temperature * noise


def _distinct(asked: Asked, counts: dict[str, int]) -> list[tuple[WorldPrompt, list[str]]]:
    """Each prompt with its answers, each of them once; what is left out is counted."""
    kept = []
    for row, item in enumerate(asked):
        parts = tuple(item)
        sound = len(parts) == 2 and isinstance(parts[0], WorldPrompt) and isinstance(parts[1], list | tuple)
        if not sound or not all(isinstance(text, str) for text in parts[1]):
            mend = "Write (prompt, answers): a Question or Request and a list of texts."
            raise ValueError(f"Item {row} (counted from 0) is {item!r}. {mend}")
        prompt, texts = parts
        written = [text for text in texts if text.strip()]
        counts["empty"] += len(texts) - len(written)
        counts["identical"] += len(written) - len(set(written))
        kept.append((prompt, list(dict.fromkeys(written))))
    return kept
