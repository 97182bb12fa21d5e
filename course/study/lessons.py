"""`my_progress()`: which lessons are done, the score of each and the cards due; and `reset`. Serves all lessons.

A lesson counts as opened once its notebook has shown a warm-up, a quiz or a deck, or the learner has answered something
of it. Warm-ups ask about opened lessons only.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from html import escape
from pathlib import Path

from course.study.content import Lesson, load_all, load_lesson
from course.study.markup import static_text
from course.study.progress import RESET, ProgressError, progress
from course.study.schedule import due_times
from course.text import show_direction

KIND = "lesson"
HEADERS = ("Lesson", "State", "Questions right", "Exercises solved", "Cards due")


def note_opened(lesson: str) -> None:
    """Notes that the notebook of this lesson was opened; if that cannot be kept, the notebook goes on all the same."""
    with suppress(ProgressError):
        if progress().get(KIND, lesson) is None:
            progress().put(KIND, lesson, {"opened": datetime.now(UTC).isoformat(timespec="seconds")})


def opened_lessons() -> set[str]:
    """The two digits of every lesson that was opened, answered in or marked as done."""
    entries = progress().atomically(lambda t: [*t.kept(), *t.logged()])
    return {entry.id[:2] for entry in entries if entry.kind == KIND or re.match(r"\d\d-", entry.id)}


def mark_done(lesson: str) -> None:
    """Marks a lesson as done, whatever was answered in it; warm-ups then ask about it.

    Args:
        lesson: its two digits, as in "03".
    Raises:
        ContentError: there is no such lesson.
        ProgressError: it could not be saved.
    """
    load_lesson(lesson)
    progress().atomically(lambda t: t.put(KIND, lesson, (t.get(KIND, lesson) or {}) | {"done": True}))


@dataclass(frozen=True)
class LessonScore:
    """How one lesson stands: `state` is "", "opened" or "done", the numbers say how much was done of how much."""

    lesson: str
    title: str
    state: str
    right: int
    questions: int
    solved: int
    exercises: int
    due: int

    def cells(self) -> tuple[str, ...]:
        """The row of the table, below `HEADERS`."""
        questions = f"{self.right} of {self.questions}" if self.questions else ""
        exercises = f"{self.solved} of {self.exercises}" if self.exercises else ""
        return f"{self.lesson} {self.title}", self.state, questions, exercises, str(self.due or "")


class Overview(list[LessonScore]):
    """The lessons in order; a cell shows them as a table, with links to the notebooks of the same folder."""

    def _repr_html_(self) -> str:
        rows = "".join(_html_row("td", _linked(score)) for score in self)
        head = _html_row("th", HEADERS)
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table><p>{self._said()}</p>"

    def __repr__(self) -> str:
        rows = [HEADERS, *(score.cells() for score in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return show_direction("\n".join([*lines, "", self._said()]))

    def _said(self) -> str:
        done, due = sum(score.state == "done" for score in self), sum(score.due for score in self)
        cards = f"{due} card{' is' if due == 1 else 's are'} due; due_cards() shows them." if due else "No card is due."
        return f"{done} of {len(self)} lessons done. {cards}"


def my_progress() -> Overview:
    """How every lesson stands. One is done when all its questions are answered and all its exercises solved.

    Raises:
        ContentError: a file of questions has mistakes.
    """
    now = datetime.now(UTC)
    due = Counter(id[:2] for id, at in due_times(now).items() if at <= now)
    kept = {(entry.kind, entry.id): entry.value for entry in progress().atomically(lambda t: t.kept())}
    opened = opened_lessons()

    def score(lesson: Lesson) -> LessonScore:
        answers = [kept.get(("quiz", question.id), {}) for question in lesson.questions]
        answered = sum(bool(answer.get("checked") or answer.get("grade")) for answer in answers)
        right = sum(bool(answer.get("checked") and answer.get("right")) or _grade(answer) >= 3 for answer in answers)
        solved = sum(("exercise", exercise.id) in kept for exercise in lesson.exercises)
        of_all = len(lesson.questions) + len(lesson.exercises)
        done = kept.get((KIND, lesson.lesson), {}).get("done") or 0 < of_all == answered + solved
        state = "done" if done else "opened" if lesson.lesson in opened else ""
        counts = (right, len(answers), solved, len(lesson.exercises), due[lesson.lesson])
        return LessonScore(lesson.lesson, lesson.title, state, *counts)

    return Overview(score(lesson) for lesson in load_all().values())


def reset(what: str, sure: bool = False) -> None:
    """Takes out what was answered, after copying the whole progress file to a place beside it.

    Args:
        what: the id of a guess, question, card or exercise; a lesson, as in "03"; or "everything".
        sure: without it, this only says what would be taken out.
    Raises:
        ValueError: nothing was kept under that name.
        ProgressError: it could not be done.
    """

    def meant(kind: str, id: str) -> bool:
        whole_lesson = re.fullmatch(r"\d\d", what) and id.startswith(f"{what}-")
        return kind != RESET and (what in ("everything", id) or bool(whole_lesson))

    entries = [entry for entry in progress().atomically(lambda t: [*t.kept(), *t.logged()]) if entry.kind != RESET]
    found = sorted({entry.id for entry in entries if meant(entry.kind, entry.id)})
    if not found:
        near = get_close_matches(what, {entry.id for entry in entries}, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f'nothing was kept under {what!r}; name an id, a lesson as in "03", or "everything".{hint}')
    names = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    if not sure:
        print(f"This would take out what was kept of {names}. To do it, run reset({what!r}, sure=True).")
        return
    _, copy = progress().remove(meant)
    progress().put(RESET, what, {})  # an answer that still waits in a browser must not come back
    print(f"Taken out: {names}. Your progress as it was before is in {copy}. Run the cells again to start anew.")


def _grade(answer: dict[str, object]) -> int:
    grade = answer.get("grade")
    return grade if isinstance(grade, int) else 0


def _linked(score: LessonScore) -> list[str]:
    first, *others = map(static_text, score.cells())
    found = sorted(Path.cwd().glob(f"{score.lesson}_*.ipynb"), key=lambda path: path.stem)
    return [f'<a href="{escape(found[0].name)}">{first}</a>' if found else first, *others]


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="text-align: left">{cell}</{tag}>' for cell in cells) + "</tr>"
