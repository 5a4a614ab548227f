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
NETWORK = "from lessonkit.explorers.network import NetworkExplorer\n"
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
SHEET = "from lessonkit.explorers.factor_sheet import FactorSheetExplorer\nFactorSheetExplorer()"
WATERFALL = """
from sklearn.ensemble import RandomForestClassifier
from lessonkit.course.table_rules import draw
from lessonkit.explorers.waterfall import WaterfallExplorer
from lessonkit.forest_insight import TableEncoder
ship = draw("titanic", 1500).drop(columns=["PassengerId", "Name", "Ticket"])
lived, encoder = ship.pop("Survived").map({0: "died", 1: "survived"}), TableEncoder()
X = encoder.fit_transform(ship)
forest = RandomForestClassifier(100, random_state=0).fit(X[:1000], lived[:1000])
meaning = dict(SibSp="siblings, spouse aboard", Parch="parents, children aboard")
explorer = WaterfallExplorer(forest, X[1000:], encoder=encoder, meaning=meaning, row=12)
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
AUGMENT = "from lessonkit.explorers.augment import AugmentExplorer\nAugmentExplorer(picture=1)"
CONV = "from lessonkit.explorers.conv import ConvExplorer\n"
CAM = "from lessonkit.explorers.cam import CAMExplorer\n"
ENTITY = "from lessonkit.explorers.entity import EntityExplorer\nEntityExplorer(selected='BE', epoch=3)"
RNN = "from lessonkit.explorers.rnn import RNNExplorer\n"
EVIDENCE = "from lessonkit.explorers.evidence import EvidenceExplorer\nEvidenceExplorer()"
ROWS = [
    Row(
        "bptt",
        BPTT + "import pydoc_data.topics as t\nBPTTExplorer('\\n'.join(t.topics.values()), step=1)",
        control="step",
        notebook7=True,
    ),
    Row(
        "softmax",
        "from lessonkit.explorers.softmax import SoftmaxExplorer\nSoftmaxExplorer()",
        control="activation of dog",
        hover=False,
    ),
    Row(
        "schedule",
        "from lessonkit.explorers.schedule import ScheduleExplorer\nScheduleExplorer('one_cycle', lr=0.13, step=40)",
        control="step",
        hover=False,
    ),
    Row("sgd", "from lessonkit.explorers.sgd import SGDExplorer\nSGDExplorer()", control="step"),
    Row("bagging", "from lessonkit.explorers.bagging import BaggingExplorer\nBaggingExplorer()", control="trees"),
    Row("sheet", SHEET, control="step"),
    Row("waterfall", WATERFALL, control="value", hover=False),
    Row("search", SEARCH, control="rank"),
    Row("embedding", EMBEDDING.format(n=9_066), control="most ratings, %", keys=("ArrowLeft", "ArrowRight")),
    Row("entity", ENTITY, control="canvas", keys=("PageDown", "PageUp")),
    Row("lr-finder", LR, control="smoothing", keys=("ArrowLeft", "ArrowRight")),
    Row("cam", CAM + "CAMExplorer(picture=1)", control="hide weak evidence"),
    Row("rnn", RNN + "RNNExplorer(trained='100 steps', step=8)", control="answer"),
    Row("evidence", EVIDENCE, control="word"),
    Row("writing", "from lessonkit.explorers.generation import GenerationExplorer\nGenerationExplorer()",
        control="written", hover=False),
    Row("gates", "from lessonkit.explorers.gates import GateExplorer\nGateExplorer(step=20)", control="letter",
        hover=False),
    Row("network", NETWORK + "NetworkExplorer(step=60)", control="step", hover=False),
    Row("augment", AUGMENT, control="set of views"),
    Row("conv", CONV + "ConvExplorer()", control="step"),
]
# other data, much of it or of another kind: they open and move as quickly; the rest is the same explorer's above
MORE = [
    Row("bagging-own", OWN_FOREST, control="trees"),
    Row("network-classes", NETWORK + "NetworkExplorer(task='classes', step=60)", control="step", hover=False),
    Row("bptt-20M", BPTT + "import numpy as np\nBPTTExplorer(np.arange(20_000_000) % 251)", control="step"),
    Row("embedding-100k", EMBEDDING.format(n=100_000), control="most ratings, %", keys=("ArrowLeft", "ArrowRight")),
]


def last_value(code: str):
    "Runs `code` in this process and returns the value of its last line."
    *body, last = ast.parse(code).body
    space = {}
    exec(compile(ast.Module(body, []), "row", "exec"), space)
    return eval(compile(ast.Expression(last.value), "row", "eval"), space)


def numeric(explorer) -> list[str]:
    "The traits that hold a number, or several."
    number = lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)
    several = lambda v: isinstance(v, tuple) and len(v) and all(isinstance(u, float) for u in v)
    values = {name: getattr(explorer, name) for name in explorer.watch if name != "pointed"}
    return [name for name, v in values.items() if number(v) or several(v)]


def off_grid(explorer, name) -> list:
    "Three values between the stops of a trait's control; without one, three a little off what it holds."
    now, control = getattr(explorer, name), explorer._list.get(name)
    if isinstance(now, tuple): return [(v + now[0], *now[1:]) for v in (0.01237, -0.02119, 0.03331)]
    stops = [control.value(round(u * control.n)) for u in (0.3, 0.6, 0.8)] if hasattr(control, "n") else None
    if stops is None and isinstance(now, int):
        last = getattr(control, "last", 10**9)
        ints = range(max(now - 3, 0), min(now + 4, last + 1))
        return [v for v in ints if v != now and accepts(explorer, name, v)][:3]
    if stops is None: return [now * 1.0371 + 0.00373, now * 0.9713 + 0.00137, now * 1.00913 + 0.00219]
    if isinstance(now, int): return sorted(set(stops))
    return [float(v * 10 ** (0.37 * control.step) if control.log else v + 0.37 * control.step) for v in stops]


def accepts(explorer, name, value) -> bool:
    before = getattr(explorer, name)
    try: setattr(explorer, name, value)
    except ValueError: return False
    kept = getattr(explorer, name) == value and not explorer.error
    setattr(explorer, name, before)
    return kept
