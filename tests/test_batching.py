"""Labels, padding, collation, clipping and blocks: by hand, as properties, and against TRL's collator."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from course.batching import (
    IGNORE,
    blocks,
    check_examples,
    clip,
    collate,
    make_labels,
    pad,
    read_by_length,
    read_in_parts,
)

TOKENS = st.integers(1, 99)


@st.composite
def an_example(draw: st.DrawFn) -> dict[str, list[int]]:
    """Two to ten tokens, of which at least one after the first is to be learnt."""
    input_ids = draw(st.lists(TOKENS, min_size=2, max_size=10))
    mask = draw(st.lists(st.integers(0, 1), min_size=len(input_ids), max_size=len(input_ids)))
    mask[draw(st.integers(1, len(input_ids) - 1))] = 1
    return {"input_ids": input_ids, "labels": make_labels(input_ids, mask)}


EXAMPLES = st.lists(an_example(), min_size=1, max_size=6)


def test_labels_are_the_tokens_of_the_mask():
    assert make_labels([5, 6, 7], [0, 1, 1]) == [IGNORE, 6, 7]
    with pytest.raises(ValueError, match="3 tokens and 2 entries"):
        make_labels([5, 6, 7], [0, 1])


def test_padding_by_hand():
    assert pad([[1, 2, 3], [4]], value=0).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert pad([[1, 2, 3], [4]], value=0, side="left").tolist() == [[1, 2, 3], [0, 0, 4]]
    assert pad([[], []], value=0).shape == (2, 0)


@given(
    sequences=st.lists(st.lists(TOKENS, max_size=8), min_size=1, max_size=6), side=st.sampled_from(["left", "right"])
)
def test_padding_can_be_taken_off_again(sequences, side):
    padded = pad(sequences, value=0, side=side)
    assert padded.shape == (len(sequences), max(map(len, sequences)))
    assert [[token for token in row if token] for row in padded.tolist()] == sequences
    for row, sequence in zip(padded.tolist(), sequences, strict=True):
        assert (row[: len(sequence)] if side == "right" else row[len(row) - len(sequence) :]) == sequence


@given(examples=EXAMPLES)
def test_collation_is_trls(examples):
    ours, theirs = collate(examples, pad_id=0), DataCollatorForLanguageModeling(pad_token_id=0)(examples)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@given(examples=EXAMPLES)
def test_attention_is_on_the_real_tokens_and_no_label_is_on_padding(examples):
    batch = collate(examples, pad_id=7)  # 7 is a token too: padding is known by place, not by id
    real = batch["attention_mask"].bool()
    assert batch["input_ids"][real].tolist() == [token for example in examples for token in example["input_ids"]]
    assert (batch["input_ids"][~real] == 7).all()
    assert (batch["labels"][~real] == IGNORE).all()
    learnt = [label for example in examples for label in example["labels"][1:] if label != IGNORE]
    shifted = batch["labels"][:, 1:]
    assert shifted[(shifted != IGNORE) & real[:, :-1]].tolist() == learnt


def test_batches_that_teach_nothing_are_refused_with_the_example():
    good = {"input_ids": [1, 2], "labels": [IGNORE, 2]}
    with pytest.raises(ValueError, match="There are no examples: the list is empty"):
        collate([], pad_id=0)
    with pytest.raises(ValueError, match=r"examples\[1\] has 2 input_ids and 1 labels"):
        collate([good, {"input_ids": [1, 2], "labels": [2]}], pad_id=0)
    with pytest.raises(ValueError, match=r"1 of 2 examples have no token to learn, first examples\[1\]: all labels"):
        collate([good, {"input_ids": [1, 2], "labels": [IGNORE, IGNORE]}], pad_id=0)
    with pytest.raises(ValueError, match=r"1 of 1 examples have no token to learn"):
        collate([{"input_ids": [1, 2], "labels": [1, IGNORE]}], pad_id=0)  # nothing comes before the first
    with pytest.raises(ValueError, match='"right" or "left", not \'middle\''):
        pad([[1]], value=0, side="middle")
    with pytest.raises(ValueError, match="list of sequences is empty"):
        pad([], value=0)


def test_a_list_is_called_by_its_name():
    check_examples([{"input_ids": [1, 2], "labels": [IGNORE, 2]}])
    with pytest.raises(ValueError, match=r"1 of 1 held_out have no token to learn, first held_out\[0\]"):
        check_examples([{"input_ids": [1, 2], "labels": [IGNORE, IGNORE]}], "held_out")


def test_clipping_says_what_was_cut_and_why():
    fits = {"input_ids": [1, 2, 3], "labels": [IGNORE, 2, 3]}
    long = {"input_ids": [1, 2, 3, 4, 5], "labels": [IGNORE, IGNORE, 3, 4, 5]}
    late = {"input_ids": [1, 2, 3, 4, 5, 6], "labels": [IGNORE] * 5 + [6]}
    kept, report = clip([fits, long, late], max_length=3)
    assert kept == [fits, {"input_ids": [1, 2, 3], "labels": [IGNORE, IGNORE, 3]}]
    assert (report.total, report.longest, report.cut, report.dropped) == (3, 6, 1, [2])
    assert "2 of 3 examples were longer than 3 tokens (the longest had 6): 1 were cut" in str(report)
    assert "1 were dropped, because no token to learn was left" in str(report)
    assert len(late["input_ids"]) == 6  # what came in is untouched


@given(examples=EXAMPLES, max_length=st.integers(10, 20))
def test_clipping_leaves_what_fits(examples, max_length):
    kept, report = clip(examples, max_length)
    assert kept == examples
    assert (report.cut, report.dropped) == (0, [])
    assert str(report).startswith(f"All {len(examples)} examples fit")


def test_clipping_leaves_a_short_example_without_an_answer_for_collate_to_name():
    silent = {"input_ids": [1, 2], "labels": [IGNORE, IGNORE]}
    assert clip([silent], max_length=2)[0] == [silent]


def test_clipping_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"No example is left\. 1 of 1 examples were longer than 2"):
        clip([{"input_ids": [1, 2, 3], "labels": [IGNORE, IGNORE, 3]}], max_length=2)
    with pytest.raises(ValueError, match="no examples to clip"):
        clip([], max_length=5)
    with pytest.raises(ValueError, match="leaves no token to predict"):
        clip([], max_length=1)


@given(documents=st.lists(st.lists(TOKENS, max_size=8), min_size=1, max_size=8), length=st.integers(2, 6))
def test_blocks_are_the_documents_in_a_row(documents, length):
    row = [0]
    for document in documents:
        row += [*document, 0]
    if len(row) < length:
        with pytest.raises(ValueError, match=f"{len(row)} tokens, fewer than one block of {length}"):
            blocks(documents, length, end_id=0)
        return
    made = blocks(documents, length, end_id=0)
    assert made.dtype == torch.long
    assert made.shape == (len(row) // length, length)
    assert made.flatten().tolist() == row[: made.numel()]


def test_blocks_of_one_token_are_refused():
    with pytest.raises(ValueError, match="length=1"):
        blocks([[1, 2]], length=1, end_id=0)


@given(rows=st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=12), size=st.integers(1, 13))
def test_reading_by_length_gives_each_row_its_own_result_and_mixes_few_lengths(rows, size):
    groups = []

    def read(group: list[list[int]]) -> torch.Tensor:
        groups.append([len(row) for row in group])
        return torch.tensor([[sum(row), len(row)] for row in group])

    found = read_by_length(rows, len, size, read)
    assert found.tolist() == [[sum(row), len(row)] for row in rows]
    lengths = [length for group in groups for length in group]
    assert lengths == sorted(lengths) and max(map(len, groups)) <= size


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_reading_in_parts_gives_the_gradient_of_the_whole_and_reads_anew_in_the_backward_pass(parts):
    weight = torch.tensor(2.0, requires_grad=True)
    rows, groups = [[1.0], [2.0, 2.0], [3.0] * 3, [1.0], [4.0, 4.0]], []

    def read(group: list[list[float]]) -> torch.Tensor:
        groups.append(len(group))
        return torch.stack([(weight * torch.tensor(row)).exp().sum() for row in group])

    read_in_parts(rows, len, parts, read).logsumexp(0).backward()  # no sum over rows
    again = groups[len(groups) // 2 :] if parts > 1 else groups
    assert len(groups) == len(again) * (1 if parts == 1 else 2) and max(groups) == -(-len(rows) // (2 * parts))
    plain = torch.tensor(2.0, requires_grad=True)
    torch.stack([(plain * torch.tensor(row)).exp().sum() for row in rows]).logsumexp(0).backward()
    torch.testing.assert_close(weight.grad, plain.grad)
