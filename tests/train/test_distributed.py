"""Several processes train as one: gradients gathered over batches, every way to stop, and targets that do not count."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import json, sys
import torch
from torch import nn
from torch.nn import functional as F
from lessonkit.learner import Callback, DataLoaders, GradClip, Learner, Stop, accuracy
from tests.train.test_stop import TABLE, outcome
torch.set_num_threads(1)

class Gather(Callback):
    "One step for two batches."
    def after_backward(self, learn):
        if learn.batch % 2 == 0: raise Stop("batch")

def make(opt_fn, precision, cbs, ignore=-100):
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(47, 6, generator=g), torch.randint(3, (47,), generator=g)
    y[20:24] = ignore  # in some batches a process has none that counts
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    net.register_parameter("unused", nn.Parameter(torch.ones(2)))
    dls = DataLoaders.from_arrays((x, y), (x, y), bs=5, seed=1)
    loss_fn = nn.CrossEntropyLoss(ignore_index=ignore)
    return Learner(net, dls, loss_fn, opt_fn, metrics=[lambda p, y: p.abs().mean()],
                   cbs=cbs, precision=precision, device="cpu")

found = {}
for precision in (None, "bf16", "fp16"):
    for name, cbs in dict(gathered=[Gather], clipped=[Gather, GradClip(0.05)], plain=[]).items():
        learn = make(torch.optim.SGD, precision, cbs)
        # at first fp16's own is so large that steps are left out, and not the same ones
        learn.scaler._init_scale = 256.0
        learn.fit(3, 0.3, show=False)
        weights = torch.cat([p.detach().flatten() for p in learn.params]).tolist()
        found[f"{precision} {name}"] = dict(weights=weights, history=learn.history.to_dict("list"))
found["stops"] = [outcome(*case) for case in TABLE]
rank, world = learn.rank, learn.world
open(f"{sys.argv[1]}/{world}-{rank}.json", "w", encoding="utf-8").write(json.dumps(found))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    "The same script in one, two and three processes: {world: [what each process found]}."
    folder = tmp_path_factory.mktemp("runs")
    script = folder / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path)}
    for n in (1, 2, 3):
        how = [] if n == 1 else ["-m", "torch.distributed.run", "--nproc_per_node", str(n), "--rdzv-backend", "c10d",
                                 "--rdzv-endpoint", "127.0.0.1:0"]
        done = subprocess.run([sys.executable, *how, str(script), str(folder)], env=env, capture_output=True,
                              text=True, timeout=300)
        assert not done.returncode, done.stderr[-3000:]
    return {n: [json.loads((folder / f"{n}-{r}.json").read_text(encoding="utf-8")) for r in range(n)]
            for n in (1, 2, 3)}


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("precision, close", [("None", 1e-5), ("bf16", 2e-2), ("fp16", 5e-3)])
@pytest.mark.parametrize("name", ["gathered", "clipped", "plain"])
def test_gathered_gradients_give_the_weights_of_one_process(runs, world, precision, close, name):
    one = runs[1][0][f"{precision} {name}"]
    assert one["weights"] != runs[1][0][f"{precision} {'plain' if name == 'gathered' else 'gathered'}"]["weights"]
    for run in runs[world]:
        got = run[f"{precision} {name}"]
        np.testing.assert_allclose(got["weights"], one["weights"], rtol=close, atol=close)
        for k, v in one["history"].items():
            np.testing.assert_allclose(got["history"][k], v, rtol=2 * close, atol=close, err_msg=k)
    assert all(run[f"{precision} {name}"]["weights"] == runs[world][0][f"{precision} {name}"]["weights"]
               for run in runs[world])


@pytest.mark.parametrize("world", [2, 3])
def test_every_stop_in_several_processes(runs, world):
    for run in runs[world]: assert run["stops"] == runs[1][0]["stops"]
