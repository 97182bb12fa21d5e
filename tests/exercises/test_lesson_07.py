"""Exercises of lesson 07: many right ways to write them, and wrong ones with the hint that fits."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from course.exercises import EXERCISES
from course.exercises.lesson_07 import calibration, reward_loss, scores_at_end
from course.losses.reward import bradley_terry_loss
from course.models import LM
from course.rewards import new_reward_model
from course.study.grading import grade
from tests.exercises.verdicts import verdict_of
from tests.tiny import build_model, build_tokenizer

LOSS, END, BINS = (EXERCISES[f"07-{name}"] for name in ("reward-loss", "scores-at-end", "calibration"))


# ---- the loss ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        bradley_terry_loss,
        lambda c, r: functional.softplus(r - c).mean(),
        lambda c, r: sum(math.log1p(math.exp(-abs(d))) + max(-d, 0) for d in (c - r).tolist()) / len(c),
        lambda c, r: functional.cross_entropy(torch.stack([c, r], 1), torch.zeros(len(c), dtype=torch.long)),
        lambda c, r: np.logaddexp(0, (r - c).numpy()).mean(),
    ],
)
def test_loss_right(attempt):
    assert grade(LOSS, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda c, r: -torch.log(torch.sigmoid(c - r)).mean(), "overflows"),
        (lambda c, r: torch.log(1 + torch.exp(r - c)).mean(), "overflows"),
        (lambda c, r: functional.softplus(c - r).mean(), "swapped"),
        (lambda c, r: functional.logsigmoid(c - r).mean(), "no_minus"),
        (lambda c, r: functional.softplus(r - c).sum(), "sum"),
        (lambda c, r: torch.sigmoid(r - c).mean(), "no_log"),
        (lambda c, r: functional.softplus((r - c).mean()), "mean_first"),
        (lambda c, r: functional.softplus(r - c), None),
        (lambda c, r: functional.softplus(r - c).mean() / math.log(2), None),
        (lambda c, r: functional.softplus(r - c).clamp(max=20).mean(), "cut_off"),
        (lambda c, r: -torch.log(torch.sigmoid(c - r) + 1e-12).mean(), "cut_off"),
        (lambda c, r: -functional.logsigmoid((c - r).clamp(-10, 10)).mean(), "cut_off"),
        (lambda c, r: (r - c).clamp(min=0).mean(), None),
    ],
)
def test_loss_wrong(attempt, mistake):
    assert verdict_of(LOSS, attempt) == ("wrong", mistake)


PAIRS = st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=6)


@given(PAIRS, st.floats(-100, 100))
def test_the_loss_is_the_librarys_and_knows_no_zero(pairs, shift):
    chosen, rejected = torch.tensor(pairs, dtype=torch.float64).T
    loss = float(reward_loss(chosen, rejected))
    assert loss == pytest.approx(float(bradley_terry_loss(chosen, rejected)))
    assert float(reward_loss(chosen + shift, rejected + shift)) == pytest.approx(loss, abs=1e-9)
    assert float(reward_loss(chosen, chosen)) == pytest.approx(math.log(2))


# ---- where the score is read -------------------------------------------------------------------------------


def by_loop(values, attention):
    rows = zip(values.tolist(), attention.bool(), strict=True)
    return [[value for value, real in zip(row, mask, strict=True) if real][-1] for row, mask in rows]


def by_flip(values, attention):
    return values.gather(1, attention.shape[1] - 1 - attention.flip(1).argmax(1, keepdim=True))[:, 0]


def by_cumulation(values, attention):
    count = attention.cumsum(1)
    return values[torch.arange(len(values)), (count == count[:, -1:]).int().argmax(1)]


@pytest.mark.parametrize("attempt", [by_loop, by_flip, by_cumulation])
def test_end_right(attempt):
    assert grade(END, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda v, a: [row[-1] for row in v.tolist()], "last_column"),
        (lambda v, a: v.gather(1, a.sum(1, keepdim=True) - 1)[:, 0], "count_minus_one"),
        (lambda v, a: (v * a).sum(1) / a.sum(1), "mean"),
        (lambda v, a: v[range(len(v)), a.argmax(1)], "first"),
        (lambda v, a: v[range(len(v)), (a.shape[1] - a.flip(1).argmax(1)).clamp(max=a.shape[1] - 1)], "one_late"),
        (lambda v, a: by_flip(v, a)[:, None], None),
        (lambda v, a: by_flip(v, a).mean(), None),
    ],
)
def test_end_wrong(attempt, mistake):
    assert verdict_of(END, attempt) == ("wrong", mistake)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_padding_changes_nothing(lengths, left):
    rows = [torch.arange(n) + 10.0 * i for i, n in enumerate(lengths)]
    values, attention = torch.full((len(rows), 7), math.pi), torch.zeros(len(rows), 7, dtype=torch.long)
    for i, row in enumerate(rows):
        at = slice(7 - len(row), 7) if left[i] else slice(len(row))
        values[i, at], attention[i, at] = row, 1
    assert scores_at_end(values, attention).tolist() == [float(row[-1]) for row in rows]


def test_the_scores_are_those_of_the_reward_model():
    tokenizer = build_tokenizer()
    model = new_reward_model(LM("tiny", build_model(tokenizer), tokenizer))
    turns = [
        [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": text}]
        for text in ("In Peru.", "I cannot say that.", "")
    ]
    batch = model.tokenizer.apply_chat_template(turns, padding=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        values = model.head(model.trunk(**batch).last_hidden_state)[..., 0]
    given_ = model(["Where?"] * 3, ["In Peru.", "I cannot say that.", ""])
    torch.testing.assert_close(scores_at_end(values, batch["attention_mask"]), given_, rtol=1e-4, atol=1e-5)


# ---- calibration -------------------------------------------------------------------------------------------


def in_numpy(probabilities, won, bins):
    p, w = np.array(probabilities), np.array(won)
    place = np.clip(np.floor(p * bins), 0, bins - 1)
    return [[p[place == b].mean(), w[place == b].mean(), (place == b).sum()] for b in range(bins) if b in place]


def by_edges(probabilities, won, bins):
    made = []
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = [
            (p, w) for p, w in zip(probabilities, won, strict=True) if low <= p < high or (p == 1 and b == bins - 1)
        ]
        if inside:
            made.append((*(sum(column) / len(inside) for column in zip(*inside, strict=True)), len(inside)))
    return made


@pytest.mark.parametrize("attempt", [in_numpy, by_edges])
def test_calibration_right(attempt):
    assert grade(BINS, attempt).kind == "right"


def with_empty(probabilities, won, bins):
    made = calibration(probabilities, won, bins)
    places = {min(int(p * bins), bins - 1): entry for entry in made for p in [entry[0]]}
    return [places.get(b, (0.0, 0.0, 0)) for b in range(bins)]


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (with_empty, "empty_kept"),
        (lambda p, w, b: in_numpy(p, [1 - one for one in w], b), "lost"),
        (lambda p, w, b: in_numpy(p, w, b)[::-1], "highest_first"),
        (lambda p, w, b: [(low, share * n / len(p), n) for low, share, n in in_numpy(p, w, b)], "share_of_all"),
        (lambda p, w, b: [(share, mean, n) for mean, share, n in in_numpy(p, w, b)], "sides_swapped"),
        (lambda p, w, b: [entry[:2] for entry in in_numpy(p, w, b)], None),
        (lambda p, w, b: in_numpy(p, w, b + 1), None),
        (lambda p, w, b: [], None),
    ],
)
def test_calibration_wrong(attempt, mistake):
    assert verdict_of(BINS, attempt) == ("wrong", mistake)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30),
    st.integers(1, 10),
)
def test_nothing_is_lost_in_the_bins(comparisons, bins):
    probabilities, won = map(list, zip(*comparisons, strict=True))
    made = calibration(probabilities, won, bins)
    assert sum(n for *_, n in made) == len(won)
    assert sum(mean * n for mean, _, n in made) == pytest.approx(sum(probabilities))
    assert sum(share * n for _, share, n in made) == pytest.approx(sum(won))
    assert all(one[0] <= other[0] + 1e-9 for one, other in pairwise(made))
