"""`Learner` (lesson 06) against a bare PyTorch loop that does the same work, and against fastai's Learner:
milliseconds a training step."""
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from lessonkit.learner import DataLoaders, Learner, accuracy
from side_by_side import interleave, peer, rows

PEERS = ["fastai"]
BS, N_TRAIN, N_VALID, LR, MOMENTUM = 64, 50, 10, 0.01, 0.9
ROUNDS = 31  # short and many: what is to be seen is less than a busy moment of the machine costs
OURS, BARE, FASTAI = "lessonkit `Learner`", "a bare loop", "fastai `Learner`"
sgd = partial(torch.optim.SGD, momentum=MOMENTUM)


def batches(n, seed):
    "In memory and ready, so that the loop alone is compared."
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(BS, 1, 28, 28, generator=g), torch.randint(10, (BS,), generator=g)) for _ in range(n)]


def small_conv_net():
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.ReLU()) for i,
              o in [(1, 8), (8, 16), (16, 32)]]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 10))


def bare(model, train, valid):
    "What one would write without a library: an epoch of training, its validation, and the figures of both."
    opt = sgd(model.parameters(), lr=LR)

    def epoch():
        model.train()
        total = n = 0
        for x, y in train:
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            opt.zero_grad()
            total, n = total + loss.item() * len(y), n + len(y)
        model.eval()
        figures, m = [0.0, 0.0], 0
        with torch.no_grad():
            for x, y in valid:
                pred = model(x)
                figures[0] += F.cross_entropy(pred, y).item() * len(y)
                figures[1] += accuracy(pred, y).item() * len(y)
                m += len(y)
        return total / n, *(f / m for f in figures)

    return epoch


def ours(model, train, valid):
    learn = Learner(model, DataLoaders(train, valid), F.cross_entropy, sgd, metrics=[accuracy], device="cpu")
    return lambda: learn.fit(1, LR, show=False).rows[-1].values()


def fastais(model, train, valid):
    """fastai's own optimizer wrapper around the same torch.optim.SGD, its bar and its printing off; None where
    it is not installed."""
    if not peer("fastai.learner"): return None
    core, learner, optimizer = (peer(f"fastai.{m}") for m in ("data.core", "learner", "optimizer"))
    learn = learner.Learner(core.DataLoaders(train, valid), model, F.cross_entropy, metrics=[accuracy],
                            opt_func=partial(optimizer.OptimWrapper, opt=sgd))
    peer("fastai.callback.progress")  # gives its learner `no_bar`
    learn.logger = lambda row: None

    def epoch():
        with learn.no_bar(): learn.fit(1, LR)
        return learn.recorder.values[-1]

    return epoch


def check_same(makers, train, valid):
    """The same weights after two epochs, and the same figures from ours and the bare loop, or the comparison
    means nothing."""
    want = small_conv_net()
    epoch = bare(want, train, valid)
    figures = [epoch(), epoch()][-1]
    for who, make in makers.items():
        model = small_conv_net()
        if (epoch := make(model, train, valid)) is None: continue
        found = [list(epoch()), list(epoch())][-1]
        for a, b in zip(want.state_dict().values(), model.state_dict().values()):
            torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-4, msg=lambda m, who=who: f"{who}: {m}")
        # fastai smooths the training loss
        def said(m, who=who): return f"{who}: {m}"
        torch.testing.assert_close(found[1:], list(figures[1:]), rtol=1e-3, atol=1e-4, msg=said)


def compare(who, train, valid, demanded):
    """Ours and one other, in turns; one at a time, since what one leaves behind (garbage, caches) falls to
    whoever comes next."""
    seconds = interleave({w: MAKERS[w](small_conv_net(), train, valid) for w in (OURS, who)}, repeats=ROUNDS)
    figures = {w: s and [t / N_TRAIN * 1e3 for t in s] for w, s in seconds.items()}
    what = f"{N_TRAIN} batches of {BS} on a small conv net, and {N_VALID} of validation, beside {who}"
    return rows("learner", what, "ms a step", figures, False, demanded={who: demanded})


MAKERS = {OURS: ours, BARE: bare, FASTAI: fastais}


def run():
    threads, train, valid = torch.get_num_threads(), batches(N_TRAIN, 0), batches(N_VALID, 1)
    torch.set_num_threads(1)
    try:
        check_same(MAKERS, train, valid)
        return compare(BARE, train, valid, 1 / 1.03) + compare(FASTAI, train, valid, 1)
    finally: torch.set_num_threads(threads)
