"""DPO and its relatives on a real model: lesson 11 (claims X3 to X7) and lesson 12 (V1 to V5).

What is preferred is the shorter, or the longer, of two of the model's own answers: a taste that a program can check.
"""

from functools import lru_cache

from course.experiments.dpo_family import BATCH as FAMILY_BATCH
from course.experiments.dpo_family import flipped
from course.experiments.dpo_family import train as train_family
from course.experiments.dpo_sweeps import drift
from course.experiments.real.start import (
    SEEDS,
    adapted,
    counted,
    longest_answer,
    longest_example,
    planned,
    real_model,
    sampled,
    some,
    to_learn,
    to_test,
)
from course.experiments.store import Experiment, Run
from course.formats import Record, preference_to_conversation
from course.losses.reward import pairwise_accuracy
from course.models import LM
from course.preferences import DPO, IPO, KTO, ORPO, Method, SimPO, fit_preferences, sequence_logps
from course.rollouts import drafts
from course.text import word_count
from course.train import chat_examples, fit

ASKED, PAIRS, HELD, APART, TESTED = 96, 64, 24, 3, 48
EPOCHS, RATE, BATCH = 2, 2e-4, 8


def pairs_by_length(seed: int) -> tuple[list[Record], list[Record]]:
    """Pairs of the model's own answers, three words apart or more, the shorter chosen: to train on, and held out."""
    return _pairs(real_model().name, seed)


@lru_cache(maxsize=1)
def _pairs(model: str, seed: int) -> tuple[list[Record], list[Record]]:
    made: list[Record] = []
    for prompt, a, b in drafts(real_model(), to_learn(ASKED, seed), each=3, seed=seed):
        short, long = sorted((a, b), key=word_count)
        if word_count(short) and word_count(long) - word_count(short) >= APART:
            made.append({"prompt": prompt.text, "chosen": short, "rejected": long})
    if len(made) < PAIRS + HELD:
        raise ValueError(f"{len(made)} pairs differ by {APART} words, and {PAIRS + HELD} are needed: draw more drafts.")
    return made[:PAIRS], made[PAIRS : PAIRS + HELD]


def turned(records: list[Record]) -> list[Record]:
    """The same pairs with the longer answer chosen."""
    return [record | {"chosen": record["rejected"], "rejected": record["chosen"]} for record in records]


def measure(lm: LM, held: list[Record], seed: int) -> tuple[dict[str, float], list[list[str]]]:
    """What is counted of sampled answers, the `drift` in nats per answer, and the held-out pairs' log-probabilities.

    `in order` is the share of held-out pairs whose shorter answer has the higher log-probability per token; `short`
    and `long` are the mean log-probabilities of these answers, in nats.
    """
    test = to_test(TESTED, seed)
    grades = sampled(lm, test, seed)
    prompts = [record["prompt"] for record in held]
    short, long = (sequence_logps(lm, prompts, [r[side] for r in held]) for side in ("chosen", "rejected"))
    measured = counted(grades) | {
        "drift": drift(lm, real_model(), test[:24], seed),
        "in order": pairwise_accuracy(short.mean_logps, long.mean_logps),
        "short": float(short.logps.mean()),
        "long": float(long.logps.mean()),
    }
    return measured, some(grades)


MOVING, SFT = "concise, moving reference", "SFT on the concise"
DPO_RUNS: dict[str, Method] = {
    "concise": DPO(0.1),
    "expansive": DPO(0.1),
    "concise, beta 0.02": DPO(0.02),
    "concise, beta 0.5": DPO(0.5),
    "expansive, means, beta 2": DPO(2.0, per_token=True),
    MOVING: DPO(0.1),
    "expansive, SimPO": SimPO(2.0, 1.0),
}


def run_dpo(condition: str, seed: int) -> Run:
    """DPO with adapters on 64 pairs, SFT on their chosen answers, or the model as it came.

    Curves, for each step: `margin` of the log-ratios, and the log-ratio of the `chosen` answers, in nats.
    """
    records, held = pairs_by_length(seed)
    lm, curves = real_model(), {}
    options = {"learning_rate": RATE, "seed": seed, "title": condition}
    if condition == SFT:
        lm = adapted(seed)
        examples = chat_examples(lm, list(map(preference_to_conversation, records)))
        fit(lm, examples, epochs=EPOCHS, **planned(longest_example(examples), BATCH).steps, **options)
    elif condition != "before":
        lm, method = adapted(seed), DPO_RUNS[condition]
        chosen = turned(records) if condition.startswith("expansive") else records
        options |= planned(longest_answer(records), BATCH, rows=2).steps
        rounds = [1] * EPOCHS if condition == MOVING else [EPOCHS]  # a new call takes the policy as it is as reference
        runs = [fit_preferences(lm, chosen, method, epochs=epochs, **options) for epochs in rounds]
        for name in ("margin", "chosen reward"):
            curves[name] = [value / method.beta for run in runs for value in run.measured[name]]
    measured, answers = measure(lm, held, seed)
    return Run("real_dpo", condition, seed, lm.name, measured, curves, {"answers": answers})


FAMILY: dict[str, tuple[Method, float]] = {
    "DPO": (DPO(0.1), RATE),
    "IPO": (IPO(0.2), RATE),
    "KTO": (KTO(0.1), RATE),
    "ORPO": (ORPO(1.0), RATE),
    "SimPO": (SimPO(2.0, 1.0), RATE),
}
LABELS = {"clean": 0.0, "30% flipped": 0.3}


def run_family(condition: str, seed: int) -> Run:
    """One method of the family on pairs whose shorter answer is chosen, all of them or all but 30%."""
    labels, name = condition.split(": ")
    records, held = pairs_by_length(seed)
    lm, (method, rate) = adapted(seed), FAMILY[name]
    records = flipped(records, LABELS[labels], seed)
    accumulate = planned(longest_answer(records), FAMILY_BATCH, rows=2).accumulate
    run = train_family(lm, records, method, rate, EPOCHS, accumulate, seed=seed, title=condition)
    measured, answers = measure(lm, held, seed)
    curves = {"margin": run.measured["margin"]} if "margin" in run.measured else {}
    return Run("real_family", condition, seed, lm.name, measured, curves, {"answers": answers})


EXPERIMENTS = (
    Experiment("real_dpo", ("before", SFT, *DPO_RUNS), run_dpo, SEEDS),
    Experiment("real_family", tuple(f"{labels}: {name}" for labels in LABELS for name in FAMILY), run_family, SEEDS),
)
