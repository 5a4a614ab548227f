"""`path_contributions` (lesson 11) against shap's TreeExplainer: 200 rows, 50 trees of depth 8.

Both take predictions apart into exact sums, and not the same ones (lesson 11 tells why): shap's do not depend on the
order of a tree's questions, which is more work. Making the explainer, as making ours, is part of the time; asking one
that is made is timed as well."""
import numpy as np
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor

from lessonkit.forest_insight import Paths, path_contributions
from side_by_side import interleave, peer, rows

PEERS = ["scikit-learn", "shap"]
OURS, SHAP = "lessonkit `path_contributions`", "shap `TreeExplainer`"


def fitted():
    X, y = make_regression(1000, 20, n_informative=10, noise=10, random_state=0)
    return X[:200], RandomForestRegressor(50, max_depth=8, random_state=0).fit(X, y)


def check_exact(forest, X, bias, values):
    "Bias and parts add up to the prediction, or there is nothing to compare."
    np.testing.assert_allclose(np.ravel(bias)[0] + values.sum(1), forest.predict(X), rtol=1e-6, atol=1e-6)


def measure(what, ours, theirs, demanded):
    seconds = interleave({OURS: ours, SHAP: theirs}, repeats=7)
    return rows(
        "forest_insight",
        what,
        "ms",
        {who: s and [t * 1e3 for t in s] for who, s in seconds.items()},
        False,
        demanded=demanded,
    )


def run():
    X, forest = fitted()
    shap, paths = peer("shap"), Paths(forest)
    found = path_contributions(forest, X)
    check_exact(forest, X, found.bias, found.values)
    explainer = shap and shap.TreeExplainer(forest)
    if shap: check_exact(forest, X, explainer.expected_value, explainer.shap_values(X))
    table = measure("200 rows, 50 trees of depth 8, exact sums", lambda: path_contributions(forest, X),
                    shap and (lambda: shap.TreeExplainer(forest).shap_values(X)), {SHAP: 10})
    return table + measure(
        "the same, ready made before",
        lambda: paths.contributions(X),
        shap and (lambda: explainer.shap_values(X)),
        {SHAP: 10},
    )
