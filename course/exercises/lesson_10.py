"""Exercises of lesson 10: flattery, the cautious score and when to stop (H1, H2, H4); triage and repair (H8)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from course.exercises.definition import Exercise, Sign
from course.experiments.store import stored

Replies = list[tuple[bool, bool | None]]
Curves = Mapping[str, Sequence[float]]


# --- flattery -----------------------------------------------------------------------------------------------


def flattery(replies: Replies) -> tuple[float, float]:
    """Share of wrong opinions agreed with, and of right ones; each reply is (opinion is right, it agrees or None)."""
    return _agreed(replies, False), _agreed(replies, True)


def _agreed(replies: Replies, right: bool) -> float:
    said = [agrees for opinion, agrees in replies if opinion is right]
    return sum(agrees is True for agrees in said) / len(said)


def _of_all(replies: Replies) -> tuple[float, float]:
    counts = [sum(opinion is kind and agrees is True for opinion, agrees in replies) for kind in (False, True)]
    return counts[0] / len(replies), counts[1] / len(replies)


def _none_counts(replies: Replies) -> tuple[float, float]:
    return flattery([(opinion, agrees is not False) for opinion, agrees in replies])


def _none_left_out(replies: Replies) -> tuple[float, float]:
    return flattery([(opinion, agrees) for opinion, agrees in replies if agrees is not None])


def _of_those_agreed_with(replies: Replies) -> tuple[float, float]:
    agreed = [opinion for opinion, agrees in replies if agrees is True]
    return agreed.count(False) / len(agreed), agreed.count(True) / len(agreed)


def _right_verdicts(replies: Replies) -> tuple[float, float]:
    """How often the verdict is right, for each kind of opinion."""
    denied = [agrees is False for opinion, agrees in replies if not opinion]
    return sum(denied) / len(denied), _agreed(replies, True)


def _total(replies: Replies) -> float:
    return sum(agrees is True for _, agrees in replies) / len(replies)


# --- the cautious score -------------------------------------------------------------------------------------


def cautious(scores: Tensor, usual: Tensor) -> Tensor:
    """Lowest score of each answer, (N,); scores (K, N) of K reward models in units of their usual (K, M) scores."""
    return _in_units(scores, usual).amin(0)


def _in_units(scores: Tensor, usual: Tensor) -> Tensor:
    return (scores - usual.mean(1, keepdim=True)) / usual.std(1, keepdim=True)


def _by(reduce: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda scores, usual: reduce(_in_units(scores, usual))


# --- when to stop -------------------------------------------------------------------------------------------


def when_to_stop(proxy: list[float], truth: list[float], window: int) -> int:
    """The iteration, from 1, at which the mean of the last `window` true scores was highest; the first of several."""
    return _best(truth, window) + window


def _best(values: list[float], window: int) -> int:
    """Where the window with the highest mean begins, from 0."""
    sums = [sum(values[i : i + window]) for i in range(len(values) - window + 1)]
    return max(range(len(sums)), key=sums.__getitem__)


def _last_rise(proxy: list[float], truth: list[float], window: int) -> int:
    """Where the smoothed true score first falls."""
    sums = [sum(truth[i : i + window]) for i in range(len(truth) - window + 1)]
    return next((i for i in range(len(sums) - 1) if sums[i + 1] < sums[i]), len(sums) - 1) + window


def _widest_gap(proxy: list[float], truth: list[float], window: int) -> int:
    gaps = [t - p for p, t in zip(proxy, truth, strict=True)]
    return max(range(len(gaps)), key=gaps.__getitem__) + 1


def _last_of_several(proxy: list[float], truth: list[float], window: int) -> int:
    return len(truth) - _best(truth[::-1], window)


def _half_windows(proxy: list[float], truth: list[float], window: int) -> int:
    """Means over what there is of the window, so that the first iterations count by fewer numbers."""
    means = [sum(truth[max(0, i - window + 1) : i + 1]) / min(window, i + 1) for i in range(len(truth))]
    return max(range(len(means)), key=means.__getitem__) + 1


def _as_index(got: Any, expected: Any) -> bool:
    return isinstance(got, int | float) and got == expected - 1


# --- triage -------------------------------------------------------------------------------------------------


def _late(numbers: Sequence[float]) -> float:
    return sum(numbers[-3:]) / 3


def _parted(curves: Curves, late: Callable[[Sequence[float]], float] = _late) -> bool:
    return late(curves["reward"]) > curves["reward"][0] and late(curves["true"]) < curves["true"][0] - 0.15


_RULES: dict[str, Callable[[Curves], bool]] = {
    "prompt": lambda curves: curves["entropy"][0] > 0.9,
    "signal": lambda curves: max(curves["reward_std"]) < 1e-5,
    "gradient": lambda curves: max(map(abs, curves["kl"])) <= 0.001,
    "reward": _parted,
    "kl": lambda curves: _late(curves["kl"]) > 8,
}


def triage(curves: Curves) -> str:
    """The first finding that applies to a run, or "healthy"."""
    return _first(_RULES)(curves)


def _first(rules: Mapping[str, Callable[[Curves], bool]], *order: str) -> Callable[[Curves], str]:
    """Triage by these rules, those of `order` before the others."""
    names = dict.fromkeys([*order, *rules])
    return lambda curves: next((name for name in names if rules[name](curves)), "healthy")


def _but(**other: Callable[[Curves], bool]) -> Callable[[Curves], str]:
    return _first(_RULES | other)


_RUNS = {(run.condition, run.seed): run.curves for run in stored("clinic")}
_NAMES = {"entropy": "entropy", "reward_std": "reward std", "kl": "kl", "reward": "reward", "true": "true score"}


def _stored(patient: str, seed: int) -> dict[str, list[float]]:
    """Curves of a stored run. Read from the store, since `course.experiments.clinic` takes the whole of PPO along."""
    history = _RUNS[patient, seed]
    return {name: history[stored] for name, stored in _NAMES.items()}


def _run(**curves: list[float]) -> dict[str, list[float]]:
    """A short run: healthy, but for the curves that are given."""
    usual = {
        "entropy": [0.4, 0.3, 0.2, 0.2],
        "reward_std": [0.5, 0.4, 0.4, 0.3],
        "kl": [0.0, 0.3, 0.6, 0.9],
        "reward": [0.5, 0.6, 0.8, 0.9],
        "true": [0.5, 0.6, 0.8, 0.9],
    }
    return usual | curves


# --- repair -------------------------------------------------------------------------------------------------


def loss_gradient(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """Gradient of PPO's loss without clipping with respect to logps; all (B, R)."""
    return -((logps - old_logps).exp() * advantages * mask) / mask.sum()


def _detached(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    return loss_gradient(logps, logps, advantages, mask)


_MASK = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])

EXERCISES: dict[str, Exercise] = {
    "10-flattery": Exercise(
        cases=[
            ([(False, True), (False, False), (True, True), (False, None)],),
            ([(True, None), (True, True), (True, False), (False, True), (False, True), (False, None), (True, True)],),
            ([(False, False), (True, True), (False, False), (True, True), (False, True)],),
        ],
        solution=flattery,
        why="A model that listens has a low first number and a high second one; one that flatters has two high ones.",
        special={
            "the model never says what it thinks": [([(False, None), (True, None)],)],
            "it agrees with everything": [([(False, True), (True, True), (True, True)],)],
            "there are more wrong opinions than right ones": [
                ([(False, True), (False, None), (False, False), (False, True), (True, True), (True, None)],)
            ],
        },
        mistakes={
            "denied": lambda replies: flattery(
                [(opinion, None if agrees is None else not agrees) for opinion, agrees in replies]
            ),
            "swapped": lambda replies: flattery(replies)[::-1],
            "of_all": _of_all,
            "none_counts": _none_counts,
            "none_left_out": _none_left_out,
            "of_agreed": _of_those_agreed_with,
            "right_verdicts": _right_verdicts,
            "one_number": _total,
            "wrong_only": lambda replies: flattery(replies)[0],
            "counts": lambda replies: tuple(
                sum(opinion is kind and agrees is True for opinion, agrees in replies) for kind in (False, True)
            ),
            "none_is_half": lambda replies: tuple(
                sum(0.5 if agrees is None else agrees for agrees in said) / len(said)
                for said in ([agrees for opinion, agrees in replies if opinion is kind] for kind in (False, True))
            ),
            "read_backwards": lambda replies: tuple(
                sum(opinion for opinion, agrees in replies if agrees is kind)
                / max(1, sum(agrees is kind for _, agrees in replies))
                for kind in (False, True)
            ),
            "evasive": lambda replies: flattery([(opinion, agrees is None) for opinion, agrees in replies]),
            "total_twice": lambda replies: (_total(replies), _total(replies)),
            "less_the_denied": lambda replies: tuple(
                _agreed(replies, kind)
                - _agreed([(opinion, None if agrees is None else not agrees) for opinion, agrees in replies], kind)
                for kind in (False, True)
            ),
            "one_more_below": lambda replies: tuple(
                _agreed(replies, kind) * (n := sum(opinion is kind for opinion, _ in replies)) / (n + 1)
                for kind in (False, True)
            ),
        },
    ),
    "10-cautious": Exercise(
        cases=[
            (torch.tensor([[1.0, 3.0], [12.0, 10.0]]), torch.tensor([[0.0, 2.0, 1.0], [8.0, 10.0, 12.0]])),
            (
                torch.tensor([[0.5, -1.0, 4.0], [3.0, 9.0, 1.0], [-20.0, -10.0, -35.0]]),
                torch.tensor([[0.0, 1.0, 0.5, -0.5], [2.0, 4.0, 8.0, 2.0], [-30.0, -20.0, -25.0, -15.0]]),
            ),
            (torch.tensor([[2.0, 2.5], [7.0, -7.0]]), torch.tensor([[1.0, 2.0], [-1.0, 3.0]])),
        ],
        solution=cautious,
        why="In their own units reward models compare, and an answer counts for what the most doubtful one grants.",
        special={
            "an answer equals a reward model's mean": [
                (torch.tensor([[1.0, 4.0], [3.0, 2.0]]), torch.tensor([[0.0, 2.0], [1.0, 5.0]]))
            ],
            "there is one reward model": [(torch.tensor([[1.0, 3.0, -2.0]]), torch.tensor([[0.0, 2.0, 1.0, 5.0]]))],
            "there is one answer": [(torch.tensor([[1.0], [-2.0]]), torch.tensor([[0.0, 2.0, 1.0], [1.0, 3.0, 8.0]]))],
        },
        mistakes={
            "common_zero": lambda scores, usual: ((scores - usual.mean()) / usual.std(1, keepdim=True)).amin(0),
            "common_unit": lambda scores, usual: ((scores - usual.mean(1, keepdim=True)) / usual.std()).amin(0),
            "brackets": lambda scores, usual: (scores - usual.mean(1, keepdim=True) / usual.std(1, keepdim=True)).amin(
                0
            ),
            "multiplied": lambda scores, usual: (
                (scores - usual.mean(1, keepdim=True)) * usual.std(1, keepdim=True)
            ).amin(0),
            "which_model": _by(lambda units: units.argmin(0)),
            "every_model": _by(lambda units: units),
            "upside_down": _by(lambda units: (-units).amin(0)),
            "raw": lambda scores, usual: scores.amin(0),
            "not_centred": lambda scores, usual: (scores / usual.std(1, keepdim=True)).amin(0),
            "not_scaled": lambda scores, usual: (scores - usual.mean(1, keepdim=True)).amin(0),
            "own_answers": lambda scores, usual: cautious(scores, scores),
            "common_units": lambda scores, usual: ((scores - usual.mean()) / usual.std()).amin(0),
            "across_models": lambda scores, usual: ((scores - usual.mean(0).mean()) / usual.std(0).mean()).amin(0),
            "over_answers": _by(lambda units: units.amin(1)),
            "mean": _by(lambda units: units.mean(0)),
            "largest": _by(lambda units: units.amax(0)),
            "population": lambda scores, usual: (
                (scores - usual.mean(1, keepdim=True)) / usual.std(1, keepdim=True, correction=0)
            ).amin(0),
            "variance": lambda scores, usual: (
                (scores - usual.mean(1, keepdim=True)) / usual.var(1, keepdim=True)
            ).amin(0),
            "median": lambda scores, usual: (
                (scores - usual.median(1, keepdim=True).values) / usual.std(1, keepdim=True)
            ).amin(0),
            "one_in_the_unit": lambda scores, usual: (
                (scores - usual.mean(1, keepdim=True)) / (usual.std(1, keepdim=True) + 1)
            ).amin(0),
            "middle_model": _by(lambda units: units.median(0).values),
            "summed": _by(lambda units: units.sum(0)),
            "smallest_size": _by(lambda units: units.abs().amin(0)),
            "range": lambda scores, usual: (
                (scores - usual.amin(1, keepdim=True)) / (usual.amax(1, keepdim=True) - usual.amin(1, keepdim=True))
            ).amin(0),
            "mean_distance": lambda scores, usual: (
                (scores - usual.mean(1, keepdim=True))
                / (usual - usual.mean(1, keepdim=True)).abs().mean(1, keepdim=True)
            ).amin(0),
            "unit_of_the_answers": lambda scores, usual: (
                (scores - usual.mean(1, keepdim=True)) / scores.std(1, keepdim=True)
            ).amin(0),
            "mean_less_spread": _by(lambda units: units.mean(0) - units.std(0)),
        },
    ),
    "10-when-to-stop": Exercise(
        cases=[
            ([0.0, 1.0, 2.0, 3.0, 4.0], [0.5, 0.75, 1.0, 0.25, 0.25], 2),
            ([0.1, 0.9, 1.3, 1.8, 1.7, 2.6, 2.4, 2.0], [0.6, 0.85, 0.5, 0.7, 0.8, 0.75, 0.3, 0.4], 3),
            ([0.0, 0.4, 1.1, 1.6, 2.1, 2.5, 2.0], [0.875, 0.25, 0.5, 1.0, 0.0, 0.75, 0.75], 2),
            ([1.0, 1.5, 1.75, 2.0], [0.9, 0.3, 0.5, 0.6], 2),
            ([0.5, 0.7, 1.0, 1.3, 1.2, 1.9], [0.5, 0.5, 0.0, 0.45, 0.4, 0.45], 3),
        ],
        solution=when_to_stop,
        why="A single iteration is luck. The mean over a few shows the top of the road; the proxy shows none.",
        special={
            "the best window is the last": [
                ([1.0, 2.0, 3.0], [0.1, 0.2, 0.9], 2),
                ([1.0, 2.0, 3.0, 4.0], [0.4, 0.1, 0.2, 0.6], 1),
            ],
            "there is one window": [([1.0, 2.0], [0.3, 0.4], 2)],
            "the window is 1": [([0.1, 0.3, 0.2], [0.2, 0.8, 0.5], 1)],
            "the best window is the first": [([0.1, 0.3, 0.2, 0.4], [0.9, 0.8, 0.5, 0.6], 2)],
            "all true scores are below 0": [
                ([1.0, 2.0, 3.0, 4.0], [-0.5, -0.9, -0.7, -0.8], 2),
                ([1.0, 2.0, 3.0, 4.0], [-0.9, -0.6, -0.3, -0.8], 2),
            ],
            "several means are equal": [([1.0, 2.0, 3.0, 4.0, 5.0], [0.5, 0.25, 0.5, 0.25, 0.5], 2)],
        },
        mistakes={
            "lowest": lambda proxy, truth, window: when_to_stop(proxy, [-value for value in truth], window),
            "best_in_window": lambda proxy, truth, window: max(
                range(window, len(truth) + 1), key=lambda i: max(truth[i - window : i])
            ),
            "from_zero": Sign(_as_index),
            "by_proxy": lambda proxy, truth, window: when_to_stop(truth, proxy, window),
            "no_window": lambda proxy, truth, window: when_to_stop(proxy, truth, 1),
            "window_begins": lambda proxy, truth, window: _best(truth, window) + 1,
            "last_of_several": _last_of_several,
            "half_windows": _half_windows,
            "first_fall": _last_rise,
            "gap": _widest_gap,
            "last": lambda proxy, truth, window: len(truth),
            "last_window_left_out": lambda proxy, truth, window: (
                when_to_stop(proxy[:-1], truth[:-1], window) if len(truth) > window else window
            ),
            "highest_mean": lambda proxy, truth, window: max(
                sum(truth[i - window : i]) / window for i in range(window, len(truth) + 1)
            ),
            "middle": lambda proxy, truth, window: when_to_stop(proxy, truth, window) - window // 2,
            "one_wider": lambda proxy, truth, window: (
                when_to_stop(proxy, truth, window + 1) if len(truth) > window else window
            ),
            "median": lambda proxy, truth, window: max(
                range(window, len(truth) + 1), key=lambda i: sorted(truth[i - window : i])[window // 2]
            ),
            "both_added": lambda proxy, truth, window: when_to_stop(
                proxy, [p + t for p, t in zip(proxy, truth, strict=True)], window
            ),
            "lowest_in_window": lambda proxy, truth, window: max(
                range(window, len(truth) + 1), key=lambda i: min(truth[i - window : i])
            ),
            "proxy_falls": lambda proxy, truth, window: next(
                (i for i in range(1, len(proxy)) if proxy[i] < proxy[i - 1]), len(proxy)
            ),
        },
    ),
    "10-triage": Exercise(
        cases=[
            (_run(),),
            (_run(kl=[0.0, -0.2, -0.4, -0.1], reward_std=[0.5, 0.4, 0.0, 0.3]),),
            (_run(kl=[0.0, 9.5, 40.0, 2.0, 1.0, 1.0], entropy=[0.5] * 6),),
            (_run(kl=[0.0, 6.0, 9.0, 12.0], reward=[0.5, 0.8, 0.7, 0.4], true=[0.5, 0.8, 0.7, 0.4]),),
            (_run(reward=[0.5, 0.9, 0.9, 0.4], true=[0.5, 0.2, 0.2, 0.45]),),
            (_run(reward_std=[0.0, 0.1, 0.2, 0.2]),),
            (_run(reward=[0.5, 1.0, 2.0, 3.0], true=[0.5, 0.3, 0.2, 0.1], kl=[0.0, 7.0, 9.0, 12.0]),),
            (_run(entropy=[1.5, 1.4, 1.3, 1.4], reward_std=[0.0] * 4, reward=[0.0] * 4, true=[0.0] * 4),),
            *(
                (_stored(patient, seed),)
                for seed in (3, 4)
                for patient in ("healthy", "A", "B", "C", "D", "E", "G", "H")
            ),
        ],
        solution=triage,
        why="Causes come before consequences, so the first rule that applies says where to look.",
        special={
            "the entropy is above 0.9 only later": [(_run(entropy=[0.5, 1.5, 1.4, 1.4]),)],
            "the entropy is above 0.9 only at first": [(_run(entropy=[0.95, 0.5, 0.3, 0.2]),)],
            "the entropy of the first iteration is exactly 0.9": [(_run(entropy=[0.9, 0.5, 0.3, 0.2]),)],
            "the true score falls by less than 0.15": [
                (_run(true=[0.5, 0.5, 0.45, 0.4]),),
                (_run(true=[0.5, 0.4, 0.4, 0.38]),),
            ],
            "the true score falls by more than 0.15": [(_run(true=[0.5, 0.35, 0.33, 0.33]),)],
            "the reward does not rise": [(_run(reward=[0.5] * 4, true=[0.5, 0.2, 0.2, 0.2]),)],
            "the KL is far from 0 on both sides, and its mean is 0": [(_run(kl=[0.5, -0.5, 0.5, -0.5]),)],
            "the KL is below 0": [(_run(kl=[0.0, -0.3, -0.5, -0.4]),), (_run(kl=[0.0, -9.0, -10.0, -9.0]),)],
            "the KL stays within 0.001 and is not 0": [(_run(kl=[0.0, 0.0005, -0.001, 0.0008]),)],
            "the KL leaves 0.001 by a little": [(_run(kl=[0.0, 0.0016, 0.0005, 0.0002]),)],
            "the late KL is a little below 8": [
                (_run(kl=[0.0, 7.5, 7.8, 7.9]),),
                (_run(kl=[0.0, 8.0, 8.0, 8.0]),),
                (_run(kl=[0.0, 9.0, 7.0, 6.0]),),
            ],
            "the late KL is a little above 8": [(_run(kl=[0.0, 8.5, 7.8, 8.4]),), (_run(kl=[0.0, 12.0, 7.0, 7.0]),)],
            "the run has more than four iterations": [
                (_run(kl=[0.0, 20.0, 20.0, 3.0, 2.0, 1.0], reward=[0.5] * 6, true=[0.5] * 6),),
                (_run(reward=[0.5, 0.1, 0.1, 0.9, 0.9, 0.9], true=[0.5, 0.9, 0.9, 0.2, 0.2, 0.2], kl=[0.5] * 6),),
            ],
            "the standard deviation is 0 up to rounding": [(_run(reward_std=[0.0, 1e-8, 2e-7, 0.0]),)],
            "neither the rewards nor the policy move": [(_run(reward_std=[0.0] * 4, kl=[0.0] * 4),)],
            "the standard deviation is small, but not 0": [(_run(reward_std=[0.0, 1.5e-5, 0.0, 0.0]),)],
        },
        mistakes={
            "overwritten": _first(dict(reversed(_RULES.items()))),
            "first_entropy_late": _but(prompt=lambda curves: curves["entropy"][-1] > 0.9),
            "signal_first": _first(_RULES, "signal"),
            "some_without_spread": _but(signal=lambda curves: min(curves["reward_std"]) < 1e-5),
            "first_spread": _but(signal=lambda curves: curves["reward_std"][0] < 1e-5),
            "one_sided": _but(gradient=lambda curves: max(curves["kl"]) <= 0.001),
            "reward_not_asked": _but(reward=lambda curves: _late(curves["true"]) < curves["true"][0] - 0.15),
            "last_only": _but(
                reward=lambda curves: _parted(curves, lambda numbers: numbers[-1]),
                kl=lambda curves: curves["kl"][-1] > 8,
            ),
            "highest_kl": _but(kl=lambda curves: max(curves["kl"]) > 8),
            "kl_first": _first(_RULES, "kl"),
            "first_three": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) > sum(curves["reward"][:3]) / 3
                    and _late(curves["true"]) < sum(curves["true"][:3]) / 3 - 0.15
                )
            ),
            "any_entropy": _but(prompt=lambda curves: max(curves["entropy"]) > 0.9),
            "either": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) > curves["reward"][0] or _late(curves["true"]) < curves["true"][0] - 0.15
                )
            ),
            "any_fall": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) > curves["reward"][0] and _late(curves["true"]) < curves["true"][0]
                )
            ),
            "relative": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) > curves["reward"][0] and _late(curves["true"]) < 0.85 * curves["true"][0]
                )
            ),
            "mean_of_run": _but(kl=lambda curves: sum(curves["kl"]) / len(curves["kl"]) > 8),
            "sum_of_three": _but(kl=lambda curves: sum(curves["kl"][-3:]) > 8),
            "exactly_zero": _but(signal=lambda curves: max(curves["reward_std"]) == 0),
            "mean_kl_is_zero": _but(gradient=lambda curves: abs(sum(curves["kl"]) / len(curves["kl"])) <= 0.001),
            "last_four": _but(kl=lambda curves: sum(curves["kl"][-4:]) / len(curves["kl"][-4:]) > 8),
            "last_two": _but(
                kl=lambda curves: sum(curves["kl"][-2:]) / 2 > 8,
                reward=lambda curves: _parted(curves, lambda numbers: sum(numbers[-2:]) / 2),
            ),
            "last_spread": _but(signal=lambda curves: curves["reward_std"][-1] < 1e-5),
            "true_rises": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) > curves["reward"][0] and _late(curves["true"]) > curves["true"][0] + 0.15
                )
            ),
            "reward_falls": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) < curves["reward"][0] and _late(curves["true"]) < curves["true"][0] - 0.15
                )
            ),
            "true_not_fallen": _but(
                reward=lambda curves: (
                    _late(curves["reward"]) > curves["reward"][0] and _late(curves["true"]) > curves["true"][0] - 0.15
                )
            ),
            "some_without_kl": _but(gradient=lambda curves: min(map(abs, curves["kl"])) <= 0.001),
            "last_kl_zero": _but(gradient=lambda curves: abs(curves["kl"][-1]) <= 0.001),
            "kl_forgotten": _but(kl=lambda curves: False),
            "prompt_forgotten": _but(prompt=lambda curves: False),
            "gradient_before_signal": _first(_RULES, "prompt", "gradient"),
            "a_tenth": _but(kl=lambda curves: _late(curves["kl"]) > 0.8),
            "capitals": lambda curves: triage(curves).capitalize(),
            "signal_forgotten": _but(signal=lambda curves: False),
            "gradient_forgotten": _but(gradient=lambda curves: False),
            "reward_forgotten": _but(reward=lambda curves: False),
        },
    ),
    "10-repair": Exercise(
        cases=[
            (torch.tensor([[0.0]]), torch.tensor([[-0.5]]), torch.tensor([[2.0]]), torch.tensor([[1.0]])),
            (
                torch.tensor([[-1.0, -0.5, -2.0], [-0.25, -1.0, -1.0]]),
                torch.tensor([[-1.5, -0.5, -1.0], [-0.5, -2.0, 0.0]]),
                torch.tensor([[1.0, -2.0, 0.5], [3.0, 4.0, 5.0]]),
                _MASK,
            ),
        ],
        solution=loss_gradient,
        why="One step down this gradient is the first step of PPO; the clip acts from the second on.",
        special={
            "an advantage is below 0": [
                (
                    torch.tensor([[-0.4, -1.1]]),
                    torch.tensor([[-0.9, -0.6]]),
                    torch.tensor([[-2.0, -0.5]]),
                    torch.ones(1, 2),
                ),
            ],
            "an answer has no token that counts": [
                (_MASK - 1, _MASK - 2, _MASK + 1, torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])),
            ],
        },
        mistakes={
            "ratio_upside_down": lambda logps, old, advantages, mask: -loss_gradient(old, logps, advantages, mask),
            "per_row": lambda logps, old, adv, mask: loss_gradient(logps, old, adv, mask) * mask.sum() / len(mask),
            "no_gradient": lambda logps, old, advantages, mask: torch.zeros_like(logps),
            "wrong_sign": lambda *args: -loss_gradient(*args),
            "sum": lambda logps, old, advantages, mask: loss_gradient(logps, old, advantages, mask) * mask.sum(),
            "sum_wrong_sign": lambda logps, old, adv, mask: -loss_gradient(logps, old, adv, mask) * mask.sum(),
            "mean_of_all": lambda logps, old, adv, mask: loss_gradient(logps, old, adv, mask) * mask.mean(),
            "per_answer": lambda logps, old, advantages, mask: (
                -((logps - old).exp() * advantages * mask) / mask.sum(1, keepdim=True) / len(mask)
            ),
            "detached": _detached,
            "unmasked": lambda logps, old, advantages, mask: -((logps - old).exp() * advantages) / mask.sum(),
            "clipped": lambda logps, old, adv, mask: (
                loss_gradient(logps, old, adv, mask) * (((logps - old).exp() - 1).abs() <= 0.2)
            ),
            "centred": lambda logps, old, adv, mask: loss_gradient(logps, old, adv - adv.mean(), mask),
            "loss_itself": lambda logps, old, adv, mask: loss_gradient(logps, old, adv, mask).sum(),
            "step_taken": lambda logps, old, adv, mask: logps - loss_gradient(logps, old, adv, mask),
            "mean_alone": lambda logps, old, adv, mask: -_detached(logps, old, adv, mask),
            "sign_alone": lambda logps, old, adv, mask: _detached(logps, old, adv, mask) * mask.sum(),
        },
    ),
}
