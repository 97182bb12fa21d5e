"""Solutions that people write, of all lessons: right ones of unusual form, and wrong ones that are easily missed."""

import itertools
import math
from collections import Counter, deque
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional

from course.exercises import EXERCISES
from course.exercises.lesson_06 import ratings_to_pairs
from course.study.grading import grade
from tests.exercises.verdicts import text_of


def said_of(exercise_id, attempt):
    """The verdict's kind, and all that it says in words."""
    verdict = grade(EXERCISES[exercise_id], attempt)
    words = [verdict.message, text_of(exercise_id).mistakes.get(verdict.mistake or "", ""), verdict.hint]
    return verdict.kind, " ".join(filter(None, words))


# ---- right -------------------------------------------------------------------------------------------------


def again_for_each_query(shots, question, queries):
    return 0 if queries == 0 else sum(shots) + question + again_for_each_query(shots, question, queries - 1)


def first_of_each(texts):
    """A dict's view of values is as good as a list."""
    first = {}
    for text in texts:
        first.setdefault("".join(filter(str.isalnum, text.casefold())), text)
    return first.values()


def with_blanks(turns):
    for role, header, content, end in turns:
        yield from itertools.repeat(0, header)
        yield from itertools.repeat(role == "assistant", content + end)


def by_counter(answers, ratings):
    pairs = Counter(
        (a, b)
        for row in ratings
        for (a, x), (b, y) in itertools.permutations(list(zip(answers, row, strict=True)), 2)
        if x > y
    )
    ties = sum(math.comb(count, 2) for row in ratings for count in Counter(row).values())
    return iter([sorted(pairs.elements()), ties])


def all_draws(probabilities, rewards, n):
    chances = [0.0] * len(rewards)
    for draw in itertools.product(range(len(rewards)), repeat=n):
        chances[max(draw, key=rewards.tolist().__getitem__)] += math.prod(probabilities[list(draw)].tolist())
    return chances


def exact(log_odds, more_words):
    z, d = [list(map(Fraction, values)) for values in (log_odds, more_words)]
    slope = sum(map(lambda a, b: a * b, z, d)) / sum(b * b for b in d)
    return deque(a - slope * b for a, b in zip(z, d, strict=True))


@pytest.mark.parametrize(
    ("id", "attempt"),
    [
        ("00-until-stop", lambda ids, stop: itertools.takewhile(lambda one: one != stop, ids)),
        ("01-next-token-loss", lambda logits, ids: np.float64(functional.cross_entropy(logits[:-1], ids[1:]))),
        ("01-prompt-tokens", again_for_each_query),
        ("02-assistant-mask", with_blanks),
        ("02-dedupe", first_of_each),
        ("03-make-labels", lambda ids, mask, attention: (ids + 100) * mask * attention - 100.0),
        ("06-ratings-to-pairs", by_counter),
        ("07-scores-at-end", lambda values, attention: [v[a == 1][-1] for v, a in zip(values, attention, strict=True)]),
        ("08-chances-to-win", all_draws),
        (
            "10-flattery",
            lambda replies: [
                Fraction(sum(a is True for r, a in replies if r is k), sum(r is k for r, _ in replies))
                for k in (False, True)
            ],
        ),
        (
            "10-repair",
            lambda new, old, a, mask: torch.func.grad(lambda x: -((x - old).exp() * a * mask).sum() / mask.sum())(new),
        ),
        ("13-without-length", exact),
        (
            "18-pairs",
            lambda answers, ranks: dict.fromkeys(
                (a, b)
                for a, x in zip(answers, ranks, strict=True)
                for b, y in zip(answers, ranks, strict=True)
                if x < y
            ).keys(),
        ),
    ],
)
def test_a_right_one_is_right_whatever_its_form(id, attempt):
    assert said_of(id, attempt) == ("right", "Right.")


# ---- wrong, and easily taken for right ---------------------------------------------------------------------


def late(curves, name, count=3):
    return sum(curves[name][-count:]) / count


def triaged(kl=lambda curves: late(curves, "kl") > 8, signal_first=True):
    def triage(curves):
        signal = ("signal", max(curves["reward_std"]) < 1e-5)
        gradient = ("gradient", max(map(abs, curves["kl"])) <= 0.001)
        parted = late(curves, "reward") > curves["reward"][0] and late(curves, "true") < curves["true"][0] - 0.15
        middle = [signal, gradient] if signal_first else [gradient, signal]
        rules = [("prompt", curves["entropy"][0] > 0.9), *middle, ("reward", parted), ("kl", kl(curves))]
        return next((name for name, applies in rules if applies), "healthy")

    return triage


def until_nothing(ids, stop):
    return list(itertools.takewhile(lambda one: one and one != stop, ids))


def keeps_the_top(proxy, truth, window):
    """The best so far begins at 0."""
    best, at = 0, window
    for i in range(window, len(truth) + 1):
        if sum(truth[i - window : i]) / window > best:
            best, at = sum(truth[i - window : i]) / window, i
    return at


def share_of_longer(pairs, words):
    ahead = [words(chosen) - words(rejected) for chosen, rejected in pairs if words(chosen) != words(rejected)]
    return sum(one > 0 for one in ahead) / len(ahead)


def window_medians(proxy, truth, window):
    return max(range(window, len(truth) + 1), key=lambda i: sorted(truth[i - window : i])[window // 2])


@pytest.mark.parametrize(
    ("id", "attempt"),
    [
        ("00-until-stop", until_nothing),
        ("00-until-stop", lambda ids, stop: [int(one) for one in " ".join(map(str, ids)).split(str(stop))[0].split()]),
        (
            "02-assistant-mask",
            lambda turns: [x for role, h, c, e in turns for x in [0] * h + [int(role == "assistant")] * max(c + e, 1)],
        ),
        (
            "02-dedupe",
            lambda texts: list(
                {"".join(filter(str.isalnum, text.lower()))[:10]: text for text in texts[::-1]}.values()
            )[::-1],
        ),
        ("03-make-labels", lambda ids, mask, attention: torch.where((mask == 1) & (attention[:1] == 1), ids, -100)),
        ("10-when-to-stop", window_medians),
        ("10-when-to-stop", keeps_the_top),
        ("10-triage", triaged(kl=lambda curves: max(curves["kl"][-3:]) > 8)),
        ("10-triage", triaged(kl=lambda curves: late(curves, "kl", 2) > 8)),
        ("10-triage", triaged(kl=lambda curves: abs(late(curves, "kl")) > 8)),
        ("10-triage", triaged(signal_first=False)),
        (
            "11-answer-logp",
            lambda logits, ids, is_answer: (
                logits.log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0] * is_answer[1:] * (ids[1:] > 0)
            ).sum(),
        ),
        (
            "06-ratings-to-pairs",
            lambda answers, ratings: (
                ratings_to_pairs(answers, ratings)[0],
                sum(
                    any(row[i] == row[j] for row in ratings) for i, j in itertools.combinations(range(len(answers)), 2)
                ),
            ),
        ),
        ("11-longer-wins", lambda pairs: share_of_longer(pairs, lambda text: len(set(text.split())))),
        ("11-longer-wins", lambda pairs: share_of_longer(set(pairs), lambda text: len(text.split()))),
    ],
)
def test_a_wrong_one_that_is_right_on_most_cases_is_refused(id, attempt):
    assert said_of(id, attempt)[0] == "wrong"


def test_triage_as_it_is_meant_is_right():
    assert said_of("10-triage", triaged())[0] == "right"


def remembers(texts, seen=set()):  # noqa: B006
    new = [text for text in texts if "".join(filter(str.isalnum, text.lower())) not in seen]
    seen.update("".join(filter(str.isalnum, text.lower())) for text in texts)
    return new


@pytest.mark.parametrize(
    ("id", "attempt", "said", "not_said"),
    [
        (
            "00-until-stop",
            lambda ids, stop: list(dict.fromkeys(ids[: ids.index(stop)] if stop in ids else ids)),
            "",
            "lose the last token",
        ),
        ("00-messages", lambda question, system: [].append(question), "is None", "missing"),
        (
            "02-find-the-difference",
            lambda one, other: next((i for i in range(len(one)) if one[i] != other[i]), None),
            "IndexError",
            "zip",
        ),
        (
            "02-find-the-difference",
            lambda one, other: sum(a != b for a, b in zip(one, other, strict=False)),
            "",
            "Right",
        ),
        ("02-dedupe", remembers, "second call", "digits"),
        (
            "06-clicks",
            lambda clicks: [
                {
                    "prompt": p,
                    "chosen": b if key == "2" or swapped else a,
                    "rejected": a if key == "2" or swapped else b,
                }
                for p, a, b, swapped, key in clicks
                if key in "12"
            ],
            "for the key",
            "missing",
        ),
        (
            "07-reward-loss",
            lambda chosen, rejected: (1 + (rejected - chosen).exp()).log().mean(),
            "too large for a float",
            "",
        ),
        (
            "08-expected-best",
            lambda scores, n: torch.combinations(scores, n).amax(1).clamp(min=0).mean(),
            "below 0",
            "n is 1",
        ),
        (
            "10-cautious",
            lambda scores, usual: ((scores - usual.mean(1, keepdim=True)) / usual.std(1, keepdim=True)).min(),
            "smallest",
            "",
        ),
        (
            "12-reference-point",
            lambda policy, ref: (policy + ref).roll(-1, 1).diagonal().mean().clamp(min=0),
            "in every case: 0",
            "whatever",
        ),
        (
            "18-pairs",
            lambda answers, ranks: {
                (a, b): 1
                for a, x in zip(answers, ranks, strict=True)
                for b, y in zip(answers, ranks, strict=True)
                if x < y
            },
            "keys of a dict",
            "missing",
        ),
    ],
)
def test_what_is_said_is_true_of_the_attempt(id, attempt, said, not_said):
    kind, words = said_of(id, attempt)
    assert kind == "wrong" and said in words
    assert not not_said or not_said not in words


# ---- what misled once ------------------------------------------------------------------------------------------------


def in_order_of_arrival(probabilities, won, bins):
    parts = {}
    for p, w in zip(probabilities, won, strict=True):
        parts.setdefault(min(int(p * bins), bins - 1), []).append((p, w))
    return [
        (sum(p for p, _ in part) / len(part), sum(w for _, w in part) / len(part), len(part)) for part in parts.values()
    ]


def slope_without_sign(log_odds, more_words):
    slope = abs(sum(map(lambda a, b: a * b, log_odds, more_words)) / sum(b * b for b in more_words))
    return [a - slope * b for a, b in zip(log_odds, more_words, strict=True)]


def headers_last(turns):
    return [x for role, h, c, e in turns for x in [int(role == "assistant")] * (c + e) + [0] * h]


@pytest.mark.parametrize(
    ("id", "attempt", "said", "not_said"),
    [
        ("02-assistant-mask", headers_last, "A turn begins with its header", "another order"),
        (
            "06-ratings-to-pairs",
            lambda *given: (sorted(p[::-1] for p in ratings_to_pairs(*given)[0]), ratings_to_pairs(*given)[1]),
            "begins with the rejected",
            "",
        ),
        ("07-calibration", in_order_of_arrival, "left as they came", ""),
        ("08-keep-best", lambda stream: {q: a for q, a, _ in stream}, "You return a dict", "keys"),
        (
            "10-triage",
            lambda curves: "prompt" if curves["entropy"][0] < 0.9 else triaged()(curves),
            "'prompt'",
            "never right",
        ),
        ("10-when-to-stop", window_medians, "median", "counts once"),
        ("11-contradictions", lambda labels: [], "never looks at", "neighbours"),
        ("13-flip-rate", lambda given, swapped: float(given == swapped), "as a whole", "Every number"),
        ("13-without-length", slope_without_sign, "absolute value of the slope", "equally long"),
    ],
)
def test_what_misled_is_said_as_it_is(id, attempt, said, not_said):
    kind, words = said_of(id, attempt)
    assert kind == "wrong" and said in words
    assert not not_said or not_said not in words
