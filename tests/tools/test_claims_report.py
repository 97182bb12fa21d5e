"""The claims report counts what held, keeps finished runs, and shows what broke."""

import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat import v4, write

from course.experiments import store
from tools import claims_report as report
from tools import notebooks
from tools.claims_report import Run


def record(claim: str = "S1", held: bool = True, reproduced: bool = True, **evidence: Any) -> dict[str, Any]:
    return {"claim": claim, "held": held, "kind": "toy only", "reproduced": reproduced, "evidence": evidence}


def test_a_row_counts_seeds_and_gives_mean_and_spread() -> None:
    runs = [Run("03_sft", seed, [record(gap=gap, n=90)], []) for seed, gap in enumerate([0.1, 0.2, 0.6])]
    assert report.rows(runs) == [("S1", "03_sft", "3 / 3", "gap 0.3 (0.1 to 0.6), n 90", "toy only", "yes")]


def test_a_failed_claim_and_one_that_was_not_reached_show_in_the_count() -> None:
    runs = [
        Run("03_sft", 0, [record(gap=0.1)], []),
        Run("03_sft", 1, [record(gap=0.1, held=False)], []),
        Run("03_sft", 2, [], ["cell 9: ValueError: bad"]),
    ]
    assert report.rows(runs)[0][2] == "1 / 2, not reached on 1"
    assert "03_sft, seed 2: cell 9: ValueError: bad" in report.render(runs, [0, 1, 2])


def test_what_is_shown_beside_a_real_model_is_stored_by_claim_and_seed(tmp_path: Path) -> None:
    evidence = {"mean distance": 0.98765432, "pairs": [1, 2], "worst": "Lima"}
    runs = [
        Run("07_reward_model", seed, [record("R3", held=not seed, **evidence), record("R1", a=1)], [])
        for seed in (1, 0)
    ]
    report.store_toy(runs, tmp_path)
    kept = store.stored("toy", tmp_path)
    assert [(one.condition, one.seed, one.model) for one in kept] == [
        ("R3", seed, "07_reward_model") for seed in (0, 1)
    ]
    assert [one.measured for one in kept] == [{"mean distance": 0.9877, "held": held} for held in (1, 0)]


def test_the_same_claim_twice_in_a_notebook_has_two_rows() -> None:
    runs = [Run("03_sft", 0, [record(a=1), record(a=2), record("S2", a=3)], [])]
    assert [row[0] for row in report.rows(runs)] == ["S1", "S1 (2)", "S2"]


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ([{"stops": True}, {"stops": False}], "stops True | False"),
        ([{"losses": [1.0, 2.0]}, {"losses": [3.0, 2.0]}], "losses[0] 2 (1 to 3), losses[1] 2"),
        ([{"answer": "Lima"}, {"answer": "Lima"}], "answer Lima"),
        (["it rose", "it rose"], "it rose"),
        (["it rose", "it fell"], "it rose; it fell"),
    ],
)
def test_evidence_of_each_kind_is_put_into_words(evidence: list[Any], said: str) -> None:
    assert report.effect(evidence) == said


def test_only_a_claim_that_is_said_to_hold_can_fail_the_report() -> None:
    assert report.all_well([Run("n", 0, [record(held=False, reproduced=False)], [])])
    assert not report.all_well([Run("n", 0, [record(held=False)], [])])
    assert not report.all_well([Run("n", 0, [record()], ["cell 2: KeyError: 'x'"])])


def test_the_table_is_markdown_with_even_columns() -> None:
    text = report.render([Run("n", 0, [record(word="a|b\nc")], [])], [0])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert "a\\|b c" in lines[2]


LESSON = """
from course import SEED
from course.claims import claim

claim("S1", "It holds on seed 0.", SEED < 1, {"seed": SEED})
"""


def test_a_run_records_claims_goes_on_after_a_failure_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "KEPT", tmp_path / "kept")
    path = tmp_path / "05_lesson.ipynb"
    cells = [
        v4.new_code_cell(LESSON),
        v4.new_code_cell("1 / 0"),
        v4.new_code_cell('claim("S1", "It is said.", True, "said")'),
    ]
    write(v4.new_notebook(cells=cells), path)

    first = report.run(path, seed=1)
    assert [(one["held"], one["evidence"]) for one in first.claims] == [(False, {"seed": 1}), (True, "said")]
    assert first.errors == ["cell 2: ZeroDivisionError: division by zero"]

    monkeypatch.setattr(notebooks, "execute", lambda *_, **__: pytest.fail("it ran again"))
    assert report.run(path, seed=1) == first
    assert "kept" in capsys.readouterr().out


def test_a_cell_without_end_and_a_kernel_that_dies_are_reported_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(notebooks, "CELL_SECONDS", 5)
    path = tmp_path / "05_lesson.ipynb"
    for source, said in {"while True: pass": "timed out", "import os; os._exit(1)": "kernel died"}.items():
        write(v4.new_notebook(cells=[v4.new_code_cell(LESSON), v4.new_code_cell(source)]), path)
        found = report.run(path, seed=0)
        assert [one["held"] for one in found.claims] == [True]
        assert len(found.errors) == 1 and said in found.errors[0] and "\n" not in found.errors[0]
    assert not (tmp_path / "kept").exists()


def test_a_name_that_fits_no_notebook_is_said_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["claims_report", "--only", "77"])
    with pytest.raises(SystemExit):
        report.main()
    assert "begins with '77'" in capsys.readouterr().err


def test_a_kept_run_is_stale_once_the_notebook_changes(tmp_path: Path) -> None:
    path = tmp_path / "05_lesson.ipynb"
    write(v4.new_notebook(cells=[v4.new_code_cell("1")]), path)
    before = report.fingerprint(path)
    write(v4.new_notebook(cells=[v4.new_code_cell("1"), v4.new_markdown_cell("Words.")]), path)
    assert report.fingerprint(path) == before
    write(v4.new_notebook(cells=[v4.new_code_cell("2")]), path)
    assert report.fingerprint(path) != before
