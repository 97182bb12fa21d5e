"""The one store of runs that were made beforehand: a JSON file for each experiment, in it a line for each run.

Serves notebooks 09 to 12, which show many runs and repeat some of them live. `python -m tools.experiments NAME` makes
those that are missing. Nothing here needs torch.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from filelock import FileLock

RESULTS = Path(__file__).with_name("results")
DIGITS = 4
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Student's t that 95 in 100 values do not exceed, for 1 to 9 degrees of freedom."""


@dataclass(frozen=True)
class Run:
    """One run of an experiment.

    Attributes:
        experiment: the name of its file in `results`.
        condition: what this run was given, such as "length: clipping".
        seed: of everything that is drawn in it.
        model: the model that it started from.
        measured: numbers by name, taken at its end.
        curves: lists of numbers by name, a number for each step, iteration or epoch.
        about: anything else that should be kept: answers, machine, versions, seconds.
    """

    experiment: str
    condition: str
    seed: int
    model: str
    measured: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """What a lesson runs many times. Each module of `course.experiments` lists its own under `EXPERIMENTS`.

    Attributes:
        name: of the experiment and of its file.
        conditions: in the order in which they are run and stored.
        run: makes the run of one condition and one seed.
        seeds: of the runs that the lesson shows.
    """

    name: str
    conditions: tuple[str, ...]
    run: Callable[[str, int], Run]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


def is_stored(experiment: str, folder: Path = RESULTS) -> bool:
    """Whether there are stored runs of an experiment."""
    return (folder / f"{experiment}.json").exists()


def stored(experiment: str, folder: Path = RESULTS) -> list[Run]:
    """The stored runs of an experiment, by seed, then in the order of its conditions.

    Raises:
        FileNotFoundError: there are none.
    """
    path = folder / f"{experiment}.json"
    if not is_stored(experiment, folder):
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json"))) or "none"
        raise FileNotFoundError(
            f"No run of {experiment!r} is stored in {folder}; of these there are: {known}. "
            f"`python -m tools.experiments {experiment}` makes them."
        )
    return [Run(experiment, **record) for record in json.loads(path.read_text("utf-8"))]


def write(run: Run, conditions: Sequence[str], folder: Path = RESULTS) -> None:
    """Put a run among the stored ones, in place of an older one of the same condition, seed and model.

    Several programs may write at once. A program that is killed here leaves the whole old file or the whole new one.

    Args:
        run: numbers are rounded to `DIGITS` decimals.
        conditions: all of the experiment, in their order.
    """
    path = folder / f"{run.experiment}.json"
    with FileLock(lock_file(run.experiment)):
        held = stored(run.experiment, folder) if is_stored(run.experiment, folder) else []
        kept = [one for one in held if _kind(one) != _kind(run)]
        ordered = sorted([*kept, run], key=lambda one: (one.seed, conditions.index(one.condition), one.model))
        lines = ",\n".join(json.dumps(_record(one), ensure_ascii=False) for one in ordered)
        part = path.with_suffix(".part")
        part.write_text(f"[\n{lines}\n]\n", "utf-8")
        part.replace(path)


def lock_file(name: str) -> Path:
    """The file that a program locks while it works under this name; in `runs/`, which is not part of the package."""
    folder = Path(__file__).parents[2] / "runs"
    folder.mkdir(exist_ok=True)
    return folder / f"{''.join(c if c.isalnum() else '-' for c in name)}.lock"


def of_condition(runs: Sequence[Run], condition: str) -> list[Run]:
    """The runs of one condition, by seed.

    Raises:
        ValueError: there are none.
    """
    found = sorted((run for run in runs if run.condition == condition), key=lambda run: run.seed)
    if not found:
        known = ", ".join(dict.fromkeys(run.condition for run in runs)) or "none"
        raise ValueError(f"No run with {condition!r} is stored. There are: {known}.")
    return found


def over_seeds(runs: Sequence[Run], condition: str, name: str) -> list[float]:
    """A measured number of one condition for each seed, in the order of the seeds.

    Raises:
        ValueError: no such run is stored.
    """
    return [run.measured[name] for run in of_condition(runs, condition)]


def mean_curve(runs: Sequence[Run], condition: str, name: str) -> list[float]:
    """A curve of one condition, the mean over the seeds at each point.

    Raises:
        ValueError: no such run is stored.
    """
    return [mean(values) for values in zip(*(run.curves[name] for run in of_condition(runs, condition)), strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The mean of some numbers and their range, "0.52 (0.48 to 0.56)"; one number alone where they are all alike."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), mean(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def beside(yours: Mapping[str, float], stored: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """A row for each number of a run of your own: the mean of the stored runs, and where yours should lie.

    Of 100 further runs that differ in their seed alone, 95 lie within mean +- t * s * sqrt(1 + 1/n), if the numbers are
    normally distributed: the prediction interval of n runs with standard deviation s. Few runs give a wide one, and of
    a single one nothing is known but its number.

    Args:
        yours: numbers by name.
        stored: the same numbers, and maybe others, of one run or more.
    """
    rows = []
    for name, value in yours.items():
        found = [one[name] for one in stored]
        middle, count = mean(found), len(found)
        row = {"measured": name, "yours": value, "stored" if count == 1 else f"mean of {count} stored": middle}
        if count > 1:
            reach = T_95[min(count - 1, len(T_95)) - 1] * stdev(found) * (1 + 1 / count) ** 0.5
            between = f"{middle - reach:.2f} to {middle + reach:.2f}"
            row |= {"95 in 100 lie": between, "inside": abs(value - middle) <= reach}
        rows.append(row)
    return rows


def _kind(run: Run) -> tuple[str, int, str]:
    return run.condition, run.seed, run.model


def _record(run: Run) -> dict[str, Any]:
    """What is written of a run: its numbers rounded, without the name of the file."""
    record = asdict(run) | {
        "measured": {name: round(number, DIGITS) + 0.0 for name, number in run.measured.items()},  # + 0.0: no -0.0
        "curves": {name: [round(number, DIGITS) + 0.0 for number in curve] for name, curve in run.curves.items()},
    }
    return {name: value for name, value in record.items() if name != "experiment"}
