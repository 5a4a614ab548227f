"Lesson 22: one mapping for all rows, the net's pieces, other people's bugs, and a file that another process reads."
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lessonkit.course.sets.rossmann import PLACES, load, truth
from lessonkit.engines.table_encoder import TableEncoder
from lessonkit.tabular import (
    MixedNet, TabularModel, distances, elapsed, embedding_size, fit_tabular, go_together, km, last_days, rmspe,
    shop_encoder, store_days,
)
from lessonkit.train.checkpoints import CheckpointError, save


@pytest.fixture(scope="module")
def shops():
    "The joined stand-in: (training rows, sales), (held-out rows, sales), the tables."
    tables = load()
    days = store_days(tables)
    y, held = days.pop("Sales").to_numpy(float), last_days(days["Date"])
    return (days[~held], y[~held]), (days[held], y[held]), tables


@pytest.fixture(scope="module")
def model(shops):
    train, valid, _ = shops
    return fit_tabular(*train, valid, shop_encoder(), n_epoch=4, layers=(100, 50))[0]


def small(n=200, seed=0):
    "A table whose target follows a name, and the target."
    rng = np.random.default_rng(seed)
    t = pd.DataFrame({"town": rng.choice(["a", "b", "c"], n), "shop": rng.integers(3, 9, n), "km": rng.normal(5, 2, n)})
    return t, np.exp(t["town"].map({"a": 0, "b": 1, "c": 2}) + 0.1 * t["km"]).to_numpy()


QUICK = dict(n_epoch=2, layers=(8,), bs=32)


def test_it_learns_the_rule_and_the_map(shops, model):
    train, valid, tables = shops
    best = rmspe(truth().expected(valid[0], tables["store"]), valid[1])
    assert best < rmspe(model.predict(valid[0]), valid[1]) < 1.12 * best
    states = model.embedding("State")
    found, chance = go_together(distances(states), km([PLACES[s] for s in states.index]))
    assert found > 0.6 and chance < 0.01


# ── other people's bugs ──

def test_fastai_2911_a_gap_that_only_the_test_rows_have(shops, model):
    "Predicting failed where the test rows had gaps in other columns than the training rows."
    _, (rows, _), _ = shops
    assert not rows[["Promo", "State", "trend"]].isna().any(axis=None)
    gaps = rows.assign(Promo=np.nan, State=None, trend=np.nan)
    X = model.encoder.transform(gaps)
    assert list(X) == list(model.encoder.transform(rows)) and np.isfinite(X).all(axis=None)
    assert (X["State"] == model.encoder.n_codes()["State"] - 1).all() and model.encoder.word("State", X["State"].iloc[0]
                                                                                            ) == "missing"
    assert np.isfinite(model.predict(gaps)).all()


def test_fastai_3227_a_category_with_levels_that_no_row_has():
    "An unused level in the middle shifted the codes: `b`, `c`, `a` with only a and b in the rows."
    t = pd.DataFrame({"dep": pd.Categorical(["a", "b", "b", "a"] * 9, ["b", "c", "a"])})
    y = np.where(t["dep"] == "a", 2.0, 8.0)
    encoder = TableEncoder(gaps_apart=True).fit(t)
    assert encoder.transform(t)["dep"].head(2).tolist() == [3, 1] and encoder.n_codes() == {"dep": 5}
    model, _ = fit_tabular(t, y, encoder=TableEncoder(gaps_apart=True), **QUICK | dict(n_epoch=30, lr=0.05))
    assert np.isfinite(model.predict(t)).all()
    np.testing.assert_allclose(model.predict(t), y, rtol=0.25)
    unused = model.predict(pd.DataFrame({"dep": pd.Categorical(["c"], ["b", "c", "a"])}))
    assert 2 < unused[0] < 8  # in the middle, where nothing is known


def test_autogluon_pr_5830_categories_of_another_dtype():
    "Rows whose categories were extended, or ordered otherwise, got other rows of the embedding or an index error."
    t, y = small()
    model, _ = fit_tabular(t.assign(town=t["town"].astype("category")), y, **QUICK)
    as_text = model.predict(t)
    for levels in (["c", "b", "a"], ["0", "a", "aa", "b", "c", "z"]):
        again = model.predict(t.assign(town=pd.Categorical(t["town"], levels)))
        np.testing.assert_array_equal(again, as_text)
    stranger = t.head(1).assign(town=pd.Categorical(["z"], ["a", "b", "c", "z"]))
    assert model.encoder.transform(stranger)["town"].tolist() == [0] and np.isfinite(model.predict(stranger)).all()


# ── refused by a column's name ──

@pytest.mark.parametrize("words, change", {
    "'town' is missing.*Is it 'Town' now": lambda t: t.rename(columns={"town": "Town"}),
    "'km' is missing": lambda t: t.drop(columns="km"),
    "'km' is a category here, and was a number": lambda t: t.assign(km="far"),
    "'town' is a number here, and was a category": lambda t: t.assign(town=1),
    "'shop' is a category here": lambda t: t.assign(shop=t["shop"].astype(str)),
    "'km' holds infinite": lambda t: t.assign(km=np.inf),
    "'km' holds Fraction|'km' holds list": lambda t: t.assign(km=[[1]] * len(t))}.items())
def test_rows_that_do_not_fit_are_refused_by_name(words, change):
    t, y = small(40)
    model, _ = fit_tabular(t, y, encoder=TableEncoder(categories=["shop"], gaps_apart=True), **QUICK)
    with pytest.raises(ValueError, match=words): model.predict(change(t))
    assert np.isfinite(model.predict(t[["km", "shop", "town"]].assign(more=1))).all()  # order and more columns are free


def test_a_target_that_does_not_fit_is_refused():
    t, y = small(40)
    for bad, words in ((y[:3], "rows"), (-y, "not above 0"), (np.where(y > 3, np.nan, y), "gaps")):
        with pytest.raises(ValueError, match=words): fit_tabular(t, bad, **QUICK)
    assert (fit_tabular(t, -y, log=False, **QUICK)[0].predict(t) < 0).mean() > 0.5
    with pytest.raises(ValueError, match="table has 1 rows"): fit_tabular(t.head(1), y[:1], **QUICK)
    left_over, _ = fit_tabular(t.head(33), y[:33], **QUICK)  # a last batch of one row is left out
    assert len(left_over.predict(t.head(0))) == 0


# ── the encoder that grew ──

def test_numbers_and_parts_of_dates_as_names():
    day = pd.to_datetime(["2015-01-31", "2015-03-01", None, "2015-03-02"])
    t = pd.DataFrame({"shop": [30, 7, None, 30], "day": day})
    encoder = TableEncoder(categories=["shop", "day_month"], gaps_apart=True).fit(t)
    X = encoder.transform(t)
    assert X["shop"].tolist() == [2, 1, 3, 2] and X["day_month"].tolist() == [1, 2, 3, 2]
    assert encoder.levels == {"shop": [7, 30], "day_month": [1, 3]} and "shop_na" not in X and X["day_na"].sum() == 1
    assert encoder.n_codes()["shop"] == 4 and encoder.n_codes()["day_year"] == 0
    assert TableEncoder(categories=["shop"]).fit(t).transform(t)["shop"].tolist() == [2, 1, 0, 2]
    later = pd.DataFrame({"shop": [8.0], "day": [pd.NaT]})
    assert encoder.transform(later)["shop"].tolist() == [0] and encoder.transform(later)["day_month"].tolist() == [3]
    with pytest.raises(ValueError, match="neither a column"): TableEncoder(categories=["shops"]).fit(t)
    with pytest.raises(TypeError, match="list of names"): TableEncoder(categories="shop").fit(t)


def test_a_mapping_survives_json(shops):
    (rows, _), (later, _), _ = shops
    encoder = shop_encoder().fit(rows)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    pd.testing.assert_frame_equal(again.transform(later), encoder.transform(later))
    assert again.to_dict() == encoder.to_dict() and again.get_params() == encoder.get_params() | {
        "dates": [], "categories": list(encoder.categories)}
    with pytest.raises(ValueError, match="lacks 'medians'"):
        TableEncoder.from_dict({k: v for k, v in encoder.to_dict().items() if k != "medians"})
    odd = TableEncoder().fit(pd.DataFrame({"when": pd.Categorical([pd.Interval(0, 1)])}))
    with pytest.raises(ValueError, match="'when' has levels such as"): odd.to_dict()


# ── a file ──

def test_a_fresh_process_says_the_same(shops, model, tmp_path):
    rows = shops[1][0].head(300).assign(Store=lambda t: t["Store"].where(t["Store"] > 9, 999))
    rows.to_pickle(tmp_path / "rows")
    model.save(tmp_path / "m.safetensors")
    code = ("import sys, numpy as np, pandas as pd; from lessonkit.tabular import TabularModel\n"
            "d = sys.argv[1]; m = TabularModel.load(d + '/m.safetensors'); t = pd.read_pickle(d + '/rows')\n"
            "np.savez(d + '/out', p=m.predict(t), e=m.embedded(t), s=m.embedding('State'))")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(out["p"], model.predict(rows))
    np.testing.assert_array_equal(out["e"], model.embedded(rows))
    np.testing.assert_array_equal(out["s"], model.embedding("State"))
    save(tmp_path / "other", {"a": 1})
    with pytest.raises(CheckpointError, match="no tabular model"): TabularModel.load(tmp_path / "other")
    data = bytearray((tmp_path / "m.safetensors").read_bytes())
    data[-40] ^= 1
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="no whole"): TabularModel.load(tmp_path / "m.safetensors")


# ── pieces ──

@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_elapsed_is_what_one_counts_by_hand(rows):
    t = pd.DataFrame(rows, columns=["g", "d", "e"]).drop_duplicates(["g", "d"])
    got = elapsed(t["e"], pd.Timestamp("2020-02-20") + pd.to_timedelta(t["d"], "D"), t["g"])
    assert list(got.index) == list(t.index)
    for i, g, d, _ in t.itertuples():
        own = t[(t["g"] == g) & t["e"]]["d"]
        for column, away in (("since", d - own[own <= d]), ("until", own[own >= d] - d)):
            assert got[column][i] == away.min() if len(away) else np.isnan(got[column][i])


def test_joining_keeps_every_row_in_its_place(shops):
    (rows, y), (later, z), tables = shops
    train = tables["train"]
    both = pd.concat([rows, later]).sort_index()
    for c in ("Store", "Date", "Promo"): assert (both[c].to_numpy() == train[c].to_numpy()).all()
    state = tables["store_states"].set_index("Store")["State"]
    assert (both["State"] == both["Store"].map(state)).all() and "Customers" not in both and "Sales" not in both
    one = both.iloc[7]
    sky = tables["weather"].assign(State=tables["weather"]["file"].map(dict(tables["state_names"].values)))
    sky = sky[(sky["State"] == one["State"]) & (sky["Date"] == one["Date"])].iloc[0]
    assert one["Mean_TemperatureC"] == sky["Mean_TemperatureC"]
    week = tables["googletrend"].assign(Week=lambda t: pd.to_datetime(t["week"].str[:10]))
    week = week[(week["file"] == "Rossmann_DE") & (week["Week"] <= one["Date"])].sort_values("Week").iloc[-1]
    assert one["trend_DE"] == week["trend"] and (one["Date"] - week["Week"]).days < 7


def test_the_net_by_hand():
    torch.manual_seed(0)
    net = MixedNet([4, 0, 3], (5,), y_range=(1, 9)).eval()
    x = torch.tensor([[3.0, 2.5, 1], [0, -1, 2]])
    net.mean.fill_(1), net.std.fill_(2)
    a, b = (e.weight for e in net.embeddings)
    hidden, bias = net.layers[0][0].weight, net.layers[0][0].bias
    for row, got in zip(x, net(x)):
        v = torch.cat([a[int(row[0])], b[int(row[2])], (row[1:2] - 1) / 2])
        h = (hidden @ v + bias).relu() / (1 + 1e-5) ** 0.5
        score = net.layers[1].weight[0] @ h + net.layers[1].bias[0]
        torch.testing.assert_close(got, 1 + 8 * torch.sigmoid(score))
    assert [embedding_size(n) for n in (1, 2, 3, 8, 99, 100, 5000)] == [1, 1, 2, 4, 50, 50, 50]


def test_go_together_is_spearman_and_shuffles_names():
    rng = np.random.default_rng(0)
    p = rng.normal(size=(12, 2))
    q = p + 0.5 * rng.normal(size=p.shape)
    pairs = np.triu_indices(12, 1)
    found, chance = go_together(distances(p), distances(q))
    assert found == pytest.approx(spearmanr(distances(p)[pairs], distances(q)[pairs])[0]) and chance < 0.01
    chances = [go_together(distances(p), distances(rng.normal(size=p.shape)), 99)[1] for _ in range(40)]
    assert 0.02 < np.mean(np.array(chances) < 0.3) < 0.6  # about .3 of them, where nothing is there
    with pytest.raises(ValueError, match="3 rows"): go_together(np.ones((3, 3)), np.ones((3, 3)))


def test_km_on_known_ways():
    ways = {((52.52, 13.40), (48.14, 11.58)): 504, ((0, 0), (0, 180)): 20015, ((90, 0), (-90, 50)): 20015}
    for (a, b), want in ways.items(): assert km([a, b])[0, 1] == pytest.approx(want, rel=0.01)


DAYS = ["2020-01-01", "2020-01-03"]
APART = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))


def test_elapsed_takes_lists_and_odd_numbers_of_days():
    assert elapsed([True, False], DAYS).to_numpy()[:, 0].tolist() == [0, 2]
    assert last_days(DAYS, 2).tolist() == [False, True]
    with pytest.raises(ValueError, match="hold out all"): last_days(DAYS, 10**9)


@pytest.mark.parametrize("words, make", {
    "dates holds what is no date": lambda: elapsed([True, False], ["2020-01-01", "2020-13-01"]),
    "event has a gap in row 1": lambda: elapsed(pd.Series([True, None], dtype="boolean"), DAYS),
    "guess has gaps": lambda: rmspe([np.nan], [1]),
    "guess holds <U1": lambda: rmspe(["a"], [1]),
    "y is empty": lambda: rmspe([], []),
    r"places has shape \(3, 3\): give \(3, 2\)": lambda: km(np.ones((3, 3))),
    r"a has shape \(5, 4\): give \(5, 5\)": lambda: go_together(APART[:, :4], APART),
    "a has a gap": lambda: go_together(APART * np.nan, APART),
    "b has one distance for all pairs": lambda: go_together(APART, np.ones((5, 5)), 9),
    "average=0 is too small": lambda: fit_tabular(*small(40), average=0, **QUICK),
    "bs=1 is too small": lambda: fit_tabular(*small(40), **QUICK | dict(bs=1)),
    "valid is a DataFrame": lambda: fit_tabular(*small(40), valid=small(9)[0], **QUICK),
    "the y of valid holds -": lambda: fit_tabular(*small(40), valid=(small(9)[0], -small(9)[1]), **QUICK),
    "dates=None: give a list": lambda: TableEncoder(dates=None).fit(small(40)[0]),
    "ordered=.*give a dict": lambda: TableEncoder(["town"]).fit(small(40)[0]),
    "'town' has the order 5": lambda: TableEncoder({"town": 5}).fit(small(40)[0]),
    "its order .'1', '2'. lacks": lambda: TableEncoder({"n": ["1", "2"]}).fit(
        pd.DataFrame({"n": pd.Categorical([1, 2])})),
    "no columns to learn from": lambda: TableEncoder().fit(pd.DataFrame(index=range(3)))}.items())
def test_what_does_not_fit_is_refused_by_name(words, make):
    with pytest.raises((ValueError, TypeError), match=words): make()


def test_dates_reach_from_year_1_to_9999():
    ends = pd.Series(["0001-01-01", "9999-12-31"]).astype("datetime64[s]")
    found = TableEncoder().fit_transform(pd.DataFrame({"a": ends}))
    assert found["a_year"].tolist() == [1, 9999] and found["a_days"].tolist() == [-719162, 2932896]
