"""Asking several models as a learner does it: by pointer and keyboard, with a kernel and without, and when it fails."""

from collections.abc import Callable

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from course.study import chat
from course.study.widget import StudyWidget
from tests.browser.test_study_tools import LOW_CONTRAST, SMALL_TARGETS, TOO_WIDE
from tests.standalone import page_of

pytestmark = pytest.mark.browser
Show = Callable[[str], Page]
EVIL = "<img src=x onerror='window.ran=1'></script><script>window.ran=2</script>\n\u202e$\\href{javascript:1}{x}$"

MODELS = """
from course.study import chat

def brief(question):
    if len(question) > 40:
        raise ValueError("the question is too long")
    return "Lima."

widget = chat({"brief": brief, "kind": lambda question: "Good question! " + question}, ["Where?", "Who?"])
widget
"""


def suggested() -> StudyWidget:
    return chat({"brief": lambda q: "Lima.", "kind": lambda q: f"Good question! {q}"}, ["Where?", "Who?"])


def exchanges(page: Page) -> list[str]:
    return page.locator(".pt-exchange").all_inner_texts()


def test_without_a_kernel_the_suggestions_are_answered_and_the_box_says_why_it_is_shut(show: Show):
    page = show(page_of(suggested()))
    box = page.get_by_role("textbox", name="Your question")
    expect(box).to_have_attribute("readonly", "")
    expect(box).to_have_accessible_description("There is no kernel here, so only the suggested questions have answers.")
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()
    assert exchanges(page) == ["Where?\nbrief\nLima.\nkind\nGood question! Where?"]
    page.get_by_role("button", name="Who?").focus()
    page.keyboard.press("Enter")
    assert [text.split("\n")[0] for text in exchanges(page)] == ["Who?", "Where?"]  # the newest first
    first = page.get_by_role("group", name="Who?").first
    expect(first.get_by_role("group", name="kind")).to_contain_text("Good question! Who?")


def test_a_kernel_answers_and_what_fails_goes_back_into_the_box(lab, context: BrowserContext):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(MODELS.strip())])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / "chat.ipynb")
    page = lab.open(context, "chat.ipynb")
    box = page.get_by_role("textbox", name="Your question")
    status = page.locator(".pt-chat > .pt-status")
    box.press("Enter")
    expect(status).to_have_text("Write a question first, or choose one below.")
    box.fill("Is it dd far?")  # two keys that would delete the cell
    box.press("Enter")
    expect(page.get_by_role("group", name="Is it dd far?").first).to_contain_text("Good question! Is it dd far?")
    expect(box).to_have_value("")
    expect(status).to_be_empty()
    long = "Could you please tell me where exactly Peru is?"
    box.fill(long)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".pt-exchange").first).to_contain_text("✗ No answer. ValueError: the question is too long")
    expect(page.locator(".pt-exchange").first).to_contain_text(f"Good question! {long}")
    expect(box).to_have_value(long)
    page.get_by_role("button", name="Who?").click()
    expect(page.locator(".pt-exchange")).to_have_count(4)
    assert page.locator(".jp-CodeCell").count() == 1


def test_hostile_text_runs_nothing(show: Show):
    page = show(page_of(chat({EVIL: lambda question: EVIL}, [EVIL], title=EVIL)))
    page.get_by_role("group", name="Suggested questions").get_by_role("button").click()
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None and page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_it_is_readable_and_fits(show: Show, scheme: str, width: int):
    def fails(question):
        raise ValueError("unbroken" * 30)

    models = {
        "a name": str,
        "long": lambda q: "- a line\n" * 12 + "unbroken" * 40,
        "fails": fails,
        "empty": lambda q: "",
    }
    page = show(page_of(chat(models, ["Why? " * 50, "What is the capital of Peru?"])))
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.get_by_role("button", name="What is the capital").click()
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.evaluate(SMALL_TARGETS) == []
    assert not page.evaluate(TOO_WIDE)
