"""FigureView in JupyterLab: one library for six views, clicks, hovers, keys and selections, both themes, nothing
of it saved."""
import ast
import json

import pytest

from .pages import NotebookPage

SIX = """
import plotly.graph_objects as go
from lessonkit.widgets.old.figure import FigureView, ink, plotly_js
def chart(i): return go.Figure(go.Scatter(x=[0, 1, 2, 3], y=[0, i, 1, 2], mode='lines+markers', line_color=ink('fg')), layout=dict(width=400, height=200, dragmode='select'))
views = [FigureView(chart(i), alt=f'Chart {i}.') for i in range(6)]
keys, hovers = [], []
views[0].on_key(lambda key, shift: keys.append(key))
views[0].on_hover(lambda point: hovers.append(point.get('i')))
display(*views)
"""
HEARD = "print(dict(keys=keys, clicked=views[0].clicked, hovers=hovers, selected=views[0].selected, packed=len(plotly_js())))"


@pytest.fixture(scope="module")
def page(context, server):
    page = NotebookPage(context, server, server.write("six.ipynb", SIX, HEARD, HEARD))
    page.run_next()
    page.page.wait_for_function(
        "() => document.querySelectorAll('.lk-figure[data-frame]').length === 6", timeout=60_000
    )
    page.settle()
    page.opened = page.sent
    yield page
    page.close()


def heard(page):
    "What the kernel has heard by now."
    page.settle()
    page.page.locator(".jp-CodeCell .cm-content").nth(page.n_run).click()
    page.run_next()
    return ast.literal_eval(page.page.locator(".jp-OutputArea-output pre").last.inner_text().strip())


def test_six_views_one_library(page):
    first = page.page.locator(".lk-figure").first
    first.scroll_into_view_if_needed()
    dot = first.locator(".points path").nth(1).bounding_box()
    page.page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    page.page.wait_for_timeout(300)
    page.page.mouse.down(), page.page.mouse.up()
    for key in ("ArrowRight", "End"): page.page.keyboard.press(key)
    said = heard(page)
    assert page.opened < 1.5 * said["packed"] + 200_000, f"six views made the page fetch {page.opened / 1e6:.1f} MB"
    assert said["keys"] == ["ArrowRight", "End"]
    assert said["clicked"]["i"] == said["clicked"]["x"] == 1 and said["clicked"]["y"] == 0 and said["hovers"][:1] == [1]
    first.scroll_into_view_if_needed()
    at = first.bounding_box()
    page.page.mouse.move(at["x"] + 130, at["y"] + 35)
    page.page.mouse.down(), page.page.mouse.move(at["x"] + 370, at["y"] + 190, steps=5), page.page.mouse.up()
    assert heard(page)["selected"]["points"] == [[0, 1], [0, 2], [0, 3]]
    page.assert_quiet()


def test_it_follows_the_theme(page):
    stroke = lambda: (
        page.page.locator(".lk-figure").first.locator(".js-line").first.evaluate("e => getComputedStyle(e).stroke")
    )
    light = stroke()
    page.theme("dark")
    page.page.wait_for_function("() => document.querySelectorAll('.lk-figure[data-theme=dark]').length === 6")
    dark = stroke()
    page.theme("light")
    assert (light, dark) == ("rgb(26, 26, 26)", "rgb(240, 240, 240)")
    page.assert_quiet()


def test_the_notebook_does_not_keep_it(page):
    "Even if widget state is saved with the notebook, the library is no part of it."
    nb = page.save()
    assert len(json.dumps(nb)) < 100_000
    state = page.page.evaluate(
        "async () => JSON.stringify(await jupyterapp.shell.currentWidget.content.model?.toJSON())"
    )
    assert len(state) < 100_000
