"""The debugging clinic: faulty PPO runs, shown by their curves, named by the learner and repaired.

Serves notebook 10 (claim H8). `run` is PPO on one page, `stored` has the patients' curves, `triage` says what to look
at first. Leave `patients` for last: it says what each of them is ill with.
"""

from course.experiments.clinic.patients import PATIENTS, Patient, agreement, drafts, reveal
from course.experiments.clinic.run import TITLES, Record, Setup, small_ppo
from course.experiments.clinic.stored import charts, seeds, stored
from course.experiments.clinic.triage import RULES, Rule, decision_order, triage

__all__ = [
    "PATIENTS",
    "RULES",
    "TITLES",
    "Patient",
    "Record",
    "Rule",
    "Setup",
    "agreement",
    "charts",
    "decision_order",
    "drafts",
    "reveal",
    "seeds",
    "small_ppo",
    "stored",
    "triage",
]
