"""Run the notebooks on several seeds and set out in one table how often each claim held, and by how much.

    python -m tools.claims_report --seeds 0 1 2 [--only 01 ...] [--store]

Every run of a notebook on a seed is kept in runs/claims and is not repeated until the notebook or the course changes,
so an interrupted report goes on where it stopped. The table is printed and written to runs/claims-report.md.
With --store the numbers of the claims that are asked of a real model as well go into course/experiments/results, where
the lessons find them to show them beside the real model's.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course.experiments import store
from course.experiments.real.verdicts import ASKED
from tools import notebook_form as form
from tools import notebooks

RUNS = form.ROOT / "runs"
KEPT = RUNS / "claims"
REPORT = RUNS / "claims-report.md"
HEADINGS = ("claim", "notebook", "held / run", "measured: mean (least to most over the seeds)", "kind", "said to hold")


@dataclass(frozen=True)
class Run:
    """One notebook on one seed: the records of its claims in order, and what else went wrong."""

    notebook: str
    seed: int
    claims: list[dict[str, Any]]
    errors: list[str]


def fingerprint(path: Path) -> str:
    """A hash of all that can change a notebook's claims: its code, the package, its checkpoints and its quizzes."""
    digest = hashlib.sha256()
    for cell in form.code_cells(notebooks.read(path)):
        digest.update(cell.source.encode() + b"\0")
    for folder in ("course", "quizzes"):
        for file in sorted((form.ROOT / folder).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(str(file.relative_to(form.ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def read_claims(log: Path) -> list[dict[str, Any]]:
    """The records that `course.claims.claim` appended to the file, one JSON object a line."""
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def other_errors(notebook: NotebookNode) -> list[str]:
    """What the cells raised, failed claims left out: those are in the log."""
    return [
        f"cell {number}: {output.ename}: {output.evalue}"
        for number, cell in enumerate(notebook.cells, start=1)
        for output in cell.get("outputs", [])
        if output.output_type == "error" and output.ename != "ClaimFailed"
    ]


def run(path: Path, seed: int) -> Run:
    """The notebook's claims on one seed, from the kept run if it is still good, else from a fresh one."""
    kept, mark = KEPT / f"{path.stem}-seed{seed}.json", fingerprint(path)
    if kept.exists():
        stored = json.loads(kept.read_text("utf-8"))
        if stored.pop("fingerprint") == mark:
            print(f"{path.name}, seed {seed}: kept", flush=True)
            return Run(**stored)
    print(f"{path.name}, seed {seed}: ", end="", flush=True)
    notebook = notebooks.read(path)
    with tempfile.TemporaryDirectory(prefix="course-claims-", ignore_cleanup_errors=True) as home:
        log = Path(home) / "claims.jsonl"
        env = notebooks.environment(Path(home), seed)
        env |= {"COURSE_CLAIMS_LOG": str(log), "COURSE_NOTEBOOK": path.stem}
        try:
            measured = notebooks.execute(notebook, path.parent, env, keep_going=True)
        except (CellTimeoutError, DeadKernelError) as error:  # not kept: the next report tries again
            why = notebooks.no_end(error)
            print(f"stopped, because\n{why}", flush=True)
            return Run(path.stem, seed, read_claims(log), [why.partition("\n")[0]])
        result = Run(path.stem, seed, read_claims(log), other_errors(notebook))
    print(form.measured_text(measured), flush=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(vars(result) | {"fingerprint": mark}, indent=1), "utf-8")
    return result


def _number(value: float) -> str:
    return f"{value:.3g}"


def single_values(evidence: dict[str, Any]) -> dict[str, Any]:
    """The evidence with a name for each value: those of a list "KL" are "KL[0]", "KL[1]" and so on."""
    values = {}
    for name, value in evidence.items():
        values |= {f"{name}[{i}]": part for i, part in enumerate(value)} if isinstance(value, list) else {name: value}
    return values


def effect(evidence: list[dict[str, Any] | str]) -> str:
    """What a claim measured on each seed, in words: a number's mean and spread, a text's different values."""
    if not all(isinstance(one, dict) for one in evidence):
        return "; ".join(dict.fromkeys(map(str, evidence)))
    values: dict[str, list[Any]] = defaultdict(list)
    for one in evidence:
        for name, part in single_values(one).items():
            values[name].append(part)
    said = []
    for name, found in values.items():
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
            said.append(f"{name} {' | '.join(dict.fromkeys(map(str, found)))}")
        elif min(found) == max(found):
            said.append(f"{name} {_number(found[0])}")
        else:
            said.append(f"{name} {_number(fmean(found))} ({_number(min(found))} to {_number(max(found))})")
    return ", ".join(said)


def rows(runs: Iterable[Run]) -> list[tuple[str, ...]]:
    """One row for each claim of each notebook; a second claim of the same name in a notebook gets a row of its own."""
    seeds: dict[str, int] = defaultdict(int)
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in runs:
        seeds[one.notebook] += 1
        calls: dict[str, int] = defaultdict(int)
        for record in one.claims:
            calls[record["claim"]] += 1
            nth = calls[record["claim"]]
            found[one.notebook, record["claim"] + (f" ({nth})" if nth > 1 else "")].append(record)
    table = []
    for (notebook, name), records in found.items():
        held, ran = sum(record["held"] for record in records), len(records)
        missing = f", not reached on {seeds[notebook] - ran}" if ran < seeds[notebook] else ""
        said = "yes" if all(record["reproduced"] for record in records) else "no, not with this model"
        kind, measured = records[0]["kind"], effect([record["evidence"] for record in records])
        table.append((name, notebook, f"{held} / {ran}{missing}", measured, kind, said))
    return table


def store_toy(runs: Iterable[Run], folder: Path = store.RESULTS) -> None:
    """Store what is shown beside a real model of the claims that it is asked too, and whether each `held`."""
    for one in runs:
        for record in one.claims:
            if record["claim"] in ASKED:
                values = single_values(record["evidence"])
                shown = {row.toy: values[row.toy] for row in ASKED[record["claim"]].rows if row.toy}
                measured = shown | {"held": float(record["held"])}
                run = store.Run("toy", record["claim"], one.seed, one.notebook, measured)
                store.write(run, tuple(ASKED), folder)


def render(runs: list[Run], seeds: list[int]) -> str:
    """The report as Markdown whose columns also line up in a terminal."""
    table = [HEADINGS, *rows(runs)]
    table = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in table]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    broken = [f"- {one.notebook}, seed {one.seed}: {error}" for one in runs for error in one.errors]
    title = f"# Claims, measured on seeds {', '.join(map(str, seeds))}\n"
    return "\n".join([title, *lines, *(["\nCells that raised something else:\n", *broken] if broken else [])]) + "\n"


def all_well(runs: Iterable[Run]) -> bool:
    """Whether nothing broke and every claim that is said to hold did hold."""
    return not any(run.errors or any(c["reproduced"] and not c["held"] for c in run.claims) for run in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[], metavar="NB", help="beginnings of notebooks' names")
    parser.add_argument("--store", action="store_true", help="keep the numbers that lessons show beside a real model's")
    arguments = parser.parse_args()
    try:
        paths = notebooks.find(arguments.only)
    except FileNotFoundError as error:
        parser.error(str(error))
    runs = [run(path, seed) for path in paths for seed in arguments.seeds]
    if arguments.store:
        store_toy(runs)
    report = render(runs, arguments.seeds)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report, "utf-8")
    print(f"\n{report}\nWritten to {REPORT.relative_to(form.ROOT)}.")
    return 0 if all_well(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
