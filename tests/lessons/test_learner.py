"""What lesson 06 promises of `Learner` and a notebook cannot show: processes that are killed, that work
together, that fetch."""
import json
import math
import multiprocessing
import os
import random
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lessonkit.train import checkpoints
from lessonkit.learner import Callback, CheckpointError, DataLoaders, GradClip, Learner, Stop, accuracy
from lessonkit.schedules import one_cycle

EPOCHS, BATCHES = 5, 8


@pytest.fixture(autouse=True)
def one_thread():
    "Models this small are quicker on one core, and a sum over one thread has one order."
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


def data(n=BATCHES * 16 - 5, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=g)
    return x, (x[:, 0] * x[:, 1] > 0).long()


def model(seed=0, width=16):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 2))


class Noise(Callback):
    "Uses the generators that everyone shares: Python's and NumPy's."
    def before_batch(self, learn):
        if learn.training: learn.x = learn.x + 0.01 * random.random() + 0.01 * np.random.rand()


class Recall(Callback):
    "Changes training by what it remembers."
    total = 0.0
    def after_loss(self, learn):
        if learn.training:
            learn.loss = learn.loss * (1 + 0.01 * math.sin(self.total))
            self.total += learn.loss.item()
    def state_dict(self): return {"total": self.total}
    def load_state_dict(self, state): self.total = state["total"]


def tricky(seed=0, **kwargs):
    """A learner with everything that a resumed run could get wrong: shuffling, dropout, running statistics,
    Adam, callbacks."""
    random.seed(seed), np.random.seed(seed)
    net = model(seed)
    train = DataLoader(TensorDataset(*data()), 16, shuffle=True, generator=torch.Generator().manual_seed(seed))
    dls = DataLoaders(train, DataLoader(TensorDataset(*data(50, 1)), 16))
    return Learner(net, dls, F.cross_entropy, metrics=[accuracy], cbs=[Noise(), Recall(), GradClip(1.0)], device="cpu",
                   **kwargs)


def whole_run(path, resume=False, cbs=(), pause=0.0):
    class Slow(Callback):
        def after_batch(self, learn): time.sleep(pause)
    learn = tricky()
    learn.fit(EPOCHS, one_cycle(0.02), wd=0.01, cbs=[*cbs, Slow()], checkpoint=path, resume=resume, save_every=3,
              show=False)
    return learn


def same(a: Learner, b: Learner):
    for k, v in a.model.state_dict().items(): assert torch.equal(v, b.model.state_dict()[k]), k
    tensors_a, tensors_b = {}, {}
    assert checkpoints.pack(a.state.to_dict(), tensors_a) == checkpoints.pack(b.state.to_dict(), tensors_b)
    assert all(torch.equal(t, tensors_b[k]) for k, t in tensors_a.items())


# Killed
def child(path, out, started, resume, pause):
    torch.set_num_threads(1)
    class Tell(Callback):
        def before_fit(self, learn): started.set()
    learn = whole_run(path, resume, [Tell()], pause)
    learn.save(out)


def test_killed_twenty_times(tmp_path):
    """Killed at any moment, writing among them, and called again: the uninterrupted run's weights, history and
    optimizer, bit for bit."""
    ctx = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    if hasattr(os, "fork"):
        # the last: else each first step of an optimizer takes seconds
        ctx.set_forkserver_preload(["pytest", "lessonkit.learner", "torch._dynamo"])
    pause, rng, struck, places = 0.005, random.Random(0), 0, set()

    def start(path, out, resume, pause):
        started = ctx.Event()
        p = ctx.Process(target=child, args=(path, out, started, resume, pause))
        p.start()
        assert started.wait(60)
        return p, time.perf_counter()

    want = tmp_path / "want.safetensors"
    p, t0 = start(tmp_path / "whole.safetensors", want, False, pause)
    p.join(60)
    lasts = time.perf_counter() - t0
    for i in range(20):
        path, out = tmp_path / f"{i}.safetensors", tmp_path / f"{i}-out.safetensors"
        p, _ = start(path, out, False, pause)
        time.sleep(rng.uniform(0, lasts))
        p.kill()  # SIGKILL
        p.join(60)
        struck += p.exitcode != 0
        if path.exists():
            place = checkpoints.load(path)["place"]
            places.add((place["epoch"], place["batch"]))
        p, _ = start(path, out, True, 0)
        p.join(60)
        assert p.exitcode == 0 and out.read_bytes() == want.read_bytes(), f"kill {i}: resumed from {place}"
    assert struck >= 12 and len(places) >= 6, f"{struck} kills struck, in {sorted(places)}: too few to mean anything"


@pytest.mark.parametrize("at", [1, 2, BATCHES - 1, BATCHES, BATCHES + 1, BATCHES * 2 + 3, BATCHES * EPOCHS - 1])
def test_resumed_in_the_middle_of_anything(tmp_path, at):
    class Break(Callback):
        def before_batch(self, learn):
            if learn.training and learn.epoch * BATCHES + learn.batch == at: raise RuntimeError("power cut")
    want = whole_run(tmp_path / "want.safetensors")
    with pytest.raises(RuntimeError, match="power cut"): whole_run(tmp_path / "a.safetensors", cbs=[Break()])
    class Same(Callback): pass  # the same number of callbacks
    same(want, whole_run(tmp_path / "a.safetensors", resume=True, cbs=[Same()])
         if (tmp_path / "a.safetensors").exists() else whole_run(tmp_path / "a.safetensors"))


def test_a_finished_run_is_only_read(tmp_path):
    want = whole_run(tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    same(want, whole_run(tmp_path / "a.safetensors", resume=True))
    assert (tmp_path / "a.safetensors").read_bytes() == before


def test_sgdr_resumed_has_all_its_snapshots(tmp_path):
    def run(resume=False, cbs=()):
        learn = tricky()
        return learn.fit_sgdr(0.02, 3, 1, 2, cbs=cbs, checkpoint=tmp_path / f"{bool(cbs) or resume}.safetensors",
                              resume=resume, show=False)
    class Break(Callback):
        def after_epoch(self, learn):
            if learn.epoch == 4: raise KeyboardInterrupt
    class Same(Callback): pass
    want = run()
    assert len(want.snapshots) == 3 and len(want.history) == 7
    with pytest.raises(KeyboardInterrupt): run(cbs=[Break()])
    got = run(resume=True, cbs=[Same()])
    same(want, got)
    for s, t in zip(want.snapshots, got.snapshots): assert all(torch.equal(s[k], t[k]) for k in s)
    torch.testing.assert_close(want.predict(data()[0], snapshots=True), got.predict(data()[0], snapshots=True))


def test_restarts_where_a_cycle_begins():
    "The first step of each cycle has the full rate, whatever the rounding of its position."
    for n_cycle, cycle_len, cycle_mult in [(3, 1, 2), (7, 1, 1), (3, 3, 1), (4, 2, 2)]:
        learn = Learner(model(), DataLoaders([data(16)] * 3), F.cross_entropy, device="cpu")
        learn.fit_sgdr(0.1, n_cycle, cycle_len, cycle_mult, show=False)
        starts = np.cumsum([0] + [cycle_len * cycle_mult**i for i in range(n_cycle)])[:-1] * 3
        np.testing.assert_allclose(learn.steps.lr[starts], 0.1)
        assert (learn.steps.lr == learn.steps.lr.max()).sum() == n_cycle


# What is not loaded
def test_torn_files_are_refused_everywhere(tmp_path):
    path = tmp_path / "a.safetensors"
    whole_run(path)
    whole = path.read_bytes()
    rng = random.Random(0)
    for n in [0, 1, 7, 8, 9, 100, len(whole) - 1] + rng.sample(range(len(whole)), 20):
        path.write_bytes(whole[:n])
        with pytest.raises(CheckpointError, match="no whole checkpoint"): tricky().load(path)
        with pytest.raises(CheckpointError, match="no whole checkpoint"): whole_run(path, resume=True)
    for i in rng.sample(range(len(whole)), 40):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1:])
        with pytest.raises(CheckpointError): tricky().load(path)
    path.write_bytes(whole)
    tricky().load(path)


def test_a_half_written_file_beside_it_does_no_harm(tmp_path):
    path = tmp_path / "a.safetensors"
    want = whole_run(path)
    (tmp_path / ".a.safetensors.part").write_bytes(b"half")
    same(want, whole_run(path, resume=True))
    same(want, whole_run(path))


def test_another_architecture_is_refused_by_name(tmp_path):
    tricky().save(tmp_path / "a.safetensors")
    other = Learner(model(width=17), DataLoaders([data()]), F.cross_entropy, device="cpu")
    before = {k: v.clone() for k, v in other.model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"0.weight: \(16, 6\) in the checkpoint, \(17, 6\) in the model"):
        other.load(tmp_path / "a.safetensors")
    assert all(torch.equal(v, before[k]) for k, v in other.model.state_dict().items())
    longer = Learner(nn.Sequential(*model(), nn.Linear(2, 2)), DataLoaders([data()]), F.cross_entropy, device="cpu")
    with pytest.raises(CheckpointError, match="only in the model: 5.weight; 5.bias"):
        longer.load(tmp_path / "a.safetensors")


def test_what_else_does_not_fit(tmp_path):
    whole_run(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="5 epochs, this is one of 6"):
        tricky().fit(6, 0.01, checkpoint=tmp_path / "a.safetensors", resume=True)
    with pytest.raises(CheckpointError, match="AdamW.*SGD"):
        tricky(opt_fn=torch.optim.SGD).load(tmp_path / "a.safetensors")
    tricky().save(tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="`load` it"):
        tricky().fit(5, 0.01, checkpoint=tmp_path / "b.safetensors", resume=True)
    with pytest.raises(FileNotFoundError): tricky().load(tmp_path / "none")
    with pytest.raises(ValueError, match="checkpoint="): tricky().fit(1, 0.01, resume=True)


def test_nothing_in_it_executes(tmp_path):
    import pickle
    class Bomb:
        def __reduce__(self): return os.mkdir, (str(tmp_path / "executed"),)
    (tmp_path / "a").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError): tricky().load(tmp_path / "a")
    torch.save({"model": Bomb()}, tmp_path / "b")
    with pytest.raises(CheckpointError): tricky().load(tmp_path / "b")
    assert not (tmp_path / "executed").exists()
    code = "import sys, pickle; pickle.loads = pickle.load = pickle.Unpickler = None\n" \
           "import torch; torch.load = None\n" \
           f"from lessonkit.train.checkpoints import load; print(len(load({str(tmp_path / 'c')!r})['model']))"
    tricky().save(tmp_path / "c")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["9"], done.stderr


# Saved and loaded
def test_loaded_trains_on_as_if_nothing_had_been(tmp_path):
    def go(learn): torch.manual_seed(3); return learn.fit(2, 0.01, show=False)
    plain = [b for b in DataLoader(TensorDataset(*data()), 16)]
    def make(seed=0):
        return Learner(model(seed), DataLoaders(plain, plain), F.cross_entropy, partial(torch.optim.SGD, momentum=0.9),
                       device="cpu")
    a = make()
    go(a).save(tmp_path / "a")
    b = make(5).load(tmp_path / "a")
    same(a, b)
    same(go(a), go(b))
    assert len(b.history) == 4


def test_tied_weights_stay_tied(tmp_path):
    def make():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
        net[1].weight = net[0].weight
        return Learner(net, DataLoaders([(torch.arange(5), torch.arange(5))]), F.cross_entropy, device="cpu")
    a = make().fit(3, 0.1, show=False)
    b = make().load(a.save(tmp_path / "a") and tmp_path / "a")
    assert torch.equal(a.model[1].weight, b.model[0].weight) and b.model[0].weight is b.model[1].weight


# Interrupted
@pytest.mark.parametrize("where", ["loss", "loader", "callback"])
def test_an_interrupt_leaves_a_usable_learner(where, capsys):
    calls, on = {"n": 0}, [True]
    def maybe():
        calls["n"] += 1
        if on[0] and calls["n"] == BATCHES * 2 + 6: raise KeyboardInterrupt  # in the second epoch
    class Loader:
        def __iter__(self):
            for b in DataLoader(TensorDataset(*data()), 16):
                if where == "loader": maybe()
                yield b
        def __len__(self): return BATCHES
    class Cb(Callback):
        ended = 0
        def after_step(self, learn):
            if where == "callback": maybe()
        def after_fit(self, learn): self.ended += 1
    def loss(pred, y):
        if where == "loss": maybe()
        return F.cross_entropy(pred, y)
    cb = Cb()
    learn = Learner(model(), DataLoaders(Loader(), Loader() if where == "loss" else None), loss, cbs=[cb], device="cpu")
    with pytest.raises(KeyboardInterrupt): learn.fit(5, 0.01)
    done = {"loss": 1, "loader": 2, "callback": 2}[where]
    assert len(learn.history) == done and cb.ended == 1 and len(learn.steps) >= BATCHES * done
    on[0] = False
    learn.fit(2, 0.01)
    assert len(learn.history) == done + 2 and learn.history.train_loss.iloc[-1] < learn.history.train_loss.iloc[0]
    assert learn.predict(data()[0]).isfinite().all()


# Layer groups
def test_statistics_of_frozen_layers_stay_put():
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8),
                        nn.Linear(8, 2))
    learn = Learner(net, DataLoaders([data()] * 3), F.cross_entropy,
                    splitter=lambda m: [list(m[:2].parameters()), list(m[2:].parameters())], device="cpu")
    learn.freeze_to(-1)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    learn.fit(2, 0.1, wd=0.1, show=False)
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if int(k[0]) >= 2}
    learn.unfreeze().fit(1, 0.1, show=False)
    assert not torch.equal(net[1].running_mean, before["1.running_mean"])
    assert not torch.equal(net[0].weight, before["0.weight"])


@pytest.mark.parametrize("norm", [lambda: nn.BatchNorm1d(4, affine=False), lambda: nn.BatchNorm1d(4, momentum=None),
                                  lambda: nn.SyncBatchNorm(4)], ids=["bare", "cumulative", "sync"])
def test_every_kind_of_frozen_norm(norm):
    net = nn.Sequential(nn.Linear(6, 4), norm(), nn.Linear(4, 2))
    split = lambda m: [list(m[:2].parameters()), list(m[2:].parameters())]
    learn = Learner(net, DataLoaders([data()]), F.cross_entropy, splitter=split, device="cpu").freeze_to(1)
    learn.fit(1, 0.1, show=False)
    assert net[1].running_mean.abs().sum() == 0 and net[1].num_batches_tracked == 0


def test_rates_of_groups_are_those_asked_for():
    net = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 2))
    learn = Learner(net, DataLoaders([data()] * 4), F.cross_entropy, torch.optim.SGD,
                    splitter=lambda m: [l.parameters() for l in m], device="cpu")
    seen = []
    class See(Callback):
        def after_backward(self, learn): seen.append([(g["lr"], g["weight_decay"]) for g in learn.opt.param_groups])
    learn.fit(1, lambda pos: slice(1e-3 * (1 - pos), 1e-1), wd=[0, 0.1], cbs=[See()], show=False)
    np.testing.assert_allclose(seen, [[(1e-3 * (1 - i / 4), 0), (1e-1, 0.1)] for i in range(4)])
    assert learn.steps.lr.tolist() == [1e-1] * 4


# Figures
@pytest.mark.parametrize("bs", [1, 7, 32, 64, 200])
def test_a_ragged_last_batch_changes_no_mean(bs):
    x, y = data(129)
    learn = Learner(model(), DataLoaders.from_arrays((x, y), (x, y), bs=bs), F.cross_entropy, metrics=[accuracy],
                    device="cpu")
    found, pred = learn.validate(), learn.predict(x)
    np.testing.assert_allclose([found["loss"], found["accuracy"]],
                               [F.cross_entropy(pred, y).item(), accuracy(pred, y).item()], rtol=1e-5)


def test_tokens_are_what_counts_in_a_text():
    class Net(nn.Module):
        def __init__(self): super().__init__(); self.w = nn.Parameter(torch.zeros(1))
        def forward(self, x): return x + self.w
    x = torch.randn(4, 10)
    learn = Learner(Net(), DataLoaders([(x, x)], [(x[:, :7], x[:, :7] * 0), (x[:, 7:], x[:, 7:] * 0)]), F.mse_loss,
                    device="cpu")
    np.testing.assert_allclose(learn.validate()["loss"], (x**2).mean().item(), rtol=1e-6)


def test_a_metric_that_is_no_mean():
    class RMSE:
        def reset(self): self.sum = self.n = 0
        def update(self, pred, y): self.sum, self.n = self.sum + ((pred - y) ** 2).sum(), self.n + y.numel()
        def compute(self): return (self.sum / self.n) ** 0.5
    x = torch.randn(10, 3)
    learn = Learner(nn.Linear(3, 3), DataLoaders([(x, x)], DataLoader(TensorDataset(x, x), 4)), F.mse_loss,
                    metrics=[RMSE()], device="cpu")
    np.testing.assert_allclose(learn.validate()["RMSE"], F.mse_loss(learn.predict(x), x).item() ** 0.5, rtol=1e-5)


# Loaders
class Rows(Dataset):
    "Defined in a module, so that a spawned worker finds it. Each row draws a random number, as augmentation does."
    def __init__(self): self.x, self.y = data()
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return self.x[i] + 0.01 * torch.rand(6), self.y[i]


def test_workers_that_are_spawned(tmp_path):
    """As on Windows and macOS; the same seed gives the same run, and a run resumed in the middle of an epoch
    ends in the same weights."""
    def run(path, resume=False, at=None):
        class Break(Callback):
            def before_batch(self, learn):
                if learn.batch == at: raise RuntimeError("cut")
        dls = DataLoaders.from_datasets(Rows(), bs=16, num_workers=2, multiprocessing_context="spawn")
        learn = Learner(model(), dls, F.cross_entropy, cbs=[Break()], device="cpu")
        try: learn.fit(1, 0.01, checkpoint=path, resume=resume, save_every=2, show=False)
        except RuntimeError as e: assert str(e) == "cut"
        return learn
    want = run(tmp_path / "a")
    assert len(want.steps) == BATCHES and run(tmp_path / "b", at=5).history.empty
    same(want, run(tmp_path / "b", resume=True))


def test_workers_that_persist_cannot_be_resumed_exactly(tmp_path):
    dls = DataLoaders.from_datasets(Rows(), bs=16, num_workers=1, persistent_workers=True)
    with pytest.warns(UserWarning, match="persistent_workers"):
        Learner(model(), dls, F.cross_entropy, device="cpu").fit(1, 0.01, checkpoint=tmp_path / "a", show=False)


def test_any_two_iterables():
    class Texts:
        epochs = []
        def set_epoch(self, e): self.epochs.append(e)
        def __iter__(self): return ((x.numpy(), y.numpy()) for x, y in [data(16)] * 3)
    texts = Texts()
    learn = Learner(model(), (texts, [data(5)]), F.cross_entropy,
                    device="cpu").fit(2, 0.01, show=False).fit(1, 0.01, show=False)
    assert texts.epochs == [0, 1, 2] and len(learn.steps) == 9
    with pytest.raises(ValueError, match="len"): learn.fit(1, lambda pos: 0.1, show=False)
    with pytest.raises(TypeError, match="only once"): DataLoaders(texts, iter([data(5)]))


# Precision
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_on_a_cpu(precision, tmp_path):
    kinds = set()
    class See(Callback):
        def after_pred(self, learn): kinds.add(learn.pred.dtype)
    def make():
        return Learner(model(), DataLoaders.from_arrays(data(), data(), bs=16), F.cross_entropy, metrics=[accuracy],
                       cbs=[See()], precision=precision, device="cpu")
    learn = make().fit(5, 0.01, show=False)
    assert kinds == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
    assert learn.model[0].weight.dtype == torch.float32
    assert learn.history.valid_loss.iloc[-1] < learn.history.valid_loss.iloc[0]
    assert learn.predict(data()[0]).dtype == torch.float32
    if precision == "fp16":
        assert learn.scaler.get_scale() > 1
        learn.scaler.update(1024.0)
        assert make().load(learn.save(tmp_path / "a") and tmp_path / "a").scaler.get_scale() == 1024


def test_clipping_sees_gradients_without_the_scale():
    """A step of plain SGD is as long as rate times norm: gradients clipped before their scale is taken off
    would make none to speak of."""
    net = model()
    learn = Learner(net, DataLoaders([data()]), F.cross_entropy, torch.optim.SGD, cbs=[GradClip(0.01)],
                    precision="fp16", device="cpu")
    def weights(): return torch.cat([p.detach().flatten() for p in net.parameters()])
    before = weights()
    learn.fit(1, 10.0, show=False)
    np.testing.assert_allclose((weights() - before).norm(), 0.01 * 10.0, rtol=1e-2)


# Two processes
TWO = """
import json, sys
import torch
from torch import nn
from torch.nn import functional as F
from lessonkit.learner import Callback, DataLoaders, Learner, accuracy
torch.set_num_threads(1)
# HERE
g = torch.Generator().manual_seed(0)
x = torch.randn(101, 6, generator=g); x[:, 5] = torch.arange(101)
y = (x[:, 0] * x[:, 1] > 0).long()
class Scaled(nn.Module):
    def forward(self, x): return torch.cat([x[:, :5], x[:, 5:] / 100], 1)
torch.manual_seed(0)
net = nn.Sequential(Scaled(), nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
rows = []
class See(Callback):
    def before_batch(self, learn):
        if learn.training: rows.append(learn.x[:, 5].int().tolist())
dls = DataLoaders.from_arrays((x, y), (x[:37], y[:37]), bs=20, seed=1)  # the last batch has one row only
learn = Learner(net, dls, F.cross_entropy, torch.optim.SGD, metrics=[accuracy], cbs=[See()], device="cpu")
learn.fit(3, .1, mom=.9, checkpoint=sys.argv[1] + "/run.safetensors", show=False)
out = dict(rank=learn.rank, world=learn.world, rows=rows, history=learn.history.to_dict("list"))
out["weight"] = net[1].weight.tolist()
functions = vars(torch.distributed.nn.functional).values()
out["kept"] = sum("ProcessGroup" in type(d).__name__ for f in functions for d in getattr(f, "__defaults__", None) or ())
open(f"{sys.argv[1]}/{learn.world}-{learn.rank}.json", "w", encoding="utf-8").write(json.dumps(out))
"""


FORKED = ("import runpy, sys; from accelerate import debug_launcher; "
          "debug_launcher(lambda: runpy.run_path(sys.argv.pop(1), run_name='__main__'), num_processes=2)")
ACCELERATE = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint",
                 "127.0.0.1:0"],
    "accelerate launch": ACCELERATE,
    "after Accelerator()": ACCELERATE,
    "debug_launcher": ["-c", FORKED],
}


def trained(folder, how=(), started=""):
    "Runs `TWO` in one process, or as a launcher starts it."
    (folder / "train.py").write_text(TWO.replace("# HERE", started), encoding="utf-8")
    done = subprocess.run([sys.executable, *how, str(folder / "train.py"), str(folder)], capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json"))]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    "What one process trains."
    return trained(tmp_path_factory.mktemp("alone"))[0]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_train_as_one(tmp_path, launcher, alone):
    if launcher != "torchrun": pytest.importorskip("accelerate", reason="the extra `distributed` is not installed")
    made = "from accelerate import Accelerator\nassert Accelerator(cpu=True).num_processes == 2"
    one, (first, second) = alone, trained(tmp_path, LAUNCHERS[launcher], made if "Accelerator" in launcher else "")
    assert (first["rank"], first["world"], second["rank"], second["world"]) == (0, 2, 1, 2), "there were not two"
    for batch, a, b in zip(one["rows"], first["rows"], second["rows"], strict=True):
        # a process without a row runs one, at no weight
        assert a == batch[0::2] and (b == batch[1::2] or len(batch) == 1 and b == batch)
    assert [len(b) for b in one["rows"]] == [20, 20, 20, 20, 20, 1] * 3
    for run in (first, second):
        for k, v in one["history"].items(): np.testing.assert_allclose(run["history"][k], v, rtol=1e-4, err_msg=k)
        np.testing.assert_allclose(run["weight"], one["weight"], rtol=1e-3, atol=1e-6)
    assert first["weight"] == second["weight"]
    if launcher == "debug_launcher":
        return  # it makes the group before a line of ours is read, and ends its processes by force
    assert first["kept"] == second["kept"] == 0, "a default of torch's keeps the group: its threads may abort at exit"


@pytest.mark.parametrize("asked, precision", [("no", None), ("bf16", "bf16"), (None, None)])
def test_what_accelerate_was_launched_with_is_honored(monkeypatch, asked, precision):
    """`accelerate launch --mixed_precision bf16 --cpu`, by what it puts into the environment; what is said in
    the code wins."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if asked: monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", asked)
    learn = Learner(model(), DataLoaders([data()]), F.cross_entropy)
    assert learn.precision == precision and learn.device.type == "cpu"
    assert Learner(model(), DataLoaders([data()]), F.cross_entropy, precision="bf16").precision == "bf16"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(ValueError, match="fp8"): Learner(model(), DataLoaders([data()]), F.cross_entropy)


# What cannot be trained
def learner(net=None, loader=None, loss=F.cross_entropy, **kwargs):
    return Learner(net or model(), DataLoaders(loader if loader is not None else [data()]), loss, device="cpu",
                   **kwargs)


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("words, make", [
    ("no parameters", lambda: learner(nn.Flatten())),
    ("lazy", lambda: learner(nn.LazyLinear(2))),
    ("is empty", lambda: learner(loader=[])),
    ("gave no batch", lambda: learner(loader=type("Empty", (),
                                                  {"__iter__": lambda self: iter(())})()).fit(1, 0.1, show=False)),
    (r"float32 \(123, 7\)", lambda: learner(loader=[(torch.randn(123, 7), data()[1])]).fit(1, 0.1, show=False)),
    (r"loss_fn .* int64 \(122,\)", lambda: learner(loader=[(data()[0], data()[1][1:])]).fit(1, 0.1, show=False)),
    ("out of bounds", lambda: learner(loader=[(data()[0], data()[1] + 1)]).fit(1, 0.1, show=False)),
    ("squeeze", lambda: learner(nn.Linear(6, 1), [(data()[0], data()[1].float())], F.mse_loss).fit(1, 0.1, show=False)),
    ("batch 0: x holds 2 NaN", lambda: learner(loader=[(data()[0].index_fill(1, torch.tensor(3), math.nan)[:2],
                                                        data()[1][:2])]).fit(1, 0.1, show=False)),
    ("batch 1: y holds 1 NaN", lambda: learner(nn.Linear(6, 1),
                                               [(torch.ones(2, 6), torch.ones(2, 1)),
                                                (torch.ones(2, 6), torch.tensor([[math.nan], [1]]))],
                                               F.mse_loss).fit(1, 0.1, show=False)),
    ("reduction='mean'", lambda: learner(loss=partial(F.cross_entropy, reduction="none")).fit(1, 0.1, show=False)),
    ("does not depend", lambda: learner(loss=lambda p, y: F.cross_entropy(p.detach(), y)).fit(1, 0.1, show=False)),
    ("every parameter is frozen", lambda: learner(model().requires_grad_(False)).fit(1, 0.1, show=False)),
    ("3 values for 1 layer group", lambda: learner().fit(1, [1, 2, 3], show=False)),
    ("n_epoch", lambda: learner().fit(0, 0.1)),
    ("finite", lambda: learner().fit(1, math.nan)),
    ("precision", lambda: learner(precision="int8")),
    ("after_loss", lambda: learner(cbs=[type("Typo", (Callback,), {"after_los": lambda self, learn: None})])),
    ("n=2", lambda: learner().freeze_to(2)),
    ("end with an epoch", lambda: learner().fit_sgdr(0.1, 2, 0.5)),
    ("call fit_sgdr first", lambda: learner().average_snapshots()),
    ("no validation data", lambda: learner().validate()),
    ("weight_decay", lambda: learner(opt_fn=torch.optim.Rprop).fit(1, 0.1, wd=0.1, show=False)),
    ("neither momentum nor betas", lambda: learner(opt_fn=torch.optim.Adagrad).fit(1, 0.1, mom=0.1, show=False)),
])
def test_the_message_says_what_to_change(words, make):
    with pytest.raises(ValueError, match=words): make()


@pytest.mark.parametrize("cbs", [Callback(), Callback, 3, "progress"])
def test_callbacks_are_a_list(cbs):
    for give in (lambda: learner(cbs=cbs), lambda: learner().fit(1, 0.1, cbs=cbs), lambda: learner().fit_sgdr(
            0.1, 1, cbs=cbs)):
        with pytest.raises(TypeError, match="cbs must be a list, such as"): give()


@pytest.mark.parametrize("batch", [(1, 2, 3), torch.ones(3, 3), {"x": 1}])
def test_a_batch_is_a_pair(batch):
    with pytest.raises(TypeError, match="pairs"): learner(loader=[batch]).fit(1, 0.1, show=False)


def test_a_run_that_diverges_stops_with_a_word():
    learn = learner(nn.Linear(6, 1), [(data()[0], torch.ones(123, 1))] * 200, F.mse_loss, opt_fn=torch.optim.SGD)
    with pytest.warns(UserWarning, match="lower lr"): learn.fit(3, 10.0, show=False)
    assert 5 < len(learn.steps) < 200 and learn.history.empty


def test_a_loss_that_knows_its_shapes_is_left_alone():
    learner(nn.Linear(6, 1), [(data()[0], data()[1].float())], lambda p,
            y: F.mse_loss(p.squeeze(1), y)).fit(1, 0.1, show=False)


def test_a_callback_may_validate_and_predict(tmp_path):
    class Look(Callback):
        found = []
        def after_epoch(self, learn): self.found.append((learn.validate()["loss"], len(learn.predict())))
    learn = tricky()
    learn.fit(2, 0.01, cbs=[Look()], checkpoint=tmp_path / "a", show=False)
    np.testing.assert_allclose([f[0] for f in Look.found], learn.history.valid_loss)
    assert checkpoints.load(tmp_path / "a")["place"]["epoch"] == 2


def test_an_error_of_ones_own_passes_through():
    def loss(pred, y): raise RuntimeError("mine")
    with pytest.raises(RuntimeError, match="^mine$"): learner(loss=loss).fit(1, 0.1, show=False)


# The loop
def test_stopping_each_level():
    seen = []
    class Levels(Callback):
        def after_loss(self, learn):
            if learn.training and learn.batch == 1: raise Stop("batch")
            if learn.training and learn.epoch == 1 and learn.batch == 3: raise Stop("pass")
            if learn.epoch == 2: raise Stop("fit")
        def after_batch(self, learn): seen.append(("batch", learn.epoch, learn.batch, learn.training))
        def after_pass(self, learn): seen.append(("pass", learn.epoch, learn.training))
        def after_fit(self, learn): seen.append("fit")
    learn = Learner(model(), DataLoaders([data(16)] * 5, [data(16)]), F.cross_entropy, cbs=[Levels()],
                    device="cpu").fit(5, 0.01, show=False)
    assert len(learn.history) == 2 and len(learn.steps) == 4 + 2
    assert [s for s in seen if s[0] == "batch" and s[1] == 0] == [("batch", 0, i, True)
                                                                  for i in range(5)] + [("batch", 0, 0, False)]
    assert [s for s in seen if s[0] == "pass"] == [("pass", 0, True), ("pass", 0, False), ("pass", 1, True),
                                                   ("pass", 1, False), ("pass", 2, True)]
    assert seen[-1] == "fit" and seen.count("fit") == 1


def test_the_same_as_a_loop_by_hand():
    learn = Learner(model(), DataLoaders([data(16), data(13, 2)]), F.cross_entropy,
                    partial(torch.optim.SGD, momentum=0.9), device="cpu")
    torch.manual_seed(7)
    learn.fit(3, 0.1, wd=0.01, show=False)
    net = model().train()
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
    torch.manual_seed(7)
    for _ in range(3):
        for x, y in [data(16), data(13, 2)]:
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
    for a, b in zip(learn.model.parameters(), net.parameters()): assert torch.equal(a, b)


def test_lines_and_no_bar_in_a_log(capsys):
    learn = tricky().fit(2, 0.01)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "accuracy"] and len(lines) == 3 and not err
    np.testing.assert_allclose([float(v) for v in lines[2].split()[1:]], learn.history.iloc[1], rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU; the CPU runs every other test")
@pytest.mark.parametrize("precision", [None, "bf16", "fp16"])
def test_on_a_gpu(precision):
    dls = DataLoaders.from_arrays(data(), data(), bs=16)
    learn = Learner(model(), dls, F.cross_entropy, metrics=[accuracy], precision=precision).fit(5, 0.01, show=False)
    assert learn.model[0].weight.is_cuda and learn.history.valid_loss.iloc[-1] < learn.history.valid_loss.iloc[0]
    assert not learn.predict().is_cuda
