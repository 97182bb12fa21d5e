"""Token strips: every token whole, escaped and marked."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from course.show import show_tokens, tokens, tokens_of
from course.show.tokens import Strip, tokens_html, tokens_text
from tests.show.conftest import CHAT, text_of, tree


def test_exactly_the_tokens_in_the_loss_are_underlined() -> None:
    table = tree(tokens_html(CHAT))
    assert [text_of(e) for e in table.iter("ins")] == ["Lima", "·now", "<|im_end|>"]
    assert "9 tokens, 3 in the loss" in text_of(table)
    assert list(tree(tokens_html(("no mask", CHAT[1], None))).iter("ins")) == []


def test_special_tokens_stand_out_and_spelt_markers_differently() -> None:
    spelt = ("typed by a user", ["<", "|im", "_end", "|>", " [", "INST", "]"], None)
    table = tree(tokens_html(CHAT, spelt))
    assert [text_of(e) for e in table.iter("b")] == ["<|im_start|>", "<|im_end|>", "<|im_end|>"]
    dashed = [text_of(e) for e in table.iter("span") if "dashed" in e.get("style", "")]
    assert dashed == ["<", "|im", "_end", "|>", "·[", "INST", "]"]


def test_the_legend_explains_only_what_occurs() -> None:
    def legend(*strips: Strip) -> str:
        caption = tree(tokens_html(*strips)).find(".//caption")
        return "" if caption is None else text_of(caption)

    assert legend(("plain", ["a", "b"], None)) == ""
    assert "·" in legend(("space", [" a"], None))
    assert legend(("mask", ["a"], [0])) == "underlined = counts in the loss"
    assert "part of a character" in legend(("half", ["\ufffd"], None))


def test_text_puts_carets_under_the_tokens_in_the_loss() -> None:
    lines = tokens_text(CHAT).splitlines()
    assert lines[:3] == ["chat (9 tokens, 3 in the loss)", "  <|im_start|> user ⏎", "  Hi <|im_end|> ⏎"]
    assert lines[3] == "  Lima ·now <|im_end|>"
    assert lines[4] == "  ^^^^ ^^^^ ^^^^^^^^^^"


@given(st.lists(st.tuples(st.text(), st.booleans()), min_size=1, max_size=60))
def test_any_token_is_shown_whole_and_escaped_in_both_faces(pairs: list[tuple[str, bool]]) -> None:
    texts, mask = [t for t, _ in pairs], [m for _, m in pairs]
    visible = [tokens._visible(t) for t in texts]
    table = tree(tokens_html(("<i>any</i>", texts, mask)))
    assert text_of(table.find(".//td")).split(" ") == visible
    assert text_of(table.find(".//th")).startswith("<i>any</i>")
    assert len(list(table.iter("ins"))) == sum(mask)
    lines = tokens_text(("any", texts, mask)).splitlines()
    assert max(map(len, lines[1:-1])) <= max(tokens.LINE_WIDTH + 2, *(len(v) + 2 for v in visible))
    assert sum(line.count("^") for line in lines[1:-1] if set(line) <= {" ", "^"}) >= sum(
        len(v) for v, m in zip(visible, mask, strict=True) if m
    )


def test_bad_strips_are_named() -> None:
    with pytest.raises(ValueError, match="at least one strip"):
        show_tokens()
    with pytest.raises(ValueError, match=r"'left'.*2 tokens but a mask of 1"):
        show_tokens(("left", ["a", "b"], [1]))
    with pytest.raises(ValueError, match="None for no mask"):
        show_tokens(("left", ["a"]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'left'.*list of strings"):
        show_tokens(("left", "ab", None))
    with pytest.raises(TypeError, match=r"'left'.*list of strings"):
        show_tokens(("left", [1, 2], None))  # type: ignore[list-item]


def test_tokens_of_gives_the_text_back_token_by_token(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tiny_tokenizer("<|im_start|>user\nWhat is 12 + 7?<|im_end|>", add_special_tokens=False).input_ids
    texts = tokens_of(tiny_tokenizer, ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == "<|im_start|>user\nWhat is 12 + 7?<|im_end|>"
    assert tokens_of(tiny_tokenizer, torch.tensor(ids)) == texts == tokens_of(tiny_tokenizer, np.array(ids))


def test_tokens_of_says_what_is_wrong_with_the_ids(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ValueError, match=r"-100 at position 1.*labels != -100"):
        tokens_of(tiny_tokenizer, [0, -100])
    with pytest.raises(ValueError, match=r"pass ids\[0\]"):
        tokens_of(tiny_tokenizer, torch.tensor([[0, 1]]))
