"""Answers and pairs that the tests of labellers share."""

import random

from hypothesis import strategies as st

from course.feedback import Pair
from course.world import SEEN, STYLES, ask, country_questions, demonstrate, with_wrong_value

PERU = ask("capital", "Peru")
LIMA = "The capital of Peru is Lima."
WRONG = "The capital of Peru is Quito."


def by_number(prompt, text):
    """A taste for tests: the answer is its own utility."""
    return float(text)


def sampled_pairs(n=120):
    """Two answers each, in various styles and some of them wrong, as a mixed model gives them."""
    rng = random.Random(5)
    pairs = []
    for question in rng.choices(country_questions(["Peru", "Spain", "Egypt", "Japan"], "shown"), k=n):
        shown = [with_wrong_value(question, rng) if rng.random() < 0.3 else question for _ in range(2)]
        pairs.append(Pair(question, *(demonstrate(one, rng.choice(STYLES), rng) for one in shown)))
    return pairs


PAIRS = sampled_pairs()
QUESTION = country_questions(SEEN[:1])[0]
NOISE = st.integers(0, 10_000)


def texts(levels: list[float]) -> list[str]:
    return [f"answer {i} {level}" for i, level in enumerate(levels)]


def taste(seed: int, size: float):
    """The level that stands in the text, with something of up to a millionth added."""
    return lambda prompt, text: float(text.split()[-1]) + random.Random(f"{seed} {text}").uniform(-size, size)
