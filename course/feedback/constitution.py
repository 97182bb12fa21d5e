"""Written principles: what each asks of an answer, and conversations that teach a small model to judge by them.

Serves notebook 13 and the `judge` checkpoint. A constitution is a list of sentences (Bai et al. 2022); nothing here
says which of them anybody ought to hold. Beside each stands its measure, by which the lesson checks what a judge says.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from course.feedback.judge import SHORT, follow_up, pair_messages, single_messages, turn
from course.feedback.tastes import find
from course.text import word_count
from course.world import Question, demonstrate, score, with_wrong_value
from course.world.chats import sft_questions
from course.world.phrases import REFUSAL

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

STYLE_SHARES = {"plain": 0.4, "warm": 0.25, "bullet": 0.17, "short": 0.18}
FIRST_PLACE, ONE_WORD, CLEAR = 0.8, 0.08, 5.0  # nats: see `judgements`


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


def judge_conversations(seed: int) -> list[dict]:
    """What the `judge` checkpoint was trained on, in this order: critiques first, since a choice builds on them."""
    rng = random.Random(seed)
    first = critiques(2200, seed + 1)
    mixed = first[1500:] + judgements(2600, seed) + revisions(3000, seed + 2)
    rng.shuffle(mixed)
    return first[:1500] + mixed


def judgements(count: int, seed: int) -> list[dict]:
    """Conversations in which a pair is judged: a word on each answer, then a letter.

    The letters come from simulated people with two habits. An answer that keeps to the principle beats one that does
    not nearly always; where the principle leaves a choice open, they tend to the one that stands first, and to the
    longer one.
    """
    rng, questions, made = random.Random(seed), sft_questions(seed), []
    while len(made) < count:
        question = rng.choice(questions)
        a, b = _draft(question, rng).text, _draft(question, rng).text
        if a == b:
            continue
        name, written = _principle(rng)
        principle = PRINCIPLES[name]
        asked = pair_messages(written, question.text, a, b, demonstrate(question))
        said = " ".join(f"{letter} {verdict(name, question, text)}." for letter, text in (("A", a), ("B", b)))
        differ = max(-1.0, min(1.0, principle.worth(question, a) - principle.worth(question, b)))
        lean = CLEAR * differ + FIRST_PLACE + ONE_WORD * (word_count(a) - word_count(b))
        letter = "A" if rng.random() < 1 / (1 + math.exp(-lean)) else "B"
        made.append({"messages": [*follow_up(asked, said, SHORT.choice), turn("assistant", letter)]})
    return made


def revisions(count: int, seed: int) -> list[dict]:
    """Conversations in which one answer is written again by a principle: every other time it is criticised first."""
    rng, questions, made = random.Random(seed), sft_questions(seed), []
    for i in range(count):
        question = rng.choice(questions)
        draft = _draft(question, rng)
        name, written = _principle(rng)
        first = SHORT.one if i % 2 else SHORT.again
        asked = single_messages(written, question.text, draft.text, demonstrate(question), first)
        if i % 2:
            asked = follow_up(asked, f"A {verdict(name, question, draft.text)}.", SHORT.again)
        made.append({"messages": [*asked, turn("assistant", _revised(name, question, draft, rng))]})
    return made


def critiques(count: int, seed: int) -> list[dict]:
    """Conversations in which one answer is criticised by a principle."""
    rng, questions, made = random.Random(seed), sft_questions(seed), []
    for _ in range(count):
        question = rng.choice(questions)
        text = _draft(question, rng).text
        name, written = _principle(rng)
        asked = single_messages(written, question.text, text, demonstrate(question))
        made.append({"messages": [*asked, turn("assistant", f"A {verdict(name, question, text)}.")]})
    return made


def verdict(name: str, question: Question, text: str) -> str:
    """What there is to say of an answer by a principle: "is good" or the principle's fault."""
    principle = PRINCIPLES[name]
    return "is good" if principle.keeps(question, text) else principle.fault


def _principle(rng: random.Random) -> tuple[str, str]:
    """A principle and a way to write it down; truth, which is the hardest, three times as often as each other."""
    name = rng.choices(list(PRINCIPLES), [3 if name == "true" else 1 for name in PRINCIPLES])[0]
    return name, write(name, rng.choice(FRAMES), rng.randrange(len(PRINCIPLES[name].predicates)))


@dataclass(frozen=True)
class _Draft:
    """An answer, what it states and in which style, so that it can be said again in another."""

    text: str
    stated: Question
    style: str


def _draft(question: Question, rng: random.Random) -> _Draft:
    """An answer of one of the kinds that `mixed` gives."""
    if rng.random() < 0.05:
        return _Draft(REFUSAL, question, "refusal")
    stated = with_wrong_value(question, rng) if rng.random() < 0.4 else question
    style = rng.choices(list(STYLE_SHARES), list(STYLE_SHARES.values()))[0]
    return _Draft(demonstrate(stated, style, rng), stated, style)


REVISED_STYLE = {"short": "plain", "long": "warm", "sentence": "plain", "kind": "warm", "direct": "plain"}


def _revised(name: str, question: Question, draft: _Draft, rng: random.Random) -> str:
    """The draft with the one fault mended that the principle sees, and all else as it was."""
    if PRINCIPLES[name].keeps(question, draft.text):
        return draft.text
    if name == "true":
        return demonstrate(question, "plain" if draft.style == "refusal" else draft.style, rng)
    return demonstrate(draft.stated, REVISED_STYLE[name], rng)


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
