"""Exercises of lesson 13: a soft label from both orders, position bias, and what a word is worth (A1)."""

import math
from typing import Any

from course.exercises.definition import Exercise, Sign


def _sigmoid(x: float) -> float:
    return (1 + math.tanh(x / 2)) / 2


# --- the soft label ---------------------------------------------------------------------------------------------------


def soft_label(given: float, swapped: float) -> float:
    """Probability that answer a is better, from the log-odds of letter A over B in both orders, in nats."""
    return _sigmoid((given - swapped) / 2)


# --- position bias ----------------------------------------------------------------------------------------------------


def flip_rate(given: list[str], swapped: list[str]) -> float:
    """Share of the pairs whose winning answer changes with the order; the letters named in each order."""
    return sum(one == other for one, other in zip(given, swapped, strict=True)) / len(given)


def _letters_change(given: list[str], swapped: list[str]) -> float:
    return sum(one != other for one, other in zip(given, swapped, strict=True)) / len(given)


def _first_twice(given: list[str], swapped: list[str]) -> float:
    return sum(one == other == "A" for one, other in zip(given, swapped, strict=True)) / len(given)


def _share_of_a(given: list[str], swapped: list[str]) -> float:
    return (given + swapped).count("A") / (2 * len(given))


# --- length -----------------------------------------------------------------------------------------------------------


def without_length(log_odds: list[float], more_words: list[float]) -> list[float]:
    """The log-odds less the line through zero that fits them best over the difference in words."""
    slope = _slope(log_odds, more_words)
    return [odds - slope * words for odds, words in zip(log_odds, more_words, strict=True)]


def _slope(log_odds: list[float], more_words: list[float]) -> float:
    products = (odds * words for odds, words in zip(log_odds, more_words, strict=True))
    return sum(products) / sum(words * words for words in more_words)


def _with_intercept(log_odds: list[float], more_words: list[float]) -> list[float]:
    slope = _slope_of_means(log_odds, more_words)
    left = [a - slope * b for a, b in zip(log_odds, more_words, strict=True)]
    return [one - sum(left) / len(left) for one in left]


def _slope_of_means(log_odds: list[float], more_words: list[float]) -> float:
    y, x = sum(log_odds) / len(log_odds), sum(more_words) / len(more_words)
    return _slope([a - y for a in log_odds], [b - x for b in more_words])


def _other_regression(log_odds: list[float], more_words: list[float]) -> list[float]:
    slope = _slope(more_words, log_odds)
    return [a - slope * b for a, b in zip(log_odds, more_words, strict=True)]


def _ratio_of_sums(log_odds: list[float], more_words: list[float]) -> list[float]:
    slope = sum(log_odds) / sum(more_words)
    return [a - slope * b for a, b in zip(log_odds, more_words, strict=True)]


def _mean_taken_off(log_odds: list[float], more_words: list[float]) -> list[float]:
    mean = sum(log_odds) / len(log_odds)
    return [a - mean for a in log_odds]


def _slope_taken_off(log_odds: list[float], more_words: list[float]) -> list[float]:
    slope = _slope(log_odds, more_words)
    return [a - slope for a in log_odds]


def _added(log_odds: list[float], more_words: list[float]) -> list[float]:
    slope = _slope(log_odds, more_words)
    return [a + slope * b for a, b in zip(log_odds, more_words, strict=True)]


def _explained(log_odds: list[float], more_words: list[float]) -> list[float]:
    slope = _slope(log_odds, more_words)
    return [slope * b for b in more_words]


def _is_one_number(got: Any, expected: Any) -> bool:
    return isinstance(got, int | float) and isinstance(expected, list)


EXERCISES: dict[str, Exercise] = {
    "13-soft-label": Exercise(
        cases=[(1.5, -0.5), (0.4, 0.8), (-3.0, 2.0), (6.0, -7.0), (0.0, 0.0), (0.5, -0.3)],
        solution=soft_label,
        why="Swap the two answers and it becomes one minus itself: no place is favoured any longer.",
        special={
            "the two orders agree": [(1.2, -1.2)],
            "only the place counts": [(2.0, 2.0)],
        },
        mistakes={
            "halved_twice": lambda given, swapped: _sigmoid((given - swapped) / 4),
            "base_2": lambda given, swapped: 1 / (1 + 2 ** ((swapped - given) / 2)),
            "size": lambda given, swapped: _sigmoid(abs(given - swapped) / 2),
            "swapped_alone": lambda given, swapped: _sigmoid(-swapped),
            "hard_with_ties": lambda given, swapped: 0.5 + 0.5 * ((given > swapped) - (given < swapped)),
            "lean": lambda given, swapped: _sigmoid((given + swapped) / 2),
            "one_order": lambda given, swapped: _sigmoid(given),
            "not_halved": lambda given, swapped: _sigmoid(given - swapped),
            "of_b": lambda given, swapped: _sigmoid((swapped - given) / 2),
            "log_odds": lambda given, swapped: (given - swapped) / 2,
            "hard": lambda given, swapped: float(given > swapped),
            "mean_of_probabilities": lambda given, swapped: (_sigmoid(given) + 1 - _sigmoid(swapped)) / 2,
            "mean_of_letters": lambda given, swapped: (_sigmoid(given) + _sigmoid(swapped)) / 2,
            "brackets": lambda given, swapped: _sigmoid(given - swapped / 2),
            "base_10": lambda given, swapped: 1 / (1 + 10 ** ((swapped - given) / 2)),
            "odds": lambda given, swapped: math.exp((given - swapped) / 2),
            "product": lambda given, swapped: _sigmoid(given) * _sigmoid(-swapped),
            "difference_of_probabilities": lambda given, swapped: (_sigmoid(given) - _sigmoid(swapped)) / 2,
            "doubled": lambda given, swapped: _sigmoid(2 * (given - swapped)),
            "sum": lambda given, swapped: _sigmoid(given + swapped),
            "surer_order": lambda given, swapped: max(_sigmoid(given), _sigmoid(-swapped)),
            "geometric": lambda given, swapped: math.sqrt(_sigmoid(given) * _sigmoid(-swapped)),
        },
    ),
    "13-flip-rate": Exercise(
        cases=[
            (["A", "B", "A", "B"], ["B", "A", "A", "A"]),
            (["A", "A", "B", "B", "A"], ["A", "A", "A", "B", "B"]),
            (["B", "A", "A", "B", "A", "B", "B"], ["B", "B", "A", "B", "A", "A", "B"]),
        ],
        solution=flip_rate,
        why="The same letter twice is another answer each time. A judge of answers alone would be at 0.",
        special={
            "nothing flips": [(["A", "B", "A"], ["B", "A", "B"])],
            "everything flips": [(["B"], ["B"]), (["A", "B", "B"], ["A", "B", "B"])],
        },
        mistakes={
            "counts_compared": lambda given, swapped: abs(given.count("A") - swapped.count("A")) / len(given),
            "all_answers": lambda given, swapped: flip_rate(given, swapped) / 2,
            "letters_change": _letters_change,
            "first_twice": _first_twice,
            "share_of_a": _share_of_a,
            "count": lambda given, swapped: flip_rate(given, swapped) * len(given),
            "all_or_nothing": lambda given, swapped: float(given == swapped),
            "second_twice": lambda given, swapped: (
                sum(one == other == "B" for one, other in zip(given, swapped, strict=True)) / len(given)
            ),
            "flips_over_the_rest": lambda given, swapped: (
                sum(one == other for one, other in zip(given, swapped, strict=True))
                / max(1, sum(one != other for one, other in zip(given, swapped, strict=True)))
            ),
            "one_more_below": lambda given, swapped: flip_rate(given, swapped) * len(given) / (len(given) + 1),
            "a_somewhere": lambda given, swapped: (
                sum("A" in pair for pair in zip(given, swapped, strict=True)) / len(given)
            ),
            "a_then_b": lambda given, swapped: (
                sum(pair == ("A", "B") for pair in zip(given, swapped, strict=True)) / len(given)
            ),
            "places": lambda given, swapped: [
                n for n, pair in enumerate(zip(given, swapped, strict=True)) if len(set(pair)) == 1
            ],
        },
    ),
    "13-without-length": Exercise(
        cases=[
            ([1.0, -0.5, 2.0], [10.0, -4.0, 8.0]),
            ([0.2, 1.4, -0.9, 3.0], [1.0, 6.0, -7.0, -2.0]),
            ([1.0, -1.0, 0.5], [5.0, 5.0, 2.0]),
        ],
        solution=without_length,
        why="What is left no longer rises or falls with length, so the judge's other reasons decide.",
        special={
            "two answers are equally long": [([0.5, -1.0, 0.25], [0.0, 4.0, -2.0])],
            "the shorter answers are preferred": [([1.0, -0.5, 0.75], [-2.0, 3.0, -1.0])],
            "the differences in words add up to 0": [([1.0, 0.5, -2.0], [3.0, 2.0, -5.0])],
        },
        mistakes={
            "mean_of_ratios": lambda log_odds, more_words: [
                a - b * sum(z / d for z, d in zip(log_odds, more_words, strict=True) if d) / len(log_odds)
                for a, b in zip(log_odds, more_words, strict=True)
            ],
            "divided_by_count": lambda log_odds, more_words: [
                a - b * sum(z * d for z, d in zip(log_odds, more_words, strict=True)) / len(log_odds)
                for a, b in zip(log_odds, more_words, strict=True)
            ],
            "size_of_words": lambda log_odds, more_words: [
                a - _slope(log_odds, more_words) * abs(b) for a, b in zip(log_odds, more_words, strict=True)
            ],
            "with_the_slope": lambda log_odds, more_words: (
                _slope(log_odds, more_words),
                without_length(log_odds, more_words),
            ),
            "intercept": _with_intercept,
            "other_regression": _other_regression,
            "ratio_of_sums": _ratio_of_sums,
            "mean": _mean_taken_off,
            "slope_alone": _slope_taken_off,
            "added": _added,
            "explained": _explained,
            "slope_returned": Sign(_is_one_number),
            "squared_sum": lambda log_odds, more_words: [
                a - b * sum(z * d for z, d in zip(log_odds, more_words, strict=True)) / sum(more_words) ** 2
                for a, b in zip(log_odds, more_words, strict=True)
            ],
            "sizes_below": lambda log_odds, more_words: [
                a - b * sum(z * d for z, d in zip(log_odds, more_words, strict=True)) / sum(map(abs, more_words))
                for a, b in zip(log_odds, more_words, strict=True)
            ],
            "divided": lambda log_odds, more_words: [
                a / b if b else a for a, b in zip(log_odds, more_words, strict=True)
            ],
            "slope_with_intercept": lambda log_odds, more_words: [
                a - _slope_of_means(log_odds, more_words) * b for a, b in zip(log_odds, more_words, strict=True)
            ],
            "upside_down": lambda log_odds, more_words: [
                a - b / _slope(log_odds, more_words) for a, b in zip(log_odds, more_words, strict=True)
            ],
            "sides_exchanged": lambda log_odds, more_words: [
                b - _slope(log_odds, more_words) * a for a, b in zip(log_odds, more_words, strict=True)
            ],
            "mean_words": lambda log_odds, more_words: [
                a - _slope(log_odds, more_words) * sum(more_words) / len(more_words) for a in log_odds
            ],
            "slope_of_correlation": lambda log_odds, more_words: [
                a
                - b
                * _slope(log_odds, more_words)
                * math.sqrt(sum(d * d for d in more_words) / sum(z * z for z in log_odds))
                for a, b in zip(log_odds, more_words, strict=True)
            ],
            "half_the_slope": lambda log_odds, more_words: [
                a - _slope(log_odds, more_words) * b / 2 for a, b in zip(log_odds, more_words, strict=True)
            ],
            "size_of_slope": lambda log_odds, more_words: [
                a - abs(_slope(log_odds, more_words)) * b for a, b in zip(log_odds, more_words, strict=True)
            ],
        },
    ),
}
