"""How likely a whole answer is: the numbers that every preference loss is made of. Serves notebooks 11 and 12."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course.batching import IGNORE, Example, collate, make_labels, read_by_length
from course.formats import Message, as_messages
from course.models import LM, require_list
from course.rewards import Prompt
from course.train import labelled_losses


@dataclass(frozen=True)
class SequenceLogps:
    """Log-probabilities of N answers under a model.

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

    def rows(self, first: int, last: int) -> "SequenceLogps":
        """The answers from `first` up to, but not including, `last`."""
        return SequenceLogps(self.logps[first:last], self.tokens[first:last])

    def where(self, mask: Tensor) -> "SequenceLogps":
        """The answers at which the mask, bool (N,), is True."""
        return SequenceLogps(self.logps[mask], self.tokens[mask])


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
    require_list(prompts, "prompts")
    require_list(texts, "texts")
    if not len(texts) or len(prompts) != len(texts):
        raise ValueError(f"There are {len(prompts)} prompts and {len(texts)} texts: one for each, at least one.")
    rows = [encode_answer(lm, *pair) for pair in zip(prompts, texts, strict=True)]
    if long := [i for i, row in enumerate(rows) if not lm.fits(len(row["input_ids"]))]:
        raise ValueError(
            f"{len(long)} of {len(rows)} conversations exceed the model's context of {lm.context} tokens, first "
            f"texts[{long[0]}] with {len(rows[long[0]]['input_ids'])}. Leave them out, or cut them."
        )
    return measured_logps(lm, rows)


def encode_answer(lm: LM, prompt: Prompt, answer: str | list[Message]) -> dict[str, list[int]]:
    """A prompt with its answer as an example that has labels on the answer alone, up to the token that ends it."""
    record = as_messages({"prompt": getattr(prompt, "text", prompt), "completion": answer})
    encoded = lm.encode([*record["prompt"], *record["completion"]], given=len(record["prompt"]))
    end = len(encoded.input_ids) - encoded.assistant_mask[::-1].index(1)
    input_ids, mask = encoded.input_ids[:end], encoded.assistant_mask[:end]
    return {"input_ids": input_ids, "labels": make_labels(input_ids, mask)}


def batch_logps(lm: LM, rows: Sequence[Example]) -> SequenceLogps:
    """The log-probabilities of a batch of answers; gradients flow.

    The shorter and the longer half of them are read apart, which pads less where lengths differ.
    """

    return _read(lm, rows, (len(rows) + 1) // 2)


@torch.no_grad()
def measured_logps(lm: LM, rows: Sequence[Example], batch_size: int = 64) -> SequenceLogps:
    """As `batch_logps`, for any number of answers, without gradient, on the CPU.

    An answer that stands in several pairs, as where each draft is compared with each, is read once.
    """
    lm.model.eval()
    keys = [(*row["input_ids"], *row["labels"]) for row in rows]
    once = dict(zip(keys, rows, strict=True))
    place = {key: i for i, key in enumerate(once)}
    found = _read(lm, list(once.values()), batch_size)
    at = torch.tensor([place[key] for key in keys])
    return SequenceLogps(found.logps.cpu()[at], found.tokens.cpu()[at])


def _read(lm: LM, rows: Sequence[Example], size: int) -> SequenceLogps:
    def sums(group: list[Example]) -> Tensor:
        return -labelled_losses(lm, collate(group, lm.tokenizer.pad_token_id)).sum(1)

    logps = read_by_length(rows, lambda row: len(row["input_ids"]), size, sums)
    tokens = [sum(label != IGNORE for label in row["labels"]) for row in rows]
    return SequenceLogps(logps, torch.tensor(tokens).to(logps))
