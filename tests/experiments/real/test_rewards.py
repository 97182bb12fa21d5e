"""Reward models on a real model: the bins of a reliability diagram."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from course.experiments.real.rewards import by_confidence, words_reward


def test_bins_go_from_unsure_to_sure_and_say_how_often_the_model_is_right() -> None:
    right = torch.tensor([0.5, 0.6, 0.4, 0.9, 0.95, 0.1, 0.99, 0.98])
    sure, hits = by_confidence(right, 4)
    assert sure == sorted(sure) and len(sure) == 4
    assert abs(sure[0] - 0.55) < 1e-6 and hits[0] in (0.25, 0.75), "0.5 counts half, and one of 0.6 and 0.4"
    assert hits[-1] == 1.0


@given(st.lists(st.floats(0.001, 0.999), min_size=8, max_size=64), st.integers(1, 8))
def test_the_bins_hold_every_pair_once(chances: list[float], bins: int) -> None:
    sure, hits = by_confidence(torch.tensor(chances, dtype=torch.float64), bins)
    assert len(sure) == len(hits) <= bins
    assert all(0.5 <= s <= 1 for s in sure) and all(0 <= h <= 1 for h in hits)


def test_length_is_counted_in_words() -> None:
    assert words_reward([], ["one two three", "", "."]).tolist() == [3, 0, 0]
