"""What each setting of PPO does, its usual range, and what came of turning it: serves notebook 09.

The ranges are those of published runs on models of a billion weights and more (Ouyang et al. 2022; Llama 2; Huang et
al. 2024); a rate for a model as small as the course's is higher. In the stored runs one setting is changed at a time,
with the true score as reward; `make dials` runs them. The notebook repeats the settings in the middle and compares.
"""

from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from course.evaluation import answer
from course.experiments.store import Experiment, Run, over_seeds, stored
from course.models import clone, load
from course.rewards import true_reward
from course.rl import FixedKL, PPOConfig, ppo
from course.world import SEEN, UNSEEN, country_questions

MIDDLE = PPOConfig(rollout_batch_size=32, mini_batch_size=16, max_new_tokens=32)
"""The settings from which one at a time is changed."""
ITERATIONS, BETA = 8, 0.1


@dataclass(frozen=True)
class Dial:
    """One setting of PPO.

    Attributes:
        name: as in `PPOConfig`.
        tried: the values that were measured, that of `MIDDLE` among them.
        usual: the range in common use, as a text.
        does: what it does when it is turned up.
    """

    name: str
    tried: tuple[Any, ...]
    usual: str
    does: str


DIALS: tuple[Dial, ...] = (
    Dial("learning_rate", (1e-5, 3e-5, 1e-4, 3e-4, 1e-3), "1e-6 to 5e-6", "Larger steps; too large, and the KL leaps."),
    Dial("epochs", (1, 2, 4), "1 to 4", "More steps from the same answers, further from the policy that wrote them."),
    Dial("mini_batch_size", (8, 16, 32), "64 to 256", "Fewer and quieter steps from the same answers."),
    Dial("rollout_batch_size", (8, 32, 64), "512 to 2048", "Quieter advantages, and dearer iterations."),
    Dial("clip", (0.05, 0.2, 0.5), "0.1 to 0.3", "Lets a token move further before its gradient ends."),
    Dial(
        "value_clip",
        (0.02, 0.2, None),
        "0.1 to 0.3",
        "Lets a value move further in one iteration; none, and nothing holds it.",
    ),
    Dial(
        "max_grad_norm",
        (0.1, 1.0, 10.0),
        "0.5 to 1",
        "Cuts fewer gradients down to size; cut short, one odd batch does less.",
    ),
    Dial("lam", (0.0, 0.95, 1.0), "0.9 to 1", "Trusts what happened, rather than what was expected."),
    Dial("gamma", (0.8, 0.95, 1.0), "1", "Looks further ahead; below 1 an early end pays."),
    Dial("value_learning_rate", (3e-5, 3e-4, 3e-3), "1e-5 to 5e-5", "The value model follows the policy faster."),
    Dial("whiten_advantages", (False, True), "on", "Makes the steps independent of the scale of the scores."),
    Dial("temperature", (0.5, 1.0, 1.3), "0.7 to 1", "Tries more, also what is hardly ever good."),
    Dial("max_new_tokens", (6, 16, 32), "256 to 1024", "Lets longer answers end; costs time and memory."),
)


def run_setting(condition: str, seed: int) -> Run:
    """One run with one setting changed.

    Measured are the true score of sampled answers to questions that were never asked, and the mean KL per answer in the
    last three iterations.
    """
    policy = clone(load("mixed"))
    run = ppo(
        policy,
        true_reward,
        country_questions(SEEN),
        iterations=ITERATIONS,
        kl=FixedKL(BETA),
        settings=_SETTINGS[condition],
        seed=seed,
    )
    asked = answer(policy, country_questions(UNSEEN), temperature=1.0, max_new_tokens=32, seed=seed)
    measured = {"true score": asked.total, "kl": mean(past["kl"] for past in run.history[-3:])}
    return Run("dials", condition, seed, policy.name, measured)


def condition_of(dial: Dial, value: Any) -> str:
    """The name of a run in the store; all settings share the one in the middle."""
    return "middle" if value == getattr(MIDDLE, dial.name) else f"{dial.name}: {value}"


_SETTINGS = {condition_of(dial, value): replace(MIDDLE, **{dial.name: value}) for dial in DIALS for value in dial.tried}
EXPERIMENTS = (Experiment("dials", tuple(_SETTINGS), run_setting, seeds=(0, 1, 2)),)


def dial_table() -> list[dict[str, str]]:
    """A row for each setting: what it does, its usual range, the values tried and what came of them."""
    runs, rows = stored("dials"), []
    for dial in DIALS:
        row = {"setting": dial.name, "turned up": dial.does, "usual": dial.usual}
        row["tried here"] = " · ".join(_short(value) for value in dial.tried)
        for column, name, digits in (("true score", "true score", 2), ("KL", "kl", 1)):
            means = (mean(over_seeds(runs, condition_of(dial, value), name)) for value in dial.tried)
            row[column] = " · ".join(f"{number:.{digits}f}" for number in means)
        rows.append(row)
    return rows


def middle_score() -> float:
    """The stored true score of the settings in the middle, mean over its seeds."""
    return mean(over_seeds(stored("dials"), "middle", "true score"))


def _short(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", False: "off", True: "on"}[value]
    return f"{value:g}"
