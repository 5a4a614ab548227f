"""An explorer whose kernel is shut down, in JupyterLab; the rest of it is in tests/widgets/test_js.py."""
SGD = "from lessonkit.explorers.sgd import SGDExplorer\nSGDExplorer()"


def test_it_greys_when_the_kernel_is_shut_down(open_page):
    page = open_page("gone", SGD)
    band = page.root.locator(".lk-band")
    page.press("step", "ArrowRight")
    assert not band.is_visible()
    page.page.evaluate("probe.within('shutdown', jupyterapp.shell.currentWidget.sessionContext.shutdown())")
    page.wait(band.is_visible, "the line that says so")
    assert "kernel has gone" in band.inner_text()
    assert page.root.locator(".lk-stage").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"


def test_it_lives_again_when_its_cell_is_run_again(open_page):
    page = open_page("restarted", SGD)
    restart = "jupyterapp.shell.currentWidget.sessionContext.restartKernel().then(() => null)"
    page.page.evaluate(f"probe.within('restart', {restart})")
    page.wait_kernel()
    page.page.evaluate("probe.command('notebook:run-all-cells')")
    page.wait(lambda: page.root.locator(".lk-band:visible").count() == 0 and page.frame > 0, "a new picture")
    page.settle()
    said = page.narration
    page.press("step", "ArrowRight")
    page.wait(lambda: page.narration != said, "another sentence")
    assert page.page.locator(".lk-explorer").count() == 1 and not page.root.locator(".lk-gone").count()
