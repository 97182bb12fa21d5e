"""PPO on a language model: the policy answers, the answers are scored, each token gets an advantage, a step is taken.

Serves notebooks 09 (claims O1, O4 to O8) and 10. Schulman et al. 2017 for the algorithm, Ziegler et al. 2019 and Ouyang
et al. 2022 (section 3.5) for its use with four models: the policy, the reference that it must stay near, the reward
model and the value model. `steps.py` has the formulas in action. Left out on purpose: several devices, schedules of the
rate, anything that runs while something else does.
"""

import copy
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from itertools import pairwise
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn

from course import SEED
from course.batching import Example, check_examples
from course.models import LM
from course.numerics import no_spread
from course.plots import LiveCurve
from course.resume import State, TrainingStopped, deferred_interrupt, drive, evaluating, fingerprint
from course.rewards import RewardFunction
from course.rl.advantages import AdaptiveKL, FixedKL
from course.rl.memory import moved
from course.rl.settings import PANELS, PPOConfig, PPORun, drawn
from course.rl.steps import score_rollouts, update
from course.rl.value import ValueModel
from course.rollouts import Rollouts, chat_prompts, sample
from course.rollouts.generation import check_room
from course.world import Question, Request


@deferred_interrupt()
def ppo(
    policy: LM,
    reward: RewardFunction,
    prompts: Sequence[Question | Request],
    *,
    iterations: int,
    kl: FixedKL | AdaptiveKL = FixedKL(0.05),  # noqa: B008 (a copy of it is used)
    settings: PPOConfig = PPOConfig(),  # noqa: B008 (frozen)
    sft_examples: Sequence[Example] = (),
    watch: RewardFunction | None = None,
    seed: int = SEED,
    title: str = "PPO",
    state: Path | str | None = None,
) -> PPORun:
    """Train a policy in place so that its answers get a higher reward, without going far from the reference.

    The reference is a frozen copy of the policy as it is now, of a policy with LoRA adapters a copy of these only. The
    value model is a copy of the policy that at first expects nothing.

    Interrupt it (the stop button, Ctrl-C) and the iteration at hand is finished, the state saved, and the run so far
    returned. Called again with the same arguments and `state`, it goes on where it stopped and ends with the numbers
    that an uninterrupted run gives.

    Args:
        policy: weights that do not require gradients stay as they are.
        reward: what is to be raised, a `RewardModel` or another reward function.
        prompts: questions, or anything with a `.text`; each iteration takes the next ones, in an order by the seed.
        iterations: how often to sample and to learn.
        kl: the KL penalty, for leaving the reference. An adaptive one stays as it is; the run's beta is in the run.
        settings: the hyperparameters, see `PPOConfig`.
        sft_examples: as from `chat_examples`, for `settings.sft_coefficient`.
        watch: measured and drawn as the true score, and not learnt from.
        seed: of the order of the prompts, of the sampling and of the order of the answers.
        title: shown above the live curves.
        state: a file to save to and resume from.
    Raises:
        TrainingStopped: a reward, a loss or a gradient is not a number, or the state file is damaged, of another run,
            or cannot be written.
        ValueError: no prompts, one that leaves no room in the model's context, or settings that do not fit together.
    """
    if not (prompts := list(prompts)):
        raise ValueError("There are no prompts: give at least one question.")
    rows = check_room(policy, chat_prompts(policy, prompts), settings.max_new_tokens)
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: give at least 1.")
    if settings.sft_coefficient:
        check_examples(sft_examples, "sft_examples")
    reference = _as_it_is(policy, isinstance(policy.model, PeftModel) and not settings.offload)
    value = ValueModel.of(policy, settings.value_rank, seed)
    both = nn.ModuleDict({"policy": policy.model, "value": value})
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in policy.model.parameters() if p.requires_grad], "lr": settings.learning_rate},
            {"params": [p for p in value.parameters() if p.requires_grad], "lr": settings.value_learning_rate},
        ],
        weight_decay=0.0,
        fused=True,
    )
    data = [{"prompt": row} for row in rows] + [dict(example) for example in sft_examples]
    about = [iterations, *astuple(settings), type(kl).__name__, *astuple(kl), seed]
    keeper = State(state, fingerprint(data, about), both, optimizer, policy.model, start_only=True) if state else None
    run = (keeper.restore(PPORun) if keeper else None) or PPORun(beta=kl.beta)
    kl = replace(kl, beta=run.beta)
    panels = {name: title for name, title in PANELS.items() if watch or name != "true score"}
    curve, said = LiveCurve(title, iterations, x="iteration", panels=panels), set[str]()
    waiting, home = ([reward, watch, value, reference] if settings.offload else []), torch.device("cpu")

    def iterate(done: int) -> None:
        i, began = done + 1, [time.perf_counter()]
        # 1. The policy answers the next prompts.
        chosen = _next(len(rows), settings.rollout_batch_size, done, seed)
        asked = [prompts[k] for k in chosen]
        limits = {"max_new_tokens": settings.max_new_tokens, "temperature": settings.temperature}
        rollouts = sample(policy, [rows[k] for k in chosen], **limits, seed=100_000 * seed + i)
        began.append(time.perf_counter())
        # 2. The answers are scored, and 3. each token gets its advantage over what was expected of it.
        with moved(waiting, policy.device, home):
            scores = _scores(reward, "reward", asked, rollouts, i)
            with _located(i):
                experience, measured = score_rollouts(policy, reference, value, rollouts, scores, kl.beta, settings)
            if watch:
                measured["watch"] = float(_scores(watch, "watch", asked, rollouts, i).mean())
        _remark(scores, rollouts, i, said)
        began.append(time.perf_counter())
        # 4. The policy and the value model learn from that.
        order = random.Random(f"{seed} {i}")
        with moved([value] * settings.offload, policy.device, home), _located(i):
            measured |= update(policy, value, optimizer, experience, settings, sft_examples, order)
        began.append(time.perf_counter())
        took = (after - before for before, after in pairwise(began))
        seconds = dict(zip(("generation", "scoring", "update"), took, strict=True))
        run.history.append(measured | {"beta": kl.beta, "seconds": seconds})
        kl.update(measured["kl"], settings.rollout_batch_size)
        run.beta = kl.beta

    def shown(done: int) -> dict[str, float]:
        return drawn(run.history[done - 1]) if done else {}

    reference.model.eval()
    with evaluating(both, optimizer), moved(waiting, home, policy.device):
        return drive(run, iterations, iterate, curve, shown, keeper)


def _as_it_is(policy: LM, shares: bool) -> LM:
    """A copy to be the reference. If it shares the weights that training leaves alone, only adapters are held twice."""
    kept = {id(p): p for p in policy.model.parameters() if shares and not p.requires_grad}
    return replace(policy, model=copy.deepcopy(policy.model, kept).requires_grad_(False))


def _next(count: int, answers: int, iteration: int, seed: int) -> list[int]:
    """Which of `count` prompts an iteration asks: all in turn, in another order each time round."""
    places = range(iteration * answers, (iteration + 1) * answers)
    orders = {n: random.Random(f"prompts {seed} {n}").sample(range(count), count) for n in {p // count for p in places}}
    return [orders[place // count][place % count] for place in places]


def _scores(
    function: RewardFunction, name: str, asked: Sequence[Question | Request], rollouts: Rollouts, iteration: int
) -> Tensor:
    """What the function gives each answer, checked."""
    scores = torch.as_tensor(function(asked, rollouts.texts), dtype=torch.float32).to(rollouts.mask.device)
    if scores.shape != (len(asked),):
        raise ValueError(
            f"The {name} function returned shape {tuple(scores.shape)} for {len(asked)} answers: it must return one "
            f"number for each, shape ({len(asked)},)."
        )
    if not scores.isfinite().all():
        i = int((~scores.isfinite()).int().argmax())
        raise TrainingStopped(
            f"Iteration {iteration}: the {name} of answer {i} is {float(scores[i])}. It was asked "
            f"{asked[i].text!r} and answered {rollouts.texts[i]!r}. The weights are as the iteration before left them; "
            f"check what the {name} function does with such an answer."
        )
    return scores


def _remark(scores: Tensor, rollouts: Rollouts, iteration: int, said: set[str]) -> None:
    """Say once in a run that all rewards are equal, and once that there are empty answers."""
    if "equal" not in said and no_spread(scores):
        said.add("equal")
        print(
            f"Iteration {iteration}: all {len(scores)} rewards are {float(scores[0]):.4g}, so no answer is better than "
            "another. The step is taken all the same, and only the KL penalty and the errors of the values steer it."
        )
    empty = [i for i, text in enumerate(rollouts.texts) if not text.strip()]
    if "empty" not in said and empty:
        said.add("empty")
        print(
            f"Iteration {iteration}: {len(empty)} of {len(scores)} answers are empty, first answer {empty[0]} with a "
            f"reward of {float(scores[empty[0]]):.4g}. They are learnt from like the others, by their stop token."
        )


@contextmanager
def _located(iteration: int) -> Iterator[None]:
    """Say of what goes wrong inside in which iteration it did, and what to check."""
    try:
        yield
    except (TrainingStopped, ValueError) as error:  # a loss of what is no number is a ValueError
        raise TrainingStopped(
            f"Iteration {iteration}: {error} This step did not change the weights. Check the learning rates (try a "
            "tenth), the size of the rewards, and whether all weights were finite when you began."
        ) from error
