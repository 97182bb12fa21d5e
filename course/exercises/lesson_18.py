"""Exercises of lesson 18, the practice page: what labels cost, and pairs from a ranking."""

from collections.abc import Callable
from itertools import pairwise

from course.exercises.definition import Exercise


def labelling_cost(demonstrations: int, comparisons: int, votes: int) -> float:
    """Dollars: 10 for a demonstration, 3.50 each time that somebody judges a comparison."""
    return 10.0 * demonstrations + 3.5 * comparisons * votes


def _pairs(kept: Callable[[int, int], bool]) -> Callable[[list[str], list[int]], set[tuple[str, str]]]:
    """All (a, b) of different answers whose two ranks the rule keeps."""
    return lambda completions, ranks: {
        (completions[i], completions[j])
        for i in range(len(ranks))
        for j in range(len(ranks))
        if i != j and kept(ranks[i], ranks[j])
    }


def pairs_from_ranks(completions: list[str], ranks: list[int]) -> set[tuple[str, str]]:
    """All (chosen, rejected) that the ranks imply; 1 is the best, and a tie implies nothing."""
    return _pairs(lambda better, worse: better < worse)(completions, ranks)


def _neighbours(completions: list[str], ranks: list[int]) -> set[tuple[str, str]]:
    order = sorted(zip(ranks, completions, strict=True))
    return {(one, other) for (better, one), (worse, other) in pairwise(order) if better < worse}


EXERCISES: dict[str, Exercise] = {
    "18-cost": Exercise(
        cases=[(2, 4, 3), (13_000, 33_000, 1), (13_000, 33_000, 5)],
        solution=labelling_cost,
        why="Several opinions on one comparison cost in proportion; that is the price of a label you can trust.",
        special={
            "nothing is compared": [(10, 0, 3)],
            "nothing is demonstrated": [(0, 10, 2)],
            "the cost is no whole number": [(1, 3, 1)],
        },
        mistakes={
            "votes_added": lambda demonstrations, comparisons, votes: 10 * demonstrations + 3.5 * (comparisons + votes),
            "votes_on_demonstrations": lambda demonstrations, comparisons, votes: (
                10 * demonstrations * votes + 3.5 * comparisons
            ),
            "one_vote": lambda demonstrations, comparisons, votes: 10 * demonstrations + 3.5 * comparisons,
            "votes_on_everything": lambda demonstrations, comparisons, votes: (
                (10 * demonstrations + 3.5 * comparisons) * votes
            ),
            "prices_swapped": lambda demonstrations, comparisons, votes: (
                3.5 * demonstrations + 10 * comparisons * votes
            ),
            "per_hundred": lambda demonstrations, comparisons, votes: (
                100 * labelling_cost(demonstrations, comparisons, votes)
            ),
            "two_looks": lambda demonstrations, comparisons, votes: 10 * demonstrations + 7 * comparisons * votes,
            "divided": lambda demonstrations, comparisons, votes: (
                10 * demonstrations + 3.5 * comparisons / max(votes, 1)
            ),
            "other_price": lambda demonstrations, comparisons, votes: 10 * demonstrations + 3.05 * comparisons * votes,
            "comparisons_alone": lambda demonstrations, comparisons, votes: 3.5 * comparisons * votes,
            "ten_times_less": lambda demonstrations, comparisons, votes: (
                10 * demonstrations + 0.35 * comparisons * votes
            ),
            "one_dollar": lambda demonstrations, comparisons, votes: demonstrations + 3.5 * comparisons * votes,
            "pairs_of_votes": lambda demonstrations, comparisons, votes: (
                10 * demonstrations + 3.5 * comparisons * votes * (votes - 1) / 2
            ),
            "multiplied": lambda demonstrations, comparisons, votes: 10 * demonstrations * 3.5 * comparisons * votes,
            "per_label": lambda demonstrations, comparisons, votes: (
                labelling_cost(demonstrations, comparisons, votes) / max(1, demonstrations + comparisons)
            ),
        },
    ),
    "18-pairs": Exercise(
        cases=[
            (["a", "b", "c"], [2, 1, 3]),
            (["r", "p", "t", "q", "s"], [4, 1, 3, 5, 2]),
        ],
        solution=pairs_from_ranks,
        why="One ranking of K answers holds K(K-1)/2 comparisons, so ranking gets more pairs out of each reading.",
        special={
            "two ranks are equal": [(["a", "b", "c", "d"], [1, 2, 2, 3]), (["a", "b"], [1, 1])],
            "a rank is left out": [(["a", "b", "c"], [1, 1, 5])],
            "the answers are listed best first": [(["x", "y", "z"], [1, 2, 3])],
            "the answers are listed worst first": [(["x", "y", "z"], [3, 2, 1])],
        },
        mistakes={
            "winner_only": lambda completions, ranks: {
                (completions[ranks.index(1)], other) for other in completions if other != completions[ranks.index(1)]
            },
            "listed_order": lambda completions, ranks: {
                (completions[i], completions[j]) for i in range(len(ranks)) for j in range(i + 1, len(ranks))
            },
            "neighbours": _neighbours,
            "upside_down": _pairs(lambda better, worse: better > worse),
            "both_orders": _pairs(lambda better, worse: better != worse),
            "ties_kept": _pairs(lambda better, worse: better <= worse),
            "one_direction_of_the_list": lambda completions, ranks: {
                (completions[i], completions[j])
                for i in range(len(ranks))
                for j in range(i + 1, len(ranks))
                if ranks[i] < ranks[j]
            },
            "with_itself": lambda completions, ranks: {
                (a, b)
                for a, better in zip(completions, ranks, strict=True)
                for b, worse in zip(completions, ranks, strict=True)
                if better <= worse
            },
            "no_order": lambda completions, ranks: {frozenset(pair) for pair in pairs_from_ranks(completions, ranks)},
            "alphabetical": lambda completions, ranks: {
                tuple(sorted(pair)) for pair in pairs_from_ranks(completions, ranks)
            },
            "clear_only": _pairs(lambda better, worse: worse - better > 1),
            "losers_of_the_worst": lambda completions, ranks: {
                pair for pair in pairs_from_ranks(completions, ranks) if ranks[completions.index(pair[1])] == max(ranks)
            },
            "first_and_second": lambda completions, ranks: {
                pair
                for pair in pairs_from_ranks(completions, ranks)
                if [ranks[completions.index(one)] for one in pair] == [1, 2]
            },
            "places": lambda completions, ranks: pairs_from_ranks(list(range(len(ranks))), ranks),
        },
    ),
}
