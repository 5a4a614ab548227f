"""Every explorer in JupyterLab, as a learner meets it. A new one is a row in tests/explorers.py."""
import base64
import io

import numpy as np
import pytest
from PIL import Image

from ..explorers import ROWS, last_value
from .pages import HERE, PICTURE, ExplorerPage, assert_keyboard, assert_opening, pixels


# ── one page an explorer, shared by its tests; each of them must leave the console silent ──

@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def row(request): return request.param


@pytest.fixture(scope="module")
def explorer(context, server, row):
    page = ExplorerPage(context, server, row.name, row.code)
    yield page
    page.close()


@pytest.fixture(autouse=True)
def quiet(explorer):
    yield
    explorer.assert_quiet()


def test_it_opens(explorer, measured):
    measured(f"{explorer.name}: opening sends {explorer.open_bytes / 1000:.0f} kB")
    assert_opening(explorer)


@pytest.mark.parametrize("way", [0, 1], ids=["there", "back"])
def test_a_key_moves_it(explorer, row, way):
    said, seen, height = explorer.narration, explorer.pixels(), explorer.height
    explorer.press(row.control, row.keys[way])
    explorer.wait(lambda: explorer.narration != said, "another sentence")
    assert not np.array_equal(explorer.pixels(), seen), "the picture stayed as it was"
    assert explorer.height == height, "the page jumped"


def test_the_mouse_moves_it(explorer, row):
    if row.control != "canvas":
        said, frame = explorer.narration, explorer.frame
        explorer.drag(row.control, 60)
        explorer.wait(
            lambda: explorer.narration != said and explorer.frame > frame, "a dragged slider's picture and sentence"
        )
        explorer.drag(row.control, -60)
        explorer.settle()
    if row.hover:
        heard, height = {explorer.narration}, explorer.height
        for x in np.linspace(.1, .9, 5):
            for y in np.linspace(.1, .9, 5):
                explorer.hover(x, y)
                explorer.page.wait_for_timeout(60)
                heard.add(explorer.narration)
        assert len(heard) > 1, "no sentence about what the mouse points at"
        explorer.hover(.5, -.05)
        explorer.settle()
        assert explorer.height == height, "the page jumped"


def test_it_is_as_quick_as_a_slider(explorer, row, measured):
    latency = explorer.latency(row.control, row.keys)
    measured(f"{explorer.name}: {latency}")
    latency.assert_in_budget()


def test_the_keyboard_reaches_everything(explorer):
    assert_keyboard(explorer)


def test_keys_stay_in_the_explorer(explorer, row):
    "In JupyterLab's command mode, 'b' adds a cell and 'x' cuts one: not while a reader's focus is in here."
    cells = explorer.page.locator(".jp-Cell").count()
    for place in (explorer.held, explorer.control(row.control)):
        place.focus()
        for key in ("b", "x", "ArrowDown", "ArrowUp"):
            explorer.page.keyboard.press(key)
            explorer.settle()
            assert explorer.page.locator(".jp-Cell").count() == cells, f"JupyterLab took the '{key}' typed here"
            assert place.evaluate("e => e === document.activeElement"), f"the focus was lost at '{key}'"


def test_light_and_dark(explorer, row):
    pictures = []
    for _ in range(3): explorer.press(row.control, row.keys[0])  # a picture with something behind it
    for theme in ("light", "dark"):
        explorer.theme(theme)
        pictures.append(explorer.shot(theme))
        contrast = explorer.root.locator(".lk-narration").first.evaluate("e => probe.contrast(e)")
        assert contrast >= 4.5, f"the sentence's contrast in the {theme} theme is {contrast:.1f}"
    explorer.theme("light")
    light, dark = (np.asarray(Image.open(io.BytesIO(p)).convert("L")) for p in pictures)
    assert np.median(light) > np.median(dark) + 64, "the background does not follow the theme"


def test_a_picture_without_a_kernel(explorer):
    data = explorer.save().cells[1].outputs[-1].data
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    assert len(picture.getcolors(1 << 24)) > 1, "a blank picture"
    assert len(data["text/plain"].split()) >= 4, f"not a sentence: {data['text/plain']!r}"


def test_a_saved_page_moves_offline(browser, row, tmp_path, measured):
    path = tmp_path / f"{row.name}.html"
    last_value(row.code).to_html(path)
    measured(f"{row.name}: to_html writes {path.stat().st_size / 1000:.0f} kB")

    context = browser.new_context(offline=True)
    page, said = context.new_page(), []
    page.on(
        "request",
        lambda r: said.append(f"request: {r.url}") if not r.url.startswith(("file:", "data:", "blob:")) else None,
    )
    page.on("console", lambda m: said.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(f"page error: {e}"))
    page.add_init_script(path=HERE / "probe.js")
    page.goto(path.as_uri())
    slider, canvas, voice = (
        page.locator(".lk-explorer").locator(s).first for s in ("input[type=range]", PICTURE, ".lk-narration")
    )
    page.wait_for_function("picture => document.querySelector(picture)?.dataset.frame", arg=PICTURE)
    look = lambda: (voice.inner_text(), pixels(canvas))

    before = look()
    for key in ("ArrowRight", "End"):
        slider.press(key)
        page.wait_for_timeout(200)
        after = look()
        assert after[0] != before[0], f"the sentence stayed as it was after {key}"
        assert not np.array_equal(after[1], before[1]), f"the picture stayed as it was after {key}"
        before = after
    assert not said, "\n".join(said)
    context.close()
