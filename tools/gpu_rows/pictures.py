"""The two picture sets, in memory on the device, and augmentation as tensor operations on whole batches."""
import functools
import io
import multiprocessing
import os
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .machine import DEVICE, Run

SETS = {  # name: archive, validation folder, edition, terms
    "cifar10": ("CIFAR-10-images.tar.xz", "test", "CIFAR-10 as JPEG copies (about 30 dB PSNR), 32 px",
                "none stated; cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"),
    "dogscats": ("dogscats_96px_25k.tar.xz", "valid", "dogs and cats squashed to 96 x 96, WebP; valid: ids from 11,250",
                 "Kaggle/Asirra: research use, the pictures may not be redistributed"),
}
TINY = {"cifar10": (100, 40, 32), "dogscats": (60, 30, 32)}  # pictures to train, to validate, their size


class Pictures:
    "x (n, h, w, 3) uint8, y (n,) int64 on the device; vx, vy alike, to validate; mean, std (1, 3, 1, 1) in 0…255."

    def __init__(self, x, y, vx, vy, classes, edition):
        self.x, self.y = x, y
        self.vx, self.vy = vx, vy
        self.classes, self.edition = classes, edition
        some, rng = x[:: max(1, len(x) // 2000)].float(), torch.Generator().manual_seed(0)
        self.coin = torch.randint(2, (len(x),), generator=rng).to(x.device)  # is a picture mirrored in even epochs?
        self.mean, self.std = (f(some, (0, 1, 2)).view(1, 3, 1, 1) for f in (torch.mean, torch.std))

    def norm(self, x: Tensor) -> Tensor:
        "x (b, 3, h, w) in 0…255, each color around 0 with spread 1."
        return (x.float() - self.mean) / self.std


def decode(files: list[bytes], size: int | None = None) -> np.ndarray:
    "Encoded pictures -> (n, h, w, 3) uint8, resized to `size` where that is given."
    pictures = (Image.open(io.BytesIO(b)).convert("RGB") for b in files)
    return np.stack([np.asarray(p.resize((size, size)) if size else p) for p in pictures])


def workers():
    "A pool of processes, to be made before threads and CUDA; None without /dev/shm."
    try: return multiprocessing.get_context("fork").Pool(min(16, os.cpu_count()))
    except (OSError, ImportError): return None


def decode_all(run: Run, chunks: list) -> list[np.ndarray]:
    "Each chunk decoded: by the pool, or by threads where there is none or it fails."
    if run.pool is not None:
        try: return run.pool.map_async(decode, chunks).get(45)
        except Exception as error: run.log(f"decoding by threads ({type(error).__name__})")
    with ThreadPoolExecutor(min(16, os.cpu_count())) as threads: return list(threads.map(decode, chunks))


@functools.cache
def load(run: Run, name: str) -> Pictures:
    "The named set, sorted by class and file; kept for the next row. From its archive, or from a folder of that name."
    began, (archive, valid, edition, _), files, sets = time.monotonic(), SETS[name], {}, []
    if found := sorted(run.data.rglob(archive)):
        with tarfile.open(found[0], "r|xz") as tar:
            for m in tar:
                if m.isfile(): files["/".join(m.name.split("/")[-3:])] = tar.extractfile(m).read()
    else: files = {"/".join(p.parts[-3:]): p.read_bytes() for p in (run.data / name).glob("*/*/*.*")}
    if not files:
        raise FileNotFoundError(f"neither {archive} nor a folder {name} in {run.data}: run `tools/gpu.py pack` first")
    classes = sorted({key.split("/")[1] for key in files if key.startswith("train/")})
    n_train, n_valid, size = TINY[name] if run.tiny else (0, 0, None)
    for split, most in (("train", n_train), (valid, n_valid)):
        keys = sorted(k for k in files if k.startswith(split + "/"))
        if most: keys = keys[:: max(1, len(keys) // most)][:most]
        chunks = [[files[k] for k in keys[i : i + 250]] for i in range(0, len(keys), 250)]
        decoded = [decode(c, size) for c in chunks] if size else decode_all(run, chunks)
        sets += [torch.from_numpy(np.concatenate(decoded)).to(DEVICE),
                 torch.tensor([classes.index(k.split("/")[1]) for k in keys], device=DEVICE)]
    run.log(f"{name}: {len(sets[0]):,} + {len(sets[2]):,} pictures loaded in {time.monotonic() - began:.1f} s")
    return Pictures(*sets, classes, f"{edition}; {len(sets[0]):,} + {len(sets[2]):,} pictures")


def shifted(x: Tensor, idx: Tensor, by: int, flip: Tensor) -> Tensor:
    """Pictures idx (b,) of x (n, h, w, 3), each moved by up to `by` pixels, borders mirrored, and turned about where
    flip (b,): (b, 3, h, w), channels last, in one gather."""
    def at(n, start):
        i = torch.arange(n, device=x.device) + start[:, None]
        return torch.where(i < 0, -1 - i, torch.where(i >= n, 2 * n - 1 - i, i))
    dy, dx = torch.randint(-by, by + 1, (2, len(idx)), device=x.device)
    rows, cols = at(x.shape[1], dy), at(x.shape[2], dx)
    cols = torch.where(flip[:, None], cols.flip(1), cols)
    return x[idx[:, None, None], rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def zoomed(x: Tensor, least: float) -> Tensor:
    "Random crops of x (b, 3, h, w): least…1 of the area, aspect 3/4…4/3, resized to h, w, half of them mirrored."
    u = torch.rand(5, len(x), device=x.device)
    area, ratio, zero = least + (1 - least) * u[0], (4 / 3) ** (2 * u[1] - 1), torch.zeros_like(u[0])
    w, h = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    dx, dy = (1 - w) * (2 * u[2] - 1), (1 - h) * (2 * u[3] - 1)
    theta = torch.stack([w * (1 - 2 * (u[4] < .5).float()), zero, dx, zero, h, dy], 1).view(-1, 2, 3)
    return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), "bilinear", "border", False)


def tinted(x: Tensor, by: float) -> Tensor:
    "x (b, 3, h, w) in 0…255, brightness, contrast, saturation scaled by 1 ± by, each picture by its own factors."
    bright, contrast, color = 1 + by * (2 * torch.rand(3, len(x), 1, 1, 1, device=x.device) - 1)
    x = x * bright
    x = x.mean((1, 2, 3), keepdim=True).lerp(x, contrast)
    return x.mean(1, keepdim=True).lerp(x, color).clamp(0, 255)


def cut_out(x: Tensor, size: int) -> Tensor:
    """x (b, 3, h, w), normalised, changed in place (which keeps its memory layout): in each picture a square of size x
    size pixels is set to the mean (DeVries, Taylor 2017)."""
    def near(n): return (torch.arange(n, device=x.device) - n * torch.rand(len(x), 1, device=x.device)).abs() < size / 2
    return x.masked_fill_((near(x.shape[2])[:, :, None] & near(x.shape[3])[:, None, :])[:, None], 0)
