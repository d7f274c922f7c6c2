"""Two processes over one for a whole run, on the shapes world.

    python -m benchmarks.processes --limit 24 --iterations 25 --repeats 3

Both ways run `hnbench run` with ReNO in a new folder: once as one process, once as two at the same
time, with `--shard 1/2` and `--shard 2/2`. Each process has one thread. The records of both runs
are compared: the same samples, from the same noises, with the same first reward. Two ratios of
wall times, one process over two; 1.8 on two cores is the target:

    whole      the commands, from their start until the last one has ended: imports, loading and the
               report included
    records    from the first record of the run to its last: without start-up and report

The defaults (which the command above spells out) take four minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.pairs import alternating, machine, options, ratios, spread
from hnbench.runs.record import Record
from hnbench.runs.store import read_run

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TOLERANCE = 1e-3
"""The relative difference of a reward that other batches may cause."""
WAYS = {"one": ("1/1",), "two": ("1/2", "2/2")}


def run(folder: Path, shards: tuple[str, ...], arguments: list[str]) -> float:
    """The seconds until all of a run's processes have ended. A `RuntimeError` if one failed."""
    command = [sys.executable, "-m", "hnbench", "run", "--suite", "geneval-shapes", *arguments]
    started = time.perf_counter()
    processes = [
        subprocess.Popen(
            [*command, "--out", str(folder), "--shard", shard],
            env={**os.environ, **ONE_THREAD},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for shard in shards
    ]
    codes = [process.wait() for process in processes]
    seconds = time.perf_counter() - started
    if any(codes):
        raise RuntimeError(f"the processes ended with {codes}: {' '.join(command)}")
    return seconds


def require_same(one: Sequence[Record], other: Sequence[Record]) -> None:
    """Raise a `RuntimeError` unless both runs have the same samples, from the same noises, whose
    first rewards are equal up to rounding.
    """
    ours, theirs = (
        {record.id: (record.noise_sha256, record.initial_rewards["optimised"]) for record in each}
        for each in (one, other)
    )
    if ours.keys() != theirs.keys():
        raise RuntimeError(
            f"the runs have {len(ours)} and {len(theirs)} samples, of which"
            f" {len(ours.keys() & theirs.keys())} are the same"
        )
    for name, (noise, reward) in ours.items():
        if noise != theirs[name][0] or abs(reward - theirs[name][1]) > TOLERANCE * abs(reward):
            raise RuntimeError(f"the runs differ in the record {name}")


def span(records: Sequence[Record]) -> float:
    """The seconds between the first and the last record."""
    written = [record.written or 0.0 for record in records]
    return max(written) - min(written)


def measure(arguments: list[str], repeats: int) -> dict[str, Any]:
    """The two ratios as JSON types, of a run with these arguments."""
    spans: dict[str, list[float]] = {way: [] for way in WAYS}
    found: dict[str, Sequence[Record]] = {}

    def once(way: str) -> float:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "run"
            seconds = run(folder, WAYS[way], arguments)
            found[way] = read_run(folder).records
            spans[way].append(span(found[way]))
        return seconds

    whole = alternating(
        {way: lambda way=way: once(way) for way in WAYS},  # type: ignore[misc]
        repeats,
        "a run by one and by two processes",
    )
    require_same(found["one"], found["two"])
    return {
        "whole": ratios(whole["one"], whole["two"]),
        "records": ratios(spans["one"], spans["two"]),
        "seconds": {way: spread(seconds)["median"] for way, seconds in whole.items()},
        "number_of_records": len(found["one"]),
    }


def arguments_of(chosen: argparse.Namespace) -> list[str]:
    """The arguments of `hnbench run` other than the folder and the shard."""
    return [
        *("--method", f"reno:iterations={chosen.iterations}"),
        *("--limit", str(chosen.limit), "--batch-size", str(chosen.batch_size)),
        *("--device", chosen.device),
    ]


def main() -> None:
    """Measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.set_defaults(repeats=3)
    chosen = parser.parse_args()
    found = measure(arguments_of(chosen), chosen.repeats)
    about = {**vars(chosen), **machine(chosen.device), "threads": 1}
    print(json.dumps({**about, **found}, indent=2))


if __name__ == "__main__":
    main()
