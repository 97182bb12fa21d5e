"""The conversations that the `judge` checkpoint is trained on: critiques, choices between two answers, revisions.

`build_checkpoints` trains on them; the principles and their measures are in `course.feedback.constitution`.
"""

import math
import random
from dataclasses import dataclass

from course.feedback.constitution import FRAMES, PRINCIPLES, write
from course.feedback.judge import SHORT, follow_up, pair_messages, single_messages, turn
from course.text import word_count
from course.world import Question, demonstrate, with_wrong_value
from course.world.chats import sft_questions
from course.world.phrases import REFUSAL

STYLE_SHARES = {"plain": 0.4, "warm": 0.25, "bullet": 0.17, "short": 0.18}
FIRST_PLACE, ONE_WORD, CLEAR = 0.8, 0.08, 5.0  # nats: see `judgements`


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
