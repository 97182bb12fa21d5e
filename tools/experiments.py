"""Run experiments by name and store what came of them: `python -m tools.experiments cures`.

The lessons draw from the files in course/experiments/results. Interrupt this whenever you like: what is stored is not
run again, and the run in progress is all that is lost. Several may run at once. After a change of the checkpoints, of
the sampling or of the training loops, run with --again.
"""

import argparse
import os
import pkgutil
import platform
import threading
import time
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import psutil
import torch
from filelock import FileLock, Timeout

from course import experiments
from course.experiments import store
from course.experiments.real.start import TooLarge
from course.experiments.store import Experiment
from course.stops import unfinished
from course.threads import usable_cores


def known() -> dict[str, Experiment]:
    """All experiments by name, from the modules of `course.experiments`."""
    names = [module.name for module in pkgutil.iter_modules(experiments.__path__, "course.experiments.")]
    listed = [one for name in names for one in getattr(import_module(name), "EXPERIMENTS", ())]
    return {one.name: one for one in listed}


def make(
    experiment: Experiment,
    seeds: list[int] | None = None,
    conditions: list[str] | None = None,
    again: bool = False,
    folder: Path = store.RESULTS,
) -> None:
    """Make and store the runs that are missing, leaving out any that another program is at."""
    for seed in seeds or experiment.seeds:
        for condition in conditions or experiment.conditions:
            try:
                with FileLock(store.lock_file(f"{experiment.name} {seed} {condition}"), timeout=0):
                    if again or not _is_stored(experiment, condition, seed, folder):
                        with Cost() as cost:
                            run = experiment.run(condition, seed)
                        if unfinished:  # the training loop takes an interrupt for a stop, and returns half a run
                            raise KeyboardInterrupt
                        run = replace(run, about={**run.about, **cost.about()})
                        store.write(run, experiment.conditions, folder)
                        said = ", ".join(f"{name} {number:.2f}" for name, number in run.measured.items())
                        print(f"{experiment.name}, seed {seed}, {condition}: {said}", flush=True)
            except Timeout:
                print(f"{experiment.name}, seed {seed}, {condition}: another program is at it", flush=True)
            except TooLarge as error:
                print(f"{experiment.name}, seed {seed}, {condition}: left out, {error}", flush=True)


class Cost:
    """What a run takes: seconds, the most memory that was held meanwhile, the machine and the versions.

    On an Nvidia or AMD GPU it is the memory of torch's tensors there, otherwise that of this process.
    """

    def __enter__(self) -> Self:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._began, self._over = time.perf_counter(), threading.Event()
        self._peak, self._watch = 0, threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self) -> None:
        process = psutil.Process()
        over = False
        while not over:
            self._peak = max(self._peak, process.memory_info().rss)
            over = self._over.wait(0.2)

    def __exit__(self, *_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self._began
        self._over.set()
        self._watch.join()
        self.bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else self._peak

    def about(self) -> dict[str, Any]:
        """As it is stored with the run."""
        threads = f"{torch.get_num_threads()} threads of {usable_cores()} cores"
        gpus = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
        return {
            "seconds": round(self.seconds, 1),
            "MB": round(self.bytes / 1e6),
            "machine": ", ".join([f"{platform.machine()}, {threads}", *gpus]),
            "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        }


def _is_stored(experiment: Experiment, condition: str, seed: int, folder: Path) -> bool:
    return store.is_stored(experiment.name, folder) and any(
        (run.condition, run.seed) == (condition, seed) for run in store.stored(experiment.name, folder)
    )


def main() -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")
    experiments = known()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=experiments, metavar="NAME", help=", ".join(experiments))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--conditions", nargs="+", help="only these, by name")
    parser.add_argument("--again", action="store_true", help="run also what is stored")
    chosen = parser.parse_args()
    for name in chosen.names:
        unknown = set(chosen.conditions or ()) - set(experiments[name].conditions)
        if unknown:
            listed = "\n  ".join(experiments[name].conditions)
            parser.error(f"{name} has no condition {', '.join(sorted(unknown))}. Choose from:\n  {listed}")
        make(experiments[name], chosen.seeds, chosen.conditions, chosen.again)


if __name__ == "__main__":
    main()
