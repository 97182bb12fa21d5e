"""Exercises of lesson 08: the data of rejection sampling, the expected best of a pool (N1), and who wins (N2)."""

import math
from collections.abc import Callable
from math import comb

import torch
from torch import Tensor

from course.exercises.definition import Exercise
from course.formats import Record

Stream = list[tuple[str, str, float]]


# --- the data of a round ------------------------------------------------------------------------------------


def keep_best(stream: Stream) -> list[Record]:
    """One conversation for each question, in the order of their first answers, with the first best of its answers."""
    return _kept(stream, lambda score, best: score > best)


def _record(question: str, answer: str) -> Record:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _kept(stream: Stream, better: Callable[[float, float], bool], start: float | None = None) -> list[Record]:
    best: dict[str, tuple[str, float]] = {}
    for question, answer, score in stream:
        lowest = best[question][1] if question in best else start
        if lowest is None or better(score, lowest):
            best[question] = (answer, score)
    return [_record(question, answer) for question, (answer, _) in best.items()]


def _improvements(stream: Stream) -> list[Record]:
    best: dict[str, float] = {}
    records = []
    for question, answer, score in stream:
        if question not in best or score > best[question]:
            best[question] = score
            records.append(_record(question, answer))
    return records


def _over_the_mean(stream: Stream) -> list[Record]:
    mean = sum(score for *_, score in stream) / len(stream)
    return [_record(question, answer) for question, answer, score in stream if score > mean]


def _highest_of_all(stream: Stream) -> list[Record]:
    """As many as there are questions, whichever they belong to."""
    count = len({question for question, *_ in stream})
    return [_record(q, answer) for q, answer, _ in sorted(stream, key=lambda one: -one[2])[:count]]


def _only_one(stream: Stream) -> list[Record]:
    question, answer, _ = max(stream, key=lambda one: one[2])
    return [_record(question, answer)]


def _roles_swapped(stream: Stream) -> list[Record]:
    return [_record(*(turn["content"] for turn in reversed(record["messages"]))) for record in keep_best(stream)]


# --- the best of n from a pool ------------------------------------------------------------------------------


def best_of_pool(scores: Tensor, n: int) -> float:
    """The mean, over all ways to take n of the M scores, of the highest taken."""
    return _weighed(scores, n, lambda i, size: comb(i - 1, n - 1) / comb(size, n))


def _weighed(scores: Tensor, n: int, weight: Callable[[int, int], float], highest_first: bool = False) -> float:
    ordered = sorted(scores.tolist(), reverse=highest_first)
    return sum(weight(i, len(ordered)) * score for i, score in enumerate(ordered, start=1))


def _with_replacement(scores: Tensor, n: int) -> float:
    return _weighed(scores, n, lambda i, size: (i / size) ** n - ((i - 1) / size) ** n)


def _expected_worst(scores: Tensor, n: int) -> float:
    return _weighed(scores, n, lambda i, size: comb(i - 1, n - 1) / comb(size, n), highest_first=True)


def _by_blocks(scores: Tensor, n: int) -> float:
    blocks = [scores[at : at + n] for at in range(0, len(scores) - n + 1, n)]
    return float(torch.stack([block.max() for block in blocks]).mean())


# --- who wins -----------------------------------------------------------------------------------------------


def chances_to_win(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    """Probability of each answer to be the best of n that are drawn; of equally good ones, the one drawn first wins."""
    up_to = torch.stack([probabilities[rewards <= reward].sum() for reward in rewards])
    level = torch.stack([probabilities[rewards == reward].sum() for reward in rewards])
    return (up_to**n - (up_to - level).clamp(min=0) ** n) * probabilities / level


def _by_place(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    """Of equally good answers the one that is listed last always wins."""
    order = rewards.argsort(stable=True)
    up_to = probabilities[order].cumsum(0)
    return (up_to**n).diff(prepend=torch.zeros(1))[order.argsort()]


def _in_given_order(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    return (probabilities.cumsum(0) ** n).diff(prepend=torch.zeros(1))


def _equal_parts(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    up_to = torch.stack([probabilities[rewards <= reward].sum() for reward in rewards])
    level = torch.stack([probabilities[rewards == reward].sum() for reward in rewards])
    share = torch.stack([1.0 / (rewards == reward).sum() for reward in rewards])
    return (up_to**n - (up_to - level).clamp(min=0) ** n) * share


def _ties_counted_twice(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    up_to = torch.stack([probabilities[rewards <= reward].sum() for reward in rewards])
    below = torch.stack([probabilities[rewards < reward].sum() for reward in rewards])
    return up_to**n - below**n


def _none_better(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    return torch.stack([probabilities[rewards <= reward].sum() for reward in rewards]) ** n


def _powers(probabilities: Tensor, rewards: Tensor, n: int) -> Tensor:
    return probabilities**n / (probabilities**n).sum()


EXERCISES: dict[str, Exercise] = {
    "08-keep-best": Exercise(
        cases=[
            ([("1 + 1?", "2", 0.5), ("1 + 1?", "3", -1.0), ("2 + 2?", "5", -3.0), ("2 + 2?", "4", -2.0)],),
            (
                [
                    ("Capital of Peru?", "Lima.", 1.0),
                    ("Capital of Cuba?", "Lima.", -0.5),
                    ("Capital of Peru?", "Peru.", 0.2),
                    ("Capital of Cuba?", "Havana.", 0.1),
                    ("Capital of Peru?", "It is Lima.", 1.0),
                    ("Capital of Cuba?", "Cuba.", -2.0),
                ],
            ),
            ([("Hello?", "Yes.", -0.1), ("Hello?", "No.", -0.2), ("Who?", "Me.", 7.0), ("Who?", "You.", 8.0)],),
        ],
        solution=keep_best,
        why="Each question keeps one answer in memory, however many are sampled, and none is compared with another's.",
        special={
            "a later answer is better than a former one, but not the best": [
                ([("q", "a", 0.0), ("q", "b", 3.0), ("q", "c", 1.0)],),
            ],
            "two answers have the same score": [
                ([("q", "B", 1.0), ("q", "A", 1.0)],),
                ([("q", "A", 1.0), ("q", "B", 1.0)],),
            ],
            "a question's best answer comes after other questions": [
                ([("q", "a", 0.0), ("r", "b", 1.0), ("q", "c", 2.0), ("p", "d", 1.0), ("r", "e", 3.0)],),
            ],
            "all scores are below 0": [([("q", "a", -5.0), ("q", "b", -2.0), ("r", "c", -9.0)],)],
            "a score is 0": [([("q", "a", 0.0), ("q", "b", -1.0), ("r", "c", -1.0), ("r", "d", 0.0)],)],
            "two questions get the same answer": [([("q", "a", 1.0), ("r", "a", 2.0)],)],
        },
        mistakes={
            "by_text": lambda stream: [
                _record(question, max(one[:2] for one in stream if one[0] == question)[1])
                for question in dict.fromkeys(one[0] for one in stream)
            ],
            "size": lambda stream: keep_best([(question, answer, abs(score)) for question, answer, score in stream]),
            "last_of_equal": lambda stream: _kept(stream, lambda score, best: score >= best),
            "lowest": lambda stream: _kept(stream, lambda score, best: score < best),
            "from_zero": lambda stream: _kept(stream, lambda score, best: score > best, start=0.0),
            "first_answer": lambda stream: _kept(stream, lambda score, best: False),
            "last_answer": lambda stream: _kept(stream, lambda score, best: True),
            "improvements": _improvements,
            "only_one": _only_one,
            "highest_of_all": _highest_of_all,
            "over_the_mean": _over_the_mean,
            "all": lambda stream: [_record(question, answer) for question, answer, _ in stream],
            "roles": _roles_swapped,
            "by_score": lambda stream: [
                _record(question, answer)
                for question, answer in {
                    question: answer for question, answer, _ in sorted(stream, key=lambda one: one[2])
                }.items()
            ],
            "positive": lambda stream: [_record(question, answer) for question, answer, score in stream if score > 0],
            "texts_alone": lambda stream: [
                tuple(turn["content"] for turn in record["messages"]) for record in keep_best(stream)
            ],
            "longest": lambda stream: keep_best([(question, answer, len(answer)) for question, answer, _ in stream]),
            "scores_as_answers": lambda stream: [
                _record(question, str(max(score for other, _, score in stream if other == question)))
                for question in dict.fromkeys(one[0] for one in stream)
            ],
            "one_conversation": lambda stream: [
                {"messages": [turn for record in keep_best(stream) for turn in record["messages"]]}
            ],
            "answers_alone": lambda stream: [{"messages": record["messages"][1:]} for record in keep_best(stream)],
            "alphabetical": lambda stream: sorted(
                keep_best(stream), key=lambda record: record["messages"][0]["content"]
            ),
        },
    ),
    "08-expected-best": Exercise(
        cases=[
            (torch.tensor([1.0, 4.0, 2.0]), 2),
            (torch.tensor([0.5, -2.0, 3.0, 0.0, 1.0, 2.5]), 3),
            (torch.tensor([2.0, 2.0, -1.0, 7.0, 0.0]), 4),
            (torch.tensor([0.25, -1.5, 2.0, 0.75, 3.5, -0.5, 1.25, 4.0]), 5),
        ],
        solution=best_of_pool,
        why="One pool of M answers gives the whole curve from 1 to M, and every point of it is without bias.",
        special={
            "n is the size of the pool": [(torch.tensor([0.5, -1.0, 2.0]), 3)],
            "n is 1": [(torch.tensor([3.0, 1.0, 8.0, 4.0]), 1)],
            "several scores are equal": [(torch.tensor([1.0, 3.0, 3.0, 1.0, 3.0]), 2)],
            "all scores are below 0": [(torch.tensor([-3.0, -1.0, -8.0, -4.0, -2.0]), 3)],
        },
        mistakes={
            "not_sorted": lambda scores, n: sum(
                comb(i, n - 1) / comb(len(scores), n) * score for i, score in enumerate(scores.tolist())
            ),
            "in_a_row": lambda scores, n: float(scores.unfold(0, n, 1).amax(1).mean()),
            "not_divided": lambda scores, n: comb(len(scores), n) * best_of_pool(scores, n),
            "n_th_highest": lambda scores, n: float(scores.topk(n).values.min()),
            "highest": lambda scores, n: float(scores.max()),
            "mean": lambda scores, n: float(scores.mean()),
            "first_n": lambda scores, n: float(scores[:n].max()),
            "blocks": _by_blocks,
            "mean_of_top": lambda scores, n: float(scores.topk(n).values.mean()),
            "with_replacement": _with_replacement,
            "worst": _expected_worst,
            "one_off": lambda scores, n: _weighed(scores, n, lambda i, size: comb(i, n) / comb(size, n)),
            "repeats_allowed": lambda scores, n: _weighed(
                scores, n, lambda i, size: comb(i + n - 2, n - 1) / comb(size + n - 1, n)
            ),
            "rank_one_late": lambda scores, n: _weighed(scores, n, lambda i, size: comb(i, n - 1) / comb(size, n)),
            "n_below": lambda scores, n: _weighed(scores, n, lambda i, size: comb(i - 1, n) / comb(size, n)),
            "last_block_short": lambda scores, n: float(
                torch.stack([scores[at : at + n].max() for at in range(0, len(scores), n)]).mean()
            ),
            "orders_counted": lambda scores, n: math.factorial(n) * best_of_pool(scores, n),
            "median": lambda scores, n: float(torch.combinations(scores, n).amax(1).median()),
            "each_maximum_once": lambda scores, n: float(torch.combinations(scores, n).amax(1).unique().mean()),
            "tuples_below": lambda scores, n: best_of_pool(scores, n) * comb(len(scores), n) / len(scores) ** n,
        },
    ),
    "08-chances-to-win": Exercise(
        cases=[
            (torch.tensor([0.5, 0.25, 0.25]), torch.tensor([1.0, 3.0, 2.0]), 2),
            (torch.tensor([0.2, 0.1, 0.4, 0.3]), torch.tensor([2.0, 5.0, 0.5, -1.0]), 3),
            (torch.tensor([0.05, 0.3, 0.15, 0.1, 0.4]), torch.tensor([1.0, -2.0, 0.25, 3.0, 0.0]), 4),
        ],
        solution=chances_to_win,
        why="With it the KL of best-of-N can be computed, and compared with log N - (N - 1)/N.",
        special={
            "two answers are equally good": [
                (torch.tensor([0.2, 0.1, 0.4, 0.3]), torch.tensor([2.0, 5.0, 2.0, -1.0]), 3),
                (torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.0, 0.0, 1.0]), 4),
            ],
            "all answers are equally good": [(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([1.0, 1.0, 1.0]), 3)],
            "n is 1": [(torch.tensor([0.7, 0.2, 0.1]), torch.tensor([-1.0, 0.0, 1.0]), 1)],
        },
        mistakes={
            "sorted_order": lambda probabilities, rewards, n: chances_to_win(probabilities, rewards, n)[
                rewards.argsort(stable=True)
            ],
            "none_better": _none_better,
            "at_least_once": lambda probabilities, rewards, n: 1 - (1 - probabilities) ** n,
            "powers": _powers,
            "worst": lambda probabilities, rewards, n: chances_to_win(probabilities, -rewards, n),
            "given_order": _in_given_order,
            "by_place": _by_place,
            "equal_parts": _equal_parts,
            "twice": _ties_counted_twice,
            "linear": lambda probabilities, rewards, n: chances_to_win(probabilities, rewards, 1) * n,
            "exactly_once": lambda probabilities, rewards, n: torch.stack(
                [
                    n * p * probabilities[rewards < reward].sum() ** (n - 1)
                    for p, reward in zip(probabilities, rewards, strict=True)
                ]
            ),
            "own_taken_off": lambda probabilities, rewards, n: torch.stack(
                [
                    probabilities[rewards <= reward].sum() ** n - (probabilities[rewards <= reward].sum() - p) ** n
                    for p, reward in zip(probabilities, rewards, strict=True)
                ]
            ),
            "best_only": lambda probabilities, rewards, n: (rewards == rewards.max()).float(),
            "tilted": lambda probabilities, rewards, n: (probabilities.log() + n * rewards).softmax(0),
            "all_worse": lambda probabilities, rewards, n: (
                torch.stack([probabilities[rewards < reward].sum() for reward in rewards]) ** n
            ),
            "others_not_better": lambda probabilities, rewards, n: (
                probabilities * torch.stack([probabilities[rewards <= reward].sum() for reward in rewards]) ** (n - 1)
            ),
            "any_draw_not_better": lambda probabilities, rewards, n: (
                n
                * probabilities
                * torch.stack([probabilities[rewards <= reward].sum() for reward in rewards]) ** (n - 1)
            ),
        },
    ),
}
