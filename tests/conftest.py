"""Fixtures that several test files share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_ON_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def find_chromium() -> str | None:
    """Path of the Chromium or Chrome for the browser tests: $BROWSER_PATH, else the first on the PATH."""
    named = os.environ.get("BROWSER_PATH")
    found = named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return found or (CHROMIUM_ON_MAC if Path(CHROMIUM_ON_MAC).exists() else None)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium. Without one the test is skipped on your machine and fails where CI is set."""
    path = find_chromium()
    if path is None:
        why = "no Chromium or Chrome: install one (Debian: apt-get install chromium) or set BROWSER_PATH"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return path


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
