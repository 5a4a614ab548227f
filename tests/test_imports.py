"""The package from outside: each module on its own, imports that only go down, and a word about every public name.

Three floors: `course` (ground), lessons (which import smaller-numbered lessons only), `explorers`."""
import ast
import importlib
import inspect
import json
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
    floor = {"train": 0, "course": 0, "widgets": 1, "exercises": 2, "explorers": 2}
    here, there = (floor.get(room, 1) for room in rooms)
    if here == there == 1 and rooms != ["widgets", "widgets"]:
        return "widgets" not in rooms and NUMBER[other] < NUMBER[module]
    return there <= here


def fresh(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT / "tests",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_is_found():
    assert {"lessonkit.bptt", "lessonkit.course.cli", "lessonkit.explorers.bptt"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_in_a_fresh_process_and_has_what_it_says(module):
    fresh(f"import {module} as m; [getattr(m, name) for name in m.__all__]")


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
def test_lessons_load_no_widget_library(module):
    assert fresh(f"import sys, {module}; print(*sorted({WIDGETS!r} & set(sys.modules)))").split() == []


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
