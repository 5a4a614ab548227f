"""The row cifar-ladder: the original lesson's six rungs at its epochs."""
import math
import time

import torch
from torch import nn

from lessonkit.convnets import ladder_net

from .machine import DEVICE, Run, clock
from .nets import cost
from .pictures import load, shifted
from .training import Trainer, ask, judge, summary


FEW, CONV = ((1e-2, (1, 1), False), (1e-2, (1, 1), True)), (1e-1, (1,) * 4, True)
LONG = ((1e-2, (1, 1), False), (1e-2, (1, 2, 4), True), (1e-2, (4,) * 8, True))
LADDER = {  # rung: phases of (rate, epochs of each cycle, cosine?); weight decay; the original's accuracy
    "SimpleNet": (FEW, 0, .469),
    "ConvNet": (((1e-1, (1, 1), False), CONV), 0, .599),
    "BatchNorm": (((3e-2, (1, 1), False), CONV), 0, .652),  # .652: epoch 4
    "deeper": (FEW, 0, .646),
    "ResNet": (LONG, 1e-5, .829),
    "ResNet2": (LONG, 1e-6, .849),  # .849: with TTA
}


def net_of(name: str) -> nn.Sequential:
    "Lesson 41's rung, with the library's BatchNorm, which is quicker than the lesson's own and equal to it."
    return ladder_net(name, norm=nn.BatchNorm2d)


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

    asked = {name: sum(sum(cycles) for _, cycles, _ in LADDER[name][0]) for name in LADDER}
    for name, (_, wd, _) in LADDER.items():
        net = net_of(name).to(DEVICE)
        trainers[name] = Trainer(run, net, batch, bs, nesterov=False, wd=wd, decay_all=True, amp=False)
        need[name] = 1.15 * asked[name] * trainers[name].pace(n, 1 if run.tiny else 20)
    run.log(f"{sum(need.values()):.0f} s foreseen a seed: " + ", ".join(f"{k} {v:.0f}" for k, v in need.items()))
    for seed in range(run.seeds or 3):
        rest = sum(need.values())
        if seed and until - time.monotonic() < rest + 3:
            run.log("no time for another seed")
            break
        for name, (phases, _, original) in LADDER.items():
            if run.left() < 4:
                run.log(f"no time for {name}")
                return
            fits, rest = run.epochs or (until - time.monotonic() - 2) / rest * asked[name], rest - need[name]
            new = {"original": original, "epochs_asked": asked[name], **cost(net_of(name), 32), "per_seed": []}
            own = rungs.setdefault(name, new)
            torch.manual_seed(seed)
            trainers[name].begin(net_of(name).to(DEVICE))
            own["per_seed"].append(climb(run, seed, name, trainers[name], shortened(phases, fits), pics, version))
            own.update(summary(own["per_seed"], "accuracy", "accuracy_tta", "nll_tta"))
            run.save(data=pics.edition, seeds=seed + 1, rungs=rungs)


def climb(run: Run, seed: int, name: str, trainer: Trainer, phases: list, pics, version) -> dict:
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
            if run.due(): run.log(f"{name}, {len(history)} epochs: {history[-1]:.4f}")
    took, every = clock() - began, torch.arange(len(pics.vx), device=DEVICE)
    tta = (p + sum(ask(net, version(pics.vx, every).permute(0, 2, 3, 1), pics.norm) for _ in range(4))) / 5
    good = judge(p, pics.vy) | judge(tta, pics.vy, "_tta")
    run.log(f"{name}: {good['accuracy']:.4f}, TTA {good['accuracy_tta']:.4f} at {len(history)} epochs, {took:.0f} s")
    return {"seed": seed, **good, "epochs": len(history), "seconds": took, "accuracy_by_epoch": history}
