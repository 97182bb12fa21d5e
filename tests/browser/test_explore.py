"""Sliders over a function as a learner moves them: what is shown is what the function gives."""

import random
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from course.study import Slider, explore
from course.study.explore import with_unit
from course.study.widget import StudyWidget
from tests.browser.test_study_tools import LOW_CONTRAST, SMALL_TARGETS, TOO_WIDE
from tests.standalone import page_of

pytestmark = pytest.mark.browser
Show = Callable[[str], Page]
NUMBERS = [Slider("a", [1, 2, 5], start=2), Slider("b", [-1e-5, 0, 3.5, 1e8], start=0), Slider("c", [10, 20], start=10)]
RATIOS = [0, 0.5, 1, 1.5, 2]


def sums(a: float, b: float, c: float) -> dict[str, float]:
    return {"all": a * 100 + b + c / 3, "dollars": -a * b * c}


def clipping(**more: str) -> StudyWidget:
    def objective(clip: float, advantage: float) -> dict[str, object]:
        clipped = [min(r * advantage, max(1 - clip, min(1 + clip, r)) * advantage) for r in RATIOS]
        return {"clipped": clipped, "plain": [r * advantage if r else None for r in RATIOS], "at least": 1 - clip}

    sliders = [
        Slider("clip", [0.05, 0.1, 0.2, 0.3, 0.5], start=0.2, usual=(0.1, 0.3), does="How far $r$ may go.", **more),
        Slider("advantage", [-1, 1], start=1),
    ]
    return explore("Clipping", objective, sliders, x=RATIOS, x_label="ratio", y_label="objective")


def results(page: Page) -> dict[str, str]:
    names, values = page.locator(".pt-results dt"), page.locator(".pt-results .pt-result")
    return dict(zip(names.all_inner_texts(), values.all_inner_texts(), strict=True))


def put(slider: Locator, step: int) -> None:
    slider.press("Home")
    for _ in range(step):
        slider.press("ArrowRight")


def test_every_setting_shows_what_the_function_gives(show: Show):
    units = {"dollars": "$"}
    page = show(page_of(explore("Sums", sums, NUMBERS, units=units)))
    draw = random.Random(0)
    for _ in range(8):
        steps = [draw.randrange(len(slider.values)) for slider in NUMBERS]
        for slider, step in zip(NUMBERS, steps, strict=True):
            put(page.get_by_role("slider", name=slider.name), step)
        found = sums(*(slider.values[step] for slider, step in zip(NUMBERS, steps, strict=True)))
        assert results(page) == {name: with_unit(value, units.get(name, "")) for name, value in found.items()}
    page.get_by_role("button", name="Back to the start").click()
    assert results(page) == {name: with_unit(value, units.get(name, "")) for name, value in sums(2, 0, 10).items()}


def test_a_slider_says_its_value_its_usual_range_and_what_it_does(show: Show):
    page = show(page_of(clipping(label="clip range", unit="nats")))
    slider = page.get_by_role("slider", name="clip range")
    expect(slider).to_have_accessible_description(re.compile(r"Usual: 0.1 nats to 0.3 nats. How far .* may go."))
    said = {0: "0.05 nats, below", 1: "0.1 nats, within", 3: "0.3 nats, within", 4: "0.5 nats, above"}
    for step, words in said.items():
        put(slider, step)
        assert slider.get_attribute("aria-valuetext") == f"{words} the usual range"
    put(slider, 3)
    band, box = page.locator(".pt-usual-band").bounding_box(), slider.bounding_box()
    for edge, step in ((band["x"], 1), (band["x"] + band["width"], 3)):  # the band lies below the values that it names
        assert edge == pytest.approx(box["x"] + 8 + (box["width"] - 16) * step / 4, abs=1.5)
    expect(page.locator(".pt-study").get_by_role("status").first).to_have_text("at least: 0.7.")


def test_the_curve_follows_and_its_axes_stay(show: Show):
    page = show(page_of(clipping()))
    image = page.get_by_role("img")
    line, texts = page.locator(".pt-plot path").first, page.locator(".pt-plot text")
    before, ticks = line.get_attribute("d"), texts.all_text_contents()
    assert "clipped goes from 0 to 1.2, between 0 and 1.2" in image.get_attribute("aria-label")
    put(page.get_by_role("slider", name="clip"), 4)
    assert "clipped goes from 0 to 1.5" in image.get_attribute("aria-label")
    assert line.get_attribute("d") != before and texts.all_text_contents() == ticks
    gaps = page.locator(".pt-plot path").nth(1).get_attribute("d")
    assert gaps.count("M") == 1 and gaps.count("L") == 3  # its first point is missing


def test_bars_are_as_long_as_their_numbers(show: Show):
    widget = explore("Costs", lambda n: {"half": n, "whole": 2 * n}, [Slider("n", [0, 3], start=3)], units="$")
    page = show(page_of(widget))
    widths = [bar.bounding_box()["width"] for bar in page.locator(".pt-bar").all()]
    assert widths[1] == pytest.approx(2 * widths[0], abs=1)
    page.get_by_role("slider").press("Home")
    assert [bar.evaluate("bar => bar.offsetWidth") for bar in page.locator(".pt-bar").all()] == [0, 0]


def test_hostile_text_runs_nothing(show: Show):
    evil = "<img src=x onerror='window.ran=1'></script><script>window.ran=2</script>"
    axes = {"x": [0, 1], "x_label": evil, "y_label": evil}
    slider = Slider("n", [1, 2], start=1, label=evil, unit=evil, usual=(1, 2), does=evil)
    page = show(page_of(explore(evil, lambda n: {evil: evil, evil + "2": [n, 2]}, [slider], about=evil, **axes)))
    page.get_by_role("slider").press("End")
    page.wait_for_timeout(700)
    assert page.evaluate("window.ran") is None and page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_it_is_readable_and_fits(show: Show, scheme: str, width: int):
    for widget in (clipping(), explore("Sums", sums, NUMBERS, about="Move a slider.")):
        page = show(page_of(widget))
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(LOW_CONTRAST) == []
        assert page.evaluate(SMALL_TARGETS) == []
        assert not page.evaluate(TOO_WIDE)
