"""`forest_field` (lesson 10) against scikit-learn's, mlxtend's and dtreeviz's pictures of a boundary: 100 trees, 500
points.

The peers ask the forest at the points of a grid and draw; what is timed of them here includes their drawing, for they
offer nothing less (dtreeviz takes one tree at a time). So the asking alone is timed as well."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import DecisionBoundaryDisplay

from lessonkit.bagging import forest_field, tree_boxes
from side_by_side import interleave, peer, rows

PEERS = ["scikit-learn", "mlxtend", "dtreeviz"]
OURS, ASK, DISPLAY = "lessonkit `forest_field`", "`predict_proba` on the grid", "scikit-learn `DecisionBoundaryDisplay`"
BOUNDS = (-2.5, 3.5, -2.0, 2.5)


def fitted():
    X, y = make_moons(500, noise=0.3, random_state=0)
    return X, y, RandomForestClassifier(100, random_state=0).fit(X, y)


def grid(nx, ny):
    "(ny * nx, 2): pixel centers over the bounds."
    x, y = ((np.arange(n) + 0.5) / n * (b - a) + a for n, a, b in [(nx, *BOUNDS[:2]), (ny, *BOUNDS[2:])])
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


def display(X, forest, resolution):
    "scikit-learn's picture, on the data's own range and a margin, as it does by default."
    DecisionBoundaryDisplay.from_estimator(forest, X, grid_resolution=resolution, response_method="predict_proba")
    plt.close("all")


def mlxtend_regions(X, y, forest):
    "mlxtend's picture at its defaults; None where it is not installed."
    plotting = peer("mlxtend.plotting")
    if plotting is None: return None

    def draw():
        plotting.plot_decision_regions(X, y, forest)
        plt.close("all")

    return draw


def dtreeviz_spaces(X, y, forest):
    "dtreeviz's picture of each of the forest's trees; None where it is not installed."
    dtreeviz = peer("dtreeviz")
    if dtreeviz is None: return None

    def draw():
        for tree in forest.estimators_:
            model = dtreeviz.model(tree, X, y, feature_names=["x", "y"], target_name="class", class_names=["0", "1"])
            model.ctree_feature_space(features=["x", "y"], fontname="DejaVu Sans", ax=plt.figure().add_subplot())
            plt.close("all")

    return draw


def check_same(forest):
    "The field is the forest, or the comparison means nothing."
    points, field = grid(200, 200), forest_field(forest, BOUNDS)
    assert field.exact
    np.testing.assert_allclose(field.at(points), forest.predict_proba(points), rtol=1e-12)
    return field


def measure(what, contestants, demanded, **kw):
    seconds = interleave(contestants, **kw)
    return rows(
        "bagging", what, "ms", {who: s and [t * 1e3 for t in s] for who, s in seconds.items()}, False, demanded=demanded
    )


def run():
    X, y, forest = fitted()
    ny, nx, _ = check_same(forest).values.shape
    coarse, fine = grid(200, 200), grid(nx, ny)
    table = measure("100 trees, 500 points: exact, or sampled at 200 × 200", {
        OURS: lambda: forest_field(forest, BOUNDS),
        ASK: lambda: forest.predict_proba(coarse),
        DISPLAY: lambda: display(X, forest, 200),
        "mlxtend `plot_decision_regions`": mlxtend_regions(X, y, forest),
    }, {DISPLAY: 1}, repeats=7)
    table += measure(f"100 trees, 500 points: as many cells as there are borders, {nx} × {ny}", {
        OURS: lambda: forest_field(forest, BOUNDS),
        ASK: lambda: forest.predict_proba(fine),
        DISPLAY: lambda: display(X, forest, max(nx, ny)),
    }, {DISPLAY: 5, ASK: 5}, repeats=5)
    return table + measure("rectangles of each of the 100 trees", {
        "lessonkit `tree_boxes`": lambda: [tree_boxes(t, BOUNDS) for t in forest.estimators_],
        "dtreeviz `ctree_feature_space`, drawn": dtreeviz_spaces(X, y, forest),
    }, {}, repeats=3)
