"""How long a command takes before it does anything.

    python -m benchmarks.start_up --repeats 5

Each line is started in a new process, in alternating order: `python` alone, `import hnbench`,
`hnbench --help`, `hnbench list methods`, and `hnbench run` on a folder in which everything is done
already. That folder is made from the records of `results/geneval-shapes/seed0` (24,192 images; of
the images only the names are there, because nothing opens them), with the adapters of the package:
as the run left it, and packed, which takes longer to read.
The result is in seconds, the median with the smallest and the largest.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.pairs import alternating, machine, options, spread
from hnbench import pack
from hnbench.runs.store import read_run

ROOT = Path(__file__).parents[1]
RUN = ("run", "--suite", "geneval-shapes", "--full", "--seed", "0", "--no-report", "--out")
COMMANDS = {
    "python": ("-c", "pass"),
    "import": ("-c", "import hnbench"),
    "help": ("-m", "hnbench", "--help"),
    "list": ("-m", "hnbench", "list", "methods"),
}


def finished(run: Path) -> Path:
    """A copy of the reference run, which is packed, with a file for each image."""
    shutil.copytree(ROOT / "results" / "geneval-shapes" / "seed0", run)
    for record in read_run(run).records:
        if record.image is not None:
            path = run / record.image.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return run


def seconds(arguments: tuple[str, ...]) -> float:
    """The time of a new process. `subprocess.CalledProcessError` if it fails."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT, timeout=60
    )
    return time.perf_counter() - started


def measure(repeats: int) -> dict[str, Any]:
    """Command -> its seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        packed = finished(Path(scratch) / "packed")
        plain = shutil.copytree(packed, Path(scratch) / "plain")
        pack([plain], undo=True)
        commands = {
            **COMMANDS,
            "finished run": ("-m", "hnbench", *RUN, str(plain)),
            "packed run": ("-m", "hnbench", *RUN, str(packed)),
        }
        for arguments in commands.values():
            seconds(arguments)
        works = {
            name: lambda arguments=arguments: seconds(arguments)
            for name, arguments in commands.items()
        }
        found = alternating(works, repeats, "start-up")
    return {name: spread(taken) for name, taken in found.items()}


def main() -> None:
    """Measure and print the result as JSON."""
    chosen = options(__doc__).parse_args()
    print(json.dumps({**vars(chosen), **machine("cpu"), **measure(chosen.repeats)}, indent=2))


if __name__ == "__main__":
    main()
