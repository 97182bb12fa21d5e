"""Exercises of lesson 01: the loss of a base model, and what worked examples in a prompt cost."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course.exercises.definition import Exercise


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy in nats; logits (T, V) at position t score the token at t + 1 of ids (T,)."""
    return F.cross_entropy(logits[:-1], ids[1:])


def _one_text(length: int, vocabulary: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(length, vocabulary, generator=random) * 2
    return logits.round(decimals=1), torch.randint(vocabulary, (length,), generator=random)


def _loss_backwards(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[1:], ids[:-1])


def prompt_tokens_in_all(shots: list[int], question: int, queries: int) -> int:
    """Tokens read for `queries` few-shot prompts: every prompt repeats the worked examples."""
    return (sum(shots) + question) * queries


EXERCISES: dict[str, Exercise] = {
    "01-next-token-loss": Exercise(
        cases=[_one_text(3, 4, 1), _one_text(6, 9, 2), _one_text(12, 5, 3), _one_text(20, 11, 4)],
        solution=next_token_loss,
        why="Pretraining and SFT both minimise this one number; SFT only changes which tokens count.",
        mistakes={
            "double_softmax": lambda logits, ids: next_token_loss(logits.softmax(-1), ids),
            "over_time": lambda logits, ids: -logits[:-1].log_softmax(0).gather(1, ids[1:, None]).mean(),
            "probabilities": lambda logits, ids: -logits[:-1].softmax(-1).gather(1, ids[1:, None]).mean(),
            "no_shift": F.cross_entropy,
            "wrong_way": _loss_backwards,
            "sum_not_mean": lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="sum"),
            "log2": lambda logits, ids: next_token_loss(logits, ids) / torch.tensor(2.0).log(),
            "one_too_many": lambda logits, ids: next_token_loss(logits, ids) * (len(ids) - 1) / len(ids),
            "no_minus": lambda logits, ids: -next_token_loss(logits, ids),
            "no_softmax": lambda logits, ids: -logits[:-1].gather(1, ids[1:, None]).mean(),
            "of_the_mean": lambda logits, ids: -logits[:-1].softmax(-1).gather(1, ids[1:, None]).mean().log(),
            "every_token": lambda logits, ids: -logits[:-1].log_softmax(-1)[:, ids[1:]].mean(),
            "last_alone": lambda logits, ids: F.cross_entropy(logits[-2:-1], ids[-1:]),
            "wrapped_round": lambda logits, ids: F.cross_entropy(logits, ids.roll(-1)),
            "accuracy": lambda logits, ids: (logits[:-1].argmax(-1) == ids[1:]).float().mean(),
        },
    ),
    "01-prompt-tokens": Exercise(
        cases=[([12, 15], 9, 3), ([20, 31, 18, 25], 14, 50), ([40], 6, 1)],
        solution=prompt_tokens_in_all,
        why="Worked examples are paid for again with every query, while fine-tuning is paid for once.",
        special={
            "there are no examples": [([], 11, 7)],
            "nothing is asked": [([12, 15], 9, 0)],
            "an example comes twice": [([12, 12, 7], 9, 5)],
        },
        mistakes={
            "mean_shot": lambda shots, question, queries: (sum(shots) / max(len(shots), 1) + question) * queries,
            "longest_shot": lambda shots, question, queries: (max(shots, default=0) + question) * queries,
            "question_for_each_shot": lambda shots, question, queries: sum(shot + question for shot in shots) * queries,
            "added_up": lambda shots, question, queries: sum(shots) + question + queries,
            "no_question": lambda shots, question, queries: sum(shots) * queries,
            "shots_once": lambda shots, question, queries: sum(shots) + question * queries,
            "question_once": lambda shots, question, queries: sum(shots) * queries + question,
            "number_of_shots": lambda shots, question, queries: (len(shots) + question) * queries,
            "one_query": lambda shots, question, queries: sum(shots) + question,
            "history": lambda shots, question, queries: queries * sum(shots) + question * queries * (queries + 1) // 2,
            "product": lambda shots, question, queries: (math.prod(shots) + question) * queries,
            "shots_times_both": lambda shots, question, queries: sum(shots) * (question + queries),
            "one_more_for_each": lambda shots, question, queries: (sum(shots) + len(shots) + question) * queries,
        },
    ),
}
