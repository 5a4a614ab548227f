"""Keeps the notebooks as they are committed.

    python tools/notebooks.py strip               no widget state, no HTML: static pictures and text
    python tools/notebooks.py readme              README.md from nbs/index.ipynb
    python tools/notebooks.py outputs [--real] NB…  run them and keep what they print and draw
"""
import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 300 * 1024  # bytes a committed notebook may have
STATIC = ("text/plain", "image/png", "text/markdown")


def smaller(png: str) -> str:
    """A picture with a palette of 256 colors instead of 16 million: no eye sees it, and two of three bytes go.

    base64 in and out."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P": return png.strip()
    out = io.BytesIO()
    image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        out, "png", optimize=True
    )
    return min(png, base64.encodebytes(out.getvalue()).decode(), key=len).strip()


def static_output(out: dict) -> dict | None:
    "`out` with nothing in it that needs a kernel or a script; None where nothing is left."
    if out.output_type == "stream":
        out.text = re.sub(r"[^\n]*\r(?!\n)", "", out.text)  # what a progress bar wrote over
        return out if out.text else None
    if out.output_type == "error": return out
    out.data = {k: v for k, v in out.data.items() if k in STATIC}
    if "image/png" in out.data: out.data["image/png"] = smaller(out.data["image/png"])
    out.metadata = {}
    return out if out.data else None


def joined(outputs: list) -> list:
    "What a cell printed, in one piece where nothing came between; without what went to standard error."
    found = []
    for out in outputs:
        if out.output_type == "stream" and out.name != "stdout": continue
        if found and out.output_type == found[-1].output_type == "stream": found[-1].text += out.text
        else: found.append(out)
    return found


def strip(nb):
    "Leaves static outputs only, and no widget state."
    nb.metadata.pop("widgets", None)
    for cell in nb.cells:
        if cell.cell_type == "code": cell.outputs = [o for o in map(static_output, joined(cell.outputs)) if o]
    return nb


def write(nb, path: Path):
    "Writes the form `nbdev_clean` writes, and only where something changed."
    text = nbformat.writes(nb).rstrip() + "\n"
    if path.read_text(encoding="utf-8") != text: path.write_text(text, encoding="utf-8", newline="\n")


def tracked() -> list[Path]:
    return sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def cmd_strip(paths):
    for p in paths or tracked(): write(strip(nbformat.read(p, 4)), p)


def run(path: Path, **env):
    "The notebook, run from top to bottom with `env` added to the environment; an error stops it."
    from nbclient import NotebookClient

    before, nb = dict(os.environ), nbformat.read(path, 4)
    os.environ |= env
    try: return NotebookClient(nb, timeout=7200, resources={"metadata": {"path": str(path.parent)}}).execute()
    finally: os.environ.clear(), os.environ.update(before)


def cmd_outputs(paths, real):
    """Keeps what the notebooks show on the data that comes with the course, so that everyone's outputs are the same.

    With `real`, each is run on the real sets first, for what that run records; nothing it shows is kept."""
    from nbdev.clean import nbdev_clean

    for p in paths or tracked():
        t0 = time.perf_counter()
        if real: run(p, LESSONKIT_REAL="1")
        with tempfile.TemporaryDirectory() as empty: nb = run(p, LESSONKIT_REAL="", LESSONKIT_DATA=empty)
        write(strip(nb), p)
        nbdev_clean(str(p))
        write(strip(nbformat.read(p, 4)), p)
        print(f"{p.relative_to(ROOT)}  {time.perf_counter() - t0:.0f} s  {p.stat().st_size // 1024} kB", flush=True)
        if p.stat().st_size > LIMIT: sys.exit(f"{p.name} is over {LIMIT // 1024} kB: draw smaller pictures")


def cmd_readme(_):
    "README.md, and its pictures in nbs/images/."
    from nbconvert import MarkdownExporter
    from traitlets.config import Config

    nb = nbformat.read(ROOT / "nbs" / "index.ipynb", 4)
    for cell in nb.cells:
        if cell.cell_type == "code" and "#| echo: false" in cell.source: cell.metadata["tags"] = ["no-input"]
        cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("#| "))
    config = Config(TagRemovePreprocessor={"enabled": True, "remove_input_tags": {"no-input"}})
    text, found = MarkdownExporter(config=config).from_notebook_node(
        nb, resources={"output_files_dir": "nbs/images", "unique_key": "index"}
    )
    for name, data in found["outputs"].items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_bytes(data)
    head = "<!-- written by `make readme` from nbs/index.ipynb -->\n\n"
    # links, from where README stands
    text = re.sub(r"\]\((\d\d_)", r"](nbs/\1", text).replace("](../", "](").replace("![png](", "![an explorer](")
    text = re.sub(r"\n\s*\n\s*\n+", "\n\n", "\n".join(line.rstrip() for line in text.strip().splitlines()))
    (ROOT / "README.md").write_text(head + text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["strip", "readme", "outputs"])
    ap.add_argument("notebooks", nargs="*", type=Path)
    ap.add_argument(
        "--real",
        action="store_true",
        help="first the long runs, on the real data sets, for what they record (LESSONKIT_REAL=1)",
    )
    a = ap.parse_intermixed_args()
    paths = [p.resolve() for p in a.notebooks]
    if a.what == "strip": cmd_strip(paths)
    elif a.what == "readme": cmd_readme(paths)
    else: cmd_outputs(paths, a.real)
