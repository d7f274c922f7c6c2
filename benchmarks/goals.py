"""All benchmarks one after another, and the table of goals in docs/speed.md.

    python -m benchmarks.goals
    python -m benchmarks.goals --only reno
    python -m benchmarks.goals --table

Each benchmark runs in a process of its own, and its JSON is written to `results/benchmarks/`. Then
the table in docs/speed.md is written from these files. `--only` (repeatable) runs some of them,
`--table` none. What needs a GPU is left out. All of it takes 15 minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "benchmarks"
PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- goals: written by benchmarks/goals.py -->\n", "<!-- end of goals -->"


@dataclass(frozen=True)
class Benchmark:
    """One module of `benchmarks`, and how it is run for the table."""

    name: str
    arguments: tuple[str, ...] = ()
    threads: int | None = None
    """torch's number of threads; None: its own choice, one for each core."""

    @property
    def command(self) -> str:
        """The command, as one types it."""
        threads = f"OMP_NUM_THREADS={self.threads} " if self.threads else ""
        return threads + " ".join(("python -m", f"benchmarks.{self.name}", *self.arguments))


@dataclass(frozen=True)
class Goal:
    """One row of the table."""

    figure: str
    goal: str
    benchmark: Benchmark
    keys: tuple[str, ...]
    """The path to the spread in the benchmark's JSON."""


RENO = Benchmark("reno")
BEST_OF_N = Benchmark("best_of_n")
TRAINING = Benchmark("training")
GENEVAL = Benchmark("geneval_scoring", ("--size", "published", "--images", "2", "--repeats", "3"))
HYPERNOISE = Benchmark("hypernoise")
PROCESSES = Benchmark("processes")
OVERHEAD = Benchmark("overhead", ("--limit", "42"), threads=1)
REPORT = Benchmark("report_at_scale", threads=1)
START_UP = Benchmark("start_up")
CUDA = Benchmark("cuda", ("--model", "sd-turbo", "--batch-size", "4", "--json"))

GOALS = (
    Goal("ReNO, samples/s over the published loop", "5", RENO, ("over", "published")),
    Goal("the same, with the loop's text encoded once", "", RENO, ("over", "text kept")),
    Goal(
        "best-of-N for one sample, over the published loop with its text encoded once",
        "3",
        BEST_OF_N,
        ("over", "text kept"),
    ),
    Goal("the same, text encoded for each candidate", "", BEST_OF_N, ("over", "published")),
    Goal("training, images/s over the published step", "1.5", TRAINING, ("over", "published")),
    Goal(
        "GenEval's scoring, images/s over the published structure, on a CPU",
        "1.25",
        GENEVAL,
        ("over_published",),
    ),
    Goal("HyperNoise over random, seconds", "at most 1.6", HYPERNOISE, ("over_random",)),
    Goal("two processes over one, the whole `hnbench run`", "1.8", PROCESSES, ("whole",)),
    Goal("the same, without start-up and report", "1.8", PROCESSES, ("records",)),
    Goal(
        "a run's wall time over a bare loop of its passes",
        "at most 1.05",
        OVERHEAD,
        ("run_over_bare",),
    ),
    Goal(
        "`hnbench report` of 100,224 records, CPU seconds without those of the plots",
        "at most 5",
        REPORT,
        ("without_plots",),
    ),
    Goal("the same, with the plots", "", REPORT, ("stages", "command", "seconds")),
    Goal("its peak memory in 10^6 bytes", "at most 400", REPORT, ("stages", "command", "peak_mb")),
    Goal("`hnbench --help`, seconds", "at most 0.15", START_UP, ("help",)),
    Goal("`import hnbench`, seconds", "at most 0.05", START_UP, ("import",)),
    Goal(
        "`hnbench run` on a finished folder of 24,192 images, seconds",
        "at most 2",
        START_UP,
        ("finished run",),
    ),
    Goal("the same, packed", "", START_UP, ("packed run",)),
    Goal(
        "ReNO, images/s over the published loop, SD-Turbo on an H100",
        "15",
        CUDA,
        ("reno_over_published", "sd-turbo"),
    ),
)
BENCHMARKS = {goal.benchmark.name: goal.benchmark for goal in GOALS if goal.benchmark != CUDA}


def run(benchmark: Benchmark, results: Path = RESULTS) -> None:
    """Run one benchmark and keep its JSON. A `subprocess.CalledProcessError` if it fails."""
    threads = {"OMP_NUM_THREADS": str(benchmark.threads)} if benchmark.threads else {}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark.name}", *benchmark.arguments],
        cwd=ROOT,
        env={**os.environ, **threads},
        stdout=subprocess.PIPE,
        check=True,
    )
    text = json.dumps(json.loads(done.stdout), indent=2)
    (results / f"{benchmark.name}.json").write_text(f"{text}\n", encoding="utf-8")


def table(results: Path = RESULTS) -> str:
    """The rows of all goals, in Markdown."""
    rows = [
        "| figure | goal | measured | repeats | threads | command |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for goal in GOALS:
        path = results / f"{goal.benchmark.name}.json"
        measured, repeats, threads = "not measured", "", ""
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            measured = _shown(found, goal.keys)
            repeats, threads = (str(found.get(key, "")) for key in ("repeats", "threads"))
        rows.append(
            f"| {goal.figure} | {goal.goal} | {measured} | {repeats} | {threads}"
            f" | `{goal.benchmark.command}` |"
        )
    return "\n".join(rows) + "\n"


def _shown(found: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The median with the smallest and the largest value, or a single number."""
    value: Any = found
    for key in keys:
        value = value[key]
    if not isinstance(value, Mapping):
        return f"{value:.2f}"
    return f"{value['median']:.2f} ({value['min']:.2f} to {value['max']:.2f})"


def with_table(page: str, rows: str) -> str:
    """The text of a page with these rows between its two marks. A `ValueError` without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no {BEGIN.strip()!r} and {END!r} around the table")
    return f"{before}{begin}{rows}{end}{after}"


def main() -> None:
    """Run the benchmarks and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=BENCHMARKS, action="append")
    parser.add_argument("--table", action="store_true", help="run nothing")
    chosen = parser.parse_args()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for name in () if chosen.table else chosen.only or BENCHMARKS:
        started = time.perf_counter()
        console.print(BENCHMARKS[name].command)
        run(BENCHMARKS[name])
        console.print(f"{name} took {time.perf_counter() - started:.0f} s")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table()), encoding="utf-8")
    print(table(), end="")


if __name__ == "__main__":
    main()
