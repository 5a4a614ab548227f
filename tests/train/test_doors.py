"""What is given at the door of the loop: as it is meant, or refused in words that say what would do."""
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler, TensorDataset

from lessonkit.learner import DataLoaders, Learner

X = torch.linspace(-1, 1, 60).view(20, 3)
Y = X.sum(1, keepdim=True)
PAIRS = TensorDataset(X, Y)


def learner(model=None, loss_fn=F.mse_loss, **kwargs):
    return Learner(model or nn.Linear(3, 1), DataLoaders.from_arrays((X, Y), (X, Y), bs=6), loss_fn, device="cpu",
                   **kwargs)


def test_a_data_set_keeps_its_order_where_it_is_asked_to():
    dls = DataLoaders.from_datasets(PAIRS, PAIRS, bs=7, shuffle=False)
    assert torch.equal(torch.cat([x for x, _ in dls.train]), X)
    assert len(DataLoaders.from_datasets(PAIRS, bs=7, drop_last=True).train) == 2


@pytest.mark.parametrize("words, given", [("bs=", {"batch_size": 4}), ("shufle", {"shufle": False}),
                                          ("sampler", {"sampler": SequentialSampler(PAIRS)})])
def test_no_argument_is_taken_and_ignored(words, given):
    with pytest.raises(TypeError, match=words): DataLoaders.from_datasets(PAIRS, PAIRS, **{"bs": 4} | given)


def test_a_stream_has_no_length():
    class Stream(IterableDataset):
        def __iter__(self): return iter(PAIRS)

    learn = Learner(nn.Linear(3, 1), DataLoaders(DataLoader(Stream(), 5)), F.mse_loss, device="cpu")
    assert len(learn.fit(2, 0.1, show=False).steps) == 8
    with pytest.raises(TypeError, match="only once"): learn.predict(x for x in X.split(5))


def test_outputs_may_have_gaps():
    class Parts(nn.Module):
        def __init__(self): super().__init__(); self.line = nn.Linear(3, 1)
        def forward(self, x): return {"out": self.line(x), "none": None}

    learn = learner(Parts(), lambda pred, y: F.mse_loss(pred["out"], y)).fit(1, 0.1, show=False)
    assert learn.predict()["none"] is None and learn.predict()["out"].shape == (20, 1)


def test_weights_of_classes_weigh_in_the_mean():
    y, loss = torch.arange(20) % 3, nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.1]))
    learn = Learner(nn.Linear(3, 3), DataLoaders.from_arrays((X, y), (X, y), bs=6), loss, device="cpu")
    np.testing.assert_allclose(learn.validate()["loss"], loss(learn.predict(X), y).item(), rtol=1e-5)


def valid_loss(pred, y): return pred.mean()


def test_a_metric_may_have_a_columns_name():
    assert list(learner(metrics=[valid_loss]).fit(1, 0.1, show=False).history) == ["train_loss", "valid_loss",
                                                                                   "valid_loss_2"]


@pytest.mark.parametrize("words, make", [
    ("loss_fn=MSELoss is a class", lambda: learner(loss_fn=nn.MSELoss)),
    ("loss_fn must be callable", lambda: learner(loss_fn="mse")),
    ("opt_fn must make an optimizer", lambda: learner(opt_fn="adam")),
    ("made already", lambda: learner(opt_fn=torch.optim.Adam([torch.zeros(1, requires_grad=True)]))),
    ("model=Linear is a class", lambda: learner(nn.Linear)),
    ("metrics must be a list", lambda: learner(metrics=valid_loss)),
])
def test_a_class_or_a_name_is_no_object(words, make):
    with pytest.raises(TypeError, match=words): make()


@pytest.mark.parametrize("device, words", [("tpu", "take 'cpu'"), ("cuda:9", "device='cuda:9'")])
def test_a_device_that_is_not_there_is_named(device, words):
    with pytest.raises(ValueError, match=words):
        Learner(nn.Linear(3, 1), DataLoaders.from_arrays((X, Y), bs=6), F.mse_loss, device=device)


def test_a_fitted_learner_is_pickled_whole():
    learn = learner().fit(1, 0.1, show=False)
    again = pickle.loads(pickle.dumps(learn))
    assert torch.equal(again.predict(X), learn.predict(X))
    again.fit(1, 0.1, show=False)
