"""Choosing between answers as a learner does it: by pointer and keyboard, without a kernel, and when one dies."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from course.formats import load_records
from course.study import annotate, annotations
from course.study.widget import StudyWidget
from tests.browser.test_study_tools import LOW_CONTRAST, SMALL_TARGETS, TOO_WIDE
from tests.standalone import page_of

pytestmark = pytest.mark.browser
Show = Callable[[str], Page]
PAIRS = [{"prompt": f"Question {i}?", "a": f"Answer A{i}.", "b": f"Answer B{i}."} for i in range(4)]
EVIL = "<img src=x onerror='window.ran=1'></script><script>window.ran=2</script>\n\u202e$\\href{javascript:1}{x}$"


@pytest.fixture
def ask(tmp_path: Path) -> StudyWidget:
    return annotate(PAIRS, tmp_path / "prefs.jsonl")


def where(page: Page) -> str:
    return page.locator(".pt-where").inner_text()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def downloaded(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download prefs.jsonl").click()
    assert download.value.suggested_filename == "prefs.jsonl"
    return load_records(download.value.path(), "preference")


def preferred(ask: Any, i: int, place: str) -> dict[str, str]:
    """The record that choosing the first or the second answer of the i-th pair must give."""
    pair = ask.data["pairs"][i]
    other = {"first": "second", "second": "first"}[place]
    return {"prompt": pair["prompt"], "chosen": pair[place], "rejected": pair[other]}


def test_by_keyboard_every_choice_is_announced_and_undone(show: Show, ask: StudyWidget):
    page = show(page_of(ask))
    said = page.locator(".pt-annotate > .pt-status")
    expect(page.get_by_role("group", name="Pair 1 of 4")).to_be_visible()
    expect(page.get_by_role("group", name="Answer 2")).to_have_text(re.compile(ask.data["pairs"][0]["second"]))
    page.get_by_role("button", name="Answer 1 is better").focus()
    press(page, "u")  # nothing there to undo
    expect(said).to_have_text("There is nothing to undo.")
    press(page, "Enter")
    expect(said).to_have_text("Answer 1 is better. Pair 2 of 4.")
    expect(page.get_by_role("group", name="Pair 2 of 4")).to_be_focused()
    press(page, "Enter", "Control+s", "x")  # focus has left the button, and other keys choose nothing
    assert where(page) == "Pair 2 of 4"
    press(page, "2", "T", "u")
    expect(said).to_have_text("Undone: it was equally good. Pair 3 of 4.")
    press(page, "s", "s")
    expect(said).to_have_text("Skipped. All pairs are decided.")
    expect(page.locator(".pt-end")).to_be_focused()
    expect(page.locator(".pt-end")).to_contain_text("2 preferences, 0 ties, 2 skipped.")
    press(page, "1")  # there is nothing left to decide
    press(page, "u")
    assert where(page) == "Pair 4 of 4"
    press(page, "s")
    page.get_by_role("button", name="Show the 2 skipped again").click()
    assert where(page) == "Pair 3 of 4"
    press(page, "1", "s")
    expect(page.locator(".pt-end")).to_contain_text("3 preferences, 0 ties, 1 skipped.")
    assert downloaded(page) == [preferred(ask, 0, "first"), preferred(ask, 1, "second"), preferred(ask, 2, "first")]
    page.keyboard.press("Tab")
    expect(page.locator(".pt-end")).not_to_be_focused()


def test_a_double_click_and_a_key_held_down_decide_once(show: Show, ask: StudyWidget):
    page = show(page_of(ask))
    page.get_by_role("button", name="Answer 2 is better").dblclick()
    assert where(page) == "Pair 2 of 4"
    page.keyboard.down("1")
    page.keyboard.down("1")
    page.keyboard.down("1")
    page.keyboard.up("1")
    assert where(page) == "Pair 3 of 4"


def test_without_a_kernel_choices_survive_a_reload_and_leave_as_a_file(show: Show, ask: StudyWidget):
    page = show(page_of(ask))
    expect(page.get_by_role("button", name="Download")).to_be_disabled()
    page.get_by_role("button", name="Answer 2 is better").click()
    page.reload()
    assert where(page) == "Pair 2 of 4"
    page.get_by_role("button", name="Answer 1 is better").click()
    assert downloaded(page) == [preferred(ask, 0, "second"), preferred(ask, 1, "first")]
    page.get_by_text("If no download starts").click()
    copied = page.get_by_role("textbox").input_value()
    assert [json.loads(line) for line in copied.splitlines()] == downloaded(page)
    page.get_by_role("button", name="Undo").click()
    page.reload()
    assert where(page) == "Pair 2 of 4"
    page.evaluate(
        'for (const key in localStorage) localStorage[key] = \'{"value": {"choice": "<b>", "n": "x"}, "at": 1}\''
    )
    page.reload()
    assert where(page) == "Pair 1 of 4"


def test_hostile_answers_are_text(show: Show, tmp_path: Path):
    page = show(page_of(annotate([{"prompt": EVIL, "a": EVIL + "1", "b": EVIL + "2"}], tmp_path / "prefs.jsonl")))
    expect(page.get_by_role("group", name="Answer 1")).to_contain_text("<img src=x")
    page.get_by_role("button", name="Answer 1 is better").click()
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None and page.locator("img").count() == 0
    assert downloaded(page)[0]["prompt"] == EVIL


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_it_is_readable_and_fits(show: Show, tmp_path: Path, scheme: str, width: int):
    long = {"prompt": "Why? " * 60, "a": "unbroken" * 60, "b": "- a line\n" * 12}
    page = show(page_of(annotate([long, long, *PAIRS], tmp_path / "prefs.jsonl")))
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    for _ in range(6):
        assert page.evaluate(LOW_CONTRAST) == []
        assert page.evaluate(SMALL_TARGETS) == []
        assert not page.evaluate(TOO_WIDE)
        page.locator(".pt-annotate").focus()
        press(page, "s")
    expect(page.locator(".pt-end")).to_be_visible()
    assert page.evaluate(LOW_CONTRAST) == []


def test_the_buttons_stay_where_they_are_from_pair_to_pair(show: Show, tmp_path: Path):
    short, long = PAIRS[0], {"prompt": "Tell me about Peru.", "a": "a word " * 22, "b": "- a line\n" * 4}
    page = show(page_of(annotate([short, long, PAIRS[1]], tmp_path / "prefs.jsonl")))
    places = []
    for _ in range(3):
        places.append(page.get_by_role("button", name="Answer 1 is better").bounding_box())
        page.get_by_role("button", name="Equally good").click()
        page.wait_for_timeout(600)  # so that the next click is no double click
    assert places[0] == places[1] == places[2]


# ---- in JupyterLab -------------------------------------------------------------------------------------------------


def test_in_jupyterlab_nothing_saved_is_lost_and_what_is_not_saved_is_said(lab: Any, context: BrowserContext):
    path = lab.folder / "prefs.jsonl"
    cells = [
        f"import os\nfrom course.study import annotate\n\npairs = {PAIRS!r}\nprint('kernel', os.getpid())",
        'widget = annotate(pairs, "prefs.jsonl")\nwidget',
        "widget",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / "annotate.ipynb")
    page = lab.open(context, "annotate.ipynb")
    page.set_viewport_size({"width": 1100, "height": 2400})
    first, second = (page.locator(".pt-annotate").nth(i) for i in (0, 1))
    saved = first.locator(".pt-annotate-foot [role=status]")
    expect(saved).to_have_text("They will be saved in prefs.jsonl.")
    first.get_by_text("Which answer is better?").click()
    press(page, "1", "m", "2", "d", "d")  # JupyterLab's own keys would delete the cell
    expect(page.locator(".jp-CodeCell")).to_have_count(3)
    expect(first.locator(".pt-where")).to_have_text("Pair 3 of 4")
    expect(second.locator(".pt-where")).to_have_text("Pair 3 of 4")  # the other view of the widget follows
    second.get_by_role("button", name="Equally good").click()
    expect(saved).to_have_text("Saved in prefs.jsonl.")
    assert [record["choice"] for record in annotations(path)][2] == "tie"
    assert len(load_records(path, "preference")) == 2

    kernel = int(page.get_by_text(re.compile(r"kernel \d+")).last.inner_text().split()[1])
    os.kill(kernel, signal.SIGKILL)
    first.get_by_role("button", name="Answer 1 is better").click()
    expect(page.locator(".pt-notice").first).to_contain_text("Not saved yet: 1 answer.")
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
    page.evaluate("document.querySelector('.jp-Dialog .jp-mod-accept')?.click()")
    lab.run_all(page)
    expect(page.locator(".pt-end").first).to_contain_text("All pairs are decided")  # the choice waited, and came along
    expect(saved.first).to_have_text("Saved in prefs.jsonl.")
    assert len(annotations(path)) == 4
