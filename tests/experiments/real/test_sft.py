"""Templates and SFT on a real model: the wrong envelopes, the chance of the end, and labels on users' words."""

from course.batching import IGNORE
from course.experiments.real.sft import chance_of_end, envelopes, user_turns
from course.models import LM
from course.templates import CHATML
from course.world import UNSEEN, country_questions
from tests.tiny import build_model, build_tokenizer

TALK = [{"role": "user", "content": "What is 12 + 7?"}]


def tiny() -> LM:
    tokenizer = build_tokenizer()
    return LM("tiny", build_model(tokenizer), tokenizer)


def test_each_wrong_envelope_differs_from_the_right_one_in_its_own_way() -> None:
    lm = tiny()
    rows = {name: t.encode(lm.tokenizer, TALK, True).input_ids for name, t in envelopes(CHATML).items()}
    own = rows.pop("its own")
    assert rows.pop("no system turn") == own, "ChatML of the course has none"
    assert own[: len(rows["without the cue"])] == rows["without the cue"] != own
    special = {lm.tokenizer.convert_tokens_to_ids(token) for token in ("<|im_start|>", "<|im_end|>")}
    assert special <= set(own) and not special & set(rows["markers as words"])
    assert lm.tokenizer.decode(rows["markers as words"]) == lm.tokenizer.decode(own)


def test_the_chance_of_the_end_is_read_where_the_answer_is_complete() -> None:
    lm, questions = tiny(), country_questions(UNSEEN, "held-out")[:3]
    end = lm.tokenizer.eos_token_id
    chances = [chance_of_end(lm, token, questions, 0) for token in range(len(lm.tokenizer))]
    assert abs(sum(chances) - 1) < 1e-4 and 0 < chances[end] < 1


def test_labels_stand_on_what_the_user_wrote_and_on_nothing_else() -> None:
    lm = tiny()
    [example] = user_turns(lm, [TALK])
    kept = [token for token in example["labels"] if token != IGNORE]
    assert lm.tokenizer.decode(kept) == TALK[0]["content"]
    assert [a for a, b in zip(example["input_ids"], example["labels"], strict=True) if b != IGNORE] == kept
