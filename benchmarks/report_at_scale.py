"""The time and memory of a report of a large run, stage by stage.

    python -m benchmarks.report_at_scale --prompts 348 --samples 4

A run with made-up results of twelve methods is written from a fixed seed; `--prompts` counts those
of each of its six tags. The defaults (which the command above spells out) give 100,224 records.
Then its report is made twice, each time in a new process: once in stages, and once by the command.

    seconds     CPU time, of user and system
    peak_mb     the most memory that the process has had so far, in 10^6 bytes

    read        the journals, every line checked
    frame       the comparison of records and plan, and the table of all records
    statistics  means, intervals and p-values
    csv         `records.csv`
    plots       every plot, as PNG and SVG
    command     `hnbench report` as a whole, with the start of Python and all imports

`without_plots` is the CPU time of `command` less that of `plots`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hnbench.reports.drawing import save, settings
from hnbench.reports.plots import PLOTS
from hnbench.reports.pool import pool_runs
from hnbench.reports.summary import Summary, summarise
from hnbench.reports.tables import records_frame, write_csv
from hnbench.runs.store import read_run
from tests.reports.synthetic import write_run

T = TypeVar("T")
Row = dict[str, float]
"""`seconds` and `peak_mb`."""


def staged(folder: Path, out: Path) -> dict[str, Row]:
    """Stage -> its time and memory, for the report of the run in `folder`, whose files are written
    into `out`.
    """
    rows: dict[str, Row] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        before = _row(resource.RUSAGE_SELF)
        yield
        after = _row(resource.RUSAGE_SELF)
        rows[name] = {**after, "seconds": after["seconds"] - before["seconds"]}

    with stage("read"):
        run = read_run(folder)
    with stage("frame"):
        pool = pool_runs([run])
    # As in the command, which keeps no records once they are a table.
    del run
    with stage("statistics"):
        summary = summarise(pool)
    with stage("csv"):
        write_csv(records_frame(summary), out / "records.csv")
    with stage("plots"):
        draw(summary, out)
    return rows


def draw(summary: Summary, out: Path) -> None:
    """Draw and save every plot that these results have."""
    with settings():
        for name, plot in PLOTS.items():
            figure = plot(summary)
            if not isinstance(figure, str):
                save(figure, out, name)


def command(folder: Path, out: Path) -> Row:
    """The time and memory of `hnbench report` in a process of its own."""
    asked = [sys.executable, "-m", "hnbench", "report", str(folder), "--out", str(out)]
    subprocess.run(asked, check=True, stdout=subprocess.DEVNULL)
    return _row(resource.RUSAGE_CHILDREN)


def _row(whose: int) -> Row:
    used = resource.getrusage(whose)
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss * unit / 1e6}


def alone(work: Callable[..., T], *arguments: object, **named: object) -> T:
    """The result of a call in a new process, whose memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *arguments, **named).result()


def measure(prompts: int, samples: int) -> dict[str, Row]:
    """Stage -> its time and memory, for a new run of `prompts` per tag and `samples` of each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "run", Path(scratch) / "stages"
        out.mkdir()
        alone(write_run, folder, prompts_per_tag=prompts, samples=samples, uncounted=())
        rows = alone(staged, folder, out)
        return {**rows, "command": alone(command, folder, Path(scratch) / "report")}


def main() -> None:
    """Make the run, measure its report and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=348)
    parser.add_argument("--samples", type=int, default=4)
    chosen = parser.parse_args()
    started = time.perf_counter()
    rows = measure(chosen.prompts, chosen.samples)
    rounded = {
        name: {key: round(value, 2) for key, value in row.items()} for name, row in rows.items()
    }
    took = round(time.perf_counter() - started)
    result = {
        **vars(chosen),
        "stages": rounded,
        "without_plots": round(rows["command"]["seconds"] - rows["plots"]["seconds"], 2),
        "wall_seconds": took,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
