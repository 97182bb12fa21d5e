"""Exercises of lesson 12: many right ways to write them, and wrong ones with the hint that fits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid

from course.exercises import EXERCISES
from course.exercises.lesson_12 import ipo_per_token, orpo_push, reference_point
from course.losses.preference import ipo_loss, kto_loss, orpo_loss
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of

IPO, POINT, PUSH = (EXERCISES[f"12-{name}"] for name in ("ipo", "reference-point", "orpo-push"))


# ---- IPO ---------------------------------------------------------------------------------------------------


def ipo_by_loop(c, r, nc, nr, beta):
    rows = zip(*(part.tolist() for part in (c, r, nc, nr)), strict=True)
    return sum((a / n - b / k - 0.5 / beta) ** 2 for a, b, n, k in rows) / len(c)


@pytest.mark.parametrize(
    "attempt",
    [
        ipo_by_loop,
        lambda c, r, nc, nr, b: ((1 / (2 * b) - c / nc + r / nr) ** 2).mean(),
        lambda c, r, nc, nr, b: torch.nn.functional.mse_loss(c / nc - r / nr, torch.full_like(c, 0.5 / b)),
        lambda c, r, nc, nr, b: ipo_loss(c / nc, r / nr, c * 0, r * 0, beta=b).loss,
    ],
)
def test_ipo_right(attempt):
    assert grade(IPO, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda c, r, nc, nr, b: ((c - r - 1 / (2 * b)) ** 2).mean(), "sums"),
        (lambda c, r, nc, nr, b: ((c / nc - r / nr - 1 / b) ** 2).mean(), "target_1_over_beta"),
        (lambda c, r, nc, nr, b: ((c / nc - r / nr - 1 / 2 * b) ** 2).mean(), "half_beta"),
        (lambda c, r, nc, nr, b: ((r / nr - c / nc - 1 / (2 * b)) ** 2).mean(), "swapped"),
        (lambda c, r, nc, nr, b: ((c / nc - r / nr - 1 / (2 * b)) ** 2).sum(), "summed"),
        (lambda c, r, nc, nr, b: ((c / nc).mean() - (r / nr).mean() - 1 / (2 * b)) ** 2, "mean_first"),
        (lambda c, r, nc, nr, b: torch.relu(1 / (2 * b) - (c / nc - r / nr)).pow(2).mean(), "one_sided"),
        (lambda c, r, nc, nr, b: -torch.nn.functional.logsigmoid(b * (c / nc - r / nr)).mean(), "dpo"),
        (lambda c, r, nc, nr, b: (c / nc - r / nr - 1 / (2 * b)) ** 2, None),
    ],
)
def test_ipo_wrong(attempt, mistake):
    assert verdict_of(IPO, attempt) == ("wrong", mistake)


RATIOS = st.lists(
    st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6
)


@settings(deadline=None)
@given(RATIOS, st.floats(0.05, 5))
def test_ipo_is_the_packages(rows, beta):
    c, r, nc, nr = (torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True))
    ref = torch.full_like(c, -3.0)
    expected = ipo_loss(c / nc + ref, r / nr + ref, ref, ref, beta=beta).loss
    assert float(ipo_per_token(c, r, nc, nr, beta)) == pytest.approx(float(expected), rel=1e-6, abs=1e-9)


# ---- KTO's reference point ---------------------------------------------------------------------------------


def point_by_loop(policy, ref):
    count = len(policy)
    moved = [float(policy[i, (i + 1) % count] - ref[i, (i + 1) % count]) for i in range(count)]
    return max(0.0, sum(moved) / count)


@pytest.mark.parametrize(
    "attempt",
    [
        point_by_loop,
        lambda p, r: torch.relu((p - r).roll(-1, 1).diagonal().mean()),
        lambda p, r: max(0.0, float(np.trace(np.roll((p - r).numpy(), -1, 1))) / len(p)),
    ],
)
def test_point_right(attempt):
    assert grade(POINT, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda p, r: (p - r).diag().mean().clamp(min=0), "matched"),
        (lambda p, r: (p - r).roll(-1, 1).diagonal().mean(), "no_floor"),
        (lambda p, r: (p - r).roll(-1, 1).diagonal().relu().mean(), "floor_first"),
        (lambda p, r: (p - r).roll(1, 1).diagonal().mean().clamp(min=0), "wrong_neighbour"),
        (lambda p, r: (p - r).diagonal(1).mean().clamp(min=0), "last_lost"),
        (lambda p, r: torch.relu((p - r).mean()), "all_pairs"),
        (lambda p, r: torch.relu((r - p).roll(-1, 1).diagonal().mean()), "swapped"),
        (lambda p, r: (p - r).roll(-1, 1).diagonal().mean().abs(), "size"),
        (lambda p, r: 0.0, None),
    ],
)
def test_point_wrong(attempt, mistake):
    assert verdict_of(POINT, attempt) == ("wrong", mistake)


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_the_point_is_the_one_in_the_packages_loss(count, seed):
    generator = torch.Generator().manual_seed(seed)
    policy, ref = (-5 * torch.rand(count, count, generator=generator) for _ in range(2))
    at, after = torch.arange(count), (torch.arange(count) + 1) % count
    diagonal = policy.diagonal(), ref.diagonal()
    found = kto_loss(diagonal[0], policy[0, :0], diagonal[1], ref[0, :0], policy[at, after], ref[at, after])
    assert found.metrics["kl"] == pytest.approx(float(reference_point(policy, ref)), abs=1e-6)


# ---- ORPO's push -------------------------------------------------------------------------------------------


def log_odds(logps):
    return logps.mean() - torch.log(-torch.expm1(logps.mean()))


def pushed(log_odds_of):
    return lambda c, r, lam: -lam * logsigmoid(log_odds_of(c) - log_odds_of(r))


def by_plain_numbers(chosen, rejected, lam):
    means = [sum(side.tolist()) / len(side) for side in (chosen, rejected)]
    one, other = (x - math.log(-math.expm1(x)) for x in means)
    return lam * math.log1p(math.exp(other - one))


@pytest.mark.parametrize(
    "attempt",
    [
        pushed(log_odds),
        by_plain_numbers,
        lambda c, r, lam: lam * torch.nn.functional.softplus(log_odds(r) - log_odds(c)),
        lambda c, r, lam: orpo_loss(c.mean()[None], r.mean()[None], torch.zeros(()), lam=lam).loss,
    ],
)
def test_push_right(attempt):
    assert grade(PUSH, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (pushed(lambda m: torch.log(m.mean().exp() / (1 - m.mean().exp()))), "runs_out"),
        (pushed(lambda m: m.mean() - torch.log(1 - m.mean().exp())), "runs_out"),
        (pushed(lambda m: torch.logit(m.mean().exp())), "runs_out"),
        (pushed(lambda m: log_odds(m.sum()[None])), "sums"),
        (pushed(lambda m: m.mean()), "probabilities"),
        (pushed(lambda m: (m - torch.log(-torch.expm1(m))).mean()), "per_token"),
        (pushed(lambda m: m.mean() + torch.log(-torch.expm1(m.mean()))), "added"),
        (pushed(lambda m: m.mean() - torch.log(1 - m.mean())), "of_logs"),
        (pushed(lambda m: -log_odds(m)), "swapped"),
        (lambda c, r, lam: lam * logsigmoid(log_odds(c) - log_odds(r)), "no_minus"),
        (lambda c, r, lam: -logsigmoid(log_odds(c) - log_odds(r)), "no_lam"),
        (lambda c, r, lam: -logsigmoid(lam * (log_odds(c) - log_odds(r))), "lam_inside"),
        (lambda c, r, lam: -lam * (log_odds(c) - log_odds(r)), "no_sigmoid"),
        (lambda c, r, lam: -lam * logsigmoid(log_odds(c).exp() / log_odds(r).exp()), "odds_ratio"),
        (lambda c, r, lam: lam * torch.sigmoid(log_odds(r) - log_odds(c)), "no_logarithm"),
        (lambda c, r, lam: lam * (c.mean() - r.mean()), None),
    ],
)
def test_push_wrong(attempt, mistake):
    assert verdict_of(PUSH, attempt) == ("wrong", mistake)


@settings(deadline=None)
@given(st.floats(-20, -1e-12), st.floats(-20, -1e-12), st.floats(0.01, 3))
def test_the_push_is_that_of_the_packages_loss(one, other, lam):
    chosen, rejected = torch.tensor([one], dtype=torch.float64), torch.tensor([other], dtype=torch.float64)
    expected = orpo_loss(chosen, rejected, torch.zeros((), dtype=torch.float64), lam=lam).loss
    assert float(orpo_push(chosen, rejected, lam)) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
