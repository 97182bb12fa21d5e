"""The examples in docstrings give what they show."""

import doctest
import importlib

import pytest

from tests.conftest import ROOT

WITH_EXAMPLES = [path for path in sorted((ROOT / "course").rglob("*.py")) if ">>> " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_give_what_they_show(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    done = doctest.testmod(module)
    assert done.attempted and not done.failed
