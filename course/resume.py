"""What every training loop shares: a driver that survives a stop, the record of a run, the file to resume it from.

Serves `course.train`, and through it every lesson that trains, and `course.rl`. Read `train.py` first.
"""

import hashlib
import json
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course.plots import LiveCurve
from course.stops import unfinished


@dataclass
class Progress:
    """How far a run has come: the time spent, before a stop too, and whether it was stopped before its last step."""

    seconds: float = 0.0
    interrupted: bool = False

    @property
    def done(self) -> int:
        """Number of steps taken."""
        raise NotImplementedError


@dataclass
class Run(Progress):
    """What a training run did.

    Attributes:
        losses: mean loss per labelled token of each optimizer step, in nats, before that step's update.
        held_out: (steps taken, loss) pairs on the held-out examples: at the start and after each epoch.
        measured: by name, what else was measured at each optimizer step, such as the margin of preferred answers.
        tokens: that went through the model, padding left out.
    """

    losses: list[float] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    measured: dict[str, list[float]] = field(default_factory=dict)
    tokens: int = 0

    def __post_init__(self) -> None:
        self.held_out = [(step, loss) for step, loss in self.held_out]  # read back from a file, pairs are lists

    @property
    def done(self) -> int:
        return len(self.losses)


def check_settings(settings: Any, counts: Iterable[str], rates: Iterable[str]) -> None:
    """Raise ValueError unless these attributes are whole numbers from 1 on, and those numbers above 0."""
    for name in counts:
        if not isinstance(value := getattr(settings, name), Integral) or value < 1:
            raise ValueError(f"{name}={value!r}: give at least 1, as a whole number.")
    for name in rates:
        if not isinstance(value := getattr(settings, name), Real) or not value > 0:
            raise ValueError(f"{name}={value!r}: give a number above 0.")


class TrainingStopped(RuntimeError):
    """Training cannot go on; the message says where it stopped and what to check."""


R = TypeVar("R", bound=Progress)
SAVE_EVERY = 20.0  # seconds between saved states: a killed kernel loses no more than this
_pressed: list[int] | None = None  # interrupts since the outermost `deferred_interrupt` began


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first interrupt into a flag, so that no step is cut in half; a second one interrupts at once.

    It also decorates a function whose preparations must not be cut either; what is inside shares the outer one's flag.
    """
    global _pressed
    elsewhere = threading.current_thread() is not threading.main_thread()
    if elsewhere or _pressed is not None:
        yield lambda: bool(_pressed) and not elsewhere
        return
    pressed = _pressed = []
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
        _pressed = None


def drive(
    run: R,
    steps: int,
    step_fn: Callable[[int], None],
    curve: LiveCurve,
    shown: Callable[[int], Mapping[str, float]],
    keeper: "State | None" = None,
    finish: Callable[[], None] = lambda: None,
) -> R:
    """Take the steps of a run that are left, draw them, save them, and stop between two of them when asked to.

    A stop that comes while the run is prepared is honoured after its first step, so that a run has at least one.

    Args:
        run, steps: what was done so far, to which each step adds, and how many steps the whole run has.
        step_fn: takes the next step, given how many were taken before, and writes what it measured into the run.
        curve, shown: where the run is drawn, and what of it after so many steps, by name.
        keeper, finish: where the run is saved, and what is done after the last step.
    """
    began = time.monotonic() - run.seconds
    saved, stop = time.monotonic(), False
    run.interrupted = False
    with deferred_interrupt() as interrupted, curve:
        for done in range(run.done + 1):
            curve.replay(done, **shown(done))
        while run.done < steps and not stop:
            step_fn(run.done)
            run.seconds = time.monotonic() - began
            curve.update(run.done, **shown(run.done))
            stop = interrupted()  # asked once: an interrupt between two questions would end the run unsaved
            if keeper and (stop or time.monotonic() - saved > SAVE_EVERY):
                keeper.save(run)
                saved = time.monotonic()
        run.interrupted = run.done < steps
        if not run.interrupted:
            finish()
    run.seconds = time.monotonic() - began
    unfinished.pop(curve.title, None)
    if run.interrupted:
        then = "What was learnt until here is in the model; its last steps are in no file."
        if keeper is None:
            then += " To go on from a stop by running the cell again, give the call a file: state='runs/name.state'."
        elif not keeper.failed:
            then = f"Run the cell again to go on from {keeper.path}."
        _stopped_at(curve.title, f"{curve.x} {run.done} of {steps}", then)
    elif keeper:
        keeper.remove()
    return run


def _stopped_at(title: str, at: str, then: str) -> None:
    unfinished[title] = f"{title!r} was stopped at {at}"
    print(f"Stopped at {at}. {then}")


@contextmanager
def stoppable(trainer: Any) -> Iterator[None]:
    """Inside, `trainer.train()` of transformers or TRL is interrupted like `course.train.fit`: between two steps."""
    from transformers import TrainerCallback

    class StopBetweenSteps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            control.should_training_stop |= interrupted()

    title = type(trainer).__name__
    with deferred_interrupt() as interrupted:
        trainer.add_callback(StopBetweenSteps())
        yield
    unfinished.pop(title, None)
    if trainer.state.global_step < trainer.state.max_steps:
        at = f"step {trainer.state.global_step} of {trainer.state.max_steps}"
        _stopped_at(title, at, "Run the cell again to have them all.")


@contextmanager
def evaluating(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Evaluation mode before and after, whatever happens inside; no gradient from before, and none left behind."""
    optimizer.zero_grad(set_to_none=True)  # a learner's own loop may have left some
    model.eval()
    try:
        yield
    finally:
        model.eval()
        optimizer.zero_grad(set_to_none=True)


def fingerprint(examples: Sequence[Mapping[str, Sequence[int]]], settings: list[Any]) -> str:
    """What tells one run from another; without what a reference says (`ref_...`), which is known by its weights."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for example in examples:
        kept = sorted(pair for pair in example.items() if not pair[0].startswith("ref_"))
        digest.update(json.dumps(kept, default=lambda array: array.tolist()).encode())
    return digest.hexdigest()


def checksum(tensors: Mapping[str, Tensor], about: str = "") -> str:
    """What tells these tensors from any others, by name, shape and every bit; a gigabyte takes about a second."""
    marks = [about]
    for name, tensor in sorted(tensors.items()):
        bits = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        marks.append(f"{name} {tuple(tensor.shape)} {tensor.dtype} {zlib.crc32(bits)}")
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps for each weight


class State:
    """The file that a run can be resumed from: weights, AdamW's two moments and the run so far, as safetensors."""

    def __init__(
        self,
        path: Path | str,
        fingerprint: str,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        given: nn.Module | None = None,
        start_only: bool = False,
    ):
        """Make sure that the file can be written, and note the weights that the run begins from.

        Args:
            path, fingerprint: the file, and what tells the run's data and settings from others.
            model, optimizer: what is saved.
            given: the part of the model that was there before the run; all of it if not given.
            start_only: the run goes on only from the weights that it began from, not from those at its stop.
        Raises:
            TrainingStopped: the file cannot be written.
        """
        self.path, self.fingerprint, self.model, self.optimizer = Path(path), fingerprint, model, optimizer
        self.given, self.start_only = model if given is None else given, start_only
        self.failed = False  # it could not be written the last time
        self.part = self.path.with_name(self.path.name + ".part")
        try:  # better to learn now that the file cannot be written than after the first minutes of training
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.part.touch()
            self.part.unlink()
        except OSError as error:
            raise TrainingStopped(f"{self._unwritten(error)}. Give another file name as `state`.") from error
        self.start = self._now()

    def _weights(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def _now(self) -> str:
        return checksum(dict(self.given.named_parameters()))

    def _unwritten(self, error: Exception) -> str:
        return f"The training state cannot be written to {self.path} ({error})"

    def save(self, run: Progress) -> None:
        """Write the state; `run` is a dataclass of what JSON can hold. A full disk is said, and the run goes on."""
        tensors = {}
        for name, weight in self._weights().items():
            kept = {"weight": weight.detach(), **{key: self.optimizer.state[weight][key] for key in _MOMENTS}}
            tensors |= {f"{key}/{name}": tensor.cpu().contiguous() for key, tensor in kept.items()}
        about = {"fingerprint": self.fingerprint, "start": self.start, "left": self._now()}
        about["run"] = json.dumps(run.__dict__)
        about["checksum"] = checksum(tensors, about["run"])
        try:
            save_file(tensors, self.part, metadata=about)
            os.replace(self.part, self.path)  # atomic: a kill leaves the old state or the new, never half of one
            self.failed = False
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                self.part.unlink()
            if not self.failed:
                older = f" The state in {self.path} is an older one." if self.path.exists() else ""
                again = f"The run goes on in memory and tries again every {SAVE_EVERY:.0f} seconds"
                print(f"{self._unwritten(error)}. {again}: make room on the disk.{older}")
            self.failed = True

    def restore(self, kind: type[R]) -> R | None:
        """Bring model and optimizer to where the file has them; returns the run so far, None if there is no file.

        Raises:
            TrainingStopped: the file is damaged, or of another run.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                about = file.metadata()
                of_this_run = about["fingerprint"] == self.fingerprint
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            if of_this_run:
                if checksum(tensors, about["run"]) != about["checksum"]:
                    raise ValueError("what it holds is not what was written")
                run = kind(**json.loads(about["run"]))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            what = f"The training state in {self.path} cannot be read ({error})"
            raise TrainingStopped(f"{what}. Delete the file to begin anew.") from error
        if not of_this_run:
            what = f"{self.path} holds the state of another run (other data or settings)"
            raise TrainingStopped(f"{what}. Give this run another file, or delete that one to begin anew.")
        missing = {f"{key}/{name}" for key in ("weight", *_MOMENTS) for name in self._weights()} - set(tensors)
        allowed = {about["start"]} | ({about["left"]} if not self.start_only else set())
        if missing or self.start not in allowed:
            also = ": it is also the reference" if self.start_only else ""
            raise TrainingStopped(
                f"{self.path} holds the state of a run that began from another model. To go on with that run, give the "
                f"model as it was when the run began, loaded or cloned anew{also}. To begin anew, delete the file."
            )
        self.start = about["start"]
        with torch.no_grad():  # only now that all of it could be read: the model is resumed whole or not at all
            for name, weight in self._weights().items():
                weight.copy_(tensors[f"weight/{name}"])
                kept = {key: tensors[f"{key}/{name}"].to(weight.device) for key in _MOMENTS}
                self.optimizer.state[weight] = kept  # the step too: fused AdamW counts where the weight is
        return run

    def remove(self) -> None:
        """Delete the file of a finished run."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            print(f"The run is finished, but its state in {self.path} cannot be deleted ({error}). Delete it yourself.")
