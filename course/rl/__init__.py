"""Reinforcement learning from a reward: serves notebooks 09 and 10, and 14 for what PPO shares with GRPO.

Read in this order: `advantages` turns the score of an answer into the advantage of each of its tokens, `value` expects
the score before it is known, `steps` makes advantages and learns, `loop` goes round. `settings` holds what can be set
and what is recorded, `memory` the switches that save some.
"""

from course.rl.advantages import AdaptiveKL, FixedKL, gae, token_rewards
from course.rl.loop import ppo
from course.rl.memory import bytes_held, checkpointing, kept_for_backward, moved
from course.rl.settings import PPOConfig, PPORun
from course.rl.steps import Experience, reference_logps, score_rollouts, update
from course.rl.value import ValueModel
