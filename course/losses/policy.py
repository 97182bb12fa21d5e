"""The losses of PPO, and the measures of how far a policy has moved: clip fraction, approximate KL, KL, entropy.

Serves notebooks 09 (claims O3 and O9), 10 and 14. The clipped losses follow Schulman et al. 2017, equation 7, the
estimators Schulman 2020 ("Approximating KL divergence").

All tensors of one batch of answers have the shape (answers, tokens). `mask` is 1 on the tokens that count, the stop
token included, and 0 after it; what other tensors hold where it is 0 has no effect, whatever it is.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from course.numerics import no_spread

KL_KINDS = ("k1", "k2", "k3")


class PolicyLoss(NamedTuple):
    """What `clipped_policy_loss` returns.

    Attributes:
        loss: scalar, to be minimised.
        clip_fraction: share of the counted tokens from which the clip takes the gradient, those whose minimum is the
            clipped term. A ratio outside the range is not enough: where it has moved against its advantage, the token
            is still learnt from. TRL and verl count like this; CleanRL and Stable-Baselines3 count every ratio outside
            the range, so theirs is higher.
        approx_kl: approximate KL(old policy || new policy), the mean of k3 per token, in nats: the size of the step
            so far. 0 before the first step from these answers.
    """

    loss: Tensor
    clip_fraction: float
    approx_kl: float


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the counted entries of the whole batch together, so a long answer weighs more than a short one.

    Args:
        x, mask: the same shape.
    Raises:
        ValueError: shapes differ, nothing is to be counted, or a counted entry is not finite.
    """
    check_batch(mask, x=x)
    return _counted(x, mask).sum() / mask.sum()


def whiten(x: Tensor, mask: Tensor, size: float | Tensor = 0.0) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the counted entries; where all are equal, there are zeros.

    (x - mean) / sqrt(variance). Equal is what differs by rounding only (`course.numerics`), which must not be blown up.

    Args:
        x, mask: the same shape.
        size: of the numbers that x was computed from, if they are larger: an advantage is a difference of rewards and
            values, and carries their rounding.
    Returns:
        The shape of x, 0 where nothing is counted.
    Raises:
        ValueError: as `masked_mean`.
    """
    centred = _counted(x - masked_mean(x, mask), mask)
    if no_spread(x[mask != 0], size):
        return torch.zeros_like(centred)
    return centred / masked_mean(centred**2, mask).sqrt()


def clipped_policy_loss(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2
) -> PolicyLoss:
    """PPO's loss: raise the probability of tokens with a positive advantage, lower the others', both within the clip.

        loss = -mean over tokens of min(ratio * A, clamp(ratio, 1 - clip, 1 + clip) * A)

    where ratio = exp(logp - old_logp) is pi(token) / pi_old(token). Once it has passed 1 + clip where the advantage is
    positive, or 1 - clip where it is negative, the minimum takes the clipped term, which has no gradient. On the other
    side, where the policy has moved against its advantage, the gradient stays and brings it back.

    Args:
        logps: log-probabilities of the sampled tokens under the policy in training, (answers, tokens), natural log.
        old_logps: under the policy that sampled them; no gradient flows into them, nor into the advantages.
        advantages: how much better than expected each token was.
        mask: 1 on tokens that count.
        clip: half the width of the range of ratios; epsilon in the paper, `cliprange` in TRL.
    Raises:
        ValueError: shapes differ, nothing is to be counted, or a counted entry is not finite.
    Source: Schulman et al. 2017, eq. 7; taught in notebook 09.
    """
    check_batch(mask, logps=logps, old_logps=old_logps, advantages=advantages)
    log_ratio = _counted(logps - old_logps.detach(), mask)
    advantages = _counted(advantages.detach(), mask)
    ratio = log_ratio.exp()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip, 1 + clip) * advantages
    loss = -masked_mean(torch.min(plain, clipped), mask)
    with torch.no_grad():
        clip_fraction = masked_mean((clipped < plain).float(), mask)
        approx_kl = masked_mean(kl_estimate(torch.zeros_like(log_ratio), log_ratio, "k3"), mask)
    return PolicyLoss(loss, float(clip_fraction), float(approx_kl))


def clipped_value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float | None = 0.2
) -> Tensor:
    """Half the squared error of the values, the worse of it as it is and of it with values kept near the old ones.

        loss = mean over tokens of max((V - R)^2, (V_near - R)^2) / 2,  V_near = V_old + clamp(V - V_old, -clip, clip)

    Args:
        values: V of each token under the value model in training, (answers, tokens).
        old_values: when the answers were sampled.
        returns: what the values should have been.
        mask: 1 on tokens that count.
        clip: how far a value may move from its old one before it stops being trained; None for no limit. TRL's
            `cliprange_value`. In units of the reward, so a range that suits one reward model is too narrow for another.
    Returns:
        Scalar, in squared units of the reward.
    Raises:
        ValueError: as `clipped_policy_loss`.
    Source: the reference implementation of Schulman et al. 2017; taught in notebook 09.
    """
    check_batch(mask, values=values, old_values=old_values, returns=returns)
    old_values, returns = old_values.detach(), returns.detach()
    error = _counted(values - returns, mask) ** 2
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.max(error, _counted(near - returns, mask) ** 2)
    return 0.5 * masked_mean(error, mask)


def kl_estimate(logps: Tensor, ref_logps: Tensor, kind: str = "k1") -> Tensor:
    """Estimate of KL(policy || reference) at each token, from the one token that the policy sampled there.

    With d = log pi_ref - log pi: k1 = -d, k2 = d^2 / 2, k3 = exp(d) - 1 - d. The mean of k1 and of k3 is the KL
    itself; k1 is negative for about half the tokens, k3 never: rounding below 0 is cut off. k2 is biased, little as
    long as the two are near. Summed over an answer and weighted by beta, an estimate is PPO's KL penalty; the mean of
    k3 between the old and the new policy is what training logs call the approximate KL (`approx_kl`).

    Args:
        logps, ref_logps: log-probabilities of the sampled tokens, (answers, tokens), natural log.
        kind: "k1", "k2" or "k3".
    Returns:
        The same shape, in nats; 0 where the two agree, so also where both are 0 after the stop token.
    Raises:
        ValueError: shapes differ, or no such kind.
    Source: Schulman 2020; taught in notebook 09 (claim O9).
    """
    if logps.shape != ref_logps.shape:
        raise ValueError(f"logps {tuple(logps.shape)} and ref_logps {tuple(ref_logps.shape)} differ in shape.")
    d = ref_logps - logps
    match kind:
        case "k1":
            return -d
        case "k2":
            return d**2 / 2
        case "k3":
            return (d.expm1() - d).clamp(min=0)
    raise ValueError(f"There is no KL estimate {kind!r}; choose from {', '.join(KL_KINDS)}.")


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """How much of what differs between the returns the values foretold: 1 - Var[returns - values] / Var[returns].

    1 is perfect, 0 is what one constant for all tokens reaches, and below 0 the values do harm: the model that gave
    them is not trained yet, or its learning rate is too high.

    Args:
        values, returns, mask: the same shape.
    Returns:
        At most 1; 0 where the returns do not differ, so that there is nothing to explain.
    Raises:
        ValueError: as `masked_mean`.
    Source: `explained_variance` of the reference implementation of Schulman et al. 2017 (OpenAI Baselines).
    """
    check_batch(mask, values=values, returns=returns)
    counted = mask != 0
    wanted, missed = returns[counted], (returns - values)[counted]
    if no_spread(wanted):
        return 0.0
    return float(1 - missed.var(correction=0) / wanted.var(correction=0))


def exact_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """KL(policy || reference) of the next-token distributions: the sum over the vocabulary of p * log(p / p_ref).

    Args:
        logits, ref_logits: scores, (..., vocabulary), any float dtype; minus infinity forbids a token.
    Returns:
        float32 of shape (...), in nats; infinite where the policy does what the reference never does.
    Raises:
        ValueError: shapes differ.
    """
    if logits.shape != ref_logits.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and ref_logits {tuple(ref_logits.shape)} differ in shape.")
    logp, ref_logp = logits.float().log_softmax(-1), ref_logits.float().log_softmax(-1)
    p = logp.exp()
    return (p * (logp - ref_logp).masked_fill(p == 0, 0.0)).sum(-1)  # 0 log 0 is 0


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the next-token distribution, minus the sum over the vocabulary of p * log p.

    It is 0 where one token is certain, and log(vocabulary) where all are alike.

    Args:
        logits: scores, (..., vocabulary), any float dtype; minus infinity forbids a token.
    Returns:
        float32 of shape (...), in nats.
    """
    logp = logits.float().log_softmax(-1)
    p = logp.exp()
    return -(p * logp.masked_fill(p == 0, 0.0)).sum(-1)


def _counted(x: Tensor, mask: Tensor) -> Tensor:
    # Not x * mask: what stands after the stop token may be infinite or not a number, and 0 times that is no zero.
    return x.masked_fill(mask == 0, 0.0)


def check_batch(mask: Tensor, **tensors: Tensor) -> None:
    """Return quietly if all have the mask's shape, something is counted, and all that is counted is finite.

    Raises:
        ValueError: names the tensor, and the first entry that is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.shape != mask.shape:
            raise ValueError(f"{name} {tuple(tensor.shape)} and mask {tuple(mask.shape)} differ in shape.")
    if not mask.any():
        raise ValueError("Nothing is to be counted: the mask is 0 throughout. Are all answers empty?")
    for name, tensor in tensors.items():
        bad = ~tensor.isfinite() & (mask != 0)
        if bad.any():
            where = bad.nonzero()[0].tolist()
            raise ValueError(
                f"{name}{where} is {tensor[tuple(where)].item()}, and {int(bad.sum())} of {int(mask.count_nonzero())} "
                "counted entries are not finite. Look for what made them: a reward, a weight or a log of 0."
            )
