"""What counts as equal, and every decision of the package that hangs on it: noise of a millionth changes none of them.

The decisions are tested as decisions, since no setting of one machine shows what the processors of others round.
"""

from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course.best_of_n import best_of_n, expected_best
from course.experiments.clinic import PATIENTS, patients, seeds, stored, triage
from course.losses.policy import clipped_policy_loss, explained_variance, kl_estimate, whiten
from course.losses.reward import pairwise_accuracy
from course.numerics import no_spread, tied
from course.rl import loop
from course.rollouts import Rollouts
from course.world import Request

NOISE = st.integers(0, 10_000)
LEVELS = st.lists(st.sampled_from([-3.0, -0.5, 0.0, 0.25, 1.0, 7.5]), min_size=2, max_size=12)


def noisy(x: Tensor, seed: int) -> Tensor:
    """With something of up to a millionth added to each number."""
    return x + 1e-6 * (2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) - 1)


@given(a=st.floats(-1e6, 1e6), b=st.floats(-1e6, 1e6))
def test_tied_is_symmetric_and_relative(a, b):
    assert tied(a, b) == tied(b, a) and tied(a, a)
    assert tied(a, a * (1 + 1e-6)) and not tied(a, a + 1e-3 * max(abs(a), 1))
    assert no_spread(torch.tensor([a, b], dtype=torch.float64)) == tied(a, b)


def test_infinities_are_tied_with_themselves_only():
    inf, nan = float("inf"), float("nan")
    assert tied(inf, inf) and not tied(inf, 1.0) and not tied(inf, -inf) and not tied(nan, nan)
    assert not no_spread(torch.tensor([inf, 1.0])) and not no_spread(torch.tensor([nan, 1.0]))


@given(level=st.floats(-100, 100), size=st.integers(1, 300), seed=NOISE)
def test_equal_scores_have_no_spread_and_different_ones_do(level, size, seed):
    scores = torch.full((size,), level)
    assert no_spread(noisy(scores, seed))
    assert not no_spread(noisy(torch.cat([scores, scores[:1] + 0.01]), seed))


@given(levels=LEVELS, seed=NOISE)
def test_the_best_of_several_is_the_first_of_equal_ones(levels, seed):
    def best(scores: Tensor) -> str:
        drawn = SimpleNamespace(texts=[str(i) for i in range(len(scores))])
        with patch.multiple("course.best_of_n", chat_prompts=lambda lm, asked: [[0]], sample=lambda *_, **__: drawn):
            [found] = best_of_n(None, [Request("?", "")], lambda _, texts: scores[list(map(int, texts))], len(scores))
        return found.text

    scores = torch.tensor(levels)
    assert best(noisy(scores, seed)) == best(scores) == str(levels.index(max(levels)))


@settings(deadline=None)
@given(levels=LEVELS, seed=NOISE, data=st.data())
def test_equal_scores_are_chosen_equally_often(levels, seed, data):
    scores, n = torch.tensor(levels), data.draw(st.integers(1, len(levels)))
    values = torch.arange(len(levels)).double()
    assert expected_best(noisy(scores, seed), n, values) == pytest.approx(expected_best(scores, n, values))


@given(chosen=LEVELS, seed=NOISE, data=st.data())
def test_equal_scores_are_half_right(chosen, seed, data):
    rejected = data.draw(st.lists(st.sampled_from(chosen), min_size=len(chosen), max_size=len(chosen)))
    exact = pairwise_accuracy(torch.tensor(chosen), torch.tensor(rejected))
    assert pairwise_accuracy(noisy(torch.tensor(chosen), seed), noisy(torch.tensor(rejected), seed + 1)) == exact


@given(level=st.floats(-10, 10), seed=NOISE)
def test_equal_advantages_are_whitened_to_nothing(level, seed):
    mask = (torch.arange(6) < torch.tensor([[6], [2], [4]])).float()
    assert not whiten(noisy(torch.full_like(mask, level), seed), mask).any()
    # rewards of 1000 that the values foretold leave rounding of their own size
    assert not whiten(1000 * noisy(torch.zeros_like(mask), seed), mask, size=1000.0).any()
    assert whiten(noisy(level + torch.arange(6) * mask, seed), mask).any()


@given(seed=NOISE)
def test_nothing_is_clipped_before_the_first_step(seed):
    logps, mask = -3 * torch.rand(4, 6, generator=torch.Generator().manual_seed(seed)), torch.ones(4, 6)
    done = clipped_policy_loss(noisy(logps, seed), logps, noisy(torch.zeros(4, 6), seed + 1), mask)
    assert done.clip_fraction == 0 and 0 <= done.approx_kl < 1e-10
    assert (kl_estimate(noisy(logps, seed), logps, "k3") >= 0).all()


@given(level=st.floats(-10, 10), seed=NOISE)
def test_of_equal_returns_nothing_is_explained(level, seed):
    returns, mask = torch.full((3, 4), level), torch.ones(3, 4)
    assert explained_variance(torch.zeros(3, 4), noisy(returns, seed), mask) == 0
    assert explained_variance(torch.arange(12.0).view(3, 4), torch.arange(12.0).view(3, 4), mask) == 1


@given(level=st.floats(-10, 10), seed=NOISE)
def test_equal_rewards_are_said_and_different_ones_are_not(level, seed):
    nothing = torch.zeros(8, 1)
    rollouts = Rollouts(nothing, nothing, nothing, nothing, nothing, ["text"] * 8, [True] * 8)
    for scores, expected in ((torch.full((8,), level), {"equal"}), (level + 0.1 * torch.arange(8), set())):
        said: set[str] = set()
        loop._remark(noisy(scores, seed), rollouts, 1, said)
        assert said == expected


@settings(max_examples=5, deadline=None)
@given(noise=NOISE)
def test_every_finding_of_the_clinic_stays_what_it_is(noise):
    for seed in seeds():
        for name in ("healthy", *PATIENTS):
            history = stored(name, seed).curves
            shaken = {
                key: noisy(torch.tensor(curve), noise + i).tolist() for i, (key, curve) in enumerate(history.items())
            }
            assert triage(shaken) == triage(history)


@given(seed=NOISE)
def test_drafts_that_are_equally_good_make_no_pair(seed):
    questions = [type("Q", (), {"text": "?"})()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patients, "chat_prompts", lambda policy, asked: asked)
        patch.setattr(
            patients, "sample", lambda policy, rows, **settings: type("R", (), {"texts": ["long one", "b", "a"]})()
        )
        patch.setattr(patients, "true_reward", lambda asked, texts: noisy(torch.tensor([0.5, 1.0, 0.5]), seed))
        made = patients.drafts(None, questions, seed=0)
    assert {(better, worse) for _, better, worse in made} == {("b", "long one"), ("b", "a")}
