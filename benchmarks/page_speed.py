"""How fast a saved page writes, in Chromium: `python benchmarks/page_speed.py` (nothing else should run meanwhile).

The letters a second of a page with the course's LSTM (2 × 512), from the key that asks for 200 letters to the new
picture, by the clock and by the time that the page's thread was given: on a busy machine they differ."""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lessonkit.explorers.generation import MOST, GenerationExplorer  # noqa: E402
from tests.browser.conftest import QUIET, find_chromium  # noqa: E402

PRESS = """(key) => new Promise((done, fail) => {
  const t = performance.now(), said = document.querySelector('.lk-narration');
  const eyes = new MutationObserver(() => { eyes.disconnect(); done(performance.now() - t); });
  eyes.observe(said, { childList: true });
  document.querySelector('.lk-stage').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  setTimeout(() => fail(new Error(`nothing changed after ${key}`)), 20000);
})"""


def main():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        GenerationExplorer(step=0).to_html(path)
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=QUIET)
        page = browser.new_context(offline=True).new_page()
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('canvas')?.dataset.frame > 0")
        probe, clock, given = page.context.new_cdp_session(page), [], []
        probe.send("Performance.enable", {"timeDomain": "threadTicks"})
        used = lambda: {m["name"]: m["value"] for m in probe.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
        for _ in range(6):
            page.evaluate(PRESS, "ArrowUp")  # another temperature: what was written is dropped
            before = used()
            clock.append(page.evaluate(PRESS, "End") / 1000)
            given.append(used() - before)
            page.evaluate(PRESS, "Home")
        clock, given = (MOST / np.array(t[1:]) for t in (clock, given))
        print(json.dumps(dict(page_bytes=path.stat().st_size, letters_a_second=round(float(np.median(clock))),
                              highest=round(float(clock.max())), by_thread_time=round(float(np.median(given))),
                              runs=len(clock), browser=f"Chromium {browser.version}")))
        browser.close()


if __name__ == "__main__": main()
