"""A JupyterLab of our own: free port, own folders, no token, no news; stopped by its pid."""
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

from lessonkit.course.lab import PICTURES

# JupyterLab's settings, as its Settings Editor would save them
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # off-screen cells are in the page as well
    # JupyterLab takes two saves at once for a change by somebody else, and asks; the tests save when they want to
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    "JupyterLab and Notebook 7 on 127.0.0.1, with every folder below `home`."

    def __init__(self, home: Path):
        self.root = home / "root"
        self.data = home / "data"
        self.log = home / "server.log"
        self.root.mkdir()
        for name, value in SETTINGS.items():
            path = home / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value), encoding="utf-8")

        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        folders = dict(JUPYTER_CONFIG_DIR="config", JUPYTER_DATA_DIR="data", JUPYTER_RUNTIME_DIR="runtime",
                       JUPYTERLAB_SETTINGS_DIR="settings", JUPYTERLAB_WORKSPACES_DIR="workspaces",
                       # no data: the embedded samples, everywhere alike
                       IPYTHONDIR="ipython", LESSONKIT_DATA="no-data")
        env = os.environ | {k: str(home / v) for k, v in folders.items()}
        env[PICTURES] = str(home / "pictures")  # as `lessonkit lab` starts it
        (home / "pictures").mkdir()
        options = dict(ip="127.0.0.1", port=port, port_retries=0, root_dir=self.root, open_browser=False,
                       allow_root=True, disable_check_xsrf=True)
        args = [f"--ServerApp.{k}={v}" for k, v in options.items()]
        args += [
            "--IdentityProvider.token=",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            "--ContentsManager.pre_save_hook=lessonkit.course.lab.save_pictures",
            "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None",
        ]
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", *args], env=env, cwd=self.root,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def ask(self, path: str, method: str = "GET"):
        "The server's answer to a REST request."
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method), timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def wait(self, seconds: float = 60):
        "Returns once the server answers; raises with its log when it died or is too slow."
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try: return self.ask("/api/status")
            except (urllib.error.URLError, OSError): time.sleep(.1)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text(encoding='utf-8')}")

    def stop(self):
        "Ends the kernels, then the server, by its pid."
        if self.process.poll() is None:
            try:
                for session in self.ask("/api/sessions"): self.ask(f"/api/sessions/{session['id']}", "DELETE")
            except OSError: pass  # it never answered; it ends all the same
        self.process.terminate()
        try: self.process.wait(20)
        except subprocess.TimeoutExpired: self.process.kill()

    def write(self, path: str, *cells: str) -> str:
        "A notebook of code cells, in the server's folder."
        nb = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
        nb.cells = [nbformat.v4.new_code_cell(c.strip()) for c in cells]
        return self.put(path, nb)

    def put(self, path: str, nb, trusted: bool = False) -> str:
        "`nb` in the server's folder; `trusted` as `jupyter trust` would make it."
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, self.root / path)
        if trusted:
            notary = NotebookNotary(data_dir=str(self.data))
            notary.sign(nbformat.read(self.root / path, 4))
            notary.store.close()
        return path

    def close(self, path: str):
        "Ends the kernel of the notebook `path`."
        for session in self.ask("/api/sessions"):
            if session["path"] == path: self.ask(f"/api/sessions/{session['id']}", "DELETE")
