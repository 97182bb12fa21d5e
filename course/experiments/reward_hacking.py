"""Reward models with a weakness, what a policy makes of them, and what is said to help: notebook 10, claims H1 to H7.

Reward hacking as Amodei et al. 2016 name it, on the road that Gao et al. 2023 draw: the reward model's score rises, and
the true score turns. The notebook runs one case of each live. The same runs with every cure are stored over several
seeds; `make cures` runs them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import mean
from typing import Any

from course import SEED
from course.batching import Example
from course.experiments.store import Experiment, Run
from course.feedback import Labeller, Pair, label_pairs
from course.feedback.tastes import Taste, find
from course.formats import Record
from course.losses.policy import masked_mean
from course.models import LM, clone, load
from course.numerics import no_spread
from course.rewards import (
    Ensemble,
    RewardFunction,
    clipped,
    fit_reward,
    length_penalised,
    new_reward_model,
    true_reward,
)
from course.rl import FixedKL, PPOConfig, PPORun, ppo
from course.rollouts import answers, chat_prompts, drafts, sample
from course.text import word_count
from course.train import chat_examples
from course.world import REQUESTS, SEEN, UNSEEN, Question, Request, country_questions, demonstrate
from course.world.chats import mixed_conversations

NOTHING, BEFORE = "no cure", "before"

LENGTH = PPOConfig(rollout_batch_size=32, epochs=4, mini_batch_size=16, lam=1.0, value_clip=None, max_new_tokens=40)
LENGTH_ITERATIONS = 10
WITH_SFT = {"settings": replace(LENGTH, sft_coefficient=0.5)}
FORMAT = PPOConfig(rollout_batch_size=48, mini_batch_size=16, lam=1.0, value_clip=None, max_new_tokens=32)
FORMAT_ITERATIONS = 6
SMALL_BETA = 0.02  # in standard deviations of the reward model's scores, per nat


# --- the reward model -------------------------------------------------------------------------------------------------


def strung_together(pairs: Sequence[Pair], seed: int = SEED) -> list[Pair]:
    """Both sides of a pair made of one to three of its drafts, in a row: the long answers that a policy lacks."""
    rng = random.Random(seed)

    def some(*drafts: str) -> str:
        return " ".join(rng.choices(drafts, k=rng.randint(1, 3)))

    return [Pair(prompt, some(a, b), some(a, b)) for prompt, a, b in pairs]


def standardised_reward(
    lm: LM,
    labels: Sequence[Record],
    usual: Sequence[Pair],
    epochs: int = 1,
    seed: int = SEED,
    title: str = "Reward model",
) -> RewardFunction:
    """Train a reward model on labels; its scores are given in standard deviations from its mean over usual drafts.

    Args:
        lm: what the reward model is made of.
        labels: preference records.
        usual: the first answer of each of these pairs sets the zero and the unit, so that models can be compared.
        epochs: passes over the labels; a few dozen labels take several.
        seed: of the head and of the order.
        title: of the live curve.
    Raises:
        ValueError: the reward model gives all usual drafts the same score, up to rounding.
    """
    model = new_reward_model(lm, seed=seed)
    fit_reward(model, labels, epochs=epochs, seed=seed, title=title)
    scores = model([pair.prompt for pair in usual], [pair.a for pair in usual])
    zero, unit = float(scores.mean()), float(scores.std())
    if no_spread(scores):
        raise ValueError(
            f"The reward model gives all {len(usual)} usual drafts the score {zero:.3g}, so there is no unit to give "
            "its scores in. Take more drafts, or train on more labels."
        )
    return lambda prompts, texts: (model(prompts, texts) - zero) / unit


# --- what is measured -------------------------------------------------------------------------------------------------


def share(taste: str | Taste, prompts: Sequence[Question | Request], texts: Sequence[str]) -> float:
    """Mean of a taste over answers: of "bullets" the share of lines that are items, of "refusing" of refusals."""
    return mean(find(taste)(prompt, text) for prompt, text in zip(prompts, texts, strict=True))


def distinct(lm: LM, prompts: Sequence[Question | Request], draws: int = 32, seed: int = SEED) -> float:
    """How many different answers there are among so many to one prompt; the mean over the prompts."""
    texts = answers(lm, [prompt for prompt in prompts for _ in range(draws)], seed)
    return mean(len(set(texts[i : i + draws])) for i in range(0, len(texts), draws))


HELD_OUT = country_questions(UNSEEN)
"""Questions about countries that neither reward model nor policy is asked about: what is measured is measured here."""

HARMLESS = [request for request in REQUESTS if request.reply]


def symptoms(lm: LM, reward: RewardFunction, seed: int = SEED) -> dict[str, float]:
    """What became of a policy, measured on sampled answers to the held-out questions and to harmless requests.

    Returns:
        `proxy`: what the reward model gives; `true score`; `words` of an answer; `lists`: share of lines that are
        items; `helps`: share of harmless requests that are helped with; `distinct`: different answers among 32;
        `entropy`: nats per token, estimated from the tokens drawn.
    """
    drawn, asked = sample(lm, chat_prompts(lm, HELD_OUT), max_new_tokens=40, seed=seed), HARMLESS * 4
    texts = drawn.texts
    return {
        "proxy": float(reward(HELD_OUT, texts).mean()),
        "true score": float(true_reward(HELD_OUT, texts).mean()),
        "words": mean(word_count(text) for text in texts),
        "lists": share("bullets", HELD_OUT, texts),
        "helps": float(true_reward(asked, answers(lm, asked, seed)).mean()),
        "distinct": distinct(lm, HELD_OUT[:72:24], seed=seed),
        "entropy": float(-masked_mean(drawn.logps, drawn.mask)),
    }


# --- the two cases whose cures are compared ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A reward model with a weakness, and what it was made from."""

    policy: LM
    pairs: list[Pair]
    reward: RewardFunction
    questions: list[Question]
    seed: int


def length_case(lm: LM, seed: int = SEED) -> Case:
    """Labellers who always take the longer of two answers."""
    pairs = drafts(lm, country_questions(SEEN, (0, 1))[::2], seed=seed)
    reward = standardised_reward(lm, length_labels(pairs, seed), pairs[:150], seed=seed)
    return Case(lm, pairs, reward, country_questions(SEEN), seed)


def length_labels(pairs: Sequence[Pair], seed: int = SEED, taste: str | Taste = "long") -> list[Record]:
    """Labels of 360 pairs, of one to three drafts a side, by somebody without noise."""
    return label_pairs(Labeller(taste, 0.0), strung_together(pairs[:360], seed), seed=seed).records


def format_case(lm: LM, seed: int = SEED) -> Case:
    """Labellers who always take the answer that looks more like a list."""
    questions = country_questions(SEEN)
    pairs = drafts(lm, random.Random(seed).sample(questions, 135), each=4, seed=seed)
    labels = label_pairs(Labeller("bullets", 0.0), pairs, seed=seed).records
    reward = standardised_reward(lm, labels, pairs[:150], epochs=2, seed=seed, title="Reward model that likes lists")
    return Case(lm, pairs, reward, questions, seed)


def _other_seeds(case: Case) -> list[RewardFunction]:
    labels = length_labels(case.pairs, case.seed)
    return [standardised_reward(case.policy, labels, case.pairs[:150], seed=case.seed + k) for k in (100, 200)]


def _other_labellers(case: Case) -> list[RewardFunction]:
    members = []
    for k, taste in enumerate(("true", "combined"), 1):
        pairs = random.Random(case.seed + k).sample(case.pairs, len(case.pairs))
        labels = length_labels(pairs, case.seed + k, taste)
        members.append(standardised_reward(case.policy, labels, case.pairs[:150], seed=case.seed + 100 * k))
    return members


def held_out_demonstrations(lm: LM) -> list[Example]:
    """Plain answers to questions in another wording than PPO asks: the examples of the auxiliary loss."""
    questions = country_questions(SEEN, (1,))
    turns = [[{"role": "user", "content": q.text}, {"role": "assistant", "content": demonstrate(q)}] for q in questions]
    return chat_examples(lm, [{"messages": messages} for messages in turns])


def sft_mix(lm: LM) -> list[Example]:
    """The demonstrations that the policy once learnt from, of all kinds."""
    return chat_examples(lm, mixed_conversations())


CURES: dict[str, Callable[[Case], dict[str, Any]]] = {
    NOTHING: lambda case: {},
    "beta 0.1": lambda case: {"kl": FixedKL(0.1)},
    "beta 0.3": lambda case: {"kl": FixedKL(0.3)},
    "beta 0.1, twice as long": lambda case: {"kl": FixedKL(0.1), "iterations": 2 * LENGTH_ITERATIONS},
    "ensemble, same labels": lambda case: {"reward": Ensemble([case.reward, *_other_seeds(case)]).minimum},
    "ensemble, other labellers": lambda case: {"reward": Ensemble([case.reward, *_other_labellers(case)]).minimum},
    "clipping": lambda case: {"reward": clipped(case.reward, -1.0, 1.0)},
    "auxiliary loss": lambda case: WITH_SFT | {"sft_examples": held_out_demonstrations(case.policy)},
    "SFT mix": lambda case: WITH_SFT | {"sft_examples": sft_mix(case.policy)},
    "length penalty 0.15": lambda case: {"reward": length_penalised(case.reward, 0.15)},
    "length penalty 0.3": lambda case: {"reward": length_penalised(case.reward, 0.3)},
}
"""What is tried against the reward model that likes length: by name, what it changes in the call of `ppo`."""

FORMAT_CURES: dict[str, PPOConfig] = {
    NOTHING: FORMAT,
    "entropy bonus": replace(FORMAT, entropy_bonus=0.05),
    "temperature 1.3": replace(FORMAT, temperature=1.3),
}
"""What is tried against the collapse under the reward model that likes lists."""


def treat(case: Case, name: str) -> tuple[LM, PPORun]:
    """Train a copy of the case's policy with a cure of `CURES`."""
    return _train(case, name, {"iterations": LENGTH_ITERATIONS, "settings": LENGTH} | CURES[name](case))


def treat_format(case: Case, name: str) -> tuple[LM, PPORun]:
    """Train a copy of the case's policy with a cure of `FORMAT_CURES`."""
    return _train(case, name, {"iterations": FORMAT_ITERATIONS, "settings": FORMAT_CURES[name]})


def _train(case: Case, name: str, options: dict[str, Any]) -> tuple[LM, PPORun]:
    policy, options = clone(case.policy), {"reward": case.reward, "kl": FixedKL(SMALL_BETA)} | options
    return policy, ppo(policy, prompts=case.questions, **options, watch=true_reward, seed=case.seed, title=name)


# --- the experiment ---------------------------------------------------------------------------------------------------

CURVES = {"reward": "reward", "watch": "true score", "kl": "kl", "entropy": "entropy", "length": "length"}
"""What is stored of a run's history, with its name in the store; the reward is the one trained on, cure included."""


@lru_cache(maxsize=1)
def _case(kind: str, seed: int) -> Case:
    return {"length": length_case, "format": format_case}[kind](load("mixed"), seed)


def run_cure(condition: str, seed: int) -> Run:
    """One case with one cure, or the policy as it was before."""
    kind, cure = condition.split(": ")
    case, policy, history = _case(kind, seed), None, []
    if cure != BEFORE:
        policy, made = (treat if kind == "length" else treat_format)(case, cure)
        history = made.history
    curves = {name: [past[key] for past in history] for key, name in CURVES.items() if history}
    measured = symptoms(policy or case.policy, case.reward, seed)
    return Run("cures", condition, seed, case.policy.name, measured, curves)


TRIED = {"format": (BEFORE, *FORMAT_CURES), "length": (BEFORE, *CURES)}
EXPERIMENTS = (Experiment("cures", tuple(f"{kind}: {cure}" for kind in TRIED for cure in TRIED[kind]), run_cure),)
