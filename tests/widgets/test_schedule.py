"""The schedule's words stand beside their knots, and starting over brings the opening picture back."""
from itertools import product

import numpy as np
import pytest

from lessonkit.explorers.schedule import KINDS, ScheduleExplorer
from lessonkit.explorers.schedule_record import knots
from lessonkit.widgets.asking import set_traits


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "own"])
def test_each_knot_has_its_word_on_a_plate_beside_it(kind):
    e = ScheduleExplorer(kind, n_step=30)
    for lr, low, log, step in product((0.3, 1.0, 3.0), (0.0, 0.001, 0.3), (False, True), (14, 18)):
        if kind == "exp" and not low: continue  # it never reaches zero
        set_traits(e, dict(lr=lr, lr_min=low, log_axis=log, step=step))
        scene, panels = e.scene(960), {p.name: p for p in e.scene(960).panels}
        boxes = scene.boxes()
        plates = [r for it in scene.items if it["kind"] == "rects" and it["radius"] == 4 for r in it["xywh"].tolist()]
        for k in knots(e):
            p = panels["momentum"] if "momentum" in k.id else next(iter(panels.values()))
            (x, y), = p.px([(k.pos, np.clip(k.value, *p.y))])
            near = [b for w, b in boxes if w in (k.words, k.told)
                    and max(b[0] - x, x - b[0] - b[2], 0) <= 16 and max(b[1] - y, y - b[1] - b[3], 0) <= 44]
            assert near, (kind, lr, low, log, step, k.id)
            assert any(l <= b[0] and l + w >= b[0] + b[2] and t <= b[1] and t + h >= b[1] + b[3]
                       for b in near for l, t, w, h in plates), (kind, k.id)
        assert not scene.faults()


@pytest.mark.parametrize("kind", ["clr", "lin", "cos"])
def test_a_way_down_to_nothing_ends_at_nothing(kind):
    assert "on its way down to 0 at" in ScheduleExplorer(kind, lr_min=0.0, n_step=30, step=18).narration


def test_starting_over_brings_back_what_the_lesson_opens_with():
    e = ScheduleExplorer("sgdr", lr=1.0, n_cycle=3, n_step=60)
    e.run()
    e.step = 24
    shown = lambda: (e.scene(960).state(), e.narration, e._controls, e._off)
    opens = shown()
    for i in range(4):
        for act in dict(kind="question", value=i), dict(kind="chip", value=i, guess=1): e._act(act)
    e._act(dict(kind="over"))
    assert shown() == opens
    e._act(dict(kind="drag", id="mult", x=0.5, y=1.0))
    for act in dict(kind="press", name="run"), dict(kind="over"): e._act(act)
    assert shown() == opens
