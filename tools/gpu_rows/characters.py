"""The row nietzsche-lstm: the original's character models.

Their small steps are launched one by one: recording one as a CUDA graph was refused on an H200, where the recurrent
layer's backward pass waits for the default stream."""
import hashlib
import json
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F

from lessonkit.course.nets import CharNet

from .language import packed_int8, unpacked
from .machine import CUDA, DEVICE, Run

BS, BPTT = 64, 8  # rows; nominal window


def characters(folder: Path) -> tuple[np.ndarray, int, list[str]]:
    "The text as numbers (n,) uint8, where the training part ends, the symbols. From a pack of either kind."
    if found := sorted(folder.rglob("nietzsche.npz")):
        held = np.load(found[0])
        return held["chars"], int(held["cut"]), json.loads(str(held["symbols"]))
    for path in sorted(folder.rglob("docs.npz")):
        held, about = np.load(path), json.loads((path.parent / "pack.json").read_text("utf-8"))
        if "chars" in held: return held["chars"], int(held["char_cut"]), about["symbols"]
    raise FileNotFoundError(f"no nietzsche.npz in {folder}: run `tools/gpu.py pack nietzsche-lstm` first")


class CharTrainer:
    """Adam on one character model; a step on a window of `w` characters is replayed, one graph a width.

    The position in the text, the state and the rate stand on the device, so a step needs nothing from Python but its
    launch. One trainer serves many seeds."""

    def __init__(self, run: Run, kind: str, chars: Tensor, valid: Tensor, n_symbols: int, wd: float = 0., **options):
        self.run, self.kind = run, kind
        self.make = lambda: CharNet(kind, n_symbols, **options).to(DEVICE)
        self.model, n = self.make(), (len(chars) - 1) // BS
        self.x, self.y = chars[: BS * n].view(BS, n), chars[1 : BS * n + 1].view(BS, n)
        self.valid, self.params = valid, list(self.model.parameters())
        self.pos, self.rate = torch.zeros((), dtype=torch.int64, device=DEVICE), torch.tensor(1e-3, device=DEVICE)
        fast = CUDA and not run.safe
        self.opt = torch.optim.Adam(self.params, lr=self.rate, weight_decay=wd, fused=fast or None, capturable=CUDA)
        with torch.no_grad(): _, state = self.model(self.x[:, :1])
        self.state = tuple(torch.zeros_like(s) for s in state)
        self.step(BPTT)  # makes the optimizer's tensors
        self.held = [t for s in self.opt.state.values() for t in s.values()]

    def step(self, w: int):
        "One step on the next `w` characters of each row. Nothing in it waits for the device."
        at = (self.pos + torch.arange(w, device=DEVICE)).clamp(max=self.x.shape[1] - 1)  # trial calls run past the end
        act, state = self.model(self.x.index_select(1, at), self.state)
        loss = F.cross_entropy(act.flatten(0, 1), self.y.index_select(1, at).flatten())
        for p, g in zip(self.params, torch.autograd.grad(loss, self.params)): p.grad = g
        self.opt.step()
        for p in self.params: p.grad = None
        with torch.no_grad():
            for old, new in zip(self.state, state): old.copy_(new)
            self.pos += w

    def begin(self, seed: int):
        "A fresh model of that seed, an optimizer that has seen nothing."
        torch.manual_seed(seed)
        self.model.load_state_dict(self.make().state_dict())
        with torch.no_grad():
            for t in self.held: t.zero_()

    def epoch(self, rate, rng: np.random.Generator, deadline: float, note: str) -> float | None:
        """An epoch in windows cut as the original's loader cuts: N(8, 5) wide, one in twenty N(4, 5), at least 5.

        `rate` is a function of [0, 1]. Gives the nats a character on the validation text; None if time ran out."""
        i, n, was = 0, self.x.shape[1], None
        self.model.train()
        self.pos.zero_()
        for s in self.state: s.zero_()
        while i < n - 1:  # a last window of one character is left out
            w = min(max(5, int(rng.normal(BPTT if rng.random() < .95 else BPTT / 2, 5))), n - i)
            if (now := float(rate(i / n))) != was: self.rate.fill_(was := now)
            self.step(w)
            i += w
            if self.run.due(): self.run.log(f"{note} {i / n:.0%}")
            if time.monotonic() > deadline: return None
        return self.nats()

    @torch.no_grad()
    def nats(self) -> float:
        "Nats a character on the validation text; the state is kept from window to window, so the cuts do not matter."
        state, total, n, w = None, torch.zeros((), device=DEVICE), (len(self.valid) - 1) // BS, 256
        x, y = self.valid[: BS * n].view(BS, n), self.valid[1 : BS * n + 1].view(BS, n)
        for i in range(0, n, w):
            act, state = self.model.eval()(x[:, i : i + w], state)
            total += F.cross_entropy(act.flatten(0, 1), y[:, i : i + w].flatten(), reduction="sum")
        return total.item() / (BS * n)


def flat(rate: float, n: int) -> list:
    "`n` epochs at one rate."
    return [lambda _: rate] * n


def cycles(k: int, lr: float = .01) -> list:
    "SGDR, a function of [0, 1] an epoch: `k` cosines from `lr` to 0, of 1, 2, 4, … epochs (Loshchilov & Hutter 2017)."
    def rate(x, e, n): return lr / 2 * (1 + math.cos((e + x) / n * math.pi))
    return [partial(rate, e=e, n=2**c) for c in range(k) for e in range(2**c)]


def nietzsche_row(run: Run, seconds: float):
    """RNN, GRU, LSTM at the original's settings: lower case, 493,747 training characters, 64 rows, windows of about 8.

    The LSTM of seed 0 goes on to 63 epochs where that fits: SGDR's first 15 of them are the 15-epoch run. Those come
    first, then the LSTM's other seeds, GRU, RNN. A run that the time cuts short is left out of the figures."""
    end, (text, cut, symbols) = time.monotonic() + seconds, characters(run.data)
    most = 2_400 if run.tiny else None
    train, valid = (torch.from_numpy(t[:most].astype(np.int64)).to(DEVICE) for t in (text[:cut], text[cut:]))
    small = {"n_hid": 16} if run.tiny else {}
    lstm = {"n_layers": 2, "dropout": .5, "wd": 1e-5, "n_hid": 512} | small
    run.save(settings={"bs": BS, "bptt": "8, random", "n_fac": 42, "symbols": len(symbols), "lstm": lstm},
             data=f"nietzsche.txt, lower case; {len(train):,} + {len(valid):,} characters")
    for name, kind, plan, options in (("lstm", "LSTM", cycles(6), lstm),
                                      ("gru", "GRU", flat(1e-3, 6) + flat(1e-4, 3), small),
                                      ("rnn", "RNN", flat(1e-3, 4), small)):
        began, ends, paces, why = time.monotonic(), [], [], None
        trainer = CharTrainer(run, kind, train, valid, len(symbols), **options)
        for seed in range(run.seeds or 3):
            history, wanted = [], plan if kind == "LSTM" and not seed else plan[:15]
            if run.epochs: wanted = wanted[: run.epochs]
            if paces and time.monotonic() + 1.05 * min(paces) * len(wanted) > end: why = "no time for more seeds"
            if why: break
            trainer.begin(seed)
            rng = np.random.default_rng(seed)
            while len(history) < len(wanted):
                start, e = time.monotonic(), len(history)
                nats = trainer.epoch(wanted[e], rng, end, f"{kind}, seed {seed}, epoch {e} of {len(wanted)}")
                if nats is None: break
                history.append(round(nats, 5))
                paces.append(time.monotonic() - start)
                if e == 2 and len(wanted) > 15 and start + 1.05 * min(paces) * len(wanted) > end:
                    run.log(f"{min(paces):.2f} s an epoch: 63 do not fit, 15 are run")
                    wanted = wanted[:15]
            if not history: break
            short = len(history) < len(wanted)
            run.log(f"{kind}, seed {seed}: {len(history)} of {len(wanted)} epochs, valid {history[-1]:.4f}, "
                    f"{min(paces):.2f} s an epoch")
            if not seed: run.save(**{f"{name}_history": history, f"{name}_seconds_an_epoch": min(paces)})
            if len(history) == 63: run.save(lstm_63_epochs=history[-1], lstm_63_epochs_best=min(history))
            if not seed and kind == "LSTM": keep(run, trainer, symbols, history, lstm)
            at = len(history) if run.epochs else {"LSTM": 15, "GRU": 9, "RNN": 4}[kind]
            if len(history) >= at: ends.append(history[at - 1])
            if short: why = "stopped by the clock"
            if ends:
                spread = float(np.std(ends, ddof=1)) if len(ends) > 1 else None
                run.save(**{name: float(np.mean(ends)), f"{name}_spread": spread, f"{name}_seeds": ends,
                            f"{name}_epochs": at, f"{name}_seconds": time.monotonic() - began})
            if short: run.save(**{f"{name}_note": f"seed {seed} stopped by the clock after {len(history)} epochs"})


def keep(run: Run, trainer: CharTrainer, symbols: list[str], history: list[float], options: dict):
    "nietzsche-lstm.safetensors (int8, a scale a row) and its card; the card says what int8 costs."
    [part] = packed_int8(trainer.model.state_dict(), 1 << 40)
    data, state = save(part), {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.model.load_state_dict({k: v.to(DEVICE) for k, v in unpacked(load(data)).items()})
    nats = trainer.nats()
    trainer.model.load_state_dict(state)
    run.write("nietzsche-lstm.safetensors", data)
    run.write("nietzsche-lstm.json", {
        "name": "nietzsche-lstm", **run.about, "sha256": hashlib.sha256(data).hexdigest(), "seed": 0,
        "architecture": "embedding 42; nn.LSTM(42, n_hid, n_layers, dropout, batch_first); linear to the symbols",
        "options": options, "symbols": symbols, "epochs": len(history), "valid_nll": history[-1],
        "valid_nll_as_saved": nats, "data": "nietzsche.txt, lower case, public domain",
        "dtype": "matrices int8, times NAME.scale (a row); vectors float16",
        "tensors": {k: list(v.shape) for k, v in part.items()}})
    run.log(f"nietzsche-lstm.safetensors, {len(data) / 1e6:.2f} MB; as saved {nats:.4f} nats")
