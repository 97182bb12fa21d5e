"""`check("01-next-token-loss", my_loss)`: is the learner's solution right, and if not, what went wrong?

Serves the "Your turn" part of every lesson. The texts of an exercise stand in `quizzes/*.yaml`, its cases and
its wrong solutions in `course.exercises` (which imports torch, so it is imported when a check runs), and
`grade` compares. A stub runs without an error, so that Run All passes through an untouched notebook; so does
code that raises, whose line is shown instead, because the hints must stay at hand and the cells below can run.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from course.study.content import ContentError, ExerciseText, load_lesson, pick
from course.study.grading import Difference, Verdict, grade
from course.study.markup import static_text, to_html
from course.study.progress import ProgressError, Transaction, progress
from course.study.widget import StudyWidget

KIND = "exercise"


def check(exercise_id: str, attempt: Any) -> "ExerciseCheck":
    """Judges an attempt, notes in the learner's progress how it went, and shows verdict and hints.

    Args:
        exercise_id: id of the exercise in quizzes/*.yaml.
        attempt: the learner's function, not called; None, `...` and a stub mean "not attempted".
    Raises:
        ContentError: no such exercise, one without a definition, or the two arguments the wrong way round.
    """
    from course.exercises import EXERCISES

    if not isinstance(exercise_id, str):
        raise ContentError('check takes the id first, in quotes, as in check("01-next-token-loss", next_token_loss)')

    text: ExerciseText = pick(load_lesson(exercise_id[:2]), "exercises", (exercise_id,))[0]
    if exercise_id not in EXERCISES:
        raise ContentError(f"the exercise {exercise_id} has a text but no cases; add them to course/exercises")
    verdict = grade(EXERCISES[exercise_id], attempt)
    shown = ExerciseCheck(text, verdict, why=EXERCISES[exercise_id].why)
    if verdict.kind != "not attempted":
        try:
            progress().atomically(lambda kept: _note(kept, exercise_id, verdict))
        except OSError as problem:
            shown.notice = f"This could not be kept: {problem}"
    return shown


class ExerciseCheck(StudyWidget):
    """An exercise, what `check` says of the attempt, and hints that open one by one.

    An entry of `state` is {hints, solution}: how many hints are open, and whether the solution is.
    """

    script = "exercises"
    kind = "hints"

    def __init__(self, text: ExerciseText, verdict: Verdict, why: str = "") -> None:
        self.text = text
        self.verdict = verdict
        solved = False
        with suppress(ProgressError):  # said by the widget
            solved = progress().get(KIND, text.id) is not None
        fits = self._hint()
        data = {
            "id": text.id,
            "title": text.title,
            "task_html": to_html(text.task),
            "kind": verdict.kind,
            "message": verdict.message,
            "mistake_html": to_html(fits) if fits else "",
            "rows": _rows(verdict.difference),
            "where": verdict.difference.where if verdict.difference else "",
            "trace": verdict.trace,
            "note": verdict.note,
            "why_html": to_html(why) if why and verdict.kind == "right" else "",
            "solved_before": solved,
            "hints_html": [to_html(hint) for hint in text.hints],
            "solution": text.solution.strip(),
        }
        super().__init__(data, ids=[text.id])

    def plain(self) -> str:
        lines = [f"Exercise {self.text.id} ({self.text.title}): {self.verdict.message}", self._hint()]
        lines += [f"{name}: {value}" for name, value in _rows(self.verdict.difference)]
        lines += [self.verdict.difference.where if self.verdict.difference else "", self.verdict.note]
        return "\n".join(filter(None, lines))

    def _hint(self) -> str:
        """The mistake's own text; without one, what the results have to do with the right ones."""
        return self.text.mistakes.get(self.verdict.mistake or "", "") or self.verdict.hint

    def static_html(self) -> str:
        said = "" if self.verdict.kind == "not attempted" else f"<pre>{static_text(self.plain())}</pre>"
        chain = f"<pre><code>{static_text(self.text.solution.strip())}</code></pre>"
        names = [*(f"Hint {n}" for n in range(1, len(self.text.hints) + 1)), "Solution"]
        for name, hint in zip(reversed(names), [None, *reversed(self.text.hints)], strict=True):
            before = f"<div>{to_html(hint, raw_math=True)}</div>" if hint else ""
            chain = f"<details><summary>{name}</summary>{before}{chain}</details>"
        task = to_html(self.text.task, raw_math=True)
        return f"<p><strong>Exercise: {static_text(self.text.title)}</strong></p><div>{task}</div>{said}{chain}"


def _note(kept: Transaction, exercise_id: str, verdict: Verdict) -> None:
    """One line of the log for each attempt; once solved, an exercise stays solved."""
    kept.log(KIND, exercise_id, {"verdict": verdict.kind, "mistake": verdict.mistake})
    if verdict.kind == "right" and kept.get(KIND, exercise_id) is None:
        kept.put(KIND, exercise_id, {"solved": datetime.now(UTC).isoformat(timespec="seconds")})


def _rows(difference: Difference | None) -> list[tuple[str, str]]:
    if difference is None:
        return []
    return [("Called with", difference.call), ("Expected", difference.expected), ("Yours gave", difference.got)]
