"""The explorers of lessons 40 and 41: what they show is what the lessons compute, and bad input is refused in words."""
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lessonkit.course.nets import load_net
from lessonkit.explorers.augment import AugmentExplorer
from lessonkit.explorers.conv import ConvExplorer
from lessonkit.explorers.conv_record import PRESETS, answers, feature_maps, learned_kernels, seen_by, spot
from lessonkit.explorers.network import NetworkExplorer
from lessonkit.images import Augment, tta

torch.set_num_threads(1)
PICTURES = np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), dtype=np.uint8)
LABELS = [0, 1, 2, 0, 1, 2]


class Sides(nn.Module):
    "Class 0 where the left half is brighter, class 1 where the right one is: mirrored views are wrong for certain."

    def forward(self, x):
        a = x[..., :8].mean((1, 2, 3)) - x[..., 8:].mean((1, 2, 3))
        return 4 * torch.stack([a, -a], 1)


def tiny(k=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, k))


def opened(explorer):
    explorer.open()
    assert not explorer.error
    return explorer


def sides(**state):
    light = np.full((8, 16, 16, 3), 90, np.uint8)
    light[:, :, :8] += np.linspace(20, 120, 8).astype(np.uint8)[:, None, None, None]
    return opened(AugmentExplorer(light, [0] * 8, Sides(), (100, 100, 100), (50, 50, 50), ["left", "right"], **state))


@pytest.mark.parametrize("state", [{}, dict(mirror=True), dict(rotate=40., zoom=.5, cutout=5, light=.6, mirror=True)])
def test_the_mean_is_the_lessons_tta(state):
    e = opened(AugmentExplorer(PICTURES, LABELS, tiny(), picture=3, seed=7, **state))
    batch, draw = e.views(3, 7)
    views = [lambda x, i=i: batch[i : i + 1] for i in range(1, len(batch))]
    np.testing.assert_allclose(e.record().mean, tta(e.nets["the net"], e.x[3:4], views)[0].numpy(), atol=1e-6)
    own = Augment(.5 * e.mirror, e.rotate, e.zoom, e.shift, e.light, e.cutout)
    assert e.augment == own
    torch.testing.assert_close(batch[1:], own.apply(e.x[3:4].repeat(8, 1, 1, 1), draw))


def test_a_wider_limit_goes_further_the_same_way():
    a, b = (opened(AugmentExplorer(PICTURES, LABELS, tiny(), rotate=r)).views(0, 5)[1].angle for r in (10., 20.))
    torch.testing.assert_close(2 * a, b)


def test_a_question_finds_where_it_hurts():
    e = sides()
    assert e.record().answer(-1)[2] and "hurts" not in e.narration
    e._act({"kind": "chip", "value": 0})
    assert f"{e._mirrored} mirrored" in e.narration
    assert e.mirror and not e.rotate and "hurts" in e._asked["answer"] and "hurts" in e.narration
    alone, _, right = e.record().answer(0)
    assert right and alone == "left" and e.record().answer(-1)[0] == "right"


def test_a_question_finds_where_it_helps():
    "A picture that is wrong alone, or of which some views are, and that the mean gets right."
    rng = np.random.default_rng(3)
    faint = np.clip(np.full((12, 16, 16, 3), 90) + rng.normal(0, 6, (12, 16, 16, 3)), 0, 255).astype(np.uint8)
    e = opened(AugmentExplorer(faint, [0] * 12, Sides(), (90, 90, 90), (20, 20, 20), ["left", "right"]))
    e._act({"kind": "chip", "value": 1})
    p = e.predictions(e.picture, e.seed)
    wrong = int((p.argmax(1) != 0).sum())
    assert wrong and p.mean(0).argmax() == 0 and f"Of the 9 pictures, {wrong} " in e._asked["answer"]


def test_a_dot_is_pointed_at():
    e = sides(mirror=True)
    p = e.record().p[:, 0]
    e._act({"kind": "hover", "id": "answers", "x": float(p[4]), "y": .5})
    assert abs(p[e.pointed] - p[4]) < 1e-6 and "Pointed at" in e.narration
    e._act({"kind": "hover", "id": "answers", "x": .5, "y": 9.})
    assert e.pointed == -1


def test_counting_is_that_of_the_lesson():
    e = sides(mirror=True, rotate=0., zoom=0., shift=0., light=0.)
    e.count()
    p = [e.predictions(i, 0) for i in range(8)]
    assert e._tally == (8, sum(q.mean(0).argmax() == 0 for q in p), 8) and "Of 8 pictures, 8 are correct" in e.narration
    e.seed = 1
    assert "Of 8 pictures" not in e.narration
    e = opened(AugmentExplorer(PICTURES, None, tiny()))
    e._act({"kind": "press", "name": "count"})
    assert "labels were not given" in e.error


def test_pictures_are_chosen_and_views_pointed_at():
    e = opened(AugmentExplorer(PICTURES, LABELS, {"a": tiny(), "b": tiny()}))
    e._act({"kind": "click", "id": "strip", "x": .5, "y": 1.5})
    assert e.picture == 5
    e._act({"kind": "click", "id": "strip", "x": 4.5, "y": 1.5})
    assert e.picture == 5  # there is none
    e._act({"kind": "hover", "id": "views-5", "x": 2.5, "y": .5})
    assert e.pointed == 7 and "Pointed at: turned by" in e.narration
    e._act({"kind": "hover", "id": "views-5", "x": None, "y": None})
    assert e.pointed == -1


def test_the_courses_net_is_asked_about_pictures_it_knows():
    e = opened(AugmentExplorer(nets=load_net("cifar-net"), picture=1))
    assert len(e.x) and all(e.predictions(i, 0)[0].argmax() == e.labels[i] for i in range(2)) and len(e.classes) == 10
    np.testing.assert_array_equal(e._pictures(e.x[:1])[0].shape, (32, 32, 3))


def test_nets_that_learned_from_two_photographs_and_where_averaging_helps_them():
    e = opened(AugmentExplorer())
    right = lambda n: np.mean([e.predictions(i, 0, net=n)[0].argmax() == e.labels[i] for i in range(len(e.x))])
    alone = {n: right(n) for n in e.nets}
    assert alone["met gentle changes"] > .7 > alone["met mirror images"] and alone["met no changes"] > .7, alone
    assert e.record().answer(0)[2] and e.record().answer(-1)[2]  # what it opens with is right, and stays right
    e._act({"kind": "chip", "value": 0})  # the same in a mirror
    assert e.picture == 0 and e.record().answer(0)[2] and "averaging hurts" in e.narration
    e._act({"kind": "chip", "value": 1})  # one that is wrong alone
    p = e.predictions(e.picture, e.seed)
    assert p[0].argmax() != e.labels[e.picture] == p.mean(0).argmax() and "averaging helps" in str(e.scene(900).items)
    assert "averaging helps" in e.narration and "images" not in e._asked["code"]


@pytest.mark.parametrize("given, words", [
    (dict(images=PICTURES[0]), "give (n, h, w, c)"), (dict(labels=[1]), "1 labels for 6 images"),
    (dict(classes=["a"]), "1 classes"), (dict(n_views=40), "n_views=40"), (dict(picture=9), "picture=9: take 0 to 5"),
    (dict(net="none"), "net='none'"), (dict(rotate=-1.), "rotate=-1.0"), (dict(tilt=3), "'tilt' is none of"),
    (dict(nets={"a": "net"}), "nets['a'] is a str")])
def test_augment_refuses(given, words):
    with pytest.raises((ValueError, TypeError)) as e:
        AugmentExplorer(**{**dict(images=PICTURES, labels=LABELS, nets=tiny()), **given})
    assert words in str(e.value)


# ── ConvExplorer ──

@pytest.fixture(scope="module")
def made():
    e = opened(ConvExplorer())
    yield e
    e.close()


@pytest.fixture
def conv(made):
    with made.at_once():
        made.preset, made.stride = "upright edges", 1
        made.pad, made.cell = 0, 4
        made.layer = made.layers[0]
    return made


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("stride, pad", [(1, 0), (2, 1), (3, 2)])
def test_the_map_is_the_librarys(name, stride, pad):
    x = np.random.default_rng(1).random((11, 11))
    kernel = torch.tensor(PRESETS[name]).double().view(1, 1, 3, 3)
    theirs = F.conv2d(torch.tensor(x)[None, None], kernel, None, stride, pad)
    np.testing.assert_allclose(answers(x, PRESETS[name], stride, pad), theirs[0, 0].numpy(), atol=1e-12)


def test_the_sum_is_written_out_in_place(conv):
    conv.stride, conv.pad = 2, 1
    for place in (0, 5, conv.shape[0] ** 2 - 1):
        conv.place = place
        r = conv.record()
        assert r.under.shape == (3, 3) and abs((np.array(r.kernel).reshape(3, 3) * r.under).sum() - r.total) < 1e-9
        assert any(s.startswith(("adds up to ", "sum ")) for s in conv.scene().strings())


def test_weights_are_edited_cell_by_cell(conv):
    conv._act({"kind": "click", "id": "kernel", "x": 2.5, "y": 1.5})
    assert conv.cell == 5 and conv.weight == 1
    conv._act({"kind": "key", "key": "+"})
    assert conv.kernel == (*PRESETS["upright edges"][:5], 1.25, *PRESETS["upright edges"][6:]) and conv.preset == "own"
    conv.kernel = PRESETS["blur"]
    assert conv.preset == "blur" and conv.weight == 1 / 9
    conv.preset = "copy"
    np.testing.assert_allclose(conv.record().out, conv.pixels[1:-1, 1:-1])


def test_the_window_follows_the_hand_and_stays_where_it_was(conv):
    conv._act({"kind": "drag", "id": "picture", "x": 10.5, "y": 20.5})
    r = conv.record()
    assert (r.row, r.col) == (19, 9)
    conv.stride = 2
    assert (conv.record().row, conv.record().col) in {(9, 4), (10, 4), (9, 5), (10, 5)}
    conv._act({"kind": "drag", "id": "map", "x": 99.0, "y": -3.0})
    assert (conv.record().row, conv.record().col) == (0, conv.shape[1] - 1)


def test_maps_are_the_nets_and_learned_kernels_its_first_layers(conv):
    net, prepare, _ = load_net("dogscats-net")
    x = prepare(np.random.default_rng(0).integers(0, 255, (96, 96), dtype=np.uint8)[..., None].repeat(3, 2))
    found = feature_maps(net, x)
    assert list(found)[0] == "1: 24 maps of 48 × 48" and len(found) == 6 and not net.training
    codes, signed, channels, reach = list(found.values())[0]
    assert reach == 3 / 96
    with torch.no_grad(): first = net.trunk[0](x)[0, list(channels)].numpy()
    assert signed and all(np.corrcoef(c.ravel(), f.ravel())[0, 1] > .99 for c, f in zip(codes, first))
    # on a grey picture, the three colors' kernels act as their sum
    grey = x * torch.tensor(prepare.std).view(3, 1, 1)  # up to a constant
    k = torch.tensor(learned_kernels(net, prepare.std, channels)).view(-1, 1, 3, 3)
    ours = F.conv2d(grey[:, :1], k, None, 2, 1)[0, :, 1:-1, 1:-1].numpy()
    for a, b in zip(ours, first[:, 1:-1, 1:-1]): assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > .999
    conv._act({"kind": "click", "id": "layers-12", "x": 3.5, "y": .5})
    assert conv.preset == "learned" and conv.kernel == conv._learned[3] and not conv.error
    conv.layer = conv.layers[-1]
    conv._act({"kind": "hover", "id": "layers-6", "x": 1.5, "y": 1.5})
    assert conv.pointed == 7 and f"map {conv.record().channels[7] + 1} is largest at row" in conv.narration


def test_what_a_cell_has_seen_is_what_its_gradient_reaches():
    trunk, x = load_net("dogscats-net")[0].eval().trunk, torch.randn(1, 3, 300, 300, requires_grad=True)
    y, size, jump = x, 1, 1
    for part in trunk: y, (size, jump) = part(y), seen_by(part, size, jump)
    y[..., y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert size == rows.max() - rows.min() + 1 == 127


def test_answers_go_where_they_point(conv):
    conv._act({"kind": "chip", "value": 1})
    r = conv.record()
    assert r.total == r.out.max() and "where the window lies now" in conv._asked["answer"]
    conv._act({"kind": "chip", "value": -1})
    conv.pad = 2
    conv._act({"kind": "chip", "value": 4})
    r = conv.record()
    assert (conv.pad, r.reach > 1, r.maps[r.channel][spot(r)]) == (0, True, r.maps[r.channel].max())
    conv._act({"kind": "chip", "value": -1})


def test_a_net_of_ones_own_and_a_picture_of_ones_own():
    from lessonkit.convnets import ladder_net
    from lessonkit.course.nets import Preprocess

    mine = ladder_net("BatchNorm", .5), Preprocess((127., 127, 127), (60., 60, 60), 32), ["a"] * 10
    e = opened(ConvExplorer(PICTURES[0], mine, kernel=np.eye(3), n=12))
    assert len(e.layers) == 5 and "learned" not in e._names() and e.preset == "own"  # its first kernels are 5 x 5
    e.close()


@pytest.mark.parametrize("given, words", [
    (dict(picture=np.zeros((2, 9))), "give (h, w)"), (dict(picture=np.full((9, 9), 7.)), "0 to 1"),
    (dict(kernel=[1, 2]), "give nine numbers"), (dict(preset="edge"), "preset='edge'"), (dict(stride=4), "stride=4"),
    (dict(pad=-1), "pad=-1"), (dict(n=99), "n=99"), (dict(layer="9"), "layer='9'"), (dict(place=9999), "place=9999"),
    (dict(net=(nn.Sequential(nn.Flatten()), load_net("dogscats-net")[1], [])), "no convolution")])
def test_conv_refuses(given, words):
    with pytest.raises(ValueError) as e: ConvExplorer(**given)
    assert words in str(e.value)


def test_other_data_make_another_guess_right():
    "What is right is read off the record; where no guess fits, there are none."
    dark = np.zeros((30, 30))
    for make, i, right in ((ConvExplorer, 3, "larger than inside"),
                           (lambda: ConvExplorer(dark), 3, "no larger than inside"),
                           (NetworkExplorer, 0, "worse"), (lambda: NetworkExplorer(n_step=40), 0, "better")):
        e = opened(make())
        e._act({"kind": "chip", "value": i, "guess": 0})
        assert e._asked["right"] == right, e._asked
        e.close()
    assert not opened(ConvExplorer(dark))._questions[1].guesses
