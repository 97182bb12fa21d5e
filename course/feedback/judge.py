"""A judge that is a language model: what it is asked, what its two answers mean, and how it is biased.

Serves notebook 13. The judge reads a written principle, a question and two answers, says something about each, and then
names one of two letters (Bai et al. 2022, section 4.1; the reference answer is Zheng et al. 2023, section 3.4). Every
pair is put to it in both orders. No torch here: `course.ai_feedback` asks the model.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from course.formats import Message
from course.numerics import sign
from course.text import word_count

LETTERS = ("A", "B")


@dataclass(frozen=True)
class Protocol:
    """The fixed words of a judge's prompt.

    Attributes:
        both: asks for a word on each of two answers.
        one: asks for a word on a single answer, whose letter is A.
        choice: asks which of the two it is to be, as a letter.
        again: asks for a better version of a single answer.
        good: what the judge says of an answer with nothing to mend.
    """

    both: str
    one: str
    choice: str
    again: str
    good: str


SHORT = Protocol("Judge A and B.", "Judge A.", "A or B?", "Write A again.", "A is good.")
"""What the `judge` checkpoint was trained on."""

IN_FULL = Protocol(
    "Say in one short sentence for each answer how well it keeps to the principle.",
    "Say in one short sentence how well the answer keeps to the principle.",
    "Which answer keeps to the principle better? Reply with the letter A or B and nothing else.",
    "Write the answer again so that it keeps to the principle. Write the new answer and nothing else.",
    "The answer keeps to the principle.",
)
"""For instruction models from the hub, which were never told what the short words mean."""


def turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def pair_messages(
    principle: str, asked: str, a: str, b: str, reference: str = "", protocol: Protocol = SHORT
) -> list[Message]:
    """The first request about a pair: principle, question, both answers.

    Args:
        principle: a sentence such as "Prefer the answer that is true."
        asked: the question, as the user wrote it.
        a, b: the answers, in the order in which they are shown.
        reference: an answer to hold them against; "" for none.
        protocol: the fixed words around them.
    Raises:
        ValueError: the principle or an answer is empty.
    """
    return _request(principle, asked, {"A": a, "B": b}, reference, protocol.both)


def single_messages(
    principle: str, asked: str, answer: str, reference: str = "", request: str = SHORT.one
) -> list[Message]:
    """The first request about one answer: a critique, or `Protocol.again`; arguments as in `pair_messages`."""
    return _request(principle, asked, {"A": answer}, reference, request)


def _request(principle: str, asked: str, answers: Mapping[str, str], reference: str, request: str) -> list[Message]:
    for name, text in {"principle": principle, **{f"answer {k}": v for k, v in answers.items()}}.items():
        if not text.strip():
            raise ValueError(f"The {name} is empty, so there is nothing to judge.")
    lines = [f"Principle: {principle}", f"Question: {asked}"]
    lines += [f"Reference: {reference}"] * bool(reference)
    lines += [f"{letter}: {answer}" for letter, answer in answers.items()]
    return [turn("user", "\n".join([*lines, request]))]


def follow_up(messages: Sequence[Message], said: str, request: str) -> list[Message]:
    """The conversation with what the judge said to it and the next request."""
    return [*messages, turn("assistant", said), turn("user", request)]


class Judgement(NamedTuple):
    """What a judge makes of one pair, asked in both orders.

    Attributes:
        given: log-odds of letter A over letter B, in nats, when answer a stands under A.
        swapped: the same when answer b stands under A.
    """

    given: float
    swapped: float

    @property
    def log_odds(self) -> float:
        """Of answer a over answer b: half the difference. What the place alone adds is in both, and drops out."""
        return (self.given - self.swapped) / 2

    @property
    def lean(self) -> float:
        """Towards the first place, whatever stands there: half the sum, in nats."""
        return (self.given + self.swapped) / 2

    @property
    def flips(self) -> bool:
        """Whether the answer chosen is another one when the two are swapped. No choice in one order is no flip."""
        return sign(self.given) * sign(self.swapped) > 0


def probability(log_odds: float) -> float:
    """The soft label: probability that answer a is better, from its log-odds in nats."""
    return (1 + math.tanh(log_odds / 2)) / 2


def agreement_with(log_odds: Sequence[float], worths: Sequence[float]) -> float:
    """Share of pairs of which the judge prefers the answer that is worth more; exact ties of the judge count one half.

    Args:
        log_odds: of answer a over answer b by the judge, one for each pair.
        worths: worth of a minus worth of b to whoever is right, or `more_words`; pairs in which it is 0 are left out.
    Raises:
        ValueError: not as many of the one as of the other, or all worths are 0.
    """
    said, true = _same_length(log_odds, worths)
    signs = [(sign(odds), sign(worth)) for odds, worth in zip(said, true, strict=True) if sign(worth)]
    if not signs:
        raise ValueError("In none of the pairs is one answer worth more than the other, so there is no order to agree.")
    return float(np.mean([(1 + odds * worth) / 2 for odds, worth in signs]))


def position_bias(judgements: Sequence[Judgement]) -> float:
    """Share of the pairs whose winner changes when the two answers are swapped: 0 for a judge who looks at them only.

    Raises:
        ValueError: there are no judgements.
    """
    if not judgements:
        raise ValueError("There are no judgements: put at least one pair to the judge.")
    return sum(one.flips for one in judgements) / len(judgements)


def word_worth(log_odds: Sequence[float], more_words: Sequence[float]) -> float:
    """What one more word is worth to the judge, in nats: the slope of the line through zero that fits best.

    Take pairs whose answers are worth the same, or quality that goes along with length is charged to length. Dubois et
    al. 2024 take length out of a judge's choices by a regression in the same manner.

    Raises:
        ValueError: not as many of the one as of the other, or all answers are equally long.
    """
    said, words = _same_length(log_odds, more_words)
    if not words.any():
        raise ValueError("The answers of each pair are equally long, so nothing tells what length is worth.")
    return float(said @ words / (words @ words))


def without_length(log_odds: Sequence[float], more_words: Sequence[float], worth: float) -> list[float]:
    """The judge's log-odds, less what the difference in length alone is worth to it."""
    said, words = _same_length(log_odds, more_words)
    return (said - worth * words).tolist()


def more_words(a: str, b: str) -> int:
    """Words of a minus words of b."""
    return word_count(a) - word_count(b)


def letter_of(token: str) -> str:
    """The letter that a decoded token stands for, with whatever space or bracket comes before it: " A" is "A"."""
    found = re.fullmatch(r"[\s(\[*\"'Ġ▁]*([AB])", token)
    return found[1] if found else ""


def _same_length(one: Sequence[float], other: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    if not len(one) or len(one) != len(other):
        raise ValueError(f"There are {len(one)} and {len(other)} numbers: one of each for every pair, at least one.")
    return np.asarray(one, dtype=float), np.asarray(other, dtype=float)
