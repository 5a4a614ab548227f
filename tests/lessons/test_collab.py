"""What lesson 20 promises of ratings, means, the model, the new user and the sheet, for tables it has not seen."""
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from lessonkit.collab import (DotBias, NeuralRatings, RatingBatches, Ratings, align, busiest_sheet, hide_some, means,
                              mse, new_user, sheet_error, sheet_step, solve_sheet, split_last,
                              split_random, split_time, start_factors, train_dot_bias)
from lessonkit.course.datasets import load, truth


def table(seed, n=60, people=9, movies=12):
    "Ratings at random: ids that are no row numbers, in no order, some twice."
    rng = np.random.default_rng(seed)
    return pd.DataFrame(dict(userId=rng.integers(0, people, n) * 7 + 100, movieId=rng.integers(0, movies, n) * 31 + 5,
                             rating=rng.integers(1, 11, n) / 2, timestamp=rng.integers(0, 1000, n)))


@given(seed=st.integers(0, 2**31), n=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_ratings_keep_every_row(seed, n):
    "Ids, stars and order come back; batches hold each rating once, whatever the size and the epoch."
    t, rng = table(seed, n), np.random.default_rng(seed)
    r = Ratings.of(t)
    np.testing.assert_array_equal(r.user_ids[r.users], t.userId)
    np.testing.assert_array_equal(r.item_ids[r.items], t.movieId)
    np.testing.assert_array_equal(r.stars, t.rating.astype(np.float32))
    assert r.n_users == t.userId.nunique() and r.n_items == t.movieId.nunique() and len(r) == n
    batches = RatingBatches(r, int(rng.integers(1, n + 2)), seed=seed).set_epoch(int(rng.integers(9)))
    rows = [row for (u, i), s in batches for row in zip(u.tolist(), i.tolist(), s.tolist())]
    assert sorted(rows) == sorted(zip(r.users.tolist(), r.items.tolist(), r.stars.tolist()))
    assert len(list(batches)) == len(batches)


@given(seed=st.integers(0, 2**31), n=st.integers(2, 80), share=st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_splits(seed, n, share):
    "A share of all; the latest of all; the latest of each, who keeps one rating at least."
    t = table(seed, n)
    for held in (split_random(n, share, seed), split_time(t.timestamp, share)):
        assert held.sum() == min(max(round(n * share), 1), n - 1)
    late = split_time(t.timestamp, share)
    assert t.timestamp[late].min() >= t.timestamp[~late].max()
    each = split_last(t.userId, t.timestamp, share)
    for _, theirs in t.assign(held=each).groupby("userId"):
        kept, held = theirs.timestamp[~theirs.held], theirs.timestamp[theirs.held]
        assert len(kept) and (not len(held) or held.min() >= kept.max())
        assert len(held) == (0 if len(theirs) == 1 else min(max(round(len(theirs) * share), 1), len(theirs) - 1))


@given(seed=st.integers(0, 2**31), shrink=st.floats(0, 20))
@settings(max_examples=40, deadline=None)
def test_means_are_pandas_means(seed, shrink):
    t = table(seed)
    r, mean = Ratings.of(t), t.rating.mean()
    m = means(r, shrink)
    item = t.assign(left=t.rating - mean).groupby("movieId").left.agg(lambda v: v.sum() / (len(v) + shrink))
    left = t.rating - mean - item[t.movieId].to_numpy()
    user = left.groupby(t.userId).agg(lambda v: v.sum() / (len(v) + shrink))
    np.testing.assert_allclose(m.item, item, atol=1e-5)
    np.testing.assert_allclose(m.user, user, atol=1e-5)
    want = mean + item[t.movieId].to_numpy() + user[t.userId].to_numpy()
    np.testing.assert_allclose(m(r.users, r.items), want, atol=1e-5)


@given(n_users=st.integers(1, 9), n_items=st.integers(1, 9), k=st.integers(1, 6), n=st.integers(0, 20),
       y_range=st.sampled_from([None, (0, 5.5), (-1.0, 1.0)]))
@settings(max_examples=40, deadline=None)
def test_dot_bias(n_users, n_items, k, n, y_range):
    "(n,) whatever n is; the sum of products and biases, squeezed where there is a range."
    model = DotBias(n_users, n_items, k, y_range=y_range)
    for e in model.children(): torch.nn.init.normal_(e.weight)
    users, items = torch.randint(n_users, (n,)), torch.randint(n_items, (n,))
    got = model(users, items)
    a, b, c, d = (e.weight.detach() for e in model.children())
    score = torch.tensor([float(a[u] @ b[i] + c[u] + d[i]) for u, i in zip(users, items)])
    want = score if y_range is None else y_range[0] + (y_range[1] - y_range[0]) * torch.sigmoid(score)
    assert got.shape == (n,)
    torch.testing.assert_close(got.detach(), want, atol=1e-5, rtol=1e-5)
    assert NeuralRatings(n_users, n_items, k, y_range=y_range)(users, items).shape == (n,)


def test_defaults_are_the_contracts():
    model = DotBias(4, 6)
    embeddings = model.user_factors, model.item_factors, model.user_bias, model.item_bias
    assert [tuple(e.weight.shape) for e in embeddings] == [(4, 50), (6, 50), (4, 1), (6, 1)]
    assert model.y_range is None


@given(seed=st.integers(0, 2**31), n=st.integers(1, 30), alpha=st.floats(0.05, 20), shrink=st.floats(0.05, 20))
@settings(max_examples=40, deadline=None)
def test_a_new_user_is_scikit_learns_ridge(seed, n, alpha, shrink):
    "With the column of ones scaled, so that one price serves both."
    torch.manual_seed(seed % 1000)
    model = DotBias(3, 40, 5)
    for e in model.children(): torch.nn.init.normal_(e.weight)
    rng = np.random.default_rng(seed)
    items, stars = rng.integers(0, 40, n), rng.integers(1, 11, n) / 2
    scale = np.sqrt(alpha / shrink)
    x = np.column_stack([np.full(n, scale), model.item_factors.weight.detach().numpy()[items].astype(float)])
    bias = model.item_bias.weight.detach().numpy()[:, 0].astype(float)
    fitted = Ridge(alpha=alpha, fit_intercept=False).fit(x, stars - bias[items])
    got = new_user(model, items, stars, alpha, shrink)
    np.testing.assert_allclose(got.factors, fitted.coef_[1:], atol=1e-6)
    np.testing.assert_allclose(got.bias, fitted.coef_[0] * scale, atol=1e-6)
    whole = np.column_stack([np.full(40, scale), model.item_factors.weight.detach().numpy().astype(float)])
    np.testing.assert_allclose(got.stars(model), bias + fitted.predict(whole), atol=1e-5)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_a_step_of_the_sheet_is_autograds(seed):
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 11, (5, 4)) / 2
    stars[rng.random(stars.shape) < 0.3] = np.nan
    m, p = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    tm, tp = (torch.tensor(a, requires_grad=True) for a in (m, p))
    known = torch.tensor(~np.isnan(stars))
    (((tm @ tp.T - torch.tensor(stars))[known] ** 2).sum() / 2).backward()
    for got, was, slope in zip(sheet_step(stars, m, p, 0.02), (m, p), (tm.grad, tp.grad)):
        np.testing.assert_allclose(got, was - 0.02 * slope.numpy(), atol=1e-12)
    path_m, path_p, errors = solve_sheet(stars, m, p, 0.001, 20)
    assert len(path_m) == len(path_p) == len(errors) == 21
    if known.any(): assert errors[-1] <= errors[0] and errors[0] == sheet_error(stars, m, p)


def test_hidden_cells_are_rated_and_never_told():
    sheet = busiest_sheet(*load("movielens", sample=True, movies=True))
    hidden = hide_some(sheet.stars, 25, seed=4)
    assert hidden.sum() == 25 and not np.isnan(sheet.stars[hidden]).any()
    factors, told = start_factors(sheet, seed=4), np.where(hidden, np.nan, sheet.stars)
    for other in (1.0, 5.0):
        again = np.where(hide_some(np.where(hidden, other, sheet.stars), 25, seed=4), np.nan, sheet.stars)
        for a, b in zip(solve_sheet(told, *factors), solve_sheet(again, *factors)): np.testing.assert_array_equal(a, b)


def test_the_sheet_holds_the_busiest():
    ratings, movies = load("movielens", sample=True, movies=True)
    sheet = busiest_sheet(ratings, movies, n=8)
    count = ratings.movieId.value_counts()
    names = dict(zip(movies.title, movies.movieId))
    assert min(count[names[t]] for t in sheet.movies) >= count.drop([names[t] for t in sheet.movies]).max()
    pivot = ratings.pivot(index="movieId", columns="userId", values="rating")
    want = pivot.loc[[names[t] for t in sheet.movies], [int(p) for p in sheet.people]].to_numpy()
    np.testing.assert_array_equal(sheet.stars, want)


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_factors_are_found(seed):
    "At least 95 % of the planted space, after alignment; and none of it by chance."
    drawn = truth("movielens")
    ratings = Ratings.of(load("movielens", sample=True))
    model = train_dot_bias(ratings, n_factors=3, n_epoch=40, lr=0.02, decay=0.05, seed=seed).model
    learned = model.item_factors.weight.detach().double().numpy()
    mapped, share = align(learned, drawn.movie_factors)
    assert share >= 0.95 and mapped.shape == drawn.movie_factors.shape
    assert align(np.random.default_rng(seed).permutation(learned), drawn.movie_factors)[1] < 0.05


def test_alignment_undoes_any_turn():
    rng = np.random.default_rng(0)
    planted = rng.normal(size=(50, 3))
    for learned in (planted @ rng.normal(size=(3, 3)), planted @ rng.normal(size=(3, 3)) + rng.normal(size=3)):
        mapped, share = align(learned, planted)
        np.testing.assert_allclose(mapped, planted, atol=1e-9)
        assert share > 1 - 1e-12


def test_whom_nobody_rated_is_average():
    "Rows that training never saw: the mean, and no opinion of their own."
    ratings = Ratings.of(load("movielens", sample=True))
    seen = ratings[(ratings.users > 0) & (ratings.items > 0)]
    model = train_dot_bias(seen, n_epoch=3).model
    with torch.no_grad(): guess = model(torch.tensor([0]), torch.tensor([0]))
    assert abs(float(guess) - means(seen).mean) < 0.05


def test_a_saved_model_says_the_same_in_a_fresh_process(tmp_path):
    ratings = Ratings.of(load("movielens", sample=True))
    learn = train_dot_bias(ratings, n_epoch=1)
    learn.save(tmp_path / "model.safetensors")
    want = learn.predict((ratings.users[:50], ratings.items[:50]))
    code = """
import sys, torch
from lessonkit.collab import DotBias, Ratings, rating_learner
from lessonkit.course.datasets import load
r = Ratings.of(load("movielens", sample=True))
learn = rating_learner(DotBias(r.n_users, r.n_items), r).load(sys.argv[1])
print(learn.predict((r.users[:50], r.items[:50])).tolist())
"""
    command = [sys.executable, "-c", code, str(tmp_path / "model.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert eval(done.stdout) == want.tolist()


def test_it_beats_the_means_with_any_seed():
    ratings = Ratings.of(load("movielens", sample=True))
    for seed in range(3):
        held = split_random(len(ratings), seed=seed)
        train, valid = ratings[~held], ratings[held]
        found = train_dot_bias(train, valid, seed=seed).history.valid_loss.iloc[-1]
        assert found < 0.6 * mse(means(train, 5)(valid.users, valid.items), valid)


def test_the_learner_speaks_of_stars():
    "What it validates, predicts and saves has the means in it."
    ratings = Ratings.of(load("movielens", sample=True))
    held = split_random(len(ratings))
    learn = train_dot_bias(ratings[~held], ratings[held], n_epoch=2)
    valid = ratings[held]
    said = learn.predict((valid.users, valid.items))
    assert abs(mse(said, valid) - learn.history.valid_loss.iloc[-1]) < 1e-4
    assert abs(learn.validate()["loss"] - learn.history.valid_loss.iloc[-1]) < 1e-4
    assert abs(float(said.mean()) - float(valid.stars.mean())) < 0.1
