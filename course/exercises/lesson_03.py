"""Exercises of lesson 03: labels, the masked loss (Ouyang et al. 2022), LoRA's size (Hu et al. 2021, 4.1)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course.batching import IGNORE
from course.exercises.definition import Exercise


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over labels (B, T) that are not -100; logits (B, T, V) score the next position."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE)


def _token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Loss at each position but the last, (B, T-1); 0 where the label is -100."""
    flat = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE, reduction="none")
    return flat.view(labels.shape[0], -1)


def _loss_unshifted(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)


def _mean_of_rows(logits: Tensor, labels: Tensor) -> Tensor:
    return (_token_losses(logits, labels).sum(1) / (labels[:, 1:] != IGNORE).sum(1)).mean()


def _masked_as_token_zero(logits: Tensor, labels: Tensor) -> Tensor:
    return masked_loss(logits, labels.clamp(min=0))


def _loss_of_the_masked(logits: Tensor, labels: Tensor) -> Tensor:
    return masked_loss(logits, torch.where(labels == IGNORE, 0, IGNORE))


def _mask_one_early(logits: Tensor, labels: Tensor) -> Tensor:
    losses = _token_losses(logits, labels.clamp(min=0))
    return losses[labels[:, :-1] != IGNORE].mean()


def _batch(rows: list[str], vocabulary: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random logits and labels; a row "..xx" has two masked positions, then two that count."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocabulary, (len(rows), len(rows[0])), generator=random)
    counts = torch.tensor([[mark == "x" for mark in row] for row in rows])
    logits = torch.randn(*ids.shape, vocabulary, generator=random) * 2
    return logits.round(decimals=1), torch.where(counts, ids, IGNORE)


def make_labels(ids: Tensor, mask: Tensor, attention: Tensor) -> Tensor:
    """The ids where the assistant speaks and nothing is padding, -100 elsewhere; all three are (B, T)."""
    return torch.where((mask == 1) & (attention == 1), ids, IGNORE)


def _labels_shifted(ids: Tensor, mask: Tensor, attention: Tensor) -> Tensor:
    return F.pad(make_labels(ids, mask, attention)[:, 1:], (0, 1), value=IGNORE)


def _ids_shifted(ids: Tensor, mask: Tensor, attention: Tensor) -> Tensor:
    return make_labels(F.pad(ids[:, 1:], (0, 1), value=IGNORE), mask, attention)


def _labels(where: Callable[[Tensor, Tensor], Tensor], other: int = IGNORE) -> Callable[..., Tensor]:
    return lambda ids, mask, attention: torch.where(where(mask == 1, attention == 1), ids, other)


def _row(ids: list[int], mask: list[int], real: int) -> tuple[Tensor, Tensor, Tensor]:
    attention = [1] * real + [0] * (len(ids) - real)
    return torch.tensor([ids]), torch.tensor([mask]), torch.tensor([attention])


def lora_parameters(shapes: list[tuple[int, int]], rank: int) -> tuple[int, float]:
    """Weights that LoRA trains beside matrices of these (out, in) shapes, and their share of the matrices'."""
    trained = sum(rank * (out + inner) for out, inner in shapes)
    return trained, trained / sum(out * inner for out, inner in shapes)


def _lora(
    count: Callable[[int, int, int], int], share: Callable[[int, int], float] = lambda trained, full: trained / full
) -> Callable[..., tuple[int, float]]:
    def counted(shapes: list[tuple[int, int]], rank: int) -> tuple[int, float]:
        trained = sum(count(out, inner, rank) for out, inner in shapes)
        return trained, share(trained, sum(out * inner for out, inner in shapes))

    return counted


def _both(out: int, inner: int, rank: int) -> int:
    return rank * (out + inner)


EXERCISES: dict[str, Exercise] = {
    "03-masked-loss": Exercise(
        cases=[
            _batch(["..xx", ".xx."], 3, 4),
            _batch(["...xxxx", "..x....", ".xx.xx."], 7, 5),
            _batch(["x.xxx.", "xxx..."], 5, 6),
            _batch([".xxxx.xx", "...x..xx", "..xxxxxx", "xx....x."], 11, 11),
        ],
        solution=masked_loss,
        why="Every trained token weighs the same, whatever the length of the answer that it stands in.",
        special={
            "a row has nothing to learn": [_batch(["....", ".x.x"], 4, 7)],
            "there is one row": [_batch(["..xxx"], 6, 8)],
            "the last label does not count": [_batch([".xx..", "..x.."], 5, 10)],
            "token 0 is among the labels": [(_batch([".xxx"], 4, 9)[0], torch.tensor([[IGNORE, 0, 2, 0]]))],
        },
        mistakes={
            "double_softmax": lambda logits, labels: masked_loss(logits.softmax(-1), labels),
            "wrong_way": lambda logits, labels: F.cross_entropy(logits[:, 1:].flatten(0, 1), labels[:, :-1].flatten()),
            "across_rows": lambda logits, labels: F.cross_entropy(logits.flatten(0, 1)[:-1], labels.flatten()[1:]),
            "counted_unshifted": lambda logits, labels: _token_losses(logits, labels).sum() / (labels != IGNORE).sum(),
            "per_row": lambda logits, labels: _token_losses(logits, labels).sum() / len(labels),
            "no_shift": _loss_unshifted,
            "over_all_positions": lambda logits, labels: _token_losses(logits, labels).mean(),
            "over_every_label": lambda logits, labels: _token_losses(logits, labels).sum() / labels.numel(),
            "mean_of_rows": _mean_of_rows,
            "masked_as_zero": _masked_as_token_zero,
            "wrong_side": _loss_of_the_masked,
            "mask_one_early": _mask_one_early,
            "sum_not_mean": lambda logits, labels: _token_losses(logits, labels).sum(),
            "zero_ignored": lambda logits, labels: F.cross_entropy(
                logits[:, :-1].flatten(0, 1), labels[:, 1:].clamp(min=0).flatten(), ignore_index=0
            ),
            "reshaped": lambda logits, labels: F.cross_entropy(
                logits[:, :-1].reshape(len(logits), logits.shape[2], -1), labels[:, 1:]
            ),
            "over_time": lambda logits, labels: F.nll_loss(
                logits.log_softmax(1)[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
            ),
            "shift_by_two": lambda logits, labels: F.cross_entropy(
                logits[:, :-2].flatten(0, 1), labels[:, 2:].flatten()
            ),
            "mixed_order": lambda logits, labels: F.cross_entropy(
                logits[:, :-1].flatten(0, 1), labels[:, 1:].T.flatten()
            ),
            "other_token": lambda logits, labels: F.cross_entropy(
                logits[:, :-1].flatten(0, 1), labels[:, 1:].remainder(logits.shape[-1]).flatten()
            ),
        },
    ),
    "03-make-labels": Exercise(
        cases=[
            _row([5, 6, 7, 8, 2, 0], [0, 0, 1, 1, 1, 1], real=5),
            _row([1, 9, 4, 2, 3, 3, 2, 2], [0, 0, 1, 1, 0, 1, 1, 1], real=7),
            tuple(
                torch.tensor(rows)
                for rows in (
                    [[4, 5, 6, 2, 0, 0], [7, 8, 2, 0, 0, 0]],
                    [[0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 0, 1]],
                    [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]],
                )
            ),
        ],
        solution=make_labels,
        why="Everything that is masked in SFT is masked here; the loss itself needs to know only -100.",
        special={
            "a trained token has the id 0": [_row([4, 0, 7, 2], [0, 1, 1, 1], real=4)],
            "nothing is trained": [_row([4, 5, 7], [0, 0, 0], real=2)],
            "padding is on the left": [
                (torch.tensor([[0, 0, 5, 6]]), torch.tensor([[1, 0, 0, 1]]), torch.tensor([[0, 0, 1, 1]]))
            ],
        },
        mistakes={
            "either": _labels(lambda mask, attention: mask | attention),
            "double_shift": _labels_shifted,
            "ids_shifted": _ids_shifted,
            "padding_kept": _labels(lambda mask, attention: mask),
            "mask_forgotten": _labels(lambda mask, attention: attention),
            "zero": _labels(lambda mask, attention: mask & attention, other=0),
            "inverted": _labels(lambda mask, attention: ~mask & attention),
            "inverted_with_padding": _labels(lambda mask, attention: ~(mask & attention)),
            "trained_alone": lambda ids, mask, attention: ids[(mask == 1) & (attention == 1)],
            "mask_of_both": lambda ids, mask, attention: mask * attention,
            "padding_zero": lambda ids, mask, attention: torch.where(mask == 1, ids * attention, IGNORE),
            "one_of_the_two": _labels(lambda mask, attention: mask != attention),
            "shifted_back": lambda ids, mask, attention: F.pad(
                make_labels(ids, mask, attention)[:, :-1], (1, 0), value=IGNORE
            ),
        },
    ),
    "03-lora-parameters": Exercise(
        cases=[
            ([(8, 4)], 2),
            ([(192, 192), (192, 192), (768, 192)], 8),
        ],
        solution=lora_parameters,
        why="The adapter grows with the sides of a matrix and the matrix with its area: large models gain most.",
        special={
            "the rank is 1": [([(64, 64)] * 4 + [(172, 64), (64, 172)], 1)],
            "two matrices have the same shape": [([(10, 6), (10, 6)], 3)],
            "the matrices differ in size": [([(100, 4), (3, 50)], 2)],
        },
        mistakes={
            "sum_of_shares": lambda shapes, rank: (
                lora_parameters(shapes, rank)[0],
                sum(lora_parameters([shape], rank)[1] for shape in shapes),
            ),
            "mean_of_shares": lambda shapes, rank: (
                lora_parameters(shapes, rank)[0],
                sum(lora_parameters([shape], rank)[1] for shape in shapes) / len(shapes),
            ),
            "both_of_one_side": _lora(lambda out, inner, rank: 2 * rank * out),
            "no_b": _lora(lambda out, inner, rank: rank * inner),
            "no_a": _lora(lambda out, inner, rank: rank * out),
            "times_rank": _lora(lambda out, inner, rank: out * inner * rank),
            "square": _lora(lambda out, inner, rank: rank * (out + inner) + rank * rank),
            "share_of_both": _lora(_both, lambda trained, full: trained / (full + trained)),
            "percent": _lora(_both, lambda trained, full: 100 * trained / full),
            "share_upside_down": _lora(_both, lambda trained, full: full / trained),
            "sum_of_sides_below": lambda shapes, rank: (
                lora_parameters(shapes, rank)[0],
                lora_parameters(shapes, rank)[0] / sum(out + inner for out, inner in shapes),
            ),
            "sides_multiplied": _lora(lambda out, inner, rank: out * rank * rank * inner),
        },
    ),
}
