"""How likely a whole answer is: the numbers that every preference loss is made of. Serves notebooks 11 and 12."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course.batching import IGNORE, Example, collate, read_by_length, read_in_parts
from course.formats import Message
from course.models import LM
from course.train import Prompt, answer_examples, labelled_losses

READ_AT_ONCE = 64


@dataclass(frozen=True)
class SequenceLogps:
    """Log-probabilities of N answers under a model. `logps[:3]` or `logps[mask]` are some of them.

    Attributes:
        logps: sum over each answer's tokens, the one that ends the turn included, natural log, float32 (N,).
        tokens: how many these are, float32 (N,), at least 1.
    """

    logps: Tensor
    tokens: Tensor

    @property
    def mean_logps(self) -> Tensor:
        """The mean over each answer's tokens, (N,)."""
        return self.logps / self.tokens

    def __getitem__(self, which: slice | Tensor) -> "SequenceLogps":
        return SequenceLogps(self.logps[which], self.tokens[which])


def sequence_logps(lm: LM, prompts: Sequence[Prompt], texts: Sequence[str] | Sequence[list[Message]]) -> SequenceLogps:
    """How likely the model is to give these answers to these prompts; without gradient.

    Args:
        lm: the model.
        prompts: what was asked, N of them.
        texts: the answers, N texts (or lists of messages).
    Returns:
        On the CPU.
    Raises:
        ValueError: nothing to score, not as many texts as prompts, or a conversation longer than the model's context.
    """
    return measured_logps(lm, answer_examples(lm, prompts, texts))


def batch_logps(lm: LM, rows: Sequence[Example], parts: int = 1) -> SequenceLogps:
    """The log-probabilities of what is labelled in each row of a batch; gradients flow.

    The shorter and the longer half of them are read apart, which pads less where lengths differ; in several parts, as
    `read_in_parts` does.
    """
    return _answers(lm, rows, lambda length, sums: read_in_parts(rows, length, parts, sums))


@torch.no_grad()
def measured_logps(lm: LM, rows: Sequence[Example]) -> SequenceLogps:
    """As `batch_logps`, for any number of rows, without gradient, on the CPU.

    An answer that stands in several pairs, as where each draft is compared with each, is read once.
    """
    lm.model.eval()
    keys = [(*row["input_ids"], *row["labels"]) for row in rows]
    once = dict(zip(keys, rows, strict=True))
    place = {key: i for i, key in enumerate(once)}
    answers = list(once.values())
    found = _answers(lm, answers, lambda length, sums: read_by_length(answers, length, READ_AT_ONCE, sums))
    at = torch.tensor([place[key] for key in keys])
    return SequenceLogps(found.logps.cpu(), found.tokens.cpu())[at]


def _answers(lm: LM, rows: Sequence[Example], read: Callable[..., Tensor]) -> SequenceLogps:
    def sums(group: list[Example]) -> Tensor:
        return -labelled_losses(lm, collate(group, lm.tokenizer.pad_token_id)).sum(1)

    logps = read(lambda row: len(row["input_ids"]), sums)
    tokens = [sum(label != IGNORE for label in row["labels"]) for row in rows]
    return SequenceLogps(logps, torch.tensor(tokens).to(logps))
