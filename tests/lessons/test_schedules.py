"""What lesson 05 promises of schedules, for positions it has not tried; and PyTorch's schedulers, step by step."""
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as S

import lessonkit.schedules as schedules
from lessonkit.schedules import (Schedule, clr, combine_scheds, cycle_ends, one_cycle, one_cycle_momentum, sched_const,
                                 sched_cos, sched_exp, sched_lin,
                                 sched_poly, schedule, sgdr, stlr, train_by)

NAMES = {n: getattr(schedules, n) for n in schedules.__all__}
rates, shares = st.floats(1e-6, 10), st.floats(0.01, 0.99)
simple = st.one_of(st.builds(sched_const, rates), st.builds(sched_lin, rates, rates),
                   st.builds(sched_cos, rates, rates), st.builds(sched_exp, rates, rates),
                   st.builds(sched_poly, rates, rates, st.floats(0.2, 4)))


@st.composite
def pieces(draw):
    "(pcts, scheds) that fit."
    weights = np.array(draw(st.lists(st.floats(0.05, 1), min_size=1, max_size=6)))
    return (weights / weights.sum()).tolist(), draw(st.lists(simple, min_size=len(weights), max_size=len(weights)))


@given(rates, rates)
def test_simple_shapes_begin_and_end_where_they_say(start, end):
    for f in (sched_lin(start, end), sched_cos(start, end), sched_exp(start, end), sched_poly(start, end, 3)):
        np.testing.assert_allclose([f(0), f(1)], [start, end], rtol=1e-12)
        way = np.diff(f(np.linspace(0, 1, 50)))
        assert (way * np.sign(end - start) >= -1e-12 * max(start, end)).all(), f"{f} turns around"


@given(pieces(), st.integers(1, 997))
@settings(max_examples=150, deadline=None)
def test_a_composition_is_its_pieces(given_pieces, n):
    "Against an oracle that looks at one position at a time, in exact fractions of a piece."
    pcts, scheds = given_pieces
    whole, edges = combine_scheds(pcts, scheds), [math.fsum(pcts[:i]) for i in range(len(pcts) + 1)]
    for pos in (i / n for i in range(n + 1)):
        k = max(i for i in range(len(pcts)) if edges[i] <= pos + 1e-10)
        want = scheds[k](min(max((pos - edges[k]) / pcts[k], 0), 1))
        assert whole(pos) == pytest.approx(want, rel=1e-6, abs=1e-9)
    np.testing.assert_allclose(whole.joints, edges[1:-1], atol=1e-12)
    for joint, before, after in zip(whole.joints, scheds, scheds[1:]):
        assert whole(joint) == pytest.approx(after(0), rel=1e-9)
        assert whole(joint - 1e-9) == pytest.approx(before(1), rel=1e-3, abs=1e-3)  # a root of low power is steep there
    assert whole(0) == pytest.approx(scheds[0](0)) and whole(1) == pytest.approx(scheds[-1](1))


@given(pieces())
@settings(max_examples=60, deadline=None)
def test_its_text_is_the_code_that_makes_it(given_pieces):
    f, pos = combine_scheds(*given_pieces), np.linspace(0, 1, 97)
    again = eval(str(f), dict(NAMES))
    np.testing.assert_array_equal(again(pos), f(pos))
    assert str(again) == str(f) and again.joints == f.joints


@pytest.mark.parametrize("f", [sgdr(0.1, 3, cycle_mult=2.0), sgdr(lr=1, n_cycle=np.int64(2), lr_min=0.5),
                               clr(0.01, 0.1, decay=0.5, n_cycle=4), stlr(0.01, 0.2, 10),
                               one_cycle(0.1, anneal=sched_lin), one_cycle_momentum(0.9),
                               sched_lin(torch.tensor(1.0), np.float32(0.5)),
                               combine_scheds(np.array([0.5, 0.5]), (stlr(1), sgdr(1, 2)))], ids=str)
def test_text_of_whatever_way_it_was_called(f):
    np.testing.assert_array_equal(eval(str(f), dict(NAMES))(np.linspace(0, 1, 50)), f(np.linspace(0, 1, 50)))


def test_scalars_arrays_tensors():
    f = one_cycle(0.1)
    grid = np.linspace(0, 1, 12).reshape(3, 4)
    assert f(grid).shape == (3, 4) and f(grid).dtype == np.float64 and f([]).shape == (0,)
    assert type(f(0.5)) is type(f(np.float32(0.5))) is float
    np.testing.assert_array_equal(f(grid), [[f(p) for p in row] for row in grid.tolist()])
    np.testing.assert_array_equal(f(torch.tensor(grid)), f(grid))
    np.testing.assert_array_equal(sched_const(0.3)(grid), np.full((3, 4), 0.3))


@pytest.mark.parametrize("n_cycle", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("cycle_mult", [1, 1.5, 2, 3])
def test_restarts_are_met_whatever_the_rounding(n_cycle, cycle_mult):
    ends, f = cycle_ends(n_cycle, 4, cycle_mult), sgdr(0.1, n_cycle, 4, cycle_mult, 0.01)
    assert ends[0] == 4 and np.allclose(np.diff(ends, prepend=0)[1:] / np.diff(ends, prepend=0)[:-1], cycle_mult)
    np.testing.assert_allclose(f.joints, ends[:-1] / ends[-1])
    np.testing.assert_allclose([f(p) for p in (0, *f.joints)], 0.1)
    np.testing.assert_allclose([f(p - 1e-9) for p in (*f.joints, 1)], 0.01, atol=1e-9)
    assert f(1) == pytest.approx(0.01)
    if cycle_mult == int(cycle_mult): # whole epochs: a step lies on every restart, and is one
        n = int(ends[-1])
        assert (f(np.arange(n) / n) == 0.1).sum() == n_cycle


# ── PyTorch's own ──

def rates_of(make, n, lr=0.1, momentum=0.9):
    "Rate and momentum before each of `n` steps."
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=momentum)
    scheduler, rows = make(opt), []
    for i in range(n):
        rows.append((opt.param_groups[0]["lr"], opt.param_groups[0]["momentum"]))
        opt.step()
        if i < n - 1: scheduler.step()
    return np.array(rows).T


ONE = 31 / 101  # torch's peak is at step pct_start * total_steps - 1 of 0 … total_steps - 1: here step 30 of 100
TORCH = [
    (sched_lin(0.1, 0.001), 101, lambda o: S.LinearLR(o, 1, 0.01, total_iters=100)),
    (sched_cos(0.1, 0.001), 101, lambda o: S.CosineAnnealingLR(o, T_max=100, eta_min=0.001)),
    (sched_exp(0.1, 0.001), 101, lambda o: S.ExponentialLR(o, gamma=0.01**0.01)),
    (sched_poly(0.1, 0, 1), 101, lambda o: S.PolynomialLR(o, total_iters=100)),
    (combine_scheds([0.25, 0.75], [sched_lin(0.01, 0.1), sched_cos(0.1, 0)]), 101,
     lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1, total_iters=25), S.CosineAnnealingLR(o, T_max=75)],
                              milestones=[25])),
    (sgdr(0.1, 4, lr_min=0.001), 80, lambda o: S.CosineAnnealingWarmRestarts(o, T_0=20, eta_min=0.001)),
    (sgdr(0.1, 3, cycle_mult=2), 210, lambda o: S.CosineAnnealingWarmRestarts(o, T_0=30, T_mult=2)),
    (sgdr(0.1, 3, cycle_mult=3), 130, lambda o: S.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=3)),
    (clr(0.01, 0.1, 3), 120, lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=20)),
    (clr(0.01, 0.1, 3, pct_up=0.25, decay=0.5), 120, lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=10,
    step_size_down=30, mode="triangular2")),
    (one_cycle(0.1), 101, lambda o: S.OneCycleLR(o, 0.1, total_steps=101, pct_start=ONE)),
    (one_cycle(0.1, 0.3, 10, 100, sched_lin), 101, lambda o: S.OneCycleLR(o, 0.1, total_steps=101, pct_start=ONE,
    div_factor=10, final_div_factor=100, anneal_strategy="linear")),
]


@pytest.mark.parametrize("ours, n, make", TORCH, ids=[str(row[0]) for row in TORCH])
@pytest.mark.filterwarnings("ignore:The epoch parameter in")  # SequentialLR's own
def test_equals_torch_step_by_step(ours, n, make):
    pos = np.arange(n) / (100 if n == 101 else n)
    np.testing.assert_allclose(ours(pos), rates_of(make, n)[0], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("anneal, name", [(sched_cos, "cos"), (sched_lin, "linear")])
def test_momentum_equals_torch(anneal, name):
    momenta = rates_of(lambda o: S.OneCycleLR(o, 0.1, total_steps=101, pct_start=ONE, base_momentum=0.8,
                                              max_momentum=0.93, anneal_strategy=name), 101)[1]
    np.testing.assert_allclose(one_cycle_momentum(0.93, 0.8, anneal=anneal)(np.arange(101) / 100), momenta, rtol=1e-12)


@given(lr=rates, cut_frac=st.integers(1, 99), ratio=st.floats(1, 1000))
@settings(max_examples=60, deadline=None)
def test_stlr_is_equation_3(lr, cut_frac, ratio):
    "Howard & Ruder 2018; with 100 · k steps the paper's rounding down changes nothing."
    T, cut, frac = 200, 2 * cut_frac, cut_frac / 100
    t = np.arange(T + 1)
    p = np.where(t < cut, t / cut, 1 - (t - cut) / (cut * (1 / frac - 1)))
    np.testing.assert_allclose(stlr(lr, frac, ratio)(t / T), lr * (1 + p * (ratio - 1)) / ratio, rtol=1e-6)


# ── your own, and what is refused ──

def test_plain_functions_are_pieces_and_makers():
    def hat(pos): return math.sin(math.pi * pos)  # takes numbers only, as a learner may write it

    f = combine_scheds([0.5, 0.5], [hat, combine_scheds([0.5, 0.5], [hat, sched_const(2)])])
    np.testing.assert_allclose(f([0.25, 0.625, 0.8, 1]), [1, 1, 2, 2])
    assert f.joints == (0.5, 0.75)

    @schedule
    def flat_then(lr, at=0.5): return combine_scheds([at, 1 - at], [sched_const(lr), sched_lin(lr, 0)])

    assert isinstance(flat_then(1, at=0.25),
                      Schedule) and str(flat_then(1,
                                                  at=0.25)) == "flat_then(1, at=0.25)" and flat_then(1).joints == (0.5,)


def test_pictures_show_both_sides_of_a_jump():
    pos, values = sgdr(0.1, 3).sample()
    assert (np.diff(pos) > 0).all() and pos[0] == 0 and pos[-1] == 1
    assert np.abs(np.diff(values)).max() > 0.0999  # the jump is not slanted away


@pytest.mark.parametrize("error, words, f", [
    (ValueError, "pcts sum to 1.2", lambda: combine_scheds([0.5, 0.7], [sched_const(1)] * 2)),
    (ValueError, "3 shares for 2 scheds", lambda: combine_scheds([0.2, 0.3, 0.5], [sched_const(1)] * 2)),
    (ValueError, r"pcts\[1\]=-0.5", lambda: combine_scheds([1.5, -0.5], [sched_const(1)] * 2)),
    (TypeError, r"scheds\[0\] must be a function", lambda: combine_scheds([1], [0.1])),
    (ValueError, "pos=1.01 is outside", lambda: sgdr(0.1, 2)(1.01)),
    (ValueError, "pos=nan", lambda: sched_lin(0, 1)([0.5, float("nan")])),
    (ValueError, "start=-1", lambda: sched_exp(-1, 1)),
    (ValueError, "value=inf", lambda: sched_const(float("inf"))),
    (ValueError, "cycle_mult=0.9", lambda: sgdr(0.1, 3, cycle_mult=0.9)),
    (ValueError, "n_cycle=0", lambda: cycle_ends(0)),
    (TypeError, "n_cycle must be a whole number, not 2.0", lambda: clr(0, 1, 2.0)),
    (ValueError, "lr=-0.1", lambda: sgdr(-0.1, 2)),
    (ValueError, "pct_start=0 must lie between", lambda: one_cycle(0.1, 0)),
    (ValueError, "high=1", lambda: one_cycle_momentum(1)),
    (ValueError, "decay=0", lambda: clr(0, 1, 2, decay=0)),
    (ValueError, "n_step=0", lambda: train_by(0.1, n_step=0)),
    (ValueError, "snapshots=1.5", lambda: train_by(0.1, snapshots=[0.5, 1.5])),
])
def test_refused_in_words(error, words, f):
    with pytest.raises(error, match=words): f()


def test_training_follows_it_and_leaves_no_trace():
    state = torch.get_rng_state()
    rate, momentum = one_cycle(0.1), one_cycle_momentum()
    run = train_by(rate, momentum, n_step=50, seed=1, snapshots=[0.5, 1])
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_allclose(run.history.lr, rate(np.arange(50) / 50))
    np.testing.assert_allclose(run.history.momentum, momentum(np.arange(50) / 50))
    again = train_by(rate, momentum, n_step=50, seed=1)
    assert run.history.equals(again.history) and not run.history.equals(train_by(rate, momentum, n_step=50,
        seed=2).history)
    torch.testing.assert_close(run.snapshots[1].state_dict(), run.model.state_dict())
    assert not torch.equal(run.snapshots[0][0].weight, run.model[0].weight)
    assert run.history.loss.iloc[-1] < 0.8 * run.history.loss.iloc[0]


@pytest.mark.parametrize("kwargs, words", [
    (dict(lr=-1.0), "lr"), (dict(lr=np.nan), "lr"), (dict(lr=lambda pos: np.nan), "lr at position 0"),
    (dict(lr=lambda pos: 0.1 - pos), "lr at position"), (dict(lr=0.1, momentum=-0.5), "momentum"),
    (dict(lr=0.1, bs=0), "bs=0"),
    (dict(lr=0.1, n_step=0), "n_step=0"), (dict(lr=0.1, bs=np.nan), "bs must be a whole number")])
def test_training_refuses_nonsense_by_name(kwargs, words):
    with pytest.raises((TypeError, ValueError), match=words): schedules.train_by(**{"n_step": 20, **kwargs})
