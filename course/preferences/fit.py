"""Training a language model on preferences, by any method of the family, with the one loop of `course.train`.

Serves notebooks 11 to 13. The reference never changes, so its log-probabilities are computed once, before the first
step; while the policy learns there is one model in memory.
"""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from course import SEED
from course.batching import Example, answer_example, check_examples
from course.formats import Record, as_messages, validate
from course.losses.preference import PreferenceLoss
from course.models import LM, require_list
from course.preferences.methods import DPO, KTO, Method
from course.preferences.sequences import SequenceLogps, batch_logps, measured_logps
from course.resume import Run, checksum, deferred_interrupt
from course.train import Learnt, Recipe, encode_answers, loop

SIDES = {"preference": ("chosen", "rejected"), "unpaired": ("completion", "mismatched")}
"""By what a method learns from, the two answers of each item."""
PANELS = {
    "training": "loss (nats)",
    "margin": "margin (chosen - rejected reward)",
    "accuracy": "pairs in the right order",
    "chosen reward": "reward of the chosen answers",
    "rejected reward": "reward of the rejected answers",
    "desirable reward": "reward of the good answers",
    "undesirable reward": "reward of the bad answers",
    "kl": "reference point (nats)",
    "held out": "loss on held-out records (nats)",
}
"""What is drawn of a run: its name, and the title above its plot."""
_WATCHED = {
    "preference": ("margin", "accuracy", "chosen reward", "rejected reward"),
    "unpaired": ("desirable reward", "undesirable reward", "kl"),
}

Item = dict[str, Any]
"""A record as tokens: `prompt_ids`, `chosen_ids` and `rejected_ids`, or of a single answer `prompt_ids`,
`completion_ids`, `mismatched_ids` (an answer to another prompt) and its `label`. `precompute_ref_logps` adds
`ref_chosen_logps` and so on."""


@deferred_interrupt()
def fit_preferences(
    lm: LM,
    records: Sequence[Record],
    method: Method = DPO(),  # noqa: B008 (frozen)
    *,
    epochs: int = 1,
    learning_rate: float = 1e-4,
    batch_size: int = 16,
    accumulate: int = 1,
    reference: LM | None = None,
    sft_examples: Sequence[Example] = (),
    sft_share: float = 0.0,
    held_out: Sequence[Record] = (),
    after_epoch: Callable[[int], None] = lambda epoch: None,
    seed: int = SEED,
    title: str | None = None,
    state: Path | str | None = None,
) -> Run:
    """Train a model in place so that it prefers what the records prefer.

    Takes the steps of `course.train.fit`, and is interrupted and resumed like it. Pairs of equal answers, or of answers
    that are equal once cut to the model's context, prefer nothing: they are left out, and a line says how many.

    Args:
        lm: the policy; weights that do not require gradients stay as they are.
        records: preference records, texts or messages; for `KTO` unpaired ones (`preference_to_unpaired` makes them).
        method: `DPO`, `IPO`, `KTO`, `ORPO` or `SimPO` with their settings.
        epochs, learning_rate, seed, state: as in `fit`; the usual rate is well below that of SFT.
        batch_size, accumulate: records that are in memory at once, and how many times so many make a step. The loss is
            that of the whole step, as in one large batch. Of a pair, two answers are read.
        reference: what the policy is held to. If not given, the policy as it is now, adapters included. Methods without
            a reference take none.
        sft_examples: demonstrations as from `chat_examples`, for `sft_share`.
        sft_share: share of the examples that are demonstrations, 0 to below 1. Each counts in a step's mean as much as
            a record does, by its mean loss per token.
        held_out: records whose loss is measured at the start and after each epoch.
        after_epoch, title: as in `fit`; the title is the method's name if not given.
    Returns:
        The losses are nats per example; `measured` holds the metrics of `course.losses.preference`.
    Raises:
        DataError: a record is not of the kind that the method learns from; lists every fault with its row.
        TrainingStopped: as `fit`.
        ValueError: no records, none that is of use, a reference for a method without one or of another tokenizer, a
            share out of range or without demonstrations, or a setting out of range.
    """
    if reference is not None and not method.has_reference:
        raise ValueError(f"{type(method).__name__} has no reference: leave `reference` out.")
    if reference is not None and reference.tokenizer.get_vocab() != lm.tokenizer.get_vocab():
        raise ValueError(
            f"The reference {reference.name!r} has another tokenizer than the policy: its numbers would lie."
        )
    if not 0 <= sft_share < 1:
        raise ValueError(f"sft_share={sft_share} must be at least 0 and below 1.")
    if sft_share:
        check_examples(sft_examples, "sft_examples")
    require_list(records, "records")
    rng = random.Random(seed)
    sides, watched = SIDES[method.learns_from], _WATCHED[method.learns_from]

    def encode(records: Sequence[Record]) -> list[Item]:
        return encode_singles(lm, records, rng) if isinstance(method, KTO) else encode_pairs(lm, records)

    items, others = encode(records), encode(held_out) if held_out else []
    if method.has_reference:
        precompute_ref_logps(lm if reference is None else reference, [*items, *others], sides)
    order = rng.sample(range(len(sft_examples)), len(sft_examples))  # each is shown as often as the others
    shown = [dict(sft_examples[order[i % len(order)]]) for i in range(round(len(items) * sft_share / (1 - sft_share)))]

    def step_fn(batches: list[list[Item]]) -> Learnt:
        batch = list(chain.from_iterable(batches))
        preferred, demonstrations = [i for i in batch if "prompt_ids" in i], [i for i in batch if "labels" in i]
        rows = answer_rows(preferred, sides) + demonstrations
        logps = batch_logps(lm, rows, parts=len(batches))
        if not logps.logps.isfinite().all():
            return Learnt(math.nan, 0)  # the loop says where and stops before the weights change
        split = len(rows) - len(demonstrations)
        total, metrics = -logps[split:].mean_logps.sum(), dict.fromkeys(watched, math.nan)
        if preferred:  # chance may fill a last, short batch with demonstrations alone
            found = _loss(method, preferred, logps[:split])
            total, metrics = total + len(preferred) * found.loss, found.metrics
        loss = total / len(batch)
        loss.backward()
        return Learnt(float(loss.detach()), sum(len(row["input_ids"]) for row in rows), metrics)

    def mean_loss() -> float:
        return float(_loss(method, others, measured_logps(lm, answer_rows(others, sides))).loss)

    return loop(
        lm.model,
        items + shown,
        step_fn,
        Recipe(epochs, learning_rate, batch_size, accumulate, seed=seed),
        held_out=others,
        measure=mean_loss,
        after_epoch=after_epoch,
        title=title or type(method).__name__,
        y="loss (nats)",
        panels={name: PANELS[name] for name in ("training", *watched, *(["held out"] if others else []))},
        state=state,
        about=[
            type(method).__name__,
            *astuple(method),
            checksum(dict(reference.model.named_parameters())) if reference and state else "",
        ],
        start_only=method.has_reference and reference is None,
    )


# --- from records to tokens -------------------------------------------------------------------------------------------


def encode_pairs(lm: LM, records: Sequence[Record]) -> list[Item]:
    """Preference records as tokens, without the pairs that prefer nothing; a line says how many these are.

    Returns:
        Dicts of `prompt_ids`, `chosen_ids` and `rejected_ids`, cut to the model's context.
    Raises:
        DataError: as `fit_preferences`.
        ValueError: no pair is left.
    """
    different = [r for r in records if not (isinstance(r, dict) and "chosen" in r and r["chosen"] == r.get("rejected"))]
    if different or not records:  # of none at all, `validate` says so
        validate(different, "preference")
    items: list[Item] = []
    lost = Counter({"whose answers are equal": len(records) - len(different)})
    for record in different:
        prompt_ids, (chosen, rejected) = _encode(lm, record["prompt"], [record["chosen"], record["rejected"]])
        if not (chosen and rejected):
            lost["whose prompt fills the model's context"] += 1
        elif chosen == rejected:
            lost["whose answers are equal once cut to the model's context"] += 1
        else:
            items.append({"prompt_ids": prompt_ids, "chosen_ids": chosen, "rejected_ids": rejected})
    return _kept(items, len(records), lost, "pairs")


def encode_singles(lm: LM, records: Sequence[Record], rng: random.Random) -> list[Item]:
    """Unpaired records as tokens, each with an answer that was given to another prompt, drawn by `rng`.

    Returns:
        Dicts of `prompt_ids`, `completion_ids`, `mismatched_ids` and `label`, cut to the model's context.
    Raises:
        DataError: as `fit_preferences`.
        ValueError: no answer is left, or all records have the same prompt, so that no answer is mismatched.
    """
    validate(records, "unpaired")
    records = [as_messages(record) for record in records]
    partners = _mismatched([json.dumps(record["prompt"]) for record in records], rng)
    items: list[Item] = []
    lost = Counter()
    for record, partner in zip(records, partners, strict=True):
        answers = [record["completion"], records[partner]["completion"]]
        prompt_ids, (own, other) = _encode(lm, record["prompt"], answers)
        if own and other:
            label = bool(record["label"])
            items.append({"prompt_ids": prompt_ids, "completion_ids": own, "mismatched_ids": other, "label": label})
        else:
            lost["whose prompt fills the model's context"] += 1
    return _kept(items, len(records), lost, "answers")


def _mismatched(prompts: Sequence[str], rng: random.Random) -> list[int]:
    """For each of N prompts, the place of one that is another; every place is taken about equally often."""
    order = rng.sample(range(len(prompts)), len(prompts))
    partners = [0] * len(prompts)
    for at, i in enumerate(order):
        others = (order[(at + step) % len(order)] for step in range(1, len(order)))
        partners[i] = next((k for k in others if prompts[k] != prompts[i]), -1)
    if -1 in partners:
        raise ValueError(
            f"All {len(prompts)} records have the same prompt, so there is no answer to another one, and KTO's "
            "reference point needs some. Give records of at least two prompts."
        )
    return partners


def _encode(lm: LM, prompt: Any, answers: Sequence[Any]) -> tuple[list[int], list[list[int]]]:
    """As `encode_answers`, cut to the model's context, so that nothing may be left of an answer."""
    prompt_ids, rows = encode_answers(lm, prompt, answers)
    room = None if lm.context is None else max(0, lm.context - len(prompt_ids))
    return prompt_ids, [row[:room] for row in rows]


def _kept(items: list[Item], total: int, lost: Counter[str], what: str) -> list[Item]:
    said = ", ".join(f"{count} {why}" for why, count in lost.items() if count)
    if not items:
        raise ValueError(f"No {what} to learn from: of {total}, {said}.")
    if said:
        print(f"Of {total} {what}, left out: {said}.")
    return items


# --- from tokens to a loss --------------------------------------------------------------------------------------------


def answer_rows(items: Sequence[Item], sides: tuple[str, str]) -> list[Example]:
    """The rows to read, all answers of the first side before those of the second."""
    return [answer_example(item["prompt_ids"], item[f"{side}_ids"]) for side in sides for item in items]


def precompute_ref_logps(reference: LM, items: Sequence[Item], sides: tuple[str, str]) -> None:
    """Write the reference's log-probability of each answer into the items, as `ref_chosen_logps` and so on."""
    one, other = measured_logps(reference, answer_rows(items, sides)).logps.view(2, -1).tolist()
    for item, *values in zip(items, one, other, strict=True):
        item.update({f"ref_{side}_logps": value for side, value in zip(sides, values, strict=True)})


def _loss(method: Method, items: Sequence[Item], logps: SequenceLogps) -> PreferenceLoss:
    """The method's loss of these items, with the policy's log-probabilities of their `answer_rows`."""
    policy = [logps[: len(items)], logps[len(items) :]]
    if not method.has_reference:
        return method.loss(*policy)
    refs = [
        SequenceLogps(torch.tensor([item[f"ref_{side}_logps"] for item in items]).to(own.logps), own.tokens)
        for side, own in zip(SIDES[method.learns_from], policy, strict=True)
    ]
    if not isinstance(method, KTO):
        return method.loss(*policy, *refs)
    good = torch.tensor([item["label"] for item in items], device=logps.logps.device)
    return method.loss(*policy, *refs, good)
