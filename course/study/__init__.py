"""Study tools: what stands between a lesson's experiments and serves the learner's memory.

A notebook imports its verbs from here: `from course.study import quiz, flashcards, warm_up, check, predict`,
`annotate`, `annotations`, `chat`, `explore` (with `Slider`) and `pipeline_map`; `my_progress`, `due_cards`, `mark_done`
and `reset` look back on all lessons. The texts come from `quizzes/*.yaml`
(see `content`), answers go to `progress`, cards to `schedule`, and what `annotate` is told to a file that the notebook
names. No module of this package imports torch, and nothing outside it imports this package.
"""

from course.study.annotate import annotate, annotations
from course.study.chat import chat
from course.study.exercises import check
from course.study.explore import Slider, explore
from course.study.flashcards import due_cards, flashcards, warm_up
from course.study.lessons import mark_done, my_progress, reset
from course.study.pipeline_map import pipeline_map
from course.study.predict import predict
from course.study.quiz import quiz
