"""Log-probabilities of whole answers: the sum over their tokens, whatever else is in the list."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course.models import LM
from course.preferences import sequence_logps, sequences
from course.templates import CHATML
from course.train import encode_answers
from tests.preferences.small import PAIRS, TOKENIZER, tiny


def slow_logps(lm: LM, prompt: str, answer: str) -> list[float]:
    """The log-probability of each token of an answer, read one by one."""
    asked = CHATML.encode(lm.tokenizer, [{"role": "user", "content": prompt}], add_generation_prompt=True).input_ids
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    ids = CHATML.encode(lm.tokenizer, turns).input_ids
    ids = ids[: len(ids) - ids[::-1].index(lm.tokenizer.eos_token_id)]
    found = []
    for at in range(len(asked), len(ids)):
        with torch.no_grad():
            scores = lm.model(input_ids=torch.tensor([ids[:at]])).logits[0, -1].log_softmax(-1)
        found.append(float(scores[ids[at]]))
    return found


def test_a_sequences_log_probability_is_the_sum_over_the_answers_tokens_and_their_end():
    lm = tiny()
    found = sequence_logps(lm, [p["prompt"] for p in PAIRS], [p["rejected"] for p in PAIRS])
    for i, pair in enumerate(PAIRS):
        each = slow_logps(lm, pair["prompt"], pair["rejected"])
        assert found.logps[i].item() == pytest.approx(sum(each), abs=1e-4)
        assert found.mean_logps[i].item() == pytest.approx(sum(each) / len(each), abs=1e-5)
        assert found.tokens[i].item() == len(each)


def test_what_an_assistant_said_earlier_in_the_conversation_does_not_count():
    lm = tiny()
    turns = [("user", "Hello"), ("assistant", "Hello to you."), ("user", "Where is Peru?")]
    prompt = [{"role": role, "content": content} for role, content in turns]
    asked, [learnt] = encode_answers(lm, prompt, [[{"role": "assistant", "content": "In America."}]])
    assert asked == CHATML.encode(TOKENIZER, prompt, add_generation_prompt=True).input_ids
    assert TOKENIZER.decode(learnt) == "In America.<|im_end|>" and learnt[-1] == TOKENIZER.eos_token_id
    several = [{"role": role, "content": "a"} for role in ("assistant", "user", "assistant")]
    with pytest.raises(ValueError, match=r"An answer has 3 turns.* into the prompt"):
        encode_answers(lm, prompt, [several])


@settings(deadline=None)
@given(answers=st.lists(st.text(st.sampled_from("a \n<|"), max_size=4), min_size=1, max_size=3))
def test_the_tokens_of_prompt_and_answer_are_those_of_the_conversation(answers):
    """Also where an answer begins with white space, which the tokenizer joins with the template's own."""
    lm = tiny()
    prompt_ids, rows = encode_answers(lm, "Hi", answers)
    for answer, row in zip(answers, rows, strict=True):
        turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}]
        encoded = CHATML.encode(TOKENIZER, turns)
        whole = prompt_ids + row
        assert whole == encoded.input_ids[: len(whole)] and 1 not in encoded.assistant_mask[len(whole) :]
        assert encoded.assistant_mask[len(whole) - 1] == 1 and 1 not in encoded.assistant_mask[: len(prompt_ids)]


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(5)))
def test_log_probabilities_do_not_hang_on_what_else_is_in_the_list(order):
    lm = tiny()
    straight = sequence_logps(lm, [p["prompt"] for p in PAIRS], [p["chosen"] for p in PAIRS])
    mixed = sequence_logps(lm, [PAIRS[i]["prompt"] for i in order], [PAIRS[i]["chosen"] for i in order])
    torch.testing.assert_close(mixed.logps, straight.logps[list(order)], rtol=0, atol=1e-4)


def test_an_answer_that_stands_in_several_pairs_is_read_once(monkeypatch):
    lm, read = tiny(), []
    inner = sequences.labelled_losses
    monkeypatch.setattr(
        sequences, "labelled_losses", lambda lm, batch: read.append(len(batch["input_ids"])) or inner(lm, batch)
    )
    places = [0, 1, 0, 2, 1, 0]
    found = sequence_logps(lm, [PAIRS[i]["prompt"] for i in places], [PAIRS[i]["chosen"] for i in places])
    assert sum(read) == 3
    alone = torch.cat([sequence_logps(lm, [PAIRS[i]["prompt"]], [PAIRS[i]["chosen"]]).logps for i in places])
    torch.testing.assert_close(found.logps, alone, rtol=0, atol=1e-4)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="1 prompts and 2 texts"):
        sequence_logps(tiny(), ["a"], ["b", "c"])
    with pytest.raises(ValueError, match=r"1 of 2 conversations exceed .* 40 tokens, first texts\[1\]"):
        sequence_logps(tiny(context=40), ["a", "a"], ["b", "long " * 40])
