"""PPO on a real model, by rewards that a program computes: lesson 09 (claims O4, O5) and lesson 10 (H1, H3, H5)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import torch
from torch import Tensor

from course.experiments.real.rewards import words_reward
from course.experiments.real.start import (
    MOST,
    RANK,
    adapted,
    counted,
    planned,
    real_model,
    right_reward,
    sampled,
    some,
    to_learn,
    to_test,
)
from course.experiments.store import Experiment, Run
from course.models import LM
from course.rewards import RewardFunction, length_penalised
from course.rl import FixedKL, PPOConfig, ppo
from course.rollouts import chat_prompts, sample
from course.train import Prompt
from course.world import Question

SETTINGS = PPOConfig(
    rollout_batch_size=16,
    epochs=2,
    mini_batch_size=16,
    learning_rate=3e-4,
    value_learning_rate=1e-5,
    lam=1.0,
    value_clip=None,
    max_new_tokens=MOST,
)
ITERATIONS, LATE, TESTED, AGAIN = 10, 3, 48, 4
ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)


def length_reward(prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
    """A tenth for each word."""
    return words_reward(prompts, texts) / 10


def list_reward(prompts: Sequence[Prompt], texts: Sequence[str]) -> Tensor:
    """A half for each line that is an item of a list, 2 at most."""
    return torch.tensor([min(2.0, len(ITEM.findall(text)) / 2) for text in texts])


REWARDS: dict[str, tuple[RewardFunction, float]] = {
    "exact, beta 0.02": (right_reward, 0.02),
    "exact, beta 0.2": (right_reward, 0.2),
    "length, beta 0.02": (length_reward, 0.02),
    "length, beta 0.2": (length_reward, 0.2),
    "length, less 0.1 a word": (length_penalised(length_reward, 0.1), 0.02),
    "lists, beta 0.02": (list_reward, 0.02),
}
"""By condition, the reward and the price of a nat of KL."""


def settings_for(lm: LM, prompts: Sequence[Question]) -> PPOConfig:
    """`SETTINGS` with more parts to a mini-batch, and adapters in the value model, where memory asks for it."""
    longest = max(map(len, chat_prompts(lm, prompts))) + MOST
    how = planned(longest, SETTINGS.mini_batch_size, copies=1, all_weights=True)
    settings = replace(SETTINGS, accumulate=max(SETTINGS.accumulate, how.accumulate))
    if how.lora:
        settings = replace(settings, value_rank=RANK, value_learning_rate=settings.learning_rate)
    return settings


def run_ppo(condition: str, seed: int) -> Run:
    """PPO with adapters, or the model as it came (`before`): what is counted, `lists` and `distinct` answers.

    Of the run itself the curves, their `first` values and the means over the `last` three iterations.
    """
    lm, curves, measured = real_model(), {}, {}
    if condition != "before":
        lm, (reward, beta) = adapted(seed), REWARDS[condition]
        asked = to_learn(96, seed)
        options = {"iterations": ITERATIONS, "kl": FixedKL(beta), "settings": settings_for(lm, asked)}
        run = ppo(lm, reward, asked, **options, seed=seed, title=condition)
        curves = {name: [past[name] for past in run.history] for name in ("reward", "kl", "entropy", "length")}
        measured = {f"{name}, first": curve[0] for name, curve in curves.items()}
        measured |= {f"{name}, last": mean(curve[-LATE:]) for name, curve in curves.items()}
    grades = sampled(lm, to_test(TESTED, seed), seed)
    measured |= counted(grades) | {
        "lists": mean(bool(ITEM.search(text)) for text in grades.texts()),
        "distinct": distinct(lm, to_test(12, seed), seed),
    }
    return Run("real_ppo", condition, seed, lm.name, measured, curves, {"answers": some(grades)})


def distinct(lm: LM, questions: Sequence[Question], seed: int) -> float:
    """Of several sampled answers to one question, the share that are different texts; the mean over the questions."""
    texts = sample(lm, chat_prompts(lm, questions) * AGAIN, max_new_tokens=MOST, seed=seed).texts
    return mean(len(set(texts[i :: len(questions)])) / AGAIN for i in range(len(questions)))


EXPERIMENTS = (Experiment("real_ppo", ("before", *REWARDS), run_ppo, (0,)),)
