"""What the benchmarks share: time several ways of doing one thing in turns, see the peak of what one of them
allocates, make rows of the table."""
import json
import statistics
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import ModuleType

from torch.profiler import ProfilerActivity, profile

Contestants = dict[str, Callable | None]  # who: a function to call, or None where that peer is not installed


def version(
    package: str,  # its name on the package index
) -> str | None:  # None: not installed
    "The version of an installed package."
    try: return metadata.version(package)
    except metadata.PackageNotFoundError: return None


@cache
def peer(
    module: str,  # with dots: 'fastai.text.data'
) -> ModuleType | None:  # None: not installed, or not wholly; why is printed
    "A peer's module."
    try: return import_module(module)
    except ImportError as e: return print(f"without {module}: {e}", file=sys.stderr)


def interleave(
    contestants: Contestants,
    repeats: int = 9,  # rounds, in each of which everyone has a turn: drift of the machine meets all alike
    at_least: float = 0.05,  # seconds a turn lasts; a quick contestant is called several times in it
) -> dict[str, list[float] | None]:  # seconds a call, one for each round
    "Times all contestants in turns, after a warm-up each."
    calls, seconds = {}, {who: None if f is None else [] for who, f in contestants.items()}
    for who, f in contestants.items():
        if f is None: continue
        f()
        calls[who] = max(1, round(at_least / _time(f, 1)))
    for r in range(repeats):
        order = list(calls)
        for who in order[r % len(order) :] + order[: r % len(order)]:
            seconds[who].append(_time(contestants[who], calls[who]))
    return seconds


def _time(f: Callable, n: int) -> float:
    "Seconds a call of `f`, over `n` calls."
    start = perf_counter()
    for _ in range(n): f()
    return (perf_counter() - start) / n


def peak_bytes(
    f: Callable,  # takes nothing; called three times: to warm up, for torch, for NumPy and Python
) -> int:  # bytes above what was allocated before the call
    """The most that `f()` holds at a time: torch's own account of its CPU memory, plus tracemalloc's of NumPy and
    Python."""
    f()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof: f()
    with TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        prof.export_chrome_trace(str(trace))
        events = [e for e in json.loads(trace.read_bytes())["traceEvents"] if e.get("name") == "[memory]"]
    held, most, ours = 0, 0, set()
    for e in (e["args"] for e in sorted(events, key=lambda e: e["ts"])):
        if e["Bytes"] > 0: ours.add(e["Addr"])
        elif e["Addr"] in ours: ours.remove(e["Addr"])
        else: continue  # given back now, but from before the call
        held += e["Bytes"]
        most = max(most, held)
    tracemalloc.start()
    try:
        f()
        return most + tracemalloc.get_traced_memory()[1]
    finally: tracemalloc.stop()


def rows(
    bench: str,  # the lesson's module
    what: str,  # the task, the same for all
    unit: str,  # of the figures
    figures: dict[str, list[float] | None],  # who: one figure a round; None: not installed. The first is ours.
    more_is_better: bool,
    demanded: dict[str, float] | None = None,  # who: how many times better than it ours must be
) -> list[dict]:  # a row each, with `ratio`: how many times better ours is, by the medians
    "Rows of the table."
    demanded = demanded or {}
    if unknown := demanded.keys() - figures.keys():
        raise ValueError(f"demanded names {sorted(unknown)}, who are not among {list(figures)}")
    ours, table = statistics.median(next(iter(figures.values()))), []
    for who, f in figures.items():
        row = dict(
            bench=bench,
            what=what,
            who=who,
            unit=unit,
            median=None,
            low=None,
            high=None,
            ratio=None,
            demanded=demanded.get(who),
        )
        if f is not None:
            median = statistics.median(f)
            row |= dict(
                median=median, low=min(f), high=max(f), ratio=ours / median if more_is_better else median / ours
            )
        table.append(row)
    return table
