"""The check of preference pairs: every count by hand, by a slow plain version, and what it leaves as it was."""

import math
from itertools import permutations

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.formats import DataError, as_messages
from course.preferences.check import RULES, Counted, check_pairs


def pair(prompt, chosen, rejected, **more):
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **more}


ANSWERS = ("one", "two words", "- three words", "Four! Four! Four! Four!")
RECORDS = st.lists(
    st.builds(pair, st.sampled_from(["p", "q"]), st.sampled_from(ANSWERS), st.sampled_from(ANSWERS)), min_size=1
)


# ---- what is counted ---------------------------------------------------------------------------------------


def test_a_small_set_by_hand():
    report = check_pairs(
        [
            pair("p", "a b c", "d"),
            pair("p", "d", "e"),
            pair("p", "e", "a b c"),
            pair("p", "a b c", "d"),
            pair("q", "a b c", "d"),
            pair("q", "x", "x"),
        ]
    )
    assert (report.pairs, report.prompts) == (6, 2)
    assert report.chosen_words == pytest.approx((3 + 1 + 1 + 3 + 3 + 1) / 6)
    assert report.rejected_words == pytest.approx((1 + 1 + 3 + 1 + 1 + 1) / 6)
    assert report.rules["the longer answer"] == Counted(3, 4)
    assert report.equal == Counted(1, 6, (5,))
    assert report.copies == Counted(1, 6, (3,))
    assert report.contradicting == Counted(4, 6, (0, 1, 2, 3))
    assert report.agreement == Counted(1, 1)


def test_the_same_answers_to_another_prompt_are_another_comparison():
    report = check_pairs([pair("p", "a", "b"), pair("q", "b", "a"), pair("r", "a", "b")])
    assert not report.contradicting.count
    assert not report.copies.count
    assert not report.agreement.of


def test_the_opposite_label_contradicts_and_does_not_agree():
    report = check_pairs([pair("p", "a", "b"), pair("p", "b", "a"), pair("p", "c", "a")])
    assert report.contradicting.rows == (0, 1)
    assert report.agreement == Counted(0, 1)


def test_another_labeller_is_another_opinion_and_the_same_one_none():
    twice = [pair("p", "a", "b", labeller="Ada"), pair("p", "a", "b", labeller="Bo")]
    report = check_pairs([*twice, twice[0]])
    assert report.copies.rows == (2,)
    assert report.agreement == Counted(2, 2)  # Ada's two labels stand beside Bo's, and not beside each other


@pytest.mark.parametrize(
    ("more", "less", "rule"),
    [
        ("two words", "one", "the longer answer"),
        ("- an item\n2. another", "- an item", "more items of a list"),
        ("Yes!", "Yes.", "more exclamation marks"),
    ],
)
def test_a_rule_names_the_answer_with_more(more, less, rule):
    assert RULES[rule](more) > RULES[rule](less)
    assert check_pairs([pair("p", more, less), pair("q", less, more), pair("r", "x", "x")]).rules[rule] == Counted(1, 2)


def test_spaces_at_the_ends_make_no_difference():
    report = check_pairs([pair("p", "a ", "a"), pair("p", "a", "b"), pair(" p", "a", "b ")])
    assert report.equal.rows == (0,)
    assert report.copies.rows == (2,)
    assert report.prompts == 1


@given(RECORDS)
def test_contradictions_are_those_that_no_ranking_satisfies(records):
    """A row is part of a circle exactly if its opposite can be concluded from the others by way of their ranking."""

    def concluded(prompt, first, last):
        """Whether a chain of records of this prompt leads from one answer down to the other."""
        middle = [answer for answer in ANSWERS if answer not in (first, last)]
        beats = {(one["chosen"], one["rejected"]) for one in records if one["prompt"] == prompt}
        chains = [way for count in range(len(middle) + 1) for way in permutations(middle, count)]
        return any(all(step in beats for step in zip((first, *way), (*way, last), strict=True)) for way in chains)

    slow = [
        row
        for row, one in enumerate(records)
        if one["chosen"] != one["rejected"] and concluded(one["prompt"], one["rejected"], one["chosen"])
    ]
    assert list(check_pairs(records).contradicting.rows) == slow


@given(RECORDS)
def test_swapped_labels_mirror_the_report(records):
    report = check_pairs(records)
    other = check_pairs([one | {"chosen": one["rejected"], "rejected": one["chosen"]} for one in records])
    assert (other.chosen_words, other.rejected_words) == (report.rejected_words, report.chosen_words)
    for name, found in report.rules.items():
        assert other.rules[name] == Counted(found.of - found.count, found.of)
    for same in ("equal", "copies", "contradicting", "agreement"):
        assert getattr(other, same) == getattr(report, same)


@given(RECORDS)
def test_messages_are_read_as_texts_are(records):
    texts, messages = check_pairs(records), check_pairs([as_messages(one) for one in records])
    for same in ("prompts", "equal", "copies", "contradicting", "agreement"):
        assert getattr(messages, same) == getattr(texts, same)


# ---- shares ------------------------------------------------------------------------------------------------


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_share_and_narrows(of, data):
    found = Counted(data.draw(st.integers(0, of)), of)
    low, high = found.interval
    assert 0 <= low <= found.share <= high <= 1
    wide, narrow = high - low, Counted(4 * found.count, 4 * of).interval
    assert narrow[1] - narrow[0] < wide


def test_the_interval_is_wilsons():
    low, high = Counted(15, 20).interval  # as statsmodels' proportion_confint(15, 20, method="wilson") gives it
    assert (low, high) == (pytest.approx(0.5313, abs=1e-4), pytest.approx(0.8881, abs=1e-4))


def test_nothing_counted_says_nothing():
    assert math.isnan(Counted(0, 0).share)
    assert Counted(0, 0).interval == (0, 1)


# ---- how it is shown ---------------------------------------------------------------------------------------


def test_the_table_names_rows_and_leaves_out_what_was_not_there():
    report = check_pairs([pair("p", "a b", "c")] * 12)
    table = {row["check"]: row for row in report.table()}
    assert table["copies"]["found"] == "11"
    assert table["copies"]["rows"] == "1, 2, 3, 4, 5, 6, 7, 8 and 3 more"
    assert table["the longer answer wins"]["found"] == "100% of 12"
    assert "more exclamation marks wins" not in table
    assert "1, 2, 3, 4, 5, 6, 7, 8 and 3 more" in str(report)
    assert "two labels agree" not in str(check_pairs([pair("p", "a", "b")]))


# ---- what is refused ---------------------------------------------------------------------------------------


def test_no_records_are_refused():
    with pytest.raises(ValueError, match="no pairs to check"):
        check_pairs([])


@pytest.mark.parametrize("bad", [{"prompt": "p", "chosen": "a"}, "text", pair("p", "a", 3), pair("p", " ", "b")])
def test_a_record_of_another_kind_is_refused_with_its_row(bad):
    with pytest.raises(DataError, match="row 1"):
        check_pairs([pair("p", "a", "b"), bad])


def test_a_table_and_a_generator_are_counted_and_no_data_is_named():
    records = [pair("p", "one", "two words"), pair("q", "one", "two words")]
    for source in (pandas.DataFrame(records), (record for record in records)):
        assert check_pairs(source) == check_pairs(records)
    with pytest.raises(TypeError, match="not as text"):
        check_pairs("p")
