"""The LR finder's buttons in JupyterLab: the curve grows, stop is heard, a drag chooses, three short runs appear."""
import pytest

from ..explorers import LR

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
    return open_page("lr-finder-run", SLOW)


def test_run_stop_choose_try(page):
    button = lambda name: page.root.get_by_role("button", name=name, exact=True)
    assert page.narration.startswith("No curve yet")
    button("run the finder").click()
    page.wait(lambda: page.narration.startswith("Your rate"), "a growing curve")
    frame = page.frame
    page.wait(lambda: page.frame > frame + 2, "more of it")
    button("stop").click()
    page.wait(button("run the finder").is_visible, "the stop to be heard")

    page.canvas.scroll_into_view_if_needed()
    line = page.root.get_by_role("slider", name="chosen rate")
    box, said = line.bounding_box(), page.narration
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x - 40, y, steps=4)
    page.page.mouse.up()
    page.wait(lambda: page.narration != said, "the dragged rate in the sentence")
    page.press("canvas", "End")
    button("try your rate").click()
    page.wait(lambda: "After 20 steps" in page.narration, "three short runs", seconds=30)
    page.assert_quiet()
