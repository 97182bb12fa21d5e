"""Asking a model the world's questions and grading what it answers.

Serves every lesson; the full scoreboard comes with notebook 16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from course import SEED
from course.models import LM, require_list
from course.rollouts import Completion, chat_prompts, generate
from course.templates import Template
from course.world import Question, Score, score


@dataclass(frozen=True)
class Grades:
    """Answers to a list of questions, with their true scores.

    Attributes:
        questions, answers, scores: lists of equal length.
    """

    questions: list[Question]
    answers: list[Completion]
    scores: list[Score]

    @property
    def correct(self) -> float:
        """Share of answers that state the right fact."""
        return fmean(s.fact for s in self.scores)

    @property
    def stopped(self) -> float:
        """Share of answers that the model ended by itself."""
        return fmean(a.stopped for a in self.answers)

    @property
    def words(self) -> float:
        """Mean length of an answer in words."""
        return fmean(s.words for s in self.scores)

    @property
    def total(self) -> float:
        """Mean true score, 0 to 1."""
        return fmean(s.total for s in self.scores)

    def correct_by_relation(self) -> dict[str, float]:
        """Share of right answers for each relation asked."""
        relations = dict.fromkeys(q.relation for q in self.questions)
        pairs = list(zip(self.questions, self.scores, strict=True))
        return {r: fmean(s.fact for q, s in pairs if q.relation == r) for r in relations}

    def texts(self) -> list[str]:
        """What was answered, as text."""
        return [answer.text for answer in self.answers]


def answer(
    lm: LM,
    questions: Sequence[Question],
    template: Template | None = None,
    *,
    max_new_tokens: int = 40,
    temperature: float = 0.0,
    seed: int = SEED,
) -> Grades:
    """Ask each question as a user's turn, and grade what comes back.

    Args:
        lm: the model.
        questions: at least one.
        template: the envelope in which the question is sent; the model's own if not given.
        max_new_tokens, temperature, seed: as in `generate`.
    Raises:
        ValueError: there are no questions.
    """
    require_list(questions, "questions")
    if not questions:
        raise ValueError("There are no questions to ask.")
    prompts = chat_prompts(lm, questions, template)
    answers = generate(lm, prompts, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    return grade(questions, answers)


def grade(questions: Sequence[Question], answers: Sequence[Completion]) -> Grades:
    """Put the true score beside each answer.

    Raises:
        ValueError: there are no questions, or not as many answers.
    """
    require_list(questions, "questions")
    require_list(answers, "answers")
    if not questions or len(questions) != len(answers):
        raise ValueError(
            f"There are {len(questions)} questions and {len(answers)} answers: one for each, at least one."
        )
    scores = [score(q, a.text) for q, a in zip(questions, answers, strict=True)]
    return Grades(list(questions), list(answers), scores)
