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

from lessonkit.awd_lstm import DROPS, AWDLSTM
from lessonkit.bptt import LMBatches
from lessonkit.learner import DataLoaders, Learner, accuracy
from lessonkit.lr_finder import lr_find

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from gpu_rows import characters, checks, pictures, training, vision  # noqa: E402

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
RUN = SimpleNamespace(eager=False, safe=False, due=lambda: False, tiny=True)


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
