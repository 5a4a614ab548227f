"""Chromium for the tests of this folder, once for all of them."""
from tests.browser.conftest import browser, measured  # noqa: F401  (fixtures)
