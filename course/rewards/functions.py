"""Reward functions: what they are, the true one, and new ones made of others.

Serves notebooks 08 to 10, where each of these is a cure that is measured. The minimum of an ensemble is Coste et al.
2023's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course.models import require_list
from course.text import word_count
from course.train import Prompt
from course.world import Question, Request, score

RewardFunction = Callable[[Sequence[Prompt], Sequence[str]], Tensor]
"""Takes N prompts and N texts, returns float32 of shape (N,), on the CPU."""


def rewards_of(
    function: RewardFunction, prompts: Sequence[Prompt], texts: Sequence[str], name: str = "reward"
) -> Tensor:
    """What a reward function, or a list or array that it returns, gives N answers, (N,).

    Raises:
        ValueError: not one number for each answer; `name` is what the error calls it.
    """
    given = torch.as_tensor(function(prompts, texts))
    if tuple(given.shape) != (len(texts),):
        raise ValueError(f"{name} gave shape {tuple(given.shape)} for {len(texts)} answers: one number for each.")
    if given.isnan().any():
        i = int(given.isnan().int().argmax())
        asked = getattr(prompts[i], "text", prompts[i])
        raise ValueError(f"{name} is not a number (nan) for {asked!r}, answered {texts[i]!r}.")
    return given


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

    def penalised(prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        words = torch.tensor([float(word_count(text)) for text in texts])
        return reward(prompts, texts) - per_word * words

    return penalised


@dataclass(frozen=True)
class Ensemble:
    """Several reward models asked together, trained with other seeds or on other samples of the comparisons.

    Where they disagree, the answer is unlike what they were trained on, and their minimum is the cautious score. Each
    reward model has a zero and a unit of its own, by accident: bring the members to one scale first, or the minimum is
    mostly the model whose zero is lowest.

    Attributes:
        members: K reward models (or reward functions of any kind).
    Raises:
        ValueError: fewer than two members.
    """

    members: Sequence[RewardFunction]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"An ensemble has two members or more, and this one {len(self.members)}: add some.")

    def scores(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """Every member's score of every answer, float32 (K, N)."""
        return torch.stack([member(prompts, texts) for member in self.members])

    def minimum(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """The lowest of the members' scores, (N,)."""
        return self.scores(prompts, texts).amin(0)

    def disagreement(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
        """How far the members disagree: the standard deviation of their scores (divided by K - 1), (N,)."""
        return self.scores(prompts, texts).std(0)
