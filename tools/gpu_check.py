"""Try every stage with a real model on this machine: `make gpu`. Made for a GPU; it runs on a CPU too, in its own time.

Each stage learns from so many records that it takes about half a minute, and TRL's trainer then takes the same ones in
batches of the same size. All of it takes less than 15 minutes. A stage that fails says why in its row, and the others
go on; interrupted, the table holds what was measured. The model is SmolLM2-135M-Instruct, or COURSE_MODEL.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import nn

from course.batching import Example
from course.capacity import Plan, free_memory
from course.experiments.real.ppo import length_reward, settings_for
from course.experiments.real.start import (
    MOST,
    RANK,
    adapted,
    all_trained,
    longest_answer,
    longest_example,
    planned,
    real_model,
    to_learn,
)
from course.formats import Record
from course.models import LM, add_lora, best_device, has_bf16
from course.preferences import DPO, fit_preferences
from course.rewards import RewardModel, fit_reward, new_reward_model
from course.rl import ppo
from course.rollouts import chat_prompts, sample
from course.smollm2 import first_line
from course.stops import unfinished
from course.train import chat_examples, fit
from course.world import demonstrate
from course.world.chats import conversations
from tools.bench import best_matrix_product, library_rate, trl_seconds
from tools.experiments import Cost

BATCH, LARGEST, SECONDS = 16, 256, 30
"""Records in a step, the most records of a stage, and how long it may take with them, by what a first step took."""
COLUMNS = ("seconds", "tokens/s", "TRL tokens/s", "peak GB", "share of peak")


@dataclass(frozen=True)
class Done:
    """What a stage did: tokens and floating-point operations of the model, in how many seconds, by what plan."""

    tokens: int
    operations: float
    seconds: float
    how: Plan | None = None


@dataclass(frozen=True)
class Stage:
    """`ours` does it with so many records; `theirs` gives the tokens in a second of TRL, told what ours did."""

    name: str
    ours: Callable[[int], Done]
    theirs: Callable[[int, Done], float] | None = None


def multiplied(model: nn.Module) -> int:
    """The weights that every token is multiplied with: those of the linear layers, not those of the embedding."""
    return sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear))


def trl_settings(how: Plan) -> dict[str, object]:
    """The plan, device and precision as TRL takes them."""
    device = real_model().device
    sizes = {"per_device_train_batch_size": how.batch_size, "gradient_accumulation_steps": how.accumulate}
    return {"use_cpu": device.type == "cpu", "bf16": has_bf16(device), **sizes}


# --- the stages -------------------------------------------------------------------------------------------------------
# Operations: 2 a weight and token for a forward pass, and 2 more for the gradient of the activations and of the weights
# each (Kaplan et al. 2020, section 2.1): 6 with all weights, 4 with LoRA, whose own are too few to count.


def sft(all_weights: bool) -> Stage:
    """SFT on demonstrations: 6 operations a weight and token, or 4."""

    def examples(count: int) -> list[Example]:
        return chat_examples(real_model(), conversations(to_learn(count, 0), seed=0))

    def ready(how: Plan) -> LM:
        return all_trained(how) if all_weights else adapted(0)

    def ours(count: int) -> Done:
        shown = examples(count)
        how = planned(longest_example(shown), BATCH, copies=int(all_weights), all_weights=all_weights)
        lm = ready(how)
        run = fit(lm, shown, epochs=1, **how.steps)
        return Done(run.tokens, (6 if all_weights else 4) * multiplied(lm.model) * run.tokens, run.seconds, how)

    def theirs(count: int, done: Done) -> float:
        return done.tokens / trl_seconds("SFT", ready(done.how), examples(count), trl_settings(done.how))

    return Stage("SFT, all weights" if all_weights else "SFT, LoRA", ours, theirs)


def pairs(count: int) -> list[Record]:
    """Each question with a short answer, which is chosen, and a long one."""
    questions = to_learn(count, 0)
    return [
        {"prompt": q.text, "chosen": demonstrate(q, "plain"), "rejected": demonstrate(q, "warm")} for q in questions
    ]


def as_messages_of(records: list[Record]) -> list[Record]:
    """The same pairs as TRL wants them to apply the model's template."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return [{key: [{"role": role, "content": r[key]}] for key, role in roles.items()} for r in records]


def reward() -> Stage:
    """A reward model with all weights, 6 operations a weight and token, or where these are too many adapters, 4."""

    def ready(how: Plan) -> RewardModel:
        model = new_reward_model(real_model())
        if how.lora:
            add_lora(model.trunk, RANK)
        return model

    def ours(count: int) -> Done:
        records = pairs(count)
        how = planned(longest_answer(records), BATCH, rows=2, copies=1, all_weights=True)
        model = ready(how)
        run = fit_reward(model, records, **how.steps)
        return Done(run.tokens, (4 if how.lora else 6) * multiplied(model.model) * run.tokens, run.seconds, how)

    def theirs(count: int, done: Done) -> float:
        data, settings = as_messages_of(pairs(count)), trl_settings(done.how)
        return done.tokens / trl_seconds("Reward", ready(done.how), data, settings)

    return Stage("reward model", ours, theirs)


def sampling() -> Stage:
    """New tokens: 2 operations a weight and token, the prompts' too. Beside it transformers' `generate`."""

    def prompts(count: int) -> list[list[int]]:
        return chat_prompts(real_model(), to_learn(count, 0))

    def ours(count: int) -> Done:
        asked, began = prompts(count), time.perf_counter()
        tokens = int(sample(real_model(), asked, max_new_tokens=MOST).mask.sum())
        seconds = time.perf_counter() - began
        return Done(tokens, 2 * multiplied(real_model().model) * (tokens + sum(map(len, asked))), seconds)

    return Stage("sampling", ours, lambda count, done: library_rate(real_model(), prompts(count), MOST, 0))


def dpo() -> Stage:
    """DPO with LoRA: 4 operations a weight and token, and 2 for the reference."""

    def ours(count: int) -> Done:
        records, lm = pairs(count), adapted(0)
        how = planned(longest_answer(records), BATCH, rows=2)
        began = time.perf_counter()
        run = fit_preferences(lm, records, DPO(0.1), **how.steps)
        seconds = time.perf_counter() - began  # the reference is read before the first step
        return Done(run.tokens, 6 * multiplied(lm.model) * run.tokens, seconds, how)

    def theirs(count: int, done: Done) -> float:
        data, settings = as_messages_of(pairs(count)), trl_settings(done.how)
        return done.tokens / trl_seconds("DPO", adapted(0), data, settings)

    return Stage("DPO, LoRA", ours, theirs)


def reinforcement() -> Stage:
    """PPO: 2 each to sample, for the reference and for the values; 4 for the policy's step, 6 or 4 for the values'."""

    def ours(count: int) -> Done:
        lm, questions = adapted(0), to_learn(count, 0)
        settings = settings_for(lm, questions)
        began = time.perf_counter()
        run = ppo(
            lm, length_reward, questions, iterations=max(1, count // settings.rollout_batch_size), settings=settings
        )
        seconds = time.perf_counter() - began
        prompt = sum(map(len, chat_prompts(lm, questions))) / count
        tokens = sum(int(settings.rollout_batch_size * (prompt + past["length"])) for past in run.history)
        each = 6 + settings.epochs * (4 + (4 if settings.value_rank else 6))
        return Done(tokens, each * multiplied(lm.model) * tokens, seconds)

    return Stage("PPO, LoRA", ours)


STAGES = (sft(True), sft(False), reward(), sampling(), dpo(), reinforcement())


# --- measuring --------------------------------------------------------------------------------------------------------


def measured(stage: Stage, peak: float) -> tuple[str, ...]:
    """The cells of a stage's row; `peak` is in floating-point operations a second."""
    unstopped(stage, BATCH)  # the first kernels are slow
    once = unstopped(stage, BATCH).seconds
    count = BATCH * max(1, min(LARGEST // BATCH, int(SECONDS / once)))
    tidy()
    with Cost() as cost:
        done = unstopped(stage, count)
    cells = [f"{done.seconds:.1f}", f"{done.tokens / done.seconds:,.0f}", "", f"{cost.bytes / 1e9:.2f}"]
    cells.append(f"{done.operations / done.seconds / peak:.0%}")
    if stage.theirs:
        tidy()
        try:
            cells[2] = f"{stage.theirs(count, done):,.0f}"
        except Exception as error:
            cells.append(f"TRL: {first_line(error)}")
    return tuple(cells)


def unstopped(stage: Stage, count: int) -> Done:
    """What our stage did; raises KeyboardInterrupt if it was interrupted, which our loops take for a stop."""
    done = stage.ours(count)
    if unfinished:
        raise KeyboardInterrupt
    return done


def tidy() -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def row(name: str, cells: tuple[str, ...]) -> str:
    """A line of the table; what goes beyond the columns, such as an error, follows them."""
    return (
        f"{name:<18}" + "".join(f"{cell:>15}" for cell in cells[:5]) + "".join(f"  {c}" for c in cells[5:])
    ).rstrip()


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    os.environ.update(TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with two, TRL would share its batches out and we would not
    device, rows, failed = best_device(), [row("", COLUMNS)], False
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    dtype = torch.bfloat16 if has_bf16(device) else torch.float32
    try:
        lm, peak = real_model(), best_matrix_product(device, dtype)
        print(f"{lm.name}, {lm.parameters:,} weights, on {name} with {free_memory(device) / 1e9:.1f} GB free")
        kind = str(dtype).removeprefix("torch.")
        print(f"computing in {kind}, whose best matrix product here, {peak / 1e12:.2f} TFLOP/s, is the peak")
        print(", ".join(f"{package} {version(package)}" for package in ("torch", "transformers", "peft", "trl")))
        for stage in STAGES:
            print(f"{stage.name} ...", file=sys.stderr, flush=True)
            try:
                rows.append(row(stage.name, measured(stage, peak)))
            except Exception as error:
                failed = True
                rows.append(row(stage.name, ("",) * 5 + (f"{type(error).__name__}: {first_line(error)}",)))
            tidy()
    except KeyboardInterrupt:
        rows.append("Interrupted.")
        failed = True
    print(*rows, sep="\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
