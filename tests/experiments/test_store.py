"""The store of runs, the tool that fills it, and that every experiment is stored in full."""

import math
import random
import threading

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from course.experiments import store
from course.experiments.store import (
    Experiment,
    Run,
    beside,
    mean_curve,
    of_condition,
    over_seeds,
    spread,
    stored,
    write,
)
from tools.experiments import known, make

EXPERIMENTS = known()
CONDITIONS = ("plain", "length: clipping", "other")


def made(condition: str = "plain", seed: int = 0, score: float = 0.5, **rest) -> Run:
    return Run("tried", condition, seed, rest.pop("model", "mixed"), {"score": score}, **rest)


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory, monkeypatch):
    locks = tmp_path_factory.mktemp("locks")
    monkeypatch.setattr(store, "lock_file", lambda name: locks / f"{name.replace(' ', '-').replace(':', '-')}.lock")


def test_the_spread_is_the_mean_and_the_range():
    assert spread([0.25, 1.0, 0.25]) == "0.50 (0.25 to 1.00)"
    assert spread([0.501, 0.499]) == "0.50", "as many digits as are shown decide what is alike"
    assert spread([7.0, 8.0], digits=0) in ("8 (7 to 8)", "7 (7 to 8)")


# ---- reading and writing -----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(CONDITIONS), st.integers(0, 3), st.floats(-1e3, 1e3)), min_size=1, max_size=9)
)
def test_what_was_written_last_is_read_in_the_order_of_seeds_and_conditions(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("results")
    for condition, seed, score in entries:
        write(made(condition, seed, score, curves={"loss": [score, 2 * score]}), CONDITIONS, folder)
    last = {(seed, CONDITIONS.index(condition)): score for condition, seed, score in entries}
    held = stored("tried", folder)
    assert [(run.seed, CONDITIONS.index(run.condition)) for run in held] == sorted(last)
    for run in held:
        score = last[run.seed, CONDITIONS.index(run.condition)]
        assert run.measured["score"] == pytest.approx(score, abs=1e-4)
        assert run.curves["loss"] == pytest.approx([score, 2 * score], abs=1e-4)


def test_models_stand_beside_each_other(tmp_path):
    about = {"versions": {"torch": "2.11"}, "seconds": 12.5, "first": [["Who?", "Ü"]]}
    write(made(), CONDITIONS, tmp_path)
    write(made(model="smollm2", about=about), CONDITIONS, tmp_path)
    assert [(run.model, run.about) for run in stored("tried", tmp_path)] == [("mixed", {}), ("smollm2", about)]


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    writers = [
        threading.Thread(target=write, args=(made(condition, seed), CONDITIONS, tmp_path))
        for condition in CONDITIONS
        for seed in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(stored("tried", tmp_path)) == len(writers)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write(made(), CONDITIONS, tmp_path)
    monkeypatch.setattr(store.Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write(made("other"), CONDITIONS, tmp_path)
    assert [run.condition for run in stored("tried", tmp_path)] == ["plain"]


def test_what_is_not_there_is_named_with_what_is(tmp_path):
    write(made(), CONDITIONS, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No run of 'cure' is stored .* there are: tried\. `python -m tools"):
        stored("cure", tmp_path)
    with pytest.raises(ValueError, match=r"No run with 'prayer' is stored\. There are: plain\."):
        over_seeds(stored("tried", tmp_path), "prayer", "score")


def test_numbers_are_in_the_order_of_the_seeds():
    runs = [made(seed=seed, score=seed / 2, curves={"loss": [seed, 1.0]}) for seed in (2, 0, 1)]
    runs.append(made("other", 0, 9.0))
    assert over_seeds(runs, "plain", "score") == [0.0, 0.5, 1.0]
    assert mean_curve(runs, "plain", "loss") == [1.0, 1.0]
    assert [run.seed for run in of_condition(runs, "plain")] == [0, 1, 2]


@pytest.mark.parametrize("count", [3, 5, 10])
def test_of_runs_that_differ_by_chance_alone_95_in_100_are_inside(count):
    rng, tries = random.Random(count), 5000
    inside = 0
    for _ in range(tries):
        numbers = [{"score": rng.gauss(0.7, 0.1)} for _ in range(count + 1)]
        inside += beside(numbers[0], numbers[1:])[0]["inside"]
    assert abs(inside / tries - 0.95) < 5 * (0.95 * 0.05 / tries) ** 0.5


def test_the_row_of_a_number_says_where_it_should_lie():
    found = [{"score": score, "words": 7.0} for score in (0.6, 0.7, 0.8)]
    [row] = beside({"score": 0.75}, found)
    reach = 4.30 * 0.1 * (4 / 3) ** 0.5
    assert row["mean of 3 stored"] == pytest.approx(0.7) and row["inside"]
    assert row["95 in 100 lie"] == f"{0.7 - reach:.2f} to {0.7 + reach:.2f}"
    assert not beside({"score": 0.7 + 1.01 * reach}, found)[0]["inside"]
    assert [row["measured"] for row in beside({"words": 7.0, "score": 0.7}, found)] == ["words", "score"]
    assert beside({"score": 0.7}, found[:1]) == [{"measured": "score", "yours": 0.7, "stored": 0.6}]


# ---- the tool ----------------------------------------------------------------------------------------------


@pytest.fixture
def tried():
    asked = []

    def run(condition: str, seed: int) -> Run:
        asked.append((condition, seed))
        return made(condition, seed, len(asked))

    return Experiment("tried", CONDITIONS, run, seeds=(0, 1)), asked


def test_what_is_stored_is_not_run_again(tried, tmp_path):
    experiment, asked = tried
    make(experiment, seeds=[1], conditions=["other"], folder=tmp_path)
    make(experiment, folder=tmp_path)
    assert sorted(asked) == sorted((condition, seed) for condition in CONDITIONS for seed in (0, 1))
    make(experiment, seeds=[0], again=True, folder=tmp_path)
    assert len(asked) == 9 and len(stored("tried", tmp_path)) == 6


def test_an_interrupted_experiment_goes_on_where_it_was(tried, tmp_path):
    experiment, asked = tried

    def stopped(condition: str, seed: int) -> Run:
        if seed == 1:
            raise KeyboardInterrupt
        return experiment.run(condition, seed)

    with pytest.raises(KeyboardInterrupt):
        make(Experiment("tried", CONDITIONS, stopped, seeds=(0, 1)), folder=tmp_path)
    assert len(stored("tried", tmp_path)) == 3
    make(experiment, folder=tmp_path)
    assert len(asked) == len(set(asked)) == 6


def test_a_run_that_another_program_is_at_is_left_to_it(tried, tmp_path, capsys):
    experiment, asked = tried
    with FileLock(store.lock_file("tried 0 plain")):
        make(experiment, seeds=[0], folder=tmp_path)
    assert ("plain", 0) not in asked and len(asked) == 2
    assert "tried, seed 0, plain: another program is at it" in capsys.readouterr().out


# ---- what is stored ----------------------------------------------------------------------------------------


TO_COME = {"real_dpo", "real_family", "real_ppo", "sizes"}
"""Experiments that are written and still to be run; `toy` is stored by the report of claims."""


def test_no_file_is_without_its_experiment():
    assert {path.stem for path in store.RESULTS.iterdir()} == set(EXPERIMENTS) - TO_COME | {"toy"}


@pytest.mark.parametrize("name", sorted(set(EXPERIMENTS) - TO_COME))
def test_an_experiment_is_stored_once_for_each_condition_and_seed(name):
    experiment, runs = EXPERIMENTS[name], stored(name)
    planned = [(seed, condition) for seed in experiment.seeds for condition in experiment.conditions]
    for model in {run.model for run in runs} if name.startswith("real_") else [None]:  # each on the toy or a real model
        assert [(run.seed, run.condition) for run in runs if model in (None, run.model)] == planned
    names = {}
    for run in runs:
        numbers = [*run.measured.values(), *(value for curve in run.curves.values() for value in curve)]
        assert numbers and all(map(math.isfinite, numbers))
        assert names.setdefault(run.condition, (set(run.measured), set(run.curves))) == (
            set(run.measured),
            set(run.curves),
        )
