"""Run every cure of lesson 10 on several seeds and store what came of it: `make cures`.

Writes results/cures.json, which the notebook draws with its spread over seeds. Interrupt it whenever you like: what is
stored is not run again, unless it is asked for with --again. Takes about half an hour on two cores.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from course.experiments.reward_hacking import (
    BEFORE,
    CURES,
    FORMAT_CURES,
    STORED,
    Case,
    Treated,
    cured_runs,
    format_case,
    length_case,
    symptoms,
    treat,
    treat_format,
)
from course.models import load

RUNS = Path(__file__).parent.parent / "runs"
KEPT = {"reward": "reward", "watch": "true score", "kl": "kl", "entropy": "entropy", "length": "length"}
CASES = {"length": (length_case, treat, CURES), "format": (format_case, treat_format, FORMAT_CURES)}


def main() -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--cures", nargs="+", help="only these, by name")
    parser.add_argument("--again", action="store_true", help="run also what is stored")
    chosen = parser.parse_args()
    mixed = load("mixed")
    for seed in chosen.seeds:
        for name in chosen.case:
            make, run, cures = CASES[name]
            wanted = [cure for cure in (BEFORE, *cures) if not chosen.cures or cure in chosen.cures]
            done = set() if chosen.again else {one.cure for one in read() if (one.case, one.seed) == (name, seed)}
            missing = [cure for cure in wanted if cure not in done]
            case = make(mixed, seed) if missing else None
            for cure in missing:
                write(measured(name, cure, case, run))


def measured(name: str, cure: str, case: Case, run) -> Treated:
    if cure == BEFORE:
        return Treated(name, cure, case.seed, {}, rounded(symptoms(case.policy, case.judge, case.seed)))
    policy, made = run(case, cure)
    curves = {title: [round(past[key], 4) for past in made.history] for key, title in KEPT.items()}
    return Treated(name, cure, case.seed, curves, rounded(symptoms(policy, case.judge, case.seed)))


def rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 4) for name, number in numbers.items()}


def read() -> list[Treated]:
    return cured_runs() if STORED.exists() else []


def write(new: Treated) -> None:
    """Put a run in its place among the stored ones; several of these programs may run at once."""
    said = ", ".join(f"{name} {number:.2f}" for name, number in new.symptoms.items())
    print(f"{new.case}, seed {new.seed}, {new.cure}: {said}", flush=True)
    RUNS.mkdir(exist_ok=True)
    with FileLock(RUNS / "hacking.lock"):
        others = [one for one in read() if (one.case, one.cure, one.seed) != (new.case, new.cure, new.seed)]
        ordered = sorted([*others, new], key=lambda one: (one.case, one.seed, order(one)))
        lines = ",\n".join(json.dumps(asdict(one)) for one in ordered)
        STORED.write_text(f"[\n{lines}\n]\n", "utf-8")


def order(run: Treated) -> int:
    return (BEFORE, *CASES[run.case][2]).index(run.cure)


if __name__ == "__main__":
    main()
