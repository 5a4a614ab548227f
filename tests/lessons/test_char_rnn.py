"""What lesson 31 promises, for texts, sizes and seeds it has not seen."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lessonkit.char_rnn import (KINDS, CharLoop, OwnRNN, char_data, char_net, clip_norm_, fit, held_out,
                                identity_start_, nats, next_char, next_chars, reach, rnn_step, unroll)
from lessonkit.explorers.rnn_data import AGES, Nets, read_phrase

LINES = st.lists(st.text("abcXYZ äß.,-\t", max_size=12), min_size=2, max_size=12)


@given(lines=LINES, share=st.floats(0.2, 0.9), min_freq=st.integers(1, 4), lower=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_text_comes_back_but_for_what_is_rare(lines, share, min_freq, lower):
    text = "".join(line + "\n" for line in lines)
    cut = int(share * len(lines))
    if cut < 1:
        with pytest.raises(ValueError, match="train_lines"): char_data(text, share, min_freq, lower)
        return
    seen = text.lower() if lower else text
    train = "".join(line + "\n" for line in (seen.splitlines())[:cut])
    if max(map(train.count, train)) < min_freq:
        with pytest.raises(ValueError, match="leaves no symbol"): char_data(text, share, min_freq, lower)
        return
    data = char_data(text, share, min_freq, lower)
    assert len(data.train) == len(train) and len(data.train) + len(data.valid) == len(seen)
    for c, i in zip(train, data.train.tolist()):
        assert data.vocab.itos[i] == (c if train.count(c) >= min_freq else "xxunk")
    assert char_data(text, cut, min_freq, lower).train.equal(data.train)  # a share, or the number of lines


@given(size=st.integers(0, 200), n=st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_pieces_and_what_follows_them(size, n):
    stream = torch.arange(size) * 7
    if size <= n:
        for f in (next_char, next_chars):
            with pytest.raises(ValueError, match=f"give at least {n + 1}"): f(stream, n)
        return
    (x, y), (xs, ys) = next_char(stream, n), next_chars(stream, n)
    assert x.equal(xs) and y.equal(ys[:, -1]) and len(x) == (size - 1) // n
    assert (ys == xs + 7).all() and x.flatten().equal(stream[: x.numel()])


@given(bs=st.integers(1, 4), n=st.integers(1, 9), n_in=st.integers(1, 6), n_hid=st.integers(1, 8),
       relu=st.booleans(), kept=st.booleans(), seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_the_layer_by_hand_is_pytorchs(bs, n, n_in, n_hid, relu, kept, seed):
    "The same first weights by the same seed; then the same outputs, last state and gradients."
    torch.manual_seed(seed)
    theirs = nn.RNN(n_in, n_hid, batch_first=True, nonlinearity="relu" if relu else "tanh")
    torch.manual_seed(seed)
    mine = OwnRNN(n_in, n_hid, torch.relu if relu else torch.tanh)
    for (a, p), (b, q) in zip(mine.named_parameters(), theirs.named_parameters()):
        assert a == b and p.equal(q)
    x, state = torch.randn(bs, n, n_in), torch.randn(1, bs, n_hid) if kept else None
    got, want = mine(x, state), theirs(x, state)
    for a, b in zip(got, want): assert_close(a, b)
    weights = torch.randn_like(want[0])
    for layer, (out, _) in ((mine, got), (theirs, want)): (out * weights).sum().backward()
    for p, q in zip(mine.parameters(), theirs.parameters()): assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-4)


@given(scale=st.floats(1e-3, 1e3), most=st.floats(0, 10), seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_clipping_is_pytorchs(scale, most, seed):
    g = torch.Generator().manual_seed(seed)
    grads = [torch.randn(s, generator=g) * scale for s in ((3, 4), (5,), (1,))]
    mine, theirs = ([nn.Parameter(torch.zeros_like(v)) for v in grads] for _ in range(2))
    for side in (mine, theirs):
        for p, v in zip(side, grads): p.grad = v.clone()
    assert clip_norm_(mine, most) == pytest.approx(nn.utils.clip_grad_norm_(theirs, most).item(), rel=1e-5)
    for p, q in zip(mine, theirs): assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-6)
    before = [p.grad.clone() for p in mine]
    clip_norm_(mine, None)
    assert all(p.grad.equal(b) for p, b in zip(mine, before))


def test_nothing_to_clip_is_no_error(): assert clip_norm_([nn.Parameter(torch.ones(3))], 1.0) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_reach_is_the_gradient(kind):
    "Held against a change of each state by hand: the loss moves as the gradient says."
    net = char_net(kind, 9, 7, 5, seed=3).double()
    ids, target, at = torch.tensor([1, 4, 2, 8, 3]), 6, 2
    walk = unroll(net, ids)
    last = F.cross_entropy(walk.pred[-1:], torch.tensor([target]))
    [grad] = torch.autograd.grad(last, walk.states[at], retain_graph=True)
    assert_close(reach(walk, target)[at], grad.norm())

    def loss(change):  # reads on from a changed state
        state = None
        for t, e in enumerate(net.emb(ids)[:, None, None]):
            _, state = net.rnn(e, state)
            if t == at: state = (state[0] + change, state[1]) if kind == "LSTM" else state + change
        h = state[0] if kind == "LSTM" else state
        return F.cross_entropy(net.out(h[0]), torch.tensor([target])).item()

    step = 1e-5 * grad / grad.norm()
    slope = (loss(step[None, None]) - loss(-step[None, None])) / 2e-5
    assert slope == pytest.approx(grad.norm().item(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_all_answers_at_once_are_each_alone(kind):
    net = char_net(kind, 9, 7, 5, seed=1)
    ids = torch.tensor([1, 4, 2, 8, 3, 3, 0])
    walk, reading = unroll(net, ids), read_phrase(net, ids)
    for step in range(7):
        alone = reach(walk, int(reading.targets[step]), step)
        assert_close(torch.from_numpy(reading.norms(step)), alone, rtol=1e-3, atol=1e-7)
    assert (reading.targets[:-1] == ids[1:].numpy()).all() and reading.targets[-1] == reading.guess[-1]


def test_the_identity_start_hands_gradients_on():
    "While ReLU cuts nothing off, the gradient arrives as it left, however far back."
    net = char_net("identity", 9, 7, 5)
    with torch.no_grad(): net.emb.weight.abs_(), net.rnn.weight_ih_l0.abs_()
    norms = reach(unroll(net, torch.arange(9).repeat(20)), 3)
    assert_close(norms, norms[-1].expand(180))
    assert identity_start_(nn.RNN(3, 4, nonlinearity="relu")).weight_hh_l0.equal(torch.eye(4))


def test_no_step_of_a_net_looks_ahead():
    for kind in KINDS:
        net, ids = char_net(kind, 9), torch.arange(9)[None]
        other = ids.clone()
        other[0, 5:] = 0
        assert_close(net(ids)[0][:, :5], net(other)[0][:, :5])


def test_one_seed_one_net():
    "Making a net leaves the global random numbers as they were."
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b = char_net("GRU", 9, seed=2), char_net("GRU", 9, seed=2)
    assert torch.get_rng_state().equal(before)
    assert all(p.equal(q) for p, q in zip(a.parameters(), b.parameters()))
    assert not char_net("GRU", 9, seed=3).emb.weight.equal(a.emb.weight)


def test_fit_learns_and_says_what_it_did():
    stream = torch.arange(5).repeat(400)
    x, y = next_chars(stream, 10)
    net = char_net("tanh", 5)
    history = fit(net, x, y, epochs=6, bs=16, clip=0.5)
    assert list(history) == ["loss", "norm"] and len(history) == 6 * -(-len(x) // 16)
    assert held_out(net, x, y) < 0.1 < history.loss[0]
    loop = CharLoop(5)
    fit(loop, *next_char(stream, 3), epochs=6, bs=16)
    assert held_out(loop, *next_char(stream, 3)) < 0.1
    assert nats(torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.long)).item() == pytest.approx(np.log(5))


def test_a_step_is_one_cell():
    cell = nn.RNNCell(4, 6)
    e, h = torch.randn(3, 4), torch.randn(3, 6)
    assert_close(rnn_step(e, h, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh), cell(e, h))


def test_nets_grow_older_on_demand():
    "Ages differ, are the same on a second asking, and leave the number of threads alone."
    rng, threads = np.random.default_rng(0), torch.get_num_threads()
    words = rng.choice(["the", "will", "to", "truth"], 4000)
    nets = Nets(char_data("".join(w + "\n" for w in words)))
    young, old = nets.at("tanh", 0), nets.at("tanh", AGES[1])
    assert not young.emb.weight.equal(old.emb.weight) and nets.at("tanh", AGES[1]) is old
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("line", ["ภาษาไทยง่ายมาก\n", "我喜欢这部电影。\n", "İstanbul ǅ ß\n", "🙂 a\u0301\n"])
def test_texts_of_any_script_are_numbers_and_come_back(line):
    data = char_data(line * 30)
    assert data.vocab.textify(data.train[: len(line.lower())], "") == line.lower() and (data.train != 0).all()
    net = char_net("GRU", len(data.vocab), n_hid=8)
    assert np.isfinite(fit(net, *next_chars(data.train, 4), bs=16).loss).all()


@pytest.mark.parametrize("call, words", [
    (lambda: char_data(5), "give one str"), (lambda: char_data("one line"), "leaves one part"),
    (lambda: char_data("a\nb\n", "most"), "train_lines"), (lambda: char_data("a\nb\n", -0.5), "train_lines"),
    (lambda: CharLoop(5, join="sum"), "join='sum'"), (lambda: CharLoop(5, n_hid=0), "n_hid=0"),
    (lambda: OwnRNN(3, 0), "n_hid=0"), (lambda: OwnRNN(0, 3), "n_in=0"),
    (lambda: char_net("rnn", 5), "kind='rnn'"), (lambda: char_net("tanh", 5, n_hid=2.5), "n_hid must be"),
    (lambda: unroll(char_net("tanh", 5), torch.zeros(0, dtype=torch.long)), "give one text"),
    (lambda: reach(unroll(char_net("tanh", 5), torch.tensor([1, 2])), 1, 2), "step=2"),
    (lambda: reach(unroll(char_net("tanh", 5), torch.tensor([1, 2])), -1), "target=-1"),
    (lambda: fit(char_net("tanh", 5), torch.zeros(3, 2).long(), torch.zeros(2, 2).long()), "one target each"),
    (lambda: fit(char_net("tanh", 5), torch.zeros(3, 2), torch.zeros(3, 2)), "x holds torch.float32"),
    (lambda: fit(char_net("tanh", 5), [[1, 2]], [[2, 3]], clip=0), "clip=0"),
    (lambda: fit(char_net("tanh", 5), [[1, 2]], [[2, 3]], opt_fn=torch.optim.SGD([torch.ones(1)])), "opt_fn is a SGD"),
    (lambda: held_out(char_net("tanh", 5), [[1, 2]], [[2.0, 3.0]]), "y holds float64"),
    (lambda: clip_norm_(torch.ones(3), 1.0), "parameters is one tensor"),
    (lambda: char_data("abcdefgh\nijklmnop\n"), "min_freq=3 leaves no symbol"),
    (lambda: char_data("ab\n" * 9, min_freq=float("nan")), "min_freq=nan"),
    (lambda: CharLoop(5)(torch.zeros(2, 0).long()), r"x has shape \(2, 0\)"),
    (lambda: OwnRNN(2, 3, "tanh"), "act='tanh'"),
    (lambda: rnn_step(*(torch.zeros(s) for s in ((4, 3), (1, 4), (4, 3), (4, 4), 4, 4))), r"h has shape \(1, 4\)"),
    (lambda: rnn_step(*(torch.zeros(s) for s in ((4, 3), (4, 4), (4, 3), (4, 4), (4, 1), 4))), "b_ih has shape"),
    (lambda: reach(unroll(char_net("tanh", 5), torch.tensor([1, 2])), 1, .5), "step must be"),
    (lambda: fit(char_net("tanh", 5), *next_chars(torch.arange(5), 2), epochs=0), "epochs=0")])
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises((TypeError, ValueError), match=words): call()
