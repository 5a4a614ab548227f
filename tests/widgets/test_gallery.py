"""The gallery as a friend meets it: a folder of files, opened without Python and without a network."""
import subprocess
import sys

import pytest

from lessonkit.explorers import gallery
from tests.browser.pages import audit

NAMES = [name for part in gallery.EXHIBITS.values() for name in part]
OWN = "bptt", "schedule", "lr_finder", "waterfall", "search", "embedding"  # on data that only the gallery gives them


@pytest.fixture
def opened(browser):
    "Opens a file at a width and in a color scheme; nothing may be fetched, and nothing complained about."
    contexts, said = [], []

    def open(path, width=390, scheme="light"):
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: said.append(str(e)))
        page.goto(path.as_uri())
        return page

    yield open
    for context in contexts: context.close()
    assert not said, "\n".join(said)


@pytest.mark.parametrize("name", NAMES)
def test_each_page_opens_from_the_index(opened, tmp_path, name):
    "One explorer a gallery: made, hung, its card clicked; its picture and its sentence are there, and fit a phone."
    assert gallery.write(tmp_path / "site", [name], lambda line: None) == {}
    assert (tmp_path / "site" / f"{name}.html").stat().st_size <= 3_000_000
    if name not in OWN: return  # the same explorer's page is opened by tests/browser and test_pages.py
    page = opened(tmp_path / "site" / "index.html")
    assert page.locator(".card img").evaluate("e => e.decode().then(() => e.naturalWidth)") > 400
    page.locator(".card").click()
    page.wait_for_function("document.querySelector('.lk-canvas')?.dataset.frame > 0")
    assert len(page.locator(".lk-narration").inner_text().split()) >= 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than a phone"


def test_the_index_is_for_everyone(opened, tmp_path):
    "At three widths, light and dark: axe finds nothing, cards are reached by Tab, nothing is cut."
    names = ["sgd", "softmax", "conv"]
    assert gallery.write(tmp_path / "site", names, lambda line: None) == {}
    for width in (1440, 900, 390):
        for scheme in ("light", "dark"):
            page = opened(tmp_path / "site" / "index.html", width, scheme)
            assert not (found := audit(page, "body")), (width, scheme, found)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            pictures = page.locator(".card img").evaluate_all("es => es.map(e => e.currentSrc)")
            assert len(set(pictures)) == len(names)
            met = []
            for _ in names:
                page.keyboard.press("Tab")
                met.append(page.evaluate("document.activeElement.getAttribute('href')"))
            assert met == [f"{name}.html" for name in names]
    assert page.locator("h1").evaluate("e => getComputedStyle(e).color") == "rgb(240, 240, 240)"  # the last one is dark


def test_what_is_stopped_midway_can_be_gone_on_with(tmp_path):
    "An index leads to whole pages only; the same command then adds the rest."
    def stop(line): raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt): gallery.write(tmp_path / "site", ["sgd", "softmax"], stop)
    there = lambda: sorted(p.name for p in (tmp_path / "site").iterdir())
    linked = lambda: [m[1] for m in gallery.CARD.finditer((tmp_path / "site" / "index.html").read_text("utf-8"))]
    assert there() == ["index.html", "sgd.html"] and linked() == ["sgd"]
    assert gallery.write(tmp_path / "site", ["softmax"], lambda line: None) == {}
    assert there() == ["index.html", "sgd.html", "softmax.html"] and linked() == ["sgd", "softmax"]


def test_the_command(tmp_path):
    "A page is made, a strange name is refused in a line, and another's folder stays as it was."
    def run(*args): return subprocess.run([sys.executable, "-c", "from lessonkit.course.cli import main; exit(main())",
                                           "gallery", "--no-browser", *map(str, args)], capture_output=True, text=True)

    done = run(tmp_path / "site", "--only", "sgd")
    assert done.returncode == 0 and "sgd.html" in done.stdout and str(tmp_path / "site" / "index.html") in done.stdout
    assert not done.stderr
    done = run(tmp_path / "other", "--only", "sdg")
    assert done.returncode == 1 and "sdg" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    done = run(tmp_path / "mine")
    assert done.returncode == 1 and "another folder" in done.stderr
    assert (tmp_path / "mine" / "index.html").read_text() == "mine" and len(list((tmp_path / "mine").iterdir())) == 1
