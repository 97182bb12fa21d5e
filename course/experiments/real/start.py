"""What all runs on a real model begin with: the model, the questions, and what is counted of its answers.

Serves the part "On a real model" of lessons 02 to 13.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from course.evaluation import Grades, answer
from course.models import LM, load, with_lora
from course.world import SEEN, UNSEEN, Question, country_questions

RANK = 8
SEEDS = (0, 1, 2)
MOST = 40
"""The most tokens of an answer."""


SMOLLM2 = "smollm2"
_load = lru_cache(maxsize=1)(load)  # many runs begin with it


def asked_for() -> str:
    """The real model that the environment variable COURSE_MODEL names: as `load` takes it; "" if none."""
    return os.environ.get("COURSE_MODEL", "").strip()


def real_model() -> LM:
    """The model that is `asked_for`, or SmolLM2-135M-Instruct."""
    return _load(asked_for() or SMOLLM2)


def adapted(seed: int) -> LM:
    """The real model under its own name, with LoRA adapters of rank 8 that are ready to be trained."""
    return replace(with_lora(real_model(), RANK, seed), name=real_model().name)


def to_learn(count: int, seed: int) -> list[Question]:
    """Questions that a run may train on: in the wordings that SFT shows, about the countries that it shows."""
    return random.Random(f"learn {seed}").sample(country_questions(SEEN, "shown"), count)


def to_test(count: int, seed: int) -> list[Question]:
    """Questions that no run trains on: about other countries, in other words."""
    return random.Random(f"test {seed}").sample(country_questions(UNSEEN, "held-out"), count)


def counted(grades: Grades) -> dict[str, float]:
    """Share of the answers that name the right fact, share that ended by themselves, and their mean length in words."""
    return {"right": grades.correct, "stopped": grades.stopped, "words": grades.words}


def sampled(lm: LM, questions: Sequence[Question], seed: int) -> Grades:
    """One sampled answer to each question."""
    return answer(lm, questions, temperature=1.0, max_new_tokens=MOST, seed=seed)


def some(grades: Grades, count: int = 3) -> list[list[str]]:
    """A few questions with their answers, to be stored and shown."""
    return [[question.text, text] for question, text in zip(grades.questions[:count], grades.texts(), strict=False)]
