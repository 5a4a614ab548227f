"""The explorers there are, each with the code that shows it: rows for the tests of the kit and of the browser."""
import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    code: str  # its last line is the explorer
    control: str  # description of the control to step by the keyboard; 'canvas' for the canvas itself
    keys: tuple[str, str] = ("ArrowRight", "ArrowLeft")  # there and back
    hover: bool = True  # pointing at the canvas changes the sentence
    notebook7: bool = False  # also opened in Notebook 7 (test_notebook7.py)


BPTT = "from lessonkit.explorers.bptt import BPTTExplorer\n"
LR = """
import torch
from functools import partial
from torch.nn import functional as F
from lessonkit.learner import DataLoaders, Learner
from lessonkit.lr_finder import find_over_seeds
from lessonkit.explorers.lr_finder import LRFinderExplorer
from lessonkit.schedules import digits, small_net
torch.set_num_threads(1)
x, y, *_ = digits()
def learner(seed):
    dls = DataLoaders.from_arrays((x, y), bs=32, seed=seed)
    return Learner(small_net(seed), dls, F.cross_entropy, partial(torch.optim.SGD, momentum=.9), device="cpu")

finds = find_over_seeds(learner, range(8))
LRFinderExplorer(finds[0], learn=learner(0), finds=finds)"""
OWN_FOREST = """
from sklearn.datasets import load_wine
from sklearn.ensemble import BaggingClassifier
from lessonkit.explorers.bagging import BaggingExplorer
wine = load_wine(as_frame=True)
X, y = wine.data, wine.target_names[wine.target]
forest = BaggingClassifier(n_estimators=100, max_features=5, random_state=0).fit(X.to_numpy(), y)
BaggingExplorer(X, y, columns=("flavanoids", "color_intensity"), forest=forest)"""
SEARCH = """
import numpy as np
from lessonkit.search import sample
from lessonkit.explorers.search import SearchExplorer
import pandas as pd
from scipy import stats
rng = np.random.default_rng(0)
space = dict(eta0=stats.loguniform(1e-3, 1), alpha=stats.loguniform(1e-7, 1e-3), average=[True, False],
             schedule=["constant", "adaptive"], max_iter=[1, 2, 4])
table = pd.DataFrame(sample(space, 300))
table["score"] = .92 - .02 * np.log10(table.eta0 / .04) ** 2 - .02 * ~table.average + rng.normal(0, .004, 300)
table["seconds"], table["error"] = table.max_iter * .04 + rng.uniform(0, .02, 300), ""
table.loc[::40, ["score", "seconds"]] = np.nan
table.loc[::40, "error"] = "FloatingPointError: the weights are not finite"
SearchExplorer(table, x="eta0", y="alpha")"""
WATERFALL = """
from sklearn.ensemble import RandomForestClassifier
from lessonkit.course.table_rules import draw
from lessonkit.explorers.waterfall import WaterfallExplorer
from lessonkit.forest_insight import TableEncoder
ship = draw("titanic", 1500).drop(columns=["PassengerId", "Name", "Ticket"])
lived, encoder = ship.pop("Survived").map({0: "died", 1: "survived"}), TableEncoder()
X = encoder.fit_transform(ship)
forest = RandomForestClassifier(100, random_state=0).fit(X[:1000], lived[:1000])
explorer = WaterfallExplorer(forest, X[1000:], encoder=encoder, row=12)
explorer.feature = "Fare"
explorer"""
EMBEDDING = """
import numpy as np, pandas as pd
from lessonkit.explorers.embedding import EmbeddingExplorer
rng, n = np.random.default_rng(0), {n}
matrix = rng.normal(size=(n, 50)) * np.linspace(3, .5, 50)
table = pd.DataFrame(dict(title=[f"Movie number {{i}} ({{1950 + i % 60}})" for i in range(n)],
                          ratings=rng.geometric(.02, n), genre=rng.choice(["Drama", "Comedy", "Action"], n)))
EmbeddingExplorer(matrix, table, popularity="ratings", color="genre", selected=(7,))"""
ROWS = [
    Row(
        "bptt",
        BPTT + "import pydoc_data.topics as t\nBPTTExplorer('\\n'.join(t.topics.values()))",
        control="step",
        notebook7=True,
    ),
    Row(
        "bptt-20M",
        BPTT + "import numpy as np\nBPTTExplorer(np.arange(20_000_000) % 251, bs=64, bptt=70)",
        control="step",
    ),
    Row(
        "softmax",
        "from lessonkit.explorers.softmax import SoftmaxExplorer\nSoftmaxExplorer()",
        control="activation",
        hover=False,
    ),
    Row(
        "schedule",
        "from lessonkit.explorers.schedule import ScheduleExplorer\nScheduleExplorer('one_cycle', lr=0.13, step=40)",
        control="step",
        hover=False,
    ),
    Row("sgd", "from lessonkit.explorers.sgd import SGDExplorer\nSGDExplorer()", control="step"),
    Row("bagging", "from lessonkit.explorers.bagging import BaggingExplorer\nBaggingExplorer()", control="first k"),
    Row("bagging-own", OWN_FOREST, control="first k"),
    Row("waterfall", WATERFALL, control="value", hover=False),
    Row("search", SEARCH, control="rank"),
    Row("embedding", EMBEDDING.format(n=9_066), control="in sight, %", keys=("ArrowLeft", "ArrowRight")),
    Row("embedding-100k", EMBEDDING.format(n=100_000), control="in sight, %", keys=("ArrowLeft", "ArrowRight")),
    Row("lr-finder", LR, control="smoothing", keys=("ArrowLeft", "ArrowRight")),
]


def last_value(code: str):
    "Runs `code` in this process and returns the value of its last line."
    *body, last = ast.parse(code).body
    space = {}
    exec(compile(ast.Module(body, []), "row", "exec"), space)
    return eval(compile(ast.Expression(last.value), "row", "eval"), space)
