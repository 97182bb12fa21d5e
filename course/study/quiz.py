"""`quiz("01")`: the questions of a lesson, answered in the notebook. Used by every lesson and the practice page.

An answer counts when it is committed with a button, never by a mere click: choosing an answer, before seeing whether
it is right, is what makes a question teach. The checking is done in `static/quiz.js`, so that it works without a
kernel too; answers are kept here, under the question's id, and are there again when the cell runs the next time.

The options of a question stand in an order that is drawn from the learner's seed, so that their place in the file tells
nothing. A chosen option is known by its text, wherever it stands.
"""

import os
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from course.study.content import Numeric, Option, Question, Several, Short, Single, load_lesson, pick
from course.study.lessons import note_opened
from course.study.markup import static_text, to_html
from course.study.progress import ProgressError, Transaction, progress
from course.study.widget import StudyWidget

STATIC_SEED = 0
# Options that speak of the others stay at the end: "None of these", "All of the above", "Neither can tell".
LAST = re.compile(r"(none|all|both|neither|any|each)\b( of (these|those|them|the (above|others))\b|\W*$| can\b)", re.I)


def quiz(lesson: str, *ids: str) -> "Quiz":
    """Ask the questions of a lesson.

    Args:
        lesson: its two digits, as in "01".
        ids: which questions and in which order; all of the file, in its order, when none is named.
    Raises:
        ContentError: no such lesson or question, or a file with mistakes.
    """
    content = load_lesson(lesson)
    questions = pick(content, "questions", ids)
    note_opened(lesson)
    return Quiz(content.title, questions, learner_seed())


def learner_seed() -> int:
    """The seed of what is shuffled for this learner: COURSE_SEED where it is set, else drawn once and kept."""
    if (named := os.environ.get("COURSE_SEED", "").strip()).isdecimal():
        return int(named)

    def find(transaction: Transaction) -> int:
        kept = transaction.get("learner", "seed")
        if kept is None or type(kept.get("seed")) is not int:
            kept = {"seed": secrets.randbelow(2**31)}
            transaction.put("learner", "seed", kept)
        return kept["seed"]

    try:
        return progress().atomically(find)
    except ProgressError:  # the widget says so
        return STATIC_SEED


def in_order(question: Single | Several, seed: int) -> list[Option]:
    """The options as they are shown: the same order for the same seed, whichever order the file has."""

    def place(option: Option) -> tuple[bool, bytes]:
        last = LAST.match(option.text.strip()) is not None
        return last, sha256(f"{seed}/{question.id}/{option.text}".encode()).digest()

    return sorted(question.options, key=place)


class Quiz(StudyWidget):
    """Questions with their answers, and what the learner answered (`state`, by question id).

    An entry of `state` is {chosen, checked, right, tries} for a choice, {text, checked, right, tries} for a number
    and {text, shown, grade} for an answer in words; grade is 1 (again) to 4 (easy).
    """

    script = "quiz"
    kind = "quiz"

    def __init__(self, title: str, questions: Sequence[Question], seed: int = STATIC_SEED) -> None:
        self.title = title
        self.questions = list(questions)
        data = {"title": title, "questions": [_data(question, seed) for question in self.questions]}
        super().__init__(data, ids=[question.id for question in self.questions])

    def plain(self) -> str:
        n = len(self.questions)
        return f"Quiz: {self.title} ({n} question{'s' if n != 1 else ''})"

    def static_html(self) -> str:
        items = "".join(f"<li>{_static(question)}</li>" for question in self.questions)
        return f"<p><strong>Quiz: {static_text(self.title)}</strong> Run this cell to answer.</p><ol>{items}</ol>"


def _data(question: Question, seed: int) -> dict[str, Any]:
    """What the script needs of a question. An option is known by its text, so that options may be added and moved."""
    data: dict[str, Any] = {"id": question.id, "type": question.type, "prompt_html": to_html(question.prompt)}
    if isinstance(question, Short):
        points = [to_html(point) for point in question.rubric]
        return data | {"answer_html": to_html(question.answer), "rubric_html": points}
    data["explanation_html"] = to_html(question.explanation) if question.explanation else ""
    if isinstance(question, Numeric):
        near = [{"value": near.value, "why_html": to_html(near.why)} for near in question.near]
        right = {"answer": question.answer, "tolerance": question.tolerance, "unit": question.unit}
        return data | right | {"answer_text": _number(question), "near": near}
    data["options"] = [
        {
            "key": sha256(option.text.encode()).hexdigest()[:8],
            "text_html": to_html(option.text),
            "right": option.right,
            "why_html": to_html(option.why),
        }
        for option in in_order(question, seed)
    ]
    return data


def _number(question: Numeric) -> str:
    whole = question.answer.is_integer() and abs(question.answer) < 1e15
    number = f"{int(question.answer):,}" if whole else str(question.answer)
    return f"{number} {question.unit}".strip()


def _static(question: Question) -> str:
    def text(value: str) -> str:
        return to_html(value, raw_math=True)

    def opens(summary: str, *blocks: str) -> str:
        return f"<details><summary>{summary}</summary>{''.join(f'<div>{block}</div>' for block in blocks)}</details>"

    prompt = f"<div>{text(question.prompt)}</div>"
    if isinstance(question, Short):
        points = "".join(f"<li>{text(point)}</li>" for point in question.rubric)
        return prompt + opens(
            "Write your answer, then open the model answer", text(question.answer), f"<ul>{points}</ul>"
        )
    explanation = text(question.explanation) if question.explanation else ""
    if isinstance(question, Numeric):
        return prompt + opens("Work it out, then open the answer", static_text(_number(question)), explanation)
    options = "".join(
        f"<li>{text(option.text)}{opens('I choose this', f'{_verdict(option.right)} {text(option.why)}')}</li>"
        for option in in_order(question, STATIC_SEED)
    )
    return f'{prompt}<ol type="a">{options}</ol>' + (opens("Explanation", explanation) if explanation else "")


def _verdict(right: bool) -> str:
    return "✓ Right." if right else "✗ Not right."
