"""The training loop: against the library and by hand, the same numbers for the same seed, runs that are cut short."""

import copy
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import get_linear_schedule_with_warmup

from course import train
from course.batching import IGNORE, collate
from course.models import LM, clone, with_lora
from course.plots import live
from course.resume import State
from course.train import Run, TrainingStopped, chat_examples, document_examples, fit, mean_loss, rate_at
from tests.tiny import build_model, build_tokenizer

ROOT = Path(__file__).resolve().parent.parent
TOKENIZER = build_tokenizer()
SETTINGS = {"epochs": 2, "batch_size": 3, "learning_rate": 1e-2, "seed": 5}


def tiny(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def some_examples(count: int = 20, seed: int = 0) -> list[dict[str, list[int]]]:
    """Sequences of 3 to 12 random tokens, the first of which are masked."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        length = int(torch.randint(3, 13, (), generator=generator))
        ids = torch.randint(4, 300, (length,), generator=generator).tolist()
        masked = int(torch.randint(0, length - 1, (), generator=generator))
        made.append({"input_ids": ids, "labels": [IGNORE] * masked + ids[masked:]})
    return made


EXAMPLES = some_examples()


def weights(lm: LM) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in lm.model.named_parameters()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **(tolerance or {"rtol": 0, "atol": 0}))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch):
    """Have a function called with each step, counted from 0, after its update and before the state is saved."""

    def install(callback) -> None:
        class Watched(train.LiveCurve):
            def update(self, step: int, **values: float) -> None:
                super().update(step, **values)
                callback(step - 1)

        monkeypatch.setattr(train, "LiveCurve", Watched)

    return install


def interrupt_at(step: int, times: int = 1):
    """A callback that presses Ctrl-C from another thread during this step, once and for all."""
    pending = [step] * times

    def press(now: int) -> None:
        while pending and now == pending[-1]:
            pending.pop()
            thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT))
            thread.start()
            thread.join()

    return press


# --- the loss and the step --------------------------------------------------------------------------------------------


def test_the_first_loss_is_the_librarys():
    lm = tiny()
    batch = collate(EXAMPLES, TOKENIZER.pad_token_id)
    with torch.no_grad():
        wanted = float(lm.model(**batch).loss)
    assert mean_loss(lm, EXAMPLES) == pytest.approx(wanted, rel=1e-5)
    assert fit(lm, EXAMPLES, epochs=1, batch_size=len(EXAMPLES)).losses[0] == pytest.approx(wanted, rel=1e-5)


def test_a_whole_run_is_the_librarys_step_by_step():
    """The same batches through transformers' loss, torch's AdamW, its clipping and transformers' schedule."""
    ours, theirs = tiny(), tiny()
    run = fit(ours, EXAMPLES, shuffle=False, warmup=0.3, clip=0.5, weight_decay=0.1, **SETTINGS)
    groups = [
        [p for p in theirs.model.parameters() if p.ndim > 1],
        [p for p in theirs.model.parameters() if p.ndim == 1],
    ]
    optimizer = torch.optim.AdamW(
        [{"params": groups[0], "weight_decay": 0.1}, {"params": groups[1], "weight_decay": 0.0}], lr=1e-2
    )
    steps = 2 * math.ceil(len(EXAMPLES) / 3)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(0.3 * steps), steps + 1)
    optimizer.step()  # without gradients, nothing
    schedule.step()  # its step 0 has rate 0
    losses = []
    for step in range(steps):
        first = 3 * (step % (steps // 2))
        loss = theirs.model(**collate(EXAMPLES[first : first + 3], TOKENIZER.pad_token_id)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert run.losses == pytest.approx(losses, rel=1e-4)
    assert_same(weights(ours), weights(theirs), rtol=1e-3, atol=1e-4)


@given(steps=st.integers(1, 60), warmup=st.floats(0, 1))
def test_the_rate_is_the_librarys_schedule_one_step_on(steps, warmup):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, max(1, math.ceil(warmup * steps)), steps + 1)
    for step in range(steps):
        optimizer.step()
        schedule.step()  # one step on: the library's first step has rate 0, and learns nothing
        assert rate_at(step, steps, warmup) == pytest.approx(schedule.get_last_lr()[0]) != 0


def test_the_rate_by_hand():
    assert [rate_at(step, 6, 1 / 3) for step in range(6)] == pytest.approx([0.5, 1, 0.8, 0.6, 0.4, 0.2])
    assert rate_at(0, 1, 0.05) == 1
    assert [rate_at(step, 4, 0) for step in range(4)] == [1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 8), (2, 4), (4, 2)])
def test_accumulated_small_batches_equal_one_large_batch(batch_size, accumulate, shuffle):
    """Although they hold different numbers of labelled tokens."""
    large, small = tiny(), tiny()
    one = fit(large, EXAMPLES, batch_size=8, shuffle=shuffle, seed=3, learning_rate=1e-2)
    many = fit(
        small, EXAMPLES, batch_size=batch_size, accumulate=accumulate, shuffle=shuffle, seed=3, learning_rate=1e-2
    )
    assert many.losses == pytest.approx(one.losses, rel=1e-4)
    assert many.tokens == one.tokens
    assert_same(weights(small), weights(large), rtol=1e-3, atol=1e-4)


def test_padding_does_not_change_the_loss(monkeypatch):
    lm = tiny()
    together = mean_loss(lm, EXAMPLES)
    monkeypatch.setattr(train, "READ_AT_ONCE", 1)
    assert mean_loss(lm, EXAMPLES) == pytest.approx(together, rel=1e-5)
    longest = max(len(example["input_ids"]) for example in EXAMPLES)
    padded = [
        {
            "input_ids": example["input_ids"] + [TOKENIZER.pad_token_id] * (longest + 5 - len(example["input_ids"])),
            "labels": example["labels"] + [IGNORE] * (longest + 5 - len(example["labels"])),
        }
        for example in EXAMPLES
    ]
    assert mean_loss(lm, padded) == pytest.approx(mean_loss(lm, EXAMPLES), rel=1e-5)
    plain, filled = fit(tiny(), EXAMPLES, **SETTINGS), fit(tiny(), padded, **SETTINGS)
    assert filled.losses == pytest.approx(plain.losses, rel=1e-4)


def test_masked_tokens_teach_nothing():
    """What stands at the masked end of a sequence changes neither loss nor weights."""
    one, other = (
        [{"input_ids": [*e["input_ids"], extra], "labels": [*e["labels"], IGNORE]} for e in EXAMPLES]
        for extra in (7, 8)
    )
    first, second = tiny(), tiny()
    assert fit(first, one, **SETTINGS).losses == pytest.approx(fit(second, other, **SETTINGS).losses, rel=1e-5)


def test_the_loss_goes_down():
    lm = tiny()
    before = mean_loss(lm, EXAMPLES)
    run = fit(lm, EXAMPLES, epochs=30, learning_rate=1e-2, batch_size=8)
    assert mean_loss(lm, EXAMPLES) < 0.2 * before
    assert run.losses[-1] < 0.2 * run.losses[0]
    assert len(run.losses) == 30 * 3
    assert run.tokens == 30 * sum(len(example["input_ids"]) for example in EXAMPLES)
    assert run.seconds > 0
    assert not run.interrupted


def test_held_out_examples_are_measured_at_the_start_and_after_each_epoch():
    lm, others = tiny(), some_examples(6, seed=9)
    before = mean_loss(lm, others)
    seen: list[tuple[int, bool]] = []
    run = fit(
        lm,
        EXAMPLES,
        held_out=others,
        after_epoch=lambda n: seen.append((n, lm.model.training)),
        **SETTINGS | {"epochs": 3},
    )
    assert [step for step, _ in run.held_out] == [0, 7, 14, 21]
    assert run.held_out[0][1] == before
    assert run.held_out[-1][1] == mean_loss(lm, others)
    assert seen == [(1, False), (2, False), (3, False)]
    alone = fit(tiny(), EXAMPLES, **SETTINGS | {"epochs": 3})
    assert alone.losses == run.losses and alone.held_out == []  # looking changes nothing


def test_the_curve_ends_at_the_last_step_with_and_without_held_out_examples(monkeypatch):
    curves: list[train.LiveCurve] = []
    real = train.LiveCurve
    monkeypatch.setattr(train, "LiveCurve", lambda *args, **named: curves.append(real(*args, **named)) or curves[-1])
    fit(tiny(), EXAMPLES, **SETTINGS)
    fit(tiny(), EXAMPLES, held_out=EXAMPLES[:3], **SETTINGS)
    assert [(curve.step, curve.total) for curve in curves] == [(14, 14)] * 2
    assert [step for step, _ in curves[1].points["held out"]] == [0, 7, 14]
    assert [step for step, _ in curves[0].points["training"]] == list(range(1, 15))


def test_frozen_weights_stay():
    lm = tiny()
    for name, weight in lm.model.named_parameters():
        weight.requires_grad_("layers.1" in name)
    before = weights(lm)
    fit(lm, EXAMPLES, **SETTINGS)
    changed = {name for name, weight in weights(lm).items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in before if "layers.1" in name}


def test_adapters_train_and_what_is_below_stays():
    lm = with_lora(tiny(), rank=4)
    before = weights(lm)
    run = fit(lm, EXAMPLES, epochs=20, learning_rate=2e-2, batch_size=8)
    assert run.losses[-1] < run.losses[0]
    assert {name for name, w in weights(lm).items() if not torch.equal(w, before[name])} == {
        name for name in before if "lora_" in name
    }


def test_gradients_that_someone_left_behind_do_not_count():
    clean, used = tiny(), tiny()
    used.model(**collate(EXAMPLES, 0)).loss.backward()
    assert fit(used, EXAMPLES, **SETTINGS).losses == fit(clean, EXAMPLES, **SETTINGS).losses
    assert all(weight.grad is None for weight in used.model.parameters())


# --- seeds ------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers_and_another_others():
    first, second, third = tiny(), tiny(), tiny()
    runs = [fit(first, EXAMPLES, **SETTINGS), fit(second, EXAMPLES, **SETTINGS)]
    assert runs[0].losses == runs[1].losses
    assert_same(weights(first), weights(second))
    assert fit(third, EXAMPLES, **SETTINGS | {"seed": 6}).losses != runs[0].losses


def test_every_example_is_read_once_an_epoch_in_an_order_of_its_own(monkeypatch):
    read: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        train, "collate", lambda batch, pad: read.extend(tuple(e["input_ids"]) for e in batch) or collate(batch, pad)
    )
    fit(tiny(), EXAMPLES, **SETTINGS)
    given_order = [tuple(example["input_ids"]) for example in EXAMPLES]
    first, second = read[:20], read[20:]
    assert sorted(first) == sorted(second) == sorted(given_order)
    assert len({tuple(first), tuple(second), tuple(given_order)}) == 3
    read.clear()
    fit(tiny(), EXAMPLES, **SETTINGS | {"shuffle": False})
    size = SETTINGS["batch_size"]  # one step's examples are the given ones; within it, they go by length
    for once in (read[:20], read[20:]):
        for start in range(0, 20, size):
            assert sorted(once[start : start + size]) == sorted(given_order[start : start + size])


# --- cut short --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> tuple[Run, dict[str, torch.Tensor]]:
    """A run of 14 steps that nobody disturbed."""
    lm = tiny()
    run = fit(lm, EXAMPLES, held_out=EXAMPLES[:5], **SETTINGS)
    return run, weights(lm)


@pytest.mark.parametrize("step", [0, 3, 6, 7, 12])
def test_interrupted_and_resumed_equals_undisturbed(whole, watch, tmp_path, capsys, step):
    state = tmp_path / "deep" / "run.state"
    watch(interrupt_at(step))
    lm, epochs = tiny(), []
    arguments = {"held_out": EXAMPLES[:5], "state": state, "after_epoch": epochs.append, **SETTINGS}
    part = fit(lm, EXAMPLES, **arguments)
    assert part.interrupted
    assert part.losses == whole[0].losses[: step + 1]
    assert not lm.model.training
    assert f"Stopped at step {step + 1} of 14. Run the cell again to go on from {state}." in capsys.readouterr().out
    with safe_open(state, framework="pt") as file:
        spent = json.loads(file.metadata()["run"])["seconds"]
    again = tiny()
    run = fit(again, EXAMPLES, **arguments)
    assert (run.losses, run.held_out, run.tokens) == (whole[0].losses, whole[0].held_out, whole[0].tokens)
    assert_same(weights(again), whole[1])
    assert not run.interrupted and run.seconds > spent > 0  # the time before the stop counts
    assert epochs == [1, 2]
    assert list(state.parent.iterdir()) == []  # a finished run leaves nothing behind


def test_interrupted_twice(whole, watch, tmp_path):
    arguments = {"held_out": EXAMPLES[:5], "state": tmp_path / "state", **SETTINGS}
    for step in (2, 9):
        watch(interrupt_at(step))
        assert fit(tiny(), EXAMPLES, **arguments).interrupted
    lm = tiny()
    assert fit(lm, EXAMPLES, **arguments).losses == whole[0].losses
    assert_same(weights(lm), whole[1])


def test_an_interrupt_during_the_last_step_ends_a_whole_run(whole, watch, tmp_path):
    watch(interrupt_at(13))
    run = fit(tiny(), EXAMPLES, held_out=EXAMPLES[:5], state=tmp_path / "state", **SETTINGS)
    assert not run.interrupted
    assert (run.losses, run.held_out) == (whole[0].losses, whole[0].held_out)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_without_a_state_file_says_what_would_help(watch, capsys):
    watch(interrupt_at(1))
    run = fit(tiny(), EXAMPLES, **SETTINGS)
    assert run.interrupted and len(run.losses) == 2
    assert "give the call a file: state='runs/name.state'" in capsys.readouterr().out


def test_a_second_interrupt_stops_at_once(watch):
    before = signal.getsignal(signal.SIGINT)
    watch(interrupt_at(1, times=2))
    lm = tiny()
    with pytest.raises(KeyboardInterrupt):
        fit(lm, EXAMPLES, **SETTINGS)
    assert not lm.model.training
    assert signal.getsignal(signal.SIGINT) is before


def test_the_signal_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    fit(tiny(), EXAMPLES, **SETTINGS)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_runs_outside_the_main_thread(whole):
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(fit(tiny(), EXAMPLES, **SETTINGS)))
    thread.start()
    thread.join()
    assert runs[0].losses == whole[0].losses


KILLED = """
import sys, time
from course import resume, train
from tests import test_train as t

class Slow(train.LiveCurve):
    def update(self, step, **values):
        if step == 5:  # the states of four steps are saved by now
            print("saved", flush=True)
            time.sleep(600)

train.LiveCurve, resume.SAVE_EVERY = Slow, 0.0
train.fit(t.tiny(), t.EXAMPLES, held_out=t.EXAMPLES[:5], state=sys.argv[1], **t.SETTINGS)
"""


def test_killed_and_resumed_equals_undisturbed(whole, tmp_path):
    state = tmp_path / "state"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(state)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout and child.stdout.readline() == "saved\n"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert state.exists()
    lm, steps = tiny(), []
    run = fit(lm, EXAMPLES, held_out=EXAMPLES[:5], after_epoch=steps.append, state=state, **SETTINGS)
    assert run.losses == pytest.approx(whole[0].losses, rel=1e-6)
    assert [step for step, _ in run.held_out] == [step for step, _ in whole[0].held_out]
    assert_same(weights(lm), whole[1], rtol=1e-6, atol=1e-6)


def test_a_resumed_run_trains_only_what_is_left(whole, watch, tmp_path, monkeypatch):
    watch(interrupt_at(9))
    fit(tiny(), EXAMPLES, state=tmp_path / "state", **SETTINGS)
    trained: list[list[int]] = []
    real = train.add_sft_gradient
    monkeypatch.setattr(train, "add_sft_gradient", lambda lm, parts: trained.append([1]) or real(lm, parts))
    run = fit(tiny(), EXAMPLES, state=tmp_path / "state", **SETTINGS)
    assert len(trained) == 14 - 10
    assert run.losses == whole[0].losses


def test_a_resumed_curve_is_whole_and_its_time_left_counts_this_part_only(watch, tmp_path, monkeypatch):
    arguments = {"held_out": EXAMPLES[:5], "state": tmp_path / "state", **SETTINGS}
    watch(interrupt_at(9))
    part = fit(tiny(), EXAMPLES, **arguments)
    curves: list[train.LiveCurve] = []
    clock = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(live, "time", types.SimpleNamespace(monotonic=lambda: clock.now))

    class Timed(live.LiveCurve):
        """Each step of this part takes ten seconds."""

        def update(self, step: int, **values: float) -> None:
            clock.now += 10
            super().update(step, **values)
            if step == 11:
                curves.append(self)
                said.append(self._status())

    said: list[str] = []
    monkeypatch.setattr(train, "LiveCurve", Timed)
    run = fit(tiny(), EXAMPLES, **arguments)
    assert said[0].startswith("step 11 of 14 · 30 s left")
    assert curves[0].points == {"training": list(enumerate(run.losses, 1)), "held out": run.held_out}
    assert run.losses[:10] == part.losses


def test_a_resumed_optimizer_keeps_all_its_numbers_where_the_weights_are(tmp_path):
    """Fused AdamW on a GPU has its count of steps there; the device without memory stands in for it."""
    lm = tiny()
    optimizer = train._optimizer(lm.model, 1e-3, 0.0)
    lm.model(**collate(EXAMPLES, 0)).loss.backward()
    optimizer.step()
    State(tmp_path / "state", "run", lm.model, optimizer, given=torch.nn.Identity()).save(Run(losses=[1.0]))
    elsewhere = lm.model.to("meta")
    optimizer = train._optimizer(elsewhere, 1e-3, 0.0)
    State(tmp_path / "state", "run", elsewhere, optimizer, given=torch.nn.Identity()).restore(Run)
    assert len(optimizer.state) == len(list(elsewhere.parameters()))
    assert {value.device.type for kept in optimizer.state.values() for value in kept.values()} == {"meta"}


def test_adapters_are_resumed_too(watch, tmp_path):
    undisturbed = with_lora(tiny(), rank=2)
    first, second = clone(undisturbed), clone(undisturbed)
    wanted = fit(undisturbed, EXAMPLES, **SETTINGS)
    watch(interrupt_at(4))
    fit(first, EXAMPLES, state=tmp_path / "state", **SETTINGS)
    assert all("lora_" in name for name in load_file(tmp_path / "state"))  # the frozen weights are not copied
    run = fit(second, EXAMPLES, state=tmp_path / "state", **SETTINGS)
    assert run.losses == wanted.losses
    assert_same(weights(second), weights(undisturbed))


@pytest.mark.parametrize(
    "change", [{"learning_rate": 1e-3}, {"epochs": 3}, {"batch_size": 2}, {"seed": 6}, {"warmup": 0.5}]
)
def test_the_state_of_another_run_is_refused(watch, tmp_path, change):
    watch(interrupt_at(3))
    fit(tiny(), EXAMPLES, state=tmp_path / "state", **SETTINGS)
    lm = tiny()
    before = weights(lm)
    with pytest.raises(TrainingStopped, match=r"state of another run .* another file, or delete that one"):
        fit(lm, EXAMPLES, state=tmp_path / "state", **SETTINGS | change)
    assert_same(weights(lm), before)
    assert (tmp_path / "state").exists()


@pytest.mark.parametrize("examples", [some_examples(seed=2), EXAMPLES[:-1], EXAMPLES[::-1]])
def test_the_state_of_other_data_is_refused(watch, tmp_path, examples):
    watch(interrupt_at(3))
    fit(tiny(), EXAMPLES, state=tmp_path / "state", **SETTINGS)
    with pytest.raises(TrainingStopped, match="another run"):
        fit(tiny(), examples, state=tmp_path / "state", **SETTINGS)


@pytest.mark.parametrize("held_out", [(), EXAMPLES[:4], EXAMPLES[1:6]])
def test_a_curve_of_other_held_out_data_is_not_gone_on_with(watch, tmp_path, held_out):
    watch(interrupt_at(3))
    fit(tiny(), EXAMPLES, held_out=EXAMPLES[:5], state=tmp_path / "state", **SETTINGS)
    with pytest.raises(TrainingStopped, match="another run"):
        fit(tiny(), EXAMPLES, held_out=held_out, state=tmp_path / "state", **SETTINGS)


def without_a_tensor(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = file.metadata()
    tensors = load_file(path)
    del tensors[max(tensors)]
    save_file(tensors, path, metadata=about)


DAMAGE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-500]),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a state " * 50),
    "a tensor missing": without_a_tensor,
    "nothing about the run": lambda path: save_file(load_file(path), path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_is_named_and_nothing_is_changed(watch, tmp_path, damage):
    path = tmp_path / "state"
    watch(interrupt_at(3))
    fit(tiny(), EXAMPLES, state=path, **SETTINGS)
    damage(path)
    lm = tiny()
    before = weights(lm)
    with pytest.raises(TrainingStopped, match=r"state in .*state cannot be read .* Delete the file to begin anew\."):
        fit(lm, EXAMPLES, state=path, **SETTINGS)
    assert_same(weights(lm), before)
    assert path.exists()
    assert not lm.model.training


def test_a_state_that_cannot_be_written_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    lm = tiny()
    before = weights(lm)
    with pytest.raises(TrainingStopped, match=r"cannot be written to .* Give another file name"):
        fit(lm, EXAMPLES, state=tmp_path / "file" / "state", **SETTINGS)
    assert_same(weights(lm), before)


# --- what cannot be trained on ----------------------------------------------------------------------------------------


def test_a_loss_that_is_not_a_number_stops_with_the_weights_as_they_were(watch, monkeypatch):
    lm, kept, done = tiny(), {}, []
    watch(lambda step: (kept.update(weights(lm)), done.append(step)))

    def broken(model, batch):
        losses = real(model, batch)
        return losses * float("nan") if len(done) == 3 else losses  # steps 0 to 2 are done: this is step 3

    real = train.labelled_losses
    monkeypatch.setattr(train, "labelled_losses", broken)
    with pytest.raises(TrainingStopped, match=r"loss is nan at step 3; .* Check the learning rate .* the data"):
        fit(lm, EXAMPLES, **SETTINGS)
    assert_same(weights(lm), kept)
    assert all(weight.isfinite().all() for weight in kept.values())
    assert not lm.model.training
    assert all(weight.grad is None for weight in lm.model.parameters())


def test_weights_that_are_not_numbers_are_found_at_the_first_step():
    lm = tiny()
    with torch.no_grad():
        lm.model.model.norm.weight[0] = float("nan")
    with pytest.raises(TrainingStopped, match="loss is nan at step 0; the losses before were none"):
        fit(lm, EXAMPLES, **SETTINGS)


def test_an_infinite_gradient_stops_before_it_reaches_the_weights():
    lm = tiny()
    before = weights(lm)
    lm.model.model.norm.weight.register_hook(lambda grad: grad * float("inf"))
    with pytest.raises(TrainingStopped, match=r"loss is \d\.\d+ but its gradient's norm (?:inf|nan) at step 0"):
        fit(lm, EXAMPLES, **SETTINGS)
    assert_same(weights(lm), before)


def test_an_exploding_run_is_stopped():
    with pytest.raises(TrainingStopped, match=r"at step [1-9]; .*\(now [\d.]+e\+\d+; try a tenth\)"):
        fit(tiny(), EXAMPLES, epochs=30, learning_rate=1e30, clip=1e30)


def test_any_exception_leaves_the_model_in_evaluation_mode(monkeypatch):
    lm = tiny()
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(train, "add_sft_gradient", lambda *args: 1 // 0)
        fit(lm, EXAMPLES, **SETTINGS)
    assert not lm.model.training
    with pytest.raises(ZeroDivisionError):
        fit(lm, EXAMPLES, after_epoch=lambda n: 1 // 0, **SETTINGS)
    assert not lm.model.training


def test_no_examples():
    with pytest.raises(ValueError, match="There are no examples: the list is empty"):
        fit(tiny(), [])
    with pytest.raises(ValueError, match="There are no examples: the list is empty"):
        mean_loss(tiny(), [])


def test_examples_with_all_labels_masked_are_named():
    masked = {"input_ids": [5, 6, 7], "labels": [IGNORE] * 3}
    first_only = {"input_ids": [5, 6, 7], "labels": [5, IGNORE, IGNORE]}  # nothing comes before it to predict it from
    lm = tiny()
    with pytest.raises(ValueError, match=r"2 of 22 examples have no token to learn, first examples\[20\]: .*\(-100\)"):
        fit(lm, [*EXAMPLES, masked, first_only], **SETTINGS)
    with pytest.raises(ValueError, match=r"1 of 21 examples have no token to learn, first examples\[20\]"):
        mean_loss(lm, [*EXAMPLES, masked])
    before = weights(lm)
    with pytest.raises(ValueError, match=r"1 of 3 held_out have no token to learn, first held_out\[2\]"):
        fit(lm, EXAMPLES, held_out=[*EXAMPLES[:2], masked], **SETTINGS)
    assert_same(weights(lm), before)
    with pytest.raises(ValueError, match="1 of 1 examples"):
        fit(lm, [masked])
    with pytest.raises(ValueError, match="masked"):
        mean_loss(lm, [masked])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *[
            (name, value, "give at least 1")
            for name in ("epochs", "batch_size", "accumulate")
            for value in (0, 1.5, "2")
        ],
        *[
            (name, value, "give a number above 0")
            for name in ("learning_rate", "clip")
            for value in (0.0, -1, math.nan)
        ],
        *[("warmup", value, "is a share from 0 to 1") for value in (-0.1, 1.5, math.nan)],
        ("weight_decay", -0.1, "from 0 on"),
    ],
)
def test_settings_that_would_teach_nothing_or_the_contrary(name, value, said):
    with pytest.raises(ValueError, match=rf"{name}={value!r}.* ?{said}"):
        fit(tiny(), EXAMPLES, **{name: value})


UNREADABLE = {
    "of another tokenizer": ({"input_ids": [5, 10**6], "labels": [5, 10**6]}, "Token 1000000 .* has no place"),
    "a number below 0": ({"input_ids": [5, -3, 6], "labels": [5, -3, 6]}, "-3 is the number of no token"),
    "a mask of another library": ({"input_ids": [5, 6, 7], "labels": [-1, 6, 7]}, "-1 is the number of no token"),
    "too long": ({"input_ids": [5] * 513, "labels": [5] * 513}, "has 513 tokens, and the model's context is 512"),
    "no labels": ({"input_ids": [5, 6]}, "is no dict of `input_ids` and `labels`"),
    "a record": ({"messages": []}, "is no dict of `input_ids` and `labels`"),
    "a text": ("Hi", "is no dict of `input_ids` and `labels`: 'Hi'"),
}


@pytest.mark.parametrize(("example", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_example_that_the_model_cannot_read_is_named(example, said):
    lm = tiny()
    with pytest.raises(ValueError, match=rf"examples\[1\].*{said}"):
        fit(lm, [EXAMPLES[0], example])
    with pytest.raises(ValueError, match=rf"held_out\[0\].*{said}"):
        fit(lm, EXAMPLES, held_out=[example])
    with pytest.raises(ValueError, match=rf"examples\[0\].*{said}"):
        mean_loss(lm, [example])


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_examples_of_arrays_are_learnt_from_and_kept_as_lists_are(array, tmp_path):
    rows = [{name: array(tokens) for name, tokens in example.items()} for example in EXAMPLES]
    assert fit(tiny(), rows, **SETTINGS, state=tmp_path / "a.state").losses == fit(tiny(), EXAMPLES, **SETTINGS).losses


@pytest.mark.parametrize("document", [None, 5, {"text": "Hi"}, ["Hi"]])
def test_a_document_that_is_no_text_is_named(document):
    with pytest.raises(ValueError, match=r"documents\[1\] is .*, not text"):
        document_examples(tiny(), ["Hi", document], 4)


def test_a_message_is_learnt_whole_or_not_at_all():
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "tool_calls": [{"f": 1}]}]
    with pytest.raises(ValueError, match=r"records\[0\]: messages\[1\].tool_calls: is .* not read here"):
        chat_examples(tiny(), [{"messages": turns}])
    with pytest.raises(ValueError, match=r"records\[0\]: The messages are an array, not a list.*load_records"):
        chat_examples(tiny(), [{"messages": np.array(turns[:1])}])


# --- from text to examples --------------------------------------------------------------------------------------------


def test_documents_become_blocks_of_which_every_token_is_learnt():
    texts = ["The capital of Peru is Lima.", "a<|im_end|>b", "12 + 7 = 19."]
    examples = document_examples(tiny(), texts, length=8)
    assert all(len(e["input_ids"]) == 8 and e["labels"] == e["input_ids"] for e in examples)
    start = TOKENIZER.bos_token_id
    row = [start]
    for text in texts:
        row += [*TOKENIZER.encode(text, add_special_tokens=False, split_special_tokens=True), start]
    assert [token for e in examples for token in e["input_ids"]] == row[: len(row) // 8 * 8]
    assert TOKENIZER.eos_token_id not in row


def test_documents_of_a_tokenizer_without_a_first_token_are_divided_by_the_last():
    lm = dataclasses.replace(tiny(), tokenizer=copy.deepcopy(TOKENIZER))
    lm.tokenizer.bos_token = None
    (example,) = document_examples(lm, ["12 + 7 = 19."], length=8)
    assert example["input_ids"][0] == TOKENIZER.eos_token_id


RECORD = {
    "messages": [
        {"role": "user", "content": "What is 12 + 7?"},
        {"role": "assistant", "content": "19."},
        {"role": "user", "content": "And Peru?"},
        {"role": "assistant", "content": "Lima."},
    ]
}


def test_of_conversations_the_assistants_turns_are_learnt():
    (masked,) = chat_examples(tiny(), [RECORD])
    learnt = [label for label in masked["labels"] if label != IGNORE]
    assert TOKENIZER.decode(learnt) == "19.<|im_end|>Lima.<|im_end|>"
    (every,) = chat_examples(tiny(), [RECORD], masked=False)
    assert every["input_ids"] == masked["input_ids"] == every["labels"]


def test_conversations_longer_than_the_context_are_cut_and_counted(capsys):
    lm = tiny()
    long = {"messages": [RECORD["messages"][0], {"role": "assistant", "content": "19 " * 800}]}
    examples = chat_examples(lm, [RECORD, long])
    assert [len(e["input_ids"]) <= 512 for e in examples] == [True, True]
    assert "1 of 2 examples were longer than 512 tokens" in capsys.readouterr().out
    hidden = {"messages": [{"role": "user", "content": "19 " * 800}, {"role": "assistant", "content": "Yes."}]}
    assert len(chat_examples(lm, [RECORD, hidden])) == 1
    assert "1 were dropped" in capsys.readouterr().out


def test_what_is_no_conversation_is_named_with_the_mend():
    lm = tiny()
    instruction = {"instruction": "Add.", "input": "2 + 2", "output": "4"}
    with pytest.raises(
        ValueError, match=r"records\[1\] is a record of instruction, input, output, .*instruction_to_conversation"
    ):
        chat_examples(lm, [RECORD, instruction])
    with pytest.raises(ValueError, match="records is one record where a list is asked"):
        chat_examples(lm, RECORD)  # one record in the place of a list
    with pytest.raises(ValueError, match=r"records\[1\]: messages\[0\]\.role: unknown role 'bot'\. Call it"):
        chat_examples(lm, [RECORD, {"messages": [{"role": "bot", "content": "Hi"}]}])
