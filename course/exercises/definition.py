"""What an exercise is made of; used by the exercises of every lesson."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sign:
    """A mistake that is told by a look at the result, where no single wrong function stands for it.

    Args:
        seen: (what the attempt returned, what was expected) -> whether it is this mistake; must hold on every
            case. Both are plain values: tensors and tuples have become lists.
    """

    seen: Callable[[Any, Any], bool]


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        cases: the arguments of each call, the smallest case first: it is the one that gets shown.
        solution: the right function.
        mistakes: by name, a wrong function of the same arguments, or a `Sign`. The first that fits is named.
        why: what the right solution is good for; one sentence, shown when it is found.
    """

    cases: list[tuple[Any, ...]]
    solution: Callable[..., Any]
    mistakes: dict[str, Callable[..., Any] | Sign] = field(default_factory=dict)
    why: str = ""
