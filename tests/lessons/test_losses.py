"""What lesson 02 promises: the library's values and gradients for shapes, sizes and seeds it has not seen, and
errors in words."""
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax as scipy_log_softmax
from sklearn.metrics import accuracy_score, log_loss
from torch.nn import functional as F
from torch.testing import assert_close

from lessonkit import losses
from lessonkit.losses import (accuracy, binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy,
                              cross_entropy_grad, log_sigmoid, log_softmax, logsumexp, nll, per_class, sigmoid,
                              softmax)

shapes = st.lists(st.integers(1, 5), min_size=0, max_size=3)
sizes = dict(
    lead=shapes,
    n_class=st.integers(1, 9),
    scale=st.sampled_from([1e-4, 1.0, 30.0, 1000.0]),
    forbidden=st.booleans(),
    seed=st.integers(0, 2**31),
)
reductions = st.sampled_from(["mean", "sum", "none"])


def activations(lead, n_class, scale, forbidden, seed, dtype=torch.float32):
    "Random activations and labels; with `forbidden`, some classes other than the true one have −∞."
    g = torch.Generator().manual_seed(seed)
    x, y = (
        torch.randn(*lead, n_class, generator=g, dtype=dtype) * scale,
        torch.randint(n_class, tuple(lead), generator=g),
    )
    if forbidden:
        out = (torch.rand(x.shape, generator=g) < 0.3) & (torch.arange(n_class) != y.unsqueeze(-1))
        x = x.masked_fill(out, -math.inf)
    return x.requires_grad_(), y


def library(x, y, reduction):
    "F.cross_entropy on flattened tensors, back in the shape of `y`."
    loss = F.cross_entropy(x.reshape(-1, x.shape[-1]), y.reshape(-1), reduction=reduction)
    return loss.view(y.shape) if reduction == "none" else loss


def gradient(loss, x):
    "Of the losses, each with another weight, so that nothing cancels."
    weights = torch.linspace(1, 2, loss.numel(), dtype=loss.dtype).view(loss.shape)
    return torch.autograd.grad((loss * weights).sum(), x)[0]


@given(**sizes, reduction=reductions)
@settings(max_examples=100, deadline=None)
def test_cross_entropy_is_the_librarys(reduction, **size):
    x, y = activations(**size)
    ours, theirs = cross_entropy(x, y, reduction), library(x, y, reduction)
    assert_close(ours, theirs)
    assert_close(nll(torch.log_softmax(x, -1), y, reduction), theirs)
    want = gradient(theirs, x)
    assert_close(gradient(ours, x), want)
    if reduction == "mean": assert_close(cross_entropy_grad(x.detach(), y), want)


@given(**sizes)
@settings(max_examples=100, deadline=None)
def test_softmax_is_the_librarys_on_every_axis(**size):
    x, _ = activations(**size)
    for dim in range(-x.ndim, x.ndim):
        for ours, theirs in ((softmax, torch.softmax), (log_softmax, torch.log_softmax), (logsumexp, torch.logsumexp)):
            assert_close(ours(x, dim), theirs(x, dim), equal_nan=True)
            if x.isfinite().all():  # against float64: the library's own log-sum-exp has a coarse gradient at ±1000
                assert_close(gradient(ours(x, dim), x), gradient(theirs(x.double(), dim), x))
        assert_close(logsumexp(x, dim, keepdim=True), torch.logsumexp(x, dim, keepdim=True))


@given(**{k: v for k, v in sizes.items() if k != "forbidden"}, reduction=reductions)
@settings(max_examples=100, deadline=None)
def test_binary_losses_are_the_librarys(reduction, **size):
    x, _ = activations(forbidden=False, **size)
    for y in (torch.rand_like(x).round(), torch.rand_like(x)):
        ours, theirs = (
            binary_cross_entropy_with_logits(x, y, reduction),
            F.binary_cross_entropy_with_logits(x, y, reduction=reduction),
        )
        assert_close(ours, theirs)
        assert_close(gradient(ours, x), gradient(theirs, x))
        p = torch.sigmoid(x.detach())  # with exact zeros and ones
        assert_close(binary_cross_entropy(p, y, reduction), F.binary_cross_entropy(p, y, reduction=reduction))
        p = p.clamp(1e-5, 1 - 1e-5).requires_grad_()
        assert_close(gradient(binary_cross_entropy(p, y), p), gradient(F.binary_cross_entropy(p, y), p))
    assert_close(sigmoid(x), torch.sigmoid(x))
    assert_close(log_sigmoid(x), F.logsigmoid(x))
    assert_close(gradient(sigmoid(x), x), gradient(torch.sigmoid(x), x))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e38, -1e38, 1e-45])
def test_special_values_are_treated_as_the_library_treats_them(value):
    x = torch.tensor([value, 1.0])
    for ours, theirs in ((sigmoid, torch.sigmoid), (log_sigmoid, F.logsigmoid)):
        assert_close(ours(x), theirs(x), equal_nan=True)
    for row in (x, x.flip(0), torch.full((3,), value), torch.tensor([value])):
        for ours, theirs in ((softmax, torch.softmax), (log_softmax, torch.log_softmax), (logsumexp, torch.logsumexp)):
            assert_close(ours(row, -1), theirs(row, -1), equal_nan=True)
    for y in (torch.tensor(0), torch.tensor(1)):
        assert_close(cross_entropy(x, y), F.cross_entropy(x, y), equal_nan=True)
        assert_close(
            binary_cross_entropy_with_logits(x, y.expand(2), "none"),
            F.binary_cross_entropy_with_logits(x, y.expand(2).float(), reduction="none"),
            equal_nan=True,
        )


@pytest.mark.parametrize("dtype, at", [(torch.float32, (-20.0, -87.5, -88.0, -90.0, -99.0)),
                                       (torch.float64, (-20.0, -90.0)), (torch.bfloat16, (-20.0, -90.0)),
                                       (torch.float16, (-5.0, -9.0, -12.0, -15.0))])
def test_the_slope_of_a_probability_next_to_0(dtype, at):
    "1 / p is too large for its type there; together with the sigmoid's slope it is −1 all the same."
    x = torch.tensor(at, dtype=dtype, requires_grad=True)
    want = torch.full_like(x, -1)
    assert_close(gradient(binary_cross_entropy(sigmoid(x), torch.ones_like(x), "sum"), x), want, rtol=0.02, atol=0)
    assert_close(gradient(binary_cross_entropy_with_logits(x, torch.ones_like(x), "sum"), x), want, rtol=0.02, atol=0)


@pytest.mark.parametrize("x", [-1e4, -1000.0, -104.0, -95.0, 95.0, 1000.0])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_no_probability_gives_a_gradient_that_is_no_number(x, y):
    x = torch.tensor([x], requires_grad=True)
    for p in (sigmoid(x), torch.sigmoid(x), 1 - sigmoid(-x), softmax(torch.stack([x, -x]), 0)[0]):
        grad = gradient(binary_cross_entropy(p, torch.tensor([y])), x)
        assert grad.isfinite().all() and grad.abs() <= 2.01


@given(seq=st.integers(1, 7), bs=st.integers(1, 7), vocab=st.integers(2, 12), seed=st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_time_first_and_batch_first_agree(seq, bs, vocab, seed):
    x, y = activations((seq, bs), vocab, 3.0, False, seed)
    flat = F.cross_entropy(x.view(-1, vocab), y.view(-1))
    assert_close(cross_entropy(x, y), flat)
    assert_close(cross_entropy(x.transpose(0, 1), y.T), flat)
    assert_close(nll(log_softmax(x), y), flat)
    assert_close(accuracy(x, y), accuracy(x.transpose(0, 1), y.T))
    if seq != bs:
        with pytest.raises(ValueError, match=r"is y transposed\? take y.T"): cross_entropy(x, y.T)


def test_gradients_by_finite_differences():
    "torch's own checker, in float64, first and second derivatives."
    x, y = activations((3,), 4, 2.0, False, 0, torch.float64)
    check = lambda f, x: torch.autograd.gradcheck(f, (x,)) and torch.autograd.gradgradcheck(f, (x,))
    assert check(lambda x: cross_entropy(x, y), x)
    for f in (softmax, log_softmax, logsumexp, sigmoid, log_sigmoid): assert check(f, x)
    t = torch.rand_like(x)
    assert check(lambda x: binary_cross_entropy_with_logits(x, t), x)
    assert check(lambda x: binary_cross_entropy(sigmoid(x), t), x)


def test_against_scipy_and_scikit_learn():
    x, y = activations((50,), 6, 3.0, False, 1, torch.float64)
    x = x.detach()
    np.testing.assert_allclose(log_softmax(x).numpy(), scipy_log_softmax(x.numpy(), axis=-1))
    np.testing.assert_allclose(cross_entropy(x, y).item(), log_loss(y.numpy(), softmax(x).numpy(), labels=range(6)))
    np.testing.assert_allclose(accuracy(x, y).item(), accuracy_score(y.numpy(), x.argmax(1).numpy()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_floats_keep_their_type(dtype):
    x, y = activations((4, 3), 7, 3.0, False, 2, dtype)
    for ours, theirs in (
        (softmax(x), torch.softmax(x, -1)),
        (log_softmax(x), torch.log_softmax(x, -1)),
        (cross_entropy(x, y), library(x, y, "mean")),
    ):
        assert ours.dtype == dtype
        assert_close(
            ours, theirs, rtol=0.05 if dtype != torch.float64 else None, atol=0.05 if dtype != torch.float64 else None
        )


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8])
def test_any_whole_numbers_are_labels(dtype):
    x, y = activations((5,), 4, 1.0, False, 3)
    assert_close(cross_entropy(x, y.to(dtype)), F.cross_entropy(x, y))


def test_inputs_are_left_as_they_were():
    x, y = activations((6,), 4, 50.0, False, 4)
    x = x.detach()
    was = x.clone(), y.clone()
    for f in (softmax, log_softmax, logsumexp, sigmoid, log_sigmoid): f(x)
    for f in (cross_entropy, nll, accuracy, cross_entropy_grad): f(x, y)
    assert x.equal(was[0]) and y.equal(was[1])


@pytest.mark.parametrize("mode, y", [("softmax", [0, 1, 0, 0]), ("sigmoid", [1, 1, 0, 0]), ("sigmoid", [0, 0, 0, 0])])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_per_class_adds_up(mode, y, temperature):
    x, y = torch.tensor([2.0, -1.0, 0.0, 4.5], dtype=torch.float64, requires_grad=True), torch.tensor(y)
    found = per_class(x, y, mode, temperature)
    want = (
        F.cross_entropy(x / temperature, y.argmax())
        if mode == "softmax"
        else F.binary_cross_entropy_with_logits(x / temperature, y.double(), reduction="sum")
    )
    assert_close(found.loss.sum(), want)
    assert_close(found.grad.detach(), gradient(want, x))
    if mode == "softmax": assert_close(found.p.sum().item(), 1.0)


X = torch.zeros(3, 5)


@pytest.mark.parametrize("f", [cross_entropy, nll, accuracy, cross_entropy_grad], ids=lambda f: f.__name__)
@pytest.mark.parametrize("error, words, y", [
    (ValueError, "y holds 5, but .* has 5 classes: labels go from 0 to 4", torch.tensor([0, 5, 1])),
    (ValueError, "y holds -1", torch.tensor([0, 4, -1])),
    (TypeError, r"y must be class numbers .* not float32: take y.long\(\)", torch.tensor([0.0, 1.0, 2.0])),
    (TypeError, r"y must be .* y.argmax\(-1\)", torch.zeros(3, 5)),
    (TypeError, "y must be .* not bool", torch.tensor([True, False, True])),
    (TypeError, "y must be a torch tensor, not ndarray", np.array([0, 1, 2])),
    (ValueError, r"y has shape \(4,\), but .* asks for \(3,\)", torch.zeros(4, dtype=torch.long)),
    (ValueError, r"y has shape \(3, 1\)", torch.zeros(3, 1, dtype=torch.long)),
], ids=lambda v: v if isinstance(v, str) else "")
def test_labels_that_do_not_fit_are_refused(f, error, words, y):
    with pytest.raises(error, match=words): f(X, y)


@pytest.mark.parametrize("f", [softmax, log_softmax, logsumexp, sigmoid, log_sigmoid], ids=lambda f: f.__name__)
def test_what_is_no_tensor_of_floats_is_refused(f):
    with pytest.raises(TypeError, match="x must be a torch tensor, not list"): f([1.0, 2.0])
    with pytest.raises(TypeError, match="x must hold floats, not int64"): f(torch.tensor([1, 2]))


def test_every_function_is_tried_here():
    "A function added to the lesson must be added here as well."
    functions = {n for n in losses.__all__ if callable(getattr(losses, n))} - {"PerClass"}
    assert functions <= set(globals()), functions - set(globals())
