"""Augmenting a batch beside kornia: the same flip, turn, zoom, shift and light, drawn for each picture, on the CPU."""
import torch
from side_by_side import interleave, peer, rows

from lessonkit.images import Augment

PEERS = ["kornia"]
WHAT = "256 pictures of 32 px: flip, turn, zoom, shift, light"


def kornias():
    "The same changes by kornia: one affine interpolation, a mirror image, contrast and brightness; None without it."
    if peer("kornia.augmentation") is None: return None
    K = peer("kornia.augmentation")
    return K.AugmentationSequential(
        K.RandomHorizontalFlip(p=.5),
        K.RandomAffine(10., (.05, .05), (1 / 1.1, 1.1), p=1., padding_mode="reflection"),
        K.RandomContrast((1 / 1.1, 1.1), p=1., clip_output=False),
        K.RandomBrightness((.9, 1.1), p=1., clip_output=False), data_keys=["input"])


def agree(x, theirs):
    "Both change every picture, by about as much, or the comparison means nothing."
    torch.manual_seed(0)
    gaps = [(f(x) - x).abs().mean((1, 2, 3)) for f in filter(None, (Augment(), theirs))]
    print("mean change of a pixel:", ", ".join(f"{g.mean():.3f}" for g in gaps))
    assert all(g.min() > 0 for g in gaps) and max(g.mean() for g in gaps) < 2 * min(g.mean() for g in gaps)


def run():
    "A table's rows: a batch augmented, random numbers included."
    x = torch.rand(256, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    theirs, ours = kornias(), Augment()
    agree(x, theirs)
    seconds = interleave({"lessonkit `Augment`": lambda: ours(x),
                          "kornia `AugmentationSequential`": (lambda: theirs(x)) if theirs else None})
    milliseconds = {who: s and [t * 1e3 for t in s] for who, s in seconds.items()}
    return rows("images", WHAT, "ms", milliseconds, False, {"kornia `AugmentationSequential`": 1})
