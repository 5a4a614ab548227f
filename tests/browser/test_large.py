"""A stream of twenty million tokens, in JupyterLab: only what is on screen is looked at."""
from ..explorers import BIG
from .pages import assert_opening


def test_twenty_million_tokens(open_page, measured):
    page = open_page(BIG.name, BIG.code)
    assert_opening(page)
    latency = page.latency(BIG.control, BIG.keys)
    measured(f"{page.name}: {latency}")
    latency.assert_in_budget()
    page.assert_quiet()
