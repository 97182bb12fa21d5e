"""What is learnt from the answers of one iteration: against plain code without groups, and by what changes nothing."""

import dataclasses
import random

import pytest
import torch
from torch import Tensor, nn

from course.batching import collate
from course.models import LM, clone, with_lora
from course.resume import TrainingStopped
from course.rl import (
    Experience,
    PPOConfig,
    ValueModel,
    checkpointing,
    gae,
    moved,
    reference_logps,
    score_rollouts,
    token_rewards,
    update,
)
from course.rollouts import Rollouts, response_logits, response_logps, sample
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14], [15, 16], [17, 18, 19, 20], [21, 22, 23]]
SETTINGS = PPOConfig(epochs=1, mini_batch_size=6, learning_rate=1e-2, value_learning_rate=1e-2)
SFT = [{"input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8]}]


def tiny(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def answers() -> Rollouts:
    """Answers of 1 to 8 tokens."""
    whole = sample(tiny(), PROMPTS, max_new_tokens=8, seed=0)
    lengths = torch.tensor([8, 3, 1, 5, 2, 4])[:, None]
    mask = (torch.arange(8) < lengths).float()
    return dataclasses.replace(whole, mask=mask, logps=whole.logps * mask)


ROLLOUTS = answers()


def experience(seed: int = 0) -> Experience:
    """As if sampled by another policy, so that some tokens are clipped."""
    random_numbers = torch.Generator().manual_seed(seed)
    moves, values, advantages, returns = torch.randn(4, *ROLLOUTS.mask.shape, generator=random_numbers)
    logps = (ROLLOUTS.logps + 0.3 * moves) * ROLLOUTS.mask
    return Experience(dataclasses.replace(ROLLOUTS, logps=logps), 0.1 * values, advantages, returns)


def adamw(policy: LM, value: ValueModel, settings: PPOConfig = SETTINGS) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in policy.model.parameters() if p.requires_grad], "lr": settings.learning_rate},
        {"params": list(value.parameters()), "lr": settings.value_learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=0.0)


def updated(
    settings: PPOConfig, lesson: Experience, sft_examples=(), seed: int = 0
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """What is measured of the update, and all weights afterwards."""
    policy, value = tiny(), ValueModel.of(tiny())
    measured = update(policy, value, adamw(policy, value), lesson, settings, sft_examples, random.Random(seed))
    assert not any(module.training for model in (policy.model, value) for module in model.modules())
    both = nn.ModuleDict({"policy": policy.model, "value": value})
    assert all(p.grad is None for p in both.parameters())
    return measured, {name: p.detach() for name, p in both.named_parameters()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-4) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance)


# --- comparing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        PPOConfig(mini_batch_size=2),
        PPOConfig(mini_batch_size=6, accumulate=6),
        PPOConfig(mini_batch_size=6, whiten_advantages=False, gamma=0.9, lam=0.7),
    ],
)
def test_scored_rollouts_are_the_formulas_one_after_the_other(settings):
    policy, reference, value = tiny(), tiny(seed=1), ValueModel.of(tiny())
    nn.init.normal_(value.head.weight, generator=torch.Generator().manual_seed(0))
    scores = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 1.5])
    lesson, measured = score_rollouts(policy, reference, value, ROLLOUTS, scores, 0.2, settings)
    mask = ROLLOUTS.mask
    with torch.no_grad():
        ref_logps, values = response_logps(reference, ROLLOUTS), value(ROLLOUTS) * mask
    rewards = token_rewards(scores, ROLLOUTS.logps, ref_logps, mask, 0.2, settings.kl_estimator)
    advantages, returns = gae(rewards, values, mask, settings.gamma, settings.lam)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(lesson.values, values, **close)
    torch.testing.assert_close(lesson.returns, returns, **close)
    counted = mask.bool()
    if settings.whiten_advantages:
        advantages = (advantages - advantages[counted].mean()) / advantages[counted].std(correction=0) * mask
    torch.testing.assert_close(lesson.advantages, advantages, **close)
    missed = (returns - values)[counted]
    wanted = {
        "reward": 4 / 6,
        "reward_std": scores.std(correction=0),
        "kl": (ROLLOUTS.logps - ref_logps).sum() / 6,
        "entropy": -ROLLOUTS.logps.sum() / 23,
        "length": 23 / 6,
        "stopped": 0.0,
        "value_error": missed.square().mean().sqrt(),
        "explained_variance": 1 - missed.var() / returns[counted].var(),
    }
    assert measured == pytest.approx({name: float(value) for name, value in wanted.items()}, abs=1e-4)
    assert measured["explained_variance"] < 1


def test_of_the_policy_itself_the_kl_is_zero():
    _, measured = score_rollouts(tiny(), tiny(), ValueModel.of(tiny()), ROLLOUTS, torch.ones(6), 0.2, PPOConfig())
    assert measured["kl"] == pytest.approx(0, abs=1e-4)


def test_the_reference_with_the_adapter_off_equals_a_frozen_copy():
    """Claim O1, after the adapter has learnt something; and it is on again afterwards."""
    adapted = with_lora(tiny(), rank=2)
    with torch.no_grad():
        for name, p in adapted.model.named_parameters():
            if "lora_B" in name:
                p.fill_(0.2)
    moved_away = response_logps(adapted, ROLLOUTS)
    shared, copied = reference_logps(adapted, None, ROLLOUTS), reference_logps(adapted, tiny(), ROLLOUTS)
    torch.testing.assert_close(shared, copied, rtol=0, atol=1e-6)
    assert (moved_away - shared).abs().max() > 1e-2
    assert torch.equal(response_logps(adapted, ROLLOUTS), moved_away)


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [{}, {"entropy_bonus": 0.5}, {"sft_coefficient": 0.3}, {"clip": 0.05}])
def test_groups_of_similar_length_are_one_step_on_the_whole_minibatch(extra):
    settings, lesson = dataclasses.replace(SETTINGS, **extra), experience()
    measured, after = updated(settings, lesson, SFT)
    policy, value, mask = tiny(), ValueModel.of(tiny()), ROLLOUTS.mask
    optimizer = adamw(policy, value)
    counted = mask.bool()
    given = torch.distributions.Categorical(logits=response_logits(policy, ROLLOUTS))
    log_ratio = (given.log_prob(ROLLOUTS.response_ids) - lesson.rollouts.logps)[counted]
    ratio, advantages = log_ratio.exp(), lesson.advantages[counted]
    near = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    loss = -torch.minimum(ratio * advantages, near * advantages).mean()
    loss = loss - settings.entropy_bonus * given.entropy()[counted].mean()
    loss = loss + settings.sft_coefficient * policy.model(**collate(SFT, TOKENIZER.pad_token_id)).loss
    loss.backward()
    values = value(ROLLOUTS)
    kept = torch.maximum(torch.minimum(values, lesson.values + 0.2), lesson.values - 0.2)
    errors = torch.stack([values - lesson.returns, kept - lesson.returns])[:, counted]
    (0.5 * errors.square().amax(0).mean()).backward()
    for group in optimizer.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
    both = nn.ModuleDict({"policy": policy.model, "value": value})
    assert_same(after, {name: p.detach() for name, p in both.named_parameters()})
    clipped = (near * advantages < ratio * advantages).float().mean()
    approx_kl = (ratio - 1 - log_ratio).mean().detach()
    assert measured == pytest.approx({"clip_fraction": float(clipped), "approx_kl": float(approx_kl)}, rel=1e-4)
    assert min(measured.values()) > 0


@pytest.mark.parametrize("parts", [1, 3, 6, 7])
def test_the_parts_of_a_minibatch_are_one_step(parts):
    settings = dataclasses.replace(SETTINGS, epochs=2, mini_batch_size=4, entropy_bonus=0.1)
    usual, other = (updated(s, experience()) for s in (settings, dataclasses.replace(settings, accumulate=parts)))
    assert other[0] == pytest.approx(usual[0], abs=1e-5)
    assert_same(other[1], usual[1])


def test_nothing_after_the_stop_token_is_learnt():
    settings = dataclasses.replace(SETTINGS, epochs=2, mini_batch_size=3, entropy_bonus=0.1)
    lesson = experience()
    behind = ROLLOUTS.mask == 0
    ids = lesson.rollouts.response_ids.masked_fill(behind, 77)
    spoilt = [x.masked_fill(behind, 1e9) for x in (lesson.values, lesson.advantages, lesson.returns)]
    logps = lesson.rollouts.logps.masked_fill(behind, -1e9)
    other = Experience(dataclasses.replace(lesson.rollouts, response_ids=ids, logps=logps), *spoilt)
    (one_measured, one), (other_measured, changed) = updated(settings, lesson), updated(settings, other)
    assert one_measured == pytest.approx(other_measured)
    assert_same(changed, one)


def test_checkpointing_takes_the_same_steps():
    """Claim O8: the numbers. What it saves, the notebook measures."""
    settings = dataclasses.replace(SETTINGS, epochs=2, mini_batch_size=4)
    plain = updated(settings, experience())
    again = updated(dataclasses.replace(settings, checkpointing=True), experience())
    assert again[0] == pytest.approx(plain[0])
    assert_same(again[1], plain[1], 1e-5)


def test_the_order_of_the_answers_is_the_generators():
    settings = dataclasses.replace(SETTINGS, mini_batch_size=2)
    one, same, other = (updated(settings, experience(), seed=seed)[1] for seed in (0, 0, 1))
    assert_same(one, same, 0)
    assert any((one[name] - other[name]).abs().max() > 1e-3 for name in one)


def test_likely_becomes_what_had_an_advantage():
    lesson = dataclasses.replace(experience(), rollouts=ROLLOUTS, advantages=torch.ones_like(ROLLOUTS.mask))
    lesson.advantages[3:] = -1
    policy, value = tiny(), ValueModel.of(tiny())
    update(policy, value, adamw(policy, value), lesson, SETTINGS, (), random.Random(0))
    with torch.no_grad():
        change = response_logps(policy, ROLLOUTS).sum(1) - ROLLOUTS.logps.sum(1)
    assert (change[:3] > 0).all() and (change[3:] < 0).all()


@pytest.mark.parametrize("which", ["policy", "value model"])
def test_a_gradient_that_is_no_number_stops_before_it_reaches_the_weights(which):
    policy, value = tiny(), ValueModel.of(tiny())
    broken = policy.model.model if which == "policy" else value.trunk
    broken.norm.weight.register_hook(lambda grad: grad * float("nan"))
    nn.init.ones_(value.head.weight)
    before = [clone(policy).model.state_dict(), {n: p.clone() for n, p in value.state_dict().items()}]
    with pytest.raises(TrainingStopped, match=f"norm of the {which}'s gradient is nan"):
        update(policy, value, adamw(policy, value), experience(), SETTINGS, (), random.Random(0))
    assert_same(dict(policy.model.state_dict()), dict(before[0]), 0)
    assert_same(dict(value.state_dict()), dict(before[1]), 0)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_checkpointing_computes_each_layer_a_second_time_and_is_off_afterwards():
    lm, calls = tiny(), []
    lm.model.model.layers[1].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    with checkpointing(lm.model):
        response_logps(lm, ROLLOUTS).sum().backward()
    assert len(calls) == 2
    response_logps(lm, ROLLOUTS).sum().backward()
    assert len(calls) == 3
    assert not any(module.training for module in lm.model.modules())


def test_models_are_moved_in_and_out_and_functions_left_alone():
    lm, value = tiny(), ValueModel.of(tiny())
    with pytest.raises(ZeroDivisionError), moved([lm, value, len, None], "cpu", "meta"):
        assert {p.device.type for p in [*lm.model.parameters(), *value.parameters()]} == {"cpu"}
        1 / 0  # noqa: B018 (whatever happens inside)
    assert {p.device.type for p in [*lm.model.parameters(), *value.parameters()]} == {"meta"}
