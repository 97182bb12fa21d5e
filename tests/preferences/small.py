"""A small model and a few pairs, shared by the tests of this folder."""

from course.models import LM
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
PAIRS = [
    {
        "prompt": f"What is the capital of {country}?",
        "chosen": f"{city}.",
        "rejected": f"The capital is {city}, I think.",
    }
    for country, city in [
        ("France", "Paris"),
        ("Peru", "Lima"),
        ("Italy", "Rome"),
        ("Spain", "Madrid"),
        ("Cuba", "Havana"),
    ]
]


def tiny(seed: int = 0, context: int = 512) -> LM:
    model = build_model(TOKENIZER, seed)
    model.config.max_position_embeddings = context
    return LM("tiny", model, TOKENIZER)
