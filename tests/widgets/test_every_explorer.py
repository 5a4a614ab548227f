"""What holds for every explorer: values stay as code set them, nothing overlaps whatever is shown, text can be read.

No list is kept here: the explorers are found in the package, their traits and controls on the explorers themselves."""
import importlib
import inspect
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
import torch
from ipywidgets import Widget
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from torch import nn
from traitlets import TraitError

import lessonkit.explorers
from lessonkit import lr_finder
from lessonkit.char_rnn import char_data, char_net
from lessonkit.collab import Sheet
from lessonkit.course.lab import WIDGET
from lessonkit.course.nets import CharNet
from lessonkit.course.nets import Preprocess
from lessonkit.explorers.augment import AugmentExplorer
from lessonkit.explorers.bagging import BaggingExplorer
from lessonkit.explorers.bptt import BPTTExplorer
from lessonkit.explorers.cam import CAMExplorer
from lessonkit.explorers.conv import ConvExplorer
from lessonkit.explorers.embedding import EmbeddingExplorer
from lessonkit.explorers.entity import EntityExplorer
from lessonkit.explorers.factor_sheet import FactorSheetExplorer
from lessonkit.explorers.evidence import EvidenceExplorer
from lessonkit.explorers.gates import GateExplorer
from lessonkit.explorers.generation import GenerationExplorer
from lessonkit.explorers.lr_finder import LRFinderExplorer
from lessonkit.explorers.rnn import RNNExplorer
from lessonkit.explorers.schedule import ScheduleExplorer
from lessonkit.explorers.search import SearchExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.explorers.softmax import SoftmaxExplorer
from lessonkit.explorers.waterfall import WaterfallExplorer
from lessonkit.lr_finder import LRFind, Rule
from lessonkit.widgets.asking import state_of
from lessonkit.widgets.explorer import Explorer
from lessonkit.widgets.palette import INKS, PAGES, contrast, ink

from ..explorers import ROWS, last_value, numeric, off_grid

WIDTHS = (272, 360, 480, 600, 760, 960)  # px; the first is a cell's on a phone of 390


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def explorer(request):
    explorer = last_value(request.param.code)
    yield explorer
    explorer.close()


def classes() -> set[type]:
    "The explorers of the package."
    found = [importlib.import_module(f"lessonkit.explorers.{m.name}")
             for m in pkgutil.iter_modules(lessonkit.explorers.__path__)]
    return {v for m in found for v in vars(m).values()
            if isinstance(v, type) and issubclass(v, Explorer) and v.__module__ == m.__name__}


def test_every_explorer_has_a_row():
    "The rows name each class of the package, so that nothing below leaves one out."
    code = "\n".join(row.code for row in ROWS)
    assert not (missing := [c.__name__ for c in classes() if f"{c.__name__}(" not in code])
    assert len(classes()) >= 8, missing


# ── a saved page ──

PAGE = 3_000_000  # bytes


def test_a_saved_page_fits_as_it_is(explorer):
    "Unless told what to record, no explorer refuses to be saved, nor to be sent by mail."
    assert len(explorer.to_html().encode()) <= PAGE


def bare() -> list[type]:
    "The explorers that need no argument."
    needed = lambda c: [p for p in list(inspect.signature(c.__init__).parameters.values())[1:]
                        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return sorted((c for c in classes() if not needed(c)), key=lambda c: c.__name__)


NEED_ONE = (BPTTExplorer, EmbeddingExplorer, LRFinderExplorer)  # of several arguments, of which none is needed alone


@pytest.mark.parametrize("kind", [c for c in bare() if c not in NEED_ONE], ids=lambda kind: kind.__name__)
def test_the_page_of_a_bare_explorer_fits(kind):
    e = kind()
    assert len(e.to_html().encode()) <= PAGE
    e.close()


@pytest.mark.parametrize("kind", NEED_ONE, ids=lambda kind: kind.__name__)
def test_an_explorer_of_nothing_says_what_it_needs(kind):
    with pytest.raises((ValueError, TypeError), match="^give a "): kind()


# ── values stay as code set them ──

def echo(explorer):
    "What a browser does that says again where each of its inputs stands."
    for name, (stop, *_) in dict(explorer._values).items():
        explorer._act({"kind": "set", "name": name, "value": stop})


def test_values_are_never_written_back(explorer):
    names = numeric(explorer)
    assert names
    for name in names:
        values, before = off_grid(explorer, name), getattr(explorer, name)
        if not values and isinstance(before, int): continue  # it has one value only
        assert len(values) == 3 or isinstance(values[0], int), (name, values)
        for value in values:
            setattr(explorer, name, value)
            echo(explorer)
            assert not explorer.error, (name, value, explorer.error)
            assert getattr(explorer, name) == value, (name, value)
            shown = explorer._list[name].show(value)[0] if name in explorer._list else None
            assert shown is None or explorer._values[name][0] == shown
        setattr(explorer, name, before)


def test_it_shows_itself_under_ipywidgets_7(monkeypatch):
    "Colab's ipywidgets 7.7 knows no mime bundle of its own; an explorer's is a widget, a picture and a sentence."
    monkeypatch.delattr(Widget, "_repr_mimebundle_", raising=False)
    explorer = SoftmaxExplorer()
    data, about = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET, "image/png", "text/plain"} and about["image/png"]["alt"] == explorer.narration
    assert explorer._ipython_display_ is None  # ipywidgets 7 would show the widget alone, without its picture
    explorer.close()


# ── nothing overlaps or is cut ──

LONG = "a name of sixty characters, which is a lot for any one label"
assert len(LONG) == 60
RNG = np.random.default_rng(0)
BEGUN = RNG.bit_generator.state
PLANE, SORT = RNG.normal(size=(60, 2)), np.arange(60) % 3


def finds(n: int) -> dict[str, LRFind]:
    lrs = np.geomspace(1e-6, 1, 60)
    curve = lambda i: 2.5 + 0.1 * i - np.exp(-(np.log10(lrs / 0.02) ** 2)) + np.maximum(0, lrs * 40 - 8)
    return {f"{LONG[i:]} {i}": LRFind(lrs, curve(i)) for i in range(n)}


def search_table(score, **columns) -> pd.DataFrame:
    return pd.DataFrame(columns | dict(score=score, seconds=np.linspace(0.1, 9, 40), error=""))


def ship(target, forest=RandomForestClassifier, long=True):
    X = pd.DataFrame(RNG.normal(size=(60, 12)), columns=[f"{LONG} {i}" if long else f"c{i}" for i in range(12)])
    return WaterfallExplorer(forest(10, random_state=0).fit(X, target), X)


def bagging(y=SORT, names=("x", "y"), **state):
    return BaggingExplorer(PLANE, y, names=names, n_trees=state.pop("n_trees", 8), **state)


def views(classes=None, **state):
    "An untrained net's answers to noise."
    k = len(classes or "abc")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, k, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    pictures = np.random.default_rng(0).integers(0, 255, (3, 20, 30, 3), dtype=np.uint8)
    return AugmentExplorer(pictures, [0, 1, 2][: 3 * (k > 2)] or None, {f"{LONG} {i}": net for i in range(2)},
                           classes=classes, **state)


EDGES = {
    "augment: long names": lambda: views([f"{LONG[i:]} {i}" for i in range(12)], n_views=7),
    "augment: two classes, nobody knows which, one of them without a name": lambda: views(["", "b"], n_views=1),
    "augment: sixteen views, all changes": lambda: views(n_views=16, cutout=20, rotate=90, zoom=1, shift=.4, light=1),
    "bagging: a hundredth tree": lambda: bagging(n_trees=100, tree=100, k=100),
    "bagging: a long name of a column": lambda: bagging(names=(LONG, LONG + "!")),
    "bagging: long names of classes": lambda: bagging(np.array([f"{i} {LONG}" for i in SORT])),
    "bagging: eight classes": lambda: bagging(np.array([f"{LONG[i % 8:]}" for i in range(60)])),
    "bagging: a class without a name": lambda: bagging(np.array(["", "b", "c"])[SORT]),
    "bagging: a category nobody has": lambda: bagging(pd.Categorical(["a", "b"] * 30, ["a", "b", "empty"])),
    "bagging: a constant target": lambda: bagging(np.full(60, 3.5), numbers=True),
    "bagging: one class": lambda: bagging(np.full(60, "only")),
    "bagging: huge numbers": lambda: bagging(RNG.normal(size=60) * 1e9 + 1e10),
    "bptt: long tokens": lambda: BPTTExplorer([f"{LONG}{i % 7}" for i in range(400)]),
    "bptt: one token again and again": lambda: BPTTExplorer("a" * 300),
    "bptt: a short stream": lambda: BPTTExplorer("abcdefghijk", bs=2, bptt=3),
    "bptt: many rows": lambda: BPTTExplorer("a text " * 900, bs=64, bptt=40),
    "bptt: a token without a name": lambda: BPTTExplorer(["", "x", "y"] * 60),
    "conv: huge weights": lambda: ConvExplorer(kernel=np.arange(9) * 1e9),
    "conv: two digits and a sign in each cell": lambda: ConvExplorer(kernel=-np.arange(9) * 0.11 - 0.07),
    "conv: one huge weight among small ones": lambda: ConvExplorer(kernel=[0.11, -2.5e8, *[-0.45] * 7]),
    "conv: a kernel of zeros": lambda: ConvExplorer(np.ones((40, 90)), kernel=np.zeros((3, 3)), pad=2),
    "conv: a small picture, a large step": lambda: ConvExplorer(np.eye(8), stride=3, n=8),
    "cam: long names": lambda: cam([f"{LONG[i:]} {i}" for i in range(9)]),
    "cam: classes without names, two cells": lambda: cam(["", ""], side=4, pictures=[np.zeros((9, 2, 3), np.uint8)]),
    "cam: one class, a wide picture": lambda: cam(["only"], pictures=[np.full((3, 400, 3), 200, np.uint8)]),
    "embedding: long names": lambda: EmbeddingExplorer(
        RNG.normal(size=(60, 5)), pd.DataFrame({LONG: [f"{LONG[i % 9:]} {i}" for i in range(60)], LONG[1:]: SORT}),
        selected=(3,), axis_names={1: LONG * 2}),
    "embedding: two columns": lambda: EmbeddingExplorer(PLANE, [f"n{i}" for i in range(60)], selected=(1, 2, 3)),
    "embedding: three rows without names": lambda: EmbeddingExplorer(np.eye(3), ["", "", ""], selected=(0,)),
    "embedding: huge numbers, all on one line": lambda: EmbeddingExplorer(np.outer(PLANE[:, 0] * 1e12, np.ones(4))),
    "embedding: nine kinds": lambda: EmbeddingExplorer(PLANE, pd.DataFrame(
        dict(name=[f"n{i}" for i in range(60)], kind=[f"{LONG[i % 9:]}" for i in range(60)])), color="kind"),
    "embedding: frames": lambda: EmbeddingExplorer(None, frames=[PLANE * 0.1, PLANE + 1, PLANE], epoch=1),
    "evidence: a word wider than a phone": lambda: EvidenceExplorer("so " + "w" * 80 + " dull"),
    "evidence: as many words as there may be": lambda: EvidenceExplorer("not " * 60),
    "evidence: all but one left out": lambda: EvidenceExplorer("not so bad", edits={0: "", 1: ""}),
    "evidence: long names of classes": lambda: EvidenceExplorer(classes=(LONG, LONG + "!")),
    "evidence: words nobody knows": lambda: EvidenceExplorer("Ω ж 😀", measure="gradient"),
    "gates: a letter that nobody knows, one unit": lambda: GateExplorer("Ω", *two_letters(1), "ab " * 400),
    "gates: a sentence as long as it may be": lambda: GateExplorer("b" * 60, *two_letters(9), "ab " * 400),
    "entity: long names that stand nowhere": lambda: EntityExplorer({LONG: pd.DataFrame(
        PLANE[:30], [f"{LONG[i % 9:]} {i}" for i in range(30)])}, selected=f"{LONG[3:]} 3"),
    "entity: equal rows on a circle": lambda: EntityExplorer({"a": np.zeros((4, 3)) + np.eye(4, 3) * 1e-9},
                                                             places={"a": "circle"}),
    "entity: huge numbers in a plane, with frames": lambda: EntityExplorer(
        {"a": [PLANE[:8] * 1e9, PLANE[:8] * 1e12]}, places={"a": PLANE[8:16] * 1e9}, selected=3, k=7),
    "lr-finder: a curve with a long name": lambda: LRFinderExplorer(finds(1)),
    "lr-finder: five curves": lambda: LRFinderExplorer(finds(5)),
    "lr-finder: a constant loss": lambda: LRFinderExplorer(LRFind(np.geomspace(1e-6, 1, 60), np.full(60, 2.3))),
    "rnn: a phrase as long as it may be": lambda: RNNExplorer("m" * 32, trained="30 steps"),
    "rnn: one letter that nobody knows": lambda: RNNExplorer("Ω"),
    "rnn: nets with long names": lambda: long_nets(),
    "rnn: it explodes": lambda: RNNExplorer(kind="identity", gain=2.5),
    "schedule: a long name": lambda: ScheduleExplorer(schedule=named(LONG)),
    "schedule: level": lambda: ScheduleExplorer("lin", lr=0.1, lr_min=0.1),
    "schedule: eight cycles": lambda: ScheduleExplorer("sgdr", n_cycle=8, cycle_mult=3.0),
    "schedule: tiny rates": lambda: ScheduleExplorer("one_cycle", lr=1e-9),
    "search: long names and words": lambda: SearchExplorer(search_table(
        np.linspace(0, 1, 40), **{LONG: np.linspace(1, 9, 40), f"{LONG} 2": [LONG, f"{LONG} b"] * 20})),
    "search: a constant score": lambda: SearchExplorer(search_table(
        np.full(40, 0.5), a=np.geomspace(1e-3, 1, 40), b=["x", "y"] * 20)),
    "search: twelve parameters": lambda: SearchExplorer(search_table(
        RNG.normal(size=40), **{f"{LONG[i:]} {i}": RNG.normal(size=40) for i in range(12)})),
    "search: a value without a name": lambda: SearchExplorer(search_table(
        np.linspace(0, 1, 40), a=["", "x"] * 20, b=[1, 2, 3, 4] * 10)),
    "search: all but one failed": lambda: SearchExplorer(search_table(
        [0.5] + [np.nan] * 39, a=np.arange(40), b=[1, 2] * 20)),
    "sgd: a constant target": lambda: SGDExplorer(np.arange(9.0), np.full(9, 4.0)),
    "sgd: huge numbers": lambda: SGDExplorer(np.arange(9.0) * 1e6, np.arange(9.0) * 1e12 - 5e12),
    "sgd: an optimizer with a long name": lambda: SGDExplorer(
        optimizers={f"{LONG} {i}": optimizer_class(i) for i in range(5)}, compare=True),
    "sheet: long titles and people": lambda: sheet([f"{LONG} {i} (1999)" for i in range(9)],
                                                   [LONG[i:] for i in range(7)]),
    "sheet: names that are empty": lambda: sheet([""] * 9, [""] * 7),
    "sheet: numbers that explode": lambda: sheet(rate=0.1, step=60),
    "sheet: twelve factors, all that can be hidden": lambda: sheet(n_factors=12, hide=True, n_hidden=99),
    "softmax: long names": lambda: SoftmaxExplorer([f"{LONG} {i}" for i in range(8)]),
    "softmax: a class without a name": lambda: SoftmaxExplorer(["", "b"]),
    "softmax: nothing is there": lambda: SoftmaxExplorer(mode="sigmoid", present=()),
    "writing: two letters, all of it": lambda: GenerationExplorer("Ω" * 48, *two_letters(9), step=200),
    "writing: a net that is sure": lambda: GenerationExplorer("ab", *two_letters(9, 1e4), step=9),
    "waterfall: long names": lambda: ship(np.array([f"{i} {LONG}" for i in SORT])),
    "waterfall: a class without a name": lambda: ship(np.array(["", "b", "c"])[SORT]),
    "waterfall: a constant target": lambda: ship(np.full(60, 2.5), RandomForestRegressor, long=False),
    "waterfall: one class": lambda: ship(np.full(60, "only"), long=False),
    "waterfall: huge numbers": lambda: ship(RNG.normal(size=60) * 1e12, RandomForestRegressor),
}


def two_letters(n_hid, scale=1.0):
    net = CharNet("GRU", 3, n_hid=n_hid, emb_sz=4)
    net.out.weight.data *= scale
    return net, ("<unk>", "a", "b")
def cam(names, side=24, pictures=None):
    from torch import nn

    end = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, len(names))
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), *end)
    images = RNG.integers(0, 256, (9, 30, 20, 3), np.uint8) if pictures is None else pictures
    return CAMExplorer(net, images, Preprocess((127.0,) * 3, (60.0,) * 3, side), names)


def sheet(movies="abcdefghi", people="1234567", step=9, **state):
    stars = np.where(np.random.default_rng(0).random((9, 7)) < 0.2, np.nan, RNG.integers(1, 11, (9, 7)) / 2)
    return FactorSheetExplorer(Sheet(stars, tuple(movies), tuple(people)), step=step, **state)


def long_nets():
    data = char_data("one net\nand another\n" * 9)
    return RNNExplorer("two nets", data, {f"{LONG} {i}": char_net("GRU", len(data.vocab), 8) for i in range(2)})


def named(name):
    f = lambda pos: 0.1 * (1 - pos) + 0.01
    f.__name__ = name
    return f


def optimizer_class(i):
    from lessonkit.sgd import SGD, Momentum

    return (SGD, Momentum)[i % 2]


def states(explorer, most: int = 3):
    "Its first state; what each chip makes; each option of each control, as far as there are not too many."
    yield "at first"
    for i, short in enumerate(explorer._chips):
        explorer._act({"kind": "chip", "value": i})
        yield short
    for name in list(explorer._list):
        control = explorer._list.get(name)  # another column has other values
        if control is None or name in explorer._off: continue
        if control.kind == "toggle": stops = [True, False]
        elif control.kind == "choice": stops = [*range(len(control.options))][:most] + [len(control.options) - 1]
        elif control.kind in ("button", "upload"): continue
        else: stops = [0, getattr(control, "n", getattr(control, "last", 0))]
        for stop in stops:
            explorer._act({"kind": "set", "name": name, "value": stop})
            yield f"{name}: {stop}"


def assert_tidy(explorer):
    for state in states(explorer):
        assert not explorer.error, (state, explorer.error)
        record = explorer.record()
        for width in WIDTHS:
            scene = explorer.view(record, width)
            assert not (faults := scene.faults()), (state, width, faults)


@pytest.mark.parametrize("edge", EDGES)
def test_nothing_overlaps_or_is_cut(edge):
    RNG.bit_generator.state = BEGUN  # the same numbers in whatever order tests run
    explorer = EDGES[edge]()
    explorer.png()
    assert_tidy(explorer)
    explorer.close()


def test_a_fifth_rule(monkeypatch):
    "Rules that learners add are drawn like the lesson's own, however they are called."
    there = len(lr_finder.RULES)
    for i in range(3):
        monkeypatch.setitem(lr_finder.RULES, f"{LONG} {i}", Rule(lr_finder.minimum, f"class{i}", "points", "a new one"))
    explorer = LRFinderExplorer(finds(2))
    assert len(explorer.record().marks) == there + 3
    text = explorer.scene().strings()
    assert sum(s.startswith(LONG[:12]) for s in text) >= 3, text
    assert_tidy(explorer)
    explorer.close()


def test_every_question_comes_before_its_answer(explorer):
    "Asked, it changes nothing of the picture, and tells nothing of the answer; answered, it is one and the same."
    explorer._at_first = None  # other tests have moved it already
    first, view, words = state_of(explorer), explorer.scene().state(), explorer.narration
    for i, chip in enumerate(explorer._questions):
        explorer._act({"kind": "chip", "value": -1})
        state = {name: getattr(explorer, name) for name in explorer.watch}
        drawn, said = explorer._drawn, explorer.narration
        explorer._act({"kind": "question", "value": i})
        told = dict(i=i, question=chip.question, guesses=list(chip.guesses), busy=chip.busy)
        assert explorer._asked == told and not explorer.error
        assert (explorer._drawn, explorer.narration) == (drawn, said)
        assert all(getattr(explorer, name) is value for name, value in state.items())
        explorer._act({"kind": "chip", "value": i, "guess": 0 if chip.guesses else None})
        asked = explorer._asked
        assert (asked["i"], asked["question"]) == (i, chip.question) and asked["answer"] and asked["code"]
        assert not chip.guesses or (asked["guess"] == chip.guesses[0] and asked["right"] in chip.guesses)
    explorer._act({"kind": "over"})
    assert explorer._asked == {} and not explorer.error
    assert state_of(explorer)[0] == first[0]
    np.testing.assert_equal(explorer.scene().state(), view)
    assert explorer.narration == words


def test_starting_over_undoes_whatever_was_done(explorer):
    "Handles, buttons, keys and questions; what runs beside the kernel is waited for."
    explorer._act({"kind": "chip", "value": -1})
    explorer._at_first = None
    first, view, words = state_of(explorer)[0], explorer.scene().state(), explorer.narration
    controls, off = list(explorer._controls), list(explorer._off)
    acts = [{"kind": kind, "id": h["id"], "x": x, "y": 1 - x} for h in view["handles"][:25]
            for kind, x in (("click", .4), ("drag", .6), ("drop", .3)) if h["click"] or h["drag"]]
    acts += [{"kind": "press", "name": c["name"]} for c in controls if c["kind"] == "button" and c["name"] not in off]
    acts += [{"kind": "key", "key": k.removeprefix("Shift+"), "shift": "Shift+" in k} for k in explorer._actions]
    acts += [{"kind": "chip", "value": i} for i in range(len(explorer._chips))]
    for act in [*acts, {"kind": "over"}]:
        explorer._act(act)
        if explorer.running: explorer._thread.join(60)
    assert state_of(explorer)[0] == first and not explorer.error
    np.testing.assert_equal(explorer.scene().state(), view)
    assert (explorer.narration, explorer._controls, explorer._off) == (words, controls, off)


@pytest.mark.parametrize("kind", [c for c in bare() if c not in (*NEED_ONE, BaggingExplorer)],  # it answers in words
                         ids=lambda kind: kind.__name__)
def test_no_answer_is_in_sight_when_it_opens(kind):
    "A question asks of another picture than the one that a bare explorer opens with: there is something to predict."
    explorer = kind()
    explorer.open()
    opened = explorer.narration
    for i, chip in enumerate(explorer._questions):
        explorer.ask(i)
        assert explorer.narration != opened, chip.question
    explorer.close()


def test_no_state_of_a_row_overlaps(explorer): assert_tidy(explorer)


# ── text can be read, on whatever lies beneath it ──

def over(top: str, under: str) -> str:
    "A color '#rrggbb' or '#rrggbbaa' painted over an opaque one."
    share = int(top[7:9], 16) / 255 if len(top) == 9 else 1.0
    part = lambda c, i: int(c[i : i + 2], 16)
    return "#" + "".join(f"{round(share * part(top, i) + (1 - share) * part(under, i)):02x}" for i in (1, 3, 5))


def inside(xywh, x, y): return (xywh[:, 0] <= x) & (x < xywh[:, 0] + xywh[:, 2]) & (xywh[:, 1] <= y) & (
    y < xywh[:, 1] + xywh[:, 3])


def hits(item, x, y):
    "The ink numbers, in order, of what an item paints at a point; an image gives a pair of colors."
    if item["kind"] == "rects": yield from item["fill"][inside(item["xywh"], x, y)]
    if item["kind"] == "marks":
        size = np.broadcast_to(item["size"], len(item["xy"])) / 2
        yield from item["fill"][(np.abs(item["xy"] - (x, y)) < size[:, None]).all(1)]
    if item["kind"] == "image" and inside(np.array([item["xywh"]]), x, y)[0]:
        left, top, w, h = item["xywh"]
        code = item["codes"][int((y - top) / h * item["rows"]), int((x - left) / w * item["cols"])]
        yield item["colors"][code] if np.ndim(code) == 0 else ("#%02x%02x%02x" % tuple(code[:3]),) * 2


def pale(scene, dark: bool) -> dict[str, float]:
    "Each string whose contrast with what lies beneath is under 4.5, with that contrast."
    inks, found, page = scene.finish().ink_table(dark), {}, PAGES[dark][0]
    for i, item in enumerate(scene.items):
        if item["kind"] != "text": continue
        for (x, y), s, color in zip(item["xy"], item["strings"], item["ink"]):
            shift = {"left": 4, "center": 0, "right": -4}[item["align"]]
            under = page
            for below in scene.items[:i]:
                for hit in hits(below, x + shift, y):
                    under = over(hit[int(dark)] if isinstance(hit, tuple) else inks[hit], under)
            if s and (value := contrast(over(inks[color], under), under)) < 4.5: found[s] = round(value, 2)
    return found


def test_text_on_the_canvas_can_be_read(explorer):
    explorer._act({"kind": "chip", "value": -1})
    for i in range(-1, len(explorer._chips)):
        explorer._act({"kind": "chip", "value": i})
        for width in (390, 860):
            for dark in (False, True):
                assert not (bad := pale(explorer.scene(width), dark)), (i, width, dark, bad)


def test_pale_text_is_caught():
    from lessonkit.widgets.scene import Scene

    s = Scene(100, 40).rects([(0, 0, 50, 40)], fill="class1-tint").text([(25, 20), (75, 20)], ["a", "b"], ink="line")
    assert set(pale(s, False)) == {"a", "b"} and set(pale(s, True)) == {"a", "b"}
    assert not pale(Scene(100, 40).rects([(0, 0, 50, 40)], fill="fg").text([(25, 20)], "a", ink="on:fg"), True)


@pytest.mark.parametrize("name", ["fg", "muted", "alarm", "focus", *(f"class{i}-text" for i in range(8))])
def test_inks_of_words_read_on_page_and_panel(name):
    for dark in (False, True):
        assert min(contrast(ink(name)[dark], page) for page in PAGES[dark]) >= 4.5


def test_every_ink_has_its_place_in_forced_colors():
    "What is no color of data is one of the system's colors there."
    system = {"CanvasText", "Canvas", "Highlight"}
    mixed = {i.forced for name, i in INKS.items() if name not in ("none", "up", "down")} - system
    assert mixed == {INKS["line"].forced}
    assert set(re.findall(r"\b[A-Z]\w+", INKS["line"].forced)) <= system, "GrayText may be dark red"


# ── what is set and does not fit ──

def test_a_bool_is_no_number_and_what_is_pointed_at_must_exist():
    with pytest.raises(TraitError, match="picture=True: give a number"): views(picture=True)
    for explorer, bad in ((views(), dict(pointed=99)), (ConvExplorer(), dict(pointed=10**9)),
                          (cam(["a", "b"]), dict(pointed=(1,))), (cam(["a", "b"]), dict(strokes=(1,)))):
        [(name, value)] = bad.items()
        before = getattr(explorer, name)
        with pytest.raises(ValueError, match=f"{name}="): setattr(explorer, name, value)
        with pytest.raises(TraitError, match="=True: give a number"):
            setattr(explorer, "picture" if hasattr(explorer, "picture") else "place", True)
        assert getattr(explorer, name) == before and not explorer.error
        explorer.close()
