"""Making PPO's models fit: activations computed again instead of kept, models that wait off the device, and counting.

Serves notebook 09 (claims O1 and O8). Gradient checkpointing: Chen et al. 2016.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def checkpointing(*models: PreTrainedModel) -> Iterator[None]:
    """Inside, each layer keeps only its input, and computes the rest again in the backward pass.

    The gradients are the same; there is less to keep, and each layer runs forward twice. The models are in evaluation
    mode inside too, so that no dropout acts: the ratio of the first minibatch is 1.
    """
    with warnings.catch_warnings():
        # transformers renames these within the range of versions that the course admits; the old names work in all
        warnings.simplefilter("ignore", FutureWarning)
        for model in models:
            model.eval()
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            for layer in (m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)):
                layer.training = True  # transformers asks this of a layer, not of its parts, before it checkpoints
                layer._gradient_checkpointing_func = _evaluating(layer, layer._gradient_checkpointing_func)
        try:
            yield
        finally:
            for model in models:
                model.gradient_checkpointing_disable()
                model.eval()


def _evaluating(layer: nn.Module, checkpoint: Callable[..., Any]) -> Callable[..., Any]:
    """`checkpoint`, but the layer is in evaluation mode while it computes, both times."""

    def run(compute: Callable[..., Any], *inputs: Any) -> Any:
        def forward(*inputs: Any) -> Any:
            layer.training, before = False, layer.training
            try:
                return compute(*inputs)
            finally:
                layer.training = before

        return checkpoint(forward, *inputs)

    return run


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
