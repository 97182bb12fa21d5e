"""Asked for help, every tool prints it and does nothing."""

import importlib
import sys

import pytest

from tests.conftest import ROOT

RUNNABLE = [path.stem for path in sorted((ROOT / "tools").glob("*.py")) if "__main__" in path.read_text("utf-8")]


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize(("asked", "status"), [("--help", 0), ("--no-such-option", 2)])
def test_a_tool_that_is_asked_for_help_or_for_what_it_does_not_know_runs_nothing(
    name: str, asked: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = importlib.import_module(f"tools.{name}")
    monkeypatch.setattr(sys, "argv", [f"tools/{name}.py", asked])
    with pytest.raises(SystemExit) as stopped:
        tool.main()
    assert stopped.value.code == status
    said = capsys.readouterr()
    assert (said.out if status == 0 else said.err).startswith(f"usage: {name}.py")
    assert status or len(said.out.splitlines()) > 3
