"""Answers side by side: wrong ones marked in words."""

import html
from dataclasses import dataclass

import pytest

from course.show import answers, compare_answers
from tests.show.conftest import QUESTIONS, text_of, tree


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
