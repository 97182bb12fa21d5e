"""What happens to the answers of one PPO iteration: their scores become advantages, which are then learnt from.

Serves notebook 09, which takes the same steps by hand on three tokens (claims O1, O3, O8). Answers are handled in
groups of similar length, which saves padding; each group counts by its tokens, so that the gradient is that of the
whole minibatch. Several epochs over one batch of answers: Schulman et al. 2017, algorithm 1.
"""

import math
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from course.batching import Example
from course.losses.policy import (
    clipped_policy_loss,
    clipped_value_loss,
    entropy,
    explained_variance,
    kl_estimate,
    masked_mean,
    whiten,
)
from course.losses.sft import token_logps
from course.models import LM
from course.resume import TrainingStopped
from course.rl.advantages import gae, token_rewards
from course.rl.memory import checkpointing
from course.rl.settings import PPOConfig
from course.rl.value import ValueModel
from course.rollouts import Rollouts, response_logits, response_logps
from course.train import add_sft_gradient


@dataclass(frozen=True)
class Experience:
    """Answers with what is learnt from them: `values`, `advantages` and `returns` of their tokens, (B, R)."""

    rollouts: Rollouts
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def rows(self, indices: Sequence[int]) -> "Experience":
        """These answers, without the columns in which none of them has a token."""
        rollouts = self.rollouts.rows(indices)
        width = rollouts.mask.shape[1]
        return Experience(rollouts, *(x[indices, :width] for x in (self.values, self.advantages, self.returns)))


def reference_logps(policy: LM, reference: LM | None, rollouts: Rollouts, temperature: float = 1.0) -> Tensor:
    """`response_logps` of the reference; without one, of the policy with its LoRA adapters switched off."""
    if reference is not None:
        return response_logps(reference, rollouts, temperature)
    with policy.model.disable_adapter():
        return response_logps(policy, rollouts, temperature)


@torch.no_grad()
def score_rollouts(
    policy: LM,
    reference: LM | None,
    value: ValueModel,
    rollouts: Rollouts,
    scores: Tensor,
    beta: float,
    settings: PPOConfig,
) -> tuple[Experience, dict[str, Any]]:
    """Make an advantage for each token out of one score for each answer, the KL penalty and the value model's guess.

    Args:
        scores: of the answers, shape (B,).
        beta: the weight of the KL penalty.
    Returns:
        The experience to learn from, and what `PPORun.history` records of it.
    """
    mask = rollouts.mask
    ref_logps, values = torch.zeros_like(mask), torch.zeros_like(mask)
    size = math.ceil(2 * settings.mini_batch_size / settings.accumulate)  # nothing is kept: twice as many as in a step
    for rows in by_length(rollouts, range(len(rollouts)), size):
        part = rollouts.rows(rows)
        width = part.mask.shape[1]
        ref_logps[rows, :width] = reference_logps(policy, reference, part, settings.temperature or 1.0)
        values[rows, :width] = value(part) * part.mask
    rewards = token_rewards(scores, rollouts.logps, ref_logps, mask, beta, settings.kl_estimator)
    advantages, returns = gae(rewards, values, mask, settings.gamma, settings.lam)
    measured = {
        "reward": float(scores.mean()),
        "reward_std": float(scores.std(correction=0)),
        "kl": float((kl_estimate(rollouts.logps, ref_logps) * mask).sum(1).mean()),
        "entropy": float(-masked_mean(rollouts.logps, mask)),
        "length": float(mask.sum(1).mean()),
        "stopped": sum(rollouts.stopped) / len(rollouts),
        "value_error": float(masked_mean((returns - values) ** 2, mask).sqrt()),
        "explained_variance": explained_variance(values, returns, mask),
    }
    if settings.whiten_advantages:
        advantages = whiten(advantages, mask, size=max(float(x.abs().max()) for x in (scores, rewards, values)))
    return Experience(rollouts, values, advantages, returns), measured


def update(
    policy: LM,
    value: ValueModel,
    optimizer: torch.optim.Optimizer,
    experience: Experience,
    settings: PPOConfig,
    sft_examples: Sequence[Example],
    order: random.Random,
) -> dict[str, float]:
    """Learn from the answers of one iteration, `settings.epochs` times.

    Returns:
        `clip_fraction` and `approx_kl` as in `PolicyLoss`, means over the optimizer steps.
    Raises:
        TrainingStopped: the norm of a gradient is not a number; that step was not taken.
    """
    steps, count = [], len(experience.rollouts)
    with checkpointing(policy.model, value.trunk) if settings.checkpointing else nullcontext():
        for _ in range(settings.epochs):
            rows = order.sample(range(count), count)
            for first in range(0, count, settings.mini_batch_size):
                step = rows[first : first + settings.mini_batch_size]
                steps.append(_backward(policy, value, experience, step, settings))
                if settings.sft_coefficient:
                    examples = order.sample(sft_examples, min(settings.sft_batch, len(sft_examples)))
                    add_sft_gradient(policy, [examples], settings.sft_coefficient)
                for name, group in zip(("policy", "value model"), optimizer.param_groups, strict=True):
                    norm = float(nn.utils.clip_grad_norm_(group["params"], settings.max_grad_norm))
                    if not math.isfinite(norm):
                        raise TrainingStopped(f"The norm of the {name}'s gradient is {norm}.")
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
    means = (sum(column) / len(steps) for column in zip(*steps, strict=True))
    return dict(zip(("clip_fraction", "approx_kl"), means, strict=True))


def _backward(
    policy: LM, value: ValueModel, experience: Experience, rows: Sequence[int], settings: PPOConfig
) -> tuple[float, float]:
    """Add the gradients of the two clipped losses on these answers; returns clip fraction and approximate KL."""
    tokens, clip_fraction, approx_kl = float(experience.rollouts.mask[rows].sum()), 0.0, 0.0
    for group in by_length(experience.rollouts, rows, math.ceil(len(rows) / settings.accumulate)):
        part = experience.rows(group)
        rollouts, mask = part.rollouts, part.rollouts.mask
        share = float(mask.sum()) / tokens

        logits = response_logits(policy, rollouts, settings.temperature or 1.0)
        logps = token_logps(logits, rollouts.response_ids)
        done = clipped_policy_loss(logps, rollouts.logps, part.advantages, mask, settings.clip)
        loss = done.loss
        if settings.entropy_bonus:
            loss = loss - settings.entropy_bonus * masked_mean(entropy(logits), mask)
        (share * loss).backward()

        error = clipped_value_loss(value(rollouts), part.values, part.returns, mask, settings.value_clip)
        (share * error).backward()
        clip_fraction += share * done.clip_fraction
        approx_kl += share * done.approx_kl
    return clip_fraction, approx_kl


def by_length(rollouts: Rollouts, rows: Sequence[int], size: int) -> list[list[int]]:
    """The rows in groups of at most `size`, each of answers that are similar in length."""
    lengths = (rollouts.prompt_mask.sum(1) + rollouts.mask.sum(1)).tolist()
    ordered = sorted(rows, key=lambda i: lengths[i])
    return [ordered[first : first + size] for first in range(0, len(ordered), size)]
