"""Run every method of lesson 12 on every kind of data and store what came of it: `make family`.

Writes results/family.json: the search for each method's settings, and the runs on several seeds. Interrupt
it whenever you like: what is stored is not run again. Takes about twenty minutes on two cores. Where the reference
values of TRL's losses (course/preferences/trl.json) are missing, they are written too.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from course.experiments.dpo_family import (
    BEFORE,
    FROM_BASE,
    PLAN,
    RATES,
    SEARCH_SEED,
    SEARCHED,
    STORED,
    TOO_LONG,
    Cell,
    Tried,
    pool_of,
    run_cell,
    stored,
    try_settings,
)
from course.models import load
from course.preferences import library

RUNS = Path(__file__).parent.parent / "runs"


def main() -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--conditions", choices=PLAN, nargs="+", default=list(PLAN), metavar="CONDITION")
    parser.add_argument("--methods", nargs="+", help="only these, by name")
    parser.add_argument("--part", choices=("search", "runs"), help="only the search for settings, or only the runs")
    chosen = parser.parse_args()
    if not library.STORED.exists():
        library.write()
    if chosen.part != "runs":
        search()
    if chosen.part == "search":
        return
    for seed in chosen.seeds:
        wanted = [("clean", BEFORE), (FROM_BASE, BEFORE)]
        wanted += [(condition, name) for condition in chosen.conditions for name in PLAN[condition]]
        if chosen.methods:
            wanted = [(condition, name) for condition, name in wanted if name in chosen.methods]
        done = {(cell.condition.removesuffix(", epoch 8"), cell.method) for cell in read()[0] if cell.seed == seed}
        missing = [cell for cell in wanted if cell not in done]
        pool = pool_of(load("mixed"), seed) if missing else None
        for condition, name in missing:
            for cell in run_cell(pool, condition, name)[1]:
                write(cell)


def search() -> None:
    done = {(tried.method, tried.settings, tried.rate) for tried in read()[1]}
    tries = [(name, method, rate) for name, methods in SEARCHED.items() for method in methods for rate in RATES]
    missing = [(name, method, rate) for name, method, rate in tries if (name, repr(method), rate) not in done]
    pool = pool_of(load("mixed"), SEARCH_SEED) if missing else None
    for name, method, rate in missing:
        write(try_settings(pool, name, method, rate))


def read() -> tuple[list[Cell], list[Tried]]:
    stored.cache_clear()
    return stored() if STORED.exists() else ([], [])


def write(new: Cell | Tried) -> None:
    """Put a run in its place among the stored ones; several of these programs may run at once."""
    print(new, flush=True)
    RUNS.mkdir(exist_ok=True)
    with FileLock(RUNS / "family.lock"):
        cells, tries = read()
        if isinstance(new, Cell):
            same = (new.condition, new.method, new.seed)
            rounded = {name: round(number, 4) for name, number in new.numbers.items()}
            cells = [cell for cell in cells if (cell.condition, cell.method, cell.seed) != same]
            cells = sorted([*cells, Cell(*same, rounded)], key=order)
        else:
            tries = [*tries, Tried(new.method, new.settings, new.rate, round(new.true_score, 4))]
        parts = {"search": tries, "runs": cells}
        lists = [
            f'"{name}": [\n' + ",\n".join(json.dumps(asdict(one)) for one in ones) + "\n]"
            for name, ones in parts.items()
        ]
        STORED.write_text("{" + ",\n".join(lists) + "}\n", "utf-8")


def order(cell: Cell) -> tuple[int, str, int, int]:
    """By condition as planned, then by method as planned, then by seed."""
    condition = TOO_LONG if cell.condition.startswith(TOO_LONG) else cell.condition
    names = (BEFORE, *PLAN[condition])
    return [*PLAN].index(condition), cell.condition, names.index(cell.method), cell.seed


if __name__ == "__main__":
    main()
