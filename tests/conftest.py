"""Fixtures that several test files share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from course import stops

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent
settings.register_profile("course", settings(), deadline=None)  # a busy machine is no failure
settings.load_profile("course")


def require_browser() -> str:
    """Path of a Chromium. Without one the test is skipped on your machine and fails where CI is set."""
    from tools import notebooks

    path = notebooks.find_browser()
    if path is None and os.environ.get("CI"):
        pytest.fail(notebooks.NO_BROWSER)
    if path is None:
        pytest.skip(notebooks.NO_BROWSER)
    return path


@pytest.fixture(autouse=True)
def nothing_stopped() -> None:
    """Runs that another test stopped are none of this one's."""
    stops.unfinished.clear()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the Chromium or Chrome that the browser tests use."""
    return require_browser()


@pytest.fixture(scope="module")
def browser(chromium: str) -> "Iterator[Browser]":
    """A headless browser for one test file; open a page or a context of your own in each test.

    Not for the whole run: Playwright keeps an event loop running in the main thread as long as it lives.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> "PreTrainedTokenizerFast":
    """The course's tokenizer in small, trained in the test run: same special tokens, no checkpoint needed."""
    from tests.tiny import build_tokenizer

    return build_tokenizer()
