"""CAMExplorer: contributions that add up, bad files in words, and the saved page that holds the net, in Chromium."""
import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn

from lessonkit.cam import cam, grad_cam
from lessonkit.course.datasets import load
from lessonkit.course.nets import load_net
from lessonkit.explorers.cam import CAMExplorer
from lessonkit.explorers.cam_data import EXACT, FINE, Eye, Look, gathered, overlay, page_net, second_look, steps
from lessonkit.explorers.cam_pictures import decoded
from lessonkit.explorers.cam_view import signed
from lessonkit.images import PictureError
from lessonkit.widgets import page as page_of
from lessonkit.widgets.inpage import exports, packed, script
from lessonkit.widgets.page import frames

ENGINE = """
import(URL.createObjectURL(new Blob([%s], {type: 'text/javascript'}))).then((m) => { window.m = m; })
"""
PALACE, FLOWER = load_sample_images().images


@pytest.fixture(scope="module")
def e():
    explorer = CAMExplorer(picture=0)
    explorer._width = 860
    explorer.open()
    yield explorer
    explorer.close()


def act(e, **what):
    e._act(what)
    assert not e.error, e.error


# ── what it says is so ──

def test_contributions_add_up_to_the_logits(e):
    for i in (0, 3, 10):
        e.picture = i
        x = e.eye.prepare([e.pictures[i]])
        with torch.no_grad(): y = e.eye.net(x)[0].numpy()
        np.testing.assert_allclose(e.contributions.sum((1, 2)) + e.eye.net.head.bias.detach().numpy(), y, atol=1e-5)
        np.testing.assert_allclose(e.contributions, cam(e.eye.net, x)[0].numpy() / 36, atol=1e-6)
        assert abs(sum(e.answer.values()) - 1) < 1e-9 and max(e.answer, key=e.answer.get) in e.narration
    e.picture = 0


def test_it_opens_where_a_map_tells_most(e):
    "On a picture that the net gets right: of two as sure, the one whose evidence lies closer together."
    right = [e.names[e.eye.look(p).logits.argmax()] == t for p, t in zip(e.pictures[:10], e.truth)]
    assert right[e.opening] and not all(right)
    near, far = np.zeros((2, 6, 6)), np.zeros((2, 6, 6))
    near[0, :2, :2], far[0] = 9, 1
    sure = np.array([2., -2.])
    of = lambda cells, logits, truth="cats": gathered(Look(None, cells, logits, 0.), e.names, truth)
    assert of(near, sure) > of(far, sure) > 0 == of(near, sure, "dogs") == of(near, sure, "")
    assert of(near, sure) > of(near, sure / 2)
    own = CAMExplorer(pictures=[PALACE, FLOWER])  # nobody says what these are: the first
    assert own.opening == own.picture == 0


def test_a_cell_says_what_it_adds(e):
    h, w = e.seen.shown.shape
    act(e, kind="click", id="photo", x=w * .9, y=h * .1)
    assert e.cell == (0, 5) and e.record().how == "chosen"
    assert f"row 1, column 6, adds {signed(e.contributions[e._target(), 0, 5])}" in e.narration
    act(e, kind="hover", id="photo", x=1, y=1)
    assert e.pointed == (0, 0) and "row 1, column 1" in e.narration
    act(e, kind="hover", id="photo", x=None, y=None)
    act(e, kind="key", key="ArrowDown")
    assert e.cell == (1, 5)
    act(e, kind="click", id="photo", x=w * .9, y=h * .25)  # the same again: the strongest
    assert e.cell == ()


def test_one_scale_for_all_pictures_and_classes(e):
    limits = set()
    for i in range(len(e.pictures)):
        e.picture = i
        limits.add(e.record().limit)
    e.target = 1
    assert limits == {e.record().limit} == {e.limits[""]}
    weak, strong = (overlay(np.full((2, 2), v), 1., 1., 0., True)[0, 0, 3] for v in (.1, .9))
    assert weak == 26 and strong == 230  # never stretched to the strongest of a picture
    assert overlay(np.array([[.3, -.3]]), 1., 1., .4, True)[..., 3].max() == 0
    e.picture = 0


def test_erasing_and_giving_back(e):
    before = e.seen.logits.copy()
    h, w = e.seen.shown.shape
    for u in np.linspace(.2, .8, 7): act(e, kind="drag", id="photo", x=w * u, y=h * .5)
    act(e, kind="drop", id="photo", x=w * .8, y=h * .6)
    assert .1 < e.seen.erased < .4 and np.abs(e.seen.logits - before).max() > .05 and "erased" in e.narration
    xs = [s for s, *_ in e.record().history]
    assert xs[0] == 0 and xs == sorted(xs) and len(xs) > 3
    np.testing.assert_allclose(e.contributions.sum((1, 2)) + e.bias, e.seen.logits)
    act(e, kind="press", name="give_back")
    assert e.strokes == () and not e.history
    np.testing.assert_allclose(e.seen.logits, before)


def test_undo_is_in_sight_after_a_stroke(e):
    keys = lambda: {h["id"] for h in e.scene().handles}
    h, w = e.seen.shown.shape
    assert "undo" not in keys()
    act(e, kind="drag", id="photo", x=w * .5, y=h * .5)
    act(e, kind="drop", id="photo", x=w * .6, y=h * .5)
    for width in (360, 860): assert not e.scene(width).faults()
    assert "undo" in keys() and "again" not in keys()
    act(e, kind="click", id="undo", x=0, y=0)
    assert e.strokes == () and "undo" not in keys()


def test_two_classes_show_one_sum(e):
    "Bias, cell and other cells are drawn with the numbers that add up to the logit."
    for target, versus in ((-1, -1), (1, -1), (0, 1)):
        e.target, e.versus = target, versus
        for width in (360, 430, 860, 1200): assert not e.scene(width).faults()
        r, drawn = e.record(), {t for item in e.scene().items for t in item.get("strings", ())}
        of = lambda a, r=r: float(a[r.target]) - (float(a[r.versus]) if r.versus >= 0 else 0)
        v, rest = of(r.cells[:, r.cell[0], r.cell[1]]), of(r.cells.sum((1, 2)))
        np.testing.assert_allclose(of(r.bias) + rest, of(r.logits), atol=1e-5)
        assert {signed(of(r.bias)), signed(v), signed(rest - v), signed(of(r.logits)), "35 other cells"} <= drawn
    e.target = e.versus = -1


def test_a_question_about_two_classes_names_two_places(e):
    "Whatever was zoomed or erased before, it is about the whole picture; both places are framed."
    e.picture, e.zoomed = 1, True
    act(e, kind="chip", value=2)
    difference = e.contributions[e.target] - e.contributions[e.versus]
    for i in (difference.argmax(), difference.argmin()):
        said = f"row {i // 6 + 1}, column {i % 6 + 1}: {signed(difference.flat[i])}"
        assert said in e._asked["answer"], (said, e._asked)
    assert e.record().cell == divmod(int(difference.argmax()), 6) and not e.zoomed and e.names[e.target] == "cats"
    act(e, kind="chip", value=-1)
    e.picture = 0


def test_a_second_look(e):
    e.picture = 10
    whole, box = e.seen, e.record().box
    act(e, kind="click", id="again", x=0, y=0)
    assert e.zoomed and e.box == box and e.record().whole == pytest.approx(
        float(torch.tensor(whole.logits).softmax(0)[e._target()]))
    part = PALACE[int(box[1] * 427 + .5):int(box[3] * 427 + .5), int(box[0] * 640 + .5):int(box[2] * 640 + .5)]
    with torch.no_grad(): y = e.eye.net(e.eye.prepare([part]))[0].numpy()
    np.testing.assert_allclose(e.seen.logits, y, atol=1e-5)
    act(e, kind="click", id="again", x=0, y=0)
    np.testing.assert_array_equal(e.seen.logits, whole.logits)
    e.picture = 0


def test_grad_cam_agrees_on_the_last_maps_and_answers_on_others(e):
    e.method, e.target = "Grad-CAM", 1
    np.testing.assert_allclose(e.record().heat, np.maximum(e.contributions[1], 0))
    e.layer = list(e.layers)[1]
    heat = grad_cam(e.eye.net, e.eye.prepare([e.pictures[0]]), 1, e.layer, relu=True)[0].numpy()
    np.testing.assert_allclose(e.record().heat, heat, atol=1e-7)
    assert e.record().limit == e.limits[e.layer]
    e.method, e.layer = "CAM", ""
    e.target, e.versus = 0, 1
    np.testing.assert_allclose(e.record().heat, e.contributions[0] - e.contributions[1])
    e.target = e.versus = -1


@pytest.mark.parametrize("wrong", [dict(picture=99), dict(target=2), dict(versus=-2), dict(layer="nowhere"),
                                   dict(threshold=2.), dict(cell=(9, 0)), dict(brush=0.)])
def test_what_does_not_exist_is_refused(e, wrong):
    (name, value), before = *wrong.items(), {k: getattr(e, k) for k in wrong}
    with pytest.raises(ValueError, match=name): setattr(e, name, value)
    assert getattr(e, name) == before[name]


# ── files ──

def jpeg(image, **how):
    out = io.BytesIO()
    image.save(out, **({"format": "JPEG"} | how))
    return out.getvalue()


PHOTO = Image.fromarray(FLOWER)
SMALL = PHOTO.convert("P")
FILES = {  # (name, content): a word of the notes, or of the refusal
    "cmyk.jpg": (lambda: jpeg(PHOTO.convert("CMYK")), "CMYK"),
    "moves.gif": (lambda: jpeg(SMALL, format="GIF", save_all=True, append_images=[SMALL.rotate(90)]), "first"),
    "turned.jpg": (lambda: jpeg(PHOTO, exif=(lambda x: (x.__setitem__(0x0112, 6), x)[1])(Image.Exif())), "upright"),
    "huge.jpg": (lambda: jpeg(Image.new("RGB", (7300, 5500), (90, 120, 40))), "megapixels"),
    "cut.jpg": (lambda: jpeg(PHOTO)[:4000], "!damaged"),
    "text.png": (lambda: b"no picture at all", "!no picture"),
    "empty.png": (lambda: b"", "!empty"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_shown_or_refused_in_words(e, name):
    make, word = FILES[name]
    n, drawn = len(e.pictures), e._drawn
    e._act({"kind": "file", "name": "photo", "file": name, "bytes": make()})
    if word[0] == "!":
        assert name in e.error and word[1:] in e.error and len(e.pictures) == n
        with pytest.raises(PictureError, match=word[1:]): e.look_at(make(), name)
        e.refresh()
        return
    assert not e.error and e.picture == n and e._drawn > drawn and name == e.record().picture
    assert any(word in note for note in e.record().notes), e.record().notes
    assert max(e.pictures[-1].shape) <= 1024
    e.picture = 0


def test_pictures_come_in_many_ways(tmp_path):
    for sub in ("day", "night"):
        (tmp_path / sub).mkdir()
        PHOTO.resize((64, 48)).save(tmp_path / sub / "a.png")
    (tmp_path / "day" / "b.jpg").write_text("no picture")
    own = CAMExplorer(pictures=tmp_path)
    assert own.truth == ["day", "night"] and own.left_out[0][0] == "b.jpg" and "no picture" in own.left_out[0][1]
    assert "truth: day" in own.narration
    own.close()
    for bad, word in ((tmp_path / "none", "no folder"), ([], "no picture"), ([np.zeros((3, 3))], "uint8"),
                      ([tmp_path / "day" / "b.jpg"], "none of the files")):
        with pytest.raises(ValueError, match=word): CAMExplorer(pictures=bad)
    with pytest.raises(ValueError, match="classes"): CAMExplorer(load_net("dogscats-net")[0])


# ── the net in the page ──

@pytest.fixture(scope="module")
def run(browser, e):
    "The page's engine, without a page around it."
    page = browser.new_page()
    page.evaluate(ENGINE % json.dumps(script(e) + "\nexport { engine, ND, py };"))
    page.wait_for_function("window.m")
    page.evaluate("""() => Object.assign(window, m, {
      revive: (text) => py.revive(JSON.parse(text)),
      picture: ({ b64, w, h }) => ({ d: Uint8ClampedArray.from(atob(b64), (c) => c.charCodeAt(0)), w, h }),
    })""")
    yield lambda body, *args: page.evaluate(f"async (args) => ({body})(...args)", list(args))
    page.close()


def sent(picture):
    return dict(b64=base64.b64encode(picture.tobytes()).decode(), w=picture.shape[1], h=picture.shape[0])


def text(value): return json.dumps(packed(value))  # playwright is slow with long lists


LOOK = """async (net, pictures) => {
  const eye = engine.eye(revive(net)), out = [];
  for (const p of pictures) {
    const look = await eye.look(picture(p), [0, 0, 1, 1], []);
    out.push([[...look.logits.data], [...look.cells.data]]);
  }
  return out;
}"""


def some(name, n):
    "n pictures: of the net's own set, real or stand-in, and pieces of two photographs."
    k, at = n - n // 3, np.random.default_rng(0).integers(0, 300, (n // 3, 2))
    if name == "dogscats-net": images = load("dogscats", split="valid", limit=k)[0]
    else: images = load("cifar10", split="test")[0][:k]
    pieces = [(PALACE, FLOWER)[i % 2][t:t + 120, l:l + 120] for i, (t, l) in enumerate(at)]
    return [*images, *pieces]


@pytest.mark.parametrize("name", ["dogscats-net", "cifar-net"])
def test_the_pages_net_is_the_net(run, name):
    eye, pictures = Eye(*load_net(name)), some(name, 3)[1:]
    got = run(LOOK, text(page_net(eye, small=False)), [sent(p) for p in pictures])
    for p, (logits, cells) in zip(pictures, got):
        look = eye.look(p)
        np.testing.assert_allclose(logits, look.logits, atol=1e-3)
        np.testing.assert_allclose(cells, look.cells.ravel(), atol=1e-3)


def test_int8_keeps_the_answers(run):
    "The page's answers are those of the rounded weights, and these keep the top class of 99 in 100 pictures."
    eye, pictures = Eye(*load_net("dogscats-net")), some("dogscats-net", 102)
    with torch.no_grad(): want = eye.net(eye.prepare(pictures)).numpy()
    got = np.array([logits for logits, _ in run(LOOK, text(page_net(eye)), [sent(p) for p in pictures[::34]])])
    for m in eye.net.modules():  # in place: the net is this test's own
        if not isinstance(m, nn.Conv2d) or m.weight.numel() < EXACT: continue
        bn = next(b for a, b in pairs(eye.net) if a is m)
        fold = (bn.weight / (bn.running_var + bn.eps).sqrt())[:, None, None, None].detach()
        w = m.weight.data * fold
        scale = w.abs().amax((1, 2, 3), keepdim=True) / 127
        m.weight.data = (w / scale).round() * scale / fold
    with torch.no_grad(): rounded = eye.net(eye.prepare(pictures)).numpy()
    np.testing.assert_allclose(got, rounded[::34], atol=2e-3)
    assert (rounded.argmax(1) == want.argmax(1)).sum() >= 101 and 0 < np.abs(rounded - want).max() < .25


def pairs(net):
    "Neighbors among the modules: a convolution and the BatchNorm after it."
    found = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    return zip(found, found[1:])


def test_pictures_are_resized_as_pil_does(run):
    for picture, (w, h) in ((PALACE, (96, 96)), (FLOWER[:300, :41], (328, 11)), (PALACE[:7, :9], (224, 224))):
        got = run("(p, w, h) => [...engine.resized(picture(p), w, h).d].join()", sent(picture), w, h)
        want = np.asarray(Image.fromarray(picture).resize((w, h), Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(np.array(got.split(","), int).reshape(h, w, 3) - want).max() <= 2


def test_the_small_steps_are_the_same(run):
    rng = np.random.default_rng(0)
    for shape in ((6, 6), (1, 2), (7, 5)):
        heat = rng.normal(size=shape)
        as_nd = text(heat)
        for native in (True, False):
            got = run("(h, n) => [...engine.overlay(revive(h), 1.5, .8, .1, n).data]", as_nd, native)
            want = overlay(heat, 1.5, .8, .1, native)
            assert want.shape[:2] == (shape if native else (FINE, FINE))
            assert np.abs(np.array(got) - want.ravel()).max() <= 1
        assert run("(h) => engine.second_look(revive(h))", as_nd) == list(second_look(heat))
    assert set(exports("cam")) >= {"overlay", "second_look", "softmax", "methods"}


def test_a_net_that_a_page_cannot_run_is_said(e):
    wrong = (nn.Softmax(1), "Softmax"), (nn.Conv2d(4, 4, 3, groups=2), "groups"), (nn.MaxPool2d((2, 3)), "both")
    for layer, word in wrong:
        with pytest.raises(ValueError, match=word): steps(layer)
    assert e.computes()


@pytest.fixture(scope="module")
def saved(e, tmp_path_factory):
    e.picture = 10
    path = e.to_html(tmp_path_factory.mktemp("cam") / "cam.html")
    assert (e.picture, len(e.pictures) > 6, e._paging) == (10, True, False)  # it is as it was
    e.picture = 0
    return path


PHONE = dict(viewport=dict(width=390, height=844), has_touch=True, is_mobile=True)


@pytest.mark.parametrize("screen", [dict(viewport=dict(width=1200, height=900)), PHONE], ids=["laptop", "phone"])
def test_a_friend_opens_the_page(browser, saved, screen):
    "One file, no network: a photograph is handed over, answered, erased; a bad file is refused in words."
    assert saved.stat().st_size < 3_000_000
    context = browser.new_context(offline=True, **screen)
    page, faults = context.new_page(), []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda m: faults.append(str(m)))
    page.goto(saved.as_uri())
    said = lambda: page.locator(".lk-narration").inner_text()
    page.wait_for_function("document.querySelector('.lk-narration')?.textContent")
    assert "truth: a palace" in said()
    hand = lambda name, data: page.locator("input[type=file]").set_input_files(
        dict(name=name, mimeType="image/jpeg", buffer=data))
    picture = Image.fromarray(PALACE[100:300, 200:460])
    hand("mine.png", jpeg(picture, format="PNG"))
    want = Eye(*load_net("dogscats-net")).look(np.asarray(picture))
    page.wait_for_function("!document.querySelector('.lk-narration').textContent.includes('palace')")
    name, value = ("cats", "dogs")[want.logits.argmax()], want.logits.max()
    assert f"says {name}" in said()
    logit = float(said().split("logit ")[1].rstrip(". ").replace("−", "-"))
    assert abs(logit - value) < .1  # int8
    before = said()
    for file, word in (("cut.jpg", "damaged"), ("empty.png", "empty")):
        hand(file, FILES[file][0]())
        page.wait_for_function(f"document.querySelector('.lk-error').textContent.includes('{word}')")
    assert said() == before
    hand("moves.gif", FILES["moves.gif"][0]())
    page.wait_for_function("document.querySelector('.lk-narration').textContent.includes('first frame')")
    for _ in range(2): page.locator(".lk-chip", has_text="erase").click()  # asks, then shows
    page.wait_for_function("document.querySelector('.lk-narration').textContent.includes('erased')")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not faults, faults
    context.close()


def test_an_answer_stays_with_its_question(browser, saved):
    "Given once, when the net has answered; another picture puts it away. The line of code names the picture."
    page = browser.new_page()
    page.goto(saved.as_uri())
    page.locator(".lk-chip", has_text="look again").click()
    assert page.locator(".lk-question").inner_text() and not page.locator(".lk-answer").count()
    page.get_by_role("button", name="Show the answer").click()
    page.wait_for_function("document.querySelector('.lk-narration').textContent.includes('the box alone')")
    answer = lambda: page.locator(".lk-answer span").text_content()
    first, whole = answer(), page.locator(".lk-narration").inner_text().split(" had ")[1].split("%")[0]
    assert f"{whole}% in the whole picture." in first
    assert page.locator(".lk-answer code").text_content() == "CAMExplorer(picture=10, zoomed=True)"
    page.locator(".lk-handle[data-id=again]").click()
    page.wait_for_function("!document.querySelector('.lk-narration').textContent.includes('the box alone')")
    page.locator(".lk-handle[data-id=class-1]").click()
    page.wait_for_timeout(300)
    assert answer() == first
    page.locator(".lk-handle[data-id=picture-1]").click()
    page.wait_for_function("!document.querySelector('.lk-narration').textContent.includes('palace')")
    assert page.locator(".lk-ask").is_hidden()
    page.close()


def test_a_guess_is_judged_when_the_net_has_answered(browser, saved):
    page = browser.new_page()
    page.goto(saved.as_uri())
    page.locator(".lk-chip", has_text="look again").click()
    page.get_by_role("button", name="surer", exact=True).click()
    page.wait_for_function("document.querySelector('.lk-narration').textContent.includes('the box alone')")
    page.wait_for_function("/in the whole picture/.test(document.querySelector('.lk-answer')?.textContent)")
    box, whole = map(float, re.findall(r"([\d.]+) %", page.locator(".lk-answer > span").last.text_content())[:2])
    said = ["✓ surer"] if box > whole else ["✗ Your guess: surer", "✓ Right: not surer"]
    assert box != whole and page.locator(".lk-verdict").all_inner_texts() == said
    page.close()


def test_a_question_is_about_one_picture(e):
    e.picture = 3
    act(e, kind="chip", value=1)
    assert e._asked["code"] == "CAMExplorer(picture=3, zoomed=True)" and "box" in e._asked["answer"]
    said = dict(e._asked)
    act(e, kind="click", id="again", x=0, y=0)
    assert e._asked == said
    e.look_at(PALACE, "mine.png")
    assert e._asked == {}
    act(e, kind="chip", value=1)
    assert e._asked["code"] == "CAMExplorer(pictures=('mine.png',), zoomed=True)"
    act(e, kind="chip", value=-1)
    e.picture = 0
    act(e, kind="chip", value=3)
    assert e._asked["code"] == f"CAMExplorer(picture={e.labels.index('a palace')})"
    act(e, kind="chip", value=-1)
    e.picture = 0


def test_decoding_takes_bytes_and_paths(tmp_path):
    (tmp_path / "a.png").write_bytes(jpeg(PHOTO, format="PNG"))
    a, b = decoded(tmp_path / "a.png")[0], decoded((tmp_path / "a.png").read_bytes(), "a.png")[0]
    np.testing.assert_array_equal(a, b)


def test_a_net_that_no_page_can_hold_plays_frames(e, tmp_path, monkeypatch):
    "Each picture is a frame with its own answer."
    monkeypatch.setattr(e, "computes", lambda: False)
    made = []
    monkeypatch.setattr(page_of, "frames", lambda *args: made.append(frames(*args)) or made[0])
    e.to_html(tmp_path / "frames.html", max_bytes=10**8)
    texts = [frame["text"] for frame in made[0][0]]
    assert len(set(texts)) == len(texts) == min(len(e.pictures), 12)
