"""A page that is served, and a browser to look at it with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.web import WebServer
from tests.pipeline.web.feeder import Run

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def run() -> Iterator[Run]:
    """A run with two cameras."""
    run = Run("front", "rear")
    yield run
    run.close()


@pytest.fixture
def server(run: Run) -> Iterator[WebServer]:
    """Its page, served on a free port to this machine alone."""
    server = WebServer(("127.0.0.1", 0), status=run.status, save_recording=lambda: "saved out/rec/1")
    server.start()
    run.feed(server.sink)
    yield server
    server.close()


@pytest.fixture
def noisy() -> Iterator[tuple[Run, WebServer]]:
    """A run with one camera whose pictures are hard to compress, and its page."""
    run = Run("front", size_hw=(720, 1280), noisy=True)
    server = WebServer(("127.0.0.1", 0), status=run.status)
    server.start()
    run.feed(server.sink)
    yield run, server
    run.close()
    server.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, or a skip that says so."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a desktop browser. Whatever the page complains of fails the test."""
    yield from open_tab(browser, viewport={"width": 1280, "height": 800})


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A tab of a telephone's browser."""
    yield from open_tab(
        browser, viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True
    )


def open_tab(browser: Browser, **options: object) -> Iterator[Page]:
    context = browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(10_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    context.close()
    assert not errors
