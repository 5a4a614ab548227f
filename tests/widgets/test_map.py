"""The map of points in Chromium, without Jupyter: what it draws, labels and tells, and how long a frame takes."""
import base64
import io
import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lessonkit.explorers.embedding import EmbeddingExplorer
from lessonkit.widgets.palette import ink
from tests.browser.conftest import find_chromium

from .test_js import STUB, acts, sent

MORE = """
function give(blobs) {
  const names = Object.keys(blobs), views = names.map((k) => new DataView(bytes(blobs[k]).buffer));
  for (const [event, f] of [...stub.heard]) if (event === 'msg:custom') f({blobs: names}, views);
}
const map = () => document.querySelector('.lk-map');
"""


def explorer_of(n, seed=0, **how):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 50)) * np.linspace(3, 0.5, 50)
    first = ("Silent", "Red", "The Last", "Hidden", "A Broken")
    table = pd.DataFrame(dict(
        title=[f"{first[i % 5]} Number {i} ({1950 + i % 60})" for i in range(n)], ratings=rng.geometric(0.02, n),
        genre=rng.choice(["Drama", "Comedy", "Action"], n)))
    return EmbeddingExplorer(x, table, name="title", popularity="ratings", color="genre", **how)


class Page:
    "An explorer on a stub of its model."

    def __init__(self, browser, explorer, width=860):
        self.page, self.said = browser.new_page(), []
        self.explorer = explorer
        self.page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        body = f"<body style='background: #fff; margin: 0'><div id=el style='width: {width}px'></div>"
        self.page.set_content(f"<style>{explorer._css}</style>{body}")
        self.page.add_script_tag(content=STUB + MORE)
        self.page.evaluate("([esm, text]) => start(esm, text)", [str(explorer._esm), sent(explorer)])
        self.answer()
        self.page.wait_for_function("map()?.dataset.ms")

    def answer(self):
        "The kernel's part: what the page told goes to the explorer, and its new state back."
        told = [act for act in acts(self.page) if act]
        for act in told:
            if act["kind"] == "need": self.give(act["names"])
            else: self.explorer._act(act)
        if told: self.put()
        return told

    def give(self, names):
        self.page.evaluate("give", {n: base64.b64encode(self.explorer._held[n]).decode() for n in names})

    def put(self):
        "The present state of the explorer, and first whatever it needs."
        self.give(list(self.explorer._held))
        self.page.evaluate("text => stub.put(text)", sent(self.explorer))
        self.page.wait_for_timeout(300)

    def map(self, name): return self.page.evaluate(f"map().dataset.{name}")

    def labels(self): return self.page.evaluate("map().labels")

    def at(self, row):
        "Where a point stands, in px of the page."
        box, cloud = self.explorer.scene().cloud[:2]
        px = cloud.px(box)[row]
        place = self.page.evaluate("(() => { const b = map().getBoundingClientRect(); return [b.left, b.top]; })()")
        return place[0] + px[0], place[1] + px[1]

    def close(self):
        self.page.close()
        self.explorer.close()
        assert not self.said, "\n".join(self.said)


@pytest.fixture
def opened(browser):
    pages = []
    def open(explorer, **how):
        pages.append(Page(browser, explorer, **how))
        return pages[-1]
    yield open
    for p in pages: p.close()


def overlaps(boxes):
    b = np.asarray(boxes, float)
    x, y, w, h = b.T
    both = (x < (x + w)[:, None] - 1e-6) & (x[:, None] < x + w - 1e-6)
    both &= (y < (y + h)[:, None] - 1e-6) & (y[:, None] < y + h - 1e-6)
    return int(both.sum() - len(b)) // 2


def test_the_page_labels_what_code_reads(opened):
    "The page and Python place the same labels, before and after a window was set from code."
    p = opened(explorer_of(1500))
    for window in ((), (-4.0, 1.0, -3.0, 2.0)):
        p.explorer.window = window
        p.put()
        scene = p.explorer.scene()
        want = [(i, x) for i, x, _ in scene.cloud[1].labels(scene.cloud[0])]
        got = [(o["i"], o["box"][0]) for o in p.labels()]
        assert [i for i, _ in got] == [i for i, _ in want] and len(got) > 6
        np.testing.assert_allclose([x for _, x in got], [x for _, x in want], atol=0.05)
    p.page.wait_for_timeout(400)
    p.answer()
    assert p.explorer.labels == [o["name"] for o in p.labels()]
    assert p.explorer.window == (-4.0, 1.0, -3.0, 2.0), "the page wrote another window back"


def test_labels_never_overlap_and_never_flicker(opened):
    "Coming closer in small steps: a label that is there stays until its point has left the map."
    p = opened(explorer_of(2000))
    box = p.page.locator(".lk-map").bounding_box()
    p.page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.5)
    before, seen, came = None, 0, 0
    p.page.keyboard.down("Control")
    for step in range(40):
        now = {o["i"]: o["box"] for o in p.labels()}
        assert overlaps(list(now.values())) == 0, f"labels overlap after {step} steps"
        if before is not None:
            edge = lambda b: b[0] < 45 or b[1] < 45 or b[0] + b[2] > box["width"] - 45 or b[1] > box["height"] - 75
            lost = [i for i, b in before.items() if i not in now and not edge(b)]
            assert not lost, f"{len(lost)} labels vanished in step {step}"
            came += len(now.keys() - before.keys())
        before, seen, zoom = now, max(seen, len(now)), p.map("zoom")
        p.page.mouse.wheel(0, -8)
        p.page.wait_for_function("zoom => map().dataset.zoom !== zoom", arg=zoom)
    p.page.keyboard.up("Control")
    assert came > 15 and seen > 7 and float(p.map("zoom")) > 3


def test_a_click_a_loop_and_a_name(opened):
    p = opened(explorer_of(240))
    p.page.mouse.click(*p.at(7))
    told = p.answer()
    assert {"kind": "pick", "row": 7, "add": False} in told
    assert p.explorer.selected == (int(p.explorer.space.order[7]),) and len(p.labels()) > 5
    assert p.explorer.chosen["title"].tolist() == [p.explorer.space.names[7]]
    p.page.get_by_role("button", name="choose by a loop").click()
    x, y = p.at(3)
    p.page.mouse.move(x - 60, y - 60)
    p.page.mouse.down()
    for dx, dy in ((60, -60), (60, 60), (-60, 60), (-60, -58)): p.page.mouse.move(x + dx, y + dy, steps=4)
    p.page.mouse.up()
    rows = next(a for a in p.answer() if a["kind"] == "lasso")["rows"]
    box, cloud = p.explorer.scene().cloud[:2]
    px = cloud.px(box)
    inside = np.flatnonzero((np.abs(px - px[3]) < 58).all(1))
    assert 3 in rows and set(inside) <= set(rows) and len(p.explorer.selected) == len(rows) > 1
    name = p.page.get_by_label("name of the axis across")
    name.fill("serious ↔ easy")
    name.press("Enter")
    p.answer()
    assert p.explorer.axis_names == {1: "serious ↔ easy"} and p.explorer.components.loc[1, "name"] == "serious ↔ easy"
    assert "serious ↔ easy" in p.explorer.scene().strings()


def test_pointing_and_keys(opened):
    p = opened(explorer_of(240))
    p.page.mouse.move(*p.at(5))
    p.page.wait_for_timeout(50)
    assert p.page.locator(".lk-tip").inner_text() == p.explorer.space.names[5]
    p.answer()
    assert f"Pointed at: {p.explorer.space.names[5]}" in p.explorer.narration
    p.page.locator(".lk-stage").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        before = p.explorer.selected
        p.page.keyboard.press(key)
        p.answer()
        assert p.explorer.selected != before
    p.page.keyboard.press("+")
    p.page.wait_for_timeout(400)
    assert float(p.map("zoom")) == 1.6
    p.answer()
    assert len(p.explorer.window) == 4
    p.page.keyboard.press("0")
    p.page.keyboard.press("Escape")
    p.answer()
    assert p.explorer.selected == ()


def test_a_choice_dims_and_hides_nothing(opened):
    p = opened(explorer_of(240))
    box = p.page.locator(".lk-map").bounding_box()

    def inked():
        got = p.page.evaluate("""([w, h]) => { const c = document.querySelector('canvas'), b = map();
          return [...c.getContext('2d').getImageData(b.offsetLeft, b.offsetTop, w, h).data]; }""",
          [int(box["width"]), int(box["height"])])
        px = np.array(got, np.uint8).reshape(int(box["height"]), int(box["width"]), 4)[..., :3].astype(int)
        return (np.abs(px - [243, 245, 247]).sum(-1) > 9)
    before = inked()
    p.explorer.selected = (int(p.explorer.space.order[0]),)
    p.put()
    at = np.round(p.explorer.scene().cloud[1].px(p.explorer.scene().cloud[0])).astype(int)
    after = inked()
    there = [after[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].any() for x, y in at]
    assert all(there) and before.sum() > 1000


def frame_ms(p, n=40):
    "Median and largest time of a frame, in ms, while the map is dragged about at some zoom."
    p.page.keyboard.press("0")
    box = p.page.locator(".lk-map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    p.page.mouse.move(x, y)
    p.page.keyboard.down("Control")
    for _ in range(3): p.page.mouse.wheel(0, -40)
    p.page.keyboard.up("Control")
    p.page.mouse.down()
    took = []
    for i in range(n):
        p.page.mouse.move(x + 60 * np.cos(i / 5), y + 60 * np.sin(i / 5))
        p.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        took.append(float(p.map("ms")))
    p.page.mouse.up()
    return np.median(took), max(took)


@pytest.mark.parametrize("n, budget", [(9_066, 16.0), (100_000, 60.0)])
def test_a_frame_is_quick(opened, measured, n, budget):
    "The painting of the map itself: points, lines, labels. A linked slider takes about 54 ms."
    p = opened(explorer_of(n))
    p.page.locator(".lk-stage").focus()
    median, most = frame_ms(p)
    size = len(json.dumps(p.explorer._scene, default=str)) + sum(map(len, p.explorer._held.values()))
    line = f"map of {n:,} points, {p.map('labels')} labels: {median:.1f} ms a frame (at most {most:.1f})"
    measured(f"{line}; opening needs {size / 1000:.0f} kB")
    assert median <= budget and size < 1_000_000


def pass_on(p, told):
    "What the explorer has sent of its own accord reaches the page."
    for content, _ in told:
        p.page.evaluate("m => { for (const [e, f] of [...stub.heard]) if (e === 'msg:custom') f(m); }", content)


def turned_on(p):
    "The figure of three components, asked for, and in the page with its library."
    told = []
    p.explorer.send = lambda content, buffers=None: told.append((content, buffers))
    p.explorer.solid = True
    pass_on(p, told)
    needs = [a for a in acts(p.page) if a and a["kind"] == "need"]
    assert [a["names"] for a in needs] == [["plotly"]]
    told.clear()
    p.explorer._act(needs[0])
    assert told[0][0] == {"blobs": ["plotly"]} and len(told[0][1][0]) > 1e6
    p.page.evaluate("give", {"plotly": base64.b64encode(told[0][1][0]).decode()})
    p.page.frame_locator(".lk-solid").locator(".js-plotly-plot, .plotly").first.wait_for(timeout=60_000)
    return told


def test_three_dimensions_come_when_asked_for(opened):
    "Plotly's library is in the page only from the first wish on, once, and the figure goes when it is not wanted."
    p = opened(explorer_of(240))
    told = turned_on(p)
    told.clear()
    p.explorer.pair = 1
    figures = [json.loads(c["figure"]) for c, _ in told if "figure" in c]
    assert [[d["type"] for d in f["data"]] for f in figures] == [["scatter3d"] * 2]
    told.clear()
    p.explorer.solid = False
    pass_on(p, told)
    assert p.page.locator(".lk-solid").count() == 0
    p.said.clear()  # a machine without WebGL says so


@pytest.fixture(scope="module")
def webgl(browser):
    "Chromium that computes WebGL on the processor."
    path = find_chromium(SimpleNamespace(chromium=browser.browser_type))
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    chromium = browser.browser_type.launch(executable_path=path, args=flags)
    yield chromium
    chromium.close()


def test_three_dimensions_are_seen_and_turn(webgl):
    "The points are painted, in their colors, and a drag turns them."
    p = Page(webgl, explorer_of(240, selected=(3,)))
    if not p.page.evaluate("!!document.createElement('canvas').getContext('webgl')"):
        p.close()
        said = "this Chromium has no WebGL, not even computed on the processor"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    p.page.set_viewport_size(dict(width=900, height=1400))
    turned_on(p)
    solid = p.page.locator(".lk-solid")
    look = lambda: np.asarray(Image.open(io.BytesIO(solid.screenshot())).convert("RGB")).astype(int)
    colored = lambda px: int((np.ptp(px, axis=2) > 60).sum())
    for _ in range(60):
        before = look()
        if colored(before) > 1000: break
        p.page.wait_for_timeout(500)
    assert colored(before) > 1000, "no point is seen"
    box = solid.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    p.page.mouse.move(x, y)
    p.page.mouse.down()
    p.page.mouse.move(x + 120, y + 40, steps=5)
    p.page.mouse.up()
    p.page.wait_for_timeout(1500)
    after = look()
    assert (np.abs(after - before).sum(2) > 60).sum() > 1000 and colored(after) > 1000
    p.close()


def test_a_page_of_many_points_knows_neighbors(browser, tmp_path):
    "Of 40,000 points, the page holds the neighbors of those with a label, and says so of the others."
    e = explorer_of(40_000)
    path = e.to_html(tmp_path / "map.html", values=[0])
    assert path.stat().st_size < 3_000_000
    page = browser.new_page(viewport=dict(width=900, height=1000))
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelector('.lk-map')?.dataset.ms")
    box, cloud = e.scene(page.locator(".lk-stage").evaluate("s => s.clientWidth")).cloud[:2]
    px = cloud.px(box)
    place = page.locator(".lk-map").bounding_box()
    alone = lambda rows: max(rows, key=lambda i: np.partition(np.hypot(*(px - px[i]).T), 1)[1])
    for row, known in ((alone(range(3000)), True), (alone(range(30_000, 33_000)), False)):
        page.mouse.click(place["x"] + px[row, 0], place["y"] + px[row, 1])
        page.wait_for_timeout(200)
        said = page.locator(".lk-narration").inner_text()
        if known:
            names = [e.space.names[j] for j, _ in e.space.near(row, 3, 0)]
            assert said == f"Chosen: {e.space.names[row]}. Nearest in the full space: {', '.join(names)}."
        else: assert said.endswith("the neighbors of the first 3333 points alone; the lesson finds all.")
    page.close()
    e.close()


def test_a_printed_map_keeps_the_color_of_each_class():
    "Few colors make the picture small; the classes' own are among them."
    e = explorer_of(240)
    e.open()
    px = np.asarray(Image.open(io.BytesIO(e.png())).convert("RGB")).reshape(-1, 3).astype(int)
    _, inks, legend = e.space.colors("genre")
    for name, word in legend:
        color = [int(ink(name).light[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(px - color).max(1).min() < 16, word
    e.close()
