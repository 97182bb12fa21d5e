"""What the runs on a real model say of the claims: on stand-ins with any numbers, and on those that are stored."""

import ast
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.claims import KINDS
from course.experiments import store
from course.experiments.real import EXPERIMENTS, verdicts
from course.experiments.real.start import SMOLLM2
from course.experiments.real.verdicts import ASKED, apart, held, kind, number, toy_beside_real
from course.experiments.store import Run
from tools import notebooks
from tools.notebook_form import code_cells

CONDITIONS = {one.name: one.conditions for one in EXPERIMENTS}


class Anything(dict):
    """Numbers of any name, all alike."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def __missing__(self, name):
        return self.value


def stand_in(experiment: str, seed: int, value: float) -> list[Run]:
    curves = Anything([value] * 4)
    return [Run(experiment, one, seed, SMOLLM2, Anything(value), curves) for one in CONDITIONS[experiment]]


@pytest.fixture
def fake(monkeypatch):
    def put(value: float, seeds=(0, 1)):
        def stored(name):
            if name == "toy":
                return [Run("toy", id, seed, "nb", Anything(0.5) | {}) for id in ASKED for seed in (0, 1, 2)]
            return [run for seed in seeds for run in stand_in(name, seed, value)]

        monkeypatch.setattr(verdicts, "stored", stored)
        monkeypatch.setattr(verdicts, "is_stored", lambda name: True)

    return put


@pytest.mark.parametrize("id", ASKED)
def test_no_claim_holds_where_nothing_differs_from_anything(id: str, fake) -> None:
    fake(0.5)
    assert held(id) == [id == "V3"] * 2, "V3 says that two methods come out alike"
    assert kind(id) == ("seen on both" if id == "V3" else "other on the real model")


@given(st.sampled_from(sorted(ASKED)), st.floats(-1, 1))
def test_each_row_is_found_among_what_its_experiment_runs(id: str, value: float) -> None:
    runs = {run.condition: run for run in stand_in(ASKED[id].experiment, 0, value)}
    assert all(row.real(runs) in (value, 0) for row in ASKED[id].rows)


def test_differences_are_taken_within_a_seed() -> None:
    runs = {name: Run("e", name, 0, SMOLLM2, {"right": right}) for name, right in (("a", 0.75), ("b", 0.5))}
    assert apart(number("a", "right"), number("b", "right"))(runs) == 0.25


def test_a_template_counts_as_wrong_by_what_is_lost_on_every_seed(monkeypatch) -> None:
    def of(seed: int, right: float, model: str = SMOLLM2) -> list[Run]:
        other = {"right": right, "stopped": 1.0}
        own = Run("real_templates", "its own", seed, model, {"right": 0.9, "stopped": 1.0})
        return [own, replace(own, condition="Llama-2 style", measured=other)]

    runs = [*of(0, 0.1), *of(1, 0.6), *of(0, 0.9, "another model")]
    monkeypatch.setattr(verdicts, "stored", lambda name: runs)
    assert held("S10") == [True, True] and kind("S10") == "seen on both"
    runs += of(2, 0.75)
    assert held("S10") == [True, True, False] and kind("S10") == "other on the real model"


def test_a_claim_that_is_not_asked_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"Claim S8 is not asked of a real model. These are: S10, S14"):
        kind("S8")


def claims_in_notebooks() -> dict[str, str]:
    kinds = {}
    for path in notebooks.find([]):
        for cell in code_cells(notebooks.read(path)):
            for call in ast.walk(ast.parse(cell.source.replace("%pip", "pass  #"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "claim":
                    given = {keyword.arg: keyword.value for keyword in call.keywords}
                    said = ast.literal_eval(given["kind"]) if "kind" in given else "toy only"
                    kinds[ast.literal_eval(call.args[0])] = said
    return kinds


def test_the_lessons_say_of_each_claim_what_the_stored_runs_say() -> None:
    said = claims_in_notebooks()
    assert set(ASKED) <= set(said) and set(said.values()) <= set(KINDS)
    for id in ASKED:
        assert said[id] == kind(id), f"claim {id} is {kind(id)!r} by its stored runs"
    asked_elsewhere = {id for id, kind in said.items() if kind not in ("exact", "toy only")} - set(ASKED)
    assert not asked_elsewhere, "no stored run says that these were asked of a real model"


def test_a_claim_whose_runs_are_still_to_be_made_rests_on_the_toy(monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "is_stored", lambda name: False)
    assert {kind(id) for id in ASKED} == {"toy only"}


def test_the_toy_and_the_real_model_stand_side_by_side() -> None:
    for id in (id for id, asked in ASKED.items() if store.is_stored(asked.experiment)):
        rows = toy_beside_real(id)
        assert [row["measured"] for row in rows] == [row.label for row in ASKED[id].rows]
        assert rows[0]["claim"] == id and rows[0]["held, real"] == f"{sum(held(id))} of {len(held(id))}"
        assert all(row["real model"] for row in rows)


def test_what_is_kept_of_the_toy_is_what_the_lessons_print() -> None:
    printed = {path.stem: path.read_text("utf-8") for path in notebooks.find([])}
    for run in store.stored("toy"):
        for name in run.measured:
            assert name == "held" or name.partition("[")[0] in printed[run.model], f"{run.condition}: {name}"
