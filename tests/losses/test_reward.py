"""The Bradley-Terry loss by hand, by its invariances and against TRL (claim R1)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course.losses.reward import bradley_terry_loss, pairwise_accuracy

SCORES = st.floats(-20, 20, width=32)
PAIRS = st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=8)


def tensors(pairs: list[tuple[float, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    chosen, rejected = zip(*pairs, strict=True)
    return torch.tensor(chosen, dtype=torch.float64), torch.tensor(rejected, dtype=torch.float64)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_is_the_mean_surprise_at_who_won(pairs):
    surprise = [math.log1p(math.exp(rejected - chosen)) for chosen, rejected in pairs]
    assert bradley_terry_loss(*tensors(pairs)).item() == pytest.approx(sum(surprise) / len(pairs), abs=1e-12)


@settings(deadline=None)
@given(score=SCORES, count=st.integers(1, 9))
def test_is_log_2_where_scores_are_equal(score, count):
    scores = torch.full((count,), score)
    assert bradley_terry_loss(scores, scores).item() == pytest.approx(math.log(2), abs=1e-6)


@settings(deadline=None)
@given(pairs=PAIRS, constant=st.floats(-1e3, 1e3))
def test_adding_a_constant_to_every_score_changes_nothing(pairs, constant):
    chosen, rejected = (scores.requires_grad_() for scores in tensors(pairs))
    plain, moved = bradley_terry_loss(chosen, rejected), bradley_terry_loss(chosen + constant, rejected + constant)
    torch.testing.assert_close(moved, plain, rtol=0, atol=1e-9)
    (slope,), (other,) = torch.autograd.grad(plain, [chosen]), torch.autograd.grad(moved, [chosen])
    torch.testing.assert_close(other, slope, rtol=0, atol=1e-9)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_the_gradient_is_the_probability_of_being_wrong(pairs):
    chosen, rejected = (scores.requires_grad_() for scores in tensors(pairs))
    bradley_terry_loss(chosen, rejected).backward()
    wrong = torch.sigmoid(rejected - chosen).detach() / len(pairs)
    torch.testing.assert_close(chosen.grad, -wrong)
    torch.testing.assert_close(rejected.grad, wrong)


def test_scores_far_apart_do_not_overflow():
    chosen = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.zeros(2))
    loss.backward()
    assert loss.item() == 5e3
    assert chosen.grad.tolist() == [0, -0.5]


@settings(deadline=None, max_examples=20)
@given(pairs=PAIRS)
def test_equals_trls_loss(pairs):
    """On a trainer without its start-up, which needs a model on disk: its loss reads the scores and these settings."""
    from collections import defaultdict
    from types import SimpleNamespace

    from trl import RewardTrainer

    chosen, rejected = (scores.float() for scores in tensors(pairs))
    trainer = RewardTrainer.__new__(RewardTrainer)
    trainer.args = SimpleNamespace(center_rewards_coefficient=None)
    trainer.accelerator = SimpleNamespace(gather=lambda x: x, gather_for_metrics=lambda x: x)
    trainer._metrics, trainer._total_train_tokens, trainer._tp_size = {"train": defaultdict(list)}, 0, 1

    class Model:
        training = True

        def __call__(self, scores: torch.Tensor, **unused: object) -> SimpleNamespace:
            return SimpleNamespace(logits=scores[:, None])

    trainer.model = Model()
    inputs = {"scores": torch.cat([chosen, rejected]), "attention_mask": torch.ones(2 * len(pairs), 1)}
    torch.testing.assert_close(trainer.compute_loss(trainer.model, inputs), bradley_terry_loss(chosen, rejected))


def test_accuracy_counts_a_tie_one_half():
    chosen, rejected = torch.tensor([1.0, 2.0, 3.0, 0.0]), torch.tensor([0.0, 2.0, 4.0, -1.0])
    assert pairwise_accuracy(chosen, rejected) == 2.5 / 4
    assert pairwise_accuracy(chosen, chosen) == 0.5


@settings(deadline=None)
@given(pairs=PAIRS)
def test_accuracy_the_other_way_round_is_the_rest(pairs):
    chosen, rejected = tensors(pairs)
    assert pairwise_accuracy(chosen, rejected) == pytest.approx(1 - pairwise_accuracy(rejected, chosen), abs=1e-6)


@pytest.mark.parametrize("function", [bradley_terry_loss, pairwise_accuracy])
def test_what_is_no_batch_of_pairs_is_refused(function):
    with pytest.raises(ValueError, match=r"chosen \(3,\) and rejected \(2,\) do not fit"):
        function(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match=r"chosen \(3, 1\) and rejected \(3,\) do not fit: .* \(batch,\)"):
        function(torch.zeros(3, 1), torch.zeros(3))  # would be all nine pairs, without a word
    with pytest.raises(ValueError, match="chosen is empty"):
        function(torch.zeros(0), torch.zeros(0))
    with pytest.raises(ValueError, match=r"rejected\[1\] is not a number"):
        function(torch.zeros(2), torch.tensor([0.0, math.nan]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=8), st.integers(0, 99))
def test_noise_of_a_millionth_decides_no_pair(pairs, seed):
    chosen, rejected = (torch.tensor(side, dtype=torch.float32) for side in zip(*pairs, strict=True))
    noise = 1e-6 * torch.randn(2, len(pairs), generator=torch.Generator().manual_seed(seed))
    assert pairwise_accuracy(chosen + noise[0], rejected + noise[1]) == pairwise_accuracy(chosen, rejected)
