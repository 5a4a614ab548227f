"""`lr_find` (lesson 07) against the bare loop it automates, torch-lr-finder and fastai: seconds for the same
100 steps."""
import contextlib
import io
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lessonkit.learner import DataLoaders, Learner
from lessonkit.lr_finder import lr_find
from side_by_side import interleave, peer, rows

PEERS = ["torch-lr-finder", "fastai"]
STEPS, START, END, BS = 100, 1e-7, 0.1, 64  # nobody's curve explodes before END, so that all take every step
OURS, HAND = "lessonkit `lr_find`", "bare loop, nothing put back"
THEIRS, FASTAI = "torch-lr-finder, with `reset`", "fastai `Learner.lr_find`"
RATES = np.geomspace(START, END, STEPS)
TASKS = {  # name: (shape of x, model)
    "100 steps of a small MLP": ((64,), lambda: nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))),
    "100 steps of a small conv net": ((1, 28, 28),
                                      lambda: nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.BatchNorm2d(16), nn.ReLU(),
                                                            nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Flatten(),
                                                            nn.Linear(800, 10))),
}


def sgd(params, lr=START, **kwargs): return torch.optim.SGD(params, lr=lr, momentum=0.9)


def loader(data): return DataLoader(data, BS, shuffle=True, generator=torch.Generator().manual_seed(0))


def by_hand(model, data):
    "What one would write in a cell: the floor. It leaves the model trained."
    opt, batches, losses, source = sgd(model.parameters()), iter(()), [], loader(data)
    for lr in RATES.tolist():
        if (batch := next(batches, None)) is None:
            batches = iter(source)
            batch = next(batches)
        opt.param_groups[0]["lr"] = lr
        loss = F.cross_entropy(model(batch[0]), batch[1])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


def theirs(model, data):
    "torch-lr-finder puts model and optimizer back when it is told to; None where it is not installed."
    found = peer("torch_lr_finder")
    if found is None: return None

    def run():
        finder = found.LRFinder(model, sgd(model.parameters()), nn.CrossEntropyLoss(), device="cpu")
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):  # its bar
            finder.range_test(loader(data), end_lr=END, num_iter=STEPS, diverge_th=1e9)
            finder.reset()
        return finder.history["loss"]

    return run


def fastai(model, data):
    "fastai saves model and optimizer to a file and loads them again; None where it is not installed."
    if (core := peer("fastai.learner")) is None or (more := peer("fastai.callback.schedule")) is None: return None
    from fastai.data.core import DataLoaders as TheirLoaders
    from fastai.optimizer import SGD as TheirSGD

    learn = core.Learner(TheirLoaders(loader(data), loader(data)), model, nn.CrossEntropyLoss(), opt_func=lambda p,
                         lr: TheirSGD(p, lr, mom=0.9))

    def run():
        with learn.no_bar(), contextlib.redirect_stdout(io.StringIO()):
            learn.fit(STEPS, cbs=[more.LRFinder(START, END, STEPS, stop_div=False)])
        return learn.recorder.losses

    return run


def task(name, shape, make):
    g = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(2000, *shape, generator=g), torch.randint(10, (2000,), generator=g))
    torch.manual_seed(0)
    model = make()
    learn = Learner(deepcopy(model), DataLoaders(loader(data)), F.cross_entropy, sgd, device="cpu")
    ours = lambda: lr_find(learn, START, END, STEPS, stop_at=None)
    # the same steps, or the comparison means nothing
    np.testing.assert_allclose(ours().losses, by_hand(deepcopy(model), data), rtol=1e-6)
    contestants = {OURS: ours, HAND: lambda: by_hand(deepcopy(model), data), THEIRS: theirs(deepcopy(model), data),
                   FASTAI: fastai(deepcopy(model), data)}
    for who in (THEIRS, FASTAI):
        if contestants[who] and (n := len(contestants[who]())) != STEPS:
            raise RuntimeError(f"{who} took {n} steps, not {STEPS}")
    # longer turns: one call of 50 ms is within this machine's noise
    milliseconds = {who: s and [1000 * t for t in s] for who, s in interleave(contestants, at_least=0.5).items()}
    return rows("lr_finder", name, "ms", milliseconds, False, demanded={HAND: 1 / 1.15})


def run():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small are quicker on one core, everyone's
    try: return [row for name, (shape, make) in TASKS.items() for row in task(name, shape, make)]
    finally: torch.set_num_threads(threads)
