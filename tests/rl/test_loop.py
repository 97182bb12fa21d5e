"""The PPO loop: the optimum where it is known, runs that are cut short, models that share weights, bad input."""

import dataclasses
import json
import math
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from course.models import LM, with_lora
from course.resume import TrainingStopped
from course.rl import AdaptiveKL, FixedKL, PPOConfig, PPORun, ValueModel, loop, ppo
from course.world import Request
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PROMPTS = [Request(f"What is {i} + 2?", "") for i in range(5)]
SETTINGS = PPOConfig(
    rollout_batch_size=6, epochs=2, mini_batch_size=3, learning_rate=3e-3, value_learning_rate=3e-3, max_new_tokens=5
)
ARGUMENTS = {"iterations": 4, "settings": SETTINGS, "seed": 3}


def tiny(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def vowels(prompts, texts) -> torch.Tensor:
    return torch.tensor([float(sum(map(text.count, "aeiou"))) for text in texts])


def weights(lm: LM) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in lm.model.named_parameters()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance)


def numbers(run: PPORun) -> list[dict[str, float]]:
    return [{key: value for key, value in past.items() if key != "seconds"} for past in run.history]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch):
    """Have a function called with each iteration, after its update and before the state is saved."""

    def install(callback) -> None:
        class Watched(loop.LiveCurve):
            def update(self, step: int, **values: float) -> None:
                super().update(step, **values)
                callback(step)

        monkeypatch.setattr(loop, "LiveCurve", Watched)

    return install


def interrupt_at(iteration: int):
    """A callback that presses Ctrl-C from another thread during this iteration, once."""
    pending = [iteration]

    def press(now: int) -> None:
        if pending and now == pending[-1]:
            pending.pop()
            thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT))
            thread.start()
            thread.join()

    return press


@pytest.fixture(scope="module")
def whole() -> tuple[PPORun, dict[str, torch.Tensor]]:
    lm = tiny()
    return ppo(lm, vowels, PROMPTS, kl=AdaptiveKL(0.1, 1.0, 100), watch=vowels, **ARGUMENTS), weights(lm)


# --- where the answer is known ----------------------------------------------------------------------------------------

BANDIT = {"a": (0.4, 0.0), "e": (0.3, 1.0), "i": (0.15, 0.5), "o": (0.1, 2.0), "": (0.05, 1.5)}
"""Answers of one token: the reference's probability and the reward. The empty one ends at once."""


def token(text: str) -> int:
    (number,) = TOKENIZER.encode(text, add_special_tokens=False) if text else [TOKENIZER.eos_token_id]
    return number


def table() -> LM:
    """A policy that is a table: it has a score for each of five answers, and no other answer."""
    config = LlamaConfig(
        vocab_size=len(TOKENIZER), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = LlamaForCausalLM(config).requires_grad_(False).eval()
    model.lm_head = nn.Linear(8, len(TOKENIZER)).requires_grad_(False)
    model.lm_head.weight.zero_()
    model.lm_head.bias.fill_(-1e4)
    for text, (probability, _) in BANDIT.items():
        model.lm_head.bias[token(text)] = math.log(probability)
    model.lm_head.bias.requires_grad_()
    return LM("table", model, TOKENIZER)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_on_a_bandit_it_reaches_the_known_optimum(beta):
    """pi_ref * exp(r / beta) / Z, where every answer's reward minus its penalty is the same."""
    policy = table()
    settings = PPOConfig(
        rollout_batch_size=256,
        epochs=4,
        mini_batch_size=256,
        learning_rate=0.05,
        value_learning_rate=0.03,
        value_clip=None,
        whiten_advantages=False,
        max_new_tokens=1,
        max_grad_norm=100.0,
    )
    rewards = {text: reward for text, (_, reward) in BANDIT.items()}
    run = ppo(
        policy,
        lambda prompts, texts: torch.tensor([rewards[text] for text in texts]),
        [Request("?", "")],
        iterations=30,
        kl=FixedKL(beta),
        settings=settings,
        seed=0,
    )
    optimum = torch.tensor([p * math.exp(r / beta) for p, r in BANDIT.values()])
    optimum /= optimum.sum()
    reached = policy.model.lm_head.bias.detach().softmax(0)[[token(text) for text in BANDIT]]
    torch.testing.assert_close(reached, optimum, rtol=0, atol=0.01)
    reference = torch.tensor([p for p, _ in BANDIT.values()])
    kl = (optimum * (optimum / reference).log()).sum().item()
    assert sum(past["kl"] for past in run.history[-10:]) / 10 == pytest.approx(kl, abs=0.05)
    assert run.history[0]["kl"] == pytest.approx(0, abs=1e-5)


# --- what a run is ----------------------------------------------------------------------------------------------------


def test_a_run_is_the_seeds(whole):
    lm = tiny()
    torch.rand(3)
    again = ppo(lm, vowels, PROMPTS, kl=AdaptiveKL(0.1, 1.0, 100), watch=vowels, **ARGUMENTS)
    assert numbers(again) == numbers(whole[0])
    assert_same(weights(lm), whole[1])
    other = ppo(tiny(), vowels, PROMPTS, kl=AdaptiveKL(0.1, 1.0, 100), watch=vowels, **ARGUMENTS | {"seed": 4})
    assert numbers(other) != numbers(whole[0])


def test_the_history_is_measured_before_each_update(whole):
    run, _ = whole
    assert len(run.history) == 4 and not run.interrupted
    first = run.history[0]
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    assert first["watch"] == first["reward"]
    assert 0 < first["length"] <= 5 and 0 < first["entropy"] < 1.1 * math.log(len(TOKENIZER))
    assert set(first["seconds"]) == {"generation", "scoring", "update"}
    assert json.loads(json.dumps(run.history)) == run.history
    curves = run.curves()
    assert curves["reward"] == ([1, 2, 3, 4], [past["reward"] for past in run.history])
    assert "true score" in curves and "KL from the reference (nats per answer)" in curves


def test_the_adaptive_penalty_follows_its_rule_and_the_callers_stays(whole):
    run, kl = whole[0], AdaptiveKL(0.1, 1.0, 100)
    for past in run.history:
        assert past["beta"] == pytest.approx(kl.beta)
        kl.update(past["kl"], SETTINGS.rollout_batch_size)
    assert run.beta == pytest.approx(kl.beta) != 0.1
    mine = AdaptiveKL(0.1, 1.0, 100)
    ppo(tiny(), vowels, PROMPTS, kl=mine, **ARGUMENTS | {"iterations": 2})
    assert mine.beta == 0.1


def test_all_prompts_are_asked_in_turn():
    asked: list[str] = []

    def reward(prompts, texts):
        asked.extend(prompt.text for prompt in prompts)
        return vowels(prompts, texts)

    ppo(tiny(), reward, PROMPTS, **ARGUMENTS | {"iterations": 5})
    assert Counter(asked) == {prompt.text: 6 for prompt in PROMPTS}
    assert asked[:5] != asked[5:10]  # another order each time round


def test_the_reward_rises_and_a_dearer_kl_keeps_it_nearer():
    settings = PPOConfig(
        rollout_batch_size=32, mini_batch_size=16, learning_rate=1e-2, value_learning_rate=1e-2, max_new_tokens=4
    )
    ends = {}
    for beta in (0.0, 2.0):
        run = ppo(tiny(), vowels, PROMPTS, iterations=9, kl=FixedKL(beta), settings=settings, seed=0)
        ends[beta] = [sum(past[key] for past in run.history[-3:]) / 3 for key in ("reward", "kl")]
        ends["start"] = [run.history[0]["reward"], 0.0]
    assert ends[0.0][0] > ends["start"][0] + 0.5
    assert ends[0.0][1] > 2 * ends[2.0][1]


def test_the_model_is_left_as_any_model_is_wanted(whole):
    lm, before = tiny(), signal.getsignal(signal.SIGINT)
    lm.model.train()
    lm.model(torch.tensor([[5, 6]]), labels=torch.tensor([[5, 6]])).loss.backward()
    run = ppo(lm, vowels, PROMPTS, kl=AdaptiveKL(0.1, 1.0, 100), watch=vowels, **ARGUMENTS)
    assert numbers(run) == numbers(whole[0])  # gradients left by someone else do not take part
    assert not lm.model.training and all(p.grad is None for p in lm.model.parameters())
    assert signal.getsignal(signal.SIGINT) is before


# --- models that share, or wait ---------------------------------------------------------------------------------------


def test_a_copy_of_the_adapters_is_as_good_a_reference_as_a_copy_of_the_model(monkeypatch):
    shared, copied = with_lora(tiny(), rank=2), with_lora(tiny(), rank=2)
    one = ppo(shared, vowels, PROMPTS, **ARGUMENTS)
    monkeypatch.setattr(loop, "_as_it_is", lambda policy, shares: tiny())
    other = ppo(copied, vowels, PROMPTS, **ARGUMENTS)
    assert numbers(one) == numbers(other)
    assert_same(weights(shared), weights(copied))
    assert one.history[-1]["kl"] != 0
    frozen = weights(with_lora(tiny(), rank=2))
    for name, weight in weights(shared).items():
        assert torch.equal(weight, frozen[name]) == ("lora_" not in name)


@pytest.mark.parametrize("offload", [False, True])
def test_adapters_that_were_trained_before_are_part_of_the_reference(offload):
    lm = with_lora(tiny(), rank=2)
    for name, weight in lm.model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(0))
    settings = dataclasses.replace(SETTINGS, offload=offload)
    run = ppo(lm, vowels, PROMPTS, **ARGUMENTS | {"settings": settings, "iterations": 2})
    assert run.history[0]["kl"] == pytest.approx(0, abs=1e-4) and abs(run.history[1]["kl"]) > 1e-4
    assert {"lora_" in name for name, p in lm.model.named_parameters() if p.requires_grad} == {True}


def test_the_value_model_is_trained_and_the_reference_left_alone(monkeypatch):
    value, reference = ValueModel.of(tiny()), tiny()
    monkeypatch.setattr(ValueModel, "of", lambda source, rank, seed: value)
    monkeypatch.setattr(loop, "_as_it_is", lambda policy, shares: reference)
    ppo(tiny(), vowels, PROMPTS, **ARGUMENTS)
    assert value.head.weight.abs().max() > 0
    assert_same(weights(reference), weights(tiny()))


def test_waiting_elsewhere_and_computing_again_change_no_number(whole):
    settings = dataclasses.replace(SETTINGS, offload=True, checkpointing=True)
    lm = tiny()
    arguments = ARGUMENTS | {"settings": settings}
    run = ppo(lm, vowels, PROMPTS, kl=AdaptiveKL(0.1, 1.0, 100), watch=vowels, **arguments)
    assert [past["reward"] for past in run.history] == [past["reward"] for past in whole[0].history]
    assert_same(weights(lm), whole[1], 1e-4)


def test_answers_drawn_greedily_differ_in_nothing(capsys):
    settings = dataclasses.replace(SETTINGS, temperature=0.0)
    run = ppo(tiny(), vowels, PROMPTS[:1], **ARGUMENTS | {"settings": settings, "iterations": 1})
    assert run.history[0]["reward_std"] == 0
    assert "Iteration 1: all 6 rewards are" in capsys.readouterr().out


# --- runs that are cut short ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iteration", [1, 3])
def test_resumed_equals_uninterrupted(whole, watch, tmp_path, capsys, iteration):
    arguments = {"kl": AdaptiveKL(0.1, 1.0, 100), "watch": vowels, "state": tmp_path / "state", **ARGUMENTS}
    watch(interrupt_at(iteration))
    part = ppo(tiny(), vowels, PROMPTS, **arguments)
    assert part.interrupted and numbers(part) == numbers(whole[0])[:iteration]
    assert f"Stopped at iteration {iteration} of 4. Run the cell again" in capsys.readouterr().out
    lm = tiny()
    run = ppo(lm, vowels, PROMPTS, **arguments)
    assert numbers(run) == numbers(whole[0]) and not run.interrupted
    assert run.history[:iteration] == part.history and run.beta == whole[0].beta
    assert_same(weights(lm), whole[1])
    assert list(tmp_path.iterdir()) == []  # a finished run leaves nothing behind


def test_adapters_are_resumed_too(watch, tmp_path):
    undisturbed = with_lora(tiny(), rank=2)
    wanted = ppo(undisturbed, vowels, PROMPTS, **ARGUMENTS)
    watch(interrupt_at(2))
    ppo(with_lora(tiny(), rank=2), vowels, PROMPTS, state=tmp_path / "state", **ARGUMENTS)
    lm = with_lora(tiny(), rank=2)
    run = ppo(lm, vowels, PROMPTS, state=tmp_path / "state", **ARGUMENTS)
    assert numbers(run) == numbers(wanted)
    assert_same(weights(lm), weights(undisturbed))


@pytest.mark.parametrize("made", [lambda lm: lm, lambda lm: with_lora(lm, rank=2)], ids=["all weights", "adapters"])
def test_resumed_with_the_trained_policy_in_the_references_place_is_refused(watch, tmp_path, made):
    lm = made(tiny())
    watch(interrupt_at(2))
    ppo(lm, vowels, PROMPTS, state=tmp_path / "state", **ARGUMENTS)
    before = weights(lm)
    with pytest.raises(TrainingStopped, match=r"began from another model.* it is also the reference"):
        ppo(lm, vowels, PROMPTS, state=tmp_path / "state", **ARGUMENTS)
    assert_same(weights(lm), before)


@pytest.mark.parametrize(
    "change",
    [{"iterations": 5}, {"seed": 4}, {"kl": FixedKL(0.1)}, {"settings": dataclasses.replace(SETTINGS, clip=0.1)}],
    ids=lambda change: next(iter(change)),
)
def test_the_state_of_another_run_is_refused(watch, tmp_path, change):
    watch(interrupt_at(1))
    ppo(tiny(), vowels, PROMPTS, state=tmp_path / "state", **ARGUMENTS)
    with pytest.raises(TrainingStopped, match="another run"):
        ppo(tiny(), vowels, PROMPTS, state=tmp_path / "state", **ARGUMENTS | change)
    with pytest.raises(TrainingStopped, match="another run"):
        ppo(tiny(), vowels, PROMPTS[:4], state=tmp_path / "state", **ARGUMENTS)


# --- what cannot be learnt from ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reward_that_is_no_number_stops_with_the_weights_as_they_were(watch, value):
    lm, kept = tiny(), {}
    watch(lambda iteration: kept.update(weights(lm)))

    def reward(prompts, texts):
        scores = vowels(prompts, texts)
        scores[2] = value if kept else 0.0  # in the second iteration
        return scores

    said = rf"Iteration 2: the reward of answer 2 is {value}\. It was asked 'What is \d \+ 2\?' and answered '"
    with pytest.raises(TrainingStopped, match=said):
        ppo(lm, reward, PROMPTS, **ARGUMENTS)
    assert_same(weights(lm), kept)
    assert all(p.grad is None for p in lm.model.parameters())
    with pytest.raises(TrainingStopped, match="the watch of answer 2"):
        ppo(tiny(), vowels, PROMPTS, watch=reward, **ARGUMENTS)


def test_rewards_of_another_number_than_answers_are_refused():
    with pytest.raises(ValueError, match=r"reward function returned shape \(6, 1\) for 6 answers: .* shape \(6,\)"):
        ppo(tiny(), lambda prompts, texts: vowels(prompts, texts)[:, None], PROMPTS, **ARGUMENTS)


def test_equal_rewards_are_said_once_and_the_penalty_still_works(capsys, monkeypatch):
    """From a policy that has left its reference, a reward that says nothing leads back."""
    settings = PPOConfig(
        rollout_batch_size=32, mini_batch_size=16, learning_rate=1e-2, value_learning_rate=1e-2, max_new_tokens=4
    )
    monkeypatch.setattr(loop, "_as_it_is", lambda policy, shares: tiny())
    arguments = {"settings": settings, "seed": 0}
    lm = tiny()
    ppo(lm, vowels, PROMPTS, iterations=8, kl=FixedKL(0.0), **arguments)
    assert "rewards are" not in capsys.readouterr().out
    run = ppo(lm, lambda prompts, texts: [1.5] * len(texts), PROMPTS, iterations=8, kl=FixedKL(1.0), **arguments)
    out = capsys.readouterr().out
    assert out.count("all 32 rewards are 1.5, so no answer is better than another") == 1
    assert run.history[-1]["kl"] < 0.5 * run.history[0]["kl"]


def test_empty_answers_are_said_once_and_learnt_from(capsys):
    lm = table()
    before = lm.model.lm_head.bias.detach().softmax(0)[token("")]
    settings = dataclasses.replace(
        SETTINGS, rollout_batch_size=64, mini_batch_size=64, learning_rate=0.1, max_new_tokens=1
    )
    arguments = ARGUMENTS | {"settings": settings, "kl": FixedKL(0.0)}
    ppo(lm, lambda prompts, texts: torch.tensor([float(not text) for text in texts]), PROMPTS, **arguments)
    out = capsys.readouterr().out
    assert out.count("answers are empty, first answer") == 1 and "with a reward of 1." in out
    assert lm.model.lm_head.bias.detach().softmax(0)[token("")] > 1.5 * before


def test_a_prompt_longer_than_the_context_is_named_before_anything_is_sampled():
    long = Request("What is 1 + 2? " * 100, "")
    with pytest.raises(ValueError, match=r"Prompt 5 has \d+ tokens; with 5 new ones it exceeds the model's context of"):
        ppo(tiny(), vowels, [*PROMPTS, long], **ARGUMENTS)


def test_weights_that_blow_up_are_stopped():
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30)
    with pytest.raises((TrainingStopped, ValueError), match=r"(Check the learning rates|too high a rate)"):
        ppo(tiny(), vowels, PROMPTS, **ARGUMENTS | {"settings": settings})


def test_a_value_model_that_is_no_number_is_found_at_once(monkeypatch):
    value, lm = ValueModel.of(tiny()), tiny()
    monkeypatch.setattr(ValueModel, "of", lambda source, rank, seed: value)
    nn.init.constant_(value.head.bias, math.nan)
    said = r"Iteration 1: values\[0, 0\] is nan, and 30 of 30 counted .* did not change the weights"
    with pytest.raises(TrainingStopped, match=said):
        ppo(lm, vowels, PROMPTS, **ARGUMENTS)
    assert_same(weights(lm), weights(tiny()))


def test_settings_that_make_no_sense_are_refused():
    counts = ("rollout_batch_size", "epochs", "mini_batch_size", "accumulate", "max_new_tokens", "sft_batch")
    for name in (*counts, "value_rank"):
        with pytest.raises(ValueError, match=f"{name}=0: give at least 1"):
            PPOConfig(**{name: 0})
    with pytest.raises(ValueError, match="no KL estimate 'k4'"):
        PPOConfig(kl_estimator="k4")
    with pytest.raises(ValueError, match="There are no prompts"):
        ppo(tiny(), vowels, [], **ARGUMENTS)
    with pytest.raises(ValueError, match="iterations=0: give at least 1"):
        ppo(tiny(), vowels, PROMPTS, iterations=0)
    with pytest.raises(ValueError, match="There are no sft_examples"):
        ppo(tiny(), vowels, PROMPTS, iterations=1, settings=PPOConfig(sft_coefficient=1.0))


def test_it_needs_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ppo(tiny(), vowels, PROMPTS, **ARGUMENTS | {"iterations": 1})
    assert list(tmp_path.iterdir()) == []
