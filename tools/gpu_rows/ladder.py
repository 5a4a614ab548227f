"""The row cifar-ladder: the original lesson's six rungs at its epochs."""
import math
import time

import torch
from torch import nn

from .machine import DEVICE, Run, clock
from .nets import Residual, cost
from .pictures import load, shifted
from .training import Trainer, ask, judge, summary


def bn_layer(ni: int, nf: int, stride: int = 2, ks: int = 3) -> nn.Sequential:
    "The lesson's layer: conv (padding 1 whatever the kernel), ReLU, and only then BatchNorm."
    return nn.Sequential(nn.Conv2d(ni, nf, ks, stride, 1, bias=False), nn.ReLU(), nn.BatchNorm2d(nf))


def ladder_net(widths=(10, 20, 40, 80, 160), same: tuple[bool, ...] = (), drop: float = 0.) -> nn.Sequential:
    """Stem; for each next width a stride-2 layer and one for each of same (True: added to x); max-pool; linear. Stem is
    a 5 x 5 conv to 10 maps or a 7 x 7 layer to 16; from 3 maps there is none, and no BatchNorm either."""
    parts = {10: [nn.Conv2d(3, 10, 5, 1, 2)], 16: [bn_layer(3, 16, 1, 7)], 3: []}[widths[0]]
    for a, b in zip(widths, widths[1:]):
        parts += [bn_layer(a, b) if widths[0] > 3 else nn.Sequential(nn.Conv2d(a, b, 3, 2), nn.ReLU())]
        parts += [Residual(bn_layer(b, b, 1)) if add else bn_layer(b, b, 1) for add in same]
    return nn.Sequential(*parts, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(drop), nn.Linear(widths[-1], 10))


def simple_net() -> nn.Sequential:
    "Two linear layers."
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 40), nn.ReLU(), nn.Linear(40, 10))


FEW, CONV = ((1e-2, (1, 1), False), (1e-2, (1, 1), True)), (1e-1, (1,) * 4, True)
LONG = ((1e-2, (1, 1), False), (1e-2, (1, 2, 4), True), (1e-2, (4,) * 8, True))
LADDER = {  # rung: net; phases of (rate, epochs of each cycle, cosine?); weight decay; the original's accuracy
    "SimpleNet": (simple_net, FEW, 0, .469),
    "ConvNet": (lambda: ladder_net((3, 20, 40, 80)), ((1e-1, (1, 1), False), CONV), 0, .599),
    "BatchNorm": (ladder_net, ((3e-2, (1, 1), False), CONV), 0, .652),  # .652: epoch 4
    "deeper": (lambda: ladder_net(same=(False,)), FEW, 0, .646),
    "ResNet": (lambda: ladder_net(same=(True, True)), LONG, 1e-5, .829),
    "ResNet2": (lambda: ladder_net((16, 32, 64, 128, 256), (True, True), .2), LONG, 1e-6, .849),  # .849: with TTA
}


def ladder_rate(rate: float, cycles: list[int], at: float, cosine: bool) -> float:
    """`at` epochs into a phase: rate, or its cosine to 0 in each cycle. Its library began a phase at a hundredth
    of the rate for a twentieth of a cycle; from there one ConvNet of three diverged at .1, so that is left out."""
    if not cosine: return rate
    for length in cycles:
        if at < length: return rate / 2 * (1 + math.cos(math.pi * at / length))
        at -= length
    return 0.


def shortened(phases, fits: float) -> list[list]:
    "The phases with cycles taken off their end until their epochs are at most `fits`, or one cycle is left."
    phases = [[rate, list(cycles), cosine] for rate, cycles, cosine in phases]
    while sum(len(p[1]) for p in phases) > 1 and sum(sum(p[1]) for p in phases) > fits:
        phases[-1][1].pop()
        if not phases[-1][1]: phases.pop()
    return phases


def ladder_row(run: Run, seconds: float):
    """The lesson's six rungs at its rates, epochs, batch of 256, augmentation (mirror, 4 px shift, mirrored border), in
    float32. Not as there: nn.BatchNorm for its own, which validated with the last batch's statistics; an epoch's odd
    pictures are left out. Where time lacks, cycles fall off the end of a rung."""
    until, pics, rungs = min(run.end, time.monotonic() + seconds), load(run, "cifar10"), {}
    n, bs, trainers, need = len(pics.x), min(256, len(pics.x) // 2), {}, {}

    def version(x, i): return shifted(x, i, 4, torch.rand(len(i), device=DEVICE) < .5)
    def batch(i, epoch): return pics.norm(version(pics.x, i)).contiguous(), pics.y[i]

    asked = {rung: sum(sum(cycles) for _, cycles, _ in LADDER[rung][1]) for rung in LADDER}
    for rung, (make, _, wd, _) in LADDER.items():
        trainers[rung] = Trainer(run, make().to(DEVICE), batch, bs, nesterov=False, wd=wd, decay_all=True, amp=False)
        need[rung] = 1.15 * asked[rung] * trainers[rung].pace(n, 1 if run.tiny else 20)
    run.log(f"{sum(need.values()):.0f} s foreseen a seed: " + ", ".join(f"{k} {v:.0f}" for k, v in need.items()))
    for seed in range(run.seeds or 3):
        rest = sum(need.values())
        if seed and until - time.monotonic() < rest + 3:
            run.log("no time for another seed")
            break
        for rung, (make, phases, _, original) in LADDER.items():
            if run.left() < 4:
                run.log(f"no time for {rung}")
                return
            fits, rest = run.epochs or (until - time.monotonic() - 2) / rest * asked[rung], rest - need[rung]
            new = {"original": original, "epochs_asked": asked[rung], **cost(make(), 32), "per_seed": []}
            own = rungs.setdefault(rung, new)
            torch.manual_seed(seed)
            trainers[rung].begin(make().to(DEVICE))
            own["per_seed"].append(climb(run, seed, rung, trainers[rung], shortened(phases, fits), pics, version))
            own.update(summary(own["per_seed"], "accuracy", "accuracy_tta", "nll_tta"))
            run.save(data=pics.edition, seeds=seed + 1, rungs=rungs)


def climb(run: Run, seed: int, rung: str, trainer: Trainer, phases: list, pics, version) -> dict:
    "Trains one rung; gives its figures. TTA: the picture and four random versions of it."
    net, history, began, bs = trainer.net, [], clock(), len(trainer.index)
    for rate, cycles, cosine in phases:
        trainer.begin()  # no momentum from the last phase, as the lesson's fits
        for epoch in range(sum(cycles)):
            if run.left() < 2: break
            order, per = torch.randperm(len(pics.x), device=DEVICE), len(pics.x) // bs
            net.train()
            for i in range(per):
                trainer(order[i * bs : (i + 1) * bs], ladder_rate(rate, cycles, epoch + i / per, cosine))
            p = ask(net, pics.vx, pics.norm)
            history.append(round(judge(p, pics.vy)["accuracy"], 4))
            if run.due(): run.log(f"{rung}, {len(history)} epochs: {history[-1]:.4f}")
    took, every = clock() - began, torch.arange(len(pics.vx), device=DEVICE)
    tta = (p + sum(ask(net, version(pics.vx, every).permute(0, 2, 3, 1), pics.norm) for _ in range(4))) / 5
    good = judge(p, pics.vy) | judge(tta, pics.vy, "_tta")
    run.log(f"{rung}: {good['accuracy']:.4f}, TTA {good['accuracy_tta']:.4f} at {len(history)} epochs, {took:.0f} s")
    return {"seed": seed, **good, "epochs": len(history), "seconds": took, "accuracy_by_epoch": history}
