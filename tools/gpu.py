"""What only a GPU can show, row by row.

    python tools/gpu.py pack cifar-net nietzsche-lstm                    # at home: collects the data into .gpu/
    python tools/gpu.py run cifar-net nietzsche-lstm --minutes 4         # on the GPU machine: trains, writes out/
    python tools/gpu.py run cifar-net --tiny --out trial                 # on a CPU, in small: does everything run?

`run` needs torch, numpy, pandas, scikit-learn, pillow, safetensors and no network. It writes at most eight files:
figures.json (as benchmarks/results.json takes them), log.txt, weights and cards, each as soon as it is made. A row has
its share of the minutes left and ends early if it is done; a row that fails leaves its error in figures.json, and
the next one runs. `--minutes` counts from the start of the program, imports and reading included.
"""
import time

START = time.monotonic()  # before the slow imports
import argparse
import os
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARES = {  # rows and the seconds each likes to have
    "smoke": 15, "cifar-net": 100, "dogscats-net": 170, "cifar-ladder": 190, "cuda-tests": 60, "nietzsche-lstm": 100,
    "imdb-forward": 480, "imdb-backward": 480, "rossmann-net": 150, "rossmann-known": 60,
}


def rows_of() -> dict:
    "Each row's function. Their modules are imported here, after the clock has started."
    from gpu_rows import checks, characters, ladder, language, shops, vision

    return {"smoke": checks.smoke_row, "cuda-tests": checks.cuda_row, "cifar-net": vision.cifar_row,
            "dogscats-net": vision.dogscats_row, "cifar-ladder": ladder.ladder_row,
            "nietzsche-lstm": characters.nietzsche_row, "imdb-forward": language.imdb_row,
            "imdb-backward": language.imdb_row, "rossmann-net": shops.rossmann_row,
            "rossmann-known": shops.known_row}


def run_rows(args) -> int:
    "Runs the rows one after the other; gives the number of those that failed."
    from gpu_rows.pictures import workers

    pool = None if args.safe or args.tiny or not {"cifar", "dogsc"} & {r[:5] for r in args.rows} else workers()
    import torch
    from gpu_rows.machine import CUDA, Run

    if not CUDA: torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    functions, run, failed = rows_of(), Run(args, START, pool), []
    torch.backends.cudnn.benchmark = not args.safe
    torch.backends.cudnn.allow_tf32 = False  # convolutions said to be float32 would be TensorFloat-32 otherwise
    run.log(run.about)
    for k, run.row in enumerate(args.rows):
        began, wanted = time.monotonic(), [SHARES[r] for r in args.rows[k:]]
        run.figures.pop(f"gpu/{run.row}", None)
        for again in (False, True):
            try: functions[run.row](run, run.left() * wanted[0] / sum(wanted))
            except Exception as error:
                run.log(traceback.format_exc())
                run.save(error=f"{type(error).__name__}: {error}"[:500])
                if CUDA and not run.eager and not again and run.left() > 20:
                    run.log("once more, without CUDA graphs")
                    run.eager = True
                    run.figures.pop(f"gpu/{run.row}", None)
                    continue
                failed.append(run.row)
            break
        run.save(row_seconds=time.monotonic() - began, finished_at_seconds=time.monotonic() - START)
    run.log(f"end; failed: {', '.join(failed)}" if failed else "end; all rows done")
    return len(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packer, runner = commands.add_parser("pack"), commands.add_parser("run")
    for p in (packer, runner): p.add_argument("rows", nargs="+", choices=SHARES, metavar="ROW", help=", ".join(SHARES))
    packer.add_argument("--from", dest="source", type=Path, help="folder of the data sets; default: LESSONKIT_DATA")
    packer.add_argument("--out", type=Path, default=ROOT / ".gpu", help="folder for what travels; emptied first")
    runner.add_argument("--data", type=Path, default=ROOT / ".gpu", help="folder that `pack` filled, or its parent")
    runner.add_argument("--minutes", type=float, default=9, help="for everything, from the program's start")
    runner.add_argument("--out", type=Path, default=Path("out"), help="folder for what is made")
    runner.add_argument("--seeds", type=int, default=0, help="default: 3, dogscats-net 1, the ladder as time allows")
    runner.add_argument("--epochs", type=int, default=0, help="this many at most, in place of what the time allows")
    runner.add_argument("--tiny", action="store_true", help="tiny nets, few pictures, 1 epoch, 1 seed, on a CPU")
    runner.add_argument("--safe", action="store_true", help="float32, no CUDA graphs, no cuDNN search: if a run failed")
    runner.add_argument("--with", dest="other", help="imdb-forward-probabilities.npy of another run, for the mean")
    args = parser.parse_args()
    args.rows = list(dict.fromkeys(args.rows))
    sys.path.insert(0, str(ROOT))  # for lessonkit
    if args.command == "pack":
        from gpu_rows.packing import pack

        source = args.source or os.environ.get("LESSONKIT_DATA")
        if source is None: parser.error("say where the data sets are: --from FOLDER, or set LESSONKIT_DATA")
        return pack(args.rows, Path(source), args.out)
    if args.tiny: args.seeds, args.epochs = 1, 1
    return run_rows(args)


if __name__ == "__main__": sys.exit(main())
