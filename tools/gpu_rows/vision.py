"""The rows cifar-net and dogscats-net: two nets for the lessons' class maps, trained from scratch."""
import hashlib
import time

import torch
from safetensors.torch import save
from torch import nn

from .machine import DEVICE, Run, clock
from .nets import PooledNet, cifar_net, cost, dogscats_net, maps, whiten
from .pictures import SETS, Pictures, cut_out, load, shifted, tinted, zoomed
from .training import Trainer, ask, fit, judge, six_views, summary


def net_row(run: Run, seconds: float, name: str, set_name: str, make, widths: tuple, seeds: int, cfg: dict, batch_of,
            prepare=lambda net, pics: net):
    "Loads, times a step, chooses the epochs that fit, then seed by seed: train, round as saved, measure, write."
    until, pics, table = min(run.end, time.monotonic() + seconds), load(run, set_name), []
    n, size, seeds = len(pics.x), cost(make(widths), pics.x.shape[1]), run.seeds or seeds
    bs = min(cfg["bs"], max(20, n // 48))  # few pictures: small batches, and so the rate
    cfg = {**cfg, "bs": bs, "lr": cfg["lr"] * bs / cfg["bs"]}

    def fresh(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return prepare(make(widths).to(DEVICE, memory_format=torch.channels_last), pics)

    trainer = Trainer(run, fresh(0), lambda i, epoch: batch_of(pics, i, epoch), bs, cfg["momentum"], wd=cfg["wd"],
                      smooth=cfg["smooth"])
    epoch_s = trainer.pace(n, 2 if run.tiny else 20)
    each = max(1., min(cfg["limit_s"], (until - time.monotonic()) / seeds - 3))
    epochs = run.epochs or int(max(1, min(cfg["epochs"], .95 * each / epoch_s)))
    replayed = trainer.replay.graph is not None
    run.log(f"{size}; {epoch_s:.2f} s an epoch, replayed: {replayed}; {epochs} epochs a seed")
    for seed in range(seeds):
        if table and until - time.monotonic() < 1.1 * table[-1]["train_seconds"] + 2:
            run.log("no time for another seed")
            break
        began = clock()
        trainer.begin(fresh(seed))
        net, made, losses = fit(run, trainer, n, cfg, epochs, 1e9 if run.epochs else each)
        took = clock() - began
        state = {k: (v.half() if v.ndim > 1 else v) for k, v in net.state_dict().items() if v.is_floating_point()}
        net.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)  # measured as saved
        p, q = ask(net, pics.vx, pics.norm), ask(net, pics.vx, pics.norm, flip=True)
        good = judge(p, pics.vy) | judge((p + q) / 2, pics.vy, "_flip")
        good |= judge(six_views(net, pics.vx, pics.norm), pics.vy, "_tta")
        table.append({"seed": seed, **good, "train_seconds": took, "epochs": made, "loss_by_epoch": losses,
                      "start_to_finish_seconds": time.monotonic() - run.start})
        run.log(f"seed {seed}: {good['accuracy']:.4f}, with mirror image {good['accuracy_flip']:.4f}, "
                f"six views {good['accuracy_tta']:.4f}; {took:.1f} s")
        run.save(data=pics.edition, seeds=len(table), epochs=epochs, seconds_an_epoch=epoch_s, **size, settings=cfg,
                 widths=widths, replayed=replayed, per_seed=table,
                 **summary(table, "accuracy", "accuracy_flip", "accuracy_tta", "nll_flip", "train_seconds"))
        if seed == 0:
            save_net(run, name, net, state, pics, {**table[0], **size, "widths": widths, "settings": cfg}, set_name,
                     make)


def save_net(run: Run, name: str, net: PooledNet, state: dict, pics: Pictures, figures: dict, set_name: str, make):
    "NAME.safetensors and its card. The first seed is kept whatever it reached: nothing is chosen on validation."
    x = pics.norm(pics.vx[:: max(1, len(pics.vx) // 64)].permute(0, 3, 1, 2))
    with torch.no_grad(): gap = (maps(net, x).mean((2, 3)) + net.head.bias - net(x)).abs().max().item()
    data = save({k: v.cpu().contiguous() for k, v in state.items()})
    run.write(f"{name}.safetensors", data)
    run.write(f"{name}.json", {
        "name": name, **run.about, "sha256": hashlib.sha256(data).hexdigest(), "which_seed": "the first",
        "data": pics.edition, "terms_of_the_data": SETS[set_name][3], "classes": pics.classes, **figures,
        "measured": f"{len(pics.vx):,} validation pictures, weights as saved, in float32; _flip: with the mirror "
                    "image; _tta: also moved a pixel up and left, down and right",
        "architecture": " ".join(make.__doc__.split()), "input": "(RGB 0…255 - mean) / std", "batchnorm_eps": 1e-5,
        "mean": pics.mean.flatten().tolist(), "std": pics.std.flatten().tolist(), "cam_gap": gap,
        "cam": "map k = sum over c of head.weight[k, c] x trunk(x)[c]; its mean + head.bias[k] = logit k",
        "dtype": "filters, matrices float16; vectors float32", "tensors": {k: list(v.shape) for k, v in state.items()},
    })
    run.log(f"{name}.safetensors, {len(data) / 1e6:.2f} MB; maps add up to the logits within {gap:.0e}")


def cifar_row(run: Run, seconds: float):
    """CIFAR-10 in seconds: our net, tricks of D. Page's, tysam-code's and K. Jordan's (airbench, 2024) speed runs.

    Batch, momentum, shift and cut-out are airbench96's, rate and decay lie between airbench94's and airbench96's. As
    there, a picture is mirrored in every second epoch, the rate rises and falls in straight lines, and the weights are
    averaged; the net is ours: a sixth of airbench96's weights, and a mean in place of its max-pool at the end."""
    cfg = {"bs": 1024, "epochs": 80, "lr": 1., "momentum": .85, "warm": .2, "wd": 1e-3, "smooth": .2, "ema": .03,
           "shift": 4, "cut_out": 12, "limit_s": 28}

    def prepare(net, pics): return whiten(net, pics.norm(pics.x[:: max(1, len(pics.x) // 2000)].permute(0, 3, 1, 2)))

    def batch(pics, i, epoch):
        x = shifted(pics.x, i, cfg["shift"], (pics.coin[i] + epoch) % 2 == 1)
        return cut_out(pics.norm(x), cfg["cut_out"]), pics.y[i]

    widths = (16, 16, 24) if run.tiny else (128, 176, 208)
    net_row(run, seconds, "cifar-net", "cifar10", cifar_net, widths, 3, cfg, batch, prepare)


def dogscats_row(run: Run, seconds: float):
    "Dogs and cats from scratch, in a net small and plain enough for a page's JavaScript."
    cfg = {"bs": 256, "epochs": 300, "lr": .15, "momentum": .9, "warm": .1, "wd": 5e-4, "smooth": .1, "ema": .02,
           "area": .35, "tint": .25, "cut_out": 28, "limit_s": 135}

    def batch(pics, i, epoch):
        x = tinted(zoomed(pics.x[i].permute(0, 3, 1, 2).float(), cfg["area"]), cfg["tint"])
        return cut_out(pics.norm(x), cfg["cut_out"]).contiguous(memory_format=torch.channels_last), pics.y[i]

    widths = (8, 8, 16, 16, 24) if run.tiny else (24, 64, 128, 128, 288)
    net_row(run, seconds, "dogscats-net", "dogscats", dogscats_net, widths, 1, cfg, batch)
