"""A real Chromium, and pages with a scripted board.

What the browser showed is kept in .artefacts/dashboard (pictures that tests take on purpose, and of each failure).
Browser and pages live as long as a file's tests: Playwright's loop may not be there when others run theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebError, sync_playwright

from tests.dashboard.page_process import Page as Process

ARTEFACTS = Path(__file__).parents[2] / ".artefacts" / "dashboard"
HUB = "greenhouse@example.org"
WINDOW = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found, "these tests need Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """A page without log-in; everybody may control."""
    with Process() as process:
        yield process


@pytest.fixture
def board(process: Process) -> Iterator[Callable[..., object]]:
    """Tells the board of `process` something; it is empty at first."""
    process.board("clear")
    yield process.board


@pytest.fixture(scope="module")
def shared_context(browser: Browser) -> Iterator[BrowserContext]:
    """Keeps what pages are made of between tests."""
    with browser.new_context(viewport=WINDOW, locale="en-GB", timezone_id="Europe/Berlin") as context:
        yield context


@pytest.fixture
def context(shared_context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser that knows nobody, whose faults fail the test: errors of scripts, and what a page's policy forbids."""
    faults: list[str] = []

    def error(error: WebError) -> None:
        faults.append(str(error.error))

    def said(message: ConsoleMessage) -> None:
        if "Content Security" in message.text:
            faults.append(message.text)

    shared_context.on("weberror", error)
    shared_context.on("console", said)
    yield shared_context
    shared_context.remove_listener("weberror", error)
    shared_context.remove_listener("console", said)
    for number, page in enumerate(shared_context.pages):
        if request.node.stash.get(FAILED, False):
            page.screenshot(path=ARTEFACTS / f"failed-{request.node.name}-{number}.png")
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.close()
    shared_context.clear_cookies()
    assert faults == []


@pytest.fixture
def look(context: BrowserContext, process: Process) -> Callable[..., Page]:
    """Opens the page of `process`, ready."""

    def opened(path: str = "/") -> Page:
        page = context.new_page()
        page.goto(process.url + path)
        page.wait_for_selector("#things")
        page.wait_for_function("window.did_handshake")
        return page

    return opened


@pytest.fixture(scope="session")
def picture() -> Callable[[Page, str], None]:
    """Keeps what a page shows under a name."""

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    return keep


FAILED = pytest.StashKey[bool]()


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    if call.when == "call":
        item.stash[FAILED] = call.excinfo is not None
