"""The debugging clinic: faulty PPO runs, shown by their curves, named by the learner and repaired.

Serves notebook 10 (claim H8). `run` is PPO on one page, `stored` has the runs of all patients, `triage` says what to
look at first. Leave `patients` for last: it says what each of them is ill with.
"""

from course.experiments.clinic.patients import PATIENTS, agreement, reveal
from course.experiments.clinic.run import TITLES, Setup, small_ppo
from course.experiments.clinic.stored import EXPERIMENTS, charts, seeds, stored
from course.experiments.clinic.triage import RULES, decision_order, triage
