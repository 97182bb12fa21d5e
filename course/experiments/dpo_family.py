"""One harness for the whole family: the same drafts, labelled in many ways, to every method. Serves notebook 12.

A policy's drafts are compared by their true score, and then something is done to the labels that happens to labels in
practice: some are swapped, the better answers happen to be the longer ones, or there are no pairs at all. Each method
keeps the settings that a small search found for it on clean pairs, since nobody knows the noise beforehand.
The search and all runs are stored; `make family` runs them, and the notebook repeats some.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import mean
from typing import Any

from course import SEED
from course.experiments.reward_hacking import HELD_OUT
from course.experiments.store import Experiment, Run, over_seeds
from course.feedback import Labeller, Pair, label_pairs
from course.formats import Record, preference_to_conversation, preference_to_unpaired
from course.losses.reward import pairwise_accuracy
from course.models import LM, clone, load
from course.preferences import DPO, IPO, KTO, ORPO, Method, SimPO, fit_preferences, sequence_logps
from course.resume import Run as Training
from course.rollouts import chat_prompts, drafts, sample
from course.text import word_count
from course.train import chat_examples, fit
from course.world import SEEN, Question, country_questions, score

PAIRS = 160
"""So many pairs, or twice as many single answers, is what every run learns from."""
EPOCHS, BATCH = 2, 16
FOLLOWED, LONG = (1, 2, 4, 8), 8
"""Of the long runs: after which epochs they are measured, and how many they have."""
FROM_BASE_EPOCHS, FROM_BASE_RATE = 3, 3e-4
"""From the base model all methods are trained at the rate of SFT, since most of what there is to learn is the form."""

SETTINGS: dict[str, tuple[Method, float]] = {
    "DPO": (DPO(beta=0.1), 1e-4),
    "IPO": (IPO(beta=0.2), 1e-4),
    "KTO": (KTO(beta=0.1), 1e-4),
    "ORPO": (ORPO(lam=1.0), 3e-4),
    "SimPO": (SimPO(beta=2.0, gamma=1.0), 1e-4),
}
"""The settings that the search found, with the learning rate: a test holds them against what is stored of it."""

SEARCHED: dict[str, tuple[Method, ...]] = {
    "DPO": (DPO(beta=0.1), DPO(beta=0.5)),
    "IPO": (IPO(beta=0.2), IPO(beta=1.0)),
    "KTO": (KTO(beta=0.1), KTO(beta=0.5)),
    "ORPO": (ORPO(lam=0.1), ORPO(lam=1.0)),
    "SimPO": (SimPO(beta=2.0, gamma=1.0), SimPO(beta=8.0, gamma=4.0)),
}
RATES, SEARCH_SEEDS = (3e-5, 1e-4, 3e-4), (100, 101, 102)
"""What was searched: every method at two strengths and three rates, on three seeds that no run uses."""

FLIPPED = {"clean": 0.0, "10% flipped": 0.1, "20% flipped": 0.2, "30% flipped": 0.3, "40% flipped": 0.4}
GOOD_SHARE = {"singles": 0.5, "singles, few bad": 0.8, "singles, few good": 0.2}
LONGER, FROM_BASE, TOO_LONG, BEFORE = "better is longer", "clean, from base", "30% flipped, 8 epochs", "before"
SFT = "SFT on the chosen"
PLAN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(FLIPPED, tuple(SETTINGS)),
    LONGER: tuple(SETTINGS),
    **dict.fromkeys(GOOD_SHARE, ("KTO",)),
    FROM_BASE: ("ORPO", SFT, "DPO"),
    TOO_LONG: ("DPO", "IPO"),
}
"""Which methods are run on which data."""

GOOD = 0.9
"""A draft with at least this true score is labelled good: right, and said in a plain full sentence."""


# --- data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    """What all runs of one seed share.

    Attributes:
        pairs: different drafts of one policy, in random order.
        held_out: pairs about other countries, by true score.
        seed: of the drafts, of what is done to the labels, and of the runs.
    """

    pairs: list[Pair]
    held_out: list[Record]
    seed: int


def pool_of(policy: LM, seed: int = SEED) -> Pool:
    """Drafts on 400 questions about the countries that were shown, and on all that were not."""
    asked = random.Random(seed).sample(country_questions(SEEN, (0, 1)), 400)
    others = drafts(policy, HELD_OUT, each=3, seed=seed)
    return Pool(drafts(policy, asked, each=4, seed=seed), by_true_score(others, seed)[:200], seed)


def by_true_score(pairs: Sequence[Pair], seed: int = SEED) -> list[Record]:
    """The draft with the higher true score is chosen; ties are left out."""
    return label_pairs(Labeller("true", 0.0), pairs, seed=seed).records


def data(pool: Pool, condition: str) -> list[Record]:
    """The records of a condition: `PAIRS` pairs, or twice as many single answers.

    Raises:
        ValueError: no such condition, or not enough drafts for it.
    """
    if condition in GOOD_SHARE:
        return _singles(pool, GOOD_SHARE[condition])
    if condition not in PLAN:
        raise ValueError(f"There is no condition {condition!r}; choose from {', '.join(PLAN)}.")
    records = by_true_score(pool.pairs, pool.seed)
    if condition == LONGER:
        records = [r for r in records if word_count(r["chosen"]) >= word_count(r["rejected"]) + 3]
    if len(records) < PAIRS:
        raise ValueError(f"There are {len(records)} pairs for {condition!r}, and {PAIRS} are needed: draw more drafts.")
    share = FLIPPED.get(condition, 0.3 if condition == TOO_LONG else 0.0)
    return flipped(records[:PAIRS], share, pool.seed)


def flipped(records: Sequence[Record], share: float, seed: int = SEED) -> list[Record]:
    """The same pairs with chosen and rejected swapped in this share of them, drawn by chance."""
    # Not `Random(seed)`: training shuffles by such a stream, and for seed 0 all swapped pairs would come last.
    swapped = set(random.Random(f"flipped {seed}").sample(range(len(records)), round(share * len(records))))
    return [
        {**r, "chosen": r["rejected"], "rejected": r["chosen"]} if i in swapped else r for i, r in enumerate(records)
    ]


def _singles(pool: Pool, good_share: float) -> list[Record]:
    """One answer to a prompt at most, so that no two can be paired."""
    kinds: dict[bool, list[Record]] = {True: [], False: []}
    asked: set[str] = set()
    wanted = {True: round(2 * PAIRS * good_share), False: round(2 * PAIRS * (1 - good_share))}
    for prompt, *texts in pool.pairs:
        for text in texts:
            label = score(prompt, text).total >= GOOD
            if prompt.text not in asked and len(kinds[label]) < wanted[label]:
                asked.add(prompt.text)
                kinds[label].append({"prompt": prompt.text, "completion": text, "label": label})
    if any(len(kinds[label]) < wanted[label] for label in kinds):
        raise ValueError(f"{len(kinds[True])} good and {len(kinds[False])} bad answers are too few: draw more drafts.")
    records = kinds[True] + kinds[False]
    random.Random(pool.seed).shuffle(records)
    return records


# --- a run ------------------------------------------------------------------------------------------------------------


def settings_for(name: str, condition: str) -> tuple[Method, float, int]:
    """A method with its rate and epochs; of unbalanced single answers, the rarer kind weighs as much as the other."""
    method, rate = SETTINGS[name]
    if isinstance(method, KTO) and condition in GOOD_SHARE:
        share = GOOD_SHARE[condition]
        weights = max(1.0, (1 - share) / share), max(1.0, share / (1 - share))
        method = replace(method, desirable_weight=weights[0], undesirable_weight=weights[1])
    if condition == FROM_BASE:
        return method, FROM_BASE_RATE, FROM_BASE_EPOCHS
    return method, rate, LONG if condition == TOO_LONG else EPOCHS


def train(
    policy: LM,
    records: Sequence[Record],
    method: Method,
    rate: float,
    epochs: int = EPOCHS,
    accumulate: int = 1,
    **options: Any,
) -> Training:
    """Train a policy in place with any method. KTO reads pairs as single answers, and as many answers in a step."""
    single = isinstance(method, KTO)
    if single and "chosen" in records[0]:
        records = [answer for record in records for answer in preference_to_unpaired(record)]
    options |= {"batch_size": (2 * BATCH if single else BATCH) // accumulate, "accumulate": accumulate}
    return fit_preferences(policy, records, method, epochs=epochs, learning_rate=rate, **options)


def measure(policy: LM, pool: Pool, questions: Sequence[Question] = HELD_OUT) -> dict[str, float]:
    """What a policy has become: two sampled answers to each held-out question, and the held-out pairs.

    Returns:
        `true score`, `words` and share `stopped` of the answers; `in order`, the share of pairs of whose answers the
        better one has the higher log-probability per token.
    """
    asked = [question for question in questions for _ in range(2)]
    drawn = sample(policy, chat_prompts(policy, asked), max_new_tokens=40, seed=pool.seed)
    prompts = [pair["prompt"] for pair in pool.held_out]
    chosen, rejected = (
        sequence_logps(policy, prompts, [pair[side] for pair in pool.held_out]).mean_logps
        for side in ("chosen", "rejected")
    )
    return {
        "true score": mean(score(*pair).total for pair in zip(asked, drawn.texts, strict=True)),
        "words": mean(map(word_count, drawn.texts)),
        "stopped": mean(drawn.stopped),
        "in order": pairwise_accuracy(chosen, rejected),
    }


def run_cell(pool: Pool, condition: str, name: str) -> tuple[LM, Run]:
    """Train a fresh policy by one method on one condition, and measure it; on the way too where it is trained long."""
    policy, followed = clone(load("base" if condition == FROM_BASE else "mixed")), []
    records, title = data(pool, condition), f"{name}, {condition}"

    def after_epoch(epoch: int) -> None:
        if condition == TOO_LONG and epoch in FOLLOWED:
            followed.append(measure(policy, pool))

    if name == SFT:
        examples = chat_examples(policy, [preference_to_conversation(record) for record in records])
        fit(policy, examples, epochs=FROM_BASE_EPOCHS, learning_rate=FROM_BASE_RATE, seed=pool.seed, title=title)
    elif name != BEFORE:
        method, rate, epochs = settings_for(name, condition)
        train(policy, records, method, rate, epochs, after_epoch=after_epoch, seed=pool.seed, title=title)
    measured = followed[-1] if followed else measure(policy, pool)
    curves = {key: [then[key] for then in followed] for key in measured if followed}
    return policy, Run("family", f"{condition}: {name}", pool.seed, policy.name, measured, curves)


# --- the experiments --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _pool(seed: int) -> Pool:
    return pool_of(load("mixed"), seed)


_TRIES = {
    f"{method!r}, rate {rate}": (name, method, rate)
    for name, methods in SEARCHED.items()
    for method in methods
    for rate in RATES
}


def run_try(condition: str, seed: int) -> Run:
    """One entry of the search: clean pairs, and questions about countries that are in the pairs, in other words."""
    pool, (name, method, rate) = _pool(seed), _TRIES[condition]
    asked = {pair.prompt.text for pair in pool.pairs}
    questions = [q for q in country_questions(SEEN, (0, 1)) if q.text not in asked][:144]
    policy = clone(load("mixed"))
    train(policy, data(pool, "clean"), method, rate, seed=pool.seed)
    measured = {"true score": measure(policy, pool, questions)["true score"]}
    about = {"method": name, "settings": repr(method), "rate": rate}
    return Run("search", condition, seed, policy.name, measured, about=about)


MORE_SEEDS = (
    *(f"{condition}: {name}" for condition in ("clean", "40% flipped") for name in ("DPO", "IPO")),
    *(f"{LONGER}: {name}" for name in ("DPO", "SimPO")),
    f"clean: {BEFORE}",
    *("40% flipped: SimPO", "singles, few bad: KTO", f"{FROM_BASE}: ORPO"),
)
"""Where the lesson compares two methods, or a run made live with the stored ones: three seeds tell too little."""

EXPERIMENTS = (
    Experiment("search", tuple(_TRIES), run_try, seeds=SEARCH_SEEDS),
    Experiment(
        "family",
        (
            *(f"{condition}: {BEFORE}" for condition in ("clean", FROM_BASE)),
            *(f"{condition}: {name}" for condition, names in PLAN.items() for name in names),
        ),
        lambda condition, seed: run_cell(_pool(seed), *condition.split(": "))[1],
        seeds=(0, 1, 2),
    ),
    Experiment(
        "more_seeds",
        MORE_SEEDS,
        lambda condition, seed: replace(run_cell(_pool(seed), *condition.split(": "))[1], experiment="more_seeds"),
        seeds=tuple(range(3, 10)),
    ),
)


def average(runs: Sequence[Run], condition: str, method: str, measure: str = "true score") -> float:
    """One measure of one method on one condition, the mean over the seeds.

    Raises:
        ValueError: no such run is stored.
    """
    return mean(over_seeds(runs, f"{condition}: {method}", measure))
