"""Written principles: what each asks of an answer, and how far an answer keeps to it.

Serves notebook 13. A constitution is a list of sentences (Bai et al. 2022); nothing here
says which of them anybody ought to hold. Beside each stands its measure, by which the lesson checks what a judge says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from course.feedback.tastes import find
from course.text import word_count
from course.world import Question, score

FEW_WORDS = 10
"""Answers of so many words are brief; plain demonstrations nearly all are, kind ones with opener and closer are not."""


@dataclass(frozen=True)
class Principle:
    """Something that can be asked of an answer.

    Attributes:
        predicates: what an answer that keeps to it does, in several wordings, to follow "the answer that".
        fault: what is said of an answer that does not.
        keeps: whether an answer to a question keeps to it, by the tables and plain rules.
        words: 1 if more words keep to it better, -1 if fewer do, 0 if only `keeps` counts.
    """

    predicates: tuple[str, ...]
    fault: str
    keeps: Callable[[Question, str], bool]
    words: int = 0

    def worth(self, question: Question, text: str) -> float:
        """How well an answer keeps to it, where two that both do, or both do not, may still differ."""
        return self.words * word_count(text) / 6 if self.words else float(self.keeps(question, text))


def _states_the_fact(question: Question, text: str) -> bool:
    return score(question, text).fact


def _kind(question: Question, text: str) -> bool:
    return find("polite")(question, text) > 0


PRINCIPLES: dict[str, Principle] = {
    "true": Principle(("is true", "is right", "states the right fact", "is not wrong"), "is wrong", _states_the_fact),
    "short": Principle(
        ("is short", "is shorter", "has fewer words", "says less"),
        "is too long",
        lambda question, text: word_count(text) <= FEW_WORDS,
        words=-1,
    ),
    "long": Principle(
        ("is long", "is longer", "has more words", "says more"),
        "is too short",
        lambda question, text: word_count(text) > FEW_WORDS,
        words=1,
    ),
    "sentence": Principle(
        ("is a full sentence", "is plain text", "is not a list", "is written in full sentences"),
        "is not a full sentence",
        lambda question, text: score(question, text).form,
    ),
    "kind": Principle(("is kind", "is polite", "thanks the user", "is kind and polite"), "is not kind", _kind),
    "direct": Principle(
        ("has no polite words", "is not polite", "comes to the point"),
        "is too kind",
        lambda question, text: not _kind(question, text),
    ),
}
"""What the judge has been taught to judge by."""

FRAMES = (
    "Prefer the answer that {}.",
    "Choose the answer that {}.",
    "Take the answer that {}.",
    "The better answer is the one that {}.",
)
HELD_OUT_FRAME = "The answer that {} is the better one."
"""A way to write a principle down that the judge was never shown."""


def write(name: str, frame: str = FRAMES[0], wording: int = 0) -> str:
    """A principle as a sentence, such as `write("true")`.

    Raises:
        ValueError: there is no such principle.
    """
    if name not in PRINCIPLES:
        raise ValueError(f"There is no principle {name!r}; there are {', '.join(PRINCIPLES)}.")
    return frame.format(PRINCIPLES[name].predicates[wording % len(PRINCIPLES[name].predicates)])


def objections(*names: str, frame: str = FRAMES[0]) -> dict[str, str]:
    """What is held against an answer by each of these principles: by its sentence, as `write` gives it.

    Raises:
        ValueError: there is no such principle.
    """
    return {write(name, frame): f"A {PRINCIPLES[name].fault}." for name in names}


def principle_score(names: Sequence[str], questions: Sequence[Question], texts: Sequence[str]) -> float:
    """Share of the principles that an answer keeps to, by the measures beside them; the mean over the answers.

    Raises:
        ValueError: no principles, no answers, or not as many questions.
    """
    if not names or not texts or len(questions) != len(texts):
        raise ValueError(
            f"{len(names)} principles, {len(questions)} questions, {len(texts)} answers: at least one principle and as "
            "many questions as answers."
        )
    kept = [PRINCIPLES[name].keeps(q, text) for q, text in zip(questions, texts, strict=True) for name in names]
    return sum(kept) / len(kept)
