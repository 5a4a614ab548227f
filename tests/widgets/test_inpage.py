"""Explorers that compute in their saved page, held to Python: the same acts on both, in Chromium.

Numbers of the record to 1e-6, places in the picture to a hundredth of a pixel, words to the letter."""
import json

import numpy as np
import pytest
import torch
from torch import nn

from lessonkit.collab import Sheet, busiest_sheet
from lessonkit.course.datasets import load
from lessonkit.course.nets import CharNet, PooledNet, Preprocess, Residual
from lessonkit.explorers.cam import CAMExplorer
from lessonkit.explorers.conv import ConvExplorer
from lessonkit.explorers.factor_sheet import FactorSheetExplorer
from lessonkit.explorers.generation import GenerationExplorer
from lessonkit.explorers.schedule import ScheduleExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.explorers.softmax import SoftmaxExplorer
from lessonkit.finetune import InvertedResidual, SameConv
from lessonkit.widgets.canvas import module
from lessonkit.widgets.inpage import RUNTIME, Translator, script, state
from lessonkit.widgets.panel import clip_line, ticks
from lessonkit.widgets.scene import number


def cam_explorer():
    "A tiny net with each kind of step that a page knows, in double precision, its weights as they are."
    torch.manual_seed(0)
    conv = lambda ni, nf, *how: (nn.Conv2d(ni, nf, *how), nn.BatchNorm2d(nf))
    short = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), *conv(6, 10, 1))
    trunk = [SameConv(3, 6, 3, 2), nn.BatchNorm2d(6), nn.GELU(), nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(6),
             Residual(nn.Sequential(*conv(6, 10, 3, 2, 1), nn.ReLU6(), *conv(10, 10, 3, 1, 1)), short, nn.ReLU()),
             InvertedResidual(10, 10, 3, 1, 2)]
    net = PooledNet(trunk, 10, 4)
    for m in net.modules():  # as if it had been trained
        if isinstance(m, nn.BatchNorm2d): m.running_mean.normal_(0, .2), m.weight.data.normal_(0, 1.5)
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 5, 3), np.uint8).repeat(11, 1).repeat(9, 2)
    e = CAMExplorer(net.double(), [*images], Preprocess((127.0,) * 3, (40.0,) * 3, 21), ["a", "b", "", "d"], picture=1)
    e.small, e.layers = False, {"": e.layers[""]}
    return e


ROWS = {
    "cam": cam_explorer,
    "sgd": lambda: SGDExplorer(step=20),
    "sgd-own": lambda: SGDExplorer(np.linspace(-300, 900, 40), np.cos(np.arange(40)) * 1e-3, start=(0, 0), n_steps=40),
    "softmax": SoftmaxExplorer,
    "softmax-own": lambda: SoftmaxExplorer(["a", "b", "a name of some length"], mode="sigmoid", present=()),
    "schedule": ScheduleExplorer,
    "sheet": lambda: FactorSheetExplorer(busiest_sheet(*load("movielens", sample=True, movies=True)), step=40),
    "sheet-own": lambda: FactorSheetExplorer(
        Sheet(np.array([[5, 1, np.nan, 3], [4.5, np.nan, 2, 1], [1, 5, 4, np.nan]]), ("a (1)", "b", "c"), (*"uvwx",)),
        hide=True, n_factors=2, n_hidden=3, n_steps=30),
    "conv": ConvExplorer,
    "conv-own": lambda: ConvExplorer(np.eye(9), kernel=np.arange(9.0) - 3.5, stride=2, pad=2, n=9),
    "one-cycle": lambda: ScheduleExplorer("one_cycle", log_axis=True, n_step=50),
    "writing": lambda: writer("LSTM", 2),
    "writing-gru": lambda: writer("GRU", 1, temperature=1.3, top_k=5, top_p=.7),
}
STATES = 40  # random acts a row



def writer(kind, n_layers, **state):
    "A net with weights large enough to have opinions, in double precision, as the page computes."
    torch.manual_seed(n_layers)
    net = CharNet(kind, 30, n_hid=24, n_layers=n_layers, emb_sz=8)
    for p in net.parameters(): p.data *= 3
    symbols = ["<unk>", "\n", " ", "é", *"abcdefghijklmnopqrstuvwxyz"]
    return GenerationExplorer("some Words, é", net.double(), symbols, step=30, **state)


# What of an explorer in the page is compared: its record and its picture as lists, its words.
READ = """
const word = (u) => (Number.isFinite(u) ? u : String(u));
const listed = (v) => v?.data instanceof Float64Array
  ? (v.size > 5000 ? [v.size, v.data.reduce((a, b) => a + b)] : [...v.data].map(word))
  : v instanceof Set ? [...v].sort()
  : v instanceof Map ? Object.fromEntries([...v].map(([k, u]) => [k, listed(u)])) : Array.isArray(v) ? v.map(listed)
  : v instanceof DataView || v instanceof Function ? null : typeof v === 'number' ? word(v)
  : v instanceof Object ? Object.fromEntries(Object.entries(v).map(([k, u]) => [k, listed(u)])) : v;
const drawn = (tables) => ([k, v]) => [k, k === 'colors' ? tables[v].length
  : !(v instanceof DataView) ? listed(v) : k === 'codes' ? null
  : [...(/^(xy|xywh|size)$/.test(k) ? new Float32Array(v.buffer) : new Uint8Array(v.buffer))].map(word)];
const read = ({explorer: e}) => {
  const scene = listed(e._scene), draw = drawn(e._scene.get('tables'));
  const kept = (it) => Object.fromEntries([...it].filter(([k]) => k !== 'codes').map(draw));
  return { text: e._text, error: e._error, values: listed(e._values), off: listed(e._off), asked: listed(e._asked),
    record: listed(call(e, 'record')), scene: {...scene, tables: 0, items: e._scene.get('items').map(kept)} };
};
export const start = (text) => { window.live = wake(Explorer, JSON.parse(text), () => {}); };
export const run = (acts) => acts.map((a) => { 'width' in a ? live.resize(a.width) : live.act(a); return read(live); });
"""


def listed(v):
    "A value as JSON has it, with words for NaN and the infinities."
    if isinstance(v, np.ndarray): return [v.size, float(v.sum())] if v.size > 5000 else listed(v.ravel().tolist())
    if isinstance(v, (bool, int, str, type(None))): return v
    if isinstance(v, (float, np.floating)):
        return float(v) if np.isfinite(v) else {"nan": "NaN", "inf": "Infinity"}.get(str(float(v)), "-Infinity")
    if isinstance(v, np.generic): return v.item()
    if isinstance(v, dict): return {str(k): listed(u) for k, u in v.items()}
    if hasattr(v, "_asdict"): return listed(v._asdict())
    if hasattr(v, "columns"): return {c: listed(v[c].to_numpy()) for c in v} | {"length": len(v)}
    if isinstance(v, (list, tuple, range)): return [listed(u) for u in v]
    if hasattr(v, "__dataclass_fields__"): return {k: listed(getattr(v, k)) for k in v.__dataclass_fields__}
    return None


def read(e) -> dict:
    "An explorer, as `READ` reads it in the page."
    scene = e.scene()
    sent = scene.state()
    part = lambda k, v: len(v) if k == "colors" else listed(v)
    items = [{k: part(k, v) for k, v in it.items() if v is not None and k != "codes"} for it in scene.items]
    return dict(text=e.narration, error=e.error, values=listed(e._values), off=listed(e._off), asked=listed(e._asked),
                record=listed(e.record()), scene={**listed(sent), "tables": 0, "items": items})


def differences(a, b, at="", tolerance=1e-6):
    "Where two readings differ: (place, Python's, the page's)."
    if isinstance(a, dict) and isinstance(b, dict):
        if set(a) != set(b): yield at, sorted(set(a) ^ set(b)), "only in one"
        for k in set(a) & set(b): yield from differences(a[k], b[k], f"{at}.{k}", 1e-2 if k == "scene" else tolerance)
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b): yield at, f"{len(a)}: {a[:9]}", f"{len(b)}: {b[:9]}"
        for i, (u, v) in enumerate(zip(a, b)): yield from differences(u, v, f"{at}[{i}]", tolerance)
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)):
        if abs(a - b) > tolerance * max(1, abs(a) if tolerance < 1e-3 else 0): yield at, a, b
    elif a != b: yield at, a, b


HOW = ("drag", "click", "hover", "zoom")


def random_act(e, rng) -> dict:
    "Something that a reader might do now."
    kind, scene = rng.choice(["set", "set", "hold", "hold", "hold", "key", "question", "chip", "width"]), e.scene()
    if kind == "width": return dict(width=int(rng.choice([340, 390, 620, 860, 960])))
    if kind == "chip": return dict(kind="chip", value=int(rng.integers(-1, len(e._questions))))
    if kind == "question": return dict(kind="question", value=int(rng.integers(len(e._questions))))
    if kind == "key": return dict(kind="key", key=str(rng.choice(e._keys)), shift=bool(rng.integers(2)))
    if kind == "hold" and scene.handles:
        h = scene.handles[rng.integers(len(scene.handles))]
        p, way = None if h["panel"] is None else scene.panels[h["panel"]], [k for k in HOW if h[k]]
        box = np.array(h["box"] if h["at"] is None else p.box)
        at = box[:2] + box[2:] * rng.uniform(-.02, 1.02, 2)
        x, y = p.data([at])[0] if p else at  # in no panel: px
        kind = str(rng.choice(way))
        if kind == "zoom": return dict(kind=kind, id=h["id"], x=float(x), y=float(y), factor=float(rng.uniform(.4, 4)))
        return dict(kind="drop" if kind == "drag" and rng.integers(2) else kind, id=h["id"], x=float(x), y=float(y))
    c = list(e._list.values())[rng.integers(len(e._list))]
    if c.kind in ("button", "upload"): return dict(kind="key", key="Home", shift=False)
    counted = getattr(c, "n", getattr(c, "last", 0))
    last = {"toggle": 1, "choice": len(getattr(c, "options", ())) - 1}.get(c.kind, counted)
    value = int(rng.integers(last + 1))
    return dict(kind="set", name=c.name, value=bool(value) if c.kind == "toggle" else value)


@pytest.mark.parametrize("row", ROWS)
def test_the_page_does_what_python_does(browser, row):
    e, rng, acts, seen = ROWS[row](), np.random.default_rng(list(ROWS).index(row)), [dict(width=860)], []
    program, begun = script(e), json.dumps(state(e))
    e._width = 860
    for _ in range(STATES):
        seen.append(read(e))
        acts.append(act := random_act(e, rng))
        if "width" in act: e._width = act["width"]
        else: e._act(dict(act))
    page = browser.new_page()
    page.evaluate("""async ([text, begun]) => {
      window.m = await import(URL.createObjectURL(new Blob([text], {type: 'text/javascript'})));
      m.start(begun);
    }""", [program + READ, begun])
    got = page.evaluate("acts => m.run(acts)", acts[:-1])
    for i, (python, in_page) in enumerate(zip(seen, got, strict=True)):
        wrong = list(differences(python, in_page))
        assert not wrong, f"state {i}, after {acts[i]}: {wrong[:5]}"
    page.close()
    e.close()


# ── what translated Python rests on ──

@pytest.fixture
def run(browser):
    "Runs JavaScript with the runtime, and with kit functions translated, in scope."
    page, t = browser.new_page(), Translator()
    names = {f: t.definition(f.__module__, f.__name__) for f in (number, ticks, clip_line)}
    text = "\n".join([module(*RUNTIME), "const engine = {};", *t.out,
                      "globalThis.run = (body, ...args) => eval(body)(...args);",
                      *(f"globalThis.{f.__name__} = {js};" for f, js in names.items()),
                      "Object.assign(globalThis, { py, np, listed: (v) => (v instanceof ND ? [...v.data] : v) });"])
    page.evaluate("t => import(URL.createObjectURL(new Blob([t], {type: 'text/javascript'})))", text)
    yield lambda body, *args: page.evaluate(f"args => ({body})(...args)", list(args))
    page.close()


def test_numbers_are_written_as_python_writes_them(run):
    "To the digit, ties of the exact binary number included."
    rng = np.random.default_rng(0)
    values = [*(rng.standard_normal(200) * 10.0 ** rng.integers(-12, 14, 200)).tolist(), 0.0, -0.0, 1.0, 0.5, 2.5, 3.5,
              0.125, 0.375, 0.0625, 2.675, 1e-5, 123456.5, 999999.5, 9.995, 1e16, 1e22, 5e-324, 0.1 + 0.2, float("inf"),
              12345678.0, 1e-4, 99.95]
    specs = [".3g", ".2f", ".1f", "+.2f", ".0f", "g", ".4g", ".1e", ",.0f", ".6g", "+.3g", ".2%"]
    wanted = [[f"{v:{spec}}" for spec in specs] for v in values]
    sent = [str(v) if v == float("inf") else v for v in values]
    got = run("(vs, specs) => vs.map((v) => specs.map((s) => py.format(v === 'inf' ? Infinity : v, s)))", sent, specs)
    for v, a, b in zip(values, wanted, got): assert a == b, v
    broken = [v for v in values if v % 1]  # JavaScript has no 1.0
    assert list(map(str, broken)) == run("(vs) => vs.map((v) => py.str(v))", broken)
    assert [round(v, n) for v in values[:60] for n in (0, 2, 5)] == run(
        "(vs) => vs.flatMap((v) => [0, 2, 5].map((n) => py.round(v, n)))", values[:60])
    assert [number(v, 3) for v in values if v < 1e300] == run("(vs) => vs.map((v) => number(v, 3))",
                                                              [v for v in values if v < 1e300])


def test_the_kits_own_functions_are_the_same_there(run):
    rng = np.random.default_rng(1)
    for _ in range(40):
        lo, hi = np.sort(rng.standard_normal(2) * 10.0 ** rng.integers(-3, 4)).tolist()
        log = bool(rng.integers(2))
        if log: lo, hi = 10 ** (lo % 3), 10 ** (lo % 3 + 2.5)
        got = run("(a, b, log) => [...ticks(a, b, 6, log).data]", lo, hi, log)
        np.testing.assert_allclose(got, ticks(lo, hi, 6, log), rtol=1e-12, atol=1e-12)
        xy, box = rng.uniform(-50, 150, (12, 2)), (0.0, 0.0, 100.0, 80.0)
        got = run("(xy, box) => listed(clip_line(np.array(xy), box)).map((v) => (Number.isNaN(v) ? null : v))",
                  xy.tolist(), box)
        np.testing.assert_allclose(np.array(got, float).reshape(-1, 2), clip_line(xy, box), atol=1e-9)


EXPRESSIONS = {
    "np.stack([a, b], 1)": "np.stack([a, b], py.kw({axis: 1}))",
    "a[::2] + b[-3:].sum()":
        "py.add(py.get(a, py.slice(null, null, 2)), py.call(py.get(b, py.slice(-3, null, null)), 'sum'))",
    "m[:, None, 1] * a[None, :3]":
        "py.mul(py.get(m, py.at([py.slice(null, null, null), null, 1])), "
        "py.get(a, py.at([null, py.slice(null, 3, null)])))",
    "m[m > 0]": "py.get(m, py.gt(m, 0))",
    "m[[2, 0]].max(0)": "py.call(py.get(m, [2, 0]), 'max', 0)",
    "m.T.min(1)": "py.call(m.T, 'min', 1)",
    "np.where(a < b, a, np.nan_to_num(b))": "np.where(py.lt(a, b), a, np.nan_to_num(b))",
    "np.diff(np.concatenate([a, b]), prepend=0)": "np.diff(np.concatenate([a, b]), py.kw({prepend: 0}))",
    "np.clip(a, -.5, b)": "np.clip(a, -0.5, b)",
    "np.argsort(-a, kind='stable')": "np.argsort(py.neg(a), py.kw({kind: 'stable'}))",
    "np.searchsorted(np.sort(a), b, 'right')": "np.searchsorted(np.sort(a), b, 'right')",
    "np.floor(a) % 3 + a // .7": "py.add(py.mod(np.floor(a), 3), py.floordiv(a, 0.7))",
    "np.append(a, m).reshape(3, -1)": "py.call(np.append(a, m), 'reshape', 3, -1)",
    "np.broadcast_to(a[:3], (2, 3)) ** 2": "py.pow(np.broadcast_to(py.get(a, py.slice(null, 3, null)), [2, 3]), 2)",
    "m[[0, 1], [2, 3]]": "py.get(m, py.at([[0, 1], [2, 3]]))",
    "np.isclose(a, a + 1e-9) & (a > 0)": "py.and(np.isclose(a, py.add(a, 1e-9)), py.gt(a, 0))",
    "np.cumsum(np.linspace(-1, 2, 7))": "np.cumsum(np.linspace(-1, 2, 7))",
    "np.rint(a * 4) / 2 - np.unique(b)":
        "py.sub(py.div(np.rint(py.mul(a, 4)), 2), np.unique(b))",
}


@pytest.mark.parametrize("python", EXPRESSIONS)
def test_as_much_of_numpy_as_pictures_need(run, python):
    rng = np.random.default_rng(2)
    a, b, m = rng.standard_normal(6), rng.standard_normal(6), rng.standard_normal((3, 4))
    wanted = np.asarray(eval(python))
    got, shape = run(f"""(a, b, m) => {{ [a, b, m] = [a, b, m].map((v) => np.array(v));
      const v = {EXPRESSIONS[python]}; return [[...v.data], v.shape]; }}""", *(v.tolist() for v in (a, b, m)))
    np.testing.assert_allclose(np.array(got).reshape(shape), wanted, rtol=1e-12)
