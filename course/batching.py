"""From lists of token ids to the rectangles of numbers that a model reads.

Serves notebooks 01 (blocks of text), 03 (labels, padding) and 04 (what padding wastes). Everything here is
lists of integers and tensors: no tokenizer, no model.

An example is a dict with `input_ids` and `labels`, two lists of the same length. A label is the token itself
where the model is to learn it, and -100 where it is not, which `torch` and `transformers` leave out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

IGNORE = -100
"""The label of a token that nothing is to be learnt from."""

Example = Mapping[str, Sequence[int]]
Row = TypeVar("Row")


def make_labels(input_ids: Sequence[int], mask: Sequence[int]) -> list[int]:
    """The tokens where the mask is 1, -100 where it is 0.

    >>> make_labels([5, 6, 7, 8], [0, 0, 1, 1])
    [-100, -100, 7, 8]

    Raises:
        ValueError: the two differ in length.
    """
    if len(input_ids) != len(mask):
        raise ValueError(f"There are {len(input_ids)} tokens and {len(mask)} entries in the mask.")
    return [token if keep else IGNORE for token, keep in zip(input_ids, mask, strict=True)]


def answer_example(prompt_ids: Sequence[int], answer_ids: Sequence[int]) -> dict[str, list[int]]:
    """A prompt with its answer as an example of which the answer alone is to be learnt.

    >>> answer_example([5, 6], [7, 8])
    {'input_ids': [5, 6, 7, 8], 'labels': [-100, -100, 7, 8]}
    """
    return {"input_ids": [*prompt_ids, *answer_ids], "labels": [IGNORE] * len(prompt_ids) + list(answer_ids)}


def pad(sequences: Sequence[Sequence[int]], value: int, side: str = "right") -> Tensor:
    """Sequences of different lengths as one tensor, filled up with `value`.

    >>> pad([[1, 2, 3], [4]], value=0, side="left")
    tensor([[1, 2, 3],
            [0, 0, 4]])

    Returns:
        int64, shape (number of sequences, length of the longest).
    Raises:
        ValueError: there are no sequences, or the side is neither "right" nor "left".
    """
    if not sequences:
        raise ValueError("There is nothing to pad: the list of sequences is empty.")
    if side not in ("right", "left"):
        raise ValueError(f'side is "right" or "left", not {side!r}.')
    width = max(map(len, sequences))
    padded = torch.full((len(sequences), width), value, dtype=torch.long)
    for row, sequence in zip(padded, sequences, strict=True):
        start = 0 if side == "right" else width - len(sequence)
        row[start : start + len(sequence)] = torch.as_tensor(sequence, dtype=torch.long)
    return padded


def pad_left(prompts: Sequence[Sequence[int]], value: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts that all end in the last column, as generating needs them.

    Returns:
        The tokens, the attention mask and each token's position in its own row, all int64 (prompts, longest).
    """
    mask = pad([[1] * len(prompt) for prompt in prompts], 0, side="left")
    return pad(prompts, value, side="left"), mask, positions_of(mask)


def positions_of(mask: Tensor) -> Tensor:
    """Place of each token in its own row, counted from its first real one, for an attention mask (rows, tokens)."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def check_examples(examples: Sequence[Example], name: str = "examples") -> None:
    """Return quietly if every example can be learnt from or measured.

    Raises:
        ValueError: no examples, one that is none, whose lists differ in length, or with no label to learn; calls
            the list by the given name and an example by its place in it, from 0.
    """
    if not len(examples):
        raise ValueError(f"There are no {name}: the list is empty. Look at what your filters dropped.")
    for i, example in enumerate(examples):
        if not isinstance(example, Mapping) or not {"input_ids", "labels"} <= example.keys():
            what = f"{name}[{i}] is no dict of `input_ids` and `labels`: {example!r:.60}"
            raise ValueError(f"{what}. Give a list of such dicts, as `chat_examples` makes them.")
        if len(example["input_ids"]) != len(example["labels"]):
            lengths = f"{len(example['input_ids'])} input_ids and {len(example['labels'])} labels"
            raise ValueError(f"{name}[{i}] has {lengths}; make the labels with make_labels.")
    masked = [i for i, example in enumerate(examples) if not _learnable(example["labels"])]
    if masked:
        raise ValueError(
            f"{len(masked)} of {len(examples)} {name} have no token to learn, first {name}[{masked[0]}]: all labels "
            "are masked (-100). Check that the mask marks the assistant's tokens and not the user's, and drop what "
            "has no answer."
        )


def collate(examples: Sequence[Example], pad_id: int) -> dict[str, Tensor]:
    """A batch to train on: pad on the right with `pad_id`, attend to real tokens only, learn nothing from padding.

    Args:
        examples: dicts of `input_ids` and `labels`.
        pad_id: the token to fill up with. Its value changes nothing, since it is masked twice.
    Returns:
        `input_ids`, `attention_mask` and `labels`, each int64 of shape (batch, longest example).
    Raises:
        ValueError: as `check_examples`.
    """
    check_examples(examples)
    return {
        "input_ids": pad([example["input_ids"] for example in examples], pad_id),
        "attention_mask": pad([[1] * len(example["input_ids"]) for example in examples], 0),
        "labels": pad([example["labels"] for example in examples], IGNORE),
    }


@dataclass(frozen=True)
class ClipReport:
    """What `clip` did: of `total` examples, `cut` were shortened and the rows in `dropped` left out."""

    total: int
    max_length: int
    longest: int
    cut: int
    dropped: list[int]

    def __str__(self) -> str:
        over = self.cut + len(self.dropped)
        if not over:
            return f"All {self.total} examples fit into {self.max_length} tokens (the longest has {self.longest})."
        return (
            f"{over} of {self.total} examples were longer than {self.max_length} tokens (the longest had "
            f"{self.longest}): {self.cut} were cut, so that they end without their last tokens and do not teach "
            f"to stop; {len(self.dropped)} were dropped, because no token to learn was left."
        )


def clip(examples: Sequence[Example], max_length: int) -> tuple[list[dict[str, list[int]]], ClipReport]:
    """Shorten examples to their first `max_length` tokens, and drop those with nothing left to learn.

    Returns:
        The examples that are left, in their order, and a report that says how many were cut or dropped and why.
    Raises:
        ValueError: max_length is below 2, or no example is left.
    """
    if max_length < 2:
        raise ValueError(f"max_length={max_length} leaves no token to predict; give at least 2.")
    kept, cut, dropped = [], 0, []
    for i, example in enumerate(examples):
        short = {name: list(example[name][:max_length]) for name in ("input_ids", "labels")}
        is_cut = len(example["input_ids"]) > max_length
        if is_cut and not _learnable(short["labels"]):
            dropped.append(i)
            continue
        kept.append(short)
        cut += is_cut
    longest = max((len(example["input_ids"]) for example in examples), default=0)
    report = ClipReport(len(examples), max_length, longest, cut, dropped)
    if not kept:
        raise ValueError(f"No example is left. {report}" if examples else "There are no examples to clip.")
    return kept, report


def read_by_length(
    rows: Sequence[Row], length: Callable[[Row], int], size: int, read: Callable[[list[Row]], Tensor]
) -> Tensor:
    """What `read` makes of the rows, in groups of similar length, so that little has to be padded.

    >>> read_by_length(["ccc", "a", "bb"], len, 2, lambda group: torch.tensor([len(row) for row in group]))
    tensor([3, 1, 2])

    Args:
        rows: N of them, at least one.
        length: of a row.
        size: rows in a group, at most.
        read: takes a group, returns a tensor with one entry for each of its rows, in their order.
    Returns:
        The entries of all groups in the order of the rows, shape (N, ...).
    """
    order = sorted(range(len(rows)), key=lambda i: length(rows[i]))
    parts = [read([rows[i] for i in order[first : first + size]]) for first in range(0, len(order), size)]
    return torch.cat(parts)[torch.tensor(order).argsort().to(parts[0].device)]


def read_in_parts(
    rows: Sequence[Row], length: Callable[[Row], int], parts: int, read: Callable[[list[Row]], Tensor]
) -> Tensor:
    """As `read_by_length`, the shorter and the longer half apart; gradients flow.

    In more than one part, each in its two halves, a group keeps nothing for the backward pass and is read again there
    (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). The gradient is that of the whole batch, also
    of a loss that is no sum over its rows, and only one group's activations are held at a time.
    """
    if parts > 1:
        read = partial(checkpoint, read, use_reentrant=False)
    return read_by_length(rows, length, math.ceil(len(rows) / (2 * parts)), read)


def blocks(documents: Sequence[Sequence[int]], length: int, end_id: int) -> Tensor:
    """All documents in one row, cut into pieces of the same length: how a base model reads its text.

    `end_id` stands before the first document and after each, so that every document begins after one. What
    does not fill a last block is left out.

    >>> blocks([[1, 2], [3], [4, 5]], length=4, end_id=0)
    tensor([[0, 1, 2, 0],
            [3, 0, 4, 5]])

    Returns:
        int64, shape (number of blocks, length).
    Raises:
        ValueError: length is below 2, or the documents do not fill one block.
    """
    if length < 2:
        raise ValueError(f"length={length} leaves no token to predict; give at least 2.")
    row = torch.tensor([end_id, *chain.from_iterable([*document, end_id] for document in documents)])
    count = len(row) // length
    if not count:
        raise ValueError(f"All documents together have {len(row)} tokens, fewer than one block of {length}.")
    return row[: count * length].view(count, length)


def _learnable(labels: Sequence[int]) -> bool:
    """Whether any label can be learnt; the first cannot, since nothing comes before it."""
    return any(label != IGNORE for label in labels[1:])
