"""Reward functions: what they are, the true one, and new ones made of others.

Serves notebooks 08 to 10, where each of these is a cure that is measured. The minimum of an ensemble is Coste et al.
2023's.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course.models import require_list
from course.text import word_count
from course.train import Prompt
from course.world import Question, Request, score

RewardFunction = Callable[[Sequence[Prompt], Sequence[str]], Tensor]
"""Takes N prompts and N texts, returns float32 of shape (N,), on the CPU."""


def true_reward(prompts: Sequence[Question | Request], texts: Sequence[str]) -> Tensor:
    """The true score of each answer, 0 to 1, by the world's tables: what every other reward stands in for.

    Raises:
        ValueError: one text in the place of a list, or a prompt that is a text; only a question of the world has a true
            answer.
    """
    require_list(prompts, "prompts")
    require_list(texts, "texts")
    for i, prompt in enumerate(prompts):
        if not hasattr(prompt, "text"):
            raise ValueError(f"prompts[{i}] is no question of course.world, so nothing says which answer is true.")
    return torch.tensor([score(prompt, text).total for prompt, text in zip(prompts, texts, strict=True)])


def clipped(reward: RewardFunction, low: float, high: float) -> RewardFunction:
    """The reward, but never below `low` nor above `high`: nothing is gained by what scores suspiciously high.

    Raises:
        ValueError: low is not below high.
    """
    if not low < high:
        raise ValueError(f"low={low} must be below high={high}.")
    return lambda prompts, texts: reward(prompts, texts).clamp(low, high)


def length_penalised(reward: RewardFunction, per_word: float) -> RewardFunction:
    """The reward minus `per_word` for each word of the answer."""
    return plus(reward, _words, -per_word)


def plus(reward: RewardFunction, other: RewardFunction, weight: float) -> RewardFunction:
    """The reward plus `weight` times the other."""
    return lambda prompts, texts: reward(prompts, texts) + weight * other(prompts, texts)


def _words(prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
    return torch.tensor([float(word_count(text)) for text in texts])


class Ensemble:
    """Several reward models asked together, trained with other seeds or on other samples of the comparisons.

    Where they disagree, the answer is unlike what they were trained on, and their minimum is the cautious score. Each
    has a zero of its own, by accident: without `centred`, the minimum would mostly be the model whose zero is lowest.
    """

    def __init__(self, members: Sequence[RewardFunction], zeros: Sequence[float] | None = None) -> None:
        """
        Args:
            members: K reward models (or reward functions of any kind), at least two.
            zeros: what is subtracted from each one's scores; nothing if not given.
        Raises:
            ValueError: fewer than two members, or not one zero for each.
        """
        self.members, self.zeros = list(members), list(zeros or [0.0] * len(members))
        if len(self.members) < 2 or len(self.zeros) != len(self.members):
            raise ValueError(
                f"{len(self.members)} members, {len(self.zeros)} zeros: give two members or more, and a zero for each."
            )

    def centred(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> "Ensemble":
        """The same members, each with its mean over these answers as its zero; best usual answers of the SFT model."""
        return Ensemble(self.members, [float(member(prompts, texts).mean()) for member in self.members])

    def scores(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """Every member's score of every answer, float32 (K, N)."""
        each = [member(prompts, texts) - zero for member, zero in zip(self.members, self.zeros, strict=True)]
        return torch.stack(each)

    def minimum(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """The lowest of the members' scores, (N,)."""
        return self.scores(prompts, texts).amin(0)

    def mean(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """The mean of the members' scores, (N,)."""
        return self.scores(prompts, texts).mean(0)

    def disagreement(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """How far the members disagree: the standard deviation of their scores (divided by K - 1), (N,)."""
        return self.scores(prompts, texts).std(0)
