"""The experiment that runs all patients, and what is drawn of it: `make clinic`.

Serves notebook 10 (claim H8), which shows ten patients at once, and runs parts of them live and compares.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go

from course.experiments import store
from course.experiments.clinic.patients import PATIENTS, agreement, drafts
from course.experiments.clinic.run import TITLES, Setup, small_ppo
from course.experiments.store import Experiment, Run
from course.models import load
from course.plots import panels
from course.plots.figures import BELOW, LEGEND_ROW
from course.rewards import true_reward
from course.world import SEEN, UNSEEN, country_questions

ITERATIONS = 10
HEALTHY = "healthy"
GREY = "#85857f"
LOWER = 36  # pixels, by which a row of plots is lower than others: the question about them is on the same screen


def run_patient(name: str, seed: int) -> Run:
    """The run of a patient, or the healthy one.

    Measured is the `agreement` of a reward that is not the true score; answers are kept of seed 0.
    """
    policy = load("mixed", device="cpu")
    setup = PATIENTS[name].setup(policy, seed) if name in PATIENTS else Setup()
    measured = {}
    run = small_ppo(policy, country_questions(SEEN), setup, iterations=ITERATIONS, seed=seed, title=name)
    if setup.reward is not true_reward:
        held_out = drafts(load("mixed", device="cpu"), country_questions(UNSEEN), seed)
        measured = dict(zip(("all pairs", "equally long"), agreement(setup.reward, held_out), strict=True))
    return replace(run, measured=measured, about=run.about if seed == 0 else {})


EXPERIMENTS = (Experiment("clinic", (HEALTHY, *PATIENTS), run_patient),)


def seeds() -> list[int]:
    """The seeds of which there are runs."""
    return sorted({run.seed for run in store.stored("clinic")})


def stored(patient: str, seed: int = 0) -> Run:
    """A stored run of a patient, or the healthy one.

    Raises:
        ValueError: there is no such run.
    """
    return store.of_condition([run for run in store.stored("clinic") if run.seed == seed], patient)[0]


def charts(*patients: str, curves: Sequence[str]) -> go.Figure:
    """Curves of some patients of seed 0, each beside the healthy run in grey.

    Args:
        patients: "A" to "J".
        curves: keys of `TITLES`, a plot for each.
    """
    runs = {name: stored(name).curves for name in (HEALTHY, *patients)}
    drawn = {
        TITLES[curve]: {name: (list(range(1, len(run[curve]) + 1)), run[curve]) for name, run in runs.items()}
        for curve in curves
    }
    names = " and ".join(filter(None, [", ".join(patients[:-1]), patients[-1]]))
    fig = panels(drawn, f"Patient{'s' * (len(patients) > 1)} {names}", "iteration")
    line, marker = {"color": GREY, "dash": "solid", "width": 5}, {"symbol": "circle", "size": 1, "color": GREY}
    fig.update_traces(line=line, marker=marker, selector={"name": HEALTHY})
    beside_the_title = {"y": 1, "yref": "container", "yanchor": "top", "x": 1, "xanchor": "right"}
    fig.update_layout(legend=beside_the_title, margin_b=BELOW)
    fig.layout.height -= LEGEND_ROW + LOWER * math.ceil(len(curves) / 2)
    return fig
