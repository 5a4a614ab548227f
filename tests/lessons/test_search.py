"""What lesson 12 promises of `search`: killed and resumed it loses nothing, and errors say what to change."""
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from lessonkit.engines.journal import Journal, describe
from lessonkit.search import best, chosen, fit_and_score, grid, parameters, sample, search

TESTS = Path(__file__).resolve().parent
X, y = load_breast_cancer(return_X_y=True)
TRAIN, VALID = (X[::2], y[::2]), (X[1::2], y[1::2])
TREE = DecisionTreeClassifier()
SPACE = {"max_depth": [1, 2, 3, None], "min_samples_leaf": [1, 5], "criterion": ["gini", "entropy"]}


class Notes:
    "What a scorer keeps for a test; numbers and lists that it reads itself would be a part of its code."

    def __init__(self): self.seen, self.stopped = [], False

    def __repr__(self): return "notes"


def timeless(table): return table.drop(columns="seconds")


def same(a, b): pd.testing.assert_frame_equal(timeless(a), timeless(b))


def quietly(*args, **kwargs): return search(*args, progress=False, **kwargs)


# ── killed and resumed ──

PROGRAM = """
import os, sys, time
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from lessonkit.search import grid, search

class Counted(DecisionTreeClassifier):
    def fit(self, X, y):
        time.sleep(.01)
        super().fit(X, y)
        with open(os.environ["COUNT"], "a") as f: f.write(f"{self.min_samples_leaf}\\n")  # a fit that was finished
        return self

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)); y = (X[:, 0] + rng.normal(size=200) > 0).astype(int)
    table = search(Counted(), grid({"min_samples_leaf": list(range(1, 201))}), (X[::2], y[::2]), (X[1::2], y[1::2]),
                   n_jobs=2, journal=sys.argv[1], progress=False)
    table.to_json(sys.argv[2])
"""


def recorded(journal: Path) -> list[int]:
    "The settings whose line has ended."
    if not journal.exists(): return []
    return [json.loads(line)["setting"]["min_samples_leaf"] for line in journal.read_bytes().split(b"\n")[1:-1]]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kill -9 of a process group: POSIX")
@pytest.mark.parametrize("luck", range(3))
def test_killed_half_way_and_resumed(tmp_path, luck):
    "kill -9 of parent and workers at random moments: recorded fits are never done again, all others are."
    program, journal, count, out = (tmp_path / n for n in ("program.py", "search.jsonl", "count", "out.json"))
    program.write_text(PROGRAM)
    count.touch()
    rng = random.Random(luck)
    env = {**os.environ, "COUNT": str(count), "OMP_NUM_THREADS": "1", "JOBLIB_TEMP_FOLDER": str(tmp_path),
           "PYTHONPATH": os.pathsep.join([str(TESTS.parents[1]), str(tmp_path)])}
    start = lambda: subprocess.Popen([sys.executable, program, journal, out], env=env, start_new_session=True)
    at_kill = []
    for goal in (rng.randint(20, 90), rng.randint(100, 180)):
        process = start()
        deadline = time.time() + 120
        while len(recorded(journal)) < goal and process.poll() is None and time.time() < deadline: time.sleep(.002)
        time.sleep(rng.random() * .05)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was finished before it was killed"
        time.sleep(.1)  # the last of the workers
        at_kill.append((recorded(journal), Counter(map(int, count.read_text().split()))))
        assert goal <= len(at_kill[-1][0]) < 200
    assert start().wait(timeout=120) == 0

    done, fits = recorded(journal), Counter(map(int, count.read_text().split()))
    assert sorted(done) == list(range(1, 201)), "a fit was lost, or recorded twice"
    assert set(fits) == set(range(1, 201))
    for known, before in at_kill:
        repeated = [k for k in known if fits[k] > before[k]]
        assert not repeated, f"recorded fits were done again: {repeated}"
    again = {k for k, n in fits.items() if n > 1}
    in_flight = {k for known, before in at_kill for k in before if k not in known}  # finished, but their line was not
    assert again <= in_flight and sum(fits.values()) - 200 <= 2 * 6, f"{len(again)} fits were done again"
    table = pd.read_json(out)
    assert table.min_samples_leaf.tolist() == list(range(1, 201)) and table.score.notna().all()


def test_interrupted_from_the_keyboard(tmp_path):
    notes, journal = Notes(), tmp_path / "j.jsonl"
    count = notes.seen

    def score(model, X, y):
        if len(notes.seen) == 14 and not notes.stopped:
            notes.stopped = True
            raise KeyboardInterrupt
        notes.seen.append(model.get_params())
        return model.score(X, y)

    with pytest.raises(KeyboardInterrupt): quietly(TREE, grid(SPACE), TRAIN, VALID, score=score, journal=journal)
    assert len(journal.read_text().splitlines()) == 8
    table = quietly(TREE, grid(SPACE), TRAIN, VALID, score=score, journal=journal)
    assert len(count) == 32, 'each fit is scored twice: on held-out rows and on its own'
    same(table, quietly(TREE, grid(SPACE), TRAIN, VALID))
    same(table, quietly(TREE, grid(SPACE), TRAIN, VALID, score=score, journal=journal))
    assert len(count) == 32, "a whole journal needs no fit"


@given(st.integers(0, 10_000))
@hypothesis_settings(max_examples=30, deadline=None)
def test_a_journal_torn_anywhere_is_mended(tmp_path_factory, cut):
    path, notes = tmp_path_factory.mktemp("torn") / "j.jsonl", Notes()
    counted = notes.seen

    def score(model, X, y):
        notes.seen.append(model.max_depth)
        return model.score(X, y)

    settings = grid({"max_depth": [1, 2, 3, 4, 5]})
    want = quietly(TREE, settings, TRAIN, VALID, score=score, journal=path)
    text = path.read_bytes()
    path.write_bytes(text[: cut % (len(text) + 1)])
    left = max(0, path.read_bytes().count(b"\n") - 1)
    counted.clear()
    same(quietly(TREE, settings, TRAIN, VALID, score=score, journal=path), want)
    assert len(counted) == 2 * (5 - left)
    assert len(path.read_bytes().splitlines()) == 6 and all(json.loads(line) for line in path.read_bytes().splitlines())


def test_a_journal_of_something_else_is_refused(tmp_path):
    path, settings = tmp_path / "j.jsonl", grid({"max_depth": [1, 2]})
    quietly(TREE, settings, TRAIN, VALID, journal=path)
    before = path.read_bytes()
    other = VALID[0].copy()
    other[7, 3] += 1e-9
    for model, train, valid, options, words in [
        (DecisionTreeClassifier(min_samples_leaf=3), TRAIN, VALID, {}, "min_samples_leaf: 1 there, 3 here"),
        (TREE, TRAIN, (other, VALID[1]), {}, "data X_valid"), (TREE, VALID, VALID, {}, "data X"),
        (TREE, TRAIN, VALID, dict(score="roc_auc"), "score"),
        (TREE, TRAIN, VALID, dict(seed=1), "random_state: 0 there, 1 here")]:
        with pytest.raises(ValueError, match=words): quietly(model, settings, train, valid, journal=path, **options)
    with pytest.raises(ValueError, match="model"): quietly(SGDClassifier(), [{"alpha": 1}], TRAIN, VALID, journal=path)
    assert path.read_bytes() == before


def test_two_searches_on_one_journal(tmp_path):
    path = tmp_path / "j.jsonl"
    code = ("import sys, time; from lessonkit.engines.journal import Journal\n"
            "with Journal(sys.argv[1], {}): print('in', flush=True); time.sleep(60)")
    other = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True,
                             cwd=TESTS.parents[1])
    try:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(RuntimeError, match="another search"): Journal(path, {}).__enter__()
    finally: other.kill(), other.wait()
    with Journal(path, {}) as book: assert not book.entries  # a killed process leaves no lock


@pytest.mark.parametrize("part", ["table", "strings", "sparse", "list"])
def test_a_journal_knows_any_data_again(tmp_path, part):
    "In another process too: the hash is of values, not of objects."
    code = f"""
import sys; import numpy as np, pandas as pd; from scipy import sparse
from lessonkit.engines.journal import digest as _digest
print(_digest(dict(table=pd.DataFrame(dict(a=[1, 2], b=["x" * n for n in (1, 2)], c=pd.Categorical(["p", "q"]))),
                   strings=np.array(["a", None, "ccc"], object),
                   sparse=sparse.csr_matrix(np.eye(3)), list=["one text", "another"])[{part!r}]))"""
    run = lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                                 cwd=TESTS.parents[1]).stdout
    assert run() == run() != ""


# ── where it runs ──

def test_every_backend_gives_the_same_table():
    pytest.importorskip("distributed")
    from dask.distributed import Client, LocalCluster

    settings = grid(SPACE) + [{"max_depth": -1}]
    want = quietly(TREE, settings, TRAIN, VALID)
    for backend in ("loky", "threading", "multiprocessing"):
        with joblib.parallel_config(backend, n_jobs=2): same(quietly(TREE, settings, TRAIN, VALID), want)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        with joblib.parallel_config("dask"): same(quietly(TREE, settings, TRAIN, VALID), want)


def test_dask_writes_and_reads_the_same_journal(tmp_path):
    pytest.importorskip("distributed")
    from dask.distributed import Client, LocalCluster

    path, settings = tmp_path / "j.jsonl", grid(SPACE)
    quietly(TREE, settings[:7], TRAIN, VALID, journal=path, n_jobs=2)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        with joblib.parallel_config("dask"): table = quietly(TREE, settings, TRAIN, VALID, journal=path)
    assert len(path.read_text().splitlines()) == 17
    same(table, quietly(TREE, settings, TRAIN, VALID))


def test_a_backend_that_returns_only_at_the_end(monkeypatch):
    from joblib._parallel_backends import ThreadingBackend

    class AtTheEnd(ThreadingBackend): supports_return_generator = False

    joblib.register_parallel_backend("at-the-end", AtTheEnd)
    with joblib.parallel_config("at-the-end", n_jobs=2):
        with pytest.raises(ValueError): joblib.Parallel(return_as="generator_unordered")
        same(quietly(TREE, grid(SPACE), TRAIN, VALID), quietly(TREE, grid(SPACE), TRAIN, VALID, n_jobs=1))


# ── what it gives ──

def test_it_is_the_loop():
    table = quietly(TREE, grid(SPACE), TRAIN, VALID, n_jobs=2, seed=5)
    want = [DecisionTreeClassifier(random_state=5, **s).fit(*TRAIN).score(*VALID) for s in grid(SPACE)]
    assert table.score.tolist() == want and (table.seconds > 0).all() and (table.error == "").all()
    assert list(table.columns) == [*SPACE, "score", "train_score", "seconds", "error"]
    assert best(table) == {k: v for k, v in grid(SPACE)[int(np.argmax(want))].items()}
    assert [chosen(table, i) for i in range(16)] == grid(SPACE)


def test_pipelines_names_and_seeds():
    model = make_pipeline(StandardScaler(), SGDClassifier(max_iter=5, tol=None))
    table = quietly(model, grid({"sgdclassifier__alpha": [1e-4, 1e-2]}), TRAIN, VALID, score="roc_auc", seed=3)
    same(table, quietly(model, grid({"sgdclassifier__alpha": [1e-4, 1e-2]}), TRAIN, VALID, score="roc_auc", seed=3,
                        n_jobs=2))
    assert model.get_params()["sgdclassifier__random_state"] is None, "the model given was changed"
    with pytest.raises(ValueError, match="did you mean 'sgdclassifier__alpha'"):
        quietly(model, [{"sgdclasifier__alpha": 1}], TRAIN, VALID)


def test_a_failing_setting_is_a_row(tmp_path):
    settings = grid({"solver": ["lbfgs", "none such"], "C": [-1.0, 1.0]})
    for journal in (None, tmp_path / "j.jsonl", tmp_path / "j.jsonl"):
        table = quietly(LogisticRegression(max_iter=5000), settings, TRAIN, VALID, n_jobs=2, journal=journal)
        assert table.score.notna().tolist() == [False, True, False, False]
        assert table.error.str.contains("InvalidParameterError").tolist() == [True, False, True, True]
        assert table.seconds.isna().tolist() == [True, False, True, True]
    assert best(table) == {"solver": "lbfgs", "C": 1.0}


@pytest.mark.parametrize("value, words", [(np.nan, "finite"), (np.inf, "finite"), ("good", "one number"),
                                          (None, "one number"), ([1, 2], "one number"),
                                          (True, "one number"), (1j, "one number")])
def test_a_score_must_be_a_number(value, words):
    result = fit_and_score(TREE, {}, lambda model, X, y: value, *TRAIN, *VALID)
    assert result["score"] is None and words in result["error"]


@pytest.mark.parametrize("value", [np.float32(.5), np.array(.5), 1, np.int64(1)])
def test_any_number_is_a_score(value):
    assert fit_and_score(TREE, {}, lambda model, X, y: value, *TRAIN, *VALID)["score"] == float(value)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.one_of(st.none(), st.booleans(), st.integers(),
    st.floats(allow_nan=False), st.text()),
       min_size=1, max_size=4, unique_by=json.dumps), min_size=1, max_size=4), st.integers(0, 5))
@hypothesis_settings(max_examples=60, deadline=None)
def test_grid_and_sample(space, seed):
    all_of_it = grid(space)
    n = len(all_of_it)
    assert n == np.prod([len(v) for v in space.values()]) and all(list(s) == list(space) for s in all_of_it)
    key = lambda s: json.dumps(s, sort_keys=True)
    assert len({key(s) for s in all_of_it}) == n
    drawn = sample(space, n, seed)
    assert {key(s) for s in drawn} == {key(s) for s in all_of_it} and sample(space, (n + 1) // 2,
        seed) == drawn[: (n + 1) // 2]
    with pytest.raises(ValueError, match=f"only {n}"): sample(space, n + 1, seed)


def test_distributions():
    settings = sample({"a": stats.loguniform(1e-6, 1), "b": stats.randint(1, 4), "c": ["x"]}, 300, seed=1)
    a, b = (np.array([s[k] for s in settings]) for k in "ab")
    assert abs(np.median(np.log10(a)) + 3) < .5 and set(b) == {1, 2, 3}
    assert type(settings[0]["a"]) is float and type(settings[0]["b"]) is int
    assert settings == sample({"a": stats.loguniform(1e-6, 1), "b": stats.randint(1, 4), "c": ["x"]}, 300, seed=1)


@pytest.mark.parametrize("call, words", [
    (lambda: quietly(TREE, [], TRAIN, VALID), "settings is empty"),
    (lambda: quietly(TREE, grid({}), TRAIN, VALID), "space is empty"),
    (lambda: quietly(TREE, [{"depth": 3}], TRAIN, VALID), "did you mean 'max_depth'"),
    (lambda: quietly(TREE, [{"zzz": 3}], TRAIN, VALID), "it has ccp_alpha"),
    (lambda: quietly(TREE, {"max_depth": [1]}, TRAIN, VALID), "grid"),
    (lambda: quietly(TREE, [{"max_depth": 1}], (X, y[:-1]), VALID), "569 rows in X and 568 in y"),
    (lambda: quietly(TREE, [{"max_depth": 1}], TRAIN, (X[:0], y[:0])), "no rows"),
    (lambda: quietly(TREE, [{"max_depth": 1}], TRAIN, (X[:, :3], y)), "same columns"),
    (lambda: quietly(TREE, [{"max_depth": 1}], TRAIN, VALID, score="none such"), "none such"),
    (lambda: quietly(TREE, [{"max_depth": 1}], TRAIN, VALID, score=3), "score=3"),
    (lambda: quietly(TREE, [{"max_depth": 1}], TRAIN, VALID, journal="no/such/folder/j"), "no folder"),
    (lambda: quietly(TREE, [{"max_depth": 1}, {"max_depth": 1}], TRAIN, VALID), "leave one out"),
    (lambda: quietly(TREE, [{"max_depth": np.zeros(2)}], TRAIN, VALID), "must be a number")])
def test_bad_input_says_what_to_change(call, words):
    with pytest.raises((ValueError, TypeError)) as e: call()
    assert words in str(e.value)


def test_the_bar_is_text(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self): return True

    search(TREE, grid(SPACE), TRAIN, VALID)
    assert capsys.readouterr() == ("", ""), "a log file gets no bar"
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    search(TREE, grid(SPACE), TRAIN, VALID)
    assert "fits:" in screen.getvalue() and "/16" in screen.getvalue()
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    search(TREE, grid(SPACE), TRAIN, VALID, progress=False)
    assert not screen.getvalue()

# ── what decides a score, and what may happen to a journal ──

def accuracy(model, X, y): return model.score(X, y)


def test_everything_that_decides_a_score_ties_the_journal(tmp_path):
    path, settings = tmp_path / "j.jsonl", grid({"max_depth": [1, 2]})
    weights = np.ones(len(TRAIN[1]))

    def searched(model=TREE, **kwargs):
        return quietly(model, settings, TRAIN, VALID, **{"score": accuracy, "journal": path, **kwargs})

    want = searched()
    rng_made = make_scorer_of(2)
    for kwargs in ({"score": lambda model, X, y: model.score(X, y)}, {"score": partial(accuracy)}, {"score": rng_made},
                   {"score": {"accuracy": accuracy, "auc": "roc_auc"}}, {"fit_params": {"sample_weight": weights}},
                   {"model": DecisionTreeClassifier(class_weight={0: 1, 1: 2})}):
        with pytest.raises(ValueError, match="another search"): searched(**kwargs)
    same(searched(), want)
    assert describe(make_scorer_of(2)) == describe(make_scorer_of(2)) != describe(make_scorer_of(3))


def make_scorer_of(times):
    def score(model, X, y): return accuracy(model, X, y) * times
    return score


FACTOR = 1.0


def doubled(value): return 2 * value
def by_a_global(model, X, y): return FACTOR * model.score(X, y)
def by_a_helper(model, X, y): return doubled(model.score(X, y))
def by_a_default(model, X, y, times=1): return times * model.score(X, y)


def test_a_scorer_counts_with_what_it_reads_and_calls(tmp_path, monkeypatch):
    "A global, another function, an argument fixed in advance: each changes the scores, so the journal is another's."
    def searched(score, name):
        return quietly(TREE, grid({"max_depth": [1]}), TRAIN, VALID, score=score, journal=tmp_path / name)

    searched(by_a_global, "global"), searched(by_a_helper, "helper")
    searched(partial(by_a_default, times=2), "partial")
    searched(by_a_global, "global"), searched(by_a_helper, "helper")
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    monkeypatch.setitem(globals(), "doubled", lambda value: 3 * value)
    for score, name in ((by_a_global, "global"), (by_a_helper, "helper"),
                        (partial(by_a_default, times=3), "partial")):
        with pytest.raises(ValueError, match="another search"): searched(score, name)


def test_a_class_of_ones_own_is_known_by_its_methods(tmp_path):
    def made(factor):
        class Mine(DecisionTreeClassifier):
            def score(self, X, y, sample_weight=None): return factor * super().score(X, y)
        return Mine

    assert describe(made(1)) != describe(made(2)) and describe(made(1)) == describe(made(1))


def test_several_scores_training_scores_and_fit_parameters():
    rare = np.where(TRAIN[1] == 0, 5.0, 1.0)
    table = quietly(TREE, grid({"max_depth": [1, 3, None]}), TRAIN, VALID, score=["roc_auc", "accuracy"], n_jobs=2,
                    fit_params={"sample_weight": rare})
    for i, depth in enumerate((1, 3, None)):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(*TRAIN, sample_weight=rare)
        for column, name, data in (("score", "roc_auc", VALID), ("score_accuracy", "accuracy", VALID),
                                   ("train_score", "roc_auc", TRAIN)):
            assert table[column][i] == get_scorer(name)(tree, *data)
    assert parameters(table) == ["max_depth"] and best(table)["max_depth"] == chosen(table,
        int(table.score.argmax()))["max_depth"]


def test_estimators_are_values(tmp_path):
    model = make_pipeline(StandardScaler(), SGDClassifier())
    steps = grid({"sgdclassifier": [SGDClassifier(alpha=a) for a in (1e-4, 1e-2)] + [DecisionTreeClassifier()]})
    path = tmp_path / "j.jsonl"
    table = quietly(model, steps, TRAIN, VALID, journal=path)
    same(quietly(model, steps, TRAIN, VALID, journal=path, n_jobs=2).assign(sgdclassifier=0),
         table.assign(sgdclassifier=0))
    assert len(path.read_bytes().splitlines()) == 4 and table.error.eq("").all()
    assert not hasattr(steps[0]["sgdclassifier"], "coef_"), "the value given was fitted"
    with pytest.raises(ValueError, match="twice"): grid({"m": [SGDClassifier(), SGDClassifier()]})
    with pytest.raises(TypeError, match="is a class"): grid({"m": [SGDClassifier]})


def deadly(model, X, y):
    if model.min_samples_leaf == 5: os._exit(9)
    return model.score(X, y)


@pytest.mark.skipif(os.name == "nt", reason="a process that kills itself: POSIX")
def test_a_dead_worker_is_a_row(tmp_path):
    settings, path = grid({"min_samples_leaf": [1, 2, 5, 8, 9]}), tmp_path / "j.jsonl"
    table = quietly(TREE, settings, TRAIN, VALID, score=deadly, n_jobs=2, journal=path)
    assert table.score.isna().tolist() == [False, False, True, False, False] and "process died" in table.error[2]
    assert len(path.read_bytes().splitlines()) == 6


def test_every_flipped_bit_of_a_journal_is_noticed(tmp_path):
    path, rng = tmp_path / "j.jsonl", random.Random(0)
    with Journal(path, {"a": 1}) as book:
        for i in range(20): book.add({"i": i}, {"score": i / 7, "error": ""})
    text = path.read_bytes()
    for _ in range(400):
        at, bit = rng.randrange(len(text) - 1), rng.randrange(8)
        path.write_bytes(text[:at] + bytes([text[at] ^ 1 << bit]) + text[at + 1 :])
        with pytest.raises(ValueError), Journal(path, {"a": 1}): pass


class Short:
    "A disk that takes a part of what it is given."

    def __init__(self, file, room): self.file, self.room = file, room

    def write(self, data):
        taken, self.room = data[: self.room], self.room - len(data[: self.room])
        if data and not taken: raise OSError(28, "No space left on device")
        return self.file.write(taken)

    def __getattr__(self, name): return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 40, 300, 500])
def test_a_full_disk_leaves_whole_lines_and_says_so(tmp_path, monkeypatch, room):
    path = tmp_path / "j.jsonl"
    with Journal(path, {}) as book:
        book.add({"i": 0}, {"score": 1})
        book._file = Short(book._file, room)
        with pytest.raises(OSError, match="could not be written.*the same call goes on"):
            for i in range(1, 20): book.add({"i": i}, {"score": i})
        done = len(book.entries)
    with Journal(path, {}) as book: assert len(book.entries) == done >= 1
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_tables_whose_columns_differ_are_refused():
    frames = [(pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]), y) for X, y in (TRAIN, VALID)]
    exchanged = frames[1][0][frames[1][0].columns[::-1]], frames[1][1]
    with pytest.raises(ValueError, match="another order"): quietly(TREE, [{"max_depth": 1}], frames[0], exchanged)
