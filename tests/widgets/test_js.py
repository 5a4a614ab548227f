"""The kit's JavaScript in Chromium, without Jupyter: an explorer's module on a stub of its model."""
import base64
import json

import numpy as np
import pandas as pd
import pytest

from lessonkit.explorers.bagging import BaggingExplorer
from lessonkit.explorers.search import SearchExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.explorers.softmax import SoftmaxExplorer
from lessonkit.widgets.canvas import CanvasView
from lessonkit.widgets.palette import ink, ramp
from lessonkit.widgets.scene import Scene

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
  save_changes() { if (this.state._moved?.kind) this.acts.push(this.state._moved); }
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


def opened(context, widget, width=860):
    "A page with a widget on a stub; whatever it complains about is kept in `said`."
    page, page.said = (page := context.new_page()), []
    page.on("console", lambda m: page.said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.said.append(str(e)))
    body = f"<body style='background: #fff; margin: 8px'><div id=el style='width: {width}px'></div>"
    page.set_content(f"<style>{SGDExplorer._css}</style>{body}<div style='height: 3000px'></div>")
    page.add_script_tag(content=STUB)
    page.explorer = widget
    page.evaluate("([esm, text]) => start(esm, text)", [str(widget._esm), sent(widget)])
    page.wait_for_function("document.querySelector('canvas').dataset.frame > 0")
    return page


@pytest.fixture
def page(browser):
    page = opened(browser, SGDExplorer())
    yield page
    assert not page.said, "\n".join(page.said)
    page.close()
    page.explorer.close()


@pytest.fixture
def phone(browser):
    "The same under fingers: `touch('Start', (x, y), …)`, 'Move', 'End'; places in px of the page."
    context = browser.new_context(has_touch=True, viewport={"width": 900, "height": 700})
    page = opened(context, SGDExplorer(step=9))
    wire = context.new_cdp_session(page)
    page.touch = lambda kind, *at: wire.send("Input.dispatchTouchEvent", {
        "type": f"touch{kind}", "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(at)]})
    yield page
    assert not page.said, "\n".join(page.said)
    context.close()
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


def test_a_line_of_code_stands_apart(page):
    page.evaluate("text => stub.put(text)", json.dumps({"_text": "The rate is 0.1.\nCode: rate = f(`1`)"}))
    assert page.locator(".lk-narration").inner_text() == "The rate is 0.1.\nCode: rate = f(`1`)"
    code = page.locator(".lk-narration code")
    assert code.inner_text() == "Code: rate = f(`1`)" and "Mono" in code.evaluate("e => getComputedStyle(e).fontFamily")
    page.evaluate("text => stub.put(text)", json.dumps({"_text": "The rate is 0.2."}))
    assert page.locator(".lk-narration").inner_text() == "The rate is 0.2." and not code.count()


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


def test_a_wider_picture_gets_its_hint_back(browser):
    "While the scene is still that of a narrow page, nothing is decided about the wide one."
    page = opened(browser, SoftmaxExplorer(), width=700)
    fit = lambda width: (setattr(page.explorer, "_width", width),
                         page.evaluate("text => stub.put(text)", sent(page.explorer)))
    fit(700)
    page.wait_for_selector(".lk-hint.lk-above")
    page.evaluate("document.getElementById('el').style.width = '1000px'")
    page.wait_for_function("stub.state._width > 900")
    fit(700)  # it comes too late
    fit(1000)
    page.wait_for_selector(".lk-stage .lk-hint:not(.lk-above)")
    page.close()
    page.explorer.close()


def test_a_slider_tells_its_stop_once(page):
    acts(page)
    page.locator(".lk-player input[type=range]").press("ArrowRight")
    page.wait_for_timeout(50)
    told = [a for a in acts(page) if a["kind"] == "set"]
    assert [(a["name"], a["value"]) for a in told] == [("step", 1)]


def told(page): return [(a["kind"], a["value"]) for a in acts(page) if a["kind"] in ("question", "chip", "set")]


def passed_on(page):
    "Hands the explorer what the page has sent, and the page what the explorer says to it."
    for act in acts(page): page.explorer._act(act)
    page.evaluate("text => stub.put(text)", sent(page.explorer))


def test_the_question_comes_before_the_answer(page):
    "By mouse: the first press of a chip asks, and nothing moves; the second makes the state and gives the answer."
    e, chip, box = page.explorer, page.locator(".lk-chip").nth(1), page.locator(".lk-ask")
    page.wait_for_timeout(300)
    first, said = pixels(page), page.locator(".lk-narration").inner_text()
    state = {name: getattr(e, name) for name in e.watch}
    acts(page)
    chip.click()
    passed_on(page)
    assert box.inner_text().startswith(e._questions[1].question) and chip.get_attribute("aria-pressed") == "true"
    assert not box.locator(".lk-answer, .lk-code").count() and "answer" not in e._asked
    page.wait_for_timeout(300)
    assert pixels(page) == first and page.locator(".lk-narration").inner_text() == said
    assert {name: getattr(e, name) for name in e.watch} == state
    box.get_by_role("button", name="Show the answer").click()
    passed_on(page)
    assert e._asked["answer"] in box.inner_text() and box.locator("code").inner_text() == e._asked["code"]
    page.wait_for_timeout(300)
    assert pixels(page) != first and page.locator(".lk-narration").inner_text() == e.narration != said
    chip.click()
    passed_on(page)
    assert not box.is_visible() and chip.get_attribute("aria-pressed") == "false" and e._asked == {}


def test_a_question_by_keyboard_and_ear(page):
    "Enter asks, Enter shows; the focus stays; a screen reader hears the question, then the answer and what changed."
    e, chip, live = page.explorer, page.locator(".lk-chip").first, page.locator(".lk-said")
    focused = "e => e === document.activeElement"
    acts(page)
    chip.focus()
    page.keyboard.press("Enter")
    passed_on(page)
    page.wait_for_timeout(500)
    assert live.inner_text().startswith(e._questions[0].question) and e._asked["question"] in live.inner_text()
    page.keyboard.press("Enter")
    assert [a["kind"] for a in page.evaluate("stub.acts")] == ["chip"]
    passed_on(page)
    page.wait_for_timeout(500)
    assert live.inner_text().startswith(e._asked["answer"]) and len(live.inner_text()) > len(e._asked["answer"]) + 20
    assert chip.evaluate(focused)
    page.keyboard.press("Escape")
    passed_on(page)
    assert e._asked == {} and chip.evaluate(focused) and not page.locator(".lk-ask").is_visible()
    page.keyboard.press("Enter")
    passed_on(page)
    for _ in range(4 + len(e._questions[0].guesses)): page.keyboard.press("Tab")
    show = page.get_by_role("button", name="Show the answer")
    assert show.evaluate(focused)
    page.keyboard.press("Enter")
    passed_on(page)
    assert "answer" in e._asked and chip.evaluate(focused), "the focus went with the button"


def test_an_open_question_keeps_nothing_waiting(page):
    "The reader plays, drags and sets while a question is open; the state that its answer makes is whole all the same."
    e = page.explorer
    acts(page)
    page.locator(".lk-chip").first.click()
    passed_on(page)
    page.locator(".lk-player input[type=range]").first.press("ArrowRight")
    handle = page.locator(".lk-handle[role=slider]").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    was, start = e.step, e.start
    passed_on(page)
    assert e.step == was + 1 and e.start != start and e._asked["i"] == 0 and "answer" not in e._asked
    page.locator(".lk-chip").first.click()
    passed_on(page)
    assert eval(e._asked["code"]).narration == e.sentence(e.record())
    page.locator(".lk-chip").nth(2).click()  # another question: the first is put away, its state stays
    step = e.step
    passed_on(page)
    assert (e._asked["i"], e._asked["question"]) == (2, e._questions[2].question) and e.step == step
    assert [c.get_attribute("aria-pressed") for c in page.locator(".lk-chip").all()] == ["false", "false", "true"]


def test_an_answer_says_when_its_state_was_left(page):
    "The reader's own first move after it; neither pointing at something nor another question."
    lead = """getComputedStyle(document.querySelector('.lk-answer'), '::before').content"""
    answered = dict(i=0, question="How far?", answer="Three steps.", code="SGDExplorer(step=3)")
    page.evaluate("text => stub.put(text)", json.dumps({"_asked": answered}))
    box = page.locator(".lk-canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    assert page.evaluate(lead) == "none"
    page.locator(".lk-player input[type=range]").first.press("ArrowRight")
    assert page.evaluate(lead) == '"Before you moved on: "'
    page.evaluate("text => stub.put(text)", json.dumps({"_asked": answered | {"i": 1}}))
    assert page.evaluate(lead) == "none"


def test_an_answer_told_anew_is_of_now_unless_the_reader_went_on(page):
    "What the answer asked for is done, and it says what came of it; a second move while that was worked on counts."
    lead = """getComputedStyle(document.querySelector('.lk-answer'), '::before').content"""
    tell = lambda answer: page.evaluate("text => stub.put(text)", json.dumps(
        {"_asked": dict(i=0, question="How far?", answer=answer, code="SGDExplorer(step=3)")}))
    step = page.locator(".lk-player input[type=range]").first
    tell("Three steps.")
    step.press("ArrowRight")
    tell("Three steps, at a loss of 2.")
    assert page.evaluate(lead) == "none"
    step.press("ArrowRight")
    assert page.evaluate(lead) == '"Before you moved on: "'
    tell("Three steps, at a loss of 1.")
    assert page.evaluate(lead) == '"Before you moved on: "'


def test_a_guess_stands_beside_what_is_right(page):
    "A button for each guess: pressed, it gives the answer at once, with what was guessed; a screen reader hears both."
    asked = dict(i=0, question="And now?", guesses=["it falls", "it rises"], busy="")
    page.evaluate("text => stub.put(text)", json.dumps({"_asked": asked}))
    box, live = page.locator(".lk-ask"), page.locator(".lk-said")
    assert box.locator("button").all_inner_texts() == ["it falls", "it rises", "Show the answer"]
    acts(page)
    box.get_by_role("button", name="it rises").click()
    assert [(a["kind"], a["value"], a["guess"]) for a in acts(page)] == [("chip", 0, 1)]
    box.locator("[aria-busy=true]").wait_for()
    assert box.locator("button").all_inner_texts() == ["it falls", "working …", "Show the answer"]
    box.get_by_role("button", name="it falls").click(force=True)
    assert not acts(page), "a second guess, while the first is worked on"
    for right, seen in (("it rises", ["✓ it rises"]), ("it falls", ["✗ Your guess: it rises", "✓ Right: it falls"])):
        now = dict(i=0, question="And now?", guess="it rises", right=right, answer=f"See: {right}.", code="")
        page.evaluate("text => stub.put(text)", json.dumps({"_asked": now}))
        assert box.locator(".lk-verdict").all_inner_texts() == seen
        page.wait_for_timeout(500)
        assert live.inner_text().startswith(f"{'. '.join(seen)}. See: {right}.")


def test_an_answer_that_takes_seconds_says_so(page):
    "The button says what is done, takes no second press and keeps the focus; where that fails, it is there again."
    page.evaluate("""stub.put(JSON.stringify({ _asked: { i: 0, question: 'How long?', busy: 'counting …' } }))""")
    show = page.locator(".lk-ask button")
    assert show.inner_text() == "Show the answer"
    acts(page)
    show.focus()
    page.keyboard.press("Enter"), page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.lk-ask button').ariaBusy === 'true'")
    assert show.inner_text() == "counting …" and show.get_attribute("aria-disabled") == "true"
    show.click(force=True), page.locator(".lk-chip").first.click()
    assert told(page) == [("chip", 0)] and page.locator(".lk-working").count()
    top = page.evaluate("""parseFloat(
      getComputedStyle(document.querySelector('.lk-stage'), '::after').top)""")
    assert top < -3, "the line crosses what stands at the picture's top"
    page.evaluate("stub.put(JSON.stringify({ _error: 'It did not work.' }))")
    assert show.inner_text() == "Show the answer" and show.get_attribute("aria-busy") == "false"
    show.press("Enter")
    assert told(page) == [("chip", 0)]


def test_what_does_nothing_is_out_of_sight_under_more(page):
    "The rest stands in columns of one width."
    spec = [dict(kind="slider", name=n, label=n, n=9, lo=0, step=1, log=False, digits=3) for n in "abcdefgh"]
    shown = {n: [3, "3"] for n in "abcdefgh"}
    page.evaluate("text => stub.put(text)", json.dumps({"_controls": spec, "_values": shown, "_off": ["a", "e"]}))
    page.locator("summary").click()
    names = page.locator(".lk-control:visible .lk-name").all_inner_texts()
    assert names == list("abcdfgh"), "of the three in sight none goes"
    boxes = [b.bounding_box() for b in page.locator(".lk-more input:visible").all()]
    assert len({b["width"] for b in boxes}) == 1 and len({b["x"] for b in boxes}) == 2
    page.evaluate("stub.put(JSON.stringify({ _off: ['d', 'e', 'f', 'g', 'h'] }))")
    assert not page.locator("summary").is_visible(), "there is nothing more"


def test_a_control_that_goes_off_in_hand_gives_the_focus_to_the_picture(page):
    spec = [dict(kind="button", name=n, label=n) for n in "abcd"]
    page.evaluate("text => stub.put(text)", json.dumps({"_controls": spec, "_values": {}, "_off": []}))
    page.locator("summary").click()
    page.get_by_role("button", name="d", exact=True).focus()
    page.evaluate("stub.put(JSON.stringify({ _off: ['a'] }))")
    assert page.evaluate("document.activeElement.textContent") == "d"
    page.evaluate("stub.put(JSON.stringify({ _off: ['a', 'd'] }))")
    assert page.evaluate("document.activeElement.classList.contains('lk-stage')")


def test_the_control_in_hand_keeps_the_focus_where_others_come_or_go(page):
    spec = [dict(kind="slider", name=n, label=n, n=9, lo=0, step=1, log=False, digits=3) for n in "abcde"]
    put = lambda names: page.evaluate("text => stub.put(text)", json.dumps(
        {"_controls": [s for s in spec if s["name"] in names], "_values": {n: [3, "3"] for n in names}}))
    put("abcde")
    page.locator("summary").click()
    page.get_by_role("slider", name="d").focus()
    for names in ("bd", "abcde", "ab"):
        put(names)
        assert page.evaluate("document.activeElement.ariaLabel") == ("d" if "d" in names else None), names


def test_a_mark_stands_where_a_thumb_would(page):
    "Beneath the slider, with its word; other marks of the same control take its place, and the input stays."
    spec = dict(kind="slider", name="a", label="a", n=150, lo=0, step=1, log=False, digits=3, marks=[[2 / 3, "edge"]])
    state = {"_controls": [spec], "_values": {"a": [50, "50"]}}
    put = lambda: page.evaluate("text => stub.put(text)", json.dumps(state))
    put()
    left = lambda: page.locator(".lk-mark").bounding_box()["x"] + 1  # the middle of its tick
    track, high = page.locator(".lk-track input").bounding_box(), page.locator(".lk-marked").bounding_box()["height"]
    assert abs(left() - (track["x"] + 8 + (track["width"] - 16) * 2 / 3)) < 1
    assert page.locator(".lk-mark").all_inner_texts() == ["edge"]
    page.locator(".lk-track input").evaluate("e => { e.dataset.same = 1; }")
    for marks in ([], [[0.9, "far"]]):
        spec["marks"] = marks
        put()
        assert page.locator(".lk-mark").all_inner_texts() == [word for _, word in marks]
        assert page.locator(".lk-marked").bounding_box()["height"] == high, "the page jumped"
    assert page.locator(".lk-track input").get_attribute("data-same") == "1"


def test_an_answer_brings_what_it_changed_in_sight(page):
    "Controls under “more” come in sight where an answer has changed one, or where one does something only now."
    spec = [dict(kind="slider", name=n, label=n, n=9, lo=0, step=1, log=False, digits=3) for n in "abcde"]
    answered = dict(i=0, question="How far?", answer="Three steps.", code="")
    for news, opens in ({"a": 5}, False), ({"d": 5}, True), ({"e": 3}, True):
        page.evaluate("stub.put(JSON.stringify({ _asked: {}, _controls: [] }))")
        put = lambda **state: page.evaluate("text => stub.put(text)", json.dumps(state))
        put(_controls=spec, _values={n: [3, "3"] for n in "abcde"}, _off=["e"], _asked=dict(i=0, question="Far?"))
        page.locator(".lk-ask button").click()
        values = {n: [v := news.get(n, 3), str(v)] for n in "abcde"}
        put(_values=values, _off=["e"] * ("e" not in news), _asked=answered)
        assert (page.locator(".lk-more").get_attribute("open") is not None) == opens, news
        put(_asked={})
        assert page.locator(".lk-more").get_attribute("open") is None, "the answer went, what it had opened stayed"
    put(_values={n: [3, "3"] for n in "abcde"}, _asked=dict(i=0, question="Far?"))
    page.locator(".lk-ask button").click()
    put(_values={n: [7, "7"] for n in "abcde"}, _asked=answered | {"quiet": True})
    assert page.locator(".lk-more").get_attribute("open") is None, "a quiet chip opened it"


def test_an_answer_that_changes_no_picture_ends_the_waiting(page):
    put = lambda **state: page.evaluate("text => stub.put(text)", json.dumps(state))
    put(_asked=dict(i=0, question="Far?"), _controls=[], _values={})
    page.locator(".lk-ask button").click()
    page.locator(".lk-ask button", has_text="working").wait_for()  # it takes a while
    put(_asked=dict(i=0, question="Far?", answer="No.", code=""))
    put(_asked=dict(i=0, question="Far?"))
    page.wait_for_timeout(300)
    assert page.locator(".lk-ask button").inner_text() == "Show the answer"
    page.locator(".lk-ask button").click()


def test_more_stays_open_for_who_uses_it(page):
    "What an answer has opened closes with it only if nobody has been there since; what the reader opened, never."
    put = lambda **state: page.evaluate("text => stub.put(text)", json.dumps(state))
    spec = [dict(kind="slider", name=n, label=n, n=9, lo=0, step=1, log=False, digits=3) for n in "abcd"]
    answered = dict(i=0, question="How far?", answer="Three steps.", code="")
    for by in "reader", "answer":
        put(_asked={}, _controls=[], _values={})
        put(_controls=spec, _values={n: [3, "3"] for n in "abcd"}, _off=[], _asked=dict(i=0, question="Far?"))
        if by == "reader": page.locator(".lk-more summary").click()
        page.locator(".lk-ask button").click()
        put(_values={n: [5, "5"] for n in "abcd"}, _asked=answered)
        if by == "answer": page.locator(".lk-more input").focus()
        put(_asked={})
        assert page.locator(".lk-more").get_attribute("open") is not None, by
        page.locator(".lk-more summary").click()


def test_a_held_key_loses_no_step(page):
    "Keys come quicker than answers: one to an earlier step sets nothing back; the last one counts in the end."
    spec = [dict(kind="slider", name="a", label="a", n=90, lo=0, step=1, log=False, digits=3)]
    put = lambda i: page.evaluate("text => stub.put(text)", json.dumps({"_values": {"a": [i, str(i)]}}))
    page.evaluate("text => stub.put(text)", json.dumps({"_controls": spec, "_values": {"a": [0, "0"]}}))
    page.locator(".lk-track input").focus()
    for i in range(40):
        page.keyboard.press("ArrowRight")
        put(i // 2)  # the kernel is at half of it
    assert page.locator(".lk-track input").input_value() == "40"
    put(37)  # where it ended: it takes no more
    page.wait_for_function("document.querySelector('.lk-track input').value === '37'")
    assert page.locator(".lk-value").first.inner_text() == "37"


def test_a_ring_is_for_who_uses_keys(page):
    "Pressed with the mouse, a handle has no ring even where a field had the focus before; the next key brings it back."
    outline = lambda: page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.locator(".lk-stage").focus()
    page.keyboard.press("Shift")
    assert outline() == "solid"
    box = page.locator(".lk-handle").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.evaluate("document.activeElement.closest('.lk-stage') !== null") and outline() == "none"
    page.keyboard.press("Shift")
    assert outline() == "solid"


def test_two_quick_presses_skip_no_question(page):
    "Before the kernel has answered, a second press is the same one again."
    acts(page)
    page.locator(".lk-chip").first.dblclick()
    assert told(page) == [("question", 0), ("question", 0)]


def test_an_answer_ends_the_play(page):
    "An answer sets a state: the player moves nothing after it, and its slider goes to the new state at once."
    player = page.locator(".lk-player").filter(has=page.get_by_role("slider", name="step", exact=True))
    player.get_by_title("play").click()
    page.wait_for_function("stub.acts.filter((a) => a.kind === 'set').length > 1")
    assert player.get_by_title("pause").count()
    page.evaluate("""() => {
      stub.put(JSON.stringify({ _asked: { i: 1, question: 'Where will it be?' } }));
    }""")
    assert player.get_by_title("pause").count(), "a question alone ends nothing"
    page.evaluate("""() => {
      stub.acts.length = 0;
      document.querySelectorAll('.lk-chip')[1].click();
      stub.put(JSON.stringify({ _values: { ...stub.state._values, step: [17, '17'] } }));
    }""")
    page.wait_for_timeout(1600)  # longer than a player waits for a picture
    assert [a["kind"] for a in acts(page) if a.get("kind") in ("set", "chip")] == ["chip"]
    assert player.get_by_title("play").count() == 1 and player.locator("input").input_value() == "17"


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


def test_keys_take_a_handle_from_stop_to_stop(browser):
    table = pd.DataFrame(dict(a=np.arange(30) % 5, b=np.arange(30) // 5, score=0.7 + 0.01 * np.arange(30)))
    page = opened(browser, SearchExplorer(table))
    page.locator(".lk-handle[data-id=grip]").focus()

    def kept(key):
        acts(page)
        page.keyboard.press(key)
        for act in acts(page): page.explorer._act(act)
        page.evaluate("text => stub.put(text)", sent(page.explorer))
        return int(page.explorer.kept.sum())

    low = int((table.score <= page.explorer.axes["score"].value(0) + 1e-9).sum())  # at the foot, they go at once
    assert kept("ArrowUp") == 30 - low and [kept("ArrowRight") for _ in range(3)] == [29 - low, 28 - low, 27 - low]
    assert kept("End") == 1 and kept("ArrowDown") == 2 and kept("PageDown") == 12 and kept("PageUp") == 2
    assert kept("Home") == 30 and not page.explorer.error and page.explorer.rank == 1
    assert not page.said, page.said
    page.close()
    page.explorer.close()


def test_a_number_beyond_an_end_is_brought_back_to_it(browser):
    page = opened(browser, BaggingExplorer(n_trees=3))
    page.locator("summary").click()
    field = page.locator("input[type=number]")
    for typed, kept in (("7", "1.05"), ("-3", "-0.06"), ("0.123", "0.123")):
        acts(page)
        field.fill(typed)
        field.press("Tab")
        assert field.input_value() == kept and acts(page)[-1] | {"n": 0} == dict(
            kind="set", name="answer", value=float(kept), n=0)
    page.close()
    page.explorer.close()


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


# ── touch ──

def place(page, id, x=.5, y=.5):
    "A place on a handle or zone, as a share of its box, in px of the page."
    box = page.locator(f".lk-handle[data-id='{id}']").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_a_finger_drags_a_handle(phone):
    x, y = place(phone, "start")
    acts(phone)
    phone.touch("Start", (x, y))
    for i in range(1, 7): phone.touch("Move", (x + 10 * i, y - 5 * i))
    phone.touch("End")
    told = [a for a in acts(phone) if a.get("id") == "start"]
    assert told[-1]["kind"] == "drop" and {a["kind"] for a in told[:-1]} == {"drag"}
    panel, (a, b) = next(p for p in phone.explorer.scene().panels if p.name == "map"), phone.explorer.start
    (px, py), = panel.px([(a, b)])
    np.testing.assert_allclose(panel.px([(told[-1]["x"], told[-1]["y"])]), [(px + 60, py - 30)], atol=.6)
    assert phone.evaluate("scrollY") == 0, "the page scrolled under a handle"


def test_a_finger_drags_across_a_zone_and_scrolls_along_it(phone):
    "Across, the zone of steps is the handle; up and down, it is a part of the page."
    x, y = place(phone, "steps", .5, .3)
    acts(phone)
    phone.touch("Start", (x, y))
    for i in range(1, 7): phone.touch("Move", (x - 12 * i, y))
    phone.touch("End")
    told = acts(phone)
    assert told[-1]["kind"] == "drop" and told[-1]["x"] < 35 and len(told) > 2
    phone.touch("Start", (x, y))
    for i in range(1, 12): phone.touch("Move", (x, y - 20 * i))
    phone.touch("End")
    phone.wait_for_timeout(300)
    assert phone.evaluate("scrollY") > 50, "the page does not scroll under a finger on the picture"
    assert not acts(phone), "scrolling changed the state"


def test_a_press_on_the_map_takes_the_start_at_once_and_along(page):
    "From the press on, however slow the drag, and whatever lies there: the dot where the path is now too."
    def live():
        for act in acts(page): page.explorer._act(act)
        page.evaluate("text => stub.put(text)", sent(page.explorer))
        return page.explorer.start

    page.explorer.step = 40
    live()
    panel, walked = (next(p for p in page.explorer.scene().panels if p.name == "map"), page.explorer.descent.params)
    (px, py), = panel.px(walked[40:41])
    box = page.locator("canvas").bounding_box()
    scale = box["width"] / page.explorer.scene().width
    x, y = box["x"] + scale * px, box["y"] + scale * py
    page.mouse.move(x, y)
    page.mouse.down()
    np.testing.assert_allclose(live(), walked[40], atol=.03)
    seen = []
    for i in range(1, 7):
        page.mouse.move(x + i, y)
        seen.append(live()[0])
    assert (np.diff(seen) > 0).all() and "Pointed" not in page.explorer.narration
    page.mouse.up()
    assert live()[0] == seen[-1]
    page.mouse.click(x + 40 * scale, y - 60 * scale)
    np.testing.assert_allclose(panel.px([live()]), [(px + 40, py - 60)], atol=1.5)


def test_a_tap_is_a_place_on_a_zone(phone):
    acts(phone)
    at = place(phone, "map", .8, .2)
    phone.touch("Start", at), phone.touch("End")
    assert [a["kind"] for a in acts(phone)] == ["drop"]
    at = place(phone, "steps", .25, .3)
    phone.touch("Start", at), phone.touch("End")
    told, = acts(phone)
    assert told["kind"] == "drop" and abs(told["x"] - 20) < 1


def test_two_fingers_zoom(phone):
    "Fingers that part to twice their distance come twice as close, about their middle; what one had begun is ended."
    x, y = place(phone, "map", .5, .5)
    acts(phone)
    phone.touch("Start", (x - 30, y))
    phone.touch("Start", (x - 30, y), (x + 30, y))
    for i in range(1, 7): phone.touch("Move", (x - 30 - 5 * i, y), (x + 30 + 5 * i, y))
    phone.touch("End", (x - 60, y))
    phone.touch("End")
    told = acts(phone)
    assert {a["kind"] for a in told} == {"zoom"} and {a["id"] for a in told} == {"map"}
    assert abs(np.prod([a["factor"] for a in told]) - 2) < .1
    window = phone.explorer.window
    for a in told: phone.explorer._act(a)
    shrunk = [(hi - lo) / (b - a) for (lo, hi), (a, b) in zip(phone.explorer.window, window)]
    np.testing.assert_allclose(shrunk, .5, atol=.03)
    assert phone.evaluate("visualViewport.scale") == 1, "the page zoomed as well"


def test_a_drag_that_the_page_takes_away_is_ended(page):
    "Pointer events as a stylus or an old browser sends them, on the stub alone."
    told = page.evaluate("""() => {
      const el = document.querySelector("[data-id='start']"), b = el.getBoundingClientRect();
      const fire = (type, dx) => el.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 7,
        pointerType: 'touch', clientX: b.x + b.width / 2 + dx, clientY: b.y + b.height / 2 }));
      stub.acts.length = 0;
      fire('pointerdown', 0); fire('pointermove', 20); fire('pointermove', 40); fire('pointercancel', 40);
      fire('pointermove', 60);
      return [stub.acts.map((a) => a.kind), document.querySelectorAll('.lk-held').length];
    }""")
    assert told == [["drag", "drag", "drop"], 0]


def test_a_drop_is_the_last_act_of_a_drag(page):
    "Jupyter sends a trait at once, and while that is unanswered keeps the newest value only; a message never waits."
    told = page.evaluate("""() => {
      const wire = [];
      let waits = null, flies = false;
      stub.save_changes = () => {
        if (flies) waits = { ...stub.get("_moved") };
        else { flies = true; wire.push(stub.get("_moved")); }
      };
      stub.send = (act) => wire.push(act);
      const el = document.querySelector("[data-id='start']"), b = el.getBoundingClientRect();
      const fire = (type, dx) => el.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 7,
        pointerType: 'mouse', clientX: b.x + b.width / 2 + dx, clientY: b.y + b.height / 2 }));
      fire('pointerdown', 0); fire('pointermove', 20); fire('pointermove', 40); fire('pointermove', 60);
      fire('pointerup', 60);
      wire.push(waits);
      return wire.map((a) => a.kind ?? "");
    }""")
    assert told == ["drag", "drop", ""]


# ── drawing, keys, easing, width ──

def test_each_kind_of_item_is_painted(browser):
    "A color where it belongs, and the page's own where nothing is."
    s = Scene(320, 200)
    s.rects([[10, 10, 40, 40]], fill="up").marks([[100, 30]], size=30, fill="class2").area(
        [[150, 10], [190, 10], [190, 50], [150, 50]], fill="class0").line([[210, 30], [310, 30]], ink="fg", width=12)
    s.image((10, 100, 40, 40), np.full((2, 2), 255, np.uint8), ramp("cividis")).text([[100, 120]], "███", size=40)
    many = np.stack([np.linspace(160, 300, 4000), np.full(4000, 120)], 1)
    s.marks(many, size=9, fill="class4").rects([[10, 160, 40, 30]], fill="class5", clip=(10, 160, 20, 30))
    view = CanvasView()
    view.show(s)
    page = opened(browser, view, 320)
    color = lambda x, y: page.evaluate("""([x, y]) => {
      const c = document.querySelector('canvas'), k = c.width / c.clientWidth;
      return [...c.getContext('2d').getImageData(x * k, y * k, 1, 1).data];
    }""", [x, y])
    wanted = {(30, 30): "up", (100, 30): "class2", (170, 30): "class0", (260, 30): "fg", (100, 120): "fg",
              (230, 120): "class4", (20, 175): "class5"}
    for at, name in wanted.items():
        assert color(*at) == [*bytes.fromhex(ink(name).light[1:]), 255], (at, name)
    assert color(30, 120) == [*bytes.fromhex(ramp("cividis")[255][0][1:]), 255]
    assert color(45, 175)[3] == color(5, 5)[3] == 0, "something outside of its clip, or nothing at all"
    assert not page.said
    page.close()
    view.close()


def test_keys_are_told_and_others_left_alone(page):
    page.locator(".lk-stage").focus()
    acts(page)
    for key in ("PageDown", "Shift+PageDown", "End", "x", "F2", "Control+ArrowLeft"): page.keyboard.press(key)
    told = [(a["kind"], a["key"], a["shift"]) for a in acts(page)]
    assert told == [("key", "PageDown", False), ("key", "PageDown", True), ("key", "End", False)]


def test_it_eases_and_is_at_its_goal(page):
    """Between two states there are pictures that are neither; at the end there is the new one.

    The page's clock is ours: it gains 30 ms a frame, and drawing takes none, so that a slow machine eases as well."""
    before, old = pixels(page), sent(page.explorer)
    page.explorer.start = (3.0, -1.0)
    seen = page.evaluate("""async ([old, text]) => {
      const canvas = document.querySelector('canvas'), clock = performance.now, seen = [];
      let now = performance.now();
      const frames = async (n) => {
        for (; n--; now += 30) {
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame); // whichever asked first, the picture is drawn by now
          seen.push(canvas.toDataURL());
        }
      };
      performance.now = () => now;
      try {
        for (let i = 0; i < 20; i++) { stub.put(old); await frames(1); } // what it drew before was quick, it finds
        now += 300; // as it is after a pause
        seen.length = 0;
        stub.put(text);
        await frames(12);
      } finally { performance.now = clock; }
      return [new Set(seen).size, seen.at(-1)];
    }""", [old, sent(page.explorer)])
    assert seen[0] > 4 and seen[1] == pixels(page) != before


def test_nothing_eases_where_motion_is_unwanted(page):
    page.emulate_media(reduced_motion="reduce")
    page.explorer.start = (3.0, -1.0)
    first = page.evaluate("""async (text) => {
      await new Promise((done) => setTimeout(done, 300));
      stub.put(text);
      return document.querySelector('canvas').toDataURL();
    }""", sent(page.explorer))
    page.wait_for_timeout(300)
    assert first == pixels(page)


def test_a_new_width_is_told_and_fits(page):
    acts(page)
    for width in (700, 360):
        page.evaluate("w => { document.getElementById('el').style.width = w + 'px'; }", width)
        page.wait_for_function("w => Math.abs(stub.state._width - w) <= 12", arg=width)
        page.wait_for_timeout(50)
        box = page.locator("canvas").bounding_box()
        assert box["width"] <= width, "the picture is wider than its page"
    page.explorer._width = page.evaluate("stub.state._width")
    page.evaluate("text => stub.put(text)", sent(page.explorer))
    assert abs(page.locator("canvas").bounding_box()["width"] - page.explorer.width) < 1


def test_system_colors_are_taken_where_they_are_forced(page):
    page.wait_for_timeout(500)
    before = pixels(page)
    page.emulate_media(forced_colors="active")
    page.wait_for_timeout(500)
    assert pixels(page) != before
    painted = page.evaluate("""(color) => {
      const g = new OffscreenCanvas(1, 1).getContext('2d');
      g.fillStyle = color;
      g.fillRect(0, 0, 1, 1);
      return [...g.getImageData(0, 0, 1, 1).data];
    }""", ink("line").forced)
    assert max(painted[:3]) - min(painted[:3]) < 8 and 90 < painted[0] < 200, f"lines stand out: {painted}"


def test_play_stops_where_it_is_told_to_and_goes_on_when_pressed_there(page):
    player = page.locator(".lk-player").filter(has=page.get_by_role("slider", name="step", exact=True))
    end = int(player.locator("input").input_value()) + 1
    page.evaluate("""(until) => stub.put(JSON.stringify({
      _controls: stub.state._controls.map((c) => c.name === 'step' ? { ...c, until } : c),
    }))""", end)
    player.get_by_title("play").click()
    player.get_by_title("pause").wait_for()
    player.get_by_title("play").wait_for()
    assert player.locator("input").input_value() == str(end)
    player.get_by_title("play").click()
    page.wait_for_function("n => +document.querySelector('.lk-player input').value > n", arg=end)
    player.get_by_title("pause").click()
