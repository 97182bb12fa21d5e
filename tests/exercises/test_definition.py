"""The exercises of all lessons: each has its text, and its cases tell the solution and all mistakes apart."""

import copy
import inspect
import itertools
from typing import Any

import pytest
import torch

from course.exercises import EXERCISES
from course.study.compare import plain, same
from course.study.content import load_all
from course.study.grading import grade
from tests.exercises.verdicts import text_of


def results(exercise_id: str, function: Any) -> list[Any]:
    return [_result(function, case) for case in EXERCISES[exercise_id].all_cases]


def _result(function: Any, case: tuple[Any, ...]) -> Any:
    """The plain result; the exception's name, where a mistake raises on a special case."""
    try:
        return plain(function(*copy.deepcopy(case)))
    except Exception as error:
        return type(error).__name__


# ---- text and definition ---------------------------------------------------------------------------------


def test_every_exercise_has_a_text_and_every_text_a_definition():
    assert {text.id for lesson in load_all().values() for text in lesson.exercises} == set(EXERCISES)


@pytest.mark.parametrize("id", EXERCISES)
def test_every_mistake_has_its_hint(id):
    assert set(text_of(id).mistakes) == set(EXERCISES[id].mistakes)
    assert len(EXERCISES[id].mistakes) >= 3


@pytest.mark.parametrize("id", EXERCISES)
def test_the_solution_that_is_shown_is_right_and_has_the_signature_of_the_task(id):
    scope: dict[str, Any] = {"torch": torch}
    exec(text_of(id).solution, scope)
    [name] = [name for name, value in scope.items() if inspect.isfunction(value)]
    assert grade(EXERCISES[id], scope[name]).kind == "right"
    call = f"{name}({', '.join(inspect.signature(scope[name]).parameters)})"
    assert call in text_of(id).task
    assert EXERCISES[id].solution.__name__ == name, "check says how to hand over the function by this name"
    names = list(inspect.signature(EXERCISES[id].solution).parameters)
    assert names[: len(EXERCISES[id].cases[0])] == list(inspect.signature(scope[name]).parameters)


@pytest.mark.parametrize("id", EXERCISES)
def test_the_cases_tell_the_solution_and_all_mistakes_apart(id):
    exercise = EXERCISES[id]
    functions = {"right": exercise.solution} | {n: f for n, f in exercise.mistakes.items() if callable(f)}
    found = {name: results(id, function) for name, function in functions.items()}
    for one, other in itertools.combinations(found, 2):
        assert not same(found[one], found[other], 1e-3), f"{one} and {other} give the same on all cases"


@pytest.mark.parametrize("id", EXERCISES)
def test_a_mistake_is_found_by_its_name(id):
    exercise = EXERCISES[id]
    for name, wrong in exercise.mistakes.items():
        if callable(wrong):
            assert grade(exercise, wrong).mistake == name


@pytest.mark.parametrize("id", EXERCISES)
def test_the_case_that_is_shown_is_small(id):
    verdict = grade(EXERCISES[id], lambda *arguments: "nonsense")
    assert len(verdict.difference.call) < 400


@pytest.mark.parametrize("id", EXERCISES)
def test_one_constant_is_never_right(id):
    for right in results(id, EXERCISES[id].solution):
        assert grade(EXERCISES[id], lambda *arguments, right=right: right).kind != "right"
