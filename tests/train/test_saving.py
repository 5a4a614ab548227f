"""Files of a run: refused before it begins, kept from a second writer, readable by others, and never half taken
over."""
import copy
import os
import stat
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lessonkit.learner import Callback, CheckpointError, DataLoaders, Learner, Stop
from lessonkit.train import checkpoints

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
PAIRS = [(b, b.sum(1, keepdim=True)) for b in X.split(4)]


def make(cbs=(), net=None, **kwargs):
    torch.manual_seed(0)
    return Learner(net or nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
                   DataLoaders(PAIRS, PAIRS[:1]), F.mse_loss, cbs=cbs, device="cpu", **kwargs)


def weights(learn): return {k: v.clone() for k, v in learn.model.state_dict().items()}


class Begun(Callback):
    def __init__(self): self.yes = False
    def before_fit(self, learn): self.yes = True


@pytest.mark.parametrize("kind", ["a folder", "in a file", "too long"])
def test_a_path_that_cannot_be_written_is_refused_before_the_fit(tmp_path, kind):
    (tmp_path / "file").write_text("")
    path = {"a folder": tmp_path, "in a file": tmp_path / "file" / "a", "too long": tmp_path / ("x" * 300)}[kind]
    begun = Begun()
    with pytest.raises(CheckpointError, match="give"): make([begun]).fit(1, 0.01, checkpoint=path, show=False)
    assert not begun.yes
    with pytest.raises(CheckpointError): make().save(path)


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
                    reason="root may write everywhere")
def test_a_read_only_folder_is_refused_before_the_fit(tmp_path):
    tmp_path.chmod(0o500)
    begun = Begun()
    with pytest.raises(CheckpointError): make([begun]).fit(1, 0.01, checkpoint=tmp_path / "a", show=False)
    assert not begun.yes


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX's")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    was = os.umask(0o022)
    try: make().fit(1, 0.01, checkpoint=tmp_path / "a", show=False).save(tmp_path / "b")
    finally: os.umask(was)
    assert [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in "ab"] == [0o644, 0o644]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_the_second_fit_with_one_file_is_refused(tmp_path):
    class Another(Callback):
        def after_batch(self, learn):
            with pytest.raises(CheckpointError, match="another fit is writing"):
                make().fit(1, 0.01, checkpoint=tmp_path / "a", show=False)
    make([Another()]).fit(1, 0.01, checkpoint=tmp_path / "a", show=False)
    make().fit(1, 0.01, checkpoint=tmp_path / "a", show=False)  # after it, it is free


OTHER = """
import sys
from tests.train.test_saving import *
try: make().fit(1, .01, checkpoint=sys.argv[1], show=False)
except CheckpointError as e: print(e)
"""


def test_a_second_process_is_refused_in_words(tmp_path):
    said, path = [], tmp_path / "a"
    class Another(Callback):
        def before_fit(self, learn):
            said.append(subprocess.run([sys.executable, "-c", OTHER, str(path)], capture_output=True, text=True,
                                       timeout=120))
    make([Another()]).fit(1, 0.01, checkpoint=path, show=False)
    assert "another fit is writing" in said[0].stdout, said[0].stderr
    make().load(path)


def test_four_fits_at_once_and_a_reader_see_whole_files_only(tmp_path):
    "Each has a file of its own in one folder; a reader looks all the while."
    errors, done = [], threading.Event()
    for i in range(4): make().save(tmp_path / f"{i}")
    def read():
        while not done.is_set():
            for i in range(4):
                try: checkpoints.load(tmp_path / f"{i}")
                except Exception as e: errors.append(e)
    def write(i):
        for _ in range(15): checkpoints.save(tmp_path / f"{i % 2}", {"n": torch.full((1000,), i)})
    reader, writers = threading.Thread(target=read), [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for t in [reader, *writers]: t.start()
    for t in writers: t.join()
    done.set()
    reader.join()
    assert not errors and len(list(tmp_path.iterdir())) == 4


# Well formed, and wrong
class Recall(Callback):
    def __init__(self): self.n = 0
    def after_batch(self, learn): self.n += 1
    def state_dict(self): return {"n": self.n}
    def load_state_dict(self, state): self.n = state["n"]


FORGED = {
    "no model": lambda d: d.pop("model"), "odd model": lambda d: d.update(model=3),
          "odd weight": lambda d: d["model"].update({"0.weight": 1}),
    "no optimizer kind": lambda d: d.pop("kind"),
    "odd moment": lambda d: d["opt"]["state"][0].update(exp_avg=torch.ones(7)),
    "odd group": lambda d: d["opt"].update(param_groups=3),
          "odd rows": lambda d: d.update(rows=[{"train_loss": "low"}]),
    "odd log": lambda d: d.update(log=torch.ones(3)),
          "odd snapshot": lambda d: d.update(snapshots=[{"0.weight": torch.ones(2)}]),
}
FORGED_PLACE = {
    "odd epoch": lambda d: d["place"].update(epoch=9), "no rng": lambda d: d["place"].pop("rng"),
                "odd rng": lambda d: d["place"]["rng"].update(torch=torch.ones(3)),
    "odd python rng": lambda d: d["place"]["rng"].update(python=(1, 2)),
                "odd figures": lambda d: d["place"].update(table=torch.ones(2, 5)),
    "odd batch": lambda d: d["place"].update(batch=100), "callback": lambda d: d["callbacks"][0].__setitem__(1, {}),
                "other callback": lambda d: d.update(callbacks=[]),
}


@pytest.mark.parametrize("what", [*FORGED, *FORGED_PLACE])
def test_a_forged_checkpoint_changes_nothing(tmp_path, what):
    class Break(Callback):
        def before_batch(self, learn):
            if learn.epoch == 1 and learn.batch == 4: raise RuntimeError
    with pytest.raises(RuntimeError):
        make([Recall(), Break()]).fit(3, 0.01, checkpoint=tmp_path / "a", save_every=2, show=False)
    d = checkpoints.load(tmp_path / "a")
    (FORGED | FORGED_PLACE)[what](d)
    checkpoints.save(tmp_path / "a", d)
    recall = Recall()
    learn = make([recall])
    learn.fit(1, 0.01, show=False)
    before, opt, dice, n = weights(learn), copy.deepcopy(learn.opt.state_dict()), torch.get_rng_state(), recall.n
    with pytest.raises(CheckpointError): learn.fit(3, 0.01, checkpoint=tmp_path / "a", resume=True, show=False)
    if what in FORGED:
        with pytest.raises(CheckpointError): learn.load(tmp_path / "a")
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert str(learn.opt.state_dict()) == str(opt) and torch.equal(torch.get_rng_state(),
                                                                   dice) and recall.n == n and len(learn.history) == 1


# Gathered gradients
@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_run_that_gathers_gradients_resumes_to_the_same_weights(tmp_path, every):
    class Gather(Callback):
        def after_backward(self, learn):
            if learn.batch % 3 != 2: raise Stop("batch")
    class Break(Callback):
        def before_batch(self, learn):
            if learn.training and learn.epoch == 1 and learn.batch == 5: raise RuntimeError
    want = make([Gather()]).fit(3, 0.01, show=False)
    with pytest.raises(RuntimeError):
        make([Gather(), Break()]).fit(3, 0.01, checkpoint=tmp_path / "a", save_every=every, show=False)
    got = make([Gather()]).fit(3, 0.01, checkpoint=tmp_path / "a", save_every=every, resume=True, show=False)
    for k, v in weights(want).items(): assert torch.equal(v, got.model.state_dict()[k])
    assert got.history.equals(want.history)


# Compiled
def test_a_compiled_models_checkpoint_fits_the_plain_one_and_back(tmp_path):
    def net(): return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    def compiled(): return torch.compile(net(), backend="eager")
    a = make(net=compiled()).fit_sgdr(0.01, 2, show=False).save(tmp_path / "a")
    b = make(net=net()).load(tmp_path / "a")
    torch.testing.assert_close(a.predict(X), b.predict(X))
    b.save(tmp_path / "b")
    c = make(net=compiled()).load(tmp_path / "b")
    torch.testing.assert_close(c.predict(X, snapshots=True), b.predict(X, snapshots=True))
    old = a.state.to_dict()
    checkpoints.save(tmp_path / "old", old | {"model": {f"_orig_mod.{k}": v for k, v in old["model"].items()}})
    torch.testing.assert_close(make(net=net()).load(tmp_path / "old").predict(X), a.predict(X))


def test_resuming_with_or_without_a_bar_is_one_run(tmp_path, capsys):
    class Break(Callback):
        def before_epoch(self, learn):
            if learn.epoch == 1: raise RuntimeError
    with pytest.raises(RuntimeError): make([Break()]).fit(2, 0.01, checkpoint=tmp_path / "a", show=False)
    assert len(make().fit(2, 0.01, checkpoint=tmp_path / "a", resume=True).history) == 2
