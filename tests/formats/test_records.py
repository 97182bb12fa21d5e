"""What each kind of record must satisfy, and that every fault is named with its place and its mend."""

import json
from decimal import Decimal

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.formats import KINDS, DataError, check, load_records, validate
from tests.formats.good import GOOD, LIKERT, PAIR, SYSTEM, assistant, user

RANKING = GOOD["ranking"][0]
BAD = [
    # kind, record, field, what, mend (or a part of it)
    ("instruction", {"instruction": "Add."}, "output", "is missing", "Add 'output'"),
    ("instruction", {"instruction": " ", "output": "4"}, "instruction", "is empty", "Write the text"),
    ("instruction", {"instruction": "Add.", "output": 4}, "output", "is a number, not text", "as a string"),
    ("instruction", {"instruction": "Add.", "input": 2, "output": "4"}, "input", "is a number, not text", "''"),
    ("instruction", "Add.", "", "is text, not a record", "named fields"),
    *[
        (kind, GOOD[kind][0] | {"prompt": prompt}, "prompt", f"is a conversation written as {form}", "list of messages")
        for kind in ("unpaired", "ranking", "likert")
        for prompt, form in [
            ("\n\nHuman: Hi\n\nAssistant:", "one text with `Human:` and `Assistant:`"),
            (json.dumps([user("Hi")]), "JSON in a text"),
            (str([SYSTEM, user("Hi")]), "JSON in a text"),
        ]
    ],
    ("conversation", {"text": "Hi"}, "messages", "is missing", "Add 'messages'"),
    ("conversation", {"messages": "Hi"}, "messages", "is text, not a list", "'role'"),
    ("conversation", {"messages": []}, "messages", "is empty", "Add its turns"),
    ("conversation", {"messages": [user("Hi"), "Yes?"]}, "messages[1]", "is text, not a message", "'role'"),
    ("conversation", {"messages": [user("Hi"), {"content": "Yes?"}]}, "messages[1].role", "is missing", "assistant"),
    (
        "conversation",
        {"messages": [{"role": "human", "content": "Hi"}, assistant("Yes?")]},
        "messages[0].role",
        "unknown role 'human'",
        "Call it 'user'",
    ),
    (
        "conversation",
        {"messages": [user("Hi"), {"role": "tool", "content": "4"}]},
        "messages[1].role",
        "unknown role 'tool'",
        "Use one of system, user, assistant",
    ),
    ("conversation", {"messages": [user("Hi"), assistant("")]}, "messages[1].content", "is empty", "Write the text"),
    (
        "conversation",
        {"messages": [user("Hi"), {"role": "assistant"}]},
        "messages[1].content",
        "is missing",
        "remove the record",
    ),
    (
        "conversation",
        {"messages": [user("Hi"), assistant("Yes?"), assistant("Hello?")]},
        "messages[2]",
        "two assistant turns in a row",
        "Join them",
    ),
    (
        "conversation",
        {"messages": [user("Hi"), SYSTEM, assistant("Yes?")]},
        "messages[1]",
        "a system turn that is not the first",
        "front",
    ),
    ("conversation", {"messages": [SYSTEM, user("Hi")]}, "messages", "has no assistant turn", "Add one"),
    ("conversation", {"messages": [SYSTEM]}, "messages", "has no assistant turn", "Add one"),
    (
        "conversation",
        {"messages": [user("Hi"), assistant("Yes?"), user("Bye")]},
        "messages",
        "ends with the user",
        "Add the assistant's turn",
    ),
    (
        "conversation",
        {"messages": [assistant("Yes?"), user("Hi"), assistant("Hello.")]},
        "messages",
        "starts with the assistant",
        "Put the user's turn first",
    ),
    ("preference", {**PAIR, "rejected": "Hello."}, "rejected", "is the same as chosen", "remove the record"),
    ("preference", {**PAIR, "chosen": None}, "chosen", "is missing", "Add 'chosen'"),
    ("preference", {**PAIR, "rejected": ""}, "rejected", "is empty", "Write the text"),
    (
        "preference",
        {**PAIR, "chosen": [assistant("Hello.")]},
        "chosen",
        "is messages while the prompt is text",
        "Use one sort",
    ),
    (
        "preference",
        {**GOOD["preference"][1], "prompt": [user("Hi"), assistant("Hello.")]},
        "prompt",
        "ends with the assistant",
        "drop the last one",
    ),
    ("preference", {**GOOD["preference"][1], "prompt": [SYSTEM]}, "prompt", "has no user turn", "Add one"),
    ("preference", {**PAIR, "prompt": 7}, "prompt", "is a number, not text", "as a string"),
    ("unpaired", {"prompt": "Hi", "completion": "Yo"}, "label", "is missing", "true for a good"),
    ("unpaired", {"prompt": "Hi", "completion": "Yo", "label": "yes"}, "label", "'yes', not true or false", "quotes"),
    ("unpaired", {"prompt": "Hi", "completion": "Yo", "label": 1}, "label", "is 1, not true or false", "Write true"),
    ("ranking", {**RANKING, "ranks": [1, 2, 2]}, "ranks", "is not an order of 1 to 3", "the best 1"),
    ("ranking", {**RANKING, "ranks": [0, 1, 2]}, "ranks", "is not an order of 1 to 3", "each once"),
    ("ranking", {**RANKING, "ranks": [1, 2]}, "ranks", "has 2 numbers for 3 completions", "Give each"),
    ("ranking", {**RANKING, "ranks": [1, 2, "3"]}, "ranks[2]", "is '3', not a number", "as a number"),
    ("ranking", {**RANKING, "ranks": None}, "ranks", "is missing", "Add 'ranks'"),
    ("ranking", {**RANKING, "ranks": 1}, "ranks", "is a number, not a list", "one number for each"),
    ("ranking", {"prompt": "Hi", "completions": ["Yo"], "ranks": [1]}, "completions", "has 1 of at least 2", "Add"),
    ("ranking", {"prompt": "Hi", "ranks": [1]}, "completions", "is missing", "Add 'completions'"),
    ("ranking", {**RANKING, "completions": "Yo"}, "completions", "is text, not a list", "one entry for each"),
    (
        "ranking",
        {**RANKING, "completions": ["Yo", "No.", "Yo"]},
        "completions[2]",
        "is the same as completions[0]",
        "Keep one",
    ),
    ("ranking", {**RANKING, "completions": ["Yo", "", "Hi"]}, "completions[1]", "is empty", "Write the text"),
    ("likert", {**LIKERT, "ratings": [6, 5]}, "ratings[0]", "6 is outside the scale 1 to 5", "`scale`"),
    (
        "likert",
        {**LIKERT, "ratings": [1, 2], "scale": [2, 4]},
        "ratings[0]",
        "1 is outside the scale 2 to 4",
        "`scale`",
    ),
    ("likert", {**LIKERT, "ratings": [float("nan"), 2]}, "ratings[0]", "is nan, not a number", "as a number"),
    ("likert", {**LIKERT, "ratings": [True, 2]}, "ratings[0]", "is True, not a number", "as a number"),
    ("likert", {**LIKERT, "scale": [5, 1]}, "scale", "is [5, 1]", "such as [1, 5]"),
    ("likert", {**LIKERT, "scale": "1-5"}, "scale", "is '1-5'", "such as [1, 5]"),
]


HALF = "half of a character (U+D83D at character 4)"
BAD += [
    ("conversation", {"messages": [user("Hi \ud83d"), assistant("Yes.")]}, "messages[0].content", HALF, "whole"),
    (
        "instruction",
        {"instruction": "Hi", "output": "Hi.", "meta": {"by": ["Al \ud83d"]}},
        "meta.by[0]",
        HALF,
        "escapes",
    ),
    ("likert", {**LIKERT, "Is \ud83d": 1}, "the name 'Is \\ud83d'", HALF, "whole"),
    ("instruction", {"instruction": "Hi", "output": "\u200b\ufeff"}, "output", "is empty", "show nothing"),
    ("likert", {**LIKERT, "ratings": [10**400, 2]}, "ratings[0]", "000..., not a number", "as a number"),
    ("likert", {**LIKERT, "ratings": [10**5000, 2]}, "ratings[0]", "thousands of digits, not a number", "as a number"),
    ("likert", {**LIKERT, "ratings": [np.bool_(True), 2]}, "ratings[0]", "True_, not a number", "as a number"),
    ("conversation", {"messages": [{"role": "x" * 10**6, "content": "Hi"}]}, "messages[0].role", "xxx...", "one of"),
]


CALL = [{"function": {"name": "add"}}]
BAD += [
    ("likert", {**LIKERT, "scale": []}, "scale", "is []", "such as [1, 5]"),
    ("likert", {**LIKERT, "scale": 0}, "scale", "is 0", "such as [1, 5]"),
    ("instruction", {"instruction": float("nan"), "output": "4"}, "instruction", "NaN, which tables", "as a string"),
    ("instruction", {"instruction": b"Add.", "output": "4"}, "instruction", "is bytes, not text", "as a string"),
    (
        "instruction",
        {"instruction": "Add.", "output": "4", "by": {"a \ud83d"}},
        "by[0]",
        "half of a character",
        "whole",
    ),
    (
        "instruction",
        {"instruction": "Add.", "output": "4", ("\ud83d",): 1},
        "the name ('\\ud83d',)[0]",
        "half",
        "whole",
    ),
    ("instruction", {"instruction": "Add.", "output": "4", "a \ud83d": "b"}, "the name 'a \\ud83d'", "half", "whole"),
    (
        "conversation",
        {"messages": [{"role": "User ", "content": "Hi"}, assistant("Yo")]},
        "messages[0].role",
        "'User '",
        "Call it 'user'",
    ),
    (
        "conversation",
        {"messages": [{"role": "developer", "content": "Hi"}, user("a"), assistant("Yo")]},
        "messages[0].role",
        "developer",
        "Call it 'system'",
    ),
    (
        "conversation",
        {"messages": [user("Hi"), {"role": "function", "content": "4"}]},
        "messages[1].role",
        "unknown role 'function'",
        "no calls of tools",
    ),
    (
        "conversation",
        {"messages": [user("Hi"), {**assistant("4"), "tool_calls": CALL}]},
        "messages[1].tool_calls",
        "not read here",
        "remove the record",
    ),
    (
        "conversation",
        {"messages": [user("Hi"), {**assistant("4"), "weight": 0}]},
        "messages[1].weight",
        "is 0, which is not read",
        "Remove it",
    ),
    (
        "conversation",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, assistant("Yo")]},
        "messages[0].content",
        "is a list, not text",
        "as a string",
    ),
    (
        "conversation",
        {"messages": [{"role": np.array(["user"]), "content": "Hi"}]},
        "messages[0].role",
        "unknown role array",
        "Use one of",
    ),
]
OTHER_NAMES = [
    ("conversation", {"conversations": [{"from": "human", "value": "Hi"}]}, ["Rename 'conversations' to 'messages'."]),
    (
        "conversation",
        {"messages": [{"from": "human", "value": "Hi"}, assistant("Yo")]},
        ["Rename 'from' to 'role'.", "Rename 'value' to 'content'."],
    ),
    (
        "instruction",
        {"instruction": "a", "context": "b", "response": "c"},
        ["Rename 'response' to 'output', and 'context' to 'input'."],
    ),
    (
        "instruction",
        {"prompt": "a", "completion": "b"},
        ["Rename 'prompt' to 'instruction'.", "Rename 'completion' to 'output'."],
    ),
    ("preference", {"prompt": "a", "choosen": "b", "rejected": "c"}, ["Rename 'choosen' to 'chosen'."]),
    (
        "preference",
        {"Prompt": "a", "chosen ": "b", "\ufeffrejected": "c"},
        ["Rename 'Prompt' to 'prompt'.", "Rename 'chosen ' to 'chosen'.", "Rename '\\ufeffrejected' to 'rejected'."],
    ),
    (
        "preference",
        {"system": "s", "question": "q", "chosen": "a", "rejected": "b"},
        ["Rename 'question' to 'prompt'."],
    ),
    (
        "unpaired",
        {"prompt": "a", "completions": "b", "label": True},
        ["Add 'completion' to the record, or remove the record."],
    ),
]


@pytest.mark.parametrize(("kind", "record", "mends"), OTHER_NAMES)
def test_a_field_under_another_name_is_found(kind, record, mends):
    assert [problem.mend for problem in check(record, kind)] == mends


@pytest.mark.parametrize("kind", KINDS)
def test_sound_records_pass(kind):
    assert [check(record, kind) for record in GOOD[kind]] == [[] for _ in GOOD[kind]]
    validate(GOOD[kind], kind)


@pytest.mark.parametrize(("kind", "record", "field", "what", "mend"), BAD)
def test_one_fault_is_named_once_with_field_and_mend(kind, record, field, what, mend):
    [problem] = check(record, kind)
    assert problem.field == field
    assert what in problem.what
    assert mend in problem.mend


@pytest.mark.parametrize("number", [np.int64(2), np.int8(2), np.float32(2), np.float64(2), np.uint16(2)])
def test_numbers_of_numpy_are_numbers(number):
    assert check({**LIKERT, "ratings": [number, 5], "scale": [np.int64(1), np.float32(5)]}, "likert") == []
    assert check({**RANKING, "ranks": [number, np.int64(1), np.int64(3)]}, "ranking") == []
    assert check({"prompt": "Hi", "completion": "Yo", "label": np.bool_(False)}, "unpaired") == []


def test_parts_that_say_nothing_new_are_no_fault():
    turns = [{**user("Hi"), "tool_calls": None}, {**assistant("Yo"), "weight": 1, "tool_calls": [], "name": "Al"}]
    assert check({"messages": turns}, "conversation") == []


def test_a_record_that_holds_itself_is_checked():
    record: dict = {**PAIR}
    record["self"] = [record]
    assert check(record, "preference") == []


ODD = st.sampled_from(
    [
        10**400,
        np.int64(3),
        np.bool_(True),
        np.float32("nan"),
        "\ud83d",
        "\u200b",
        b"x",
        np.array([1, 2]),
        np.array(["a"]),
        pandas.NA,
        pandas.NaT,
        Decimal("sNaN"),
        Decimal("1.5"),
        {"\ud83d"},
        ("a",),
        {("\ud83d",): 1},
        pandas.Series({"a": 1}),
    ]
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | ODD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "user", "x", "weight", "\ud83d"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = sorted({field for records in GOOD.values() for record in records for field in record})


@given(kind=st.sampled_from(sorted(KINDS)), record=st.dictionaries(st.sampled_from(FIELDS), JUNK) | JUNK)
def test_whatever_comes_in_is_checked_and_never_breaks_the_check(kind, record):
    problems = check(record, kind)
    assert all(problem.what and problem.mend for problem in problems)
    if not isinstance(record, dict):
        assert problems


@given(
    kind=st.sampled_from(sorted(KINDS)),
    base=st.sampled_from(sorted(GOOD)),
    odd=st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=3),
)
def test_whatever_is_loaded_can_be_encoded_and_the_rest_is_refused_with_its_row(kind, base, odd):
    try:
        [loaded] = load_records([{**GOOD[base][0], **odd}], kind)
    except DataError as refused:
        assert all(problem.where == "row 0" and problem.what and problem.mend for problem in refused.problems)
        str(refused).encode()
    else:
        assert check(loaded, kind) == []
        json.dumps(loaded, default=repr, ensure_ascii=False, skipkeys=True).encode()


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no kind of record called 'chat'; the kinds are instruction, conversation"):
        check({}, "chat")
    with pytest.raises(ValueError, match=r"no kind of record called \['preference'\]"):
        check({}, ["preference"])


def test_all_faults_of_a_list_come_in_one_error():
    records = [PAIR, {**PAIR, "chosen": ""}, PAIR, {"prompt": "Hi"}]
    with pytest.raises(DataError) as caught:
        validate(records, "preference")
    assert [(problem.where, problem.field) for problem in caught.value.problems] == [
        ("row 1", "chosen"),
        ("row 3", "chosen"),
        ("row 3", "rejected"),
    ]
    text = str(caught.value)
    assert text.startswith("records: 3 problems in preference data (rows count from 0).")
    assert "row 1, chosen: is empty. Write the text, or remove the record." in text


def test_a_long_list_of_faults_is_shortened_on_paper_and_whole_in_the_error():
    with pytest.raises(DataError, match=r"and 80 more, all in the error's `problems`") as caught:
        validate([{"prompt": "Hi", "completion": "Yo"}] * 100, "unpaired")
    assert len(caught.value.problems) == 100
    assert len(str(caught.value).splitlines()) == 22


def test_no_records_are_refused():
    with pytest.raises(ValueError, match="not a single record"):
        validate([], "conversation")
