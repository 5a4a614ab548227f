"""What lesson 35 promises: padding never changes an answer, memory is bounded, what does not fit is refused."""
import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lessonkit.awd_lstm import AWDLSTM
from lessonkit.bptt import graph_bytes
from lessonkit.engines.vocab import SPECIALS, Vocab
from lessonkit.learner import DataLoaders, Learner
from lessonkit.ulmfit import (TextBatches, TextClassifier, TfidfBaseline, align, classifier_score, concat_pool,
                              fit_gradually, input_gradient, load_classifier, move_encoder, move_rows, occlusion,
                              pad_docs, pool, probabilities, save_classifier, sortish, word_spans)

PLACE = ("left", "right", "torn")


class Plain(nn.Module):
    "The least that an encoder needs: emb, draw, read."

    def __init__(self, vocab_sz=40, emb_sz=6):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(vocab_sz, emb_sz), nn.LSTM(emb_sz, emb_sz, batch_first=True)

    def draw(self, bs): return None

    def read(self, x, state=None, masks=None):
        out, new = self.rnn(self.emb(x), state[0] if state else None)
        return [out], [new]


def classifier(encoder=AWDLSTM, seed=0, **options):
    torch.manual_seed(seed)
    own = Plain() if encoder is Plain else AWDLSTM(40, 6, 9, 2)
    return TextClassifier(own, 3, **options).eval()


def documents(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.integers(2, 40, n)) for n in lengths]


def placed(docs, place, more=0, seed=0):
    "The documents as a batch, with padding at the left, the right or anywhere, and `more` of it."
    n = max(map(len, docs)) + more
    x, rng = torch.ones(len(docs), n, dtype=torch.long), np.random.default_rng(seed)
    for row, d in zip(x, docs):
        torn = np.sort(rng.permutation(n)[: len(d)])
        at = {"left": np.arange(n - len(d), n), "right": np.arange(len(d)), "torn": torn}
        row[torch.from_numpy(at[place])] = d
    return x


# ── padding ──

@given(lengths=st.lists(st.integers(1, 25), min_size=1, max_size=5), chunk=st.integers(1, 30), more=st.integers(0, 9),
       place=st.sampled_from(PLACE), encoder=st.sampled_from([AWDLSTM, Plain]), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_padding_never_changes_an_answer(lengths, chunk, more, place, encoder, seed):
    net, docs = classifier(encoder, seed, chunk=chunk), documents(lengths, seed)
    with torch.no_grad():
        got = net(placed(docs, place, more, seed))
        net.chunk = 1000
        alone = torch.cat([net(d[None]) for d in docs])
    assert_close(got, alone, atol=1e-5, rtol=1e-5)


def test_fastai_1005_the_same_text_gets_the_same_answer_in_any_batch():
    "Alone, beside a longer one, and beside a shorter one."
    net, (short, mine, long) = classifier(), documents([4, 20, 90])
    with torch.no_grad():
        alone = net(mine[None])[0]
        for others in ([long], [short], [short, long], [long] * 5):
            assert_close(net(pad_docs([mine, *others]))[0], alone, atol=1e-5, rtol=1e-5)


def test_fastai_975_more_padding_changes_nothing():
    "On either side, in any amount."
    net, [doc] = classifier(), documents([30])
    with torch.no_grad():
        alone = net(doc[None])
        for n in (1, 71, 72, 73, 500):
            fill = torch.ones(1, n, dtype=torch.long)
            for x in ([fill, doc[None]], [doc[None], fill], [fill, doc[None], fill]):
                assert_close(net(torch.cat(x, 1)), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 10, 72])
def test_fastai_3379_no_input_is_lost_where_a_chunk_is_mostly_padding(chunk):
    "A single token that falls into the last chunk counts: with another there, the answer is another."
    net, docs = classifier(chunk=chunk), documents([chunk + 1, 3 * chunk])
    other = docs[0].clone()
    other[-1] = 2 + (other[-1] - 1) % 38
    with torch.no_grad():
        one, two = (net(pad_docs([d, docs[1]], side="left"))[0] for d in (docs[0], other))
        assert_close(one, net(docs[0][None])[0], atol=1e-5, rtol=1e-5)
    assert (one - two).abs().max() > 1e-4


def test_gradients_do_not_depend_on_padding_either():
    grads = []
    for place, more in (("right", 0), ("left", 13), ("torn", 5)):
        net = classifier(chunk=50)
        F.cross_entropy(net(placed(documents([5, 30, 11]), place, more)), torch.tensor([0, 1, 2])).backward()
        grads.append([p.grad for p in net.parameters()])
    for other in grads[1:]:
        for a, b in zip(grads[0], other): assert_close(a, b, atol=1e-5, rtol=1e-4)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4), chunk=st.integers(1, 13), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_pooling_in_pieces_is_pooling_at_once(lengths, chunk, seed):
    torch.manual_seed(seed)
    out, n, now = torch.randn(len(lengths), max(lengths), 3), torch.tensor(lengths), None
    for i in range(0, out.shape[1], chunk): now = pool(out[:, i : i + chunk], n - i, now)
    whole = concat_pool(out, n)
    assert_close(torch.cat([now[0], now[1], now[2] / n[:, None]], 1), whole)
    for row, k, w in zip(out, lengths, whole):
        assert_close(w, torch.cat([row[k - 1], row[:k].amax(0), row[:k].mean(0)]))


def test_align():
    x, n = align(torch.tensor([[0, 5, 0, 6], [0, 0, 0, 0], [7, 0, 0, 0]]), pad=0)
    assert x.tolist() == [[5, 6], [0, 0], [7, 0]] and n.tolist() == [2, 0, 1]


# ── state and memory ──

def test_nothing_is_left_of_the_document_before():
    net, docs = classifier(), documents([9, 14])
    with torch.no_grad():
        first = net(docs[0][None])
        net(docs[1][None])
        assert_close(net(docs[0][None]), first, atol=0, rtol=0)
        net.encoder(docs[1][None])  # what the encoder itself reads is its own affair
        kept = net.encoder.state
        assert_close(net(docs[0][None]), first, atol=0, rtol=0)
    assert net.encoder.state is kept


def test_a_review_of_20_000_tokens_trains_in_bounded_memory():
    "Measured: what autograd keeps, and that a step changes the encoder."
    kept = {}
    for n in (1_000, 20_000):
        net = classifier(reach=360).train()
        x = torch.randint(2, 40, (2, n), generator=torch.Generator().manual_seed(0))
        kept[n] = graph_bytes(lambda net=net, x=x: net(x))
    assert kept[20_000] < 1.1 * kept[1_000]
    before = copy.deepcopy(net.encoder.rnns[0].weight_hh_l0.detach())
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    F.cross_entropy(net(x), torch.tensor([0, 1])).backward()
    opt.step()
    assert all(p.grad.isfinite().all() for p in net.parameters()) and not before.equal(net.encoder.rnns[0].weight_hh_l0)


def test_memory_is_bounded_among_documents_of_all_lengths():
    "One document after another is near its end: the long ones still keep their own last tokens only."
    kept = {}
    for longest in (4_000, 16_000):
        net = classifier(reach=144, chunk=72).train()
        docs = documents(np.linspace(longest / 16, longest, 16).astype(int))
        x = pad_docs(docs)
        kept[longest] = graph_bytes(lambda net=net, x=x: net(x))
    assert kept[16_000] < 1.3 * kept[4_000], kept


def test_each_document_learns_from_its_own_last_tokens():
    "In company of any lengths a document teaches the encoder what it teaches it beside one of its own length."
    docs, slopes = documents([12, 60, 31, 60, 7]), {}
    for name, at in (("all", range(5)), ("alike", (1, 3))):
        net = classifier(chunk=5, reach=10)
        pooled = net.features(pad_docs([docs[i] for i in at]))
        pooled[list(at).index(1)].sum().backward()
        slopes[name] = net.encoder.emb.weight.grad
    assert_close(slopes["all"], slopes["alike"], atol=1e-5, rtol=1e-4)
    assert slopes["all"].abs().sum() > 0


@given(lengths=st.lists(st.integers(1, 25), min_size=1, max_size=20), chunk=st.integers(1, 30), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_lengths_that_are_known_change_nothing(lengths, chunk, seed):
    net, docs = classifier(seed=seed, chunk=chunk), documents(lengths, seed)
    with torch.no_grad(): assert_close(net(pad_docs(docs), lengths), net(pad_docs(docs)), atol=0, rtol=0)


def test_in_training_one_draw_serves_the_whole_document():
    "A document in pieces is read under the masks of its first piece, and each row keeps its own."
    docs = documents([30, 7, 19])
    net = classifier(chunk=1000)
    net.encoder.train()
    for name in ("embed_p", "input_p", "hidden_p", "weight_p"): setattr(net.encoder, name, .5)
    found = []
    for chunk in (1000, 4, 9):
        net.chunk = chunk
        torch.manual_seed(3)
        with torch.no_grad(): found.append(net.features(pad_docs(docs)))
    for other in found[1:]: assert_close(other, found[0], atol=1e-5, rtol=1e-5)


def test_beyond_reach_is_read_but_does_not_teach():
    "The first tokens count in the answer; their embeddings get no gradient."
    net, x = classifier(chunk=5, reach=5).train(), torch.full((2, 20), 7)
    x[:, :5] = 9
    net(x).sum().backward()
    slope = net.encoder.emb.weight.grad
    assert slope[9].abs().sum() == 0 < slope[7].abs().sum()
    other = x.clone()
    other[:, :5] = 11
    with torch.no_grad(): assert (net.eval()(x) - net(other)).abs().max() > 1e-5


# ── batches ──

@given(n=st.integers(1, 300), bs=st.integers(1, 40), pool=st.integers(1, 5), seed=st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_sortish_gives_each_document_once(n, bs, pool, seed):
    lengths = np.random.default_rng(seed).integers(1, 1000, n)
    batches = sortish(lengths, bs, seed, pool)
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert lengths.max() in lengths[batches[0]]
    assert n == 1 or bs == 1 or min(map(len, batches)) > 1
    assert max(map(len, batches)) <= bs + 1
    assert [b.tolist() for b in batches] == [b.tolist() for b in sortish(lengths, bs, seed, pool)]


def test_batches_of_a_learner_change_with_the_epoch():
    docs = documents(range(2, 60))
    batches = TextBatches(docs, [len(d) for d in docs], bs=8)
    first, second = list(batches), list(batches.set_epoch(1))
    assert not torch.cat([y for _, y in first]).equal(torch.cat([y for _, y in second]))
    for x, y in first: assert (x != 1).sum(1).tolist() == y.tolist()
    assert len(batches) == len(first) == 8 and batches.order.tolist() == [int(y) - 2 for _, ys in second for y in ys]


def test_probabilities_come_in_the_order_of_the_documents():
    net, docs = classifier(), documents([3, 50, 7, 90, 1])
    with torch.no_grad(): want = torch.cat([net(d[None]) for d in docs]).softmax(1)
    net.train()
    assert_close(probabilities(net, docs, bs=2), want, atol=1e-5, rtol=1e-5)
    assert net.training


# ── another vocabulary ──

def test_a_moved_encoder_says_the_same_of_words_both_know():
    old = Vocab([*SPECIALS, *"abcdef"])
    new = Vocab([*SPECIALS, *"fedzyx"])
    torch.manual_seed(0)
    enc = AWDLSTM(len(old), 6, 9, 2).eval()
    own, text = enc.emb.weight.detach().clone(), list("fdeed")
    moved = move_encoder(enc, old, new).eval()
    with torch.no_grad():
        got, want = (e(torch.from_numpy(v.numericalize(text))[None])[0] for e, v in ((moved, new), (enc, old)))
    assert_close(got, want)
    assert_close(moved.emb.weight[new["z"]], own.mean(0)) and moved.sizes["vocab_sz"] == len(new)
    assert moved.emb.weight.requires_grad and own.equal(enc.emb.weight)
    TextClassifier(moved, 2, new)


# ── training ──

def test_gradual_unfreezing_trains_what_it_says():
    net, docs, y = classifier(), documents([5, 9, 12, 30] * 4), torch.arange(16) % 3
    learn = Learner(net, DataLoaders(TextBatches(docs, y, 4)), F.cross_entropy, splitter=TextClassifier.groups,
                    device="cpu")
    seen, groups = [], learn.groups

    class Look:
        order = 0

        def before_step(self, learn): seen.append(([g[0].requires_grad for g in groups], list(learn.rates)))

    fit_gradually(learn, 0.01, epochs=(1, 1, 2), show=False, cbs=[Look()])
    assert len(groups) == 4 and len(seen) == 16
    assert [sum(on) for on, _ in seen[::4]] == [1, 2, 4, 4]
    top = np.max([r for _, r in seen], 0)
    np.testing.assert_allclose(top[1:] / top[:-1], 2.6, rtol=1e-6)
    assert 0.005 < top[-1] <= 0.01


def test_files(tmp_path):
    vocab, docs = Vocab([*SPECIALS, *map(str, range(33))]), documents([4, 9])
    net = classifier(n_head=7, chunk=11)
    save_classifier(tmp_path / "net", net, vocab)
    again, words = load_classifier(tmp_path / "net")
    assert words == vocab and (again.chunk, again.config["n_class"], again.training) == (11, 3, False)
    assert_close(probabilities(again, docs), probabilities(net, docs), atol=0.01, rtol=0)
    with pytest.raises(ValueError, match="do not belong together"):
        save_classifier(tmp_path / "net", net, Vocab(["a"]))
    Vocab([*SPECIALS, *map(str, range(1, 34))]).save(tmp_path / "net.json")
    with pytest.raises(ValueError, match="is not the vocabulary"): load_classifier(tmp_path / "net")


# ── which words ──

def test_occlusion_of_a_sum_is_its_terms():
    worth = {"a": 1.0, "b": -2.0, "xxmaj": 0.25, "c": 4.0}
    score = lambda docs: np.array([sum(worth[t] for t in d) for d in docs])
    np.testing.assert_allclose(occlusion(score, ["a", "xxmaj", "c", "b"]), [1, 4.25, -2])
    assert word_spans("xxmaj xxrep 3 a".split()) == [(0, 4)]


@pytest.mark.parametrize("reach", [2, 1440])
def test_the_gradient_is_that_of_the_embeddings(reach):
    "Against finite differences, whatever the chunks; and nothing of the net is changed."
    torch.manual_seed(0)
    net = TextClassifier(Plain(), 2, chunk=3, reach=reach).double().eval()
    x = torch.tensor([5, 6, 7, 8, 9, 10, 11])
    before = copy.deepcopy(net.state_dict())
    found = input_gradient(net, x)
    net.chunk, eps = 1000, 1e-6
    odds = lambda: torch.logit(net(x[None]).softmax(1)[0, 1]).item()
    with torch.no_grad():
        for token, got in zip(x.tolist(), found):
            row = net.encoder.emb.weight[token]
            row.mul_(1 + eps)
            up = odds()
            row.div_(1 + eps).mul_(1 - eps)
            slope = (up - odds()) / (2 * eps)
            row.div_(1 - eps)
            assert abs(slope - got.item()) < 1e-4 * max(1, abs(slope))
    assert net.reach == reach and all(p.grad is None for p in net.parameters())
    for k, v in net.state_dict().items(): assert_close(v, before[k])


def test_a_score_reads_what_probabilities_read():
    vocab = Vocab([*SPECIALS, *map(str, range(33))])
    torch.manual_seed(0)
    net = TextClassifier(AWDLSTM(40, 6, 9, 2), 2, vocab).eval()
    docs = [["3", "4", "5"], ["unheard"]]
    p = probabilities(net, [vocab.numericalize(["xxbos", *d]) for d in docs])[:, 1].double()
    np.testing.assert_allclose(classifier_score(net, vocab)(docs), torch.logit(p), atol=1e-6)


@pytest.mark.parametrize("texts", [["ภาษาไทยง่ายมาก", "หนังเรื่องนี้ดี"], ["我喜欢这部电影。", "这部电影很糟糕"],
                                   ["🙂🙃", "a\u0301e\u0301"]])
def test_other_scripts_are_read_and_other_words_are_unknown(texts):
    "Letter by letter they are numbers like any others; beside a vocabulary that lacks them all, all are unknown."
    own, foreign = Vocab.from_tokens([list(t) for t in texts], min_freq=1), Vocab([*SPECIALS, *"good"[:2], *"film"])
    torch.manual_seed(0)
    net = TextClassifier(AWDLSTM(len(own), 4, 5, 1), 2, own).eval()
    p = probabilities(net, [own.numericalize(list(t)) for t in texts])
    assert p.isfinite().all() and not p[0].equal(p[1])
    assert [own.textify(own.numericalize(list(t)), "") for t in texts] == texts
    assert foreign.unknown_share(list(texts[0])) == 1
    with pytest.raises(ValueError, match="no word in common"): move_encoder(net.encoder, own, foreign)


# ── bad input ──

NET, SMALL = classifier(), Vocab(["xxunk", "good"])
REFUSED = {
    "no documents": (lambda: pad_docs([]), "docs is empty"),
    "a text for documents": (lambda: pad_docs("text"), "docs is empty or a text"),
    "an empty document": (lambda: pad_docs([[3], []]), r"docs\[1\] has shape \(0,\)"),
    "an empty document of a loader": (lambda: TextBatches([[3], []]), r"docs\[1\] is empty"),
    "an empty corpus": (lambda: TextBatches([]), "docs is empty"),
    "a document of padding": (lambda: TextBatches([[3], [1, 1]]), r"docs\[1\] is empty, all padding"),
    "documents of different depths": (lambda: NET([[3, 4], [5]]), "x holds rows of different lengths"),
    "lengths with a gap": (lambda: sortish([2.0, float("nan")], 2), "lengths holds float64"),
    "a negative seed": (lambda: TextBatches([[3]], seed=-1), "seed=-1"),
    "a negative epoch": (lambda: TextBatches([[3]]).set_epoch(-1), "epoch=-1"),
    "padding of one axis": (lambda: align(torch.tensor([1, 2])), r"x has shape \(2,\)"),
    "pooling for others": (lambda: pool(torch.rand(2, 3, 4), torch.tensor([1])), r"left has shape \(1,\): give \(2,\)"),
    "pooling of nothing": (lambda: concat_pool(torch.rand(2, 3, 4), [0, 2]), r"n holds \[0, 2\]: take 1 to 3"),
    "pooling beyond": (lambda: concat_pool(torch.rand(1, 3, 4), [4]), r"n holds \[4\]"),
    "a list for a vocabulary": (lambda: TextClassifier(AWDLSTM(9, 4, 4, 1), 2, ["a"]), "vocab is a list: give a Vocab"),
    "words for numbers": (lambda: move_rows(torch.ones(2, 3), SMALL, ["gut"]), "new is a list: give a Vocab"),
    "a score of other words": (lambda: classifier_score(NET, SMALL), "vocab has 2 tokens, the encoder 40"),
    "a score of no class": (lambda: classifier_score(NET, Vocab(map(str, range(40))), 3), "target holds 3"),
    "a score of texts": (lambda: classifier_score(NET, Vocab(map(str, range(40))))(["a b"]), "docs holds a text"),
    "a gradient of no class": (lambda: input_gradient(NET, [3, 4], -1), "target holds -1"),
    "documents of words": (lambda: TextBatches([["a", "b"]]), r"docs\[0\] holds"),
    "too few classes": (lambda: TextBatches([[3], [4]], [0]), "one class for each"),
    "a side": (lambda: pad_docs([[3]], side="top"), "side='top'"),
    "nothing but padding": (lambda: NET(torch.tensor([[5, 6], [1, 1]])), "no token but padding in row 1"),
    "an unknown number": (lambda: NET(torch.tensor([[40]])), "x holds 40"),
    "one axis": (lambda: NET(torch.tensor([4])), r"x has shape \(1,\)"),
    "no step": (lambda: NET(torch.ones(2, 0, dtype=torch.long)), r"x has shape \(2, 0\)"),
    "floats": (lambda: NET(torch.rand(2, 3)), "whole numbers"),
    "lengths for others": (lambda: NET(torch.tensor([[5, 6], [7, 1]]), [2]), r"lengths has shape \(1,\)"),
    "lengths beyond the batch": (lambda: NET(torch.tensor([[5, 6], [7, 1]]), [3, 1]), "lengths are not 1 to 2"),
    "a negative length": (lambda: NET(torch.tensor([[5, 6], [7, 1]]), [2, -1]), "lengths are not 1 to 2"),
    "half a length": (lambda: NET(torch.tensor([[5, 6], [7, 1]]), [2, .5]), "lengths holds float"),
    "one document in training": (lambda: copy.deepcopy(NET).train()(torch.tensor([[5]])), "BatchNorm needs two"),
    "a strange encoder": (lambda: TextClassifier(nn.LSTM(2, 2), 2), "give an AWDLSTM"),
    "another vocabulary": (lambda: TextClassifier(AWDLSTM(9, 4, 4, 1), 2, SMALL), "do not belong together"),
    "no padding token": (lambda: TextClassifier(AWDLSTM(2, 4, 4, 1), 2, SMALL), "no 'xxpad'"),
    "one class": (lambda: TextClassifier(AWDLSTM(9, 4, 4, 1), 1), "n_class=1"),
    "another language": (lambda: move_rows(torch.ones(2, 3), SMALL, Vocab(["gut"])), "no word in common"),
    "another language, the same specials": (lambda: move_encoder(AWDLSTM(8, 4, 4, 1), Vocab([*SPECIALS, "good"]),
                                                                 Vocab([*SPECIALS, "gut"])), "no word in common"),
    "another encoder": (lambda: move_rows(torch.ones(3, 3), SMALL, SMALL), "do not belong together"),
    "one word": (lambda: occlusion(lambda docs: docs, ["one"]), "two or more"),
    "no baseline yet": (lambda: TfidfBaseline().log_odds([["a"]]), "fit it first"),
    "one verdict": (lambda: TfidfBaseline().fit([["a"], ["b"]], [1, 1]), "documents of both"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input(name):
    make, words = REFUSED[name]
    with pytest.raises((ValueError, TypeError, IndexError), match=words): make()


def test_the_baseline_reads_tokens_not_letters(tmp_path):
    docs = [["good", "film"], ["bad", "film"]]
    base = TfidfBaseline().fit(docs, [1, 0])
    for bad in (["good film"], "good", [[1, 2]], [None]):
        with pytest.raises(TypeError, match=r"docs holds a text|docs\[0\] is"): base.log_odds(bad)
    with pytest.raises(ValueError, match="docs holds no token"): TfidfBaseline().fit([[], []], [0, 1])
    with pytest.raises(ValueError, match="fit it before"): TfidfBaseline().save(tmp_path / "b")
    with pytest.raises(TypeError, match="tokens is a text"): occlusion(lambda d: [0], "good film")


def test_what_would_be_wrong_without_a_word_is_refused(tmp_path):
    vocab = Vocab([*SPECIALS, "good", "film"])
    model = TextClassifier(AWDLSTM(len(vocab), 4, 5, 1), 2, pad=3).eval()
    with pytest.raises(ValueError, match="xxpad is 1 in vocab, 3 in model"):
        save_classifier(tmp_path / "c", model, vocab)
    with pytest.raises(ValueError, match=r"docs\[1\] is empty, all padding, or no row"): TextBatches([[4], [[4]]])
    with pytest.raises(ValueError, match=r"gives has shape \(1,\): give \(3,\)"): occlusion(lambda d: [0], ["a", "b"])


def test_lists_and_arrays_of_tokens_are_read_and_padding_is_worth_nothing():
    torch.manual_seed(0)
    model = TextClassifier(AWDLSTM(20, 4, 5, 1), 2).eval()
    x = torch.tensor([[4, 1, 5], [6, 7, 8]])
    assert_close(model(x.tolist()), model(x))
    assert_close(model(x.numpy()), model(x))
    worth = input_gradient(model, x[0])
    assert worth.shape == (3,) and worth[1] == 0
    assert_close(worth[[0, 2]], input_gradient(model, x[0, [0, 2]]))
