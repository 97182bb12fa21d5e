"""What labels cost: prices and amounts that were published, and a sum.

Serves the cost calculator of notebook 06 (claim F3). The amounts are those of Ouyang et al. 2022 (section 3.5 and
table 6), the prices those that Huyen gives in "AI Engineering" (2024, chapter 2): the first for InstructGPT, the other
two from the Llama 2 team.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

PRICES: dict[str, float] = {"demonstration": 10.0, "comparison": 3.5, "written answer": 25.0}
"""Dollars for one of each."""
PUBLISHED_DEMONSTRATIONS = 13_000
"""So many demonstrations InstructGPT was fine-tuned on."""
PUBLISHED_RANKINGS = 33_000
"""So many prompts had their answers ranked for InstructGPT's reward model; often called 33,000 comparisons."""
PUBLISHED_ANSWERS_RANKED = (4, 9)
"""From so many answers to so many in each of these rankings."""


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


def annotation_cost(
    demonstrations: int = 0, comparisons: int = 0, votes: int = 1, prices: Mapping[str, float] = PRICES
) -> Cost:
    """What labels cost.

    >>> annotation_cost(demonstrations=13_000).total
    130000.0

    Args:
        demonstrations, comparisons: how many of each, 0 or more.
        votes: people who judge each comparison, 1 or more.
        prices: dollars, by the keys of `PRICES`.
    Raises:
        ValueError: an amount or a price is too small or not finite, or a price is missing.
    """
    if missing := [name for name in PRICES if name not in prices]:
        raise ValueError(f"There is no price of a {missing[0]}; give one for each of: {', '.join(PRICES)}.")
    for name, value, least in [
        ("The number of demonstrations", demonstrations, 0),
        ("The number of comparisons", comparisons, 0),
        ("The number of votes", votes, 1),
        *((f"The price of a {name}", prices[name], 0) for name in PRICES),
    ]:
        if not (value >= least and math.isfinite(value)):
            raise ValueError(f"{name} is {value}; it must be a finite number of at least {least}.")
    judged = comparisons * votes
    return Cost(
        demonstrations * prices["demonstration"], judged * prices["comparison"], judged * prices["written answer"]
    )
