"""The clinic's healthy lines are those of course.rl."""

import pytest
import torch

from course.experiments.clinic import TITLES, Setup, run, small_ppo
from course.losses.policy import clipped_policy_loss, entropy, masked_mean
from course.rl import FixedKL, PPOConfig, ppo
from course.rl import token_rewards as the_loops
from course.world import Request, country_questions
from tests.experiments.clinic.cases import batch, tiny


def vowels(prompts, texts) -> torch.Tensor:
    return torch.tensor([float(sum(map(text.count, "aeiou"))) for text in texts])


def test_healthy_rewards_of_tokens_are_the_loops():
    b, scores = batch(), torch.tensor([1.0, -2.0, 0.5])
    given = (scores, b["logps"], b["ref_logps"], b["mask"], 0.3)
    torch.testing.assert_close(run.token_rewards(*given), the_loops(*given))


def test_healthy_policy_loss_and_its_gradient_are_the_librarys():
    b = batch()
    gradients = []
    for loss in (run.policy_loss, lambda *args: clipped_policy_loss(*args).loss):
        logps = b["logps"].clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(logps, b["old_logps"], b["advantages"], b["mask"], 0.2), logps)[0])
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().sum() > 0


def test_healthy_bonus_is_the_mean_entropy_of_the_tokens_that_count():
    logits, mask = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1)), batch()["mask"]
    torch.testing.assert_close(run.exploration(logits, mask), masked_mean(entropy(logits), mask))


def test_a_healthy_run_is_the_loops_run():
    # One question and one minibatch: then the order, in which the two differ, is none.
    questions = [Request("What is 1 + 2?", "")] * 4
    own, other = tiny(), tiny()
    setup = Setup(
        reward=vowels,
        rollout_batch_size=4,
        mini_batch_size=4,
        epochs=3,
        max_new_tokens=6,
        learning_rate=3e-3,
        bonus=0.01,
    )
    settings = {
        entry: getattr(setup, entry)
        for entry in (
            "rollout_batch_size",
            "mini_batch_size",
            "epochs",
            "max_new_tokens",
            "learning_rate",
            "value_learning_rate",
        )
    }
    settings = PPOConfig(**settings, entropy_bonus=0.01)
    watched = run.true_reward
    run.true_reward = vowels  # a Request of this kind has no true score that varies
    try:
        record = small_ppo(own, questions, setup, iterations=3, seed=2)
    finally:
        run.true_reward = watched
    expected = ppo(other, vowels, questions, iterations=3, kl=FixedKL(0.05), settings=settings, seed=2)
    for name, key in {"reward": "reward", "kl": "kl", "entropy": "entropy", "value error": "value_error"}.items():
        assert record.curves[name] == pytest.approx([past[key] for past in expected.history], abs=1e-4), name
    assert max(record.curves["kl"]) > 1e-3
    for one, two in zip(own.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=2e-4)


def test_a_run_names_what_it_lacks():
    with pytest.raises(ValueError, match="24 answers an iteration need as many questions, but there are 2"):
        small_ppo(tiny(), country_questions(["France"])[:2], iterations=1)
    with pytest.raises(ValueError, match="iterations=0"):
        small_ppo(tiny(), country_questions(["France"]), Setup(rollout_batch_size=2), iterations=0)


def test_a_run_leaves_numbers_and_answers():
    record = small_ppo(
        tiny(), country_questions(["France"]), Setup(rollout_batch_size=5, mini_batch_size=2), iterations=2, seed=1
    )
    assert {len(curve) for curve in record.curves.values()} == {2} and set(record.curves) == set(TITLES)
    assert [len(some) for some in record.about.values()] == [4, 4] and record.about["first"][0][0].endswith("?")
