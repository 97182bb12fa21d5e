"""What the tests of the clinic share."""

import torch

from course.experiments.clinic import PATIENTS
from course.models import LM
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
FINDINGS = {"healthy": "healthy"} | {name: patient.finding for name, patient in PATIENTS.items()}


def tiny(seed: int = 0) -> LM:
    return LM("tiny", build_model(TOKENIZER, seed), TOKENIZER)


def batch(seed: int = 0, count: int = 3, width: int = 5) -> dict[str, torch.Tensor]:
    """Log-probabilities and advantages of answers of 5, 4 and 1 tokens, zero where nothing counts."""
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.arange(width) < torch.tensor([[5], [4], [1]])).float()
    drawn = torch.randn(4, count, width, generator=generator) * mask
    return {"logps": drawn[0], "old_logps": drawn[1], "ref_logps": drawn[2], "advantages": drawn[3], "mask": mask}
