"""Exercises of lesson 06: rankings, ratings and clicks to pairs, and what noise in the labels allows (F1, F2, F4)."""

import math
from collections.abc import Callable
from itertools import combinations, pairwise, permutations
from typing import Any

from course.exercises.definition import Exercise, Sign

Pairs = list[tuple[str, str]]
Click = tuple[str, str, str, bool, str]


# --- rankings -----------------------------------------------------------------------------------------------


def ranking_to_records(prompt: str, answers: list[str], ranks: list[int]) -> list[dict[str, str]]:
    """Every comparison that a ranking implies, best answers first; ranks[i] is the place of answers[i], 1 the best."""
    return _records(prompt, combinations(_best_first(answers, ranks), 2))


def _best_first(answers: list[str], ranks: list[int]) -> list[str]:
    return [answer for _, answer in sorted(zip(ranks, answers, strict=True))]


def _records(prompt: str, pairs: Any) -> list[dict[str, str]]:
    return [{"prompt": prompt, "chosen": better, "rejected": worse} for better, worse in pairs]


def _ranked(pairs: Callable[[list[str]], Any]) -> Callable[..., list[dict[str, str]]]:
    """Another choice of pairs from the answers, which are handed over best first."""
    return lambda prompt, answers, ranks: _records(prompt, pairs(_best_first(answers, ranks)))


def _ranks_as_order(prompt: str, answers: list[str], ranks: list[int]) -> list[dict[str, str]]:
    return _records(prompt, combinations([answers[place - 1] for place in ranks], 2))


def _without_prompt(prompt: str, answers: list[str], ranks: list[int]) -> list[dict[str, str]]:
    return [{"chosen": better, "rejected": worse} for better, worse in combinations(_best_first(answers, ranks), 2)]


def _in_other_order(got: Any, expected: Any) -> bool:
    return isinstance(got, list) and len(got) == len(expected) and all(record in got for record in expected)


# --- noise --------------------------------------------------------------------------------------------------


def label_noise(utilities: list[tuple[float, float]], temperature: float) -> tuple[float, float]:
    """How often two Bradley-Terry labellers agree, and how often the likelier choice is one labeller's, as means."""
    return _noise()(utilities, temperature)


def _both_ways(p: float) -> float:
    return p**2 + (1 - p) ** 2


def _likelier(p: float) -> float:
    return max(p, 1 - p)


def _noise(
    agree: Callable[[float], float] = _both_ways,
    right: Callable[[float], float] = _likelier,
    scaled: Callable[[float, float], float] = lambda difference, temperature: difference / temperature,
) -> Callable[..., tuple[float, float]]:
    def measured(utilities: list[tuple[float, float]], temperature: float) -> tuple[float, float]:
        ps = [1 / (1 + math.exp(-scaled(a - b, temperature))) for a, b in utilities]
        return _mean(agree(p) for p in ps), _mean(right(p) for p in ps)

    return measured


def _choices(utilities: list[tuple[float, float]], temperature: float) -> list[float]:
    """Probability of the first answer in each pair."""
    return [1 / (1 + math.exp((b - a) / temperature)) for a, b in utilities]


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def _swapped(utilities: list[tuple[float, float]], temperature: float) -> tuple[float, float]:
    return label_noise(utilities, temperature)[::-1]


def _even_doubt(utilities: list[tuple[float, float]], temperature: float) -> tuple[float, float]:
    agree, _ = label_noise(utilities, temperature)
    return agree, (1 + math.sqrt(2 * agree - 1)) / 2


def _mean_first(utilities: list[tuple[float, float]], temperature: float) -> tuple[float, float]:
    p = _mean(1 / (1 + math.exp((b - a) / temperature)) for a, b in utilities)
    return _both_ways(p), _likelier(p)


def _worths(utilities: list[tuple[float, float]], temperature: float) -> tuple[float, float]:
    ps = [a / (a + b) for a, b in utilities]
    return _mean(map(_both_ways, ps)), _mean(map(_likelier, ps))


# --- ratings ------------------------------------------------------------------------------------------------


def ratings_to_pairs(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    """Pairs within each rater's points, sorted, and the number of ties; ratings[r][i] is for answers[i]."""
    rated = [list(zip(points, answers, strict=True)) for points in ratings]
    return _compared(pair for points in rated for pair in combinations(points, 2))


def _compared(couples: Any) -> tuple[Pairs, int]:
    """Couples of (points, answer) as sorted (chosen, rejected), and the number of ties."""
    couples = list(couples)
    ordered = [sorted(couple, key=lambda rated: -rated[0]) for couple in couples if couple[0][0] != couple[1][0]]
    return sorted((better, worse) for (_, better), (_, worse) in ordered), len(couples) - len(ordered)


def _across_raters(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    rated = [(points, answer) for row in ratings for points, answer in zip(row, answers, strict=True)]
    return _compared((one, other) for one, other in combinations(rated, 2) if one[1] != other[1])


def _averaged(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    return ratings_to_pairs(answers, [[sum(points) for points in zip(*ratings, strict=True)]])


def _ties_kept(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    tied = [
        (answers[i], answers[j])
        for points in ratings
        for i, j in combinations(range(len(answers)), 2)
        if points[i] == points[j]
    ]
    return sorted(ratings_to_pairs(answers, ratings)[0] + tied), 0


def _upside_down(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    return ratings_to_pairs(answers, [[-points for points in row] for row in ratings])


def _by_place(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    pairs, ties = ratings_to_pairs(answers, ratings)
    return sorted(tuple(sorted(pair, key=answers.index)) for pair in pairs), ties


def _best_only(answers: list[str], ratings: list[list[int]]) -> tuple[Pairs, int]:
    pairs = [
        (better, worse)
        for row in ratings
        for points, better in zip(row, answers, strict=True)
        for others, worse in zip(row, answers, strict=True)
        if points == max(row) > others
    ]
    return sorted(pairs), ratings_to_pairs(answers, ratings)[1]


def _not_sorted(got: Any, expected: Any) -> bool:
    try:
        return [sorted(got[0]), got[1]] == expected
    except (TypeError, IndexError, KeyError):
        return False


# --- clicks -------------------------------------------------------------------------------------------------


def clicks_to_records(clicks: list[Click]) -> list[dict[str, str]]:
    """A record for each choice; of the keys, "1" is the left answer and "2" the right one, "t" a tie, "s" a skip."""
    return _clicks(lambda swapped, key: (key == "1") != swapped if key in "12" else None)(clicks)


def _clicks(prefers_a: Callable[[bool, str], bool | None]) -> Callable[[list[Click]], list[dict[str, str]]]:
    """Records by a rule that says whether a was chosen; None where nothing was."""

    def recorded(clicks: list[Click]) -> list[dict[str, str]]:
        records = []
        for prompt, a, b, swapped, key in clicks:
            first = prefers_a(swapped, key)
            if first is not None:
                records += _records(prompt, [(a, b) if first else (b, a)])
        return records

    return recorded


EXERCISES: dict[str, Exercise] = {
    "06-ranking-records": Exercise(
        cases=[
            ("q", ["x", "y", "z"], [2, 3, 1]),
            ("q", ["k", "l", "m", "n"], [3, 1, 4, 2]),
            ("r", ["e", "d", "c", "b", "a"], [2, 5, 1, 4, 3]),
        ],
        solution=ranking_to_records,
        why="Labellers who rank nine answers read each of them once, and leave you 36 pairs.",
        special={
            "there are two answers": [("s", ["no", "yes"], [2, 1]), ("s", ["no", "yes"], [1, 2])],
        },
        mistakes={
            "ranks_as_order": _ranks_as_order,
            "neighbours": _ranked(pairwise),
            "winner_only": _ranked(lambda best_first: [(best_first[0], worse) for worse in best_first[1:]]),
            "listed_order": lambda prompt, answers, ranks: _records(prompt, combinations(answers, 2)),
            "upside_down": _ranked(lambda best_first: combinations(best_first[::-1], 2)),
            "sides_swapped": _ranked(lambda best_first: [pair[::-1] for pair in combinations(best_first, 2)]),
            "both_orders": _ranked(lambda best_first: permutations(best_first, 2)),
            "no_prompt": _without_prompt,
            "other_order": Sign(_in_other_order),
        },
    ),
    "06-label-noise": Exercise(
        cases=[
            ([(1.0, 0.0)], 1.0),
            ([(2.0, 0.5), (0.0, 1.0), (0.3, 0.3)], 0.5),
            ([(0.9, 0.2), (0.1, 0.8), (0.4, 1.0), (0.5, 0.7)], 2.0),
        ],
        solution=label_noise,
        why="The two numbers say whether a reward model's accuracy is poor or nearly all that can be had.",
        special={
            "the temperature is 1": [([(3.0, 1.0), (-0.5, 0.25)], 1.0)],
            "two utilities are equal": [([(0.4, 0.4)], 0.7)],
            "the second answer is better": [([(0.0, 2.0), (-1.0, 0.5)], 1.5)],
        },
        mistakes={
            "swapped": _swapped,
            "both_first": _noise(agree=lambda p: p**2),
            "disagreement": _noise(agree=lambda p: 2 * p * (1 - p)),
            "model_for_agreement": _noise(agree=_likelier),
            "first_for_model": _noise(right=lambda p: p),
            "even_doubt": _even_doubt,
            "mean_first": _mean_first,
            "temperature_multiplied": _noise(scaled=lambda difference, temperature: difference * temperature),
            "temperature_forgotten": _noise(scaled=lambda difference, temperature: difference),
            "worths": _worths,
            "second_alone_divided": lambda utilities, temperature: label_noise(
                [(a, b / temperature) for a, b in utilities], 1.0
            ),
            "first_alone_divided": lambda utilities, temperature: label_noise(
                [(a / temperature, b) for a, b in utilities], 1.0
            ),
            "one_product": _noise(agree=lambda p: p * (1 - p)),
            "certain": _noise(agree=lambda p: 1.0, right=lambda p: 1.0),
            "divided_afterwards": lambda utilities, temperature: (
                _mean(_both_ways(p / temperature) for p in _choices(utilities, 1.0)),
                _mean(_likelier(p / temperature) for p in _choices(utilities, 1.0)),
            ),
            "less_likely": _noise(right=lambda p: min(p, 1 - p)),
            "never_wrong": _noise(right=lambda p: 1.0),
            "likelier_twice": _noise(agree=lambda p: max(p, 1 - p) ** 2),
            "not_one_product": _noise(agree=lambda p: 1 - p * (1 - p)),
        },
    ),
    "06-ratings-to-pairs": Exercise(
        cases=[
            (["x", "y", "z"], [[5, 3, 3], [1, 1, 2]]),
            (["a", "b", "c", "d"], [[4, 5, 1, 2], [2, 3, 1, 2], [4, 5, 5, 2]]),
            (["no", "yes"], [[1, 4]]),
            (["e", "b", "d", "a", "c"], [[1, 5, 3, 3, 2], [4, 4, 1, 4, 5], [3, 1, 2, 5, 4]]),
        ],
        solution=ratings_to_pairs,
        why="Points of different people have no common zero; the order within one person's points needs none.",
        special={
            "all points are equal": [(["b", "a", "c"], [[2, 2, 2]])],
            "the pairs are not sorted as they come": [(["z", "m", "a"], [[3, 2, 1], [1, 2, 3]])],
            "the raters agree": [(["a", "b"], [[3, 1], [5, 2]])],
            "two raters see the same tie": [(["a", "b", "c"], [[3, 3, 1], [2, 2, 5]])],
        },
        mistakes={
            "across_raters": _across_raters,
            "averaged": _averaged,
            "ties_kept": _ties_kept,
            "ties_not_counted": lambda answers, ratings: (ratings_to_pairs(answers, ratings)[0], 0),
            "low_is_best": _upside_down,
            "listed_order": _by_place,
            "best_only": _best_only,
            "once_only": lambda answers, ratings: (
                sorted(set(ratings_to_pairs(answers, ratings)[0])),
                ratings_to_pairs(answers, ratings)[1],
            ),
            "first_rater": lambda answers, ratings: ratings_to_pairs(answers, ratings[:1]),
            "unsorted": Sign(_not_sorted),
            "ties_kept_and_counted": lambda answers, ratings: (
                _ties_kept(answers, ratings)[0],
                ratings_to_pairs(answers, ratings)[1],
            ),
            "ties_with_itself": lambda answers, ratings: (
                ratings_to_pairs(answers, ratings)[0],
                ratings_to_pairs(answers, ratings)[1] + len(answers) * len(ratings),
            ),
            "ties_twice": lambda answers, ratings: (
                ratings_to_pairs(answers, ratings)[0],
                2 * ratings_to_pairs(answers, ratings)[1],
            ),
            "neighbours": lambda answers, ratings: _compared(
                pair for row in ratings for pair in pairwise(zip(row, answers, strict=True))
            ),
            "majority": lambda answers, ratings: (
                [
                    pair
                    for pair in sorted(set(ratings_to_pairs(answers, ratings)[0]))
                    if ratings_to_pairs(answers, ratings)[0].count(pair) > len(ratings) / 2
                ],
                ratings_to_pairs(answers, ratings)[1],
            ),
            "each_rater_apart": lambda answers, ratings: (
                [ratings_to_pairs(answers, [row])[0] for row in ratings],
                ratings_to_pairs(answers, ratings)[1],
            ),
            "ties_once": lambda answers, ratings: (
                ratings_to_pairs(answers, ratings)[0],
                len(
                    {
                        pair
                        for row in ratings
                        for pair in combinations(range(len(answers)), 2)
                        if row[pair[0]] == row[pair[1]]
                    }
                ),
            ),
        },
    ),
    "06-clicks": Exercise(
        cases=[
            ([("q", "x", "y", False, "2"), ("q", "x", "y", True, "2"), ("r", "v", "w", True, "t")],),
            (
                [
                    ("1 + 1", "2", "3", False, "1"),
                    ("1 + 2", "4", "3", True, "1"),
                    ("Hi", "Hi.", "Go.", False, "s"),
                    ("Hi", "Hi.", "Hello.", False, "t"),
                    ("Bye", "No.", "Bye.", True, "s"),
                    ("Bye", "No.", "Bye.", False, "2"),
                ],
            ),
        ],
        solution=clicks_to_records,
        why="A side is where an answer stood on one screen; a record knows answers only.",
        special={
            "nothing was chosen": [([("q", "x", "y", False, "s"), ("q", "x", "y", True, "t")],)],
            "a click comes twice": [([("q", "x", "y", True, "1"), ("q", "x", "y", True, "1")],)],
        },
        mistakes={
            "no_record": lambda clicks: [],
            "a_always": _clicks(lambda swapped, key: True if key in "12" else None),
            "by_side_alone": _clicks(lambda swapped, key: not swapped if key in "12" else None),
            "swap_ignored": _clicks(lambda swapped, key: key == "1" if key in "12" else None),
            "inverted": _clicks(lambda swapped, key: (key == "1") == swapped if key in "12" else None),
            "right_by_default": _clicks(lambda swapped, key: (key == "1") != swapped),
            "ties_kept": _clicks(lambda swapped, key: (key == "1") != swapped if key != "s" else None),
            "skips_kept": _clicks(lambda swapped, key: (key == "1") != swapped if key != "t" else None),
            "left_only": _clicks(lambda swapped, key: not swapped if key == "1" else None),
            "swapped_dropped": _clicks(lambda swapped, key: key == "1" if key in "12" and not swapped else None),
            "swapped_for_one_key": _clicks(lambda swapped, key: {"1": not swapped, "2": False}.get(key)),
            "ties_both_ways": lambda clicks: [
                record
                for click in clicks
                for record in (
                    _records(click[0], [click[1:3], click[2:0:-1]]) if click[4] == "t" else clicks_to_records([click])
                )
            ],
            "keys_as_answers": lambda clicks: [
                {"prompt": click[0], "chosen": click[4], "rejected": "21"[click[4] == "2"]}
                for click in clicks
                if click[4] in "12"
            ],
        },
    ),
}
