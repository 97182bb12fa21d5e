"""The harness of lesson 12: what is done to the labels, what a cell runs, and the stored runs."""

from itertools import chain
from statistics import mean

import pytest

from course.experiments import dpo_family as family
from course.experiments.dpo_family import (
    BEFORE,
    EPOCHS,
    FLIPPED,
    FOLLOWED,
    FROM_BASE,
    GOOD_SHARE,
    HELD_OUT,
    LONGER,
    SEARCH_SEEDS,
    SETTINGS,
    SFT,
    TOO_LONG,
    Pool,
    average,
    by_true_score,
    data,
    flipped,
    measure,
    run_cell,
    settings_for,
)
from course.experiments.store import over_seeds, stored
from course.feedback import Pair
from course.losses import preference
from course.models import LM
from course.preferences import KTO
from course.train import Recipe, _plan
from course.world import SEEN, country_questions, demonstrate, score
from tests.tiny import build_model, build_tokenizer

QUESTIONS = country_questions(SEEN)
PAIRS = [Pair(q, demonstrate(q, "warm"), f"It is {q.answer}ia.") for q in QUESTIONS]
PAIRS += [Pair(q, demonstrate(q), "No.") for q in QUESTIONS]
HELD = by_true_score([Pair(q, demonstrate(q), "Nowhere.") for q in HELD_OUT[:6]])
POOL = Pool(PAIRS, HELD, 3)
RUNS = stored("family")


@pytest.fixture
def tiny(monkeypatch):
    """Tiny models under the names of the shipped ones, and small data."""
    tokenizer = build_tokenizer()
    monkeypatch.setattr(family, "load", lambda name: LM(name, build_model(tokenizer), tokenizer))
    monkeypatch.setattr(family, "PAIRS", 4)
    monkeypatch.setattr(family, "HELD_OUT", HELD_OUT[:2])
    monkeypatch.setattr(family, "BATCH", 4)
    monkeypatch.setattr(family, "measure", lambda policy, pool: measure(policy, pool, HELD_OUT[:2]))


# ---- what is done to the labels ----------------------------------------------------------------------------


@pytest.mark.parametrize("condition", FLIPPED)
def test_so_many_labels_are_swapped_and_nothing_else(condition):
    clean, noisy = data(POOL, "clean"), data(POOL, condition)
    swapped = [one for one, other in zip(noisy, clean, strict=True) if one != other]
    assert len(clean) == family.PAIRS
    assert len(swapped) == round(FLIPPED[condition] * family.PAIRS)
    for one, other in zip(noisy, clean, strict=True):
        assert one["prompt"] == other["prompt"]
        assert {one["chosen"], one["rejected"]} == {other["chosen"], other["rejected"]}
    assert data(POOL, condition) == noisy != data(Pool(PAIRS[::-1], HELD, 4), condition)


def test_clean_labels_are_right():
    questions = {q.text: q for q in QUESTIONS}
    for record in data(POOL, "clean"):
        chosen, rejected = (score(questions[record["prompt"]], record[side]).total for side in ("chosen", "rejected"))
        assert chosen > rejected


def test_swapping_twice_is_no_swap():
    clean = data(POOL, "clean")
    assert flipped(flipped(clean, 0.3, 5), 0.3, 5) == clean
    assert flipped(clean, 0.3, 5) != flipped(clean, 0.3, 6)
    assert data(POOL, TOO_LONG) == data(POOL, "30% flipped")


def test_the_better_answer_is_the_longer_one():
    for record in data(POOL, LONGER):
        assert len(record["chosen"].split()) >= len(record["rejected"].split()) + 3


@pytest.mark.parametrize("condition", GOOD_SHARE)
def test_single_answers_cannot_be_paired_and_stand_in_the_ratio_that_was_asked_for(condition):
    questions = {q.text: q for q in QUESTIONS}
    pool = Pool([Pair(q, demonstrate(q), "No.") for q in country_questions(SEEN, (0, 1))], HELD, 3)
    records = data(pool, condition)
    questions = {q.text: q for q in country_questions(SEEN, (0, 1))}
    assert len({record["prompt"] for record in records}) == len(records) == 2 * family.PAIRS
    assert sum(record["label"] for record in records) == round(2 * family.PAIRS * GOOD_SHARE[condition])
    for record in records:
        good = score(questions[record["prompt"]], record["completion"]).total >= family.GOOD
        assert record["label"] is good


@pytest.mark.parametrize("condition", GOOD_SHARE)
def test_both_kinds_of_thumbs_weigh_the_same(condition):
    method, *rest = settings_for("KTO", condition)
    share = GOOD_SHARE[condition]
    assert method.desirable_weight * share == pytest.approx(method.undesirable_weight * (1 - share))
    assert min(method.desirable_weight, method.undesirable_weight) == 1
    assert rest == [SETTINGS["KTO"][1], EPOCHS]
    assert settings_for("KTO", "clean") == (*SETTINGS["KTO"], EPOCHS)


def test_what_there_is_not():
    with pytest.raises(ValueError, match="no condition 'dirty'; choose from clean, 10% flipped"):
        data(POOL, "dirty")
    few = Pool(PAIRS[:9], HELD, 3)
    with pytest.raises(ValueError, match=r"There are 9 pairs for 'clean', and 160 are needed: draw more drafts"):
        data(few, "clean")
    with pytest.raises(ValueError, match=r"answers are too few: draw more drafts"):
        data(few, "singles")


@pytest.mark.parametrize("seed", range(6))
def test_swapped_pairs_come_anywhere_in_the_order_of_training(seed):
    """Swapping once drew from the stream that shuffles: for seed 0 all swapped pairs came in the last batches."""
    records = [{"prompt": str(i), "chosen": "a", "rejected": "b"} for i in range(family.PAIRS)]
    noisy = flipped(records, 0.4, seed)
    (*batches,) = chain.from_iterable(_plan(family.PAIRS, Recipe(1, 1e-4, family.BATCH, seed=seed)))
    swapped = [sum(noisy[i]["chosen"] == "b" for i in batch) for batch in batches]
    assert sum(swapped) == 64
    assert min(swapped) >= 1 and max(swapped) <= 12


# ---- a cell ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "name"),
    [("clean", "DPO"), ("clean", "KTO"), ("clean", BEFORE), (FROM_BASE, "ORPO"), (FROM_BASE, SFT), (LONGER, "SimPO")],
)
def test_a_cell_trains_a_fresh_policy_and_measures_it(tiny, condition, name):
    policy, run = run_cell(POOL, condition, name)
    assert (run.condition, run.seed, run.model, run.curves) == (f"{condition}: {name}", 3, policy.name, {})
    assert policy.name == ("base" if condition == FROM_BASE else "mixed")
    assert list(run.measured) == ["true score", "words", "stopped", "in order"]
    assert all(0 <= run.measured[share] <= 1 for share in ("true score", "stopped", "in order"))
    start = family.load(policy.name).model.state_dict()
    moved = any(not weight.equal(start[key]) for key, weight in policy.model.state_dict().items())
    assert moved == (name != BEFORE)


def test_a_long_run_is_measured_on_the_way(tiny, monkeypatch):
    monkeypatch.setattr(
        family, "measure", lambda policy, pool: {"weight": float(policy.model.lm_head.weight.detach().sum())}
    )
    policy, run = run_cell(POOL, TOO_LONG, "IPO")
    assert len(set(run.curves["weight"])) == len(FOLLOWED)
    assert run.curves["weight"][-1] == run.measured["weight"] == float(policy.model.lm_head.weight.detach().sum())


def test_the_order_of_held_out_pairs_is_that_of_the_mean_log_probabilities(tiny):
    policy = family.load("mixed")
    numbers = measure(policy, POOL, HELD_OUT[:2])
    swapped = Pool(PAIRS, flipped(HELD, 1.0), 3)
    assert measure(policy, swapped, HELD_OUT[:2])["in order"] == pytest.approx(1 - numbers["in order"])


# ---- what is stored ----------------------------------------------------------------------------------------


def test_the_settings_are_those_that_the_search_found():
    tries = stored("search")
    about = {run.condition: run.about for run in tries}
    scores = {condition: over_seeds(tries, condition, "true score") for condition in about}
    assert {len(found) for found in scores.values()} == {len(SEARCH_SEEDS)}
    for name, (method, rate) in SETTINGS.items():
        best = about[max((one for one in about if about[one]["method"] == name), key=lambda one: mean(scores[one]))]
        assert (best["settings"], best["rate"]) == (repr(method), rate)


def test_what_the_lesson_says_of_the_stored_runs():
    at_end = {name: average(RUNS, "40% flipped", name) for name in SETTINGS}
    assert min(at_end["DPO"], at_end["KTO"]) > max(at_end["ORPO"], at_end["SimPO"])
    assert at_end["IPO"] < at_end["DPO"] + 0.03
    assert all(average(RUNS, "clean", name) > average(RUNS, "clean", BEFORE) + 0.1 for name in SETTINGS)
    assert (
        average(RUNS, FROM_BASE, "DPO") + 0.3 < average(RUNS, FROM_BASE, "ORPO") < average(RUNS, FROM_BASE, SFT) + 0.1
    )
    words = {name: average(RUNS, LONGER, name, "words") for name in SETTINGS}
    assert min(words, key=words.get) == "IPO"
    assert words["SimPO"] > 1.5 * average(RUNS, "clean", BEFORE, "words")


def test_every_method_of_the_package_is_in_the_harness():
    assert {type(method).__name__ for method, _ in SETTINGS.values()} == set(SETTINGS)
    assert isinstance(SETTINGS["KTO"][0], KTO)
    assert all(hasattr(preference, f"{name.lower()}_loss") for name in SETTINGS)
