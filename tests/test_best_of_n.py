"""Best-of-N: plain sampling for N = 1, running bests, memory, and its formulas against enumeration and simulation."""

import itertools
import math
import weakref
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course import best_of_n as module
from course.best_of_n import best_of_n, best_of_n_kl, expected_best, gaussian_best
from course.models import LM
from course.rewards import new_reward_model
from course.rollouts import chat_prompts, sample
from course.world import ask
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
TINY = LM("tiny", build_model(TOKENIZER), TOKENIZER)
QUESTIONS = [ask("capital", "France"), ask("sum", "2 + 2"), ask("capital", "Peru")]
SHORT = {"max_new_tokens": 6}


def letters(prompts, texts):
    """Many different rewards, of which the true order is known."""
    return torch.tensor([float(sum(map(ord, text)) % 97) for text in texts])


def words(prompts, texts):
    return torch.tensor([float(len(text.split())) for text in texts])


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_the_best_of_one_is_a_plain_sample():
    best = best_of_n(TINY, QUESTIONS, letters, 1, seed=4, **SHORT)
    plain = sample(TINY, chat_prompts(TINY, QUESTIONS), temperature=1.0, seed=4, **SHORT)
    assert [one.text for one in best] == plain.texts
    assert [one.question for one in best] == QUESTIONS
    assert [list(one.running) for one in best] == [[1]] * 3


@pytest.mark.parametrize("chunk", [1, 6, 100])
@pytest.mark.parametrize("n", [5, 8])
def test_the_best_is_the_highest_and_running_bests_never_fall(chunk, n):
    for best in best_of_n(TINY, QUESTIONS, letters, n, watch=words, chunk=chunk, seed=2, **SHORT):
        scores = best.scores.tolist()
        assert len(scores) == len(best.watched) == n
        assert best.score == max(scores) == letters([], [best.text]).item()
        assert list(best.running) == sorted({1, 2, 4, n} | ({8} if n == 8 else set()))
        assert [c.score for c in best.running.values()] == [max(scores[:seen]) for seen in best.running]
        assert [letters([], [c.text]).item() for c in best.running.values()] == [c.score for c in best.running.values()]
        assert best.running[n].text == best.text
        assert best.watched[scores.index(best.score)] == words([], [best.text])
        assert len(set(scores)) > 2


def test_the_chunk_changes_nothing_but_the_memory():
    whole, *parts = (best_of_n(TINY, QUESTIONS, letters, 8, chunk=chunk, seed=3, **SHORT) for chunk in (24, 3, 7, 15))
    for part in parts:
        assert [(b.text, b.scores.tolist(), b.running) for b in part] == [
            (b.text, b.scores.tolist(), b.running) for b in whole
        ]


def test_equal_answers_of_a_round_are_scored_once(monkeypatch):
    texts = ["Paris.", "4", "Lima.", "Paris.", "5", "Lima.", "Rome.", "4", "Paris."]
    monkeypatch.setattr(module, "sample", lambda lm, prompts, **settings: SimpleNamespace(texts=texts))
    seen: list[tuple[str, str]] = []

    def noting(prompts, texts):
        seen.extend((prompt.text, text) for prompt, text in zip(prompts, texts, strict=True))
        return letters(prompts, texts)

    found = best_of_n(TINY, QUESTIONS, noting, 3, **SHORT)
    france, two, peru = (question.text for question in QUESTIONS)
    assert seen == [(france, "Paris."), (two, "4"), (peru, "Lima."), (two, "5"), (france, "Rome."), (peru, "Paris.")]
    assert [b.scores.tolist() for b in found] == [letters([], texts[i::3]).tolist() for i in range(3)]


def test_every_answer_is_scored_with_its_own_question():
    asked: list[tuple[str, str]] = []

    def noting(prompts, texts):
        asked.extend((prompt.text, text) for prompt, text in zip(prompts, texts, strict=True))
        return letters(prompts, texts)

    found = best_of_n(TINY, QUESTIONS, noting, 4, chunk=6, **SHORT)
    assert sorted(text for text, _ in asked) == sorted(q.text for q in QUESTIONS for _ in range(4))
    for best in found:
        assert [letters([], [text]).item() for text_, text in asked if text_ == best.question.text] == (
            best.scores.tolist()
        )


def test_the_same_seed_gives_the_same_answers_and_rounds_differ():
    first, second, other = (best_of_n(TINY, QUESTIONS, letters, 6, chunk=6, seed=seed, **SHORT) for seed in (1, 1, 2))
    assert [(b.text, b.scores.tolist()) for b in first] == [(b.text, b.scores.tolist()) for b in second]
    assert [b.scores.tolist() for b in first] != [b.scores.tolist() for b in other]
    for best in first:
        rounds = best.scores.view(3, 2).tolist()
        assert rounds[0] != rounds[1] != rounds[2]


def test_a_larger_n_goes_on_where_a_smaller_one_ended():
    small, large = (best_of_n(TINY, QUESTIONS, letters, n, chunk=6, **SHORT) for n in (3, 8))
    for one, more in zip(small, large, strict=True):
        assert more.scores[:3].tolist() == one.scores.tolist()
        assert more.running[2] == one.running[2] and more.score >= one.score


def test_a_reward_model_chooses():
    model = new_reward_model(TINY)
    for best in best_of_n(TINY, QUESTIONS, model, 4, **SHORT):
        assert best.score == pytest.approx(float(model([best.question], [best.text])), abs=1e-4)


def test_memory_is_flat(monkeypatch):
    """Of all the answers only the running bests are alive after a round, however many rounds there are."""

    class Text(str):
        """A text whose life can be followed."""

    alive: weakref.WeakSet[Text] = weakref.WeakSet()
    counts: list[int] = []
    made = itertools.count()

    class Sampled:
        def __init__(self, rows: int) -> None:
            self.texts = [Text(f"answer {next(made)}") for _ in range(rows)]
            alive.update(self.texts)

    def fake(lm, prompts, **settings):
        counts.append(len(alive))
        return Sampled(len(prompts))

    monkeypatch.setattr(module, "sample", fake)
    best_of_n(TINY, QUESTIONS, lambda prompts, texts: torch.rand(len(texts)), 1024, chunk=30)
    assert next(made) == 3 * 1024 and len(counts) == 103
    # the round before, since its names are bound until the next, and at most 11 running bests a question
    assert max(counts) <= 30 + 3 * 11


def test_what_cannot_be_searched():
    with pytest.raises(ValueError, match="n=0 and chunk=128 are at least 1, and there are 3 questions"):
        best_of_n(TINY, QUESTIONS, letters, 0)
    with pytest.raises(ValueError, match="there are 0 questions"):
        best_of_n(TINY, [], letters, 4)
    with pytest.raises(ValueError, match="chunk=0"):
        best_of_n(TINY, QUESTIONS, letters, 4, chunk=0)


def test_a_reward_that_is_not_a_number_names_the_answer():
    def broken(prompts, texts):
        return torch.tensor([float("nan") if "Peru" in prompt.text else 1.0 for prompt in prompts])

    with pytest.raises(ValueError, match=r"reward is not a number \(nan\) for '.*Peru.*', answered '"):
        best_of_n(TINY, QUESTIONS, broken, 2, **SHORT)
    with pytest.raises(ValueError, match=r"watch is not a number \(nan\)"):
        best_of_n(TINY, QUESTIONS, letters, 2, watch=broken, **SHORT)
    with pytest.raises(ValueError, match=r"reward gave shape \(1,\) for 6 answers"):
        best_of_n(TINY, QUESTIONS, lambda prompts, texts: torch.zeros(1), 2, **SHORT)


def test_rewards_that_are_all_equal_or_endless_still_give_an_answer():
    flat = best_of_n(TINY, QUESTIONS, lambda prompts, texts: torch.zeros(len(texts)), 4, seed=1, **SHORT)
    assert [b.text for b in flat] == [b.text for b in best_of_n(TINY, QUESTIONS, letters, 1, seed=1, **SHORT)]
    lowest = best_of_n(TINY, QUESTIONS, lambda prompts, texts: torch.full((len(texts),), -math.inf), 2, **SHORT)
    assert all(best.text and best.score == -math.inf for best in lowest)


# --- what theory says -------------------------------------------------------------------------------------------------


def by_enumeration(scores: list[float], n: int, values: list[float]) -> float:
    """Every subset in turn; among equally good answers, the mean of their values over the whole pool."""
    total, subsets = 0.0, list(itertools.combinations(range(len(scores)), n))
    for subset in subsets:
        best = max(scores[i] for i in subset)
        equal = [values[i] for i in range(len(scores)) if scores[i] == best]
        total += sum(equal) / len(equal)
    return total / len(subsets)


@given(
    scores=st.lists(st.sampled_from([-1.5, 0.0, 0.25, 1.0, 3.0, 7.0]), min_size=1, max_size=7),
    data=st.data(),
)
@settings(deadline=None)
def test_expected_best_is_the_mean_over_all_subsets(scores, data):
    n = data.draw(st.integers(1, len(scores)))
    values = data.draw(st.lists(st.floats(-5, 5), min_size=len(scores), max_size=len(scores)))
    pool = torch.tensor(scores)
    assert expected_best(pool, n) == pytest.approx(by_enumeration(scores, n, scores), abs=1e-6)
    told = expected_best(pool, n, torch.tensor(values, dtype=torch.float64))
    assert told == pytest.approx(by_enumeration(scores, n, values), abs=1e-6)


def test_expected_best_at_its_ends_and_in_between():
    pool = torch.randn(1024, generator=torch.Generator().manual_seed(0))
    assert expected_best(pool, 1) == pytest.approx(float(pool.mean()), abs=1e-6)
    assert expected_best(pool, 1024) == float(pool.max())
    curve = [expected_best(pool, n) for n in (1, 2, 4, 16, 64, 256, 512, 1023)]
    assert all(lower < higher for lower, higher in itertools.pairwise(curve))
    assert expected_best(pool, 64, -pool) == pytest.approx(-curve[4], abs=1e-6)


def test_expected_best_of_what_is_drawn_again():
    """Against bests of n fresh draws: the estimate is unbiased."""
    generator = torch.Generator().manual_seed(1)
    pools = torch.randn(400, 20, generator=generator).exp()
    fresh = torch.randn(20000, 5, generator=generator).exp().max(1).values
    estimates = torch.tensor([expected_best(pool, 5) for pool in pools])
    error = math.hypot(float(estimates.std()) / 20, float(fresh.std()) / math.sqrt(20000))
    assert abs(float(estimates.mean() - fresh.mean())) < 4 * error


def test_a_pool_that_is_too_small():
    with pytest.raises(ValueError, match=r"n=4 is outside 1 to 3, the number of answers in the pool"):
        expected_best(torch.zeros(3), 4)
    with pytest.raises(ValueError, match="n=0 is outside 1 to 3"):
        expected_best(torch.zeros(3), 0)
    with pytest.raises(ValueError, match=r"scores \(3,\) and values \(2,\)"):
        expected_best(torch.zeros(3), 1, torch.zeros(2))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1024])
def test_the_kl_is_that_of_the_best_of_n_distribution(n):
    """Of 4000 equally likely answers with a reward each: p(best is i) is (i/M)^n - ((i-1)/M)^n."""
    ranks = torch.arange(4001, dtype=torch.float64) / 4000
    chosen = (ranks**n).diff()
    kl = float((torch.special.xlogy(chosen, chosen * 4000)).sum())
    assert best_of_n_kl(n) == pytest.approx(math.log(n) - (n - 1) / n)
    assert kl <= best_of_n_kl(n) + 1e-9
    assert kl == pytest.approx(best_of_n_kl(n), abs=0.02 if n > 100 else 1e-3)


@given(weights=st.lists(st.integers(1, 9), min_size=2, max_size=5), n=st.integers(1, 40))
def test_the_kl_is_a_bound_where_answers_are_few(weights, n):
    p = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    up_to = p.cumsum(0).clamp(max=1.0)
    chosen = (up_to**n).diff(prepend=up_to.new_zeros(1))
    assert float(torch.special.xlogy(chosen, chosen / p).sum()) <= best_of_n_kl(n) + 1e-9


def test_the_gaussian_curve_is_what_simulation_gives():
    draws = torch.randn(20000, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for n in (1, 2, 4, 16, 64):
        bests = draws[:, :n].max(1).values
        assert abs(gaussian_best(n) - float(bests.mean())) < 4 * float(bests.std()) / math.sqrt(20000)


def test_the_gaussian_curve_where_it_is_known():
    assert gaussian_best(1) == pytest.approx(0, abs=1e-9)
    assert gaussian_best(2) == pytest.approx(1 / math.sqrt(math.pi), rel=1e-9)
    assert gaussian_best(3) == pytest.approx(1.5 / math.sqrt(math.pi), rel=1e-9)
    for n in (2, 10, 1000, 10**6):
        assert gaussian_best(n) < math.sqrt(2 * math.log(n))
    assert gaussian_best(10**6) > 0.9 * math.sqrt(2 * math.log(10**6))


@pytest.mark.parametrize("formula", [best_of_n_kl, gaussian_best])
def test_the_best_of_none(formula):
    with pytest.raises(ValueError, match="n=0: give at least 1"):
        formula(0)
