"""Explorers that compute in their saved page, held to Python: the same acts on both, in Chromium.

Numbers of the record to 1e-6, places in the picture to a thousandth of a pixel, words to the letter."""
import json

import numpy as np
import pytest

from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.widgets.inpage import Translator, Untranslatable, packed, script, state
from tests.browser.conftest import browser  # noqa: F401  (a fixture)

ROWS = {
    "sgd": lambda: SGDExplorer(step=20),
    "sgd-own": lambda: SGDExplorer(np.linspace(-300, 900, 40), np.cos(np.arange(40)) * 1e-3, start=(0, 0), n_steps=40),
}

# What of an explorer is compared: its record and its picture as lists, its words.
READ = """
const plain = (v, seen = 0) => v instanceof DataView || v instanceof Function ? null
  : v?.data instanceof Float64Array ? [...v.data].map((u) => (Number.isFinite(u) ? u : String(u)))
  : v instanceof Map ? Object.fromEntries([...v].map(([k, u]) => [k, plain(u)])) : v instanceof Set ? [...v].sort()
  : Array.isArray(v) ? v.map((u) => plain(u)) : typeof v === 'number' && !Number.isFinite(v) ? String(v)
  : v instanceof Object ? Object.fromEntries(Object.entries(v).map(([k, u]) => [k, plain(u)])) : v;
const numbers = (v) => [...new Float32Array(v.buffer)].map((u) => (Number.isFinite(u) ? u : String(u)));
const items = (scene) => scene.items.map((it) => Object.fromEntries(Object.entries(it).map(([k, v]) =>
  [k, v instanceof DataView ? (k === 'xy' || k === 'xywh' || (k === 'size' && v.byteLength) ? numbers(v)
    : [...new Uint8Array(v.buffer)]) : k === 'codes' || k === 'colors' ? null : v])));
function read(live, record) {
  const e = live.explorer, s = e._scene, bare = plain(s);
  return { text: e._text, error: e._error, values: plain(e._values), off: plain(e._off), asked: plain(e._asked),
    record: plain(record), size: [bare.w, bare.h], inks: bare.inks, handles: bare.handles, panels: bare.panels };
}
"""


def listed(v):
    "A value as JSON has it: NaN and the infinities as words."
    if isinstance(v, np.ndarray): return listed(v.ravel().tolist())
    if isinstance(v, (list, tuple, range)): return [listed(u) for u in v] if not hasattr(v, "_asdict") else listed(v._asdict())
    if isinstance(v, dict): return {str(k): listed(u) for k, u in v.items()}
    if isinstance(v, (set, frozenset)): return sorted(v)
    if isinstance(v, (float, np.floating)) and not np.isfinite(v): return {"nan": "NaN", "inf": "Infinity"}.get(str(v), "-Infinity")
    if isinstance(v, np.generic): return v.item()
    if hasattr(v, "__dataclass_fields__"): return {k: listed(getattr(v, k)) for k in v.__dataclass_fields__}
    return v if isinstance(v, (int, float, str, bool, type(None))) else None
