"""Lesson 41's module from outside: the convolution by hand, BatchNorm beside the library's, the ladder."""
import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lessonkit.exercises.convnets  # noqa: F401  registers the exercises
from lessonkit.convnets import (RUNGS, BatchNorm, Residual, conv_layer, ladder_net, layer_stats, slide, summary,
                                watched)
from lessonkit.course.exercises import exercise

torch.set_num_threads(1)
RESULTS = json.loads((Path(__file__).resolve().parents[2] / "benchmarks" / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("shape", [(5, 6), (9, 4), (3, 3)])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 2), (2, 3)])
@pytest.mark.parametrize("stride, pad", [(1, 0), (1, 1), (2, 1), (3, 2)])
def test_sliding_is_the_librarys_convolution(shape, kernel, stride, pad):
    x, k = torch.randn(shape), torch.randn(kernel)
    theirs = F.conv2d(x[None, None], k[None, None], None, stride, pad)[0, 0]
    torch.testing.assert_close(slide(x, k, stride, pad), theirs)


def pair(nf: int = 4, **kwargs) -> tuple[BatchNorm, nn.BatchNorm2d]:
    "Ours and the library's, with the same weights that are not 1 and 0."
    ours, theirs = BatchNorm(nf, **kwargs), nn.BatchNorm2d(nf, **kwargs)
    with torch.no_grad():
        ours.weight.uniform_(.5, 2)
        ours.bias.normal_()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def close(a, b): torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (8, 4, 5, 3), (1, 4, 6, 6)])
@pytest.mark.parametrize("kwargs", [{}, {"momentum": .3, "eps": 1e-3}])
def test_batch_norm_is_the_librarys_in_both_modes(shape, kwargs):
    torch.manual_seed(0)
    ours, theirs = pair(**kwargs)
    for _ in range(5):
        x = torch.randn(shape, dtype=torch.float64) * 2 + 1
        close(ours.double()(x), theirs.double()(x))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()): close(a, b)
    close(ours.eval()(x), theirs.eval()(x))


def test_batch_norms_gradients_are_the_librarys():
    torch.manual_seed(0)
    ours, theirs = (m.double() for m in pair())
    a = torch.randn(6, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    b, way = a.detach().clone().requires_grad_(), torch.randn(6, 4, 3, 3, dtype=torch.float64)
    for m, x in ((ours, a), (theirs, b)): (m(x) * way).sum().backward()
    close(a.grad, b.grad)
    for p, q in zip(ours.parameters(), theirs.parameters()): close(p.grad, q.grad)


def test_frozen_statistics_stay_and_are_used_while_training():
    torch.manual_seed(0)
    ours, theirs = pair()
    seen = torch.randn(9, 4, 3, 3) + 3
    for m in (ours, theirs): m(seen)
    ours.frozen, was = True, copy.deepcopy(ours.state_dict())
    x = torch.randn(5, 4, 3, 3)
    close(ours.train()(x), theirs.eval()(x))
    assert all(torch.equal(v, was[k]) for k, v in ours.state_dict().items())
    ours(x).sum().backward()
    assert ours.weight.grad is not None  # weight and bias still learn
    close(ours(x[:1]), ours(x)[:1])  # a picture's answer depends on no other


@pytest.mark.parametrize("name", RUNGS)
def test_the_rungs_are_the_recorded_ones(name):
    net = ladder_net(name)
    assert sum(p.numel() for p in net.parameters()) == RESULTS["gpu/cifar-ladder"]["rungs"][name]["weights"]
    small = ladder_net(name, .25, nn.BatchNorm2d)
    small(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in small.parameters())


def test_a_residual_block_whose_body_says_nothing_passes_its_input_on():
    block = Residual(conv_layer(3, 3, 1, norm=BatchNorm))
    nn.init.zeros_(block.body[-1].weight)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("order", ["conv relu norm", "conv norm relu", "norm conv relu"])
def test_a_layers_parts_stand_in_the_order_asked_for(order):
    names = {nn.Conv2d: "conv", nn.ReLU: "relu", BatchNorm: "norm"}
    layer = conv_layer(3, 5, norm=BatchNorm, order=order)
    assert " ".join(names[type(m)] for m in layer) == order
    assert layer(torch.randn(2, 3, 8, 8)).shape == (2, 5, 4, 4)
    assert [m.bias for m in layer if isinstance(m, nn.Conv2d)] == [None]  # BatchNorm's own bias takes over
    assert [m.bias is not None for m in conv_layer(3, 5) if isinstance(m, nn.Conv2d)] == [True]


def test_looking_leaves_nothing_behind():
    net = ladder_net("ResNet", .25).train()
    net[1].eval()
    was, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    layer_stats(net, torch.randn(4, 3, 32, 32))
    summary(net)
    with pytest.raises(RuntimeError), watched(net): raise RuntimeError
    assert not any(m._forward_hooks for m in net.modules()) and modes == [m.training for m in net.modules()]
    assert all(torch.equal(v, was[k]) for k, v in net.state_dict().items())


def test_a_summary_counts_as_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5))
    table = summary(net, (3, 8, 8))
    assert table["shape"].tolist() == [(4, 8, 8), (5,)] and table.weights.tolist() == [4 * 27 + 4, 5 * 256 + 5]
    assert table.mflop.tolist() == [2 * 64 * 4 * 27 / 1e6, 2 * 5 * 256 / 1e6]


def test_activations_are_told_as_they_are():
    x = torch.tensor([[-1., 3], [0, 2]])
    row = layer_stats(nn.Sequential(nn.ReLU()), x, (nn.ReLU,)).iloc[0]
    assert (row.layer, row.kind, row.zeros, row["mean"]) == ("0", "ReLU", .5, 1.25)
    assert row.spread == pytest.approx(F.relu(x).std().item())


def normalised(x, weight, bias, eps, axes=(0, 2, 3), correction=0):
    "BatchNorm, over the wrong axes or with the wrong count where asked."
    mean, var = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=correction)
    return (x - mean) / (var + eps).sqrt() * weight[:, None, None] + bias[:, None, None]


WRONG = {
    "convnets/size": [lambda n, k, s, p: (n + 2 * p - k) // s, lambda n, k, s, p: (n + p - k) // s + 1,
                      lambda n, k, s, p: n // s],
    "convnets/batch-norm": [lambda *a: normalised(*a, correction=1), lambda *a: normalised(*a, axes=(0, 1, 2, 3)),
                            lambda x, w, b, e: normalised(x, w / w, b, e)],
    "convnets/fold": [lambda k, m, v, w, b, e: (k * (w / (v + e).sqrt())[:, None, None, None], b),
                      lambda k, m, v, w, b, e: (k * (w / v)[:, None, None, None], b - m * w / v)],
}


@pytest.mark.parametrize("name", WRONG)
def test_exercises_accept_the_answer_and_no_wrong_one(name):
    assert exercise(name).check(exercise(name).reference)
    for wrong in WRONG[name]: assert not exercise(name).check(wrong)
