"""The clinic's exercises in lesson 10: many right ways to write them, and wrong ones with the hint that fits."""

import pytest
import torch

from course.exercises import EXERCISES
from course.experiments.clinic.run import policy_loss
from course.study.judge import judge

TRIAGE, REPAIR = EXERCISES["10-triage"], EXERCISES["10-repair"]


def verdict_of(exercise, attempt):
    verdict = judge(exercise, attempt)
    return verdict.kind, verdict.mistake


def chain(curves):
    def late(name):
        return torch.tensor(curves[name][-3:]).mean()

    found = [
        (curves["entropy"][0] > 0.9, "prompt"),
        (all(spread < 1e-5 for spread in curves["reward_std"]), "signal"),
        (all(-0.001 <= kl <= 0.001 for kl in curves["kl"]), "gradient"),
        (late("reward") > curves["reward"][0] and late("true") < curves["true"][0] - 0.15, "reward"),
        (late("kl") > 8, "kl"),
        (True, "healthy"),
    ]
    return next(name for holds, name in found if holds)


def without(name):
    """Triage that has forgotten one of its questions."""
    order = ["prompt", "signal", "gradient", "reward", "kl"]
    rules = {
        "prompt": lambda c: c["entropy"][0] > 0.9,
        "signal": lambda c: max(c["reward_std"]) < 1e-5,
        "gradient": lambda c: max(map(abs, c["kl"])) <= 0.001,
        "reward": lambda c: (
            sum(c["reward"][-3:]) / 3 > c["reward"][0] and sum(c["true"][-3:]) / 3 < c["true"][0] - 0.15
        ),
        "kl": lambda c: sum(c["kl"][-3:]) / 3 > 8,
    }
    return lambda curves: next((n for n in order if n != name and rules[n](curves)), "healthy")


def test_triage_right():
    assert judge(TRIAGE, chain).kind == "right"


@pytest.mark.parametrize("name", ["prompt", "signal", "gradient", "reward", "kl"])
def test_triage_needs_every_question(name):
    assert verdict_of(TRIAGE, without(name)) == ("wrong", None)


def test_triage_of_the_first_value_instead_of_the_late_mean():
    assert judge(TRIAGE, lambda curves: chain({**curves, "kl": curves["kl"][:1]})).kind == "wrong"


def by_autograd(loss):
    """The gradient of a loss of (logps, old_logps, advantages, mask) with respect to logps."""

    def gradient(logps, old_logps, advantages, mask):
        logps = logps.clone().requires_grad_()
        return torch.autograd.grad(loss(logps, old_logps, advantages, mask), logps)[0]

    return gradient


def ratio(logps, old_logps):
    return (logps - old_logps).exp()


@pytest.mark.parametrize(
    "loss",
    [
        lambda new, old, a, m: -(ratio(new, old) * a * m).sum() / m.sum(),
        lambda new, old, a, m: -(ratio(new, old) * a)[m.bool()].mean(),
        lambda new, old, a, m: policy_loss(new, old, a, m, 1e9),
        lambda new, old, a, m: -(new * (ratio(new, old) * a).detach() * m).sum() / m.sum(),
    ],
)
def test_repair_right(loss):
    assert judge(REPAIR, by_autograd(loss)).kind == "right"


@pytest.mark.parametrize(
    ("loss", "mistake"),
    [
        (lambda new, old, a, m: -(ratio(new, new.clone()) * a * m).sum() / m.sum(), "no_gradient"),
        (lambda new, old, a, m: -(ratio(new, new.detach()) * a * m).sum() / m.sum(), "detached"),
        (lambda new, old, a, m: (ratio(new, old) * a * m).sum() / m.sum(), "wrong_sign"),
        (lambda new, old, a, m: -(ratio(new, old) * a * m).sum(), "sum"),
        (lambda new, old, a, m: (ratio(new, old) * a * m).sum(), "sum_wrong_sign"),
        (lambda new, old, a, m: -(ratio(new, old) * a * m).mean(), "mean_of_all"),
        (lambda new, old, a, m: -((ratio(new, old) * a * m).sum(1) / m.sum(1)).mean(), "per_answer"),
        (lambda new, old, a, m: -(ratio(new, old) * a).sum() / m.sum(), "unmasked"),
        (lambda new, old, a, m: -(ratio(old, new) * a * m).sum() / m.sum(), None),
        (lambda new, old, a, m: -(new * a * m).sum() / m.sum(), "detached"),
    ],
)
def test_repair_wrong(loss, mistake):
    assert verdict_of(REPAIR, by_autograd(loss)) == ("wrong", mistake)
