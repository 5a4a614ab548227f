"""The row rossmann-net: what each shop sells, from a table; a net with entity embeddings, and who else profits of them.
The row rossmann-known: the same net without the weather and the searches, which nobody knows six weeks ahead.

Forest, boosted trees and nearest neighbors learn from the same columns, once as codes and once as what the net has
learned about each code (Guo and Berkhahn 2016)."""
import copy
import hashlib
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor
from torch.nn import functional as F

from lessonkit.engines.table_encoder import TableEncoder
from lessonkit.tabular import WEATHER, MixedNet, TabularModel, rmspe
from lessonkit.train.groups import refresh_norms

from .machine import CUDA, DEVICE, Run
from .training import summary

SMALL = ("State", "DayOfWeek", "Date_month")  # columns whose embeddings are kept after each epoch
SEVEN = ("Store", "DayOfWeek", "Promo", "Date_year", "Date_month", "Date_day", "State")  # those of the paper
UNKNOWN = (*WEATHER, "trend", "trend_DE")  # columns that tell what happened on the day, or in its week
MODELS = {  # name → (settings, seed) → a model
    "forest": lambda cfg, seed: RandomForestRegressor(cfg["trees"], min_samples_leaf=2, max_features=.35,
                                                      n_jobs=-1 if CUDA else 1, random_state=seed),
    "boosted": lambda cfg, seed: HistGradientBoostingRegressor(max_iter=cfg["rounds"], max_leaf_nodes=127,
                                                               learning_rate=.15, random_state=seed),
    "neighbors": lambda cfg, seed: KNeighborsRegressor(10, weights="distance", algorithm="brute")}


class Shops:
    "The packed table: codes and numbers as float32, logarithms of sales, which rows are held out, and the mapping."

    def __init__(self, folder: Path, most: int | None = None):
        found = sorted(folder.rglob("rossmann.npz"))
        if not found: raise FileNotFoundError(f"no rossmann.npz in {folder}: run `gpu.py pack rossmann-net` first")
        held = np.load(found[0])
        self.encoder = TableEncoder.from_dict(json.loads(str(held["encoder"])))
        self.names = list(self.encoder.get_feature_names_out())
        self.n_codes = list(self.encoder.n_codes().values())
        x = torch.from_numpy(np.stack([held[f"column{i:03d}"].astype(np.float32) for i in range(len(self.names))], 1))
        sales, out = torch.from_numpy(held["sales"].astype(np.float32)), torch.from_numpy(held["held"])
        parts = [(x[m][:most], sales[m][:most]) for m in (~out, out)]
        (self.x, self.sales), (self.x_held, self.sales_held) = parts

    def without(self, columns: tuple[str, ...]) -> "Shops":
        "The same rows without some columns, and without the marks of their gaps."
        less = copy.copy(self)
        stay = [i for i, name in enumerate(self.names) if name.removesuffix("_na") not in columns]
        less.names, less.n_codes = ([of[i] for i in stay] for of in (self.names, self.n_codes))
        less.x, less.x_held = self.x[:, stay], self.x_held[:, stay]
        return less

    def error(self, guess) -> float:
        "RMSPE of guessed sales (n,) on the held-out rows."
        return rmspe(np.asarray(guess, float), self.sales_held.numpy())


def train(run: Run, shops: Shops, seed: int, cfg: dict, end: float) -> tuple[MixedNet, dict] | None:
    """A net and its figures: RMSPE after each epoch, of the averaged weights, and the embeddings of small columns after
    each epoch. AdamW, the rate rises for a tenth of an epoch and falls in a straight line. None if time ran out."""
    x, y = shops.x.to(DEVICE), shops.sales.log().to(DEVICE)
    wide, began = .1 * float(y.max() - y.min()), time.monotonic()
    options = dict(n_codes=shops.n_codes, layers=cfg["layers"], dropout=cfg["dropout"],
                   y_range=(float(y.min()) - wide, float(y.max()) + wide))
    torch.manual_seed(seed)
    net = MixedNet(**options).fit_numbers(shops.x, shops.sales.log()).to(DEVICE)
    opt = torch.optim.AdamW(net.parameters(), cfg["lr"], weight_decay=cfg["wd"], fused=True)
    bs, epochs, kept, history, frames = cfg["bs"], cfg["epochs"], [], [], []
    steps, at = max(len(x) // bs, 1), 0
    frames.append(small(net, shops))
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(x)).to(DEVICE)
        for i in range(steps):
            rate = cfg["lr"] * min(1, 10 * (at + 1) / steps) * max(1 - at / (epochs * steps), .01)
            for g in opt.param_groups: g["lr"] = rate
            rows = order[i * bs : (i + 1) * bs]
            opt.zero_grad(set_to_none=True)
            F.mse_loss(net(x[rows]), y[rows]).backward()
            opt.step()
            at += 1
            if i % 50 == 0:
                if run.due(): run.log(f"seed {seed}, epoch {epoch + 1} of {epochs}, {i / steps:.0%}")
                if time.monotonic() > end: return None
        history.append(shops.error(predict(net, shops.x_held)))
        frames.append(small(net, shops))
        run.log(f"seed {seed}, epoch {epoch + 1}: RMSPE {history[-1]:.4f}")
        if epoch >= epochs - cfg["average"]: kept.append({k: v.detach().clone() for k, v in net.state_dict().items()})
    mean = {k: torch.stack([s[k].float() for s in kept]).mean(0).to(v.dtype) for k, v in kept[0].items()}
    net.load_state_dict(mean)
    refresh_norms(net, (x[r] for r in torch.randperm(len(x))[:200_000].to(DEVICE).split(4096)))
    net.settle(shops.x)
    figures = {"rmspe": shops.error(predict(net, shops.x_held)), "history": [round(h, 5) for h in history],
               "seconds": time.monotonic() - began, "frames": frames, "options": options}
    return net.eval(), figures


def small(net: MixedNet, shops: Shops) -> dict:
    "The embeddings of the small columns, by name, without the rows for gaps and the unseen."
    coded = [shops.names[i] for i in net.coded]
    rows = {c: len(shops.encoder.levels[c]) for c in SMALL}
    return {c: net.embeddings[coded.index(c)].weight.detach().cpu()[1 : n + 1].clone() for c, n in rows.items()}


@torch.no_grad()
def predict(net: MixedNet, x) -> np.ndarray:
    "Sales (n,), in the table's unit."
    net.eval()
    return np.exp(torch.cat([net(part.to(DEVICE)).cpu() for part in x.split(16384)]).double().numpy())


@torch.no_grad()
def rows_for(name: str, how: str, net: MixedNet, shops: Shops, x) -> np.ndarray:
    """Rows (n, …) float32 as another model takes them: codes, or each code's embedding.

    Distances count every column, noise too: the neighbors get the seven columns of the paper, with codes one-hot."""
    if name != "neighbors":
        if how == "codes": return x.numpy()
        return torch.cat([net.vectors(part.to(DEVICE)).cpu() for part in x.split(16384)]).numpy()
    out = []
    for i, e in zip(net.coded, net.embeddings):
        if shops.names[i] not in SEVEN: continue
        code = x[:, i].long()
        out.append(F.one_hot(code, e.num_embeddings).float() if how == "codes" else e(code.to(DEVICE)).cpu())
    plain = [i for i in net.plain if shops.names[i] in SEVEN]
    of = [net.plain.index(i) for i in plain]
    return torch.cat([*out, (x[:, plain] - net.mean.cpu()[of]) / net.std.cpu()[of]], 1).numpy()


def other(run: Run, shops: Shops, net: MixedNet, name: str, how: str, seed: int, cfg: dict) -> float:
    "RMSPE of another model on `how`, codes or this net's embeddings; fitted to a sample of the training rows."
    torch.manual_seed(seed)
    rows, began = torch.randperm(len(shops.x))[: cfg[f"{name}_rows"]], time.monotonic()
    prepare = partial(rows_for, name, how, net, shops)
    model = MODELS[name](cfg, seed).fit(prepare(shops.x[rows]), shops.sales.log()[rows].numpy())
    guess = np.concatenate([model.predict(prepare(part)) for part in shops.x_held.split(8192)])
    error = shops.error(np.exp(guess))
    run.log(f"seed {seed}, {name} on {how}: RMSPE {error:.4f}, {time.monotonic() - began:.0f} s, {len(rows):,} rows")
    return error


def settings(run: Run) -> dict:
    "What fits the machine: the original's layers on a GPU, a quarter of their width on a CPU."
    if run.tiny:
        return dict(layers=[16, 8], dropout=0., bs=256, lr=1e-2, wd=.01, epochs=1, average=1, trees=3, rounds=5,
                    forest_rows=2_000, boosted_rows=2_000, neighbors_rows=1_000)
    # picked on the six weeks before the held-out ones, two seeds: a decay of .1 gives .1225 and .1229, .01 gives .1260
    # and .1258; dropout .1, a third of the rate and batches of 2048 were no better
    both = dict(dropout=[.01, .01], lr=3e-3, wd=.1)
    if CUDA:
        return both | dict(layers=[1000, 500], bs=2048, epochs=run.epochs or 12, average=4, trees=100, rounds=600,
                           forest_rows=400_000, boosted_rows=10**9, neighbors_rows=300_000)
    return both | dict(layers=[250, 125], bs=512, epochs=run.epochs or 6, average=2, trees=20, rounds=150,
                       forest_rows=60_000, boosted_rows=200_000, neighbors_rows=20_000)


def rossmann_row(run: Run, seconds: float):
    """RMSPE on the last rows by date, of the net and of three other models with and without its embeddings.

    Seeds whose training the time cuts short are left out; the rows of a sample are drawn anew for each seed."""
    end, shops = time.monotonic() + seconds, Shops(run.data, 4_000 if run.tiny else None)
    cfg, nets, rest = settings(run), [], {}
    data = f"{len(shops.x):,} rows, the last {len(shops.x_held):,} by date held out; rows without sales are absent"
    run.save(settings=cfg, data=f"Rossmann, {data}", average=f"weights of the last {cfg['average']} epochs")
    for seed in range(run.seeds or 3):
        done = train(run, shops, seed, cfg, end)
        if done is None: run.save(note=f"seed {seed} stopped by the clock")
        if done is None: break
        nets.append(done)
        if not seed: keep(run, shops, *done, cfg)
        run.save(**summary([f for _, f in nets], "rmspe", "seconds"), rmspe_seeds=[f["rmspe"] for _, f in nets],
                 histories=[f["history"] for _, f in nets], seeds=len(nets))
        entities(run, shops, [f["frames"] for _, f in nets])
        run.log(f"seed {seed}: averaged weights, RMSPE {nets[-1][1]['rmspe']:.4f}")
    for seed, (net, _) in enumerate(nets):  # one seed of each first: the clock may stop the others
        for key in (f"{name}_{how}" for name in MODELS for how in ("codes", "embeddings")):
            if time.monotonic() > end: return run.save(note_others=f"stopped by the clock before seed {seed}'s {key}")
            rest.setdefault(key, []).append(other(run, shops, net, *key.split("_"), seed, cfg))
            run.save(**summary([{key: v} for v in rest[key]], key), **{f"{key}_seeds": rest[key]},
                     cpu_minutes=time.process_time() / 60)


def known_row(run: Run, seconds: float):
    "RMSPE of the net that is told only what is known when the forecast is made; settings and seeds of rossmann-net."
    end, shops = time.monotonic() + seconds, Shops(run.data, 4_000 if run.tiny else None)
    cfg, nets, less = settings(run), [], shops.without(UNKNOWN)
    run.save(settings={k: cfg[k] for k in ("layers", "dropout", "bs", "lr", "wd", "epochs", "average")},
             data=f"Rossmann, {len(less.x):,} rows, the last {len(less.x_held):,} by date held out",
             left_out=[name for name in shops.names if name not in less.names])
    for seed in range(run.seeds or 3):
        done = train(run, less, seed, cfg, end)
        if done is None: run.save(note=f"seed {seed} stopped by the clock")
        if done is None: break
        nets.append(done[1])
        run.save(**summary(nets, "rmspe", "seconds"), rmspe_seeds=[f["rmspe"] for f in nets], seeds=len(nets),
                 histories=[f["history"] for f in nets], cpu_minutes=time.process_time() / 60)


def keep(run: Run, shops: Shops, net: MixedNet, figures: dict, cfg: dict):
    "rossmann-net.safetensors: mapping and net of seed 0, as `TabularModel.load` reads it."
    TabularModel(shops.encoder, net, figures["options"]).save(run.out / "rossmann-net.safetensors")


def entities(run: Run, shops: Shops, frames: list):
    "rossmann-entities.safetensors: the small columns' embeddings, (seeds, epochs + 1, levels, d) float16; and a card."
    data = save({c: torch.stack([torch.stack([f[c] for f in seed]) for seed in frames]).half() for c in SMALL})
    run.write("rossmann-entities.safetensors", data)
    run.write("rossmann-entities.json", {
        "name": "rossmann-entities", **run.about, "sha256": hashlib.sha256(data).hexdigest(), "seeds": len(frames),
        "levels": {c: shops.encoder.levels[c] for c in SMALL}, "shape": "seeds, epochs and the start, levels, numbers",
        "data": "learned from Rossmann Store Sales (Kaggle, 2015); holds no row of it", "dtype": "float16"})
