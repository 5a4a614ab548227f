"""The rows smoke (what the machine is and how fast) and cuda-tests (every test that needs CUDA)."""
import copy
import os
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import torch
from torch import nn

from lessonkit.awd_lstm import DROPS, AWDLSTM

from .machine import CUDA, DEVICE, Run, clock
from .nets import cifar_net, dogscats_net
from .training import Trainer

ROOT = Path(__file__).resolve().parents[2]


def replay_gap(run: Run) -> float:
    "The largest difference of weights after four steps, replayed and eager, over the way they went: float noise."
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).to(DEVICE)
    x, y = torch.randn(64, 3, 8, 8, device=DEVICE), torch.randint(4, (64,), device=DEVICE)
    start, ends, eager = copy.deepcopy(net), [], run.eager
    for run.eager in (True, eager):
        trainer = Trainer(run, copy.deepcopy(start), lambda i, epoch: (x[i], y[i]), 16, wd=1e-2, amp=False)
        for i in range(4): trainer(torch.arange(16 * i, 16 * i + 16, device=DEVICE), .1)
        ends.append(torch.cat([p.detach().flatten() for p in trainer.net.parameters()]))
    way = ends[0] - torch.cat([p.detach().flatten() for p in start.parameters()])
    return ((ends[0] - ends[1]).abs().max() / way.abs().max()).item()


def lstm_ms(run: Run) -> dict:
    "Milliseconds of an LSTM layer, forward and backward, as the IMDB rows use it: fp16 well below fp32 is persistent."
    n, found = (1024 if CUDA else 32), {}
    for dtype in (torch.float16, torch.float32) if CUDA else (torch.float32,):
        rnn = nn.LSTM(n, n, batch_first=True).to(DEVICE, dtype)
        x = torch.randn(128 if CUDA else 8, 72 if CUDA else 8, n, device=DEVICE, dtype=dtype)
        for i in range(13):
            if i == 3: began = clock()
            rnn(x)[0].float().sum().backward()
        found[f"lstm_{str(dtype).removeprefix('torch.')}_ms"] = (clock() - began) * 100
    return found


def awd_ms(run: Run) -> dict:
    """Milliseconds of a training step of the IMDB rows' encoder with all its dropouts, and of the same layers without;
    the two in turns, the median of each. At most 1.15 times as long is what lesson 34 means by fast."""
    vocab, emb, hidden, bs, bptt, rounds = (29_952, 512, 1024, 128, 72, 20) if CUDA else (50, 16, 24, 4, 8, 3)
    torch.manual_seed(0)
    enc = AWDLSTM(vocab, emb, hidden, 3).to(DEVICE).train()
    plain = AWDLSTM(vocab, emb, hidden, 3, **dict.fromkeys(DROPS, 0.)).to(DEVICE).train()
    x, took = torch.randint(vocab, (bs, bptt), device=DEVICE), {"awd_ms": [], "plain_lstm_ms": []}
    for i in range(rounds + 3):
        for (name, found), net in zip(took.items(), (enc, plain)):
            began = clock()
            with torch.autocast(DEVICE.type, torch.float16, enabled=CUDA and not run.safe): out = net(x)[1]
            out.float().square().mean().backward()
            net.zero_grad(set_to_none=True)
            if i >= 3: found.append((clock() - began) * 1e3)
    found = {name: statistics.median(ms) for name, ms in took.items()}
    return found | {"awd_over_plain": found["awd_ms"] / found["plain_lstm_ms"]}


def smoke_row(run: Run, seconds: float):
    "What the machine is, how fast it multiplies, copies and recurs, and whether bfloat16 and replaying can be trusted."
    found = {"python": sys.version.split()[0], "cores": os.cpu_count(), "cudnn": torch.backends.cudnn.version()}
    side = 8192 if CUDA else 128 if run.tiny else 1024
    a = torch.randn([side] * 2, device=DEVICE, dtype=torch.bfloat16 if CUDA else torch.float32)
    jobs = ("matmul_tflops", 2 * side**3 / 1e12, lambda: a @ a), ("copy_gb_s", 2 * a.nbytes / 1e9, a.clone)
    for name, work, f in jobs:
        for i in range(21):
            if i == 1: began = clock()
            f()
        found[name] = 20 * work / (clock() - began)
    for name, make, size in (("cifar", cifar_net, 32), ("dogscats", dogscats_net, 96)):
        if not CUDA: continue  # a CPU's bfloat16 tells nothing of a GPU's
        net = make().to(DEVICE, memory_format=torch.channels_last).eval()
        x = torch.randn(64, 3, size, size, device=DEVICE)
        with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16): half = net.trunk(x).float()
        with torch.no_grad(): found[name + "_bf16_error"] = ((half - net.trunk(x)).norm() / half.norm()).item()
    found |= lstm_ms(run) | {"replay_gap": replay_gap(run)}
    run.log({k: round(v, 6) if isinstance(v, float) else v for k, v in found.items()})
    run.save(**found)


def cuda_files() -> list[str]:
    "The test files that mark a test `cuda`; only these are imported, since a bare machine lacks what others need."
    return sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("test_*.py")
                  if "mark.cuda" in p.read_text(encoding="utf-8") and p.name != "test_gpu.py")


def cuda_row(run: Run, seconds: float):
    """Every test marked `cuda`, and how long a step of the AWD-LSTM takes beside plain layers (`awd_over_plain`).

    pytest comes from this Python, or from what `pack cuda-tests` put into the data folder."""
    run.save(**awd_ms(run))
    report = run.out / "part.xml"
    packed = run.data / "python"
    path = [str(ROOT), *([str(packed)] if packed.is_dir() else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    if not cuda_files(): raise FileNotFoundError(f"no test file in {ROOT / 'tests'} marks a test cuda")
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", f"--junitxml={report}"]
    env, began = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}, time.monotonic()
    limit = max(10., min(seconds, run.left() - 2))
    done = subprocess.run(command + cuda_files(), cwd=ROOT, env=env, capture_output=True, text=True, timeout=limit)
    run.log(done.stdout[-3000:] + done.stderr[-1000:])
    if not report.exists(): raise RuntimeError(f"pytest did not run: {(done.stdout + done.stderr).strip()[-300:]}")
    suite = ET.parse(report).getroot().find("testsuite")
    report.unlink()
    counts = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}
    counts["passed"] = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    bad = [f"{c.get('classname')}::{c.get('name')}" for c in suite if {"failure", "error"} & {e.tag for e in c}]
    run.save(**counts, not_passed=bad, seconds=time.monotonic() - began, files=cuda_files())
    if bad: raise RuntimeError(f"{len(bad)} tests failed: {', '.join(bad)}")
