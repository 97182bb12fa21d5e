"""Show tokens, answers and small tables, readable in a notebook, on GitHub and in a terminal. Serves every lesson.

`page` says how; `tokens`, `answers` and `tables` hold one verb each. No torch and no plotly.
"""

from course.show.answers import compare_answers
from course.show.page import in_notebook, plain, publish, short
from course.show.tables import show_table
from course.show.tokens import show_tokens, tokens_of
