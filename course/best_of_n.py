"""Best-of-N: sample N answers, keep the one that a reward likes best. What that gives, and how far it goes.

Serves notebook 08: at inference, and as data for another round of SFT (rejection sampling, Touvron et al. 2023, section
3.2.3). The KL bound is from Stiennon et al. 2020; `expected_best` is the estimator by which Nakano et al. 2021 and Gao
et al. 2023 draw the curves of reward against N from one pool of samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course import SEED
from course.models import LM
from course.numerics import tied
from course.plots import progress
from course.rewards import RewardFunction, rewards_of
from course.rollouts import chat_prompts, sample
from course.world import Question


@dataclass(frozen=True)
class Candidate:
    """One sampled answer and the reward that it got."""

    text: str
    score: float


@dataclass(frozen=True)
class Best:
    """The best of N answers to a question, and what the search went through.

    Attributes:
        question: what was asked.
        text: the answer with the highest reward; the first of several whose rewards are equal up to rounding.
        score: its reward.
        running: the best so far after 1, 2, 4, ... answers, and after all of them.
        scores: the reward of every answer in the order of sampling, float32 (N,). The other answers' texts are not
            kept.
        watched: what `watch` gave each answer, float32 (N,), empty without it.
    """

    question: Question
    text: str
    score: float
    running: dict[int, Candidate]
    scores: Tensor
    watched: Tensor


def best_of_n(
    lm: LM,
    questions: Sequence[Question],
    reward: RewardFunction,
    n: int,
    *,
    max_new_tokens: int = 56,
    watch: RewardFunction | None = None,
    seed: int = SEED,
    chunk: int = 128,
) -> list[Best]:
    """Sample N answers to each question and keep the best of each.

    Answers are made, scored and forgotten in rounds, so that a thousand of them take no more memory than one round.

    Args:
        lm: the model.
        questions: anything with a `.text`.
        reward: what the best is best by.
        n: answers to each question.
        max_new_tokens: as in `course.rollouts.sample`.
        watch: another reward, such as the true one, that is recorded for every answer and chooses nothing.
        seed: of the sampling. With the same seed, a larger N goes on where a smaller one ended.
        chunk: answers in one round, over all questions; at least one to each question. It changes the memory that is
            needed, and nothing else.
    Returns:
        One `Best` for each question, in their order.
    Raises:
        ValueError: no questions, n or chunk below 1, a reward is not a number (names the answer), or as `sample`.
    """
    if not questions or n < 1 or chunk < 1:
        raise ValueError(f"n={n} and chunk={chunk} are at least 1, and there are {len(questions)} questions.")
    prompts, count = chat_prompts(lm, questions), len(questions)
    best = [Candidate("", -math.inf)] * count
    running: list[dict[int, Candidate]] = [{} for _ in questions]
    scores, watched = list[float](), list[float]()
    each = max(1, chunk // count)
    generator = torch.Generator().manual_seed(seed)  # one for all rounds: begun anew in each, they would be the same
    for first in progress(range(0, n, each), f"{n * count:,} answers, rounds"):
        asked = [*range(count)] * min(each, n - first)
        rows = [prompts[i] for i in asked]
        texts = sample(lm, rows, max_new_tokens=max_new_tokens, seed=generator).texts
        given = _rewards(reward, questions, asked, texts, "reward")
        for row, (i, text) in enumerate(zip(asked, texts, strict=True)):
            seen = first + row // count + 1
            if seen == 1 or (given[row] > best[i].score and not tied(given[row], best[i].score)):
                best[i] = Candidate(text, given[row])
            if seen & (seen - 1) == 0 or seen == n:  # a power of two, or the last
                running[i][seen] = best[i]
        scores += given
        watched += _rewards(watch, questions, asked, texts, "watch") if watch else []

    def of_each(numbers: list[float]) -> list[Tensor]:
        return list(torch.tensor(numbers).view(-1, count).T.contiguous())

    return [
        Best(question, top.text, top.score, *rest)
        for question, top, *rest in zip(questions, best, running, of_each(scores), of_each(watched), strict=True)
    ]


def _rewards(
    reward: RewardFunction, questions: Sequence[Question], asked: list[int], texts: list[str], name: str
) -> list[float]:
    """The reward of each answer of a round. Many are the same, and what is the same is scored once."""
    places = {pair: place for place, pair in enumerate(dict.fromkeys(zip(asked, texts, strict=True)))}
    scores = rewards_of(reward, [questions[i] for i, _ in places], [text for _, text in places], name).tolist()
    return [scores[places[pair]] for pair in zip(asked, texts, strict=True)]


def best_of_n_kl(n: int) -> float:
    """How far best-of-N can be from the model that it samples: log N - (N - 1)/N nats.

    It is the KL divergence if no two answers are equally good, and never less than it otherwise.

    Raises:
        ValueError: n is below 1.
    Source: Stiennon et al. 2020, appendix G.3; that it is a bound: Beirami et al. 2024.
    """
    if n < 1:
        raise ValueError(f"n={n}: give at least 1.")
    return math.log(n) - (n - 1) / n


def expected_best(scores: Tensor, n: int, values: Tensor | None = None) -> float:
    """What the best of n answers is worth on average, estimated without bias from a pool of M answers.

    The mean over all ways to take n of the M: the i-th lowest of them is the best of C(i-1, n-1) of the C(M, n).

    Args:
        scores: the rewards of the pool, shape (M,), by which the best is chosen; of equal ones, each as often.
        n: at most M.
        values: another quantity of the same answers, shape (M,), such as their true scores, that is averaged instead.
    Raises:
        ValueError: n is outside 1 to M, or shapes differ.
    Source: Nakano et al. 2021, appendix I.
    """
    values = scores if values is None else values
    if scores.ndim != 1 or values.shape != scores.shape:
        raise ValueError(f"scores {tuple(scores.shape)} and values {tuple(values.shape)} are both to be (M,).")
    size = len(scores)
    if not 1 <= n <= size:
        raise ValueError(f"n={n} is outside 1 to {size}, the number of answers in the pool.")
    # The share of subsets whose best is among the i lowest is C(i, n) / C(M, n); by logarithms, for these are huge.
    counts = torch.arange(1, size + 1, dtype=torch.float64)
    below = torch.lgamma(counts + 1) - torch.lgamma((counts - n).clamp(min=0) + 1)
    share = torch.where(counts < n, 0.0, (below - below[-1]).exp())
    order = scores.double().argsort(stable=True)
    ordered = scores.double()[order]
    level = torch.zeros(size, dtype=torch.long)
    level[order[1:]] = (~tied(ordered[1:], ordered[:-1])).cumsum(0)  # equal up to rounding is one level
    members = torch.bincount(level)
    up_to = share[members.cumsum(0) - 1]
    chance = up_to.diff(prepend=up_to.new_zeros(1))  # that the best of n has this level
    mean_value = torch.zeros(len(members), dtype=torch.float64).index_add(0, level, values.double()) / members
    return float((chance * mean_value).sum())


def gaussian_best(n: int) -> float:
    """The mean of the highest of n draws from a standard normal distribution: about sqrt(2 log n) for large n.

    The curve that best-of-N follows, in standard deviations above the mean, if rewards are normally distributed.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"n={n}: give at least 1.")
    x = torch.linspace(-12.0, 12.0, 24001, dtype=torch.float64)
    # The integral of x times the density of the maximum, n * phi(x) * Phi(x)^(n-1).
    density = (math.log(n) - x**2 / 2 - math.log(2 * math.pi) / 2 + (n - 1) * torch.special.log_ndtr(x)).exp()
    return float(torch.trapezoid(x * density, x))
