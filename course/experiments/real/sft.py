"""Templates and SFT on a real model: lesson 02 (claims S10, S14) and lesson 03 (S3, S4, S6, S7, S9)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import torch

from course.batching import IGNORE, Example
from course.evaluation import answer
from course.experiments.real.start import (
    MOST,
    SEEDS,
    adapted,
    all_trained,
    counted,
    longest_example,
    planned,
    real_model,
    sampled,
    some,
    to_learn,
    to_test,
)
from course.experiments.store import Experiment, Run
from course.feedback.judge import turn
from course.formats import Message
from course.jinja import Piece
from course.models import LM
from course.rollouts import generate
from course.show import tokens_of
from course.templates import CHATML, LLAMA2, Template
from course.train import chat_examples, fit, mean_loss
from course.world import Question
from course.world.chats import conversations
from course.world.phrases import OPENERS

SHOWN, TESTED, EPOCHS, RATE, BATCH = 192, 48, 2, 1e-3, 8


def train(lm: LM, examples: Sequence[Example], seed: int, title: str, batch_size: int = BATCH) -> None:
    """Two passes at the rate that adapters want."""
    steps = planned(longest_example(examples), batch_size).steps
    fit(lm, examples, epochs=EPOCHS, learning_rate=RATE, **steps, seed=seed, title=title)


# --- lesson 02 --------------------------------------------------------------------------------------------------------


TALK = [
    {"role": "user", "content": "What is the capital of Peru?"},
    {"role": "assistant", "content": "The capital of Peru is Lima."},
]


def envelopes(own: Template) -> dict[str, Template]:
    """The template that a model came with, and ways to get it wrong."""

    def without_cue(turns: Sequence[Message], cue: bool) -> list[Piece]:
        return own.cut(turns, False)

    def markers_as_words(turns: Sequence[Message], cue: bool) -> list[Piece]:
        return [piece._replace(marker=False) for piece in own.cut(turns, cue)]

    return {
        "its own": own,
        "no system turn": CHATML,
        "without the cue": replace(own, cut=without_cue),
        "markers as words": replace(own, cut=markers_as_words),
        "Llama-2 style": LLAMA2,
    }


def run_envelope(condition: str, seed: int) -> Run:
    """The model as it came, asked in one of the `envelopes`; kept besides: one conversation in it, token by token."""
    lm = real_model()
    template = envelopes(lm.template)[condition]
    grades = answer(lm, to_test(TESTED, seed), template, max_new_tokens=MOST)
    row = template.encode(lm.tokenizer, TALK)
    about = {"answers": some(grades), "tokens": tokens_of(lm.tokenizer, row.input_ids), "mask": row.assistant_mask}
    return Run("real_templates", condition, seed, lm.name, counted(grades), about=about)


def run_padding(condition: str, seed: int) -> Run:
    """SFT with padding masked out, which is a token of its own or, as this model's file says, the one that ends a turn.

    Measured besides what is counted: `end`, the chance of the end of the turn after a complete answer. Kept besides:
    the padding that the model's file names, and the one that `load` took.
    """
    lm, test = adapted(seed), to_test(TESTED, seed)
    end = lm.tokenizer.convert_tokens_to_ids(lm.template.end)
    examples = chat_examples(lm, conversations(to_learn(SHOWN, seed), seed=seed))
    if condition == "padding = end of turn":
        examples = [e | {"labels": [IGNORE if token == end else token for token in e["labels"]]} for e in examples]
    train(lm, examples, seed, condition)
    grades = answer(lm, test, max_new_tokens=MOST)
    sentences = [a.stopped and re.fullmatch(r"[^.!?\n]+[.!?]", a.text.strip()) is not None for a in grades.answers]
    measured = counted(grades) | {"one sentence": mean(sentences), "end": chance_of_end(lm, end, test[:24], seed)}
    names = {
        "padding of the file": str(lm.tokenizer.init_kwargs.get("pad_token")),
        "padding here": lm.tokenizer.pad_token,
    }
    return Run("real_padding", condition, seed, lm.name, measured, about={"answers": some(grades), **names})


@torch.no_grad()
def chance_of_end(lm: LM, end: int, questions: Sequence[Question], seed: int) -> float:
    """Mean probability of the token that ends a turn, right after a complete answer."""
    rows = []
    for record in conversations(questions, seed=seed):
        encoded = lm.encode(record["messages"])
        last = len(encoded.assistant_mask) - 1 - encoded.assistant_mask[::-1].index(1)  # the end of the turn itself
        rows.append(torch.tensor([encoded.input_ids[:last]], device=lm.device))
    return mean(float(lm.model(input_ids=row).logits[0, -1].softmax(-1)[end]) for row in rows)


# --- lesson 03 --------------------------------------------------------------------------------------------------------

STYLES: dict[str, str | dict[str, float]] = {
    "plain": "plain",
    "a quarter polite": {"plain": 0.75, "warm": 0.25},
    "three quarters polite": {"plain": 0.25, "warm": 0.75},
    "polite": "warm",
}


def run_style(condition: str, seed: int) -> Run:
    """SFT on demonstrations in one style or two, or the model as it came; `polite`: the share with a kind opener."""
    lm = real_model() if condition == "before" else adapted(seed)
    if condition != "before":
        records = conversations(to_learn(SHOWN, seed), STYLES[condition], seed=seed)
        train(lm, chat_examples(lm, records), seed, condition)
    grades = sampled(lm, to_test(TESTED, seed), seed)
    measured = counted(grades) | {"polite": mean(text.startswith(OPENERS) for text in grades.texts())}
    return Run("real_styles", condition, seed, lm.name, measured, about={"answers": some(grades)})


PASSES, FEW = 20, 32


def run_passes(condition: str, seed: int) -> Run:
    """Many passes over few demonstrations; curves `training` and `held out`, the second also from before the first."""
    lm, styles = adapted(seed), {"plain": 0.4, "warm": 0.3, "short": 0.3}
    examples = chat_examples(lm, conversations(to_learn(FEW, seed), styles, seed=seed))
    held_out = chat_examples(lm, conversations(to_test(TESTED, seed), styles, seed=seed + 1))
    settings = {"epochs": PASSES, "learning_rate": RATE, "held_out": held_out, "seed": seed}
    run = fit(lm, examples, **settings, **planned(longest_example(examples), BATCH).steps, title=condition)
    each = len(run.losses) // PASSES
    curves = {
        "training": [mean(run.losses[i * each : (i + 1) * each]) for i in range(PASSES)],
        "held out": [loss for _, loss in run.held_out],
    }
    low = min(range(PASSES + 1), key=curves["held out"].__getitem__)
    measured = {"lowest": curves["held out"][low], "lowest after pass": float(low)}
    measured |= {f"{name}, last": curve[-1] for name, curve in curves.items()}
    return Run("real_passes", condition, seed, lm.name, measured, curves)


RATES = {
    f"{how}, {name}": float(name)
    for how, names in {"full": ("1e-5", "1e-4", "1e-3"), "LoRA": ("1e-4", "1e-3", "3e-3")}.items()
    for name in names
}


def run_rate(condition: str, seed: int) -> Run:
    """All weights or adapters of rank 8, at one learning rate; `loss` is that of held-out demonstrations.

    Raises:
        TooLarge: all weights are asked for, and their training does not fit into memory.
    """
    full = condition.startswith("full")
    examples = chat_examples(real_model(), conversations(to_learn(SHOWN, seed), seed=seed))
    how = planned(longest_example(examples), BATCH, copies=int(full), all_weights=full)
    lm = all_trained(how) if full else adapted(seed)
    test = to_test(TESTED, seed)
    fit(lm, examples, epochs=1, learning_rate=RATES[condition], **how.steps, seed=seed, title=condition)
    loss = mean_loss(lm, chat_examples(lm, conversations(test, seed=seed)))
    measured = counted(answer(lm, test, max_new_tokens=MOST)) | {"loss": loss, "share": lm.trainable / lm.parameters}
    return Run("real_lora", condition, seed, lm.name, measured)


def run_mask(condition: str, seed: int) -> Run:
    """SFT on conversations of two exchanges, with the loss on the assistant's turns or on all.

    Measured besides what is counted: `user loss`, in nats per token of users' questions about other countries, in the
    wordings of the data and in `other words`; and `plays the user`, the share of answers that go on with a user's turn
    when nothing stops them.
    """
    lm, test = adapted(seed), to_test(TESTED, seed)
    records = conversations(to_learn(SHOWN, seed), seed=seed)
    longer = [{"messages": a["messages"] + b["messages"]} for a, b in zip(records[::2], records[1::2], strict=True)]
    examples = chat_examples(lm, longer, masked=condition == "with mask")
    train(lm, examples, seed, condition, batch_size=BATCH // 2)
    asked, known = ([[turn("user", q.text)] for q in some] for some in (test, to_test(TESTED, seed, "shown")))
    prompts = [lm.encode(turns, add_generation_prompt=True).input_ids for turns in asked]
    unstopped = generate(lm, prompts, max_new_tokens=MOST, honour_turns=False)
    measured = counted(answer(lm, test, max_new_tokens=MOST)) | {
        "user loss": mean_loss(lm, user_turns(lm, known)),
        "user loss, other words": mean_loss(lm, user_turns(lm, asked)),
        "plays the user": mean("user\n" in made.text for made in unstopped),
    }
    return Run("real_mask", condition, seed, lm.name, measured)


def user_turns(lm: LM, asked: Sequence[list[Message]]) -> list[dict[str, list[int]]]:
    """Examples with labels on what the user wrote last, whatever the template puts around it."""
    examples = []
    for turns in asked:
        ids = lm.encode(turns).input_ids
        words = lm.tokenizer(turns[-1]["content"], add_special_tokens=False)["input_ids"]
        at = next(i for i in range(len(ids)) if ids[i : i + len(words)] == words)
        labels = [ids[i] if at <= i < at + len(words) else IGNORE for i in range(len(ids))]
        examples.append({"input_ids": ids, "labels": labels})
    return examples


EXPERIMENTS = (
    Experiment("real_templates", tuple(envelopes(CHATML)), run_envelope, SEEDS),
    Experiment("real_padding", ("padding of its own", "padding = end of turn"), run_padding, SEEDS),
    Experiment("real_styles", ("before", *STYLES), run_style, SEEDS),
    Experiment("real_passes", (f"{PASSES} passes",), run_passes, SEEDS),
    Experiment("real_lora", tuple(RATES), run_rate, SEEDS),
    Experiment("real_mask", ("with mask", "without"), run_mask, SEEDS),
)
