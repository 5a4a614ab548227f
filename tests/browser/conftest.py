"""Chromium, a Jupyter server of our own, and a summary of what was measured."""
import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from .pages import ExplorerPage
from .server import Server

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
MISSING = ("no Chromium here, so no browser test ran: install it (Debian, Ubuntu: `apt install chromium`; "
           "anywhere: `python -m playwright install chromium`) or name one in LESSONKIT_CHROMIUM")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync"]
MEASURED = pytest.StashKey[list]()


def find_chromium(playwright) -> str | None:
    "The path of a Chromium: the one named, the system's, or playwright's own."
    if named := os.environ.get("LESSONKIT_CHROMIUM"): return named
    found = [shutil.which(name) for name in NAMES] + [*PLACES, playwright.chromium.executable_path]
    return next((p for p in found if p and Path(p).exists()), None)


# package scope, not session: playwright keeps an event loop running, which other tests in the process would trip over
@pytest.fixture(scope="package")
def browser():
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None: (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def context(browser):
    "One context for all pages, so that JupyterLab's scripts are cached."
    return browser.new_context()


@pytest.fixture(scope="package")
def server(browser, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("jupyter"))
    try:
        server.wait()
        yield server
    finally: server.stop()


@pytest.fixture
def open_page(context, server):
    "Opens an explorer page for this test alone."
    pages = []
    def open(*args, **kwargs):
        pages.append(ExplorerPage(context, server, *args, **kwargs))
        return pages[-1]
    yield open
    for page in pages: page.close()


@pytest.fixture
def measured(request):
    "Call it with a line for the summary at the end of the run."
    return request.config.stash.setdefault(MEASURED, []).append


def pytest_terminal_summary(terminalreporter, config):
    if lines := config.stash.get(MEASURED, []):
        terminalreporter.section("as measured in the browser")
        for line in lines: terminalreporter.write_line(line)
