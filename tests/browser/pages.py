"""A notebook page, and an explorer on it, as a learner meets them."""
import base64
import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import numpy as np
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image

HERE = Path(__file__).parent
SHOTS = HERE / "shots"

# An update may take this much longer than a bare linked slider's in the same page; and may send this much.
MEDIAN_MS, P95_MS, UPDATE_BYTES, OPEN_BYTES = 60, 150, 200_000, 1_000_000

# Jupyter's own noise, each with its reason. Nothing of ours may be added.
NOISE = {
    r"Cannot read properties of undefined \(reading 'schema'\)": (
        "Notebook 7 as it starts: its shortcuts plugin hears of another plugin's settings before its own are loaded"),
    r"Command 'filebrowser:open-path' not registered": (
        "Notebook 7 as it starts: a command of the file browser, which its notebook page does not have"),
    r"403 \(Forbidden\) \(\S+/static/notebook/\w+\.woff2\)": (
        "jupyter_server remembers where a font is by its bare name, so JupyterLab's copy hides Notebook 7's"),
    r"Could not restore the debugger state: Canceled future for debug_request": (
        "JupyterLab's debugger asks the kernel about each notebook it opens; this one was closed before the answer"),
}

LINKED = """
import ipywidgets, traitlets
_pair = [ipywidgets.IntSlider(description=d, max=1000) for d in ('bare', 'follower')]
_link = traitlets.link((_pair[0], 'value'), (_pair[1], 'value'))
ipywidgets.VBox(_pair)
"""
PICTURE = "canvas.lk-canvas"  # what an explorer is drawn on


def give_way(): "What is done where the page is at rest: tests side by side set it (`Turns.give_way`)."


class NotebookPage:
    "A notebook open in JupyterLab (`app='lab'`) or in Notebook 7 (`app='notebook'`)."

    def __init__(self, context, server, path: str, app: str = "lab"):
        self.server = server
        self.path = path
        self.sent = 0
        self.n_run = 0
        self.complaints = []
        self.page = page = context.new_page()
        page.set_viewport_size({"width": 1200, "height": 1100})
        page.on(
            "console",
            lambda m: self._complain(f"console: {m.text} ({m.location['url']})") if m.type == "error" else None,
        )
        page.on("pageerror", lambda e: self._complain(f"page error: {e}"))
        page.on("websocket", self._count)
        page.add_init_script(path=HERE / "probe.js")
        place = f"/lab/workspaces/{re.sub(r'[^a-z0-9]', '-', path.lower())}/tree" if app == "lab" else "/notebooks"
        page.goto(f"{server.url}{place}/{path}", wait_until="commit")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.wait_kernel()

    def show(self, path: str):
        "Opens another notebook of the server in the same page and on the same kernel; returns its panel."
        self.page.evaluate("path => probe.open(path)", path)
        self.page.wait_for_function("path => jupyterapp.shell.currentWidget?.context?.path === path", arg=path)
        self.wait_kernel()
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def _complain(self, text: str):
        if not any(re.search(noise, text) for noise in NOISE): self.complaints.append(text)

    def _count(self, socket):
        "Counts what goes to and from the kernel."
        if "/api/kernels/" not in socket.url: return
        def add(payload): self.sent += len(payload if isinstance(payload, bytes) else payload.encode())
        socket.on("framesent", add)
        socket.on("framereceived", add)

    def assert_quiet(self):
        "No console error and no page error since the last time this was asked."
        self.page.wait_for_timeout(50)  # lets the last events arrive
        said, self.complaints = self.complaints, []
        assert not said, "the page complained:\n" + "\n".join(said)

    def wait_kernel(self):
        "A cell run before the kernel is there would be dropped without a word."
        self.page.wait_for_function("() => probe.kernel() === 'idle'", timeout=60_000)

    def run_next(self):
        "Runs the next code cell by Shift+Enter; raises with the kernel's traceback if it failed."
        if self.n_run == 0: self.page.locator(".jp-CodeCell .cm-content").first.click()
        self.page.keyboard.press("Shift+Enter")
        self.n_run += 1
        self.wait_run(self.n_run)

    def run_all(self):
        "Runs all cells by the Run menu; raises with the kernel's traceback if one failed."
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.wait_run()

    def wait_run(self, n: int | None = None, seconds: float = 120):
        "Waits until the first `n` code cells (all of them, if not given) have run."
        end = time.monotonic() + seconds
        while True:
            cells = self.page.evaluate("probe.cells()")[:n]
            failed = "\n".join(re.sub(r"\x1b\[[\d;]*m", "", c["error"]) for c in cells if c["error"])
            assert not failed, f"{self.path} failed:\n{failed}"
            if all(c["count"] for c in cells): return
            assert time.monotonic() < end, f"{self.path} still runs after {seconds:.0f} s"
            self.page.wait_for_timeout(50)

    def settle(self):
        "Waits until the kernel has been silent for 300 ms."
        sent = -1
        while sent != self.sent:
            sent = self.sent
            self.page.wait_for_timeout(300)
        give_way()

    def save(self):
        "Saves the notebook and returns it as it then is on disk."
        self.page.evaluate("probe.command('docmanager:save')")
        return nbformat.read(self.server.root / self.path, 4)

    def theme(self, name: str):
        "'light' or 'dark', switched as the Settings menu does."
        self.page.evaluate("theme => probe.command('apputils:change-theme', {theme})", f"JupyterLab {name.title()}")
        self.page.wait_for_selector(
            f"body[data-jp-theme-light={'true' if name == 'light' else 'false'}]", state="attached"
        )
        self.page.wait_for_timeout(400)  # the style sheet loads, the widgets repaint

    def bare(self):
        "JupyterLab without its sidebar, so that the notebook has the page's width."
        self.page.evaluate("jupyterapp.shell.collapseLeft()")

    def resize(self, width: int):
        self.page.set_viewport_size({"width": width, "height": 1100})
        self.settle()

    def ask(self, code: str) -> str:
        "Runs code in the kernel beside the cells; returns what it printed."
        return self.page.evaluate("code => probe.ask(code)", code)

    def close(self):
        self.page.close()
        self.server.close(self.path)


@dataclass
class Latency:
    "Milliseconds from a key to the new picture, for an explorer and for a bare linked slider in the same page."
    bare: list[float] = field(default_factory=list)
    explorer: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)  # what each of the explorer's updates sent

    def __str__(self):
        (b50, b95), (e50, e95) = (np.percentile(t, [50, 95]) for t in (self.bare, self.explorer))
        return (f"median {e50:.0f} ms (linked slider {b50:.0f}), 95 % {e95:.0f} ms ({b95:.0f}), "
                f"update at most {max(self.bytes) / 1000:.1f} kB, n = {len(self.explorer)}")

    @property
    def in_time(self) -> bool:
        extra = np.percentile(self.explorer, [50, 95]) - np.percentile(self.bare, [50, 95])
        return bool(extra[0] <= MEDIAN_MS and extra[1] <= P95_MS)

    def assert_in_budget(self):
        assert self.in_time, f"too slow: {self}"
        assert max(self.bytes) <= UPDATE_BYTES, f"too much sent: {self}"


class ExplorerPage(NotebookPage):
    "A page with the bare linked sliders in its first cell and an explorer in its second."

    def __init__(self, context, server, name: str, code: str, app: str = "lab"):
        super().__init__(context, server, server.write(f"{name}-{app}.ipynb", LINKED, code), app)
        self.name = name
        self.run_next()
        self.page.wait_for_selector(".widget-readout")
        self.settle()
        before = self.sent
        self.run_next()
        self.root = self.page.locator(".lk-explorer").first
        self.canvas = self.root.locator(PICTURE).first
        self.canvas.wait_for(timeout=60_000)
        self.wait(lambda: self.frame > 0, "a first frame")
        self.settle()
        self.open_bytes = self.sent - before

    def wait(self, condition, what: str, seconds: float = 30):
        "Waits until `condition()` holds; fails with `what` if it never does, or with the explorer's own error."
        end = time.monotonic() + seconds
        while not condition():
            if self.root.count() and (said := self.root.locator(".lk-error:visible").all_inner_texts()):
                raise AssertionError(f"{self.name} says: {said}")
            assert time.monotonic() < end, f"{self.name}: waited {seconds:.0f} s for {what}"
            self.page.wait_for_timeout(20)

    # what it shows
    @property
    def frame(self) -> int: return int(self.canvas.get_attribute("data-frame") or 0)

    @property
    def narration(self) -> str: return self.root.locator(".lk-narration").first.inner_text().strip()

    @property
    def held(self):
        "What takes the focus for the picture's own keys."
        return self.root.locator(".lk-stage[tabindex], canvas[tabindex]").first

    def pixels(self) -> np.ndarray: return pixels(self.canvas)

    def shot(self, theme: str) -> bytes:
        "A PNG of the explorer, kept as shots/NAME-THEME.png."
        SHOTS.mkdir(exist_ok=True)
        self.page.evaluate("document.activeElement.blur()")
        return self.root.screenshot(path=SHOTS / f"{self.name}-{theme}.png")

    @property
    def height(self) -> float: return self.root.bounding_box()["height"]

    # what one does to it
    def control(self, label: str):
        "The focusable part of the control with `label` in its description; 'canvas' is the canvas."
        return self.held if label == "canvas" else control(self.root, label)

    def press(self, label: str, key: str):
        "Presses `key` on a control and waits for the next frame."
        frame = self.frame
        self.control(label).focus()
        self.page.keyboard.press(key)
        self.wait(lambda: self.frame > frame, f"a new frame after {key} on '{label}'")

    def drag(self, label: str, dx: float):
        "Drags a slider's handle by the mouse."
        self.control(label).scroll_into_view_if_needed()  # the mouse reaches only what is in sight
        box = self.control(label).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y, steps=4)
        self.page.mouse.up()

    def hover(self, x: float, y: float):
        "Moves the mouse over the canvas; x and y are fractions of its size."
        box = self.canvas.bounding_box()
        self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])

    def latency(self, label: str, keys: tuple[str, str], n: int = 24) -> Latency:
        "Steps the control and the bare slider in turn, `n` times each: half of them by one key, half by the other."
        result, voice = Latency(), self.root.locator(".lk-narration").first
        bare = control(self.page.locator("body"), "bare")
        follower = self.page.locator(".widget-inline-hbox", has_text="follower").locator(".widget-readout")
        for i in range(n):
            result.bare.append(self._time(bare, "ArrowRight", follower))
            sent = self.sent
            result.explorer.append(self._time(self.control(label), keys[i >= n // 2], self.canvas, voice))
            result.bytes.append(self.sent - sent)
        return result

    def quickness(self, alone, label: str, keys: tuple[str, str]) -> tuple[Latency, str]:
        """The latency, and how it was measured: beside other tests where it is in time even so (a few tell whether it
        is worth trying), else with the machine to itself (`alone`)."""
        if self.latency(label, keys, n=6).in_time and (latency := self.latency(label, keys)).in_time:
            return latency, "beside other tests"
        with alone(): return self.latency(label, keys), "alone"

    def _time(self, handle, key: str, *shown) -> float:
        "Milliseconds from `key` on `handle` until all of `shown` are new on screen."
        handle.evaluate("e => e.focus({preventScroll: true})")
        self.page.evaluate("nodes => probe.arm(...nodes)", [s.element_handle() for s in shown])
        self.page.keyboard.press(key)
        ms = self.page.evaluate("() => probe.elapsed")
        assert ms is not None, f"{self.name}: 5 s after {key}, the picture or the sentence was still the old one"
        self.wait_kernel()  # it has still to say that it is idle again
        self.page.wait_for_timeout(20)
        return ms

    def walk(self) -> tuple[set[str], list[str], list[str]]:
        """The controls there are, those that Tab meets from before the explorer to behind it, and Shift+Tab on the
        way back."""
        controls = self.root.evaluate("root => { const c = probe.controls(root); probe.fence(root); return c; }")
        there = self._tab("Tab", "after", len(controls))
        back = self._tab("Shift+Tab", "before", len(controls))
        self.page.evaluate("probe.unfence()")
        return set(controls), there, back

    def _tab(self, key: str, goal: str, n_control: int) -> list[str]:
        met = []
        for _ in range(2 * n_control + 20):
            self.page.keyboard.press(key)
            met.append(self.page.evaluate("probe.focused()"))
            if met[-1] == goal: break
        return met


def control(root, label: str):
    """The focusable part of the ipywidget below `root` whose description contains `label`, or of the button that
    says so."""
    labelled = root.locator(".widget-inline-hbox").filter(has=root.page.locator(".widget-label", has_text=label))
    own = root.locator(
        f"input[aria-label='{label}'], select[aria-label='{label}'], .lk-check:has-text('{label}') input"
    )
    return (
        labelled.locator("[role=slider], input, select, button")
        .or_(own)
        .or_(root.locator("button:not(.lk-chip)", has_text=label))
        .first
    )


def pixels(canvas) -> np.ndarray:
    "A canvas as it is on screen, as (height, width, 4) bytes."
    if canvas.evaluate("e => e.tagName") != "CANVAS":
        return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGBA"))
    got = canvas.evaluate("canvas => probe.pixels(canvas)")
    return np.frombuffer(base64.b64decode(got["data"]), np.uint8).reshape(got["shape"])


def audit(page, where: str = ".lk-explorer") -> list[str]:
    "What axe calls serious or critical in a part of the page."
    give_way()
    if not page.evaluate("'axe' in window"): page.evaluate(AXE_SCRIPT)
    found = page.evaluate("where => axe.run(where, {resultTypes: ['violations']}).then(r => r.violations)", where)
    return [f"{v['impact']}: {v['help']}: {n['html'][:120]} {n['failureSummary']}" for v in found for n in v["nodes"]
            if v["impact"] in ("serious", "critical")]


def assert_keyboard(explorer: ExplorerPage):
    "Tab alone meets every control and leaves at the end; Shift+Tab leads back out."
    controls, there, back = explorer.walk()
    assert there[-1] == "after", f"Tab never leaves {explorer.name}; it ends at {there[-3:]}"
    assert back[-1] == "before", f"Shift+Tab never leaves {explorer.name}; it ends at {back[-3:]}"
    assert not (missed := controls - set(there)), f"Tab never meets {sorted(missed)}"


def assert_opening(explorer: ExplorerPage):
    "Little is sent to open it, the canvas is painted, and a sentence says what is seen."
    assert explorer.open_bytes <= OPEN_BYTES, f"opening {explorer.name} sent {explorer.open_bytes / 1e6:.2f} MB"
    assert len(np.unique(explorer.pixels().reshape(-1, 4), axis=0)) > 1, f"the canvas of {explorer.name} is blank"
    status = explorer.root.locator("[role=status][aria-live=polite]")
    assert status.count() == 1, f"{explorer.name} has {status.count()} elements with role=status and aria-live=polite"
    assert len(explorer.narration.split()) >= 4, f"not a sentence: '{explorer.narration}'"
