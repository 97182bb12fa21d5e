"""The one loop that every supervised stage uses, from pretraining to SFT and reward models.

Serves notebooks 01 and 03 and all that follow: `fit` says what a language model learns from, `loop` takes the steps,
and `course.rewards` brings another loss to the same loop. AdamW (Loshchilov & Hutter 2019), linear warm-up and linear
decay, gradient clipping, gradient accumulation with the mean over all tokens of the accumulated batch. Left out on
purpose: several devices, mixed data sources, callbacks.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course import SEED
from course.batching import IGNORE, Example, blocks, check_examples, clip, collate, make_labels
from course.formats.records import describe
from course.losses.sft import token_losses
from course.models import LM, precision, require_list
from course.plots import LiveCurve
from course.resume import SAVE_EVERY, Run, State, TrainingStopped, deferred_interrupt, fingerprint, say_interrupted
from course.templates import Template


def document_examples(lm: LM, documents: Iterable[str], length: int) -> list[dict[str, list[int]]]:
    """Documents, each begun by the document token, joined and cut into blocks: every token is to be learnt."""
    require_list(documents, "documents")
    encoded = lm.tokenizer(list(documents), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    rows = blocks(encoded, length, lm.tokenizer.bos_token_id).tolist()
    return [{"input_ids": row, "labels": row} for row in rows]


def chat_examples(
    lm: LM, records: Iterable[dict], template: Template | None = None, masked: bool = True
) -> list[dict[str, list[int]]]:
    """Conversation records as training examples.

    Args:
        lm: whose tokenizer is used.
        records: conversations, dicts with `messages`.
        template: how they are written down; the model's own if not given.
        masked: learn the assistant's turns only; False learns every token, the user's words included.

    What exceeds the model's context is cut, and a line says how many examples that were.

    Raises:
        ValueError: a record is no conversation, or one that the template cannot hold; names it by its place.
    """
    require_list(records, "records")
    lm = replace(lm, template=template) if template else lm
    examples = []
    for i, record in enumerate(records):
        if not isinstance(record, dict) or record.get("messages") is None:
            what = f"a record of {', '.join(record)}" if isinstance(record, dict) else describe(record)
            raise ValueError(
                f"records[{i}] is {what}, not a conversation with `messages`. Convert it first, for instance with "
                "course.formats.instruction_to_conversation."
            )
        try:
            encoded = lm.encode(record["messages"])
        except ValueError as error:
            raise ValueError(f"records[{i}]: {error}") from error
        mask = encoded.assistant_mask if masked else [1] * len(encoded.input_ids)
        examples.append({"input_ids": encoded.input_ids, "labels": make_labels(encoded.input_ids, mask)})
    if lm.context is None:
        return examples
    kept, report = clip(examples, lm.context)
    if report.cut or report.dropped:
        print(report)
    return kept


def fit(
    lm: LM,
    examples: Sequence[dict[str, list[int]]],
    *,
    epochs: int = 2,
    learning_rate: float = 3e-4,
    batch_size: int = 16,
    accumulate: int = 1,
    warmup: float = 0.05,
    clip: float = 1.0,
    weight_decay: float = 0.0,
    shuffle: bool = True,
    held_out: Sequence[dict[str, list[int]]] = (),
    after_epoch: Callable[[int], None] = lambda epoch: None,
    seed: int = SEED,
    title: str = "Training",
    state: Path | str | None = None,
) -> Run:
    """Train a model in place by next-token prediction on the labelled tokens.

    Interrupt it (the stop button, Ctrl-C) and the step at hand is finished, the state saved, and the run so far
    returned. Called again with the same arguments and `state`, it goes on where it stopped and ends with the numbers
    that an uninterrupted run gives.

    Args:
        lm: the model; weights that do not require gradients stay as they are.
        examples: dicts of `input_ids` and `labels`, lists of equal length, -100 where nothing is to be learnt.
        epochs: passes over the examples.
        learning_rate: the highest rate, reached after warm-up.
        batch_size: examples in a forward pass.
        accumulate: forward passes per optimizer step.
        warmup: share of the steps in which the rate rises from 0.
        clip: largest norm of the gradient.
        weight_decay: AdamW's, on matrices only.
        shuffle: take the examples in random order, another one in each epoch; otherwise in the order given.
        held_out: examples whose loss is measured at the start and after each epoch.
        after_epoch: called with the number of epochs done, the model in evaluation mode: to look at its samples.
        seed: of the order of the batches.
        title: shown above the live curve.
        state: a file to save to and resume from.
    Raises:
        TrainingStopped: the loss or its gradient is not a number, or the state file is damaged, of another run, or
            cannot be written.
        ValueError: no examples, an example (or a held-out one) without a labelled token, or a count below 1.
    """
    check_examples(examples)
    if held_out:
        check_examples(held_out, "held_out")
    pad = lm.tokenizer.pad_token_id

    def learn(batches: list[list[Example]]) -> Learnt:
        parts = [collate(half, pad) for batch in batches for half in _halves(batch)]
        return Learnt(_backward(lm, parts), sum(int(part["attention_mask"].sum()) for part in parts))

    return loop(
        lm.model,
        examples,
        learn,
        Recipe(epochs, learning_rate, batch_size, accumulate, warmup, clip, weight_decay, shuffle, seed),
        measure=(lambda: mean_loss(lm, held_out)) if held_out else None,
        after_epoch=after_epoch,
        title=title,
        y="loss (nats per token)",
        state=state,
    )


@dataclass(frozen=True)
class Recipe:
    """How the loop trains, whatever is learnt; `fit` says what each setting means."""

    epochs: int
    learning_rate: float
    batch_size: int
    accumulate: int = 1
    warmup: float = 0.05
    clip: float = 1.0
    weight_decay: float = 0.0
    shuffle: bool = True
    seed: int = SEED


class Learnt(NamedTuple):
    """What one optimizer step learnt from.

    Attributes:
        loss: the mean loss of its examples.
        tokens: how many the model read.
        measured: what else is worth watching, by name; the same names at every step, NaN where there is nothing.
    """

    loss: float
    tokens: int
    measured: Mapping[str, float] = MappingProxyType({})


def loop(
    model: nn.Module,
    examples: Sequence[Example],
    learn: Callable[[list[list[Example]]], Learnt],
    recipe: Recipe,
    *,
    measure: Callable[[], float] | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    title: str,
    y: str,
    panels: Mapping[str, str] | None = None,
    state: Path | str | None = None,
    about: Sequence[Any] = (),
    hint: str = "",
) -> Run:
    """Train a model in place on examples of any kind: the part of `fit` that does not depend on what is learnt.

    Args:
        model: weights that do not require gradients stay as they are.
        examples: dicts of lists of numbers.
        learn: given the batches of one optimizer step, each a list of examples, adds the gradient of their mean loss
            to the model.
        recipe: rate, epochs, batches and their order.
        measure: the loss on held-out examples.
        after_epoch, title, state: as in `fit`.
        y: what the loss is counted in.
        panels: draws the loss (`training`), the `held_out` one and what `learn` measured in plots of their own, with
            these titles.
        about: what else tells this run from another, as JSON can hold it.
        hint: what else to check where the state file is of another run.
    Raises:
        TrainingStopped, ValueError: as `fit`, but for the examples.
    """
    for name in ("epochs", "batch_size", "accumulate"):
        if getattr(recipe, name) < 1:
            raise ValueError(f"{name}={getattr(recipe, name)}: give at least 1.")
    plan = _plan(len(examples), recipe)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = _optimizer(model, recipe.learning_rate, recipe.weight_decay)
    settings = [*astuple(recipe), sum(p.numel() for p in model.parameters()), *about]
    keeper = State(state, fingerprint(examples, settings), model, optimizer, hint) if state else None
    run = (keeper.restore(Run) if keeper else None) or Run()
    run.interrupted = False
    steps_per_epoch = len(plan) // recipe.epochs
    began, before = time.monotonic(), run.seconds
    saved = began
    with (
        _training(model, optimizer),
        LiveCurve(title, len(plan), y=y, panels=panels) as curve,
        deferred_interrupt() as interrupted,
    ):
        for step, loss in enumerate(run.losses):
            curve.replay(step, training=loss, **_numbers({name: each[step] for name, each in run.measured.items()}))
        for step, loss in run.held_out:
            curve.replay(step, held_out=loss)
        for step in range(len(run.losses), len(plan)):
            if step % steps_per_epoch == 0:
                _between_epochs(model, run, step, steps_per_epoch, measure, after_epoch)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate_at(step, len(plan), recipe.warmup)
            loss, tokens, measured = learn([[examples[i] for i in batch] for batch in plan[step]])
            norm = float(nn.utils.clip_grad_norm_(weights, recipe.clip))
            if not math.isfinite(loss + norm):
                raise TrainingStopped(_not_finite(loss, norm, step, optimizer.param_groups[0]["lr"], run.losses))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            run.losses.append(loss)
            for name, value in measured.items():
                run.measured.setdefault(name, []).append(value)
            run.tokens += tokens
            run.seconds = before + time.monotonic() - began
            latest = {"held_out": run.held_out[-1][1]} if run.held_out and run.held_out[-1][0] == step else {}
            curve.update(step, training=loss, **_numbers(measured), **latest)
            stop = interrupted()  # asked once: an interrupt between two questions would end the run unsaved
            if keeper and (stop or time.monotonic() - saved > SAVE_EVERY):
                keeper.save(run)
                saved = time.monotonic()
            if stop:
                run.interrupted = step + 1 < len(plan)
                break
        if not run.interrupted:
            _between_epochs(model, run, len(plan), steps_per_epoch, measure, after_epoch)
            curve.update(len(plan), **({"held_out": run.held_out[-1][1]} if run.held_out else {}))
    run.seconds = before + time.monotonic() - began
    if run.interrupted:
        say_interrupted(len(run.losses), len(plan), "steps", state)
    elif keeper:
        keeper.remove()
    return run


def _numbers(measured: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in measured.items() if not math.isnan(value)}


@contextmanager
def _training(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Training mode inside; outside, whatever happened, evaluation mode again and no gradient left for the next run."""
    optimizer.zero_grad(set_to_none=True)  # a learner's own loop may have left some
    model.train()
    try:
        yield
    finally:
        model.eval()
        optimizer.zero_grad(set_to_none=True)


def _between_epochs(
    model: nn.Module,
    run: Run,
    step: int,
    steps_per_epoch: int,
    measure: Callable[[], float] | None,
    after_epoch: Callable[[int], None],
) -> None:
    model.eval()
    if measure:
        run.held_out.append((step, measure()))
    if step:
        after_epoch(step // steps_per_epoch)
    model.train()


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate at a step: linear from 0 up, then linear down to 0 at the end."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return step / rising
    return (steps - step) / max(1, steps - rising)


@torch.no_grad()
def mean_loss(lm: LM, examples: Sequence[dict[str, list[int]]], batch_size: int = 32) -> float:
    """Mean loss per labelled token over the examples, in nats.

    Raises:
        ValueError: no examples, or one without a labelled token; names it by its place in the list.
    """
    check_examples(examples)
    lm.model.eval()
    near = sorted(examples, key=lambda example: len(example["input_ids"]))  # similar lengths together: less padding
    total, count = 0.0, 0
    for first in range(0, len(near), batch_size):
        batch = collate(near[first : first + batch_size], lm.tokenizer.pad_token_id)
        total += float(labelled_losses(lm, batch).sum())
        count += _labelled(batch)
    return total / count


def _labelled(batch: dict[str, Tensor]) -> int:
    return int((batch["labels"][:, 1:] != IGNORE).sum())


def labelled_losses(lm: LM, batch: dict[str, Tensor]) -> Tensor:
    """The model's surprise at each labelled token of a batch; gradients flow.

    Args:
        lm: the model.
        batch: as from `course.batching.collate`, padded on the right; B rows.
    Returns:
        float32 (B, columns from the first labelled token of any row on), natural log, 0 where no label is.
    """
    # No attention mask: padding stands at the right, so under causal attention no real token can see it, and
    # attention without a mask takes a faster kernel. Labels there are -100, so it adds nothing to the loss.
    # What stands before the first labelled token in every row, such as the chat's opening, needs no scores either.
    labels = batch["labels"]
    first = int((labels[:, 1:] != IGNORE).any(dim=0).int().argmax())  # the scores here are for the token at first + 1
    with precision(lm.device):
        logits = lm.model(input_ids=batch["input_ids"].to(lm.device), logits_to_keep=labels.shape[1] - first).logits
    return token_losses(logits, labels[:, first:].to(lm.device))


def _backward(lm: LM, batches: list[dict[str, Tensor]]) -> float:
    """Accumulate the gradient of the mean loss over all labelled tokens of the batches; returns that mean.

    Dividing each part by the tokens of the whole, rather than averaging the parts' means, makes accumulation equal
    to one large batch.
    """
    count = sum(_labelled(batch) for batch in batches)
    total = 0.0
    for batch in batches:
        part = labelled_losses(lm, batch).sum() / count
        part.backward()
        total += float(part.detach())
    return total


def _plan(count: int, recipe: Recipe) -> list[list[list[int]]]:
    """For each optimizer step its batches, each a list of indices into the examples.

    Batches are not made of similar lengths, though that would save padding. The loss is a mean over a step's tokens, so
    in a batch of short answers each first word would weigh more than in a batch of long ones, and a style that is long
    would be learnt as rarer than it is: of demonstrations half of which were long, a model learnt 20-30%.
    """
    plan: list[list[list[int]]] = []
    for epoch in range(recipe.epochs):
        order = list(range(count))
        if recipe.shuffle:
            random.Random(1000 * recipe.seed + epoch).shuffle(order)
        batches = [order[i : i + recipe.batch_size] for i in range(0, count, recipe.batch_size)]
        plan += [batches[i : i + recipe.accumulate] for i in range(0, len(batches), recipe.accumulate)]
    return plan


def _halves(batch: list[Example]) -> list[list[Example]]:
    """A batch as its shorter and its longer half: less padding where lengths differ, and no bias.

    Both halves are one step's gradient, and `_backward` divides by the tokens of the whole step.
    """
    ordered = sorted(batch, key=lambda example: len(example["input_ids"]))
    if len(ordered[0]["input_ids"]) == len(ordered[-1]["input_ids"]):
        return [batch]
    middle = len(ordered) // 2
    return [ordered[:middle], ordered[middle:]]


def _optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), fused=True)


def _not_finite(loss: float, norm: float, step: int, rate: float, losses: list[float]) -> str:
    what = f"loss is {loss}" if not math.isfinite(loss) else f"loss is {loss:.3f} but its gradient's norm {norm}"
    recent = ", ".join(f"{value:.3f}" for value in losses[-3:]) or "none"
    return (
        f"The {what} at step {step}; the losses before were {recent}. This step did not change the weights. "
        f"Check the learning rate (now {rate:.2g}; try a tenth), the data (a batch of empty or damaged examples), and "
        "whether the weights were finite when you began."
    )
