"""What a picture shows has its name in it: trees alone beside their average, rules where they read, optimizers."""
import numpy as np
import pytest

from lessonkit.explorers.bagging import BaggingExplorer
from lessonkit.explorers.lr_finder import LRFinderExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.lr_finder import LRFind


def test_each_tree_has_a_dot_beside_the_average():
    e = BaggingExplorer(n_trees=12, k=12)
    r, scene = e.record(), e.view(e.record(), 960)
    assert len(r.alone) == 12 and r.usual == pytest.approx(e.shown.alone.mean()) and r.usual > r.curve[-1]
    assert any(it["kind"] == "marks" and len(it["xy"]) == 12 for it in scene.items)
    assert any(s.startswith("dots: each tree alone") for s in scene.strings())
    e.bootstrap = False
    assert not len(e.record().alone) and "no row is out of the bag" in e.narration


def test_the_last_average_is_labelled_once():
    e = BaggingExplorer(n_trees=12, k=12)
    assert sum(s.endswith("with 12 trees") for s in e.view(e.record(), 960).strings()) == 1


@pytest.mark.parametrize("rule", ["all", "slide"])
def test_rules_are_named_where_they_read_and_say_how_far_seeds_differ(rule):
    lrs = np.geomspace(1e-7, 10, 100)
    falls = 2.3 - 1.9 / (1 + (0.01 / lrs) ** 1.5) + (lrs / 2) ** 3
    seeds = [LRFind(lrs, falls + np.random.default_rng(i).normal(0, 0.05, 100)) for i in range(6)]
    e = LRFinderExplorer(seeds[0], finds=seeds, rule=rule)
    r = e.record()
    strings = e.view(r, 960).strings()
    for m in r.marks:
        assert (m.shown in strings) == (rule == "all")
        factor = m.high / m.low
        assert any("seeds" in s for s in m.told) == (factor >= 5), (m.name, factor)


def test_lines_side_by_side_are_named_at_their_ends():
    e = SGDExplorer(compare=True, step=20)
    strings = e.view(e.record(), 960).strings()
    assert all(strings.count(name) == 2 for name in e.optimizers), strings  # of the lines, of the losses
