"""Other data in JupyterLab, a forest of one's own or twenty million tokens: it opens and moves as quickly."""
import pytest

from ..explorers import MORE
from .pages import assert_opening


@pytest.mark.parametrize("row", MORE, ids=lambda row: row.name)
def test_it_is_as_quick(open_page, measured, alone, row):
    page = open_page(row.name, row.code)
    if not row.name.startswith("embedding"): assert_opening(page)  # a hundred thousand places are 1 MB
    latency, how = page.quickness(alone, row.control, row.keys)
    measured(f"{page.name}: opening sends {page.open_bytes / 1000:.0f} kB; {how}: {latency}")
    latency.assert_in_budget()
    page.assert_quiet()
