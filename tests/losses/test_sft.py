"""The SFT loss against `transformers` and TRL, and the invariances that a right mask has (claim S8)."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.loss.loss_utils import ForCausalLMLoss

from course.batching import IGNORE, collate, make_labels
from course.losses.sft import sft_loss, token_logps, token_losses
from course.templates import CHATML
from tests.tiny import build_model, build_tokenizer

TOKENIZER = build_tokenizer()
MODEL = build_model(TOKENIZER)
SHAPES = {"batch": st.integers(1, 4), "time": st.integers(2, 9), "vocabulary": st.integers(2, 30)}
CONVERSATIONS = [
    [("user", "What is the capital of Peru?"), ("assistant", "Lima.")],
    [("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4"), ("user", "Why?"), ("assistant", "It is a sum.")],
    [("user", "Hi"), ("assistant", "The capital of Italy is Rome, and that of France is Paris.")],
]


def messages(number: int) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in CONVERSATIONS[number]]


def examples() -> list[dict[str, list[int]]]:
    encoded = [CHATML.encode(TOKENIZER, messages(i)) for i in range(len(CONVERSATIONS))]
    return [{"input_ids": e.input_ids, "labels": make_labels(e.input_ids, e.assistant_mask)} for e in encoded]


def loss_of(batch: dict[str, torch.Tensor]) -> float:
    with torch.no_grad():
        logits = MODEL(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return sft_loss(logits, batch["labels"]).item()


def random_case(batch: int, time: int, vocabulary: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random scores and labels, about half of them masked, at least one not."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, time, vocabulary, generator=random)
    labels = torch.randint(vocabulary, (batch, time), generator=random)
    labels[torch.rand(batch, time, generator=random) < 0.5] = IGNORE
    labels[0, -1] = 0
    return logits, labels


@given(**SHAPES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_equals_the_loss_of_transformers_and_so_does_its_gradient(batch, time, vocabulary, seed):
    logits, labels = random_case(batch, time, vocabulary, seed)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss, expected = sft_loss(ours, labels), ForCausalLMLoss(theirs, labels, vocabulary)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_equals_the_loss_of_a_model_called_with_labels():
    batch = collate(examples(), TOKENIZER.pad_token_id)
    with torch.no_grad():
        out = MODEL(**batch)
    torch.testing.assert_close(sft_loss(out.logits, batch["labels"]), out.loss, rtol=1e-5, atol=1e-5)


def test_equals_trls_assistant_only_loss_on_the_same_conversations(tmp_path):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tokenizer = build_tokenizer()
    tokenizer.chat_template = CHATML.jinja
    trainer = SFTTrainer(
        build_model(tokenizer),
        args=SFTConfig(output_dir=str(tmp_path), assistant_only_loss=True, report_to=[], use_cpu=True, bf16=False),
        train_dataset=Dataset.from_list([{"messages": messages(i)} for i in range(len(CONVERSATIONS))]),
        processing_class=tokenizer,
    )
    theirs = trainer.data_collator(list(trainer.train_dataset))
    ours = collate(examples(), tokenizer.pad_token_id)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with torch.no_grad():
        expected = trainer.compute_loss(trainer.model.eval(), dict(theirs)).item()
    assert loss_of(ours) == pytest.approx(expected, abs=1e-5)


@given(**SHAPES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_masked_tokens_have_no_loss_and_pass_no_gradient(batch, time, vocabulary, seed):
    logits, labels = random_case(batch, time, vocabulary, seed)
    logits.requires_grad_()
    masked = labels[:, 1:] == IGNORE
    losses = token_losses(logits, labels)
    assert losses.shape == (batch, time - 1)
    assert (losses[masked] == 0).all()
    assert (losses[~masked] > 0).all()
    sft_loss(logits, labels).backward()
    assert (logits.grad[:, :-1][masked] == 0).all()
    assert (logits.grad[:, -1] == 0).all()  # the last scores are for a token that is not there
    assert (logits.grad[:, :-1][~masked].abs().sum(-1) > 0).all()


@given(**SHAPES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_is_the_mean_over_learnt_tokens_alone_in_any_order_of_rows(batch, time, vocabulary, seed):
    logits, labels = random_case(batch, time, vocabulary, seed)
    loss = sft_loss(logits, labels)
    one_by_one = [
        -logits[row, t].log_softmax(-1)[labels[row, t + 1]]
        for row in range(batch)
        for t in range(time - 1)
        if labels[row, t + 1] != IGNORE
    ]
    torch.testing.assert_close(loss, torch.stack(one_by_one).mean(), rtol=1e-5, atol=1e-5)
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(sft_loss(logits[order], labels[order]), loss, rtol=1e-5, atol=1e-6)


@given(vocabulary=st.integers(2, 50))
def test_is_log_of_the_vocabulary_where_nothing_is_known(vocabulary):
    labels = torch.zeros(2, 3, dtype=torch.long)
    assert sft_loss(torch.zeros(2, 3, vocabulary), labels).item() == pytest.approx(math.log(vocabulary), abs=1e-5)


@pytest.mark.parametrize("learn_all", [False, True], ids=["answers", "every token"])
def test_padding_changes_nothing(learn_all):
    alone = [{**e, "labels": e["input_ids"]} if learn_all else e for e in examples()]
    counts = [sum(label != IGNORE for label in example["labels"][1:]) for example in alone]
    each = [loss_of(collate([example], TOKENIZER.pad_token_id)) for example in alone]
    expected = sum(n * loss for n, loss in zip(counts, each, strict=True)) / sum(counts)
    for pad_id in (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id):
        assert loss_of(collate(alone, pad_id)) == pytest.approx(expected, abs=1e-5)


def test_half_precision_scores_are_added_up_in_float32():
    logits, labels = random_case(3, 8, 2000, seed=0)
    loss = sft_loss(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, sft_loss(logits.bfloat16().float(), labels), rtol=0, atol=0)


def test_what_cannot_be_a_loss_is_refused():
    with pytest.raises(ValueError, match=r"logits \(2, 3, 5\) and labels \(2, 4\) do not fit"):
        sft_loss(torch.zeros(2, 3, 5), torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"logits \(3, 5\) and labels \(3,\) do not fit"):
        token_losses(torch.zeros(3, 5), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="All labels are masked"):
        sft_loss(torch.zeros(2, 3, 5), torch.full((2, 3), IGNORE))
    only_first = torch.tensor([[1, IGNORE, IGNORE]])
    with pytest.raises(ValueError, match="All labels are masked"):
        sft_loss(torch.zeros(1, 3, 5), only_first)


@pytest.mark.parametrize("shape", [(7,), (3, 5)])
def test_token_logps_are_those_of_a_categorical_distribution_and_0_where_there_is_no_token(shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(*shape, 11, generator=generator) * 5
    ids = torch.randint(11, shape, generator=generator)
    wanted = torch.distributions.Categorical(logits=logits).log_prob(ids)
    torch.testing.assert_close(token_logps(logits, ids), wanted)
    ids[..., 0], wanted[..., 0] = IGNORE, 0.0
    torch.testing.assert_close(token_logps(logits, ids), wanted)
    assert token_logps(logits.bfloat16(), ids).dtype == torch.float32
