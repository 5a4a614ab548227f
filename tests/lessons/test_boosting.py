"""Kinds of forest beside those of lesson 10, through the same adapter: fields and contributions, both exact.

A new kind is one more row of `MODELS`. For boosting, also what is refused because trees add up."""
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
                              HistGradientBoostingRegressor)
from sklearn.linear_model import LinearRegression

from lessonkit.bagging import forest_field, oob_curve, tree_answers, tree_fields
from lessonkit.engines.flat_forest import FlatForest
from lessonkit.forest_insight import path_contributions, tree_spread, waterfall

BOUNDS, N = (-4.0, 4.0, -4.0, 4.0), 100_000


def two_columns(load, classes=None):
    X, y = load(return_X_y=True)
    if classes: X, y = X[y < classes], y[y < classes]
    X = X[:, [2, 3]]
    return (X - X.mean(0)) / X.std(0), y


MODELS = {
    "two classes": (GradientBoostingClassifier(n_estimators=60, max_depth=4), load_breast_cancer),
    "three classes": (GradientBoostingClassifier(n_estimators=30), load_iris),
    "exponential": (GradientBoostingClassifier(n_estimators=30, loss="exponential"), load_breast_cancer),
    "from zero": (GradientBoostingClassifier(n_estimators=30, init="zero", subsample=.5), load_breast_cancer),
    "numbers": (GradientBoostingRegressor(n_estimators=60, max_depth=4), load_diabetes),
    "median": (GradientBoostingRegressor(n_estimators=30, loss="absolute_error", max_features=1), load_diabetes),
    "quantile": (GradientBoostingRegressor(n_estimators=30, loss="quantile", learning_rate=1.5), load_diabetes),
    "hist, two": (HistGradientBoostingClassifier(max_iter=40), load_breast_cancer),
    "hist, three": (HistGradientBoostingClassifier(max_iter=20), load_iris),
    "hist, numbers": (HistGradientBoostingRegressor(max_iter=40, early_stopping=True), load_diabetes),
    "hist, poisson": (HistGradientBoostingRegressor(max_iter=20, loss="poisson"), load_diabetes)}


def seeded(model):
    "The model, with seed 0 in it and in the models that it is made of, as far as they take one."
    return model.set_params(**{p: 0 for p in model.get_params() if p.split("__")[-1] == "random_state"})


def raw(model, points):
    "What scikit-learn says, in the unit of the sum."
    if hasattr(model, "decision_function"): out = model.decision_function(points)
    elif hasattr(model, "classes_"): out = model.predict_proba(points)
    else: out = np.log(model.predict(points)) if getattr(model, "loss", "") == "poisson" else model.predict(points)
    return out.reshape(len(points), -1)


@pytest.mark.parametrize("name", MODELS)
def test_the_field_is_the_raw_score_everywhere_and_on_thresholds(name):
    model, load = MODELS[name]
    seeded(model).fit(*two_columns(load))
    field, flat, rng = forest_field(model, BOUNDS), FlatForest(model), np.random.default_rng(0)
    assert field.exact
    points = rng.uniform(-4, 4, (N, 2))
    inner = flat.left >= 0
    for j in (0, 1):
        cut = flat.cut[inner & (flat.feature == j)]
        cut = cut[np.abs(cut) < 3.9]
        hard = np.concatenate([cut, np.nextafter(cut, np.inf), np.nextafter(cut, -np.inf)])
        if len(hard): points[: N // 2, j] = rng.choice(hard, N // 2)
    np.testing.assert_allclose(field.at(points), raw(model, points), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["two classes", "hist, numbers"])
def test_trees_that_add_up_have_no_answers_of_their_own(name):
    model, load = MODELS[name]
    X, y = two_columns(load)
    seeded(model).fit(X, y)
    for call in (lambda: tree_answers(model, X), lambda: oob_curve(model, X, y), lambda: tree_fields(model, BOUNDS)):
        with pytest.raises(TypeError, match="add up"): call()
    with pytest.raises(TypeError, match="do not vote"): forest_field(model, BOUNDS, votes=True)
    with pytest.raises(TypeError, match="says nothing about how sure"): tree_spread(model, X)


def test_what_has_no_threshold_or_no_base_is_refused_in_words():
    X, y = two_columns(load_diabetes)
    with pytest.raises(TypeError, match="begins with LinearRegression"):
        forest_field(GradientBoostingRegressor(n_estimators=3, init=LinearRegression()).fit(X, y), BOUNDS)
    whole = (X > 0).astype(int)
    with pytest.raises(TypeError, match="category is in a set"):
        forest_field(HistGradientBoostingRegressor(max_iter=3, categorical_features=[0]).fit(whole, y), BOUNDS)


@pytest.mark.parametrize("name", MODELS)
def test_contributions_sum_to_the_raw_score(name):
    model, load = MODELS[name]
    X, y = load(return_X_y=True)
    seeded(model).fit(X, y)
    found, said = path_contributions(model, X), raw(model, X)
    np.testing.assert_allclose(found.prediction.reshape(said.shape), said, rtol=1e-10, atol=1e-10)
    assert ("raw score" in found.unit) == hasattr(model, "decision_function")
    row = waterfall(found, 3, None if found.classes is None else found.classes[0])
    np.testing.assert_allclose(row["stop"].iloc[-1], said[3, 0])


def test_gaps_go_where_boosted_trees_send_them():
    X, y = load_diabetes(return_X_y=True)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < .2, np.nan, X)
    for learned in (gaps, X):
        model = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(learned, y)
        np.testing.assert_allclose(path_contributions(model, gaps).prediction, model.predict(gaps), rtol=1e-10)


def test_the_bias_of_a_boosting_is_the_mean_answer_to_its_rows():
    "An inner node's value is the mean of its rows' answers, so the base plus all roots is the mean prediction."
    X, y = load_diabetes(return_X_y=True)
    for model in (GradientBoostingRegressor(n_estimators=20), HistGradientBoostingRegressor(max_iter=20)):
        found = path_contributions(seeded(model).fit(X, y), X)
        np.testing.assert_allclose(found.bias, model.predict(X).mean(), rtol=1e-10)
        np.testing.assert_allclose(found.values.sum(1).mean(), 0, atol=1e-8)
