"""Rewards: one number for an answer, which the lessons from 08 on choose and train by.

Serves notebooks 07 to 10 and 13. A reward function takes prompts and texts, two lists of equal length, and returns a
float tensor with one reward for each. The model that is trained on comparisons is one (`model.py`), the true score is,
and `functions.py` makes new ones of others.
"""

from course.rewards.functions import Ensemble, RewardFunction, clipped, length_penalised, rewards_of, true_reward
from course.rewards.model import RewardModel, accuracy, fit_reward, load_reward, new_reward_model
