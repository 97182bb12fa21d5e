"""Every experiment on a real model, run on a tiny one: what it measures, and that it keeps the store's form."""

import json
import math
from pathlib import Path

import pytest

from course.capacity import Plan
from course.experiments.real import EXPERIMENTS, dpo, judge, ppo, rewards, sft, start
from course.experiments.real.start import adapted, real_model, to_learn, to_test
from course.experiments.real.verdicts import ASKED
from course.experiments.store import Run, _record
from course.models import LM, save
from course.world import SEEN, UNSEEN
from tests.tiny import build_model, build_tokenizer
from tools.experiments import make

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


TIGHT = [
    ("real_styles", "plain"),
    ("real_reward", "a taste for length"),
    ("real_dpo", "concise"),
    ("real_family", "clean: KTO"),
    ("real_ppo", "exact, beta 0.02"),
]


@pytest.mark.parametrize(("name", "condition"), TIGHT)
def test_without_memory_to_spare_adapters_learn_from_one_example_at_once(
    tiny: str, monkeypatch: pytest.MonkeyPatch, name: str, condition: str, capsys
) -> None:
    monkeypatch.setattr(start, "free_memory", lambda device: 0)
    run = next(one for one in EXPERIMENTS if one.name == name).run(condition, 0)
    assert run.measured and all(math.isfinite(value) for value in run.measured.values())
    assert run.about.get("trained") == ("adapters and head" if name == "real_reward" else None)


def test_a_run_of_all_weights_without_room_for_them_says_so(
    tiny: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.setattr(start, "free_memory", lambda device: 0)
    lora = next(one for one in EXPERIMENTS if one.name == "real_lora")
    with pytest.raises(start.TooLarge, match=r"too large for all of its weights .* take a larger GPU"):
        lora.run("full, 1e-5", 0)
    make(lora, [0], ["full, 1e-5"], folder=tmp_path)
    assert "real_lora, seed 0, full, 1e-5: left out" in capsys.readouterr().out


def test_with_memory_to_spare_the_wanted_batch_is_read_at_once(tiny: str) -> None:
    assert start.planned(60, 8) == Plan(8, 1, True)
    assert start.planned(60, 8, rows=2, copies=1, all_weights=True) == Plan(8, 1, False)
    assert ppo.settings_for(real_model(), to_learn(4, 0)) == ppo.SETTINGS


def test_what_is_read_is_measured_in_tokens(tiny: str) -> None:
    records = [{"prompt": "Hi", "chosen": "a", "rejected": "a b c d"}, {"prompt": "Hi", "chosen": "a", "rejected": "b"}]
    rows = [real_model().encode(as_conversation(records[0], side)).input_ids for side in ("chosen", "rejected")]
    assert start.longest_answer(records) == max(map(len, rows)) - 1, "but for the line break after the turn"
    assert start.longest_example([{"input_ids": [1, 2], "labels": [1, 2]}, {"input_ids": [1], "labels": [1]}]) == 2


def as_conversation(record: dict, side: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": record["prompt"]}, {"role": "assistant", "content": record[side]}]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The capital city of Italy is Rome.", True),
        ("rome", True),
        ("It is Paris, or maybe Rome, the eternal city.", True),
        ("Romeo lived there.", False),
        ("", False),
    ],
)
def test_a_right_answer_names_the_value_as_a_word(text: str, right: bool) -> None:
    question = next(q for q in start._asked(["Italy"], "held-out") if q.relation == "capital")
    assert start.names_it(question, text) is right
    assert start.right_reward([question], [text]).tolist() == [float(right)]


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
    own = {p.data_ptr() for p in lm.model.parameters() if not p.requires_grad}
    assert own == {p.data_ptr() for p in real_model().model.parameters()}, "the model is held once"
    assert start.some(grades[0], 2) == [
        [q.text, text] for q, text in zip(to_test(4, 0)[:2], grades[0].texts(), strict=False)
    ]
