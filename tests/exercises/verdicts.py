"""What `check` says of an attempt, in short; shared by the tests of all lessons."""

from collections.abc import Callable
from typing import Any

from course.exercises import Exercise
from course.study.grading import grade


def verdict_of(exercise: Exercise, attempt: Callable[..., Any]) -> tuple[str, str | None]:
    """The kind of the verdict and the name of the mistake, if it is one."""
    verdict = grade(exercise, attempt)
    return verdict.kind, verdict.mistake
