"""Exercises of lesson 09: token rewards, advantages, the clipped loss (Ziegler 2019, 2.2; Schulman 2016 and 2017)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from course.exercises.definition import Exercise

# --- the reward of each token -------------------------------------------------------------------------------


def reward_tokens(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Minus beta times log(policy / reference) at each token, and the score (B,) on the last one; others are (B, T)."""
    rewards = -beta * (logps - ref_logps) * mask
    last = mask.sum(1).long() - 1
    rewards[torch.arange(len(mask)), last] += scores
    return rewards


def _scored_at(place: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def made(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
        rewards = reward_tokens(torch.zeros_like(scores), logps, ref_logps, mask, beta)
        rewards[torch.arange(len(mask)), place(mask)] += scores
        return rewards

    return made


def _on_every_token(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    return (scores[:, None] - beta * (logps - ref_logps)) * mask


def _shared_out(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    return _on_every_token(scores / mask.sum(1), logps, ref_logps, mask, beta)


def _after_the_end_too(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    inside = reward_tokens(scores, logps, ref_logps, mask, beta)
    return inside - beta * (logps - ref_logps) * (1 - mask)


def _kl_at_the_end(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = ((logps - ref_logps) * mask).sum(1)
    return reward_tokens(scores - beta * kl, logps, logps, mask, beta)


def _of_probabilities(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    return reward_tokens(scores, logps.exp(), ref_logps.exp(), mask, beta)


def _score_for_all_but(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    """The score takes the penalty's place on the last token instead of being added to it."""
    rewards = reward_tokens(scores, logps, ref_logps, mask, beta)
    rewards[torch.arange(len(mask)), mask.sum(1).long() - 1] = scores
    return rewards


# --- advantages ---------------------------------------------------------------------------------------------


def _on_every_row(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    rewards = reward_tokens(torch.zeros_like(scores), logps, ref_logps, mask, beta)
    rewards[:, mask.sum(1).long() - 1] += scores
    return rewards


def advantages_of(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """Advantage of each token of one answer, from the last to the first; the answer is worth 0 once it is over."""
    return _advantages()(rewards, values, gamma, lam)


def _advantages(
    after_the_end: Callable[[list[float]], float] = lambda values: 0.0,
    delta: Callable[[float, float, float, float], float] = lambda r, gamma, following, v: r + gamma * following - v,
    decay: Callable[[float, float], float] = lambda gamma, lam: gamma * lam,
) -> Callable[[list[float], list[float], float, float], list[float]]:
    def made(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
        advantages, running, following = [], 0.0, after_the_end(values)
        for r, v in zip(reversed(rewards), reversed(values), strict=True):
            running = delta(r, gamma, following, v) + decay(gamma, lam) * running
            advantages.insert(0, running)
            following = v
        return advantages

    return made


def _returns(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    return [a + v for a, v in zip(advantages_of(rewards, values, gamma, lam), values, strict=True)]


def _forwards(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """The errors are right, and each token is given those before it instead of those after it."""
    made, running = [], 0.0
    for delta in advantages_of(rewards, values, gamma, 0.0):
        running = delta + gamma * lam * running
        made.append(running)
    return made


# --- the clipped loss ---------------------------------------------------------------------------------------


def clipped_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Minus the mean, over the counted tokens, of the smaller of ratio * A and clipped ratio * A; all are (B, T)."""
    return _loss()(logps, old_logps, advantages, mask, clip)


def _ratio(logps: Tensor, old_logps: Tensor) -> Tensor:
    return (logps - old_logps).exp()


def _over_tokens(terms: Tensor, mask: Tensor) -> Tensor:
    return (terms * mask).sum() / mask.sum()


def _loss(
    ratio: Callable[[Tensor, Tensor], Tensor] = _ratio,
    terms: Callable[[Tensor, Tensor, float], Tensor] = lambda ratio, a, clip: torch.min(
        ratio * a, ratio.clamp(1 - clip, 1 + clip) * a
    ),
    mean: Callable[[Tensor, Tensor], Tensor] = _over_tokens,
) -> Callable[..., Tensor]:
    def made(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
        return -mean(terms(ratio(logps, old_logps), advantages, clip), mask)

    return made


_TOKENS = (
    torch.tensor([[-1.0, -0.5, -1.5], [-0.25, -2.0, -6.0]]),
    torch.tensor([[-1.0, -1.5, -0.5], [-0.75, -1.0, -3.0]]),
    torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]),
)

EXERCISES: dict[str, Exercise] = {
    "09-token-rewards": Exercise(
        cases=[
            (torch.tensor([1.0]), _TOKENS[0][:1], _TOKENS[1][:1], _TOKENS[2][:1], 0.1),
            (torch.tensor([0.75, -2.0]), *_TOKENS, 0.2),
            (
                torch.tensor([2.0, 0.5]),
                torch.tensor([[-0.5, -4.0, -1.0, -2.0], [-1.0, -0.5, -2.0, -3.0]]),
                torch.tensor([[-1.5, -3.0, -2.0, -7.0], [-1.5, -1.5, -1.0, -2.0]]),
                torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]),
                0.5,
            ),
        ],
        solution=reward_tokens,
        why="Summed over an answer, these rewards are the score minus beta times how far the policy strayed.",
        special={
            "a score is 0": [(torch.tensor([0.0]), _TOKENS[0][:1], _TOKENS[1][:1], _TOKENS[2][:1], 0.3)],
            "an answer has one token": [
                (
                    torch.tensor([1.5, -1.0]),
                    torch.tensor([[-0.5, -4.0], [-1.0, -0.5]]),
                    torch.tensor([[-1.5, -3.0], [-1.5, -1.5]]),
                    torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
                    0.25,
                ),
            ],
        },
        mistakes={
            "everywhere": lambda scores, logps, ref, mask, beta: (
                reward_tokens(0 * scores, logps, ref, mask, beta) + scores[:, None]
            ),
            "one_number": lambda scores, logps, ref, mask, beta: reward_tokens(scores, logps, ref, mask, beta).sum(1),
            "one_early": _scored_at(lambda mask: (mask.sum(1).long() - 2).clamp(min=0)),
            "squared": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, (logps - ref).square(), 0 * ref, mask, beta
            ),
            "size": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, (logps - ref).abs(), 0 * ref, mask, beta
            ),
            "score_weighted": lambda scores, logps, ref, mask, beta: reward_tokens(
                beta * scores, logps, ref, mask, beta
            ),
            "to_come": lambda *given: reward_tokens(*given).flip(1).cumsum(1).flip(1),
            "last_column": _scored_at(lambda mask: torch.full((len(mask),), mask.shape[1] - 1)),
            "first_token": _scored_at(lambda mask: torch.zeros(len(mask), dtype=torch.long)),
            "one_late": _scored_at(lambda mask: mask.sum(1).long().clamp(max=mask.shape[1] - 1)),
            "every_token": _on_every_token,
            "shared_out": _shared_out,
            "bonus": lambda scores, logps, ref, mask, beta: reward_tokens(scores, ref, logps, mask, beta),
            "no_beta": lambda scores, logps, ref, mask, beta: reward_tokens(scores, logps, ref, mask, 1.0),
            "no_mask": _after_the_end_too,
            "kl_at_the_end": _kl_at_the_end,
            "probabilities": _of_probabilities,
            "replaced": _score_for_all_but,
            "no_score": lambda scores, *rest: reward_tokens(torch.zeros_like(scores), *rest),
            "ratios": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, (logps - ref).exp(), 0 * ref, mask, beta
            ),
            "averaged": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, (logps - ref) / mask.sum(1, keepdim=True), 0 * ref, mask, beta
            ),
            "never_negative": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, (ref - logps).exp() - 1 - (ref - logps), 0 * ref, mask, beta
            ),
            "every_row": _on_every_row,
            "upside_down_mask": lambda scores, logps, ref, mask, beta: (
                reward_tokens(scores, 0 * logps, 0 * ref, mask, beta) - beta * (logps - ref) * (1 - mask)
            ),
            "only_rises": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, (logps - ref).clamp(min=0), 0 * ref, mask, beta
            ),
            "weighed_by_probability": lambda scores, logps, ref, mask, beta: reward_tokens(
                scores, logps.exp() * (logps - ref), 0 * ref, mask, beta
            ),
        },
    ),
    "09-gae": Exercise(
        cases=[
            ([0.0, -0.1, 1.1], [0.5, 0.8, 0.7], 1.0, 0.5),
            ([0.0, 0.0, 0.2, 1.0], [0.3, 0.6, 0.1, 0.4], 0.9, 0.8),
            ([0.3, -0.2, 0.1, 0.0, 0.9, -0.4], [0.1, 0.7, -0.3, 0.2, 0.6, 0.8], 0.7, 0.6),
        ],
        solution=advantages_of,
        why="Each error is passed back to the tokens before it, less of it the further they are away.",
        special={
            "there is one token": [([0.5], [2.0], 0.7, 0.9)],
            "gamma and lambda are 1": [([0.0, 0.5, 1.0], [0.2, 0.4, 0.8], 1.0, 1.0)],
            "lambda is 0": [([0.1, 0.5, 1.0], [0.2, 0.4, 0.8], 0.9, 0.0)],
        },
        mistakes={
            "own_discounted": lambda rewards, values, gamma, lam: [
                gamma * lam * advantage for advantage in advantages_of(rewards, values, gamma, lam)
            ],
            "rewards_passed_back": lambda rewards, values, gamma, lam: [
                a - v for a, v in zip(advantages_of(rewards, [0.0] * len(values), gamma, lam), values, strict=True)
            ],
            "value_added": _advantages(delta=lambda r, gamma, following, v: r + gamma * following + v),
            "decay_added": _advantages(decay=lambda gamma, lam: gamma + lam),
            "bootstrapped": _advantages(after_the_end=lambda values: values[-1]),
            "no_next_value": _advantages(delta=lambda r, gamma, following, v: r - v),
            "no_baseline": _advantages(delta=lambda r, gamma, following, v: r + gamma * following),
            "undiscounted_value": _advantages(delta=lambda r, gamma, following, v: r + following - v),
            "minus": _advantages(delta=lambda r, gamma, following, v: v - r - gamma * following),
            "no_lambda": _advantages(decay=lambda gamma, lam: gamma),
            "no_gamma": _advantages(decay=lambda gamma, lam: lam),
            "one_step": _advantages(decay=lambda gamma, lam: 0.0),
            "returns": _returns,
            "forwards": _forwards,
            "backwards_list": lambda *given: advantages_of(*given)[::-1],
            "values_left_out": lambda rewards, values, gamma, lam: advantages_of(
                rewards, [0.0] * len(values), gamma, lam
            ),
            "next_value_taken_off": _advantages(delta=lambda r, gamma, following, v: r - gamma * following + v),
            "centred": lambda *given: [a - sum(advantages_of(*given)) / len(given[0]) for a in advantages_of(*given)],
            "value_before": lambda rewards, values, gamma, lam: advantages_of(
                [r + gamma * (b - f) for r, b, f in zip(rewards, [0.0, *values], [*values[1:], 0.0], strict=False)],
                values,
                gamma,
                lam,
            ),
            "next_error_only": lambda rewards, values, gamma, lam: [
                one + gamma * lam * following
                for one, following in pairwise([*advantages_of(rewards, values, gamma, 0.0), 0.0])
            ],
            "powers_from_the_start": lambda rewards, values, gamma, lam: [
                sum((gamma * lam) ** k * d for k, d in enumerate(advantages_of(rewards, values, gamma, 0.0)) if k >= t)
                for t in range(len(rewards))
            ],
            "exchanged": lambda rewards, values, gamma, lam: advantages_of(rewards, values, lam, gamma),
        },
    ),
    "09-clipped-loss": Exercise(
        cases=[
            (
                torch.tensor([[1.5, 0.5, 1.5, 0.5]]).log(),
                torch.zeros(1, 4),
                torch.tensor([[1.0, 1.0, -1.0, -1.0]]),
                torch.ones(1, 4),
                0.2,
            ),
            (
                torch.tensor([[-0.5, -1.0, -0.7], [-2.0, -0.3, -0.1]]),
                torch.tensor([[-1.0, -1.1, -0.2], [-1.2, -0.35, -3.0]]),
                torch.tensor([[2.0, 0.5, -1.0], [-0.4, 1.5, 4.0]]),
                torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]),
                0.1,
            ),
            (
                torch.tensor([[-1.3, -0.2], [-0.9, -2.5]]),
                torch.tensor([[-0.4, -0.3], [-1.0, -1.0]]),
                torch.tensor([[1.2, -0.8], [0.6, -1.4]]),
                torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
                0.3,
            ),
        ],
        solution=clipped_loss,
        why="What has moved far enough the right way is left alone; what has moved the wrong way is brought back.",
        special={
            "the two models are equal": [
                (_TOKENS[0], _TOKENS[0], torch.tensor([[1.0, -2.0, 0.5], [0.5, 1.0, 9.0]]), _TOKENS[2], 0.2),
            ],
            "all advantages are below 0": [
                (_TOKENS[0], _TOKENS[1], torch.tensor([[-1.0, -2.0, -0.5], [-0.5, -1.0, -9.0]]), _TOKENS[2], 0.2),
            ],
        },
        mistakes={
            "below_only": _loss(terms=lambda r, a, clip: torch.min(r * a, r.clamp(min=1 - clip) * a)),
            "product_clipped": _loss(terms=lambda r, a, clip: (r * a).clamp(1 - clip, 1 + clip)),
            "smaller_ratio": _loss(terms=lambda r, a, clip: torch.min(r, r.clamp(1 - clip, 1 + clip)) * a),
            "per_answer": _loss(mean=lambda terms, mask: (terms * mask).sum() / len(mask)),
            "advantage_forgotten": _loss(terms=lambda r, a, clip: torch.min(r * a, r.clamp(1 - clip, 1 + clip))),
            "larger": _loss(terms=lambda r, a, clip: torch.max(r * a, r.clamp(1 - clip, 1 + clip) * a)),
            "only_clipped": _loss(terms=lambda r, a, clip: r.clamp(1 - clip, 1 + clip) * a),
            "not_clipped": _loss(terms=lambda r, a, clip: r * a),
            "no_minus": lambda *given: -clipped_loss(*given),
            "upside_down": _loss(ratio=lambda new, old: _ratio(old, new)),
            "difference": _loss(ratio=lambda new, old: new - old),
            "of_logarithms": _loss(ratio=lambda new, old: new / old),
            "above_only": _loss(terms=lambda r, a, clip: torch.min(r * a, r.clamp(max=1 + clip) * a)),
            "around_zero": _loss(terms=lambda r, a, clip: torch.min(r * a, r.clamp(-clip, clip) * a)),
            "all_columns": _loss(mean=lambda terms, mask: (terms * mask).mean()),
            "padding": _loss(mean=lambda terms, mask: terms.mean()),
            "sum": _loss(mean=lambda terms, mask: (terms * mask).sum()),
            "each_answer": _loss(mean=lambda terms, mask: ((terms * mask).sum(1) / mask.sum(1)).mean()),
            "terms_added": _loss(terms=lambda r, a, clip: r * a + r.clamp(1 - clip, 1 + clip) * a),
            "terms_averaged": _loss(terms=lambda r, a, clip: (r * a + r.clamp(1 - clip, 1 + clip) * a) / 2),
            "logarithm_clipped": lambda logps, old, a, mask, clip: _loss(
                terms=lambda r, a, clip: torch.min(r * a, r.log().clamp(-clip, clip).exp() * a)
            )(logps, old, a, mask, clip),
            "advantage_clipped": _loss(terms=lambda r, a, clip: r * a.clamp(1 - clip, 1 + clip)),
            "other_lower_bound": _loss(
                terms=lambda r, a, clip: torch.min(r * a, r.clamp(1 / (1 + clip), 1 + clip) * a)
            ),
        },
    ),
}
