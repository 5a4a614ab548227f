"""What lesson 10 promises of `tree_boxes` and `forest_field`, for models, weights and numbers it has not seen."""
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import (BaggingClassifier, BaggingRegressor, ExtraTreesClassifier, ExtraTreesRegressor,
                              IsolationForest, RandomForestClassifier, RandomForestRegressor)
from sklearn.exceptions import NotFittedError
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from lessonkit.bagging import (best_split, entropy, forest_field, gain, grow, last_left, oob_curve, path, tree_answers,
                               tree_boxes, variance)
from lessonkit.explorers.bagging_data import own_forest, two_columns, with_draws, with_new_draw

BOUNDS = (-4.0, 4.0, -4.0, 4.0)
N_POINTS = 100_000


def answer(model, points):
    "(n, n_out): what scikit-learn says."
    if hasattr(model, "classes_"): return model.predict_proba(points)
    return model.predict(points).reshape(len(points), -1)


def thresholds(model, column):
    "All thresholds that a forest compares a column of X with."
    if not hasattr(model, "estimators_"): pairs = [(model, None)]
    else: pairs = zip(model.estimators_, getattr(model, "estimators_features_", [None] * len(model.estimators_)))
    found = []
    for tree, own in pairs:
        t = tree.tree_
        inner = t.feature >= 0
        feature = t.feature[inner] if own is None else np.asarray(own)[t.feature[inner]]
        found.append(t.threshold[inner][feature == column])
    return np.concatenate(found)


def hard_points(model, bounds, n=N_POINTS, seed=0):
    "Random points, points on thresholds, and points one float64 and one float32 step beside them."
    rng = np.random.default_rng(seed)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    anywhere = rng.uniform(low, high, (n, 2))
    on = anywhere[: n // 2].copy()
    for j in (0, 1):
        cuts = thresholds(model, j)
        cuts = cuts[(cuts > low[j]) & (cuts < high[j])]
        if not len(cuts): continue
        cuts = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), last_left(cuts),
                               np.nextafter(last_left(cuts), np.inf),
                               cuts.astype(np.float32), np.nextafter(cuts.astype(np.float32), np.float32(np.inf))])
        picked = rng.choice(cuts, len(on))
        on[:, j] = np.where(rng.random(len(on)) < 0.8, picked, on[:, j])
    return anywhere, np.clip(on, low, high)


def assert_exact(model, bounds=BOUNDS, n=N_POINTS, atol=0.0, **kw):
    field = forest_field(model, bounds, **kw)
    assert field.exact and field.values.shape[:2] == (len(field.ys) - 1, len(field.xs) - 1)
    assert (field.xs[0], field.xs[-1], field.ys[0], field.ys[-1]) == tuple(bounds)
    for points in hard_points(model, bounds, n):
        np.testing.assert_allclose(field.at(points), answer(model, points), rtol=1e-12, atol=atol)
    return field


def noisy(n=300, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, (X[:, 0] > 0).astype(int) + (rng.random(n) < 0.3) * rng.integers(0, classes - 1, n)


CLASSIFIERS = {
    "tree": DecisionTreeClassifier(),
    "extra-tree": ExtraTreeClassifier(),
    "random forest": RandomForestClassifier(40),
    "extra-trees": ExtraTreesClassifier(20, min_samples_leaf=2),
    "extra-trees with bootstrap": ExtraTreesClassifier(20, bootstrap=True),
    "entropy, depth 3": RandomForestClassifier(40, criterion="entropy", max_depth=3),
    "bagging": BaggingClassifier(DecisionTreeClassifier(), 40),
    "bagging of extra-trees": BaggingClassifier(ExtraTreeClassifier(), 20),
    "bagging of few rows": BaggingClassifier(DecisionTreeClassifier(), 40, max_samples=4),
    "bagging of one column": BaggingClassifier(DecisionTreeClassifier(), 40, max_features=1),
    "bagging of drawn columns": BaggingClassifier(DecisionTreeClassifier(), 40, bootstrap_features=True),
    "bagging by default": BaggingClassifier(),
}
REGRESSORS = {
    "tree": DecisionTreeRegressor(),
    "extra-tree": ExtraTreeRegressor(),
    "random forest": RandomForestRegressor(30, max_features=1, min_samples_leaf=2),
    "extra-trees": ExtraTreesRegressor(20, min_samples_leaf=2),
    "absolute error": RandomForestRegressor(20, criterion="absolute_error", min_samples_leaf=3),
    "bagging": BaggingRegressor(DecisionTreeRegressor(min_samples_leaf=2), 30),
    "bagging of one column": BaggingRegressor(DecisionTreeRegressor(), 30, max_features=1),
}
each = lambda models: pytest.mark.parametrize("model", models.values(), ids=list(models))


# ── the field is the forest ──

@each(CLASSIFIERS)
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_classifiers(model, classes):
    X, y = noisy(classes=classes)
    names = np.array([f"class {9 - c}" for c in range(10)])  # their order is that of the sorted names
    assert_exact(model.set_params(random_state=0).fit(X, names[y]), n=N_POINTS if classes == 3 else N_POINTS // 5)


@each(REGRESSORS)
def test_regressors(model):
    X, _ = noisy()
    y = np.exp(X[:, 0]) + np.random.default_rng(0).random(len(X))
    assert_exact(model.set_params(random_state=0).fit(X, y))


def test_a_bootstrap_without_some_class_keeps_the_order():
    X, y = noisy(classes=10)
    model = BaggingClassifier(DecisionTreeClassifier(), 30, max_samples=6, random_state=1).fit(X, y + 100)
    # as versions that do not weight rows fit them
    for tree, rows in zip(model.estimators_, model.estimators_samples_): tree.fit(X[rows], y[rows])
    assert 1 <= min(len(t.classes_) for t in model.estimators_) < max(len(t.classes_)
                                                                      for t in model.estimators_) < len(model.classes_)
    assert_exact(model)
    np.testing.assert_allclose(tree_answers(model, X).mean(0), model.predict_proba(X), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("model", [RandomForestRegressor(30), DecisionTreeRegressor(max_depth=4)],
                         ids=lambda m: type(m).__name__)
def test_several_outputs(model):
    X, _ = noisy()
    field = assert_exact(model.set_params(random_state=0).fit(X, np.exp(X) @ np.array([[1, 0.1, 100], [0, 1, 1e-3]])),
                         max_cells=10_000_000)
    assert field.values.shape[2] == 3


@pytest.mark.parametrize("model", [DecisionTreeClassifier(min_samples_leaf=8),
                                   RandomForestClassifier(40, min_samples_leaf=8, bootstrap=False),
                                   ExtraTreesClassifier(40, min_samples_leaf=8),
                                   RandomForestClassifier(40), BaggingClassifier(n_estimators=40)],
                                   ids=lambda m: type(m).__name__ + ("" if getattr(m, "bootstrap", 0) else ", all"))
def test_sample_weights(model):
    "Weights over twelve powers of ten: proportions as small as 1e-9 are as right as large ones."
    X, y = noisy()
    weight = 10.0 ** np.random.default_rng(0).uniform(-12, 0, len(X))
    model.set_params(random_state=0).fit(X, y, sample_weight=weight)
    assert_exact(model)
    if getattr(model, "bootstrap", False): return  # weights only rule the draw, where a version draws by them
    leaves = np.concatenate([tree_boxes(t, BOUNDS)[1].ravel() for t in getattr(model, "estimators_", [model])])
    assert 0 < leaves[leaves > 0].min() < 1e-6


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_any_unit(scale):
    X, _ = noisy()
    y = 10.0 ** np.random.default_rng(0).uniform(-9, 0, len(X))
    assert_exact(RandomForestRegressor(20, random_state=0).fit(X, y * scale), n=10_000)


def test_numbers_of_both_signs():
    "They may cancel: scikit-learn's own sum is then only as good as its largest term, the field's is right."
    X, _ = noisy()
    y = np.random.default_rng(0).normal(size=len(X))
    model = RandomForestRegressor(50, min_samples_leaf=2, random_state=0).fit(X, y)
    assert_exact(model, atol=50 * 1e-16 * np.abs(y).max())
    points, _ = hard_points(model, BOUNDS, 5000)
    truth = np.array([math.fsum(at) / 50 for at in tree_answers(model, points)[..., 0].T])
    assert np.abs(truth).min() < 1e-3 * np.abs(y).max()
    np.testing.assert_allclose(forest_field(model, BOUNDS).at(points)[:, 0], truth, rtol=1e-15)


@pytest.mark.parametrize("model", [DecisionTreeClassifier(), RandomForestClassifier(5),
                                   BaggingClassifier(n_estimators=5), DecisionTreeRegressor(), ExtraTreesRegressor(5)],
                         ids=lambda m: type(m).__name__)
def test_one_leaf(model):
    X, _ = noisy()
    field = assert_exact(model.fit(X, np.ones(len(X), int)), n=1000)
    assert field.values.shape == (1, 1, 1)


@pytest.mark.parametrize("column", [0, 1])
def test_a_constant_column(column):
    X, y = noisy()
    X[:, column] = 0.1
    field = assert_exact(RandomForestClassifier(20, random_state=0).fit(X, y))
    assert field.values.shape[1 - column] == 1 or field.values.shape[column] == 1
    assert len((field.xs, field.ys)[column]) == 2


@pytest.mark.parametrize("center, step", [(0.1, 1e-8), (1e6, 0.07), (-3.3, 3e-7), (1e-30, 1e-37)])
def test_float32_rounding(center, step):
    "Columns whose neighbors are a float32 step apart, or nearer: cuts lie between float32 numbers."
    rng = np.random.default_rng(0)
    X = center + step * rng.integers(-20, 20, (300, 2))
    y = rng.integers(0, 2, 300)
    bounds = tuple(np.tile([center - 30 * step, center + 30 * step], 2))
    for model in (RandomForestClassifier(20, random_state=0), ExtraTreesClassifier(20, random_state=0)):
        assert_exact(model.fit(X, y), bounds)


@pytest.mark.parametrize("model", [RandomForestClassifier(500, max_leaf_nodes=40),
                                   BaggingClassifier(DecisionTreeClassifier(max_depth=5), 500),
                                   ExtraTreesClassifier(500, max_depth=4), RandomForestRegressor(500, max_depth=5)],
                                   ids=lambda m: type(m).__name__)
def test_five_hundred_trees(model):
    X, y = noisy(classes=4)
    y = np.exp(3 * X[:, 1]) if isinstance(model, RandomForestRegressor) else y
    assert_exact(model.set_params(random_state=0).fit(X, y), max_cells=20_000_000)


def test_no_crumbs():
    "Where every tree says 0, the field says 0, not 1e-17."
    X, y = noisy(classes=3)
    model = RandomForestClassifier(300, max_depth=6, class_weight={0: 0.1, 1: 0.7, 2: 1.3}, random_state=0).fit(X, y)
    points, _ = hard_points(model, BOUNDS)
    ours, theirs = forest_field(model, BOUNDS).at(points), model.predict_proba(points)
    assert (theirs == 0).any() and ((ours == 0) == (theirs == 0)).all()


@given(seed=st.integers(0, 2**31), n=st.integers(2, 60), classes=st.integers(1, 5), trees=st.integers(1, 12),
       kind=st.sampled_from(sorted(CLASSIFIERS)),
       low=st.floats(-3, 0), width=st.floats(1e-3, 4), ties=st.booleans(), weighted=st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_comes(seed, n, classes, trees, kind, low, width, ties, weighted):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, 2)), rng.integers(0, classes, n)
    if ties: X = X.round(1)
    model = CLASSIFIERS[kind]
    params = dict(random_state=seed) | (dict(n_estimators=trees) if "n_estimators" in model.get_params() else {})
    if kind == "bagging of few rows": params["max_samples"] = min(4, n)
    weight = rng.random(n) + 1e-9 if weighted else None
    model = type(model)(**(model.get_params(deep=False) | params)).fit(X, y, sample_weight=weight)
    bounds = (low, low + width, low / 2, low / 2 + width)
    assert_exact(model, bounds, n=300)
    for tree in getattr(model, "estimators_", [model]):
        if tree.n_features_in_ == 2: assert_tiles(tree, bounds, n=100)


def test_bounds_on_thresholds():
    "The outer border belongs to the field, also where a cut runs along it."
    X, y = noisy()
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    cuts = [np.sort(last_left(thresholds(model, j))) for j in (0, 1)]
    bounds = tuple(float(v) for v in (cuts[0][5], cuts[0][-5], cuts[1][5], cuts[1][-5]))
    field = assert_exact(model, bounds)
    corners = np.array([[x, y] for x in bounds[:2] for y in bounds[2:]])
    np.testing.assert_allclose(field.at(corners), model.predict_proba(corners), rtol=1e-12)
    for tree in model.estimators_: assert_tiles(tree, bounds)


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes, load_digits],
                         ids=lambda f: f.__name__)
def test_more_columns_than_two(load):
    "Two columns of a table, the others held at one of its rows."
    X, y = load(return_X_y=True)
    model = (RandomForestRegressor if load is load_diabetes else RandomForestClassifier)(20, random_state=0).fit(X, y)
    importance = np.argsort(-model.feature_importances_)
    columns, held = (int(importance[0]), int(importance[3])), X[7]
    low, high = X.min(0)[list(columns)], X.max(0)[list(columns)]
    field = forest_field(model, (low[0], high[0], low[1], high[1]), columns=columns, held=held)
    rows = np.tile(held, (5000, 1))
    rows[:, columns] = np.random.default_rng(0).uniform(low, high, (5000, 2))
    np.testing.assert_allclose(field.at(rows[:, columns]), answer(model, rows), rtol=1e-12)
    boxes, values = tree_boxes(model.estimators_[0], (low[0], high[0], low[1], high[1]), columns, held)
    assert np.isclose(((boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])).sum(), np.prod(high - low))


BAGGED = {"some columns": dict(max_features=3), "drawn columns": dict(max_features=4, bootstrap_features=True),
          "all columns": {}}


@pytest.mark.parametrize("options", BAGGED.values(), ids=list(BAGGED))
def test_a_bagging_whose_trees_see_other_columns(options):
    "Each tree by itself: its rectangles tile the plane, and hold what it says."
    X, y = load_wine(return_X_y=True)
    model = BaggingClassifier(DecisionTreeClassifier(), 15, random_state=0, **options).fit(X, y)
    held, columns, bounds = X[3], (6, 9), (0.3, 5.1, 1.0, 13.0)
    rows = np.tile(held, (3000, 1))
    rows[:, columns] = np.random.default_rng(0).uniform(bounds[::2], bounds[1::2], (3000, 2))
    np.testing.assert_allclose(forest_field(model, bounds, columns=columns, held=held).at(rows[:, columns]),
                               model.predict_proba(rows), rtol=1e-12)
    for tree, own in zip(model.estimators_, model.estimators_features_):
        boxes, values = tree_boxes(tree, bounds, columns, held, own)
        x, yy = rows[:, columns].T[:, :, None]
        owner = (boxes[:, 0] < x) & (x <= boxes[:, 1]) & (boxes[:, 2] < yy) & (yy <= boxes[:, 3])
        assert (owner.sum(1) == 1).all()
        np.testing.assert_array_equal(values[owner.argmax(1)], tree.predict_proba(rows[:, own]))


@pytest.mark.parametrize("model", [RandomForestClassifier(30), RandomForestRegressor(30), DecisionTreeRegressor()],
                         ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("gaps", [0.3, 0], ids=["gaps seen in training", "none seen"])
def test_a_held_value_that_is_missing(model, gaps):
    "A NaN among the held columns goes where each tree sends missing values."
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = (X[:, 0] + X[:, 2] > 0).astype(int)
    X[rng.random(400) < gaps, 2] = np.nan
    model.set_params(random_state=0, max_features=2).fit(X, y)
    rows = np.tile([0, 0, np.nan, 0.3], (2000, 1))
    rows[:, :2] = rng.uniform(-2, 2, (2000, 2))
    np.testing.assert_allclose(forest_field(model, (-2, 2, -2, 2), held=rows[0]).at(rows[:, :2]), answer(model, rows),
                               rtol=1e-12)


@each({"tree": DecisionTreeClassifier(), "extra-trees": ExtraTreesClassifier(5),
       "bagging of some columns": BaggingClassifier(DecisionTreeClassifier(), 5, max_features=4)})
def test_the_path_of_a_row(model):
    "The questions are those of scikit-learn's own decision path, and lead to the leaf that it names."
    X, y = load_wine(return_X_y=True)
    model.set_params(random_state=0).fit(X, y)
    trees = getattr(model, "estimators_", [model])
    for tree, own in zip(trees, getattr(model, "estimators_features_", [None] * len(trees))):
        inside = X if own is None else X[:, own]
        nodes = tree.decision_path(inside.astype(np.float32))
        for i in range(0, len(X), 20):
            visited, asked = nodes[i].indices, path(tree, X[i], own)
            assert len(asked) == len(visited) - 1
            for (column, threshold, yes), node, after in zip(asked, visited, visited[1:]):
                assert column == (tree.tree_.feature[node] if own is None
                                  else own[tree.tree_.feature[node]]) and threshold == tree.tree_.threshold[node]
                assert after == (tree.tree_.children_left if yes else tree.tree_.children_right)[node]


def test_votes():
    X, y = noisy()
    model = RandomForestClassifier(30, max_depth=3, random_state=0).fit(X, y)
    points, _ = hard_points(model, BOUNDS, 5000)
    votes = np.mean([np.eye(3)[t.predict(points).astype(int)] for t in model.estimators_], axis=0)
    np.testing.assert_allclose(forest_field(model, BOUNDS, votes=True).at(points), votes, rtol=1e-12)


# ── rectangles ──

def assert_tiles(tree, bounds, n=2000, seed=0):
    "Each point belongs to one box, the boxes' areas sum to the whole, and each says what the tree says."
    boxes, values = tree_boxes(tree, bounds)
    assert boxes.shape[1] == 4 and len(boxes) == len(values) <= tree.get_n_leaves()
    x0, x1, y0, y1 = boxes.T
    assert (x0 < x1).all() and (y0 < y1).all()
    np.testing.assert_allclose(((x1 - x0) * (y1 - y0)).sum(), (bounds[1] - bounds[0]) * (bounds[3] - bounds[2]),
                               rtol=1e-9)
    for points in hard_points(tree, bounds, n, seed):
        points = points[(points > [bounds[0], bounds[2]]).all(1)]
        if not len(points): continue
        x, y = points.T[:, :, None]
        owner = (x0 < x) & (x <= x1) & (y0 < y) & (y <= y1)
        assert (owner.sum(1) == 1).all()
        np.testing.assert_array_equal(values[owner.argmax(1)], answer(tree, points))


@pytest.mark.parametrize("tree", [DecisionTreeClassifier(), DecisionTreeRegressor(), ExtraTreeClassifier(),
                                  ExtraTreeRegressor(), DecisionTreeClassifier(max_depth=1)],
                         ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("bounds", [BOUNDS, (-0.5, 0.25, 0, 1), (10, 11, 10, 11)], ids=["all", "a part", "outside"])
def test_boxes_tile(tree, bounds):
    X, y = noisy()
    assert_tiles(tree.set_params(random_state=0).fit(X, y), bounds)


@given(st.floats(-3e38, 3e38))
@settings(max_examples=500, deadline=None)
def test_last_left(threshold):
    with np.errstate(over="ignore"):
        x = last_left([threshold])[0]
        assert float(np.float32(x)) <= threshold < float(np.float32(np.nextafter(x, np.inf)))


# ── above max_cells ──

CROWD = """
import time, tracemalloc
import numpy as np, psutil
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from lessonkit.bagging import forest_field
rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 2))
models = [ExtraTreesClassifier(100, random_state=0).fit(X, rng.integers(0, classes, 1500)) for classes in (2, 10)]
models.append(ExtraTreesRegressor(100, random_state=0).fit(X, rng.normal(size=1500)))
points = rng.uniform(-3, 3, (2000, 2))
for model in models:
    inner = [t.tree_ for t in model.estimators_]
    cuts = [len(np.unique(np.concatenate([t.threshold[t.feature == j] for t in inner]))) for j in (0, 1)]
    assert cuts[0] * cuts[1] > 1e8, cuts
    tracemalloc.start()
    field = forest_field(model, (-3, 3, -3, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    start = time.perf_counter()
    forest_field(model, (-3, 3, -3, 3))
    took = time.perf_counter() - start
    x, y = ((e[:-1] + e[1:]) / 2 for e in (field.xs, field.ys))
    i, j = rng.integers(0, len(y), 5000), rng.integers(0, len(x), 5000)
    asked = np.stack([x[j], y[i]], 1)
    right = model.predict_proba(asked) if hasattr(model, "classes_") else model.predict(asked)[:, None]
    assert np.allclose(field.values[i, j], right, rtol=1e-12, atol=1e-14), "not its answer at the centers"
    print(field.exact, peak / 2**20, took)
"""


def test_a_crowd_of_borders():
    "More than 10^8 cells: pixels, in little time and memory, and it says so."
    out = subprocess.run([sys.executable, "-W", "error", "-c", CROWD], check=True, capture_output=True,
                         text=True).stdout
    for line in out.splitlines():
        exact, peak, took = line.split()
        assert exact == "False" and float(peak) < 500 and float(took) < 2, line
    assert len(out.splitlines()) == 3


def test_max_cells_is_kept():
    X, y = noisy()
    model = RandomForestClassifier(20, random_state=0).fit(X, y)
    n = np.prod(forest_field(model, BOUNDS).values.shape[:2])
    assert forest_field(model, BOUNDS, max_cells=int(n)).exact
    less = forest_field(model, BOUNDS, max_cells=int(n) - 1)
    assert not less.exact and np.prod(less.values.shape[:2]) < n
    assert forest_field(model, BOUNDS, max_cells=1).values.shape == (1, 1, len(model.classes_))


# ── trees by hand, out of bag ──

@given(seed=st.integers(0, 2**31), n=st.integers(4, 60), min_leaf=st.integers(1, 5), classes=st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_no_better_question_than_scikit_learns(seed, n, min_leaf, classes):
    "At the root: what is gained by its question is the most there is, by ours as well."
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    y = rng.integers(0, classes, n) if classes else rng.normal(size=n)
    impurity = entropy if classes else variance
    tree = (DecisionTreeClassifier(criterion="entropy", max_depth=1, min_samples_leaf=min_leaf) if classes
            else DecisionTreeRegressor(max_depth=1, min_samples_leaf=min_leaf)).fit(X, y)
    ours = best_split(X, y, impurity, min_leaf)
    if tree.tree_.node_count == 1:
        assert ours is None or impurity(y) < 1e-15
        return
    theirs = gain(y, X[:, tree.tree_.feature[0]] <= tree.tree_.threshold[0], impurity)
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("load, depth", [(load_diabetes, 4), (load_wine, 3)],
                         ids=lambda v: getattr(v, "__name__", None))
def test_a_tree_by_hand_answers_as_scikit_learns(load, depth):
    X, y = load(return_X_y=True)
    mine = grow(X, y, variance if load is load_diabetes else entropy, max_depth=depth)
    theirs = (DecisionTreeRegressor(max_depth=depth, random_state=0) if load is load_diabetes
              else DecisionTreeClassifier(criterion="entropy", max_depth=depth, random_state=0)).fit(X, y)
    np.testing.assert_allclose(np.array([mine.answer(x) for x in X.astype(np.float32)]).reshape(len(X), -1),
                               answer(theirs, X), rtol=1e-9)


@pytest.mark.parametrize("model", [RandomForestClassifier(60, oob_score=True), ExtraTreesClassifier(60, bootstrap=True,
    oob_score=True),
                                   BaggingClassifier(n_estimators=60, oob_score=True),
                                   RandomForestRegressor(60, oob_score=True),
                                   BaggingRegressor(n_estimators=60, oob_score=True)],
                         ids=lambda m: type(m).__name__)
def test_the_out_of_bag_curve_ends_at_scikit_learns_score(model):
    X, y = (load_diabetes if hasattr(model,
                                     "predict") and "Regressor" in type(model).__name__ else load_wine)(return_X_y=True)
    model.set_params(random_state=0).fit(X, y)
    curve = oob_curve(model, X, y)
    assert curve.shape == (60,) and curve[-1] < curve[0]
    np.testing.assert_allclose(curve[-1],
                               1 - model.oob_score_ if hasattr(model, "classes_") else (1 - model.oob_score_) * y.var())


def test_the_curve_takes_other_draws():
    X, y = load_wine(return_X_y=True)
    model = RandomForestClassifier(20, random_state=0).fit(X, y)
    np.testing.assert_array_equal(oob_curve(model, X, y, model.estimators_samples_), oob_curve(model, X, y))
    nobody = oob_curve(model, X, y, [np.arange(len(X))] * 20)
    assert np.isnan(nobody).all()


@pytest.mark.parametrize("words, change", [
    ("sparse", lambda X, y: (csr_matrix(X), y)), (r"shape \(60,\)", lambda X, y: (X[:, 0], y)),
    (r"rows of 2 columns", lambda X, y: (np.c_[X, X], y)), ("60 rows and y 59", lambda X, y: (X, y[1:])),
    ("give one target", lambda X, y: (X, np.c_[y, y])), ("gap", lambda X, y: (X, np.where(y > 0, np.nan, y))),
])
def test_the_curve_refuses_what_is_not_the_forests(words, change):
    X, y = noisy(60)
    model = RandomForestRegressor(5, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=words): oob_curve(model, *change(X, y))


OWN = {"random forest": RandomForestClassifier(12), "extra-trees": ExtraTreesClassifier(12),
       "extra-trees with bootstrap": ExtraTreesClassifier(12, bootstrap=True),
       "bagging": BaggingClassifier(n_estimators=12), "bagging of some columns": BaggingClassifier(n_estimators=12,
       max_features=5, bootstrap_features=True),
       "pasting": BaggingClassifier(n_estimators=12, bootstrap=False, max_samples=0.5),
       "numbers": BaggingRegressor(n_estimators=12, max_features=6)}


@each(OWN)
def test_one_tree_of_your_own_forest_is_drawn_anew(model):
    "What the explorer computes is the forest's, before and after a tree has another draw; the forest given stays."
    X, y = load_wine(return_X_y=True)
    numbers = not hasattr(model, "predict_proba")
    model.set_params(random_state=0).fit(X, y)
    data = two_columns(X, y, columns=(6, 9), numbers=numbers)
    own_forest(model, data)
    before = with_draws(model, data)
    after, said = with_new_draw(before, 5, seed=7), answer(model, X)
    np.testing.assert_array_equal(answer(model, X), said)
    np.testing.assert_array_equal(np.delete(after.fields, 5, 0), np.delete(before.fields, 5, 0))
    for seen in (before, after):
        assert len(seen.drawn) == 12 and all(seen.times(i).sum() == len(seen.drawn[i]) for i in range(12))
        assert (seen.curve is None) == (not seen.forest.bootstrap)
        for i, tree in enumerate(seen.forest.estimators_):
            rows, own = data.row([2.0, 6.0])[None], seen.features(i)
            inside = rows if own is None else rows[:, own]
            boxes = seen.boxes(i)
            assert ((boxes[:, 0] < 2) & (2 <= boxes[:, 1]) & (boxes[:, 2] < 6) & (6 <= boxes[:, 3])).sum() == 1
            assert len(seen.questions(i, rows[0])) == tree.decision_path(inside.astype(np.float32)).sum() - 1
    if "extra-trees" not in str(type(model)).lower() and before.curve is not None:
        assert (after.times(5) != before.times(5)).any()


@each(CLASSIFIERS | {f"{k}, numbers": m for k, m in REGRESSORS.items()})
def test_every_trees_answer(model):
    X, y = noisy()
    model.set_params(random_state=0).fit(X, y)
    np.testing.assert_allclose(tree_answers(model, X).mean(0), answer(model, X), rtol=1e-12, atol=1e-15)


# ── refusals ──

X2, Y2 = noisy(60)


@pytest.mark.parametrize("forest, error, words", [
    (lambda: IsolationForest(n_estimators=2).fit(X2), TypeError, "IsolationForest"),
    (lambda: MultiOutputRegressor(DecisionTreeRegressor()).fit(X2, X2), TypeError, "MultiOutputRegressor"),
    (lambda: BaggingClassifier(KNeighborsClassifier(), 2).fit(X2, Y2), TypeError, "bags KNeighborsClassifier"),
    (lambda: RandomForestClassifier(2).fit(X2, np.stack([Y2, Y2], 1)), TypeError, "several labels"),
    (lambda: RandomForestClassifier(2), NotFittedError, "not fitted"),
    (lambda: "forest", TypeError, "str"),
])
def test_refused_forests(forest, error, words):
    with pytest.raises(error, match=words): forest_field(forest(), BOUNDS)


@pytest.mark.parametrize("bounds", [(0, 1, 0), (1, 0, 0, 1), (0, 1, 1, 1), (0, np.inf, 0, 1), (0, 1, np.nan, 1)])
def test_refused_bounds(bounds):
    model = DecisionTreeClassifier().fit(X2, Y2)
    for f in (forest_field, tree_boxes):
        with pytest.raises(ValueError, match="bounds"): f(model, bounds)


def test_a_field_has_no_answer_outside():
    field = forest_field(DecisionTreeClassifier().fit(X2, Y2), BOUNDS)
    for point in ([5, 0], [0, -5], [np.nan, 0]):
        with pytest.raises(ValueError, match="outside"): field.at([point])
