"""What a learner has done, over restarts, the next day and with a full disk; and the charts, in a real JupyterLab."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from course.study import content, quiz
from course.study.progress import Progress
from course.study.widget import _source as source
from course.study.widget import to_script_json
from tests.browser.conftest import Lab
from tests.standalone import page_of

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


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "FOLDER", SAMPLE)


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


def expect_kept(page: Page, lab: Lab, id: str, text: str) -> None:
    """Waits until this answer is on the disk, and that it was checked where it is one to check.

    A number is saved twice by `answer`: when its field is left, and checked.
    """
    for _ in range(100):
        entry = kept(lab, "quiz", id) or {}
        if entry.get("text") == text and (entry.get("checked") or id != "01-cost"):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{id}: {kept(lab, 'quiz', id)}, not {text!r}")


def restart(page: Page) -> None:
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")


def notices(page: Page) -> Locator:
    return page.locator(".pt-notice:visible").filter(has_text=UNSAVED)


def test_answers_given_after_a_restart_are_called_unsaved_and_arrive_with_the_next_run(
    lab: Lab, context: BrowserContext
):
    page = tall(context, lab, write(lab, "restart.ipynb", CELLS))
    answer(page, "125")
    expect(notices(page)).to_have_count(0)
    expect_kept(page, lab, "01-cost", "125")
    restart(page)

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
    page.wait_for_function(f"{WAITING}.length === 0")
    expect_kept(page, lab, "01-cost", "25")
    assert kept(lab, "quiz", "01-why")["text"] == "written after the restart"
    assert kept(lab, "card", "01-card-base")["known"] is True
    assert [entry.id for entry in Progress(lab.home).history("review")].count("01-card-base") == 1

    # What waited in this browser while another one saved a newer answer gives way, and does not wait on.
    page.evaluate(
        "entry => localStorage.setItem('post-training-hands-on/quiz/01-cost', JSON.stringify(entry))",
        {"value": {"text": "9", "checked": True}, "at": 1000, "over": None},
    )
    lab.run_all(page)
    page.wait_for_function(f"{WAITING}.length === 0")
    expect(page.get_by_role("textbox", name="Your number")).to_have_value("25")


def test_what_is_typed_while_a_busy_kernel_takes_over_what_waited_stands(lab: Lab, context: BrowserContext):
    """The kernel's answer about the older entry comes when the newer one is there already."""
    show = f"import time\nfrom IPython.display import display\ndisplay({CELLS[1]})\nend = time.time() + 60\n"
    cells = [SETUP, f"{show}while not Path('ready').exists() and time.time() < end:\n    time.sleep(0.1)"]
    (lab.folder / "ready").touch()
    page = tall(context, lab, write(lab, "busy.ipynb", cells))
    restart(page)
    answer(page, "25")
    (lab.folder / "ready").unlink()
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.get_by_text("[*]").first).to_be_visible()
    expect(notices(page)).to_contain_text("Not saved yet: 1 answer.")
    answer(page, "30")
    text = page.get_by_label("Your answer")
    text.press_sequentially("typed while")
    (lab.folder / "ready").touch()
    text.press_sequentially(" the kernel answers", delay=60)
    expect_kept(page, lab, "01-cost", "30")
    expect(text).to_be_focused()
    expect_kept(page, lab, "01-why", "typed while the kernel answers")
    expect(page.get_by_role("textbox", name="Your number")).to_have_value("30")
    page.wait_for_function(f"{WAITING}.length === 0")


MOUNT = """
const listeners = {};
const model = {
  values: VALUES,
  get: (name) => model.values[name],
  set(name, value) { model.values[name] = value; (listeners[`change:${name}`] ?? []).forEach((call) => call()); },
  on: (event, call) => (listeners[event] ??= []).push(call),
  off() {}, save_changes() {}, send() {},
};
window.model = model;
mount(model, document.body.appendChild(document.createElement("div")), true);
"""


@pytest.mark.usefixtures("sample")
def test_what_another_widget_of_the_page_did_stays_in_the_browser_until_it_is_on_the_disk(show: Callable[[str], Page]):
    """The other one's kernel may be dead while this one's goes on confirming answers."""
    asked = quiz("01", "01-cost", "01-why")
    values = {"store": "quiz", "data": asked.data, "ids": asked.ids, "state": {}, "kept": {}, "notice": ""}
    script = source("quiz") + MOUNT.replace("VALUES", to_script_json(values))
    page = show(f"<!doctype html><body><script>{script}</script>")
    page.get_by_label("Your answer").fill("done here")
    page.get_by_label("Your answer").blur()
    done = {"kind": "quiz", "id": "01-cost", "value": {"text": "25", "checked": True}}
    page.evaluate(
        """done => {
            const entry = JSON.stringify({value: done.value, at: 1, over: null});
            localStorage.setItem("post-training-hands-on/quiz/01-cost", entry);
            window.dispatchEvent(new CustomEvent("pt-saved", {detail: done}));
        }""",
        done,
    )
    expect(page.get_by_role("textbox", name="Your number")).to_have_value("25")
    page.evaluate("model.set('kept', {'01-why': {text: 'done here'}})")
    assert page.evaluate(WAITING) == ["post-training-hands-on/quiz/01-cost"]
    page.evaluate("model.set('kept', {...model.get('kept'), '01-cost': {text: '25', checked: true}})")
    assert page.evaluate(WAITING) == []


@pytest.mark.usefixtures("sample")
def test_an_answer_for_which_the_browser_has_no_room_is_not_said_to_wait_in_it(show: Callable[[str], Page]):
    page = show(page_of(quiz("01", "01-cost")))
    page.evaluate("""() => {
        const put = Storage.prototype.setItem;
        Storage.prototype.setItem = function (key, value) {
            if (value.length > 20) throw new DOMException("full", "QuotaExceededError");
            put.call(this, key, value);
        };
    }""")
    answer(page, "125")
    expect(page.locator(".pt-notice")).to_contain_text("This browser does not store your answers")


def test_a_full_disk_is_said_until_the_answer_is_written(lab: Lab, context: BrowserContext):
    full = "import course.study.widget as module\ndef full(self, id, value): raise OSError('disk full')\n"
    soon = "from course.study.quiz import Quiz\nQuiz._esm = Quiz._esm.replace('RETRY = 10000', 'RETRY = 1000')\n"
    cells = [SETUP + soon + full + "write = module.StudyWidget.remember"]
    cells.append("module.StudyWidget.remember = full\n" + CELLS[1])
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
    expect_kept(page, lab, "01-cost", "125")
    page.wait_for_function(r"""() => {
        const {outputs} = window.jupyterapp.shell.currentWidget.content.widgets[1].model.toJSON();
        return JSON.stringify(outputs).includes('\\"checked\\": true');
    }""")
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()
    stored = nbformat.read(lab.folder / name, 4)
    assert '"checked": true' in stored.cells[1].outputs[-1].data["text/html"], "what is stored knows the answer"

    page = context.new_page()
    page.set_viewport_size({"width": 1100, "height": 3000})
    page.goto(f"{lab.url}/lab/tree/{name}?reset")
    page.locator(".pt-question:visible").first.wait_for()
    expect(page.locator(".pt-question:visible")).to_have_count(2)
    expect(page.get_by_text("Error displaying widget").and_(page.locator(":visible"))).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="✓ Correct.")).to_have_count(1)
    page.get_by_label("Your answer").fill("without a kernel")
    page.get_by_label("Your answer").blur()
    lab.run_all(page)
    expect_kept(page, lab, "01-why", "without a kernel")
    expect(page.locator(".pt-question:visible")).to_have_count(2)


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
        page.wait_for_timeout(500)
        for i in range(2):
            box = charts.nth(i).bounding_box()
            assert box and box["height"] > 250
    expect(page.get_by_role("img", name="The loss falls.")).to_have_count(1)
