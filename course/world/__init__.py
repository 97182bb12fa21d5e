"""The toy world: a small set of facts that are ours, so that the true quality of any answer is known.

Serves every lesson. `tables` holds the facts, `phrases` their wordings, questions and answers, `prompts` opinions and
requests, `text` the pretraining documents, `chats` the demonstrations, `reading` what an answer states, `scorer` its
true score. No torch anywhere.
"""

from course.world.phrases import (
    COUNTRY_RELATIONS,
    STYLES,
    Question,
    animal_questions,
    ask,
    beginnings,
    country_questions,
    demonstrate,
    opposite_questions,
    sum_questions,
    with_wrong_value,
)
from course.world.prompts import REQUESTS, Request, agrees, declines, opinion, opinions
from course.world.scorer import Score, score
from course.world.tables import COUNTRIES, INVENTED, SEEN, UNSEEN
from course.world.text import documents
