"""Exercises of lesson 12: IPO on means (Azar et al. 2023), KTO's reference point, ORPO's push (V1, V3, V6)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from course.exercises.definition import Exercise, Sign

# --- IPO, per token -----------------------------------------------------------------------------------------


def ipo_per_token(chosen: Tensor, rejected: Tensor, chosen_tokens: Tensor, rejected_tokens: Tensor, beta: float) -> Any:
    """Mean squared distance of the margin per token from 1 / (2 beta); log-ratios are sums, all of shape (B,)."""
    margin = chosen / chosen_tokens - rejected / rejected_tokens
    return (margin - 1 / (2 * beta)).square().mean()


def _ipo(margin: Callable[..., Tensor], target: Callable[[float], float] = lambda beta: 1 / (2 * beta)) -> Callable:
    def loss(chosen: Tensor, rejected: Tensor, chosen_tokens: Tensor, rejected_tokens: Tensor, beta: float) -> Tensor:
        distance = margin(chosen, rejected, chosen_tokens, rejected_tokens) - target(beta)
        return distance.square().mean()

    return loss


def _means(c: Tensor, r: Tensor, nc: Tensor, nr: Tensor) -> Tensor:
    return c / nc - r / nr


# --- KTO's reference point ----------------------------------------------------------------------------------


def reference_point(policy: Tensor, ref: Tensor) -> Any:
    """How far the policy has moved, by answers under the next prompt: entry (i, j) is answer j under prompt i."""
    ratios = policy - ref
    places = torch.arange(len(ratios))
    return ratios[places, (places + 1) % len(ratios)].mean().clamp(min=0)


def _matched(policy: Tensor, ref: Tensor) -> Tensor:
    return (policy - ref).diagonal().mean().clamp(min=0)


def _others(policy: Tensor, ref: Tensor) -> Tensor:
    return (policy - ref)[~torch.eye(len(policy), dtype=torch.bool)].mean().clamp(min=0)


def _shifted(policy: Tensor, ref: Tensor, by: int = 1) -> Tensor:
    ratios, places = policy - ref, torch.arange(len(policy))
    return ratios[places, (places + by) % len(ratios)]


def _without_last(policy: Tensor, ref: Tensor) -> Tensor:
    return _shifted(policy, ref)[:-1].mean().clamp(min=0)


# --- ORPO's odds --------------------------------------------------------------------------------------------


def orpo_push(chosen_logps: Tensor, rejected_logps: Tensor, lam: float) -> Any:
    """lam times -ln sigmoid of the log odds ratio, of the log-probabilities of two answers' tokens, shape (T,) each."""
    return _push(lambda logps: _log_odds(logps.mean()))(chosen_logps, rejected_logps, lam)


def _log_odds(mean_logp: Tensor) -> Tensor:
    return mean_logp - torch.log(-torch.expm1(mean_logp))


def _push(measure: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, float], Tensor]:
    return lambda chosen, rejected, lam: -lam * logsigmoid(measure(chosen) - measure(rejected))


def _runs_out(got: Any, expected: Any) -> bool:
    """Right where p is well below 1; infinite or no number where 1 - p is tiny."""
    return math.isclose(got, expected, rel_tol=1e-3) or (expected > 20 and not math.isfinite(got))


def _cut_off(got: Any, expected: Any) -> bool:
    """Right where p is well below 1; finite and wrong where 1 - p is tiny."""
    return math.isclose(got, expected, rel_tol=1e-3) or (expected > 20 and math.isfinite(got))


EXERCISES: dict[str, Exercise] = {
    "12-ipo": Exercise(
        cases=[
            (torch.tensor([6.0]), torch.tensor([-2.0]), torch.tensor([3.0]), torch.tensor([4.0]), 0.5),
            (
                torch.tensor([1.5, -4.0, 9.0]),
                torch.tensor([2.0, -8.0, -3.0]),
                torch.tensor([5.0, 2.0, 6.0]),
                torch.tensor([4.0, 10.0, 2.0]),
                0.2,
            ),
            (
                torch.tensor([0.0, 7.0]),
                torch.tensor([0.0, 1.0]),
                torch.tensor([1.0, 7.0]),
                torch.tensor([9.0, 2.0]),
                2.0,
            ),
        ],
        solution=ipo_per_token,
        why="Divided by its own length, a long answer and a short one can reach the same margin.",
        mistakes={
            "beta_on_margin": lambda c, r, nc, nr, beta: (beta * _means(c, r, nc, nr) - 1 / (2 * beta)).square().mean(),
            "two_beta": _ipo(_means, lambda beta: 2 * beta),
            "squared_too_early": lambda c, r, nc, nr, beta: (_means(c, r, nc, nr).square() - 1 / (2 * beta)).mean(),
            "mean_length": _ipo(lambda c, r, nc, nr: (c - r) / ((nc + nr) / 2)),
            "not_squared": lambda c, r, nc, nr, beta: (_means(c, r, nc, nr) - 1 / (2 * beta)).mean(),
            "dpo": lambda c, r, nc, nr, beta: -logsigmoid(beta * _means(c, r, nc, nr)).mean(),
            "sums": _ipo(lambda c, r, nc, nr: c - r),
            "one_length": _ipo(lambda c, r, nc, nr: (c - r) / (nc + nr)),
            "chosen_length": _ipo(lambda c, r, nc, nr: (c - r) / nc),
            "swapped": _ipo(lambda c, r, nc, nr: r / nr - c / nc),
            "target_1_over_beta": _ipo(_means, lambda beta: 1 / beta),
            "half_beta": _ipo(_means, lambda beta: beta / 2),
            "no_target": _ipo(_means, lambda beta: 0.0),
            "beta_times": _ipo(lambda c, r, nc, nr: c / nc - r / nr, lambda beta: 1 / 2 / beta / beta),
            "mean_first": lambda c, r, nc, nr, beta: (_means(c, r, nc, nr).mean() - 1 / (2 * beta)).square(),
            "summed": lambda c, r, nc, nr, beta: ipo_per_token(c, r, nc, nr, beta) * len(c),
            "absolute": lambda c, r, nc, nr, beta: (_means(c, r, nc, nr) - 1 / (2 * beta)).abs().mean(),
            "one_sided": lambda c, r, nc, nr, beta: (
                (1 / (2 * beta) - _means(c, r, nc, nr)).clamp(min=0).square().mean()
            ),
            "rejected_added": _ipo(lambda c, r, nc, nr: c / nc + r / nr),
            "lengths_swapped": _ipo(lambda c, r, nc, nr: c / nr - r / nc),
            "beta_in_the_margin": lambda c, r, nc, nr, beta: (beta * _means(c, r, nc, nr) - 0.5).square().mean(),
            "goal_one_half": _ipo(_means, lambda beta: 0.5),
            "halved": lambda c, r, nc, nr, beta: ipo_per_token(c, r, nc, nr, beta) / 2,
            "root": lambda c, r, nc, nr, beta: ipo_per_token(c, r, nc, nr, beta).sqrt(),
            "mean_lengths": _ipo(lambda c, r, nc, nr: c / nc.mean() - r / nr.mean()),
            "goal_2_over_beta": _ipo(_means, lambda beta: 2 / beta),
            "rejected_length": _ipo(lambda c, r, nc, nr: (c - r) / nr),
            "multiplied": _ipo(lambda c, r, nc, nr: c * nc - r * nr),
            "squares_subtracted": lambda c, r, nc, nr, beta: (
                _means(c, r, nc, nr).square() - (1 / (2 * beta)) ** 2
            ).mean(),
            "root_lengths": _ipo(lambda c, r, nc, nr: c / nc.sqrt() - r / nr.sqrt()),
            "whole_numbers": _ipo(lambda c, r, nc, nr: c // nc - r // nr),
            "huber": lambda c, r, nc, nr, beta: torch.nn.functional.huber_loss(
                _means(c, r, nc, nr), torch.full_like(c, 1 / (2 * beta))
            ),
        },
    ),
    "12-reference-point": Exercise(
        cases=[
            (
                torch.tensor([[-2.0, -9.0, -8.0], [-9.0, -3.0, -7.0], [-6.0, -9.0, -4.0]]),
                torch.tensor([[-6.0, -10.0, -8.5], [-9.5, -6.0, -9.0], [-9.0, -9.5, -5.0]]),
            ),
            (
                torch.tensor([[-1.0, -8.0, -4.0], [-9.0, -2.0, -9.5], [-9.0, -9.0, -3.0]]),
                torch.tensor([[-5.0, -6.0, -9.0], [-9.0, -6.0, -7.0], [-7.0, -6.0, -5.0]]),
            ),
            (
                torch.tensor(
                    [[-3.0, -5.0, -9.0, -7.0], [-6.0, -2.0, -1.0, -8.0], [-9.0, -4.0, -5.0, -7.5], [-2.0] * 4]
                ),
                torch.tensor(
                    [[-4.0, -6.0, -9.5, -7.0], [-6.0, -4.0, -6.0, -9.0], [-7.0, -4.0, -6.0, -5.5], [-5.0] * 4]
                ),
            ),
        ],
        solution=reference_point,
        why="Answers to other prompts tell how far the policy has moved in general, not whether it got these right.",
        special={
            "there are two prompts": [
                (torch.tensor([[-1.0, -4.0], [-2.0, -3.0]]), torch.tensor([[-2.0, -5.0], [-4.0, -6.0]])),
            ],
            "some log-ratios are below 0": [
                (
                    torch.tensor([[-9.0, -3.0, -5.0], [-4.0, -7.0, -8.0], [-1.0, -2.0, -9.0]]),
                    torch.tensor([[-8.0, -6.0, -4.0], [-5.0, -6.0, -6.0], [-3.0, -3.0, -7.0]]),
                ),
            ],
        },
        mistakes={
            "size": lambda policy, ref: _shifted(policy, ref).mean().abs(),
            "ratio": lambda policy, ref: (policy / ref)[range(len(ref)), [*range(1, len(ref)), 0]].mean().clamp(min=0),
            "not_averaged": lambda policy, ref: _shifted(policy, ref).clamp(min=0),
            "matched": _matched,
            "no_floor": lambda policy, ref: _shifted(policy, ref).mean(),
            "floor_first": lambda policy, ref: _shifted(policy, ref).clamp(min=0).mean(),
            "all_pairs": lambda policy, ref: (policy - ref).mean().clamp(min=0),
            "all_others": _others,
            "wrong_neighbour": lambda policy, ref: _shifted(policy, ref, -1).mean().clamp(min=0),
            "last_lost": _without_last,
            "summed": lambda policy, ref: _shifted(policy, ref).sum().clamp(min=0),
            "swapped": lambda policy, ref: reference_point(ref, policy),
            "exponential": lambda policy, ref: _shifted(policy, ref).exp().mean(),
            "ceiling": lambda policy, ref: _shifted(policy, ref).mean().clamp(max=0),
            "own_reference": lambda policy, ref: (policy.roll(-1, 1).diagonal() - ref.diagonal()).mean().clamp(min=0),
            "two_further": lambda policy, ref: _shifted(policy, ref, 2).mean().clamp(min=0),
            "largest": lambda policy, ref: _shifted(policy, ref).max().clamp(min=0),
            "median": lambda policy, ref: _shifted(policy, ref).median().clamp(min=0),
            "last_matched": lambda policy, ref: (
                torch.cat([_shifted(policy, ref)[:-1], (policy - ref).diagonal()[-1:]]).mean().clamp(min=0)
            ),
            "next_prompt_under_the_policy": lambda policy, ref: (
                (policy.roll(-1, 0) - ref).diagonal().mean().clamp(min=0)
            ),
            "beyond_the_matched": lambda policy, ref: (
                (policy - ref).diagonal().mean() - _shifted(policy, ref).mean()
            ).clamp(min=0),
        },
    ),
    "12-orpo-push": Exercise(
        cases=[
            (torch.tensor([-0.1, -0.3]), torch.tensor([-0.7]), 1.0),
            (torch.tensor([-2.0, -1.0, -3.0]), torch.tensor([-0.05, -0.4, -0.1, -0.2]), 0.5),
            (torch.tensor([-1e-9, -3e-9]), torch.tensor([-1e-30, -1e-30, -1e-30]), 2.0),
        ],
        solution=orpo_push,
        why="Trained models are often nearly certain of a token, and there the plain formula takes the logarithm of 0.",
        mistakes={
            "with_sft": lambda chosen, rejected, lam: orpo_push(chosen, rejected, lam) - chosen.mean(),
            "first_token": _push(lambda logps: _log_odds(logps[0])),
            "sums": _push(lambda logps: _log_odds(logps.sum())),
            "probabilities": _push(lambda logps: logps.mean()),
            "arithmetic": _push(lambda logps: torch.logit(logps.double().exp().mean())),
            "per_token": _push(lambda logps: _log_odds(logps).mean()),
            "log_rest": _push(lambda logps: -torch.log(-torch.expm1(logps.mean()))),
            "added": _push(lambda logps: logps.mean() + torch.log(-torch.expm1(logps.mean()))),
            "of_logs": _push(lambda logps: logps.mean() - torch.log1p(-logps.mean())),
            "swapped": lambda chosen, rejected, lam: orpo_push(rejected, chosen, lam),
            "no_minus": lambda chosen, rejected, lam: -orpo_push(chosen, rejected, lam),
            "no_lam": lambda chosen, rejected, lam: orpo_push(chosen, rejected, 1.0),
            "lam_inside": lambda chosen, rejected, lam: (
                -logsigmoid(lam * (_log_odds(chosen.mean()) - _log_odds(rejected.mean())))
            ),
            "no_sigmoid": lambda chosen, rejected, lam: lam * (_log_odds(rejected.mean()) - _log_odds(chosen.mean())),
            "odds_ratio": lambda chosen, rejected, lam: (
                -lam * logsigmoid((_log_odds(chosen.mean()) - _log_odds(rejected.mean())).exp())
            ),
            "no_logarithm": lambda chosen, rejected, lam: (
                lam * torch.sigmoid(_log_odds(rejected.mean()) - _log_odds(chosen.mean()))
            ),
            "runs_out": Sign(_runs_out),
            "cut_off": Sign(_cut_off),
            "odds_difference": lambda chosen, rejected, lam: (
                -lam * logsigmoid(_log_odds(chosen.mean()).exp() - _log_odds(rejected.mean()).exp())
            ),
            "logarithm_of_a_negative": _push(lambda logps: logps.mean() - torch.log(torch.expm1(logps.mean()))),
            "one_plus_p": _push(lambda logps: logps.mean() - torch.log1p(logps.mean().exp())),
            "last_token": _push(lambda logps: _log_odds(logps[-1])),
            "odds_divided": lambda chosen, rejected, lam: (
                -lam * logsigmoid(_log_odds(chosen.mean()) / _log_odds(rejected.mean()))
            ),
            "odds_added": lambda chosen, rejected, lam: (
                -lam * logsigmoid(_log_odds(chosen.mean()) + _log_odds(rejected.mean()))
            ),
            "sigmoid_alone": lambda chosen, rejected, lam: (
                -lam * torch.sigmoid(_log_odds(chosen.mean()) - _log_odds(rejected.mean()))
            ),
            "lam_added": lambda chosen, rejected, lam: lam + orpo_push(chosen, rejected, 1.0),
            "median_token": _push(lambda logps: _log_odds(logps.median())),
            "one_rest": lambda chosen, rejected, lam: (
                -lam * logsigmoid(chosen.mean() - rejected.mean() - torch.log(-torch.expm1(chosen.mean())))
            ),
        },
    ),
}
