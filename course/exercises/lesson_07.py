"""Exercises of lesson 07: the loss (Ouyang et al. 2022, eq. 1), where a score is read, and calibration (R1, R3)."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course.exercises.definition import Exercise, Sign

Bins = list[tuple[float, float, int]]


# --- the loss -----------------------------------------------------------------------------------------------


def reward_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Mean negative log-probability that each chosen answer wins, by Bradley and Terry; scores of shape (B,)."""
    return -F.logsigmoid(chosen - rejected).mean()


def _overflows(got: Any, expected: Any) -> bool:
    """Right where the difference is small; infinite where it is large. So it must be known by its size."""
    return math.isclose(got, expected, rel_tol=1e-5, abs_tol=1e-5) or (expected > 50 and not math.isfinite(got))


def _cut_off(got: Any, expected: Any) -> bool:
    """Right where the difference is small; finite and too small where it is large."""
    return math.isclose(got, expected, rel_tol=1e-5, abs_tol=1e-5) or (expected > 50 and 0 < got < expected)


# --- where the score is read --------------------------------------------------------------------------------


def scores_at_end(values: Tensor, attention: Tensor) -> Tensor:
    """The value at each row's last real token, (B,); both are (B, T), attention is 0 on padding at either side."""
    places = torch.arange(values.shape[1])
    last = (attention * places).argmax(1)
    return values[torch.arange(len(values)), last]


def _at(last: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def read(values: Tensor, attention: Tensor) -> Tensor:
        return values[torch.arange(len(values)), last(attention)]

    return read


def _mean_of_real(values: Tensor, attention: Tensor) -> Tensor:
    return (values * attention).sum(1) / attention.sum(1)


# --- calibration --------------------------------------------------------------------------------------------


def calibration(probabilities: list[float], won: list[int], bins: int) -> Bins:
    """(mean probability, share won, count) of each bin of equal width that holds something, lowest first."""
    return _binned(lambda p: _last_bin(p, bins))(probabilities, won)


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def _binned(
    bin_of: Callable[[float], int],
    predicted: Callable[[list[float]], float] = _mean,
    came: Callable[[list[tuple[float, int]]], float] = lambda inside: _mean(w for _, w in inside),
) -> Callable[[list[float], list[int]], Bins]:
    def made(probabilities: list[float], won: list[int]) -> Bins:
        held: dict[int, list[tuple[float, int]]] = {}
        for p, w in zip(probabilities, won, strict=True):
            held.setdefault(bin_of(p), []).append((p, w))
        return [(predicted([p for p, _ in held[b]]), came(held[b]), len(held[b])) for b in sorted(held)]

    return made


def _last_bin(p: float, bins: int) -> int:
    return min(int(p * bins), bins - 1)


def _middles(probabilities: list[float], won: list[int], bins: int) -> Bins:
    def middle(inside: list[float]) -> float:
        return (_last_bin(inside[0], bins) + 0.5) / bins

    return _binned(lambda p: _last_bin(p, bins), middle)(probabilities, won)


def _hits(probabilities: list[float], won: list[int], bins: int) -> Bins:
    def right(inside: list[tuple[float, int]]) -> float:
        return _mean((p > 0.5) == bool(w) for p, w in inside)

    return _binned(lambda p: _last_bin(p, bins), came=right)(probabilities, won)


def _one_too_many(probabilities: list[float], won: list[int], bins: int) -> Bins:
    return _binned(lambda p: int(p * bins))(probabilities, won)


def _without_ones(probabilities: list[float], won: list[int], bins: int) -> Bins:
    kept = [(p, w) for p, w in zip(probabilities, won, strict=True) if p < 1]
    return calibration([p for p, _ in kept], [w for _, w in kept], bins)


def _shares_of_all(probabilities: list[float], won: list[int], bins: int) -> Bins:
    return [(p, share * n / len(won), n) for p, share, n in calibration(probabilities, won, bins)]


def _equal_counts(probabilities: list[float], won: list[int], bins: int) -> Bins:
    ordered = sorted(zip(probabilities, won, strict=True))
    cuts = [round(i * len(ordered) / bins) for i in range(bins + 1)]
    parts = [ordered[a:b] for a, b in pairwise(cuts) if b > a]
    return [(_mean(p for p, _ in part), _mean(w for _, w in part), len(part)) for part in parts]


def _keeps_empty(got: Any, expected: Any) -> bool:
    """Everything that is expected, and bins without a comparison between it."""
    full = [entry for entry in got if entry[2]]
    return len(full) == len(expected) and all(
        len(one) == len(other) and all(map(_close, one, other)) for one, other in zip(full, expected, strict=True)
    )


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=1e-5)


EXERCISES: dict[str, Exercise] = {
    "07-reward-loss": Exercise(
        cases=[
            (torch.tensor([2.0]), torch.tensor([1.0])),
            (torch.tensor([0.5, -1.0, 3.0]), torch.tensor([1.5, -1.0, 0.0])),
            (torch.tensor([2.0, -0.25, 1.0, 0.0]), torch.tensor([-1.0, 0.5, 3.0, 0.75])),
        ],
        solution=reward_loss,
        why="A clear mistake costs about as much as the scores are apart, a clear success next to nothing.",
        special={
            "a score is off by more than a hundred": [(torch.tensor([0.0, 1.0]), torch.tensor([120.0, -150.0]))],
            "all scores are equal": [(torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.5, 0.5, 0.5]))],
        },
        mistakes={
            "added": lambda chosen, rejected: reward_loss(chosen, -rejected),
            "all_pairs": lambda chosen, rejected: -F.logsigmoid(chosen[:, None] - rejected).mean(),
            "probability": lambda chosen, rejected: -torch.sigmoid(chosen - rejected).mean(),
            "plain_difference": lambda chosen, rejected: (rejected - chosen).mean(),
            "both_ways": lambda chosen, rejected: reward_loss(chosen, rejected) + reward_loss(rejected, chosen),
            "swapped": lambda chosen, rejected: reward_loss(rejected, chosen),
            "no_minus": lambda chosen, rejected: -reward_loss(chosen, rejected),
            "sum": lambda chosen, rejected: reward_loss(chosen, rejected) * len(chosen),
            "mean_first": lambda chosen, rejected: -F.logsigmoid((chosen - rejected).mean()),
            "no_log": lambda chosen, rejected: 1 - torch.sigmoid(chosen - rejected).mean(),
            "log_of_mean": lambda chosen, rejected: -torch.sigmoid(chosen - rejected).mean().log(),
            "each_alone": lambda chosen, rejected: -(F.logsigmoid(chosen) + F.logsigmoid(-rejected)).mean(),
            "hinge": lambda chosen, rejected: (1 - (chosen - rejected)).clamp(min=0).mean(),
            "overflows": Sign(_overflows),
            "cut_off": Sign(_cut_off),
            "ratio": lambda chosen, rejected: -F.logsigmoid(chosen / rejected).mean(),
            "separate": lambda chosen, rejected: -(F.logsigmoid(chosen) - F.logsigmoid(rejected)).mean(),
            "accuracy": lambda chosen, rejected: (chosen <= rejected).float().mean(),
            "squared": lambda chosen, rejected: (1 - torch.sigmoid(chosen - rejected)).square().mean(),
            "across_the_batch": lambda chosen, rejected: -(chosen - rejected).log_softmax(0).mean(),
            "size": lambda chosen, rejected: -F.logsigmoid((chosen - rejected).abs()).mean(),
        },
    ),
    "07-scores-at-end": Exercise(
        cases=[
            (torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1, 1, 1, 0]])),
            (
                torch.tensor([[0.5, -2.0, 1.5, 7.0, 8.0], [6.0, 5.0, 0.25, 1.0, -3.0]]),
                torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]),
            ),
            (
                torch.tensor([[9.0, 4.0, 2.0], [3.0, 1.0, 5.0], [8.0, 6.0, -1.0]]),
                torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]]),
            ),
        ],
        solution=scores_at_end,
        why="Read at the last real token, an answer has the same score in every batch, padded on either side.",
        special={
            "padding is on the left": [
                (
                    torch.tensor([[9.0, 4.0, 2.0], [3.0, 1.0, 5.0], [8.0, 6.0, -1.0]]),
                    torch.tensor([[1, 1, 1], [0, 0, 1], [1, 0, 0]]),
                ),
                (
                    torch.tensor([[7.0, -1.0, 2.0, -5.0], [1.0, 4.0, 6.0, 3.0]]),
                    torch.tensor([[0, 1, 1, 1], [0, 0, 1, 1]]),
                ),
            ],
            "there is one token": [(torch.tensor([[2.5], [-1.0]]), torch.tensor([[1], [1]]))],
            "the value to read is 0": [(torch.tensor([[3.0, 0.0, 5.0]]), torch.tensor([[1, 1, 0]]))],
            "all values are below 0": [(torch.tensor([[-3.0, -2.0, -5.0]]), torch.tensor([[1, 1, 0]]))],
        },
        mistakes={
            "one_early": _at(lambda attention: (attention * torch.arange(attention.shape[1])).argmax(1) - 1),
            "longest_row": lambda values, attention: values[:, attention.sum(1).max() - 1],
            "all_real": lambda values, attention: values[attention == 1],
            "last_column": lambda values, attention: values[:, -1],
            "count_minus_one": _at(lambda attention: attention.sum(1) - 1),
            "one_late": _at(lambda attention: attention.sum(1).clamp(max=attention.shape[1] - 1)),
            "first": _at(lambda attention: attention.argmax(1)),
            "first_column": lambda values, attention: values[:, 0],
            "mean": _mean_of_real,
            "sum": lambda values, attention: (values * attention).sum(1),
            "largest": lambda values, attention: values.masked_fill(attention == 0, -math.inf).amax(1),
            "places": lambda values, attention: (attention * torch.arange(attention.shape[1])).argmax(1),
            "last_two": lambda values, attention: torch.stack(
                [row[kept == 1][-2:].mean() for row, kept in zip(values, attention, strict=True)]
            ),
        },
    ),
    "07-calibration": Exercise(
        cases=[
            ([0.1, 0.3, 0.9], [0, 1, 1], 2),
            ([0.85, 0.15, 0.95, 0.9, 0.05, 1.0], [1, 0, 1, 0, 1, 1], 4),
            ([0.42, 0.45, 0.55, 0.47, 0.52, 0.12, 1.0], [1, 0, 1, 1, 1, 0, 1], 5),
        ],
        solution=calibration,
        why="Mean against share, bin by bin: the two agree wherever a score's probability can be believed.",
        special={
            "a probability lies on an edge": [
                ([0.5, 0.25], [1, 0], 2),
                ([0.25, 0.5, 0.75, 0.7], [1, 0, 1, 0], 4),
            ],
            "a probability is 1": [([0.9, 1.0, 0.2], [1, 0, 0], 2)],
            "a probability is 0": [([0.0, 0.1, 0.9], [1, 0, 1], 2)],
            "there is one part": [([0.2, 0.8, 0.3], [1, 0, 0], 1)],
        },
        mistakes={
            "lower_edge": lambda probabilities, won, bins: _binned(lambda p: max(math.ceil(p * bins) - 1, 0))(
                probabilities, won
            ),
            "rounded": lambda probabilities, won, bins: _binned(lambda p: min(round(p * bins), bins - 1))(
                probabilities, won
            ),
            "number_won": lambda probabilities, won, bins: _binned(
                lambda p: _last_bin(p, bins), came=lambda inside: sum(w for _, w in inside)
            )(probabilities, won),
            "middles": _middles,
            "hits": _hits,
            "extra_bin": _one_too_many,
            "ones_lost": _without_ones,
            "share_of_all": _shares_of_all,
            "equal_counts": _equal_counts,
            "lost": lambda probabilities, won, bins: calibration(probabilities, [1 - w for w in won], bins),
            "highest_first": lambda probabilities, won, bins: calibration(probabilities, won, bins)[::-1],
            "empty_kept": Sign(_keeps_empty),
            "left_edge": lambda probabilities, won, bins: [
                (_last_bin(p, bins) / bins, share, n) for p, share, n in calibration(probabilities, won, bins)
            ],
            "sides_swapped": lambda probabilities, won, bins: [
                (share, p, n) for p, share, n in calibration(probabilities, won, bins)
            ],
            "count_as_share": lambda probabilities, won, bins: [
                (p, share, n / len(won)) for p, share, n in calibration(probabilities, won, bins)
            ],
            "gaps": lambda probabilities, won, bins: [
                (p, abs(p - share), n) for p, share, n in calibration(probabilities, won, bins)
            ],
            "upper_edges": lambda probabilities, won, bins: [
                ((_last_bin(p, bins) + 1) / bins, share, n) for p, share, n in calibration(probabilities, won, bins)
            ],
            "sums": lambda probabilities, won, bins: [
                (p * n, share, n) for p, share, n in calibration(probabilities, won, bins)
            ],
            "fullest_first": lambda probabilities, won, bins: sorted(
                calibration(probabilities, won, bins), key=lambda part: -part[2]
            ),
            "count_in_front": lambda probabilities, won, bins: [
                (n, p, share) for p, share, n in calibration(probabilities, won, bins)
            ],
        },
    ),
}
