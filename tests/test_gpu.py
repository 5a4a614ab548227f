"""The GPU rows in small: each is packed from made-up data and run on a CPU, and a step is what it says."""
import copy
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import gpu  # noqa: E402
from lessonkit.course.sets import rossmann  # noqa: E402
from lessonkit.explorers.entity_data import Entities  # noqa: E402
from lessonkit.tabular import TabularModel  # noqa: E402
from gpu_rows import characters, checks, ladder, language, nets, packing, pictures, shops, training, vision  # noqa: E402

LINES = ["the eternal ", "return of ", "all things,\n", "the will\n"]
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
RUN = SimpleNamespace(eager=True, safe=False, due=lambda: False)


def paint(folder: Path, classes: list, splits: dict, size: int, kind: str):
    "Noise pictures, each class with a tint of its own."
    rng = np.random.default_rng(0)
    for split, n in splits.items():
        for k, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            for i in range(n):
                x = rng.integers(0, 120, (size, size, 3)) + 12 * k * np.array([1, 0, -1]) + 60
                Image.fromarray(x.clip(0, 255).astype(np.uint8)).save(folder / split / name / f"{i}.{kind}")


def write(folder: Path):
    "Reviews in IMDB's folders, where a few words give the label away, and a text that repeats four phrases."
    rng = np.random.default_rng(0)
    words = [chr(97 + i // 26) + chr(97 + i % 26) for i in range(200)]
    for part, n, y in (("train/neg", 30, 0), ("train/pos", 30, 1), ("train/unsup", 30, 2), ("test/neg", 30, 0),
                       ("test/pos", 30, 1)):
        (folder / "imdb" / "aclImdb" / part).mkdir(parents=True)
        for i in range(n):
            told = np.where(rng.random(40) < .3, rng.integers(10, size=40) + 10 * y, rng.integers(200, size=40))
            review = folder / "imdb" / "aclImdb" / part / f"{i}_{1 + 9 * (y == 1)}.txt"
            review.write_text(" ".join(words[j] for j in told))
    (folder / "nietzsche").mkdir()
    (folder / "nietzsche" / "nietzsche.txt").write_text("".join(rng.choice(LINES) for _ in range(3000)))
    (folder / "rossmann").mkdir()
    for name, table in rossmann.load().items(): table.to_csv(folder / "rossmann" / f"{name}.csv", index=False)


def rows_in_a_process(*args) -> subprocess.CompletedProcess:
    "`tools/gpu.py run` in a process of its own."
    command = [sys.executable, str(ROOT / "tools" / "gpu.py"), "run", *map(str, args)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=400)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    "A folder packed from made-up data sets, and what packing printed."
    source, out = tmp_path_factory.mktemp("sets"), tmp_path_factory.mktemp("packed")
    paint(source / "cifar10", CLASSES, {"train": 20, "test": 10}, 32, "jpg")
    paint(source / "dogscats", ["cats", "dogs"], {"train": 40, "valid": 20}, 40, "png")
    write(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gpu.py", "pack", *packing.NEEDS, "--from", str(source), "--out", str(out)])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "rossmann: .* rows of train")
            gpu.main()
    for name in ("nietzsche.npz", "tokens.xz", "docs.npz", "pack.json", "rossmann.npz"):
        (out / "text").mkdir(exist_ok=True)
        (out / name).rename(out / "text" / name)
    (out / "vision").mkdir()
    for name in (*(s[0] for s in pictures.SETS.values()), "python"): (out / name).rename(out / "vision" / name)
    return out


def test_packing_needs_no_more_than_a_package_may_hold(packed, tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("kept")
    monkeypatch.setattr(packing, "LIMIT", 1000)
    with pytest.raises(SystemExit, match="pack fewer rows"): packing.pack(["cuda-tests"], packed, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"mine", ".gitignore"}


def test_the_vision_rows_run(packed, tmp_path):
    rows = ["smoke", "cifar-net", "nietzsche-lstm", "dogscats-net", "cifar-ladder", "cuda-tests"]
    done = rows_in_a_process(*rows, "--tiny", "--data", packed / "vision", "--out", tmp_path, "--minutes", 5)
    assert done.returncode == 1, done.stdout + done.stderr  # one row lacks its data; the others run
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert "tools/gpu.py pack" in figures["gpu/nietzsche-lstm"]["error"]
    assert not any("error" in figures[f"gpu/{r}"] for r in rows if r != "nietzsche-lstm"), done.stdout
    assert set(figures) == {f"gpu/{r}" for r in rows} and len(list(tmp_path.iterdir())) <= 8
    command = f"python tools/gpu.py run {' '.join(rows)} --tiny --minutes 5"
    assert all(f["command"] == command and f["row_seconds"] > 0 for f in figures.values())
    assert set(figures["gpu/cifar-ladder"]["rungs"]) == set(ladder.LADDER)
    assert figures["gpu/cuda-tests"]["tests"] == figures["gpu/cuda-tests"]["skipped"] >= 2  # no GPU is visible there
    for name in ("cifar-net", "dogscats-net"):
        card = json.loads((tmp_path / f"{name}.json").read_text())
        assert card["cam_gap"] < 1e-5 and 0 <= card["accuracy_flip"] <= 1 and card["settings"]["wd"] > 0
        tensors = load_file(tmp_path / f"{name}.safetensors")
        assert {k: list(v.shape) for k, v in tensors.items()} == card["tensors"]


def test_the_text_rows_run(packed, tmp_path):
    rows = ["nietzsche-lstm", "imdb-forward", "imdb-backward"]
    done = rows_in_a_process(*rows, "--tiny", "--data", packed / "text", "--out", tmp_path, "--minutes", 30)
    assert not done.returncode, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures) == {f"gpu/{r}" for r in rows} and len(list(tmp_path.iterdir())) <= 8
    assert {"lstm", "gru", "rnn"} <= set(figures["gpu/nietzsche-lstm"])
    assert "both_accuracy" in figures["gpu/imdb-backward"]
    card = json.loads((tmp_path / "nietzsche-lstm.json").read_text())
    assert abs(card["valid_nll_as_saved"] - card["valid_nll"]) < .05


def test_the_net_of_the_shops_is_read_again(packed, tmp_path):
    rows = "rossmann-net", "rossmann-known"
    done = rows_in_a_process(*rows, "--tiny", "--data", packed / "text", "--out", tmp_path, "--minutes", 5)
    assert not done.returncode, done.stdout + done.stderr
    figures, known = (json.loads((tmp_path / "figures.json").read_text())[f"gpu/{row}"] for row in rows)
    assert {"trend_DE", "Events"} <= set(known["left_out"]) and 0 < known["rmspe"] < 10 and known["seeds"] == 1
    assert not set(known["left_out"]) & {"Store", "Promo", "Holiday_until"}
    assert figures["seeds"] == len(figures["neighbors_embeddings_seeds"]) == 1 and "held out" in figures["data"]
    model, held = TabularModel.load(tmp_path / "rossmann-net.safetensors"), shops.Shops(packed, 4_000)
    assert held.error(shops.predict(model.net, held.x_held)) == pytest.approx(figures["rmspe"], rel=1e-4)
    card = json.loads((tmp_path / "rossmann-entities.json").read_text())
    kept = load_file(tmp_path / "rossmann-entities.safetensors")
    assert kept["State"].shape[:3] == (1, 2, len(card["levels"]["State"])) and kept["State"].dtype == torch.float16
    np.testing.assert_allclose(kept["State"][0, 1].float(), model.embedding("State"), atol=1e-3)


def test_the_names_in_the_package_are_those_of_the_card():
    of = Entities()
    assert set(of.levels) == set(shops.SMALL) and len(of.levels["State"]) == 12
    last = len(of.frames["State"][0]) - 1
    assert of.agreement("State", 0, 0)[0] < .3 < of.agreement("State", 0, last)[0]  # the map appears


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("decay_all", [True, False])
def test_a_trainers_step_is_sgds(nesterov, decay_all):
    torch.manual_seed(1)
    net, x, y = small(), torch.randn(64, 3, 8, 8), torch.randint(3, (64,))
    def batch(i, epoch): return x[i], y[i]
    trainer = training.Trainer(RUN, copy.deepcopy(net), batch, 16, .85, nesterov, 1e-2, decay_all, .1)
    for _ in range(2):  # the second time after a new start
        trainer.begin(net)
        own = copy.deepcopy(net)
        matrices, vectors = ([p for p in own.parameters() if (p.ndim < 2) == flat] for flat in (False, True))
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 1e-2 * decay_all}]
        opt = torch.optim.SGD(groups, .1, .85, nesterov=nesterov, weight_decay=1e-2)
        for i in range(4):
            part = torch.arange(16 * i, 16 * i + 16)
            for g in opt.param_groups: g["lr"] = .1 / (i + 1)
            trainer(part, .1 / (i + 1))
            opt.zero_grad()
            F.cross_entropy(own(x[part]), y[part], label_smoothing=.1).backward()
            opt.step()
        for a, b in zip(trainer.net.state_dict().values(), own.state_dict().values()): torch.testing.assert_close(a, b)
    assert checks.replay_gap(RUN) == 0


class Asked(TorchDispatchMode):
    "Keeps the operations that make a GPU wait for Python or Python for the GPU: none may stand in a CUDA graph."

    STOPS = {"_local_scalar_dense", "nonzero", "lift_fresh", "scalar_tensor", "masked_select", "unique", "_unique2"}

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen |= {func.__name__.split(".")[0]} & self.STOPS
        return func(*args, **(kwargs or {}))


def test_a_step_on_pictures_asks_the_device_nothing(monkeypatch):
    seen = {}
    x, y = torch.randint(256, (64, 32, 32, 3), dtype=torch.uint8), torch.randint(2, (64,))
    pics = pictures.Pictures(x, y, x, y, ["a", "b"], "")

    def net_row(run, seconds, name, set_name, make, widths, seeds, cfg, batch_of, prepare=None):
        trainer = training.Trainer(RUN, make(widths), lambda i, e: batch_of(pics, i, e), 16, wd=.1, amp=False)
        trainer(torch.arange(16), .1)
        with Asked() as asked: trainer.step()
        seen[name] = asked.seen

    monkeypatch.setattr(vision, "net_row", net_row)
    tiny = SimpleNamespace(tiny=True)
    vision.cifar_row(tiny, 1)
    vision.dogscats_row(tiny, 1)
    assert seen == {"cifar-net": set(), "dogscats-net": set()}
    with Asked() as asked: torch.ones(3)[torch.tensor([True, False, True])].sum().item()
    assert asked.seen >= {"_local_scalar_dense"}  # the net catches what it should


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_character_trainer_is_a_plain_loop(kind):
    torch.manual_seed(0)
    chars, valid = torch.randint(9, (64 * 60 + 1,)), torch.randint(9, (64 * 30,))
    options = {"n_hid": 8, "n_layers": 2 if kind == "LSTM" else 1}
    trainer = characters.CharTrainer(RUN, kind, chars, valid, 9, wd=1e-4, **options)
    for _ in range(2):  # a second seed starts from nothing
        trainer.begin(3)
        got = [trainer.epoch(lambda x: .01 * (1 - x), np.random.default_rng(e), 1e12, "") for e in range(2)]
        torch.manual_seed(3)
        model = characters.CharNet(kind, 9, **options)
        opt = torch.optim.Adam(model.parameters(), weight_decay=1e-4)
        for e in range(2):
            rng, state, i, n = np.random.default_rng(e), None, 0, 60
            x, y = chars[:-1].view(64, n), chars[1:].view(64, n)
            while i < n - 1:
                w = max(5, int(rng.normal(8 if rng.random() < .95 else 4, 5)))
                act, state = model(x[:, i : i + w], state)
                state = tuple(s.detach() for s in state)
                opt.param_groups[0]["lr"] = .01 * (1 - i / n)
                opt.zero_grad()
                F.cross_entropy(act.flatten(0, 1), y[:, i : i + w].flatten()).backward()
                opt.step()
                i += w
        for a, b in zip(trainer.params, model.parameters()): torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert got[1] == trainer.nats() and np.isfinite(got).all()
    with Asked() as asked: trainer.model.train(), trainer.pos.zero_(), trainer.step(8)
    assert asked.seen <= {"_local_scalar_dense"}  # the CPU's Adam reads its step count; CUDA's capturable one does not


def test_the_63_epochs_begin_with_the_15():
    long, short = characters.cycles(6), characters.cycles(4)
    assert (len(long), len(short)) == (63, 15)
    for a, b in zip(long, short): assert a(.3) == b(.3)
    assert short[0](0.) == short[1](0.) == short[3](0.) == .01 and short[14](1.) == pytest.approx(0)


@pytest.mark.parametrize("name", ["cifar-net", "dogscats-net"])
def test_the_nets_in_the_package_load_and_their_maps_add_up(name):
    card = json.loads((ROOT / "lessonkit" / "weights" / f"{name}.json").read_text())
    state = {k: v.float() for k, v in load_file(ROOT / "lessonkit" / "weights" / f"{name}.safetensors").items()}
    make = {"cifar-net": nets.cifar_net, "dogscats-net": nets.dogscats_net}[name]
    net = make(card.get("widths", {"cifar-net": (64, 160, 256), "dogscats-net": (24, 64, 128, 128, 288)}[name]))
    missing = net.load_state_dict(state, strict=False).missing_keys
    assert all(k.endswith("num_batches_tracked") for k in missing) and card["weights"] <= 2.2e6
    x = torch.randn(2, 3, *([32, 32] if name == "cifar-net" else [96, 96]))
    with torch.no_grad():
        net.eval()
        torch.testing.assert_close(nets.maps(net, x).mean((2, 3)) + net.head.bias, net(x), atol=1e-4, rtol=1e-4)


def test_the_recipes_nets_are_small_enough_for_a_page():
    for make, size, mflop in ((nets.cifar_net, 32, 460), (nets.dogscats_net, 96, 360)):
        found = nets.cost(make(), size)
        assert found["weights"] <= 2.2e6 and found["mflop"] <= mflop


def test_int8_is_off_by_half_a_step_at_most():
    state = {"w": torch.randn(5, 40), "b": torch.randn(5)}
    [part] = language.packed_int8(state)
    back = language.unpacked(part)
    assert part["w"].dtype == torch.int8 and ((back["w"] - state["w"]).abs() <= part["w.scale"] * .5001).all()
    torch.testing.assert_close(back["b"], state["b"], atol=1e-3, rtol=1e-3)
    assert len(language.packed_int8({"a": state["w"], "b": state["w"]}, 300)) == 2


def test_moved_turned_and_cut_pictures_are_those_pictures():
    x = torch.arange(2 * 6 * 6 * 3, dtype=torch.uint8).view(2, 6, 6, 3)
    torch.manual_seed(0)
    plain = x.permute(0, 3, 1, 2)
    same = pictures.shifted(x, torch.tensor([1, 0]), 0, torch.tensor([False, True]))
    assert torch.equal(same[0], plain[1]) and torch.equal(same[1], plain[0].flip(2))
    rows = {r.tobytes() for r in np.pad(x[0].numpy(), ((2, 2), (2, 2), (0, 0)), "symmetric").reshape(-1, 3)}
    for _ in range(5):
        moved = pictures.shifted(x, torch.tensor([0]), 2, torch.tensor([False]))[0].permute(1, 2, 0)
        assert {r.tobytes() for r in moved.reshape(-1, 3).numpy()} <= rows
    holes = (pictures.cut_out(torch.ones(50, 3, 12, 12), 4) == 0).float().sum((2, 3))
    assert (holes[:, 0] == holes[:, 2]).all() and holes.max() <= 16 and holes.min() >= 4
