"""PPO on a real model: the rewards that a program computes."""

import pytest
import torch

from course.experiments.real.ppo import REWARDS, length_reward, list_reward

LIST = "Here they are:\n- a dog\n- a cat\n1. a cow\n 2) a hen\n• a duck\nand no more"


@pytest.mark.parametrize(
    "text, reward",
    [("A dog, a cat - and 3. a cow.", 0), ("- a dog", 0.5), ("* a\n* b", 1), (LIST, 2), ("", 0), ("-a", 0)],
)
def test_a_list_is_lines_that_begin_like_items(text: str, reward: float) -> None:
    assert list_reward([None], [text]).tolist() == [reward]


def test_a_length_penalty_takes_back_what_length_brings() -> None:
    texts = ["one two three", "one", ""]
    assert torch.allclose(length_reward(texts, texts), torch.tensor([0.3, 0.1, 0.0]))
    penalised, _ = REWARDS["length, less 0.1 a word"]
    assert torch.allclose(penalised(texts, texts), torch.zeros(3), atol=1e-6)
