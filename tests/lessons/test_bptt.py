"""What lesson 32 promises of `LMBatches`, for streams, sizes and seeds it has not seen."""
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lessonkit.bptt import LMBatches, random_edges

sizes = dict(n=st.integers(2, 400), bs=st.integers(1, 12), bptt=st.integers(1, 40), random_bptt=st.booleans(),
             seed=st.integers(0, 2**31), epoch=st.integers(0, 50))


@given(**sizes)
@settings(max_examples=300, deadline=None)
def test_contract(n, bs, bptt, random_bptt, seed, epoch):
    "Joined again, the windows are the rows; each row is its part of the stream; y is one token on."
    tokens = np.random.default_rng(seed).integers(0, 1000, n)
    if n < bs + 1:
        with pytest.raises(ValueError, match="too few"): LMBatches(tokens, bs=bs)
        return
    batches = LMBatches(tokens, bs=bs, bptt=bptt, random_bptt=random_bptt, seed=seed).set_epoch(epoch)
    row_len, pairs = (n - 1) // bs, list(batches)
    assert len(pairs) == len(batches) == len(batches.windows()) and batches.n_dropped == n - 1 - bs * row_len
    for (x, y), (start, stop), factor in zip(pairs, batches.windows(), batches.lr_factors()):
        assert x.shape == y.shape == (bs, stop - start) and stop > start
        assert x.dtype == y.dtype == torch.int64
        assert factor == (stop - start) / bptt
    x, y = (torch.cat(p, 1).numpy() for p in zip(*pairs))
    for r in range(bs):
        np.testing.assert_array_equal(x[r], tokens[r * row_len : (r + 1) * row_len])
        np.testing.assert_array_equal(y[r], tokens[r * row_len + 1 : (r + 1) * row_len + 1])
    if random_bptt: assert all(b - a >= 5 for a, b in batches.windows()[:-1])
    else: assert all(b - a == bptt for a, b in batches.windows()[:-1])


@given(row_len=st.integers(1, 5000), more=st.integers(0, 5000), bptt=st.integers(1, 200), seed=st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_longer_row_begins_with_the_same_cuts(row_len, more, bptt, seed):
    short, long = random_edges(row_len, bptt, seed), random_edges(row_len + more, bptt, seed)
    np.testing.assert_array_equal(short[:-1], long[: len(short) - 1])


@pytest.mark.parametrize("tokens", [torch.arange(99, dtype=torch.int32), np.arange(99, dtype=np.uint16),
                                    list(range(99)), range(99), (i for i in range(99))], ids=lambda t: type(t).__name__)
def test_other_integers_are_converted_once(tokens):
    batches = LMBatches(tokens, bs=3, bptt=7)
    assert batches.tokens.dtype == torch.int64 and batches[0][0].data_ptr() == batches.tokens.data_ptr()


def test_a_memory_map_is_not_read_into_memory(tmp_path):
    "A stream on disk stays there: making the batches and reading one window leaves the process as large as it was."
    np.lib.format.open_memmap(tmp_path / "stream.npy", mode="w+", dtype=np.int64, shape=(20_000_000,)).flush()
    code = f"""
import numpy as np, psutil
from lessonkit.bptt import LMBatches
stream = np.load({str(tmp_path / 'stream.npy')!r}, mmap_mode='r')
before = psutil.Process().memory_info().rss
batches = LMBatches(stream, bs=64, bptt=70)
x, y = batches[len(batches) // 2]
print((psutil.Process().memory_info().rss - before) / 2**20)
"""
    grown = float(subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True,
                                 text=True).stdout)
    assert grown < 20, f"{grown:.0f} MB more, for a stream of 153 MB"


@pytest.mark.parametrize("tokens, words", [("text", "is a text"), (b"bytes", "is a text"), (["a", "b"], "holds texts"),
                                           (None, "NoneType"), (5, "int"),
                                           ({"a": 1}, "dict"), (torch.tensor(3), "1-D"), (np.float64(2), "1-D"),
                                           ([1.5, 2], "whole numbers"),
                                           ([[1, 2]], "1-D")])
def test_what_is_no_stream_is_refused_in_words(tokens, words):
    with pytest.raises((TypeError, ValueError), match=words): LMBatches(tokens, bs=1)


def test_it_prints_on_any_terminal():
    for batches in (LMBatches(range(100), bs=4), LMBatches(range(1000), bs=4, random_bptt=True)):
        assert repr(batches).encode("cp1252") and repr(batches).isascii()


@pytest.mark.parametrize("name", ["bs", "bptt", "seed"])
@pytest.mark.parametrize("value", [-1, 1.5, np.nan, True, "8"])
def test_sizes_are_whole_numbers(name, value):
    with pytest.raises((TypeError, ValueError), match=name): LMBatches(range(100), **{"bs": 2, name: value})
