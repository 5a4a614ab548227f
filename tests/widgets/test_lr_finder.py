"""The LR finder's picture and its short runs: they have their place, and starting over forgets them."""
import time
from functools import partial

import numpy as np
import pandas as pd
import torch

from lessonkit.explorers.lr_finder import LRFinderExplorer
from lessonkit.learner import DataLoaders, Learner
from lessonkit.lr_finder import LRFind, lr_find
from lessonkit.schedules import digits, small_net


def trained_finder(bs=32, n=640):
    x, y, *_ = digits()
    dls = DataLoaders.from_arrays((x[:n], y[:n]), bs=bs, seed=0)
    opt = partial(torch.optim.SGD, momentum=0.9)
    return Learner(small_net(0), dls, torch.nn.functional.cross_entropy, opt, device="cpu")


def shown(e): return e.scene(960).state(), e.narration, {n: getattr(e, n) for n in e.watch}, list(e.runs), e._controls


def test_starting_over_forgets_short_runs_and_curves_also_those_that_still_run():
    learn = trained_finder()
    e = LRFinderExplorer(lr_find(learn, num_it=40), learn=learn, n_try=6, num_it=40)
    opens, over, press = shown(e), dict(kind="over"), lambda name: e._act(dict(kind="press", name=name))

    def wait():
        e._thread.join(30)
        assert not e.running and not e.error

    press("start_try")
    wait()
    e._act(dict(kind="drag", id="lr", x=4.3e-4, y=1))
    press("start_try")
    wait()
    assert e.earlier and "dashed: before" in e.scene(960).strings()
    press("start_run")
    wait()
    assert list(e.runs) == ["first run", "run 2"] != opens[3]
    e._act(over)
    assert shown(e) == opens and not e.earlier and e.tries is None and not e._mine
    for name in ("start_try", "start_run"):  # in full swing
        e.kwargs, e.n_try = dict(num_it=5000), 5000
        press(name)
        end = time.monotonic() + 30
        while e.tries is None and len(e.runs) < 2 and time.monotonic() < end: time.sleep(0.01)
        assert e.running
        e._act(over)
        e.kwargs, e.n_try = dict(num_it=40), 6
        e.refresh()
        assert not e.running and not e.error and shown(e) == opens
    press("start_try")
    wait()
    assert not e.earlier, "nothing of before comes back"


def test_starting_over_points_at_nothing():
    e = LRFinderExplorer(LRFind(np.geomspace(1e-4, 1, 9), np.linspace(2, 1, 9)))
    opens = shown(e)
    e._act(dict(kind="hover", id="curve", x=0.03, y=1))
    e._act(dict(kind="drag", id="lr", x=0.1, y=1))
    e._act(dict(kind="over"))
    assert shown(e) == opens and e.pointed == 0


def test_the_curve_keeps_its_place_while_short_runs_come():
    learn = trained_finder()
    e = LRFinderExplorer(lr_find(learn, num_it=40), learn=learn, n_try=6)
    places = lambda: {w: (s.height, [(p.name, p.box) for p in s.panels]) for w in (272, 720, 960) for s in [e.scene(w)]}
    before = places()
    e.try_it()
    assert places() == before


def test_the_axis_of_short_runs_fits_them_and_makes_no_mountains_of_noise():
    learn = trained_finder()
    e = LRFinderExplorer(lr_find(learn, num_it=40), learn=learn, n_try=6)
    axis = lambda: next(p.y for p in e.scene(960).panels if p.name == "tries")
    e.tries = pd.DataFrame(2.3 + 0.01 * np.sin(np.arange(18)).reshape(6, 3), columns=[e.lr / 10, e.lr, 10 * e.lr])
    assert axis()[0] > 1.5 and np.ptp(axis()) > 0.3
    e.tries = e.tries - 2.2
    assert 0 <= axis()[0] < 0.1
    e.tries = e.tries - 5
    assert axis()[0] < -4.9 < -4.89 < axis()[1]


def test_a_rule_that_is_chosen_keeps_the_legend_and_the_axis():
    lrs = np.geomspace(1e-7, 10, 100)
    falls = 2.3 - 1.9 / (1 + (0.01 / lrs) ** 1.5)
    seeds = [LRFind(lrs, falls + np.random.default_rng(i).normal(0, 0.05, 100)) for i in range(6)]
    e = LRFinderExplorer(seeds[0], finds=seeds, raw=True)
    told = lambda w: [s for s in e.scene(w).strings() if s.startswith("thick: smoothed")]
    axis = lambda: e.scene(960).panels[0].x
    opens = axis()
    for e.rule in ("all", *e.suggestions):
        assert told(960) and told(272) and axis() == opens, e.rule
