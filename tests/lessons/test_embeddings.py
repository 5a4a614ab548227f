"""Lesson 21: components against scikit-learn on odd tables, neighbors, turns, word vectors."""
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA as TheirPCA

from lessonkit.collab import Ratings, train_dot_bias
from lessonkit.course.sets.movielens import load, truth
from lessonkit.embeddings import (
    align_frames, analogies, cosines, explained_by, extremes, faithfulness, fit_skipgram, follows, neighbours, pca,
    procrustes, skip_pairs,
)


@given(st.integers(3, 400), st.integers(2, 12), st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 1e4]))
@settings(max_examples=60, deadline=None)
def test_components_are_scikit_learns(rows, columns, seed, shift):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) * np.geomspace(4, 0.5, columns) + shift
    n = min(rows - 1, columns, 3)
    ours, theirs = pca(x, n), TheirPCA(n, svd_solver="full").fit(x)
    np.testing.assert_allclose(ours.explained_ratio, theirs.explained_variance_ratio_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-9, atol=1e-9)
    gaps = -np.diff(TheirPCA(svd_solver="full").fit(x).explained_variance_ratio_)[:n]
    for j in range(min(n, int(np.argmax(gaps < 1e-3)) if (gaps < 1e-3).any() else n)):  # alike ones may mix
        largest = np.sort(np.abs(theirs.components_[j]))[-2:]
        if largest[1] - largest[0] < 1e-6: continue  # either may set the sign
        np.testing.assert_allclose(ours.components[j], theirs.components_[j], atol=1e-5)
        np.testing.assert_allclose(ours.scores[:, j], theirs.transform(x)[:, j], atol=1e-3)


def table_of(spreads, rows, seed=0):
    "Rows whose components have these spreads, along directions drawn at random: (x, directions)."
    rng, d = np.random.default_rng(seed), len(spreads)
    u = rng.normal(size=(rows, d))
    u, turn = np.linalg.qr(u - u.mean(0))[0], np.linalg.qr(rng.normal(size=(d, d)))[0]
    return u * np.sqrt(rows) * spreads @ turn.T, turn.T


def same_as_scikit_learn(x, n, within=1e-6):
    "Every figure of the n components equals scikit-learn's full SVD; scores by each component's own spread."
    ours, theirs = pca(x, n), TheirPCA(svd_solver="full").fit(np.asarray(x, np.float64))
    scores = theirs.transform(np.asarray(x, np.float64))[:, :n]
    turned = np.sign((np.asarray(ours.components) * theirs.components_[:n]).sum(1))  # a tie of largest entries
    np.testing.assert_allclose(ours.components * turned[:, None], theirs.components_[:n], atol=within)
    np.testing.assert_allclose(ours.scores * turned / scores.std(0), scores / scores.std(0), atol=within)
    np.testing.assert_allclose(ours.explained_ratio, theirs.explained_variance_ratio_[:n], rtol=within)
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=within * np.abs(x).max())


@pytest.mark.parametrize("shape", [(4000, 8), (80, 8), (79, 8), (9, 8), (8, 9), (5, 40)])
@pytest.mark.parametrize("mean", [0, 3, 1e3, 1e5])
def test_components_are_scikit_learns_tall_and_wide_near_zero_and_far_from_it(shape, mean):
    rng = np.random.default_rng(0)
    same_as_scikit_learn(rng.normal(size=shape) * np.geomspace(8, 0.5, shape[1]) + mean, min(4, *shape))


@pytest.mark.parametrize("least", [0.5, 1e-2, 1e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("rows", [3000, 40])
def test_components_are_scikit_learns_however_small_the_last_spread_is(least, rows):
    x, directions = table_of(np.geomspace(1, least, 6), rows)
    same_as_scikit_learn(x, 6)
    cos = (pca(x, 6).components * directions).sum(1)
    np.testing.assert_allclose(np.abs(cos), 1, atol=1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
def test_single_precision_comes_back_as_exact_as_it_can_be_written(order):
    x = np.asarray(table_of(np.geomspace(5, 0.5, 7), 2000)[0] + 2, np.float32, order=order)
    assert pca(x, 5).scores.dtype == pca(x, 5).mean.dtype == np.float32
    same_as_scikit_learn(x, 5)
    assert np.abs(pca(x, 5).scores - pca(x.astype(np.float64), 5).scores).max() < 1e-5


@pytest.mark.parametrize("constant", [0.0, 7.0, -1e6])
def test_columns_that_do_not_vary_or_come_twice_change_nothing(constant):
    x, _ = table_of(np.geomspace(4, 1, 4), 1000)
    wider = np.c_[x, np.full(1000, constant), x[:, 0]]
    same_as_scikit_learn(wider, 4)
    p = pca(np.c_[x, np.full(1000, constant)], 5)  # one more than there are directions
    assert abs(p.explained_ratio[4]) < 1e-9 and np.abs(p.scores[:, 4]).max() < 1e-6 * max(1, abs(constant))
    np.testing.assert_allclose(p.components @ p.components.T, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(p.components[:4, 4], 0, atol=1e-9)


@pytest.mark.parametrize("least, n, by_squares", [(0.01, 3, True), (1e-5, 3, False), (1e-5, 2, True), (0.0, 3, False)])
def test_squares_are_used_only_where_they_keep_their_digits(monkeypatch, least, n, by_squares):
    "Whatever is not asked for may be as small as it likes."
    asked, svd = [], np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda a, **kwargs: asked.append(a.shape) or svd(a, **kwargs))
    pca(table_of([1, 0.5, least], 500)[0], n)
    assert asked == ([] if by_squares else [(3, 3)])  # the r of a QR, not the 500 rows
    asked.clear()
    pca(table_of([1, 0.5, least], 29)[0], n)  # fewer than ten rows a column
    assert asked == [(3, 3)]


def test_signs_do_not_depend_on_the_order_of_rows():
    x = np.random.default_rng(0).normal(size=(80, 6)) * np.arange(1, 7)
    for order in (slice(None, None, -1), np.random.default_rng(1).permutation(80)):
        np.testing.assert_allclose(pca(x[order]).components, pca(x).components, atol=1e-9)
        np.testing.assert_allclose(pca(x[order]).scores, pca(x).scores[order], atol=1e-9)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, torch.float32, torch.float64, torch.int64])
def test_the_kind_that_was_given_comes_back(kind):
    plain = np.random.default_rng(0).integers(-9, 9, (30, 4))
    x = torch.tensor(plain).to(kind) if isinstance(kind, torch.dtype) else plain.astype(kind)
    p, near = pca(x), neighbours(x, 3, 5)
    assert isinstance(p.scores, type(x)) and isinstance(near, type(x))
    if kind not in (np.int64, torch.int64): assert p.scores.dtype == p.components.dtype == x.dtype
    np.testing.assert_allclose(np.asarray(p.transform(x)), np.asarray(p.scores), atol=1e-3)


def test_a_weight_that_needs_a_gradient_is_taken():
    e = torch.nn.Embedding(20, 6)
    assert not pca(e).scores.requires_grad and not pca(e.weight).scores.requires_grad
    assert neighbours(e, 0, 3).dtype == torch.int64


def test_all_components_rebuild_the_table():
    for shape in ((9, 4), (4, 9), (200, 5)):
        x = np.random.default_rng(0).normal(size=shape)
        p = pca(x, min(shape))
        np.testing.assert_allclose(p.scores @ p.components + p.mean, x, atol=1e-9)
        np.testing.assert_allclose(faithfulness(x, p.scores), 1)
        shares = [faithfulness(x, p.scores[:, :k]) for k in range(1, min(shape) + 1)]
        assert (np.diff(shares, axis=0) >= -1e-9).all()


def test_neighbours_are_those_of_a_full_sort():
    rng = np.random.default_rng(0)
    for n, d, k in ((12, 3, 11), (200, 20, 1), (500, 5, 40)):
        x, i = rng.normal(size=(n, d)), int(rng.integers(n))
        order = np.argsort(-cosines(x, i), kind="stable")
        assert neighbours(x, i, k).tolist() == [j for j in order if j != i][:k]
    twins = np.array([[1.0, 0], [1, 0], [2, 0], [0, 1]])
    assert neighbours(twins, 1, 3).tolist() == [0, 2, 3]  # alike ones by their number
    assert [e.tolist() for e in extremes(np.array([2.0, 2, 1, 3]), 2)] == [[2, 0], [3, 0]]


@given(st.integers(2, 7), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_turn_is_found_and_a_change_is_not_hidden(d, seed):
    rng = np.random.default_rng(seed)
    b = rng.normal(size=(40, d))
    turn, noise = np.linalg.qr(rng.normal(size=(d, d)))[0], rng.normal(0, 0.1, (40, d))
    exact, rough = procrustes(b @ turn + 5, b), procrustes((b + noise) @ turn, b)
    np.testing.assert_allclose(exact.aligned, b, atol=1e-8)
    left = ((noise - noise.mean(0)) ** 2).sum() / ((b - b.mean(0)) ** 2).sum()
    assert exact.residual < 1e-15 and 0 < rough.residual <= left + 1e-12


def test_frames_end_on_the_last_ones_axes():
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(0, 0.1, (5, 30, 4)), 0) + rng.normal(size=(30, 4))
    turned = [f @ np.linalg.qr(rng.normal(size=(4, 4)))[0] for f in path[:-1]] + [path[-1]]
    aligned, left = align_frames(turned)
    assert aligned.shape == path.shape and left[-1] == 0 and (left[:-1] > 0).all()
    np.testing.assert_allclose(aligned[-1], path[-1])
    step = lambda f: ((f[1:] - f[:-1]) ** 2).sum((1, 2))
    assert (step(aligned) <= step(path - path.mean(1, keepdims=True)) + 1e-9).all()
    assert step(aligned).sum() < 0.5 * step(np.stack(turned)).sum()


def test_the_planted_axis_is_found_on_the_stand_in():
    ratings, movies = load(None, movies=True)
    spaces = [train_dot_bias(Ratings.of(ratings), bs=512, seed=s).model.item_factors for s in range(2)]
    planted = truth().movie_factors
    for space in spaces:
        scores = pca(space, 3).scores
        assert abs(np.corrcoef(scores[:, 0], planted[:, 0])[0, 1]) > 0.97
        assert explained_by(scores, planted) > 0.9
        genre = [follows(scores[:, j], movies.genres) for j in range(3)]
        assert genre[0] > 0.8 and max(genre[1:]) < 0.2
    first, second = (s.weight.detach() for s in spaces)
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.3 and procrustes(first, second).residual < 0.5


def test_follows_by_hand():
    rng = np.random.default_rng(0)
    s, g = rng.normal(size=60), rng.integers(0, 3, 60)
    between = sum((g == k).sum() * (s[g == k].mean() - s.mean()) ** 2 for k in range(3))
    np.testing.assert_allclose(follows(s, pd.Series(g).astype(str)), between / ((s - s.mean()) ** 2).sum())
    gappy = pd.Series(s * 2 + 1).where(g > 0)
    np.testing.assert_allclose(follows(s, gappy), 1)
    assert follows(s, pd.Series([None] * 60)) == 0 and follows(s, pd.Series(["a"] * 60)) == 0


def test_word_vectors_learn_who_stands_with_whom():
    "Two topics that share no word: each word's neighbors are of its own topic."
    rng = np.random.default_rng(0)
    text = np.concatenate([rng.integers(0, 8, 40) + 8 * (t % 2) for t in range(120)])
    frames = fit_skipgram(text, 16, dim=8, window=3, epochs=4, thin=1.0)
    assert len(frames) == 4 and frames[0].shape == (16, 8)
    own = [np.mean([j // 8 == i // 8 for j in neighbours(frames[-1], i, 5).tolist()]) for i in range(16)]
    assert np.mean(own) > 0.9
    torch.testing.assert_close(frames[-1], fit_skipgram(text, 16, dim=8, window=3, epochs=4, thin=1.0)[-1])


def test_pairs_stay_inside_the_window_and_go_both_ways():
    tokens = np.arange(50)
    pairs = skip_pairs(tokens, window=3, seed=1)
    apart = pairs[:, 1] - pairs[:, 0]
    assert set(np.abs(apart)) == {1, 2, 3} and (apart > 0).sum() > 40 < (apart < 0).sum()
    assert (np.abs(apart) == 1).sum() == 98  # the next word is always one of them


def test_analogies_by_construction():
    base, step = np.eye(6)[:4] * 3, np.array([0, 0, 0, 0, 1.0, 0])
    x = np.concatenate([base, base + step])
    questions = [(0, 4, 1, 5), (2, 6, 3, 7), (4, 0, 5, 1)]
    assert analogies(x, questions).all() and not analogies(x, [(0, 4, 1, 6)]).any()
