"""Every explorer in JupyterLab, as a learner meets it. A new one is a row in tests/explorers.py."""
import base64
import inspect
import io
import re

import numpy as np
import pytest
from PIL import Image

from lessonkit.course.lab import WIDGET

from ..explorers import ROWS, accepts, last_value, numeric, off_grid
from .pages import HERE, PICTURE, ExplorerPage, assert_keyboard, assert_opening, audit, pixels


FIND = """
import gc
from lessonkit.widgets.explorer import Explorer
e = next(o for o in gc.get_objects() if isinstance(o, Explorer) and o.comm is not None)
"""
TABLE = FIND + """
pairs = [(n, v) for n in numeric(e) for v in [*off_grid(e, n), getattr(e, n)]]

def step(i):
    if i and getattr(e, pairs[i - 1][0]) != pairs[i - 1][1]: print(pairs[i - 1], "became", getattr(e, pairs[i - 1][0]))
    if i < len(pairs): setattr(e, *pairs[i])

print(len(pairs))"""


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


def test_it_is_as_quick_as_a_slider(explorer, row, measured, alone):
    latency, how = explorer.quickness(alone, row.control, row.keys)
    measured(f"{explorer.name}, {how}: {latency}")
    latency.assert_in_budget()


def test_the_keyboard_reaches_everything(explorer):
    assert_keyboard(explorer)


def test_keys_stay_in_the_explorer(explorer, row):
    "In JupyterLab's command mode, 'b' adds a cell and 'x' cuts one: not while a reader's focus is in here."
    cells = explorer.page.locator(".jp-Cell").count()
    for place in (explorer.held, explorer.control(row.control)):
        place.focus()
        for key in ("b", "x", "ArrowDown", "ArrowUp"): explorer.page.keyboard.press(key)
        explorer.settle()
        assert explorer.page.locator(".jp-Cell").count() == cells, "JupyterLab took a key that was typed here"
        assert place.evaluate("e => e === document.activeElement"), "the focus was lost"


def test_anyone_can_use_it(explorer, row):
    "axe, names, targets, focus rings and contrast: three widths, light and dark; then forced colors, less motion."
    page, pictures = explorer.page, {}
    for _ in range(3): explorer.press(row.control, row.keys[0])  # a picture with something behind it
    explorer.bare()
    for theme in ("light", "dark"):
        explorer.theme(theme)
        for width in (1440, 900, 390):
            explorer.resize(width)
            where = f"{theme}, {width} px"
            pictures[theme, width] = explorer.shot(f"{theme}-{width}")
            assert not (found := audit(page)), (where, found)
            assert not (found := page.evaluate("root => probe.unfit(root)", explorer.root.element_handle())), where
            contrast = explorer.root.locator(".lk-narration").first.evaluate("e => probe.contrast(e)")
            assert contrast >= 4.5, f"the sentence's contrast is {contrast:.1f}: {where}"
    explorer.theme("light")
    explorer.resize(1200)
    light, dark = (np.asarray(Image.open(io.BytesIO(pictures[t, 1440])).convert("L")) for t in ("light", "dark"))
    assert np.median(light) > np.median(dark) + 64, "the background does not follow the theme"

    frame, before = explorer.frame, explorer.pixels()
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    explorer.wait(lambda: explorer.frame > frame, "the picture in forced colors")
    assert not np.array_equal(explorer.pixels(), before), "forced colors change nothing on the canvas"
    assert not (found := audit(page)), found
    explorer.shot("forced")
    explorer.settle()  # each of the two media draws the picture again
    said = explorer.narration
    explorer.press(row.control, row.keys[1])
    explorer.wait(lambda: explorer.narration != said, "another sentence")
    page.wait_for_timeout(30)  # the sentence and its picture arrive together; two frames on, it is drawn
    now = explorer.pixels()
    page.wait_for_timeout(350)
    assert np.array_equal(explorer.pixels(), now), "the picture still moves, though less motion is asked for"
    page.emulate_media(forced_colors="none", reduced_motion="no-preference")


def test_a_question_comes_before_its_answer(explorer):
    "The first press asks, and the picture stays; the second makes the state. Both can be used by anyone."
    page, chip, box = explorer.page, explorer.root.locator(".lk-chip").first, explorer.root.locator(".lk-ask")
    explorer.ask(FIND + "before = {name: getattr(e, name) for name in e.watch}")
    said, seen = explorer.narration, explorer.pixels()
    chip.click()
    box.locator(".lk-question").wait_for()
    explorer.settle()
    assert explorer.narration == said and np.array_equal(explorer.pixels(), seen) and not box.locator("code").count()
    assert not (found := audit(page)), found
    chip.evaluate("e => e.blur()")  # what the mouse has focused shows no ring
    assert not (found := page.evaluate("root => probe.unfit(root)", explorer.root.element_handle())), found
    page.get_by_role("button", name="Show the answer").click()
    box.locator("code").wait_for(timeout=60_000)
    assert chip.evaluate("e => e === document.activeElement"), "the focus went with the button"
    assert not (found := audit(page)), found
    page.keyboard.press("Escape")
    box.wait_for(state="hidden")
    explorer.ask("from lessonkit.widgets.asking import set_traits\nset_traits(e, before)")
    explorer.settle()  # as it was, for the tests that follow


def test_values_stay_as_code_sets_them(explorer):
    "Three values off the grid for each trait that holds a number, set in the kernel; the browser writes none back."
    n = int(explorer.ask("\n".join(map(inspect.getsource, (numeric, off_grid, accepts))) + TABLE))
    assert n >= 4  # three values and the way back, for one trait at least
    for i in range(n + 1):
        assert not (said := explorer.ask(f"step({i})")), said
        explorer.page.wait_for_timeout(80)  # a browser that writes back has done so by then


def test_only_what_changed_is_told(explorer, row):
    "A screen reader hears the parts of the sentence that were not there before, and those alone."
    explorer.settle()
    explorer.page.wait_for_timeout(1100)  # what was said before has been told
    before = explorer.narration
    explorer.press(row.control, row.keys[0])
    explorer.wait(lambda: explorer.narration != before, "another sentence")
    old, now = (re.split(r"(?<=[.;:,])\s+", text) for text in (before, explorer.narration))
    news = " ".join(part for part in now if part not in old)
    status = explorer.root.locator("[role=status][aria-live=polite]")
    explorer.wait(lambda: status.inner_text().strip() == news, f"the live region to say: {news}")


def test_the_notebook_keeps_what_the_reader_left(explorer, row):
    "Jupyter as `lessonkit lab` starts it saves the picture of the present state, with its sentence as `alt`."
    first = explorer.save().cells[1].outputs[-1].data["image/png"]
    explorer.press(row.control, row.keys[0])
    explorer.settle()
    output = explorer.save().cells[1].outputs[-1]
    assert (said := output.data["text/plain"]) == output.metadata["image/png"]["alt"]
    assert said.split() == explorer.narration.split()  # a page draws several spaces as one
    assert output.data["image/png"] != first and WIDGET not in output.data
    picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
    assert len(picture.getcolors(1 << 24)) > 1, "a blank picture"


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
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1440, 900, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            assert not (found := audit(page, "html")), (scheme, width, found)
            assert not (found := page.evaluate("probe.unfit(document.querySelector('.lk-explorer'))")), (width, found)
    assert not said, "\n".join(said)
    context.close()
