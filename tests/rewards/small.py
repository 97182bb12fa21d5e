"""Language models and reward models in small, and pairs that can be learnt."""

import torch

from course.models import LM
from course.rewards import RewardModel, new_reward_model
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PROMPTS = ["What is the capital of France?", "2 + 2?", "Where?", "Tell me of Peru, and tell me much.", "Hi", "Italy?"]
TEXTS = [
    "Paris.",
    "2 + 2 is 4, and that is all I can say.",
    "",
    "The capital of Peru is Lima.",
    "a",
    "b c",
]


def tiny(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def model_of(seed: int = 0) -> RewardModel:
    """A reward model whose head is large enough for scores to differ."""
    model = new_reward_model(tiny(), seed)
    with torch.no_grad():
        model.head.weight.mul_(50)
    return model


MODEL = model_of()
