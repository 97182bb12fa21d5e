"""What a model writes, and how likely it was.

`generation` serves every lesson that reads completions. `sampling` gives what a policy is trained on, from notebook 08
on: prompts and answers as tensors, with the log-probability of every token. `drafts` pairs answers for labellers.
"""

from course.rollouts.drafts import answers, drafts
from course.rollouts.generation import Completion, document_start, generate
from course.rollouts.sampling import Rollouts, chat_prompts, response_logits, response_logps, sample
