"""PPO's hyperparameters and the record of a run. Serves notebooks 09 and 10; `loop.py` is the one to read first."""

from dataclasses import dataclass, field
from typing import Any

from course.losses.policy import KL_KINDS
from course.resume import Progress, check_settings

PANELS = {
    "reward": "reward",
    "true score": "true score",
    "kl": "KL from the reference (nats per answer)",
    "entropy": "entropy (nats per token)",
    "length": "length (tokens)",
    "clip fraction": "clip fraction (share of tokens)",
    "value error": "error of the values (as the reward)",
    "beta": "beta (reward per nat)",
}
"""What is drawn of a run: its name, and the title above its plot."""


@dataclass(frozen=True)
class PPOConfig:
    """The hyperparameters of PPO; notebook 09 shows what each does.

    Attributes:
        rollout_batch_size: answers sampled in each iteration.
        epochs: passes over them (`num_ppo_epochs` in TRL, `ppo_epochs` in verl). Usual: 1 to 4.
        mini_batch_size: answers in one optimizer step.
        accumulate: in how many parts they are read, by length: more need less memory, and the gradient is the same.
        learning_rate, value_learning_rate: Adam's, of the policy and of the value model.
        clip: half the width of the range in which moving a token's probability is rewarded (`cliprange` in TRL). Usual:
            0.1 to 0.3.
        value_clip: how far a value may move within an iteration, in units of the reward (`cliprange_value` in TRL);
            None for no limit.
        gamma, lam: of `gae`. Usual: 1 and 0.9 to 1.
        kl_estimator: the estimate of the KL in the token rewards, "k1", "k2" or "k3".
        whiten_advantages: bring the advantages of an iteration to mean 0 and variance 1.
        max_new_tokens: the limit for an answer.
        temperature: of the sampling. At 0, greedy decoding, nothing new is tried, so there is nothing to learn from.
        entropy_bonus: what a nat of the next token's entropy is worth in the loss.
        sft_coefficient: weight of the SFT loss on `sft_batch` examples that joins each step (Ouyang et al.'s PPO-ptx).
        max_grad_norm: largest norm of the gradient, of the policy and of the value model.
        value_rank: of the LoRA adapters that are trained in the value model; None to train all of its weights.
        checkpointing: compute activations again in the backward pass instead of keeping them: less memory, more time.
        offload: reference, reward model and value model wait in main memory while they have nothing to do.
    """

    rollout_batch_size: int = 64
    epochs: int = 2
    mini_batch_size: int = 32
    accumulate: int = 2
    learning_rate: float = 1e-4
    value_learning_rate: float = 3e-4
    clip: float = 0.2
    value_clip: float | None = 0.2
    gamma: float = 1.0
    lam: float = 0.95
    kl_estimator: str = "k1"
    whiten_advantages: bool = True
    max_new_tokens: int = 56
    temperature: float = 1.0
    entropy_bonus: float = 0.0
    sft_coefficient: float = 0.0
    sft_batch: int = 16
    max_grad_norm: float = 1.0
    value_rank: int | None = None
    checkpointing: bool = False
    offload: bool = False

    def __post_init__(self) -> None:
        counts = ("rollout_batch_size", "epochs", "mini_batch_size", "accumulate", "max_new_tokens", "sft_batch")
        counts += ("value_rank",) * (self.value_rank is not None)
        check_settings(self, counts, ("learning_rate", "value_learning_rate", "clip", "max_grad_norm"))
        if self.kl_estimator not in KL_KINDS:  # known only after the first answers otherwise
            raise ValueError(f"There is no KL estimate {self.kl_estimator!r}; choose from {', '.join(KL_KINDS)}.")


@dataclass
class PPORun(Progress):
    """What a PPO run did, besides `seconds` and `interrupted`.

    Attributes:
        history: a dict for each iteration, measured on its answers before their update, except for the two that
            describe it. `reward`, `watch`: means over the answers; `reward_std`: standard deviation of the reward;
            `kl`: nats per answer, estimated by k1, so it can be below 0; `entropy`: nats per token, estimated from the
            tokens drawn; `length`: tokens per answer; `stopped`: share of answers that ended by themselves;
            `clip_fraction`, `approx_kl`: of the update, see `PolicyLoss`, means over the optimizer steps;
            `value_error`: root mean square of what the values missed, in units of the reward; `explained_variance`: of
            the value model, see `course.losses.policy.explained_variance`; `beta`: the penalty at that time;
            `seconds`: of generation, scoring and update.
        beta: the penalty after the last iteration.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    beta: float = 0.0

    @property
    def done(self) -> int:
        return len(self.history)

    def curves(self) -> dict[str, tuple[list[int], list[float]]]:
        """What was drawn while it ran: title -> (iterations from 1, values)."""
        points = [drawn(past) for past in self.history]
        names = [name for name in PANELS if points and name in points[0]]
        at = list(range(1, len(points) + 1))
        return {PANELS[name]: (at, [point[name] for point in points]) for name in names}


def drawn(past: dict[str, Any]) -> dict[str, float]:
    """Of an iteration's record, what the live curves show, under the names of `PANELS`."""
    named = {"true score" if key == "watch" else key.replace("_", " "): value for key, value in past.items()}
    return {name: value for name, value in named.items() if name in PANELS}
