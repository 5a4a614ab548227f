"""What lesson 11 promises of its encoder, importances, contributions and curves, for tables it has not seen."""
import datetime
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn import inspection
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import (BaggingClassifier, BaggingRegressor, ExtraTreesClassifier, ExtraTreesRegressor,
                              RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.linear_model import LinearRegression
from sklearn.metrics import get_scorer
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from lessonkit.course.table_rules import RULES, draw
from lessonkit.forest_insight import (Contributions, Paths, TableEncoder, class_index, error_by_spread, ice,
                                      partial_dependence, path_contributions,
                                      permutation_importance, tree_spread, waterfall)

REGRESSORS = {
    "tree": DecisionTreeRegressor(),
    "extra-tree": ExtraTreeRegressor(max_depth=5),
    "stump of one leaf": DecisionTreeRegressor(max_depth=1, min_samples_leaf=400),
    "random forest": RandomForestRegressor(30),
    "absolute error": RandomForestRegressor(5, criterion="absolute_error", max_depth=5),
    "extra-trees": ExtraTreesRegressor(20, min_samples_leaf=2),
    "bagging": BaggingRegressor(DecisionTreeRegressor(), 15),
    "bagging of columns": BaggingRegressor(DecisionTreeRegressor(), 15, max_features=0.4, bootstrap_features=True),
}
CLASSIFIERS = {
    "tree": DecisionTreeClassifier(),
    "random forest": RandomForestClassifier(30),
    "weighted": RandomForestClassifier(20, class_weight="balanced_subsample", max_depth=4),
    "extra-trees": ExtraTreesClassifier(20, min_samples_leaf=2),
    "few rows a tree": BaggingClassifier(DecisionTreeClassifier(), 15, max_samples=5),  # some trees lack a class
    "bagging of columns": BaggingClassifier(DecisionTreeClassifier(), 15, max_features=0.4),
}


def by_hand(tree, x, columns=None):
    "(n_features, n_out): the changes along one row's path, one question at a time."
    t, node, changed = tree.tree_, 0, np.zeros((len(x), tree.tree_.value.shape[2]))
    while t.children_left[node] >= 0:
        j = t.feature[node] if columns is None else columns[t.feature[node]]
        child = t.children_left[node] if np.float32(x[j]) <= t.threshold[node] else t.children_right[node]
        changed[j] += t.value[child][0] - t.value[node][0]
        node = child
    return changed


# ── contributions ──

@pytest.mark.parametrize("name", REGRESSORS)
def test_contributions_of_regressors_are_exact(name):
    X, y = load_diabetes(return_X_y=True)
    model = REGRESSORS[name].set_params(random_state=0).fit(X[:300], y[:300])
    found = path_contributions(model, X)
    assert found.values.shape == X.shape and isinstance(found.bias, float) and found.classes is None
    np.testing.assert_allclose(found.prediction, model.predict(X), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_contributions_of_classifiers_are_exact_for_each_class(name, load):
    X, y = load(return_X_y=True)
    labels = np.array([f"class {c}" for c in range(y.max() + 1)])[y]
    model = CLASSIFIERS[name].set_params(random_state=0).fit(X[::2], labels[::2])
    found = path_contributions(model, X)
    assert found.values.shape == (*X.shape, y.max() + 1) and list(found.classes) == list(model.classes_)
    np.testing.assert_allclose(found.prediction, model.predict_proba(X), atol=1e-10)
    np.testing.assert_allclose(found.values.sum(-1), 0, atol=1e-10)  # what one class gains the others lose


@pytest.mark.parametrize("model", [REGRESSORS["random forest"], CLASSIFIERS["extra-trees"]], ids=["numbers", "classes"])
def test_contributions_are_those_of_the_walk_by_hand(model):
    X, y = load_iris(return_X_y=True)
    model.set_params(random_state=0).fit(X, y)
    found = path_contributions(model, X[::15]).values.reshape(10, 4, -1)
    slow = np.mean([[by_hand(t, x) for x in X[::15]] for t in model.estimators_], axis=0)
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_values_on_a_threshold_go_left_as_in_scikit_learn():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 3)), rng.normal(size=300)
    model = RandomForestRegressor(20, random_state=0).fit(X, y)
    hard = X.copy()
    for j in range(3):
        cuts = np.concatenate([t.tree_.threshold[t.tree_.feature == j] for t in model.estimators_])
        hard[:, j] = rng.choice(np.concatenate([cuts, np.nextafter(cuts, np.inf), cuts.astype(np.float32)]), 300)
    np.testing.assert_allclose(path_contributions(model, hard).prediction, model.predict(hard), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("model", [DecisionTreeClassifier(), RandomForestRegressor(20), ExtraTreesRegressor(20),
                                   BaggingRegressor(DecisionTreeRegressor(), 10, max_features=.5)])
def test_gaps_go_where_the_trees_send_them(model):
    X, y = load_iris(return_X_y=True)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model.set_params(random_state=0)
    for learned in (gaps, X):  # gaps in training rows, and gaps that only come later
        model.fit(learned, y)
        said = model.predict_proba(gaps) if hasattr(model, "classes_") else model.predict(gaps)
        np.testing.assert_allclose(path_contributions(model, gaps).prediction, said, atol=1e-10)


def test_many_rows_are_walked_in_parts_and_none_is_none():
    X, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(100, max_depth=3, random_state=0).fit(X, y)
    many = np.tile(X, (20, 1))
    np.testing.assert_allclose(path_contributions(model, many).prediction, model.predict(many), rtol=1e-10)
    assert path_contributions(model, X[:0]).values.shape == (0, 10)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(1, 5), st.integers(1, 4), st.integers(0, 10_000))
def test_contributions_of_any_small_forest(n, p, classes, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 4, (n, p)) * 10.0 ** rng.integers(-8, 8), rng.integers(0, classes, n)
    for model in (RandomForestClassifier(5, random_state=seed).fit(X, y),
                  ExtraTreesRegressor(5, random_state=seed).fit(X, y * 1e6)):
        said = model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)
        np.testing.assert_allclose(path_contributions(model, X).prediction, said, rtol=1e-10,
                                   atol=1e-10 * max(1, np.abs(said).max()))


def test_contributions_need_no_names_but_respect_them():
    data = load_iris(as_frame=True)
    model = RandomForestClassifier(5, random_state=0).fit(data.data, data.target)
    assert Paths(model).names == list(data.data)
    with pytest.raises(ValueError, match="another order"): path_contributions(model, data.data[data.data.columns[::-1]])
    with pytest.raises(ValueError, match="lacks"): path_contributions(model, data.data.iloc[:, 1:])
    with pytest.raises(ValueError, match="besides"): path_contributions(model, data.data.assign(more=1))
    with pytest.raises(ValueError, match="rows of 4 columns"): path_contributions(model, data.data.to_numpy()[0])
    with pytest.raises(ValueError, match="infinite"): path_contributions(model, np.full((1, 4), 1e300))


@pytest.mark.parametrize("model", [LinearRegression(), BaggingRegressor(LinearRegression(), 2)])
def test_what_is_no_forest_is_refused(model):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(TypeError, match="LinearRegression"): path_contributions(model.fit(X, y), X)


def test_several_targets_are_refused():
    X, y = load_iris(return_X_y=True)
    for model in (RandomForestRegressor(2), RandomForestClassifier(2)):
        with pytest.raises(TypeError, match="at once"): path_contributions(model.fit(X, np.stack([y, y], 1)), X)


def test_quicker_than_shap_by_ten():
    shap = pytest.importorskip("shap")  # an extra
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 20)), rng.normal(size=1000)
    model = RandomForestRegressor(50, max_depth=8, random_state=0).fit(X, y)
    explainer, best = shap.TreeExplainer(model), {}
    for who, f in {"ours": lambda: path_contributions(model, X[:200]),
                   "shap": lambda: explainer.shap_values(X[:200])}.items():
        f()
        times = []
        for _ in range(5):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
        best[who] = min(times)
    assert best["ours"] * 10 < best["shap"], best


# ── waterfall ──

def test_a_waterfall_leads_from_the_bias_to_the_prediction():
    X, y = load_wine(return_X_y=True)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    found = path_contributions(model, X)
    for top in (1, 3, 12, 13, 50):
        bars = waterfall(found, 70, output=1, top=top)
        np.testing.assert_allclose([bars["start"].iloc[0], bars["stop"].iloc[-1]],
                                   [found.bias[1], model.predict_proba(X[[70]])[0, 1]])
        np.testing.assert_allclose(bars["start"].iloc[1:], bars["stop"].iloc[:-1], atol=1e-12)
        assert len(bars) == (top + 1 if top < 12 else 13)
    assert waterfall(found, 0, 0, top=3).index[-1] == "10 others"
    with pytest.raises(ValueError, match="say which class"): waterfall(found, 0)
    with pytest.raises(ValueError, match="row=178"): waterfall(found, 178, 0)
    with pytest.raises(ValueError, match="top=0"): waterfall(found, 0, 0, top=0)


def test_class_index():
    assert class_index(["no", "yes"]) == 1 and class_index(["a", "b", "c"], "b") == 1 and class_index([7]) == 0
    with pytest.raises(ValueError, match="'d'"): class_index(["a", "b", "c"], "d")


# ── permutation importance ──

@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "r2"])
@pytest.mark.parametrize("frame", [True, False])
def test_permutation_importance_is_scikit_learns(scoring, frame):
    X, y = load_diabetes(return_X_y=True, as_frame=frame)
    model = RandomForestRegressor(10, random_state=0).fit(X[:250], y[:250])
    ours = permutation_importance(model, X[250:], y[250:], n_repeats=4, seed=3, score=scoring and get_scorer(scoring))
    theirs = inspection.permutation_importance(model, X[250:], y[250:], n_repeats=4, random_state=3, scoring=scoring)
    ours_in_order = ours.loc[list(X) if frame else range(10)]
    np.testing.assert_allclose(ours_in_order["mean"], theirs.importances_mean, atol=1e-12)
    np.testing.assert_allclose(ours_in_order["std"], theirs.importances_std, atol=1e-12)
    np.testing.assert_allclose(ours_in_order["min"], theirs.importances.min(1), atol=1e-12)
    assert ours.attrs["score"] == (get_scorer(scoring)(model, X[250:], y[250:]) if scoring else model.score(X[250:],
        y[250:]))
    assert ours["mean"].is_monotonic_decreasing


def test_a_group_moves_together_and_x_stays():
    X = pd.DataFrame({"a": [1.0, 2, 3, 4] * 20, "kind": pd.Categorical(list("wxyz") * 20), "c": np.arange(80) % 3})
    y, seen = X["a"].to_numpy(), []

    class Model:
        def score(self, X, y):
            seen.append(X.copy())
            return -np.abs(X["a"] - y).mean()

    before = X.copy()
    found = permutation_importance(Model(), X, y, {"pair": ["a", "kind"]}, n_repeats=3)
    pd.testing.assert_frame_equal(X, before)
    assert set(found.index) == {"pair", "c"} and found["mean"]["c"] == 0 < found["mean"]["pair"]
    for t in seen:
        assert (t.dtypes == X.dtypes).all() and (t["kind"].cat.codes + 1 == t["a"]).all()  # the pair stays a pair
        assert list(t.index) == list(X.index)


def test_the_group_of_everything_is_a_random_guess():
    X, y = load_iris(return_X_y=True)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    found = permutation_importance(model, X, y, {"all": [0, 1, 2, 3]}, n_repeats=20)
    assert list(found.index) == ["all"] and abs(1 - found["mean"]["all"] - 1 / 3) < 0.05


def test_importances_refuse_what_does_not_fit():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(2, random_state=0).fit(X, y)
    for words, kw in {"does not have": dict(groups={"a": ["petal"]}), "twice": dict(groups={"a": [X.columns[0]] * 2}),
                      "no column": dict(groups={"a": []}),
                      "another name": dict(groups={X.columns[1]: [X.columns[0]]}),
                      "n_repeats=1": dict(n_repeats=1)}.items():
        with pytest.raises(ValueError, match=words): permutation_importance(model, X, y, **kw)
    with pytest.raises(ValueError, match="150 rows and y 3"): permutation_importance(model, X, y[:3])


@pytest.mark.parametrize("ask", [lambda m, X: permutation_importance(m, X, np.zeros(150)), lambda m, X: ice(m, X, 0),
                                 lambda m, X: partial_dependence(m, X, 0), path_contributions, tree_spread])
def test_one_door_for_tables(ask):
    "Sparse, of one dimension, of other columns: refused in one place, in the same words."
    X, y = load_iris(return_X_y=True)
    model = RandomForestRegressor(3, random_state=0).fit(X, y)
    for words, table in {"sparse matrix": csr_matrix(X), "rows of 4 columns": X[:, 0],
                         r"shape \(150, 3\)": X[:, :3]}.items():
        with pytest.raises(ValueError, match=words): ask(model, table)
    ask(model, X.tolist())


def test_noise_is_at_zero_and_impurity_says_otherwise():
    "Over ten tables: the planted column of many values, by both measures."
    away, ranks = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = pd.DataFrame({"acts": rng.integers(0, 2, 900), "noise": rng.random(900)})
        y = (rng.random(900) < 0.3 + 0.4 * X["acts"]).astype(int)
        model = RandomForestClassifier(20, random_state=seed).fit(X[:500], y[:500])
        found = permutation_importance(model, X[500:], y[500:], n_repeats=10)
        away.append(found["mean"]["noise"] / found["std"]["noise"])
        ranks.append(model.feature_importances_[1] > model.feature_importances_[0])
    assert all(ranks) and np.mean(np.abs(away)) < 2 and abs(np.mean(away)) < 1


# ── curves ──

@pytest.mark.parametrize("load, kind", [(load_diabetes, RandomForestRegressor),
                                        (load_breast_cancer, RandomForestClassifier)])
@pytest.mark.parametrize("frame", [True, False])
def test_curves_are_scikit_learns(load, kind, frame):
    X, y = load(return_X_y=True, as_frame=frame)
    X, y = X[:120], y[:120]
    model = kind(10, random_state=0).fit(X, y)
    feature = X.columns[2] if frame else 2
    theirs = inspection.partial_dependence(model, X, [feature], kind="both", method="brute", grid_resolution=15)
    grid = theirs["grid_values"][0]
    np.testing.assert_allclose(ice(model, X, feature, grid), theirs["individual"][0], atol=1e-12)
    np.testing.assert_allclose(partial_dependence(model, X, feature, grid), theirs["average"][0], atol=1e-12)


def test_curves_of_one_of_several_classes_and_their_own_grid():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    curves = [ice(model, X, "petal length (cm)", output=c) for c in range(3)]
    np.testing.assert_allclose(sum(curves), 1)
    grid, lengths = curves[0].columns, X["petal length (cm)"]
    assert curves[0].shape[0] == 150 and len(grid) <= 43 and set(grid) <= set(lengths)
    assert grid.min() == lengths.min() and grid.max() == lengths.max()
    with pytest.raises(ValueError, match="say which class"): partial_dependence(model, X, "petal length (cm)")
    with pytest.raises(ValueError, match="feature='petal'"): ice(model, X, "petal", output=0)
    with pytest.raises(ValueError, match="no rows"): ice(model, X[:0], "petal length (cm)", output=0)


# ── spread ──

def test_spread_is_that_of_the_trees():
    X, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(10, random_state=0).fit(X, y)
    np.testing.assert_allclose(tree_spread(model, X), np.std([t.predict(X) for t in model.estimators_], axis=0))
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    np.testing.assert_allclose(tree_spread(model, X), np.std([t.predict_proba(X.to_numpy()) for t in model.estimators_],
                                                             axis=0))
    with pytest.raises(ValueError, match="one tree"): tree_spread(model.estimators_[0], X.to_numpy())


def test_error_by_spread():
    found = error_by_spread(np.arange(10.0) ** 2, np.arange(10.0)[::-1], bins=5)
    assert list(found["error"]) == [(81 + 64) / 2, (49 + 36) / 2, (25 + 16) / 2, (9 + 4) / 2,
                                    0.5] and list(found["rows"]) == [2] * 5
    for words, args in {"one number a row": ([1, 2], [1]), "bins=3": ([1, 2], [1, 2], 3)}.items():
        with pytest.raises(ValueError, match=words): error_by_spread(*args)


# ── the encoder ──

def test_one_mapping_for_all_rows():
    table = pd.DataFrame({"town": ["b", None, "a", "b"], "size": [1.0, np.nan, 3, 9],
                          "when": pd.to_datetime(["2020-02-29", None, "2021-01-01", "2021-12-31"]),
                          "ok": pd.array([True, None, False, True], "boolean"),
                          "grade": pd.Categorical(list("lmhl"), list("lmh"), ordered=True)}, index=[7, 3, 5, 1])
    encoder = TableEncoder()
    out = encoder.fit_transform(table)
    assert list(out.index) == [7, 3, 5, 1] and (out.dtypes == np.float64).all() and not out.isna().any().any()
    assert list(out["town"]) == [2, 0, 1, 2] and list(out["grade"]) == [1, 2, 3, 1] and list(out["size"]) == [1, 3, 3,
        9] and list(out["size_na"]) == [0, 1, 0, 0]
    assert list(out["ok"]) == [1, 1, 0, 1] and list(out["ok_na"]) == [0, 1, 0, 0]
    assert out["when_days"][7] == (datetime.date(2020, 2, 29) - datetime.date(1970, 1,
        1)).days and out["when_day_of_week"][7] == 5 and out["when_day_of_year"][1] == 365
    assert [c for group in encoder.groups.values() for c in group] == list(out)
    later = pd.DataFrame({"grade": ["x"], "ok": [False], "when": [pd.Timestamp("2024-05-05")], "size": [2],
                          "town": ["c"], "unasked": [object()]})
    out = encoder.transform(later)
    assert out["town"][0] == 0 and out["grade"][0] == 0 and out["size"][0] == 2 and out["when_year"][0] == 2024
    gapless = TableEncoder().fit(later[["size"]])
    assert list(gapless.transform(pd.DataFrame({"size": [np.nan]}))) == ["size"]  # no gap was learned: no column for it


@pytest.mark.parametrize("name", list(RULES))
def test_it_takes_the_course_s_tables(name):
    table = draw(name, 300).drop(columns=RULES[name].target)
    table = table.dropna(axis=1, how="all")
    encoder = TableEncoder().fit(table[:200])
    X = encoder.transform(table[200:])
    assert list(X) == list(encoder.transform(table[:200])) and np.isfinite(X.to_numpy()).all()
    pd.testing.assert_frame_equal(encoder.transform(table)[200:], X)
    text = [c for c in encoder.levels if table[c][:200].notna().all()]
    back = [encoder.word(text[0], v) for v in encoder.transform(table[:200])[text[0]]]
    assert back == list(table[text[0]][:200])


@pytest.mark.parametrize("words, column", {
    "'c' holds list": [[1], [2]], "'c' holds int and str": [1, "a"], "'c' holds complex": [1j, 2],
    "'c' holds infinite": [1.0, np.inf], "'c' holds nothing": [None, np.nan],
    "'c' holds durations": pd.to_timedelta([1, 2], "D"), "'c' holds periods": pd.period_range("2020",
    periods=2)}.items())
def test_what_it_cannot_take_is_refused_by_name(words, column):
    with pytest.raises(ValueError, match=words): TableEncoder().fit(pd.DataFrame({"fine": [1, 2], "c": column}))


def test_other_columns_than_fitted_are_refused_by_name():
    encoder = TableEncoder().fit(pd.DataFrame({"n": [1, 2], "t": ["a", "b"]}))
    for words, table in {"'t' is missing": {"n": [1]}, "'n' is a category here": {"n": ["1"], "t": ["a"]},
                         "'t' is a number here": {"n": [1], "t": [5]}}.items():
        with pytest.raises(ValueError, match=words): encoder.transform(pd.DataFrame(table))
    with pytest.raises(ValueError, match="call fit first"): TableEncoder().transform(pd.DataFrame({"n": [1]}))
    with pytest.raises(ValueError, match="no rows"): TableEncoder().fit(pd.DataFrame({"n": []}))
    with pytest.raises(ValueError, match="come twice"): TableEncoder().fit(pd.DataFrame([[1, 2]], columns=["n", "n"]))
    with pytest.raises(TypeError, match="DataFrame"): TableEncoder().fit(np.zeros((2, 2)))


# ── the module ──

def test_it_needs_neither_shap_nor_a_picture():
    code = ("import sys; sys.modules['shap'] = None; import lessonkit.forest_insight; "
            "assert not {'matplotlib.pyplot', 'ipywidgets', 'plotly'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_contributions_say_what_they_are():
    c = Contributions(1.0, np.array([[2.0, -1.0]]), ["a", "b"])
    assert c.prediction == [2.0] and list(waterfall(c, 0)["change"]) == [2.0, -1.0]
