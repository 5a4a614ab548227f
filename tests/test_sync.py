"""The notebooks are committed clean, in sync with the package and README, small, and without widget state."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def redone(tmp_path_factory):
    "A copy of the project in which everything that can be generated has been generated anew."
    copy = tmp_path_factory.mktemp("redone") / "lessonkit"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(
            ".git",
            ".venv*",
            "__pycache__",
            "*.egg-info",
            "shots",
            ".ipynb_checkpoints",
            "lessons",
            ".hypothesis",
            ".pytest_cache",
        ),
    )
    for command in (
        [BIN / "nbdev_export"],
        [BIN / "nbdev_clean"],
        [sys.executable, "tools/notebooks.py", "strip"],
        [sys.executable, "tools/notebooks.py", "readme"],
    ):
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        assert not done.returncode, f"{command}: {done.stdout}{done.stderr}"
    return copy


def same(redone: Path, pattern: str, command: str):
    texts = [
        {
            p.relative_to(root).as_posix(): p.read_text(encoding="utf-8")
            for p in root.glob(pattern)
            if ".ipynb_checkpoints" not in p.parts
        }
        for root in (ROOT, redone)
    ]
    differ = sorted(k for k in texts[0].keys() | texts[1].keys() if texts[0].get(k) != texts[1].get(k))
    assert not differ, f"`{command}` changes {', '.join(differ)}: run it and commit"


def test_package_is_what_the_notebooks_export(redone): same(redone, "lessonkit/**/*.py", "make export")


def test_notebooks_are_clean(redone): same(redone, "nbs/**/*.ipynb", "make clean")


def test_readme_is_what_the_index_says(redone): same(redone, "README.md", "make readme")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_fit_to_commit(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_size <= 300 * 1024
    assert "widgets" not in nb["metadata"]
    ids = [c["id"] for c in nb["cells"]]
    assert len(set(ids)) == len(ids)
    for out in (o for c in nb["cells"] if c["cell_type"] == "code" for o in c["outputs"]):
        assert out["output_type"] != "error" and set(out.get("data", {})) <= {
            "text/plain",
            "image/png",
            "text/markdown",
        }


@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if p.parent.name == "nbs" and p.stem[:2].isdigit()], ids=lambda p: p.stem
)
def test_lesson_shows_its_outputs(path):
    "GitHub shows what is committed: no cell of a lesson that draws is left without its picture."
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert sum(bool(c["outputs"]) for c in cells) > len(cells) / 3
    for c in cells:
        source = "".join(c["source"])
        if "plt.subplots(" in source or "Explorer(" in source and "import" in source:
            assert any("image/png" in o.get("data", {}) for o in c["outputs"]), (
                f"cell {c['id']} draws, but its picture is not committed: make outputs NB={path.name}"
            )
