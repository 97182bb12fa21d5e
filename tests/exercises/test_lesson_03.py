"""Exercises of lesson 03: right solutions in many forms are accepted, wrong ones in many forms are not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.study.grading import grade

# ---- labels ------------------------------------------------------------------------------------------


def labels_by_loop(ids, mask, attention):
    rows = zip(ids.tolist(), mask.tolist(), attention.tolist(), strict=True)
    return [[i if m and a else -100 for i, m, a in zip(*row, strict=True)] for row in rows]


def labels_in_place(ids, mask, attention):
    labels = ids.clone()
    labels[mask == 0] = -100
    labels[attention == 0] = -100
    return labels


@pytest.mark.parametrize(
    "attempt",
    [
        labels_by_loop,
        labels_in_place,
        lambda ids, mask, attention: ids.masked_fill((mask * attention) == 0, -100),
        lambda ids, mask, attention: np.where(mask.numpy() & attention.numpy(), ids.numpy(), -100),
        lambda ids, mask, attention: (ids * mask * attention - 100 * (1 - mask * attention)).float(),
    ],
)
def test_make_labels_right(attempt):
    assert grade(EXERCISES["03-make-labels"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda ids, mask, attention: labels_in_place(ids, mask, attention)[:, 1:],
        lambda ids, mask, attention: labels_in_place(ids, mask, attention)[0],
        lambda ids, mask, attention: torch.where((mask == 1) | (attention == 1), ids, -100),
        lambda ids, mask, attention: torch.where(mask == attention, ids, -100),
        lambda ids, mask, attention: torch.where((mask == 1) & (ids != 0), ids, -100),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention == 1) & (ids != 2), ids, -100),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention == 1), ids, -1),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention == 1), ids, torch.tensor(float("nan"))),
        lambda ids, mask, attention: torch.roll(labels_in_place(ids, mask, attention), 1, 1),
        lambda ids, mask, attention: ids[(mask == 1) & (attention == 1)],
        lambda ids, mask, attention: (mask == 1) & (attention == 1),
        lambda ids, mask, attention: torch.where((mask == 1) & (attention.flip(1) == 1), ids, -100),
    ],
)
def test_make_labels_wrong(attempt):
    assert grade(EXERCISES["03-make-labels"], attempt).kind == "wrong"


# ---- masked loss -------------------------------------------------------------------------------------


def masked_by_hand(logits, labels):
    losses = [
        -torch.log_softmax(logits[b, t - 1], -1)[labels[b, t]].item()
        for b in range(labels.shape[0])
        for t in range(1, labels.shape[1])
        if labels[b, t] != -100
    ]
    return sum(losses) / len(losses)


def masked_by_sum(logits, labels):
    targets, keep = labels[:, 1:], (labels[:, 1:] != -100).float()
    logp = logits[:, :-1].log_softmax(-1).gather(2, targets.clamp(min=0)[..., None])[..., 0]
    return -(logp * keep).sum() / keep.sum()


@pytest.mark.parametrize(
    "attempt",
    [
        masked_by_hand,
        masked_by_sum,
        lambda logits, labels: F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:]),
        lambda logits, labels: F.cross_entropy(
            logits[:, :-1][labels[:, 1:] != -100], labels[:, 1:][labels[:, 1:] != -100]
        ),
        lambda logits, labels: np.float32(masked_by_hand(logits, labels)),
        lambda logits, labels: F.cross_entropy(
            logits.flatten(0, 1), F.pad(labels, (0, 1), value=-100)[:, 1:].flatten(), ignore_index=-100
        ),
    ],
)
def test_masked_loss_right(attempt):
    assert grade(EXERCISES["03-masked-loss"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda logits, labels: F.cross_entropy(logits[:, 1:].flatten(0, 1), labels[:, :-1].flatten()),
        lambda logits, labels: F.cross_entropy(logits.flatten(0, 1)[:-1], labels.flatten()[1:]),
        lambda logits, labels: masked_by_sum(logits[:1], labels[:1]),
        lambda logits, labels: masked_by_sum(logits, labels) / len(labels),
        lambda logits, labels: masked_by_sum(logits, labels).exp(),
        lambda logits, labels: torch.stack(
            [masked_by_sum(a[None], b[None]) for a, b in zip(logits, labels, strict=True)]
        ).median(),
        lambda logits, labels: masked_by_sum(logits.softmax(-1), labels),
        lambda logits, labels: masked_by_sum(logits, labels) * (labels[:, 1:] != -100).sum() / (labels != -100).sum(),
        lambda logits, labels: F.cross_entropy(
            logits[:, :-1].reshape(-1, logits.shape[1] - 1)[: labels[:, 1:].numel()], labels[:, 1:].flatten() % 2
        ),
        lambda logits, labels: F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none"),
        lambda logits, labels: masked_by_sum(logits, labels).half(),
    ],
)
def test_masked_loss_wrong(attempt):
    assert grade(EXERCISES["03-masked-loss"], attempt).kind in ("wrong", "error")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_masked_loss_equals_the_losses_module(seed):
    from course.losses.sft import sft_loss

    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 6, 5, generator=random)
    labels = torch.randint(5, (3, 6), generator=random).masked_fill(torch.rand(3, 6, generator=random) < 0.4, -100)
    labels[0, 3] = 1
    ours = EXERCISES["03-masked-loss"].solution(logits, labels)
    torch.testing.assert_close(ours, sft_loss(logits, labels))


# ---- LoRA --------------------------------------------------------------------------------------------


def test_lora_parameters_right_and_equal_to_peft():
    from peft import LoraConfig, get_peft_model

    exercise = EXERCISES["03-lora-parameters"]

    def by_modules(shapes, rank):
        base = torch.nn.Sequential(*(torch.nn.Linear(inner, out, bias=False) for out, inner in shapes))
        full = sum(weight.numel() for weight in base.parameters())
        config = LoraConfig(r=rank, target_modules=[str(i) for i in range(len(shapes))])
        adapted = get_peft_model(base, config)
        trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
        return [trained, trained / full]

    assert grade(exercise, by_modules).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda shapes, rank: sum(rank * (o + i) for o, i in shapes),
        lambda shapes, rank: (
            sum(rank * (o + i) for o, i in shapes),
            sum(rank * (o + i) / (o * i) for o, i in shapes) / len(shapes),
        ),
        lambda shapes, rank: (
            rank * sum(map(sum, set(shapes))),
            rank * sum(map(sum, shapes)) / sum(o * i for o, i in shapes),
        ),
        lambda shapes, rank: (2 * rank * sum(o for o, _ in shapes), 0.5),
        lambda shapes, rank: (
            rank * sum(map(sum, shapes)),
            round(rank * sum(map(sum, shapes)) / sum(o * i for o, i in shapes), 2),
        ),
        lambda shapes, rank: (rank * sum(map(sum, shapes)), sum(o * i for o, i in shapes)),
        lambda shapes, rank: (sum(map(sum, shapes)), sum(map(sum, shapes)) / sum(o * i for o, i in shapes)),
        lambda shapes, rank: (
            rank * sum(map(sum, shapes)) + 1,
            rank * sum(map(sum, shapes)) / sum(o * i for o, i in shapes),
        ),
    ],
)
def test_lora_parameters_wrong(attempt):
    assert grade(EXERCISES["03-lora-parameters"], attempt).kind == "wrong"
