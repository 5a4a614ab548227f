"""Chromium, a Jupyter server of our own, and a summary of what was measured."""
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from playwright.sync_api import sync_playwright
from xdist.scheduler import LoadScopeScheduling

from ..explorers import ROWS
from . import pages
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


class RowByRow(LoadScopeScheduling):
    "All tests of an explorer go to one process, which keeps its page open; the others go where there is room."

    def _split_scope(self, nodeid: str) -> str:
        file, _, case = nodeid.partition("::")
        if not file.endswith("test_explorers.py"): return nodeid
        words = case.partition("[")[2].rstrip("]")
        return max((r.name for r in ROWS if f"{words}-".startswith(f"{r.name}-")), key=len)


def pytest_xdist_make_scheduler(config, log): return RowByRow(config, log)


class Turns:
    """Several processes run tests side by side. Each test holds the lock of its process; one that compares
    milliseconds holds them all while it does. A long test lets it through where its own page is at rest."""

    def __init__(self, config):
        folder, n = config._tmp_path_factory.getbasetemp().parent, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0))
        self.locks = [FileLock(folder / f"browser-{i}.lock") for i in range(n)]
        self.mine = self.locks[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))] if n else None
        self.next = FileLock(folder / "browser-next.lock")  # who waits for the others keeps new tests from starting
        self.only = False
        pages.give_way = self.give_way

    def take(self):
        if self.mine:
            with self.next: self.mine.acquire()

    def leave(self):
        if self.mine: self.mine.release()

    def give_way(self):
        "Lets a test through that waits for the machine; the one that has it goes on."
        if not self.mine or self.only: return
        try:
            with self.next.acquire(timeout=0): return
        except Timeout:
            self.leave()
            self.take()

    @contextmanager
    def alone(self):
        "The machine to itself: the other processes end the test that they are at, and wait."
        self.leave()
        try:
            with ExitStack() as held:
                with self.next:
                    for lock in self.locks: held.enter_context(lock)
                self.only = True
                yield
        finally:
            self.only = False
            self.take()


TURNS = pytest.StashKey[Turns]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if TURNS not in item.config.stash: item.config.stash[TURNS] = Turns(item.config)
    turns = item.config.stash[TURNS]
    turns.take()
    try: return (yield)
    finally: turns.leave()


@pytest.fixture
def alone(pytestconfig):
    "`with alone():` around what compares milliseconds: no other test runs meanwhile."
    return pytestconfig.stash[TURNS].alone


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
def measured(record_property):
    "Call it with a line for the summary at the end of the run."
    return lambda line: record_property("measured", line)


def pytest_terminal_summary(terminalreporter):
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind)]
    lines = [line for r in reports for name, line in r.user_properties if name == "measured" and r.when == "call"]
    if lines:
        terminalreporter.section("as measured in the browser")
        for line in lines: terminalreporter.write_line(line)
