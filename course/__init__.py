"""Post-Training, Hands On: the package behind the notebooks.

Importing it is cheap and takes no torch with it; each notebook imports what it needs by name,
so that you can see in which file a verb lives (`from course.train import fit`). Import it before torch:
it says how many threads torch should take, and keeps the model hub's library from reporting what you use.
"""

import os

from course.threads import settle_threads

__version__ = "0.1.0"

_named = os.environ.get("COURSE_SEED", "").strip() or "0"
if not _named.isdecimal():
    raise ValueError(f"COURSE_SEED is {_named!r}; set it to a whole number, 0 or larger, or remove it")
SEED = int(_named)
"""Seed of every random draw in a notebook. Set the environment variable COURSE_SEED to try another."""

settle_threads()
# Read when these libraries are imported: neither says to anybody what you use.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # huggingface_hub, for itself and for TRL
os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")  # datasets
