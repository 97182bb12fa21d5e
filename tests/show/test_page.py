"""What every verb that shows something stands on."""

import re

import numpy as np
import pytest
import torch

from course.show import compare_answers, page, short, show_table, show_tokens
from tests.contrast import contrast
from tests.show.conftest import CHAT, QUESTIONS


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
