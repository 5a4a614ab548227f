"""What the engines of lessons 04, 20, 21, 31 and 33 do with what does not fit: an error in words, never a wrong answer.

And what a call may leave behind: no other random state, no changed input, no net in another mode."""
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lessonkit import char_rnn as c
from lessonkit import collab as k
from lessonkit import embeddings as e
from lessonkit import gates as g
from lessonkit import network as n
from lessonkit.course.nets import CharNet

NAN = float("nan")
TABLE = pd.DataFrame({"userId": [7, 7, 3, 3], "movieId": [50, 9, 9, 4], "rating": [4, 2.5, 5, 1], "at": [3, 1, 2, 4]})
STARS = np.array([[4.0, NAN], [2.0, 5.0], [NAN, 1.0]])
X = np.random.default_rng(0).normal(size=(6, 3))
SPACE, WORDS = e.pca(X, 2), np.arange(40) % 7
RINGS = n.make_rings(12)


def ids(*values, dtype=torch.long): return torch.tensor(values, dtype=dtype)


def ratings(): return k.Ratings.of(TABLE)


def dot(**more): return k.DotBias(2, 3, 4, **more)


def net(kind="LSTM", **more): return CharNet(kind, 7, 5, emb_sz=4, **more)


def rings_net(): return n.draw_network([2, 3, 1])


def own(x, state=None): return c.OwnRNN(3, 3)(x, state)


def lstm(state):
    cell = nn.LSTMCell(3, 4)
    return g.lstm_step(torch.ones(2, 3), state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)


def gru(state, kind=nn.GRUCell):
    cell = kind(3, 4)
    return g.gru_step(torch.ones(2, 3), state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)


BAD = {  # what it is: the call, and what its error must say
    "users of another length": (lambda: dot()(ids(0, 1), ids(0)), "users has shape"),
    "users as a column": (lambda: dot()(ids(0, 1)[:, None], ids(0, 1)[:, None]), "users has shape"),
    "a negative user": (lambda: dot()(ids(-1), ids(0)), "users holds -1"),
    "an item too far": (lambda: dot()(ids(0), ids(3)), "items holds 3"),
    "a huge item": (lambda: dot()(ids(0), ids(2**62)), "items holds"),
    "users as floats": (lambda: dot()(ids(0, dtype=torch.float), ids(0)), "users holds torch.float32"),
    "users as yes or no": (lambda: dot()([True], ids(0)), "users holds bool"),
    "one user for two items": (lambda: dot()(ids(0), np.array([0, 1])), "items (2,)"),
    "NeuralRatings, an item too far": (lambda: k.NeuralRatings(2, 3)(ids(0), ids(9)), "items holds 9"),
    "NeuralRatings of nobody": (lambda: k.NeuralRatings(0, 3), "n_users=0"),
    "y_range of one number": (lambda: dot(y_range=5), "y_range=5"),
    "y_range of three": (lambda: dot(y_range=(0, 1, 2)), "y_range=(0, 1, 2)"),
    "y_range reversed": (lambda: dot(y_range=(5, 0)), "lower end first"),
    "squeeze reversed": (lambda: k.squeeze(torch.zeros(2), (5, 0)), "lower end first"),
    "means of a negative user": (lambda: k.means(ratings())(ids(-1), ids(0)), "users holds -1"),
    "means of nothing": (lambda: k.means(ratings()[[]]), "train is empty"),
    "mse of a column": (lambda: k.mse(torch.zeros(4, 1), ratings()), "guess has shape (4, 1)"),
    "means of other users": (lambda: dot().add_means(replace(k.means(ratings()), user=torch.zeros(1))),
                             "means.user has shape (1,)"),
    "an empty validation set": (lambda: k.rating_loaders(ratings(), ratings()[[]]), "empty"),
    "no epochs": (lambda: k.train_dot_bias(ratings(), n_epoch=0), "n_epoch=0"),
    "align, NaN": (lambda: k.align(X, np.where(X > 1, NAN, X)), "planted has a gap"),
    "align onto a constant": (lambda: k.align(X, np.ones((6, 2))), "planted has equal rows"),
    "new user, a negative item": (lambda: k.new_user(dot(), [-1], [3]), "items holds -1"),
    "new user, NaN stars": (lambda: k.new_user(dot(), [1], [NAN]), "stars holds nan"),
    "new user, another model": (lambda: k.new_user(dot(), [1], [3]).stars(k.DotBias(2, 3, 9)),
                                "model.item_factors has shape (3, 9)"),
    "stars as text": (lambda: k.Ratings.of(TABLE.assign(rating=["4", "3", "5", "1"])), "give numbers of stars"),
    "a column twice": (lambda: k.Ratings.of(pd.concat([TABLE, TABLE[["rating"]]], axis=1)), "'rating' twice"),
    "rows as floats": (lambda: ratings()[[0.5]], "rows holds float64"),
    "a mask too short": (lambda: ratings()[[True]], "rows has 1"),
    "rows too far": (lambda: ratings()[[9]], "rows holds 9"),
    "split, seed None": (lambda: k.split_random(9, seed=None), "seed"),
    "split, seed -1": (lambda: k.split_random(9, seed=-1), "seed=-1"),
    "split, a gap in time": (lambda: k.split_time([1, NAN, 3]), "times has 1 gap"),
    "split, no date": (lambda: k.split_last([1, 1], pd.to_datetime(["2001-01-01", None])), "times has 1 gap"),
    "split, a gap in users": (lambda: k.split_last([1, NAN, 1], [1, 2, 3]), "users has 1 gap"),
    "split, a bad share": (lambda: k.split_last([1, 2], [1, 2], share=5), "share=5"),
    "split, nothing": (lambda: k.split_time([]), "times has 0"),
    "sheet, no titles": (lambda: k.busiest_sheet(TABLE, TABLE, 2), "movies has no column 'title'"),
    "sheet, text": (lambda: k.busiest_sheet(TABLE.assign(rating=list("abcd")), n=2), "give numbers of stars"),
    "sheet, infinite": (lambda: k.busiest_sheet(TABLE.assign(rating=[1, 2, np.inf, 3]), n=2), "infinite"),
    "sheet, nothing rated": (lambda: k.sheet_error(STARS * NAN, np.ones((3, 2)), np.ones((2, 2))), "stars holds no"),
    "sheet, one person's factors": (lambda: k.sheet_error(STARS, np.ones((3, 2)), np.ones((1, 2))), "p has shape"),
    "solver, infinite": (lambda: k.solve_sheet(STARS + np.inf, np.ones((3, 2)), np.ones((2, 2))), "stars holds"),
    "hidden, seed -1": (lambda: k.hide_some(STARS, 1, -1), "seed=-1"),
    "a table ragged": (lambda: e.pca([[1, 2], [3]]), "x is no table"),
    "transform of one column": (lambda: SPACE.transform(X[:, :1]), "x has 1 column"),
    "transform of NaN": (lambda: SPACE.transform(X * NAN), "x has a gap"),
    "faithfulness of other rows": (lambda: e.faithfulness(X, X[:1]), "scores has 1 row"),
    "extremes of NaN": (lambda: e.extremes([1, NAN, 2]), "scores"),
    "extremes of a table": (lambda: e.extremes(X), "scores has shape"),
    "extremes of nothing": (lambda: e.extremes([]), "scores has shape"),
    "follows another length": (lambda: e.follows([1, 2, 3], [1, 2, 3, 4]), "column has 4"),
    "follows NaN": (lambda: e.follows([1, NAN, 3, 5], [1, 2, 3, 4]), "scores"),
    "procrustes onto a constant": (lambda: e.procrustes(X, np.ones_like(X)), "b has equal rows"),
    "no frames": (lambda: e.align_frames([]), "frames is empty"),
    "frames of two shapes": (lambda: e.align_frames([X, X[:5]]), "frames"),
    "explained, a constant": (lambda: e.explained_by(X, np.ones((6, 1))), "planted has equal rows"),
    "nearest, none": (lambda: e.nearest(np.arange(4.0), 0, 0), "k=0"),
    "nearest, row -1": (lambda: e.nearest(np.arange(4.0), -1, 2), "i=-1"),
    "nearest, NaN": (lambda: e.nearest(np.array([1, NAN, 2, 3]), 0, 2), "likeness"),
    "pairs, seed -1": (lambda: e.skip_pairs([1, 2, 3], seed=-1), "seed=-1"),
    "skip-gram, a negative word": (lambda: e.fit_skipgram([0, -1, 2], 4), "tokens holds -1"),
    "skip-gram, a word too far": (lambda: e.fit_skipgram([0, 9, 2], 4), "tokens holds 9"),
    "skip-gram of floats": (lambda: e.fit_skipgram([0.5, 1.5], 4), "tokens"),
    "skip-gram of nothing": (lambda: e.fit_skipgram([], 4), "tokens"),
    "skip-gram, no epochs": (lambda: e.fit_skipgram(WORDS, 7, epochs=0), "epochs=0"),
    "skip-gram, no pairs": (lambda: e.fit_skipgram(WORDS, 7, bs=0), "bs=0"),
    "skip-gram, all thinned out": (lambda: e.fit_skipgram(WORDS, 7, thin=1e-12), "thin="),
    "skip-gram, seed None": (lambda: e.fit_skipgram(WORDS, 7, seed=None), "seed"),
    "analogies, a negative row": (lambda: e.analogies(X, [[0, 1, 2, -1]]), "questions holds -1"),
    "analogies, a row too far": (lambda: e.analogies(X, [[0, 1, 2, 6]]), "questions holds 6"),
    "analogies of three": (lambda: e.analogies(X, np.zeros((4, 3), int)), "questions has shape"),
    "analogies of floats": (lambda: e.analogies(X, [[0.0, 1, 2, 3]]), "questions holds float64"),
    "next_char of two rows": (lambda: c.next_char(torch.zeros(2, 10, dtype=torch.long), 1), "stream has shape"),
    "next_chars of floats": (lambda: c.next_chars(torch.zeros(9), 2), "stream holds torch.float32"),
    "fit on nothing": (lambda: c.fit(c.CharLoop(7), ids()[:, None], ids()), "x is empty"),
    "fit, transposed targets": (lambda: c.nats(torch.zeros(2, 3, 5), torch.zeros(3, 2).long()), "y has shape (3, 2)"),
    "fit, a target too far": (lambda: c.nats(torch.zeros(2, 5), ids(1, 5)), "y holds 5"),
    "fit, a negative target": (lambda: c.nats(torch.zeros(2, 5), ids(1, -100)), "y holds -100"),
    "held out, nothing": (lambda: c.held_out(c.CharLoop(7), ids()[:, None], ids()), "x is empty"),
    "a loop over one row": (lambda: c.CharLoop(7)(ids(1, 2, 3)), "x has shape (3,)"),
    "a loop of nothing": (lambda: c.CharLoop(0), "vocab_sz=0"),
    "a loop, a letter too far": (lambda: c.CharLoop(7)(ids(1, 7)[None]), "x holds 7"),
    "own RNN of two axes": (lambda: own(torch.ones(3, 3)), "x has shape (3, 3)"),
    "own RNN of no step": (lambda: own(torch.ones(3, 0, 3)), "x has shape (3, 0, 3)"),
    "own RNN, another batch": (lambda: own(torch.ones(4, 2, 3), torch.ones(1, 1, 3)), "state has shape (1, 1, 3)"),
    "no vocabulary": (lambda: c.char_net("GRU", 0), "vocab_sz=0"),
    "char_net, seed None": (lambda: c.char_net("GRU", 5, seed=None), "seed"),
    "identity in an LSTM": (lambda: c.identity_start_(nn.LSTM(3, 4)), "rnn is a LSTM"),
    "identity in two layers": (lambda: c.identity_start_(nn.RNN(3, 4, 2)), "rnn has 2 layers"),
    "unroll two layers": (lambda: c.unroll(net(n_layers=2), ids(1)), "net has 2 layers"),
    "unroll floats": (lambda: c.unroll(net(), torch.ones(3)), "ids holds torch.float32"),
    "reach, a target too far": (lambda: c.reach(c.unroll(net(), ids(1, 2)), 7), "target=7"),
    "reach without gradient": (lambda: c.reach(c.Unrolled([torch.ones(3)], torch.ones(1, 4)), 1), "walk"),
    "LSTM step, h alone": (lambda: lstm(torch.ones(2, 4)), "state is a Tensor"),
    "LSTM step, one row's state": (lambda: lstm((torch.ones(4), torch.ones(4))), "state has shape (4,)"),
    "GRU step, h as it is": (lambda: gru(torch.ones(1, 4)), "state is a Tensor"),
    "GRU step, an LSTM's weights": (lambda: gru((torch.ones(2, 4),), nn.LSTMCell), "w_ih has shape (16, 3)"),
    "gates without biases": (lambda: g.open_gates(nn.GRU(3, 4, batch_first=True, bias=False), torch.ones(1, 2, 3)),
                             "bias=False"),
    "gates, projected": (lambda: g.open_gates(nn.LSTM(3, 4, batch_first=True, proj_size=2), torch.ones(1, 2, 3)),
                         "proj_size=2"),
    "gates of two axes": (lambda: g.open_gates(nn.GRU(3, 4, batch_first=True), torch.ones(3, 3)), "x has shape (3, 3)"),
    "gates of no step": (lambda: g.open_gates(nn.GRU(3, 4, batch_first=True), torch.ones(1, 0, 3)), "x has shape"),
    "gates, a GRU's tensor": (lambda: g.open_gates(nn.GRU(1, 1, batch_first=True), torch.ones(3, 2, 1),
                                                   torch.ones(1, 1, 1)),
                              "state is a Tensor"),
    "gates, another batch": (lambda: g.open_gates(nn.GRU(3, 4, batch_first=True), torch.ones(3, 2, 3),
                                                  (torch.ones(1, 1, 4),)), "state has shape (1, 1, 4)"),
    "keep_start_ without biases": (lambda: g.keep_start_(nn.GRU(3, 4, bias=False)), "bias"),
    "follows a gate of NaN": (lambda: g.follows(torch.full((4, 2), NAN), torch.arange(4)), "values"),
    "follows, transposed": (lambda: g.follows(torch.rand(4, 5, 2), torch.rand(5, 4)), "event has shape (5, 4)"),
    "NaN activations": (lambda: g.distribution(torch.tensor([1, NAN])), "activations"),
    "infinite activations": (lambda: g.distribution(torch.tensor([1, torch.inf])), "activations"),
    "all banned": (lambda: g.distribution(torch.zeros(2), banned=[0, 1]), "banned"),
    "banned -1": (lambda: g.distribution(torch.zeros(2), banned=[-1]), "banned holds -1"),
    "banned too far": (lambda: g.distribution(torch.zeros(2), banned=[2]), "banned holds 2"),
    "banned alone": (lambda: g.distribution(torch.zeros(2), banned=1), "banned=1"),
    "temperature -1": (lambda: g.distribution(torch.zeros(2), -1), "temperature=-1"),
    "temperature infinite": (lambda: g.distribution(torch.zeros(2), torch.inf), "temperature=inf"),
    "top_k 0": (lambda: g.distribution(torch.zeros(2), top_k=0), "top_k=0"),
    "top_k 0, cold": (lambda: g.distribution(torch.zeros(2), 0, top_k=0), "top_k=0"),
    "top_p 0": (lambda: g.distribution(torch.zeros(2), top_p=0), "top_p=0"),
    "top_p 1.1": (lambda: g.distribution(torch.zeros(2), top_p=1.1), "top_p=1.1"),
    "write from nothing": (lambda: g.write(net(), torch.zeros(1, 0).long(), 2), "start has shape (1, 0)"),
    "write from floats": (lambda: g.write(net(), torch.zeros(1, 3), 2), "start holds torch.float32"),
    "write, a letter too far": (lambda: g.write(net(), ids(1, 9)[None], 2), "start holds 9"),
    "points, seed -1": (lambda: n.make_curve(seed=-1), "seed=-1"),
    "rings, seed None": (lambda: n.make_rings(seed=None), "seed"),
    "relu of a list": (lambda: n.relu([1, -1]), "z is a list"),
    "no layers": (lambda: n.forward([], X), "net is empty"),
    "x as a list": (lambda: n.forward(rings_net(), [[1, 2]]), "x is a list"),
    "through NaN": (lambda: n.through([0, 1], [NAN, 1]), "heights"),
    "loss of lists": (lambda: n.loss([1.0], [1.0]), "is a list"),
    "loss of nothing": (lambda: n.loss(np.zeros((0, 1)), np.zeros((0, 1))), "is empty"),
    "classes of 2": (lambda: n.loss(np.zeros((2, 1)), np.array([[0], [2]]), "classes"), "y holds"),
    "gradients, a flat y": (lambda: n.gradients(rings_net(), n.forward(rings_net(), RINGS[0]), RINGS[1][:, 0]),
                            "y has shape"),
    "gradients, a task misspelt": (lambda: n.gradients(rings_net(), n.forward(rings_net(), RINGS[0]), RINGS[1],
                                                       "class"),
                                   "task='class'"),
    "sizes alone": (lambda: n.draw_network(5), "sizes=5"),
    "a NaN bias": (lambda: n.draw_network([1, 1], bias=NAN), "bias=nan"),
    "train on NaN": (lambda: n.train(rings_net(), RINGS[0] * NAN, RINGS[1]), "x holds"),
    "train towards NaN": (lambda: n.train(rings_net(), RINGS[0], RINGS[1] * NAN), "y holds"),
    "train, a flat valid": (lambda: n.train(rings_net(), *RINGS, valid=(RINGS[0], RINGS[1][:, 0])), "valid"),
    "train, NaN momentum": (lambda: n.train(rings_net(), *RINGS, momentum=NAN), "momentum=nan"),
    "train on nothing": (lambda: n.train(rings_net(), RINGS[0][:0], RINGS[1][:0]), "is empty"),
    "dropout of an array": (lambda: n.dropout(np.ones(3)), "h is a ndarray"),
    "dropout, p as text": (lambda: n.dropout(torch.ones(3), "half"), "p"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("what", list(BAD))
def test_what_does_not_fit_is_named(what):
    call, words = BAD[what]
    with pytest.raises((ValueError, TypeError, IndexError)) as found: call()
    assert words in str(found.value), found.value


WHOLE = [list, np.array, pd.Series, lambda v: np.array(v, np.uint8), lambda v: np.repeat(np.array(v, np.int16), 2)[::2],
         lambda v: ids(*v, dtype=torch.int32), lambda v: ids(*v, dtype=torch.uint8)]


@pytest.mark.parametrize("kind", range(len(WHOLE)))
def test_whole_numbers_of_any_kind_say_the_same(kind):
    "Lists, arrays, Series, small and strided integers: what int64 tensors give, and nothing else."
    given, same = [0, 1, 1, 0], WHOLE[kind]
    model, loop = dot(), c.CharLoop(7)
    assert_close(model(same(given), same(given)), model(ids(*given), ids(*given)))
    assert_close(k.means(ratings())(same(given), same(given)), k.means(ratings())(ids(*given), ids(*given)))
    for f in (c.next_char, c.next_chars):
        for a, b in zip(f(same(given), 2), f(ids(*given), 2)): assert a.equal(b) and a.dtype == torch.int64
    assert_close(loop(c.next_char(same(given), 2)[0]), loop(ids(*given)[None, :2]))
    assert_close(c.unroll(net(), same(given)).pred.shape, torch.Size([4, 7]))
    assert ratings()[same(given)].stars.tolist() == [4, 2.5, 2.5, 4]
    assert e.analogies(X, same(given)).shape == (1,)
    vectors = [e.fit_skipgram(text, 2, dim=3, epochs=1, thin=1)[0] for text in (same(given * 20), given * 20)]
    assert vectors[0].equal(vectors[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8, bool])
def test_tables_of_any_kind_give_the_same_components(dtype):
    "And leave their table as it was, strided or not."
    x = (np.arange(40).reshape(10, 4) ** 2 % 7).astype(dtype)
    for given in (x, np.repeat(x, 2, 0)[::2], np.asfortranarray(x)):
        before, p = given.copy(), e.pca(given, 2)
        assert (given == before).all() and p.scores.dtype == (dtype if dtype in (np.float16, np.float32) else float)
        near = 2e-2 if dtype == np.float16 else 1e-5
        np.testing.assert_allclose(p.scores, e.pca(x.astype(float), 2).scores, atol=near)
    half = torch.from_numpy(x.astype(np.float32)).bfloat16()
    assert e.pca(half, 2).scores.dtype == torch.bfloat16 and e.pca(half, 2).transform(half).dtype == torch.bfloat16


def test_two_even_columns_keep_their_sign():
    "Both entries of a component are then equally long, and the order of rows may not decide."
    x = np.random.default_rng(1).normal(size=(200, 2))
    x = (x - x.mean(0)) / x.std(0)
    signs = {tuple(np.sign(e.pca(x[np.random.default_rng(i).permutation(200)], 2).components[:, 0]))
             for i in range(20)}
    assert signs == {(1, 1)}


@pytest.mark.parametrize("size", [1e-200, 1e-90, 1e90, 1e200])
def test_very_large_and_very_small_numbers_have_directions(size):
    np.testing.assert_allclose(e.pca(X * size, 2).components, SPACE.components, rtol=1e-9)
    np.testing.assert_allclose(e.pca(X * size, 2).scores / size, SPACE.scores, rtol=1e-9)
    np.testing.assert_allclose(e.cosines(X * size, 1), e.cosines(X, 1), rtol=1e-9)
    assert e.neighbours(X * size, 0, 3).tolist() == e.neighbours(X, 0, 3).tolist()


def test_the_low_end_of_bytes_is_low():
    low, high = e.extremes(np.array([0, 9, 200, 3], np.uint8), 1)
    assert (low, high) == ([0], [2])


def test_a_constant_that_rounds_follows_nothing():
    "The mean of many .1 is not quite .1."
    event, values = torch.rand(1000), torch.full((1000, 1), 0.1, dtype=torch.double)
    assert g.follows(values, event).item() == 0 and g.follows(event[:, None], values[:, 0]).item() == 0


@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-300, 1e-3])
def test_a_tiny_temperature_is_the_likeliest(temperature):
    p = g.distribution(torch.tensor([1.0, 3.0, 2.0]), temperature)
    assert p.tolist() == pytest.approx([0, 1, 0])


def test_top_k_beyond_the_vocabulary_is_all():
    x = torch.randn(3, 5)
    assert_close(g.distribution(x, top_k=99), x.double().softmax(-1))


SEEDED = {
    "train_dot_bias": lambda seed: k.train_dot_bias(ratings(), None, 2, 1, seed=seed).model.user_factors.weight,
    "fit_skipgram": lambda seed: e.fit_skipgram(WORDS, 7, 3, thin=1, epochs=1, seed=seed)[-1],
    "char_net": lambda seed: c.char_net("GRU", 5, seed=seed).emb.weight,
    "fit": lambda seed: c.fit(c.char_net("GRU", 7), *c.next_chars(WORDS, 3), bs=4, seed=seed).loss,
    "write": lambda seed: g.write(c.char_net("GRU", 7), ids(1, 2)[None], 30, seed),
    "split_random": lambda seed: k.split_random(60, seed=seed),
    "make_curve": lambda seed: n.make_curve(seed=seed)[1],
}


@pytest.mark.parametrize("what", list(SEEDED))
def test_a_seed_decides_and_leaves_the_callers_luck(what):
    call, before, numpy_before = SEEDED[what], torch.get_rng_state(), np.random.get_state()[1].copy()
    a, b, other = (torch.tensor(np.asarray(v.detach() if hasattr(v, "detach") else v)) for v in map(call, (3, 3, 4)))
    assert a.equal(b) and not a.equal(other)
    assert torch.get_rng_state().equal(before) and (np.random.get_state()[1] == numpy_before).all()


def test_training_does_not_need_the_callers_gradients():
    with torch.no_grad():
        assert len(e.fit_skipgram(WORDS, 7, 3, thin=1, epochs=2)) == 2
        assert c.fit(c.char_net("GRU", 7), *c.next_chars(WORDS, 3)).loss.notna().all()


def test_another_default_precision():
    before = torch.get_default_dtype()
    loop = c.CharLoop(7, join="concat")
    try:
        torch.set_default_dtype(torch.float64)
        assert loop(ids(1, 2)[None]).dtype == torch.float32
        learn = k.train_dot_bias(ratings(), ratings(), n_factors=2, n_epoch=1)
        assert learn.model(ratings().users, ratings().items).isfinite().all()
        assert len(g.write(c.char_net("LSTM", 7), ids(1, 2)[None], 3)) == 3
        assert e.fit_skipgram(WORDS, 7, 3, thin=1, epochs=1)[0].isfinite().all()
    finally: torch.set_default_dtype(before)


def test_a_net_stays_in_its_mode():
    "Also where writing fails; and what is held out is judged without dropout."
    wet = net(n_layers=2, dropout=0.9).train()
    with pytest.raises(ValueError): g.write(wet, ids(1, 2)[None], 3, top_p=7)
    assert wet.training
    x, y = c.next_chars(WORDS, 3)
    assert c.held_out(wet, x, y) == c.held_out(wet, x, y) and wet.training


def test_a_pickled_model_says_the_same():
    model = dot(y_range=(0, 5))
    twin = pickle.loads(pickle.dumps(model))
    assert twin(ids(0, 1), ids(2, 0)).equal(model(ids(0, 1), ids(2, 0))) and twin.y_range == (0.0, 5.0)


def test_a_split_of_ties_is_the_order_given():
    assert k.split_last([1, 1, 1, 1], [5, 5, 5, 5], 0.5).tolist() == [False, False, True, True]
    assert k.split_time([5, 5, 5, 5], 0.25).tolist() == [False, False, False, True]


def test_ratings_given_twice_are_kept():
    twice = k.Ratings.of(pd.concat([TABLE, TABLE]))
    assert len(twice) == 8 and k.busiest_sheet(pd.concat([TABLE, TABLE]), n=2).stars.shape == (2, 2)


def test_inputs_stay_as_they_were():
    x, y = RINGS[0].copy(), RINGS[1].copy()
    first = rings_net()
    kept = [(layer.weight.copy(), layer.bias.copy()) for layer in first]
    n.train(first, x, y, n=3, task="classes")
    assert (x == RINGS[0]).all() and (y == RINGS[1]).all()
    assert all((a == layer.weight).all() and (b == layer.bias).all() for (a, b), layer in zip(kept, first))
    act, stars = torch.randn(2, 5), STARS.copy()
    before = act.clone()
    g.distribution(act, 0.5, 2, 0.9, [1])
    k.solve_sheet(stars, np.ones((3, 2)), np.ones((2, 2)), n=3)
    assert act.equal(before) and np.array_equal(stars, STARS, equal_nan=True)
