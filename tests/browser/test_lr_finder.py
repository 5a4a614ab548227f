"""The LR finder's buttons in JupyterLab: the curve grows while it runs, the stop button is heard, a click chooses, three short runs appear."""
import pytest

from .test_explorers import LR

SLOW = LR.replace("LRFinderExplorer(finds[0], learn=learner(0), finds=finds)", """
from lessonkit.learner import Callback
class Slow(Callback):
    def after_batch(self, learn):
        import time
        time.sleep(.03)
slow = learner(0)
slow.cbs.append(Slow())
LRFinderExplorer(slow, n_try=20)""")


@pytest.fixture
def page(open_page):
    return open_page("lr-finder-run", SLOW, figure=True)


def test_run_stop_choose_try(page):
    button = lambda name: page.root.get_by_role("button", name=name)
    assert page.narration.startswith("No curve yet")
    button("run the finder").click()
    page.wait(lambda: "Chosen" in page.narration or "suggests" in page.narration, "a growing curve")
    frame = page.frame
    page.wait(lambda: page.frame > frame + 2, "more of it")
    button("stop").click()
    page.wait(button("run the finder").is_enabled, "the stop to be heard")
    drawn = page.canvas.locator(".scatterlayer .trace").first.evaluate("e => e.closest('.lk-figure')._fullData.find(t => t.hovertemplate).x.length")
    assert 5 <= drawn < 100, "it was stopped half-way"

    page.canvas.scroll_into_view_if_needed()
    box, said = page.canvas.bounding_box(), page.narration
    page.page.mouse.move(box["x"] + 150, box["y"] + 300)
    page.page.wait_for_timeout(300)
    page.page.mouse.down(), page.page.mouse.up()
    page.wait(lambda: page.narration != said, "the clicked rate in the sentence")
    page.press("canvas", "End")
    button("try it").click()
    page.wait(lambda: "After 20 steps" in page.narration, "three short runs", seconds=30)
    assert page.canvas.locator(".legendtext").count() == 3
    page.assert_quiet()
