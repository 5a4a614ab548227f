"""Principal components and nearest rows beside scikit-learn: equal answers, and their time."""
import numpy as np
from side_by_side import interleave, rows
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from lessonkit.embeddings import neighbours, pca

PEERS = ["scikit-learn"]


def run():
    "A table's rows: 10,000 rows of 50 numbers."
    x = np.random.default_rng(0).normal(size=(10_000, 50)) * np.geomspace(3, 0.3, 50)
    ours, theirs = pca(x, 3), PCA(3).fit(x)
    assert np.abs(ours.components - theirs.components_).max() < 1e-9, "other components: nothing to compare"
    assert np.abs(ours.scores - theirs.transform(x)).max() < 1e-9
    near = NearestNeighbors(n_neighbors=11, metric="cosine").fit(x)
    assert (near.kneighbors(x[7:8])[1][0, 1:] == neighbours(x, 7, 10)).all()
    took = interleave({"lessonkit": lambda: pca(x, 3), "scikit-learn": lambda: PCA(3).fit_transform(x),
                       "scikit-learn, full SVD": lambda: PCA(3, svd_solver="full").fit_transform(x)}, repeats=15)
    found = interleave({"lessonkit": lambda: neighbours(x, 7, 10), "scikit-learn": lambda: near.kneighbors(x[7:8])})
    ms = lambda seconds: {who: [1e3 * t for t in s] for who, s in seconds.items()}
    demanded = {"scikit-learn": 1.0, "scikit-learn, full SVD": 2.0}
    return rows("embeddings", "3 components of 10,000 × 50", "ms", ms(took), False, demanded) + rows(
        "embeddings", "10 nearest of 10,000 × 50", "ms", ms(found), False)
