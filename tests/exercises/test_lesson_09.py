"""Exercises of lesson 09: many right ways to write them, and wrong ones with the hint that fits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course import rl
from course.exercises import EXERCISES
from course.exercises.lesson_09 import advantages_of, clipped_loss, reward_tokens
from course.losses.policy import clipped_policy_loss
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of

REWARDS, GAE, CLIP = (EXERCISES[f"09-{name}"] for name in ("token-rewards", "gae", "clipped-loss"))


def batch(lengths: list[int], seed: int) -> tuple[torch.Tensor, ...]:
    """Two random tensors and a mask with rows of these lengths; behind the mask stands something large."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.stack([(torch.arange(max(lengths)) < n).double() for n in lengths])
    one, other = torch.randn(2, *mask.shape, generator=generator, dtype=torch.float64)
    return one.masked_fill(mask == 0, 9.0), other.masked_fill(mask == 0, -9.0), mask


# ---- a reward for each token -------------------------------------------------------------------------------


def rewards_by_loop(scores, logps, ref_logps, mask, beta):
    made = []
    for score, p, q, counts in zip(scores.tolist(), logps.tolist(), ref_logps.tolist(), mask.tolist(), strict=True):
        n = int(sum(counts))
        row = [-beta * (a - b) for a, b in zip(p[:n], q[:n], strict=True)] + [0.0] * (len(counts) - n)
        row[n - 1] += score
        made.append(row)
    return made


def rewards_by_shift(scores, logps, ref_logps, mask, beta):
    following = torch.cat([mask[:, 1:], torch.zeros(len(mask), 1)], dim=1)
    return beta * (ref_logps - logps) * mask + scores[:, None] * (mask - following)


@pytest.mark.parametrize("attempt", [rewards_by_loop, rewards_by_shift, rl.token_rewards])
def test_rewards_right(attempt):
    assert grade(REWARDS, attempt).kind == "right"


def scored_in(column):
    def made(scores, logps, ref_logps, mask, beta):
        rewards = -beta * (logps - ref_logps) * mask
        rewards[:, column] += scores
        return rewards

    return made


def assigned(scores, logps, ref_logps, mask, beta):
    rewards = -beta * (logps - ref_logps) * mask
    rewards[range(len(mask)), mask.sum(1).long() - 1] = scores
    return rewards


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (scored_in(-1), "last_column"),
        (scored_in(0), "first_token"),
        (assigned, "replaced"),
        (lambda s, p, q, m, b: (s[:, None] - b * (p - q)) * m, "every_token"),
        (lambda s, p, q, m, b: ((s / m.sum(1))[:, None] - b * (p - q)) * m, "shared_out"),
        (lambda s, p, q, m, b: rewards_by_loop(s, q, p, m, b), "bonus"),
        (lambda s, p, q, m, b: rewards_by_loop(s, p, q, m, 1.0), "no_beta"),
        (lambda s, p, q, m, b: rewards_by_loop(s, p.exp(), q.exp(), m, b), "probabilities"),
        (lambda s, p, q, m, b: -b * (p - q) * m, "no_score"),
        (lambda s, p, q, m, b: rl.token_rewards(s, p, q, m, b, kind="k3"), "never_negative"),
        (lambda s, p, q, m, b: s - b * ((p - q) * m).sum(1), "one_number"),
    ],
)
def test_rewards_wrong(attempt, mistake):
    assert verdict_of(REWARDS, attempt) == ("wrong", mistake)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 99), st.floats(0, 2))
def test_the_rewards_are_the_courses_and_sum_to_the_score_minus_the_penalty(lengths, seed, beta):
    logps, ref_logps, mask = batch(lengths, seed)
    scores = torch.arange(len(lengths), dtype=torch.float64)
    made = reward_tokens(scores, logps, ref_logps, mask, beta)
    torch.testing.assert_close(made, rl.token_rewards(scores, logps, ref_logps, mask, beta))
    torch.testing.assert_close(made.sum(1), scores - beta * ((logps - ref_logps) * mask).sum(1))


# ---- advantages --------------------------------------------------------------------------------------------


def explicit_sum(rewards, values, gamma, lam):
    following = [*values[1:], 0.0]
    errors = [r + gamma * n - v for r, n, v in zip(rewards, following, values, strict=True)]
    return [sum((gamma * lam) ** k * e for k, e in enumerate(errors[t:])) for t in range(len(errors))]


def in_numpy(rewards, values, gamma, lam):
    r, v = np.array(rewards), np.array(values)
    distance = np.arange(len(r))[None] - np.arange(len(r))[:, None]
    return np.where(distance >= 0, (gamma * lam) ** np.abs(distance), 0) @ (r + gamma * np.append(v[1:], 0) - v)


@pytest.mark.parametrize("attempt", [explicit_sum, in_numpy])
def test_gae_right(attempt):
    assert grade(GAE, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda r, v, g, lam: explicit_sum(r, v, g, 0.0), "one_step"),
        (lambda r, v, g, lam: explicit_sum(r, v, g, 1.0), "no_lambda"),
        (lambda r, v, g, lam: explicit_sum(r, [0.0] * len(v), g, lam), "values_left_out"),
        (lambda r, v, g, lam: [a + b for a, b in zip(explicit_sum(r, v, g, lam), v, strict=True)], "returns"),
        (lambda r, v, g, lam: explicit_sum(r, v, g, lam)[::-1], "backwards_list"),
        (lambda r, v, g, lam: [-a for a in explicit_sum(r, v, g, lam)], "minus"),
        (lambda r, v, g, lam: sum(r), None),
        (lambda r, v, g, lam: explicit_sum(r, v, g, lam)[0], None),
    ],
)
def test_gae_wrong(attempt, mistake):
    assert verdict_of(GAE, attempt) == ("wrong", mistake)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=8), st.floats(0, 1), st.floats(0, 1)
)
def test_gae_is_the_courses(tokens, gamma, lam):
    rewards, values = map(list, zip(*tokens, strict=True))
    both = (torch.tensor([column], dtype=torch.float64) for column in (rewards, values))
    ours, _ = rl.gae(*both, torch.ones(1, len(tokens)), gamma, lam)
    assert advantages_of(rewards, values, gamma, lam) == pytest.approx(ours[0].tolist(), abs=1e-9)


# ---- the clipped loss --------------------------------------------------------------------------------------


def by_cases(logps, old_logps, advantages, mask, clip):
    total = 0.0
    for p, q, a, counts in zip(*(x.flatten().tolist() for x in (logps, old_logps, advantages, mask)), strict=True):
        ratio = math.exp(p - q)
        total += counts * a * (min(ratio, 1 + clip) if a > 0 else max(ratio, 1 - clip))
    return -total / float(mask.sum())


def by_largest_loss(logps, old_logps, advantages, mask, clip):
    ratio = torch.exp(logps) / torch.exp(old_logps)
    worse = torch.max(-ratio * advantages, -torch.clip(ratio, 1 - clip, 1 + clip) * advantages)
    return worse[mask.bool()].mean()


@pytest.mark.parametrize("attempt", [by_cases, by_largest_loss, lambda *given: clipped_policy_loss(*given).loss])
def test_clip_right(attempt):
    assert grade(CLIP, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda p, q, a, m, c: by_cases(q, p, a, m, c), "upside_down"),
        (lambda p, q, a, m, c: -by_cases(p, q, a, m, c), "no_minus"),
        (lambda p, q, a, m, c: by_cases(p, q, a, m, 1e9), "not_clipped"),
        (lambda p, q, a, m, c: by_cases(p, q, a, torch.ones_like(m), c), "padding"),
        (lambda p, q, a, m, c: by_cases(p, q, a, m, c) * float(m.mean()), "all_columns"),
        (lambda p, q, a, m, c: by_cases(p, q, a, m, c) * m.sum(), "sum"),
        (lambda p, q, a, m, c: -(torch.exp(p - q).clamp(1 - c, 1 + c) * a * m).sum() / m.sum(), "only_clipped"),
        (lambda p, q, a, m, c: -((p - q) * a * m).sum() / m.sum(), None),
        (lambda p, q, a, m, c: by_cases(p, q, a, m, c / 2), None),
        (lambda p, q, a, m, c: torch.min((p - q).exp() * a, (p - q).exp().clamp(1 - c, 1 + c) * a), None),
    ],
)
def test_clip_wrong(attempt, mistake):
    assert verdict_of(CLIP, attempt) == ("wrong", mistake)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 99), st.floats(0.05, 0.9))
def test_the_clipped_loss_is_the_courses(lengths, seed, clip):
    logps, old_logps, mask = batch(lengths, seed)
    advantages, _, _ = batch(lengths, seed + 100)
    made = clipped_loss(logps, old_logps, advantages, mask, clip)
    torch.testing.assert_close(made, clipped_policy_loss(logps, old_logps, advantages, mask, clip).loss)
