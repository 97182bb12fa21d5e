"""Write what TRL's trainers give for the losses of notebook 12: `python -m tools.trl_losses`, part of `make family`."""

import argparse
import json
import math

import torch
import trl
from torch import Tensor

from course.preferences.library import SETTINGS, STORED, Answers, theirs, with_gradients


def random_answers(count: int = 6, seed: int = 0) -> Answers:
    """Answers of 1 to 20 tokens, on some of which policy and reference differ by much, in float32."""
    generator = torch.Generator().manual_seed(seed)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    tokens = [between(1, 21).floor() for _ in range(3)]
    policy = [-between(0.02, 3) * length for length in tokens]
    ref = [(logps + between(-4, 4)).clamp(max=-0.01) for logps in policy]
    return Answers(policy[0], policy[1], ref[0], ref[1], policy[2], ref[2] - 3, tokens[0], tokens[1])


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    answers, values = random_answers(), {}
    for name in SETTINGS:
        loss, gradient = with_gradients(lambda given, name=name: theirs(name, given), answers)
        assert math.isfinite(loss)
        values[name] = {"loss": loss, "gradient": gradient.tolist()}
    held = {"trl": trl.__version__, "values": values}
    held["answers"] = {name: numbers.tolist() for name, numbers in answers._asdict().items()}
    STORED.write_text(json.dumps(held, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
