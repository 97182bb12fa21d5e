"""Post-Training, Hands On: the package behind the notebooks.

Importing it is cheap and takes no torch with it; each notebook imports what it needs by name,
so that you can see in which file a verb lives (`from course.train import fit`). Import it before torch:
it says how many threads torch should take, and keeps the model hub's library from reporting what you use.
"""

import os

from course.threads import settle_threads

__version__ = "0.1.0"

SEED = int(os.environ.get("COURSE_SEED", "0"))
"""Seed of every random draw in a notebook. Set the environment variable COURSE_SEED to try another."""

settle_threads()
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported
