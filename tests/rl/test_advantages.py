"""Token rewards and GAE by hand, by the explicit sum and at both ends of lambda (O2); the KL controllers (O6)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course.losses.policy import kl_estimate
from course.rl import AdaptiveKL, FixedKL, gae, token_rewards

SHAPES = {"answers": st.integers(1, 4), "tokens": st.integers(1, 7), "seed": st.integers(0, 999)}
FRACTION = st.floats(0, 1)


def random_batch(answers: int, tokens: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two random tensors in double precision, and the mask of answers of random length."""
    random = torch.Generator().manual_seed(seed)
    one, other = torch.randn(2, answers, tokens, generator=random, dtype=torch.float64)
    lengths = torch.randint(1, tokens + 1, (answers, 1), generator=random)
    return one, other, (torch.arange(tokens) < lengths).double()


def spoilt(x: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask == 0, math.nan, x)


# --- token rewards ----------------------------------------------------------------------------------------------------


def test_token_rewards_by_hand():
    logps, ref_logps = torch.tensor([[-1.0, -2.0, 0.0]]), torch.tensor([[-1.5, -1.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    rewards = token_rewards(torch.tensor([3.0]), logps, ref_logps, mask, beta=0.1)
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, 3.1, 0.0]]))


@given(**SHAPES, beta=st.floats(0, 2), kind=st.sampled_from(["k1", "k2", "k3"]))
@settings(deadline=None)
def test_the_rewards_of_an_answer_sum_to_its_score_minus_its_kl(answers, tokens, seed, beta, kind):
    logps, ref_logps, mask = random_batch(answers, tokens, seed)
    scores = logps[:, 0] * 5
    rewards = token_rewards(scores, spoilt(logps, mask), spoilt(ref_logps, mask), mask, beta, kind)
    kl = (kl_estimate(logps, ref_logps, kind) * mask).sum(1)
    torch.testing.assert_close(rewards.sum(1), scores - beta * kl)
    assert (rewards[mask == 0] == 0).all()
    for row, reward, score in zip(mask, token_rewards(scores, logps, logps, mask, beta), scores, strict=True):
        assert reward.nonzero().flatten().tolist() == [int(row.sum()) - 1]  # without KL, only the last token has any
        assert reward.sum() == score


def test_a_token_likelier_than_under_the_reference_costs():
    rewards = token_rewards(torch.zeros(1), torch.tensor([[-0.1]]), torch.tensor([[-2.0]]), torch.ones(1, 1), beta=0.5)
    assert rewards.item() == pytest.approx(-0.5 * 1.9)


# --- GAE --------------------------------------------------------------------------------------------------------------


@given(**SHAPES, gamma=FRACTION, lam=FRACTION)
@settings(deadline=None)
def test_the_recursion_is_the_explicit_sum(answers, tokens, seed, gamma, lam):
    rewards, values, mask = random_batch(answers, tokens, seed)
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    for b, length in enumerate(mask.sum(1).int().tolist()):
        r, v = rewards[b, :length].tolist(), [*values[b, :length].tolist(), 0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        wanted = [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, length)) for t in range(length)]
        assert advantages[b, :length].tolist() == pytest.approx(wanted)
        assert returns[b, :length].tolist() == pytest.approx([a + x for a, x in zip(wanted, v, strict=False)])


@given(**SHAPES, gamma=FRACTION)
@settings(deadline=None)
def test_lambda_1_is_the_return_minus_the_value(answers, tokens, seed, gamma):
    rewards, values, mask = random_batch(answers, tokens, seed)
    advantages, returns = gae(rewards, values, mask, gamma, lam=1.0)
    discounts = gamma ** torch.arange(tokens, dtype=torch.float64)
    wanted = torch.stack(
        [(rewards[:, t:] * mask[:, t:] * discounts[: tokens - t]).sum(1) for t in range(tokens)], dim=1
    )
    torch.testing.assert_close(returns, wanted * mask)
    torch.testing.assert_close(advantages, (wanted - values) * mask)


@given(**SHAPES, gamma=FRACTION)
@settings(deadline=None)
def test_lambda_0_is_the_one_step_error(answers, tokens, seed, gamma):
    rewards, values, mask = random_batch(answers, tokens, seed)
    next_values = torch.cat([(values * mask)[:, 1:], torch.zeros(answers, 1)], dim=1)
    advantages, _ = gae(rewards, values, mask, gamma, lam=0.0)
    torch.testing.assert_close(advantages, (rewards + gamma * next_values - values) * mask)


@given(**SHAPES, lam=FRACTION)
@settings(deadline=None)
def test_values_that_are_right_leave_no_advantage(answers, tokens, seed, lam):
    rewards, _, mask = random_batch(answers, tokens, seed)
    right = (rewards * mask).flip(1).cumsum(1).flip(1)
    advantages, returns = gae(rewards, right, mask, gamma=1.0, lam=lam)
    torch.testing.assert_close(advantages, torch.zeros_like(advantages))
    torch.testing.assert_close(returns, right)


@given(**SHAPES, lam=FRACTION, more=st.integers(0, 3))
@settings(deadline=None)
def test_padding_after_the_stop_changes_nothing(answers, tokens, seed, lam, more):
    rewards, values, mask = random_batch(answers, tokens, seed)
    plain = gae(rewards, values, mask, lam=lam)
    longer = [torch.cat([spoilt(x, mask), torch.full((answers, more), math.nan)], 1) for x in (rewards, values)]
    padded = gae(*longer, torch.cat([mask, torch.zeros(answers, more)], 1), lam=lam)
    for one, other in zip(plain, padded, strict=True):
        assert (other[:, tokens:] == 0).all() and (one[mask == 0] == 0).all()
        torch.testing.assert_close(other[:, :tokens], one)


# --- the controllers --------------------------------------------------------------------------------------------------


def test_a_fixed_penalty_stays():
    kl = FixedKL(0.05)
    kl.update(1000.0, 64)
    assert kl.beta == 0.05


@given(kl=st.floats(-5, 50), answers=st.integers(1, 256))
def test_the_adaptive_penalty_moves_by_its_rule(kl, answers):
    controller = AdaptiveKL(beta=0.1, target=4.0, horizon=1000)
    controller.update(kl, answers)
    assert controller.beta == pytest.approx(0.1 * (1 + max(-0.2, min(0.2, (kl - 4.0) / 4.0)) * answers / 1000))
    assert (controller.beta > 0.1) == (kl > 4.0)


def test_a_horizon_shorter_than_a_batch_keeps_the_penalty_above_0():
    controller = AdaptiveKL(beta=0.1, target=4.0, horizon=1)
    controller.update(0.0, 64)
    assert controller.beta == pytest.approx(0.08)


@given(start=st.floats(1e-3, 10), target=st.floats(0.5, 20))
@settings(deadline=None, max_examples=25)
def test_the_adaptive_penalty_brings_a_kl_that_falls_with_beta_to_its_target(start, target):
    controller = AdaptiveKL(beta=start, target=target, horizon=200)
    for _ in range(1500):
        controller.update(1 / controller.beta, 64)
    assert 1 / controller.beta == pytest.approx(target, rel=0.01)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_answer_without_a_token_is_named():
    mask = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    zeros = torch.zeros(2, 2)
    with pytest.raises(ValueError, match=r"Answer 1 has no token: .* Even one that ends at once has its stop token"):
        token_rewards(torch.zeros(2), zeros, zeros, mask, beta=0.1)
    with pytest.raises(ValueError, match="Answer 1 has no token"):
        gae(zeros, zeros, mask)


def test_a_hole_in_the_mask_is_named():
    with pytest.raises(ValueError, match="Answer 0 has a hole"):
        gae(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 1.0]]))
    with pytest.raises(ValueError, match="Answer 0 has a hole"):
        gae(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 1.0]]))  # padded on the left


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_named(value):
    ones = torch.ones(3, 2)
    with pytest.raises(ValueError, match=rf"scores\[1\] is {value}: the reward of answer 1"):
        token_rewards(torch.tensor([0.0, value, 1.0]), ones, ones, ones, beta=0.1)


def test_a_counted_entry_that_is_no_number_is_named():
    ones, broken = torch.ones(3, 2), torch.ones(3, 2)
    broken[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"values\[2, 1\] is nan, and 1 of 6"):
        gae(ones, broken, ones)
    with pytest.raises(ValueError, match=r"ref_logps\[2, 1\] is nan"):
        token_rewards(torch.ones(3), ones, broken, ones, beta=0.1)


def test_shapes_that_differ_are_named():
    ones = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"scores \(3, 1\) do not fit: expected one for each of 3 answers"):
        token_rewards(torch.ones(3, 1), ones, ones, ones, beta=0.1)
    with pytest.raises(ValueError, match=r"ref_logps \(3, 1\) and mask \(3, 2\) differ"):
        token_rewards(torch.ones(3), ones, torch.ones(3, 1), ones, beta=0.1)
    with pytest.raises(ValueError, match=r"values \(3,\) and mask \(3, 2\) differ"):
        gae(ones, torch.ones(3), ones)


def test_penalties_that_make_no_sense_are_refused():
    for beta in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="give a finite number of at least 0"):
            FixedKL(beta)
    with pytest.raises(ValueError, match="beta=0: it is changed by factors"):
        AdaptiveKL(beta=0.0, target=4.0)
    with pytest.raises(ValueError, match=r"target=0\.0 must be above 0"):
        AdaptiveKL(beta=0.1, target=0.0)
    with pytest.raises(ValueError, match="horizon=0 at least 1"):
        AdaptiveKL(beta=0.1, target=4.0, horizon=0)
