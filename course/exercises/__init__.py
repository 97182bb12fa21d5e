"""The exercises that check themselves: cases, right solutions and the mistakes that people make.

Serves the "Your turn" part of the lessons. Every module `lesson_NN.py` of this folder is found by its name and holds
the exercises of one lesson in its `EXERCISES`. The texts (task, hints, the solution as it is shown) are in
quizzes/*.yaml under the same ids; `course.study.check` puts the two together. A mistake is a wrong function: an
attempt whose results equal those of the function gets the hint of that name.
"""

from importlib import import_module
from pkgutil import iter_modules

from course.exercises.definition import Exercise, Sign

EXERCISES: dict[str, Exercise] = {
    id: exercise
    for module in iter_modules(__path__, f"{__name__}.")
    if ".lesson_" in module.name
    for id, exercise in import_module(module.name).EXERCISES.items()
}
