"""Where every test and every notebook cell runs: quiet, seeded, away from your own progress, without a network.

Values that are already set win, so that `COURSE_SEED=7 make test` runs the notebooks on another seed.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_home = tempfile.TemporaryDirectory(prefix="course-tests-", ignore_cleanup_errors=True)
_asked = Path(_home.name) / "connections.txt"

os.environ["COURSE_HOME"] = _home.name
for name, value in {
    "COURSE_SEED": "0",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1" if "PYTEST_XDIST_WORKER" in os.environ else "2",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}.items():
    os.environ.setdefault(name, value)

# Run by IPython at the start of every kernel. A learner has not switched the hub off, so neither has a notebook here:
# what a cell, or a library behind it, would send anywhere is stopped and noted, and the cell fails.
_NO_NETWORK = f"""
import os, socket, traceback

os.environ.pop("HF_HUB_OFFLINE", None)


def refuse(host, *rest, **named):
    with open({str(_asked)!r}, "a") as file:
        file.write(f"{{host}}: {{' < '.join(frame.name for frame in reversed(traceback.extract_stack()[-12:-1]))}}\\n")
    raise OSError("this notebook runs without a network")


socket.getaddrinfo = refuse
del os, socket
"""
_startup = Path(_home.name) / "ipython" / "profile_default" / "startup"
_startup.mkdir(parents=True)
(_startup / "00_no_network.py").write_text(_NO_NETWORK, "utf-8")
os.environ["IPYTHONDIR"] = str(_startup.parent.parent)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail the cell in which a notebook looks for another machine."""
    yield
    if _asked.exists():
        asked = _asked.read_text("utf-8")
        _asked.unlink()
        pytest.fail(f"A notebook asked for a connection:\n{asked}", pytrace=False)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the temporary home once the last test is done."""
    _home.cleanup()
