"""Exercises of lesson 01: right solutions in many forms are accepted, wrong ones in many forms are not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course.exercises import EXERCISES
from course.study.grading import grade

# ---- next-token loss --------------------------------------------------------------------------------------


def by_hand(logits, ids):
    total = 0.0
    for t in range(len(ids) - 1):
        scores = logits[t].tolist()
        top = max(scores)
        log_sum = top + np.log(sum(np.exp(score - top) for score in scores))
        total += log_sum - scores[ids[t + 1]]
    return total / (len(ids) - 1)


def in_numpy(logits, ids):
    scores = logits.numpy().astype(np.float64)[:-1]
    logp = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return -logp[np.arange(len(ids) - 1), ids.numpy()[1:]].mean()


@pytest.mark.parametrize(
    "attempt",
    [
        by_hand,
        in_numpy,
        lambda logits, ids: float(by_hand(logits, ids)),
        lambda logits, ids: -torch.log_softmax(logits, -1)[:-1].gather(-1, ids[1:].unsqueeze(-1)).mean(),
        lambda logits, ids: -logits.softmax(-1)[torch.arange(len(ids) - 1), ids[1:]].log().mean(),
        lambda logits, ids: F.cross_entropy(logits.double()[:-1], ids[1:]).item(),
        lambda logits, ids: F.cross_entropy(logits[:-1].T[None], ids[None, 1:]),
        lambda logits, ids: F.nll_loss(F.log_softmax(logits, 1)[:-1], ids[1:], reduction="sum") / (len(ids) - 1),
    ],
)
def test_next_token_loss_right(attempt):
    assert grade(EXERCISES["01-next-token-loss"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[:-1]),
        lambda logits, ids: F.cross_entropy(logits[1:], ids[1:]),
        lambda logits, ids: F.cross_entropy(logits[:-2], ids[2:]),
        lambda logits, ids: F.cross_entropy(logits, ids.roll(-1)),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="none"),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], reduction="none").median(),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:]).exp(),
        lambda logits, ids: F.cross_entropy(logits[:-1].softmax(-1), ids[1:]),
        lambda logits, ids: F.cross_entropy(logits[:-1], ids[1:], label_smoothing=0.1),
        lambda logits, ids: F.cross_entropy(logits[-2:-1], ids[-1:]),
        lambda logits, ids: 1 - logits.softmax(-1)[:-1].gather(1, ids[1:, None]).mean(),
        lambda logits, ids: F.mse_loss(logits[:-1], F.one_hot(ids[1:], logits.shape[1]).float()),
        lambda logits, ids: -logits.log_softmax(0)[:-1].gather(1, ids[1:, None]).mean(),
    ],
)
def test_next_token_loss_wrong(attempt):
    assert grade(EXERCISES["01-next-token-loss"], attempt).kind == "wrong"


# ---- the cost of worked examples ---------------------------------------------------------------------


def test_prompt_tokens_right():
    def loop(shots, question, queries):
        total = 0
        for _ in range(queries):
            for shot in shots:
                total += shot
            total += question
        return total

    exercise = EXERCISES["01-prompt-tokens"]
    assert grade(exercise, loop).kind == "right"
    assert grade(exercise, lambda s, q, n: float(n * q + n * np.sum(s))).kind == "right"
    assert grade(exercise, lambda s, q, n: torch.tensor([*s, q]).sum() * n).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda shots, question, queries: sum(shots) + question + queries,
        lambda shots, question, queries: (sum(shots) + question) * len(shots) * queries,
        lambda shots, question, queries: (max(shots, default=0) + question) * queries,
        lambda shots, question, queries: sum([*shots, question]) * (queries - 1),
        lambda shots, question, queries: (sum(shots) + question + 1) * queries,
        lambda shots, question, queries: (sum(shots) + len(shots) * question) * queries,
        lambda shots, question, queries: (sum(shots) / max(1, len(shots)) + question) * queries,
    ],
)
def test_prompt_tokens_wrong(attempt):
    assert grade(EXERCISES["01-prompt-tokens"], attempt).kind == "wrong"
