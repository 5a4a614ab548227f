"""What only a GPU can show. Run where there is one, with `python tools/gpu.py run cuda-tests` on a bare machine too.

So this file imports torch, numpy and the engines alone: no hypothesis, no widgets, no download."""
import copy
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lessonkit import convnets, finetune
from lessonkit.awd_lstm import DROPS, AWDLSTM, LMTraining, language_model, lm_loss, perplexity, write_words
from lessonkit.bptt import LMBatches
from lessonkit.cam import cam, grad_cam
from lessonkit.char_rnn import KINDS, char_net, fit, held_out, next_chars, reach, unroll
from lessonkit.gates import follows, keep_start_, open_gates, write
from lessonkit.images import Augment, mirror, tta
from lessonkit.learner import DataLoaders, GradClip, Learner, accuracy
from lessonkit.lr_finder import lr_find
from lessonkit.ulmfit import TextBatches, TextClassifier, fit_gradually, input_gradient, pad_docs, probabilities

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from gpu_rows import characters, checks, pictures, training, vision  # noqa: E402

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
RUN = SimpleNamespace(eager=False, safe=False, due=lambda: False, tiny=True)
GPU = "cuda"


def data(n: int = 128) -> tuple:
    x = torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return x, (x.mean((1, 2, 3)) > 0).long()


def model() -> nn.Module:
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(.1)]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(64, 2))


@pytest.mark.parametrize("precision", [None, "bf16", "fp16"])
def test_the_learner_trains_on_the_gpu(precision):
    dls = DataLoaders.from_arrays(data(), data(), bs=16)
    learn = Learner(model(), dls, F.cross_entropy, metrics=[accuracy], precision=precision).fit(5, .1, show=False)
    assert learn.model[0].weight.is_cuda and learn.history.valid_loss.iloc[-1] < learn.history.valid_loss.iloc[0]
    assert not learn.predict().is_cuda


def test_the_finder_leaves_no_trace_on_the_gpu():
    learn = Learner(model(), DataLoaders.from_arrays(data(), data(), bs=16), F.cross_entropy).fit(1, .01, show=False)
    was, dice = copy.deepcopy(learn.model.state_dict()), torch.cuda.get_rng_state_all()
    lr_find(learn, num_it=40)
    assert all(torch.equal(a, b) for a, b in zip(was.values(), learn.model.state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(dice, torch.cuda.get_rng_state_all()))


def test_windows_are_cut_on_the_device():
    tokens = torch.arange(1000)
    ours = [x for x, _ in LMBatches(tokens, bs=8, bptt=10, device="cuda")]
    assert all(x.is_cuda for x in ours)
    for a, (b, _) in zip(ours, LMBatches(tokens, bs=8, bptt=10)): assert torch.equal(a.cpu(), b)


def test_a_replayed_step_is_the_eager_step():
    assert checks.replay_gap(RUN) < 1e-4


@pytest.mark.parametrize("row", [vision.cifar_row, vision.dogscats_row])
def test_the_recipes_steps_can_be_replayed(row, monkeypatch):
    x = torch.randint(100, (256, 32, 32, 3), dtype=torch.uint8, device="cuda")
    y = torch.arange(256, device="cuda") % 2
    x[y == 1] += 100
    pics, was = pictures.Pictures(x, y, x, y, ["dark", "light"], ""), []

    def net_row(run, seconds, name, set_name, make, widths, seeds, cfg, batch_of, prepare=None):
        net = make(widths).to("cuda", memory_format=torch.channels_last)
        trainer = training.Trainer(RUN, net, lambda i, e: batch_of(pics, i, e), 64, wd=1e-4)
        before = copy.deepcopy(net.state_dict())
        assert trainer.replay.graph is not None
        for _ in range(30):
            trainer.loss.zero_()
            for i in range(4): trainer(torch.arange(64 * i, 64 * i + 64, device="cuda"), .02)
            was.append(trainer.loss.item())
        assert not all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values()))

    monkeypatch.setattr(vision, "net_row", net_row)
    row(RUN, 1)
    assert np.isfinite(was).all() and was[-1] < .8 * was[0]


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_character_nets_learn_a_repeated_text(kind):
    chars = torch.arange(64 * 200 + 1, device="cuda") % 9
    run = SimpleNamespace(eager=False, safe=False, due=lambda: False)
    trainer = characters.CharTrainer(run, kind, chars, chars[: 64 * 30], 9, n_hid=16, n_layers=2)
    trainer.begin(0)
    got = [trainer.epoch(lambda x: .01 * (1 - x), np.random.default_rng(e), 1e12, "") for e in range(2)]
    assert got[1] < got[0] < 2.3


@pytest.mark.parametrize("half", [False, True])
def test_dropped_weights_warn_of_nothing_and_the_state_follows(half):
    "cuDNN warns of weights that are not one block of memory; a state from the CPU goes on, on the GPU, and back."
    torch.manual_seed(0)
    enc, x = AWDLSTM(50, 128, 256, 3, **dict.fromkeys(DROPS, .3)), torch.randint(50, (8, 20))
    enc(x)
    enc.cuda()
    with warnings.catch_warnings(), torch.autocast("cuda", torch.float16, enabled=half):
        warnings.simplefilter("error")
        enc(x.cuda())[1].float().square().sum().backward()
    assert enc.state[0][0].is_cuda and all(r.weight_hh_l0.grad.isfinite().all() for r in enc.rnns)
    assert not enc.cpu()(x)[0].is_cuda


def test_without_dropout_the_encoder_is_plain_layers_on_the_gpu():
    torch.manual_seed(0)
    enc, x = AWDLSTM(50, 128, 256, 2, **dict.fromkeys(DROPS, 0.)).cuda(), torch.randint(50, (8, 20)).cuda()
    out = enc.emb(x)
    for rnn in enc.rnns: out, _ = rnn(out)
    torch.testing.assert_close(enc(x)[0], out, atol=1e-6, rtol=1e-6)


# ── letters and gates: lessons 31 and 33 ──

@pytest.mark.parametrize("kind", KINDS)
def test_a_character_net_learns_and_is_asked_on_the_gpu(kind):
    stream = torch.arange(2_000) % 5
    (x, y), net = next_chars(stream, 6), char_net(kind, 5, n_hid=16)
    fit(net.to(GPU), x.to(GPU), y.to(GPU), epochs=4, bs=32, clip=.5)
    assert held_out(net, x.to(GPU), y.to(GPU)) < 1
    here, there = (unroll(n, x[0].to(d)) for n, d in ((copy.deepcopy(net).cpu(), "cpu"), (net, GPU)))
    torch.testing.assert_close(there.pred.cpu(), here.pred, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(reach(there, 2).cpu(), reach(here, 2), atol=1e-5, rtol=1e-2)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_gates_are_opened_on_the_gpu_and_the_same_text_is_written(kind):
    net, x = char_net(kind, 9, n_hid=32).eval(), torch.randint(9, (2, 30), generator=torch.Generator().manual_seed(0))
    keep_start_(net.rnn, 2.)
    there = copy.deepcopy(net).to(GPU)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        layer = open_gates(there.rnn, there.emb(x.to(GPU)))[0]
        torch.testing.assert_close(there.out(layer["h"]).cpu(), net(x)[0], atol=1e-4, rtol=1e-3)
    assert follows(layer["h"], x.to(GPU).float()).shape == (32,)
    assert write(there, x[:1].to(GPU), 40, temperature=.8).cpu().equal(write(net, x[:1], 40, temperature=.8))


# ── words and reviews: lessons 34 and 35 ──

def texts(n: int = 64) -> tuple:
    "Documents of 3 to 60 numbers: 5 stands in those of class 1."
    rng = np.random.default_rng(0)
    docs = [torch.from_numpy(rng.integers(6, 40, rng.integers(3, 60))) for _ in range(n)]
    for i, d in enumerate(docs): d[0] = 5 if i % 2 else 6
    return docs, torch.arange(n) % 2


@pytest.mark.parametrize("precision", [None, "fp16"])
def test_a_language_model_trains_writes_and_warns_of_nothing(precision):
    torch.manual_seed(0)
    stream, model = torch.arange(8_001) % 30, language_model(30, 128, 128, 2, drop_mult=.5)
    dls = DataLoaders(LMBatches(stream, 8, 20, random_bptt=True), LMBatches(stream[:1_000], 8, 20))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*RNN module weights.*")
        learn = Learner(model, dls, lm_loss, cbs=[LMTraining(), GradClip(.5)], precision=precision)
        learn.fit(3, 5e-3, show=False)
    assert learn.history.valid_loss.iloc[-1] < .7 * learn.history.valid_loss.iloc[0]
    batches = LMBatches(stream[:1_000], 8, 20, device=GPU)
    found, here = perplexity(model, batches, [3]), copy.deepcopy(model).cpu()
    assert found.nll == pytest.approx(perplexity(here, LMBatches(stream[:1_000], 8, 20), [3]).nll, rel=1e-2)
    assert found.word > found.token
    ids, p = write_words(model, stream[:4].to(GPU), 20, banned=[0])
    assert not ids.is_cuda and p.shape == (20, 30) and (ids != 0).all()


def test_padding_changes_no_answer_on_the_gpu():
    torch.manual_seed(0)
    net, (docs, _) = TextClassifier(AWDLSTM(40, 128, 128, 2), 2, chunk=16).eval(), texts(20)
    alone = torch.cat([net(d[None]) for d in docs]).detach()
    there = copy.deepcopy(net).to(GPU)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        for side in ("left", "right"):
            got = there(pad_docs(docs, side=side).to(GPU))
            torch.testing.assert_close(got.cpu(), alone, atol=1e-4, rtol=1e-3)
        got = there(pad_docs(docs).to(GPU), [len(d) for d in docs])
        torch.testing.assert_close(got.cpu(), alone, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("precision", [None, "fp16"])
def test_a_classifier_learns_stage_by_stage_and_says_why(precision):
    torch.manual_seed(0)
    (docs, y), net = texts(), TextClassifier(AWDLSTM(40, 128, 128, 2), 2, chunk=16, reach=32)
    dls = DataLoaders(TextBatches(docs, y, 16))
    learn = Learner(net, dls, F.cross_entropy, splitter=TextClassifier.groups, cbs=[GradClip(1.)], precision=precision)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*RNN module weights.*")
        fit_gradually(learn, epochs=[2, 2, 12], show=False)
    assert ((probabilities(net, docs)[:, 1] > .5) == (y == 1)).float().mean() > .9
    worth = input_gradient(net, docs[1].to(GPU))
    assert not worth.is_cuda and worth.isfinite().all() and worth[0] == worth.max()


# ── pictures: lessons 40 to 43 ──

def test_pictures_are_changed_and_judged_on_the_gpu():
    torch.manual_seed(0)
    x, net = torch.rand(6, 3, 32, 32), convnets.ladder_net("ResNet", .25)
    draw = Augment(cutout=4).draw(x)
    there = Augment(cutout=4).apply(x.to(GPU), type(draw)(*(t.to(GPU) for t in draw)))
    torch.testing.assert_close(there.cpu(), Augment(cutout=4).apply(x, draw), atol=1e-4, rtol=1e-3)
    assert Augment()(x.to(GPU)).device.type == GPU
    with torch.backends.cudnn.flags(allow_tf32=False):
        p = tta(copy.deepcopy(net).to(GPU), x.to(GPU), [mirror])
    torch.testing.assert_close(p.cpu(), tta(net, x, [mirror]), atol=1e-4, rtol=1e-3)


def test_our_batchnorm_is_pytorchs_on_the_gpu():
    own, theirs, x = convnets.BatchNorm(5).to(GPU), nn.BatchNorm2d(5).to(GPU), torch.randn(8, 5, 4, 4, device=GPU)
    for _ in range(2): torch.testing.assert_close(own(x), theirs(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(own.eval()(x), theirs.eval()(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_a_new_head_is_trained_on_the_gpu(precision):
    torch.manual_seed(0)
    x, y = torch.rand(32, 3, 64, 64), torch.arange(32) % 2
    x[y == 1] += .5
    net = finetune.with_head(finetune.resnet18(), 2)
    learn = Learner(net, DataLoaders.from_arrays((x, y), (x, y), bs=16), F.cross_entropy, splitter=finetune.groups,
                    precision=precision)
    learn.freeze_to(-1)
    learn.fit(2, 1e-2, show=False)
    learn.unfreeze()
    learn.fit(2, [1e-4, 1e-3, 1e-2], show=False)
    assert learn.history.valid_loss.notna().all()
    acts, p = finetune.activations(net, x.to(GPU)), finetune.both_ways(net.eval(), x.to(GPU))
    assert acts.device.type == p.device.type == GPU and acts.shape == (32, 512)


def test_both_maps_agree_on_the_gpu():
    torch.manual_seed(0)
    net, x = finetune.resnet18().to(GPU).eval(), torch.rand(2, 3, 96, 96, device=GPU)
    with torch.backends.cudnn.flags(allow_tf32=False):
        maps, asked = cam(net, x), grad_cam(net, x, 7, "layer4")
    assert maps.device.type == asked.device.type == GPU
    torch.testing.assert_close(asked * asked[0].numel(), maps[:, 7], atol=1e-3, rtol=1e-2)


def test_the_encoders_step_is_timed_beside_plain_layers():
    found = checks.awd_ms(RUN)
    assert found["awd_over_plain"] == pytest.approx(found["awd_ms"] / found["plain_lstm_ms"]) and found["awd_ms"] > 0
