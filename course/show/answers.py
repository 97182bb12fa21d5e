"""Several models' answers side by side, graded by the world's own scorer. Serves every lesson from 00 on."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from course.show.page import ACCENTS, Cell, publish, table, with_breaks

if TYPE_CHECKING:
    from course.world import Question, Score

LONGEST_ANSWER = 240  # characters; a model that never stops would fill the page


def compare_answers(questions: Sequence["Question"], answers: Mapping[str, Sequence[str]]) -> None:
    """Show several models' answers side by side, one row a question, wrong ones marked.

    Args:
        questions: from `course.world.questions`; the world's own scorer grades the answers.
        answers: model's name -> its answers, one for each question, in the same order.
    Raises:
        ValueError: no question, no model, or a number of answers that differs from that of the questions.
        TypeError: an answer that is not text.
    """
    scored = _score_all(questions, answers)
    publish(_answers_html(questions, scored), _answers_text(questions, scored))


def _score_all(
    questions: Sequence["Question"], answers: Mapping[str, Sequence[str]]
) -> dict[str, list[tuple[str, "Score"]]]:
    from course.world import score

    if not questions or not answers:
        raise ValueError("compare_answers needs at least one question and one model's answers.")
    scored = {}
    for name, given in answers.items():
        if isinstance(given, str) or len(given) != len(questions):
            n = "one string" if isinstance(given, str) else f"{len(given)} answers"
            raise ValueError(f"{name!r} has {n} for {len(questions)} questions: pass a list with one for each.")
        for i, text in enumerate(given):
            if not isinstance(text, str):
                raise TypeError(
                    f"answer {i} of {name!r} is a {type(text).__name__}, not text; "
                    "for completions pass [c.text for c in completions]."
                )
        scored[name] = [(text, score(q, text)) for q, text in zip(questions, given, strict=True)]
    return scored


def _verdict(score: "Score") -> tuple[str, str]:
    """What the table says about an answer, and the colour of the bar before it."""
    if not score.fact:
        return f"✗ wrong: {score.reason}", ACCENTS["wrong"]
    return f"✓ {score.reason}", "transparent" if score.form and not score.false_sentences else ACCENTS["partly"]


def _truth(question: "Question") -> str:
    return f"true: {question.answer}" if question.answer else "there is no true answer"


def _clipped(text: str) -> str:
    if len(text) <= LONGEST_ANSWER:
        return text.strip("\n") or "(empty)"
    return f"{text[:LONGEST_ANSWER]} … ({len(text) - LONGEST_ANSWER:,} more characters)"


def _totals(scored: Mapping[str, Sequence[tuple[str, "Score"]]]) -> dict[str, str]:
    return {name: f"{sum(s.fact for _, s in pairs)} of {len(pairs)} right" for name, pairs in scored.items()}


def _answers_html(questions: Sequence["Question"], scored: Mapping[str, Sequence[tuple[str, "Score"]]]) -> str:
    rows = []
    for i, question in enumerate(questions):
        row = [Cell(escape(question.text), note=_truth(question))]
        for pairs in scored.values():
            text, score = pairs[i]
            verdict, accent = _verdict(score)
            row.append(Cell(with_breaks(_clipped(text)), note=verdict, accent=accent))
        rows.append(row)
    totals = [Cell("Facts"), *(Cell(f"<b>{total}</b>") for total in _totals(scored).values())]
    return table([*rows, totals], head=["Question", *scored])


def _answers_text(questions: Sequence["Question"], scored: Mapping[str, Sequence[tuple[str, "Score"]]]) -> str:
    width = max(map(len, scored))
    lines = []
    for i, question in enumerate(questions):
        lines.append(f"{question.text}   ({_truth(question)})")
        for name, pairs in scored.items():
            text, score = pairs[i]
            answer = _clipped(text).replace("\n", " ⏎ ")
            lines.append(f"  {name:<{width}}  {answer}   [{_verdict(score)[0]}]")
    return "\n".join([*lines, "Facts: " + "; ".join(f"{name} {total}" for name, total in _totals(scored).items())])
