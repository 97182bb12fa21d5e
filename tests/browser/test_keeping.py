"""What a learner has done, over restarts, the next day and with a full disk; and the charts, in a real JupyterLab."""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from course.study.progress import Progress
from tests.browser.conftest import Lab

pytestmark = pytest.mark.browser
SAMPLE = Path(__file__).parents[1] / "study" / "sample"
SETUP = f"""
from pathlib import Path
from course.study import content, flashcards, predict, quiz
content.FOLDER = Path({str(SAMPLE)!r})
"""
CELLS = [SETUP, 'quiz("01", "01-cost", "01-why")', 'flashcards("01")']
UNSAVED = "Not saved yet"
WAITING = "Object.keys(localStorage).filter(key => key.startsWith('post-training'))"


def write(lab: Lab, name: str, cells: list[str]) -> str:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / name)
    return name


def tall(context: BrowserContext, lab: Lab, name: str) -> Page:
    page = lab.open(context, name)
    page.set_viewport_size({"width": 1100, "height": 3000})  # JupyterLab attaches only outputs that are in view
    return page


def answer(page: Page, text: str) -> None:
    number = page.locator(".pt-question:visible").first
    if number.get_by_role("button", name="again").count():
        number.get_by_role("button", name="again").click()
    number.get_by_role("textbox").fill(text)
    number.get_by_role("button", name="Check").click()


def kept(lab: Lab, kind: str, id: str) -> dict | None:
    return Progress(lab.home).get(kind, id)


def notices(page: Page) -> Locator:
    return page.locator(".pt-notice:visible").filter(has_text=UNSAVED)


def test_answers_given_after_a_restart_are_called_unsaved_and_arrive_with_the_next_run(
    lab: Lab, context: BrowserContext
):
    page = tall(context, lab, write(lab, "restart.ipynb", CELLS))
    answer(page, "125")
    expect(notices(page)).to_have_count(0)
    page.wait_for_timeout(1500)
    assert kept(lab, "quiz", "01-cost")["text"] == "125"
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")

    answer(page, "25")
    page.get_by_label("Your answer").fill("written after the restart")
    page.get_by_role("button", name="Show answer").click()
    page.get_by_role("button", name="Known", exact=True).click()
    expect(notices(page)).to_have_count(2)
    expect(notices(page).first).to_contain_text("Not saved yet: 2 answers.")
    expect(page.locator(".pt-unsaved")).to_have_count(2)
    assert kept(lab, "quiz", "01-cost")["text"] == "125"

    lab.run_all(page)
    expect(page.get_by_label("Your answer")).to_have_value("written after the restart")
    expect(notices(page)).to_have_count(0)
    expect(page.locator(".pt-unsaved")).to_have_count(0)
    page.wait_for_timeout(1500)
    assert kept(lab, "quiz", "01-cost")["text"] == "25"
    assert kept(lab, "quiz", "01-why")["text"] == "written after the restart"
    assert kept(lab, "card", "01-card-base")["known"] is True
    assert [entry.id for entry in Progress(lab.home).history("review")].count("01-card-base") == 1
    assert page.evaluate(WAITING) == []

    # What waited in this browser while another one saved a newer answer gives way, and does not wait on.
    page.evaluate(
        "entry => localStorage.setItem('post-training-hands-on/quiz/01-cost', JSON.stringify(entry))",
        {"value": {"text": "9", "checked": True}, "at": 1000, "over": None},
    )
    lab.run_all(page)
    page.wait_for_function(f"{WAITING}.length === 0")
    expect(page.get_by_role("textbox", name="Your number")).to_have_value("25")


def test_a_full_disk_is_said_until_the_answer_is_written(lab: Lab, context: BrowserContext):
    full = "import course.study.widget as module\ndef full(self, id, value): raise OSError('disk full')\n"
    cells = [SETUP + full + "write = module.StudyWidget.remember", "module.StudyWidget.remember = full\n" + CELLS[1]]
    page = tall(context, lab, write(lab, "full.ipynb", cells))
    answer(page, "7")
    expect(notices(page)).to_contain_text("disk full")
    page.get_by_label("Your answer").fill("also lost?")
    expect(notices(page)).to_contain_text("Not saved yet: 2 answers. disk full")
    page.evaluate("""async () => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        await kernel.requestExecute({code: "module.StudyWidget.remember = write"}).done;
    }""")
    expect(notices(page)).to_have_count(0, timeout=20_000)
    assert kept(lab, "quiz", "01-cost")["text"] == "7" and kept(lab, "quiz", "01-why")["text"] == "also lost?"


def test_a_saved_notebook_shows_its_widgets_the_next_day(lab: Lab, context: BrowserContext):
    name = write(lab, "nextday.ipynb", CELLS)
    page = tall(context, lab, name)
    answer(page, "125")
    expect(page.locator(".pt-question:visible")).to_have_count(2)
    page.wait_for_timeout(1500)
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1500)
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.wait_for_timeout(1000)
    page.close()
    stored = nbformat.read(lab.folder / name, 4)
    assert '"text": "125"' in stored.cells[1].outputs[-1].data["text/html"], "the page as it is stored knows the answer"

    page = context.new_page()
    page.set_viewport_size({"width": 1100, "height": 3000})
    page.goto(f"{lab.url}/lab/tree/{name}?reset")
    page.locator(".pt-question:visible").first.wait_for()
    expect(page.locator(".pt-question:visible")).to_have_count(2)
    expect(page.get_by_text("Error displaying widget").and_(page.locator(":visible"))).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="✓ Correct.")).to_have_count(1)
    page.get_by_label("Your answer").fill("without a kernel")
    page.get_by_label("Your answer").blur()
    page.wait_for_timeout(500)
    lab.run_all(page)
    page.wait_for_timeout(2500)
    expect(page.locator(".pt-question:visible")).to_have_count(2)
    assert kept(lab, "quiz", "01-why")["text"] == "without a kernel"


CHART = """
from course.plots import show, lines, bars
show(lines({"train": ([0, 1, 2], [3, 2, 1])}, "Loss", "step", "loss"), "The loss falls.")
show(bars({"a": 1, "b": 2}, "Bars", "count"), "b is larger.")
from course.study import pipeline_map
pipeline_map()
"""


def test_charts_survive_a_change_of_theme_follow_it_and_have_a_name(lab: Lab, context: BrowserContext):
    page = tall(context, lab, write(lab, "charts.ipynb", [CHART]))
    charts = page.locator(".js-plotly-plot")
    expect(charts).to_have_count(2)
    for theme in ("JupyterLab Dark", "JupyterLab Light", "JupyterLab Dark"):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.wait_for_timeout(1200)
        for i in range(2):
            box = charts.nth(i).bounding_box()
            assert box and box["height"] > 250
    expect(page.get_by_role("img", name="The loss falls.")).to_have_count(1)
