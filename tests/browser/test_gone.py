"""An explorer whose kernel is shut down, in JupyterLab; the rest of it is in tests/widgets/test_js.py."""
SGD = "from lessonkit.explorers.sgd import SGDExplorer\nSGDExplorer()"


def test_it_greys_when_the_kernel_is_shut_down(open_page):
    page = open_page("gone", SGD)
    band = page.root.locator(".lk-band")
    page.press("step", "ArrowRight")
    assert not band.is_visible()
    page.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown().then(() => null)")
    page.wait(band.is_visible, "the line that says so")
    assert "kernel has gone" in band.inner_text()
    assert page.root.locator(".lk-stage").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"
