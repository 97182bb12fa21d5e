import ast
import json
import re
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
import pytest
import torch

from course import SEED
from course.claims import KINDS, ClaimFailed, claim
from tools import notebooks
from tools.notebook_form import code_cells

SAID = "After SFT the model answers the question once, and then stops."


def test_each_claim_is_made_in_one_place_by_one_sentence() -> None:
    made: dict[str, tuple[str, str]] = {}
    for path in notebooks.find([]):
        for cell in code_cells(notebooks.read(path)):
            for call in ast.walk(ast.parse(cell.source.replace("%pip", "pass  #"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "claim":
                    id, statement = (ast.literal_eval(argument) for argument in call.args[:2])
                    free = sorted(set(ascii_uppercase) - {other[0] for other in made})
                    where, _ = made.get(id, ("", ""))
                    assert not where, f"{path.stem}: {where} claims {id} already; letters left are {' '.join(free)}"
                    assert re.fullmatch(r"[A-Z]\d+", id), f"{path.stem}: a claim's id is a letter and a number: {id}"
                    assert re.fullmatch(r"[^.]+\.", statement), f"{path.stem}: {id} is not one sentence"
                    made[id] = path.stem, statement
    assert len(made) == len({statement for _, statement in made.values()}) >= 69


def test_a_claim_that_holds_prints_statement_and_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert claim("S10", SAID, True, {"ChatML": 0.98765, "Llama-2": 3, "seeds": [0.5, 1.0]}) is None
    printed = capsys.readouterr()
    assert printed.out.startswith("Claim S10 holds (toy only)\n")
    assert " ".join(printed.out.split()).count(SAID) == 1
    assert "ChatML   0.9877\n  Llama-2  3\n  seeds    0.5, 1\n" in printed.out
    assert printed.err == ""


def test_a_false_claim_fails_the_cell_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClaimFailed) as failed:
        claim("S1", SAID, False, {"stopped": 0.25})
    assert isinstance(failed.value, AssertionError)
    for part in ("S1", "FAILED", SAID, "stopped  0.25"):
        assert part in str(failed.value)
    assert str(failed.value) in capsys.readouterr().out


@pytest.mark.parametrize("held", [True, False])
def test_what_was_not_reproduced_is_said_and_never_raises(held: bool, capsys: pytest.CaptureFixture[str]) -> None:
    claim("S7", SAID, held, "LoRA reached 0.7 and full fine-tuning 0.9.", reproduced=False)
    printed = capsys.readouterr().out
    assert "was not reproduced" in printed
    assert "LoRA reached 0.7" in printed
    assert ("held in this run" in printed) == held


def test_a_claim_says_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        claim("S8", SAID, True, {"gap": 1}, kind=kind)
        assert capsys.readouterr().out.startswith(f"Claim S8 holds ({kind})\n")
    with pytest.raises(ValueError, match="claim S8: there is no kind 'both'; choose from exact, seen on both"):
        claim("S8", SAID, True, {"gap": 1}, kind="both")


@pytest.mark.parametrize("true", [np.bool_(True), torch.tensor(True), torch.ones(3).gt(0).all()])
def test_library_truth_values_count_as_conditions(true: Any) -> None:
    claim("S8", SAID, true, "exact")
    with pytest.raises(ClaimFailed):
        claim("S8", SAID, ~true, "exact")


@pytest.mark.parametrize("wrong", [1, 0.5, {"a": 1}, "yes", None, np.array([True]), torch.tensor(0.3)])
def test_what_only_counts_as_true_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"S8.*true or false"):
        claim("S8", SAID, wrong, "exact")


def test_missing_statements_and_missing_evidence_are_errors() -> None:
    for wrong in (True, "", "no sentence"):
        with pytest.raises(TypeError, match="claim S1: the second argument is what is claimed, in a sentence, but"):
            claim("S1", wrong, True, "x")
    for nothing in ("", "  ", {}):
        with pytest.raises(ValueError, match="without evidence"):
            claim("S1", SAID, True, nothing)


def test_each_call_appends_a_line_of_valid_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "claims.jsonl"
    monkeypatch.setenv("COURSE_CLAIMS_LOG", str(log))
    monkeypatch.setenv("COURSE_NOTEBOOK", "03_sft")
    claim("S1", SAID, torch.tensor(True), {"loss": torch.tensor(0.5), "runs": np.array([1, 2]), "bad": float("nan")})
    claim("S2", SAID, False, "words", reproduced=False)
    with pytest.raises(ClaimFailed):
        claim("S3", SAID, False, {"gap": -np.inf})
    monkeypatch.delenv("COURSE_NOTEBOOK")
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/someone/notebooks/02_chat_data.ipynb")
    claim("S4", SAID, True, {"share": np.float32(0.25)})

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    first, *others = (json.loads(line, parse_constant=no_constant) for line in log.read_text("utf-8").splitlines())
    assert first == {
        "claim": "S1",
        "notebook": "03_sft",
        "seed": SEED,
        "held": True,
        "kind": "toy only",
        "reproduced": True,
        "evidence": {"loss": 0.5, "runs": [1, 2], "bad": "nan"},
    }
    assert [(o["claim"], o["notebook"], o["held"], o["reproduced"]) for o in others] == [
        ("S2", "03_sft", False, False),
        ("S3", "03_sft", False, True),
        ("S4", "02_chat_data", True, True),
    ]
    assert [o["evidence"] for o in others] == ["words", {"gap": "-inf"}, {"share": 0.25}]


def test_without_a_log_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_CLAIMS_LOG", raising=False)
    monkeypatch.chdir(tmp_path)
    claim("S1", SAID, True, "x")
    assert list(tmp_path.iterdir()) == []
