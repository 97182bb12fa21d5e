"""Exercises of lesson 11: the log-probability of an answer, the reward behind a policy (X1), DPO that doubts (X2).

Of its second notebook: whether the longer answer wins (X6), labels that contradict each other, two anchors (X7).
"""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course.exercises.definition import Exercise, Sign

# --- the log-probability of an answer -----------------------------------------------------------------------


def answer_logp(logits: Tensor, ids: Tensor, is_answer: Tensor) -> Tensor:
    """Sum of the answer's log-probabilities; logits (T, V) foretell the next token, ids and is_answer are (T,)."""
    return _summed(logits[:-1], ids[1:], is_answer[1:])


def _summed(logits: Tensor, ids: Tensor, counts: Tensor) -> Tensor:
    return (logits.log_softmax(-1)[torch.arange(len(ids)), ids] * counts).sum()


def _mask_not_shifted(logits: Tensor, ids: Tensor, is_answer: Tensor) -> Tensor:
    return _summed(logits[:-1], ids[1:], is_answer[:-1])


def _raw(logits: Tensor, ids: Tensor, is_answer: Tensor) -> Tensor:
    return (logits[:-1][torch.arange(len(ids) - 1), ids[1:]] * is_answer[1:]).sum()


def _probabilities(logits: Tensor, ids: Tensor, is_answer: Tensor) -> Tensor:
    return (logits[:-1].softmax(-1)[torch.arange(len(ids) - 1), ids[1:]] * is_answer[1:]).sum()


def _without_end(logits: Tensor, ids: Tensor, is_answer: Tensor) -> Tensor:
    counts = is_answer.clone()
    counts[int((is_answer * torch.arange(len(ids))).argmax())] = 0
    return answer_logp(logits, ids, counts)


# --- the reward behind a policy -----------------------------------------------------------------------------


def hidden_rewards(policy: list[float], reference: list[float], beta: float) -> list[float]:
    """The rewards for which the policy is the best one near the reference, shifted so that the first is 0."""
    return _from_first([beta * math.log(p / q) for p, q in zip(policy, reference, strict=True)])


def _from_first(values: list[float]) -> list[float]:
    return [value - values[0] for value in values]


def _of(each: Callable[[float, float, float], float], shifted: bool = True) -> Callable[..., list[float]]:
    def rewards(policy: list[float], reference: list[float], beta: float) -> list[float]:
        values = [each(p, q, beta) for p, q in zip(policy, reference, strict=True)]
        return _from_first(values) if shifted else values

    return rewards


def _mean_zero(policy: list[float], reference: list[float], beta: float) -> list[float]:
    values = hidden_rewards(policy, reference, beta)
    return [value - sum(values) / len(values) for value in values]


def _lowest_zero(policy: list[float], reference: list[float], beta: float) -> list[float]:
    values = hidden_rewards(policy, reference, beta)
    return [value - min(values) for value in values]


# --- DPO that doubts its labels -----------------------------------------------------------------------------


def doubting_dpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    beta: float,
    doubt: float,
) -> Tensor:
    """DPO's loss if a share of the labels is taken to be the wrong way round; log-probabilities are sums, (B,)."""
    return _doubtful(beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)), doubt)


def _doubtful(margin: Tensor, doubt: float) -> Tensor:
    return -((1 - doubt) * F.logsigmoid(margin) + doubt * F.logsigmoid(-margin)).mean()


def _margin(
    of: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor],
    loss: Callable[[Tensor, float], Tensor] = _doubtful,
) -> Callable[..., Tensor]:
    return lambda pc, pr, rc, rr, beta, doubt: loss(of(pc, pr, rc, rr, beta), doubt)


def _right_margin(pc: Tensor, pr: Tensor, rc: Tensor, rr: Tensor, beta: float) -> Tensor:
    return beta * ((pc - rc) - (pr - rr))


def _overflows(got: Any, expected: Any) -> bool:
    """Right while the margins are moderate; infinite or not a number where they are huge."""
    return math.isclose(got, expected, rel_tol=1e-5, abs_tol=1e-5) or (expected > 20 and not math.isfinite(got))


def _cut_off(got: Any, expected: Any) -> bool:
    """Right while the margins are moderate; finite and too small where they are huge."""
    return math.isclose(got, expected, rel_tol=1e-5, abs_tol=1e-5) or (expected > 20 and 0 < got < expected)


# --- the longer answer wins ---------------------------------------------------------------------------------

Texts = list[tuple[str, str]]


def longer_wins(pairs: Texts) -> float:
    """Of the pairs (chosen, rejected) that differ in their number of words, the share in which the chosen has more."""
    ahead = [difference for difference in _word_differences(pairs) if difference]
    return sum(difference > 0 for difference in ahead) / len(ahead)


def _word_differences(pairs: Texts) -> list[int]:
    return [len(chosen.split()) - len(rejected.split()) for chosen, rejected in pairs]


def _by_measure(measure: Callable[[str], int]) -> Callable[[Texts], float]:
    def share(pairs: Texts) -> float:
        differences = [measure(chosen) - measure(rejected) for chosen, rejected in pairs]
        ahead = [difference for difference in differences if difference]
        return sum(difference > 0 for difference in ahead) / len(ahead)

    return share


# --- contradictions -----------------------------------------------------------------------------------------

Labels = list[tuple[str, str, str]]


def contradictions(labels: Labels) -> list[int]:
    """Rows of labels (prompt, chosen, rejected) whose opposite stands in the list as well."""
    return [row for row, (prompt, won, lost) in enumerate(labels) if (prompt, lost, won) in labels]


def _without_prompt(labels: Labels) -> list[int]:
    sides = [label[1:] for label in labels]
    return [row for row, (won, lost) in enumerate(sides) if (lost, won) in sides]


def _one_of_two(later: bool) -> Callable[[Labels], list[int]]:
    def rows(labels: Labels) -> list[int]:
        return [
            row
            for row, (prompt, won, lost) in enumerate(labels)
            if (prompt, lost, won) in (labels[:row] if later else labels[row:])
        ]

    return rows


def _copies(labels: Labels) -> list[int]:
    return [row for row, label in enumerate(labels) if label in labels[:row]]


def _asked_again(labels: Labels) -> list[int]:
    asked = [(prompt, frozenset((won, lost))) for prompt, won, lost in labels]
    return [row for row, comparison in enumerate(asked) if asked.count(comparison) > 1]


# --- two anchors --------------------------------------------------------------------------------------------

Logps = list[tuple[float, float]]


def two_margins(logps: Logps, beta: float) -> tuple[list[float], list[float]]:
    """DPO's margin after each round, against the model before the round and against the first; logps of one pair."""
    return _margins(logps, beta, logps[:-1]), _margins(logps, beta, [logps[0]] * (len(logps) - 1))


def _margins(logps: Logps, beta: float, references: Logps) -> list[float]:
    pairs = zip(logps[1:], references, strict=True)
    return [beta * ((won - ref_won) - (lost - ref_lost)) for (won, lost), (ref_won, ref_lost) in pairs]


def _no_reference(logps: Logps, beta: float) -> tuple[list[float], list[float]]:
    plain = _margins(logps, beta, [(0.0, 0.0)] * (len(logps) - 1))
    return plain, plain


def _with_the_start(logps: Logps, beta: float) -> tuple[list[float], list[float]]:
    return tuple([0.0, *margins] for margins in two_margins(logps, beta))


def _chosen_alone(logps: Logps, beta: float) -> tuple[list[float], list[float]]:
    return two_margins([(won, 0.0) for won, _ in logps], beta)


EXERCISES: dict[str, Exercise] = {
    "11-answer-logp": Exercise(
        cases=[
            (
                torch.tensor([[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]]),
                torch.tensor([0, 1, 1]),
                torch.tensor([0, 0, 1]),
            ),
            (
                torch.tensor([[1.0, 0.0, 2.0], [0.5, 3.0, 0.0], [1.0, 1.0, 4.0], [0.0, 2.0, 0.5], [3.0, 1.0, 0.0]]),
                torch.tensor([2, 0, 1, 2, 1]),
                torch.tensor([0, 0, 1, 1, 1]),
            ),
            (
                torch.tensor(
                    [[0.25, 1.5, -2.0, 0.0], [2.0, 0.0, 1.0, -1.0], [0.0, 0.5, 0.0, 3.0], [1.0, 2.0, 0.0, 0.0]]
                ),
                torch.tensor([1, 3, 2, 0]),
                torch.tensor([0, 1, 1, 0]),
            ),
            (
                torch.tensor([[0.0, 2.0], [1.5, 0.0], [0.0, 0.5], [3.0, 0.0], [0.0, 0.0]]),
                torch.tensor([0, 1, 1, 1, 0]),
                torch.tensor([0, 1, 1, 1, 1]),
            ),
        ],
        solution=answer_logp,
        special={
            "a token of the answer has the id 0": [
                (
                    torch.tensor([[0.5, 1.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.5, 0.5], [1.0, 0.0, 0.0]]),
                    torch.tensor([2, 1, 0, 1]),
                    torch.tensor([0, 0, 1, 1]),
                ),
            ],
        },
        why="This one number per answer, under two models and for two answers, is all that DPO's loss looks at.",
        mistakes={
            "double_softmax": lambda logits, ids, is_answer: answer_logp(logits.softmax(-1), ids, is_answer),
            "mean_loss": lambda logits, ids, is_answer: -answer_logp(logits, ids, is_answer) / is_answer.sum(),
            "log_of_sum": lambda logits, ids, is_answer: _probabilities(logits, ids, is_answer).log(),
            "no_shift": _summed,
            "mask_not_shifted": _mask_not_shifted,
            "everything": lambda logits, ids, is_answer: answer_logp(logits, ids, torch.ones_like(ids)),
            "prompt": lambda logits, ids, is_answer: answer_logp(logits, ids, 1 - is_answer),
            "mean": lambda logits, ids, is_answer: answer_logp(logits, ids, is_answer) / is_answer.sum(),
            "mean_of_all": lambda logits, ids, is_answer: answer_logp(logits, ids, is_answer) / (len(ids) - 1),
            "without_end": _without_end,
            "raw": _raw,
            "probabilities": _probabilities,
            "product": lambda logits, ids, is_answer: answer_logp(logits, ids, is_answer).exp(),
            "loss": lambda logits, ids, is_answer: -answer_logp(logits, ids, is_answer),
            "over_time": lambda logits, ids, is_answer: (
                logits[:-1].log_softmax(0)[torch.arange(len(ids) - 1), ids[1:]] * is_answer[1:]
            ).sum(),
            "every_token": lambda logits, ids, is_answer: (
                logits[:-1].log_softmax(-1)[:, ids[1:]] * is_answer[1:]
            ).sum(),
            "best_token": lambda logits, ids, is_answer: (logits[:-1].log_softmax(-1).amax(-1) * is_answer[1:]).sum(),
            "base_2": lambda logits, ids, is_answer: answer_logp(logits, ids, is_answer) / math.log(2),
            "perplexity": lambda logits, ids, is_answer: (-answer_logp(logits, ids, is_answer) / is_answer.sum()).exp(),
            "smallest": lambda logits, ids, is_answer: (
                logits[:-1].log_softmax(-1)[torch.arange(len(ids) - 1), ids[1:]] * is_answer[1:]
            ).min(),
            "first_alone": lambda logits, ids, is_answer: logits[:-1].log_softmax(-1)[
                torch.arange(len(ids) - 1), ids[1:]
            ][is_answer[1:] == 1][0],
            "last_alone": lambda logits, ids, is_answer: logits[:-1].log_softmax(-1)[
                torch.arange(len(ids) - 1), ids[1:]
            ][is_answer[1:] == 1][-1],
            "wrong_way": lambda logits, ids, is_answer: (
                logits[1:].log_softmax(-1)[torch.arange(len(ids) - 1), ids[:-1]] * is_answer[:-1]
            ).sum(),
        },
    ),
    "11-hidden-rewards": Exercise(
        cases=[
            ([0.5, 0.25, 0.25], [0.25, 0.5, 0.25], 0.5),
            ([0.1, 0.6, 0.05, 0.25], [0.4, 0.3, 0.2, 0.1], 2.0),
            ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7], 0.1),
        ],
        solution=hidden_rewards,
        why="Every policy is the best one for some reward. That is why DPO can train a policy as if it were one.",
        mistakes={
            "last_zero": lambda policy, reference, beta: [
                value - hidden_rewards(policy, reference, beta)[-1] for value in hidden_rewards(policy, reference, beta)
            ],
            "rest_not_shifted": lambda policy, reference, beta: [
                0.0,
                *(beta * math.log(p / q) for p, q in zip(policy[1:], reference[1:], strict=True)),
            ],
            "times_probability": _of(lambda p, q, beta: beta * p * math.log(p / q)),
            "no_beta": _of(lambda p, q, beta: math.log(p / q)),
            "divided": _of(lambda p, q, beta: math.log(p / q) / beta),
            "no_reference": _of(lambda p, q, beta: beta * math.log(p)),
            "upside_down": _of(lambda p, q, beta: beta * math.log(q / p)),
            "no_logarithm": _of(lambda p, q, beta: beta * p / q),
            "difference": _of(lambda p, q, beta: beta * (p - q)),
            "base_2": _of(lambda p, q, beta: beta * math.log2(p / q)),
            "not_shifted": _of(lambda p, q, beta: beta * math.log(p / q), shifted=False),
            "mean_zero": _mean_zero,
            "lowest_zero": lambda policy, reference, beta: [
                value - min(hidden_rewards(policy, reference, beta))
                for value in hidden_rewards(policy, reference, beta)
            ],
            "reweighted": lambda policy, reference, beta: [
                q * math.exp(p / beta) for p, q in zip(policy, reference, strict=True)
            ],
            "base_10": _of(lambda p, q, beta: beta * math.log10(p / q)),
            "from_the_one_before": lambda policy, reference, beta: [
                0.0,
                *(b - a for a, b in pairwise(hidden_rewards(policy, reference, beta))),
            ],
            "divided_by_first": lambda policy, reference, beta: [
                math.log(p / q) / math.log(policy[0] / reference[0]) for p, q in zip(policy, reference, strict=True)
            ],
            "log_odds": _of(lambda p, q, beta: beta * math.log(p / (1 - p))),
            "shift_added": lambda policy, reference, beta: [
                value + beta * math.log(policy[0] / reference[0])
                for value in _of(lambda p, q, beta: beta * math.log(p / q), shifted=False)(policy, reference, beta)
            ],
            "beta_on_the_policy": _of(lambda p, q, beta: beta * math.log(p) - math.log(q)),
            "logarithms_divided": _of(lambda p, q, beta: beta * math.log(p) / math.log(q)),
            "multiplied": _of(lambda p, q, beta: beta * math.log(p * q)),
            "power": _of(lambda p, q, beta: (p / q) ** beta),
        },
    ),
    "11-doubting-dpo": Exercise(
        cases=[
            (torch.tensor([-4.0]), torch.tensor([-6.0]), torch.tensor([-5.0]), torch.tensor([-5.0]), 0.5, 0.1),
            (
                torch.tensor([-10.0, -7.5, -30.0]),
                torch.tensor([-9.0, -12.0, -22.0]),
                torch.tensor([-12.0, -7.0, -26.0]),
                torch.tensor([-8.0, -11.0, -25.0]),
                0.3,
                0.2,
            ),
            (
                torch.tensor([-20.0, -900.0]),
                torch.tensor([-21.0, -30.0]),
                torch.tensor([-20.5, -50.0]),
                torch.tensor([-20.0, -450.0]),
                1.0,
                0.25,
            ),
        ],
        solution=doubting_dpo,
        why="With some doubt a pair that is already clear pulls back a little, so one wrong label cannot run away.",
        mistakes={
            "inside_the_logarithm": _margin(
                _right_margin,
                lambda margin, doubt: (
                    -((1 - doubt) * torch.sigmoid(margin) + doubt * torch.sigmoid(-margin)).log().mean()
                ),
            ),
            "full_weight": _margin(
                _right_margin, lambda margin, doubt: -(F.logsigmoid(margin) + doubt * F.logsigmoid(-margin)).mean()
            ),
            "corrected": _margin(
                _right_margin,
                lambda margin, doubt: (
                    -((1 - doubt) * F.logsigmoid(margin) - doubt * F.logsigmoid(-margin)).mean() / (1 - 2 * doubt)
                ),
            ),
            "beta_on_the_chosen": _margin(lambda pc, pr, rc, rr, beta: beta * (pc - rc) - (pr - rr)),
            "no_reference": _margin(lambda pc, pr, rc, rr, beta: beta * (pc - pr)),
            "swapped": _margin(lambda pc, pr, rc, rr, beta: -_right_margin(pc, pr, rc, rr, beta)),
            "reference_added": _margin(lambda pc, pr, rc, rr, beta: beta * ((pc + rc) - (pr + rr))),
            "no_beta": _margin(lambda pc, pr, rc, rr, beta: _right_margin(pc, pr, rc, rr, 1.0)),
            "beta_divides": _margin(lambda pc, pr, rc, rr, beta: _right_margin(pc, pr, rc, rr, 1 / beta)),
            "beta_outside": lambda pc, pr, rc, rr, beta, doubt: beta * doubting_dpo(pc, pr, rc, rr, 1.0, doubt),
            "no_doubt": _margin(_right_margin, lambda margin, doubt: _doubtful(margin, 0.0)),
            "one_minus_doubt_only": _margin(_right_margin, lambda margin, doubt: (1 - doubt) * _doubtful(margin, 0.0)),
            "minus_doubt": _margin(
                _right_margin,
                lambda margin, doubt: -((1 - doubt) * F.logsigmoid(margin) - doubt * F.logsigmoid(-margin)).mean(),
            ),
            "shrunk_margin": _margin(_right_margin, lambda margin, doubt: _doubtful((1 - 2 * doubt) * margin, 0.0)),
            "sum": lambda pc, pr, rc, rr, beta, doubt: doubting_dpo(pc, pr, rc, rr, beta, doubt) * len(pc),
            "mean_first": _margin(_right_margin, lambda margin, doubt: _doubtful(margin.mean()[None], doubt)),
            "no_minus": _margin(_right_margin, lambda margin, doubt: -_doubtful(margin, doubt)),
            "no_logarithm": _margin(
                _right_margin,
                lambda margin, doubt: ((1 - doubt) * torch.sigmoid(-margin) + doubt * torch.sigmoid(margin)).mean(),
            ),
            "overflows": Sign(_overflows),
            "cut_off": Sign(_cut_off),
            "one_minus_the_logarithm": _margin(
                _right_margin,
                lambda margin, doubt: -((1 - doubt) * F.logsigmoid(margin) + doubt * (1 - F.logsigmoid(margin))).mean(),
            ),
            "one_reference_added": _margin(lambda pc, pr, rc, rr, beta: beta * ((pc - rc) - (pr + rr))),
            "doubt_on_both": _margin(
                _right_margin, lambda margin, doubt: -doubt * (F.logsigmoid(margin) + F.logsigmoid(-margin)).mean()
            ),
            "belief_on_both": _margin(
                _right_margin,
                lambda margin, doubt: -(1 - doubt) * (F.logsigmoid(margin) + F.logsigmoid(-margin)).mean(),
            ),
            "margin_moved": _margin(_right_margin, lambda margin, doubt: -F.logsigmoid(margin - doubt).mean()),
            "doubt_added": _margin(
                _right_margin, lambda margin, doubt: -(1 - doubt) * F.logsigmoid(margin).mean() + doubt
            ),
            "chosen_alone": _margin(lambda pc, pr, rc, rr, beta: beta * (pc - rc)),
            "squared_distance": _margin(_right_margin, lambda margin, doubt: (margin - 0.5).square().mean()),
            "divided_by_the_rest": _margin(
                _right_margin, lambda margin, doubt: _doubtful(margin, doubt) / (1 - 2 * doubt)
            ),
        },
    ),
    "11-longer-wins": Exercise(
        cases=[
            ([("Lima.", "It is Lima."), ("It is Rome.", "Rome."), ("Good question! It is Oslo.", "It is Oslo.")],),
            ([("a  b", "a b c"), ("three short words", "two interminable"), ("one two", "three four"), ("- x", "y")],),
            ([("x", "yy"), ("a b", "c"), ("d", "e f\ng"), ("incomprehensibilities", "h i"), ("j k", "l m")],),
        ],
        solution=longer_wins,
        why="Far from one half, it says that a trainer can satisfy most labels without reading a word.",
        special={
            "a text begins or ends with a space": [([("a b ", "c d e"), ("x y", " z")],)],
            "words are separated by tabs or line breaks": [([("a\nb\tc", "d e"), ("f", "g\nh")],)],
            "a word is repeated": [([("very very good", "good one"), ("a", "b c")],)],
            "a pair comes twice": [([("a b", "c"), ("a b", "c"), ("d", "e f")],)],
            "the chosen answer is always longer": [([("a b", "c"), ("d e f", "g h")],)],
            "an answer is empty": [([("", "a"), ("b", ""), ("c d", "e")],)],
            "no answers are equally long": [([("a b c", "d"), ("e f", "g"), ("h", "i j")],)],
            "the shorter text has more words": [([("a b c d", "extraordinarily long"), ("x", "y z")],)],
        },
        mistakes={
            "all_pairs": lambda pairs: sum(d > 0 for d in _word_differences(pairs)) / len(pairs),
            "ties_won": lambda pairs: sum(d >= 0 for d in _word_differences(pairs)) / len(pairs),
            "ties_half": lambda pairs: sum((d > 0) + (d == 0) / 2 for d in _word_differences(pairs)) / len(pairs),
            "shorter": lambda pairs: 1 - longer_wins(pairs),
            "characters": _by_measure(len),
            "spaces": _by_measure(lambda text: len(text.split(" "))),
            "count": lambda pairs: sum(d > 0 for d in _word_differences(pairs)),
            "mean_difference": lambda pairs: sum(_word_differences(pairs)) / len(pairs),
            "odds": lambda pairs: (
                sum(d > 0 for d in _word_differences(pairs)) / max(1, sum(d < 0 for d in _word_differences(pairs)))
            ),
            "ties_above_only": lambda pairs: (
                sum(d >= 0 for d in _word_differences(pairs)) / sum(d != 0 for d in _word_differences(pairs))
            ),
            "letters_alone": _by_measure(lambda text: len(re.findall(r"\w+", text))),
            "unique_words": _by_measure(lambda text: len(set(text.split()))),
            "all_words": lambda pairs: (
                sum(len(chosen.split()) for chosen, _ in pairs)
                / sum(len(f"{chosen} {rejected}".split()) for chosen, rejected in pairs)
            ),
            "by_two": lambda pairs: (
                sum(d > 1 for d in _word_differences(pairs)) / sum(d != 0 for d in _word_differences(pairs))
            ),
            "longest_word": _by_measure(lambda text: max(map(len, text.split()), default=0)),
            "net": lambda pairs: (
                sum((d > 0) - (d < 0) for d in _word_differences(pairs)) / sum(d != 0 for d in _word_differences(pairs))
            ),
        },
    ),
    "11-contradictions": Exercise(
        cases=[
            ([("p", "a", "b"), ("q", "a", "b"), ("p", "b", "a")],),
            ([("p", "a", "b"), ("q", "b", "a"), ("p", "a", "b"), ("p", "a", "c"), ("q", "a", "b"), ("q", "a", "b")],),
            ([("p", "a", "b"), ("p", "b", "c"), ("q", "c", "b"), ("p", "a", "b"), ("r", "a", "c")],),
            ([("p", "a", "b"), ("p", "b", "a"), ("q", "a", "b"), ("q", "b", "a")],),
        ],
        solution=contradictions,
        why="Rows that contradict each other cannot both be learnt, and where they cluster, something broke.",
        special={
            "nothing contradicts": [([("p", "a", "b"), ("p", "a", "c"), ("q", "b", "a")],)],
            "a label contradicts several": [([("p", "a", "b"), ("p", "b", "a"), ("p", "b", "a"), ("q", "a", "b")],)],
            "the same prompt has other answers": [([("p", "a", "b"), ("p", "c", "a"), ("p", "b", "c")],)],
        },
        mistakes={
            "the_opposite": lambda labels: [
                labels.index((prompt, lost, won)) for prompt, won, lost in labels if (prompt, lost, won) in labels
            ],
            "one_of_copies": lambda labels: sorted({labels.index(labels[row]) for row in contradictions(labels)}),
            "pairs": lambda labels: [
                (one, other)
                for one in range(len(labels))
                for other in range(one + 1, len(labels))
                if labels[one] == (labels[other][0], labels[other][2], labels[other][1])
            ],
            "other_winner": lambda labels: [
                row
                for row, (prompt, won, _) in enumerate(labels)
                if any(other == prompt and winner != won for other, winner, _ in labels)
            ],
            "truths": lambda labels: [(prompt, lost, won) in labels for prompt, won, lost in labels],
            "no_prompt": _without_prompt,
            "later_only": _one_of_two(later=True),
            "earlier_only": _one_of_two(later=False),
            "copies": _copies,
            "asked_again": _asked_again,
            "count": lambda labels: len(contradictions(labels)),
            "labels": lambda labels: [labels[row] for row in contradictions(labels)],
            "the_others": lambda labels: [row for row in range(len(labels)) if row not in contradictions(labels)],
            "neighbours": lambda labels: [
                row
                for row, (prompt, won, lost) in enumerate(labels)
                if (prompt, lost, won) in labels[max(row - 1, 0) : row + 2]
            ],
            "rejected_elsewhere": lambda labels: [
                row
                for row, (prompt, won, _) in enumerate(labels)
                if any((other, loser) == (prompt, won) for other, _, loser in labels)
            ],
            "same_prompt": lambda labels: [
                row for row, label in enumerate(labels) if [prompt for prompt, *_ in labels].count(label[0]) > 1
            ],
            "as_found": lambda labels: [
                row
                for one in range(len(labels))
                for other in range(one + 1, len(labels))
                if labels[one] == (labels[other][0], labels[other][2], labels[other][1])
                for row in (one, other)
            ],
            "last_of_copies": lambda labels: [
                row for row in contradictions(labels) if labels[row] not in labels[row + 1 :]
            ],
            "repeated": lambda labels: [row for row, label in enumerate(labels) if labels.count(label) > 1],
        },
    ),
    "11-two-margins": Exercise(
        cases=[
            ([(-4.0, -4.0), (-3.5, -5.5), (-3.0, -7.5)], 0.5),
            ([(-10.0, -8.0), (-9.0, -9.5), (-9.5, -12.0), (-11.0, -16.0)], 0.1),
            ([(-2.0, -3.0), (-2.5, -2.5), (-1.0, -4.0), (-1.5, -9.0), (-3.0, -8.0)], 2.0),
        ],
        solution=two_margins,
        why="Measured against its latest self a model never seems to go far; keep the first one for the measuring.",
        special={
            "there is one round": [([(-2.0, -3.0), (-2.5, -2.5)], 2.0)],
            "the rejected answer rises": [([(-4.0, -6.0), (-4.5, -5.0), (-5.0, -4.0)], 0.3)],
        },
        mistakes={
            "added": lambda logps, beta: two_margins([(won, -lost) for won, lost in logps], beta),
            "swapped": lambda logps, beta: two_margins(logps, beta)[::-1],
            "no_beta": lambda logps, beta: two_margins(logps, 1.0),
            "divided": lambda logps, beta: two_margins(logps, 1 / beta),
            "no_reference": _no_reference,
            "moving_only": lambda logps, beta: (two_margins(logps, beta)[0],) * 2,
            "first_only": lambda logps, beta: (two_margins(logps, beta)[1],) * 2,
            "with_the_start": _with_the_start,
            "rejected_first": lambda logps, beta: two_margins([(lost, won) for won, lost in logps], beta),
            "chosen_alone": _chosen_alone,
            "against_the_last": lambda logps, beta: (
                two_margins(logps, beta)[0],
                [-margin for margin in _margins([logps[-1], *logps[:-1]], beta, [logps[-1]] * (len(logps) - 1))],
            ),
            "losses": lambda logps, beta: tuple(
                [math.log1p(math.exp(-margin)) for margin in margins] for margins in two_margins(logps, beta)
            ),
            "sum_of_rounds_before": lambda logps, beta: (
                two_margins(logps, beta)[0],
                [0.0, *two_margins(logps, beta)[1][:-1]],
            ),
            "rejected_alone": lambda logps, beta: two_margins([(lost, 0.0) for _, lost in logps], beta),
            "last_round_alone": lambda logps, beta: [margins[-1] for margins in two_margins(logps, beta)],
            "references_exchanged": lambda logps, beta: tuple(
                [beta * ((new[0] - old[1]) - (new[1] - old[0])) for old, new in zip(olds, logps[1:], strict=True)]
                for olds in (logps[:-1], [logps[0]] * (len(logps) - 1))
            ),
            "moving_late": lambda logps, beta: ([0.0, *two_margins(logps, beta)[0][:-1]], two_margins(logps, beta)[1]),
        },
    ),
}
