"""From one score for an answer to what each of its tokens is to be blamed or praised for.

Serves notebooks 09 (claims O2 and O6) and 10. Token rewards and the adaptive penalty follow Ziegler et al. 2019,
section 2.2; generalised advantage estimation follows Schulman et al. 2016, equations 11 to 16.

All tensors have the shape (answers, tokens) unless it says otherwise. `mask` is 1 on the tokens that count, the stop
token included, and 0 after it; what the other tensors hold there has no effect, and every result is 0 there.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from course.losses.policy import check_batch, kl_estimate


@torch.no_grad()
def token_rewards(
    scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float, kind: str = "k1"
) -> Tensor:
    """The reward of each token: minus beta times its estimated KL, and on the last one the answer's score as well.

    Args:
        scores: what the reward model gave each answer, shape (answers,).
        logps, ref_logps: log-probabilities of the sampled tokens under the policy and the reference, natural log.
        mask: 1 on tokens that count.
        beta: what a nat of KL costs, in units of the score.
        kind: which KL estimate, see `course.losses.policy.kl_estimate`. Summed over an answer, rewards of "k1" are in
            the mean score - beta * KL.
    Raises:
        ValueError: shapes do not fit, something is not finite, or an answer has no token; names which.
    """
    if scores.shape != mask.shape[:1]:
        raise ValueError(f"scores {tuple(scores.shape)} do not fit: expected one for each of {len(mask)} answers.")
    _check(mask, logps=logps, ref_logps=ref_logps)
    if not scores.isfinite().all():
        i = int((~scores.isfinite()).int().argmax())
        raise ValueError(f"scores[{i}] is {scores[i].item()}: the reward of answer {i} must be a finite number.")
    rewards = -beta * kl_estimate(logps, ref_logps, kind).masked_fill(mask == 0, 0.0)
    last = mask.long().sum(dim=1) - 1
    rewards[torch.arange(len(mask), device=mask.device), last] += scores
    return rewards


@torch.no_grad()
def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation: how much better each token did than the value model expected.

    The one-step error is delta_t = r_t + gamma * V_{t+1} - V_t, and the advantage is the sum of the errors from t on,
    each weighted by (gamma * lam) to the power of its distance; from the last token backwards that is
    A_t = delta_t + gamma * lam * A_{t+1}. An answer is over after its last token: V is 0 there, also where the limit
    of tokens cut the answer off.

    Args:
        rewards: of each token.
        values: V before each token, that is, what is expected of the rewards from this token on.
        mask: 1 on tokens that count.
        gamma: discount of a reward for each token that it is away.
        lam: 0 trusts the values (the one-step error: little noise, their bias), 1 trusts what happened (the return
            minus the value: no bias, much noise).
    Returns:
        (advantages, returns), where returns = advantages + values is what the values are trained towards.
    Raises:
        ValueError: shapes do not fit, something is not finite, or an answer has no token; names which.
    """
    _check(mask, rewards=rewards, values=values)
    rewards, values = (x.masked_fill(mask == 0, 0.0) for x in (rewards, values))
    advantages = torch.zeros_like(values)
    next_value = next_advantage = torch.zeros_like(values[:, 0])
    for t in reversed(range(mask.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantages[:, t] = delta + gamma * lam * next_advantage
        next_value, next_advantage = values[:, t], advantages[:, t]  # after the stop token all of these are 0
    return advantages, advantages + values


@dataclass
class FixedKL:
    """A KL penalty that stays as it is.

    Attributes:
        beta: what a nat of KL costs, in units of the score. Usual: 0.01 to 0.2.
    """

    beta: float

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def update(self, kl: float, answers: int) -> None:
        """Nothing changes."""


@dataclass
class AdaptiveKL:
    """A KL penalty that grows while the KL is above its target and shrinks while it is below.

    Attributes:
        beta: the penalty to begin with, then the present one.
        target: the KL of an answer (the sum over its tokens) that is wanted, in nats. Usual: 1 to 10.
        horizon: after about this many answers that are 20% or more off the target, beta has changed by a fifth.
    Source: Ziegler et al. 2019, section 2.2.
    """

    beta: float
    target: float
    horizon: int = 100

    def __post_init__(self) -> None:
        _check_beta(self.beta)
        if self.beta == 0:
            raise ValueError("beta=0: it is changed by factors, so it would stay 0. Begin with a small one, say 0.01.")
        if not self.target > 0 or self.horizon < 1:
            raise ValueError(f"target={self.target} must be above 0 and horizon={self.horizon} at least 1.")

    def update(self, kl: float, answers: int) -> None:
        """Adapt beta.

        Args:
            kl: mean KL of an answer just now, in nats; being an estimate, it may be below 0.
            answers: how many answers that was the mean of.
        """
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.beta *= 1 + error * min(answers / self.horizon, 1.0)  # whatever the horizon, beta stays above 0


def _check_beta(beta: float) -> None:
    if not (beta >= 0 and math.isfinite(beta)):
        raise ValueError(f"beta={beta}: give a finite number of at least 0.")


def _check(mask: Tensor, **tensors: Tensor) -> None:
    counts = mask.bool()
    empty, hole = ~counts.any(dim=1), (counts[:, 1:] & ~counts[:, :-1]).any(dim=1)
    if empty.any():
        raise ValueError(
            f"Answer {int(empty.int().argmax())} has no token: its row of the mask is 0. Even one that ends at once "
            "has its stop token."
        )
    if hole.any():
        raise ValueError(f"Answer {int(hole.int().argmax())} has a hole: its row of the mask must be ones, then zeros.")
    check_batch(mask, **tensors)
