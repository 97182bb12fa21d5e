"""Every experiment on a real model, run on a tiny one: what it measures, and that it keeps the store's form."""

import json
import math

import pytest

from course.experiments.real import EXPERIMENTS, dpo, judge, ppo, rewards, sft, start
from course.experiments.real.start import adapted, real_model, to_learn, to_test
from course.experiments.real.verdicts import ASKED
from course.experiments.store import Run, _record
from course.models import LM, save
from course.world import SEEN, UNSEEN
from tests.tiny import build_model, build_tokenizer

RUNS = [(experiment, condition) for experiment in EXPERIMENTS for condition in experiment.conditions]
MADE: dict[tuple[str, str], Run] = {}  # a run that one test has made serves the next
SMALL = {
    start: {"MOST": 12},
    sft: {"SHOWN": 8, "TESTED": 4, "FEW": 8, "PASSES": 2, "MOST": 12},
    rewards: {
        "ASKED": 6,
        "COMPARED": 8,
        "POOL": 4,
        "QUESTIONS": 2,
        "SIZES": (1, 2, 4),
        "MOST": 12,
        "SPARE": 4,
        "DRAFTED": 6,
    },
    ppo: {"ITERATIONS": 1, "TESTED": 4, "MOST": 12},
    dpo: {"PAIRS": 8, "HELD": 4, "APART": 0, "TESTED": 4, "ASKED": 8},
    judge: {"JUDGED": 4, "EDITED": 4},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model of random weights, as a folder."""
    tokenizer = build_tokenizer()
    path = tmp_path_factory.mktemp("models") / "tiny"
    save(LM("tiny", build_model(tokenizer), tokenizer), path)
    return str(path)


@pytest.fixture
def tiny(folder: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_MODEL", folder)
    for module, amounts in SMALL.items():
        for name, value in amounts.items():
            monkeypatch.setattr(module, name, value)
    caches = (start._load, dpo._pairs)
    for cached in caches:
        cached.cache_clear()
    yield folder
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize(("experiment", "condition"), RUNS, ids=lambda value: getattr(value, "name", value))
def test_a_run_measures_numbers_that_can_be_stored(tiny: str, experiment, condition: str, capsys) -> None:
    run = MADE[experiment.name, condition] = experiment.run(condition, 0)
    assert (run.experiment, run.condition, run.seed, run.model) == (experiment.name, condition, 0, tiny)
    assert run.measured and all(math.isfinite(value) for value in run.measured.values()), run.measured
    assert all(curve and all(map(math.isfinite, curve)) for curve in run.curves.values()), run.curves
    assert json.loads(json.dumps(_record(run))) == _record(run)


@pytest.mark.parametrize("id", ASKED)
def test_the_verdict_on_a_claim_reads_what_its_runs_measure(tiny: str, id: str, capsys) -> None:
    experiment = next(one for one in EXPERIMENTS if one.name == ASKED[id].experiment)
    wanted = experiment.conditions
    runs = {one: MADE.get((experiment.name, one)) or experiment.run(one, 0) for one in wanted}
    assert isinstance(ASKED[id].holds(runs), bool)
    assert all(math.isfinite(row.real(runs)) for row in ASKED[id].rows)


def test_what_is_learnt_and_what_is_tested_have_nothing_in_common() -> None:
    for seed in (0, 1):
        learnt, tested = to_learn(96, seed), to_test(48, seed)
        assert {q.subject for q in learnt} <= set(SEEN) and len(set(learnt)) == 96
        assert {q.subject for q in tested} <= set(UNSEEN) and len(set(tested)) == 48
    assert to_test(48, 0) != to_test(48, 1)


def test_an_adapted_model_begins_as_the_model_and_trains_its_adapters_only(tiny: str) -> None:
    lm = adapted(0)
    assert 0 < lm.trainable < lm.parameters / 2
    grades = [start.sampled(one, to_test(4, 0), 0) for one in (lm, real_model())]
    assert grades[0].texts() == grades[1].texts()
    assert start.some(grades[0], 2) == [
        [q.text, text] for q, text in zip(to_test(4, 0)[:2], grades[0].texts(), strict=False)
    ]
