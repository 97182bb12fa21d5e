"""Generation: greedy against stepping by hand, batches against one by one, seeds, stops and prompts that do not fit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from course.models import LM, new_model, with_lora
from course.rollouts import Completion, document_start, generate
from tests.rollouts.conftest import PROMPTS, make_likely
from tests.tiny import build_tokenizer


@torch.no_grad()
def by_hand(lm: LM, ids: list[int], new: int) -> list[int]:
    """Argmax again and again, the whole text anew each time: no cache, no padding."""
    ends = {lm.tokenizer.eos_token_id, lm.tokenizer.bos_token_id}
    made: list[int] = []
    while len(made) < new and not ends & set(made):
        made.append(int(lm.model(torch.tensor([ids + made])).logits[0, -1].argmax()))
    return made


def test_greedy_is_argmax_step_by_step(lm):
    for prompt, completion in zip(PROMPTS, generate(lm, PROMPTS, max_new_tokens=20), strict=True):
        assert completion.token_ids == by_hand(lm, document_start(lm, prompt), 20)


@settings(max_examples=15, deadline=None)
@given(prompts=st.lists(st.lists(st.integers(4, 300), min_size=1, max_size=30), min_size=1, max_size=6))
def test_a_batch_equals_one_by_one(lm, prompts):
    together = generate(lm, prompts, max_new_tokens=6)
    assert together == [generate(lm, [prompt], max_new_tokens=6)[0] for prompt in prompts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("course.rollouts.generation.BATCH", 2)
        assert together == generate(lm, prompts, max_new_tokens=6)
    assert [c.token_ids for c in together] == [by_hand(lm, prompt, 6) for prompt in prompts]


def test_the_order_of_the_prompts_is_kept(lm):
    forth, back = generate(lm, PROMPTS, max_new_tokens=8), generate(lm, PROMPTS[::-1], max_new_tokens=8)
    assert forth == back[::-1]
    assert generate(lm, []) == []


def test_text_is_a_documents_beginning_and_ids_are_taken_as_they_are(lm):
    ids = document_start(lm, PROMPTS[0])
    assert ids == [lm.tokenizer.bos_token_id, *lm.tokenizer.encode(PROMPTS[0], add_special_tokens=False)]
    assert generate(lm, [PROMPTS[0]], max_new_tokens=5) == generate(lm, [ids], max_new_tokens=5)
    assert generate(lm, [ids[1:]], max_new_tokens=5)[0].token_ids == by_hand(lm, ids[1:], 5)


def test_markers_in_a_text_are_no_markup(lm):
    ids = document_start(lm, "a<|im_end|>b<|endoftext|>")
    assert ids.count(lm.tokenizer.bos_token_id) == 1
    assert lm.tokenizer.eos_token_id not in ids
    assert lm.tokenizer.decode(ids[1:]) == "a<|im_end|>b<|endoftext|>"


def test_sampling_is_the_seeds_and_nothing_elses(lm):
    first = generate(lm, PROMPTS, temperature=1.5, seed=3, max_new_tokens=10)
    torch.rand(7)
    assert generate(lm, PROMPTS, temperature=1.5, seed=3, max_new_tokens=10) == first
    assert generate(lm, PROMPTS, temperature=1.5, seed=4, max_new_tokens=10) != first


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_global_random_state_is_left_alone(lm, temperature):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    generate(lm, PROMPTS, temperature=temperature, max_new_tokens=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_sampling_follows_the_softmax_at_that_temperature(lm):
    prompt = document_start(lm, "What")
    drawn = generate(lm, [prompt] * 2000, temperature=2.0, max_new_tokens=1)
    counts = torch.bincount(torch.tensor([c.token_ids[0] for c in drawn]), minlength=lm.model.config.vocab_size)
    with torch.no_grad():
        wanted = (lm.model(torch.tensor([prompt])).logits[0, -1] / 2.0).softmax(-1)
    assert (counts / 2000 - wanted).abs().max() < 0.04  # more than three standard deviations of any share


def test_a_low_temperature_comes_close_to_greedy(lm):
    greedy = generate(lm, PROMPTS, max_new_tokens=8)
    assert generate(lm, PROMPTS, temperature=1e-4, max_new_tokens=8) == greedy


def test_the_models_own_settings_do_not_interfere(lm):
    """Qwen's checkpoints bring a repetition penalty, top-k and top-p; transformers would apply them unasked."""
    greedy = generate(lm, PROMPTS, max_new_tokens=12)
    sampled = generate(lm, PROMPTS, max_new_tokens=12, temperature=1.0)
    own = lm.model.generation_config
    theirs = GenerationConfig(repetition_penalty=5.0, top_k=1, top_p=0.1, min_new_tokens=12, num_beams=2)
    try:
        lm.model.generation_config = theirs
        assert generate(lm, PROMPTS, max_new_tokens=12) == greedy
        assert generate(lm, PROMPTS, max_new_tokens=12, temperature=1.0) == sampled
        assert lm.model.generation_config is theirs
    finally:
        lm.model.generation_config = own


def test_it_stops_at_the_end_of_a_turn_and_of_a_document(lm):
    for token in (lm.tokenizer.eos_token_id, lm.tokenizer.bos_token_id):
        ending = make_likely(lm, token)
        assert generate(ending, ["What"]) == [Completion("", [token], True)]


def test_it_runs_on_past_the_end_of_a_turn_if_told_to(lm):
    ending = make_likely(lm, lm.tokenizer.eos_token_id)
    (completion,) = generate(ending, ["What"], max_new_tokens=5, honour_turns=False)
    assert completion.token_ids == [lm.tokenizer.eos_token_id] * 5
    assert not completion.stopped


def test_the_limit(lm):
    letter = lm.tokenizer.encode("a", add_special_tokens=False)[0]
    assert generate(make_likely(lm, letter), ["What"], max_new_tokens=4) == [Completion("aaaa", [letter] * 4, False)]


def test_rows_that_stop_early_hold_no_padding(lm):
    """In one batch with longer rows a short one is filled up; nothing of that may be seen."""
    rows = generate(lm, [[i] for i in range(4, 300, 7)], temperature=3.0, max_new_tokens=60)
    assert {row.stopped for row in rows} == {True, False}
    ends = {lm.tokenizer.eos_token_id, lm.tokenizer.bos_token_id}
    for row in rows:
        assert row.stopped == (row.token_ids[-1] in ends)
        assert not ends & set(row.token_ids[:-1])
        assert row.stopped or len(row.token_ids) == 60
        assert row.text == lm.tokenizer.decode(row.token_ids, skip_special_tokens=True)


def test_stop_texts_end_it_and_are_cut_off(lm):
    (free,) = generate(lm, [PROMPTS[0]], max_new_tokens=30)
    middle = len(free.text) // 2
    stop = free.text[middle : middle + 3]
    (cut,) = generate(lm, [PROMPTS[0]], max_new_tokens=30, stop=[stop])
    assert cut.stopped
    assert cut.text == free.text[: free.text.index(stop)]
    assert len(cut.token_ids) <= len(free.token_ids)
    assert free.token_ids[: len(cut.token_ids)] == cut.token_ids
    (first,) = generate(lm, [PROMPTS[0]], max_new_tokens=30, stop=["never said", stop, free.text[:2]])
    assert first.text == ""
    assert generate(lm, [PROMPTS[0]], max_new_tokens=30, stop=["never said"]) == [free]


def test_a_stop_text_ends_its_own_row_only(lm):
    free = generate(lm, PROMPTS, max_new_tokens=16)
    stop = free[0].text[4:8]
    made = generate(lm, PROMPTS, max_new_tokens=16, stop=[stop])
    for before, after in zip(free, made, strict=True):
        assert after.text == before.text.split(stop)[0]
        assert after == before or after.stopped


def test_rows_that_a_stop_text_ended_hold_no_padding_even_where_padding_ends_a_document(lm):
    """As with Qwen and SmolLM2, whose padding is `<|endoftext|>`."""
    tokenizer = build_tokenizer()
    tokenizer.pad_token = tokenizer.bos_token
    free = generate(lm, PROMPTS, max_new_tokens=16)
    stop = free[0].text[4:8]
    wanted = generate(lm, PROMPTS, max_new_tokens=16, stop=[stop])
    assert generate(LM("tiny", lm.model, tokenizer), PROMPTS, max_new_tokens=16, stop=[stop]) == wanted


def test_prompts_that_do_not_fit(lm):
    room = lm.model.config.max_position_embeddings
    with pytest.raises(ValueError, match=rf"Prompt 1 has {room - 3} tokens; with 4 new ones .* context of {room}"):
        generate(lm, [[5], [5] * (room - 3)], max_new_tokens=4)
    assert len(generate(lm, [[5] * (room - 4)], max_new_tokens=4)[0].token_ids) <= 4
    with pytest.raises(ValueError, match="Prompt 1 is empty"):
        generate(lm, [[5], []])


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"temperature": -1.0}])
def test_numbers_out_of_range(lm, wrong):
    (name, value) = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        generate(lm, ["What"], **wrong)


def test_a_model_with_adapters_samples_too(lm):
    adapted = with_lora(lm, rank=2)
    assert generate(adapted, PROMPTS, max_new_tokens=6) == generate(lm, PROMPTS, max_new_tokens=6)


def test_tied_weights_and_the_courses_own_architecture():
    small = new_model(build_tokenizer(), hidden=64, layers=2)
    for prompt, completion in zip(PROMPTS, generate(small, PROMPTS, max_new_tokens=10), strict=True):
        ids = document_start(small, prompt)
        assert completion.token_ids == by_hand(small, ids, 10)
