"""Exercises of lesson 11, first notebook: many right ways to write them, and wrong ones with the hint that fits."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from course.exercises import EXERCISES
from course.exercises.lesson_11 import (
    answer_logp,
    contradictions,
    doubting_dpo,
    hidden_rewards,
    longer_wins,
    two_margins,
)
from course.losses.preference import dpo_loss
from course.models import LM
from course.preferences import sequence_logps
from course.preferences.check import check_pairs
from course.study.grading import grade
from course.templates import CHATML
from tests.exercises.verdicts import verdict_of
from tests.tiny import build_model, build_tokenizer

LOGP, HIDDEN, DOUBT = (EXERCISES[f"11-{name}"] for name in ("answer-logp", "hidden-rewards", "doubting-dpo"))


# ---- the log-probability of an answer ------------------------------------------------------------------------


def by_loop(logits, ids, is_answer):
    total = 0.0
    for t in range(1, len(ids)):
        if is_answer[t]:
            total += float(logits[t - 1][ids[t]]) - math.log(sum(math.exp(x) for x in logits[t - 1].tolist()))
    return total


def by_cross_entropy(logits, ids, is_answer):
    targets = torch.where(is_answer.bool(), ids, -100)
    return -functional.cross_entropy(logits[:-1], targets[1:], reduction="sum", ignore_index=-100)


@pytest.mark.parametrize(
    "attempt",
    [
        by_loop,
        by_cross_entropy,
        lambda lo, i, a: lo[:-1].log_softmax(1).gather(1, i[1:, None])[a[1:] == 1].sum(),
        lambda lo, i, a: (torch.log(torch.softmax(lo, -1))[:-1].gather(1, i[1:, None]).squeeze(1) * a[1:]).sum().item(),
    ],
)
def test_logp_right(attempt):
    assert grade(LOGP, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda lo, i, a: (lo.log_softmax(-1).gather(1, i[:, None])[:, 0] * a).sum(), "no_shift"),
        (lambda lo, i, a: (lo[:-1].log_softmax(-1).gather(1, i[1:, None])[:, 0] * a[:-1]).sum(), "mask_not_shifted"),
        (lambda lo, i, a: lo[:-1].log_softmax(-1).gather(1, i[1:, None]).sum(), "everything"),
        (lambda lo, i, a: by_loop(lo, i, a) / int(a.sum()), "mean"),
        (lambda lo, i, a: -by_loop(lo, i, a), "loss"),
        (lambda lo, i, a: math.exp(by_loop(lo, i, a)), "product"),
        (lambda lo, i, a: (lo[:-1].gather(1, i[1:, None])[:, 0] * a[1:]).sum(), "raw"),
        (lambda lo, i, a: lo[:-1].log_softmax(-1).gather(1, i[1:, None])[:, 0] * a[1:], None),
        (lambda lo, i, a: by_loop(lo, i, a) / math.log(2), "base_2"),
    ],
)
def test_logp_wrong(attempt, mistake):
    assert verdict_of(LOGP, attempt) == ("wrong", mistake)


def test_the_logp_is_that_of_the_course():
    tokenizer = build_tokenizer()
    lm = LM("tiny", build_model(tokenizer), tokenizer)
    turns = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "In Peru, I think."}]
    encoded = CHATML.encode(tokenizer, turns)
    ids = torch.tensor(encoded.input_ids)
    with torch.no_grad():
        logits = lm.model(input_ids=ids[None]).logits[0]
    found = answer_logp(logits, ids, torch.tensor(encoded.assistant_mask))
    assert float(found) == pytest.approx(
        float(sequence_logps(lm, ["Where?"], ["In Peru, I think."]).logps[0]), abs=1e-4
    )


# ---- the reward behind a policy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        lambda p, q, b: [b * (math.log(x / y) - math.log(p[0] / q[0])) for x, y in zip(p, q, strict=True)],
        lambda p, q, b: b * np.log(np.array(p) / q) - b * math.log(p[0] / q[0]),
        lambda p, q, b: b * ((lr := torch.tensor(p).log() - torch.tensor(q).log()) - lr[0]),
    ],
)
def test_hidden_right(attempt):
    assert grade(HIDDEN, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda p, q, b: np.log(np.array(p) / q) - math.log(p[0] / q[0]), "no_beta"),
        (lambda p, q, b: b * np.log(np.array(p) / q), "not_shifted"),
        (lambda p, q, b: b * (np.log(p) - math.log(p[0])), "no_reference"),
        (lambda p, q, b: -b * (np.log(np.array(p) / q) - math.log(p[0] / q[0])), "upside_down"),
        (lambda p, q, b: np.log(np.array(p) / q) / b - math.log(p[0] / q[0]) / b, "divided"),
        (lambda p, q, b: np.array(p) / q, None),
        (lambda p, q, b: 0.0, None),
    ],
)
def test_hidden_wrong(attempt, mistake):
    assert verdict_of(HIDDEN, attempt) == ("wrong", mistake)


REWARDS = st.lists(st.floats(-3, 3), min_size=2, max_size=6)


@given(REWARDS, st.floats(0.2, 5), st.integers(0, 9))
def test_the_rewards_come_back_from_the_policy_that_is_best_for_them(rewards, beta, seed):
    reference = torch.rand(len(rewards), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    reference /= reference.sum()
    best = (reference.log() + torch.tensor(rewards, dtype=torch.float64) / beta).softmax(0)
    found = hidden_rewards(best.tolist(), reference.tolist(), beta)
    assert found == pytest.approx([reward - rewards[0] for reward in rewards], abs=1e-6)


# ---- DPO that doubts its labels ------------------------------------------------------------------------------


def twice(pc, pr, rc, rr, beta, doubt):
    return (1 - doubt) * dpo_loss(pc, pr, rc, rr, beta=beta).loss + doubt * dpo_loss(pr, pc, rr, rc, beta=beta).loss


@pytest.mark.parametrize(
    "attempt",
    [
        twice,
        lambda pc, pr, rc, rr, beta, doubt: dpo_loss(pc, pr, rc, rr, beta=beta, label_smoothing=doubt).loss,
        lambda pc, pr, rc, rr, beta, doubt: (
            functional.softplus(-(m := beta * (pc - pr - rc + rr))) + doubt * m
        ).mean(),  # softplus(m) - softplus(-m) is m
        lambda pc, pr, rc, rr, beta, doubt: functional.binary_cross_entropy_with_logits(
            beta * (pc - pr - rc + rr), torch.full_like(pc, 1 - doubt)
        ),
    ],
)
def test_doubt_right(attempt):
    assert grade(DOUBT, attempt).kind == "right"


def margin(pc, pr, rc, rr, beta):
    return beta * (pc - rc - pr + rr)


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda pc, pr, rc, rr, b, d: dpo_loss(pc, pr, rc, rr, beta=b).loss, "no_doubt"),
        (lambda pc, pr, rc, rr, b, d: twice(pc, pr, 0 * rc, 0 * rr, b, d), "no_reference"),
        (lambda pc, pr, rc, rr, b, d: twice(pr, pc, rr, rc, b, d), "swapped"),
        (lambda pc, pr, rc, rr, b, d: twice(pc, pr, rc, rr, 1.0, d), "no_beta"),
        (lambda pc, pr, rc, rr, b, d: b * twice(pc, pr, rc, rr, 1.0, d), "beta_outside"),
        (lambda pc, pr, rc, rr, b, d: -twice(pc, pr, rc, rr, b, d), "no_minus"),
        (lambda pc, pr, rc, rr, b, d: twice(pc, pr, rc, rr, b, d) * len(pc), "sum"),
        (
            lambda pc, pr, rc, rr, b, d: (
                -(1 - d) * torch.log(torch.sigmoid(margin(pc, pr, rc, rr, b)))
                - d * torch.log(torch.sigmoid(-margin(pc, pr, rc, rr, b)))
            ).mean(),
            "overflows",
        ),
        (
            lambda pc, pr, rc, rr, b, d: (
                (1 - d) * torch.log(1 + torch.exp(-margin(pc, pr, rc, rr, b)))
                + d * torch.log(1 + torch.exp(margin(pc, pr, rc, rr, b)))
            ).mean(),
            "overflows",
        ),
        (lambda pc, pr, rc, rr, b, d: functional.softplus(-margin(pc, pr, rc, rr, b)), None),
        (lambda pc, pr, rc, rr, b, d: twice(pc, pr, rc, rr, b, d) + 1, None),
    ],
)
def test_doubt_wrong(attempt, mistake):
    assert verdict_of(DOUBT, attempt) == ("wrong", mistake)


FOUR = st.lists(st.tuples(*[st.floats(-80, 0)] * 4), min_size=1, max_size=5)


@given(FOUR, st.floats(0.01, 2), st.floats(0, 0.49))
def test_the_loss_is_the_courses_and_swapping_is_doubting(rows, beta, doubt):
    four = torch.tensor(rows, dtype=torch.float64).T
    found = float(doubting_dpo(*four, beta, doubt))
    assert found == pytest.approx(float(dpo_loss(*four, beta=beta, label_smoothing=doubt).loss))
    assert found == pytest.approx(float(doubting_dpo(*four[[1, 0, 3, 2]], beta, 1 - doubt)))


# ---- the second notebook --------------------------------------------------------------------------------

LONGER, AGAINST, ANCHORS = (EXERCISES[f"11-{name}"] for name in ("longer-wins", "contradictions", "two-margins"))

TEXTS = st.sampled_from(["a", "a b", "c d", "e f g"])
LABELS = st.lists(st.tuples(st.sampled_from("pq"), TEXTS, TEXTS).filter(lambda label: label[1] != label[2]), min_size=1)


# ---- the longer answer wins --------------------------------------------------------------------------------


def by_counting(pairs):
    wins = losses = 0
    for chosen, rejected in pairs:
        wins += len(chosen.split()) > len(rejected.split())
        losses += len(chosen.split()) < len(rejected.split())
    return wins / (wins + losses)


def in_numpy(pairs):
    counts = np.array([[len(text.split()) for text in pair] for pair in pairs])
    signs = np.sign(counts[:, 0] - counts[:, 1])
    return (signs[signs != 0] > 0).mean()


@pytest.mark.parametrize("attempt", [by_counting, in_numpy])
def test_longer_wins_right(attempt):
    assert grade(LONGER, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda pairs: sum(len(a.split()) > len(b.split()) for a, b in pairs) / len(pairs), "all_pairs"),
        (lambda pairs: sum(len(a.split()) >= len(b.split()) for a, b in pairs) / len(pairs), "ties_won"),
        (lambda pairs: 1 - by_counting(pairs), "shorter"),
        (lambda pairs: by_counting([(" ".join(a), " ".join(b)) for a, b in pairs]), None),
        (lambda pairs: np.mean([len(a.split()) - len(b.split()) for a, b in pairs]), "mean_difference"),
        (lambda pairs: 100 * by_counting(pairs), None),
    ],
)
def test_longer_wins_wrong(attempt, mistake):
    assert verdict_of(LONGER, attempt) == ("wrong", mistake)


@given(LABELS)
def test_longer_wins_is_what_the_check_counts(labels):
    records = [{"prompt": prompt, "chosen": won, "rejected": lost} for prompt, won, lost in labels]
    found = check_pairs(records).rules["the longer answer"]
    if found.of:
        assert longer_wins([(won, lost) for _, won, lost in labels]) == pytest.approx(found.share)


# ---- contradictions ----------------------------------------------------------------------------------------


def row_by_row(labels):
    found = set()
    for i, (prompt, won, lost) in enumerate(labels):
        for j, other in enumerate(labels):
            if other == (prompt, lost, won):
                found |= {i, j}
    return sorted(found)


def by_counter(labels):
    said = Counter(labels)
    return tuple(i for i, (prompt, won, lost) in enumerate(labels) if said[prompt, lost, won])


@pytest.mark.parametrize("attempt", [row_by_row, by_counter])
def test_contradictions_right(attempt):
    assert grade(AGAINST, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda labels: [i for i, (p, a, b) in enumerate(labels) if (p, b, a) in labels[:i]], "later_only"),
        (lambda labels: row_by_row([("", *label[1:]) for label in labels]), "no_prompt"),
        (lambda labels: len(row_by_row(labels)), "count"),
        (lambda labels: [labels[i] for i in row_by_row(labels)], "labels"),
        (lambda labels: [i + 1 for i in row_by_row(labels)], None),
        (lambda labels: [], None),
    ],
)
def test_contradictions_wrong(attempt, mistake):
    assert verdict_of(AGAINST, attempt) == ("wrong", mistake)


@given(LABELS)
def test_contradictions_are_among_those_that_the_check_finds(labels):
    records = [{"prompt": prompt, "chosen": won, "rejected": lost} for prompt, won, lost in labels]
    assert set(contradictions(labels)) <= set(check_pairs(records).contradicting.rows)


# ---- two anchors -------------------------------------------------------------------------------------------


def in_numpy_margins(logps, beta):
    ahead = np.array(logps) @ [1, -1]
    return beta * np.diff(ahead), beta * (ahead[1:] - ahead[0])


def by_running_sum(logps, beta):
    moving = [beta * ((b[0] - a[0]) - (b[1] - a[1])) for a, b in itertools.pairwise(logps)]
    return moving, list(np.cumsum(moving))


@pytest.mark.parametrize("attempt", [in_numpy_margins, by_running_sum])
def test_anchors_right(attempt):
    assert grade(ANCHORS, attempt).kind == "right"


@pytest.mark.parametrize(
    ("attempt", "mistake"),
    [
        (lambda logps, beta: by_running_sum(logps, beta)[::-1], "swapped"),
        (lambda logps, beta: by_running_sum(logps, 1), "no_beta"),
        (lambda logps, beta: (by_running_sum(logps, beta)[0],) * 2, "moving_only"),
        (lambda logps, beta: (by_running_sum(logps, beta)[1],) * 2, "first_only"),
        (lambda logps, beta: by_running_sum(logps, -beta), "rejected_first"),
        (lambda logps, beta: by_running_sum(logps, beta)[1], None),
    ],
)
def test_anchors_wrong(attempt, mistake):
    assert verdict_of(ANCHORS, attempt) == ("wrong", mistake)


@given(st.lists(st.tuples(st.floats(-50, 0), st.floats(-50, 0)), min_size=2), st.floats(0.01, 5))
def test_the_rounds_add_up_to_the_whole_way(logps, beta):
    moving, first = two_margins(logps, beta)
    assert sum(moving) == pytest.approx(first[-1], abs=1e-6)
    assert moving[0] == first[0]
