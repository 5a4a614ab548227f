"""A net in a saved page: its answers are torch's, its text is Python's, and it goes on without network."""
import gc
import json

import numpy as np
import pytest
import torch

from lessonkit.char_rnn import char_data, char_net
from lessonkit.course.nets import CharNet, load_net
from lessonkit.explorers.gates import GateExplorer
from lessonkit.explorers.generation import MOST, GenerationExplorer
from lessonkit.explorers.generation_data import as_in_page, for_page
from lessonkit.gates import distribution
from lessonkit.widgets.canvas import STATIC, module
from lessonkit.widgets.inpage import RUNTIME, packed

from .test_pages import changed, offline, sentence  # noqa: F401  (`offline` is a fixture)

TEXT = ('he who says "i will" has already begun to obey himself.\nand what of the truth? suppose that it is a woman; '
        "what then? is there not ground for suspecting that all philosophers, so far as they were dogmatic, failed")
ENGINE = (STATIC / "engines" / "lstm.js").read_text(encoding="utf-8")
RUN = """
let read = null;
export const open = (net) => { read = reader(py.revive(JSON.parse(net))); };
export const answers = (ids) => {
  let a, state = null;
  return ids.map((i) => { [a, state] = read(i, state); return [...a.data]; });
};
export const chances = (x, how) => [...distribution(np.array(x), py.kw(how)).data];
"""


@pytest.fixture(scope="module")
def engine(browser):
    "The engine alone, in Chromium, without Jupyter."
    page = browser.new_page()
    text = "\n".join([module(*RUNTIME), "const engine = {};", ENGINE, RUN])
    page.evaluate("""async (t) => {
      window.m = await import(URL.createObjectURL(new Blob([t], {type: 'text/javascript'})));
    }""", text)
    yield page
    page.close()


def small(kind, n_layers, n_hid=21):
    torch.manual_seed(n_layers)
    return CharNet(kind, 56, n_hid=n_hid, n_layers=n_layers, emb_sz=13)


@pytest.mark.parametrize("name", ["LSTM", "two layers of LSTM", "GRU", "three layers of GRU", "the course's, rounded",
                                  "the course's, not rounded"])
def test_logits_are_torchs(engine, name):
    "To 1e-4 over 200 characters, before and after the weights are rounded."
    net, prepare, _ = load_net("nietzsche-lstm")
    ids, exact = prepare(TEXT)[:, :200], "not rounded" in name
    if "course" in name: net = net if exact else as_in_page(net)
    else: net = small(name.split()[-1], {"two": 2, "three": 3}.get(name.split()[0], 1)).eval()
    with torch.no_grad(): wanted = net(ids)[0][0].numpy()
    sent = {"$obj": {k: packed(v) for k, v in for_page(net, exact or None).items()}}
    engine.evaluate("net => m.open(net)", json.dumps(sent))
    got = np.array(engine.evaluate("ids => m.answers(ids)", ids[0].tolist()))
    assert ids.shape == (1, 200) and np.abs(wanted).max() > .1
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    gc.collect()


def test_rounding_what_is_rounded_changes_nothing():
    "So what the page has is what `as_in_page` gives, to the bit."
    net = as_in_page(load_net("nietzsche-lstm")[0])
    for a, b in zip(net.parameters(), as_in_page(net).parameters()): torch.testing.assert_close(a, b, rtol=1e-6, atol=0)


@pytest.mark.parametrize("how", [{}, {"temperature": .3}, {"temperature": 0}, {"top_k": 3}, {"top_p": .5},
                                 {"temperature": 1.7, "top_k": 9, "top_p": .8}, {"temperature": 1e-3}, {"top_k": 99}])
def test_chances_are_the_lessons(engine, how):
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=20) * 3, np.zeros(7), np.array([1000., 999, -1000, 5])):
        got = engine.evaluate("([x, how]) => m.chances(x, how)", [x.tolist(), how | {"banned": [1]}])
        np.testing.assert_allclose(got, distribution(torch.tensor(x), banned=[1], **how), atol=1e-12)


def test_the_page_goes_on_writing_on_a_phone(offline):  # noqa: F811
    "From a file, without network: a beginning is typed, 200 letters are written, a step back, another temperature."
    e = GenerationExplorer("the truth ", step=6)
    page = offline(e, 390)
    assert len(page.content()) < 3_000_000 and page.evaluate("document.documentElement.scrollWidth") <= 390
    now = sentence(page)
    assert "6 written" in now
    page.locator(".lk-stage").focus()
    page.keyboard.press("End")
    now = changed(page, now)
    assert f"{MOST} written" in now
    page.keyboard.press("PageUp")
    now = changed(page, now)
    before = now.split(" the net expects ")
    page.keyboard.press("ArrowDown")  # cooler: the text before the cursor stays, and so does what the net expects
    now = changed(page, now)
    after = now.split(" the net expects ")
    assert before[0] == after[0] and before[1].split(". ")[0] == after[1].split(". ")[0] and "temperature 0.95" in now
    field = page.locator(".lk-control input[type=text]").first
    field.fill("what is it that ")
    field.press("Enter")
    now = changed(page, now)
    page.locator(".lk-stage").focus()
    page.keyboard.press("Home")
    now = changed(page, now)
    assert now.startswith("After “what is it that ” the net expects") and "0 written" in now
    assert not page.locator(".lk-error").inner_text()
    e.close()


def test_a_learners_own_net_is_opened_and_writes():
    "As lesson 31 makes one: its vocabulary's symbols, its kinds with gates."
    data = char_data("one net reads,\nand another \"writes\"\n" * 90)
    for kind in ("GRU", "LSTM"):
        net = char_net(kind, len(data.vocab), n_hid=12)
        e = GateExplorer("one net", net, data.vocab.itos, "one net reads,\n" * 90, event="a line end")
        assert e.record().n_units == 12 and "a line end" in e.narration and not e.error
        w = GenerationExplorer("one ", net, data.vocab.itos, step=40)
        assert len(w.written) == 40 and set(w.written) <= set(data.vocab.itos) and w.computes()
        assert net.training and all(p.requires_grad for p in net.parameters())  # theirs stays as it was
        e.close(), w.close()


def test_a_net_that_no_page_can_run_is_recorded():
    e = GenerationExplorer("ab", CharNet("GRU", 4, n_hid=1200), ["<unk>", "a", "b", "c"], step=3)
    assert not e.computes() and GenerationExplorer("ab", small("GRU", 1), [*"abcdefgh" * 7]).computes()
    e.close()
