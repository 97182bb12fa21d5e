"""Lesson files: every mistake is answered with its line and its mend, and no text can run."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.study import content
from course.study.content import ContentError, load_all, load_lesson, pick, read_lesson

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture(autouse=True)
def sample_folder(monkeypatch):
    monkeypatch.setattr(content, "FOLDER", SAMPLE)


def write(folder: Path, text: str, name: str = "01_x.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def question(body: str) -> str:
    """A file with one question; `body` starts in line 4."""
    return f'lesson: "01"\ntitle: T\nquestions:\n  - {body}\n'


# ---- reading ---------------------------------------------------------------------------------------------------


def test_load_lesson_gives_checked_content():
    lesson = load_lesson("01")
    assert lesson.title == "The base model"
    assert [q.type for q in lesson.questions] == ["single", "several", "numeric", "numeric", "short"]
    assert lesson.questions[2].near[0].value == 25
    assert "def loss" in lesson.exercises[0].solution


def test_load_all_is_in_order_and_the_shipped_files_are_valid(monkeypatch):
    assert list(load_all()) == ["00", "01"]
    monkeypatch.undo()
    shipped = load_all()
    assert shipped, "the course ships at least one file of questions"
    assert all(number == lesson.lesson for number, lesson in shipped.items())


def test_pick_keeps_the_order_asked_for_and_names_the_nearest_id():
    lesson = load_lesson("01")
    assert [q.id for q in pick(lesson, "questions", ("01-why", "01-cost"))] == ["01-why", "01-cost"]
    assert len(pick(lesson, "questions", ())) == 5
    with pytest.raises(ContentError, match="did you mean 01-cost"):
        pick(lesson, "questions", ("01-costs",))
    with pytest.raises(ContentError, match="it has 01-carries-on, 01-knows"):
        pick(lesson, "questions", ("zzz",))


@pytest.mark.parametrize(
    ("lesson", "says"), [("07", "there is: 00, 01"), (1, 'as in "01"'), ("01-why", r'as in \("01", "01-why"\)')]
)
def test_unknown_lesson(lesson, says):
    with pytest.raises(ContentError, match=says):
        load_lesson(lesson)


def test_a_changed_file_is_read_again(tmp_path):
    path = write(tmp_path, 'lesson: "01"\ntitle: One\n')
    assert read_lesson(path).title == "One"
    time.sleep(0.02)
    write(tmp_path, 'lesson: "01"\ntitle: Two\n')
    assert read_lesson(path).title == "Two"


# ---- mistakes --------------------------------------------------------------------------------------------------

OPTION = "{text: a, why: w}"
MISTAKES = {
    "no right option": (
        question(f"{{id: 01-a, type: single, prompt: p, options: [{OPTION}, {{text: b, why: w}}]}}"),
        "line 4: question 01-a: no option is right; mark exactly one",
    ),
    "two right options": (
        question(
            "{id: 01-a, type: single, prompt: p, "
            "options: [{text: a, right: true, why: w}, {text: b, right: true, why: w}]}"
        ),
        "line 4: question 01-a: 2 options are right",
    ),
    "all right in several": (
        question(
            "{id: 01-a, type: several, prompt: p, "
            "options: [{text: a, right: true, why: w}, {text: b, right: true, why: w}]}"
        ),
        "all options are right; at least one must be and one not",
    ),
    "same option twice": (
        question("{id: 01-a, type: single, prompt: p, options: [{text: a, right: true, why: w}, {text: a, why: w}]}"),
        'the option "a" stands there twice',
    ),
    "option without feedback": (
        question(
            "id: 01-a\n    type: single\n    prompt: p\n    options:\n      - {text: a}\n      - {text: b, why: w}"
        ),
        "line 8: question 01-a, options, 1, why: it is missing; add it",
    ),
    "numeric without tolerance": (
        question("{id: 01-a, type: numeric, prompt: p, answer: 1, explanation: e}"),
        "line 4: question 01-a, tolerance: it is missing",
    ),
    "near is right": (
        question(
            "{id: 01-a, type: numeric, prompt: p, answer: 1, tolerance: 1, explanation: e, near: [{value: 2, why: w}]}"
        ),
        "near 2 lies within the tolerance",
    ),
    "not a finite number": (
        question("{id: 01-a, type: numeric, prompt: p, answer: .nan, tolerance: 1, explanation: e}"),
        "question 01-a, answer: nan is no finite number; write one in digits",
    ),
    "a number in words": (
        question("{id: 01-a, type: numeric, prompt: p, answer: five, tolerance: 1, explanation: e}"),
        "question 01-a, answer: 'five' is not a number",
    ),
    "unknown type": (
        question("{id: 01-a, type: essay, prompt: p}"),
        "the type 'essay' is unknown; write one of single",
    ),
    "no type": (question("{id: 01-a, prompt: p}"), "`type` is missing"),
    "unknown field": (
        question("{id: 01-a, type: short, prompt: p, answer: a, rubric: [r], hint: h}"),
        "question 01-a, hint: there is no such field",
    ),
    "empty text": (question("{id: 01-a, type: short, prompt: ' ', answer: a, rubric: [r]}"), "prompt: it is empty"),
    "empty rubric": (question("{id: 01-a, type: short, prompt: p, answer: a, rubric: []}"), "rubric: it has too few"),
    "no as text": (
        question("{id: 01-a, type: single, prompt: p, options: [{text: no, why: w}, {text: b, right: true, why: w}]}"),
        "options, 1, text: False is not text; put it in quotes",
    ),
    "bad id": (question("{id: First One, type: short, prompt: p, answer: a, rubric: [r]}"), '"First One" is not an id'),
    "id of another lesson": (
        question("{id: 02-a, type: short, prompt: p, answer: a, rubric: [r]}"),
        "line 4: 02-a: the ids of this file start with 01-",
    ),
    "duplicate id": (
        'lesson: "01"\ntitle: T\ncards:\n  - {id: 01-a, front: f, back: b}\n  - {id: 01-a, front: f, back: b}\n',
        "line 5: 01-a: this id is already used in line 4",
    ),
    "duplicate field": (
        'lesson: "01"\ntitle: T\ncards:\n  - {id: 01-a, front: f, back: b, back: c}\n',
        "line 4: the field `back` stands there twice",
    ),
    "a text for an item": (question("just words"), "question number 1: 'just words' is not a set of fields"),
    "a text for a card": (
        'lesson: "01"\ntitle: T\ncards: [just words]\n',
        "line 3: card number 1: 'just words' is not a set of fields",
    ),
    "a list for fields": (
        'lesson: "01"\ntitle: T\nexercises: [{id: 01-a, title: t, task: t, mistakes: [m], hints: [h], solution: s}]\n',
        "line 3: exercise 01-a, mistakes: ['m'] is not a set of fields",
    ),
    "signs that steer a terminal": (
        question('{id: "01-\\e[31m\\u202e", type: short, prompt: p, answer: a, rubric: [r]}'),
        r'"01-\x1b[31m\u202e" is not an id',
    ),
    "lesson as a number": (
        "lesson: 01\ntitle: T\n",
        "line 1: lesson: 1 is not a lesson; write its two digits in quotes",
    ),
    "bad formula": (
        question(r"{id: 01-a, type: short, prompt: 'see $x^$', answer: a, rubric: [r]}"),
        "prompt: the formula $x^$ is not valid LaTeX",
    ),
    "a negative tolerance": (
        question("{id: 01-a, type: numeric, prompt: p, answer: 1, tolerance: -1, explanation: e}"),
        "tolerance: -1 is below 0; write 0 or more",
    ),
    "a number as a name": (
        'lesson: "01"\ntitle: T\n5: a\n',
        "line 3: the field's name `5` is not text; put it in quotes",
    ),
    "yes as a name": ('lesson: "01"\ntitle: T\nyes: a\n', "line 3: the field's name `yes` is not text"),
    "nothing as a name": ('lesson: "01"\ntitle: T\n~: a\n', "line 3: the field's name `~` is not text"),
    "a list as a name": ('lesson: "01"\ntitle: T\n? [a]\n: b\n', "a field's name is a word"),
    "duplicate field in quotes": (
        'lesson: "01"\ntitle: T\n"title": T\n',
        "line 3: the field `title` stands there twice",
    ),
    "digits of another script": (
        'lesson: "\u0660\u0661"\ntitle: T\n',
        "line 1: lesson: '\u0660\u0661' is not a lesson",
    ),
    "a percent sign": ('lesson: "01"\ntitle: %\n', "line 2: this is not YAML that can be read here"),
    "a tab": ('lesson: "01"\n\ttitle: T\n', "line 2"),
    "a colon": ('lesson: "01"\ntitle: a: b\n', "put a text that holds `: ` in quotes"),
    "two documents": ('lesson: "01"\ntitle: T\n---\na: b\n', "line 3: this is not YAML that can be read here"),
    "half a character": ('lesson: "01"\ntitle: "\\ud83d"\n', "write a backslash as two"),
    "a zero byte": ('lesson: "01"\ntitle: T\0\n', "line 2: the character U+0000 is not allowed; remove it"),
    "broken YAML": ('lesson: "01"\ntitle: "T\n', "line 3"),
    "a list": ("- a\n", "it must start with `lesson:`"),
    "nothing": ("", "it must start with `lesson:`"),
}


@pytest.mark.parametrize(("text", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_place_and_its_mend(tmp_path, text, says):
    path = write(tmp_path, text)
    with pytest.raises(ContentError) as error:
        read_lesson(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)


def test_all_mistakes_of_a_file_are_listed_at_once(tmp_path):
    text = question("{id: 01-a, type: essay, prompt: p}\n  - {id: 01-b, type: short, prompt: p}")
    with pytest.raises(ContentError) as error:
        read_lesson(write(tmp_path, text))
    assert "line 4" in str(error.value)
    assert "line 5: question 01-b, answer" in str(error.value)
    assert "line 5: question 01-b, rubric" in str(error.value)


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "01_x.yaml"
    path.write_bytes('lesson: "01"\ntitle: Köln\n'.encode("latin-1"))
    with pytest.raises(ContentError, match="not UTF-8"):
        read_lesson(path)


def test_a_lesson_in_two_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    write(tmp_path, 'lesson: "01"\ntitle: T\n', "01_a.yaml")
    write(tmp_path, 'lesson: "01"\ntitle: T\n', "01_b.yaml")
    with pytest.raises(ContentError, match="one lesson has one file"):
        load_all()
    with pytest.raises(ContentError, match=r"01_a\.yaml and 01_b\.yaml"):
        load_lesson("01")


def test_one_broken_file_does_not_stop_the_lesson_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    write(tmp_path, 'lesson: "01"\ntitle: T\n', "01_a.yaml")
    write(tmp_path, 'lesson: "02"\ntitle: [', "02_b.yaml")
    assert load_lesson("01").title == "T"
    with pytest.raises(ContentError, match=r"02_b\.yaml"):
        load_lesson("02")


# ---- nothing runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!evil x"])
def test_yaml_tags_make_no_objects(tmp_path, tag):
    with pytest.raises(ContentError, match=r"tags \(!\) are not used here"):
        read_lesson(write(tmp_path, f'lesson: "01"\ntitle: {tag}\n'))


def test_an_alias_that_contains_itself_ends(tmp_path):
    with pytest.raises(ContentError):
        read_lesson(write(tmp_path, 'lesson: "01"\ntitle: T\ncards: &a [*a]\n'))


NUMERIC = question("{id: 01-a, type: numeric, prompt: p, tolerance: 0, explanation: e, answer: %s}")


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e3", 1000), ("-2.5E-3", -0.0025), ("010", 10), (".5", 0.5), ("5.", 5), ("+7", 7), ("100000", 100000)],
)
def test_numbers_are_what_a_reader_takes_them_for(tmp_path, written, value):
    assert read_lesson(write(tmp_path, NUMERIC % written)).questions[0].answer == value


@pytest.mark.parametrize("written", ["1:30", "1_000", "0x10", "0o17", "'3'", "six", "yes", "2020-01-01", "1 000"])
def test_what_is_no_number_to_a_reader_is_refused(tmp_path, written):
    with pytest.raises(
        ContentError, match=r"line 4: question 01-a, answer: .* is not a number; write it in digits, as in"
    ):
        read_lesson(write(tmp_path, NUMERIC % written))


@given(number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_every_number_in_a_file_is_read_as_itself(tmp_path, number):
    content._read.cache_clear()
    assert read_lesson(write(tmp_path, NUMERIC % repr(number))).questions[0].answer == float(number)


START = 'lesson: "01"\ntitle: T\n'
BOMBS = {
    "brackets": (START + "cards: " + "[" * 30_000, "line 3: this is nested more than 20 levels deep"),
    "braces": (START + "cards: " + "{a: " * 30_000, "line 3: this is nested more than 20 levels deep"),
    "hyphens": (START + "cards:\n" + "- " * 30_000, "nested more than 20 levels deep"),
    "aliases": (
        START
        + "a: &a [x]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "line 3: anchors (&) and aliases (*) are not used here",
    ),
    "a large file": (START + "cards: " + "a" * 10_000_000, "is larger than 1,000,000 bytes"),
    "a long text": (START + "cards: " + "a" * 900_000, "line 3: a text of 900,000 characters"),
    "a long number": (NUMERIC % ("1" * 5000), "line 4: a number of 5,000 digits"),
    "many parts": (START + "".join(f"k{i}: 1\n" for i in range(50_000)), "the file has more than 20,000 parts"),
    "many mistakes": (START + "".join(f"k{i}: 1\n" for i in range(5_000)), "... and 4950 more"),
    "long names": (START + "".join(f"{'k' * 900}{i}: 1\n" for i in range(900)), "... and 850 more"),
    "a long value": (START + "cards: " + "a" * 19_000, "line 3: cards: 'aaaaaaaaaaaa...aaaaaaaaaaaaa' is not a list"),
    "a bad tag": (START + "cards: !!int xx", "line 3: tags (!) are not used here"),
}


@pytest.mark.parametrize(("text", "says"), BOMBS.values(), ids=BOMBS)
def test_a_file_made_to_harm_is_refused_in_a_few_words(tmp_path, text, says):
    with pytest.raises(ContentError) as error:
        read_lesson(write(tmp_path, text))
    assert says in str(error.value)
    assert len(str(error.value)) < 20_000


@given(st.text(alphabet=st.sampled_from(list("ab1:-[]{},&*!|>'\"%@`#? \n\t<0.e~\0\x07\r\u2028\ufeff\\")), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_no_file_at_all_breaks_the_reader_or_is_refused_without_a_line(tmp_path, text):
    content._read.cache_clear()
    path = write(tmp_path, START + text)
    try:
        read_lesson(path)
    except ContentError as refused:
        said = str(refused).removeprefix(str(path))
        assert re.search(r"line \d+: ", said) and not re.search("Input should|should be (a|str)", said)
