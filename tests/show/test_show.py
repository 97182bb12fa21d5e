import html
import re
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from course.show import answers, compare_answers, page, short, show_table, show_tokens, tables, tokens, tokens_of
from course.show.tokens import Strip, tokens_html, tokens_text
from course.world import Question
from tests.contrast import contrast

QUESTIONS = [
    Question("What is the capital of Peru?", "capital", "Peru", "Lima"),
    Question("What is 12 + 7?", "sum", "12 + 7", "19"),
]
CHAT = (
    "chat",
    ["<|im_start|>", "user", "\n", "Hi", "<|im_end|>", "\n", "Lima", " now", "<|im_end|>"],
    [0] * 6 + [1] * 3,
)


def tree(markup: str) -> ElementTree.Element:
    """The HTML as a tree; it must be well formed, so nothing shown can have broken out of its place."""
    return ElementTree.fromstring(markup.replace("<br>", "<br/>"))


def text_of(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the verbs publish, as (html, text)."""
    calls: list[tuple[str, str]] = []
    for module in (answers, tables, tokens):
        monkeypatch.setattr(module, "publish", lambda html, text: calls.append((html, text)))
    return calls


# --- tokens -----------------------------------------------------------------------------------------------


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


# --- answers ----------------------------------------------------------------------------------------------


def test_wrong_answers_are_marked_in_words(shown: list[tuple[str, str]]) -> None:
    compare_answers(
        QUESTIONS,
        {
            "base": ["What is the capital of Chile?", "12 + 7 is 18."],
            "sft": ["The capital of Peru is Lima.", "12 + 7 is 19."],
        },
    )
    [(markup, text)] = shown
    rows = [[text_of(cell) for cell in row] for row in tree(markup).iter("tr")]
    assert rows[0] == ["Question", "base", "sft"]
    for row, truth in zip(rows[1:3], ("Lima", "19"), strict=True):
        assert f"true: {truth}" in row[0]
        assert "✗ wrong" in row[1]
        assert "✓" in row[2] and "✗" not in row[2]
    assert rows[3] == ["Facts", "0 of 2 right", "2 of 2 right"]
    assert text.count("✗ wrong") == 2 and text.endswith("base 0 of 2 right; sft 2 of 2 right")


def test_answers_are_escaped_clipped_and_never_blank(shown: list[tuple[str, str]]) -> None:
    hostile = "<script>alert(1)</script>"
    compare_answers(QUESTIONS, {"<b>m</b>": [hostile, ""], "long": ["x" * 1000, "19"]})
    [(markup, text)] = shown
    assert "<script" not in markup and html.escape(hostile) in markup
    assert "<b>m</b>" in text_of(tree(markup))
    assert "(empty)" in markup and "(empty)" in text
    assert f"({1000 - answers.LONGEST_ANSWER} more characters)" in markup


def test_answers_that_do_not_fit_the_questions_are_named() -> None:
    with pytest.raises(ValueError, match="'sft' has 1 answers for 2 questions"):
        compare_answers(QUESTIONS, {"sft": ["one"]})
    with pytest.raises(ValueError, match="'sft' has one string"):
        compare_answers(QUESTIONS, {"sft": "ab"})
    with pytest.raises(ValueError, match="at least one question"):
        compare_answers([], {"sft": []})
    with pytest.raises(TypeError, match=r"answer 1 of 'sft' is a Completion.*\[c.text for c in completions\]"):

        @dataclass
        class Completion:
            text: str

        compare_answers(QUESTIONS, {"sft": ["one", Completion("two")]})  # type: ignore[list-item]


# --- tables and the look of all ---------------------------------------------------------------------------


def test_a_table_has_headings_numbers_to_the_right_and_gaps(shown: list[tuple[str, str]]) -> None:
    rows = [{"step": "read <all>", "left": 12000, "share": np.float64(1.0)}, {"step": "a\nb", "left": torch.tensor(7)}]
    show_table(rows, "What each step leaves")
    [(markup, text)] = shown
    table = tree(markup)
    assert text_of(table.find(".//caption")) == "What each step leaves"
    assert [cell.get("scope") for cell in table.iter("th")] == ["col", "col", "col", "row", "row"]
    assert [text_of(cell) for cell in table.iter("td")] == ["12,000", "1", "7", ""]
    assert all("text-align:right" in cell.get("style", "") for cell in list(table.iter("td"))[:3])
    assert text.splitlines()[1:] == ["step          left  share", "read <all>  12,000      1", "a ⏎ b            7"]
    with pytest.raises(ValueError, match="'empty' has no rows"):
        show_table([], "empty")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "yes"),
        (9999, "9,999"),
        (0.123456, "0.1235"),
        (1e-7, "1e-07"),
        (12345.6, "12,346"),
        (-0.5, "-0.5"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (None, ""),
        ("<b>", "<b>"),
        (torch.tensor([1.0, 0.25]), "1, 0.25"),
        (np.bool_(False), "no"),
    ],
)
def test_short(value: object, expected: str) -> None:
    assert short(value) == expected


def test_every_face_leaves_text_colour_and_background_to_the_page(shown: list[tuple[str, str]]) -> None:
    show_tokens(CHAT)
    compare_answers(QUESTIONS, {"sft": ["Quito", "- 19"]})
    show_table([{"a": 1}], "t")
    for markup, _ in shown:
        assert not re.search(r"(?<!-)\bcolor\s*:", markup)
        assert set(re.findall(r"background\S*?:([^;\"]+)", markup)) <= {"none"}
        assert "overflow-x:auto" in markup
        for forbidden in ("<style", "<script", "onclick", "class="):
            assert forbidden not in markup


def test_accents_are_seen_on_a_white_and_on_a_dark_page() -> None:
    for color in page.ACCENTS.values():
        assert contrast(color, "#ffffff") >= 3
        assert contrast(color, "#111111") >= 3


def test_outside_a_notebook_the_text_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show_tokens(CHAT)
    show_table([{"a": 1}], "caption")
    printed = capsys.readouterr()
    assert "^^^^ ^^^^" in printed.out and "caption\na" in printed.out
    assert "<table" not in printed.out and printed.err == ""


def test_signs_that_turn_the_direction_are_written_out(capsys):
    show_table([{"answer": "safe\u202egnp.exe"}], "One \u2066answer\u2069")
    shown = capsys.readouterr().out
    assert "safe\u27e8U+202E\u27e9gnp.exe" in shown and "\u27e8U+2066\u27e9answer" in shown
