"""When two computed numbers count as equal.

Serves every part that decides on computed numbers. A model's scores come out a few units in the last place apart on
another processor, with another number of threads or in another batch. So nothing decides by `==`, or by 0, on what was
computed: these functions do, or the inputs do.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numbers of Python's own need no torch
    from torch import Tensor

TOLERANCE = 1e-5
"""Relative to the size of the numbers, and absolute below 1: some hundred roundings of float32, and far less than a
reward or a log-probability that means something."""


def tied(a: "Tensor | float", b: "Tensor | float", size: "float | Tensor" = 1.0) -> "Tensor":
    """Where two computed numbers are equal up to `TOLERANCE`.

    Args:
        a, b: numbers, or tensors of shapes that fit together.
        size: of the numbers that they are differences of, where that is more than their own.
    Returns:
        bool, of the common shape. Infinities are tied with themselves only, what is no number (nan) with nothing.
    """
    import torch

    a, b = torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64)
    size = torch.maximum(a.abs(), b.abs()).clamp(min=max(1.0, float(size)))
    return (a == b) | (((a - b).abs() <= TOLERANCE * size) & size.isfinite())


def no_spread(values: "Tensor", size: "float | Tensor" = 1.0) -> bool:
    """Whether all these computed numbers are equal up to `TOLERANCE`: nothing may be divided by their spread then.

    Args:
        values: at least one number, of any shape.
        size: of the numbers that they are differences of, where that is more than their own.
    """
    low, high = values.detach().double().aminmax()
    apart = float(high - low)  # nan of infinities, which is not below anything
    return apart <= TOLERANCE * max(float(high.abs()), float(low.abs()), float(size), 1.0) < float("inf")


def sign(value: float) -> int:
    """1, -1, or 0 for what is 0 up to `TOLERANCE` or no number (nan)."""
    return int(value > TOLERANCE) - int(value < -TOLERANCE)
