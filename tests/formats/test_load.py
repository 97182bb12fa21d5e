"""Records from files, lists, data sets and tables: read whole, or refused with every line that is at fault."""

import gzip
import json
import pickle
from collections import UserDict
from decimal import Decimal

import numpy as np
import pandas
import pyarrow
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.formats import KINDS, DataError, load_records, validate
from tests.formats.good import GOOD, LIKERT, PAIR, TEXT, assistant, user


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
    with pytest.raises(DataError, match="without brackets around them"):
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
    with pytest.raises(ValueError, match="put a single record in a list"):
        load_records(UserDict(PAIR), "preference")
    with pytest.raises(ValueError, match=r"Choose one of its splits \('train', 'test'\)"):
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
    "a comment": (b"// hello", "JSON has no comments: remove it"),
    "a comment behind": (GOOD_LINE + b" # good", "JSON has no comments: remove it"),
    "a comment within": (b'{"prompt": "Hi", /* or Hello */ "chosen": "a"}', "JSON has no comments: remove it"),
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
    "pickle": (pickle.dumps([PAIR]), "is no text. Write its records as JSON lines."),
    "NumPy": (b"\x93NUMPY\1\0", "is no text"),
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
        whole = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        assert loaded == [PAIR] * sum(line.strip() == GOOD_LINE for line in whole)
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
