"""The one loop that every supervised stage uses, from pretraining to SFT and reward models.

Serves notebooks 01 and 03 and all that follow: `fit` says what a language model learns from, `loop` takes the steps,
and `course.rewards` brings another loss to it. AdamW (Loshchilov & Hutter 2019), linear warm-up and decay, gradient
clipping, gradient accumulation with the mean over all tokens of the accumulated batch.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course import SEED
from course.batching import IGNORE, Example, answer_example, blocks, check_examples, clip, collate, make_labels
from course.formats import Message, as_messages
from course.formats.problems import describe
from course.losses.sft import token_losses
from course.models import LM, Pretrained, precision, require_list, seeded
from course.plots import LiveCurve
from course.resume import (
    Run,
    State,
    TrainingStopped,
    check_settings,
    deferred_interrupt,
    drive,
    evaluating,
    fingerprint,
)
from course.templates import Template
from course.world import Question, Request

Prompt = str | Question | Request | list[Message]
"""What was asked: a text, anything with a `.text`, or the turns so far."""

READ_AT_ONCE = 32  # examples in a forward pass that only measures


def document_examples(lm: LM, documents: Iterable[str], length: int) -> list[dict[str, list[int]]]:
    """Documents, each begun by the first token (the last, if there is none), joined and cut: every token is learnt."""
    require_list(documents, "documents")
    documents = list(documents)
    if bad := [i for i, document in enumerate(documents) if not isinstance(document, str)]:
        raise ValueError(f"documents[{bad[0]}] is {describe(documents[bad[0]])}, not text.")
    encoded = lm.tokenizer(documents, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    begin = lm.tokenizer.bos_token_id
    rows = blocks(encoded, length, lm.tokenizer.eos_token_id if begin is None else begin).tolist()
    return [{"input_ids": row, "labels": row} for row in rows]


def chat_examples(
    lm: LM, records: Iterable[dict], template: Template | None = None, masked: bool = True
) -> list[dict[str, list[int]]]:
    """Conversation records, dicts with `messages`, as training examples; a line says how many the context cuts.

    Args:
        lm, records: whose tokenizer is used, and the conversations.
        template: how they are written down; the model's own if not given.
        masked: learn the assistant's turns only; False learns every token, the user's words included.
    Raises:
        ValueError: a record is no conversation, or one that the template cannot hold; names it by its place.
    """
    require_list(records, "records")
    lm = replace(lm, template=template) if template else lm
    examples = []
    for i, record in enumerate(records):
        if not isinstance(record, dict) or record.get("messages") is None:
            what = f"a record of {', '.join(record)}" if isinstance(record, dict) else describe(record)
            mend = "Convert it first, for instance with course.formats.instruction_to_conversation."
            raise ValueError(f"records[{i}] is {what}, not a conversation with `messages`. {mend}")
        try:
            encoded = lm.encode(record["messages"])
        except ValueError as error:
            raise ValueError(f"records[{i}]: {error}") from error
        ids, mask = encoded.input_ids, encoded.assistant_mask
        examples.append({"input_ids": ids, "labels": make_labels(ids, mask) if masked else ids})
    if lm.context is not None:
        examples, report = clip(examples, lm.context)
        if report.cut or report.dropped:
            print(report)
    return examples


def encode_answers(
    lm: Pretrained, prompt: Prompt, answers: Sequence[str] | Sequence[list[Message]]
) -> tuple[list[int], list[list[int]]]:
    """A prompt, and answers to it, as tokens: what a model reads is the prompt's and then those of one answer.

    An answer, a text, or messages if the prompt is made of them, is tokenised together with its prompt, as in SFT. A
    token that reaches into it from the template is its own.

    Returns:
        The prompt's tokens up to where the answers begin; each answer's, with the one that ends the turn.
    Raises:
        ValueError: as `Template.encode`, or there is a turn of somebody else in an answer.
    """
    record = as_messages({"prompt": getattr(prompt, "text", prompt), "completions": list(answers)})
    rows, prompts = [], []
    for turns in record["completions"]:
        encoded = lm.encode([*record["prompt"], *turns], given=len(record["prompt"]))
        mask = encoded.assistant_mask
        start, end = mask.index(1), len(mask) - mask[::-1].index(1)
        if 0 in mask[start:end]:
            what = f"An answer has {len(turns)} turns, not all of them the assistant's"
            raise ValueError(f"{what}. Move those before its last turn into the prompt.")
        rows.append(encoded.input_ids[:end])
        prompts.append(encoded.input_ids[:start])
    shared = len(list(takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))))
    return rows[0][:shared], [row[shared:] for row in rows]


def answer_examples(
    lm: Pretrained, prompts: Sequence[Prompt], texts: Sequence[str] | Sequence[list[Message]]
) -> list[dict[str, list[int]]]:
    """Prompts and as many answers (texts or messages) as examples with labels on the answer and the token that ends it.

    Raises:
        ValueError: nothing to score, not as many texts as prompts, or a conversation longer than the model's context.
    """
    require_list(prompts, "prompts")
    require_list(texts, "texts")
    if not len(texts) or len(prompts) != len(texts):
        raise ValueError(f"There are {len(prompts)} prompts and {len(texts)} texts: one for each, at least one.")
    encoded = [encode_answers(lm, prompt, [text]) for prompt, text in zip(prompts, texts, strict=True)]
    rows = [answer_example(prompt_ids, answer_ids) for prompt_ids, [answer_ids] in encoded]
    sizes = {f"texts[{i}]": len(row["input_ids"]) for i, row in enumerate(rows)}
    if long := [f"{text} with {size}" for text, size in sizes.items() if not lm.fits(size)]:
        what = f"{len(long)} of {len(rows)} conversations exceed the model's context of {lm.context} tokens"
        raise ValueError(f"{what}, first {long[0]}. Leave them out, or shorten them.")
    return rows


@deferred_interrupt()
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

    Interrupted (the stop button, Ctrl-C), it finishes the step, saves the state and returns the run so far. Called
    again with the same arguments, and the model as it began or stopped, it ends like an uninterrupted run.

    Args:
        lm: the model; weights that do not require gradients stay as they are.
        examples: dicts of `input_ids` and `labels`, lists of equal length, -100 where nothing is to be learnt.
        epochs: passes over the examples.
        learning_rate, warmup: the highest rate, and the share of the steps in which it rises, at least the first step.
        batch_size, accumulate: examples in a forward pass, and forward passes per optimizer step.
        clip: largest norm of the gradient.
        weight_decay: AdamW's, on matrices only.
        shuffle, seed: take the examples in another random order in each epoch, drawn from the seed.
        held_out: examples whose loss is measured at the start and after each epoch.
        after_epoch: called with the number of epochs done, the model in evaluation mode: to look at its samples.
        title: shown above the live curve.
        state: a file to save to and resume from.
    Raises:
        TrainingStopped: the loss or its gradient is not a number, or the state file cannot be used.
        ValueError: no examples, one (or a held-out one) that has no labelled token or that the model cannot read, or a
            setting out of range.
    """
    _check_readable(lm, examples)
    if held_out:
        _check_readable(lm, held_out, "held_out")

    def step_fn(batches: list[list[Example]]) -> Learnt:
        lm.model.train()
        parts = [half for batch in batches for half in _halves(batch)]
        tokens = sum(len(example["input_ids"]) for part in parts for example in part)
        return Learnt(add_sft_gradient(lm, parts), tokens)

    return loop(
        lm.model,
        examples,
        step_fn,
        Recipe(epochs, learning_rate, batch_size, accumulate, warmup, clip, weight_decay, shuffle, seed),
        held_out=held_out,
        measure=lambda: mean_loss(lm, held_out),
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
    """The mean loss of a step's examples, the tokens read, and by name what else was measured (NaN for nothing)."""

    loss: float
    tokens: int
    measured: Mapping[str, float] = MappingProxyType({})


def loop(
    model: nn.Module,
    examples: Sequence[Example],
    step_fn: Callable[[list[list[Example]]], Learnt],
    recipe: Recipe,
    *,
    held_out: Sequence[Example] = (),
    measure: Callable[[], float] = lambda: math.nan,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    title: str,
    y: str,
    panels: Mapping[str, str] | None = None,
    state: Path | str | None = None,
    about: Sequence[Any] = (),
    start_only: bool = False,
) -> Run:
    """Train a model in place on examples of any kind: the part of `fit` that does not depend on what is learnt.

    Args:
        model: weights that do not require gradients stay as they are.
        examples: dicts of lists of numbers.
        step_fn: given the batches of one optimizer step, each a list of examples, adds the gradient of their mean loss
            to the model, which it finds in evaluation mode, without dropout. It measures the same at every step.
        recipe, after_epoch, title, state: as in `fit`.
        held_out, measure: examples of the same kind, and what gives the loss on them.
        y: what the loss is counted in.
        panels: titles of plots of their own for the loss (`training`), the `held_out` one and what `step_fn` measured.
        about: what else tells this run from another, as JSON can hold it.
        start_only: as in `State`.
    Raises:
        TrainingStopped, ValueError: as `fit`, but for the examples.
    """
    check_settings(recipe, ("epochs", "batch_size", "accumulate"), ("learning_rate", "clip"))
    if not (0 <= recipe.warmup <= 1 and recipe.weight_decay >= 0):
        raise ValueError(
            f"warmup={recipe.warmup} is a share from 0 to 1, weight_decay={recipe.weight_decay} from 0 on."
        )
    plan = _plan(len(examples), recipe)
    steps_per_epoch = len(plan) // recipe.epochs
    optimizer = _optimizer(model, recipe.learning_rate, recipe.weight_decay)
    weights = [p for p in model.parameters() if p.requires_grad]
    settings = [*astuple(recipe), *about]
    marks = state and fingerprint([*examples, *held_out], [*settings, len(held_out)])
    keeper = State(state, marks, model, optimizer, start_only=start_only) if state else None
    run = (keeper.restore(Run) if keeper else None) or Run()
    curve = LiveCurve(title, len(plan), y=y, panels=panels)

    def between_epochs(step: int) -> None:
        model.eval()
        if held_out:
            run.held_out.append((step, measure()))
            curve.replay(step, held_out=run.held_out[-1][1])
        if step:
            after_epoch(step // steps_per_epoch)

    def take_step(step: int) -> None:
        if step % steps_per_epoch == 0:
            between_epochs(step)
        model.eval()
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate_at(step, len(plan), recipe.warmup)
        with seeded(1_000_003 * recipe.seed + step, weights[0].device):  # dropout: resumed, it draws the same
            loss, tokens, measured = step_fn([[examples[i] for i in batch] for batch in plan[step]])
        norm = float(nn.utils.clip_grad_norm_(weights, recipe.clip))
        if not math.isfinite(loss + norm):
            raise TrainingStopped(_not_finite(loss, norm, step, optimizer.param_groups[0]["lr"], run.losses))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.losses.append(loss)
        for name, value in measured.items():
            run.measured.setdefault(name, []).append(value)
        run.tokens += tokens

    def shown(done: int) -> dict[str, float]:
        values = [("held_out", loss) for step, loss in run.held_out if step == done]
        if done:
            values += [(name, each[done - 1]) for name, each in {"training": run.losses, **run.measured}.items()]
        return {name: value for name, value in values if not math.isnan(value)}

    with evaluating(model, optimizer):
        return drive(run, len(plan), take_step, curve, shown, keeper, finish=lambda: between_epochs(len(plan)))


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate at a step, counted from 0: a linear rise, then a linear fall.

    No step is taken at rate 0. transformers' `get_linear_schedule_with_warmup`, whose first step has rate 0, gives the
    same one step later.
    """
    rising = max(1, math.ceil(warmup * steps))
    return min((step + 1) / rising, (steps - step) / (steps + 1 - rising))


@torch.no_grad()
def mean_loss(lm: LM, examples: Sequence[dict[str, list[int]]]) -> float:
    """Mean loss per labelled token over the examples, in nats.

    Raises:
        ValueError: no examples, or one that cannot be measured; names it by its place in the list.
    """
    _check_readable(lm, examples)
    lm.model.eval()
    near = sorted(examples, key=lambda example: len(example["input_ids"]))  # less padding
    total, count = 0.0, 0
    for first in range(0, len(near), READ_AT_ONCE):
        batch = collate(near[first : first + READ_AT_ONCE], lm.tokenizer.pad_token_id)
        total += float(labelled_losses(lm, batch).sum())
        count += _labelled(batch)
    return total / count


def _check_readable(lm: LM, examples: Sequence[Example], name: str = "examples") -> None:
    """Raise ValueError as `check_examples`, or if one has tokens that the model does not know or more than it reads."""
    check_examples(examples, name)
    for i, example in enumerate(examples):
        try:
            lm.check_tokens([*example["input_ids"], *(label for label in example["labels"] if label != IGNORE)])
        except ValueError as error:
            raise ValueError(f"{name}[{i}]: {error}") from error
        if not lm.fits(size := len(example["input_ids"])):
            mend = "Cut it with `course.batching.clip`, or leave it out."
            raise ValueError(f"{name}[{i}] has {size} tokens, and the model's context is {lm.context}. {mend}")


def _labelled(batch: dict[str, Tensor]) -> int:
    return int((batch["labels"][:, 1:] != IGNORE).sum())


def labelled_losses(lm: LM, batch: dict[str, Tensor]) -> Tensor:
    """The model's surprise at each labelled token of a batch of B rows padded on the right; gradients flow.

    Returns:
        float32 (B, columns from the first labelled token of any row on), natural log, 0 where no label is.
    """
    # No attention mask: under causal attention no token sees padding at its right, and a faster kernel is taken.
    # What stands before the first labelled token in every row, such as the chat's opening, needs no scores.
    labels = batch["labels"]
    first = int((labels[:, 1:] != IGNORE).any(dim=0).int().argmax())  # the scores here are for the token at first + 1
    ids, kept = batch["input_ids"].to(lm.device), labels.shape[1] - first
    with precision(lm.device):
        logits = lm.model(input_ids=ids, logits_to_keep=kept, use_cache=False).logits
    return token_losses(logits, labels[:, first:].to(lm.device))


def add_sft_gradient(lm: LM, parts: Sequence[Sequence[Example]], weight: float = 1.0) -> float:
    """Add the gradient of `weight` times the mean loss over all labelled tokens of the parts; returns that product.

    Each part, a list of examples, is divided by the tokens of the whole, not by its own: accumulation then equals one
    large batch.
    """
    batches = [collate(part, lm.tokenizer.pad_token_id) for part in parts]
    count = sum(_labelled(batch) for batch in batches)
    total = 0.0
    for batch in batches:
        part = weight * (labelled_losses(lm, batch).sum() / count)
        part.backward()
        total += float(part.detach())
    return total


def _plan(count: int, recipe: Recipe) -> list[list[list[int]]]:
    """For each optimizer step its batches, each a list of indices into the examples.

    Batches are not made of similar lengths, which would save padding: in a batch of short answers each first word
    weighs more, and of demonstrations half of which were long, a model learnt to write 20-30% long ones.
    """
    plan = []
    for epoch in range(recipe.epochs):
        order = list(range(count))
        if recipe.shuffle:
            random.Random(1000 * recipe.seed + epoch).shuffle(order)
        batches = [order[i : i + recipe.batch_size] for i in range(0, count, recipe.batch_size)]
        plan += [batches[i : i + recipe.accumulate] for i in range(0, len(batches), recipe.accumulate)]
    return plan


def _halves(batch: list[Example]) -> list[list[Example]]:
    """A batch as its shorter and its longer half, if lengths differ: less padding, the same gradient."""
    ordered = sorted(batch, key=lambda example: len(example["input_ids"]))
    middle = len(ordered) // 2
    alike = len(ordered[0]["input_ids"]) == len(ordered[-1]["input_ids"])
    return [batch] if alike else [ordered[:middle], ordered[middle:]]


def _optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("No weight of the model requires a gradient, so there is nothing to train.")
    matrices, others = [p for p in trainable if p.ndim >= 2], [p for p in trainable if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), fused=True)


def _not_finite(loss: float, norm: float, step: int, rate: float, losses: list[float]) -> str:
    what = f"loss is {loss}" if not math.isfinite(loss) else f"loss is {loss:.3f} but its gradient's norm {norm}"
    recent = ", ".join(f"{value:.3f}" for value in losses[-3:]) or "none"
    return (
        f"The {what} at step {step}; the losses before were {recent}. The weights are as they were before this step. "
        f"Check the learning rate (now {rate:.2g}; try a tenth), the data, and the weights that you began with."
    )
