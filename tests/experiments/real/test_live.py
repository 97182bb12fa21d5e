"""The live cell: off until asked, then beside what is stored."""

import pytest

from course.experiments.real import live
from course.experiments.real.start import SMOLLM2
from course.experiments.store import Experiment, Run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """A store with three runs, and an experiment that notes how it is asked."""
    calls: list[tuple[str, int]] = []

    def run(condition: str, seed: int) -> Run:
        calls.append((condition, seed))
        return Run("real_tried", condition, seed, "here", {"right": 0.5})

    rest = {"about": {"seconds": 90.0, "MB": 1500}}
    kept = [Run("real_tried", "plain", seed, SMOLLM2, {"right": 0.4 + seed / 10}, **rest) for seed in range(3)]
    other = Run("real_tried", "plain", 0, "another", {"right": 0.9}, about={"seconds": 9000, "MB": 1})
    monkeypatch.setattr(live, "stored", lambda name: [*kept, other])
    monkeypatch.setattr(live, "EXPERIMENTS", [Experiment("real_tried", ("plain",), run)])
    monkeypatch.setattr(live, "is_kept", lambda name: False)
    monkeypatch.setattr(live, "unfinished", {})
    monkeypatch.setenv("COURSE_MODEL", "")
    return calls


def test_without_a_model_it_says_what_it_would_take(asked, capsys: pytest.CaptureFixture[str]) -> None:
    live.run_live("real_tried", "plain")
    said = capsys.readouterr().out
    assert asked == [] and "about 1.5 minutes on two cores and 1.5 GB of memory, and 93 MB are fetched once" in said
    assert "model='smollm2'" in said


@pytest.mark.parametrize("by_variable", [False, True])
def test_with_a_model_it_runs_and_stands_beside_the_stored(asked, by_variable, capsys, monkeypatch) -> None:
    if by_variable:
        monkeypatch.setenv("COURSE_MODEL", SMOLLM2)
    live.run_live("real_tried", "plain", **({} if by_variable else {"model": SMOLLM2}))
    said = capsys.readouterr().out
    assert asked == [("plain", 0)] and "plain: here here" in said and "mean of 3 stored" in said


def test_a_stopped_run_is_not_compared(asked, capsys, monkeypatch) -> None:
    monkeypatch.setattr(live, "unfinished", {"SFT": "stopped"})
    live.run_live("real_tried", "plain", model=SMOLLM2)
    assert "nothing to compare yet" in capsys.readouterr().out


def test_what_is_not_stored_is_refused_by_name(asked) -> None:
    with pytest.raises(ValueError, match="No run with 'fancy' is stored"):
        live.run_live("real_tried", "fancy")
