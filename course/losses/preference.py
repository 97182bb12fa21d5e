"""The losses that learn from preferences without a reward model: DPO and its relatives.

Serves notebooks 11 (claims X1, X2) and 12 (claims V1 to V6). Every function takes log-probabilities of whole answers,
and the name of the argument says which kind: `_logps` are sums over an answer's tokens, `_mean_logps` are means over
them. No gradient flows into what the reference says. Rafailov et al. 2023 (DPO), Azar et al. 2023 (IPO), Ethayarajh et
al. 2024 (KTO), Hong et al. 2024 (ORPO), Meng et al. 2024 (SimPO).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course.losses.reward import one_for_each, pairwise_accuracy
from course.numerics import TOLERANCE


class PreferenceLoss(NamedTuple):
    """A loss to minimise, and what is worth watching beside it.

    Attributes:
        loss: scalar, natural log; gradients flow.
        metrics: means over the batch. Of pairs `margin` (by how much the chosen answer's reward exceeds the rejected
            one's), `accuracy` (share of pairs where it does, equal ones one half), `chosen reward` and
            `rejected reward`; of single answers `desirable reward`, `undesirable reward` (NaN of none) and `kl`. A
            reward is what the method takes the model's own probabilities to say of an answer.
    """

    loss: Tensor
    metrics: dict[str, float]


def dpo_loss(
    policy_chosen_logps: Tensor,
    policy_rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> PreferenceLoss:
    """Direct preference optimisation: Bradley and Terry's loss on the rewards beta * log(policy / reference).

        loss = -mean over pairs of log sigmoid(beta * [log pi(y_w) / pi_ref(y_w) - log pi(y_l) / pi_ref(y_l)])

    for a chosen answer y_w and a rejected one y_l. On means over the tokens instead of sums, a long answer gains no
    more by its length than a short one; beta is then per token, and usual values are larger, 2 to 5 (Lambert et al.
    2024, eq. 6).

    Args:
        policy_chosen_logps, policy_rejected_logps: the policy's sums, or means over the tokens, shape (batch,).
        ref_chosen_logps, ref_rejected_logps: the reference's, shape (batch,).
        beta: what a nat of distance from the reference costs, in units of the reward; above 0. Usual: 0.1 to 0.5.
        label_smoothing: the share of labels that are taken to be the wrong way round, 0 to below 0.5.
    Returns:
        Loss log 2 where policy and reference are the same.
    Raises:
        ValueError: shapes differ, the batch is empty, a log-probability is not a number, or a setting is out of range.
    Source: Rafailov et al. 2023, eq. 7; equals TRL's "sigmoid", and on means "sigmoid_norm". The smoothing is Mitchell
        2023's conservative DPO.
    """
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    chosen, rejected = _log_ratios(*logps)
    loss = _bradley_terry(_positive(beta=beta) * chosen - beta * rejected, label_smoothing)
    return _of_pairs(loss, beta, chosen, rejected, *logps)


def ipo_loss(
    policy_chosen_logps: Tensor,
    policy_rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
) -> PreferenceLoss:
    """Identity preference optimisation: the log-ratio of a pair should be 1 / (2 beta), and no more.

        loss = mean over pairs of [log pi(y_w) / pi_ref(y_w) - log pi(y_l) / pi_ref(y_l) - 1 / (2 beta)]^2

    Args:
        policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps: sums, as the paper prints it,
            or means over the tokens, as its authors ran it; shape (batch,).
        beta: the paper's tau, above 0; the smaller, the wider the margin that is aimed at.
    Returns:
        The mean squared distance from that margin. Rewards are beta times log-ratios, so the margin ends at 1/2.
    Raises:
        ValueError: as `dpo_loss`.
    Source: Azar et al. 2023, eq. 17; on means equals TRL's "ipo".
    """
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    chosen, rejected = _log_ratios(*logps)
    loss = (chosen - rejected - 1 / (2 * _positive(beta=beta))).square().mean()
    return _of_pairs(loss, beta, chosen, rejected, *logps)


def kto_loss(
    policy_desirable_logps: Tensor,
    policy_undesirable_logps: Tensor,
    ref_desirable_logps: Tensor,
    ref_undesirable_logps: Tensor,
    policy_mismatched_logps: Tensor,
    ref_mismatched_logps: Tensor,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> PreferenceLoss:
    """Kahneman-Tversky optimisation: single answers, each good or bad, against a reference point.

        loss = mean over answers of weight * (1 - sigmoid(+-beta * [log pi(y) / pi_ref(y) - z]))

    with + for a good answer and - for a bad one. The reference point z is how far the policy has moved from the
    reference altogether, their KL divergence, estimated on answers that belong to other prompts, and at least 0. It
    carries no gradient.

    Args:
        policy_desirable_logps, ref_desirable_logps: sums of the good answers, shape (D,).
        policy_undesirable_logps, ref_undesirable_logps: sums of the bad ones, shape (U,). One of D and U may be 0.
        policy_mismatched_logps, ref_mismatched_logps: sums of answers under a prompt that is not theirs, shape (M,).
        beta: as in `dpo_loss`.
        desirable_weight, undesirable_weight: with D good and U bad answers in the data, the paper keeps the ratio of
            desirable_weight * D to undesirable_weight * U between 1 and 4/3.
    Returns:
        The mean over all D + U answers.
    Raises:
        ValueError: shapes differ, there is no answer or no mismatched one, a log-probability is not a number, or a
            setting is out of range.
    Source: Ethayarajh et al. 2024, eq. 8; equals TRL's KTOTrainer.
    """
    _same_shape("D", policy_desirable_logps=policy_desirable_logps, ref_desirable_logps=ref_desirable_logps)
    _same_shape("U", policy_undesirable_logps=policy_undesirable_logps, ref_undesirable_logps=ref_undesirable_logps)
    _same_shape("M", policy_mismatched_logps=policy_mismatched_logps, ref_mismatched_logps=ref_mismatched_logps)
    if not len(policy_mismatched_logps):
        raise ValueError("There is no mismatched answer: score at least one under another prompt.")
    if not len(policy_desirable_logps) + len(policy_undesirable_logps):
        raise ValueError("The batch is empty: there is no answer, good or bad.")
    _positive(beta=beta, desirable_weight=desirable_weight, undesirable_weight=undesirable_weight)
    kl = (policy_mismatched_logps - ref_mismatched_logps).detach().mean().clamp(min=0)
    desirable = policy_desirable_logps - ref_desirable_logps.detach()
    undesirable = policy_undesirable_logps - ref_undesirable_logps.detach()
    good = desirable_weight * (1 - torch.sigmoid(beta * (desirable - kl)))
    bad = undesirable_weight * (1 - torch.sigmoid(beta * (kl - undesirable)))
    metrics = {
        "desirable reward": float(beta * desirable.detach().mean()),
        "undesirable reward": float(beta * undesirable.detach().mean()),
        "kl": float(kl),
    }
    return PreferenceLoss(torch.cat([good, bad]).mean(), metrics)


def orpo_loss(
    policy_chosen_mean_logps: Tensor, policy_rejected_mean_logps: Tensor, chosen_nll: Tensor, *, lam: float = 0.1
) -> PreferenceLoss:
    """Odds ratio preference optimisation: the loss of SFT, and a push on the odds of chosen against rejected.

        loss = chosen_nll - lam * mean over pairs of log sigmoid(log odds(y_w) / odds(y_l))

    The odds of an answer are p / (1 - p), with p the geometric mean of its tokens' probabilities.

    Args:
        policy_chosen_mean_logps, policy_rejected_mean_logps: means over the answers' tokens, shape (batch,), at most 0.
        chosen_nll: scalar, the loss of SFT on the chosen answers. The paper counts the answers' tokens; TRL's trainer
            those of the prompts too.
        lam: weight of the push, above 0. Usual: 0.1 to 1. TRL calls it beta.
    Returns:
        `chosen_nll` + lam * log 2 where both answers are equally likely. Rewards are lam times mean log-probabilities.
    Raises:
        ValueError: as `dpo_loss`; also a log-probability above 0, or chosen_nll is not one number.
    Source: Hong et al. 2024, eq. 6 and 7.
    """
    chosen, rejected = policy_chosen_mean_logps, policy_rejected_mean_logps
    _same_batch(policy_chosen_mean_logps=chosen, policy_rejected_mean_logps=rejected)
    if chosen_nll.ndim or not chosen_nll.isfinite():
        raise ValueError(f"chosen_nll must be one finite number, a tensor without axes, not {chosen_nll}.")
    if (highest := max(float(chosen.detach().max()), float(rejected.detach().max()))) > TOLERANCE:
        raise ValueError(f"The highest log-probability is {highest:.4g}; the logarithm of a probability is at most 0.")
    log_odds_ratio = _log_odds(chosen) - _log_odds(rejected)
    loss = chosen_nll - _positive(lam=lam) * F.logsigmoid(log_odds_ratio).mean()
    return _of_pairs(loss, lam, chosen, rejected, chosen, rejected)


def simpo_loss(
    policy_chosen_mean_logps: Tensor,
    policy_rejected_mean_logps: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
    label_smoothing: float = 0.0,
) -> PreferenceLoss:
    """Simple preference optimisation: the reward is beta times the mean log-probability, without a reference.

        loss = -mean over pairs of log sigmoid(beta * [mean log pi(y_w) - mean log pi(y_l)] - gamma)

    The inner means are over an answer's tokens.

    Args:
        policy_chosen_mean_logps, policy_rejected_mean_logps: means over the answers' tokens, shape (batch,).
        beta: above 0. Usual: 2 to 10.
        gamma: the margin by which the chosen answer is to win, 0 or more. Usual: 0.3 to 1.6.
        label_smoothing: as in `dpo_loss`.
    Raises:
        ValueError: as `dpo_loss`.
    Source: Meng et al. 2024, eq. 6; equals TRL's CPOTrainer with loss_type "simpo" and cpo_alpha 0. That trainer's own
        default adds the loss of SFT on the chosen answers, which the paper does not.
    """
    chosen, rejected = policy_chosen_mean_logps, policy_rejected_mean_logps
    _same_batch(policy_chosen_mean_logps=chosen, policy_rejected_mean_logps=rejected)
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma={gamma} must be 0 or more.")
    loss = _bradley_terry(_positive(beta=beta) * chosen - beta * rejected - gamma, label_smoothing)
    return _of_pairs(loss, beta, chosen, rejected, chosen, rejected)


# --- what they share --------------------------------------------------------------------------------------------------


def _log_ratios(*logps: Tensor) -> tuple[Tensor, Tensor]:
    """log(policy / reference) of the chosen and of the rejected answers, (batch,) each."""
    _same_batch(**dict(zip(("policy_chosen", "policy_rejected", "ref_chosen", "ref_rejected"), logps, strict=True)))
    policy_chosen, policy_rejected, ref_chosen, ref_rejected = logps
    return policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()


def _bradley_terry(margins: Tensor, label_smoothing: float) -> Tensor:
    """Negative log-likelihood of the labels, of which the given share is taken to be swapped."""
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing={label_smoothing} must be at least 0 and below 0.5, which says nothing.")
    right, swapped = F.logsigmoid(margins), F.logsigmoid(-margins)
    return -((1 - label_smoothing) * right + label_smoothing * swapped).mean()


def _log_odds(logps: Tensor) -> Tensor:
    """log(p / (1 - p)) from log p, also near p = 1, where 1 - exp(log p) would be rounded away.

    For p of 1 itself the odds are infinite, and nothing could be learnt; it counts as the nearest number below.
    """
    logps = logps.clamp(max=-torch.finfo(logps.dtype).tiny)
    return logps - torch.log(-torch.expm1(logps))


def _of_pairs(loss: Tensor, factor: float, chosen: Tensor, rejected: Tensor, *logps: Tensor) -> PreferenceLoss:
    """The metrics of pairs whose rewards are `factor` times these numbers, which are differences of the `logps`."""
    chosen, rejected = chosen.detach(), rejected.detach()
    metrics = {
        "margin": float((factor * chosen - factor * rejected).mean()),
        "accuracy": pairwise_accuracy(chosen, rejected, size=max(float(each.detach().abs().max()) for each in logps)),
        "chosen reward": float((factor * chosen).mean()),
        "rejected reward": float((factor * rejected).mean()),
    }
    return PreferenceLoss(loss, metrics)


def _positive(**settings: float) -> float:
    """The last of the settings, all of which should be above 0 and finite."""
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value} must be above 0.")
    return value


def _same_batch(**logps: Tensor) -> None:
    _same_shape("batch", **logps)
    if not all(map(len, logps.values())):
        raise ValueError("The batch is empty: there is no pair to compare.")


def _same_shape(size: str, **logps: Tensor) -> None:
    one_for_each("log-probability", size, **logps)
    for name, tensor in logps.items():
        if not tensor.isfinite().all():
            at = int((~tensor.isfinite()).int().argmax())
            raise ValueError(
                f"{name}[{at}] is {tensor[at].item()}, not a finite number. Look for an answer without a token that "
                "counts, a token that is forbidden, or damaged weights."
            )
