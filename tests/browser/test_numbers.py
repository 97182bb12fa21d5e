"""Numbers as learners type them into a quiz: what each is read as, and what is said before it is judged."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from course.study import content
from course.study.content import Near, Numeric
from course.study.quiz import Quiz
from course.study.widget import STATIC
from tests.standalone import page_of

pytestmark = pytest.mark.browser
SCRIPT = (STATIC / "common.js").read_text(encoding="utf-8")


@pytest.fixture
def read(show):
    """Reads (text, unit) pairs in one go."""
    page = show("<p>")
    return lambda cases: page.evaluate(
        f"(cases) => {{ {SCRIPT}; return cases.map(([text, unit]) => readNumber(text, unit ?? '')); }}", cases
    )


READ = [
    ("1,000", "", 1000),
    ("1 000", "", 1000),
    ("1\u00a0000", "", 1000),
    ("1\u202f234,5", "", 1234.5),
    ("1'000", "", 1000),
    ("12,345,678.5", "", 12345678.5),
    ("12.345.678,5", "", 12345678.5),
    ("1,00,000", "", 100000),
    ("1e3", "", 1000),
    ("-2.5E-3", "", -0.0025),
    ("1.5\u00d710^-3", "", 0.0015),
    ("1.5 \u00d7 10\u207b\u00b3", "", 0.0015),
    ("2*10**(-3)", "", 0.002),
    ("10^4", "", 10000),
    ("\u22125", "", -5),
    ("50 %", "", 0.5),
    ("50 %", "%", 50),
    ("50 percent", "%", 50),
    ("50", "%", 50),
    ("15%", "points", 15),
    ("15 percentage points", "points", 15),
    ("125 tokens", "tokens", 125),
    ("10.37 nat", "nats", 10.37),
    ("24 dollars", "$", 24),
    ("$3.50", "$", 3.5),
    ("US$24", "dollars", 24),
    ("10k tok/s", "tokens per second", 10000),
    ("1.3 million", "dollars", 1300000),
    (".5", "", 0.5),
    (",5", "", 0.5),
    ("0,693", "nats", 0.693),
    ("-0,693", "nats", -0.693),
    ("1,5", "", 1.5),
    ("1,00", "", 1),
    ("1234,567", "", 1234.567),
    ("\u22487.4", "", 7.4),
    ("~3", "", 3),
    ("about 3", "", 3),
    ("1/8", "", 0.125),
    ("\u00bd", "", 0.5),
    ("+7", "", 7),
    ("\uff11\uff12", "", 12),
    ("\u0661\u0662", "", 12),
    ("\u0967\u0968", "", 12),
    ("\u0660\u066b\u0666\u0669\u0663", "", 0.693),
    ("\U0001d7cf\U0001d7d0", "", 12),
    ("1\u00bd", "", 1.5),
    ("1 1/2", "", 1.5),
    ("-2 \u00be", "", -2.75),
    ("minus 5", "", -5),
    ("= 7", "", 7),
    ("1E3", "", 1000),
    ("3 e-4", "", 0.0003),
    ("5.", "", 5),
    ("10^{-3}", "", 0.001),
    ("3\\cdot 10^{-4}", "", 0.0003),
    ("0,5/2", "", 0.25),
    ("1 000/8", "", 125),
    ("125 toks.", "tokens", 125),
    ("$24.00 USD", "$", 24),
    ("24 US dollars", "$", 24),
    ("15 pts", "points", 15),
    ("5 tokens per sec", "tokens per second", 5),
    ("15%", "%", 15),
    ("-50 %", "", -0.5),
    ("100 %", "", 1),
]
UNREADABLE = [
    *[
        "",
        "abc",
        "1.2.3",
        "1e999",
        "1e-400",
        "Infinity",
        "0x10",
        "5\u00b2",
        "\u00bd5",
        "5!",
        "1 3/2",
        "3 of 4",
        "7 and 8",
        "3 to 5",
        "\u22655",
        "5+",
        "x = 7",
        "(5)",
        "\u2460",
        "IV",
        "1:8",
        "5M",
        "0 1/0",
        "--5",
        "1/0",
        "1/2/3",
    ],
    *[
        "3\u20135",
        "0,123,456",
        "0 693",
        "1 2",
        "1,2,3",
        "2^3",
        "210^3",
        "1.5x10-3",
        "7.4 \u00b1 1",
        "ln 2",
        "12 tokens",
    ],
]
OTHER_UNIT = [("12 apples", "tokens"), ("24 \u20ac", "$"), ("15 %", "tokens"), ("40 MB", "GB"), ("7 bits", "nats")]
DOUBTFUL = [
    *[
        ("10.000", "", 10, 10000),
        ("420.000", "", 420, 420000),
        ("1,234", "", 1234, 1.234),
        ("-2,127", "", -2127, -2.127),
    ],
    *[("0.15", "%", 0.15, 15), ("0,07", "points", 0.07, 7), ("-1/4", "%", -0.25, -25), ("\u00bd", "points", 0.5, 50)],
]
PLAIN = [
    ("0.15 %", "%"),
    ("0.5 points", "points"),
    ("1", "%"),
    ("0", "points"),
    ("0.15", "nats"),
    ("1.5", "%"),
    ("0,500", ""),
]


def test_numbers_as_people_write_them(read):
    found = read([[text, unit] for text, unit, _ in READ])
    assert [(text, it and it["value"]) for (text, _, _), it in zip(READ, found, strict=True)] == [
        (text, pytest.approx(value)) for text, _, value in READ
    ]
    assert {text for (text, _, _), it in zip(READ, found, strict=True) if it["other"] is not None} == {"1,000"}
    assert read([[text] for text in UNREADABLE] + OTHER_UNIT) == [None] * (len(UNREADABLE) + len(OTHER_UNIT))


def test_one_separator_before_three_digits_and_a_share_where_percent_are_asked_have_two_readings(read):
    found = read([[text, unit] for text, unit, _, _ in DOUBTFUL])
    assert [(it["value"], it["other"]) for it in found] == [
        (value, pytest.approx(other)) for _, _, value, other in DOUBTFUL
    ]
    assert [it["other"] for it in read([list(case) for case in PLAIN])] == [None] * len(PLAIN)


FORMS = [
    repr,
    lambda x: f"{x:+}",
    lambda x: f" \u2248 {x!r} ".replace("-", "\u2212"),
    lambda x: f"{x:.17e}",
    lambda x: f"{x:.17e}".replace("e", " \u00d7 10^"),
    lambda x: f"{x:.17e}".replace("e", "*10**(") + ")",
    lambda x: f"{x!r} nats",
    lambda x: f"{x!r}".translate({48 + n: chr(0x0660 + n) for n in range(10)}),
    lambda x: f"{x:.17e}".replace(".", ","),
    lambda x: f"{x:.17e}".replace("e", " E "),
    lambda x: f"{x:.17e}".replace("e", "\\times10^{") + "}",
    lambda x: f"minus {-x!r}" if x < 0 else f"about {x!r} nats.",
]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=1, max_size=20))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_number_is_read_as_itself_in_every_form(read, numbers):
    cases = [(form(number), number) for number in numbers for form in FORMS]
    for (text, number), it in zip(cases, read([[text, "nats"] for text, _ in cases]), strict=True):
        assert it is not None, text
        assert pytest.approx(number, rel=1e-14, abs=0) in (it["value"], it.get("other")), text


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=30))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_grouped_whole_numbers_are_read_as_themselves_or_said_to_be_doubtful(read, numbers):
    cases = [(f"{number:,}".replace(",", sign), number) for number in numbers for sign in ",. '_\u2009"]
    for (text, number), it in zip(cases, read([[text] for text, _ in cases]), strict=True):
        assert it["value"] == number or it["other"] == number, text


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=30))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fractions_are_read_as_themselves(read, parts):
    cases = [(f"{a}/{b}", a / b) for _, a, b in parts]
    cases += [(f"{whole} {a}/{b}", whole + a / b) for whole, a, b in parts if a < b]
    for (text, number), it in zip(cases, read([[text] for text, _ in cases]), strict=True):
        assert it is not None and it["value"] == pytest.approx(number), text


@given(
    st.lists(
        st.text(
            st.sampled_from("0123456789.,-+eE%$/^x\u00d7\u00bd\u00b2'_ \u2248kn\u0665") | st.characters(), max_size=9
        ),
        max_size=50,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_is_a_finite_number_or_none(read, texts):
    for it in read([[text, "%"] for text in texts]):  # JSON has no NaN: it would arrive as None in `value`
        assert it is None or isinstance(it["value"], int | float)


def ask(show, **fields):
    question = Numeric(
        **{"id": "01-a", "type": "numeric", "prompt": "p", "explanation": "e", "tolerance": 0.0} | fields
    )
    return show(page_of(Quiz("T", [question]))).locator(".pt-question")


def answer(asked, text: str) -> None:
    asked.get_by_role("textbox").fill(text)
    asked.get_by_role("button", name="Check").click()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert content.FOLDER.is_dir()


def test_a_doubtful_number_is_said_before_it_is_judged(show):
    asked = ask(show, answer=10000.0, unit="tokens")
    status = asked.get_by_role("status")
    answer(asked, "10.000")
    expect(status).to_have_text(
        "I read \u201c10.000\u201d as 10. If you mean 10000, write it like that; to answer 10, press Check again."
    )
    answer(asked, "10.000")
    expect(status).to_contain_text("Not quite.")
    asked.get_by_role("button", name="Try again").click()
    answer(asked, "10000")
    expect(status).to_contain_text("Correct.")


def test_a_share_where_percent_are_asked_is_said_before_it_is_judged(show):
    asked = ask(show, answer=15.0, unit="%")
    status = asked.get_by_role("status")
    answer(asked, "0.15")
    expect(status).to_contain_text("I read \u201c0.15\u201d as 0.15. If you mean 15, write it like that")
    answer(asked, "15")
    expect(status).to_contain_text("Correct.")


def test_the_nearest_wrong_value_gives_its_text(show):
    near = [Near(value=0.127, why="the first"), Near(value=0.119, why="the nearest")]
    asked = ask(show, answer=2.127, tolerance=0.008, unit="nats", near=near)
    answer(asked, "0,119")
    expect(asked.get_by_role("status")).to_have_text(
        "\u2717 Not quite. the nearest I read \u201c0,119\u201d as 0.119 nats."
    )
