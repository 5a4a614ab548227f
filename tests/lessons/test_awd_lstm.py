"What lesson 34 promises: masks, the raw weight, states, files, and what is refused."
import copy
import json
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close

from lessonkit import awd_lstm as a
from lessonkit.bptt import LMBatches
from lessonkit.learner import DataLoaders, GradClip, Learner
from lessonkit.tokens import SPECIALS, Vocab

NOTHING, HALF = dict.fromkeys(a.DROPS, 0.0), dict.fromkeys(a.DROPS, 0.5)


def tokens(bs=3, w=7, n=20, seed=0): return torch.randint(n, (bs, w), generator=torch.Generator().manual_seed(seed))


def encoder(seed=0, vocab_sz=20, emb_sz=6, n_hid=10, n_layers=3, **drops):
    torch.manual_seed(seed)
    return a.AWDLSTM(vocab_sz, emb_sz, n_hid, n_layers, **drops)


class Plain(nn.Module):
    "What it must equal where nothing is dropped: layers of PyTorch's, one on the other, with the same weights."

    def __init__(self, enc):
        super().__init__()
        self.emb, self.rnns = copy.deepcopy(enc.emb), copy.deepcopy(enc.rnns)
        self.state = [None] * len(enc.rnns)

    def forward(self, x):
        out = self.emb(x)
        for i, rnn in enumerate(self.rnns):
            out, state = rnn(out, self.state[i])
            self.state[i] = tuple(s.detach() for s in state)
        return out


@given(bs=st.integers(1, 4), n_layers=st.integers(1, 4), emb_sz=st.integers(1, 9), n_hid=st.integers(1, 9),
       widths=st.lists(st.integers(1, 8), min_size=1, max_size=3), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_without_dropout_it_is_a_plain_stacked_lstm(bs, n_layers, emb_sz, n_hid, widths, seed):
    "Outputs and gradients to 1e-6, in training mode, window after window."
    enc = encoder(seed, emb_sz=emb_sz, n_hid=n_hid, n_layers=n_layers, **NOTHING).train()
    plain = Plain(enc)
    for i, w in enumerate(widths):
        x = tokens(bs, w, seed=seed % 1000 + i)
        (raw, dropped), want = enc(x), plain(x)
        assert raw.shape == (bs, w, emb_sz) and dropped is raw
        assert_close(raw, want, atol=1e-6, rtol=1e-6)
    for out in (raw, want): out.square().sum().backward()
    theirs = dict(plain.named_parameters())
    for name, p in enc.named_parameters(): assert_close(p.grad, theirs[name].grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("weight_p", [0.0, 0.4])
def test_gradients_are_those_of_nn_lstm_with_these_weights(weight_p):
    torch.manual_seed(1)
    rnn, x = nn.LSTM(5, 7, batch_first=True), torch.randn(3, 6, 5)
    w = nn.functional.dropout(rnn.weight_hh_l0, weight_p).detach().requires_grad_()
    state = torch.randn(1, 3, 7), torch.randn(1, 3, 7)
    other = copy.deepcopy(rnn)
    with torch.no_grad(): other.weight_hh_l0.copy_(w)
    out, last = a.run_layer(rnn, x, state, w)
    want, want_last = other(x, state)
    for mine, theirs in zip((out, *last), (want, *want_last)): assert_close(mine, theirs, atol=1e-6, rtol=1e-6)
    out.square().sum().backward()
    want.square().sum().backward()
    assert_close(w.grad, other.weight_hh_l0.grad, atol=1e-5, rtol=1e-5)
    assert_close(rnn.weight_ih_l0.grad, other.weight_ih_l0.grad, atol=1e-5, rtol=1e-5)


@given(p=st.floats(0, 0.9), seed=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_a_mask_keeps_the_mean(p, seed):
    torch.manual_seed(seed)
    mask, n = a.keep_mask(p, 200, 100), 20_000
    assert set(mask.unique().tolist()) <= {0.0, torch.tensor(1.0).div(1 - p).item()}
    zeros = (mask == 0).float().mean().item()
    assert abs(zeros - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-9


def test_a_locked_mask_is_constant_along_time_and_another_in_each_row():
    "Input, hidden and output dropout, read off the numbers themselves: what is 0 at one step is 0 at all."
    enc = encoder(emb_sz=64, n_hid=64, **NOTHING | {"output_p": 0.5}).train()
    raw, dropped = enc(tokens(4, 9))
    gone = dropped == 0
    assert (gone == gone[:, :1]).all() and .3 < gone.float().mean() < .7
    assert not (gone[0, 0] == gone[1, 0]).all()
    assert_close(dropped[~gone], 2 * raw[~gone])
    masks = encoder(emb_sz=64, n_hid=80, **HALF).train().draw(4)
    assert [m.shape for m in masks.inputs] == [(4, 1, 64), (4, 1, 80), (4, 1, 80)] and masks.output.shape == (4, 1, 64)


def test_embedding_dropout_drops_whole_words_everywhere():
    "A row of the embedding is all 0 or scaled, the same wherever the word stands."
    enc, seen = encoder(vocab_sz=200, **NOTHING | {"embed_p": 0.3}).train(), []
    enc.rnns[0].register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    x = tokens(8, 40, 200)
    enc(x)
    ratio = seen[0] / enc.emb(x).detach()
    for word in x.unique():
        here = ratio[x == word]
        zero = bool((here == 0).all())
        assert zero or torch.allclose(here, torch.full_like(here, 1 / .7), rtol=1e-4), word
    gone = [(ratio[x == word] == 0).all().item() for word in x.unique()]
    assert .15 < np.mean(gone) < .45


def test_dropconnect_drops_a_share_of_the_hidden_weights_once_a_window():
    enc = encoder(n_hid=60, emb_sz=60, **NOTHING | {"weight_p": 0.3}).train()
    masks = enc.draw(2)
    for rnn, w in zip(enc.rnns, masks.weights):
        zero = w == 0
        assert .25 < zero.float().mean() < .35
        assert_close(w[~zero], rnn.weight_hh_l0[~zero] / .7)
    other = enc.draw(2).weights[0]
    assert not ((other == 0) == (masks.weights[0] == 0)).all()
    # the same at all steps: reading in one go or step by step, with the same masks, is the same
    x = tokens(2, 6)
    whole, _ = enc.read(x, None, masks)
    state, parts = None, []
    for t in range(6):
        outs, state = enc.read(x[:, t : t + 1], state, masks)
        parts.append(outs[-1])
    assert_close(torch.cat(parts, 1), whole[-1], atol=1e-6, rtol=1e-5)


def test_the_raw_weight_trains_fastai_2591():
    "The parameter is the raw weight: a leaf, with a gradient, moved by the optimizer, and under the same name."
    enc = encoder(**NOTHING | {"weight_p": 0.5}).train()
    names = {name for name, _ in enc.named_parameters()}
    assert names == {"emb.weight", *(f"rnns.{i}.{k}" for i in range(3) for k in dict(nn.LSTM(1, 1).named_parameters()))}
    opt, raw = torch.optim.SGD(enc.parameters(), lr=1.0), [r.weight_hh_l0 for r in enc.rnns]
    was = [w.detach().clone() for w in raw]
    assert all(w.is_leaf and isinstance(w, nn.Parameter) for w in raw)
    torch.manual_seed(3)
    enc(tokens())[1].square().sum().backward()
    torch.manual_seed(3)
    zero = [w == 0 for w in enc.draw(3).weights]
    for w, z in zip(raw, zero): assert (w.grad[z] == 0).all() and (w.grad[~z] != 0).float().mean() > .5
    opt.step()
    for r, w, before in zip(enc.rnns, raw, was):
        assert r.weight_hh_l0 is w and not w.equal(before)
    assert {k for k in enc.state_dict()} == names


def test_eval_is_deterministic_awd_lstm_lm_72():
    "No dropout acts in eval mode, whatever it is in training mode; and training mode is not deterministic."
    enc, x = encoder(**HALF).eval(), tokens()

    def read():
        enc.reset()
        return enc(x)

    (raw, dropped), (again, _) = read(), read()
    assert raw.equal(again) and dropped.equal(raw)
    assert_close(raw, Plain(enc)(x), atol=1e-6, rtol=1e-6)
    enc.train()
    assert not read()[0].equal(read()[0])
    assert enc.eval() and read()[0].equal(raw)


def test_no_warning_in_training_reading_and_copying():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lm = a.language_model(20, 6, 10)
        out = lm(tokens())
        (a.lm_loss(out, tokens()) + a.activation_penalty(out.dropped) + a.temporal_penalty(out.raw)).backward()
        twin = copy.deepcopy(lm).eval()
        with torch.inference_mode(): twin(tokens())
        twin.train()
        a.lm_loss(twin(tokens()), tokens()).backward()  # the state came from inference mode


def test_the_state_goes_on_and_forgets():
    enc, x = encoder().eval(), tokens(3, 12)
    whole = enc(x)[0]
    enc.reset()
    assert_close(torch.cat([enc(part)[0] for part in x.split([1, 4, 7], 1)], 1), whole, atol=1e-6, rtol=1e-5)
    assert not enc(x)[0].allclose(whole)  # it reads on
    enc.reset()
    assert_close(enc(x)[0], whole)
    assert not any(s.requires_grad for hc in enc.state for s in hc) and "state" not in "".join(enc.state_dict())


def test_the_state_moves_between_batch_sizes_devices_and_precisions():
    enc = encoder().eval()
    enc(tokens(3))
    fresh = encoder().eval()
    assert_close(enc(tokens(5))[0], fresh(tokens(5))[0])  # another size: begins anew
    before = enc(tokens(5, seed=1))[0]
    enc.double()
    enc.state, fresh.state = [[tuple(s.clone() for s in hc) for hc in e.state] for e in (enc, fresh)]
    assert enc(tokens(5, seed=2))[0].dtype == torch.float64 and before.dtype == torch.float32
    moved = encoder().eval()
    moved(tokens(5))
    on_meta = copy.deepcopy(moved).to("meta")  # the only other device that is everywhere
    assert on_meta(tokens(5).to("meta"))[0].device.type == "meta"
    on_meta.state = moved.state
    assert on_meta(tokens(5).to("meta"))[0].shape == (5, 7, 6)


def test_some_rows_go_on_with_their_states_and_masks():
    torch.manual_seed(0)
    enc, x, more = encoder(**HALF), tokens(4), tokens(4, seed=5)
    masks, two = enc.draw(4), slice(1, 3)
    _, state = enc.read(x, None, masks)
    both, _ = enc.read(more, state, masks)
    outs, _ = enc.read(more[two], [tuple(s[:, two] for s in hc) for hc in state], masks.rows(two))
    for a_few, all_rows in zip(outs, both): assert_close(a_few, all_rows[two], atol=1e-6, rtol=1e-5)
    some = masks.rows(two)
    assert some.words is masks.words and some.weights is masks.weights and some.output.equal(masks.output[two])
    nothing = enc.eval().draw(4)
    assert nothing.rows(two) == nothing


def test_weights_are_tied_and_can_be_untied():
    lm, own = a.language_model(20, 6, 10, drop_mult=2), a.language_model(20, 6, 10, tie=False)
    assert lm.decoder.weight is lm.encoder.emb.weight and own.decoder.weight is not own.encoder.emb.weight
    assert lm.encoder.weight_p == pytest.approx(.2) and lm.encoder.embed_p == pytest.approx(.04)
    out = lm(tokens())
    assert out.activations.shape == (3, 7, 20)
    assert_close(out.activations, out.dropped @ lm.encoder.emb.weight.T + lm.decoder.bias)
    twin = copy.deepcopy(lm)
    assert twin.decoder.weight is twin.encoder.emb.weight
    a.lm_loss(lm(tokens()), tokens()).backward()
    torch.optim.SGD(lm.parameters(), lr=1.0).step()
    assert lm.decoder.weight is lm.encoder.emb.weight and len(list(lm.parameters())) == 1 + 3 * 4 + 1


@given(bs=st.integers(1, 4), w=st.integers(1, 6), n=st.integers(1, 5), seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_the_penalties_are_their_formulas(bs, w, n, seed):
    x = torch.randn(bs, w, n, generator=torch.Generator().manual_seed(seed))
    assert_close(a.activation_penalty(x, 3.0).item(), 3 * float((x.numpy() ** 2).mean()), atol=1e-5, rtol=1e-4)
    change = np.diff(x.numpy(), axis=1)
    want = 0.5 * float((change**2).mean()) if w > 1 else 0.0
    assert_close(a.temporal_penalty(x, 0.5).item(), want, atol=1e-5, rtol=1e-4)
    assert a.temporal_penalty(x[:, :1].expand(-1, 5, -1)) == 0


class Watch:
    order = 50

    def __init__(self): self.seen = []

    def after_loss(self, learn):
        extra = (learn.loss - a.lm_loss(learn.pred, learn.y)).item()
        self.seen.append((learn.training, learn.opt.param_groups[0]["lr"] if learn.training else None,
                          learn.x.shape[1], extra))


def learner(how=2.0, n=1_500, seed=0, **drops):
    torch.manual_seed(seed)
    stream = torch.from_numpy(np.random.default_rng(seed).integers(0, 20, n))
    dls = DataLoaders(LMBatches(stream, 4, 12, random_bptt=True, seed=seed), LMBatches(stream[:200], 4, 12))
    cbs = [a.LMTraining(how, how / 2), GradClip(.3)]
    return Learner(a.language_model(20, 6, 10, 2, **drops), dls, a.lm_loss,
                   partial(torch.optim.Adam, betas=(.7, .99)), cbs=cbs)


def test_the_rate_follows_the_window_and_the_penalties_are_for_training():
    learn, watch = learner(), Watch()
    learn.fit(2, .01, cbs=[watch], show=False)
    train = [s for s in watch.seen if s[0]]
    assert len({w for _, _, w, _ in train}) > 3
    for _, lr, w, extra in train: assert lr == pytest.approx(.01 * w / 12) and extra > 0
    assert all(abs(extra) < 1e-6 for training, _, _, extra in watch.seen if not training)
    assert learn.model.encoder.state is not None


def test_each_pass_begins_with_an_empty_state():
    learn = learner()
    states = []
    learn.fit(2, .01, cbs=[type("See", (), {"before_batch": lambda self, learn: states.append(
        (learn.batch, learn.model.encoder.state is None))})()], show=False)
    assert all(empty == (batch == 0) for batch, empty in states) and sum(empty for _, empty in states) == 4


def test_it_learns_less_by_heart():
    "Two seeds: phrases in another order; dropouts and penalties lower the held-out loss, and the gap to training."
    words = torch.from_numpy(np.random.default_rng(0).integers(0, 30, (40, 6)))

    def text(n, seed): return words[np.random.default_rng(seed).integers(0, 40, n)].flatten()

    gaps = {}
    for name, mult, how in (("plain", 0.0, 0.0), ("awd", 5.0, 1.0)):
        for seed in range(2):
            torch.manual_seed(seed)
            dls = DataLoaders(LMBatches(text(60, seed), 4, 18), LMBatches(text(60, seed + 9), 4, 18))
            lm = a.language_model(30, 24, 48, 2, drop_mult=mult)
            learn = Learner(lm, dls, a.lm_loss, torch.optim.Adam, cbs=[a.LMTraining(how, how)])
            learn.fit(30, .02, show=False)
            gaps.setdefault(name, []).append(learn.history.iloc[-1])
    plain, awd = ([row.valid_loss - row.train_loss for row in gaps[name]] for name in ("plain", "awd"))
    assert min(plain) > max(awd), (plain, awd)
    assert max(row.valid_loss for row in gaps["awd"]) < min(row.valid_loss for row in gaps["plain"])


def test_perplexity_a_token_and_a_word():
    lm, stream = a.language_model(20, 6, 10), torch.arange(401) % 20
    lm.train()
    lm(tokens(2))
    kept, batches = lm.encoder.state, LMBatches(stream, 4, 9)
    found = a.perplexity(lm, batches, marks=[3, 4])
    assert lm.training and lm.encoder.state is kept  # no trace
    lm.eval().reset()
    with torch.no_grad():
        act = torch.cat([lm(x).activations for x, _ in batches], 1)
    nats = nn.functional.cross_entropy(act.flatten(0, 1), batches.y_rows.flatten(), reduction="none")
    n_words = int(((batches.y_rows != 3) & (batches.y_rows != 4)).sum())
    assert found.nll == pytest.approx(nats.mean().item(), rel=1e-5)
    assert found.token == pytest.approx(np.exp(nats.mean().item()), rel=1e-5)
    assert found.word == pytest.approx(np.exp(nats.sum().item() / n_words), rel=1e-5)


def test_the_perplexity_of_a_net_that_has_diverged():
    lm, batches = a.language_model(20, 6, 10), LMBatches(torch.arange(41) % 20, 4, 5)
    with torch.no_grad(): lm.decoder.bias.copy_(torch.arange(20) * -1e3)
    assert a.perplexity(lm, batches).token == np.inf  # beyond what a float holds, and no error
    nn.init.constant_(lm.decoder.bias, float("nan"))
    with pytest.raises(ValueError, match="has the net diverged"): a.perplexity(lm, batches)


@given(width=st.integers(1, 40), bs=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_perplexity_does_not_depend_on_the_window(width, bs):
    torch.manual_seed(0)
    lm, stream = a.language_model(20, 4, 6, 2), torch.arange(161) % 20
    assert a.perplexity(lm, LMBatches(stream, bs, width)).nll == pytest.approx(
        a.perplexity(lm, LMBatches(stream, bs, 200)).nll, rel=1e-5)


def test_writing_bans_repeats_and_leaves_no_trace():
    lm = a.language_model(20, 6, 10).train()
    lm(tokens(2))
    kept, start = lm.encoder.state, torch.tensor([7, 8])
    ids, p = a.write_words(lm, start, 300, banned=range(7), temperature=5.0)
    assert len(ids) == 300 and p.shape == (300, 20) and set(ids.tolist()) == set(range(7, 20))
    assert (p[:, :7] == 0).all() and p.sum(1).allclose(torch.ones(300, dtype=p.dtype))
    assert lm.training and lm.encoder.state is kept
    again, _ = a.write_words(lm, start, 300, banned=range(7), temperature=5.0)
    other, _ = a.write_words(lm, start, 300, seed=1, banned=range(7), temperature=5.0)
    assert again.equal(ids) and not other.equal(ids)
    best, p = a.write_words(lm, start, 6, temperature=0)
    two, _ = a.write_words(lm, torch.cat([start, best[:2]]), 4, temperature=0)
    assert two.equal(best[2:])


VOCAB = Vocab([*SPECIALS, *(f"w{i}" for i in range(13))])


def test_encoder_and_vocabulary_come_back(tmp_path):
    enc = encoder(embed_p=.11, weight_p=.33, backward=True)
    a.save_encoder(tmp_path / "deep" / "enc", enc, VOCAB)
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"enc.safetensors", "enc.json"}
    for path in ("enc", "enc.safetensors", "enc.json"):
        back, vocab = a.load_encoder(tmp_path / "deep" / path)
        assert vocab == VOCAB and not back.training and back.backward
        assert (back.embed_p, back.weight_p, back.sizes) == (.11, .33, enc.sizes)
        assert back(tokens())[0].equal(encoder().eval()(tokens())[0])
    assert Vocab.load(tmp_path / "deep" / "enc.json") == VOCAB


@pytest.mark.parametrize("other", [Vocab([*SPECIALS, *(f"w{i}" for i in reversed(range(13)))]),
                                   Vocab([*SPECIALS, *(f"w{i}" for i in range(12))]),
                                   Vocab([*SPECIALS, *(f"w{i}" for i in range(12)), "x"])])
def test_an_encoder_refuses_another_vocabulary(tmp_path, other):
    a.save_encoder(tmp_path / "enc", encoder(), VOCAB)
    other.save(tmp_path / "enc.json")
    with pytest.raises(ValueError, match="is not the vocabulary that enc.safetensors was saved with"):
        a.load_encoder(tmp_path / "enc")


def test_files_that_are_none_of_ours(tmp_path):
    path = tmp_path / "enc"
    with pytest.raises(FileNotFoundError, match="there is no file"): a.load_encoder(path)
    with pytest.raises(ValueError, match="vocab has 7 tokens, the encoder 20"):
        a.save_encoder(path, encoder(), Vocab(SPECIALS))
    a.save_encoder(path, encoder(), VOCAB)
    weights, words = path.with_suffix(".safetensors"), path.with_suffix(".json")
    good, text = weights.read_bytes(), words.read_text()
    weights.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match="no whole safetensors file"): a.load_encoder(path)
    state = {}
    weights.write_bytes(good)
    state = load_file(weights)
    save_file(state, weights)  # without a word of what it is
    with pytest.raises(ValueError, match="holds no AWDLSTM"): a.load_encoder(path)
    weights.write_bytes(good)
    words.write_text(json.dumps({"itos": 3}))
    with pytest.raises(ValueError, match="was it another model's file"): a.load_encoder(path)
    words.write_text(text)
    assert a.load_encoder(path)[1] == VOCAB


BAD = {
    "a share of 1": (lambda: encoder(weight_p=1), ValueError, "weight_p=1: give the share that is dropped"),
    "a share below 0": (lambda: encoder(embed_p=-.1), ValueError, "embed_p=-0.1"),
    "a share that is none": (lambda: encoder(input_p="x"), TypeError, "input_p must be a number"),
    "NaN": (lambda: encoder(hidden_p=float("nan")), ValueError, "hidden_p=nan"),
    "too much of all": (lambda: a.language_model(9, 4, 4, drop_mult=20), ValueError, "input_p=1.0"),
    "no layer": (lambda: encoder(n_layers=0), ValueError, "n_layers=0 is too small"),
    "half a width": (lambda: encoder(n_hid=2.5), TypeError, "n_hid must be a whole number"),
    "no vocabulary": (lambda: encoder(vocab_sz=0), ValueError, "vocab_sz=0"),
    "a number it has no word for": (lambda: encoder()(torch.tensor([[20]])), IndexError, "x holds 20: there are 20"),
    "one row": (lambda: encoder()(torch.tensor([1, 2])), ValueError, "x has shape (2,): give (bs, w)"),
    "no step": (lambda: encoder()(torch.zeros(2, 0, dtype=torch.long)), ValueError, "x has shape (2, 0)"),
    "no whole numbers": (lambda: encoder()(torch.rand(2, 2)), TypeError, "x holds torch.float32"),
    "no row": (lambda: encoder().draw(0), ValueError, "bs=0"),
    "a state of another batch": (lambda: encoder().read(tokens(1), encoder().read(tokens(3))[1]), ValueError,
                                 "state has shape (1, 3, 10): give (1, 1, 10)"),
    "a state of another net": (lambda: encoder().read(tokens(), encoder(n_hid=12).read(tokens())[1]), ValueError,
                               "state has shape (1, 3, 12)"),
    "a state of too few layers": (lambda: encoder().read(tokens(), encoder().read(tokens())[1][:2]), ValueError,
                                  "state holds 2 layers"),
    "masks of another batch": (lambda: encoder().read(tokens(1), None, encoder(**HALF).draw(3)), ValueError,
                               "mask has shape (3, 1, 6), x (1, 7, 6)"),
    "a number without a word, to read": (lambda: encoder().read(torch.tensor([[-1]])), IndexError, "x holds -1"),
    "hidden weights of another layer": (lambda: a.run_layer(nn.LSTM(4, 4, batch_first=True), torch.rand(1, 2, 4),
                                                            (torch.zeros(1, 1, 4),) * 2, torch.zeros(16, 5)),
                                        ValueError, "w_hh has shape (16, 5): give (16, 4)"),
    "another kind of layer": (lambda: a.run_layer(nn.GRU(4, 4, batch_first=True), torch.rand(1, 2, 4),
                                                  (torch.zeros(1, 1, 4),) * 2, torch.zeros(12, 4)),
                              ValueError, "rnn: give an nn.LSTM of one layer"),
    "a head for no encoder": (lambda: a.LanguageModel(nn.LSTM(2, 2)), TypeError, "encoder is a LSTM: give an AWDLSTM"),
    "NaN for a penalty": (lambda: a.activation_penalty(torch.ones(1, 2, 3), float("nan")), ValueError, "alpha=nan"),
    "a target without a word": (lambda: a.lm_loss(a.language_model(20, 6, 10)(tokens()), tokens() + 20), IndexError,
                                "y holds"),
    "marks that are no tokens": (lambda: a.perplexity(a.language_model(20, 6, 10), LMBatches(torch.arange(41) % 20, 4),
                                                      [20]), IndexError, "marks holds 20"),
    "a list for a vocabulary": (lambda: a.save_encoder("x", encoder(), ["a"]), TypeError, "vocab is a list"),
    "a negative alpha": (lambda: a.LMTraining(-1), ValueError, "alpha=-1"),
    "a mask of a bad share": (lambda: a.keep_mask(2, 3), ValueError, "p=2"),
    "no text": (lambda: a.perplexity(a.language_model(9, 4, 4), []), ValueError, "batches hold 0 targets"),
    "no start": (lambda: a.write_words(a.language_model(9, 4, 4), torch.zeros(0, dtype=torch.long)), ValueError,
                 "start has shape (0,)"),
    "an unknown start": (lambda: a.write_words(a.language_model(9, 4, 4), torch.tensor([9])), IndexError,
                         "start holds 9"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_words(what):
    call, error, words = BAD[what]
    with pytest.raises(error) as refused: call()
    assert words in str(refused.value)


def test_smaller_whole_numbers_are_taken():
    assert encoder().eval()(tokens().int())[0].equal(encoder().eval()(tokens())[0])


@pytest.mark.parametrize("config", [None, "{", "[1]"])
def test_a_file_that_does_not_say_what_it_is_made_from_is_refused(tmp_path, config):
    vocab = Vocab([*SPECIALS, "a"])
    a.save_encoder(tmp_path / "enc", a.AWDLSTM(len(vocab), 4, 5, 1), vocab)
    with safe_open(tmp_path / "enc.safetensors", "pt") as f: about = f.metadata()
    about.pop("config")
    more = {} if config is None else {"config": config}
    save_file(load_file(tmp_path / "enc.safetensors"), tmp_path / "enc.safetensors", about | more)
    with pytest.raises(ValueError, match="does not say what its net is made from"): a.load_encoder(tmp_path / "enc")


def test_sizes_may_be_numpys_and_targets_must_lie_as_the_text_does():
    model = a.language_model(np.int64(9), np.int32(4), np.int64(5), np.int64(2))
    x = torch.randint(0, 9, (2, 3))
    assert torch.isfinite(a.lm_loss(model(x), x))
    with pytest.raises(ValueError, match=r"y has shape \(3, 2\): give \(2, 3\)"): a.lm_loss(model(x), x.T)
