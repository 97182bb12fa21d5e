"""What all runs on a real model begin with: the model, the questions, and what is counted of its answers.

Serves the part "On a real model" of lessons 02 to 13.
"""

import os
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch

from course.batching import Example
from course.capacity import WEIGHT, Plan, Size, free_memory, plan
from course.evaluation import Grades, answer
from course.formats import Record
from course.models import LM, clone, has_bf16, load, with_lora
from course.train import encode_answers
from course.world import SEEN, UNSEEN, Question, country_questions

RANK = 8
SEEDS = (0, 1, 2)
MOST = 40
"""The most tokens of an answer."""
RELATIONS = ("capital", "language", "continent", "currency")
"""What is asked: of these the real world has one short answer. It says other numbers of a population than our table."""


SMOLLM2 = "smollm2"
_load = lru_cache(maxsize=1)(load)  # many runs begin with it


def asked_for() -> str:
    """The real model that the environment variable COURSE_MODEL names: as `load` takes it; "" if none."""
    return os.environ.get("COURSE_MODEL", "").strip()


def real_model() -> LM:
    """The model that is `asked_for`, or SmolLM2-135M-Instruct."""
    return _load(asked_for() or SMOLLM2)


def adapted(seed: int) -> LM:
    """The real model under its own name, with LoRA adapters of rank 8 that are ready to be trained.

    The other weights are those of `real_model`, not a copy: the memory of a second large model is saved.
    """
    real = real_model()
    lm = replace(with_lora(real, RANK, seed), name=real.name)
    frozen = [p for p in lm.model.parameters() if not p.requires_grad]
    for own, weight in zip(frozen, real.model.parameters(), strict=True):
        own.data = weight.data
    return lm


def planned(longest: int, wanted: int, *, rows: int = 1, copies: int = 0, all_weights: bool = False) -> Plan:
    """How to train the real model on this machine, whose free memory is measured now; see `course.capacity.plan`.

    Args:
        longest, wanted, rows, all_weights: as in `plan`.
        copies: of all weights that are still to be made, such as a value model.
    """
    lm = real_model()
    size = Size.of(lm)
    free = free_memory(lm.device) - WEIGHT * copies * size.weights
    return plan(size, longest, wanted, free, all_weights=all_weights, rows=rows, bf16=has_bf16(lm.device))


class TooLarge(RuntimeError):
    """All weights of a model cannot be trained on this machine; the message says why and what to do."""


def all_trained(how: Plan) -> LM:
    """A copy of the real model, all of whose weights are ready to be trained.

    Raises:
        TooLarge: the plan, which was asked for all weights, found no room for that.
    """
    if how.lora:
        what = f"{real_model().name} is too large for all of its weights to be trained in the memory that is free"
        raise TooLarge(f"{what}. Look at the runs with adapters, or take a larger GPU or a smaller model.")
    lm = clone(real_model())
    lm.model.requires_grad_(True)
    return lm


def longest_example(examples: Sequence[Example]) -> int:
    """Tokens of the longest example."""
    return max(len(example["input_ids"]) for example in examples)


def longest_answer(records: Sequence[Record]) -> int:
    """Tokens of the longest prompt with its answer in preference records."""
    encoded = (encode_answers(real_model(), r["prompt"], [r["chosen"], r["rejected"]]) for r in records)
    return max(len(prompt) + len(one) for prompt, answers in encoded for one in answers)


def to_learn(count: int, seed: int) -> list[Question]:
    """Questions that a run may train on: in the wordings that SFT shows, about the countries that it shows."""
    return random.Random(f"learn {seed}").sample(_asked(SEEN, "shown"), count)


def to_test(count: int, seed: int, wordings: str = "held-out") -> list[Question]:
    """Questions that no run trains on: about other countries, in other words, or in those that SFT shows ("shown")."""
    return random.Random(f"test {seed}").sample(_asked(UNSEEN, wordings), count)


def _asked(countries: Sequence[str], wordings: str) -> list[Question]:
    return [question for question in country_questions(countries, wordings) if question.relation in RELATIONS]


def names_it(question: Question, text: str) -> bool:
    """Whether an answer names the right value, whatever else it says.

    The toy's scorer knows the sentences of the toy's world; a real model has other ones.
    """
    return re.search(rf"(?<!\w){re.escape(question.answer)}(?!\w)", text, re.IGNORECASE) is not None


def right_reward(prompts: Sequence[Question], texts: Sequence[str]) -> torch.Tensor:
    """1 for an answer that names the right value, 0 for others."""
    return torch.tensor([float(names_it(q, text)) for q, text in zip(prompts, texts, strict=True)])


def counted(grades: Grades) -> dict[str, float]:
    """Share of the answers that name the right value, share that ended by themselves, mean length in words."""
    right = float(right_reward(grades.questions, grades.texts()).mean())
    return {"right": right, "stopped": grades.stopped, "words": grades.words}


def sampled(lm: LM, questions: Sequence[Question], seed: int) -> Grades:
    """One sampled answer to each question."""
    return answer(lm, questions, temperature=1.0, max_new_tokens=MOST, seed=seed)


def some(grades: Grades, count: int = 3) -> list[list[str]]:
    """A few questions with their answers, to be stored and shown."""
    return [[question.text, text] for question, text in zip(grades.questions[:count], grades.texts(), strict=False)]
