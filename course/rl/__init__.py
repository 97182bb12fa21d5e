"""Reinforcement learning from a reward: serves notebooks 09 and 10, and 14 for what PPO shares with GRPO.

`advantages` turns the score of an answer into the advantage of each of its tokens.
"""

from course.rl.advantages import AdaptiveKL, FixedKL, gae, token_rewards

__all__ = ["AdaptiveKL", "FixedKL", "gae", "token_rewards"]
