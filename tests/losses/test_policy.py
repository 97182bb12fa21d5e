"""PPO's losses against finite differences and by their invariances; KL estimates against the exact sum (O3, O9)."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from course.losses.policy import (
    clipped_policy_loss,
    clipped_value_loss,
    entropy,
    exact_kl,
    kl_estimate,
    masked_mean,
    whiten,
)
from course.numerics import no_spread

SEEDS = st.integers(0, 999)
SHAPES = {"answers": st.integers(1, 4), "tokens": st.integers(1, 7), "seed": SEEDS}


def random_batch(answers: int, tokens: int, seed: int, count: int = 3) -> tuple[Tensor, ...]:
    """`count` random tensors in double precision, and the mask of answers of random length, each at least one token."""
    random = torch.Generator().manual_seed(seed)
    made = [torch.randn(answers, tokens, generator=random, dtype=torch.float64) for _ in range(count)]
    lengths = torch.randint(1, tokens + 1, (answers, 1), generator=random)
    return *made, (torch.arange(tokens) < lengths).double()


def slope(function, x: Tensor, step: float = 1e-6) -> Tensor:
    """The gradient by central differences, one entry at a time."""
    gradient = torch.zeros_like(x)
    for i in range(x.numel()):
        shift = torch.zeros_like(x).view(-1)
        shift[i] = step
        shift = shift.view_as(x)
        gradient.view(-1)[i] = (function(x + shift) - function(x - shift)) / (2 * step)
    return gradient


def spoilt(x: Tensor, mask: Tensor, seed: int) -> Tensor:
    """The same where the mask counts; elsewhere numbers of any size, and some that are none."""
    random = torch.Generator().manual_seed(seed)
    junk = torch.tensor([1e30, -7.0, math.inf, -math.inf, math.nan], dtype=x.dtype)
    return torch.where(mask == 0, junk[torch.randint(5, x.shape, generator=random)], x)


# --- means and whitening ----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(**SHAPES)
def test_the_mean_is_over_counted_entries_alone(answers, tokens, seed):
    x, mask = random_batch(answers, tokens, seed, count=1)
    wanted = sum(x[mask == 1].tolist()) / int(mask.sum())
    assert masked_mean(x, mask).item() == pytest.approx(wanted)
    assert masked_mean(spoilt(x, mask, seed), mask.bool()).item() == pytest.approx(wanted)


@settings(deadline=None)
@given(**SHAPES, scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_whitened_entries_have_mean_0_and_variance_1_whatever_the_scale(answers, tokens, seed, scale, shift):
    x, mask = random_batch(answers, tokens, seed, count=1)
    white = whiten(x, mask)
    assert (white[mask == 0] == 0).all()
    counted = white[mask == 1]
    if len(counted) == 1:
        assert counted.item() == 0
        return
    assert counted.mean().item() == pytest.approx(0, abs=1e-9)
    assert counted.var(correction=0).item() == pytest.approx(1)
    moved = scale * spoilt(x, mask, seed) + shift
    assume(not no_spread(moved[mask == 1]))
    torch.testing.assert_close(whiten(moved, mask), white, rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(value=st.floats(-1e3, 1e3, width=32), count=st.integers(1, 300))
def test_whitening_what_is_all_equal_gives_zeros(value, count):
    assert (whiten(torch.full((1, count), value), torch.ones(1, count)) == 0).all()


# --- the clipped policy loss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(1.5, 2.0, False), (1.5, -2.0, True), (0.5, 2.0, True), (0.5, -2.0, False), (1.1, 2.0, True), (0.9, -2.0, True)],
)
def test_the_gradient_vanishes_only_outside_the_range_on_the_side_that_the_advantage_pushes_to(ratio, advantage, moves):
    """Claim O3: all four cases of sign, and inside the range."""
    old = torch.tensor([[-1.5]], dtype=torch.float64)
    logps = (old + math.log(ratio)).requires_grad_()
    advantages, mask = torch.tensor([[advantage]], dtype=torch.float64), torch.ones(1, 1)
    done = clipped_policy_loss(logps, old, advantages, mask, clip=0.2)
    done.loss.backward()
    wanted = slope(lambda x: clipped_policy_loss(x, old, advantages, mask, clip=0.2).loss, logps.detach())
    torch.testing.assert_close(logps.grad, wanted, rtol=1e-6, atol=1e-9)
    assert logps.grad.item() == pytest.approx(-ratio * advantage if moves else 0.0)
    assert done.clip_fraction == (0.0 if moves else 1.0)


@given(**SHAPES, clip=st.sampled_from([0.1, 0.2, 0.5]))
@settings(deadline=None)
def test_the_gradient_is_that_of_finite_differences(answers, tokens, seed, clip):
    old, move, advantages, mask = random_batch(answers, tokens, seed)
    ratio = (0.5 * move).exp()
    # at the corners of the clip there is no derivative to compare with
    move = torch.where(((ratio - 1).abs() - clip).abs() < 1e-3, 0.0, move)
    logps = (old + 0.5 * move).requires_grad_()
    clipped_policy_loss(logps, old, advantages, mask, clip).loss.backward()
    wanted = slope(lambda x: clipped_policy_loss(x, old, advantages, mask, clip).loss, logps.detach())
    torch.testing.assert_close(logps.grad, wanted, rtol=1e-5, atol=1e-8)


@settings(deadline=None)
@given(**SHAPES)
def test_before_the_first_step_it_is_the_policy_gradient(answers, tokens, seed):
    """Ratios are 1: the gradient is that of REINFORCE, nothing is clipped and nothing has moved."""
    old, advantages, mask = random_batch(answers, tokens, seed, count=2)
    logps = old.clone().requires_grad_()
    done = clipped_policy_loss(logps, old, advantages, mask)
    assert (done.clip_fraction, done.approx_kl) == (0, 0)
    torch.testing.assert_close(done.loss, -masked_mean(advantages, mask))
    done.loss.backward()
    torch.testing.assert_close(logps.grad, -advantages * mask / mask.sum())


@settings(deadline=None)
@given(**SHAPES)
def test_nothing_after_the_stop_token_counts(answers, tokens, seed):
    old, move, advantages, mask = random_batch(answers, tokens, seed)
    results = []
    for junk in (torch.clone, lambda x: spoilt(x, mask, seed)):
        logps = junk(old + move).requires_grad_()
        done = clipped_policy_loss(logps, junk(old), junk(advantages), mask)
        done.loss.backward()
        assert (logps.grad[mask == 0] == 0).all()
        values = junk(move).requires_grad_()
        error = clipped_value_loss(values, junk(old), junk(advantages), mask)
        error.backward()
        assert (values.grad[mask == 0] == 0).all()
        results.append((done, logps.grad, error, values.grad))
    (one, *one_rest), (other, *other_rest) = results
    assert one.clip_fraction == other.clip_fraction and one.approx_kl == pytest.approx(other.approx_kl)
    for x, y in zip([one.loss, *one_rest], [other.loss, *other_rest], strict=True):
        torch.testing.assert_close(x, y)


def test_the_shares_are_of_counted_tokens():
    """By hand: of three counted tokens one is clipped; the fourth, which would be too, stands after the stop."""
    ratios = torch.tensor([[1.5, 1.5, 1.0, 1.5]])
    done = clipped_policy_loss(
        ratios.log(), torch.zeros(1, 4), torch.tensor([[1.0, -1.0, 1.0, 1.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    )
    assert done.loss.item() == pytest.approx(-(1.2 - 1.5 + 1.0) / 3)
    assert done.clip_fraction == pytest.approx(1 / 3)
    assert done.approx_kl == pytest.approx(2 * (0.5 - math.log(1.5)) / 3)


def test_no_gradient_flows_into_what_the_rollout_recorded():
    old, move, advantages, mask = random_batch(2, 3, seed=0)
    recorded = [old.requires_grad_(), advantages.requires_grad_()]
    clipped_policy_loss((old + move).detach().requires_grad_(), old, advantages, mask).loss.backward()
    clipped_value_loss(move.requires_grad_(), old, advantages, mask).backward()
    assert [tensor.grad for tensor in recorded] == [None, None]


# --- the value loss ---------------------------------------------------------------------------------------------------


@given(**SHAPES)
@settings(deadline=None)
def test_the_gradient_of_the_value_loss_is_that_of_finite_differences(answers, tokens, seed):
    values, old, returns, mask = random_batch(answers, tokens, seed)
    values.requires_grad_()
    clipped_value_loss(values, old, returns, mask, clip=0.5).backward()
    wanted = slope(lambda x: clipped_value_loss(x, old, returns, mask, clip=0.5), values.detach())
    torch.testing.assert_close(values.grad, wanted, rtol=1e-5, atol=1e-8)


@settings(deadline=None)
@given(**SHAPES)
def test_the_value_loss_without_a_limit_is_half_the_squared_error(answers, tokens, seed):
    values, old, returns, mask = random_batch(answers, tokens, seed)
    wanted = 0.5 * masked_mean((values - returns) ** 2, mask)
    torch.testing.assert_close(clipped_value_loss(values, old, returns, mask, clip=None), wanted)
    torch.testing.assert_close(clipped_value_loss(values, old, returns, mask, clip=1e9), wanted)
    assert clipped_value_loss(values, old, returns, mask, clip=0.1) >= wanted  # the worse of the two
    assert clipped_value_loss(returns, returns, returns, mask).item() == 0


def test_a_value_that_moved_beyond_the_range_towards_its_return_is_left_alone():
    values = torch.tensor([[1.0, -1.0]], requires_grad=True)
    clipped_value_loss(values, torch.zeros(1, 2), torch.full((1, 2), 2.0), torch.ones(1, 2), clip=0.2).backward()
    assert values.grad.tolist() == [[0.0, -1.5]]


# --- KL and entropy ---------------------------------------------------------------------------------------------------


def two_policies(seed: int, vocabulary: int = 6, apart: float = 0.5) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(vocabulary, generator=random, dtype=torch.float64)
    return logits, logits + apart * torch.randn(vocabulary, generator=random, dtype=torch.float64)


def moments(logits: Tensor, ref_logits: Tensor, kind: str) -> tuple[float, float]:
    """Mean and variance of an estimate over the policy's own tokens: the sum over all tokens, nothing sampled."""
    logp, ref_logp = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    estimates, p = kl_estimate(logp, ref_logp, kind), logp.exp()
    mean = (p * estimates).sum()
    return mean.item(), (p * (estimates - mean) ** 2).sum().item()


@settings(deadline=None)
@given(seed=SEEDS, apart=st.floats(0, 2))
@pytest.mark.parametrize("kind", ["k1", "k3"])
def test_k1_and_k3_have_no_bias(kind, seed, apart):
    logits, ref_logits = two_policies(seed, apart=apart)
    assert moments(logits, ref_logits, kind)[0] == pytest.approx(exact_kl(logits, ref_logits).item(), abs=1e-6)


@settings(deadline=None)
@given(seed=SEEDS)
def test_k2_has_a_bias_that_vanishes_faster_than_the_kl(seed):
    far, near = (two_policies(seed, apart=apart) for apart in (0.2, 0.002))
    shares = [abs(moments(*pair, "k2")[0] / moments(*pair, "k1")[0] - 1) for pair in (far, near)]
    assert shares[1] < 0.01
    assert shares[0] > 3 * shares[1]


def test_k1_varies_most_where_the_two_are_near():
    """Over 200 pairs of distributions that are about a tenth of a nat apart or less."""
    varied = {kind: [moments(*two_policies(seed), kind)[1] for seed in range(200)] for kind in ("k1", "k2", "k3")}
    for kind in ("k2", "k3"):
        smaller = sum(a < b for a, b in zip(varied[kind], varied["k1"], strict=True))
        assert smaller > 180
        assert sum(varied[kind]) < 0.5 * sum(varied["k1"])


@settings(deadline=None)
@given(**SHAPES)
def test_only_k1_can_be_negative(answers, tokens, seed):
    logps, ref_logps, _ = random_batch(answers, tokens, seed, count=2)
    assert torch.equal(kl_estimate(logps, ref_logps), logps - ref_logps)
    for kind in ("k2", "k3"):
        assert (kl_estimate(logps, ref_logps, kind) >= 0).all()
        assert (kl_estimate(logps, logps, kind) == 0).all()


@settings(deadline=None)
@given(seed=SEEDS, vocabulary=st.integers(2, 40))
def test_kl_and_entropy_are_those_of_torch(seed, vocabulary):
    random = torch.Generator().manual_seed(seed)
    logits, ref_logits = torch.randn(2, 3, 4, vocabulary, generator=random)
    ours, theirs = torch.distributions.Categorical(logits=logits), torch.distributions.Categorical(logits=ref_logits)
    wanted = torch.distributions.kl_divergence(ours, theirs)
    torch.testing.assert_close(exact_kl(logits, ref_logits), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropy(logits), ours.entropy(), rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(constant=st.floats(-50, 50), seed=SEEDS)
def test_a_constant_added_to_the_scores_changes_neither(constant, seed):
    logits, ref_logits = (scores.float() for scores in two_policies(seed))
    torch.testing.assert_close(exact_kl(logits + constant, ref_logits), exact_kl(logits, ref_logits), rtol=0, atol=1e-4)
    torch.testing.assert_close(entropy(logits + constant), entropy(logits), rtol=0, atol=1e-4)


def test_ends_of_the_scale_of_kl_and_entropy():
    assert entropy(torch.zeros(5, 8)).tolist() == pytest.approx([math.log(8)] * 5)
    certain = torch.tensor([0.0, -math.inf, -math.inf], requires_grad=True)
    assert entropy(certain).item() == 0
    assert exact_kl(certain, torch.zeros(3)).item() == pytest.approx(math.log(3))
    assert exact_kl(torch.zeros(3), certain).item() == math.inf
    (entropy(certain) + exact_kl(certain, torch.zeros(3))).backward()
    assert certain.grad.isfinite().all()


def test_half_precision_scores_are_added_up_in_float32():
    logits = torch.randn(3, 2000, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(entropy(logits), entropy(logits.float()))
    assert exact_kl(logits, logits).dtype == torch.float32


# --- what is refused --------------------------------------------------------------------------------------------------


def test_shapes_that_differ_are_named():
    ones = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"x \(2, 1\) and mask \(2, 3\) differ in shape"):
        masked_mean(torch.ones(2, 1), ones)  # would be broadcast, without a word
    with pytest.raises(ValueError, match=r"advantages \(2,\) and mask \(2, 3\)"):
        clipped_policy_loss(ones, ones, torch.ones(2), ones)
    with pytest.raises(ValueError, match=r"returns \(3,\) and mask \(2, 3\)"):
        clipped_value_loss(ones, ones, torch.ones(3), ones)
    with pytest.raises(ValueError, match=r"logps \(2, 3\) and ref_logps \(2, 1\)"):
        kl_estimate(ones, torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"logits \(2, 3\) and ref_logits \(3,\)"):
        exact_kl(ones, torch.ones(3))


def test_nothing_to_count_is_said():
    with pytest.raises(ValueError, match=r"Nothing is to be counted: .* Are all answers empty"):
        whiten(torch.ones(2, 3), torch.zeros(2, 3))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_counted_entry_that_is_not_finite_is_found(value):
    ones, broken = torch.ones(2, 3), torch.ones(2, 3)
    broken[1, 2] = value
    with pytest.raises(ValueError, match=rf"advantages\[1, 2\] is {value}, and 1 of 6 counted entries"):
        clipped_policy_loss(ones, ones, broken, ones)
    with pytest.raises(ValueError, match=rf"old_values\[1, 2\] is {value}"):
        clipped_value_loss(ones, broken, ones, ones)


def test_an_unknown_estimate_is_refused():
    with pytest.raises(ValueError, match="no KL estimate 'k4'; choose from k1, k2, k3"):
        kl_estimate(torch.zeros(1, 1), torch.zeros(1, 1), "k4")
