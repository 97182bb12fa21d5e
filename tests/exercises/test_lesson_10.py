"""Exercises of lesson 10: many right ways to write them, and wrong ones with the hint that fits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.exercises.lesson_10 import cautious, flattery, when_to_stop
from course.experiments.clinic.run import policy_loss
from course.rewards import Ensemble
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of

REPLIES, CAUTION, STOP = (EXERCISES[f"10-{name}"] for name in ("flattery", "cautious", "when-to-stop"))


# ---- flattery ----------------------------------------------------------------------------------------------


def by_loop(replies):
    agreed, asked = [0, 0], [0, 0]
    for right, agrees in replies:
        asked[right] += 1
        agreed[right] += agrees is True
    return [agreed[0] / asked[0], agreed[1] / asked[1]]


def in_numpy(replies):
    right = np.array([opinion for opinion, _ in replies])
    said = np.array([bool(agrees) for _, agrees in replies])
    return said[~right].mean(), said[right].mean()


@pytest.mark.parametrize("attempt", [by_loop, in_numpy])
def test_flattery_right(attempt):
    assert grade(REPLIES, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda replies: by_loop(replies)[::-1], "swapped"),
        (lambda replies: by_loop([(r, a is not False) for r, a in replies]), "none_counts"),
        (lambda replies: by_loop([reply for reply in replies if reply[1] is not None]), "none_left_out"),
        (lambda replies: np.mean([a is True for _, a in replies]), "one_number"),
        (lambda replies: by_loop(replies)[0], "wrong_only"),
        (lambda replies: [1 - share for share in by_loop(replies)], None),
        (lambda replies: by_loop(replies)[1], None),
        (lambda replies: by_loop(replies)[0] - by_loop(replies)[1], None),
    ],
)
def test_flattery_wrong(attempt, mistake):
    assert verdict_of(REPLIES, attempt) == ("wrong", mistake)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), max_size=20))
def test_who_always_agrees_has_two_ones(replies):
    both = [(False, None), (True, None), *replies]
    assert flattery([(right, True) for right, _ in both]) == (1, 1)
    wrong, right = flattery(both)
    count = sum(opinion for opinion, _ in both)
    assert wrong * (len(both) - count) + right * count == pytest.approx(sum(agrees is True for _, agrees in both))


# ---- the cautious score ------------------------------------------------------------------------------------


def judge_by_judge(scores, usual):
    units = [(row - before.mean()) / before.std() for row, before in zip(scores, usual, strict=True)]
    return [min(each) for each in zip(*(unit.tolist() for unit in units), strict=True)]


def in_numpy_units(scores, usual):
    scores, usual = scores.numpy(), usual.numpy()
    return ((scores - usual.mean(1)[:, None]) / usual.std(1, ddof=1)[:, None]).min(0)


@pytest.mark.parametrize("attempt", [judge_by_judge, in_numpy_units])
def test_cautious_right(attempt):
    assert grade(CAUTION, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda scores, usual: scores.min(0).values, "raw"),
        (lambda scores, usual: (scores - usual.mean(1)[:, None]).min(0).values, "not_scaled"),
        (lambda scores, usual: in_numpy_units(scores, scores), "own_answers"),
        (lambda scores, usual: (scores.numpy() - usual.numpy().mean()) / usual.numpy().std(), None),
        (lambda scores, usual: -cautious(-scores, -usual), "largest"),
        (lambda scores, usual: cautious(scores, usual).mean(), None),
        (lambda scores, usual: cautious(scores, usual)[:, None], None),
    ],
)
def test_cautious_wrong(attempt, mistake):
    assert verdict_of(CAUTION, attempt) == ("wrong", mistake)


def test_the_cautious_score_is_the_ensembles():
    scores, usual = torch.randn(3, 5), torch.randn(3, 8)
    asked, texts = ["?"] * 5, [str(i) for i in range(5)]
    members = [
        lambda prompts, given, k=k: (scores[k, [int(text) for text in given]] - usual[k].mean()) / usual[k].std()
        for k in range(3)
    ]
    torch.testing.assert_close(cautious(scores, usual), Ensemble(members).minimum(asked, texts))


@given(st.floats(0.1, 10), st.floats(-50, 50))
def test_a_judges_zero_and_scale_change_nothing(scale, zero):
    torch.manual_seed(0)
    scores, usual = torch.randn(2, 4).double(), torch.randn(2, 6).double()
    moved = torch.tensor([[scale], [1.0]]), torch.tensor([[zero], [0.0]])
    torch.testing.assert_close(
        cautious(scores * moved[0] + moved[1], usual * moved[0] + moved[1]), cautious(scores, usual)
    )


# ---- when to stop ------------------------------------------------------------------------------------------


def by_convolution(proxy, truth, window):
    means = np.convolve(truth, np.ones(window) / window, mode="valid")
    return int(np.argmax(np.round(means, 9))) + window


def by_search(proxy, truth, window):
    best, found = -1.0, None
    for end in range(window, len(truth) + 1):
        mean = sum(truth[end - window : end]) / window
        if mean > best:
            best, found = mean, end
    return found


@pytest.mark.parametrize("attempt", [by_convolution, by_search])
def test_stop_right(attempt):
    assert grade(STOP, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda proxy, truth, window: by_search(proxy, truth, window) - 1, "from_zero"),
        (lambda proxy, truth, window: by_search(truth, proxy, window), "by_proxy"),
        (lambda proxy, truth, window: int(np.argmax(truth)) + 1, "no_window"),
        (lambda proxy, truth, window: by_search(proxy, truth, window) - window + 1, "window_begins"),
        (lambda proxy, truth, window: len(proxy), "last"),
        (lambda proxy, truth, window: max(truth), None),
        (lambda proxy, truth, window: by_search(proxy, truth, window) + 1, None),
        (lambda proxy, truth, window: None, None),
    ],
)
def test_stop_wrong(attempt, mistake):
    kind, named = verdict_of(STOP, attempt)
    assert (kind == "right", named) == (False, mistake)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=12), st.data())
def test_no_other_window_is_better(truth, data):
    window = data.draw(st.integers(1, len(truth)))
    end = when_to_stop([0.0] * len(truth), truth, window)
    sums = {i: sum(truth[i - window : i]) for i in range(window, len(truth) + 1)}
    assert sums[end] == max(sums.values())
    assert all(sums[i] < sums[end] for i in range(window, end))


# ---- the clinic --------------------------------------------------------------------------------

TRIAGE, REPAIR = EXERCISES["10-triage"], EXERCISES["10-repair"]


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
    assert grade(TRIAGE, chain).kind == "right"


@pytest.mark.parametrize("name", ["prompt", "signal", "gradient", "reward", "kl"])
def test_triage_needs_every_question(name):
    assert verdict_of(TRIAGE, without(name)) == ("wrong", f"{name}_forgotten")


def test_triage_of_the_first_value_instead_of_the_late_mean():
    assert grade(TRIAGE, lambda curves: chain({**curves, "kl": curves["kl"][:1]})).kind == "wrong"


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
    assert grade(REPAIR, by_autograd(loss)).kind == "right"


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
        (lambda new, old, a, m: -(ratio(old, new) * a * m).sum() / m.sum(), "ratio_upside_down"),
        (lambda new, old, a, m: -(new * a * m).sum() / m.sum(), "detached"),
    ],
)
def test_repair_wrong(loss, mistake):
    assert verdict_of(REPAIR, by_autograd(loss)) == ("wrong", mistake)
