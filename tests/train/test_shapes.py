"""Loss and metrics over shapes and types: equal to the mean worked out by hand, or a refusal; never a silent
broadcast."""
import copy
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from lessonkit.learner import DataLoaders, Learner, accuracy
from lessonkit.train.metrics import counter

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TARGETS = [*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool]


class Given(nn.Module):
    "Predicts what it is given."

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        if isinstance(x, dict): return {k: self(v) for k, v in x.items()}
        if isinstance(x, list): return tuple(map(self, x))
        return x + (self.w * 0).to(x.dtype)


def size(n, k, kind): return {"(n,)": (n,), "(n, 1)": (n, 1), "(n, k)": (n, k)}[kind]


def values(shape, dtype, g):
    t = torch.randint(0, 2, shape, generator=g) if dtype == torch.bool else torch.randint(0, 5, shape, generator=g)
    return t.to(dtype) if not dtype.is_floating_point else (t.double() + torch.rand(shape, generator=g)).to(dtype)


def absolute(p, y): return (p - y).abs().mean()
def compared(p, y): return (p > y).float().mean()
def own_numpy(p, y): return np.mean(p.double().numpy() > y.double().numpy())


ELEMENTWISE = {"absolute": absolute, "compared": compared, "l1": F.l1_loss, "mse": F.mse_loss, "huber": F.huber_loss}
BY_HAND = {"absolute": lambda p, y: abs(p - y), "compared": lambda p, y: float(p > y), "l1": lambda p, y: abs(p - y),
           "mse": lambda p, y: (p - y) ** 2, "huber": lambda p,
           y: (p - y) ** 2 / 2 if abs(p - y) < 1 else abs(p - y) - 0.5}
SHAPES = ["(n,)", "(n, 1)", "(n, k)"]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(2, 5), st.sampled_from(SHAPES),
       st.sampled_from(SHAPES),
       st.sampled_from(FLOATS), st.sampled_from(TARGETS), st.sampled_from(sorted(ELEMENTWISE)), st.booleans(),
       st.sampled_from(["alone", "tuple", "dict"]), st.integers(0, 99))
@settings(max_examples=250, deadline=None)
def test_a_mean_by_hand_or_a_refusal(sizes, k, of_pred, of_y, dtype, target, name, as_loss, nest, seed):
    g = torch.Generator().manual_seed(seed)
    pairs = [(values(size(n, k, of_pred), dtype, g), values(size(n, k, of_y), target, g)) for n in sizes]
    f, pick = ELEMENTWISE[name], lambda p, y: (p, y)
    if nest == "tuple": given_, pick = [([p], (y, p)) for p, y in pairs], lambda p, y: (p[0], y[0])
    elif nest == "dict": given_, pick = [({"a": p}, {"b": y}) for p, y in pairs], lambda p, y: (p["a"], y["b"])
    else: given_ = pairs
    def judge(p, y): return f(*pick(p, y))
    def plain(p, y): return (p if nest == "alone" else p[0] if nest == "tuple" else p["a"]).float().mean()
    learn = Learner(Given(), DataLoaders(given_, given_), judge if as_loss else plain, metrics=[judge], device="cpu")
    try: found = learn.validate()["loss" if as_loss else "judge"]
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as e:
        alike = all(p.shape == y.shape for p, y in pairs)
        assert not alike or target == torch.bool or "type" in str(e), f"refused though the shapes agree: {e}"
        return
    assert all(p.shape == y.shape for p, y in pairs), f"{of_pred} and {of_y} were spread over each other: {found}"
    hand = [BY_HAND[name](a, b) for p, y in pairs for a,
            b in zip(p.double().flatten().tolist(), y.double().flatten().tolist())]
    np.testing.assert_allclose(found, np.mean(hand), rtol=1e-6 if dtype == target == torch.float64 else 5e-2, atol=2e-2)


@pytest.mark.parametrize("of_pred, of_y", [("(n, 1)", "(n,)"), ("(n,)", "(n, 1)")])
def test_a_metric_outside_of_torch_is_seen_too(of_pred, of_y):
    g = torch.Generator().manual_seed(0)
    pairs = [(values(size(6, 1, of_pred), torch.float32, g), values(size(6, 1, of_y), torch.float32, g))]
    learn = Learner(Given(), DataLoaders(pairs, pairs), lambda p, y: p.mean(), metrics=[own_numpy], device="cpu")
    with pytest.raises(ValueError, match="own_numpy"): learn.validate()


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.float16, torch.bool])
def test_whole_numbers_are_refused_as_floats_are(dtype):
    "The case that trained to a loss of 10.58 in silence."
    g = torch.Generator().manual_seed(0)
    x = torch.randn(640, 3, generator=g)
    y = (3 * x[:, 0] + x[:, 1]).round().to(dtype)
    learn = Learner(nn.Linear(3, 1), DataLoaders.from_arrays((x, y)), F.mse_loss, device="cpu")
    with pytest.raises(ValueError): learn.fit(1, 0.01, show=False)
    if dtype == torch.int64:
        Learner(nn.Linear(3, 1), DataLoaders.from_arrays((x, y[:, None])), F.mse_loss,
                device="cpu").fit(1, 0.01, show=False)


def test_accuracy_of_one_logit_is_no_share_of_class_0():
    x = torch.randn(64, 2)
    y = (x[:, :1] > 0).float()
    dls = DataLoaders([(x, y)], [(x, y)])
    with pytest.raises((ValueError, TypeError), match="one class|class numbers"):
        Learner(nn.Linear(2, 1), dls, F.binary_cross_entropy_with_logits, metrics=[accuracy], device="cpu").validate()
    with pytest.raises(ValueError, match="y has shape"): accuracy(torch.eye(4), torch.arange(4)[:, None])
    assert accuracy(torch.eye(4), torch.arange(4)) == 1
    scores = torch.randn(5, 3, 7)
    torch.testing.assert_close(accuracy(scores, scores.argmax(1)), torch.tensor(1.0))
    y = scores.argmax(1)
    y[:, 4:] = -100
    assert accuracy(scores, y, ignore_index=-100) == 1


@pytest.mark.parametrize("value, words", [(torch.ones(3), r"float32 \(3,\)"), (None, "NoneType"), ("high", "a str"),
                                          (1j, "complex")])
def test_a_metric_must_give_one_number(value, words):
    def metric(p, y): return value
    pairs = [(torch.ones(3), torch.ones(3))]
    with pytest.raises((ValueError, TypeError), match=words):
        Learner(Given(), DataLoaders(pairs, pairs), F.mse_loss, metrics=[metric], device="cpu").validate()


@pytest.mark.parametrize("value", [3, 0.5, True, np.float32(2), np.int64(3), torch.tensor(True), torch.tensor([4]),
                                   torch.tensor(2, dtype=torch.float16)])
def test_numbers_of_every_kind(value):
    def metric(p, y): return value
    pairs = [(torch.ones(3), torch.ones(3))]
    found = Learner(Given(), DataLoaders(pairs, pairs), F.mse_loss, metrics=[metric], device="cpu").validate()
    assert found["metric"] == float(value)


# Weights of a mean
LOSSES = {"function": F.cross_entropy, "partial": partial(F.cross_entropy, ignore_index=0),
          "module": nn.CrossEntropyLoss(ignore_index=2),
          "weighted": nn.CrossEntropyLoss(torch.tensor([0.3, 1.0, 4.0])),
          "both": partial(F.cross_entropy, ignore_index=1, weight=torch.tensor([1.0, 2, 3])),
          "nll": nn.NLLLoss(ignore_index=1)}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bs", [1, 3, 7])
def test_targets_that_do_not_count_weigh_nothing(name, bs):
    g, loss_fn = torch.Generator().manual_seed(3), LOSSES[name]
    x, y = torch.randn(20, 3, generator=g), torch.randint(0, 3, (20,), generator=g)
    if name == "function": y[4:11] = -100
    pairs = [(a, b) for a, b in zip(x.split(bs), y.split(bs)) if counter(loss_fn)(b)]
    found = Learner(Given(), DataLoaders(pairs, pairs), loss_fn, device="cpu").validate()["loss"]
    np.testing.assert_allclose(found, loss_fn(x, y).item(), rtol=1e-5)


def test_a_batch_in_which_nothing_counts_is_named():
    pairs = [(torch.randn(2, 3), torch.tensor([-100, -100]))]
    learn = Learner(nn.Linear(3, 3), DataLoaders(pairs), F.cross_entropy, device="cpu")
    with pytest.raises(ValueError, match="every target is one that the loss ignores"): learn.fit(1, 0.1, show=False)


def test_a_loss_of_ones_own_may_say_what_it_ignores():
    def own(p, y): return F.cross_entropy(p, y, ignore_index=7)
    own.ignore_index = 7
    assert counter(own)(torch.tensor([1, 7, 7])) == 1 and counter(partial(own,
                                                                          ignore_index=1))(torch.tensor([1, 7, 7])) == 2


# Names
def test_two_metrics_of_one_name_are_two_columns():
    def loss(p, y): return torch.tensor(3.0)
    pairs = [(torch.ones(3), torch.zeros(3))]
    learn = Learner(Given(), DataLoaders(pairs, pairs), F.mse_loss, device="cpu",
                    metrics=[lambda p, y: 1.0, lambda p, y: 2.0, loss, partial(absolute), absolute])
    found = learn.fit(1, 0.0, show=False).history.iloc[0].to_dict()
    assert found == {"train_loss": 1, "valid_loss": 1, "<lambda>": 1, "<lambda>_2": 2, "loss_2": 3, "absolute": 1,
                     "absolute_2": 1}


# Loaders
class Stream(IterableDataset):
    def __iter__(self): return ((torch.ones(3) * i, torch.ones(1)) for i in range(10))


def test_a_loader_whose_length_raises():
    loader = DataLoader(Stream(), 4)
    learn = Learner(nn.Linear(3, 1), DataLoaders(loader, loader), F.mse_loss, device="cpu").fit(2, 0.001)
    assert len(learn.steps) == 6 and learn.predict().shape == (10, 1)
    with pytest.raises(ValueError, match="no len"): learn.fit(1, lambda pos: 0.1, show=False)
    with pytest.raises(ValueError, match="no len"): learn.fit(1, 0.1, mom=lambda pos: 0.1, show=False)


# What predict takes and gives
class Twice(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.body, self.kind = nn.Linear(3, 1), kind

    def forward(self, x):
        y = self.body(x)
        return {"tuple": (y, x), "dict": {"y": y, "more": [x, None]}}[self.kind]


def test_predict_takes_what_a_model_is_asked_about():
    x, y = torch.randn(64, 3), torch.randn(64, 1)
    learn = Learner(nn.Linear(3, 1), DataLoaders.from_arrays((x, y), (x, y), bs=10), F.mse_loss, device="cpu")
    want = learn.model(x).detach()
    asked = {"tensor": x, "array": x.numpy(), "valid": None, "tensor-only": DataLoader(x, 10),
             "of one": DataLoader(torch.utils.data.TensorDataset(x), 10),
             "pairs": list(zip(x.split(7), y.split(7))), "list of tensors": list(x.split(7)),
             "loader": DataLoaders.from_arrays((x, y)).valid or [(x, y)],
             "two rows a batch": list(x.split(2))}
    for name, given_ in asked.items(): torch.testing.assert_close(learn.predict(given_), want, msg=name)
    for wrong in ("text", 3, [(x, y, y)], (x, x[:3]), torch.tensor(1.0), []):
        with pytest.raises((ValueError, TypeError)): learn.predict(wrong)


def test_only_a_plain_tuple_is_several_inputs():
    class Both(nn.Bilinear):
        def forward(self, a, b): return super().forward(a, b)
    class Listed(nn.Linear):
        def forward(self, parts): return super().forward(torch.cat(parts, 1))
    a, b, y = torch.randn(20, 3), torch.randn(20, 2), torch.randn(20, 1)
    samples = DataLoader([((p, q), r) for p, q, r in zip(a, b, y)], 6)  # torch's collate makes a list of the two
    learn = Learner(Both(3, 2, 1), DataLoaders(samples, samples), F.mse_loss, device="cpu").fit(1, 0.01, show=False)
    want = learn.model(a, b).detach()
    torch.testing.assert_close(learn.predict((a, b), bs=7), want)
    torch.testing.assert_close(learn.predict(), want)
    listed = Learner(Listed(5, 1), DataLoaders([([a, b], y)]), F.mse_loss, device="cpu").fit(1, 0.01, show=False)
    assert listed.predict([([a, b], y)]).shape == (20, 1)


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_outputs_that_are_trees(kind):
    x, y = torch.randn(30, 3), torch.randn(30, 1)
    def loss(pred, y): return F.mse_loss(pred[0] if kind == "tuple" else pred["y"], y)
    dls = DataLoaders.from_arrays((x, y), (x, y), bs=8)
    learn = Learner(Twice(kind), dls, loss, device="cpu").fit_sgdr(0.01, 2, show=False)
    for snapshots in (False, True):
        out = learn.predict(x, bs=7, snapshots=snapshots)
        first, second = out if kind == "tuple" else (out["y"], out["more"][0])
        assert first.shape == (30, 1) and torch.equal(second, x) and type(out) is (tuple if kind == "tuple" else dict)


# Parts that do not fit
@pytest.mark.parametrize("words, change", [
    ("is an optimizer that is made already", dict(opt_fn=torch.optim.Adam([nn.Parameter(torch.ones(1))]))),
    ("LBFGS", dict(opt_fn=torch.optim.LBFGS)), ("must make an optimizer", dict(opt_fn="adam")),
    ("is a class", dict(loss_fn=nn.CrossEntropyLoss)), ("must be callable", dict(loss_fn=None)),
    ("must be a list", dict(metrics=accuracy)), ("is a class", dict(model=nn.Linear)),
                                           ("must be an nn.Module", dict(model=print)),
    ("take 'cpu'", dict(device="gpu")), *([] if torch.cuda.is_available()
                                          else [("no NVIDIA GPU", dict(device="cuda:0"))]),
])
def test_parts_that_do_not_fit_are_named(words, change):
    parts = dict(model=nn.Linear(3, 1), dls=DataLoaders([(torch.ones(2, 3), torch.ones(2, 1))]),
                 loss_fn=F.mse_loss) | change
    with pytest.raises((ValueError, TypeError), match=words): Learner(**parts)


def test_a_copy_of_a_fitted_learner_trains_on_alike():
    x, y = torch.randn(30, 3), torch.randn(30, 1)
    learn = Learner(nn.Linear(3, 1), DataLoaders.from_arrays((x, y), (x, y), bs=8), F.mse_loss,
                    device="cpu").fit(2, 0.01, show=False)
    other = copy.deepcopy(learn)
    learn.fit(2, 0.01, show=False)
    assert len(other.history) == 2 and not torch.equal(other.model.weight, learn.model.weight)
    other.fit(2, 0.01, show=False)
    assert torch.equal(other.model.weight, learn.model.weight) and other.history.equals(learn.history)
