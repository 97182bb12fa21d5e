"""Rollouts: log-probabilities against those recomputed, frequencies against probabilities, and what changes nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from course.batching import collate, make_labels
from course.losses.sft import token_losses
from course.models import LM, clone, with_lora
from course.rollouts import Rollouts, chat_prompts, document_start, generate, response_logits, response_logps, sample
from course.rollouts.sampling import _draw
from course.templates import LLAMA2
from course.world import ask
from tests.rollouts.conftest import PROMPTS, make_likely
from tests.tiny import build_tokenizer

token_lists = st.lists(st.lists(st.integers(4, 300), min_size=1, max_size=30), min_size=1, max_size=6)


def prompts_of(lm: LM, repeats: int = 1) -> list[list[int]]:
    return [document_start(lm, prompt) for prompt in PROMPTS] * repeats


def mixed(lm: LM, **changes) -> Rollouts:
    """Answers some of which stop early and some of which run into the limit, to prompts of several lengths."""
    rollouts = sample(lm, prompts_of(lm, 6), **{"max_new_tokens": 40, "temperature": 3.0, "seed": 1} | changes)
    assert set(rollouts.stopped) == {True, False}
    return rollouts


def pairs(rollouts: Rollouts) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each row as lists, without padding."""
    columns = (rollouts.prompt_ids, rollouts.prompt_mask, rollouts.response_ids, rollouts.mask)
    return [
        (prompt[seen == 1].tolist(), answer[counts == 1].tolist())
        for prompt, seen, answer, counts in zip(*columns, strict=True)
    ]


@torch.no_grad()
def logps_by_hand(lm: LM, rollouts: Rollouts, temperature: float) -> list[Tensor]:
    """One answer at a time, prompt and answer in one pass: no cache, no padding, no mask."""
    out = []
    for prompt, answer in pairs(rollouts):
        scores = (lm.model(torch.tensor([prompt + answer])).logits[0] / temperature).log_softmax(-1)
        out.append(torch.stack([scores[len(prompt) - 1 + t, token] for t, token in enumerate(answer)]))
    return out


def assert_logps_right(lm: LM, rollouts: Rollouts, temperature: float, atol: float = 1e-4) -> None:
    """Recorded, recomputed and by hand are the same, and 0 where nothing counts."""
    again = response_logps(lm, rollouts, temperature).detach()
    assert again.dtype == rollouts.logps.dtype == torch.float32
    torch.testing.assert_close(rollouts.logps, again, atol=atol, rtol=0)
    for i, wanted in enumerate(logps_by_hand(lm, rollouts, temperature)):
        torch.testing.assert_close(rollouts.logps[i, : len(wanted)], wanted, atol=atol, rtol=0)
        assert not rollouts.logps[i, len(wanted) :].any() and not again[i, len(wanted) :].any()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_log_probabilities_at_sampling_are_those_recomputed(lm, temperature):
    assert_logps_right(lm, sample(lm, prompts_of(lm, 4), max_new_tokens=30, temperature=temperature), temperature)


@settings(max_examples=15, deadline=None)
@given(prompts=token_lists, temperature=st.floats(0.3, 5.0), seed=st.integers(0, 2**31))
def test_log_probabilities_of_any_prompts(lm, prompts, temperature, seed):
    rollouts = sample(lm, prompts, max_new_tokens=12, temperature=temperature, seed=seed)
    assert [prompt for prompt, _ in pairs(rollouts)] == prompts
    assert_logps_right(lm, rollouts, temperature)


def test_the_form_of_rollouts(lm):
    """Prompts end in the last column, answers begin in the first, and after the stop token nothing counts."""
    rollouts = mixed(lm)
    ends = {lm.tokenizer.eos_token_id, lm.tokenizer.bos_token_id}
    count, longest = rollouts.mask.shape
    assert len(rollouts) == count == len(rollouts.texts) == len(rollouts.stopped) == 24
    assert longest == rollouts.mask.sum(1).max() == 40
    assert torch.equal(rollouts.prompt_mask, rollouts.prompt_mask.sort(1).values)
    assert torch.equal(rollouts.mask, rollouts.mask.sort(1, descending=True).values)
    assert {rollouts.mask.dtype, rollouts.logps.dtype} == {torch.float32}
    assert {rollouts.prompt_ids.dtype, rollouts.prompt_mask.dtype, rollouts.response_ids.dtype} == {torch.int64}
    assert (rollouts.response_ids[rollouts.mask == 0] == lm.tokenizer.pad_token_id).all()
    for (prompt, answer), text, stopped, wanted in zip(
        pairs(rollouts), rollouts.texts, rollouts.stopped, prompts_of(lm, 6), strict=True
    ):
        assert prompt == wanted
        assert not ends & set(answer[:-1])
        assert stopped == (answer[-1] in ends)
        assert stopped or len(answer) == 40
        assert text == lm.tokenizer.decode(answer, skip_special_tokens=True)


def test_what_stands_after_the_stop_token_changes_nothing(lm):
    rollouts = mixed(lm)
    noise = torch.randint(4, 300, rollouts.response_ids.shape, generator=torch.Generator().manual_seed(0))
    other = replace(rollouts, response_ids=rollouts.response_ids.where(rollouts.mask == 1, noise))
    assert not torch.equal(other.response_ids, rollouts.response_ids)
    with torch.no_grad():
        torch.testing.assert_close(response_logps(lm, other, 3.0), response_logps(lm, rollouts, 3.0))


def test_left_padding_changes_no_log_probability(lm):
    rollouts = mixed(lm)
    count, extra = len(rollouts), 7
    wider = replace(
        rollouts,
        prompt_ids=torch.cat([torch.full((count, extra), 9), rollouts.prompt_ids], dim=1),
        prompt_mask=torch.cat([torch.zeros(count, extra, dtype=torch.long), rollouts.prompt_mask], dim=1),
    )
    with torch.no_grad():
        torch.testing.assert_close(response_logps(lm, wider, 3.0), rollouts.logps, atol=1e-4, rtol=0)


def test_positions_count_from_each_prompts_first_token(lm):
    inputs = sample(lm, [[5, 6, 7], [8]], max_new_tokens=2, temperature=0.0).inputs()
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
    assert inputs["input_ids"][:, :3].tolist() == [[5, 6, 7], [lm.tokenizer.pad_token_id] * 2 + [8]]


def test_a_model_with_learnt_positions(lm):
    """Rotary positions only know distances; in GPT-2 a position that is off by the padding changes everything."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(lm.tokenizer), n_positions=128, n_embd=32, n_layer=2, n_head=4)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        model.transformer.wpe.weight.mul_(50)
        model.transformer.wte.weight.mul_(10)
    gpt = LM("gpt", model, lm.tokenizer)
    rollouts = sample(gpt, prompts_of(lm, 3), max_new_tokens=20, temperature=2.0)
    assert_logps_right(gpt, rollouts, 2.0)
    greedy = sample(gpt, prompts_of(lm), max_new_tokens=12, temperature=0.0)
    assert greedy.texts == [c.text for c in generate(gpt, prompts_of(lm), max_new_tokens=12)]


@settings(max_examples=15, deadline=None)
@given(prompts=token_lists)
def test_greedy_is_what_generate_gives(lm, prompts):
    rollouts = sample(lm, prompts, max_new_tokens=8, temperature=0.0)
    wanted = generate(lm, prompts, max_new_tokens=8)
    assert [answer for _, answer in pairs(rollouts)] == [c.token_ids for c in wanted]
    assert rollouts.texts == [c.text for c in wanted]
    assert rollouts.stopped == [c.stopped for c in wanted]
    assert_logps_right(lm, rollouts, 1.0)  # greedily each token has probability 1: those at temperature 1 are kept


def chi_square(tokens: Tensor, wanted: Tensor) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; tokens that are expected less than 8 times are counted as one."""
    counts = torch.bincount(tokens, minlength=len(wanted)).double()
    expected = wanted.double() * len(tokens)
    rare = expected < 8
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    return float(((counts - expected) ** 2 / expected).sum()), len(expected) - 1


@torch.no_grad()
def assert_drawn_from(lm: LM, tokens: Tensor, before: list[int], temperature: float) -> None:
    wanted = (lm.model(torch.tensor([before])).logits[0, -1] / temperature).softmax(-1)
    statistic, freedom = chi_square(tokens, wanted)
    assert freedom >= 8
    assert statistic < freedom + 3.5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
def test_frequencies_follow_the_probabilities(lm, temperature):
    """For two prompts in one batch, one of them padded."""
    prompts = prompts_of(lm)[:2]
    rollouts = sample(lm, prompts * 2500, max_new_tokens=1, temperature=temperature, seed=5)
    for i, prompt in enumerate(prompts):
        assert_drawn_from(lm, rollouts.response_ids[i::2, 0], prompt, temperature)


def test_frequencies_given_the_token_before(lm):
    prompt = document_start(lm, "What")
    rollouts = sample(lm, [prompt] * 4000, max_new_tokens=2, temperature=1.0, seed=5)
    first = rollouts.response_ids[:, 0]
    commonest = int(first.mode().values)
    assert_drawn_from(lm, rollouts.response_ids[first == commonest, 1], [*prompt, commonest], 1.0)


@settings(max_examples=200, deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.0, 1e-30, 1e-9, 0.3, 1.0, 7.0]), min_size=1, max_size=40).filter(any),
    number=st.one_of(st.sampled_from([0.0, 0.5, 1 - 2**-24]), st.floats(0, 1 - 2**-24, width=32)),
)
def test_a_token_of_probability_zero_is_never_drawn(weights, number):
    logps = torch.tensor([weights]).log().log_softmax(-1)
    token = int(_draw(logps, torch.tensor([[number]])))
    assert weights[token] > 0
    before = logps.double().exp()[0, :token].sum()
    assert before - 1e-6 <= 1 - number <= before + logps.double().exp()[0, token] + 1e-6


def assert_same(one: Rollouts, other: Rollouts) -> None:
    assert (one.texts, one.stopped) == (other.texts, other.stopped)
    assert torch.equal(one.response_ids, other.response_ids)
    assert torch.equal(one.prompt_ids, other.prompt_ids)
    assert torch.equal(one.prompt_mask, other.prompt_mask)
    assert torch.equal(one.mask, other.mask)
    torch.testing.assert_close(one.logps, other.logps, atol=1e-4, rtol=0)


def test_the_seed_fixes_the_answers_and_nothing_else_does(lm):
    first = mixed(lm)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    assert_same(mixed(lm), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert mixed(lm, seed=2).texts != first.texts


def test_an_answer_does_not_hang_on_the_others(lm):
    """Each has its own random numbers, whoever else is in the batch and whenever they end."""
    prompts = prompts_of(lm, 6)
    whole = mixed(lm)
    assert_same(sample(lm, prompts[:5], max_new_tokens=40, temperature=3.0, seed=1), whole.rows(range(5)))
    others = [[7]] * 5 + prompts[5:]
    changed = sample(lm, others, max_new_tokens=40, temperature=3.0, seed=1)
    assert_same(changed.rows(range(5, 24)), whole.rows(range(5, 24)))


def test_one_generator_for_several_calls_draws_what_one_call_would(lm):
    prompts, generator = prompts_of(lm, 6), torch.Generator().manual_seed(1)
    whole = pairs(mixed(lm))
    parts = [sample(lm, prompts[a:b], max_new_tokens=40, temperature=3.0, seed=generator) for a, b in ((0, 5), (5, 24))]
    assert [pair for part in parts for pair in pairs(part)] == whole


def test_a_prompt_that_gets_several_answers_is_read_once(lm, monkeypatch):
    rows, forward = [], lm.model.forward

    def counting(input_ids, **settings):
        rows.append(len(input_ids))
        return forward(input_ids=input_ids, **settings)

    monkeypatch.setattr(lm.model, "forward", counting)
    mixed(lm)
    assert rows[:2] == [len(PROMPTS), 6 * len(PROMPTS)]


def test_rows_are_trimmed(lm):
    rollouts = mixed(lm)
    lengths, widths = rollouts.mask.sum(1), rollouts.prompt_mask.sum(1)
    shortest = int(lengths.argmin())
    one = rollouts.rows([shortest])
    assert len(one) == 1
    assert one.mask.shape == one.logps.shape == one.response_ids.shape == (1, lengths[shortest])
    assert one.prompt_ids.shape == one.prompt_mask.shape == (1, widths[shortest])
    assert one.mask.all() and one.prompt_mask.all()
    some = rollouts.rows([5, 0, 5])
    everything = pairs(rollouts)
    assert pairs(some) == [everything[5], everything[0], everything[5]]
    assert some.texts == [rollouts.texts[i] for i in (5, 0, 5)]
    assert some.stopped == [rollouts.stopped[i] for i in (5, 0, 5)]
    assert some.mask.shape[1] == max(lengths[5], lengths[0])
    assert some.prompt_mask.shape[1] == max(widths[5], widths[0]) < rollouts.prompt_mask.shape[1]
    assert_logps_right(lm, some, 3.0)
    assert_same(rollouts.rows(range(len(rollouts))), rollouts)
    assert_same(rollouts.rows(torch.arange(24)), rollouts)
    with pytest.raises(ValueError, match="no rows to take"):
        rollouts.rows([])


def test_an_answer_that_stops_at_once(lm):
    for token in (lm.tokenizer.eos_token_id, lm.tokenizer.bos_token_id):
        rollouts = sample(make_likely(lm, token), prompts_of(lm), max_new_tokens=9)
        assert rollouts.texts == [""] * 4 and rollouts.stopped == [True] * 4
        assert rollouts.response_ids.tolist() == [[token]] * 4
        assert rollouts.mask.tolist() == [[1.0]] * 4
        assert rollouts.logps.abs().max() < 1e-6


def test_an_answer_that_runs_into_the_limit(lm):
    letter = lm.tokenizer.encode("a", add_special_tokens=False)[0]
    rollouts = sample(make_likely(lm, letter), prompts_of(lm), max_new_tokens=4)
    assert rollouts.texts == ["aaaa"] * 4 and rollouts.stopped == [False] * 4
    assert rollouts.mask.tolist() == [[1.0] * 4] * 4


def test_logits_are_those_before_each_token(lm):
    rollouts = mixed(lm)
    logits = response_logits(lm, rollouts, temperature=2.0)
    assert logits.shape == (*rollouts.mask.shape, lm.model.config.vocab_size)
    assert logits.dtype == torch.float32
    for i, (prompt, answer) in enumerate(pairs(rollouts)):
        with torch.no_grad():
            wanted = lm.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1] / 2.0
        torch.testing.assert_close(logits[i, : len(answer)].detach(), wanted, atol=1e-3, rtol=0)


def gradients(lm: LM) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in lm.model.named_parameters() if p.grad is not None}


def test_the_gradient_is_that_of_the_sft_loss(lm):
    """Log-probability and surprise are one thing with two signs, however the rows are padded."""
    rollouts = mixed(lm).rows(range(8))
    one, other = clone(lm), clone(lm)
    response_logps(one, rollouts).sum().backward()
    examples = [
        {"input_ids": prompt + answer, "labels": make_labels(prompt + answer, [0] * len(prompt) + [1] * len(answer))}
        for prompt, answer in pairs(rollouts)
    ]
    batch = collate(examples, lm.tokenizer.pad_token_id)
    (-token_losses(other.model(input_ids=batch["input_ids"]).logits, batch["labels"]).sum()).backward()
    left, right = gradients(one), gradients(other)
    assert left.keys() == right.keys() and left
    for name in left:
        torch.testing.assert_close(left[name], right[name], atol=1e-3, rtol=1e-3)


def test_rollouts_of_a_model_with_adapters(lm):
    adapted = with_lora(lm, rank=2)
    plain = mixed(lm)
    assert_same(mixed(adapted), plain)  # adapters begin at zero
    with torch.no_grad():
        for name, weight in adapted.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2, generator=torch.Generator().manual_seed(0))
    rollouts = sample(adapted, prompts_of(lm, 6), max_new_tokens=40, temperature=3.0, seed=1)
    assert rollouts.texts != plain.texts
    assert_logps_right(adapted, rollouts, 3.0)
    response_logps(adapted, rollouts, 3.0).sum().backward()
    assert gradients(adapted) and all("lora_" in name for name in gradients(adapted))
    with adapted.model.disable_adapter(), torch.no_grad():
        torch.testing.assert_close(response_logps(adapted, plain, 3.0), plain.logps, atol=1e-4, rtol=0)


def test_under_autocast_log_probabilities_are_float32(lm, monkeypatch):
    """As on a GPU that computes in bfloat16: its rounding is in the logits, but not in the sum over the vocabulary."""
    monkeypatch.setattr("course.rollouts.sampling.precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    rollouts = sample(lm, prompts_of(lm, 6), max_new_tokens=20, temperature=3.0)
    logits = response_logits(lm, rollouts, 3.0)
    again = response_logps(lm, rollouts, 3.0)
    assert rollouts.logps.dtype == logits.dtype == again.dtype == torch.float32
    torch.testing.assert_close(logits.log_softmax(-1).exp().sum(-1), torch.ones_like(again), atol=1e-5, rtol=0)
    assert (again - rollouts.logps).abs().mean() < 0.05


def test_a_tokenizer_without_a_document_token(lm):
    tokenizer = build_tokenizer()
    tokenizer.bos_token = None
    hub = LM("hub", lm.model, tokenizer)
    prompts = [document_start(hub, prompt) for prompt in PROMPTS]
    rollouts = sample(hub, prompts, max_new_tokens=10, temperature=0.0)
    assert rollouts.texts == [c.text for c in generate(hub, prompts, max_new_tokens=10)]
    ending = make_likely(lm, lm.tokenizer.bos_token_id)
    assert not any(sample(LM("hub", ending.model, tokenizer), prompts, max_new_tokens=3).stopped)


def test_padding_that_is_also_the_end_still_counts_once(lm):
    """As with GPT-2, whose single special token is both: the mask, not the token, says what counts."""
    tokenizer = build_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    wanted, rollouts = mixed(lm), mixed(LM("gpt", lm.model, tokenizer))
    assert torch.equal(rollouts.mask, wanted.mask)
    assert (rollouts.texts, rollouts.stopped) == (wanted.texts, wanted.stopped)
    assert_logps_right(lm, rollouts, 3.0)


def test_the_models_own_settings_do_not_touch_rollouts(lm):
    rollouts, own = mixed(lm), lm.model.generation_config
    try:
        lm.model.generation_config = GenerationConfig(repetition_penalty=5.0, top_k=1, top_p=0.1, min_new_tokens=12)
        assert_same(mixed(lm), rollouts)
    finally:
        lm.model.generation_config = own


def test_rollouts_of_prompts_that_do_not_fit(lm):
    room = lm.model.config.max_position_embeddings
    with pytest.raises(ValueError, match="There are no prompts"):
        sample(lm, [], max_new_tokens=4)
    with pytest.raises(ValueError, match="Prompt 1 is empty"):
        sample(lm, [[5], []], max_new_tokens=4)
    with pytest.raises(ValueError, match=rf"Prompt 1 has {room - 3} tokens; with 4 new ones .* context of {room}"):
        sample(lm, [[5], [5] * (room - 3)], max_new_tokens=4)
    assert_logps_right(lm, sample(lm, [[5], [5] * (room - 4)], max_new_tokens=4), 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"max_new_tokens": 0}, {"temperature": -1.0}, {"temperature": float("nan")}, {"temperature": float("inf")}],
)
def test_rollouts_with_numbers_out_of_range(lm, wrong):
    (name, value) = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        sample(lm, [[5]], **{"max_new_tokens": 4} | wrong)


@pytest.mark.parametrize("wrong", [5, None, "Hi", 0.5, [1.5], ["Hi"], [[5]], {"role": "user"}, [-1]])
@pytest.mark.parametrize("function", [sample, generate])
def test_what_is_no_prompt_of_token_ids_is_named(lm, function, wrong):
    if function is generate and wrong == "Hi":
        return  # a text to carry on
    with pytest.raises(ValueError, match=r"Prompt 1 is no list of token ids: .*Encode it|-1 is the number of no token"):
        function(lm, [[5], wrong], max_new_tokens=2)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("function", [response_logits, response_logps])
def test_log_probabilities_need_a_temperature(lm, function, temperature):
    rollouts = sample(lm, [[5]], max_new_tokens=2)
    with pytest.raises(ValueError, match=f"temperature={temperature}"):
        function(lm, rollouts, temperature)


def test_damaged_weights_are_named(lm):
    broken = clone(lm)
    with torch.no_grad():
        broken.model.model.embed_tokens.weight[9] = float("nan")
    for temperature in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"token 0 are not numbers \(nan\) in 2 answers, the first .* answer 1"):
            sample(broken, [[5], [9], [6], [9]], max_new_tokens=4, temperature=temperature)
        with pytest.raises(ValueError, match=r"token 0 are not numbers \(nan\) in 2 answers, the first .* answer 1"):
            generate(broken, [[5], [9], [6], [9]], max_new_tokens=4, temperature=temperature)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers gives checkpointing another name
def test_a_model_in_training_mode_samples_as_in_evaluation(lm):
    """Dropout would change it, and with gradient checkpointing there would be no cache. Its mode is given back."""
    training = clone(lm)
    for layer in training.model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    training.model.gradient_checkpointing_enable()
    training.model.train()
    training.model.lm_head.eval()
    modes = [module.training for module in training.model.modules()]
    assert_same(mixed(training), mixed(lm))
    assert [module.training for module in training.model.modules()] == modes
    with pytest.raises(ValueError, match="Prompt 0 is empty"):
        sample(training, [[]], max_new_tokens=4)
    assert [module.training for module in training.model.modules()] == modes


def test_chat_prompts_end_where_the_answer_begins(lm):
    questions = [ask("capital", "Peru"), ask("sum", "12 + 7")]
    first, second = chat_prompts(lm, questions)
    assert lm.tokenizer.decode(first) == f"<|im_start|>user\n{questions[0].text}<|im_end|>\n<|im_start|>assistant\n"
    assert lm.tokenizer.decode(second).count("12 + 7") == 1
    for prompt, question in zip(chat_prompts(lm, questions, LLAMA2), questions, strict=True):
        turn = [{"role": "user", "content": question.text}]
        assert prompt == LLAMA2.encode(lm.tokenizer, turn, add_generation_prompt=True).input_ids
    assert chat_prompts(lm, []) == []
