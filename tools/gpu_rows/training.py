"""Training a net on pictures: a whole step is one object that is replayed; the schedule follows steps and clock."""
import copy
import math
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .machine import CUDA, DEVICE, Replay, Run, clock


class Trainer:
    """SGD with momentum on one net; augmentation, forward, backward and update are one replayed step.

    `batch(index, epoch)` gives (x, y) of the pictures `index` (bs,) int64, made anew at each call; `epoch` () int64.
    Weight decay leaves vectors (biases, BatchNorm) alone unless `decay_all`. One trainer serves many seeds."""

    def __init__(self, run: Run, net: nn.Module, batch, bs: int, momentum: float = .9, nesterov: bool = True,
                 wd: float = 0., decay_all: bool = False, smooth: float = 0., amp: bool = True):
        self.net, self.batch = net.train(), batch
        self.momentum, self.nesterov = momentum, nesterov
        self.smooth, self.amp = smooth, amp and CUDA and not run.safe  # a CPU's bfloat16 is slow
        every = [p for p in net.parameters() if p.requires_grad]
        self.groups = [([p for p in every if p.ndim > 1], wd), ([p for p in every if p.ndim < 2], wd * decay_all)]
        self.params = [p for ps, _ in self.groups for p in ps]
        self.velocity = [torch.zeros_like(p) for p in self.params]
        self.index = torch.zeros(bs, dtype=torch.int64, device=DEVICE)
        self.epoch = torch.zeros((), dtype=torch.int64, device=DEVICE)
        self.rate, self.loss = torch.zeros((), device=DEVICE), torch.zeros((), device=DEVICE)
        self.replay = Replay(run, self.step, [*net.state_dict().values(), *self.velocity, self.loss])

    def step(self):
        "One step on the pictures `index` at the rate `rate`; adds to `loss`. Nothing in it waits for the device."
        x, y = self.batch(self.index, self.epoch)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.amp): logits = self.net(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=self.smooth)
        grads = torch.autograd.grad(loss, self.params)
        with torch.no_grad():
            self.loss += loss
            self.update(grads)

    def update(self, grads: tuple[Tensor, ...]):
        "What torch.optim.SGD does, with its rate on the device."
        start = 0
        for params, wd in self.groups:
            g, v = list(grads[start : start + len(params)]), self.velocity[start : start + len(params)]
            start += len(params)
            if not params: continue
            if wd: g = torch._foreach_add(g, params, alpha=wd)
            torch._foreach_mul_(v, self.momentum)
            torch._foreach_add_(v, g)
            way = torch._foreach_add(g, v, alpha=self.momentum) if self.nesterov else v
            torch._foreach_sub_(params, torch._foreach_mul(way, self.rate))

    def begin(self, net: nn.Module | None = None):
        "Forgets the momentum; with `net`, also takes its weights: a new seed."
        if net is not None: self.net.load_state_dict(net.state_dict())
        for v in (*self.velocity, self.loss): v.zero_()

    def __call__(self, index: Tensor, rate: float):
        "A step on the pictures `index` (bs,)."
        self.index.copy_(index)
        self.rate.fill_(rate)
        self.replay()

    def pace(self, n: int, times: int = 20) -> float:
        "Seconds an epoch of n pictures takes: `times` steps at rate 0 (the statistics of BatchNorm move)."
        for i in range(-times // 4, times):
            if i == 0: began = clock()
            self(torch.randint(n, self.index.shape, device=DEVICE), 0.)
        return (clock() - began) / times * (n // len(self.index))


def fit(run: Run, trainer: Trainer, n: int, cfg: dict, epochs: int, seconds: float) -> tuple[nn.Module, float, list]:
    """Trains for the epochs or, where it is slower than foreseen, for the seconds: the rate rises and falls by the one
    further on. Gives the averaged net (EMA of weights and statistics), the epochs made, each epoch's mean loss."""
    bs, up, done, pos, losses = cfg["bs"], cfg["warm"], 0, 0., []
    average, per, every, began = copy.deepcopy(trainer.net), n // cfg["bs"], 4, time.monotonic()
    both = (m.state_dict().values() for m in (average, trainer.net))
    mine, theirs = ([t for t in ts if t.is_floating_point()] for ts in both)
    newest = every / (cfg["ema"] * epochs * per)  # the share of the newest weights in the average
    while pos < 1:
        order = torch.randperm(n, device=DEVICE)
        trainer.epoch.fill_(done // per)
        trainer.loss.zero_()
        for i in range(per):
            trainer(order[i * bs : (i + 1) * bs], cfg["lr"] * max(0., min(pos / up, (1 - pos) / (1 - up))))
            done += 1
            pos = max(done / (epochs * per), (time.monotonic() - began) / seconds)
            if done % every == 1 or pos >= 1:
                torch._foreach_lerp_(mine, theirs, max(min(newest, 1.), 1 / (1 + done // every)))
            if pos >= 1: break
        losses.append(trainer.loss.item() / (i + 1))  # waits for the device, so that the clock stays honest
        if run.due(): run.log(f"epoch {done / per:.1f} of {epochs}, schedule at {pos:.0%}, loss {losses[-1]:.4f}")
    return average, done / per, [round(v, 4) for v in losses]


@torch.no_grad()
def ask(net: nn.Module, x: Tensor, norm, flip: bool = False) -> Tensor:
    "The net's probabilities (n, n_class), in float32, for x (n, h, w, 3) uint8, or for x mirrored."
    batches = (norm(b.permute(0, 3, 1, 2)) for b in x.split(1000))
    return torch.cat([net.eval()(b.flip(3) if flip else b).softmax(1) for b in batches])


def six_views(net: nn.Module, x: Tensor, norm) -> Tensor:
    """The mean over a picture as it is (half), moved up and left, moved down and right by a pixel (a quarter each), all
    of them mirrored too: (n, n_class). As airbench (Jordan 2024) does, with probabilities in place of logits."""
    def both(x): return (ask(net, x, norm) + ask(net, x, norm, flip=True)) / 2
    def moved(by):
        rows, cols = ((torch.arange(n, device=x.device) + by).clamp(0, n - 1) for n in x.shape[1:3])
        return x[:, rows][:, :, cols]
    return both(x) / 2 + both(moved(1)) / 4 + both(moved(-1)) / 4


def judge(p: Tensor, y: Tensor, tag: str = "") -> dict:
    "Accuracy, its standard error over pictures, mean -log p of the right class, for p (n, n_class) and y (n,)."
    acc, nll = (p.argmax(1) == y).sum().item() / len(y), -p.gather(1, y[:, None]).log().clamp(min=-20).mean().item()
    return {"accuracy" + tag: acc, "standard_error" + tag: math.sqrt(acc * (1 - acc) / len(y)), "nll" + tag: nll}


def summary(table: list[dict], *keys: str) -> dict:
    "Each key's mean over the seeds, and its standard deviation, None for one seed."
    every = [(k, [row[k] for row in table]) for k in keys]
    spreads = {k + "_spread": float(np.std(v, ddof=1)) if len(v) > 1 else None for k, v in every}
    return {k: float(np.mean(v)) for k, v in every} | spreads
