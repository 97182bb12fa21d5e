"""Grades: every figure by hand on answers that were typed in, and the way from a question to its grade."""

import pytest

from course.evaluation import Grades, answer, grade
from course.models import LM, load
from course.rollouts import Completion
from course.templates import LLAMA2
from course.world import ask, demonstrate, score

QUESTIONS = [ask("capital", "Peru"), ask("capital", "Chile"), ask("sum", "12 + 7"), ask("currency", "Peru")]
ANSWERS = [
    Completion("The capital of Peru is Lima.", [1, 2, 3], True),
    Completion("The capital of Chile is Lima.", [1, 2, 3], True),
    Completion("19", [1], False),
    Completion("", [], False),
]


@pytest.fixture(scope="module")
def sft() -> LM:
    return load("sft", "cpu")


def test_figures_by_hand():
    grades = grade(QUESTIONS, ANSWERS)
    assert grades.correct == 2 / 4
    assert grades.stopped == 2 / 4
    assert grades.words == (6 + 6 + 1 + 0) / 4
    assert grades.total == (1.0 + 0 + 0.85 + 0) / 4
    assert grades.correct_by_relation() == {"capital": 1 / 2, "sum": 1.0, "currency": 0.0}
    assert list(grades.correct_by_relation()) == ["capital", "sum", "currency"]  # in the order asked
    assert grades.texts() == [a.text for a in ANSWERS]
    assert grades.scores == [score(q, a.text) for q, a in zip(QUESTIONS, ANSWERS, strict=True)]


def test_all_right_and_all_wrong():
    right = grade(QUESTIONS, [Completion(demonstrate(q), [], True) for q in QUESTIONS])
    assert (right.correct, right.stopped, right.total) == (1.0, 1.0, 1.0)
    wrong = grade(QUESTIONS, [Completion("I do not know.", [], False)] * 4)
    assert (wrong.correct, wrong.stopped, wrong.total) == (0.0, 0.0, 0.0)


def test_grades_do_not_hang_on_the_lists_they_were_made_from():
    questions, answers = list(QUESTIONS), list(ANSWERS)
    grades = grade(questions, answers)
    questions.clear()
    answers.clear()
    assert isinstance(grades, Grades) and len(grades.questions) == len(grades.answers) == 4


@pytest.mark.parametrize(("questions", "answers"), [([], []), (QUESTIONS, ANSWERS[:3]), (QUESTIONS[:1], ANSWERS)])
def test_grading_wants_one_answer_for_each_question(questions, answers):
    with pytest.raises(ValueError, match=rf"{len(questions)} questions and {len(answers)} answers"):
        grade(questions, answers)


def test_asking_goes_through_the_template(sft):
    grades = answer(sft, QUESTIONS, max_new_tokens=24)
    assert grades.questions == QUESTIONS
    assert grades.texts()[0] == "The capital of Peru is Lima."
    assert grades.correct == grades.stopped == 1.0
    assert answer(sft, QUESTIONS, max_new_tokens=24) == grades
    assert answer(sft, QUESTIONS, LLAMA2, max_new_tokens=24).texts() != grades.texts()


def test_asking_within_a_limit(sft):
    short = answer(sft, QUESTIONS[:1], max_new_tokens=3)
    assert (short.stopped, len(short.answers[0].token_ids)) == (0.0, 3)


def test_sampled_answers_hang_on_the_seed(sft):
    def texts(seed):
        return answer(sft, QUESTIONS, temperature=3.0, seed=seed, max_new_tokens=12).texts()

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)


def test_no_questions(sft):
    with pytest.raises(ValueError, match="no questions"):
        answer(sft, [])
