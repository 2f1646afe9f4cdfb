"""Measures calls against the floor below them and against ProcessPoolExecutor; prints a table.

Figures are medians of rounds in which the contenders take turns. "x floor" is fchains' time in
units of the floor's (a raw message over a socket, unless a row says otherwise), "x faster" the
time of a pool of processes in units of fchains'.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import Result, table
from tests.bench.rows import ALL_CORES, ONE_CORE, ROWS, Row

ROOT = Path(__file__).parents[2]
LIMIT, ROW_LIMIT = 110.0, 30.0  # seconds


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runner", default="local", help="name of an installed runner")
    parser.add_argument("--rows", default="", help="only the rows whose name contains this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument(
        "--rounds", type=int, default=7, help="turns of each contender, fewer if they are slow"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of calls and sizes, to try things out")
    parser.add_argument("--here-on", choices=[ONE_CORE, ALL_CORES], help=argparse.SUPPRESS)
    return parser.parse_args(given)


def measure_here(args: argparse.Namespace) -> None:
    """Measure one row and print its figures, in a process that has done nothing else before."""
    if args.here_on == ONE_CORE:  # every thread and process that is started from here on inherits it
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    row = next(row for row in ROWS if row.name == args.rows)
    print(json.dumps(asyncio.run(row.measure(args.runner, args.share, args.rounds))))


def measure(row: Row, cores: str, args: argparse.Namespace, limit: float) -> Result:
    """Measure in a process of its own: one that crashes or hangs costs one row."""
    options = {"runner": args.runner, "rounds": args.rounds, "share": args.share}
    options |= {"rows": row.name, "here-on": cores}
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench", *(f"--{name}={value}" for name, value in options.items())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = (text.strip().rpartition("\n")[2] for text in child.communicate(timeout=limit))
    except subprocess.TimeoutExpired:
        return Result(row, cores, {}, f"no figures within {limit:.0f} s")
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing is left of it, as it should be
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.returncode:
        return Result(row, cores, {}, err or f"exit code {child.returncode}")
    return Result(row, cores, json.loads(out))


def main(given: Sequence[str] | None = None) -> None:
    args = arguments(given)
    if args.here_on:
        return measure_here(args)
    about: dict[str, object] = {"runner": args.runner, "python": platform.python_version()}
    about |= {"system": platform.platform(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}
    print(*(f"{key} {value}" for key, value in about.items()), sep=", ")
    possible = {ONE_CORE, ALL_CORES} if hasattr(os, "sched_setaffinity") else {ALL_CORES}
    chosen = [(row, cores) for row in ROWS for cores in row.cores if args.rows in row.name]
    end = time.monotonic() + LIMIT
    results = [
        measure(row, cores, args, max(0.0, min(ROW_LIMIT, end - time.monotonic())))
        for row, cores in chosen
        if cores in possible
    ]
    print(table(results))
    if args.json:
        figures = {**about, "rows": [result.as_json() for result in results]}
        args.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
