"""What every loop promises: each step learns, dropout disturbs no comparison, and runs survive whatever happens."""

import math
import os
import signal
from collections.abc import Callable

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from course import resume
from course.claims import ClaimFailed, claim
from course.models import LM, clone, with_lora
from course.preferences import DPO, KTO, ORPO, fit_preferences
from course.resume import Run, TrainingStopped, checksum
from course.rewards import fit_reward, new_reward_model
from course.rl.memory import checkpointing
from course.train import chat_examples, fit, mean_loss
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PAIRS = [
    {"prompt": f"Where is {name}?", "chosen": f"In {where}.", "rejected": "I cannot say."}
    for name, where in [("Lima", "Peru"), ("Rome", "Italy"), ("Paris", "France"), ("Cusco", "Peru"), ("Turin", "Italy")]
]
RECORDS = [
    {"messages": [{"role": "user", "content": p["prompt"]}, {"role": "assistant", "content": p["chosen"]}]}
    for p in PAIRS
]
FAST = {"epochs": 2, "batch_size": 2, "learning_rate": 1e-3, "seed": 3}


def llama(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def gpt2(seed: int = 0) -> LM:
    """With dropout of 0.1 in three places, as GPT-2 has by default."""
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=len(TOKENIZER), n_embd=32, n_layer=2, n_head=4, n_positions=128)
    return LM("gpt2", GPT2LMHeadModel(config).eval(), TOKENIZER)


def sft(lm: LM, **settings) -> Run:
    return fit(lm, chat_examples(lm, RECORDS), **settings)


def dpo(lm: LM, **settings) -> Run:
    return fit_preferences(lm, PAIRS, DPO(), **settings)


def orpo(lm: LM, **settings) -> Run:
    return fit_preferences(lm, PAIRS, ORPO(), **settings)


def reward(lm: LM, **settings) -> Run:
    """Trains a reward model that shares the language model's weights below the head."""
    model = new_reward_model(lm)
    setattr(model.model, model.model.base_model_prefix, getattr(lm.model, lm.model.base_model_prefix))
    return fit_reward(model, PAIRS, **settings)


LOOPS = pytest.mark.parametrize("train", [sft, dpo, orpo, reward])


def weights(lm: LM) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in lm.model.parameters()])


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Press the stop button during a step, counted from 1, and afterwards no more."""
    pending: list[int] = []
    real = resume.LiveCurve.update

    def update(self, step: int, **values: float) -> None:
        real(self, step, **values)
        if pending == [step]:
            pending.clear()
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(resume.LiveCurve, "update", update)
    return lambda step: pending.append(step)


@LOOPS
def test_one_batch_with_the_defaults_is_learnt_from(train):
    lm = llama()
    before = weights(lm)
    run = train(lm) if train is not sft else sft(lm, epochs=1)
    assert len(run.losses) == 1
    assert float((weights(lm) - before).abs().max()) > 1e-5


# --- dropout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [DPO(), KTO()], ids=["DPO", "KTO"])
def test_dropout_stands_between_no_policy_and_its_reference(method):
    from course.formats import preference_to_unpaired

    records = PAIRS if isinstance(method, DPO) else [one for pair in PAIRS for one in preference_to_unpaired(pair)]
    run = fit_preferences(gpt2(), records, method, **FAST)
    assert run.losses[0] == pytest.approx(math.log(2) if isinstance(method, DPO) else 0.5, abs=1e-5)
    rewards = [values[0] for name, values in run.measured.items() if "reward" in name and not math.isnan(values[0])]
    assert rewards == pytest.approx([0] * len(rewards), abs=1e-4)


def test_sft_keeps_its_dropout():
    lm = gpt2()
    run = sft(lm, epochs=1, batch_size=5, seed=0)
    assert abs(run.losses[0] - mean_loss(gpt2(), chat_examples(lm, RECORDS))) > 1e-4


@LOOPS
def test_with_dropout_too_the_same_seed_gives_the_same_numbers(train):
    one = train(gpt2(), **FAST)
    torch.rand(5)
    assert train(gpt2(), **FAST).losses == pytest.approx(one.losses, abs=1e-6)


@LOOPS
@pytest.mark.parametrize("step", [1, 3])
def test_with_dropout_too_resumed_equals_uninterrupted(train, step, stop_at, tmp_path):
    whole = gpt2()
    expected = train(whole, **FAST)
    stop_at(step)
    assert train(gpt2(), state=tmp_path / "state", **FAST).done == step
    again = gpt2()
    run = train(again, state=tmp_path / "state", **FAST)
    assert run.losses == pytest.approx(expected.losses, abs=1e-6) and not run.interrupted
    torch.testing.assert_close(weights(again), weights(whole), rtol=0, atol=1e-5)


def test_computing_again_brings_no_dropout_and_changes_no_gradient():
    ids, found = torch.arange(4, 20)[None], []
    for switch in (False, True):
        lm = gpt2()
        with checkpointing(*[lm.model] * switch):
            loss = lm.model(input_ids=ids, labels=ids, use_cache=False).loss
            loss.backward()
        found.append(torch.cat([loss.detach()[None], *[p.grad.flatten() for p in lm.model.parameters()]]))
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)


# --- which model a state belongs to -----------------------------------------------------------------------------------


@LOOPS
@pytest.mark.parametrize("made", [lambda lm: lm, lambda lm: with_lora(lm, rank=2)], ids=["all weights", "adapters"])
def test_another_model_does_not_go_on_with_a_runs_state(train, made, stop_at, tmp_path):
    if train is reward and made(llama()).model.__class__.__name__.startswith("Peft"):
        pytest.skip("a reward model has no adapters")
    stop_at(2)
    train(made(llama()), state=tmp_path / "state", **FAST)
    other = made(llama(seed=1))
    before = weights(other)
    with pytest.raises(TrainingStopped, match=r"began from another model.*as it was when the run began"):
        train(other, state=tmp_path / "state", **FAST)
    assert torch.equal(weights(other), before) and (tmp_path / "state").exists()


def test_a_model_of_another_family_is_another_model(stop_at, tmp_path):
    stop_at(2)
    sft(llama(), state=tmp_path / "state", **FAST)
    with pytest.raises(TrainingStopped, match="began from another model"):
        sft(gpt2(), state=tmp_path / "state", **FAST)


def test_the_model_that_was_stopped_goes_on_unless_it_is_also_the_reference(stop_at, tmp_path):
    """As where only the cell that trains is run again, and not the one that loads the model."""
    for train in (sft, orpo):
        expected, lm = train(llama(), **FAST), llama()
        stop_at(2)
        train(lm, state=tmp_path / "state", **FAST)
        assert train(lm, state=tmp_path / "state", **FAST).losses == pytest.approx(expected.losses, abs=1e-6)
    lm = llama()
    stop_at(2)
    dpo(lm, state=tmp_path / "state", **FAST)
    with pytest.raises(TrainingStopped, match="it is also the reference"):
        dpo(lm, state=tmp_path / "state", **FAST)


def test_a_model_trained_in_between_is_refused(stop_at, tmp_path):
    lm = llama()
    stop_at(2)
    sft(lm, state=tmp_path / "state", **FAST)
    dpo(lm, **FAST)
    with pytest.raises(TrainingStopped, match="began from another model"):
        sft(lm, state=tmp_path / "state", **FAST)


def test_a_checksum_tells_every_bit_every_name_and_every_shape():
    tensors = {"a": torch.zeros(3, 4), "b": torch.ones(2)}
    changed = torch.zeros(3, 4)
    changed[2, 3] = 1e-45
    others = [tensors | {"a": changed}, {"a": tensors["a"]}, tensors | {"a": torch.zeros(4, 3)}]
    others += [{"b": tensors["a"], "a": tensors["b"]}, tensors | {"b": torch.ones(2, dtype=torch.float64)}]
    assert len({checksum(one) for one in [tensors, *others]}) == 6
    assert checksum(dict(reversed(tensors.items()))) == checksum(tensors)


# --- stops and disks --------------------------------------------------------------------------------------------------


@LOOPS
def test_a_stop_before_the_first_step_takes_one_step_and_returns_the_run(train, monkeypatch, capsys):
    real, lm = resume.LiveCurve.__enter__, llama()

    def press(self):
        os.kill(os.getpid(), signal.SIGINT)
        return real(self)

    monkeypatch.setattr(resume.LiveCurve, "__enter__", press)
    run = train(lm, **FAST)
    assert run.interrupted and run.done == 1
    assert capsys.readouterr().out.startswith("Stopped at step 1 of 6. What was learnt until here is in the model")
    assert not lm.model.training


def test_a_stop_while_the_reference_is_read_is_honoured_too(monkeypatch):
    from course.preferences import fit as module

    real = module.measured_logps
    monkeypatch.setattr(module, "measured_logps", lambda *a: os.kill(os.getpid(), signal.SIGINT) or real(*a))
    assert dpo(llama(), **FAST).done == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_claim_that_fails_after_a_stop_says_which_run_is_missing(stop_at, capsys):
    stop_at(2)
    sft(llama(), title="my run", **FAST)
    claim("S1", "It is so.", False, "nothing")
    assert (
        "Half-trained, so this says nothing yet: 'my run' was stopped at step 2 of 6. Run its cell"
        in capsys.readouterr().out
    )
    sft(llama(), title="my run", **FAST)
    with pytest.raises(ClaimFailed):
        claim("S1", "It is so.", False, "nothing")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), resume.SafetensorError("I/O error")])
def test_a_full_disk_is_said_once_and_the_run_goes_on(error, monkeypatch, tmp_path, capsys):
    expected, state = sft(llama(), **FAST), tmp_path / "state"
    monkeypatch.setattr(resume, "SAVE_EVERY", -1.0)
    real, calls = resume.save_file, []

    def full(tensors, path, metadata):
        calls.append(path)
        if len(calls) > 2:
            path.write_bytes(b"half")
            raise error
        real(tensors, path, metadata=metadata)

    monkeypatch.setattr(resume, "save_file", full)
    run = sft(llama(), state=state, **FAST)
    assert run.losses == expected.losses and not run.interrupted and len(calls) == 6
    out = capsys.readouterr().out
    assert out.count("cannot be written") == 1 and "The run goes on in memory" in out
    assert list(tmp_path.iterdir()) == []


def test_a_stop_on_a_full_disk_returns_the_run_and_leaves_the_older_state(stop_at, monkeypatch, tmp_path, capsys):
    expected, state = sft(llama(), **FAST), tmp_path / "state"
    stop_at(2)
    sft(llama(), state=state, **FAST)
    before = state.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(resume, "save_file", lambda *a, **b: (_ for _ in ()).throw(OSError(28, "No space left")))
        stop_at(4)
        run = sft(llama(), state=state, **FAST)
    assert run.interrupted and run.losses == expected.losses[:4]
    assert "its last steps are in no file" in capsys.readouterr().out
    assert state.read_bytes() == before
    assert sft(llama(), state=state, **FAST).losses == expected.losses


@pytest.mark.parametrize("where", [0.4, 0.7, 0.999])
def test_a_half_zeroed_state_is_refused(where, stop_at, tmp_path):
    stop_at(2)
    lm, state = llama(), tmp_path / "state"
    sft(lm, state=state, **FAST)
    data = bytearray(state.read_bytes())
    begin = int(where * len(data))
    data[begin:] = bytes(len(data) - begin)
    state.write_bytes(data)
    fresh = llama()
    before = weights(fresh)
    with pytest.raises(TrainingStopped, match=r"cannot be read .* Delete the file to begin anew"):
        sft(fresh, state=state, **FAST)
    assert torch.equal(weights(fresh), before)


def test_a_frozen_model_is_refused_in_words():
    lm = clone(llama())
    lm.model.requires_grad_(False)
    with pytest.raises(ValueError, match="No weight of the model requires a gradient"):
        sft(lm, **FAST)
