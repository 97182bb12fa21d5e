"""PPO on one page, its lines laid open: what a patient of the clinic is ill in, and what a repair replaces.

Serves notebook 10 (claim H8). These are the steps of `course.rl.ppo`, whose numbers the healthy setup gives, without
what a long run needs: saved states, groups of similar length, models that wait elsewhere. A fault is another function
or another number in one entry of a `Setup`.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course import SEED
from course.experiments.store import Run
from course.losses.policy import clipped_policy_loss, clipped_value_loss, entropy, masked_mean, whiten
from course.losses.sft import token_logps
from course.models import LM, clone
from course.plots import LiveCurve
from course.resume import TrainingStopped, drive
from course.rewards import RewardFunction, true_reward
from course.rl import ValueModel, gae
from course.rl.settings import PANELS, PPORun
from course.rollouts import Rollouts, chat_prompts, response_logits, response_logps, sample
from course.templates import CHATML
from course.world import Question

TITLES = {name: title for name, title in PANELS.items() if name != "beta"} | {
    "kl": "KL (nats per answer)",
    "value error": "error of the values",
    "reward std": "std of the rewards",
    "gradient": "norm of the policy's gradient",
}
"""What is measured in each iteration, before its update except for gradient and clip fraction: name -> title."""


# --- the lines in which a run can be ill ------------------------------------------------------------------------------


def prompts(policy: LM, questions: Sequence[Question]) -> list[list[int]]:
    """The questions as the policy reads them."""
    return chat_prompts(policy, questions, CHATML)


def token_rewards(scores: Tensor, logps: Tensor, ref_logps: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Each token pays beta for its KL from the reference, and the last one earns the score of the answer."""
    rewards = -beta * (logps - ref_logps) * mask
    rewards[torch.arange(len(mask)), mask.sum(1).long() - 1] += scores
    return rewards


def policy_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Tokens with a positive advantage are to become likelier, the others rarer, neither by more than the clip."""
    ratio = (logps - old_logps).exp()
    gain = torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -(gain * mask).sum() / mask.sum()


def exploration(logits: Tensor, mask: Tensor) -> Tensor:
    """What the bonus is paid for: the entropy of the next token."""
    return (entropy(logits) * mask).sum() / mask.sum()


@dataclass(frozen=True)
class Setup:
    """All that makes up a run. The functions are as above, the numbers as in `course.rl.PPOConfig`.

    Attributes:
        bonus: the weight of `exploration` in the loss.
    """

    reward: RewardFunction = true_reward
    prompts: Callable[..., list[list[int]]] = prompts
    token_rewards: Callable[..., Tensor] = token_rewards
    policy_loss: Callable[..., Tensor] = policy_loss
    exploration: Callable[..., Tensor] = exploration
    beta: float = 0.05
    bonus: float = 0.0
    learning_rate: float = 2e-4
    value_learning_rate: float = 5e-4
    rollout_batch_size: int = 24
    epochs: int = 2
    mini_batch_size: int = 12
    clip: float = 0.2
    max_grad_norm: float = 1.0
    max_new_tokens: int = 24


# --- the run ----------------------------------------------------------------------------------------------------------


def small_ppo(
    policy: LM,
    questions: Sequence[Question],
    setup: Setup = Setup(),
    *,
    iterations: int,
    seed: int = SEED,
    title: str = "PPO",
) -> Run:
    """Train a policy in place; the reference is the policy as it was.

    Returns:
        Curves under the names of `TITLES`; about it, some answers of the `first` and of the `last` iteration, as
        (question, answer).
    Raises:
        TrainingStopped: a gradient is not a number.
        ValueError: iterations below 1, or fewer questions than answers in an iteration.
    """
    if iterations < 1 or len(questions) < setup.rollout_batch_size:
        raise ValueError(
            f"iterations={iterations} is at least 1, and {setup.rollout_batch_size} answers an iteration need as many "
            f"questions, but there are {len(questions)}."
        )
    reference, value = clone(policy), ValueModel.of(policy)
    models = [policy.model, value]
    rates = (setup.learning_rate, setup.value_learning_rate)
    groups = [{"params": list(model.parameters()), "lr": rate} for model, rate in zip(models, rates, strict=True)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0, fused=True)
    rows, run, answers = setup.prompts(policy, questions), PPORun(beta=setup.beta), {}

    def iterate(done: int) -> None:
        i = done + 1
        # 1. The policy answers.
        order = random.Random(f"{seed} {i}")
        chosen = order.sample(range(len(questions)), setup.rollout_batch_size)
        asked = [questions[k] for k in chosen]
        limits = {"max_new_tokens": setup.max_new_tokens, "seed": 100_000 * seed + i}
        rollouts = sample(policy, [rows[k] for k in chosen], **limits)
        mask = rollouts.mask
        with torch.no_grad():
            # 2. The answers are scored, and leaving the reference is paid for.
            scores = setup.reward(asked, rollouts.texts).to(mask.device)
            ref_logps = response_logps(reference, rollouts)
            rewards = setup.token_rewards(scores, rollouts.logps, ref_logps, mask, setup.beta)
            # 3. Each token is compared with what was expected of it.
            values = value(rollouts) * mask
            advantages, returns = gae(rewards, values, mask)
        measured = {
            "reward": float(scores.mean()),
            "true score": float(true_reward(asked, rollouts.texts).mean()),
            "kl": float(((rollouts.logps - ref_logps) * mask).sum(1).mean()),
            "entropy": -float(masked_mean(rollouts.logps, mask)),
            "length": float(mask.sum(1).mean()),
            "value error": float(masked_mean((returns - values) ** 2, mask)) ** 0.5,
            "reward std": float(scores.std(correction=0)),
        }
        # 4. Policy and value model learn from it.
        experience, count = (rollouts, whiten(advantages, mask), values, returns), len(rollouts)
        steps = [
            _step(policy, value, optimizer, experience, shuffled[first : first + setup.mini_batch_size], setup)
            for shuffled in (order.sample(range(count), count) for _ in range(setup.epochs))
            for first in range(0, count, setup.mini_batch_size)
        ]
        measured["clip fraction"], measured["gradient"] = (sum(x) / len(steps) for x in zip(*steps, strict=True))
        if not math.isfinite(measured["gradient"]):
            raise TrainingStopped(f"Iteration {i}: the norm of the gradient is {measured['gradient']}.")
        some = [(question.text, text) for question, text in zip(asked[:4], rollouts.texts, strict=False)]
        answers.setdefault("first", some)
        answers["last"] = some
        run.history.append(measured)

    curve = LiveCurve(title, iterations, x="iteration", panels=TITLES)
    drive(run, iterations, iterate, curve, lambda done: run.history[done - 1] if done else {})
    curves = {name: [past[name] for past in run.history] for name in TITLES}
    return Run("clinic", title, seed, policy.name, {}, curves, answers)


def _step(
    policy: LM,
    value: ValueModel,
    optimizer: torch.optim.Optimizer,
    experience: tuple[Rollouts, Tensor, Tensor, Tensor],
    rows: list[int],
    setup: Setup,
) -> tuple[float, float]:
    """One optimizer step on these answers; returns the clip fraction and the norm of the policy's gradient."""
    part = experience[0].rows(rows)
    mask, width = part.mask, part.mask.shape[1]
    advantages, old_values, returns = (x[rows, :width] for x in experience[1:])

    logits = response_logits(policy, part)
    logps = token_logps(logits, part.response_ids)
    loss = setup.policy_loss(logps, part.logps, advantages, mask, setup.clip)
    if setup.bonus:
        loss = loss - setup.bonus * setup.exploration(logits, mask)
    loss.backward()
    clipped_value_loss(value(part), old_values, returns, mask).backward()

    norms = [float(nn.utils.clip_grad_norm_(group["params"], setup.max_grad_norm)) for group in optimizer.param_groups]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return clipped_policy_loss(logps.detach(), part.logps, advantages, mask, setup.clip).clip_fraction, norms[0]
