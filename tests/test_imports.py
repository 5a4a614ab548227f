"""The package from outside: each module on its own, imports that only go down, and a word about every public name.

Three floors: `course` (ground), lessons (which import smaller-numbered lessons only), `explorers`."""
import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lessonkit"
MODULES = sorted(
    ".".join(p.relative_to(ROOT).with_suffix("").parts)
    for p in PACKAGE.rglob("*.py")
    if p.stem not in ("__init__", "_modidx")
)
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
WIDGETS = {"ipywidgets", "anywidget", "plotly", "IPython"}


def cells(nb: Path) -> list[str]:
    return [
        "".join(c["source"]) for c in json.loads(nb.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"
    ]


def exports(nb: Path) -> str | None:
    "The module that a notebook exports, by its `default_exp`."
    found = [m[1] for source in cells(nb) if (m := re.search(r"^#\| *default_exp +(\S+)", source, re.M))]
    assert len(found) <= 1, f"{nb.name} has {len(found)} default_exp"
    return f"lessonkit.{found[0]}" if found else None


NUMBER = {exports(nb): int(nb.name[:2]) for nb in NOTEBOOKS if re.match(r"\d\d_", nb.name)} # lessonkit.bptt → 32


def imported(module: str, source: str) -> set[str]:
    """The lessonkit modules that `source`, a part of `module`, imports at any depth of its code, `from .

    import x` among them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import): found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level: base = ".".join([*module.split(".")[:-node.level], *([node.module] if node.module else [])])
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in node.names}
    return {m for m in found if m in MODULES}


def source(module: str) -> str: return (ROOT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")


def may_import(module: str, other: str) -> bool:
    "Whether the floors allow `module` to import `other`."
    rooms = [m.split(".")[1] for m in (module, other)]
    # beside the lessons, above the ground
    if "widgets" in rooms and rooms[0] not in ("widgets", "explorers"): return False
    if rooms == ["train", "course"]: return False
    floor = {"train": 0, "engines": 0, "course": 0, "widgets": 1, "exercises": 2, "explorers": 2}
    here, there = (floor.get(room, 1) for room in rooms)
    if here == there == 1 and rooms != ["widgets", "widgets"]:
        return "widgets" not in rooms and NUMBER[other] < NUMBER[module]
    return there <= here


# One process loads the large libraries and none of ours, and forks a child for each module: a fresh interpreter at a
# tenth of the price. What is loaded beforehand could hide a missing import, so it is little: no widget library, and no
# part of a library that a module of ours has to import by itself (sklearn.tree, torch.distributed...).
FORKS = """
import json, os, sys, traceback
import numpy, pandas, sklearn.base, torch
before = set(sys.modules)
for module in sys.argv[1:]:
    sys.stdout.flush()
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        try:
            m = __import__(module, fromlist=["x"])
            [getattr(m, name) for name in m.__all__]
            told = {"loaded": sorted({n.partition(".")[0] for n in set(sys.modules) - before})}
        except BaseException: told = {"failed": traceback.format_exc()}
        with os.fdopen(into, "w") as f: json.dump(told, f)
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as f: text = f.read()
    os.waitpid(child, 0)
    print(json.dumps([module, json.loads(text or '{"failed": "the process died"}')]), flush=True)
"""
ONE = """
import json, sys
before = set(sys.modules)
m = __import__(sys.argv[1], fromlist=["x"])
[getattr(m, name) for name in m.__all__]
print(json.dumps([sys.argv[1], {"loaded": sorted({n.partition(".")[0] for n in set(sys.modules) - before})}]))
"""


def run(code: str, *modules: str) -> dict[str, dict]:
    done = subprocess.run([sys.executable, "-W", "error::SyntaxWarning", "-c", code, *modules],
                          capture_output=True, text=True, timeout=300, cwd=ROOT / "tests")
    found = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    return {m: found.get(m, {"failed": done.stderr or "nothing was said"}) for m in modules}


@pytest.fixture(scope="module")
def imported_alone() -> dict[str, dict]:
    "Each module imported in a process of its own that holds none of ours: what that loaded, or how it failed."
    if hasattr(os, "fork"): return run(FORKS, *MODULES)
    return {m: run(ONE, m)[m] for m in MODULES}


def test_every_module_is_found():
    assert {"lessonkit.bptt", "lessonkit.course.cli", "lessonkit.explorers.bptt"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_in_a_fresh_process_and_has_what_it_says(module, imported_alone):
    assert "failed" not in imported_alone[module], imported_alone[module]["failed"]


@pytest.mark.parametrize("module", ["lessonkit.course.datasets", "lessonkit.course.cli"])
def test_a_process_that_holds_nothing_at_all(module):
    "Where a library that others load anyway is not loaded: the two that start first, in a new interpreter."
    assert "failed" not in (told := run(ONE, module)[module]), told["failed"]
    assert not {"torch", "pandas", "numpy"} & set(told["loaded"])


def test_the_fork_finds_what_is_wrong(tmp_path, monkeypatch):
    "A module that lacks a name, one that fails, one that ends the process: each is told of, and the next is tried."
    texts = {"a": "__all__ = ['x']", "b": "import nowhere_at_all", "c": "import os; os._exit(3)", "d": "__all__ = []"}
    for name, text in texts.items():
        (tmp_path / f"mod_{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run(FORKS, *(f"mod_{n}" for n in "abcd"))
    assert "has no attribute 'x'" in found["mod_a"]["failed"] and "nowhere_at_all" in found["mod_b"]["failed"]
    assert "died" in found["mod_c"]["failed"] and "mod_d" in found["mod_d"]["loaded"]


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_go_down(module):
    up = sorted(other for other in imported(module, source(module)) if not may_import(module, other))
    assert not up, (
        f"{module} imports {up}: course is below lessons, a lesson below those with larger numbers, "
        f"explorers are on top"
    )


def test_the_rule_finds_what_it_forbids():
    assert imported("lessonkit.course.x", "def f():\n    from ..bptt import LMBatches") == {"lessonkit.bptt"}
    assert imported("lessonkit.tokens", "from . import bptt") == {"lessonkit.bptt"}
    assert not may_import("lessonkit.course.datasets", "lessonkit.bptt") and not may_import(
        "lessonkit.bptt", "lessonkit.explorers.bptt"
    )
    assert not may_import("lessonkit.tokens", "lessonkit.bptt") and may_import("lessonkit.bptt", "lessonkit.tokens")
    assert may_import("lessonkit.explorers.bptt", "lessonkit.bptt") and may_import(
        "lessonkit.explorers.bptt", "lessonkit.widgets.explorer"
    )
    assert not may_import("lessonkit.widgets.scene", "lessonkit.bptt") and not may_import(
        "lessonkit.bptt", "lessonkit.widgets.scene"
    )
    assert not may_import("lessonkit.train.loaders", "lessonkit.course.runs") and may_import(
        "lessonkit.course.runs", "lessonkit.train.loaders"
    )


@pytest.mark.parametrize("module", sorted(NUMBER))
def test_lessons_load_no_widget_library(module, imported_alone):
    assert not WIDGETS & set(imported_alone[module]["loaded"])


TREES = {f"lessonkit.{m}" for m in ("bagging", "forest_insight", "search")}
TABLES = TREES | {"lessonkit.tabular"}
ABSENT = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]: raise ImportError(f"{name} is loaded")
sys.meta_path.insert(0, Absent())
for module in sys.argv[2:]: importlib.import_module(module)
"""


@pytest.mark.parametrize("library, modules", [
    ("torch", TREES | {f"lessonkit.explorers.{m}" for m in ("bagging", "search", "waterfall")}),
    ("sklearn", set(NUMBER) - TABLES | {"lessonkit.explorers.lr_finder", "lessonkit.explorers.schedule"}),
], ids=["torch", "sklearn"])
def test_what_a_lesson_does_not_need_is_not_loaded(library, modules):
    """Each takes seconds and 100 MB or more, in a learner's kernel and in every process of a search.

    The lessons on trees and on searching load no torch; those on nets no scikit-learn, until its data are asked for."""
    done = subprocess.run([sys.executable, "-c", ABSENT, library, *sorted(modules)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("nb", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_notebooks_import_by_absolute_names(nb):
    """A relative import would fail in a notebook; nbdev makes them relative in the module.

    Lessons may show explorers, but not export that."""
    module = exports(nb)
    for text in cells(nb):
        assert not re.search(r"^\s*from +\.", text, re.M), text
        if module and re.search(r"^#\| *exporti?s?\b", text, re.M):
            assert all(may_import(module, o) for o in imported(module, text)), text


@pytest.mark.parametrize("nb", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_each_notebook_has_its_module_where_it_belongs(nb):
    """nbs/NN_topic.ipynb is lessonkit/topic.py, nbs/course/topic.ipynb is lessonkit/course/topic.py; and each has
    been exported."""
    folder, topic = nb.relative_to(ROOT / "nbs").parts[:-1], re.sub(r"^\d\d_", "", nb.stem)
    expected = ".".join(["lessonkit", *folder, topic])
    if exports(nb) is None: assert nb.name == "index.ipynb"
    else: assert exports(nb) == expected and expected in MODULES


def public(module: str) -> list:
    return [(name, getattr(importlib.import_module(module), name)) for name in importlib.import_module(module).__all__]


def bare(name: str, o) -> bool:
    "Whether `o` has no docstring of its own; the signature that a dataclass writes for itself is none."
    if not inspect.isclass(o): return not inspect.getdoc(o)
    doc = vars(o).get("__doc__")
    return not doc or doc.startswith(f"{name}(")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring(module):
    names = [(name, o) for name, o in public(module) if inspect.isroutine(o) or inspect.isclass(o)]
    missing = [name for name, o in names if bare(name, o)]
    missing += [f"{name}.{k}" for name, o in names if inspect.isclass(o) for k, f in vars(o).items()
                if inspect.isfunction(f) and not k.startswith("_") and not inspect.getdoc(getattr(o, k))]
    assert not missing, f"{module}: no docstring on {', '.join(missing)}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is_for(module):
    assert ast.get_docstring(ast.parse(source(module))), (
        f"{module} has no docstring: the `> line` under its notebook's title makes it"
    )
