"""Every level of `Stop` at every event: what is done, what is called, what is refused."""
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lessonkit.learner import EVENTS, Callback, DataLoaders, Learner, Stop

# Two epochs of three batches and one of validation; the stop comes in the second batch of the first epoch.
# (event, level): steps of the optimizer, epochs in the history, losses in the log, calls of after_batch, of after_pass
WHOLE = (6, 2, 6, 8, 4)
TABLE = {("before_fit", "fit"): (0, 0, 0, 0, 0), ("before_epoch", "fit"): (0, 0, 0, 0, 0),
         ("before_pass", "pass"): (3, 2, 3, 5, 4),
         ("before_pass", "fit"): (0, 0, 0, 0, 1), ("after_pass", "pass"): WHOLE, ("after_pass", "fit"): (3, 0, 3, 3, 1),
         ("after_epoch", "fit"): (3, 1, 3, 4, 2), ("after_fit", "fit"): WHOLE}
TABLE |= {(e, "batch"): (5, 2, 5, 8, 4) for e in ("before_batch", "after_pred", "after_loss")}
TABLE |= {(e, "pass"): (4, 2, 4, 7, 4) for e in ("before_batch", "after_pred", "after_loss")}
TABLE |= {(e, "fit"): (1, 0, 1, 2, 1) for e in ("before_batch", "after_pred", "after_loss")}
TABLE |= {(e, "batch"): (5, 2, 6, 8, 4) for e in ("after_backward", "before_step")}
TABLE |= {(e, "pass"): (4, 2, 5, 7, 4) for e in ("after_backward", "before_step")}
TABLE |= {(e, "fit"): (1, 0, 2, 2, 1) for e in ("after_backward", "before_step")}
TABLE |= {(e, "batch"): WHOLE for e in ("after_step", "after_batch")}
TABLE |= {(e, "pass"): (5, 2, 5, 7, 4) for e in ("after_step", "after_batch")}
TABLE |= {(e, "fit"): (2, 0, 2, 2, 1) for e in ("after_step", "after_batch")}


class Counted(torch.optim.SGD):
    steps = 0

    def step(self, *args, **kwargs):
        self.steps += 1
        return super().step(*args, **kwargs)


def leaver(event, level):
    "A callback that leaves once, at this event."
    def leave(self, learn):
        if event in ("before_fit", "before_epoch", "before_pass", "after_pass", "after_epoch", "after_fit"): here = True
        else: here = learn.training and learn.batch == 1
        if here and not self.left and (learn.training or "pass" not in event):
            self.left = True
            raise Stop(level)
    return type("Leave", (Callback,), {event: leave, "left": False})()


class Calls(Callback):
    "Comes after the one that leaves."
    order = 1

    def __init__(self): self.n = dict.fromkeys(("after_batch", "after_pass", "after_fit"), 0)
    def after_batch(self, learn): self.n["after_batch"] += 1
    def after_pass(self, learn): self.n["after_pass"] += 1
    def after_fit(self, learn): self.n["after_fit"] += 1


def outcome(event, level, precision=None):
    "What the table says, or the words of a refusal."
    torch.manual_seed(0)
    x = torch.randn(12, 3) / 100  # so small that fp16's first scale overflows nothing
    batches = [(b, b.sum(1, keepdim=True)) for b in x.split(4)]
    net, calls = nn.Linear(3, 1, bias=False), Calls()
    learn = Learner(net, DataLoaders(batches, batches[:1]), F.mse_loss, Counted, cbs=[leaver(event, level), calls],
                    precision=precision, device="cpu")
    try: learn.fit(2, 0.01, show=False)
    except ValueError as e: return str(e)
    assert calls.n["after_fit"] == 1
    found = learn.opt.steps, len(learn.history), len(learn.steps), calls.n["after_batch"], calls.n["after_pass"]
    learn.fit(1, 0.01, show=False)  # and it can still be trained
    assert learn.history.train_loss.iloc[-1] < 100
    return found


@pytest.mark.parametrize("event, level", list(itertools.product(EVENTS, ("batch", "pass", "fit"))))
@pytest.mark.parametrize("precision", [None, "bf16", "fp16"])
def test_every_level_at_every_event(event, level, precision):
    found = outcome(event, level, precision)
    if (event, level) in TABLE: assert found == TABLE[event, level]
    else: assert f"no {level} is under way" in found, found


def test_an_error_is_not_swallowed_by_one_who_leaves():
    class Leave(Callback):
        def after_pass(self, learn): raise Stop("fit")
    def broken(pred, y): raise KeyboardInterrupt
    learn = Learner(nn.Linear(3, 1), DataLoaders([(torch.ones(2, 3), torch.ones(2, 1))]), broken, cbs=[Leave()],
                    device="cpu")
    with pytest.raises(KeyboardInterrupt): learn.fit(1, 0.1, show=False)


def test_a_step_that_is_left_out_drops_its_gradients():
    "Stop('batch') before the step: as if the batch had not been there."
    class Skip(Callback):
        def before_step(self, learn):
            if learn.batch == 1: raise Stop("batch")
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    batches = [(b, b.sum(1, keepdim=True)) for b in x.split(4)]
    batches = [(a / 100, b / 100) for a, b in batches]
    def trained(batches, cbs, precision):
        torch.manual_seed(0)
        return Learner(nn.Linear(3, 1), DataLoaders(batches), F.mse_loss, torch.optim.SGD, cbs=cbs,
                       precision=precision, device="cpu").fit(1, 0.1, show=False).model.weight
    for precision in (None, "bf16", "fp16"):
        torch.testing.assert_close(trained(batches, [Skip], precision),
                                   trained([batches[0], batches[2]], [], precision))


def test_all_have_their_turn_at_the_end_of_an_epoch(tmp_path, capsys):
    "Who stops a fit there takes neither the line nor the checkpoint away."
    class Enough(Callback):
        def after_epoch(self, learn): raise Stop("fit")
    batches = [(torch.ones(2, 3), torch.ones(2, 1))]
    Learner(nn.Linear(3, 1), DataLoaders(batches), F.mse_loss, cbs=[Enough()],
            device="cpu").fit(3, 0.1, checkpoint=tmp_path / "a")
    assert (tmp_path / "a").exists() and len(capsys.readouterr().out.splitlines()) == 2


def test_validation_may_be_left_out_of_some_epochs():
    class Seldom(Callback):
        def before_pass(self, learn):
            if not learn.training and learn.epoch % 2: raise Stop("pass")
    batches = [(torch.ones(2, 3), torch.ones(2, 1))]
    learn = Learner(nn.Linear(3, 1), DataLoaders(batches, batches), F.mse_loss, cbs=[Seldom()],
                    device="cpu").fit(4, 0.1, show=False)
    assert learn.history.valid_loss.isna().tolist() == [False, True, False, True]


def test_validating_in_the_middle_of_a_pass_changes_nothing():
    class Look(Callback):
        def after_batch(self, learn):
            if learn.training: learn.validate()
    def trained(cbs):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        batches = [(b, b.sum(1, keepdim=True)) for b in torch.randn(12, 3).split(4)]
        return Learner(net, DataLoaders(batches, batches), F.mse_loss, cbs=cbs, device="cpu").fit(2, 0.1, show=False)
    a, b = trained([]), trained([Look])
    assert a.history.equals(b.history) and torch.equal(a.model[1].running_mean, b.model[1].running_mean)
