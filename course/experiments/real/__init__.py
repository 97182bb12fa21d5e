"""The lessons' claims, asked of a real model: serves the part "On a real model" of lessons 02 to 13.

The functions are those of the lessons; only the model and the amounts differ. `make real` runs everything on
SmolLM2-135M-Instruct, or on the model that the environment variable COURSE_MODEL names, and stores what came of it. The
true quality of a real model's answer is not known, so what can be counted is: whether it names the right fact, ends by
itself, keeps to a form, and how long it is.
"""

from course.experiments.real import dpo, judge, ppo, rewards, sft
from course.experiments.real.start import real_model

EXPERIMENTS = (*sft.EXPERIMENTS, *rewards.EXPERIMENTS, *ppo.EXPERIMENTS, *dpo.EXPERIMENTS, *judge.EXPERIMENTS)
