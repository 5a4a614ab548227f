"""Principal components and nearest rows beside scikit-learn: equal answers, and their time."""
import numpy as np
from side_by_side import interleave, rows
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from lessonkit.embeddings import neighbours, pca

PEERS = ["scikit-learn"]


def components(dtype) -> list[dict]:
    "Rows for 3 components of 10,000 rows of 50 numbers: in turns, after the answers were found equal."
    x = (np.random.default_rng(0).normal(size=(10_000, 50)) * np.geomspace(3, 0.3, 50)).astype(dtype)
    exact, ours = PCA(3, svd_solver="full").fit(x.astype(np.float64)), pca(x, 3)
    scores = exact.transform(x.astype(np.float64))

    def off(found) -> float: return np.abs((found - scores) / scores.std(0)).max()

    assert np.abs(ours.components - exact.components_).max() < 1e-6, "other components: nothing to compare"
    assert off(ours.scores) < 1e-6
    peers = {"scikit-learn": lambda: PCA(3).fit_transform(x),
             "scikit-learn, full SVD": lambda: PCA(3, svd_solver="full").fit_transform(x)}
    demanded = {"scikit-learn": 1.0, "scikit-learn, full SVD": 2.0}
    if dtype is np.float32:  # ours counts in float64 all the same: the equal answer is theirs in float64
        peers = {f"scikit-learn in float32, scores off by {off(PCA(3).fit_transform(x)):.0e} of a spread":
                 peers["scikit-learn"],
                 "scikit-learn in float64": lambda: PCA(3).fit_transform(x.astype(np.float64))}
        demanded = {"scikit-learn in float64": 1.0}
    took = interleave({"lessonkit": lambda: pca(x, 3), **peers}, repeats=15)
    ms = {who: [1e3 * t for t in s] for who, s in took.items()}
    return rows("embeddings", f"3 components of 10,000 × 50, {x.dtype}, one thread", "ms", ms, False, demanded)


@threadpool_limits.wrap(limits=1)
def run():
    "A table's rows; on one thread, for the pools of two libraries would keep each other waiting."
    table = components(np.float64) + components(np.float32)
    x = np.random.default_rng(0).normal(size=(10_000, 50)) * np.geomspace(3, 0.3, 50)
    near = NearestNeighbors(n_neighbors=11, metric="cosine").fit(x)
    assert (near.kneighbors(x[7:8])[1][0, 1:] == neighbours(x, 7, 10)).all()
    found = interleave({"lessonkit": lambda: neighbours(x, 7, 10), "scikit-learn": lambda: near.kneighbors(x[7:8])})
    ms = {who: [1e3 * t for t in s] for who, s in found.items()}
    return table + rows("embeddings", "10 nearest of 10,000 × 50, one thread", "ms", ms, False)
