"""Where every test and every notebook cell runs: quiet, offline, seeded, away from your own progress.

Values that are already set win, so that `COURSE_SEED=7 make test` runs the notebooks on another seed.
"""

import os
import tempfile

import pytest

_home = tempfile.TemporaryDirectory(prefix="course-tests-", ignore_cleanup_errors=True)

os.environ["COURSE_HOME"] = _home.name
for name, value in {
    "COURSE_SEED": "0",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "2",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}.items():
    os.environ.setdefault(name, value)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the temporary home once the last test is done."""
    _home.cleanup()
