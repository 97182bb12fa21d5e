"""Preference data, reward models and best-of-N on a real model: lessons 06, 07 (claims R3, R4) and 08 (N1, N5)."""

from statistics import mean

import torch

from course.best_of_n import best_of_n, expected_best
from course.experiments.real.start import (
    MOST,
    RANK,
    SEEDS,
    longest_answer,
    names_it,
    planned,
    real_model,
    right_reward,
    to_learn,
    to_test,
)
from course.experiments.store import Experiment, Run
from course.feedback import label_pairs, labeller_with_agreement, noise_bound
from course.losses.reward import pairwise_accuracy
from course.models import add_lora
from course.numerics import tied
from course.rewards import RewardModel, fit_reward, new_reward_model
from course.rollouts import chat_prompts, drafts, sample
from course.text import word_count
from course.world import demonstrate

ASKED = 64


def run_pairs(condition: str, seed: int) -> Run:
    """Two sampled answers to each question, as data for a labeller: how often they differ, and in what."""
    lm, asked = real_model(), to_test(ASKED, seed)
    made = sample(lm, chat_prompts(lm, asked) * 2, max_new_tokens=MOST, seed=seed)
    both = list(zip(asked, made.texts[:ASKED], made.texts[ASKED:], strict=True))
    decided = [(q, a, b) for q, a, b in both if names_it(q, a) != names_it(q, b)]
    longer = [names_it(q, max(a, b, key=word_count)) for q, a, b in decided if word_count(a) != word_count(b)]
    measured = {
        "differ": mean(a != b for _, a, b in both),
        "one is right": len(decided) / ASKED,
        "the longer is right": mean(longer) if longer else 0.5,
        "words apart": mean(abs(word_count(a) - word_count(b)) for _, a, b in both),
        "stopped": mean(made.stopped),
    }
    shown = [[q.text, a, b] for q, a, b in both[:4]]
    return Run("real_pairs", condition, seed, lm.name, measured, about={"answers": shown})


DRAFTED, COMPARED, SPARE, BINS = 100, 160, 100, 4


def run_length_taste(condition: str, seed: int) -> Run:
    """A reward model from comparisons by somebody who likes length and agrees with themselves 73% of the time.

    Measured on held-out comparisons: `accuracy` beside the `bound` that the noise sets; `miscalibrated`, the mean gap
    between predicted and observed shares, curves `predicted` and `observed`, by bins of equal size; and `longer`, how
    often the longer of two right answers to one question gets the higher score. All weights are trained, or, where
    they are too many for this machine, adapters at ten times the rate.
    """
    lm = real_model()
    pairs = drafts(lm, to_learn(DRAFTED, seed), each=3, seed=seed)
    if len(pairs) < COMPARED + SPARE:
        raise ValueError(f"{len(pairs)} pairs of different drafts are too few for {COMPARED} and a held-out set.")
    labeller = labeller_with_agreement("long", pairs, 0.73)
    train, held = pairs[:COMPARED], pairs[COMPARED:]
    records = label_pairs(labeller, train, seed=seed).records
    how = planned(longest_answer(records), 8, rows=2, copies=1, all_weights=True)
    model = new_reward_model(lm, seed=seed)
    if how.lora:
        add_lora(model.trunk, RANK, seed)
    rate = 2e-4 if how.lora else 2e-5
    fit_reward(model, records, learning_rate=rate, **how.steps, seed=seed, title="A taste for length")
    labels = label_pairs(labeller, held, seed=seed + 1).records
    prompts = [record["prompt"] for record in labels]
    chosen, rejected = (model(prompts, [record[side] for record in labels]) for side in ("chosen", "rejected"))
    predicted, observed = by_confidence((chosen - rejected).sigmoid())
    questions = to_test(ASKED, seed)
    measured = {
        "accuracy": pairwise_accuracy(chosen, rejected),
        "bound": noise_bound(labeller, held),
        "miscalibrated": mean(abs(p - o) for p, o in zip(predicted, observed, strict=True)),
        "longer": _longer_scores_higher(model, questions),
    }
    curves = {"predicted": predicted, "observed": observed}
    about = {"trained": "adapters and head"} if how.lora else {}
    return Run("real_reward", condition, seed, lm.name, measured, curves, about)


def by_confidence(right: torch.Tensor, bins: int = BINS) -> tuple[list[float], list[float]]:
    """How sure a model is of its choices, and how often they are right, in bins of equal size from unsure to sure.

    Args:
        right: the probability that it gave the answer that was chosen, shape (pairs,).
        bins: at most as many as pairs.
    """
    sure = torch.maximum(right, 1 - right)
    parts = sure.argsort().chunk(bins)
    hits = torch.where(tied(right, 0.5), 0.5, (right > 0.5).double())
    return [float(sure[part].mean()) for part in parts], [float(hits[part].mean()) for part in parts]


def _longer_scores_higher(model: RewardModel, questions: list) -> float:
    long, short = ([demonstrate(q, style) for q in questions] for style in ("warm", "plain"))
    return pairwise_accuracy(model(questions, long), model(questions, short))


POOL, QUESTIONS = 64, 8
SIZES = (1, 2, 4, 8, 16, 32, 64)


def words_reward(prompts: list, texts: list[str]) -> torch.Tensor:
    """A reward that likes length and nothing else: the number of words."""
    return torch.tensor([float(word_count(text)) for text in texts])


def run_best_of_n(condition: str, seed: int) -> Run:
    """Best-of-N out of 64 answers to each of eight questions, by an exact reward and by length.

    Curves over N: share `right` and `words` of the best by being right, and of the longest answer.
    """
    lm = real_model()
    asked, options = to_test(QUESTIONS, seed), {"max_new_tokens": MOST, "watch": words_reward, "seed": seed}
    pools = best_of_n(lm, asked, right_reward, POOL, **options)
    curves: dict[str, list[float]] = {}
    for n in SIZES:
        for by, what in (("right", 0), ("length", 1)):
            for name, value in (("right", 0), ("words", 1)):
                each = [(pool.scores, pool.watched) for pool in pools]
                best = mean(expected_best(of[what], n, of[value]) for of in each)
                curves.setdefault(f"{name}, by {by}", []).append(best)
    ends = {"one": 0, "best of all": -1}
    measured = {f"{name}, {end}": curve[at] for name, curve in curves.items() for end, at in ends.items()}
    return Run("real_best_of_n", condition, seed, lm.name, measured, curves)


EXPERIMENTS = (
    Experiment("real_pairs", ("two answers",), run_pairs, SEEDS),
    Experiment("real_reward", ("a taste for length",), run_length_taste, SEEDS),
    Experiment("real_best_of_n", ("64 answers",), run_best_of_n, SEEDS),
)
