"""The live curve in a real JupyterLab, whose renderer of plotly figures ignores every update of one."""

import nbformat
from playwright.sync_api import BrowserContext, TimeoutError, expect

from tests.browser.conftest import Lab

CELL = """
import os, time
os.environ.pop("TQDM_DISABLE", None)  # the test run asks for no progress, and this is about progress
from course.plots import LiveCurve

with LiveCurve("Run", 60) as curve:
    for step in range(61):
        curve.update(step, training=1 / (step + 1))
        time.sleep(0.1)
"""


def test_the_curve_grows_while_the_run_goes_on_and_ends_as_a_figure(lab: Lab, context: BrowserContext):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / "live.ipynb")
    page = context.new_page()
    page.goto(f"{lab.url}/lab/tree/live.ipynb?reset")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
    picture = page.locator(".jp-RenderedSVG img")
    for _ in range(5):  # JupyterLab now and then drops a command that comes just after the kernel became idle
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        try:
            picture.wait_for(timeout=20_000)
            break
        except TimeoutError:
            continue
    first = picture.get_attribute("src")
    page.wait_for_function("src => document.querySelector('.jp-RenderedSVG img')?.src !== src", arg=first)
    figure = page.locator(".jp-OutputArea-output.js-plotly-plot")
    expect(figure).to_be_visible(timeout=60_000)
    expect(picture).to_have_count(0)
    assert page.evaluate("document.querySelector('.jp-OutputArea-output.js-plotly-plot').data[0].x.length") == 61
