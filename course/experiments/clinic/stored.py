"""Runs that were made beforehand, so that a lesson can show ten patients at once: `make clinic` makes them again.

Serves notebook 10 (claim H8), which runs parts of them live and compares.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from course.experiments.clinic.run import TITLES, Record
from course.plots import panels

FILE = Path(__file__).parents[1] / "results" / "clinic.json"
HEALTHY = "healthy"
GREY = "#85857f"


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def seeds() -> list[int]:
    """The seeds of which there are runs."""
    return sorted(int(seed) for seed in _read()["runs"])


def stored(patient: str, seed: int = 0) -> Record:
    """A stored run of a patient, or the healthy one; answers are kept of seed 0.

    Raises:
        ValueError: there is no such run.
    """
    runs = _read()["runs"].get(str(seed), {})
    if patient not in runs:
        known = ", ".join(_read()["runs"]["0"])
        raise ValueError(f"There is no stored run {patient!r} of seed {seed}; there are {known} of seeds {seeds()}.")
    run = runs[patient]
    first, last = ([(asked, text) for asked, text in run.get(part, [])] for part in ("first", "last"))
    agreement = run.get("agreement")
    return Record(run["history"], first, last, agreement and (agreement[0], agreement[1]))


def charts(*patients: str, curves: Sequence[str], seed: int = 0, title: str = "") -> go.Figure:
    """Curves of some patients, each beside the healthy run in grey.

    Args:
        patients: "A" to "J".
        curves: keys of `TITLES`, a plot for each.
        seed: of the stored runs.
    """
    records = {HEALTHY: stored(HEALTHY, seed)} | {patient: stored(patient, seed) for patient in patients}
    drawn = {
        TITLES[curve]: {
            name: (list(range(1, len(record.history[curve]) + 1)), record.history[curve])
            for name, record in records.items()
        }
        for curve in curves
    }
    names = " and ".join(filter(None, [", ".join(patients[:-1]), patients[-1]]))
    fig = panels(drawn, title or f"Patient{'s' * (len(patients) > 1)} {names}, beside a healthy run", "iteration")
    grey = {
        "line": {"color": GREY, "dash": "solid", "width": 5},
        "marker": {"symbol": "circle", "size": 1, "color": GREY},
    }
    fig.for_each_trace(lambda trace: trace.update(grey), selector={"name": HEALTHY})
    return fig
