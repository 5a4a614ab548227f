"""Every writer with a rival, a sudden end or a full disk.

Short here. At full length:

    LESSONKIT_TRIAL_SECONDS=60 LESSONKIT_TRIAL_KILLS=30 python -m pytest tests/test_under_load.py -s
"""
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lessonkit.course import lab
from lessonkit.engines.journal import Journal
from lessonkit.learner import DataLoaders, Learner
from lessonkit.train import checkpoints, files

from .course.served import GOOD, Handler, sha

SECONDS = float(os.environ.get("LESSONKIT_TRIAL_SECONDS", 2))
KILLS = int(os.environ.get("LESSONKIT_TRIAL_KILLS", 4))
SPAWN = multiprocessing.get_context("spawn")


# ── what the rivals do: each is called again and again, with its own number and the round ──

def fit(folder: Path, me: int, i: int) -> str:
    "A short fit that writes a checkpoint every batch."
    torch.manual_seed(me)
    x = torch.randn(32, 4)
    learn = Learner(torch.nn.Linear(4, 2), DataLoaders([(x, x[:, :2])] * 6, None), F.mse_loss, device="cpu")
    learn.fit(1, .01, checkpoint=folder / "run.safetensors", save_every=1, show=False)
    return ""


def save(folder: Path, me: int, i: int) -> str:
    checkpoints.save(folder / "run.safetensors", {"me": me, "i": i, "w": torch.full((5000,), float(i))})
    return ""


def note(folder: Path, me: int, i: int) -> str:
    "One line of a journal that both want; what was added is told."
    with Journal(folder / "search.jsonl", {"model": "both"}) as book: book.add({"me": me, "i": i}, {"score": i})
    return f"{me} {i}"


def put(folder: Path, me: int, i: int) -> str:
    files.put(folder / "small.json", json.dumps({"me": me, "text": str(i) * 3000}))
    return ""


def rival(work, folder, me, seconds, gate, tell):
    """Does `work` from when `gate` opens until the time is over; tells how often it was done, what was refused, and
    what was told."""
    torch.set_num_threads(1)
    done, refused, told, i = 0, {}, [], 0
    with tempfile.TemporaryDirectory() as elsewhere: work(Path(elsewhere), me, 0)  # the first call takes seconds
    gate.wait(120)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        i += 1
        try: told.append(work(folder, me, i))
        except (RuntimeError, checkpoints.CheckpointError, TimeoutError) as e:
            refused[str(e)] = refused.get(str(e), 0) + 1
            time.sleep(.001)
        else: done += 1
    tell.put((done, refused, told))


def read_checkpoint(path): return checkpoints.load(path)
def read_journal(path): return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
def read_json(path): return json.loads(path.read_text())


@pytest.mark.parametrize("work, name, read", [
    (fit, "run.safetensors", read_checkpoint),
    (save, "run.safetensors", read_checkpoint),
    (note, "search.jsonl", read_journal),
    (put, "small.json", read_json),
], ids=["fits", "saves", "journal", "files"])
def test_two_writers_and_a_reader(tmp_path, work, name, read):
    "Nothing torn, nothing lost; who has to wait is told in words."
    tell, gate = SPAWN.Queue(), SPAWN.Barrier(3)
    both = [SPAWN.Process(target=rival, args=(work, tmp_path, me, SECONDS, gate, tell)) for me in (0, 1)]
    for p in both: p.start()
    gate.wait(120)
    reads, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            read(tmp_path / name)  # raises where it is torn
            reads += 1
        time.sleep(.001)
    answers = [tell.get(timeout=60) for _ in both]
    for p in both: p.join(60)
    assert [p.exitcode for p in both] == [0, 0]
    done = sum(a[0] for a in answers)
    refused = [(words, n) for a in answers for words, n in a[1].items()]
    assert done and reads, "nothing was tried"
    assert all("another" in words or "being written" in words for words, _ in refused), refused
    if work is note:
        kept = {(s["setting"]["me"], s["setting"]["i"]) for s in read_journal(tmp_path / name)[1:]}
        assert {tuple(map(int, t.split())) for a in answers for t in a[2]} == kept, "a line was lost"
    left = {p.name for p in tmp_path.iterdir()} - {name}
    assert not [n for n in left if n.endswith(".part") or ".part." in n], left
    print(f"{work.__name__}: {done} written, {reads} read, {sum(n for _, n in refused)} refused in words")


# ── the learner's folder, and the data folder ──

def lay_when_told(folder, name, gate):
    while True:
        gate.wait(120)
        if not Path(folder).is_dir(): return
        lab.lay(Path(folder), [name])
        gate.wait(120)


def test_two_resets_for_a_while_keep_every_edit(tmp_path):
    folder, gate = tmp_path / "here", SPAWN.Barrier(3)
    name, original = next(iter(lab.lesson_files().items()))
    lab.lay(folder)
    both = [SPAWN.Process(target=lay_when_told, args=(folder, name, gate)) for _ in range(2)]
    for p in both: p.start()
    gate_open, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end or gate_open < 3:
        nb = json.loads((folder / original.name).read_text(encoding="utf-8"))
        nb["cells"].insert(0, {"cell_type": "markdown", "id": "mine", "metadata": {}, "source": f"edit {gate_open}."})
        (folder / original.name).write_text(json.dumps(nb), encoding="utf-8")
        gate.wait(120), gate.wait(120)
        kept = [p for p in folder.glob(f"{name} (yours *") if f"edit {gate_open}." in p.read_text(encoding="utf-8")]
        assert len(kept) == 1, f"round {gate_open}: the edit is in {len(kept)} files"
        kept[0].unlink()
        gate_open += 1
    folder.rename(tmp_path / "gone")
    gate.wait(120)
    for p in both: p.join(60)
    print(f"two resets: {gate_open} rounds")


CHILD = """
import sys
from lessonkit.course import datasets
from lessonkit.course.datasets import Entry, Remote
datasets.register(Entry(name="toy", title="Toy", edition="first", route="url", terms="free", citation="none",
    homepage="https://example.org", returns="str", loader=lambda folder: "",
    files=(Remote(sys.argv[1], None, sys.argv[2]),), layouts=(("toy/a.txt",),)))
print("ready", flush=True)
print(datasets.download("toy", progress=False))
"""


@pytest.fixture
def server():
    s = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    s.daemon_threads = True
    s.bodies = {"/toy.tgz": GOOD}
    s.default = "slow"
    s.plan, s.asked = [], []
    s.sent = 0
    s.etag, s.date = '"one"', None
    s.guard, s.release = threading.Lock(), threading.Event()
    threading.Thread(target=s.serve_forever, kwargs={"poll_interval": .02}, daemon=True).start()
    yield s
    s.shutdown()
    s.server_close()


def downloading(server, home):
    env = os.environ | {"LESSONKIT_DATA": str(home), "NO_PROXY": "*"}
    return subprocess.Popen([sys.executable, "-c", CHILD, f"http://127.0.0.1:{server.server_port}/toy.tgz", sha(GOOD)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def whole(home) -> bool:
    return (home / "toy" / "toy" / "a.txt").is_file() and (home / "toy" / "toy" / "noise.bin").stat().st_size == 600_000


def test_two_downloads_for_a_while(server, tmp_path):
    rounds, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end or not rounds:
        home = tmp_path / str(rounds)
        two = [downloading(server, home) for _ in range(2)]
        answers = [p.communicate(timeout=120) for p in two]
        assert [p.returncode for p in two] == [0, 0], answers
        assert whole(home) and len(server.asked) == rounds + 1, "each round needs one transfer"
        rounds += 1
    print(f"two downloads: {rounds} rounds")


def test_killed_downloads_go_on(server, tmp_path):
    "kill -9 at any moment of a download or of what follows it, twice each; the third call ends it."
    luck, struck = random.Random(0), 0
    for i in range(KILLS):
        home = tmp_path / str(i)
        for _ in range(2):
            p = downloading(server, home)
            assert p.stdout.readline() == "ready\n"
            time.sleep(luck.uniform(0, 1.3))
            p.kill()
            p.communicate()
            struck += p.returncode != 0
        p = downloading(server, home)
        out, err = p.communicate(timeout=120)
        assert p.returncode == 0 and whole(home), err
        assert not [f for f in home.iterdir() if f.name.endswith((".part", ".unpacking"))], list(home.iterdir())
    assert struck >= KILLS, "too few kills struck to mean anything"
    print(f"downloads: {struck} kills struck")


# ── a disk of 64 kB ──

@pytest.fixture
def small_disk(tmp_path):
    "A file system of 64 kB, made and unmounted here."
    place = tmp_path / "disk"
    place.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid():
        pytest.skip("a 64-kB disk can only be mounted by root on Linux")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True)
    if made.returncode: pytest.skip(f"a 64-kB disk can't be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill_put(disk): files.put(disk / "a.txt", "x" * 100_000)
def fill_checkpoint(disk): checkpoints.save(disk / "a.safetensors", {"w": torch.zeros(50_000)})
def fill_lab(disk): lab.lay(disk / "lessons")


def fill_journal(disk):
    with Journal(disk / "a.jsonl", {}) as book:
        for i in range(200): book.add({"i": i}, {"text": "x" * 1000})


def fill_fit(disk):
    learn = Learner(torch.nn.Linear(100, 100), DataLoaders([(torch.zeros(2, 100),) * 2] * 3, None), F.mse_loss,
                    device="cpu")
    learn.fit(1, .1, checkpoint=disk / "a.safetensors", show=False)


FILLERS = [fill_put, fill_checkpoint, fill_fit, fill_journal, fill_lab]


@pytest.mark.parametrize("fill", FILLERS, ids=lambda f: f.__name__.removeprefix("fill_"))
def test_a_full_disk_keeps_the_old_file_and_says_so(small_disk, fill):
    old = {"a.txt": "old", "a.safetensors": "old"}
    if fill is not fill_journal:
        for name, text in old.items(): (small_disk / name).write_text(text)
    with pytest.raises(Exception) as e: fill(small_disk)
    said = str(e.value).lower()
    assert "space" in said or "room" in said or "full" in said, f"{type(e.value).__name__}: {said}"
    if fill is not fill_journal: assert {n: (small_disk / n).read_text() for n in old} == old
    else:
        text = (small_disk / "a.jsonl").read_bytes()
        assert text.endswith(b"\n") and len(text.splitlines()) > 20
        (small_disk / "a.jsonl").write_bytes(b"\n".join(text.split(b"\n")[:11]) + b"\n")  # room is made
        with Journal(small_disk / "a.jsonl", {}) as book: assert len(book.entries) == 10
    assert not [p.name for p in small_disk.rglob("*") if ".part" in p.name], "a draft stayed behind"


def test_a_full_disk_under_a_download(server, small_disk):
    server.default = "ok"
    p = downloading(server, small_disk / "data")
    out, err = p.communicate(timeout=120)
    assert p.returncode and "disk is full" in err and "make room" in err, err
    assert not (small_disk / "data" / "toy").exists()
