"""Quiz, deck and map as a learner uses them: stand-alone pages, and one real JupyterLab."""

import io
import json
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from playwright.sync_api import BrowserContext, Locator, Page, expect
from pypdf import PdfReader

from course.study import check as check_exercise
from course.study import content, flashcards, pipeline_map, predict, quiz, warm_up
from course.study.progress import Progress
from tests.standalone import page_of

pytestmark = pytest.mark.browser
SAMPLE = Path(__file__).parents[1] / "study" / "sample"


# The tests below name options by their place in the file.
AS_IN_THE_FILE = (
    "import sys, course.study\nsys.modules['course.study.quiz'].in_order = lambda question, seed: question.options\n"
)


@pytest.fixture(autouse=True)
def sample(tmp_path, monkeypatch, request):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(content, "FOLDER", SAMPLE)
    if "shuffled" not in request.node.name:
        monkeypatch.setattr(sys.modules["course.study.quiz"], "in_order", lambda question, seed: question.options)


def section(page: Page, i: int) -> Locator:
    return page.locator(".pt-question").nth(i)


def check(where: Locator) -> None:
    where.get_by_role("button", name="Check").click()


def status(where: Locator) -> Locator:
    return where.get_by_role("status")


# ---- quiz ------------------------------------------------------------------------------------------------------


def test_single_choice_commits_explains_and_can_be_tried_again(show):
    first = section(show(page_of(quiz("01"))), 0)
    expect(first.get_by_role("group", name="A base model reads")).to_be_visible()
    check(first)
    expect(status(first)).to_have_text("Choose an answer first.")
    first.get_by_role("radio").nth(0).check()
    expect(first).not_to_contain_text("nothing in the page so far")  # a click alone commits to nothing
    check(first)
    expect(status(first)).to_contain_text("✗ Not quite. It knows this, but nothing in the page so far")
    expect(status(first)).to_be_focused()
    expect(first).not_to_contain_text("mostly stood in a list of questions")  # the right one is not given away
    expect(first.get_by_text("A base model continues documents")).to_be_hidden()
    expect(first.get_by_role("radio").nth(1)).to_be_disabled()

    first.get_by_role("button", name="Try again").click()
    expect(status(first)).to_be_empty()
    first.get_by_role("radio").nth(1).check()
    check(first)
    expect(status(first)).to_contain_text("✓ Correct. On the pages it read")
    expect(first.get_by_text("A base model continues documents")).to_be_visible()
    expect(first).to_contain_text("Nothing marks the end of the document")  # now the others' feedback shows too


def test_several_choices_say_what_is_wrong_and_what_is_missing(show):
    page = show(page_of(quiz("01")))
    second = section(page, 1)
    second.get_by_role("checkbox").nth(0).check()
    second.get_by_role("checkbox").nth(2).check()
    check(second)
    expect(status(second)).to_have_text("✗ Not quite. 1 of your choices is not right, and 1 right one is missing.")
    expect(second).to_contain_text("The fact comes out when the document asks for it.")
    expect(second).not_to_contain_text("Examples change the document")
    second.get_by_role("button", name="Try again").click()
    for i in (0, 1):
        second.get_by_role("checkbox").nth(i).check()
    check(second)
    expect(status(second)).to_have_text("✓ Correct.")
    expect(page.locator(".pt-score")).to_have_text("1 of 5 right, 4 still to answer.")


def test_a_number_is_read_kindly_or_said_to_be_unreadable(show):
    third = section(show(page_of(quiz("01"))), 2)
    box = third.get_by_role("textbox", name="Your number")
    box.fill("12 or 5")
    check(third)
    expect(status(third)).to_contain_text("I cannot read “12 or 5” as a number")
    expect(box).to_be_focused()
    box.fill("25 tokens")
    box.press("Enter")
    expect(status(third)).to_have_text("✗ Not quite. That is one example; the prompt carries five.")
    third.get_by_role("button", name="Try again").click()
    box.fill("1.25e2")
    check(third)
    expect(status(third)).to_have_text("✓ Correct. It is 125 tokens.")


def test_short_answer_is_written_before_the_model_answer_opens(show):
    page = show(page_of(quiz("01")))
    last = section(page, 4)
    reveal = last.get_by_role("button", name="Show the model answer")
    area = last.get_by_role("textbox", name="Your answer")
    expect(reveal).to_be_disabled()
    expect(last).to_contain_text("opens once you have written your own")
    for too_short in ("   ", "x", "x" + " " * 20):
        area.fill(too_short)
        expect(reveal).to_be_disabled()
    area.fill("It begins a document.")
    expect(last).not_to_contain_text("It does not ask; it begins")
    reveal.click()
    model = last.get_by_role("region", name="Model answer")
    expect(model).to_be_focused()
    expect(model).to_contain_text("It does not ask; it begins a document.")
    expect(model).to_contain_text("A base model continues text.")
    grades = last.get_by_role("group", name="How did your answer compare?").get_by_role("button")
    expect(grades).to_have_count(4)
    grades.nth(2).click()
    expect(grades.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(status(last)).to_have_text("Noted: Good.")
    expect(page.locator(".pt-score")).to_have_text("1 of 5 right, 4 still to answer.")


def test_answers_survive_a_reload(show):
    page = show(page_of(quiz("01")))
    section(page, 0).get_by_role("radio").nth(1).check()
    check(section(page, 0))
    section(page, 4).get_by_role("textbox").fill("A draft")
    section(page, 4).get_by_role("textbox").blur()
    page.reload()
    expect(status(section(page, 0))).to_contain_text("✓ Correct.")
    expect(section(page, 4).get_by_role("textbox")).to_have_value("A draft")


def test_an_answer_is_found_again_among_options_shuffled_anew(show, monkeypatch):
    right = "What is the capital of Chile?"
    orders = set()
    for seed in range(5):
        monkeypatch.setenv("COURSE_SEED", str(seed))
        first = section(show(page_of(quiz("01"))), 0)
        if seed == 0:
            first.get_by_role("radio", name=right).check()
            check(first)
        expect(status(first)).to_contain_text("✓ Correct.")
        expect(first.get_by_role("radio", name=right)).to_be_checked()
        orders.add(tuple(first.locator(".pt-option-text").all_inner_texts()))
    assert len(orders) > 1


def test_a_reworded_option_is_asked_anew(show):
    widget = quiz("01")
    page = show(page_of(widget))
    section(page, 0).get_by_role("radio").nth(1).check()
    check(section(page, 0))
    kept = page.evaluate("JSON.parse(localStorage.getItem('post-training-hands-on/quiz/01-carries-on'))")
    kept["value"]["chosen"] = ["gone"]
    page.evaluate("text => localStorage.setItem('post-training-hands-on/quiz/01-carries-on', text)", json.dumps(kept))
    page.reload()
    expect(section(page, 0).get_by_role("button", name="Check")).to_be_visible()


OTHER_TYPES = {
    "01-carries-on": {"text": "12", "checked": True, "right": True, "tries": 1},
    "01-knows": {"text": "mine", "shown": True, "grade": 3},
    "01-cost": {"chosen": ["1a2b3c4d"], "checked": True, "right": True, "tries": 1},
    "01-why": {"chosen": ["1a2b3c4d"], "checked": False, "tries": 1},
}


def test_answers_to_an_earlier_type_of_a_question_are_none(show):
    page = show(page_of(quiz("01")))
    kept = {
        f"post-training-hands-on/quiz/{id}": json.dumps({"value": value, "at": 1}) for id, value in OTHER_TYPES.items()
    }
    page.evaluate("kept => Object.assign(localStorage, kept)", kept)
    page.reload()
    expect(page.locator(".pt-question")).to_have_count(5)
    expect(page.locator(".pt-score")).to_be_empty()
    expect(section(page, 2).get_by_role("textbox")).to_have_value("")
    section(page, 0).get_by_role("radio").nth(1).check()
    check(section(page, 0))
    expect(page.locator(".pt-score")).to_have_text("1 of 5 right, 4 still to answer.")


def test_a_stored_grade_or_hint_that_is_none_breaks_nothing(show):
    odd = {"quiz/01-why": {"text": "mine", "shown": True, "grade": 99}, "hints/01-next-token-loss": {"hints": {"a": 1}}}
    for widget in (quiz("01"), check_exercise("01-next-token-loss", lambda logits, ids: 0.0)):
        page = show(page_of(widget))
        for name, value in odd.items():
            entry = ["post-training-hands-on/" + name, json.dumps({"value": value, "at": 1})]
            page.evaluate("([key, entry]) => localStorage.setItem(key, entry)", entry)
        page.reload()
        expect(page.locator(".pt-question").last).to_be_visible()
        expect(page.locator(".pt-study")).not_to_contain_text("[object")
    page.get_by_role("button", name="Show a hint").click()
    expect(page.get_by_text("Hint 1", exact=True)).to_be_visible()


def test_a_share_in_per_cent_is_read_with_and_without_its_sign(show, monkeypatch):
    monkeypatch.setattr(content, "FOLDER", Path(__file__).parents[2] / "quizzes")
    for text in ("0.98 %", "0.98", "0.98%"):
        asked = section(show(page_of(quiz("03", "03-lora-share"))), 0)
        asked.page.evaluate("localStorage.clear()")
        asked.page.reload()
        asked.get_by_role("textbox", name="Your number").fill(text)
        check(asked)
        expect(status(asked)).to_have_text("✓ Correct. It is 0.977 %.")


def test_a_page_without_storage_works_and_says_so(context):
    page = context.new_page()
    page.set_content(page_of(quiz("01")))  # about:blank has no localStorage
    section(page, 0).get_by_role("radio").nth(1).check()
    check(section(page, 0))
    expect(status(section(page, 0))).to_contain_text("✓ Correct.")
    expect(page.locator(".pt-notice")).to_contain_text("they last until you leave this page")


def test_two_widgets_in_one_page_draw_their_own_content(show, monkeypatch):
    monkeypatch.setenv("COURSE_FACE", "standalone")
    outputs = [widget._repr_mimebundle_()[0]["text/html"] for widget in (quiz("01", "01-why"), flashcards("00"))]
    page = show("<!doctype html><body>" + "".join(f"<section>{html}</section>" for html in outputs))
    expect(page.locator("body > section").nth(0).locator(".pt-question")).to_have_count(1)
    expect(page.locator("body > section").nth(1).locator(".pt-deck")).to_have_count(1)


# ---- nothing hostile runs --------------------------------------------------------------------------------------

EVIL = r"""Read this:
<script>window.ran = 2</script> <img src=x onerror="window.ran = 3"> </script><script>window.ran = 4</script>
[click me](javascript:window.ran=5) [and me](data:text/html,<script>window.ran=5</script>) <javascript:window.ran=5>
<svg onload="window.ran=6"></svg> $\text{<img src=x onerror="window.ran=7">}$ ${window.ran=8} {{window.ran=9}}
`</code><script>window.ran = 10</script>` <details open ontoggle="window.ran=11">
<iframe srcdoc="<script>"> <!-- <script>
"""
TAG = "<img src=y onerror='window.ran=12'>"
HOSTILE = {
    "lesson": "66",
    "title": r"</title><script>window.ran = 1</script> \(\href{javascript:window.ran=1}{x}\)",
    "questions": [
        {
            "id": "66-a",
            "type": "single",
            "prompt": EVIL,
            "options": [{"text": TAG, "why": EVIL}, {"text": EVIL, "right": True, "why": EVIL}],
            "explanation": EVIL,
        },
        {
            "id": "66-b",
            "type": "numeric",
            "prompt": EVIL,
            "answer": 1,
            "tolerance": 0,
            "unit": TAG,
            "explanation": EVIL,
        },
        {"id": "66-c", "type": "short", "prompt": EVIL, "answer": EVIL, "rubric": [EVIL]},
    ],
    "cards": [{"id": "66-d", "front": EVIL, "back": EVIL}],
}


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    (tmp_path / "66_hostile.yaml").write_text(yaml.safe_dump(HOSTILE), encoding="utf-8")
    monkeypatch.setattr(content, "FOLDER", tmp_path)


def stays_calm(page: Page) -> None:
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert page.locator("img, iframe, object, embed, form, [onerror], [onload], [ontoggle]").count() == 0
    assert page.locator("a[href^='javascript' i], a[href^='data' i]").count() == 0


def test_a_hostile_file_runs_no_script_in_any_face(hostile, show):
    asked, deck = quiz("66"), flashcards("66")
    page = show(page_of(asked))
    for i in range(2):
        section(page, 0).get_by_role("radio").nth(i).check()
        check(section(page, 0))
        section(page, 0).get_by_role("button", name="again").click()
    section(page, 1).get_by_role("textbox").fill("<img src=x onerror='window.ran=14'>")
    check(section(page, 1))
    section(page, 1).get_by_role("textbox").fill("1")
    check(section(page, 1))
    section(page, 2).get_by_role("textbox").fill("</textarea><script>window.ran=15</script>")
    section(page, 2).get_by_role("button").click()
    stays_calm(page)
    page.reload()
    stays_calm(page)
    page = show(page_of(deck))
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Show answer").click()
    stays_calm(page)
    for html in (asked.static_html(), deck.static_html(), deck.print_html()):
        page = show(f"<!doctype html><body>{html}")
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
        stays_calm(page)


# ---- flashcards ------------------------------------------------------------------------------------------------


def test_deck_by_keyboard(show):
    page = show(page_of(flashcards("01")))
    where = page.locator(".pt-where")
    card = page.locator(".pt-card")
    expect(card).to_have_attribute("aria-expanded", "false")
    expect(card).to_have_attribute("aria-label", "Question: What does a base model do with a question?")
    expect(page.get_by_role("button", name="Known", exact=True)).to_be_disabled()
    card.focus()
    page.keyboard.press("2")  # no judgement before the answer was seen
    expect(where).to_have_text("Card 1 of 3")
    page.keyboard.press("Space")
    expect(card).to_have_attribute("aria-expanded", "true")
    expect(card).to_have_attribute(
        "aria-label", "Answer: It continues the document: more questions, as in the lists that it has read."
    )
    assert page.locator(".pt-front").evaluate("face => face.inert") and not page.locator(".pt-back").evaluate(
        "face => face.inert"
    )
    page.keyboard.press("Enter")
    expect(card).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(where).to_have_text("Card 2 of 3")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    page.keyboard.press("2")
    expect(where).to_have_text("Card 2 of 3")
    expect(card).to_be_focused()
    expect(card).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".pt-spoken")).to_have_text("Card 2 of 3. Question: What is the loss of one token?")
    page.keyboard.press("Space")
    page.keyboard.press("1")
    expect(page.locator(".pt-deck-head")).to_contain_text("1 of 3 known")
    page.keyboard.press("Tab")
    expect(card).not_to_be_focused()  # Tab is never trapped


def test_a_card_is_named_by_its_words_and_the_latex_of_its_formulas(show, tmp_path, monkeypatch):
    front = r'"What is $\\frac{1}{2\\beta}$?\n\nSay it."'
    (tmp_path / "05.yaml").write_text(f'lesson: "05"\ntitle: T\ncards: [{{id: 05-a, front: {front}, back: b}}]\n')
    monkeypatch.setattr(content, "FOLDER", tmp_path)
    page = show(page_of(flashcards("05")))
    expect(page.locator(".pt-card")).to_have_attribute("aria-label", r"Question: What is \frac{1}{2\beta}? Say it.")


def test_what_is_not_yet_known_can_be_gone_through_alone(show):
    page = show(page_of(flashcards("01")))
    for rating in ("Known", "Not yet", "Known"):
        page.get_by_role("button", name="Show answer").click()
        page.get_by_role("button", name=rating, exact=True).click()
    expect(page.locator(".pt-end")).to_contain_text("You are through. 2 of 3 known, 1 not yet.")
    page.get_by_role("button", name="Go through the 1 not yet known").click()
    expect(page.locator(".pt-where")).to_have_text("Card 1 of 1")
    expect(page.locator(".pt-front")).to_contain_text("What is the loss of one token?")
    expect(page.get_by_role("checkbox")).to_be_checked()
    page.get_by_role("checkbox").uncheck()
    expect(page.locator(".pt-where")).to_have_text("Card 1 of 3")
    page.reload()
    expect(page.locator(".pt-deck-head")).to_contain_text("2 of 3 known")


def test_shuffle_is_the_same_for_the_same_seed(show):
    def order(page: Page) -> list[str]:
        page.get_by_role("button", name="Shuffle").click()
        fronts = []
        for _ in range(3):
            fronts.append(page.locator(".pt-front").inner_text())
            page.get_by_role("button", name="Next card").click()
        return fronts

    html = page_of(flashcards("01", seed=5))
    orders = [order(show(html)), order(show(html))]
    assert orders[0] == orders[1] and len(set(orders[0])) == 3


def test_print_puts_each_answer_on_the_back_of_its_question_and_loses_no_text(show):
    deck = flashcards("01")
    page = show(page_of(deck))
    page.evaluate("window.print = () => {}")
    with page.expect_popup() as opening:
        page.get_by_role("button", name="Print flashcards").click()
    sheets = opening.value
    sheets.wait_for_load_state()
    cut = "cards => cards.map(card => card.scrollHeight > card.clientHeight || card.scrollWidth > card.clientWidth)"
    assert sheets.locator(".card").evaluate_all(cut) == [False] * 6
    texts = [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(sheets.pdf(format="A4"))).pages]
    assert len(texts) == 6
    for i, card in enumerate(deck.cards):
        front, back = texts[2 * i : 2 * i + 2]
        question = " ".join(card.front.split())
        assert question in front and question not in back
        assert f"card {i + 1} of 3" in front and f"card {i + 1} of 3, answer" in back
    assert "as in the lists that it has read" in texts[1] and "falls back to the question alone" in texts[5]


def test_print_falls_back_to_a_file_where_no_window_opens(show):
    page = show(page_of(flashcards("01")))
    page.evaluate("window.open = () => null")
    with page.expect_download() as download:
        page.get_by_role("button", name="Print flashcards").click()
    assert download.value.suggested_filename == "flashcards.html"
    expect(page.locator(".pt-deck")).to_contain_text("sent to you as a file")


def test_an_empty_warm_up_is_one_sentence(show):
    page = show(page_of(warm_up("00")))
    expect(page.locator(".pt-study")).to_contain_text("There is no earlier lesson")
    expect(page.get_by_role("button")).to_have_count(0)


# ---- pipeline map ----------------------------------------------------------------------------------------------


def test_map_opens_a_stage_by_click_and_by_arrow_keys(show):
    page = show(page_of(pipeline_map()))
    tabs = page.get_by_role("tab")
    panel = page.get_by_role("tabpanel")
    expect(tabs).to_have_count(6)
    expect(panel).to_contain_text("1 · Pretraining")
    tabs.nth(2).click()
    expect(panel).to_contain_text("About 33,000 comparisons")
    expect(tabs.nth(2)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(3)).to_be_focused()
    expect(panel).to_contain_text("4 · Rejection sampling")
    page.keyboard.press("End")
    expect(panel).to_contain_text("6 · Verifiable rewards")
    page.keyboard.press("ArrowRight")
    expect(panel).to_contain_text("1 · Pretraining")
    page.keyboard.press("Tab")
    expect(panel).to_be_focused()


# ---- for everyone ----------------------------------------------------------------------------------------------

# Every visible text against the first background that is painted behind it, as a WCAG contrast ratio.
LOW_CONTRAST = """() => {
  const pixel = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    pixel.clearRect(0, 0, 1, 1); pixel.fillStyle = color; pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll('.pt-study *')) {
    const text = [...node.childNodes].filter(child => child.nodeType === 3).map(child => child.data.trim()).join('');
    if (!text || node.closest(':disabled') || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const ink = node instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(rgba(ink)), light(behind(node))].sort((x, y) => x - y);
    const ratio = (b + 0.05) / (a + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(1)}: ${text.slice(0, 40)}`);
  }
  return low;
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll(':is(button, label:has(input), summary):is(.pt-study *)')]
  .filter(node => node.checkVisibility() && Math.min(node.offsetHeight, node.offsetWidth) < 32)
  .map(node => `${node.offsetWidth}x${node.offsetHeight}: ${node.textContent}`)"""
TOO_WIDE = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


def answer_something(page: Page) -> None:
    section(page, 0).get_by_role("radio").nth(0).check()
    check(section(page, 0))
    section(page, 1).get_by_role("checkbox").nth(0).check()
    check(section(page, 1))
    section(page, 4).get_by_role("textbox").fill("a few words of it")
    section(page, 4).get_by_role("button", name="Show").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_standalone_pages_are_readable_and_fit(show, scheme, width):
    guess = predict("S6", "Draw it.", x=[0, 10, 20], low=0, high=6)
    exercise = check_exercise("01-next-token-loss", lambda logits, ids: 0.0)
    for make in (
        lambda: quiz("01"),
        lambda: flashcards("01"),
        pipeline_map,
        lambda: guess,
        lambda: guess.reveal([3, 2, 1]),
        lambda: exercise,
    ):
        page = show(page_of(make()))
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        if page.locator(".pt-question").count() > 1:
            answer_something(page)
        for button in page.get_by_role("button", name="how the result without").all():
            button.click()
        assert page.evaluate(LOW_CONTRAST) == []
        assert page.evaluate(SMALL_TARGETS) == []
        assert not page.evaluate(TOO_WIDE)


def test_reduced_motion_and_focus_ring(show):
    page = show(page_of(flashcards("01")))
    duration = "node => getComputedStyle(node).transitionDuration"
    assert page.locator(".pt-turning").evaluate(duration) == "0.35s"
    page.emulate_media(reduced_motion="reduce")
    assert page.locator(".pt-turning").evaluate(duration) == "0s"
    page.keyboard.press("Tab")
    ring = page.evaluate("getComputedStyle(document.activeElement).outline")
    assert "solid 3px" in ring


# ---- JupyterLab ------------------------------------------------------------------------------------------------


def write_notebook(lab, name: str, cells: list[str]) -> str:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / name)
    return name


@pytest.fixture
def notebook(lab) -> str:
    setup = "from pathlib import Path\nfrom course.study import content, flashcards, pipeline_map, quiz"
    cells = [
        f"{AS_IN_THE_FILE}{setup}\ncontent.FOLDER = Path({str(SAMPLE)!r})",
        'quiz("01")',
        'flashcards("01")',
        "pipeline_map()",
    ]
    return write_notebook(lab, "probe.ipynb", cells)


def test_in_jupyterlab_keys_stay_inside_and_answers_survive_a_restart(lab, notebook, context: BrowserContext):
    page = lab.open(context, notebook)
    first = section(page, 0)
    radio = first.get_by_role("radio")
    radio.nth(0).check()
    radio.nth(0).press("ArrowDown")
    expect(radio.nth(1)).to_be_checked()  # JupyterLab would have moved to the next cell
    for key in ("m", "x", "a", "y", "Enter"):
        first.get_by_role("button", name="Check").press("Shift" if key == "Enter" else key)
    check(first)
    expect(status(first)).to_contain_text("✓ Correct.")
    card = page.locator(".pt-card")
    card.focus()
    for key in ("d", "d", "Space", "2"):
        page.keyboard.press(key)
    expect(page.locator(".pt-where")).to_have_text("Card 2 of 3")
    section(page, 4).get_by_role("textbox").fill("m a b")
    section(page, 4).get_by_role("textbox").blur()
    page.get_by_role("tab", name="3 Reward model").click()
    assert page.locator(".jp-CodeCell").count() == 4 and page.locator(".jp-MarkdownCell").count() == 0

    with page.expect_popup() as opening:
        page.get_by_role("button", name="Print flashcards").click()
    opening.value.wait_for_load_state()
    assert len(PdfReader(io.BytesIO(opening.value.pdf())).pages) == 6
    opening.value.close()

    page.wait_for_timeout(500)
    kept = Progress(lab.home)
    assert kept.get("quiz", "01-carries-on")["right"] is True
    assert kept.get("quiz", "01-why")["text"] == "m a b"
    assert kept.get("card", "01-card-base")["rating"] == "known"
    assert [entry.id for entry in kept.history("review")] == ["01-card-base"]

    lab.restart_kernel(page)
    expect(page.locator(".pt-question")).to_have_count(0)
    lab.run_all(page)
    expect(status(section(page, 0))).to_contain_text("✓ Correct.")
    expect(section(page, 4).get_by_role("textbox")).to_have_value("m a b")
    expect(page.locator(".pt-deck-head")).to_contain_text("1 of 3 known")


def test_in_jupyterlab_every_theme_is_readable(lab, notebook, context: BrowserContext):
    page = lab.open(context, notebook)
    for theme in ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        page.wait_for_timeout(300)
        expect(page.locator(".pt-study")).to_have_count(3)
        assert page.evaluate(LOW_CONTRAST) == []
        assert page.evaluate(SMALL_TARGETS) == []


def test_in_jupyterlab_the_static_face_is_typeset_and_runs_nothing(lab, hostile, tmp_path, context: BrowserContext):
    """In a cell that ran, JupyterLab sanitizes nothing and typesets every formula that it finds."""
    setup = (
        "from pathlib import Path\nfrom IPython.display import HTML\nfrom course.study import content, flashcards, quiz"
    )
    cells = [
        f'{setup}\ncontent.FOLDER = Path({str(SAMPLE)!r})\nHTML(quiz("01").static_html())',
        f'content.FOLDER = Path({str(tmp_path)!r})\nHTML(quiz("66").static_html() + flashcards("66").static_html())',
    ]
    page = lab.open(context, write_notebook(lab, "static.ipynb", cells))
    page.set_viewport_size({"width": 1100, "height": 4000})  # JupyterLab attaches only outputs that are in view
    sample_output, hostile_output = (
        page.locator(".jp-OutputArea-output").nth(0),
        page.locator(".jp-OutputArea-output").nth(1),
    )
    sample_output.locator("mjx-container").nth(4).wait_for(state="attached")
    hostile_output.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert hostile_output.locator("img, iframe, svg[onload], a").count() == 0
    assert "href{javascript" in hostile_output.inner_text(), "the title's formula stays text"
