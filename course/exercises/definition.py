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
        solution: the right function, under the name that the task gives it.
        mistakes: by name, a wrong function of the same arguments, or a `Sign`. The first that fits is named.
        why: what the right solution is good for; one sentence, shown when it is found.
        special: more cases, by what is special about them, in words that follow "where". An attempt that fails on
            these alone is told so.
    """

    cases: list[tuple[Any, ...]]
    solution: Callable[..., Any]
    mistakes: dict[str, Callable[..., Any] | Sign] = field(default_factory=dict)
    why: str = ""
    special: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def all_cases(self) -> list[tuple[Any, ...]]:
        """The ordinary cases, then the special ones."""
        return [*self.cases, *(case for cases in self.special.values() for case in cases)]

    def special_of(self, n: int) -> str:
        """What is special about case n of `all_cases`; empty for an ordinary one."""
        about = [*[""] * len(self.cases), *(words for words, cases in self.special.items() for _ in cases)]
        return about[n]
