"""Post-Training, Hands On: the package behind the notebooks.

Importing it is cheap and takes no torch with it; each notebook imports what it needs by name,
so that you can see in which file a verb lives (`from course.train import fit`).
"""

import os

__version__ = "0.1.0"

SEED = int(os.environ.get("COURSE_SEED", "0"))
"""Seed of every random draw in a notebook. Set the environment variable COURSE_SEED to try another."""
