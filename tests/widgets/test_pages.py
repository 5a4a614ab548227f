"""Saved pages as they are met: opened from a file, without network, on a laptop and on a phone."""
import numpy as np
import pandas as pd
import pytest

from lessonkit.explorers.schedule import ScheduleExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.explorers.softmax import SoftmaxExplorer
from lessonkit.widgets.page import WIDTHS
from tests.explorers import ROWS, last_value

MADE = {
    "sgd": lambda: SGDExplorer(step=20),
    "softmax": SoftmaxExplorer,
    "schedule": lambda: ScheduleExplorer("one_cycle", step=60),
}


@pytest.fixture
def offline(browser, tmp_path):
    "Saves an explorer and opens its page at a width; nothing may be fetched, and nothing complained about."
    contexts, said = [], []

    def open(explorer, width=900, values=None):
        path = tmp_path / "page.html"
        explorer.to_html(path, values)
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        away = ("file:", "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(away) else said.append(f"request: {r.url}"))
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: said.append(str(e)))
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('canvas')?.dataset.frame > 0")
        return page

    yield open
    assert not said, "\n".join(said)
    for context in contexts: context.close()


def sentence(page): return page.locator(".lk-narration").inner_text()


def changed(page, before):
    page.wait_for_function("b => document.querySelector('.lk-narration').innerText !== b", arg=before)
    return sentence(page)


@pytest.mark.parametrize("name", MADE)
def test_it_opens_on_the_state_shown_with_title_and_lesson(offline, name):
    e = MADE[name]()
    page = offline(e)
    assert sentence(page) == e.narration and page.title() == e.title == page.locator("h1").inner_text()
    assert page.locator("p a").get_attribute("href").endswith(f"/{e.lesson}.ipynb")
    assert page.locator("body").inner_text().strip().endswith("The lesson it comes from")
    assert page.locator(".lk-chip").count() == len(e._questions)
    assert page.locator(".lk-control").count() == len(e.controls())
    e.close()


@pytest.mark.parametrize("name", MADE)
def test_every_control_handle_chip_and_key_answers(offline, name):
    e = MADE[name]()
    page = offline(e)
    page.locator("summary").click()
    now = opened = sentence(page)
    for control in page.locator(".lk-control").all():
        field = control.locator("input:enabled, select:enabled").first
        if not field.count(): continue
        before, kind = page.locator("canvas").get_attribute("data-frame"), field.get_attribute("type")
        last = field.input_value() == field.get_attribute("max")
        if kind == "range": field.press("ArrowLeft" if last else "ArrowRight")
        elif kind == "checkbox": field.click()
        else: field.select_option(index=0 if field.evaluate("e => e.selectedIndex") else 1)
        page.wait_for_function("n => document.querySelector('canvas').dataset.frame !== n", arg=before)
    now = sentence(page)
    handle = page.locator(".lk-handle[role=slider]").first
    handle.focus()
    page.keyboard.press("Shift+ArrowRight"), page.keyboard.press("Shift+ArrowUp")
    now = changed(page, now)
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 30, steps=4)
    page.mouse.up()
    now = changed(page, now)
    page.locator(".lk-chip").nth(1).click()
    assert page.locator(".lk-ask").inner_text().startswith(e._questions[1].question)
    assert sentence(page) == now and not page.locator(".lk-answer").count(), "the answer came with the question"
    page.get_by_role("button", name="Show the answer").click()
    now = changed(page, now)
    assert e.__class__.__name__ + "(" in page.locator(".lk-code").inner_text()
    page.locator(".lk-stage").focus()
    page.keyboard.press("End")  # an answer may stand at one of the two
    page.wait_for_timeout(200)
    page.keyboard.press("Home")
    page.wait_for_timeout(200)
    if sentence(page) == now: page.keyboard.press("End")
    now = changed(page, now)
    page.get_by_role("button", name="start over").click()
    page.wait_for_function("said => document.querySelector('.lk-narration').innerText.startsWith(said)",
                           arg=opened.split(". ")[0])  # a new run stays, and is spoken of
    assert not page.locator(".lk-ask").is_visible()
    page.wait_for_timeout(3500)
    assert not page.locator(".lk-gone").count(), "the page says that a kernel has gone"
    assert not page.locator(".lk-error").inner_text()
    e.close()


@pytest.mark.parametrize("name", MADE)
def test_a_phone_gets_its_own_layout(offline, name):
    e = MADE[name]()
    page = offline(e, 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page is wider than the phone"
    width = page.locator("canvas").evaluate("c => c.clientWidth")
    height = page.locator("canvas").evaluate("c => c.clientHeight")
    assert 350 <= width <= 390 and abs(height - e.scene(width).height) < 2
    e.close()


MARKUP = '</script><img src=x onerror="document.title=1"><a href="https://example.org">&lt;b&gt;'


def hostile():
    "Three explorers that show texts of the caller's own: a run, columns, tokens, points."
    from sklearn.ensemble import RandomForestRegressor

    from lessonkit.explorers.embedding import EmbeddingExplorer
    from lessonkit.explorers.lr_finder import LRFinderExplorer
    from lessonkit.explorers.waterfall import WaterfallExplorer
    from lessonkit.lr_finder import LRFind

    lrs, rng = np.geomspace(1e-6, 1, 60), np.random.default_rng(0)
    find, other = (LRFind(lrs, 2 - np.exp(-((np.log10(lrs) + at) ** 2))) for at in (2, 3))
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=[MARKUP, "b", "c"])
    forest = RandomForestRegressor(5, random_state=0).fit(X, X["b"])
    return {"a run": LRFinderExplorer({"other": other, MARKUP: find}),
            "a column": WaterfallExplorer(forest, X),
            "points": EmbeddingExplorer(rng.normal(size=(20, 3)), [f"{MARKUP} {i}" for i in range(20)])}


@pytest.mark.parametrize("name", ["a run", "a column", "points"])
def test_markup_in_names_stays_text(offline, name, tmp_path):
    e = hostile()[name]
    e.title, e.about = f"about {MARKUP}", MARKUP
    page = offline(e)
    assert page.locator("h1").inner_text() == page.title() == e.title
    if name == "a run": assert "<img" in sentence(page), "the name is not shown, so nothing was tried"
    assert not page.locator("img[src=x], a[href*=example]").count()
    assert "<img" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    for text in e._repr_mimebundle_()[0]: assert text in ("text/plain", "image/png") or "json" in text
    e.close()


def test_a_run_in_the_page_is_the_lessons(offline):
    "In double precision there, in single here: the curves of the losses agree to a thousandth."
    e = ScheduleExplorer("one_cycle", step=60, n_step=90)
    first = e.history
    e.runs = []  # it opens with one
    e.refresh()
    page = offline(e)
    page.get_by_role("button", name="run it").click()
    page.wait_for_function("document.querySelector('.lk-narration').innerText.includes(' here.')")
    assert page.get_by_role("button", name="run it").is_disabled(), "the same run again tells nothing"
    e.run()
    assert sentence(page) == e.narration and first.equals(e.history)
    e.close()


def test_what_the_engine_does_not_know_is_recorded(offline):
    "Your own schedule is Python: the page plays frames of it, and offers nothing else."
    e = ScheduleExplorer(schedule=lambda pos: .1 if pos < .5 else .01, n_step=50, step=7)
    page = offline(e)
    assert sentence(page) == e.narration and not page.locator(".lk-handle, .lk-chip").count()
    assert page.locator(".lk-control").count() == 1
    foot, last = page.locator(".foot"), page.locator(".lk-narration")
    assert page.locator("body").inner_text().strip().endswith("In the lesson it comes from you can also drag and ask.")
    assert page.locator("body").inner_text().count("drag and ask") == 1
    assert foot.bounding_box()["y"] > last.bounding_box()["y"]
    assert foot.locator("a").get_attribute("href").endswith(f"/{e.lesson}.ipynb")
    e.close()


@pytest.mark.parametrize("width", [390, 700, 900])
def test_frames_play_at_the_live_pace_in_a_layout_that_fits(offline, width):
    e = SGDExplorer(step=3)
    page = offline(e, width, values=range(20))
    room = page.locator(".lk-stage").evaluate("c => c.clientWidth")
    wanted = next((w for w in WIDTHS if w <= room), WIDTHS[-1])
    assert page.locator("canvas").evaluate("c => c.clientWidth") == wanted, "the picture is not in its own size"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".lk-stage").focus()
    for key, step in (("ArrowRight", 4), ("PageDown", 14), ("Home", 0), ("End", 19), ("PageUp", 9)):
        before = sentence(page)
        page.keyboard.press(key)
        assert changed(page, before).startswith(f"Step {step} of")
    times = page.evaluate("""async () => {
      const said = document.querySelector('.lk-narration'), times = [];
      new MutationObserver(() => times.push(performance.now())).observe(said, { childList: true });
      document.querySelector('.lk-player [aria-label=play]').click();
      await new Promise((done) => setTimeout(done, 1700));
      return times;
    }""")
    assert np.median(np.diff(times)) == pytest.approx(e.controls()[0].interval, abs=60)
    e.close()


OFFERED = "click", "drag", "Pull", "pull", "“try", "Train two"


@pytest.mark.parametrize("row", [r for r in ROWS if r.name in ("bptt", "bagging", "waterfall", "search", "lr-finder")],
                         ids=lambda r: r.name)
def test_frames_offer_nothing_that_would_not_answer(row):
    from lessonkit.widgets.page import frames

    e = last_value(row.code)
    made, _ = frames(e, [getattr(e, e.along)])
    for frame in made:
        items = [i for p in frame["pictures"] for i in p["_scene"]["items"]]
        words = [frame["text"], *(s for i in items for s in i.get("strings", ()))]
        assert not [w for w in words if any(o in w for o in OFFERED)]
        assert not {"Loss", "Short runs"} & set(words), "a panel that nothing will ever fill"
        assert not any(p["_scene"]["handles"] for p in frame["pictures"])
    e.close()


@pytest.mark.parametrize("width", [300, 390, 900])
@pytest.mark.parametrize("name", ["sgd", "softmax", "sheet"])
def test_the_hint_covers_no_word_and_goes_when_it_plays(offline, name, width):
    from lessonkit.course.datasets import load
    from lessonkit.collab import busiest_sheet
    from lessonkit.explorers.factor_sheet import FactorSheetExplorer

    sheet = lambda: FactorSheetExplorer(busiest_sheet(*load("movielens", sample=True, movies=True)))
    e = sheet() if name == "sheet" else MADE[name]()
    page = offline(e, width)
    hint, stage = page.locator(".lk-hint"), page.locator(".lk-stage").bounding_box()
    box, scene = hint.bounding_box(), e.scene(max(stage["width"], 300))
    scale = min(1, stage["width"] / scene.width)
    x, y = (box["x"] - stage["x"]) / scale, (box["y"] - stage["y"]) / scale
    w, h = box["width"] / scale, box["height"] / scale
    assert hint.evaluate("h => h.scrollWidth <= h.clientWidth") and 0 <= x and x + w <= scene.width, "it is clipped"
    under = [s for s, (l, t, a, b) in scene.boxes() if l < x + w and x < l + a and t < y + h - 1 and y + 1 < t + b]
    assert not under, under
    if width < 600: assert -40 < y < -h, "on a phone it has a line of its own above the picture"
    if name != "softmax": page.get_by_role("button", name="play").click()
    else: page.locator(".lk-stage").press("ArrowDown")
    hint.wait_for(state="hidden")
    top = page.evaluate("document.querySelector('.lk-stage').getBoundingClientRect().top + scrollY")
    assert top == pytest.approx(stage["y"], abs=.5), "the page jumped"
    e.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_browsers_own_controls_follow_the_page(browser, tmp_path, scheme):
    e = SGDExplorer()
    path = e.to_html(tmp_path / "page.html")
    context = browser.new_context(offline=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri())
    slider = page.locator("input[type=range]").first
    slider.wait_for()
    assert slider.evaluate("i => getComputedStyle(i).colorScheme") == scheme
    knob = [int(v) for v in slider.evaluate("i => getComputedStyle(i).accentColor.match(/\\d+/g)")]
    assert (sum(knob) > 400) == (scheme == "dark"), "a dark knob makes Chromium paint a bright track"
    context.close()
    e.close()
