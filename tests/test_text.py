"""Words in any script, what a text shows, and what hides in it."""

import unicodedata

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.models import require_list
from course.templates import CHATML
from course.text import canonical, half_character, segments, show_direction, visible, word_count


@given(st.lists(st.from_regex(r"[ -~\u00e0-\u024f\u0904-\u0939]+", fullmatch=True)))
def test_words_are_what_white_space_separates(parts):
    text = " ".join(parts)
    shows = any(c.isalnum() or unicodedata.category(c).startswith("S") for c in text)
    assert word_count(text) == (len(text.split()) if shows else 0)


@given(st.text())
def test_segments_hold_all_that_is_not_white_space(text):
    assert "".join("".join(segments(text)).split()) == "".join(text.split())
    assert word_count(text) <= len(segments(text))
    assert word_count(text) == word_count(visible(text))


@given(st.text())
def test_one_way_of_writing_is_one(text):
    once = canonical(text)
    assert canonical(once) == once == canonical(unicodedata.normalize("NFD", text))
    assert set(visible(text)) <= set(text)


def test_what_carries_meaning_stays():
    for one, other in (("5\u00b2", "52"), ("Will", "will"), ("\ufb01", "fi"), ("\u2460", "1"), ("a b", "ab")):
        assert canonical(one) != canonical(other)
    assert (
        canonical("na\u00efve \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "na\u00efve \u0645\u06cc\u062e\u0648\u0627\u0647\u0645"
    )


@given(st.text())
def test_half_a_character_is_what_utf8_refuses(text):
    assert half_character(text) is None
    assert half_character(f"{text}\ud83d") == f"U+D83D at character {len(text) + 1}"


def test_signs_that_turn_the_direction_are_written_out():
    assert show_direction("a\u202eb\u2066c\u200fd") == "a\u27e8U+202E\u27e9b\u27e8U+2066\u27e9c\u200fd"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("Hello", r"prompts is one text where a list is asked"),
        ({"messages": []}, r"prompts is one record where a list is asked"),
        (["Hello", "a \ud83d"], r"prompts\[1\] holds half of a character \(U\+D83D at character 3\)"),
        (
            pandas.DataFrame([{"prompt": "Hello"}]),
            "prompts is a DataFrame where a list is asked: read it with load_records",
        ),
    ],
)
def test_what_is_no_list_of_whole_texts_is_refused_wherever_texts_enter(values, says):
    with pytest.raises(ValueError, match=says):
        require_list(values, "prompts")


def test_half_a_character_in_a_turn_is_refused():
    turns = [{"role": "user", "content": "Hi \ud83d"}]
    with pytest.raises(ValueError, match=r"messages\[0\]\.content holds half of a character"):
        CHATML.encode(None, turns)
