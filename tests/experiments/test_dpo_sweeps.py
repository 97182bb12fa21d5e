"""DPO that goes wrong on purpose: labels, remedies, what is measured, and the stored runs."""

import inspect
import math
from collections import Counter

import pytest
import torch

from course.experiments import dpo_sweeps as sweeps
from course.experiments.dpo_sweeps import (
    COMPARISONS,
    LENGTH_REMEDIES,
    OPINIONS,
    SKILL_REMEDIES,
    SKILLS,
    STEPS,
    WORDY,
    balanced_by_length,
    drift,
    first_gradient,
    run_remedy,
    some_drafts,
)
from course.experiments.reward_hacking import HELD_OUT
from course.experiments.store import stored
from course.models import LM, clone
from course.preferences import DPO, fit_preferences, sequence_logps
from course.preferences.check import check_pairs
from course.text import word_count
from course.train import chat_examples
from course.world import SEEN, country_questions, demonstrate
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
RECORDS = [
    {"prompt": f"Question {n}?", "chosen": "one " * long, "rejected": "two " * short}
    for n, (long, short) in enumerate([(3, 1), (4, 2), (1, 3), (2, 2), (5, 1), (1, 2), (2, 1), (7, 7)])
]


@pytest.fixture(scope="module")
def lm():
    return LM("tiny", build_model(TOKENIZER), TOKENIZER)


# ---- pairs and labels --------------------------------------------------------------------------------------


def test_drafts_are_about_so_many_questions(lm):
    pairs = some_drafts(lm, 4, seed=2)
    assert len({pair.prompt for pair in pairs}) == 4
    assert pairs == some_drafts(lm, 4, seed=2)


def test_every_comparison_is_labelled_by_as_many_people(monkeypatch):
    asked = country_questions(SEEN[:10])
    pairs = [(q, demonstrate(q), f"{q.answer}.") for q in asked]
    monkeypatch.setattr(sweeps, "some_drafts", lambda lm, questions, seed: pairs)
    records = sweeps.often_compared(None, seed=1)
    times = Counter((one["prompt"], frozenset((one["chosen"], one["rejected"]))) for one in records)
    assert set(times.values()) == {OPINIONS}
    assert len(times) == COMPARISONS
    assert 0.5 < check_pairs(records).agreement.share < 1


def test_twenty_words_make_up_for_the_truth():
    question = country_questions(SEEN[:1])[0]
    right, wrong = demonstrate(question), "No. " + "Have a nice day! " * 12
    assert WORDY.utility(question, wrong) > WORDY.utility(question, right) > WORDY.utility(question, "No idea.")


# ---- balance -----------------------------------------------------------------------------------------------


def test_balanced_pairs_are_a_part_of_them_and_say_nothing_about_length():
    kept = balanced_by_length(RECORDS, seed=0)
    assert all(one in RECORDS for one in kept)
    differences = Counter(word_count(one["chosen"]) - word_count(one["rejected"]) for one in kept)
    assert differences == {2: 1, -2: 1, 1: 1, -1: 1, 0: 2}
    assert kept != balanced_by_length(RECORDS, seed=1)


def test_balancing_twice_takes_nothing_more():
    kept = balanced_by_length(RECORDS, seed=0)
    assert len(balanced_by_length(kept, seed=5)) == len(kept)


# ---- what is measured --------------------------------------------------------------------------------------


def test_drift_is_the_mean_difference_of_log_probabilities(lm, monkeypatch):
    other, asked = LM("other", build_model(TOKENIZER, seed=1), TOKENIZER), HELD_OUT[:4]
    assert drift(lm, lm, asked, seed=0) == pytest.approx(0, abs=1e-4)
    monkeypatch.setattr(sweeps, "answers", lambda lm, prompts, seed: [demonstrate(one) for one in prompts])
    ours, theirs = (sequence_logps(one, asked, [demonstrate(q) for q in asked]).logps for one in (lm, other))
    assert drift(lm, other, asked, seed=0) == pytest.approx(float((ours - theirs).mean()), rel=1e-5)
    assert drift(other, lm, asked, seed=0) == pytest.approx(-drift(lm, other, asked, seed=0), rel=1e-5)


def test_the_first_gradient_is_proportional_to_beta(lm):
    steep = [first_gradient(lm, RECORDS, beta) for beta in (0.1, 1.0, 3.0)]
    assert steep[1] == pytest.approx(10 * steep[0], rel=1e-3)
    assert steep[2] == pytest.approx(30 * steep[0], rel=1e-3)
    model = clone(lm)
    assert all(p.grad is None for p in model.model.parameters())


def test_the_first_gradient_is_that_of_the_difference_of_log_probabilities(lm):
    """At equal models the loss is -log sigmoid(0 + beta d) with d = 0: its slope is -beta / 2 times that of d."""
    model = clone(lm)
    moved = 1e-3
    direction = [torch.randn_like(p, generator=torch.Generator().manual_seed(0)) for p in model.model.parameters()]

    def ahead():
        sides = [
            sequence_logps(model, [one["prompt"] for one in RECORDS], [one[side] for one in RECORDS]).logps
            for side in ("chosen", "rejected")
        ]
        return float((sides[0] - sides[1]).double().mean())

    before = ahead()
    with torch.no_grad():
        for p, step in zip(model.model.parameters(), direction, strict=True):
            p += moved * step
    slope = abs(ahead() - before) / moved / math.sqrt(sum(float((step**2).sum()) for step in direction))
    assert 0.5 * slope < first_gradient(lm, RECORDS, 1.0)  # no direction is steeper than the gradient's own


def test_a_swept_run_tells_how_it_went(lm, monkeypatch):
    monkeypatch.setattr(sweeps, "drift", lambda policy, reference, seed: float(policy is not reference))
    policy, made = sweeps.sweep(lm, RECORDS, 0.3, seed=2)
    same = clone(lm)
    run = fit_preferences(same, RECORDS, DPO(0.3), **STEPS, seed=2)
    assert made.curves["loss"] == run.losses
    assert made.curves["margin"] == pytest.approx([margin / 0.3 for margin in run.measured["margin"]])
    assert made.curves["drift"] == [0.0, *[1.0] * STEPS["epochs"]]
    assert (made.condition, made.seed, made.measured["drift"]) == ("beta 0.3", 2, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(policy.model.parameters(), same.model.parameters(), strict=True))


# ---- remedies ----------------------------------------------------------------------------------------------


def test_a_remedy_changes_only_what_the_trainer_takes(lm):
    known = set(inspect.signature(fit_preferences).parameters)
    for name, remedy in LENGTH_REMEDIES.items():
        changed = remedy(RECORDS, 0)
        assert set(changed) <= known
        assert (name == "sums") == (not changed)
    for name, remedy in SKILL_REMEDIES.items():
        changed = remedy(lm)
        assert set(changed) <= known
        assert (name == "too much") == (not changed)


@pytest.mark.parametrize("train", [sweeps.with_length_remedy, sweeps.with_skill_remedy])
def test_the_model_that_is_given_stays_as_it_was(lm, train):
    before = [p.clone() for p in lm.model.parameters()]
    name = "sums" if train is sweeps.with_length_remedy else "too much"
    policy, run = train(lm, RECORDS, name, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, lm.model.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before, policy.model.parameters(), strict=True))
    assert all(map(math.isfinite, run.losses))


def test_demonstrations_are_those_that_the_policy_came_from(lm):
    found = SKILL_REMEDIES["20% SFT"](lm)
    assert found["sft_share"] == 0.2
    assert found["sft_examples"] == chat_examples(lm, sweeps.mixed_conversations())


def test_skills_are_shares_and_random_weights_have_none(lm, monkeypatch):
    monkeypatch.setattr(sweeps, "SKILLS", {name: asked[:2] for name, asked in SKILLS.items()})
    assert sweeps.skills(lm, seed=0) == dict.fromkeys(SKILLS, 0.0)


def test_no_skill_is_what_the_pairs_are_about():
    about = {question.text for question in country_questions(SEEN, (0, 1))}
    assert not about & {asked.text for every in SKILLS.values() for asked in every}


# ---- the experiments ---------------------------------------------------------------------------------------


def test_a_remedy_is_run_on_the_labels_of_its_kind(lm, monkeypatch):
    monkeypatch.setattr(sweeps, "_start", lambda labels, seed: (lm, labels))
    monkeypatch.setattr(sweeps, "with_length_remedy", lambda lm, labels, name, seed: (f"{labels.__name__}: {name}", 0))
    monkeypatch.setattr(sweeps, "symptoms", lambda policy, lm, seed: {"policy": policy})
    monkeypatch.setattr(sweeps, "skills", lambda policy, seed: {"sums": policy})
    assert run_remedy("length: balanced pairs", 1).measured == {"policy": "wordy_labels: balanced pairs"}
    assert run_remedy("skills: before", 1).measured == {"policy": lm, "sums": lm}


def test_a_stored_sweep_has_all_its_curves():
    for run in stored("betas"):
        assert len(run.curves["drift"]) == STEPS["epochs"] + 1
        assert run.curves["drift"][0] == 0
        assert run.curves["drift"][-1] == run.measured["drift"]
        assert len(run.curves["margin"]) == len(run.curves["loss"])
        assert len(run.curves["loss"]) == math.ceil(COMPARISONS * OPINIONS / STEPS["batch_size"]) * STEPS["epochs"]
        assert run.curves["loss"][0] == pytest.approx(math.log(2), abs=1e-3)


def test_stored_shares_are_shares():
    for run in stored("remedies"):
        shares = {"true score", *(SKILLS if run.condition.startswith("skills") else ())}
        assert all(0 <= run.measured[name] <= 1 for name in shares)
        assert set(run.measured) == shares | {"words", "drift"}
