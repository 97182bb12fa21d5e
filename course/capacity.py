"""What fits on a machine: its free memory, the batch that fits into it, and when only adapters can be trained.

Serves the experiments on a real model, lessons 02 to 13. Everything is counted for AdamW with weights in float32, as
`course.models.load` holds them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import psutil
import torch

from course.models import Pretrained
from course.threads import control_groups, read_text

MARGIN = 0.9
"""The share of the free memory that is planned with; the rest is for what allocators and kernels need."""
WEIGHT, STATE, CAST, NUMBER = 4, 12, 2, 4
"""Bytes: of a weight; of its gradient and AdamW's two moments; of its copy under autocast; of an activation."""
ADAPTERS = 0.02
"""The most that LoRA adapters of rank 8 add, as a share of the model's weights: 1.8% of SmolLM2-135M's."""


@dataclass(frozen=True)
class Size:
    """The numbers of a model that decide how much memory its training takes.

    Attributes:
        weights: of the whole model, each counted once.
        layers, width, inner: transformer layers, their hidden size, and that inside their MLP.
        vocabulary: tokens that get a score.
    """

    weights: int
    layers: int
    width: int
    inner: int
    vocabulary: int

    @classmethod
    def of(cls, lm: Pretrained) -> Self:
        """Of a model, as its configuration and its weights say."""
        config = lm.model.config.get_text_config()
        inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        return cls(lm.parameters, config.num_hidden_layers, config.hidden_size, inner, config.vocab_size)

    @property
    def bytes_per_token(self) -> int:
        """What training keeps for each token that is read: 4 (layers (10 width + 4 inner) + 4 vocabulary).

        In each layer of a Llama: the input and the result of two norms, of attention the queries, keys, values, its
        result and the input of the projections, 10 of the layer's width; in the MLP the gate, its activation, the
        other branch and their product. Of the scores, at the peak, which is in the backward pass: log softmax and the
        gradients of it, of the scores, and of the part of them that was asked for. 4 bytes each; under bfloat16 it is
        less. There is no attention matrix, which torch's kernels never keep.

        Source: counted as in Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
        section 4, for Llama's layers and without dropout; a test compares it with what torch keeps.
        """
        return NUMBER * (self.layers * (10 * self.width + 4 * self.inner) + 4 * self.vocabulary)


class Plan(NamedTuple):
    """How to train: examples in a forward pass, forward passes in a step, whether adapters alone are trained (LoRA)."""

    batch_size: int
    accumulate: int
    lora: bool

    @property
    def steps(self) -> dict[str, int]:
        """The two sizes under the names that `course.train.fit` and its relatives take."""
        return {"batch_size": self.batch_size, "accumulate": self.accumulate}


def plan(
    size: Size, longest: int, wanted: int, free: int, *, all_weights: bool = False, rows: int = 1, bf16: bool = False
) -> Plan:
    """How to train a model that is on the device already, so that it fits into the memory that is free there.

        state = weights (12 + 2 if bf16)              all weights
              = weights (0.02 * 16 + 2 if bf16)       LoRA
        room  = 0.9 free >= state + batch size * rows * longest * bytes per token

    12 bytes are the gradient (4) and AdamW's two moments (8), in float32, and 16 those with the weight, which adapters
    bring along (Rajbhandari et al. 2020, "ZeRO", section 3.1). 2 are the copy that autocast keeps.

    The batch size divides the wanted one, so that batch size times accumulation equals it, and the gradient is that of
    the wanted batch. At least one example is read at once, even if that does not fit.

    Args:
        size: of the model.
        longest: tokens of the longest row.
        wanted: examples in an optimizer step.
        free: bytes, with the model itself on the device.
        all_weights: train them all, if with one example at once that fits; otherwise, and if not asked for, adapters.
        rows: that an example has, such as 2 for a pair.
        bf16: the device computes in bfloat16.
    """
    example = rows * longest * size.bytes_per_token
    cast = CAST * bf16
    state = {lora: int(size.weights * (cast + each)) for lora, each in ((False, STATE), (True, ADAPTERS * (4 + STATE)))}
    room = MARGIN * free
    lora = not all_weights or state[False] + example > room
    fitting = [b for b in range(1, wanted + 1) if wanted % b == 0 and state[lora] + b * example <= room]
    batch = max(fitting, default=1)
    return Plan(batch, wanted // batch, lora)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device, those counted that torch holds there without using them.

    On Apple's GPU, what Metal recommends as the most, less what torch uses. On the CPU, what the system could give
    without swapping, or what is left of a control group's limit if that is less, as in a container.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return min([psutil.virtual_memory().available, *left_in_groups()])


def left_in_groups(root: Path = Path("/")) -> list[int]:
    """Bytes left of each limit on memory that the control groups of this process set, version 1 or 2.

    Cached files that nobody has used lately are not counted as used: the kernel drops them first.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory Interface Files", and cgroup-v1/memory.html.
    """
    found = []
    for folder in control_groups("memory", root):
        names = [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")]
        for limit, used in ([read_text(folder / name).strip() for name in pair] for pair in names):
            if limit.isdigit() and used.isdigit():
                lines = (line.split() for line in read_text(folder / "memory.stat").splitlines())
                stat = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
                cached = stat.get("total_inactive_file", stat.get("inactive_file", 0))
                found.append(max(0, int(limit) - int(used) + cached))
    return found
