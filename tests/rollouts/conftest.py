"""Models in small that the tests of rollouts share."""

import pytest
import torch

from course.models import LM
from tests.tiny import build_model, build_tokenizer

PROMPTS = ["The capital of France is", "What", "12 + 7 is 19. What is 12 +", "The capital of Peru is Lima. The capital"]


@pytest.fixture(scope="module")
def lm() -> LM:
    """A small random model, made more decided so that near-ties do not decide a comparison."""
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, seed=1)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return LM("tiny", model, tokenizer)


def make_likely(lm: LM, token: int) -> LM:
    """A copy of the model that writes this token whatever came before."""
    from course.models import clone

    copy = clone(lm)
    with torch.no_grad():
        copy.model.lm_head.weight.zero_()
        copy.model.model.norm.weight.zero_()
        head = torch.nn.Linear(copy.model.config.hidden_size, copy.model.config.vocab_size)
        head.weight.zero_()
        head.bias.zero_()
        head.bias[token] = 50.0
        copy.model.lm_head = head
    return copy
