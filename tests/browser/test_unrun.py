"""Each notebook that is committed with outputs, opened without being run, untrusted and then trusted: no error text,
and a picture of each explorer. The others have nothing to show; they are looked at without a browser."""
import ast
from pathlib import Path

import nbformat
import pytest

from .pages import NotebookPage
from .server import KERNEL

NBS = Path(__file__).parents[2] / "nbs"
ALL = {p: nbformat.read(p, 4) for p in sorted(NBS.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts}
WITH_OUTPUTS = [p for p, nb in ALL.items() if any(cell.get("outputs") for cell in nb.cells)]
WRONG = (
    "model not found",
    "Loading widget",
    "Error displaying widget",
    "Error creating widget",
    "Failed to load model",
    "Javascript Error",
    "Traceback (most recent call last)",
)


@pytest.fixture(scope="module")
def lab(context, server):
    "One JupyterLab in which they are opened one after the other."
    page = NotebookPage(context, server, server.write("unrun.ipynb", "1"))
    yield page
    page.close()


def shown_explorers(nb) -> list[int]:
    """The cells of `nb` whose last line is an explorer: `SomeExplorer(…)`, a variable that holds one, or
    `display(…)` of it."""
    names, shown = set(), []

    def is_explorer(node):
        if isinstance(node, ast.Name): return node.id in names
        if not isinstance(node, ast.Call): return False
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return called.endswith("Explorer") or called == "display" and any(map(is_explorer, node.args))

    for i, cell in enumerate(nb.cells):
        code = "\n".join(line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!")))
        if cell.cell_type != "code" or not (body := ast.parse(code).body): continue
        for node in body:
            if isinstance(node, ast.Assign) and is_explorer(node.value):
                names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        if isinstance(body[-1], ast.Expr) and is_explorer(body[-1].value) and not code.rstrip().endswith(";"):
            shown.append(i)
    return shown


def assert_unrun(lab, nb, path: str, signed: bool = False):
    "Opened as it is, then trusted by hand (a signed one is at once), it says nothing wrong and shows its explorers."
    lab.server.put(path, nb, signed)
    panel = lab.show(path)
    try:
        for trusted in (True,) if signed else (False, True):
            if trusted and not signed: lab.page.evaluate("probe.trust()")
            lab.page.wait_for_timeout(300)  # the widget manager has asked the kernel for models by then
            assert not trusted or lab.page.evaluate("probe.trusted()"), f"{path} should be trusted, and is not"
            outputs = panel.locator(".jp-OutputArea").all_inner_texts()
            found = [w for w in WRONG for text in outputs if w in text]
            assert not found, f"{path} says {found} before it is run, trusted: {trusted}"
            for i in shown_explorers(nb):
                pictures = panel.locator(".jp-Cell").nth(i).locator(".jp-OutputArea img[src^='data:image/png']")
                assert pictures.count(), f"{path}: cell {i} shows an explorer, but no picture of it"
        lab.assert_quiet()
    finally:
        lab.page.evaluate("jupyterapp.shell.currentWidget.dispose()")  # closed unsaved and unasked


@pytest.mark.parametrize("notebook", WITH_OUTPUTS, ids=lambda p: p.relative_to(NBS).as_posix())
def test_unrun(lab, notebook):
    assert_unrun(lab, ALL[notebook], notebook.relative_to(NBS).as_posix())


def test_a_signed_notebook_is_trusted_as_it_opens(lab):
    first = WITH_OUTPUTS[0]
    assert_unrun(lab, ALL[first], f"signed/{first.name}", signed=True)


def test_a_notebook_without_outputs_shows_no_explorer():
    assert len(WITH_OUTPUTS) > 15, "notebooks are committed with their outputs"
    blank = {p.name: shown_explorers(nb) for p, nb in ALL.items() if p not in WITH_OUTPUTS}
    assert not (hidden := [name for name, cells in blank.items() if cells]), f"no picture of an explorer in {hidden}"


def test_saved_widget_state_and_a_missing_picture_are_caught(lab):
    "What the tests above would say of a notebook that was saved with its widgets."
    cell = nbformat.v4.new_code_cell("w = SomeExplorer()\nw")
    nb = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL})
    with pytest.raises(AssertionError, match="no picture"): assert_unrun(lab, nb, "no-picture.ipynb")
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "0" * 32, "version_major": 2, "version_minor": 0}}
    cell.outputs = [nbformat.v4.new_output("display_data", data=view)]
    with pytest.raises(AssertionError, match="Loading widget|model not found"):
        assert_unrun(lab, nb, "widget.ipynb", signed=True)
