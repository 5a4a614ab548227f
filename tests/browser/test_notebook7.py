"""The same widgets in Notebook 7, whose page has none of JupyterLab's frame."""
import pytest

from ..explorers import ROWS
from .pages import assert_keyboard, assert_opening


@pytest.mark.parametrize("row", [r for r in ROWS if r.notebook7], ids=lambda row: row.name)
def test_notebook_7(open_page, row):
    page = open_page(row.name, row.code, app="notebook")
    assert_opening(page)
    said = page.narration
    page.press(row.control, row.keys[0])
    page.wait(lambda: page.narration != said, "another sentence")
    assert_keyboard(page)
    page.assert_quiet()
