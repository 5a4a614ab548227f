"`TableEncoder` as a scikit-learn transformer, and the tables it meets."
import datetime
import decimal
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from lessonkit.bagging import oob_curve
from lessonkit.engines.table_encoder import TableEncoder
from lessonkit.forest_insight import ice, path_contributions, permutation_importance
from lessonkit.search import grid, search

ORDER = ["Po", "Fa", "TA", "Gd", "Ex"]


def mixed(n=120, seed=0):
    "Texts, an order, gaps, nullable dtypes, dates, bools with gaps; and a target."
    rng = np.random.default_rng(seed)
    size, kitchen = rng.normal(100, 20, n), rng.integers(0, 5, n)
    table = pd.DataFrame({
        "size": np.where(rng.random(n) < .1, np.nan, size), "kitchen": np.array(ORDER)[kitchen],
        "rooms": pd.array(np.where(rng.random(n) < .1, None, rng.integers(1, 9, n)), "Int64"),
        "garage": [None if r < .1 else bool(r < .5) for r in rng.random(n)],
        "pool": pd.array(rng.random(n) < .5, "boolean"), "town": pd.array(rng.choice(["a", "b", None], n), "string"),
        "sold": pd.Timestamp("2010-01-01") + pd.to_timedelta(rng.integers(0, 999, n), "D")}, index=np.arange(n)[::-1])
    return table, size + 10 * kitchen


def test_it_goes_wherever_a_transformer_goes():
    table, y = mixed()
    encoder = TableEncoder({"kitchen": ORDER})
    model = make_pipeline(encoder, RandomForestRegressor(10, random_state=0))
    assert cross_val_score(model, table, y, cv=3).min() > .2
    again = clone(encoder)
    assert again is not encoder and again.get_params()["ordered"] == {"kitchen": ORDER} and not hasattr(again, "kinds_")
    chosen = GridSearchCV(model, {"tableencoder__ordered": [None, {"kitchen": ORDER}]}, cv=3).fit(table, y)
    assert chosen.best_score_ > .2
    found = search(model, [{"randomforestregressor__max_depth": d} for d in (2, 8)], (table[:80], y[:80]),
                   (table[80:], y[80:]), progress=False)
    assert found.error.eq("").all() and found.score[1] > found.score[0]
    names = list(model.fit(table, y)[0].get_feature_names_out())
    assert list(model[1].feature_names_in_) == names == list(model[0].transform(table))
    X = model[0].transform(table)
    np.testing.assert_allclose(path_contributions(model[1], X).prediction, model[1].predict(X), rtol=1e-10)
    assert ice(model, table, "size", [80, 120]).mean().is_monotonic_increasing
    assert permutation_importance(model, table, y, score="neg_mean_absolute_error", n_repeats=2).index[0] == "size"
    with pytest.raises(ValueError, match="another order"): oob_curve(model[1], X[X.columns[::-1]], y)


def test_set_output():
    table, _ = mixed()
    out = TableEncoder().set_output(transform="pandas").fit_transform(table)
    assert isinstance(out, pd.DataFrame) and list(out.index) == list(table.index) and np.isfinite(out).all(axis=None)


def test_an_order_is_taken_as_given():
    table = pd.DataFrame({"kitchen": ["TA", None, "Ex", "Fa"]})
    encoder = TableEncoder({"kitchen": ORDER}).fit(table)
    assert encoder.transform(table)["kitchen"].tolist() == [3, 0, 5, 2] and encoder.word("kitchen", 5) == "Ex"
    for words, ordered in {"holds ['Ex']": {"kitchen": ORDER[:4]}, "does not have": {"bath": ORDER},
                           "twice": {"kitchen": [*ORDER, "Ex"]}}.items():
        with pytest.raises(ValueError, match=words.replace("[", r"\[")): TableEncoder(ordered).fit(table)
    with pytest.raises(ValueError, match="order of its own"):
        TableEncoder({"n": [1, 2]}).fit(pd.DataFrame({"n": [1, 2]}))


@pytest.mark.parametrize("column, want", {
    "bools with gaps": ([True, None, False, True], [1, 1, 0, 1]),
    "ints as objects": (np.array([1, 2, 3, None], object), [1, 2, 3, 2]),
    "decimals": ([decimal.Decimal(1), decimal.Decimal(2)] * 2, [1, 2, 1, 2]),
    "nullable": (pd.array([1, None, 3, 2], "Int64"), [1, 2, 3, 2]),
    "nullable bools": (pd.array([True, None, False, True], "boolean"), [1, 1, 0, 1]),
    "ints beside floats": (np.array([1, 2.5, True, 3], object), [1, 2.5, 1, 3])}.items())
def test_numbers_in_disguise(column, want):
    values, want = want
    assert TableEncoder().fit_transform(pd.DataFrame({"c": values}))["c"].tolist() == want, column


def test_dates_in_disguise():
    days = ["2011-11-16", "2004-03-26", None]
    as_dates = TableEncoder().fit_transform(pd.DataFrame({"d": [d and datetime.date.fromisoformat(d) for d in days]}))
    as_texts = pd.DataFrame({"d": days})
    pd.testing.assert_frame_equal(TableEncoder(dates=["d"]).fit_transform(as_texts), as_dates)
    for texts, offers in ((days, True), (["11/16/2006 0:00", "3/26/2004 0:00"], True),
                          (["A5 21171", "PC 17599"], False),
                          (["1-2 rooms", "3-4 rooms"], False), (["10-20", "20-30"], False)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            TableEncoder().fit(pd.DataFrame({"d": texts}))
        assert bool(said) == offers and all("dates=['d']" in str(w.message) for w in said), texts
    with pytest.raises(ValueError, match="'d' holds a text that is no date"):
        TableEncoder(dates=["d"]).fit(pd.DataFrame({"d": ["2011-11-16", "soon"]}))
    with pytest.raises(ValueError, match="does not have"): TableEncoder(dates=["e"]).fit(as_texts)


def test_one_row_and_none():
    table = pd.DataFrame({"size": [1.5], "town": ["a"], "sold": [pd.Timestamp("2010-05-01")]})
    encoder = TableEncoder().fit(table)
    assert encoder.transform(table).shape[0] == 1 and encoder.transform(table[:0]).shape[0] == 0
    with pytest.raises(ValueError, match="'e' holds nothing"): TableEncoder().fit(table.assign(e=None))
    with pytest.raises(NotFittedError, match="call fit first"): TableEncoder().get_feature_names_out()
    twice = pd.concat([table, table[["size"]]], axis=1)
    with pytest.raises(ValueError, match=r"twice: \['size'\]"): encoder.transform(twice)


@pytest.mark.parametrize("words, column", [
    ("periods", pd.period_range("2020", periods=3, freq="D")), ("durations", pd.to_timedelta([1, 2, 3], unit="s")),
    ("complex numbers", [1j, 2j, 3j]), ("infinite", [np.inf, 1, 2]), ("holds list", [[1], [2], [3]])])
def test_what_has_no_place_in_a_table_is_named_with_its_column(words, column):
    with pytest.raises(ValueError, match=f"column 'c' holds {words}|column 'c' {words}"):
        TableEncoder().fit(pd.DataFrame({"c": column}))


def test_some_columns_alone_and_dates_with_a_zone():
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "d": pd.date_range("2020", periods=2, tz="UTC")})
    assert make_column_transformer((TableEncoder(), ["a", "b"])).fit_transform(table).shape == (2, 2)
    assert TableEncoder().fit_transform(table)["d_day"].tolist() == [1, 2]


def through_everything(table):
    "Pipeline, cross-validation, search and contributions; the last are checked against the forest."
    y = np.arange(len(table)) % 2
    encoder = TableEncoder(dates=[c for c in table if c == "sold"])
    made = make_pipeline(encoder, RandomForestClassifier(3, random_state=0))
    scores = cross_val_score(made, table, y, cv=3, error_score="raise")
    depths = grid({"randomforestclassifier__max_depth": [1, 3]})
    found = search(made, depths, (table[:30], y[:30]), (table[30:], y[30:]), progress=False)
    fitted = made.fit(table, y)
    why = path_contributions(fitted[1], fitted[0].transform(table))
    np.testing.assert_allclose(why.prediction, fitted.predict_proba(table), atol=1e-10)
    assert np.isfinite(scores).all() and not found.error.any() and len(fitted.predict(table.head(1))) == 1


N = 40
PLAIN = pd.DataFrame({"km": np.random.default_rng(0).normal(size=N), "who": ["a", "b", "c", "a"] * (N // 4)})


@pytest.mark.parametrize("more", [
    dict(flag=[True, False] * (N // 2), when=pd.date_range("2020", periods=N),
         size=pd.Categorical(["lo", "hi"] * (N // 2))),
    dict(whole=pd.array([None, 1, 2, 3] * (N // 4), "Int64"), yes=pd.array([None, True] * (N // 2), "boolean"),
         real=pd.array([None, .5] * (N // 2), "Float64"), text=pd.array([None, "x"] * (N // 2), "string")),
    dict(sold=pd.date_range("2020", periods=N).strftime("%Y-%m-%d")),
    dict(when=pd.date_range("2020", periods=N, tz="Europe/Berlin")),
    dict(rare=["z"] * 14 + ["w"] * 26),  # a training part lacks one of them
    dict(sparse=pd.arrays.SparseArray([0.0, 1.0] * (N // 2)), part=pd.cut(PLAIN.km, 3)),
], ids=["mixed", "nullable", "date texts", "zones", "a level in one part alone", "sparse and intervals"])
def test_odd_tables_go_through_pipeline_validation_search_and_contributions(more):
    through_everything(PLAIN.assign(**more))


@pytest.mark.parametrize("words, table", [
    ("column 'late' holds nothing in these rows", PLAIN.assign(late=[np.nan] * 27 + [1.0] * 13)),  # in one part
    ("columns come twice: ['km']", pd.concat([PLAIN, PLAIN[["km"]]], axis=1)),
    ("column 'sold' holds times of several zones",
     PLAIN.assign(sold=["2020-01-01T00:00+01:00", "2020-07-01T00:00+02:00"] * (N // 2))),
], ids=["empty in one part", "twice", "several zones"])
def test_what_does_not_go_through_is_refused_by_its_name(words, table):
    with pytest.raises(ValueError, match=re.escape(words)): through_everything(table)
