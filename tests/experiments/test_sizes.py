"""The toy in three sizes: built once by the shipped recipe, resumed when stopped, and of the size that it says."""

from pathlib import Path

import pytest
import torch

from course.experiments import sizes
from course.experiments.sizes import SIZES, base_of
from course.models import load, new_model
from course.stops import unfinished
from tools import build_checkpoints


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sizes, "FOLDER", tmp_path)
    monkeypatch.setattr(sizes, "DOCUMENTS", 60)
    return tmp_path


def test_a_size_is_built_once_and_kept(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = base_of("0.3M")
    assert not unfinished and not list(small.glob("*.state"))
    weight = lm.model.get_input_embeddings().weight
    assert torch.equal(weight[lm.tokenizer.eos_token_id], weight[lm.tokenizer.bos_token_id])
    monkeypatch.setattr(sizes, "fit", None)  # would fail if it were called again
    again = base_of("0.3M")
    assert all(torch.equal(a, b) for a, b in zip(lm.model.parameters(), again.model.parameters(), strict=True))


def test_a_stop_keeps_what_was_learnt_and_builds_nothing_yet(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "fit", lambda *_, **__: unfinished.update(a="stopped"))
    try:
        with pytest.raises(KeyboardInterrupt):
            base_of("0.3M")
    finally:
        unfinished.clear()
    assert not (small / "base-0.3M").exists()


def test_the_sizes_are_about_what_their_names_say_and_the_middle_one_is_shipped() -> None:
    for name, width in SIZES.items():
        weights = new_model(load("base").tokenizer, hidden=width).parameters
        assert 0.75 < weights / (float(name.removesuffix("M")) * 1e6) < 1.25
    assert base_of("2M").parameters == load("base").parameters
    assert build_checkpoints.BASE is sizes.BASE
