"""Large data in JupyterLab: only what is on screen is looked at."""
import pytest

from ..explorers import BIG
from .pages import assert_opening


@pytest.mark.timed
@pytest.mark.parametrize("row", BIG, ids=lambda row: row.name)
def test_much_is_as_quick_as_little(open_page, measured, row):
    page = open_page(row.name, row.code)
    if row.name == "bptt-20M": assert_opening(page)
    latency = page.latency(row.control, row.keys)
    measured(f"{page.name}: opening sends {page.open_bytes / 1000:.0f} kB; {latency}")
    latency.assert_in_budget()
    page.assert_quiet()
