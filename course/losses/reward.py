"""The loss of a reward model: of two answers, the one that people preferred should score higher.

Serves notebook 07 (claim R1). Bradley & Terry 1952; as the loss of a reward model Ouyang et al. 2022, equation 1.
"""

import torch.nn.functional as F
from torch import Tensor

from course.numerics import tied


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Negative log-likelihood that each chosen answer beats its rejected one.

        loss = -mean over pairs of log sigmoid(r_chosen - r_rejected)

    The sigmoid is Bradley and Terry's probability. Only differences enter, so the zero of a reward model's scores means
    nothing.

    Args:
        chosen, rejected: scores r(x, y), shape (batch,), any float dtype.
    Returns:
        Scalar loss, natural log. log 2 when the scores are equal.
    Raises:
        ValueError: shapes differ, the batch is empty, or a score is not a number.
    Source: Ouyang et al. 2022, eq. 1; equals TRL's RewardTrainer; taught in notebook 07.
    """
    _same_batch(chosen=chosen, rejected=rejected)
    return -F.logsigmoid(chosen - rejected).mean()


def pairwise_accuracy(chosen: Tensor, rejected: Tensor, size: float | Tensor = 1.0) -> float:
    """Share of pairs in which the chosen answer has the higher score; scores equal up to rounding count one half.

    Args:
        chosen, rejected: scores, shape (batch,).
        size: as in `course.numerics.tied`.
    Raises:
        ValueError: as `bradley_terry_loss`.
    """
    _same_batch(chosen=chosen, rejected=rejected)
    equal = tied(chosen, rejected, size)
    return float((((chosen > rejected) & ~equal).float() + 0.5 * equal.float()).mean())


def _same_batch(**scores: Tensor) -> None:
    one_for_each("score", "batch", **scores)
    for name, tensor in scores.items():
        if not len(tensor):
            raise ValueError(f"{name} is empty: there is no pair to compare.")
        if tensor.isnan().any():
            raise ValueError(f"{name}[{int(tensor.isnan().int().argmax())}] is not a number (nan).")


def one_for_each(what: str, size: str, **tensors: Tensor) -> None:
    """Return quietly if all tensors have the same one axis, (size,); otherwise a ValueError names their shapes."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        *said, last = (f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"{', '.join(said)} and {last} do not fit: expected one {what} for each answer, all of shape ({size},)."
        )
