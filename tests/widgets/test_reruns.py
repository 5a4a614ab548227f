"""A cell that is run again and again: nothing is left of what it showed before."""
import gc
import json
import weakref

import IPython
import pytest
from ipywidgets.widgets import widget
from jupyter_client.manager import start_new_kernel

from ..explorers import ROWS, last_value

STREAM = """
import numpy as np
from lessonkit.explorers.bptt import BPTTExplorer
BPTTExplorer(np.arange(300_000) % 251)"""
COUNT = """
import ctypes, gc, json, psutil, sys
from ipywidgets.widgets import widget
gc.collect()
if sys.platform == "linux": ctypes.CDLL(None).malloc_trim(0)  # what is free, but not yet given back, is not kept
comms = get_ipython().kernel.comm_manager.comms
print(json.dumps([psutil.Process().memory_info().rss / 1e6, len(widget._instances), len(comms)]))"""


class Shell:
    "As much of IPython as knows which cell runs, and remembers what cells gave."

    def __init__(self):
        self.n = 0
        self.user_ns = {"_oh": {}}

    def get_parent(self): return {"metadata": {"cellId": "a cell"}, "header": {"msg_id": f"run {self.n}"}}

    def show(self, value):
        self.n += 1
        value._repr_mimebundle_()
        self.user_ns["_oh"][self.n] = self.user_ns[f"_{self.n}"] = value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_cell_run_again_lets_go_of_what_it_showed(row, monkeypatch):
    shell, before, counts, shown = Shell(), set(widget._instances), [], []
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    for _ in range(3):
        explorer = last_value(row.code)
        shell.show(explorer)
        shown.append(weakref.ref(explorer))
        counts.append(len(set(widget._instances) - before))
    assert counts[0] == counts[1] == counts[2] <= 2  # itself and its layout
    gc.collect()
    assert [ref() for ref in shown] == [None, None, explorer]
    shell.show(explorer)  # the same one again stays alive
    assert explorer.comm is not None
    explorer.close()
    assert not set(widget._instances) - before


@pytest.fixture
def client():
    manager, client = start_new_kernel(startup_timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code: str, cell: str = "") -> str:
    "Runs `code` as the cell `cell`, as JupyterLab would; returns what it printed."
    content = dict(code=code, silent=False, store_history=True, user_expressions={}, allow_stdin=False)
    message = client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else {})
    client.shell_channel.send(message)
    printed = ""
    while True:
        got = client.get_iopub_msg(timeout=60)
        if got["parent_header"].get("msg_id") != message["header"]["msg_id"]: continue
        assert got["msg_type"] != "error", "\n".join(got["content"]["traceback"])
        if got["msg_type"] == "stream": printed += got["content"]["text"]
        if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle": return printed


def test_fifty_runs_in_a_kernel(client):
    counts = []
    for i in range(50):
        run(client, STREAM, cell="a cell")
        if i in (2, 49): counts.append(json.loads(run(client, COUNT).splitlines()[-1]))
    (memory, *live), (memory_after, *live_after) = counts
    assert live_after == live
    assert memory_after - memory < 30, f"{memory_after - memory:.0f} MB more than after the third run"
