"""Study tools: what stands between a lesson's experiments and serves the learner's memory.

A notebook imports its verbs from here: `from course.study import quiz, flashcards, warm_up, check, predict`
and `pipeline_map`. The texts come from `quizzes/*.yaml` (see `content`), answers go to `progress`, cards to
`schedule`. No module of this package imports torch, and nothing outside it imports this package.
"""

from course.study.exercises import check
from course.study.flashcards import flashcards, warm_up
from course.study.pipeline_map import pipeline_map
from course.study.predict import predict
from course.study.quiz import quiz

__all__ = ["check", "flashcards", "pipeline_map", "predict", "quiz", "warm_up"]
