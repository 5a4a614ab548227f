"""What a picture shows has its name in it: trees alone beside their average, rules where they read, optimizers."""
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from lessonkit.bagging import sample_patches
from lessonkit.explorers.bagging import KINDS, BaggingExplorer
from lessonkit.explorers.bptt import BPTTExplorer
from lessonkit.explorers.lr_finder import LRFinderExplorer
from lessonkit.explorers.schedule import ScheduleExplorer
from lessonkit.explorers.search import SearchExplorer
from lessonkit.explorers.sgd import SGDExplorer
from lessonkit.explorers.sgd_record import arrival, faster
from lessonkit.explorers.softmax import SoftmaxExplorer
from lessonkit.explorers.stream import in_matrix, in_pair
from lessonkit.explorers.waterfall import WaterfallExplorer
from lessonkit.explorers.waterfall_data import bar_ends
from lessonkit.lr_finder import LRFind
from lessonkit.widgets.palette import ink
from lessonkit.widgets.text import number
from tests.explorers import ROWS, last_value


def test_each_tree_has_a_dot_beside_the_average():
    e = BaggingExplorer(n_trees=12, k=12)
    r, scene = e.record(), e.view(e.record(), 960)
    assert len(r.alone) == 12 and r.usual == pytest.approx(e.shown.alone.mean()) and r.usual > r.curve[-1]
    assert any(it["kind"] == "marks" and len(it["xy"]) == 12 for it in scene.items)
    e.k = 5  # as many dots, and the same trees in the words
    assert e.record().usual == pytest.approx(e.shown.alone[:5].mean())
    assert f"its trees alone average {e.record().usual:.4f}." in e.narration, e.narration
    assert any(s.startswith("dots: each tree alone") for s in scene.strings())
    e.bootstrap = False
    assert not len(e.record().alone) and "no row is out of the bag" in e.narration


def test_what_is_typed_for_a_new_row_is_a_number_that_its_field_takes():
    wide = BaggingExplorer(np.random.default_rng(0).random((40, 2)), np.linspace(-2.34567, 811.2345, 40), n_trees=3)
    for e in (BaggingExplorer(n_trees=3), wide):
        field = next(c for c in e.controls() if c.name == "answer")
        assert field.lo <= e.origin.y.min() and e.origin.y.max() <= field.hi == e.answer
        steps = np.array([field.lo, field.hi]) / field.step
        assert np.allclose(steps, steps.round()) and field.hi - field.lo < np.ptp(e.origin.y) + 2.1 * field.step
        e.open()
        for typed, kept in ((field.hi + 9, field.hi), (field.lo - 9, field.lo), (0.5, 0.5)):
            e._act(dict(kind="set", name="answer", value=typed))
            assert e.answer == kept and not e.error


def test_a_cell_says_its_number_at_any_width_on_a_plate_of_its_own_where_it_has_no_room():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), score=0.7 + 0.2 * rng.random(90)))
    e = SearchExplorer(table)
    for width in (272, 390, 620, 960):
        scene = e.scene(width).finish()
        box, words = next(p for p in scene.panels if p.name == "map").box, f"{table.score.max():.3f}"
        inside = [b for s, b in scene.boxes() if s == words and b[0] < box[0] + box[2] and b[1] < box[1] + box[3]]
        assert len(inside) == 1, width
        plates = [it for it in scene.items if it["kind"] == "rects" and it["radius"] == 4]
        assert len(plates) == (width < 900), width


def test_no_answer_of_the_search_moves_a_control_that_is_folded_away():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), score=rng.random(90), seconds=rng.random(90)))
    for i in range(3):
        e = SearchExplorer(table)
        e.open()
        folded = [c.name for c in e.controls()][3:]
        before = [e._values[name] for name in folded], [name for name in folded if name in e._off]
        e.ask(i)
        assert before == ([e._values[name] for name in folded], [name for name in folded if name in e._off]), i


def test_each_answer_of_the_search_is_of_the_state_that_its_line_of_code_makes():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), c=np.arange(90) % 3, d=np.arange(90) % 2))
    table["score"], table["seconds"] = 0.9 - 0.1 * table.d + 0.01 * rng.random(90), rng.random(90)
    e = SearchExplorer(table)
    assert e._questions[0].guesses == ("a", "b", "c", "d")
    for before in (dict(rank=30, reduce="mean"), dict(x="c", y="a"), dict(held={"d": 1}),
                   dict(ranges={"a": (0.2, 0.4)})):
        for i in range(3):
            for name, value in before.items(): e.set_trait(name, value)
            e.ask(i, 0)
            twin = eval(e._asked["code"], dict(SearchExplorer=SearchExplorer, table=table))
            for name in ("rank", "x", "y", "reduce", "held"): assert getattr(e, name) == getattr(twin, name), name
            assert (e.kept == twin.kept).all()
            twin.ask(i, 0)
            assert [e._asked[k] for k in ("answer", "right")] == [twin._asked[k] for k in ("answer", "right")]
    e.ask(0)
    row = int(np.flatnonzero(e.kept)[-1])
    e._act({"kind": "hover", "id": "map", "x": float(e.axes[e.x].code[row]),
            "y": float(e.map.count.shape[0] - 1 - e.axes[e.y].code[row])})
    assert e.pointed < 0 or "△, the best where you point: rank" in e.narration


def test_a_search_that_keeps_nothing_says_what_to_loosen_and_little_is_said_as_the_answer_says_it():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), c=np.arange(90) % 3, d=np.arange(90) % 2))
    table["score"] = 0.9 - 0.1 * table.d + 0.01 * rng.random(90)
    e = SearchExplorer(table, x="a", y="b", keep=dict(score=(0.85, None), d=(1, 1)))
    assert not e.kept.any() and not e.scene(960).faults()
    told = lambda width=960: " ".join(e.scene(width).strings())
    for width in (390, 960): assert "none kept: loosen score or d" in told(width)
    e.ranges = {k: v for k, v in e.ranges.items() if k == "score"}
    for width in (390, 960): assert "share of all (gray) and of the kept (purple)" in told(width)
    assert "drag across bars" in told() and "none kept" not in told()
    e.open()
    e.ask(0)
    free = e._asked["answer"].lower()
    said = [v.free for v in e.record().leans.values() if not v.told and not v.hinted]
    assert said and all(f"{words}: " in free and words in told() for words in said), (free, said)


def test_a_tenth_with_ties_says_how_many_it_keeps():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(100), b=rng.random(100), score=np.arange(100.0), seconds=1.0))
    assert "the best tenth: 10 of 100. " in SearchExplorer(table)._questions[0].question
    e = SearchExplorer(table.assign(score=table.score.clip(upper=84)))  # sixteen are the best
    assert "the best tenth, and those that tie with it: 16 of 100. " in e._questions[0].question
    e.ask(0)
    assert e.kept.sum() == 16 and "16 of 100 settings are kept" in e.narration
    assert "Score · 16 of 100 kept" in e.scene(960).strings()


@pytest.mark.parametrize("n, words", [(0, ""), (1, "One is too few to say"), (3, "They are too few to say"), (8, "")])
def test_of_fewer_than_five_kept_settings_picture_and_sentence_say_that_they_are_too_few(n, words):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), c=np.arange(90) % 3, score=np.arange(90.0)))
    far = dict(a=(table.a.max(), None), b=(table.b.max(), None))  # no setting has both
    e = SearchExplorer(table, keep=dict(score=(90.0 - n, None)) if n else far)
    assert e.kept.sum() == n and words in e.narration and ("too few to say" in e.narration) == bool(words)
    assert ("too few" in e.scene(960).strings()) == bool(words)


def test_held_cells_mark_no_best_that_is_elsewhere():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), c=np.arange(90) % 3, score=rng.random(90)))
    e = SearchExplorer(table, x="a", y="b", reduce="mean")
    marks = lambda: {"best", "mean", "best, mean"} & {*e.scene(960).strings()}
    assert marks()
    e.hold = ("c", 0)
    assert not marks()


def test_three_long_names_stand_in_one_line_where_there_is_room():
    rng = np.random.default_rng(0)
    names = np.array(["constant", "invscaling", "adaptive"])[np.arange(90) % 3]
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), rule=names, c=np.arange(90) % 3, d=np.arange(90) % 2))
    e = SearchExplorer(table.assign(score=rng.random(90), seconds=1.0))
    for width in (960, 1000):
        assert len({b[1] for s, b in e.scene(width).boxes() if s in {*names}}) == 1


def test_the_stream_says_what_one_step_reads_and_draws_the_dropped_tail_as_wide_as_it_is():
    e = BPTTExplorer("abcdefgh" * 1000 + "xyz", bs=4)
    for e.step in (0, 3, len(e.batches) - 1):
        for width in (272, 390, 960):
            scene = e.scene(width)
            assert f"step {e.step:,} reads these 4 together" in scene.strings() and not scene.faults()
    assert e.batches.n_dropped == 2 and "2 dropped" in scene.strings()
    p = next(p for p in scene.panels if p.name == "stream")
    left = p.px([[8000, 0]])[0, 0]
    tail = next(it for it in scene.items if it["kind"] == "rects" and abs(it["xywh"][0][0] - left) < .01
                and it["width"] == 1.5)
    assert tail["xywh"][0][2] == pytest.approx(p.box[2] * 2 / 8002, rel=1e-3)
    e.bs = 1
    assert f"step {e.step:,}" in e.scene(960).strings()


def test_an_answer_names_no_color_that_a_theme_changes_and_a_first_token_is_first():
    e = BPTTExplorer("abcdefgh" * 1000)
    e.ask(0, 1)
    assert "the arrow in row 0" in e._asked["answer"] and "red" not in e._asked["answer"] and e.record().place[0] == 0
    e.ask(2, 1)
    assert e.selected == e.span[0] and e._asked["answer"].lower().startswith(e._asked["right"])


GUESSED = {
    "bagging": [(0, "under 10 %", "1 of 100"), (1, "a little, under ±0.03", "equally good"),
                (2, "extra-trees", "Smoothest: extra-trees")],
    "sheet": [(0, "0.1 to 0.5", "0.25 (RMSE)"), (1, "worse", "by heart"), (2, "another", "from another start"),
              (3, "it rises", "jumps over the valley")],
    "waterfall": [(0, "Sex", "Sex = female, most of all"), (1, "in part", "In part: Sex is among the two"),
                  (2, "more than half", "More than half: Sex's own bar moves by −0.530")],
    "search": [(0, "average", "They share"), (1, "about the same", "About the same: on average 0.8"),
               (2, "no", "No: the highest mean is in")],
    "entity": [(0, "mostly", "correlation 0.89"), (1, "N. Rhine-Westphalia and Saxony", "406 km apart"),
               (2, "never", "In no epoch"), (3, "Sunday", "Sunday: ")],
    "evidence": [(0, "the net", "from 76 % to 13 %"), (1, "both", "TF-IDF from"), (2, "none", "under 0.5 %")],
}


@pytest.mark.parametrize("name", GUESSED)
def test_the_right_guess_is_what_the_answer_says(name):
    e = last_value(next(row.code for row in ROWS if row.name == name))
    for i, right, words in GUESSED[name]:
        e.ask(i, 1)
        assert (e._asked["right"], words in e._asked["answer"]) == (right, True), e._asked


def test_what_nobody_can_know_is_not_guessed():
    "Too few rows, one class, one column, a row alone, a tree of one leaf: the question stands without guesses."
    rng = np.random.default_rng(0)
    X, few = pd.DataFrame(dict(a=rng.random(40), b=rng.random(40))), pd.DataFrame(dict(a=[1, 2, 3], b=[3, 1, 2]))
    few = few.assign(score=[0.1, 0.2, 0.3], seconds=1.0, error="")
    one, root = DecisionTreeRegressor(max_depth=2).fit(X, X.a), DecisionTreeRegressor().fit(X, np.ones(40))
    rare = [BaggingExplorer(rng.random((4, 2)), np.arange(4.0), numbers=True, n_trees=3), SearchExplorer(few),
            WaterfallExplorer(root, X), WaterfallExplorer(one, X[X.a < X.a.mean()][:9])]
    for e in rare:
        e.open()
        assert not e._questions[0].guesses
        e.ask(0)
        assert e._asked["answer"] and "guess" not in e._asked
    constant = BaggingExplorer(rng.random((40, 2)), np.ones(40), numbers=True, n_trees=3)
    constant.open()
    assert not constant._questions[2].guesses and not any(rare[2]._questions[i].guesses for i in (1, 2))


def test_a_press_in_the_scores_takes_the_edge_there_and_again_takes_it_back():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(dict(a=rng.random(90), b=rng.random(90), score=rng.random(90), seconds=1.0, error=""))
    e = SearchExplorer(table)
    j, axis = e.names.index("score"), e.axes["score"]
    x = 0.5 / len(axis.labels) + 0.5
    e.on_click(f"bars{j}", x, 0)
    inside = axis.code >= axis.bar(x)
    assert (e.kept == inside).all() and e.ranges["score"][1] == 1 and 0 < inside.sum() < 90
    e.on_click(f"bars{j}", x, 0)
    assert e.kept.all() and not e.ranges
    e.on_click(f"bars{j}", 0.001, 0)
    assert e.kept.all()


def test_the_axis_of_errors_stays_when_a_tree_is_chosen():
    for width in (390, 900):
        e, axes = BaggingExplorer(n_trees=12, k=6), []
        for e.tree in (0, 3): axes.append(next(p for p in e.scene(width).panels if p.name == "curve").y)
        assert axes[0] == axes[1]


def test_three_maps_say_what_is_across_and_up():
    for width in (390, 960):
        assert "across: x · up: y" in BaggingExplorer(n_trees=12, compare=True).scene(width).strings()


@pytest.mark.parametrize("width", [272, 300, 390])
def test_a_narrow_waterfall_has_a_scale_and_says_what_each_bar_was(width):
    e = last_value(next(row.code for row in ROWS if row.name == "waterfall"))
    for name, value in (("Fare", 100.0), ("Sex", 1.0), e.rows.strongest_edit(e.row, 1)):
        e.edits = {name: value}
        scene, r = e.scene(width), e.record()
        bars = next(p for p in scene.panels if p.name == "bars")
        told = scene.strings()
        assert len([v for v in np.arange(-2, 2.05, 0.1) if bars.x[0] < v < bars.x[1] and number(v) in told]) > 1
        was, now = (np.diff(bar_ends(r.groups, v, r.bias)) for v in (r.was, r.now))
        changed = [r.say(a, True) for a, b in zip(was, now) if r.say(a, True) != r.say(b, True)]
        missing = [v for v in changed if not {v, f"was {v}"} & {*told}]
        assert changed and not missing, (width, name, missing)
        assert told.count(f"was {r.say(r.before)}") == 2, "at the end of the bars, and at the curve's own"


def test_chances_stand_on_one_axis_and_what_moves_two_rows_opposite_ways_is_not_shared():
    e = last_value(next(row.code for row in ROWS if row.name == "waterfall"))
    for e.row in (4, 12, 204):
        axes = {p.name: p.y if p.name == "tried" else p.x for p in e.scene(960).panels}
        assert all(a <= 0 and b >= 1 and b - a < 1.7 for a, b in (axes["tried"], axes["bars"])), axes
    e.row = 4
    e.ask(1, 2)
    answer = e._asked["answer"]
    assert "Sex +" in answer and "Sex −" in answer and e._asked["right"] == "no", answer
    assert answer.startswith("No: Sex is among the two largest bars of both, but in opposite directions."), answer
    for width in (390, 960):  # the thin bars of the other row stay on the axis
        scene = e.scene(width)
        thin = next(it for it in scene.items if it["key"] == "bars/bars/was")["xywh"]
        (left, _), (right, _) = next(p for p in scene.panels if p.name == "bars").px([[0, 0], [1, 0]])
        assert thin[:, 0].min() > left - 1 and (thin[:, 0] + thin[:, 2]).max() < right + 1


def test_a_click_on_a_dot_chooses_its_tree_and_beside_the_dots_a_number_of_trees():
    e = BaggingExplorer(n_trees=12, k=6)
    e.on_click("curve", 3, e.shown.alone[2])
    assert (e.tree, e.k) == (3, 6) and "Tree 3 of 12" in e.narration
    e.on_click("curve", 3, e.shown.alone[2])
    assert e.tree == 0, "once more: the average"
    e.on_click("curve", 9, 0.0)
    assert (e.tree, e.k) == (0, 9)


def test_the_last_average_is_labelled_once():
    e = BaggingExplorer(n_trees=12, k=12)
    assert sum(s.endswith("with 12 trees") for s in e.view(e.record(), 960).strings()) == 1


@pytest.mark.parametrize("rule", ["all", "slide"])
def test_rules_are_named_where_they_read_and_say_how_far_seeds_differ(rule):
    lrs = np.geomspace(1e-7, 10, 100)
    falls = 2.3 - 1.9 / (1 + (0.01 / lrs) ** 1.5) + (lrs / 2) ** 3
    seeds = [LRFind(lrs, falls + np.random.default_rng(i).normal(0, 0.05, 100)) for i in range(6)]
    e = LRFinderExplorer(seeds[0], finds=seeds, rule=rule)
    if rule != "all": e.lr = e.suggestions[rule].lr
    r = e.record()
    strings = e.view(r, 960).strings()
    for m in r.marks:
        assert (m.shown in strings) == (rule == "all")
    assert ("6 seeds lie within a factor of" in e.narration) == (rule != "all")


def test_of_several_curves_the_line_of_code_names_the_one_that_the_answer_is_of():
    lrs = np.geomspace(1e-7, 10, 100)
    falls = lambda at: LRFind(lrs, 2.3 - 1.9 / (1 + (at / lrs) ** 1.5) + (lrs / 2) ** 3
                              + np.random.default_rng(0).normal(0, 0.05, 100))
    e = LRFinderExplorer(falls(0.01))
    for i in range(3):
        e.ask(i)
        assert e._asked["code"].startswith("LRFinderExplorer(find, ") and "lr=" in e._asked["code"]
    e.add(falls(0.03), "further")
    for before in (dict(smoothing=0.5, rule="steep"), dict(lr=3.0, raw=True), dict(smoothing=0.0, raw=False)):
        for i in range(3):
            e.set_trait("run_name", "further")
            for name, value in before.items(): e.set_trait(name, value)
            e.ask(i)
            twin = eval(e._asked["code"], dict(LRFinderExplorer=LRFinderExplorer, explorer=e))
            same = [(k, getattr(e, k), getattr(twin, k)) for k in ("step", "rule", "smoothing", "raw", "run_name")]
            assert all(a == b for _, a, b in same), same
            assert twin.lr == pytest.approx(e.lr, rel=1e-3)
            for width in (272, 390, 960): assert not e.scene(width).faults()


def test_lines_side_by_side_are_named_at_their_ends():
    e = SGDExplorer(compare=True, step=20)
    strings = e.view(e.record(), 960).strings()
    assert all(strings.count(name) == 2 for name in e.optimizers), strings  # of the lines, of the losses


def test_the_map_names_the_lowest_of_all_rules_and_shows_its_dot_whole():
    e = SGDExplorer(compare=True, step=20)
    for e.step in (0, 3, 20):
        r, scene = e.record(), e.scene(960)
        lowest = min(r.paths, key=lambda p: p.losses[p.at(r.step)]).name
        named = [v for v in scene.strings() if v.startswith("lowest: ")]
        assert named == [f"lowest: {lowest}"] * bool(e.step)
        dots = [it["key"] for it in scene.items if "map/points/here" in (it["key"] or "")]
        assert not e.step or dots[-1].endswith(lowest)
    assert not [v for v in SGDExplorer(step=20).scene(960).strings() if v.startswith("lowest")]


def test_no_path_hides_another_and_no_word_covers_one():
    for rules in (None, {f"{k} {i}": kind for i in range(2) for k, kind in SGDExplorer().optimizers.items()}):
        e = SGDExplorer(compare=True, step=20, optimizers=rules)
        for width in (272, 390, 960):
            scene = e.scene(width)
            drawn = [it["width"] for it in scene.items if "map/" in (it["key"] or "") and "/path-" in it["key"]]
            assert len(drawn) == len(e.optimizers) and min(drawn) >= 1.5 and (np.diff(drawn) < 0).all(), drawn
            l, t, w, h = next(p.box for p in scene.panels if p.name == "map")
            inside = [s for s, (x, y, *_) in scene.boxes() if l < x < l + w and t < y < t + h]
            assert inside == ["start"], inside


def test_losses_over_many_decades_are_marked_once_a_decade():
    e = SGDExplorer(optimizer="SGD", rate=1.02 * SGDExplorer().edge, step=20)
    for width in (390, 960):
        scene = e.scene(width)
        l, t, w, h = next(p.box for p in scene.panels if p.name == "losses")
        marks = sorted(y for s, (x, y, *_) in scene.boxes() if x < l - 4 and t - 8 <= y <= t + h + 1)
        assert len(marks) > 2 and np.diff(marks).min() >= 17, marks


def test_a_question_about_a_rate_names_it():
    e = SGDExplorer()
    for chip in e.chips()[1:]: assert f"rate {chip.state(e)['rate']:g}" in chip.question


def test_the_gray_of_early_steps_is_explained_where_it_is():
    for width in (272, 390, 960):
        assert "gray: steps 0 to 15" in SGDExplorer(rate=0.461, step=20).scene(width).strings()
        assert not [v for v in SGDExplorer(step=20).scene(width).strings() if "gray" in v]


def test_a_line_that_has_left_is_keyed_on_a_phone_and_momentum_is_in_sight_where_it_is_shown():
    e = SGDExplorer(rate=0.461, step=20)
    assert {"the line is below the picture", "thin: where it was at step 8"} <= set(e.scene(272).strings())
    assert [c.name for c in SGDExplorer(optimizer="momentum").controls()][:3] == ["step", "rate", "momentum"]
    for rate in np.geomspace(0.01, 1.4, 40):
        e.rate = rate
        p = next(p for p in e.scene(390).panels if p.name == "losses")
        words = {s: y for s, (_, y, _, _) in e.scene(390).boxes()}
        ticks = [words[w] for w in ("10", "100", "1,000", "10,000") if w in words]
        assert all(y >= p.box[1] - 1 for y in ticks if y > p.box[1] - 20), rate


def test_momenta_are_named_once_and_the_edge_by_its_mark():
    e = SGDExplorer(optimizer="momentum", momentum=0.0, step=12)
    for momentum in (0.0, 0.5, 0.9):
        e.momentum = momentum
        strings = e.scene(960).strings()
        assert all(strings.count(f"momentum {m:g}") == 1 for m in {0.0, 0.5, momentum}), strings
        assert {"momentum:", "0", "0.5", f"{momentum:g}"} <= set(e.scene(272).strings())
    assert "The edge marked on the slider is 4.75 times this rate." in e.narration
    assert "edge 0.858" in str([c.spec() for c in e.controls()])


def test_over_the_edge_the_loss_may_fall_at_first_and_the_words_allow_for_it():
    e = SGDExplorer(rate=0.461, start=(0.57, 2.47), step=8)
    losses = e.descent.losses
    assert (np.diff(losses[:10]) < 0).all() and losses[-1] > 10 * losses[0]  # nine steps lead closer, then it leaves
    assert "loss 0.449, down from 0.958" in e.narration
    for state in (e, SGDExplorer()): assert "flies off" not in state.narration  # a question asks it
    e.step = 30
    assert "so it flies off" in e.narration


def test_each_momentum_has_a_dot_where_it_arrives_the_one_on_screen_too():
    e = SGDExplorer(optimizer="momentum", momentum=0.9, rate=0.05, start=(2.57, 2.47), step=80)
    scene, r = e.scene(960), e.record()
    p = next(p for p in scene.panels if p.name == "losses")
    dots = {int(round(p.data(it["xy"])[0, 0])) for it in scene.items if it["kind"] == "marks" and p.has(
        p.data(it["xy"])).all() and len(it["xy"]) == 1}
    assert arrival(r.paths[0].losses, r.least) == 66 and 66 in dots
    for width in (390, 960): assert any("dashed: best line" in s for s in e.scene(width).strings())


def test_names_of_losses_stand_right_of_all_curves():
    e = SGDExplorer(compare=True, step=20)
    scene = e.scene(960)
    p = next(p for p in scene.panels if p.name == "losses")
    at = {s: x for s, (x, y, *_) in scene.boxes() if y > p.box[1]}
    for name in e.optimizers: assert 0 < at[name] - p.px([[e.n_steps, 1]])[0, 0] < 12


def test_who_is_faster_agrees_with_the_answer():
    e = SGDExplorer(optimizer="momentum")
    for e.rate in np.geomspace(0.003, 0.43, 12):
        r = e.record()
        own, other = arrival(r.paths[0].losses, r.least), arrival(r.rivals[0][1], r.least)
        assert (own < other, own > other, own == other)[faster(r)]


def test_the_key_holds_the_colors_of_both_map_and_rows_and_the_rows_of_no_draw_are_small():
    e = BaggingExplorer(n_trees=12, k=12, tree=3)
    strips = [it for it in e.scene(960).items if it["kind"] == "image" and it["codes"].shape == (1, 255)]
    own = strips[0]["colors"]
    assert len(strips) == 1 and tuple(own) == tuple(e.record().colors)
    for shade in (0, 0.5, 1): assert tuple(ink(f"cividis:{shade}")[:2]) == tuple(own[int(254 * shade)])
    assert any("small: never drawn, larger: more often" in s for s in e.scene(960).strings())
    r, of = e.record(), {i: name for name, i in e.scene(960)._inks.items()}
    dots = [it for it in e.scene(960).items if it["kind"] == "marks" and it["panel"] is None and len(it["xy"]) > 60]
    filled = [it for it in dots if of[it["fill"][0]].startswith("cividis:")]
    assert [(len(it["xy"]), of[it["stroke"][0]]) for it in filled] == [
        ((r.times == 0).sum(), "none"), ((r.times > 0).sum(), "fg")]
    assert not any("small" in s for s in BaggingExplorer(n_trees=12, bootstrap=False, tree=3).scene(960).strings())


@pytest.mark.parametrize("width", [300, 390, 600, 960])
def test_three_maps_stand_in_one_row_with_what_the_answer_names(width):
    e = BaggingExplorer(n_trees=12, k=12, compare=True)
    scene = e.scene(width)
    boxes = [p.box for p in scene.panels if p.name.startswith("map")]
    assert len({b[1] for b in boxes}) == 1 and len({b[0] for b in boxes}) == 3
    errors = [s for s in scene.strings() if "error 0" in s]
    assert "Random forest" in scene.strings() or width < 350 and "Forest" in scene.strings()
    assert len(errors) == 3 and not scene.faults()
    smooth = min(KINDS, key=lambda kind: e.fitted(kind).roughness(12))
    assert e._smoothest(e.record()).startswith(f"Smoothest: {smooth}")
    assert width < 960 or all(s.startswith("out-of-bag error") for s in errors)


def test_a_row_that_was_moved_is_told_of_and_its_way_back_is_in_sight_and_near_the_cross_the_cross_is_moved():
    e = BaggingExplorer(n_trees=5, show_points=True, k=5)
    e.open()
    row = int(np.argmax(np.hypot(*(e.data.plane - e.point).T)))
    at, names = e.data.plane[row], lambda: [c["name"] for c in e._controls][:3]
    assert "put_back" not in names()
    e.on_hover("map0", *at)
    assert (e.record().near == row) and any("drag a row" in s for s in e.scene(960).strings())
    e.on_drag("map0", *(at * 0.9 + 0.05))
    e.on_drop("map0", *(at * 0.9 + 0.05))
    assert "you moved 1 row" in e.narration and "put_back" in names() and not (e.data.plane[row] == at).all()
    e.put_back()
    assert "moved" not in e.narration and "put_back" not in names()
    e.point = tuple(map(float, at))
    e.on_drag("map0", *(at + 0.001))
    assert e.data is e.origin and e.point == pytest.approx(tuple(at + 0.001)), "the cross wins"


def test_a_tree_outside_the_average_has_its_dot_and_what_is_beyond_the_colors_is_said_so():
    e = BaggingExplorer(n_trees=12, k=4, tree=7)
    assert any(it["kind"] == "marks" and len(it["xy"]) == 4 for it in e.scene(960).items)
    assert sum(it["kind"] == "marks" and len(it["xy"]) == 1 and np.ravel(it["size"])[0] == 4
               for it in e.scene(960).items) == 1
    e.on_click("curve", 7, e.shown.alone[6])
    assert (e.tree, e.k) == (0, 4)
    assert sum(s[:2] in ("≤ ", "≥ ") for s in e.scene(960).strings()) == 2


def test_what_is_true_stays_when_the_mode_changes():
    e = SoftmaxExplorer(mode="sigmoid")
    e.present = (3,)
    e.mode = "softmax"
    assert e.target == 3 and "True: fish" in e.narration
    e.on_click("choose-activation", .5, 2.5)
    assert (e.selected, e.target) == (2, 3)
    e.on_click("truth", .5, 1.5)
    assert (e.selected, e.target) == (1, 1)


@pytest.mark.parametrize("width", [390, 620, 960])
def test_what_is_true_pays_on_the_curve(width):
    "The dot stands at its probability and its loss; above the axis it is a triangle inside, with its number."
    e = SoftmaxExplorer(activations=(-.5, 4, 0, -1, -2))
    found = lambda s: next((p, it) for p in s.panels for it in s.items
                           if p.name == "loss" and it["key"] == "loss/points/cost-0")
    p, dot = found(e.scene(width))
    assert np.allclose(p.data(dot["xy"])[0], [e.answer.p[0], e.answer.loss[0]], atol=.02) and dot["shape"] == "dot"
    assert "4.54" in e.scene(width).strings()
    e.activations = (-5, 5, 0, 1, -2)
    p, dot = found(e.scene(width))
    assert dot["shape"] == "up" and 5 < p.data(dot["xy"])[0, 1] < p.y[1]
    assert "10.03" in e.scene(width).strings()
    e.mode = "sigmoid"  # a dot a class: what is false pays on the other curve
    scene = e.scene(width)
    assert {f"loss/points/cost-{i}" for i in range(5)} <= {it["key"] for it in scene.items}
    assert {f"sum {e.answer.loss.sum():.2f}", "probability"} <= {*scene.strings()}


def test_on_a_narrow_page_the_loss_stands_below_the_knobs():
    tops = {p.name: p.box[1] for p in SoftmaxExplorer().scene(360).panels}
    assert sorted(("activation", "loss", "probability", "gradient"), key=tops.get)[1] == "loss"
    assert tops["probability"] < 500  # so knobs and loss are seen at once on a phone


def test_a_mere_guess_is_named_on_the_curve():
    e = SoftmaxExplorer()
    for width in (360, 720, 960):
        assert not [v for v in e.scene(width).strings() if v.startswith("guess")]
    e.ask(0)
    for width in (360, 720, 960): assert "guess 1.61" in e.scene(width).strings()


def test_at_the_end_of_the_scale_you_can_only_lower():
    e = SoftmaxExplorer(activations=(0, 5, 0, 0, 0))
    assert e.narration.endswith("Lower dog a little from 5: the loss falls, at first by 0.97 a unit.")


@pytest.mark.parametrize("make, moves", [
    (SoftmaxExplorer, [{}, dict(mode="sigmoid", present=(1, 3)), dict(temperature=5.0, activation=5.0, target=2)]),
    (ScheduleExplorer, [{}, dict(lr=1.32, lr_min=.1, step=9), dict(kind="one_cycle", pct_start=.8, momentum=.9)])])
def test_an_answer_does_not_depend_on_what_was_on_screen(make, moves):
    e = make()
    for i, chip in enumerate(e._questions):
        found = set()
        for before, move in enumerate(moves):
            e.ask(before)
            with e.at_once():
                for name, value in move.items(): setattr(e, name, value)
            e.ask(i, guess=0)
            found.add((e._asked["right"], e._asked["answer"], e.narration))
        assert len(found) == 1, (chip.short, found)


@pytest.mark.parametrize("width", [600, 720, 960])
@pytest.mark.parametrize("mode", ["softmax", "sigmoid"])
def test_no_words_around_the_bars_are_cut(width, mode):
    e = SoftmaxExplorer(list("abcdefgh"), activations=[5.0] * 8, temperature=2.5, mode=mode)
    assert not [s for s in e.scene(width).strings() if "…" in s]


def test_the_loss_axis_grows_with_a_run_that_explodes_and_an_old_run_is_pale():
    e = ScheduleExplorer("lin", lr=3.16, momentum=.99)
    losses = np.array([2.3, 24.6, np.nan, 9.0])
    e.runs = [e.runs[-1]._replace(history=pd.DataFrame(dict(loss=losses, accuracy=.1, lr=3.16)), of=e.both)]
    loss = next(p for p in e.scene(860).panels if p.name.startswith("loss"))
    assert loss.y[1] > 24.6
    dashed = lambda: sum(it["kind"] == "line" and it["dash"] == [3, 3] for it in e.scene(860).items)
    e.kind = "sgdr"
    assert not e.fresh and dashed() == 4  # two joints, in the rate's and the momentum's panel
    e.runs = []
    assert dashed() == 6


def test_old_rates_have_the_colors_of_their_losses_and_jump_upright():
    e = ScheduleExplorer("cos", n_step=60)
    e.kind = "sgdr"
    e.run()
    e.kind = "clr"
    r = e.record()
    assert r.inks == ["line", "muted"] == [ink for _, ink in r.before]
    xy = r.before[1][0]
    jumps = np.flatnonzero(np.abs(np.diff(xy[:, 1])) > .5)
    assert len(jumps) == 2 and (np.diff(xy[:, 0])[jumps] == 0).all()
    e.kind = "one_cycle"  # a tenth as high
    assert e.record().before == []


def test_the_first_knot_has_its_name_at_its_right():
    from lessonkit.widgets.layout import SHIFT, text_box

    e = ScheduleExplorer("sgdr", lr=1.38, step=140)
    scene = e.scene(960).finish()
    knot = next(it for it in scene.items if it["key"] == "learning rate/points/lr")["xy"][0, 0]
    it = next(it for it in scene.items if it["kind"] == "text" and "lr 1.38" in it["strings"])
    assert text_box(*it["xy"][0], "lr 1.38", it["size"], it["weight"], it["font"], SHIFT[it["align"]])[0] > knot + 8


def test_a_log_axis_is_named_and_the_lowest_rate_stands_off_its_foot():
    e = ScheduleExplorer("sgdr", step=100)
    for width in (720, 960):
        scene = e.scene(width).finish()
        words = next(it["xy"][0, 1] for it in scene.items if it["kind"] == "text" and "lr_min 0.001" in it["strings"])
        knot = next(it["xy"][0, 1] for it in scene.items if it["key"] == "learning rate/points/lr_min")
        assert abs(words - knot) > 8 and "Learning rate" in scene.strings()
    e.ask(3)
    assert "Learning rate (log)" in e.scene(960).strings() and "Learning rate (log)" in e.scene(390).strings()


@pytest.mark.parametrize("n_cycle", [2, 3, 8])
def test_the_knot_of_cycle_mult_keeps_away_from_the_others(n_cycle):
    for mult in (1.0, 1.5, 2.0, 3.0):
        e = ScheduleExplorer("sgdr", n_cycle=n_cycle, cycle_mult=mult)
        knots = {k.id: k.pos for k in e.record().knots}
        assert .1 < knots["mult"] < .9
        e.on_drag("mult", knots["mult"], 1)
        assert e.cycle_mult == pytest.approx(mult, abs=.06)


def test_a_phone_says_log_axis_and_momentum_and_the_sentence_one_thing_of_a_peak():
    e = ScheduleExplorer("one_cycle", lr=.13, step=90)
    for width in (272, 390):
        said = e.scene(width).strings()
        assert "Loss (log)" in said and any(s.startswith("0.95 to 0.85") for s in said)
    assert "the rate is 0.13, at a peak, then down to" in e.narration and "on its way" not in e.narration


@pytest.mark.parametrize("width", [390, 720, 960])
def test_every_row_is_named_and_the_ring_is_whole(width):
    e = BPTTExplorer("some text to read " * 500, bs=4, bptt=8)
    for e.step in (0, len(e.batches) - 1):
        scene = e.scene(width)
        strip, ring = scene.panels[0].box, next(it for it in scene.items if it["key"] == "stream/points/place")["xy"][0]
        assert 9 <= ring[0] <= width - 9 and strip[0] - 1 <= ring[0] <= strip[0] + strip[2] + 1  # on its tick
        assert {"row 0", "row 1", "row 2", "row 3"} <= set(scene.strings())
        assert any("3 dropped" in s for s in scene.strings()) and not scene.faults()


@pytest.mark.parametrize("width", [300, 390, 720, 960])
def test_the_beam_to_x_starts_at_what_x_shows(width):
    e = BPTTExplorer("some text to read " * 500, bptt=72, step=7)
    for e.selected in (7 * 72, 7 * 72 + 40, 8 * 72 - 1, 3):  # the last is of another window
        scene, r = e.scene(width), e.record()
        t, v = in_matrix(r, width)
        first, n = in_pair(r, width)
        beam = [it for it in scene.items if it["kind"] == "area"][-1]["xy"]
        matrix = next(p for p in scene.panels if p.name == "matrix")
        lo, hi = (int(round(v)) for v in matrix.data(beam[:2])[:, 0])
        assert first <= t[lo] - r.span[0] and t[hi - 1] - r.span[0] < first + n and (v[lo:hi] == 7).all()
        assert hi - lo == min(n, (v == 7).sum()) or lo == 0 or hi == len(t)


def test_the_sentence_quotes_with_the_signs_of_the_picture():
    e = BPTTExplorer("an end\n and more " * 30, step=1)
    assert "␣" in e.narration and " ”" not in e.narration and "“ " not in e.narration


def test_a_trained_loss_says_what_it_was_trained_at():
    e = BPTTExplorer("some text to read " * 50, shuffled=True, step=3)
    e.losses = (pd.DataFrame({"in order": [2.0] * 30, "shuffled": [3.0] * 30}), 8, 4)
    e.refresh()
    assert "loss 3.00, in order 2.00;" in e.narration
    e.bptt = 20
    assert "in order 2.00 (trained with bptt 8)" in e.narration and e.off() == () and "Loss" in e.scene().strings()
    e.bs = 2
    assert "in order 2.00 (trained with bptt 8 and 4 rows)" in e.narration
    e.shuffled = False
    assert e.off() == ("compare", "epoch") and "Loss" not in e.scene().strings()


def test_the_ring_stands_at_its_windows_tick_and_the_numbers_below_x_are_named():
    e = BPTTExplorer("some text to read " * 2000)
    for width in (272, 390, 960):
        for e.step in (0, 13, len(e.batches) - 1):
            scene = e.scene(width)
            at = {it["key"]: it for it in scene.items if it["key"]}
            tick, ring = at["stream/boxes/now"]["xywh"][0], at["stream/points/place"]["xy"][0]
            assert abs(tick[0] + tick[2] / 2 - ring[0]) < 1 and "tokens back" in scene.strings() and not scene.faults()


def test_cuts_that_move_are_shown_amid_others():
    for n in (2, 20, 400):
        e = BPTTExplorer("some text to read " * n)
        chip = e.chips()[2]
        state = chip.state(e)
        for name, value in state.items(): e.set_trait(name, value)
        assert e.selected == e.span[0] and (n < 400 or 8 < e.step < 13 and chip.right(e.record())) and not chip.quiet
        for width in (390, 960): assert not e.scene(width).faults()


def test_training_that_an_answer_asks_for_is_told_in_it():
    e = BPTTExplorer("some text to read " * 60)
    e.open()
    e._act({"kind": "chip", "value": 1, "guess": 0})
    assert "train two networks" in e._asked["answer"]
    e._act({"kind": "press", "name": "compare"})
    assert "After " in e._asked["answer"] and e._asked["guess"] and e._text == e.brief(e.record())
    e.step += 1
    told = e._asked
    e._act({"kind": "press", "name": "compare"})
    assert e._asked == told and e._text != e.brief(e.record())  # the state is another


def test_the_next_epochs_cut_is_counted_in_the_picture_and_wedges_lie_below_words():
    e = BPTTExplorer("some text to read " * 500)
    e.open()
    e._act({"kind": "chip", "value": 2, "guess": 1})
    r = e.record()
    t = r.place[1]
    far = t - max(c for c in r.next_edges if c <= t)
    assert f"in epoch 1 it reaches back by {far}." in e._asked["answer"] and str(far) in e.scene(390).strings()
    kinds = [it["kind"] == "area" for it in e.scene(390).items]
    assert kinds == sorted(kinds, reverse=True)


def test_the_present_window_has_its_number_and_the_rows_are_counted():
    e = BPTTExplorer("some text to read " * 500, bptt=1, bs=64, step=120)
    for width in (300, 720, 960):
        assert "120" in e.scene(width).strings()
    assert "rows 0–7 of 64" in e.scene(720).strings()


def test_an_answer_not_known_yet_has_a_place_with_a_question_mark():
    from tests.explorers import WATERFALL, last_value
    e = last_value(WATERFALL)
    e.feature = "Sex"
    marks = lambda: e.scene().strings().count("?")
    assert marks() == 1 and "If Sex were …" in e.scene().strings()
    e.value = 1.0
    assert marks() == 0 and e.edits
    e.feature = "Pclass"  # the next column's answers are a question again, and the axis does not tell them
    axis = lambda: next(p for p in e.scene().panels if p.name == "tried").y
    before = axis()
    assert marks() == 2 and not {e.record().say(v) for v in e._told()} - {e.record().say(e.prediction)} & {
        *e.scene().strings()}
    e.value = 1.0
    assert marks() == 0 and axis() == before


@pytest.mark.parametrize("kind", ["bagging", "your own"])
def test_starting_over_takes_back_rows_and_draws_too(kind):
    X, y = sample_patches()
    forest = RandomForestRegressor(8, random_state=0).fit(X, y) if kind == "your own" else None
    e = BaggingExplorer(X, y, forest=forest, kind=kind, n_trees=8)
    e.k = 4
    e.open()
    state = lambda: (e.narration, e._controls, e._values, e._off, e._hint)
    first, view = state(), e.scene().state()
    press, at = lambda name: e._act(dict(kind="press", name=name)), e.data.plane[5]
    place = dict(id="map0", x=at[0] * 0.9 + 0.05, y=at[1] * 0.9 + 0.05)
    moves = [lambda: press("add_point"), lambda: press("redraw"),
             lambda: e._act(dict(kind="set", name="kind", value=2)), lambda: press("redraw"),
             lambda: e._act(dict(kind="set", name="answer", value=0.5)),
             lambda: e._act(dict(kind="set", name="depth", value=2)),
             lambda: (e._act(dict(kind="set", name="show_points", value=True)),
                      e._act(dict(kind="hover", id="map0", x=at[0], y=at[1])),
                      e._act(dict(kind="drag") | place), e._act(dict(kind="drop") | place))]
    for some in (*([m] for m in moves), moves):
        for move in some: move()
        assert not e.error and state() != first
        e._act(dict(kind="over"))
        np.testing.assert_equal(e.scene().state(), view)
        assert state() == first and e.data is e.origin and e._draws == 0
    press("redraw")
    again = e.scene().state()
    e._act(dict(kind="over"))
    press("redraw")
    np.testing.assert_equal(e.scene().state(), again)


def test_without_a_bootstrap_the_cross_goes_to_where_trees_differ_most_and_the_scale_fits():
    e = BaggingExplorer(n_trees=12, kind="bagging")
    e.open()
    e.ask(1)
    r = e.record()
    assert r.answers.std() == pytest.approx(r.spread.max(), rel=1e-4) and not e._hint
    top = next(s for s in e.scene(960).strings() if s.endswith("a scale that fits this map"))
    assert r.spread.max() <= float(top.split(" ")[0][1:]) * 1.01 < 2.02 * r.spread.max()
    same = BaggingExplorer(np.random.default_rng(0).random((40, 2)), np.ones(40), numbers=True, n_trees=3)
    same.open()
    at = same.point
    same.ask(1)
    assert same.point == at and same._asked["answer"].startswith("Not at all")


def test_errors_of_forests_have_as_many_decimals():
    e = BaggingExplorer(n_trees=12, k=12, compare=True)
    told = re.findall(r"error (0\.\d+)|trees (0\.\d+)|[a-z] (0\.\d+)", e.narration)
    assert len(told) == 3 and {len(max(v)) for v in told} == {6}, e.narration
    rows = e.data
    assert [rows.error_words(v) for v in (0.029, 0.0306, np.nan)] == ["0.0290", "0.0306", "–"]


def test_what_other_values_do_is_told_once_one_was_tried_and_starting_over_takes_that_back():
    e = last_value(next(row.code for row in ROWS if row.name == "waterfall"))
    e.open()
    e.row, e.feature = 4, "Sex"
    state = lambda: (e.narration, e._controls, e._values, e._off)
    first, view = state(), e.scene().state()
    e._act(dict(kind="over"))  # from here on, this is what stood before the first move
    curve = lambda: any((it["key"] or "").startswith("tried/focus") for it in e.scene().items)
    for name, value in (("Fare", 30), ("Age", 50), ("Sex", 1)):
        e.feature = name
        own = e._list["value"].stop(e.value)
        assert "?" in e.scene().strings() and not curve()
        e._act(dict(kind="set", name="value", value=value if value != own else 0))
        assert e.edits and "?" not in e.scene().strings() and curve() == (name != "Sex")
        e._act(dict(kind="over"))
        np.testing.assert_equal(e.scene().state(), view)
        assert state() == first
    act = lambda **how: lambda: e._act(how)
    moves = [act(kind="chip", value=i) for i in range(3)] + [
        act(kind="set", name="output", value=0), act(kind="press", name="reset"), act(kind="key", key="End"),
        act(kind="set", name="row", value=250), act(kind="drag", id="bar2", x=0.3, y=3),
        act(kind="drop", id="bar2", x=0.3, y=3)]
    for some in (*([m] for m in moves[:6]), moves):
        for move in some: move()
        assert not e.error
        e._act(dict(kind="over"))
        np.testing.assert_equal(e.scene().state(), view)
        assert state() == first


def test_a_column_and_where_it_was_missing_are_one_edit_and_parts_add_up_as_they_are_said():
    e = last_value(next(row.code for row in ROWS if row.name == "waterfall"))
    e.open()
    signed = lambda text: [float(v.replace("−", "-")) for v in re.findall(r"[+−]\d\.\d+", text)]
    for row in (4, 12, 204, 475):
        e.row = row
        e.ask(2, 1)
        r, answer = e.record(), e._asked["answer"]
        own, others = signed(answer)
        bars = [(float(f"{r.was[j]:.3f}"), float(f"{r.now[j]:.3f}")) for j in (r.names.index(c) for c, *_ in r.edits)]
        assert own == pytest.approx(sum(now - was for was, now in bars)), answer
        assert own + others == pytest.approx(signed(e.narration)[-1])
        assert ("Age_na, which changes with it" in answer) == (len(bars) == 2) == (row in (4, 475))
        assert ("# Sex: female" in e._asked["code"]) == (row == 204)


def test_a_thin_bar_starts_where_its_bar_does_and_ranks_count_from_the_nearer_end():
    e = last_value(next(row.code for row in ROWS if row.name == "waterfall"))
    e.open()
    e.row = 392
    e.ask(1, 1)
    thin, bars = (next(it for it in e.scene(960).items if it["key"] == f"bars/bars/{key}")["xywh"]
                  for key in ("was", "now"))
    ends = lambda box: np.stack([box[:, 0], box[:, 0] + box[:, 2]])
    assert (np.abs(ends(thin)[:, None] - ends(bars)[None]).min((0, 1)) < 1).all()
    for rank, words in ((0, "the lowest"), (1, "2nd lowest"), (498, "2nd highest"), (499, "the highest")):
        e.row = int(e.order[rank])
        for width in (272, 390, 960): assert any(words in s for s in e.scene(width).strings()), (rank, width)
