"""What `check` says of an attempt, in short; shared by the tests of all lessons."""

from collections.abc import Callable
from typing import Any

from course.exercises import Exercise
from course.study.content import ExerciseText, load_lesson, pick
from course.study.grading import grade


def verdict_of(exercise: Exercise, attempt: Callable[..., Any]) -> tuple[str, str | None]:
    """The kind of the verdict and the name of the mistake, if it is one."""
    verdict = grade(exercise, attempt)
    return verdict.kind, verdict.mistake


def text_of(exercise_id: str) -> ExerciseText:
    """Task, hints and shown solution; only its own lesson's file is read, so that a mistake in one spoils no other."""
    return pick(load_lesson(exercise_id[:2]), "exercises", (exercise_id,))[0]
