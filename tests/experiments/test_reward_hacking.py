"""The flawed rewards of lesson 10, what is measured of a policy, and the experiment."""

import inspect
import math
from types import SimpleNamespace

import pytest
import torch

from course.experiments import reward_hacking as hacking
from course.experiments.reward_hacking import (
    CURES,
    CURVES,
    FORMAT,
    FORMAT_CURES,
    FORMAT_ITERATIONS,
    LENGTH,
    LENGTH_ITERATIONS,
    NOTHING,
    Case,
    distinct,
    length_labels,
    run_cure,
    share,
    standardised_reward,
    strung_together,
    symptoms,
)
from course.experiments.store import stored
from course.feedback import Pair
from course.models import LM, clone
from course.rl import PPOConfig, ppo
from course.rollouts import drafts
from course.text import word_count
from course.world import REQUESTS, SEEN, country_questions, demonstrate
from tests.tiny import build_model, build_tokenizer

QUESTIONS = country_questions(SEEN[:2])


@pytest.fixture(scope="module")
def lm():
    tokenizer = build_tokenizer()
    return LM("tiny", build_model(tokenizer), tokenizer)


@pytest.fixture(scope="module")
def pairs(lm):
    return drafts(lm, QUESTIONS, each=3, seed=1)


def by_words(prompts, texts):
    return torch.tensor([float(word_count(text)) for text in texts])


# ---- pairs and labels --------------------------------------------------------------------------------------


def test_a_longer_side_is_made_of_the_pairs_own_drafts():
    question = QUESTIONS[0]
    made = strung_together([(question, "left", "right")] * 200, seed=0)
    lengths = set()
    for prompt, *sides in made:
        assert prompt is question
        for side in sides:
            lengths.add(len(side.split()))
            assert set(side.split()) <= {"left", "right"}
    assert lengths == {1, 2, 3}


def test_the_longer_side_is_chosen():
    pairs = [(question, "Paris.", "The capital is Paris.") for question in QUESTIONS]
    for record in length_labels(pairs, seed=3):
        assert len(record["chosen"].split()) > len(record["rejected"].split())


# ---- the reward model ------------------------------------------------------------------------------------


def test_the_unit_of_a_reward_is_that_of_usual_drafts(lm, pairs):
    reward = standardised_reward(lm, length_labels(pairs, 0), pairs, seed=0)
    scores = reward([pair.prompt for pair in pairs], [pair.a for pair in pairs])
    assert float(scores.mean()) == pytest.approx(0, abs=1e-4)
    assert float(scores.std()) == pytest.approx(1, abs=1e-4)


def test_a_reward_without_a_unit_is_refused(lm, pairs):
    with pytest.raises(ValueError, match=r"gives all 2 usual drafts the score .* no unit"):
        standardised_reward(lm, length_labels(pairs, 0), [pairs[0], pairs[0]], seed=0)


# ---- what is measured --------------------------------------------------------------------------------------


def test_share_is_the_mean_of_the_taste():
    texts = ["- Paris.", "The capital of France is Paris.", "- Paris.\n- Lyon.", "One.\n- Two."]
    assert share("bullets", [QUESTIONS[0]] * 4, texts) == pytest.approx((1 + 0 + 1 + 0.5) / 4)


def test_distinct_counts_for_each_prompt_apart(lm, monkeypatch):
    monkeypatch.setattr(hacking, "answers", lambda lm, prompts, seed: ["a", "b", "a", "a", "a", "a"])
    assert distinct(lm, QUESTIONS[:2], draws=3) == pytest.approx((2 + 1) / 2)


def test_symptoms_are_those_of_the_answers(lm, monkeypatch):
    monkeypatch.setattr(hacking, "HELD_OUT", QUESTIONS[:3])
    monkeypatch.setattr(hacking, "HARMLESS", [REQUESTS[0]])
    found = symptoms(lm, by_words, seed=4)
    texts = hacking.answers(lm, QUESTIONS[:3], seed=4)
    assert found["proxy"] == pytest.approx(found["words"])
    assert found["words"] == pytest.approx(sum(map(word_count, texts)) / 3)
    assert found["true score"] == found["helps"] == 0  # random weights know nothing
    assert 0 < found["entropy"] < math.log(400) + 2
    assert 1 <= found["distinct"] <= 32


# ---- the cures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CURES)
def test_a_cure_changes_only_what_ppo_takes(lm, name, monkeypatch):
    plain = [(question, demonstrate(question, "warm"), demonstrate(question, "short")) for question in QUESTIONS]
    pairs = [Pair(*pair) for pair in plain]
    monkeypatch.setattr(hacking, "sft_mix", lambda lm: [{"input_ids": [1], "labels": [1]}])
    case = Case(lm, pairs, by_words, QUESTIONS, 0)
    changed = CURES[name](case)
    assert set(changed) <= set(inspect.signature(ppo).parameters)
    assert (name == NOTHING) == (not changed)
    if "reward" in changed:
        prompts, texts = QUESTIONS[:2], ["one two three", "one"]
        scores = changed["reward"](prompts, texts)
        assert scores.shape == (2,)
        assert (scores <= by_words(prompts, texts) + 1e-6).all()  # no cure raises a score here
    if "settings" in changed:
        assert changed["settings"].sft_coefficient > 0
        assert changed["sft_examples"]


def test_the_cures_of_collapse_change_one_setting_each():
    for name, settings in FORMAT_CURES.items():
        differ = [
            field for field in PPOConfig.__dataclass_fields__ if getattr(settings, field) != getattr(FORMAT, field)
        ]
        assert len(differ) == (name != NOTHING)


# ---- the experiment ----------------------------------------------------------------------------------------


def test_a_run_is_a_case_with_its_cure(lm, pairs, monkeypatch):
    case = Case(lm, pairs, by_words, QUESTIONS, 3)
    monkeypatch.setattr(hacking, "_case", lambda kind, seed: case)
    monkeypatch.setattr(hacking, "symptoms", lambda policy, reward, seed: {"same": float(policy is lm)})
    past = [dict.fromkeys(CURVES, 0.5), dict.fromkeys(CURVES, 1.5)]
    made = SimpleNamespace(history=past)
    monkeypatch.setattr(hacking, "treat", lambda case, cure: (clone(lm), made))
    before, after = (run_cure(condition, 3) for condition in ("length: before", "length: clipping"))
    assert (before.measured, before.curves) == ({"same": 1.0}, {})
    assert (after.measured, after.curves) == ({"same": 0.0}, {name: [0.5, 1.5] for name in CURVES.values()})


def test_a_stored_run_has_all_its_curves():
    usual = {"length": LENGTH_ITERATIONS, "format": FORMAT_ITERATIONS}
    for run in stored("cures"):
        kind, cure = run.condition.split(": ")
        if cure == "before":
            assert not run.curves
            continue
        expected = usual[kind] * (2 if "twice" in cure else 1)
        assert set(run.curves) == set(CURVES.values())
        assert {len(values) for values in run.curves.values()} == {expected}
        limit = (LENGTH if kind == "length" else FORMAT).max_new_tokens
        assert all(0 < value <= limit for value in run.curves["length"])
        assert all(0 <= run.measured[name] <= 1 for name in ("true score", "lists", "helps"))
