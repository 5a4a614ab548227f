"""What every row stands on: the device, the run's clock, log and files, and a step that is replayed as a CUDA graph."""
import json
import os
import sys
import threading
import time
from pathlib import Path

import torch

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
MAX_FILES = 8  # what a run may leave behind
LEAVING = 6  # seconds kept free at the end, to write and to leave in


def plain(value):
    "`value` as benchmarks/results.json holds it: floats with six digits, tuples as lists, names as strings."
    if isinstance(value, float): return float(f"{value:.6g}")
    if isinstance(value, (list, tuple)): return [plain(v) for v in value]
    if isinstance(value, dict): return {str(k): plain(v) for k, v in value.items()}
    return value


def without_paths(words: list[str]) -> list[str]:
    "A command's words less the folders it was given: those are of one machine."
    return [w for w, before in zip(words, ["", *words]) if not {w, before} & {"--data", "--out", "--with"}]


def clock() -> float:
    "Seconds, once the device has done all it was asked to."
    if CUDA: torch.cuda.synchronize()
    return time.monotonic()


class Run:
    """What the rows share: settings, clock, log, figures. A thread breaks each silence of 8 s and ends all in time.

    `eager` switches the CUDA graphs off; `safe` also takes float32, and threads for decoding."""

    def __init__(self, args, start: float, pool=None):
        self.data = Path(args.data)
        self.out = Path(args.out)
        self.row = "start"
        self.tiny, self.safe = args.tiny, args.safe
        self.seeds, self.epochs = args.seeds, args.epochs
        self.eager, self.other = args.safe, args.other
        self.pool = pool  # of processes, to decode pictures
        self.start, self.end = start, start + 60 * args.minutes - LEAVING
        self.spoke, self.lock = 0.0, threading.Lock()
        self.out.mkdir(parents=True, exist_ok=True)
        self.file, old = open(self.out / "log.txt", "a", encoding="utf-8"), self.out / "figures.json"
        self.figures = json.loads(old.read_text(encoding="utf-8")) if old.exists() else {}  # of earlier commands
        self.about = {
            "machine": torch.cuda.get_device_name() if CUDA else f"CPU, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
            "date": time.strftime("%Y-%m-%d"),
            "command": " ".join(["python", "tools/gpu.py", *without_paths(sys.argv[1:])]),
        }
        threading.Thread(target=self._watch, daemon=True).start()

    def left(self) -> float:
        "Seconds until the run must stop."
        return self.end - time.monotonic()

    def due(self) -> bool:
        "Whether a loop may log again, and wait for the device for it."
        return time.monotonic() - self.spoke > 5

    def log(self, text):
        "A line for screen and log.txt, with the time."
        with self.lock:
            self.spoke = time.monotonic()
            line = f"[{self.spoke - self.start:6.1f} s, {self.left():6.1f} s left] {self.row}: {text}"
            for file in (sys.stdout, self.file): print(line, file=file, flush=True)

    def _watch(self):
        while True:
            time.sleep(1)
            if time.monotonic() - self.spoke > 8: self.log("…")
            if self.left() < -4:
                self.log("out of time")
                os._exit(2)  # what is finished is written

    def write(self, name: str, data: dict | bytes):
        "Writes a file of the run, whole or not at all: a dict as JSON."
        others = {f.name for f in self.out.iterdir()} - {name, "part"}
        if len(others) >= MAX_FILES: raise RuntimeError(f"{name} would be file {len(others) + 1} of {MAX_FILES}")
        if isinstance(data, dict): data = json.dumps(plain(data), indent=1, ensure_ascii=False).encode()
        (self.out / "part").write_bytes(data)
        os.replace(self.out / "part", self.out / name)

    def save(self, **figures):
        "Adds figures to the row's and writes them all. The keys are those of benchmarks/results.json."
        key = f"gpu/{self.row}"
        self.figures[key] = self.about | self.figures.get(key, {}) | figures
        self.write("figures.json", dict(sorted(self.figures.items())))


class Replay:
    """`f()` again and again. On a GPU it is recorded once as a CUDA graph, so that a step costs one launch.

    A step of our small nets is several hundred kernels of a few microseconds: launched one by one, the GPU waits for
    Python. `f` takes and returns nothing, it reads and writes tensors that stay where they are, and never asks the
    device for a value. `changed` lists the tensors it writes: the three trial calls before recording are undone."""

    def __init__(self, run: Run, f, changed: list, pool=None):
        self.f, self.graph = f, None
        if not CUDA or run.eager: return
        kept, graph, side = [t.clone() for t in changed], torch.cuda.CUDAGraph(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3): f()  # cuDNN chooses its algorithms, the allocator makes room
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=pool): f()
        self.graph = graph
        with torch.no_grad():
            for t, k in zip(changed, kept): t.copy_(k)

    def __call__(self):
        "One more call."
        if self.graph is None: self.f()
        else: self.graph.replay()
