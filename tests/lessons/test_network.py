"""What lesson 04 promises of its networks, for shapes, seeds and points it has not seen, and of its explorer."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lessonkit.explorers.network import NetworkExplorer
from lessonkit.explorers.network_data import STARTS, bends, folds, pulls, start, with_bend, with_fold
from lessonkit.network import (RULES, TASKS, Layer, draw_network, dropout, forward, gradients, loss, make_curve,
                               make_rings, relu, through, train)

seeds = st.integers(0, 2**31)
LOSSES = {"curve": F.mse_loss, "classes": F.binary_cross_entropy_with_logits}


def module(net) -> nn.Sequential:
    "The same network in torch's own layers."
    parts = []
    for weight, bias in net:
        layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        layer.load_state_dict(dict(weight=torch.tensor(weight), bias=torch.tensor(bias)))
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


@given(sizes=st.lists(st.integers(1, 7), min_size=2, max_size=5), n=st.integers(1, 20), seed=seeds,
       task=st.sampled_from(TASKS), rule=st.sampled_from(list(RULES)))
@settings(max_examples=150, deadline=None)
def test_value_loss_and_gradient_are_torch_s(sizes, n, seed, task, rule):
    rng = np.random.default_rng(seed)
    net = draw_network(sizes, rule, seed, bias=1)
    x, y = rng.normal(size=(n, sizes[0])), rng.integers(0, 2, (n, sizes[-1])).astype(float)
    theirs, outs = module(net), forward(net, x)
    out = theirs(torch.tensor(x))
    value = LOSSES[task](out, torch.tensor(y))
    value.backward()
    np.testing.assert_allclose(outs[-1], out.detach(), atol=1e-12)
    assert abs(loss(outs[-1], y, task) - value.item()) < 1e-12
    ours = [p for layer in gradients(net, outs, y, task) for p in layer]
    for p, q in zip(ours, theirs.parameters()): np.testing.assert_allclose(p, q.grad, atol=1e-12)


@given(seed=seeds, n=st.integers(0, 25), momentum=st.sampled_from([0, 0.5, 0.9]), task=st.sampled_from(TASKS))
@settings(max_examples=30, deadline=None)
def test_training_is_torch_s_sgd(seed, n, momentum, task):
    x, y = make_rings(20, seed=seed)
    net = draw_network([2, 5, 1], seed=seed, bias=1)
    run, theirs = train(net, x, y, (x[:3], y[:3]), 0.01, n, momentum, task), module(net)
    opt = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=momentum)
    for k in range(n + 1):
        value = LOSSES[task](theirs(torch.tensor(x)), torch.tensor(y))
        assert abs(run.train[k] - value.item()) < 1e-9
        assert abs(run.valid[k] - LOSSES[task](theirs(torch.tensor(x[:3])), torch.tensor(y[:3])).item()) < 1e-9
        opt.zero_grad()
        value.backward()
        opt.step()
    assert len(run.nets) == len(run.train) == len(run.valid) == n + 1


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-9, 9)), min_size=2, max_size=12,
                unique_by=lambda p: round(p[0], 1)))
@settings(max_examples=200, deadline=None)
def test_a_network_through_points_is_straight_between_them(points):
    x, y = np.array(sorted(points)).T
    net, between = through(x, y), np.linspace(x[0], x[-1], 101)
    assert net[0].weight.shape == (len(x) - 1, 1)
    np.testing.assert_allclose(forward(net, between[:, None])[-1][:, 0], np.interp(between, x, y), atol=1e-6)


@given(n=st.integers(20, 300), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_he_s_rule_keeps_the_mean_square(n, seed):
    "Through eight layers with ReLU; the course's old rule loses a factor of √(2n) a layer."
    x = np.random.default_rng(seed).normal(size=(200, n))
    sizes = [n] * 9
    size = lambda rule: np.sqrt((forward(draw_network(sizes, rule, seed), x)[-2] ** 2).mean())
    assert 1 / 6 < size("he") < 6
    assert 1 / 6 < size("by inputs") * (2 * n) ** 3.5 < 6


@given(shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), p=st.floats(0, 0.95), seed=seeds)
@settings(max_examples=100, deadline=None)
def test_dropout_zeroes_or_enlarges(shape, p, seed):
    torch.manual_seed(seed)
    h = torch.rand(shape) + 1
    out = dropout(h, p)
    kept = out != 0
    torch.testing.assert_close(out[kept], h[kept] / (1 - p))
    assert dropout(h, p, training=False) is h
    torch.manual_seed(seed)
    torch.rand(shape)
    torch.testing.assert_close(F.dropout(h, p), out)


def test_dropout_keeps_the_mean_and_a_share():
    out = dropout(torch.ones(400, 500), 0.3)
    assert abs(out.mean() - 1) < 0.01 and abs((out == 0).float().mean() - 0.3) < 0.01


@pytest.mark.parametrize("z", [np.array([-1.0, 0.0, 2.5]), torch.tensor([-1.0, 0.0, 2.5])], ids=["numpy", "torch"])
def test_relu_is_of_its_argument_s_type(z):
    assert type(relu(z)) is type(z) and relu(z).tolist() == [0, 0, 2.5]


def test_points_come_from_the_seed_alone():
    for make in (make_curve, make_rings):
        for a, b in zip(make(30, seed=5), make(30, seed=5)): np.testing.assert_array_equal(a, b)
        assert not np.array_equal(make(30, seed=5)[0], make(30, seed=6)[0])


# ── the explorer ──

@given(kind=st.sampled_from(list(STARTS)), units=st.integers(1, 24), depth=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_a_dead_start_alone_is_dead(kind, units, depth, seed):
    (x, y), (rings, inside) = make_curve(), make_rings()
    for a, b, task in ((x, y, "curve"), (rings, inside, "classes")):
        reach = float(np.linalg.norm(a, axis=1).max())
        net = start(kind, [a.shape[1], *[units] * depth, 1], seed, reach)
        off = (forward(net, a)[1] == 0).all()
        if kind == "dead": assert off and pulls(net, a, b, task)[0] == 0
        elif units > 8: assert not off


@given(seed=st.integers(0, 999), unit=st.integers(0, 4), at=st.floats(-1.2, 1.2), up=st.floats(-1.4, 1.4))
@settings(max_examples=100, deadline=None)
def test_what_is_moved_stands_where_it_was_put(seed, unit, at, up):
    net = start("right", [1, 5, 1], seed)
    moved = with_bend(net, unit, at)
    assert abs(bends(moved)[unit] - at) < 1e-9
    others = np.arange(5) != unit
    np.testing.assert_array_equal(bends(moved)[others], bends(net)[others])
    if np.hypot(at, up) > 0.03:
        plane = start("right", [2, 5, 1], seed)
        np.testing.assert_allclose(folds(with_fold(plane, unit, (at, up)))[unit], (at, up), atol=1e-9)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_use_leaves_a_whole_picture(data):
    "Whatever is dragged, pressed or set: no error, no overlap, a sentence without nan, the losses those of the net."
    e = NetworkExplorer(task=data.draw(st.sampled_from(TASKS)), units=data.draw(st.integers(1, 6)))
    try:
        for _ in range(6):
            what = data.draw(st.sampled_from(["drag", "key", "chip", "set"]))
            if what == "drag":
                id = data.draw(st.sampled_from(["bend", "tip", "fold", "parts", "step"]))
                if id in ("bend", "tip") and (e.task != "curve" or e.depth > 1) or id == "fold" and e.task == "curve":
                    continue
                x, y = data.draw(st.floats(-2, 2)), data.draw(st.floats(-3, 3))
                for kind in ("drag", "drop"): e._act(dict(kind=kind, id=id, x=x, y=y))
            elif what == "key":
                e._act(dict(kind="key", key=data.draw(st.sampled_from(["ArrowUp", "ArrowRight", "End", "PageDown"]))))
            elif what == "chip": e._act(dict(kind="chip", value=data.draw(st.integers(0, 3))))
            else:
                name = data.draw(st.sampled_from(["units", "depth", "start", "rate", "task"]))
                control = next(c for c in e.controls() if c.name == name)
                last = len(getattr(control, "options", "ab")) - 1
                e._act(dict(kind="set", name=name, value=data.draw(st.integers(0, last))))
            assert not e.error, e.error
            for width in (360, 860): assert not (faults := e.scene(width).faults()), faults
            assert "nan" not in e.narration.lower() and "inf" not in e.narration.lower()
            r = e.record()
            again = loss(forward(r.net, r.x)[-1], r.y, e.task)
            assert again == pytest.approx(r.train[r.at], nan_ok=True)
    finally: e.close()


def test_a_learner_s_layer_is_taken():
    net = [Layer(np.ones((2, 1)), np.zeros(2)), Layer(np.ones((1, 2)), np.zeros(1))]
    assert forward(net, np.array([[2.0]]))[-1].tolist() == [[4.0]]
