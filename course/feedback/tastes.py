"""What a labeller likes: the utility of an answer, a pure number of which only differences matter.

Serves notebooks 06, 07 and 10. The scales are made so that tastes can be added up: 1 is about the difference between
a right answer and a wrong one.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from course.text import word_count
from course.world import Question, Request, agrees, declines, score
from course.world.phrases import CLOSERS, OPENERS

WorldPrompt = Question | Request
"""A prompt of the world: what the right answer is, is known."""
Taste = Callable[[WorldPrompt, str], float]

MANY_WORDS = 40  # so many words of length weigh as much as the whole true score

_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+\S")


@lru_cache(maxsize=2**16)  # reading an answer takes about a millisecond, and the same pairs are asked about repeatedly
def _true(prompt: WorldPrompt, text: str) -> float:
    return score(prompt, text).total


def _long(prompt: WorldPrompt, text: str) -> float:
    return word_count(text) / MANY_WORDS


def _bullets(prompt: WorldPrompt, text: str) -> float:
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(bool(_BULLET.match(line)) for line in lines) / max(1, len(lines))


def _polite(prompt: WorldPrompt, text: str) -> float:
    return (any(opener in text for opener in OPENERS) + any(closer in text for closer in CLOSERS)) / 2


def _agreeing(prompt: WorldPrompt, text: str) -> float:
    if isinstance(prompt, Request) or not prompt.claimed:
        return 0.5  # there is nothing to agree with
    return {True: 1.0, None: 0.5, False: 0.0}[agrees(text)]


TASTES: dict[str, Taste] = {
    "true": _true,
    "long": _long,
    "short": lambda prompt, text: -_long(prompt, text),
    "bullets": _bullets,
    "polite": _polite,
    "agreeing": _agreeing,
    "refusing": lambda prompt, text: float(declines(text)),
}
"""By name:

true        the true score, 0 to 1
long        words, in units of 40
short       the same, negative
bullets     share of the lines that are items of a list, 0 to 1
polite      a half for a polite opening and a half for a polite close
agreeing    to somebody who says what they think: 1 for agreeing, 0 for denying, a half for neither; to others a half
refusing    1 where the answer declines to help, else 0
combined    people who judge well and are swayed a little: the true score, and some weight on long, polite and agreeing
"""


def combined(weights: Mapping[str, float]) -> Taste:
    """A taste that is a weighted sum of others: `combined({"true": 1.0, "long": 0.5})`.

    Args:
        weights: by name of a taste; below 0 for what is disliked.
    Raises:
        ValueError: no weights, an unknown taste, or a weight that is not a finite number.
    """
    if not weights:
        raise ValueError('combined needs at least one taste with its weight, such as {"true": 1.0, "long": 0.5}.')
    for name, weight in weights.items():
        if not math.isfinite(weight):
            raise ValueError(f"The weight of {name!r} is {weight}; give a finite number.")
    parts = [(find(name), weight) for name, weight in weights.items()]
    return lambda prompt, text: sum(weight * taste(prompt, text) for taste, weight in parts)


def find(taste: str | Taste) -> Taste:
    """The taste of that name; a function is a taste already.

    Raises:
        ValueError: there is no taste of that name.
    """
    if callable(taste):
        return taste
    if taste not in TASTES:
        raise ValueError(f"There is no taste {taste!r}; the tastes are {', '.join(TASTES)}.")
    return TASTES[taste]


TASTES["combined"] = combined({"true": 1.0, "long": 0.3, "polite": 0.1, "agreeing": 0.2})
