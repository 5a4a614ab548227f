"""Measures lessonkit against its peers, side by side, and prints one table.

A benchmark is a file `bench_NAME.py` here, with `PEERS`, the packages it compares with, and `run()`, which returns
rows made by `side_by_side.rows`. The peers are no dependencies of lessonkit: the first run makes an environment for
them, .venv-bench. """
import argparse
import datetime
import hashlib
import importlib
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv-bench"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
README = HERE / "README.md"
BEGIN, END = "<!-- the table: written by run.py --update -->", "<!-- end of the table -->"
HEAD = "| bench | what | who | median | from – to | unit | ours is better by | demanded |"


# The environment
def prepare():
    """Makes .venv-bench, or brings it up to date: lessonkit with its pinned set, then the peers, as far as they
    can be had."""
    sources = [ROOT / name for name in ("settings.ini", "constraints.txt", "benchmarks/requirements.txt")]
    want, ready = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest(), VENV / ".ready"
    if PYTHON.exists() and ready.exists() and ready.read_text(encoding="utf-8") == want: return

    print(f"Preparing {VENV.name}, the environment of the peers: some minutes, this once.", flush=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if not pip("-c", ROOT / "constraints.txt", "-e", ROOT):
        sys.exit("lessonkit itself could not be installed; pip says why above.")
    lines = [line.split("#")[0].strip() for line in sources[-1].read_text(encoding="utf-8").splitlines()]
    peers = [line for line in lines if line]
    if pip("--no-deps", *peers): ready.write_text(want, encoding="utf-8")
    else:
        # one that fails keeps no other away; the next run tries again
        failed = [p for p in peers if not pip("--no-deps", p)]
        print(f"Not to be had: {', '.join(failed)}. The table says so where they are missing.", flush=True)


def pip(*args) -> bool:
    "Whether `pip install` of these went well, in .venv-bench."
    return subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *args]).returncode == 0


# The table
def number(v: float | None) -> str:
    "Three digits, without exponent."
    return "" if v is None else f"{float(f'{v:.3g}'):,.10g}"


def line(row: dict) -> str:
    "A row as Markdown."
    median, span = number(row["median"]) or "not installed", ""
    if row["low"] != row["high"]: span = f"{number(row['low'])} – {number(row['high'])}"
    ratio, demanded = (f"{number(row[k])} ×" if row[k] else "" for k in ("ratio", "demanded"))
    return (
        f"| {row['bench']} | {row['what']} | {row['who']} | {median} | {span} | {row['unit']} | {ratio} | {demanded} |"
    )


def missed(rows: list[dict]) -> list[str]:
    "What was demanded and not shown, in words."
    return [f"{r['bench']}, {r['what']}: ours must be at least {number(r['demanded'])} × better than {r['who']}, "
            + (f"and is {number(r['ratio'])} ×" if r["ratio"] else "which is not installed, so nothing was shown")
            for r in rows if r["demanded"] and not (r["ratio"] or 0) >= r["demanded"]]


def circumstances(name: str, peers: list[str], command: str) -> str:
    "Where, when, with what and by what the rows of a benchmark were made."
    from side_by_side import version

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    packages = ", ".join(f"{p} {version(p) or 'not installed'}" for p in ["torch", "numpy", *peers])
    return (f"- {name}: {datetime.date.today()}, {cores} cores{load}, {platform.system()} {platform.machine()}, "
            f"Python {platform.python_version()}, {packages}; `{command}`")


def update(table: dict[str, list[str]], about: dict[str, str]):
    "Writes the table into README.md; what other benchmarks found earlier stays."
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    old, after = rest.split(END)
    for text in old.splitlines():
        name = (
            text.split("|")[1].strip()
            if text.startswith("| ")
            else text[2:].split(":")[0]
            if text.startswith("- ")
            else None
        )
        if name in about or not (HERE / f"bench_{name}.py").exists(): continue
        if text.startswith("|"): table.setdefault(name, []).append(text)
        else: about[name] = text
    rule = "|---|---|---|--:|--:|---|--:|--:|"
    body = [
        HEAD,
        rule,
        *(t for name in sorted(table) for t in table[name]),
        "",
        *(about[name] for name in sorted(about)),
    ]
    README.write_text("\n".join([before + BEGIN, *body, END + after]), encoding="utf-8", newline="\n")


# The command
def measure(names: list[str], args: list[str]) -> int:
    "Runs the benchmarks and prints the table; 1 where a demand was missed and `--check` given."
    everything, table, about = [], {}, {}
    for name in names:
        bench = importlib.import_module(f"bench_{name}")
        print(f"{name} …", file=sys.stderr, flush=True)
        rows = bench.run()
        everything += rows
        table[name] = [line(r) for r in rows]
        about[name] = circumstances(name, bench.PEERS, " ".join(["python benchmarks/run.py", *args]))
    print("\n".join([HEAD, *(t for lines in table.values() for t in lines), "", *about.values()]))
    if "--update" in args: update(table, about)
    for text in missed(everything): print(f"MISSED: {text}.", file=sys.stderr)
    return 1 if "--check" in args and missed(everything) else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = sorted(p.stem.removeprefix("bench_") for p in HERE.glob("bench_*.py"))
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which benchmarks to run: {', '.join(known)}; all unless said"
    )
    parser.add_argument("--update", action="store_true", help="write the table into benchmarks/README.md")
    parser.add_argument("--check", action="store_true", help="exit with 1 where ours is not as much better as demanded")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(known)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there is {', '.join(known)}")

    if Path(sys.prefix).resolve() == VENV.resolve(): return measure(args.names or known, sys.argv[1:])
    prepare()
    env = {"KINETO_LOG_LEVEL": "6", "PYTHONUTF8": "1"}  # torch's profiler otherwise reports its own starts and stops
    return subprocess.run([PYTHON, __file__, *sys.argv[1:]], env=env | os.environ).returncode


if __name__ == "__main__": sys.exit(main())
