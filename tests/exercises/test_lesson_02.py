"""Exercises of lesson 02: right solutions in many forms are accepted, wrong ones in many forms are not."""

import itertools
import re
import string

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course.exercises import EXERCISES
from course.study.grading import grade

# ---- the assistant's mask ----------------------------------------------------------------------------


def mask_in_numpy(turns):
    parts = [
        np.r_[np.zeros(header), np.full(content + end, float(role == "assistant"))]
        for role, header, content, end in turns
    ]
    return np.concatenate(parts).astype(int)


def mask_by_index(turns):
    mask = torch.zeros(sum(sum(turn[1:]) for turn in turns), dtype=torch.bool)
    at = 0
    for role, *counts in turns:
        if role == "assistant":
            mask[at + counts[0] : at + sum(counts)] = True
        at += sum(counts)
    return mask


@pytest.mark.parametrize("attempt", [mask_in_numpy, mask_by_index])
def test_assistant_mask_right(attempt):
    assert grade(EXERCISES["02-assistant-mask"], attempt).kind == "right"


def rule(trained):
    return lambda turns: [v for role, *n in turns for v in trained(role == "assistant", *n)]


@pytest.mark.parametrize(
    "attempt",
    [
        rule(lambda ours, h, c, e: [0] * h + [int(ours)] * c),
        rule(lambda ours, h, c, e: [int(ours)] * (c + e)),
        rule(lambda ours, h, c, e: [0] * (h - 1) + [int(ours)] * (c + e + 1)),
        rule(lambda ours, h, c, e: [0] * h + [int(ours)] * c + [0] * (e - 1) + [int(ours)]),
        rule(lambda ours, h, c, e: [[0] * h + [int(ours)] * (c + e)]),
        rule(lambda ours, h, c, e: [int(ours)] * (c + e) + [0] * h),
        rule(lambda ours, h, c, e: [0] * h + [int(ours and c > 0)] * (c + e)),
        rule(lambda ours, h, c, e: [0] * h + [-100 if not ours else 1] * (c + e)),
        rule(lambda ours, h, c, e: [1] * (h + c + e)),
        rule(lambda ours, h, c, e: [0] * (h + c + e)),
        lambda turns: mask_in_numpy(
            [(turns[-1][0] if i == len(turns) - 1 else "user", *t[1:]) for i, t in enumerate(turns)]
        ),
        lambda turns: mask_in_numpy(turns).sum(),
    ],
)
def test_assistant_mask_wrong(attempt):
    assert grade(EXERCISES["02-assistant-mask"], attempt).kind == "wrong"


# ---- find the difference -----------------------------------------------------------------------------


def with_zip_longest(served, trained):
    for i, (a, b) in enumerate(itertools.zip_longest(served, trained)):
        if a != b:
            return i


def with_numpy(served, trained):
    n = min(len(served), len(trained))
    unequal = np.flatnonzero(np.array(served[:n]) != np.array(trained[:n]))
    if len(unequal):
        return unequal[0]
    return None if len(served) == len(trained) else n


@pytest.mark.parametrize("attempt", [with_zip_longest, with_numpy])
def test_find_the_difference_right(attempt):
    assert grade(EXERCISES["02-find-the-difference"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda a, b: next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), len(a)),
        lambda a, b: next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b))),
        lambda a, b: next((i for i in range(len(a)) if i >= len(b) or a[i] != b[i]), None),
        lambda a, b: with_zip_longest(a, b) or None,
        lambda a, b: next((i for i, t in enumerate(a) if t not in b), None),
        lambda a, b: sum(x != y for x, y in zip(a, b, strict=False)) or None,
        lambda a, b: next((x for x, y in zip(a, b, strict=False) if x != y), None),
        lambda a, b: a == b,
        lambda a, b: max(len(a), len(b)) if a[: len(b)] == b[: len(a)] and a != b else with_zip_longest(a, b),
        lambda a, b: with_zip_longest(a[::-1], b[::-1]),
    ],
)
def test_find_the_difference_wrong(attempt):
    assert grade(EXERCISES["02-find-the-difference"], attempt).kind == "wrong"


@given(st.lists(st.integers(0, 2), max_size=5), st.lists(st.integers(0, 2), max_size=5))
def test_find_the_difference_splits_the_lists_where_they_part(one, other):
    first = EXERCISES["02-find-the-difference"].solution(one, other)
    if first is None:
        assert one == other
    else:
        assert one[:first] == other[:first]
        assert one[first : first + 1] != other[first : first + 1]


# ---- dedupe ------------------------------------------------------------------------------------------


def with_translate(texts):
    table, seen = str.maketrans("", "", string.punctuation), {}
    for text in texts:
        seen.setdefault(" ".join(text.lower().translate(table).split()), text)
    return list(seen.values())


def with_regex(texts):
    seen, out = set(), []
    for text in texts:
        key = re.sub(r"[^a-z0-9]+", " ", text.casefold()).strip()
        if key not in seen:
            seen.add(key)
            out.append(text)
    return out


def without_spaces(texts):
    keys = [re.sub(r"\W", "", text.lower()) for text in texts]
    return [text for i, text in enumerate(texts) if keys.index(keys[i]) == i]


@pytest.mark.parametrize(
    "attempt", [with_translate, with_regex, without_spaces, lambda t: dict.fromkeys(with_regex(t)).keys()]
)
def test_dedupe_right(attempt):
    assert grade(EXERCISES["02-dedupe"], attempt).kind == "right"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda texts: texts,
        lambda texts: sorted(with_regex(texts)),
        lambda texts: set(with_regex(texts)),
        lambda texts: list({text.lower().strip(" .!?"): text for text in reversed(texts)}.values())[::-1],
        lambda texts: list({text.lower().strip(" .!?"): text for text in texts}),
        lambda texts: list({frozenset(re.findall(r"\w+", t.lower())): t for t in texts[::-1]}.values())[::-1],
        lambda texts: [t for i, t in enumerate(with_regex(texts)) if not re.search(r"\d", t) or i == 3],
        lambda texts: [t for t, _ in itertools.groupby(texts, key=lambda t: re.sub(r"\W", "", t.lower()))],
        lambda texts: list({re.sub(r"[\W\d]", "", t.lower()): t for t in texts[::-1]}.values())[::-1],
        lambda texts: [t for t in texts if sum(with_regex([t, u]) == [t] for u in texts) == 1],
        lambda texts: [t.strip() for t in with_regex(texts)][:5],
        lambda texts: len(with_regex(texts)),
    ],
)
def test_dedupe_wrong(attempt):
    assert grade(EXERCISES["02-dedupe"], attempt).kind == "wrong"


def test_dedupe_names_a_lost_order_whatever_order_came_out():
    for seed in range(3):
        shuffle = np.random.default_rng(seed).permutation
        assert grade(EXERCISES["02-dedupe"], lambda t, s=shuffle: list(s(with_regex(t)))).mistake == "order_lost"
