"""What labels cost: published prices, and a sum.

Serves the cost calculator of notebooks 06 and 13 (claim F3). Huyen gives the prices in "AI Engineering" (2024, chapter
2): the first for InstructGPT, the other two from the Llama 2 team.
"""

import math
from typing import NamedTuple

DEMONSTRATION, COMPARISON, WRITTEN_ANSWER = 10.0, 3.5, 25.0  # dollars for one of each


class Cost(NamedTuple):
    """Dollars for the labelling alone, without designing tasks, checking quality or computing.

    Attributes:
        demonstrations: for all demonstrations.
        comparisons: for all votes on all comparisons.
        written_instead: what it would cost to have an answer written from nothing in place of each vote.
    """

    demonstrations: float
    comparisons: float
    written_instead: float

    @property
    def total(self) -> float:
        """Demonstrations and comparisons."""
        return self.demonstrations + self.comparisons


def annotation_cost(demonstrations: int = 0, comparisons: int = 0, votes: int = 1) -> Cost:
    """What labels cost.

    >>> annotation_cost(demonstrations=13_000).total
    130000.0

    Args:
        demonstrations, comparisons: how many of each, 0 or more.
        votes: people who judge each comparison, 1 or more.
    Raises:
        ValueError: an amount is too small or not finite.
    """
    asked = ("demonstrations", demonstrations, 0), ("comparisons", comparisons, 0), ("votes", votes, 1)
    for name, value, least in asked:
        if not (value >= least and math.isfinite(value)):
            raise ValueError(f"The number of {name} is {value}; it must be a finite number of at least {least}.")
    judged = comparisons * votes
    return Cost(demonstrations * DEMONSTRATION, judged * COMPARISON, judged * WRITTEN_ANSWER)
