"""The check of a machine with every stage, on the CPU with a tiny model."""

import re
import sys
from pathlib import Path

import pytest

from course.experiments.real import ppo, start
from course.models import LM, save
from tests.tiny import build_model, build_tokenizer
from tools import gpu_check
from tools.gpu_check import STAGES, Done, Stage, multiplied


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokenizer = build_tokenizer()
    save(LM("tiny", build_model(tokenizer), tokenizer), tmp_path / "tiny")
    monkeypatch.setenv("COURSE_MODEL", str(tmp_path / "tiny"))
    monkeypatch.setattr(sys, "argv", ["gpu_check"])
    monkeypatch.setattr(gpu_check, "best_matrix_product", lambda device, dtype: 1e12)
    monkeypatch.setattr(gpu_check, "tidy", lambda: None)  # nothing here is large
    for name, value in {"BATCH": 4, "LARGEST": 4, "MOST": 4}.items():
        monkeypatch.setattr(gpu_check, name, value)
    monkeypatch.setattr(ppo, "SETTINGS", ppo.replace(ppo.SETTINGS, max_new_tokens=4))
    start._load.cache_clear()
    yield
    start._load.cache_clear()


def rows(printed: str) -> dict[str, list[str]]:
    """The cells of each stage."""
    found = {}
    for stage in STAGES:
        [line] = [line for line in printed.splitlines() if line.startswith(f"{stage.name:<18}")]
        found[stage.name] = line[18:].split()
    return found


def test_every_stage_has_a_row_of_numbers_and_ppo_no_counterpart(
    tiny: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    printed = capsys.readouterr().out
    assert not ended.value.code, printed
    assert "45,728 weights, on cpu with" in printed and "computing in float32" in printed
    assert re.search(r"^ +seconds +tokens/s +TRL tokens/s +peak GB +share of peak$", printed, re.M)
    for name, cells in rows(printed).items():
        assert len(cells) == (4 if name.startswith("PPO") else 5), cells
        assert all(float(cell.replace(",", "").removesuffix("%")) >= 0 for cell in cells), cells


def test_a_stage_that_fails_says_why_and_the_others_go_on(
    tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(count: int) -> Done:
        raise RuntimeError("out of memory\nand much more")

    def fine(count: int) -> Done:
        return Done(100 * count, 1e12, 0.5)

    def theirs(count: int, done: Done) -> float:
        raise ImportError("no TRL")

    def stops(count: int) -> Done:
        raise KeyboardInterrupt

    stages = [Stage("bad", fails), Stage("good", fine), Stage("alone", fine, theirs), Stage("stopped", stops)]
    monkeypatch.setattr(gpu_check, "STAGES", [*stages, Stage("never", fine)])
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    assert ended.value.code
    lines = capsys.readouterr().out.splitlines()
    said = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[-5:]}
    assert said["bad"] == "RuntimeError: out of memory"
    assert re.fullmatch(r"0\.5 800 [\d.]+ 200%", said["good"])
    assert re.fullmatch(r"0\.5 800 [\d.]+ 200% TRL: no TRL", said["alone"])
    assert lines[-1] == "Interrupted.", "the table so far comes before it"


def test_only_linear_layers_multiply() -> None:
    model = build_model(build_tokenizer())
    assert multiplied(model) == sum(
        p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name
    )
