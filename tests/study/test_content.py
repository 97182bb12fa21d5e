"""Lesson files: every mistake is answered with its line and its mend, and no text can run."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.study import content
from course.study.content import ContentError, load_all, load_lesson, pick, read_lesson
from course.study.markup import static_text, to_html, to_mathml

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


TAGS = """p em strong code pre ul ol li a br hr blockquote h1 h2 h3 h4 h5 h6 span math mrow mi mo mn mtext mspace
msub msup msubsup mfrac msqrt mroot mover munder munderover mtable mtr mtd mstyle mpadded menclose mmultiscripts"""
ALLOWED = set(TAGS.split())


class Tags(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED:
            self.bad.append(tag)
        for name, value in attrs:
            scheme = (value or "").strip().lower().split(":")[0]
            if name.startswith("on") or name in ("style", "src", "srcdoc"):
                self.bad.append(name)
            if name == "href" and ":" in (value or "") and scheme not in ("http", "https", "mailto"):
                self.bad.append(f"{name}={value}")


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "</script><script>alert(1)</script>",
    "`</code><script>alert(1)</script>`",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$<script>alert(1)</script>$",
    r"$\text{&lt;script&gt;alert(1)&lt;/script&gt;}$",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} #{7*7} <%= 1 %>",
    "[a]: javascript:alert(1)\n\n[a]",
    "[click](blob:https://example.org/1b2c)",
    "<ms-msdt:/id>",
]


@pytest.mark.parametrize("raw_math", [False, True])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_harmless_html(text, raw_math):
    assert Tags(to_html(text, raw_math=raw_math)).bad == []


@given(st.text(alphabet=st.sampled_from(list("<>&\"'`$\\/=()[]{}!:# \n\tabonscript*_-1")), max_size=60))
def test_no_text_at_all_makes_markup_of_its_own(text):
    for raw_math in (False, True):
        try:
            assert Tags(to_html(text, raw_math=raw_math)).bad == []
        except ValueError as refused:
            assert "formula" in str(refused)


@pytest.mark.parametrize(
    "command", ["href{javascript:alert(1)}{x}", "class{a}{x}", "def\\x{y}", "require{html}", "nosuch"]
)
def test_math_that_does_more_than_typeset_is_refused(command):
    with pytest.raises(ValueError, match="not available"):
        to_mathml(f"\\{command}")


# ---- text ------------------------------------------------------------------------------------------------------


def test_math_is_mathml_when_live_and_latex_when_static():
    live, static = to_html(r"loss $x < \beta$"), to_html(r"loss $x < \beta$", raw_math=True)
    assert "<math" in live and "&lt;" in live and "β" in live
    assert static == r"loss $x &lt; \beta$"


def test_display_math_is_a_block():
    assert 'display="block"' in to_html("$$\nx^2\n$$")
    assert to_html("a\n\n$$\nx^2\n$$", raw_math=True) == "<p>a</p>\n<p>$$x^2$$</p>"


def test_dollars_that_are_money_stay_money():
    text = r"\$10 each, \$3.50 for two, and $10 to $20"
    assert "<math" not in to_html(text)
    # a typesetter must find no pair of dollars in one run of text
    assert to_html(text, raw_math=True).count("<span>$</span>") == 4


def test_backslashes_in_plain_text_are_kept_from_typesetters():
    assert r"<span>\</span>(x<span>\</span>)" in to_html(r"\\(x\\)", raw_math=True)


def test_plain_text_in_the_static_face_holds_no_formula():
    assert static_text(r"$x$ \(\href{a}{b}\) <b>") == (
        r"<span>$</span>x<span>$</span> <span>\</span>(<span>\</span>href{a}{b}<span>\</span>) &lt;b&gt;"
    )


def test_one_paragraph_has_no_p_and_two_have():
    assert to_html("a *b*") == "a <em>b</em>"
    assert to_html("a\n\nb") == "<p>a</p>\n<p>b</p>"
    assert to_html("a\n\n- b").startswith("<p>a</p>")


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u2069"])
@pytest.mark.parametrize("show", [to_html, lambda text: to_html(text, raw_math=True), static_text])
def test_signs_that_turn_the_direction_of_a_text_are_written_out(sign, show):
    for text in (f"right{sign}wrong", f"`right{sign}wrong`"):
        shown = show(text)
        assert sign not in shown and f"U+{ord(sign):04X}" in shown


def test_only_links_to_pages_and_mail_become_links():
    for url in ("https://arxiv.org/abs/1", "HTTP://example.org", "mailto:a@example.org"):
        assert f'href="{url}"' in to_html(f"[x]({url})")
    for url in ("ssh://example.org", "vscode:extension/x", "httpx://example.org", "//example.org/x", "/lab/tree/x"):
        assert "<a" not in to_html(f"[x]({url})")


def test_links_open_beside_the_notebook():
    assert 'target="_blank" rel="noopener noreferrer"' in to_html("[x](https://arxiv.org/abs/2203.02155)")


def test_signs_that_turn_the_direction_are_written_out():
    for made in (to_html("a\u202eb `c\u2067`"), to_html("a\u202eb `c\u2067`", raw_math=True), static_text("a\u202eb")):
        assert "\u27e8U+202E\u27e9" in made and not {"\u202e", "\u2067"} & set(made)
