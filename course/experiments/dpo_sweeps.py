"""DPO driven until it goes wrong, and what is said to help: serves notebook 11b_dpo_goes_wrong, claims X4, X6, X9.

The notebook makes one run of each kind live. The sweep over beta and the remedies against length and forgetting are
stored over several seeds; `make betas` and `make remedies` run them.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import mean
from typing import Any

import torch

from course import SEED
from course.experiments.reward_hacking import HARMLESS, HELD_OUT
from course.experiments.store import Experiment, Run
from course.feedback import Labeller, Pair, combined, label_pairs
from course.formats import Record
from course.losses.preference import dpo_loss
from course.models import LM, clone, load
from course.preferences import DPO, fit_preferences, sequence_logps
from course.preferences.fit import SIDES, answer_rows, encode_pairs
from course.preferences.sequences import batch_logps
from course.resume import Run as Training
from course.rewards import true_reward
from course.rollouts import answers, drafts
from course.text import word_count
from course.train import chat_examples
from course.world import (
    REQUESTS,
    SEEN,
    Question,
    animal_questions,
    country_questions,
    opposite_questions,
    sum_questions,
)
from course.world.chats import mixed_conversations

BETAS = (0.1, 0.3, 1.0, 3.0)
BEFORE = "before"


def some_drafts(lm: LM, questions: int, seed: int = SEED) -> list[Pair]:
    """Pairs of different answers that the model samples to so many questions about countries that SFT showed."""
    asked = random.Random(seed).sample(country_questions(SEEN, (0, 1)), questions)
    return drafts(lm, asked, seed=seed)


def drift(policy: LM, reference: LM, prompts: Sequence[Question] = HELD_OUT[::2], seed: int = SEED) -> float:
    """KL of the policy from the reference in nats per answer, estimated from one sampled answer to each prompt."""
    texts = answers(policy, prompts, seed)
    apart = sequence_logps(policy, prompts, texts).logps - sequence_logps(reference, prompts, texts).logps
    return float(apart.mean())


# --- beta -------------------------------------------------------------------------------------------------------------

COMPARISONS, OPINIONS = 24, 4
PEOPLE = Labeller("true", temperature=0.25)
"""Two of them agree on about 73% of the drafts of `mixed`. Their noise is fixed: fitted to so few pairs, it would
follow how many of these happen to be worth the same, and some draws allow no such agreement at all."""
STEPS = {"epochs": 6, "learning_rate": 1.5e-4, "batch_size": 8}


def often_compared(lm: LM, seed: int = SEED) -> list[Record]:
    """Few comparisons, each labelled by several people who do not always agree: no margin can please all of them.

    With one label for each pair, every label could be satisfied, and the best margin would be infinite for any beta.
    """
    pairs = some_drafts(lm, 24, seed)[:COMPARISONS]
    records = [one for k in range(OPINIONS) for one in label_pairs(PEOPLE, pairs, seed=1000 * seed + k).records]
    return random.Random(seed).sample(records, len(records))


def first_gradient(lm: LM, records: Sequence[Record], beta: float) -> float:
    """Norm of the gradient of DPO's loss over these records, the model being its own reference."""
    rows = answer_rows(encode_pairs(lm, records), SIDES["preference"])
    chosen, rejected = batch_logps(lm, rows).logps.chunk(2)
    loss = dpo_loss(chosen, rejected, chosen.detach(), rejected.detach(), beta=beta).loss
    gradient = torch.autograd.grad(loss, [p for p in lm.model.parameters() if p.requires_grad])
    return float(torch.stack([part.norm() for part in gradient]).norm())


def sweep(lm: LM, records: Sequence[Record], beta: float, seed: int = SEED) -> tuple[LM, Run]:
    """Train a copy of the model on `often_compared` records and follow its drift.

    Returns:
        The copy, and of the run: `gradient` before the first step; curves `drift`, before and after each epoch, and
        for each step `margin`, of log-ratios and not yet times beta, and `loss`.
    """
    policy, far = clone(lm), [0.0]
    first = first_gradient(lm, records[:32], beta)
    run = fit_preferences(
        policy,
        records,
        DPO(beta),
        **STEPS,
        after_epoch=lambda epoch: far.append(drift(policy, lm, seed=seed)),
        seed=seed,
        title=f"DPO, beta {beta}",
    )
    margins = [margin / beta for margin in run.measured["margin"]]
    curves = {"drift": far, "margin": margins, "loss": run.losses}
    return policy, Run("betas", f"beta {beta}", seed, lm.name, {"gradient": first, "drift": far[-1]}, curves)


# --- length -----------------------------------------------------------------------------------------------------------

WORDY = Labeller(combined({"true": 1.0, "long": 2.0}), temperature=0.1)
"""Somebody who wants the truth, and for whom twenty words more make up for it."""


def wordy_labels(lm: LM, seed: int = SEED) -> list[Record]:
    """Labels of drafts by `WORDY`, a few hundred."""
    return label_pairs(WORDY, some_drafts(lm, 150, seed), seed=seed).records


def balanced_by_length(records: Sequence[Record], seed: int = SEED) -> list[Record]:
    """As many records in which the longer answer won as in which it lost, by each difference in words; in random order.

    Those whose answers are equally long all stay.
    """
    by: defaultdict[int, list[Record]] = defaultdict(list)
    for record in random.Random(seed).sample(list(records), len(records)):
        by[word_count(record["chosen"]) - word_count(record["rejected"])].append(record)
    kept = list(by[0])
    for ahead in [ahead for ahead in list(by) if ahead > 0]:
        both = min(len(by[ahead]), len(by[-ahead]))
        kept += by[ahead][:both] + by[-ahead][:both]
    return random.Random(seed).sample(kept, len(kept))


LENGTH_PAIRS, LENGTH_EPOCHS = 160, 3
LENGTH_REMEDIES: dict[str, Callable[[list[Record], int], dict[str, Any]]] = {
    "sums": lambda records, seed: {},
    "means, the same beta": lambda records, seed: {"method": DPO(0.1, per_token=True)},
    "means, ten times the beta": lambda records, seed: {"method": DPO(1.0, per_token=True)},
    "balanced pairs": lambda records, seed: {"records": balanced_by_length(records, seed)},
    "larger beta": lambda records, seed: {"method": DPO(1.0)},
}
"""What is tried against length: by name, what it changes in the call of `fit_preferences`."""


def with_length_remedy(lm: LM, records: list[Record], name: str, seed: int = SEED) -> tuple[LM, Training]:
    """Train a copy of the model on labels that like length, with a remedy of `LENGTH_REMEDIES`."""
    options = {"records": records, "method": DPO(0.1), "epochs": LENGTH_EPOCHS} | LENGTH_REMEDIES[name](records, seed)
    options["records"] = options["records"][:LENGTH_PAIRS]
    policy = clone(lm)
    return policy, fit_preferences(policy, **options, seed=seed, title=f"Length: {name}")


# --- forgetting -------------------------------------------------------------------------------------------------------

FORGET_PAIRS = 120
TOO_MUCH = {"method": DPO(0.1), "epochs": 5, "learning_rate": 3e-4}
SKILL_REMEDIES: dict[str, Callable[[LM], dict[str, Any]]] = {
    "too much": lambda lm: {},
    "10% SFT": lambda lm: {"sft_examples": chat_examples(lm, mixed_conversations()), "sft_share": 0.1},
    "20% SFT": lambda lm: {"sft_examples": chat_examples(lm, mixed_conversations()), "sft_share": 0.2},
    "a third of the rate": lambda lm: {"learning_rate": 1e-4},
    "ten times the beta": lambda lm: {"method": DPO(1.0)},
}
"""What is tried against forgetting: by name, what it changes in the call of `fit_preferences`."""


def forgetful_labels(lm: LM, seed: int = SEED) -> list[Record]:
    """Comparisons of answers about countries, by somebody without noise who knows the truth."""
    return label_pairs(Labeller("true", 0.0), some_drafts(lm, 80, seed), seed=seed).records[:FORGET_PAIRS]


def with_skill_remedy(lm: LM, records: list[Record], name: str, seed: int = SEED) -> tuple[LM, Training]:
    """Train a copy of the model too hard, with a remedy of `SKILL_REMEDIES`."""
    policy = clone(lm)
    options = TOO_MUCH | SKILL_REMEDIES[name](lm)
    return policy, fit_preferences(policy, records, **options, seed=seed, title=f"DPO: {name}")


SKILLS: dict[str, list] = {
    "animals": animal_questions(),
    "sums": random.Random(0).sample(sum_questions(), 120),
    "opposites": opposite_questions(),
    "helps": HARMLESS * 6,
    "declines": [request for request in REQUESTS if not request.reply] * 6,
}
"""What no comparison is about."""


def skills(lm: LM, seed: int = SEED) -> dict[str, float]:
    """Share of sampled answers that are right, skill by skill; of requests, those that are treated as they ought to."""
    return {
        name: float((true_reward(asked, answers(lm, asked, seed)) > 0).float().mean()) for name, asked in SKILLS.items()
    }


# --- what is measured, and the experiments ----------------------------------------------------------------------------


def symptoms(policy: LM, reference: LM, seed: int = SEED) -> dict[str, float]:
    """Of sampled answers about held-out countries: `true score`, `words`, and the `drift` in nats per answer."""
    texts = answers(policy, HELD_OUT, seed)
    return {
        "true score": float(true_reward(HELD_OUT, texts).mean()),
        "words": mean(map(word_count, texts)),
        "drift": drift(policy, reference, seed=seed),
    }


@lru_cache(maxsize=1)
def _start(labels: Callable[[LM, int], list[Record]], seed: int) -> tuple[LM, list[Record]]:
    """The model and the labels that all runs of one kind and seed share."""
    lm = load("mixed")
    return lm, labels(lm, seed)


def run_beta(condition: str, seed: int) -> Run:
    """One run of the sweep over beta."""
    lm, records = _start(often_compared, seed)
    return sweep(lm, records, float(condition.removeprefix("beta ")), seed)[1]


def run_remedy(condition: str, seed: int) -> Run:
    """One remedy against length or against forgetting, or the model as it was."""
    kind, remedy = condition.split(": ")
    labels, train = wordy_labels, with_length_remedy
    if kind == "skills":
        labels, train = forgetful_labels, with_skill_remedy
    lm, records = _start(labels, seed)
    policy = lm if remedy == BEFORE else train(lm, records, remedy, seed)[0]
    measured = symptoms(policy, lm, seed) | (skills(policy, seed) if kind == "skills" else {})
    return Run("remedies", condition, seed, lm.name, measured)


TRIED = {"length": (BEFORE, *LENGTH_REMEDIES), "skills": (BEFORE, *SKILL_REMEDIES)}
EXPERIMENTS = (
    Experiment("betas", tuple(f"beta {beta}" for beta in BETAS), run_beta),
    Experiment("remedies", tuple(f"{kind}: {remedy}" for kind in TRIED for remedy in TRIED[kind]), run_remedy),
)
