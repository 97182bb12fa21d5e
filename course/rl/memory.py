"""Making PPO's models fit: activations computed again instead of kept, and models that wait off the device.

Serves notebook 09 (claim O8). Gradient checkpointing: Chen et al. 2016.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


@contextmanager
def checkpointing(*models: PreTrainedModel) -> Iterator[None]:
    """Inside, each layer keeps only its input, and computes the rest again in the backward pass.

    The gradients are the same; there is less to keep, and each layer runs forward twice. The models are in training
    mode inside, since transformers does this only there, and in evaluation mode afterwards.
    """
    with warnings.catch_warnings():
        # transformers renames these within the range of versions that the course admits; the old names work in all
        warnings.simplefilter("ignore", FutureWarning)
        for model in models:
            model.train()
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        try:
            yield
        finally:
            for model in models:
                model.gradient_checkpointing_disable()
                model.eval()


@contextmanager
def moved(models: Sequence[Any], inside: torch.device | str, outside: torch.device | str) -> Iterator[None]:
    """Models stand on one device inside, and on the other afterwards.

    Args:
        models: torch modules, or what has one as `.model`, such as an LM or a `RewardModel`; anything else, such as a
            reward that is a plain function, has nothing to move.
        inside, outside: devices.
    """
    held = [getattr(model, "model", model) for model in models]
    modules = [module for module in held if isinstance(module, nn.Module)]
    for module in modules:
        module.to(inside)
    try:
        yield
    finally:
        for module in modules:
            module.to(outside)
