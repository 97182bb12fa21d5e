"""Making PPO's models fit: activations computed again instead of kept, models that wait off the device, and counting.

Serves notebook 09 (claims O1 and O8). Gradient checkpointing: Chen et al. 2016.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def checkpointing(*models: PreTrainedModel) -> Iterator[None]:
    """Inside, each layer keeps only its input, and computes the rest again in the backward pass.

    The gradients are the same; there is less to keep, and each layer runs forward twice. transformers' own switch works
    in training mode only, where dropout would make the policy another one than that which sampled. So the layers are
    wrapped here, and the models are in evaluation mode. Read without a cache (`use_cache=False`), which would be filled
    twice.
    """
    for model in models:
        model.eval()
    layers = [layer for model in models for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own is back


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


def bytes_held(module: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, int]:
    """What a model occupies at this moment, tensor by tensor, in bytes.

    Args:
        module: the model; weights that share memory, such as tied ones, count once.
        optimizer: whose state for this model's weights is counted too.
    Returns:
        `weights`, `gradients`, those that there are, and `moments`, what the optimizer keeps of the weights' shape.
    """
    parameters = list(module.parameters())
    state = [optimizer.state.get(p, {}) for p in parameters] if optimizer else []
    kept = [x for entry in state for x in entry.values() if isinstance(x, Tensor) and x.dim()]
    return {
        "weights": _size(parameters),
        "gradients": _size(p.grad for p in parameters if p.grad is not None),
        "moments": _size(kept),
    }


class Kept:
    """What `kept_for_backward` has seen: `bytes`, of the tensors that are kept, each memory counted once."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        return sum(self.storages.values())


@contextmanager
def kept_for_backward(module: nn.Module) -> Iterator[Kept]:
    """Counts the tensors that forward passes inside keep for the backward pass, the module's own weights left out.

    What checkpointing computes again, one layer at a time and during the backward pass, is not in the count.
    """
    kept, own = Kept(), {p.untyped_storage().data_ptr() for p in module.parameters()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept.storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
