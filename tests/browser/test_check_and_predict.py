"""Exercises and predictions as a learner uses them: by pointer, by keyboard, on a page and in JupyterLab."""

import re
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from course.exercises import EXERCISES
from course.study import check, predict
from course.study.widget import StudyWidget
from tests.standalone import page_of

pytestmark = pytest.mark.browser
Show = Callable[[str], Page]
ID = "01-prompt-tokens"
RIGHT, WRONG = EXERCISES[ID].solution, EXERCISES[ID].mistakes["shots_once"]


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))


def number(**more: Any):
    return predict("S10", "How many of 90 survive?", low=0, high=90, **more)


def choice():
    return predict("S9", "Where does the loss go?", choices=["up", "down"])


def curve(**more: Any):
    asked = {"x": [0, 10, 20], "low": 0, "high": 6, "x_label": "step", "y_label": "loss"}
    return predict("S6", "Draw the loss.", **(asked | more))


def said(page: Page) -> str:
    return page.locator(".pt-says").last.inner_text()


# ---- exercises -----------------------------------------------------------------------------------------------


def test_hints_open_one_by_one_and_the_solution_last(show: Show):
    page = show(page_of(check(ID, None)))
    expect(page.get_by_text("Not attempted yet.")).to_be_visible()
    assert "def prompt_tokens" not in page.inner_text("main")
    page.get_by_role("button", name="Show a hint").press("Enter")
    expect(page.get_by_text("Hint 1")).to_be_visible()
    expect(page.get_by_text("Hint 2")).to_be_hidden()
    page.get_by_role("button", name="Next hint").click()
    expect(page.get_by_text("Hint 2")).to_be_visible()
    page.get_by_role("button", name="Show the solution").click()
    assert "def prompt_tokens" in page.inner_text("main")
    expect(page.get_by_role("button")).to_have_count(0)
    assert "def prompt_tokens" in page.evaluate("document.activeElement.innerText")
    page.reload()
    assert "def prompt_tokens" in page.inner_text("main")


def test_a_wrong_attempt_shows_the_hint_that_fits(show: Show):
    page = show(page_of(check(ID, WRONG)))
    verdict = page.locator(".pt-study").get_by_role("status").first
    assert "Not right yet" in verdict.inner_text() and "examples once" in verdict.inner_text()
    page.get_by_text("See it on the smallest case").click()
    assert "shots = [12, 15]" in verdict.inner_text() and "108" in verdict.inner_text()
    expect(page.get_by_text("Return how many prompt tokens")).to_be_hidden()
    page.get_by_text("The task", exact=True).click()
    expect(page.get_by_text("Return how many prompt tokens")).to_be_visible()


def test_a_right_attempt_shows_its_reason_and_offers_the_comparison(show: Show):
    page = show(page_of(check(ID, RIGHT)))
    assert "✓ Right." in page.locator(".pt-study").get_by_role("status").first.inner_text()
    expect(page.get_by_text("paid for again")).to_be_visible()
    page.get_by_role("button", name="Compare with our solution").click()
    assert "def prompt_tokens" in page.inner_text("main")


HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


def _hostile_exercise() -> StudyWidget:
    shown = check(ID, None)
    names = ("title", "message", "note", "where", "trace", "solution")
    shown.data = shown.data | dict.fromkeys(names, HOSTILE) | {"kind": "error", "rows": [(HOSTILE, HOSTILE)]}
    return shown


@pytest.mark.parametrize(
    "widget",
    [
        _hostile_exercise,
        lambda: predict("h", HOSTILE, choices=[HOSTILE, "b"]),
        lambda: predict("h", HOSTILE, choices=[HOSTILE, "b"]).reveal(HOSTILE),
        lambda: predict("h", HOSTILE, low=0, high=1, unit=HOSTILE).reveal(1),
        lambda: curve(x_label=HOSTILE, y_label=HOSTILE).reveal([1, 2, 3]),
    ],
)
def test_hostile_text_runs_nothing(show: Show, widget: Callable[[], StudyWidget]):
    page = show(page_of(widget()))
    expect(page.locator(".pt-question")).to_have_count(1)
    page.wait_for_timeout(100)
    assert page.title() != "owned"
    expect(page.locator("img")).to_have_count(0)


# ---- predictions: asking ---------------------------------------------------------------------------------------


def commit(page: Page) -> Locator:
    return page.get_by_role("button", name="Commit my guess")


def test_a_number_is_guessed_by_keyboard_locked_and_kept(show: Show):
    page = show(page_of(number(unit="answers")))
    slider = page.get_by_role("slider", name="How many of 90 survive?")
    expect(commit(page)).to_be_disabled()
    slider.press("Home")
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "1 answers"
    commit(page).press("Enter")
    expect(page.locator(".pt-study").get_by_role("status").first).to_have_text(
        "Your guess is in: 1 answers. The cells below answer it."
    )
    assert "guess is in" in page.evaluate("document.activeElement.innerText")
    expect(page.get_by_role("slider")).to_be_disabled()
    expect(commit(page)).to_have_count(0)
    page.reload()
    expect(page.get_by_role("slider")).to_be_disabled()
    expect(page.locator(".pt-study").get_by_role("status").first).to_contain_text("1 answers")


def test_the_middle_of_the_slider_can_be_guessed_by_a_click(show: Show):
    page = show(page_of(number()))
    page.get_by_role("slider").click()
    commit(page).click()
    expect(page.locator(".pt-study").get_by_role("status").first).to_contain_text("guess is in: 45")


def test_a_choice_is_guessed_and_locked(show: Show):
    page = show(page_of(choice()))
    group = page.get_by_role("group", name="Where does the loss go?")
    expect(commit(page)).to_be_disabled()
    group.get_by_label("down").check()
    commit(page).click()
    expect(page.locator(".pt-study").get_by_role("status").first).to_contain_text("“down”")
    expect(page.get_by_label("up")).to_be_disabled()
    page.reload()
    expect(page.get_by_label("down")).to_be_checked()


def test_a_curve_is_drawn_by_keyboard(show: Show):
    page = show(page_of(curve()))
    first = page.get_by_role("slider", name="loss at step 0")
    first.focus()
    for key in ("End", "Tab", "Home", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator(".pt-focused")).to_have_count(1)
    commit(page).click()
    kept = page.evaluate("JSON.parse(localStorage.getItem('post-training-hands-on/prediction/S6')).value")
    assert kept["guess"] == pytest.approx([6, 0.1, 3])


def test_a_curve_is_drawn_by_dragging(show: Show):
    page = show(page_of(curve()))
    box = page.locator(".pt-drawable").bounding_box()  # its scale runs from 10% to 83% of its height
    points = page.locator("circle.pt-dot-guess")
    columns = [points.nth(i).bounding_box() for i in range(3)]
    page.mouse.move(columns[0]["x"] + 6, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    for column, height in zip(columns[1:], (0.5, 0.7), strict=True):
        page.mouse.move(column["x"] + 6, box["y"] + box["height"] * height, steps=4)
    page.mouse.up()
    page.mouse.move(columns[0]["x"] + 6, box["y"] + box["height"] * 0.8)  # the button is up: nothing is drawn
    commit(page).click()
    kept = page.evaluate("JSON.parse(localStorage.getItem('post-training-hands-on/prediction/S6')).value")["guess"]
    assert 6 >= kept[0] > kept[1] > kept[2] >= 0
    assert kept == pytest.approx([5.1, 2.7, 1.1], abs=0.4)


def test_a_guess_outside_the_scale_cannot_be_drawn(show: Show):
    page = show(page_of(curve()))
    box = page.locator(".pt-drawable").bounding_box()
    page.mouse.move(box["x"] + 70, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] - 300)
    page.mouse.up()
    commit(page).click()
    assert (
        page.evaluate("JSON.parse(localStorage.getItem('post-training-hands-on/prediction/S6')).value")["guess"][0] == 6
    )


def test_a_kept_guess_for_other_choices_is_none(show: Show):
    asked = choice()
    asked.state = {"S9": {"guess": "sideways"}}
    page = show(page_of(choice()))
    page.evaluate(
        'localStorage.setItem(\'post-training-hands-on/prediction/S9\', \'{"value": {"guess": "sideways"}, "at": 1}\')'
    )
    page.reload()
    expect(commit(page)).to_be_visible()


def test_a_guess_can_be_taken_back_and_one_after_the_result_does_not_count(show: Show):
    asked = number()
    page = show(page_of(asked).replace("</main>", "") + page_of(asked.reveal(3)).split("<main>")[1])
    slider = page.get_by_role("slider")
    slider.press("End")
    commit(page).click()
    expect(page.get_by_text("You guessed 90, and the run gave 3")).to_be_visible()
    page.get_by_role("button", name="Guess again").click()
    slider.press("Home")
    expect(page.get_by_text("this will not count as a guess")).to_be_visible()
    commit(page).click()
    expect(page.get_by_text("made after the result was seen, so it does not count. You guessed 0")).to_be_visible()


# ---- predictions: revealing --------------------------------------------------------------------------------------


def revealed(show: Show, widget: StudyWidget, guess: str) -> Page:
    """The measurement on a page whose browser has kept this guess (JSON)."""
    page = show(page_of(widget))
    page.evaluate(
        """([id, guess]) => localStorage.setItem(
            `post-training-hands-on/prediction/${id}`, `{"value": {"guess": ${guess}}, "at": 1}`)""",
        [widget.data["id"], guess],
    )
    page.reload()
    if (waive := page.get_by_role("button", name="show the result without a guess")).count():
        assert not page.locator(".pt-says, .pt-picture").count(), "the result is folded"
        waive.click()
    return page


@pytest.mark.parametrize(
    ("measured", "guess", "words"),
    [
        (3, "40", "You guessed 40 tokens, and the run gave 3 tokens: your guess was 37 tokens too high."),
        (43, "40", "your guess was 3 tokens too low"),
        (40, "40", "as close as the slider allows"),
        (40.25, "40", "the run gave 40.3 tokens: as close as the slider allows"),
        (120, "40", "outside the scale of 0 to 90 tokens"),
        (float("nan"), "40", "The run gave no number"),
        (3, "null", "No guess was made before this run. The run gave 3 tokens."),
    ],
)
def test_a_number_beside_its_guess(show: Show, measured: float, guess: str, words: str):
    page = revealed(show, number(unit="tokens").reveal(measured), guess)
    assert words in said(page)
    if measured == measured:
        name = page.get_by_role("img").get_attribute("aria-label")
        assert "measured" in name and ("your guess 40" in name) == (guess != "null")


@pytest.mark.parametrize(
    ("guess", "words"),
    [
        ('"up"', "You guessed “up”, and so it came out."),
        ('"down"', "You guessed “down”; it came out as “up”."),
        ("null", "No guess was made before this run. It came out as “up”."),
    ],
)
def test_a_choice_beside_its_guess(show: Show, guess: str, words: str):
    page = revealed(show, choice().reveal("up"), guess)
    assert said(page) == words
    assert page.locator(".pt-tag-guess").count() == (0 if guess == "null" else 1)


@pytest.mark.parametrize(
    ("measured", "guess", "words"),
    [
        (
            [5, 4, 3],
            "[5, 3, 1]",
            "On average your curve is 1 away from the measured one. The largest gap is at step 20",
        ),
        ([5, 4, 3], "[5, 4, 3]", "lies on the measured one"),
        (([0, 20], [6, 2]), "[6, 5, 2]", "at step 10: you drew 5, and the run gave 4"),
        (([40, 60], [6, 2]), "[6, 5, 2]", "only your eye can compare"),
        ([5, float("nan"), 3], "[5, 5, 5]", "1 of 3 measured values is not a finite number"),
        ([float("nan")] * 3, "[5, 5, 5]", "no finite number"),
        ([5, 4, 3], "null", "No guess was made before this run. The run's curve is drawn, from 5 to 3."),
        ([5, 4, 9], "[5, 4]", "No guess was made"),
    ],
)
def test_a_curve_beside_its_guess(show: Show, measured: Any, guess: str, words: str):
    page = revealed(show, curve().reveal(measured), guess)
    assert words in said(page)
    drawn = 0 if words.startswith("No guess") or words == "no finite number" else 1
    assert page.locator(".pt-line-guess").count() == drawn


def test_no_drawing_leaves_its_frame(show: Show):
    wide = curve(x=[1e-5, 1e-4, 1e-3], low=-1000, high=250_000).reveal([1e6, -5e5, 3])
    page = revealed(show, wide, "[0, 0, 250000]")
    frame = page.locator("svg").bounding_box()
    for mark in page.locator("svg text, svg circle, svg rect").all():
        box = mark.bounding_box()
        assert box["x"] >= frame["x"] - 12 and box["x"] + box["width"] <= frame["x"] + frame["width"] + 12
        assert box["y"] >= frame["y"] - 2 and box["y"] + box["height"] <= frame["y"] + frame["height"] + 2


# ---- in JupyterLab ------------------------------------------------------------------------------------------------


CELLS = [
    "from course.study import check, predict",
    'guess = predict("B2", "How many?", low=0, high=90)\nguess',
    "guess.reveal(3)",
    f'def prompt_tokens(shots, question, queries):\n    ...\n\ncheck("{ID}", prompt_tokens)',
    f'def wrong(shots, question, queries):\n    return shots["a"]\n\ncheck("{ID}", wrong)',
]


def test_in_jupyterlab_a_guess_reaches_the_kernel_and_errors_stop_nothing(lab: Any, context: BrowserContext):
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / "predict.ipynb")
    page = lab.open(context, "predict.ipynb")
    outputs = page.locator(".pt-study")
    expect(outputs.filter(has_text="Not attempted yet")).to_have_count(1)
    expect(outputs.filter(has_text=re.compile(r"stopped in line 2 with TypeError"))).to_have_count(1)
    expect(outputs.filter(has_text="You have not guessed yet")).to_have_count(1)
    slider = page.get_by_role("slider")
    slider.press("Home")
    slider.press("m")  # JupyterLab's key for Markdown must not reach the notebook
    commit(page).click()
    page.get_by_text("Your guess is in: 0").wait_for()
    page.get_by_text("You guessed 0, and the run gave 3").wait_for()  # the cell below follows at once
    lab.run_all(page)
    page.get_by_text("You guessed 0, and the run gave 3").wait_for()
    expect(page.locator(".jp-CodeCell")).to_have_count(len(CELLS))


def test_dark_and_reduced_motion(browser: Browser):
    context = browser.new_context(color_scheme="dark", reduced_motion="reduce")
    page = context.new_page()
    page.set_content(page_of(curve().reveal([5, 4, 3])))
    page.get_by_role("button", name="show the result").click()
    text = page.locator("svg text").first.evaluate("node => getComputedStyle(node).fill")
    paper = page.locator(".pt-study").evaluate("node => getComputedStyle(node).backgroundColor")
    assert luminance(text) > 0.8 > 0.2 > luminance(paper)
    assert page.locator(".pt-line-measured").evaluate("node => getComputedStyle(node).transitionDuration") == "0s"
    context.close()


def luminance(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3 / 255
