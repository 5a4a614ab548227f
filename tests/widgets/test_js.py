"""The kit's JavaScript in Chromium, without Jupyter: an explorer's module on a stub of its model."""
import base64
import json

import pytest

from lessonkit.explorers.sgd import SGDExplorer
from tests.browser.conftest import browser  # noqa: F401  (a fixture)

# A model as anywidget hands it over; what is set on it or sent by it is kept in `acts`.
STUB = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const revive = (_, v) => (v && v.b64 !== undefined ? new DataView(bytes(v.b64).buffer) : v);
class Stub {
  constructor(state) { this.state = state; this.heard = []; this.acts = []; this.live = true; }
  get(name) { return this.state[name]; }
  set(name, value) { this.state[name] = value; }
  on(event, f) { this.heard.push([event, f]); }
  off(event, f) { this.heard = this.heard.filter((h) => h[0] !== event || h[1] !== f); }
  save_changes() { if (this.state._moved) this.acts.push(this.state._moved); }
  send(act) { this.acts.push(act); }
  put(text) {
    const state = JSON.parse(text, revive);
    Object.assign(this.state, state);
    for (const [event, f] of [...this.heard]) if (event === 'change' || event.slice(7) in state) f();
  }
  answer(message) { for (const [event, f] of [...this.heard]) if (event === 'msg:custom') f(message); }
}
// Everything that must be undone: listeners on what outlives the widget, observers, timers, frames.
const open = new Map(), note = (key) => open.set(key, key.split(' ')[0]);
for (const target of [window, document, document.body, MediaQueryList.prototype]) {
  const { addEventListener: add, removeEventListener: remove } = target;
  target.addEventListener = function (event, f, o) {
    note(`listener ${event} ${(f.id ??= Math.random())}`);
    return add.call(this, event, f, o);
  };
  target.removeEventListener = function (event, f, o) {
    open.delete(`listener ${event} ${f.id}`);
    return remove.call(this, event, f, o);
  };
}
for (const name of ['MutationObserver', 'ResizeObserver', 'IntersectionObserver']) {
  const { observe, disconnect } = window[name].prototype;
  window[name].prototype.observe = function (...a) {
    note(`observer ${name} ${(this.id ??= Math.random())}`);
    return observe.apply(this, a);
  };
  window[name].prototype.disconnect = function () {
    open.delete(`observer ${name} ${this.id}`);
    return disconnect.call(this);
  };
}
const PAIRS = [['setInterval', 'clearInterval'], ['setTimeout', 'clearTimeout'],
  ['requestAnimationFrame', 'cancelAnimationFrame']];
for (const [set, clear] of PAIRS) {
  const start = window[set].bind(window), stop = window[clear].bind(window);
  window[set] = (f, ...a) => {
    const id = start((...b) => { if (set !== 'setInterval') open.delete(`${set} ${id}`); f(...b); }, ...a);
    note(`${set} ${id}`);
    return id;
  };
  window[clear] = (id) => { open.delete(`${set} ${id}`); stop(id); };
}
async function start(esm, text) {
  const url = URL.createObjectURL(new Blob([esm], { type: 'text/javascript' }));
  window.stub = new Stub(JSON.parse(text, revive));
  window.end = (await import(url)).default.render({ model: stub, el: document.getElementById('el') });
}
"""


def sent(explorer) -> str:
    "The state of an explorer as its browser gets it."
    state = {k: v for k, v in explorer.get_state().items() if k not in ("layout", "_esm", "_css")}
    pack = lambda v: {"b64": base64.b64encode(v).decode()} if isinstance(v, bytes) else str(v)
    return json.dumps(state, default=pack)


@pytest.fixture
def page(browser):  # noqa: F811
    page, said = browser.new_page(), []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    body = "<body style='background: #fff'><div id=el style='width: 860px'></div>"
    page.set_content(f"<style>{SGDExplorer._css}</style>{body}")
    page.add_script_tag(content=STUB)
    page.explorer = SGDExplorer()
    page.evaluate("([esm, text]) => start(esm, text)", [str(page.explorer._esm), sent(page.explorer)])
    page.wait_for_function("document.querySelector('canvas').dataset.frame > 0")
    yield page
    assert not said, "\n".join(said)
    page.close()
    page.explorer.close()


def acts(page): return page.evaluate("stub.acts.splice(0)")


def pixels(page): return page.locator("canvas").evaluate("c => c.toDataURL()")


def test_a_new_state_is_drawn(page):
    before = pixels(page)
    page.explorer.step = 20
    page.evaluate("text => stub.put(text)", sent(page.explorer))
    page.wait_for_timeout(400)
    assert pixels(page) != before
    assert page.locator(".lk-narration").inner_text() == page.explorer.narration


def test_a_newer_state_is_not_kept_waiting(page):
    "Of two states in quick succession the second is on screen in the next frame, whatever the first was easing to."
    page.explorer.step = 10
    first = sent(page.explorer)
    page.explorer.step = 20
    second = sent(page.explorer)
    page.evaluate("""async ([a, b]) => {
      stub.put(a); stub.put(b);
      await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
      window.soon = document.querySelector('canvas').toDataURL();
    }""", [first, second])
    page.wait_for_timeout(400)
    assert page.evaluate("soon") == pixels(page)


def test_a_slider_tells_its_stop_once(page):
    acts(page)
    page.locator(".lk-player input[type=range]").press("ArrowRight")
    page.wait_for_timeout(50)
    told = [a for a in acts(page) if a["kind"] == "set"]
    assert [(a["name"], a["value"]) for a in told] == [("step", 1)]


def test_a_phrase_is_told_when_it_is_typed(page):
    "A line of text is sent once, at Enter; what the kernel says of it meanwhile does not disturb the typing."
    page.evaluate("""() => {
      const spec = { kind: 'words', name: 'phrase', label: 'phrase', most: 8 };
      stub.put(JSON.stringify({ _controls: [spec], _values: { phrase: ['old'] } }));
    }""")
    line = page.get_by_role("textbox", name="phrase")
    assert line.input_value() == "old" and line.get_attribute("maxlength") == "8"
    acts(page)
    line.fill("new")
    page.evaluate("stub.put(JSON.stringify({ _values: { phrase: ['other'] } }))")
    assert line.input_value() == "new" and not acts(page)
    line.press("Enter")
    assert [(a["kind"], a["name"], a["value"]) for a in acts(page)] == [("set", "phrase", "new")]


def test_a_handle_is_dragged_and_keeps_the_focus(page):
    handle = page.locator(".lk-handle[role=slider]").first
    box, id = handle.bounding_box(), handle.get_attribute("data-id")
    acts(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 10, steps=3)
    page.mouse.up()
    told = [a for a in acts(page) if a.get("id") == id]
    assert [a["kind"] for a in told][-1] == "drop" and told[0]["kind"] == "drag"
    handle.focus()
    page.keyboard.press("ArrowRight")
    assert acts(page)[-1]["kind"] == "drag"
    page.explorer._act(dict(told[-1]))
    page.evaluate("text => stub.put(text)", sent(page.explorer))
    assert handle.evaluate("e => e === document.activeElement"), "a new picture took the focus away"


def test_it_follows_the_page(page):
    page.evaluate("document.body.style.background = '#111418'")
    page.wait_for_function("document.querySelector('canvas').dataset.theme === 'dark'")


def test_it_leaves_nothing_behind(page):
    "Measured against what was open before; its elements are reached without Playwright, which listens itself."
    left = page.evaluate("""async ([esm, text]) => {
      const wait = (ms) => new Promise((done) => setTimeout(done, ms));
      end();
      const first = stub;
      await wait(600);
      const before = new Set(open.keys());
      await start(esm, text);
      const range = document.querySelectorAll('.lk-player input[type=range]')[1];
      range.value = 5;
      range.dispatchEvent(new Event('input'));
      document.querySelectorAll('.lk-player button')[4].click(); // it plays
      document.body.dataset.theme = 'other';
      await wait(100);
      const busy = [...open.keys()].filter((k) => !before.has(k)).length;
      end();
      return [busy, [...open.keys()].filter((k) => !before.has(k)), stub.heard.length + first.heard.length];
    }""", [str(page.explorer._esm), sent(page.explorer)])
    assert left[0] > 5 and left[1:] == [[], 0]


def test_silence_greys_it_and_an_answer_brings_it_back(page):
    band = page.locator(".lk-band")
    page.evaluate("stub.widget_manager = {kernel: {status: 'busy', isDisposed: false}}")
    page.locator(".lk-player input[type=range]").press("ArrowRight")
    page.wait_for_timeout(3800)
    assert not band.is_visible(), "a busy kernel has not gone"
    page.evaluate("stub.widget_manager = undefined")
    page.wait_for_timeout(1500)
    assert not band.is_visible()
    band.wait_for(timeout=5000)
    assert "kernel has gone" in band.inner_text() and page.locator(".lk-explorer.lk-gone").count()
    page.evaluate("stub.answer({done: 1})")
    assert not band.is_visible() and not page.locator(".lk-explorer.lk-gone").count()


def test_a_kernel_known_to_be_gone_greys_it_at_once(page):
    page.evaluate("stub.widget_manager = {kernel: {status: 'dead', isDisposed: true}}")
    page.locator(".lk-band").wait_for(timeout=1500)
