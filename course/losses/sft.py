"""The loss of supervised fine-tuning: cross-entropy on the tokens that the assistant writes.

Serves notebooks 01 (all tokens count: that is pretraining) and 03 (only the assistant's do, claim S8).
Ouyang et al. 2022, section 3.1; the shift and the mean are those of `transformers`.
"""

import torch.nn.functional as F
from torch import Tensor

from course.batching import IGNORE


def token_logps(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each token: log softmax(logits)[id], the scores and the token standing at the same place.

    Args:
        logits: scores, shape (..., vocabulary), any float dtype.
        ids: the tokens, int64, shape (...); -100 where there is none.
    Returns:
        float32 of shape (...), natural log; 0 where the token is -100.
    """
    # float32, because a sum over the vocabulary in bf16 loses the small probabilities.
    scores = logits.float().flatten(0, -2)
    return -F.cross_entropy(scores, ids.flatten(), ignore_index=IGNORE, reduction="none").view_as(ids)


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Surprise at each token, given those before it: -log p(token | tokens before).

    Args:
        logits: scores for the next token at every position, shape (batch, time, vocabulary), any float dtype.
        labels: the tokens themselves, -100 where none is to be learnt, shape (batch, time).
    Returns:
        float32 of shape (batch, time - 1), natural log. Entry t belongs to the token at t + 1, since the
        scores at t are for what comes next; 0 where that token is masked.
    Raises:
        ValueError: the shapes do not fit together, or no label is left to learn.
    """
    if logits.ndim != 3 or logits.shape[:2] != labels.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} do not fit: "
            "expected (batch, time, vocabulary) and (batch, time)."
        )
    targets = labels[:, 1:]
    if not (targets != IGNORE).any():
        raise ValueError(
            "All labels are masked (-100), so there is nothing to learn. Check that the mask marks the "
            "assistant's tokens, and that cutting long examples did not cut every answer off."
        )
    return -token_logps(logits[:, :-1], targets)


def sft_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of `token_losses` over the tokens that are to be learnt, of the whole batch together.

        loss = -mean over labelled tokens of log p(token | tokens before)

    A long answer therefore weighs more than a short one. Log of the vocabulary's size if every token is
    equally likely; 0 if each right one is certain.

    Args:
        logits: shape (batch, time, vocabulary).
        labels: shape (batch, time), -100 where masked.
    Returns:
        Scalar, natural log, float32.
    Raises:
        ValueError: as `token_losses`.
    Source: equals `transformers`' own loss (`model(..., labels=labels).loss`); taught in notebook 03.
    """
    return token_losses(logits, labels).sum() / (labels[:, 1:] != IGNORE).sum()
