"""A policy's answers as texts, and pairs of them to compare.

Serves the lessons that learn from comparisons of a policy's own answers: 07, 10 to 13.
"""

import random
from collections.abc import Sequence

from course import SEED
from course.feedback import Pair
from course.models import LM
from course.rollouts.sampling import chat_prompts, sample
from course.world import Question, Request

Asked = Sequence[Question | Request]


def answers(lm: LM, prompts: Asked, seed: int = SEED) -> list[str]:
    """One sampled answer of at most 40 tokens to each prompt."""
    return sample(lm, chat_prompts(lm, prompts), max_new_tokens=40, seed=seed).texts


def drafts(lm: LM, prompts: Asked, each: int = 3, seed: int = SEED) -> list[Pair]:
    """Let the model answer every prompt `each` times, and pair its different answers; in random order."""
    texts = answers(lm, [prompt for prompt in prompts for _ in range(each)], seed)
    pairs = []
    for i, prompt in enumerate(prompts):
        given = list(dict.fromkeys(texts[i * each : (i + 1) * each]))
        pairs += [Pair(prompt, a, b) for k, a in enumerate(given) for b in given[k + 1 :]]
    random.Random(seed).shuffle(pairs)
    return pairs
