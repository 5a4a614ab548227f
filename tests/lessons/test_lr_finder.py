"""The LR finder leaves no trace, bit for bit, whatever happens inside; its rules keep their word on curves
whose answer is known."""
import copy
import random
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lessonkit.train.remember import Remembered
from lessonkit.learner import Callback, DataLoaders, GradClip, Learner
from lessonkit.lr_finder import (RULES, LRFind, Rule, Suggestion, falling, find_over_seeds, lr_find, minimum, no_trace,
                                 rates, slide, smooth, spread_over_seeds, steep, try_rates, valley)

torch.set_num_threads(1)
X = torch.randn(200, 1, 6, 6, generator=torch.Generator().manual_seed(0))
Y = (X.mean((1, 2, 3)) > 0).long()


class Stateful(nn.Module):
    """BatchNorm and dropout, a buffer that is not saved, a state and a counter that are plain attributes, and
    numpy's and Python's dice."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(),
                                  nn.Linear(64, 2))
        self.register_buffer("passes", torch.zeros(()), persistent=False)
        self.state = torch.zeros(2)
        self.calls = 0
        self.seen = []

    def forward(self, x):
        self.passes += 1
        self.calls += 1
        self.seen.append(len(x))
        y = self.body(x) + 1e-3 * self.state.to(x.device) + 1e-6 * np.random.rand() + 1e-6 * random.random()
        self.state = y.detach().mean(0)
        return y


class OwnDice:
    "A loader with a generator of its own, an order that it shuffles in place, and an epoch it counts."

    def __init__(self):
        self.rng, self.order = np.random.default_rng(5), np.arange(len(X))
        self.epoch = 0

    def __iter__(self):
        self.epoch += 1
        self.rng.shuffle(self.order)
        for i in range(0, len(self.order), 16): yield X[self.order[i : i + 16]], Y[self.order[i : i + 16]]


def shuffled(): return DataLoader(TensorDataset(X, Y), 16, shuffle=True, generator=torch.Generator().manual_seed(3))
def shuffled_by_torch(): return DataLoader(TensorDataset(X, Y), 16, shuffle=True)
def from_arrays(): return DataLoaders.from_arrays((X, Y), bs=16).train
def batches(): return list(zip(X.split(16), Y.split(16)))


LOADERS = [shuffled, shuffled_by_torch, from_arrays, OwnDice, batches]
OPTIMIZERS = dict(sgd=partial(torch.optim.SGD, momentum=0.9), adam=torch.optim.Adam,
                  amsgrad=partial(torch.optim.AdamW, amsgrad=True))


class Tally(Callback):
    "A callback that remembers."

    def __init__(self): self.n, self.losses = 0, []

    def after_batch(self, learn):
        self.n += 1
        self.losses.append(learn.loss.item())


def make(loader=shuffled, opt="sgd", fitted=True, model=Stateful, loss_fn=F.cross_entropy):
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    learn = Learner(model(), DataLoaders(loader()), loss_fn, OPTIMIZERS[opt], cbs=[Tally(), GradClip(5.0)],
                    device="cpu")
    return learn.fit(1, 0.01, show=False) if fitted else learn


def dump(o, seen=None):
    "Everything `o` leads to, as plain values whose `==` is equality of every bit. Written apart from what it judges."
    seen = {} if seen is None else seen
    if o is None or isinstance(o, (bool, int, str, bytes, complex)): return o
    if isinstance(o, float): return o.hex()
    if id(o) in seen: return f"seen {seen[id(o)]}"
    seen[id(o)] = len(seen)
    if isinstance(o, Tensor):
        grad = dump(o.grad, seen) if o.is_leaf else None
        return ("tensor", str(o.dtype), tuple(o.shape), o.requires_grad,
                o.detach().cpu().contiguous().numpy().tobytes(), grad)
    if isinstance(o, np.ndarray): return ("array", str(o.dtype), o.shape, o.tobytes())
    if isinstance(o, torch.Generator): return ("generator", o.get_state().numpy().tobytes())
    if isinstance(o, np.random.Generator): return ("generator", str(o.bit_generator.state))
    if isinstance(o, dict):
        return ("dict", [(dump(k, seen) if not isinstance(k, Tensor) else "a parameter", dump(v, seen)) for k,
                         v in o.items()])
    if isinstance(o, (list, tuple)): return (type(o).__name__, [dump(v, seen) for v in o])
    if isinstance(o, partial) or callable(o) and not isinstance(o, nn.Module): return "callable"
    return (type(o).__name__, dump(vars(o), seen)) if hasattr(o, "__dict__") else type(o).__name__


def everything(learn):
    dice = random.getstate(), str(np.random.get_state(legacy=False)["state"]), torch.get_rng_state().numpy().tobytes()
    return dump(learn), dice


def next_batch(learn): return next(iter(learn.dls.train))[0]


class Broken:
    "A loss that fails at its n-th call; it counts them, so an uncounted one would show."

    def __init__(self, error, at=7):
        self.error, self.at = error, at
        self.calls = 0

    def __call__(self, pred, y):
        self.calls += 1
        if self.error and self.calls - 13 == self.at: raise self.error  # after the 13 batches of the epoch before
        return F.cross_entropy(pred, y)


# ── no trace ──

@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "fresh"])
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_it_leaves_no_trace(opt, loader, fitted):
    learn, twin = make(loader, opt, fitted), make(loader, opt, fitted)
    before = everything(twin)
    objects = [id(p) for p in learn.model.parameters()], id(learn.opt), [id(b) for b in learn.model.buffers()]
    was = everything(learn)
    assert was == before, "two learners made alike must look alike, or this test sees nothing"
    found = lr_find(learn, num_it=40)
    assert len(found.losses) > 5 and everything(learn) == was
    assert objects == ([id(p) for p in learn.model.parameters()], id(learn.opt), [id(b) for b in learn.model.buffers()])
    drawn = next_batch(learn)
    twin = make(loader, opt, fitted)  # and with it the global dice
    assert torch.equal(drawn, next_batch(twin))


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_training_after_it_equals_training_without_it(opt, loader):
    plain = make(loader, opt).fit(2, 0.02, show=False)
    looked = make(loader, opt)
    lr_find(looked, num_it=30)
    assert dump(looked.fit(2, 0.02, show=False)) == dump(plain)


def test_the_dump_would_see_a_trace():
    "Each of these changes shows in the comparison above."
    changes = [lambda e: e.model.body[1].running_mean.add_(1e-7), lambda e: e.opt.param_groups[0].update(lr=0.5),
               lambda e: torch.rand(1),
               lambda e: np.random.rand(), lambda e: random.random(), lambda e: e.dls.train.generator.manual_seed(9),
               lambda e: e.cbs[0].losses.pop(),
               lambda e: next(iter(e.opt.state.values()))["momentum_buffer"].neg_(), lambda e: e.model.eval(),
               lambda e: e.rows.clear(),
               lambda e: e.model.body[0].register_forward_hook(print), lambda e: setattr(e.model, "calls", 0),
               lambda e: e.freeze_to(-1) and e.params[0].requires_grad_(False)]
    for change in changes:
        learn = make()
        was = everything(learn)
        change(learn)
        assert everything(learn) != was
    learn = make()
    was = everything(learn)
    with no_trace(learn):
        for change in changes: change(learn)
    assert everything(learn) == was


@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_a_run_that_diverges(opt):
    learn = make(opt=opt)
    was = everything(learn)
    found = lr_find(learn, start_lr=1e-2, end_lr=1e30, num_it=60, stop_at=None)
    assert np.isfinite(found.losses).all() and everything(learn) == was
    blown = make(opt=opt, fitted=False, loss_fn=lambda pred, y: (pred.square().sum().exp() - 1).exp())
    was = everything(blown)
    found = lr_find(blown, start_lr=1e-3, end_lr=1e20, num_it=60, stop_at=None)
    assert found.ended == "not finite" and len(found.losses) < 60 and everything(blown) == was


@pytest.mark.parametrize("error", [RuntimeError("the loss is broken"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_an_error_or_an_interrupt_half_way(opt, error):
    learn = make(opt=opt, loss_fn=Broken(error))
    was = everything(learn)
    with pytest.raises(type(error)): lr_find(learn, num_it=30)
    assert everything(learn) == was


def test_an_interrupted_learner_trains_on_as_if_nothing_had_been():
    plain = make(loss_fn=Broken(None)).fit(1, 0.02, show=False)
    learn = make(loss_fn=Broken(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt): lr_find(learn, num_it=30)
    learn.loss_fn.error = None
    learn.fit(1, 0.02, show=False)
    for a, b in zip(learn.params, plain.params): assert torch.equal(a, b)


HOOKED = []


def test_hooks_and_frozen_groups_stay():
    learn = make()
    HOOKED.clear()  # a global: what a hook's own closure holds would be put back as well
    learn.model.body[0].register_forward_hook(lambda *args: HOOKED.append(1))
    for p in learn.model.body[0].parameters(): p.requires_grad_(False)
    was = everything(learn)
    lr_find(learn, num_it=20)
    assert len(HOOKED) == 20 and everything(learn) == was and len(learn.model.body[0]._forward_hooks) == 1
    assert not learn.model.body[0].weight.requires_grad


def test_workers_that_stay_alive():
    loader = lambda: DataLoader(TensorDataset(X, Y), 50, shuffle=True, num_workers=1, persistent_workers=True,
                                generator=torch.Generator().manual_seed(1))
    learn, twin = make(loader), make(loader)
    lr_find(learn, num_it=8)
    assert torch.equal(next_batch(learn), next_batch(twin))


def test_the_same_curve_again():
    learn = make()
    np.testing.assert_array_equal(lr_find(learn).losses, lr_find(learn).losses)


def test_short_runs_leave_no_trace_and_begin_alike():
    learn = make()
    was = everything(learn)
    table = try_rates(learn, [1e-4, 1e-2, 1e12], n_step=20)
    assert everything(learn) == was
    assert table.iloc[0].nunique() == 1 and list(table.columns) == [1e-4, 1e-2, 1e12] and len(table) == 20


def test_remembered_puts_back_in_place():
    shared = [1, 2]
    o = {"list": shared, "again": shared, "set": {1}, "array": np.arange(3), "tensor": torch.arange(3.0),
         "deep": [[{"x": shared}]], "expanded": torch.zeros(1).expand(4)}
    twin, kept = copy.deepcopy(o), Remembered().add(o)
    shared.append(3), o["set"].add(2), o.pop("deep"), o["tensor"].zero_(), o["array"].fill(7)
    o["new"] = 1
    kept.restore()
    assert o["list"] is shared is o["again"] and dump(o) == dump(twin)


# ── the rules ──

LRS = np.geomspace(1e-7, 10, 100)


def bowl(a=2.3, b=0.4, at=1e-2, edge=1.0): return b + (a - b) / (1 + (LRS / at) ** 1.5) + (LRS / edge) ** 2


def decreasing(s, chain): return all(s[a] > s[b] for a, b in zip(chain, chain[1:]))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
@settings(max_examples=150, deadline=None)
def test_falling_is_a_longest_one(values):
    from itertools import combinations

    chain = falling(values).tolist()
    longest = [c for n in range(len(values), 0, -1) for c in combinations(range(len(values)), n)
               if decreasing(values, c)]
    n = len(longest[0])
    ends = [c for c in longest if len(c) == n]
    assert len(chain) == n and decreasing(values, chain) and chain == sorted(chain)
    assert chain[-1] == min(c[-1] for c in ends)


@given(st.lists(st.floats(0.1, 9), min_size=20, max_size=60), st.floats(0.01, 100), st.floats(-50, 50),
       st.sampled_from(sorted(RULES)))
@settings(max_examples=100, deadline=None)
def test_rules_do_not_depend_on_the_loss_unit(values, scale, shift, name):
    s, lrs = np.round(values, 3), LRS[: len(values)]
    if np.ptp(s) == 0: return
    a, b = RULES[name](lrs, s), RULES[name](lrs, s * scale)
    assert a.step == b.step or name in ("slide", "steep")  # ties may break by rounding there
    if name in ("valley", "minimum"): assert RULES[name](lrs, np.round(s + round(shift, 1), 9)).step == a.step


def test_rules_on_a_clean_curve():
    s = bowl()
    assert np.isclose(minimum(LRS, s).lr, LRS[s.argmin()] / 10)
    slopes = np.gradient(s, np.log(LRS))[1:-1]
    assert steep(LRS, s).step == slopes.argmin() + 1
    assert 5e-3 < steep(LRS, s).lr < 2e-2  # where the curve was made to fall fastest
    fall = np.flatnonzero(np.diff(s) < 0)
    assert fall[0] <= valley(LRS, s).step <= fall[-1] + 1
    k, end = slide(LRS, s).steps
    g = np.gradient(s)
    assert end == k + 15 and abs(g[end] - g[k]) <= 0.005 * np.ptp(s[: s.argmin() + 1])
    assert all(abs(g[i + 15] - g[i]) > 0.005 * (s[0] - s.min()) for i in range(k + 1, len(s) - 15))


@pytest.mark.parametrize("factor", [0.01, 0.1, 10])
def test_suggestions_move_with_the_rates(factor):
    for name, rule in RULES.items():
        assert np.isclose(rule(LRS * factor, bowl()).lr, rule(LRS, bowl()).lr * factor), name


def test_a_fifth_rule_is_one_entry(monkeypatch):
    def middle(lrs, s): return Suggestion(lrs[len(s) // 2], np.array([len(s) // 2]), len(s) // 2)
    own = {name: r.ink for name, r in RULES.items()}
    half = Rule(middle, "class1", "ring", "the middle")
    monkeypatch.setitem(RULES, "half", half)
    find = LRFind(LRS, bowl())
    assert list(find.suggest())[-1] == "half" and find.suggest()["half"] == LRS[50]
    assert spread_over_seeds([find, find]).loc["half", "decades"] == 0
    assert len(set(own.values())) == len(own), "each rule has a color of its own"
    assert all(r.says for r in RULES.values())
    with pytest.raises(ValueError, match="mark="): Rule(valley, "class1", "circle", "")


def test_a_constant_loss_does_not_fall():
    assert not LRFind(LRS, np.full(100, 2.3)).falls() and not LRFind(LRS, np.zeros(100)).falls()


def test_suggestions_come_by_name_and_from_the_curve():
    found = LRFind(LRS, bowl())
    told = found.suggest()
    assert list(told) == list(RULES) and {"valley", "steep", "minimum", "slide"} <= set(told)
    for name in ("valley", "steep", "slide"): assert told[name] in LRS
    assert found.falls() and 1 < found.explodes(0) < 2


def test_the_spread_over_seeds_is_that_of_the_suggestions():
    finds = [LRFind(LRS, bowl(at=10.0**-k)) for k in (1, 2, 3)]
    table = spread_over_seeds(finds, beta=0)
    logs = np.log10([f.suggest(0)["steep"] for f in finds])
    np.testing.assert_allclose(table.decades["steep"], np.quantile(logs, 0.95) - np.quantile(logs, 0.05))
    assert table["median"]["steep"] == pytest.approx(finds[1].suggest(0)["steep"])


def test_seeds_are_handed_on():
    seeds = []
    found = find_over_seeds(lambda seed: seeds.append(seed) or make(fitted=False), [3, 5], num_it=10)
    assert seeds == [3, 5] and len(found) == 2 and len(found[0].lrs) == 10


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.floats(0, 0.999))
@settings(max_examples=100, deadline=None)
def test_smoothing_is_a_weighted_mean(losses, beta):
    got = smooth(losses, beta)
    for n in range(1, len(losses) + 1):
        w = beta ** np.arange(n)[::-1] if beta else np.eye(n)[-1]
        np.testing.assert_allclose(got[n - 1], np.average(losses[:n], weights=w), atol=1e-6)
    np.testing.assert_allclose(smooth([3.0] * 5, beta), 3.0)


def test_rates_and_what_is_recorded():
    seen = []

    class Watch(Callback):
        order = 99

        def before_batch(self, learn): seen.append(learn.opt.param_groups[0]["lr"])

    learn = make()
    learn.cbs.append(Watch())
    found = lr_find(learn, 1e-5, 1e-2, 12)
    np.testing.assert_allclose(seen, rates(1e-5, 1e-2, 12))
    assert found.lrs[0] == 1e-5 and found.lrs[-1] == pytest.approx(1e-2)
    assert len(found.losses) == 12 and found.ended == "at the end"


def test_it_stops_when_told_and_when_it_diverges():
    learn = make()
    assert len(lr_find(learn, report=lambda f: len(f.lrs) == 7).lrs) == 7
    found = lr_find(learn, end_lr=1e6)
    assert found.ended == "diverged" and found.smooth()[-1] > 4 * found.smooth().min()


# ── bad input ──

@pytest.mark.parametrize("words, kwargs", [("start_lr=0", dict(start_lr=0)),
                                           ("take 0 < start_lr", dict(start_lr=1, end_lr=0.1)),
                                           ("end_lr=inf", dict(end_lr=float("inf"))),
                                           ("num_it=4", dict(num_it=4)),
                                           ("num_it must be a whole number", dict(num_it=10.0)),
                                           ("must be a number", dict(start_lr="low"))])
def test_bad_settings_are_named(words, kwargs):
    with pytest.raises((ValueError, TypeError), match=words): lr_find(make(fitted=False), **kwargs)


class Drained:
    "Looks re-iterable, but hands out the same generator each time."

    def __init__(self): self.source = ((a, b) for a, b in batches())

    def __iter__(self): return self.source


def test_a_loader_that_can_be_read_only_once():
    learn = make(fitted=False)
    for once in (iter(batches()), (b for b in batches()), Drained()):
        learn.dls.train = once
        was = everything(learn)
        with pytest.raises(TypeError, match="only once"): lr_find(learn)
        assert everything(learn) == was and next(iter(once))[0].equal(batches()[0][0]), "not one batch was taken"


def test_nan_in_the_data_is_not_taken_for_a_high_rate():
    bad = batches()
    bad[3] = (bad[3][0].clone().index_put((torch.tensor(0),), torch.tensor(float("nan"))), bad[3][1])
    learn = make(lambda: bad, fitted=False)
    was = everything(learn)
    with pytest.raises(ValueError, match="NaN"): lr_find(learn)
    assert everything(learn) == was


def test_too_little_to_read():
    short = LRFind(LRS[:3], np.ones(3), "not finite")
    with pytest.raises(ValueError, match="lower start_lr"): short.suggest()
    assert "3 steps" in repr(short)
    with pytest.raises(ValueError, match="beta=1"): LRFind(LRS, bowl()).smooth(1)
    with pytest.raises(ValueError, match="2 or more"): spread_over_seeds([LRFind(LRS, bowl())])
    with pytest.raises(ValueError, match="above 0"): try_rates(make(fitted=False), [])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_trace_on_a_gpu():
    learn = Learner(Stateful().cuda(), DataLoaders(shuffled()), F.cross_entropy, OPTIMIZERS["sgd"],
                    device="cuda").fit(1, 0.01, show=False)
    was, dice = everything(learn), torch.cuda.get_rng_state_all()
    lr_find(learn, num_it=40)
    assert everything(learn) == was and all(torch.equal(a, b) for a, b in zip(dice, torch.cuda.get_rng_state_all()))
