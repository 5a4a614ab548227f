"""What lesson 33 promises, for sizes, states and seeds it has not seen."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from lessonkit.course.nets import CharNet, load_net
from lessonkit.gates import (distribution, follows, gru_step, half_life, keep_start_, lstm_step, open_gates, write)

CELLS = {"GRU": (nn.GRUCell, gru_step), "LSTM": (nn.LSTMCell, lstm_step)}


@given(kind=st.sampled_from(list(CELLS)), bs=st.integers(1, 4), n_in=st.integers(1, 6), n_hid=st.integers(1, 8),
       scale=st.sampled_from([0.1, 1.0, 5.0]), seed=st.integers(0, 2**31))
@settings(max_examples=80, deadline=None)
def test_a_cell_by_hand_is_pytorchs(kind, bs, n_in, n_hid, scale, seed):
    "In double precision to 1e-6 and far below: states and gradients."
    torch.manual_seed(seed)
    make, step = CELLS[kind]
    cell = make(n_in, n_hid).double()
    with torch.no_grad():
        for p in cell.parameters(): p.mul_(scale)
    e = torch.randn(bs, n_in, dtype=torch.double)
    state = tuple(torch.randn(bs, n_hid, dtype=torch.double) for _ in range(1 + (kind == "LSTM")))
    mine, gates = step(e, state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    theirs = cell(e, state if kind == "LSTM" else state[0])
    theirs = theirs if kind == "LSTM" else (theirs,)
    for a, b in zip(mine, theirs): assert_close(a, b, atol=1e-12, rtol=1e-9)
    grads = [torch.autograd.grad(sum(s.square().sum() for s in out), list(cell.parameters())) for out in (mine, theirs)]
    for a, b in zip(*grads): assert_close(a, b, atol=1e-10, rtol=1e-8)
    for name, g in gates.items(): assert (g.abs() <= 1).all() and (name in "ng" or (g >= 0).all())


@given(kind=st.sampled_from(["GRU", "LSTM"]), n_layers=st.integers(1, 3), bs=st.integers(1, 3), n=st.integers(1, 7),
       kept=st.booleans(), seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_opened_layers_are_pytorchs(kind, n_layers, bs, n, kept, seed):
    torch.manual_seed(seed)
    rnn = getattr(nn, kind)(3, 5, n_layers, batch_first=True)
    x = torch.randn(bs, n, 3)
    _, state = rnn(torch.randn(bs, 4, 3)) if kept else (None, None)
    as_tuple = state if state is None or isinstance(state, tuple) else (state,)
    layers = open_gates(rnn, x, as_tuple)
    out, last = rnn(x, state)
    assert_close(layers[-1]["h"], out, atol=1e-6, rtol=1e-5)
    last = last if kind == "LSTM" else (last,)
    for i, layer in enumerate(layers):
        for name, s in zip("hc", last): assert_close(layer[name][:, -1], s[i], atol=1e-6, rtol=1e-5)


def test_the_shipped_net_by_hand():
    net, prepare, _ = load_net("nietzsche-lstm")
    ids = prepare("the will to truth, which is to tempt us to many a hazardous enterprise")
    with torch.no_grad():
        by_hand = net.out(open_gates(net.rnn, net.emb(ids))[-1]["h"])
        assert_close(by_hand, net(ids)[0], atol=1e-4, rtol=1e-4)


def test_an_open_cell_keeps_its_gradient():
    "With f = 1 and nothing let in, the cell and its gradient go through as they are; a plain layer has no such way."
    n, c = 4, torch.randn(2, 4, requires_grad=True)
    b = torch.tensor([-50.0] * n + [50.0] * n + [0.0] * 2 * n)  # i shut, f open
    state, weights = (torch.randn(2, n), c), (torch.zeros(4 * n, 3), torch.zeros(4 * n, n), b, b * 0)
    for _ in range(100): state, _ = lstm_step(torch.randn(2, 3), state, *weights)
    assert_close(state[1], c)
    assert_close(torch.autograd.grad(state[1].sum(), c)[0], torch.ones_like(c))


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_the_start_opens_the_gate_that_keeps(kind):
    rnn = keep_start_(getattr(nn, kind)(3, 200, 2, batch_first=True), 4.0)
    with torch.no_grad(): layers = open_gates(rnn, torch.zeros(1, 1, 3))
    for layer in layers:
        assert layer["z" if kind == "GRU" else "f"].mean().item() == pytest.approx(1 / (1 + np.exp(-4)), abs=0.01)
    assert half_life(0.5) == 1 and half_life(0.5**0.1) == pytest.approx(10)


@given(n=st.integers(1, 30), lead=st.lists(st.integers(1, 3), max_size=2), temperature=st.floats(0.05, 20),
       top_k=st.none() | st.integers(1, 40), top_p=st.none() | st.floats(0.01, 1), seed=st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_what_a_distribution_promises(n, lead, temperature, top_k, top_p, seed):
    x = torch.randn(*lead, n, generator=torch.Generator().manual_seed(seed)) * 3
    p, plain = distribution(x, temperature, top_k, top_p), (x.double() / temperature).softmax(-1)
    assert_close(p.sum(-1), torch.ones(lead, dtype=torch.double))
    kept = p > 0
    assert kept.any(-1).all() and p.argmax(-1).equal(plain.argmax(-1))
    if top_k is not None: assert (kept.sum(-1) <= top_k).all()
    if top_k is None and top_p is None: assert_close(p, plain)
    lowest = torch.where(kept, plain, torch.inf).amin(-1)
    highest_cut = torch.where(kept, -torch.inf, plain).amax(-1)
    assert (highest_cut <= lowest).all()  # only the least likely are cut
    if top_p is not None and top_k is None:
        reached = (plain * kept).sum(-1)
        assert (reached >= top_p - 1e-9).all()
        assert ((reached - lowest < top_p) | (kept.sum(-1) == 1)).all()  # without the last one it would not be reached
    assert_close(p, torch.where(kept, plain, 0) / (plain * kept).sum(-1, keepdim=True))


def test_cold_is_the_likeliest_and_hot_is_even():
    x = torch.tensor([0.3, 2.0, -1.0])
    assert distribution(x, 0).tolist() == [0, 1, 0]
    assert_close(distribution(x, 1e6), torch.full((3,), 1 / 3, dtype=torch.double), atol=1e-5, rtol=0)
    assert distribution(x, banned=[1]).tolist()[1] == 0


def test_writing_goes_on_from_the_state():
    "Written in one go, or in two with all that was written read again: the same, drawn greedily."
    torch.manual_seed(0)
    net = CharNet("LSTM", 9, n_hid=12, emb_sz=4).train()
    start = torch.tensor([[1, 2, 3]])
    once = write(net, start, 12, temperature=0)
    first = write(net, start, 5, temperature=0)
    again = write(net, torch.cat([start, first[None]], 1), 7, temperature=0)
    assert once.equal(torch.cat([first, again])) and net.training
    drawn = write(net, start, 500, temperature=5.0, banned=(0, 4))
    assert not {0, 4} & set(drawn.tolist()) and len(set(drawn.tolist())) == 7


def test_correlations_are_numpys():
    rng = np.random.default_rng(0)
    values, event = rng.normal(size=(4, 25, 6)), rng.normal(size=(4, 25))
    values[..., 2] = 7.0  # never changes
    values[..., 3] = -2 * event + 1
    got = follows(torch.from_numpy(values), torch.from_numpy(event))
    for i in (0, 1, 4, 5):
        assert got[i] == pytest.approx(np.corrcoef(values[..., i].ravel(), event.ravel())[0, 1], abs=1e-5)
    assert got[2] == 0 and got[3] == pytest.approx(-1)


def made(n_gates, n_states=1, **other):
    "Arguments of a step from three numbers to a state of two; some of them replaced."
    parts = dict(e=torch.zeros(1, 3), state=(torch.zeros(1, 2),) * n_states, w_ih=torch.zeros(2 * n_gates, 3),
                 w_hh=torch.zeros(2 * n_gates, 2), b_ih=torch.zeros(2 * n_gates), b_hh=torch.zeros(2 * n_gates))
    return (parts | other).values()


@pytest.mark.parametrize("call, words", [
    (lambda: open_gates(nn.RNN(2, 2), torch.zeros(1, 1, 2)), "nn.GRU or nn.LSTM"),
    (lambda: open_gates(nn.GRU(2, 2, bidirectional=True, batch_first=True), torch.zeros(1, 1, 2)), "one direction"),
    (lambda: keep_start_(nn.LSTM(2, 2), "open"), "bias must be"), (lambda: half_life(0), "gate=0"),
    (lambda: distribution(torch.zeros(3), float("nan")), "temperature"),
    (lambda: distribution(torch.zeros(3), top_p=1.5), "top_p=1.5"),
    (lambda: distribution(torch.zeros(3), top_k=1.5), "top_k"),
    (lambda: write(CharNet("GRU", 5), torch.zeros(2, 3, dtype=torch.long)), "give one text"),
    (lambda: write(CharNet("GRU", 5), torch.zeros(1, 3, dtype=torch.long), 0), "n=0"),
    (lambda: write(CharNet("GRU", 5), "abc"), "start holds"), (lambda: half_life(float("nan")), "gate=nan"),
    (lambda: gru_step(*made(3, b_ih=torch.zeros(6, 1))), r"b_ih has shape \(6, 1\): give \(6,\)"),
    (lambda: lstm_step(*made(4, 2, b_hh=torch.zeros(1))), r"b_hh has shape \(1,\): give \(8,\)"),
    (lambda: lstm_step(*made(4, 2, e=torch.zeros(1, 3).double())), "e holds torch.float64: give a tensor of one prec"),
    (lambda: gru_step(*made(3, e=np.zeros((1, 3)))), "e is a ndarray"),
    (lambda: lstm_step(*made(4)), r"give a tuple, \(h, c\)"),
    (lambda: open_gates(nn.GRU(2, 2, batch_first=True), [[1.0]]), "x is a list"),
    (lambda: open_gates(nn.GRU(2, 2, batch_first=True), torch.ones(1, 1, 2).long()), "e holds torch.int64"),
    (lambda: open_gates(nn.LSTM(2, 2, batch_first=True), torch.ones(1, 1, 2), (None, None)), "state holds a NoneType"),
    (lambda: keep_start_(CharNet("GRU", 5)), "rnn is a CharNet"),
    (lambda: keep_start_(nn.GRU(2, 2, bidirectional=True)), "two directions"),
    (lambda: follows(1.0, 1.0), "one for each"), (lambda: distribution("abc"), "activations is a text"),
    (lambda: distribution(torch.zeros(0)), r"activations has shape \(0,\)"),
    (lambda: distribution(torch.full((3,), -torch.inf)), "nothing but"),
    (lambda: distribution(torch.zeros(2), banned=[0, 1]), "banned leaves no symbol")])
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises((TypeError, ValueError), match=words): call()
