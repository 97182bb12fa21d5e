"""Sweep DPO's beta, and run the remedies of lesson 11, on several seeds: `make betas` and `make remedies`.

Writes betas.json and remedies.json, which the notebook draws with their spread. Interrupt it
whenever you like: what is stored is not run again. After a change of the `mixed` checkpoint, of the sampling or of the
loss, delete the file first. Each of the two takes about ten minutes on two cores.
"""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from course.experiments.dpo_sweeps import (
    BEFORE,
    BETAS,
    BETAS_STORED,
    LENGTH_REMEDIES,
    REMEDIES_STORED,
    SKILL_REMEDIES,
    Made,
    forgetful_labels,
    often_compared,
    skills,
    stored_runs,
    sweep,
    symptoms,
    with_length_remedy,
    with_skill_remedy,
    wordy_labels,
)
from course.models import LM, load

RUNS = Path(__file__).parent.parent / "runs"
FILES = {"betas": BETAS_STORED, "remedies": REMEDIES_STORED}
SETTINGS = {
    ("betas", "beta"): tuple(map(str, BETAS)),
    ("remedies", "length"): (BEFORE, *LENGTH_REMEDIES),
    ("remedies", "skills"): (BEFORE, *SKILL_REMEDIES),
}


def main() -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", choices=FILES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    chosen = parser.parse_args()
    mixed = load("mixed")
    for seed in chosen.seeds:
        for (file, case), settings in SETTINGS.items():
            if file == chosen.file:
                for made in missing(mixed, case, settings, seed, FILES[file]):
                    write(FILES[file], made)


def missing(mixed: LM, case: str, settings: tuple[str, ...], seed: int, path: Path) -> Iterator[Made]:
    """The runs of this case and seed that are not stored, each as soon as it is made."""
    wanted = [one for one in settings if (case, one, seed) not in {(m.case, m.setting, m.seed) for m in read(path)}]
    labels = {"beta": often_compared, "length": wordy_labels, "skills": forgetful_labels}[case]
    records = labels(mixed, seed) if wanted else []
    for setting in wanted:
        if case == "beta":
            yield sweep(mixed, records, float(setting), seed)[1]
            continue
        train = with_length_remedy if case == "length" else with_skill_remedy
        policy = mixed if setting == BEFORE else train(mixed, records, setting, seed)[0]
        measured = symptoms(policy, mixed, seed) | (skills(policy, seed) if case == "skills" else {})
        yield Made(case, setting, seed, measured)


def read(path: Path) -> list[Made]:
    return stored_runs(path) if path.exists() else []


def write(path: Path, new: Made) -> None:
    """Put a run in its place among the stored ones; several of these programs may run at once."""
    print(f"{new.case}, seed {new.seed}, {new.setting}: {rounded(new.measured)}", flush=True)
    record = asdict(new) | {"measured": rounded(new.measured)}
    record["curves"] = {name: [round(value, 4) for value in values] for name, values in new.curves.items()}
    order = [(case, setting) for (_, case), settings in SETTINGS.items() for setting in settings]
    RUNS.mkdir(exist_ok=True)
    with FileLock(RUNS / f"{path.stem}.lock"):
        held = sorted([*read(path), Made(**record)], key=lambda one: (one.seed, order.index((one.case, one.setting))))
        path.write_text("[\n" + ",\n".join(json.dumps(asdict(one)) for one in held) + "\n]\n", "utf-8")


def rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 4) for name, number in numbers.items()}


if __name__ == "__main__":
    main()
