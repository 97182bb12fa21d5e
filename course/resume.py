"""What a training run keeps, so that it can be stopped and resumed: its record, its state file, its interrupt.

Serves `course.train`, and through it every lesson that trains, and `course.rl`. No formula is here; `train.py` is the
one to read first.
"""

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass
class Run:
    """What a training run did.

    Attributes:
        losses: mean loss per labelled token of each optimizer step, in nats, before that step's update.
        held_out: (step, loss) pairs on the held-out examples: at the start and after each epoch.
        measured: by name, what else was measured at each optimizer step, such as the margin of preferred answers.
        tokens: tokens that went through the model, padding left out.
        seconds: time spent, earlier parts of a resumed run included.
        interrupted: the run was stopped before its last step.
    """

    losses: list[float] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    measured: dict[str, list[float]] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.held_out = [(step, loss) for step, loss in self.held_out]  # read back from a file, pairs are lists


class TrainingStopped(RuntimeError):
    """Training cannot go on; the message says where it stopped and what to check."""


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first interrupt into a flag, so that no step is cut in half; a second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed: list[int] = []
    previous = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, previous)


def fingerprint(examples: Sequence[Mapping[str, Sequence[int]]], settings: list[Any]) -> str:
    """What tells one run from another: the same data and settings give the same text."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for example in examples:
        digest.update(json.dumps(sorted(example.items())).encode())
    return digest.hexdigest()


T = TypeVar("T")
SAVE_EVERY = 20.0  # seconds between saved states: a killed kernel loses no more than this
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps for each weight


class State:
    """The file that a run can be resumed from: weights, AdamW's two moments and the run so far, as safetensors."""

    def __init__(
        self, path: Path | str, fingerprint: str, model: nn.Module, optimizer: torch.optim.Optimizer, hint: str = ""
    ):
        self.path, self.fingerprint, self.model, self.optimizer = Path(path), fingerprint, model, optimizer
        self.hint = hint  # what to do, besides, where the file is of another run
        self.part = self.path.with_name(self.path.name + ".part")
        try:  # better to learn now that the file cannot be written than after the first minutes of training
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.part.touch()
            self.part.unlink()
        except OSError as error:
            raise TrainingStopped(
                f"The training state cannot be written to {self.path} ({error}). Give another file name as `state`."
            ) from error

    def _weights(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self, run: Any) -> None:
        """Write the state; `run` is a dataclass of what JSON can hold."""
        tensors = {}
        for name, weight in self._weights().items():
            moments = self.optimizer.state[weight]
            tensors[f"weight/{name}"] = weight.detach()
            tensors |= {f"{key}/{name}": moments[key] for key in _MOMENTS}
        tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        about = {"fingerprint": self.fingerprint, "run": json.dumps(run.__dict__)}
        save_file(tensors, self.part, metadata=about)
        os.replace(self.part, self.path)  # atomic: a kill leaves the old state or the new, never half of one

    def restore(self, kind: type[T]) -> T | None:
        """Bring model and optimizer to where the file has them; returns the run so far, None if there is no file."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                about = file.metadata()
                if about["fingerprint"] != self.fingerprint:
                    raise TrainingStopped(
                        f"{self.path} holds the state of another run (other data or settings). Give this run another "
                        f"file, or delete that one to begin anew. {self.hint}".rstrip()
                    )
                run = kind(**json.loads(about["run"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
                missing = {f"{key}/{name}" for key in ("weight", *_MOMENTS) for name in self._weights()} - set(tensors)
                if missing:
                    raise KeyError(f"no {min(missing)}")
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise TrainingStopped(
                f"The training state in {self.path} cannot be read ({error}). Delete the file to begin anew."
            ) from error
        with torch.no_grad():  # only now that all of it could be read: the model is resumed whole or not at all
            for name, weight in self._weights().items():
                weight.copy_(tensors[f"weight/{name}"])
                self.optimizer.state[weight] = {
                    # the step too: fused AdamW counts where the weight is
                    key: tensors[f"{key}/{name}"].to(weight.device)
                    for key in _MOMENTS
                }
        return run

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def say_interrupted(done: int, total: int, unit: str, state: Path | str | None) -> None:
    """One line on where an interrupted run stands and how it goes on."""
    how = f"Run the cell again to go on from {state}." if state else "Give `state=` a file name to be able to go on."
    print(f"Stopped after {done} of {total} {unit}. {how}")
