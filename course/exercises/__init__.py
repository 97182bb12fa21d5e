"""The exercises that check themselves: cases, right solutions and the mistakes that people make.

Serves the "Your turn" part of lessons 00 to 03, 06 to 13 and 18, with one module for each. The texts (task, hints,
the solution as it is shown) stand in quizzes/*.yaml under the same ids; `course.study.check` puts the two together. A
mistake is a wrong function: an attempt whose results equal those of the function gets the hint of that name.
"""

from course.exercises import (
    lesson_00,
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
    lesson_10,
    lesson_11,
    lesson_12,
    lesson_13,
    lesson_18,
)
from course.exercises.definition import Exercise, Sign

__all__ = ["EXERCISES", "Exercise", "Sign"]

EXERCISES: dict[str, Exercise] = {
    **lesson_00.EXERCISES,
    **lesson_01.EXERCISES,
    **lesson_02.EXERCISES,
    **lesson_03.EXERCISES,
    **lesson_06.EXERCISES,
    **lesson_07.EXERCISES,
    **lesson_08.EXERCISES,
    **lesson_09.EXERCISES,
    **lesson_10.EXERCISES,
    **lesson_11.EXERCISES,
    **lesson_12.EXERCISES,
    **lesson_13.EXERCISES,
    **lesson_18.EXERCISES,
}
