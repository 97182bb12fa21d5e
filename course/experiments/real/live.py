"""One stored run on a real model, made again by the learner: the cell at the end of each lesson's real part."""

import os
from statistics import median

from course import SEED
from course.experiments.real import EXPERIMENTS
from course.experiments.real.start import SMOLLM2, asked_for
from course.experiments.store import beside, of_condition, stored
from course.show import show_table
from course.smollm2 import PACKAGED, is_kept
from course.stops import unfinished


def run_live(experiment: str, condition: str, model: str = "") -> None:
    """Make one run on a real model here and show it beside the stored ones; without a model, say what it would take.

    Args:
        experiment, condition: as they are stored.
        model: "smollm2", a name on the hub or a folder; where none is given, the one that the environment variable
            COURSE_MODEL names. The stored runs are SmolLM2's: another model's numbers may lie outside of their range.
    Raises:
        ValueError: no such run is stored.
        CannotLoad: as `course.models.load`.
    """
    runs = [run for run in of_condition(stored(experiment), condition) if run.model == SMOLLM2]
    if not (model or asked_for()):
        minutes = median(run.about["seconds"] for run in runs) / 60
        memory = max(run.about["MB"] for run in runs) / 1000
        fetched = "" if is_kept(SMOLLM2) else f", and {PACKAGED[SMOLLM2].size / 1e6:.0f} MB are fetched once"
        what = f"Not run yet. With model={SMOLLM2!r} in the brackets it takes about {minutes:.1f} minutes on two cores"
        print(f"{what} and {memory:.1f} GB of memory{fetched}.")
        return
    os.environ["COURSE_MODEL"] = model or asked_for()
    run = next(one for one in EXPERIMENTS if one.name == experiment).run(condition, SEED)
    if unfinished:
        print("You stopped the training before its end, so there is nothing to compare yet.")
        return
    title = f"{condition}: {run.model} here, beside the stored runs of {SMOLLM2}"
    show_table(beside(run.measured, [one.measured for one in runs]), title)
