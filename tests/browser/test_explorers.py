"""Every explorer in JupyterLab, as a learner meets it. A new one is a row in ROWS."""
import ast
import base64
import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from .pages import HERE, PICTURE, ExplorerPage, assert_keyboard, assert_opening, pixels


@dataclass(frozen=True)
class Row:
    name: str
    code: str  # its last line is the explorer
    control: str  # description of the control to step by the keyboard; 'canvas' for the canvas itself
    keys: tuple[str, str] = ("ArrowRight", "ArrowLeft")  # there and back
    hover: bool = True  # pointing at the canvas changes the sentence
    notebook7: bool = False  # also opened in Notebook 7 (test_notebook7.py)


BPTT = "from lessonkit.explorers.bptt import BPTTExplorer\n"
LR = """
import torch
from functools import partial
from torch.nn import functional as F
from lessonkit.learner import DataLoaders, Learner
from lessonkit.lr_finder import find_over_seeds
from lessonkit.explorers.lr_finder import LRFinderExplorer
from lessonkit.schedules import digits, small_net
torch.set_num_threads(1)
x, y, *_ = digits()
def learner(seed):
    dls = DataLoaders.from_arrays((x, y), bs=32, seed=seed)
    return Learner(small_net(seed), dls, F.cross_entropy, partial(torch.optim.SGD, momentum=.9), device="cpu")

finds = find_over_seeds(learner, range(8))
LRFinderExplorer(finds[0], learn=learner(0), finds=finds)"""
OWN_FOREST = """
from sklearn.datasets import load_wine
from sklearn.ensemble import BaggingClassifier
from lessonkit.explorers.bagging import BaggingExplorer
wine = load_wine(as_frame=True)
X, y = wine.data, wine.target_names[wine.target]
forest = BaggingClassifier(n_estimators=100, max_features=5, random_state=0).fit(X.to_numpy(), y)
BaggingExplorer(X, y, columns=("flavanoids", "color_intensity"), forest=forest)"""
SEARCH = """
import numpy as np
from lessonkit.search import sample
from lessonkit.explorers.search import SearchExplorer
import pandas as pd
from scipy import stats
rng = np.random.default_rng(0)
space = dict(eta0=stats.loguniform(1e-3, 1), alpha=stats.loguniform(1e-7, 1e-3), average=[True, False],
             schedule=["constant", "adaptive"], max_iter=[1, 2, 4])
table = pd.DataFrame(sample(space, 300))
table["score"] = .92 - .02 * np.log10(table.eta0 / .04) ** 2 - .02 * ~table.average + rng.normal(0, .004, 300)
table["seconds"], table["error"] = table.max_iter * .04 + rng.uniform(0, .02, 300), ""
table.loc[::40, ["score", "seconds"]] = np.nan
table.loc[::40, "error"] = "FloatingPointError: the weights are not finite"
SearchExplorer(table, x="eta0", y="alpha")"""
WATERFALL = """
from sklearn.ensemble import RandomForestClassifier
from lessonkit.course.table_rules import draw
from lessonkit.explorers.waterfall import WaterfallExplorer
from lessonkit.forest_insight import TableEncoder
ship = draw("titanic", 1500).drop(columns=["PassengerId", "Name", "Ticket"])
lived, encoder = ship.pop("Survived").map({0: "died", 1: "survived"}), TableEncoder()
X = encoder.fit_transform(ship)
forest = RandomForestClassifier(100, random_state=0).fit(X[:1000], lived[:1000])
explorer = WaterfallExplorer(forest, X[1000:], encoder=encoder, row=12)
explorer.feature = "Fare"
explorer"""
ROWS = [
    Row(
        "bptt",
        BPTT + "import pydoc_data.topics as t\nBPTTExplorer('\\n'.join(t.topics.values()))",
        control="step",
        notebook7=True,
    ),
    Row(
        "bptt-20M",
        BPTT + "import numpy as np\nBPTTExplorer(np.arange(20_000_000) % 251, bs=64, bptt=70)",
        control="step",
    ),
    Row(
        "softmax",
        "from lessonkit.explorers.softmax import SoftmaxExplorer\nSoftmaxExplorer()",
        control="activation",
        hover=False,
    ),
    Row(
        "schedule",
        "from lessonkit.explorers.schedule import ScheduleExplorer\nScheduleExplorer('one_cycle', lr=0.13, step=40)",
        control="step",
        hover=False,
    ),
    Row("sgd", "from lessonkit.explorers.sgd import SGDExplorer\nSGDExplorer()", control="step"),
    Row("bagging", "from lessonkit.explorers.bagging import BaggingExplorer\nBaggingExplorer()", control="first k"),
    Row("bagging-own", OWN_FOREST, control="first k"),
    Row("waterfall", WATERFALL, control="value", hover=False),
    Row("search", SEARCH, control="rank"),
    Row("rnn", "from lessonkit.explorers.rnn import RNNExplorer\nRNNExplorer(trained=100, step=20)", control="answer"),
    Row("lr-finder", LR, control="smoothing", keys=("ArrowLeft", "ArrowRight")),
]


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


def last_value(code: str):
    "Runs `code` in this process and returns the value of its last line."
    *body, last = ast.parse(code).body
    space = {}
    exec(compile(ast.Module(body, []), "row", "exec"), space)
    return eval(compile(ast.Expression(last.value), "row", "eval"), space)
