"""What each kind of record must satisfy, and that every fault is named with its place and its mend."""

import gzip
import json
from collections import UserDict
from decimal import Decimal

import numpy as np
import pandas
import pyarrow
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.formats import KINDS, DataError, check, load_records, validate
from course.text import visible

TEXT = st.text(min_size=1, max_size=8).filter(lambda text: visible(text).strip() and not text.startswith("Human:"))


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


SYSTEM = {"role": "system", "content": "Be brief."}

GOOD = {
    "instruction": [
        {"instruction": "Add.", "input": "2 + 2", "output": "4"},
        {"instruction": "Say hi.", "output": "Hi.", "task": "greeting"},
        {"instruction": "Say hi.", "input": None, "output": "Hi."},
    ],
    "conversation": [
        {"messages": [user("Hi"), assistant("Hello.")]},
        {"messages": [SYSTEM, user("Hi"), assistant("Hello."), user("2 + 2?"), assistant("4")]},
    ],
    "preference": [
        {"prompt": "Hi", "chosen": "Hello.", "rejected": "Go away."},
        {"prompt": [SYSTEM, user("Hi")], "chosen": [assistant("Hello.")], "rejected": [assistant("No.")]},
    ],
    "unpaired": [
        {"prompt": "Hi", "completion": "Hello.", "label": True},
        {"prompt": [user("Hi")], "completion": [assistant("Go away.")], "label": False},
    ],
    "ranking": [
        {"prompt": "Hi", "completions": ["Hello.", "Yo", "No."], "ranks": [1, 2, 3]},
        {"prompt": [user("Hi")], "completions": [[assistant("No.")], [assistant("Hello.")]], "ranks": [2, 1]},
    ],
    "likert": [
        {"prompt": "Hi", "completions": ["Hello.", "Yo"], "ratings": [5, 5]},
        {"prompt": "Hi", "completions": ["Hello."], "ratings": [0.5], "scale": [0, 1]},
    ],
}

PAIR = GOOD["preference"][0]
RANKING = GOOD["ranking"][0]
LIKERT = GOOD["likert"][0]
BAD = [
    # kind, record, field, what, mend (or a part of it)
    ("instruction", {"instruction": "Add."}, "output", "is missing", "Add 'output'"),
    ("instruction", {"instruction": " ", "output": "4"}, "instruction", "is empty", "Write the text"),
    ("instruction", {"instruction": "Add.", "output": 4}, "output", "is a number, not text", "as a string"),
    ("instruction", {"instruction": "Add.", "input": 2, "output": "4"}, "input", "is a number, not text", "''"),
    ("instruction", "Add.", "", "is text, not a record", "named fields"),
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
    ("ranking", {**RANKING, "ranks": None}, "ranks", "is missing", "one number for each"),
    ("ranking", {**RANKING, "ranks": 1}, "ranks", "is a number, not a list", "one number for each"),
    ("ranking", {"prompt": "Hi", "completions": ["Yo"], "ranks": [1]}, "completions", "has 1 of at least 2", "Add"),
    ("ranking", {"prompt": "Hi", "ranks": [1]}, "completions", "is missing", "list of answers"),
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


def test_a_record_that_holds_itself_is_judged():
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
def test_whatever_comes_in_is_judged_and_never_breaks_the_judge(kind, record):
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


# --- loading ------------------------------------------------------------------------------------------------


@pytest.fixture
def jsonl(tmp_path):
    """Writes lines, or bytes, to a file and gives its path."""

    def write(content: list[str] | bytes):
        path = tmp_path / "data.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode())
        return path

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_a_list_and_a_data_set_give_the_same_records(kind, jsonl):
    records = GOOD[kind][:1]
    path = jsonl([json.dumps(record) for record in records])
    assert load_records(path, kind) == load_records(str(path), kind) == records
    assert load_records(records, kind) == records
    assert load_records(Dataset.from_list(records), kind) == records


def test_a_list_that_was_loaded_is_the_callers_own():
    loaded = load_records([PAIR], "preference")
    loaded[0]["chosen"] = "changed"
    assert PAIR["chosen"] == "Hello."


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_fine(jsonl):
    line = json.dumps(PAIR).encode()
    path = jsonl(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line)
    assert load_records(path, "preference") == [PAIR, PAIR]


def test_a_separator_inside_a_string_does_not_end_the_line(jsonl):
    record = {**PAIR, "chosen": "one\u2028two\u0085three"}
    assert load_records(jsonl([json.dumps(record, ensure_ascii=False)]), "preference") == [record]


def test_malformed_lines_and_faulty_records_are_listed_together_in_order(jsonl):
    path = jsonl(
        [
            json.dumps(PAIR),
            "",
            '{"prompt": "Hi", "chosen": "Hello."',
            json.dumps({**PAIR, "rejected": "Hello."}),
            "[1, 2]",
            "{'prompt': 'Hi'}",
        ]
    )
    with pytest.raises(DataError) as caught:
        load_records(path, "preference")
    assert [(problem.where, problem.field) for problem in caught.value.problems] == [
        ("line 3", "column 36"),
        ("line 4", "rejected"),
        ("line 5", ""),
        ("line 6", "column 2"),
    ]
    text = str(caught.value)
    assert text.startswith(f"{path}: 4 problems in preference data.")
    assert "line 3, column 36: is not JSON (Expecting ',' delimiter). Write each record as one JSON object" in text
    assert "line 5: is a list, not a record." in text


def test_a_json_list_over_many_lines_is_recognised(jsonl):
    with pytest.raises(DataError, match="not as one list with brackets around it"):
        load_records(jsonl(json.dumps([PAIR], indent=1).encode()), "preference")


def test_a_line_that_is_not_utf8_is_named(jsonl):
    good = json.dumps(PAIR).encode()
    with pytest.raises(DataError, match=r"line 2, byte 13: is not UTF-8 text\. Save the file as UTF-8"):
        load_records(jsonl(good + b'\n{"prompt": "\xe9"}'), "preference")


def test_sources_that_hold_no_records_are_refused(jsonl, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*missing\.jsonl"):
        load_records(tmp_path / "missing.jsonl", "preference")
    with pytest.raises(FileNotFoundError, match="is a folder: name the file in it"):
        load_records(tmp_path, "preference")
    for nothing in (b"\n\n", b"", b"\xef\xbb\xbf", b" \r \t\r"):
        with pytest.raises(ValueError, match="not a single record"):
            load_records(jsonl(nothing), "preference")
    with pytest.raises(ValueError, match="If it is one record, put it in a list"):
        load_records(UserDict(PAIR), "preference")
    with pytest.raises(ValueError, match="choose one of them: 'train', 'test'"):
        load_records(DatasetDict({name: Dataset.from_list([PAIR]) for name in ("train", "test")}), "preference")


TABLES = {
    "pandas": pandas.DataFrame,
    "Arrow": pyarrow.Table.from_pylist,
    "data set": Dataset.from_list,
    "data set of arrays": lambda records: Dataset.from_list(records).with_format("numpy"),
    "Parquet": lambda records: pyarrow.Table.from_pylist(records).to_pandas(),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_gives_its_rows_in_pythons_own_values(kind, table):
    records = GOOD[kind][:1] * 2
    loaded = load_records(table(records), kind)
    assert loaded == records
    assert json.loads(json.dumps(loaded)) == records


ROWS = {
    "tuple": lambda pair: (pair,),
    "generator": lambda pair: (record for record in [pair]),
    "row of pandas": lambda pair: [pandas.Series(pair)],
    "named tuple": lambda pair: list(pandas.DataFrame([pair]).itertuples(index=False)),
    "mapping": lambda pair: [UserDict(pair)],
    "column of records": lambda pair: pandas.Series([pair]),
    "array of records": lambda pair: np.array([pair], dtype=object),
    "texts of NumPy": lambda pair: [{name: np.str_(text) for name, text in pair.items()}],
    "streamed": lambda pair: Dataset.from_list([pair]).to_iterable_dataset(),
}


@pytest.mark.parametrize("source", ROWS.values(), ids=ROWS)
def test_records_in_every_wrapping_are_plain_dicts(source):
    [loaded] = load_records(source(PAIR), "preference")
    assert loaded == PAIR and type(loaded) is dict and {type(text) for text in loaded.values()} == {str}


def test_what_python_wraps_becomes_json():
    record = {**LIKERT, "ratings": (Decimal("4"), Decimal("4.5")), "tags": {"a"}, "when": pandas.NaT, "n": np.int8(3)}
    [loaded] = load_records([record], "likert")
    assert json.loads(json.dumps(loaded)) == {**LIKERT, "ratings": [4, 4.5], "tags": ["a"], "when": None, "n": 3}


@pytest.mark.parametrize(
    "table",
    [
        pandas.DataFrame([list("abcd")], columns=["prompt", "chosen", "rejected", "chosen"]),
        pyarrow.table([pyarrow.array(["a"])] * 2, names=["chosen", "chosen"]),
    ],
)
def test_a_table_with_a_column_twice_is_refused(table):
    with pytest.raises(ValueError, match="two columns called 'chosen'"):
        load_records(table, "preference")


def test_an_empty_cell_is_a_missing_field():
    table = pandas.DataFrame([PAIR, {"prompt": "Hi", "chosen": "Yo"}])
    with pytest.raises(DataError, match="row 1, rejected: is missing"):
        load_records(table, "preference")


@pytest.mark.parametrize("records", [pandas.DataFrame([PAIR]), pyarrow.Table.from_pylist([PAIR])])
def test_a_table_where_a_list_is_wanted_is_named(records):
    with pytest.raises(TypeError, match=r"not a list of records: pass load_records\(..., 'preference'\)"):
        validate(records, "preference")


@pytest.mark.parametrize("source", [None, 5, b"{}"])
def test_what_holds_no_records_is_named(source):
    with pytest.raises(TypeError, match="Records come as a list of dicts, a data set or a table, not as"):
        load_records(source, "preference")


GOOD_LINE = json.dumps(PAIR).encode()
BROKEN = {
    "a key twice": (
        b'{"prompt": "a", "chosen": "good", "rejected": "bad", "chosen": "WRONG"}',
        "'chosen': is there twice",
    ),
    "a key twice inside": (
        b'{"prompt": [{"role": "user", "content": "a", "role": "system"}]}',
        "'role': is there twice",
    ),
    "a huge number": (b'{"prompt": ' + b"1" * 5000 + b"}", "111111111111...: is a whole number of 5000 digits"),
    "half an emoji": (b'{"prompt": "a", "chosen": "b \\ud83d", "rejected": "c"}', "chosen: holds half of a character"),
    "nested": (b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is nested more than 100 levels deep"),
    "nested a little": (b'{"prompt": "a", "x": ' + b"[" * 120 + b"]" * 120 + b"}", "is nested more than 100 levels"),
    "a byte-order mark": (b"\xef\xbb\xbf" + GOOD_LINE, "Two files were joined here"),
    "a byte-order mark in the line": (GOOD_LINE + b"\xef\xbb\xbf" + GOOD_LINE, "Two files were joined here"),
    "two records": (GOOD_LINE + GOOD_LINE, "Put each record on a line of its own"),
    "UTF-16": ("{}".encode("utf-16-le"), "save the file as UTF-8"),
    "not UTF-8": (b'{"prompt": "\xff"}', "byte 13: is not UTF-8"),
    "an infinite rating": (b'{"prompt": Infinity}', "prompt: is a number, not text"),
    "a key twice in a list": (b'{"x": [{"y": [{"k": 1, "k": 2}]}]}', "'k': is there twice in one object"),
    "a huge negative number": (b'{"n": -' + b"1" * 310 + b"}", "is a whole number of 310 digits"),
    "a comma inside": (b'{"prompt": "a",}', "column 16: is not JSON"),
    "a comma behind": (GOOD_LINE + b",", "Remove the comma"),
    "single quotes": (b"{'prompt': 'a'}", "between straight double quotes"),
    "curly quotes": ("{\u201cprompt\u201d: 1}".encode(), "between straight double quotes"),
    "Python's None": (b'{"prompt": None}', "JSON writes null, true and false"),
    "a tab": (b'{"prompt": "a\tb"}', "write a tab as \\t"),
    "a backslash": (b'{"prompt": "C:\\q"}', "write a backslash as two"),
    "cut off": (GOOD_LINE[:-9], "Close the text with a double quote"),
    "zero bytes": (b"\0" * 20, "It holds zero bytes"),
    "half an emoji as a name": (b'{"\\ud83d": 1}', "the name '\\ud83d': holds half of a character"),
    "halves the wrong way round": (b'{"prompt": "\\ude00\\ud83d"}', "prompt: holds half of a character (U+DE00"),
    "surrogates as bytes": (b'{"prompt": "\xed\xa0\xbd"}', "byte 13: is not UTF-8"),
    "a comment": (b"// hello", "one JSON object on a line of its own"),
    "another list": (b"[[1], [2]]", "is a list, not a record"),
    "null": (b"null", "is nothing, not a record"),
}
OTHER_FILES = {
    "gzip": (gzip.compress(GOOD_LINE), "is compressed. Unpack it first."),
    "zip": (b"PK\3\4...", "is a zip archive or a workbook"),
    "Parquet": (b"PAR1...", "is a Parquet table. Read it with pandas.read_parquet"),
    "Arrow": (b"ARROW1\0\0", "is an Arrow table"),
    "UTF-16": (GOOD_LINE.decode().encode("utf-16"), "is UTF-16 text. Save the file as UTF-8."),
    "a web page": (b"\n<!DOCTYPE html>\n<html>", "is a web page"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "Fetch the data with `git lfs pull`"),
    "a list": (json.dumps([PAIR, PAIR]).encode(), "is one JSON list"),
    "a list in lines": (b"[\n" + GOOD_LINE + b",\n" + GOOD_LINE + b"\n]", "is one JSON list"),
    "records in lines": (json.dumps(PAIR, indent=1).encode() * 2, "has its records on several lines each"),
}


@pytest.mark.parametrize(("data", "says"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_a_file_of_another_sort_is_one_problem(jsonl, data, says):
    with pytest.raises(DataError, match="holds no JSON lines") as caught:
        load_records(jsonl(data), "preference")
    [problem] = caught.value.problems
    assert says in str(problem)


def test_a_table_of_separated_values_is_named(tmp_path):
    (tmp_path / "data.csv").write_text("prompt,chosen,rejected\nHi,Yes,No\n")
    with pytest.raises(DataError, match=r"table of separated values\. Read it with pandas\.read_csv"):
        load_records(tmp_path / "data.csv", "preference")


@pytest.mark.parametrize("end", [b"\r", b"\n\r", b"\r\n", b"\n\n"])
def test_every_line_end_ends_a_line(jsonl, end):
    assert load_records(jsonl(GOOD_LINE + end + GOOD_LINE + end), "preference") == [PAIR, PAIR]


@pytest.mark.parametrize(("line", "says"), BROKEN.values(), ids=BROKEN)
def test_a_line_that_cannot_be_used_is_named_and_nothing_is_half_read(jsonl, line, says):
    with pytest.raises(DataError) as caught:
        load_records(jsonl(GOOD_LINE + b"\n" + line + b"\n" + GOOD_LINE), "preference")
    assert {problem.where for problem in caught.value.problems} == {"line 2"}
    assert says in str(caught.value)
    assert len(str(caught.value)) < 2000


@given(lines=st.lists(st.binary(max_size=12) | st.sampled_from([*(line for line, _ in BROKEN.values()), GOOD_LINE])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_file_holds_is_read_whole_or_refused_by_line(jsonl, lines):
    path = jsonl(b"\n".join(lines))
    try:
        loaded = load_records(path, "preference")
        assert loaded == [PAIR] * sum(line.strip() == GOOD_LINE for line in lines)
    except DataError as refused:
        assert all(problem.where and problem.what and problem.mend for problem in refused.problems)
    except ValueError as refused:
        assert "not a single record" in str(refused)


@given(
    records=st.lists(
        st.fixed_dictionaries(
            {"prompt": TEXT, "chosen": TEXT, "rejected": TEXT, "n": st.floats(allow_nan=False)}
        ).filter(lambda record: record["chosen"] != record["rejected"]),
        min_size=1,
    ),
    ascii_only=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_was_written_is_read_again(jsonl, records, ascii_only):
    path = jsonl([json.dumps(record, ensure_ascii=ascii_only) for record in records])
    assert load_records(path, "preference") == records


def test_loaded_records_share_nothing_with_their_source():
    source = [{"messages": [user("Hi"), assistant("Hello.")]}]
    loaded = load_records(source, "conversation")
    loaded[0]["messages"][0]["content"] = "Bye"
    loaded[0]["messages"].pop()
    assert source == [{"messages": [user("Hi"), assistant("Hello.")]}]
