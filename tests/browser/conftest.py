"""A page that shows one stand-alone widget, and a real JupyterLab, for the browser tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebError, expect

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120_000  # milliseconds; a busy machine is no failure
expect.set_options(timeout=PATIENCE / 4)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs a Chromium; leave these out with -m 'not browser'")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile at laptop width; an uncaught error of one of our scripts in it fails the test."""
    opened = browser.new_context(viewport={"width": 1100, "height": 900})
    opened.set_default_timeout(PATIENCE)
    errors: list[str] = []

    def note(error: WebError) -> None:
        where = f"{error.page.url if error.page else ''} {error.error.stack}"
        if "/lab/" not in where or "blob:" in where:  # in JupyterLab, our scripts are those from a blob
            errors.append(str(error.error))

    opened.on("weberror", note)
    yield opened
    opened.close()
    assert errors == []


@pytest.fixture
def show(context: BrowserContext) -> Callable[[str], Page]:
    """show(html) opens a page of a site of its own, so that the page has a localStorage and may be reloaded."""

    def open_page(html: str) -> Page:
        page = context.new_page()
        page.route("http://study.test/**", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto("http://study.test/")
        return page

    return open_page


class Lab:
    """A running JupyterLab without a token, and its folder."""

    def __init__(self, url: str, folder: Path, home: Path) -> None:
        self.url, self.folder, self.home = url, folder, home

    def open(self, context: BrowserContext, notebook: str) -> Page:
        """Open a notebook and run all its cells; returns when the last one has its number."""
        page = context.new_page()
        page.goto(f"{self.url}/lab/tree/{notebook}?reset")  # without the tabs that an earlier test left open
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
        self.run_all(page)
        return page

    def run_all(self, page: Page) -> None:
        cells = page.locator(".jp-CodeCell").count
        deadline = time.monotonic() + PATIENCE / 1000
        while True:  # JupyterLab now and then drops a command that comes just after the kernel became idle
            page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")  # waits until all have run
            try:
                last = page.locator(".jp-CodeCell .jp-InputPrompt").nth(cells() - 1)
                last.get_by_text("]:").filter(has_not_text="[ ]").filter(has_not_text="[*]").wait_for(timeout=3_000)
                return
            except Exception:
                if time.monotonic() > deadline:
                    raise

    def restart_kernel(self, page: Page) -> None:
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
        page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")


@pytest.fixture
def lab(server: Lab) -> Lab:
    """The run's JupyterLab, and a learner who has done nothing yet."""
    shutil.rmtree(server.home, ignore_errors=True)
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for the run, with settings, progress and files in temporary folders."""
    pytest.importorskip("jupyterlab")
    base = tmp_path_factory.mktemp("lab")
    folder, home = base / "notebooks", base / "home"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        "COURSE_HOME": home,
        "JUPYTER_CONFIG_DIR": base / "config",
        "IPYTHONDIR": base / "ipython",
        "PYTHONPATH": ROOT,
    }
    options = {
        "ServerApp.port": port,
        "ServerApp.root_dir": folder,
        "ServerApp.allow_root": True,
        "ServerApp.open_browser": False,
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
    }
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())],
            env={**os.environ, **{name: str(path) for name, path in own.items()}, "COURSE_FACE": "live"},
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE / 1000
        while not _answers(f"{url}/api"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start:\n{(base / 'log').read_text()}")
            time.sleep(0.25)
        yield Lab(url, folder, home)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()  # its kernels end by themselves when their parent is gone


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
