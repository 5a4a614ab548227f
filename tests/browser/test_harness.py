"""The harness on a good widget, which passes, and on a broken one, where each check must fail."""
import numpy as np
import pytest
from playwright.sync_api import Error

from .pages import NotebookPage, assert_keyboard, assert_opening, pixels

WIDGET = '''
import time, anywidget, ipywidgets, traitlets

class Canvas(anywidget.AnyWidget):
    step, broken = traitlets.Int().tag(sync=True), traitlets.Bool(%s).tag(sync=True)
    payload = traitlets.Bytes().tag(sync=True)
    _esm = """
    function render({model, el}) {
      el.innerHTML = '<canvas class="lk-canvas" tabindex=0 width=200 height=100></canvas>' +
        '<p class="lk-narration" role="status" aria-live="polite"></p>';
      const [canvas, narration] = el.children, pen = canvas.getContext('2d');
      if (model.get('broken')) {
        console.error('a broken widget');
        canvas.addEventListener('keydown', e => { if (e.key === 'Tab') e.preventDefault(); });
      }
      const draw = () => {
        pen.clearRect(0, 0, 200, 100);
        pen.fillRect(0, 0, 20 * model.get('step') + 20, 50);
        narration.textContent = `The bar is ${model.get('step')} steps long.`;
        canvas.dataset.frame = +(canvas.dataset.frame ?? 0) + 1;
      };
      model.on('change:step', draw);
      draw();
    }
    export default {render};
    """

canvas, slider = Canvas(), ipywidgets.IntSlider(description='step')

def move(change):
    if canvas.broken:
        time.sleep(.3)
        canvas.payload = bytes(300_000)
    canvas.step = change.new

slider.observe(move, 'value')
ipywidgets.VBox([slider, canvas]).add_class('lk-explorer')
'''


def test_a_good_widget_passes(open_page, alone):
    page = open_page("good", WIDGET % False)
    assert_opening(page)
    assert page.narration == "The bar is 0 steps long."
    before = pixels(page.canvas)
    page.press("step", "ArrowRight")
    assert page.narration == "The bar is 1 steps long."
    assert np.argwhere(pixels(page.canvas) != before)[:, 1].min() == 20  # the bar grew from there
    page.quickness(alone, "step", ("ArrowRight", "ArrowLeft"))[0].assert_in_budget()
    assert_keyboard(page)
    page.assert_quiet()


def test_a_broken_widget_is_caught(open_page):
    page = open_page("broken", WIDGET % True)
    with pytest.raises(AssertionError, match="a broken widget"): page.assert_quiet()
    latency = page.latency("step", ("ArrowRight", "ArrowLeft"), n=4)
    with pytest.raises(AssertionError, match="too slow"): latency.assert_in_budget()
    latency.explorer = latency.bare
    with pytest.raises(AssertionError, match="too much sent"): latency.assert_in_budget()
    with pytest.raises(AssertionError, match="Tab never leaves"): assert_keyboard(page)
    page.canvas.evaluate("canvas => { canvas.getContext('2d').clearRect(0, 0, 200, 100); canvas.tabIndex = -1; }")
    with pytest.raises(AssertionError, match="blank"): assert_opening(page)
    with pytest.raises(AssertionError, match="Tab never meets .'canvas"): assert_keyboard(page)


def test_a_failed_cell_shows_its_traceback(context, server):
    page = NotebookPage(context, server, server.write("failed.ipynb", "1", "raise ValueError('no such text')"))
    with pytest.raises(AssertionError, match="ValueError: no such text"): page.run_all()
    page.close()


def test_what_never_comes_is_not_waited_for(context, server):
    page = NotebookPage(context, server, server.write("late.ipynb", "1"))
    page.page.evaluate("document.body.append(Object.assign(document.createElement('dialog'), {innerText: 'Sure?'}))")
    with pytest.raises(Error, match="an answer took more than 0.1 s. A dialog asks: Sure?"):
        page.page.evaluate("probe.within('an answer', new Promise(() => {}), .1)")
    assert page.page.evaluate("probe.within('an answer', Promise.resolve(7))") == 7
    page.close()
