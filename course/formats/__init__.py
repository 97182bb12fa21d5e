"""Data formats: what a training record looks like, how one shape becomes another, how raw data is cleaned.

Serves notebooks 02 (chat data), 05 (filtering what a model wrote) and 06 (preference data). The six shapes and their
checks are in `records.py`, reading in `load.py`, conversions in `convert.py` (`whole.py`: conversations that repeat
their prompt), and the pipeline from raw data to a set to train on in `prepare.py` and `filters.py`. No torch.
"""

from course.formats.convert import (
    as_messages,
    extract_prompt,
    instruction_to_conversation,
    likert_to_pairs,
    pairs_to_ranking,
    preference_to_conversation,
    preference_to_unpaired,
    ranking_to_pairs,
)
from course.formats.load import load_records, validate
from course.formats.prepare import prepare_sft_data
from course.formats.problems import DataError, Problem
from course.formats.records import KINDS, ROLES, Message, Record, check
