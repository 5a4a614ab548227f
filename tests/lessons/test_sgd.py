"""What lesson 01 promises of its gradients, its optimizers and its edge, for points, settings and starts it has
not seen."""
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lessonkit.learner import DataLoaders, Learner
from lessonkit.sgd import (OPTIMIZERS, SGD, Adam, Grouped, Momentum, RMSProp, descend, fit_line, largest_stable_lr,
                           loss_surface, make_points, mse, mse_grad, mse_hessian)

O = torch.optim
number = st.floats(-5, 5)
points = dict(seed=st.integers(0, 2**31), n=st.integers(2, 50), a=number, b=number)


@given(**points)
@settings(max_examples=100, deadline=None)
def test_gradient_and_hessian_are_autograds(seed, n, a, b):
    x, y = make_points(n, seed=seed)
    loss = lambda p: mse(p, torch.tensor(x), torch.tensor(y))
    p = torch.tensor([a, b], dtype=torch.float64, requires_grad=True)
    loss(p).backward()
    np.testing.assert_allclose(mse_grad((a, b), x, y), p.grad, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mse_hessian(x), torch.autograd.functional.hessian(loss, p.detach()), rtol=1e-9)


PAIRS = {
    "SGD": (lambda p, lr, wd, b: SGD(p, lr, wd=wd), lambda p, lr, wd, b: O.SGD(p, lr, weight_decay=wd)),
    "momentum": (
        lambda p, lr, wd, b: Momentum(p, lr, b, wd=wd),
        lambda p, lr, wd, b: O.SGD(p, lr, momentum=b, weight_decay=wd),
    ),
    "RMSProp": (
        lambda p, lr, wd, b: RMSProp(p, lr, alpha=b, wd=wd),
        lambda p, lr, wd, b: O.RMSprop(p, lr, alpha=b, weight_decay=wd),
    ),
    "Adam": (
        lambda p, lr, wd, b: Adam(p, lr, (b, 0.99), wd=wd),
        lambda p, lr, wd, b: O.Adam(p, lr, betas=(b, 0.99), weight_decay=wd),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@given(
    seed=st.integers(0, 2**31),
    lr=st.floats(1e-4, 0.1),
    wd=st.sampled_from([0, 1e-3, 0.1, 0.3]),
    beta=st.floats(0.1, 0.99),
)
@settings(max_examples=15, deadline=None)
def test_every_optimizer_is_torchs_step_by_step(name, seed, lr, wd, beta):
    """The same gradients given to both, drawn at random; a parameter without one stays where it is; the rate
    changes on the way."""
    g = torch.Generator().manual_seed(seed)
    start = [torch.randn(s, generator=g, dtype=torch.float64) for s in [(3, 2), (4,), ()]]
    ours, theirs = ([p.clone() for p in start] for _ in range(2))
    idle = torch.ones(2)
    one, other = (make(params, lr, wd, beta) for make, params in zip(PAIRS[name], (ours + [idle], theirs)))
    for i in range(50):
        for p, q in zip(ours, theirs):
            p.grad = torch.randn(p.shape, generator=g, dtype=torch.float64)
            q.grad = p.grad.clone()
        if i == 25:
            one.lr = other.param_groups[0]["lr"] = lr / 3
        kept = [p.grad.clone() for p in ours]
        one.step(), other.step()
        for p, q in zip(ours, theirs):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)
        assert all(torch.equal(p.grad, k) for p, k in zip(ours, kept)), "a step must leave the gradient as it is"
    assert torch.equal(idle, torch.ones(2)) and idle.grad is None
    one.zero_grad()
    assert all(p.grad is None for p in ours)


def test_it_trains_a_module_in_its_own_precision():
    for kind in (SGD, Momentum, RMSProp, Adam):
        torch.manual_seed(0)
        model, x = torch.nn.Linear(3, 1), torch.randn(64, 3)
        y, opt = x.sum(1, keepdim=True), kind(model.parameters(), lr=0.03)
        for _ in range(100):
            opt.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            opt.step()
        assert loss < 0.5 and model.weight.dtype == torch.float32 and model.weight.requires_grad


@given(seed=st.integers(0, 2**31), shift=st.floats(-2, 2), momentum=st.sampled_from([0, 0.5, 0.9]))
@settings(max_examples=30, deadline=None)
def test_the_edge_is_where_it_is_said_to_be(seed, shift, momentum):
    x, y = make_points(20, seed=seed)
    x = x + shift
    edge, best = largest_stable_lr(x, momentum), np.polyfit(x, y, 1)
    far = best + np.linalg.eigh(mse_hessian(x))[1][:, -1]  # one unit away, in the steepest direction
    inside, outside = (
        descend(x, y, Momentum, lr=s * edge, momentum=momentum, start=far, n=2500).params for s in (0.97, 1.03)
    )
    assert np.abs(inside[-1] - best).max() < 1e-6 and len(inside) == 2501
    assert np.abs(outside[-1]).max() > 1e6 and np.isfinite(outside).all()


def test_a_path_that_runs_away_ends_before_it_is_no_number():
    walk = descend(*make_points(), lr=3.0, n=1000)
    assert 1 < len(walk.params) == len(walk.losses) < 1001 and np.isfinite(walk.losses).all()


def test_hand_written_loop_and_optimizer_take_the_same_path():
    x, y = make_points()
    np.testing.assert_allclose(
        descend(x, y, lr=0.2, start=(1, -2)).params, fit_line(x, y, lr=0.2, n=80, start=(1, -2)), rtol=1e-10
    )


def test_lists_and_whole_numbers_are_points_too():
    assert fit_line([0, 1, 2], [1, 3, 5], lr=0.2, n=500)[-1] == pytest.approx([2, 1])
    assert loss_surface([0, 1], [0, 1], [1, 2, 3], [0, 1]).shape == (2, 3)


TWINS = {
    "SGD": O.SGD, "momentum": partial(O.SGD, momentum=0.9), "RMSProp": O.RMSprop, "Adam": O.Adam,
}


def _learner(opt_fn, dtype=torch.float64):
    torch.manual_seed(0)
    x = torch.randn(64, 4, dtype=dtype)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).to(dtype)
    dls = DataLoaders.from_arrays((x, x.sum(1, keepdim=True)), (x[:16], x[:16].sum(1, keepdim=True)), bs=16, seed=0)
    halves = lambda m: [list(m[0].parameters()), list(m[2].parameters())]
    return Learner(model, dls, torch.nn.functional.mse_loss, opt_fn, splitter=halves, device="cpu")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learner_takes_them_with_rates_by_group_and_resumes(name, tmp_path):
    """50 steps with decay and a rate a group, as torch's; cut in two by a checkpoint, in a new learner, bit for
    bit the same."""
    ours = partial(Grouped, kind=OPTIMIZERS[name])
    run = lambda learn, n, **kw: learn.fit(n, [1e-3, 1e-2], wd=0.1, show=False, **kw)
    whole, theirs = run(_learner(ours), 13), run(_learner(TWINS[name]), 13)
    for p, q in zip(whole.model.parameters(), theirs.model.parameters()):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)
    cut = _learner(ours)
    class Enough(Exception): pass
    class Cut:
        def __init__(self, at): self.at = at
        def after_epoch(self, learn):
            if learn.epoch == self.at: raise Enough
    with pytest.raises(Enough): run(cut, 13, checkpoint=tmp_path / "run", cbs=[Cut(6)])
    again = run(_learner(ours), 13, checkpoint=tmp_path / "run", resume=True, cbs=[Cut(None)])
    for p, q in zip(whole.model.parameters(), again.model.parameters()): assert torch.equal(p, q)


def test_momentum_lives_in_the_groups_and_can_be_set_there():
    "load_state_dict brings it back, and a schedule of the learner's may change it."
    def learner(kind, **options): return _learner(partial(Grouped, kind=OPTIMIZERS[kind], **options))
    learn = learner("momentum", momentum=0.5).fit(1, 1e-3, mom=lambda pos: 0.7, show=False)
    assert {g["momentum"] for g in learn.opt.param_groups} == {0.7}
    other = learner("momentum", momentum=0.1).fit(1, 1e-3, show=False)
    other.opt.load_state_dict(learn.opt.state_dict())
    assert {g["momentum"] for g in other.opt.param_groups} == {0.7}
    assert learner("Adam", betas=(0.5, 0.6)).fit(1, 1e-3, mom=0.8, show=False).opt.param_groups[0]["betas"] == (
        0.8,
        0.6,
    )
    theirs = _learner(partial(torch.optim.SGD, momentum=0.9)).fit(3, 1e-3, mom=lambda pos: 0.9 - 0.5 * pos, show=False)
    ours = learner("momentum").fit(3, 1e-3, mom=lambda pos: 0.9 - 0.5 * pos, show=False)
    for p, q in zip(ours.model.parameters(), theirs.model.parameters()): torch.testing.assert_close(p, q)


@pytest.mark.parametrize(
    "words, make",
    [
        ("twice", lambda p: OPTIMIZERS["SGD"]([p, p], 0.1)),
        ("Grouped", lambda p: OPTIMIZERS["SGD"]([{"params": [p]}], 0.1)),
        ("momentum=-1", lambda p: OPTIMIZERS["momentum"]([p], 0.1, momentum=-1)),
        ("betas", lambda p: OPTIMIZERS["Adam"]([p], 0.1, betas=(0.9, 1.5))),
        ("alpha", lambda p: OPTIMIZERS["RMSProp"]([p], 0.1, alpha=2)),
        ("eps=-1", lambda p: OPTIMIZERS["RMSProp"]([p], 0.1, eps=-1)),
        ("eps=nan", lambda p: OPTIMIZERS["Adam"]([p], 0.1, eps=float("nan"))),
        ("twice", lambda p: Grouped([p, p], 0.1)),
        ("lr=-3", lambda p: Grouped([{"params": [p], "lr": -3}], 0.1)),
        ("momentum=-1", lambda p: Grouped([{"params": [p], "momentum": -1}], 0.1, OPTIMIZERS["momentum"])),
        ("wd=-1", lambda p: Grouped([p], 0.1).add_param_group(
            {"params": [torch.zeros(1, requires_grad=True)], "weight_decay": -1})),
    ],
)
def test_what_pytorch_refuses_is_refused(words, make):
    with pytest.raises((ValueError, TypeError), match=words):
        make(torch.zeros(1, requires_grad=True))
