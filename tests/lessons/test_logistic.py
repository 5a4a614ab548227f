"What lesson 03 promises of its pieces, for sizes and seeds it has not seen, and what its recorded run found."
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lessonkit.logistic import Batches, LogisticRegression, confusion, evaluate, fit, normalize, pixel_stats
from lessonkit.sgd import Adam

ROOT = Path(__file__).resolve().parents[2]
seeds = st.integers(0, 2**31)


@given(n=st.integers(1, 200), bs=st.integers(1, 70), shuffle=st.booleans(), seed=seeds)
@settings(max_examples=200, deadline=None)
def test_each_epoch_reads_each_row_once_with_its_target(n, bs, shuffle, seed):
    x = torch.arange(n)
    batches = Batches(x, -x, bs=bs, shuffle=shuffle, seed=seed)
    for _ in range(3):
        pairs = list(batches)
        assert (
            len(pairs) == len(batches)
            and [len(a) for a, _ in pairs[:-1]] == [bs] * (len(pairs) - 1)
            and 1 <= len(pairs[-1][0]) <= bs
        )
        got = torch.cat([a for a, _ in pairs])
        assert torch.equal(got.sort().values, x) and torch.equal(torch.cat([b for _, b in pairs]), -got)
        if not shuffle: assert torch.equal(got, x)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_orders_come_from_the_seed_alone(seed):
    x = torch.arange(50)
    first, again = Batches(x, x, seed=seed), Batches(x, x, seed=seed)
    torch.manual_seed(1)
    orders = [next(iter(first))[0] for _ in range(4)]
    was = torch.get_rng_state()
    assert all(torch.equal(o, next(iter(again))[0]) for o in orders)
    assert torch.equal(was, torch.get_rng_state())  # the generator that others use is left alone
    assert len({tuple(o.tolist()) for o in orders}) == 4


@given(n=st.integers(1, 30), h=st.integers(1, 6), w=st.integers(1, 6), seed=seeds)
@settings(max_examples=100, deadline=None)
def test_one_mapping(n, h, w, seed):
    "The training pixels come out at 0 and 1; a picture comes out the same, whatever stands beside it."
    images = np.random.default_rng(seed).integers(0, 256, (n, h, w), np.uint8)
    if images.min() == images.max(): return
    mean, std = pixel_stats(images)
    x = normalize(images, mean, std)
    assert x.shape == (n, h * w) and x.dtype == torch.float32
    np.testing.assert_allclose([x.double().mean(), x.double().std(correction=0)], [0, 1], atol=1e-4)
    for i in range(n): assert torch.equal(normalize(images[i : i + 1], mean, std)[0], x[i])
    np.testing.assert_allclose(x * std + mean, images.reshape(n, -1) / 255, atol=1e-5)


@given(n=st.integers(1, 40), n_in=st.integers(1, 20), n_out=st.integers(2, 12), bs=st.integers(1, 20), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_training_equals_the_library_s(n, n_in, n_out, bs, seed):
    "Same seed, same batches: module, loss, loop and optimizer give the weights that torch's own give."
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, n_in, generator=g, dtype=torch.float64), torch.randint(n_out, (n,), generator=g)
    torch.manual_seed(seed)
    own = LogisticRegression(n_in, n_out).double()
    torch.manual_seed(seed)
    library = nn.Linear(n_in, n_out).double()
    for a, b in zip(own.parameters(), library.parameters()): torch.testing.assert_close(a, b, rtol=0, atol=1e-7)
    library.load_state_dict(own.state_dict())
    losses = fit(own, Batches(x, y, bs=bs, seed=seed), Adam(own.parameters(), lr=1e-2), epochs=3)
    opt, expected, batches = torch.optim.Adam(library.parameters(), lr=1e-2), [], Batches(x, y, bs=bs, seed=seed)
    for _ in range(3):
        for xb, yb in batches:
            loss = F.cross_entropy(library(xb), yb)
            opt.zero_grad(), loss.backward(), opt.step()
            expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, rtol=1e-6, atol=1e-9)
    for a, b in zip(own.parameters(), library.parameters()): torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@given(n=st.integers(1, 60), n_class=st.integers(2, 8), seed=seeds)
@settings(max_examples=100, deadline=None)
def test_confusion_counts_every_answer(n, n_class, seed):
    labels, said = torch.randint(n_class, (2, n), generator=torch.Generator().manual_seed(seed))
    table = confusion(labels, said, n_class)
    expected = [
        [sum(a == r and b == c for a, b in zip(labels.tolist(), said.tolist())) for c in range(n_class)]
        for r in range(n_class)
    ]
    assert table.tolist() == expected


def test_evaluate_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Dropout(.5), LogisticRegression(4, 3))
    x, y = torch.randn(50, 4), torch.randint(3, (50,))
    for training in (True, False):
        model.train(training)
        assert evaluate(model, x, y) == evaluate(model, x, y)  # without dropout, so the same each time
        assert model.training is training and all(p.grad is None for p in model.parameters())


def test_fit_says_when_there_is_nothing_to_learn_from():
    model = LogisticRegression(4, 3)
    opt = Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(8, 4), torch.randint(3, (8,))
    with pytest.raises(ValueError, match="epochs=0"): fit(model, Batches(x, y), opt, epochs=0)
    with pytest.raises(ValueError, match="no step"): fit(model, [], opt)
    assert len(fit(model, Batches(x, y, bs=3), opt, epochs=2)) == 6


def test_the_recorded_run_is_that_of_the_lesson():
    "The original lesson reported 91.8 % (92.1 % with its own softmax) and a loss of 0.284."
    found = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))["logistic/mnist"]
    assert found["pictures"] == 50_000 and found["seeds"] >= 3 and found["epochs"] == 1
    assert abs(found["accuracy"] - .918) < .005 and abs(found["nll"] - .284) < .01
    assert found["accuracy_spread"] < .005 and found["nll_spread"] < .01
