"""Class activation maps: the closed form, on every kind of net, mode and shape; Grad-CAM against it; no trace left."""
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessonkit.cam import (area_under_curve, cam, erased, evaluating, grad_cam, hooked, hot_box, inside, look_again,
                           scaled, shuffled_net, to_pixels)
from lessonkit.course.nets import load_net


class Hidden(nn.Module):
    "A net whose last maps and pooling have no module of their own."

    def __init__(self, pool=lambda a: a.mean((2, 3)), drop=0.):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.late = nn.Conv2d(6, 8, 3, 2)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(8, 4)
        self.pool = pool

    def forward(self, x): return self.head(self.drop(self.pool(self.act(self.late(F.relu(self.norm(self.conv(x))))))))


@pytest.fixture
def x(): return torch.randn(3, 3, 20, 26, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Hidden(drop=.5).eval()


def state(model):
    return ([m.training for m in model.modules()], [p.grad for p in model.parameters()],
            [len(m._forward_hooks) for m in model.modules()], deepcopy(model.state_dict()))


def assert_untouched(model, before):
    after = state(model)
    assert after[:3] == before[:3] and all(torch.equal(v, before[3][k]) for k, v in after[3].items())


@pytest.mark.parametrize("name", ["cifar-net", "dogscats-net"])
@pytest.mark.parametrize("size", [(96, 96), (64, 112)])
def test_mean_of_the_map_is_the_logit_without_its_bias(name, size):
    model, _, classes = load_net(name)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    maps = cam(model, x)
    assert maps.shape[:2] == (2, len(classes)) and not maps.requires_grad
    torch.testing.assert_close(maps.mean((2, 3)), (model(x) - model.head.bias).detach(), atol=1e-5, rtol=1e-5)


def test_finds_maps_that_have_no_module(net, x):
    maps = cam(net, x)
    assert maps.shape == (3, 4, 9, 12)
    torch.testing.assert_close(maps.mean((2, 3)), (net(x) - net.head.bias).detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_modes_hooks_and_statistics_are_as_before(net, x, training):
    net.train(training)
    net.norm.eval()
    before, rng = state(net), torch.get_rng_state()
    maps = cam(net, x)
    grad_cam(net, x, 1, "act")
    assert_untouched(net, before)
    assert torch.equal(rng, torch.get_rng_state())
    torch.testing.assert_close(maps, cam(net.eval(), x))


def test_nothing_is_left_where_the_net_fails(net, x):
    before = state(net.train())
    for f in (lambda: cam(net, x[:, :2]), lambda: grad_cam(net, x[:, :2], 0, "late")):
        with pytest.raises(RuntimeError): f()
        assert_untouched(net, before)


@pytest.mark.parametrize("dtype,close", [(torch.float64, 1e-10), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)])
def test_other_precisions(net, x, dtype, close):
    net, x = net.to(dtype), x.to(dtype)
    maps = cam(net, x)
    assert maps.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    want = (net(x) - net.head.bias).detach().to(maps.dtype)
    torch.testing.assert_close(maps.mean((2, 3)), want, atol=close, rtol=close)
    got = grad_cam(net, x, 2, "act") * maps[0, 0].numel()
    torch.testing.assert_close(got, maps[:, 2], atol=close * 10, rtol=close * 10)


def test_any_batch(net, x):
    assert cam(net, x[:0]).shape == (0, 4, 9, 12) and grad_cam(net, x[:0], None, "late").shape == (0, 9, 12)
    torch.testing.assert_close(cam(net, x[:1])[0], cam(net, x)[0], atol=1e-5, rtol=1e-5)


def test_constant_pictures_give_no_nan(net):
    for value in (0., 1.):
        blank = torch.full((2, 3, 20, 20), value)
        for maps in (cam(net, blank), grad_cam(net, blank, 0, "act"), scaled(cam(net, blank) * 0)):
            assert maps.isfinite().all()
    assert not scaled(torch.zeros(2, 3)).any()


def test_a_picture_that_has_its_history(net, x):
    x = x.requires_grad_()
    assert not cam(net, x).requires_grad and not grad_cam(net, x, 0, "act").requires_grad and x.grad is None


def test_frozen_nets_and_inference_mode(net, x):
    net.requires_grad_(False)
    want = cam(net, x)[:, 1]
    with torch.no_grad(): torch.testing.assert_close(grad_cam(net, x, 1, "act") * 108, want, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(cam(net, x.clone())[:, 1], want)
        torch.testing.assert_close(grad_cam(net, x.clone(), 1, "act") * 108, want, atol=1e-4, rtol=1e-4)


def test_mean_of_class_maps_alone(x):
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    torch.testing.assert_close(cam(model, x).mean((2, 3)), model(x).detach())


@pytest.mark.parametrize("model", [
    Hidden(lambda a: a.amax((2, 3))),
    nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
    nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8), nn.ReLU(),
                  nn.Linear(8, 2)),
    nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Flatten(), nn.Linear(520, 2)),
], ids=["max", "max-pool", "hidden", "flat"])
def test_other_ends_are_refused_and_grad_cam_answers(model, x):
    with pytest.raises(ValueError, match="not the means"): cam(model, x)
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    assert grad_cam(model, x, 0, first).shape[0] == 3


def test_nets_without_a_linear_layer_or_scores(x):
    by_max = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match="no linear layer"): cam(by_max, x)
    with pytest.raises(ValueError, match=r"scores \(n, n_class\); it gave a tensor"): cam(nn.Conv2d(3, 2, 3), x)


def test_grad_cam_on_the_last_maps_is_cam(net, x):
    maps, k = cam(net, x), torch.tensor([3, 0, 2])
    own = maps[range(3), k]
    for layer in ("act", net.act):
        torch.testing.assert_close(grad_cam(net, x, k, layer) * 108, own, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(grad_cam(net, x, k, "act", relu=True) * 108, own.relu(), atol=1e-4, rtol=1e-4)
    best = net(x).argmax(1)
    torch.testing.assert_close(grad_cam(net, x, None, "act"), grad_cam(net, x, best, "act"))


def test_grad_cam_by_definition(net, x):
    "An early layer, its gradient taken by autograd in the plain way."
    A = F.relu(net.norm(net.conv(x))).detach().requires_grad_()
    y = net.head(net.act(net.late(A)).mean((2, 3)))
    grad, = torch.autograd.grad(y[:, 1].sum(), A)
    want = (grad.mean((2, 3), keepdim=True) * A).sum(1).detach()

    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.early = nn.Sequential(net.conv, net.norm, nn.ReLU())

        def forward(self, x): return net.head(net.act(net.late(self.early(x))).mean((2, 3)))

    model = Split().eval()
    torch.testing.assert_close(grad_cam(model, x, 1, "early"), want, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("target,layer,words", [
    (4, "act", "from 0 to 3"), (-1, "act", "from 0 to 3"), (1.5, "act", "from 0 to 3"), (True, "act", "from 0 to 3"),
    (torch.tensor([0, 1]), "act", "one for each picture"), (0, "nowhere", "'nowhere' is none"),
    (0, nn.ReLU(), "'ReLU' is none"), (0, "head", "gives no maps")])
def test_bad_questions_are_named(net, x, target, layer, words):
    with pytest.raises(ValueError, match=words): grad_cam(net, x, target, layer)


def test_layers_that_run_twice_or_do_not_matter(x):
    act = nn.ReLU()
    twice = nn.Sequential(nn.Conv2d(3, 4, 3), act, nn.Conv2d(4, 4, 3), act, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match="runs 2 times"): grad_cam(twice, x, 0, act)

    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 2, 3)
            self.b = nn.Conv2d(3, 2, 3)
            self.never = nn.Conv2d(3, 2, 3)

        def forward(self, x): return self.b(x).mean((2, 3)) + 0 * self.a(x).detach().mean((2, 3))

    with pytest.raises(ValueError, match="do not depend"): grad_cam(Aside(), x, 0, "a")
    with pytest.raises(ValueError, match="runs 0 times"): grad_cam(Aside(), x, 0, "never")


@pytest.mark.parametrize("bad", [torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [1]])
def test_what_is_no_batch_of_pictures_is_named(net, bad):
    with pytest.raises(ValueError, match="x must be a float tensor"): cam(net, bad)
    with pytest.raises(ValueError, match="x must be a float tensor"): grad_cam(net, bad, 0, "act")


def test_hooks_end_with_their_block(net):
    with pytest.raises(KeyError):
        with hooked(net.modules(), lambda *a: None), evaluating(net): raise KeyError
    assert not any(m._forward_hooks for m in net.modules())


def test_boxes_and_energy():
    heat = torch.zeros(2, 8, 8)
    heat[0, 2, 3], heat[0, 7, 7], heat[1] = 3, 1, -1
    hit, share, area = inside(heat, torch.tensor([[2, 2, 4, 4], [0, 0, 8, 4]]), 8)
    assert hit.tolist() == [True, False] and share.tolist() == [.75, 0] and area.tolist() == [4 / 64, .5]
    assert not inside(heat, torch.tensor([[3, 3, 4, 4]] * 2), 8)[0][0]
    assert inside(heat, torch.tensor([[3, 3, 4, 4]] * 2), 8, slack=1)[0][0]
    with pytest.raises(ValueError, match="2 maps and 1 boxes"): inside(heat, torch.zeros(1, 4), 8)
    faint = torch.full((1, 4, 4), .1)
    faint[0, 1, 1] = 1  # the rest is a tenth of it
    half = torch.tensor([[0, 0, 2, 4]])
    assert torch.allclose(inside(faint, half, 4)[1], torch.tensor(1.7 / 2.5))
    assert torch.allclose(inside(faint, half, 4, cut=.2)[1], torch.tensor(1.))
    assert torch.allclose(inside(faint, half, 4, cut=.05)[1], torch.tensor(1.7 / 2.5))


def test_zoom():
    heat = torch.zeros(1, 10, 20)
    heat[0, 1, 17] = 1
    box = hot_box(heat, .5)
    t, left, b, r = box[0].tolist()
    assert t <= 1 < b and left <= 17 < r and (b - t, r - left) == (5, 10)
    x = torch.rand(1, 3, 10, 20)
    assert look_again(x, box).shape == x.shape
    torch.testing.assert_close(look_again(x, torch.tensor([[0, 0, 10, 20]])), x)
    with pytest.raises(ValueError, match="side=2"): hot_box(heat, 2)


def test_deletion_and_insertion(net, x):
    y, fill, heat = net(x).argmax(1), torch.zeros_like(x), torch.rand(3, 20, 26)
    keep = x.clone()
    gone, back = erased(net, x, y, heat, fill, 4), erased(net, x, y, heat, fill, 4, insert=True)
    p = [net(t).softmax(1).detach()[range(3), y] for t in (x, fill)]
    for got, want in ((gone[:, 0], p[0]), (gone[:, -1], p[1]), (back[:, 0], p[1]), (back[:, -1], p[0])):
        torch.testing.assert_close(got, want)
    torch.testing.assert_close(gone[:, 1], erased(net, x, y, -heat, fill, 4, insert=True)[:, 3])
    assert torch.equal(x, keep)
    torch.testing.assert_close(area_under_curve(torch.tensor([[0., 1], [1, 1]])), torch.tensor([.5, 1]))
    with pytest.raises(ValueError, match="heat must be"): erased(net, x, y, heat[:, :3], fill)


def test_shuffled_keeps_the_numbers_and_the_net(net):
    before = deepcopy(net.state_dict())
    other = shuffled_net(net, 1, "late")
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not torch.equal(other.late.weight, net.late.weight) and torch.equal(other.head.weight, net.head.weight)
    assert torch.equal(other.late.weight.flatten().sort()[0], net.late.weight.flatten().sort()[0])
    with pytest.raises(ValueError, match="no weight"): shuffled_net(net, 0, "nothing")


def test_to_pixels_keeps_any_leading_shape():
    maps = torch.arange(12.).view(1, 3, 2, 2)
    full = to_pixels(maps, (4, 6))
    assert full.shape == (1, 3, 4, 6)
    torch.testing.assert_close(full.mean((2, 3)), maps.mean((2, 3)))
    assert to_pixels(maps[0, 0], 4).shape == (4, 4)
