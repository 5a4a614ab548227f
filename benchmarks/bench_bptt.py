"""`LMBatches` (lesson 32) against fastai's LMDataLoader and against slices by hand: tokens a second of a full
pass, and memory."""
import numpy as np
import torch

from lessonkit.bptt import LMBatches
from side_by_side import interleave, peak_bytes, peer, rows

PEERS = ["fastai"]
BS, BPTT, N, N_IMDB = 64, 72, 1_000_000, 20_000_000
OURS, HAND, FASTAI = "lessonkit `LMBatches`", "slices by hand", "fastai `LMDataLoader`"


def by_hand(stream):
    "What one would write without a library, and no more: the floor."
    row_len = (len(stream) - 1) // BS
    x, y = (stream[i : i + BS * row_len].view(BS, row_len) for i in (0, 1))
    for i in range(0, row_len, BPTT): yield x[:, i : i + BPTT], y[:, i : i + BPTT]


def fastai_loader(documents):
    "fastai's loader at its defaults, on documents that are numbers in memory already; None where it is not installed."
    fastai = peer("fastai.text.data")
    return fastai and fastai.LMDataLoader(documents, bs=BS, seq_len=BPTT)


def read(batches):
    for x, y in batches: pass


def check_same(stream, theirs):
    "The same windows from everyone, or the comparison means nothing."
    want = list(LMBatches(stream, BS, BPTT))
    for batches in [by_hand(stream)] + ([theirs] if theirs else []):
        for (x, y), (a, b) in zip(batches, want, strict=True):
            assert torch.equal(torch.as_tensor(x), a) and torch.equal(torch.as_tensor(y), b)


def speed(stream):
    """Ours and the slices are made anew for every pass; fastai's loaders stand ready, on plain tensors, the kind
    they read fastest."""
    documents = stream.split(250)  # about as long as a film review
    one, many = fastai_loader([stream]), fastai_loader(list(documents))
    check_same(stream, one)
    check_same(stream, many)
    fastai_one, fastai_many = f"{FASTAI}, one document", f"{FASTAI}, {len(documents):,} documents"
    seconds = interleave(
        {
            OURS: lambda: read(LMBatches(stream, BS, BPTT)),
            f"{OURS}, each window copied": lambda: read(
                (x.contiguous(), y.contiguous()) for x, y in LMBatches(stream, BS, BPTT)
            ),
            HAND: lambda: read(by_hand(stream)),
            fastai_one: one and (lambda: read(one)),
            fastai_many: many and (lambda: read(many)),
        }
    )
    n = LMBatches(stream, BS, BPTT).x_rows.numel()
    figures = {who: s and [n / t / 1e6 for t in s] for who, s in seconds.items()}
    return rows(
        "bptt",
        f"a pass over {_m(N)} tokens, bs {BS}, bptt {BPTT}",
        "M tokens/s",
        figures,
        True,
        demanded={fastai_one: 100, fastai_many: 100},
    )


def memory(stream):
    "Making the batches and one pass; two that do copy the stream prove that a copy would be seen."
    n = len(stream)
    via_torch, via_numpy = f"{OURS} on a copy (torch)", f"{OURS} on a copy (NumPy)"
    makers = {
        OURS: lambda: LMBatches(stream, BS, BPTT),
        f"{OURS} of a NumPy array": lambda: LMBatches(stream.numpy(), BS, BPTT),
        HAND: lambda: by_hand(stream),
        via_torch: lambda: LMBatches(stream.clone(), BS, BPTT),
        via_numpy: lambda: LMBatches(np.array(stream.numpy()), BS, BPTT),
    }
    peaks = {who: [peak_bytes(lambda: read(make())) / 1e6]  # noqa: B023 (called at once)
             for who, make in makers.items()}
    for who in (via_torch, via_numpy):
        if peaks[who][0] * 1e6 < stream.nbytes:
            raise RuntimeError(
                f"{who}: only {peaks[who][0]:.3g} MB seen of a copy of {stream.nbytes / 1e6:.3g} MB: "
                "peak_bytes is blind"
            )
    if n == N:
        peaks[FASTAI] = [peak_bytes(lambda: read(fastai_loader([stream]))) / 1e6] if peer("fastai.text.data") else None
    return rows("bptt", f"peak memory beyond the {stream.nbytes / 1e6:,.0f} MB of {_m(n)} tokens", "MB", peaks, False,
                demanded={via_torch: 50, via_numpy: 50})


def _m(n): return f"{n / 1e6:.0f} M"


def run():
    streams = [torch.from_numpy(np.random.default_rng(0).integers(0, 30_000, n)) for n in (N, N_IMDB)]
    return speed(streams[0]) + memory(streams[0]) + memory(streams[1])
