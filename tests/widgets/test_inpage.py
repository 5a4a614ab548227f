"""Explorers that compute in their saved page, held to Python: the same acts on both, in Chromium.

Numbers of the record to 1e-6, places in the picture to a hundredth of a pixel, words to the letter."""
import json

import numpy as np
import pytest

from lessonkit.explorers.schedule import ScheduleExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.explorers.softmax import SoftmaxExplorer
from lessonkit.widgets.inpage import script, state

ROWS = {
    "sgd": lambda: SGDExplorer(step=20),
    "sgd-own": lambda: SGDExplorer(np.linspace(-300, 900, 40), np.cos(np.arange(40)) * 1e-3, start=(0, 0), n_steps=40),
    "softmax": SoftmaxExplorer,
    "softmax-own": lambda: SoftmaxExplorer(["a", "b", "a name of some length"], mode="sigmoid", present=()),
    "schedule": ScheduleExplorer,
    "one-cycle": lambda: ScheduleExplorer("one_cycle", log_axis=True, n_step=50),
}
STATES = 40  # random acts a row

# What of an explorer in the page is compared: its record and its picture as lists, its words.
READ = """
const word = (u) => (Number.isFinite(u) ? u : String(u));
const listed = (v) => v?.data instanceof Float64Array
  ? (v.size > 5000 ? [v.size, v.data.reduce((a, b) => a + b)] : [...v.data].map(word))
  : v instanceof Set ? [...v].sort()
  : v instanceof Map ? Object.fromEntries([...v].map(([k, u]) => [k, listed(u)])) : Array.isArray(v) ? v.map(listed)
  : v instanceof DataView || v instanceof Function ? null : typeof v === 'number' ? word(v)
  : v instanceof Object ? Object.fromEntries(Object.entries(v).map(([k, u]) => [k, listed(u)])) : v;
const drawn = ([k, v]) => [k, !(v instanceof DataView) ? listed(v) : k === 'codes' ? null
  : [...(/^(xy|xywh|size)$/.test(k) ? new Float32Array(v.buffer) : new Uint8Array(v.buffer))].map(word)];
const read = ({explorer: e}) => {
  const scene = listed(e._scene), kept = (it) => Object.fromEntries([...it].filter(([k]) => k !== 'codes').map(drawn));
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
    if isinstance(v, (list, tuple, range)): return [listed(u) for u in v]
    if hasattr(v, "__dataclass_fields__"): return {k: listed(getattr(v, k)) for k in v.__dataclass_fields__}
    return None


def read(e) -> dict:
    "An explorer, as `READ` reads it in the page."
    scene = e.scene()
    sent = scene.state()
    items = [{k: listed(v) for k, v in it.items() if v is not None and k != "codes"} for it in scene.items]
    for it, packed in zip(items, sent["items"]):
        if "colors" in it: it["colors"] = packed["colors"]
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


def random_act(e, rng) -> dict:
    "Something that a reader might do now."
    kind, scene = rng.choice(["set", "set", "hold", "hold", "hold", "key", "chip", "width"]), e.scene()
    if kind == "width": return dict(width=int(rng.choice([340, 390, 620, 860, 960])))
    if kind == "chip": return dict(kind="chip", value=int(rng.integers(-1, len(e._questions))))
    if kind == "key": return dict(kind="key", key=str(rng.choice(e._keys)), shift=bool(rng.integers(2)))
    if kind == "hold" and scene.handles:
        h = scene.handles[rng.integers(len(scene.handles))]
        p, way = scene.panels[h["panel"]], [k for k in ("drag", "click", "hover", "zoom") if h[k]]
        box = np.array(h["box"] if h["at"] is None else p.box)
        (x, y), = p.data([box[:2] + box[2:] * rng.uniform(-.02, 1.02, 2)])
        kind = str(rng.choice(way))
        if kind == "zoom": return dict(kind=kind, id=h["id"], x=float(x), y=float(y), factor=float(rng.uniform(.4, 4)))
        return dict(kind="drop" if kind == "drag" and rng.integers(2) else kind, id=h["id"], x=float(x), y=float(y))
    c = list(e._list.values())[rng.integers(len(e._list))]
    if c.kind == "button": return dict(kind="key", key="Home", shift=False)
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
