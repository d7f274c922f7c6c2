"""Makes the results of the embedded world that the repository keeps, with all cores.

    python -m benchmarks.reference_run --out results --processes 2

It prints and runs the commands of `commands`, one after the other. Each is one of hnbench's own and
continues what it began, so the same command continues an interrupted one, and nothing is made
twice. Then the values of the measures are compressed, as the records are by `hnbench pack`.

`geneval-shapes` is the full protocol with the methods that the project is about; in
`equal-budget` every method has the same number of images, under the quick protocol.
"""

from __future__ import annotations

import argparse
import lzma
import shlex
import subprocess
import sys
from pathlib import Path

from hnbench.files.writing import write_whole

SEEDS = (0, 1, 2)
"""The base seeds of the full protocol."""
EQUAL_SEEDS = (0,)
"""The base seed of the quick protocol: it has many methods, and is for an overview."""
MAIN = (
    "best-of-n",
    "reno",
    "hypernoise",
    "amortised",
    "finetune",
    "hypernoise-random-direction",
    "hypernoise-other-noise",
    "hypernoise-other-prompt",
    "hypernoise-static",
)
"""The methods of the full protocol, beside random noise."""
OTHERS = (
    "zero-order",
    "spectral",
    "evolution",
    "prompt-search",
    "pcn",
    "langevin",
    "gper",
    "mpgr:iterations=50",
    "dno:iterations=50",
    "hybrid:iterations=10",
    "oracle:iterations=10",
)
"""The methods that are run under the quick protocol only, in settings of 50 images each."""


def commands(out: Path, processes: int) -> list[list[str]]:
    """The commands of hnbench, without its name."""
    amortised = ["--amortised", str(out / "amortised" / "adapter")]
    made = [["train", "--kind", "regression", "--out", str(out / "amortised")]]
    protocols = {
        "geneval-shapes": (["--full"], MAIN, SEEDS),
        "equal-budget": ([], (*MAIN, *OTHERS), EQUAL_SEEDS),
    }
    for name, (protocol, methods, seeds) in protocols.items():
        runs = [str(out / name / f"seed{seed}") for seed in seeds]
        chosen = [part for method in methods for part in ("--method", method)]
        shared = [*protocol, *chosen, *amortised, "--processes", str(processes), "--no-report"]
        for seed, run in zip(seeds, runs, strict=True):
            place = ["--seed", str(seed), "--out", run]
            made.append(["run", "--suite", "geneval-shapes", *shared, *place])
            made.append(["measure", run])
        made.append(["report", *runs, "--out", str(out / name / "report")])
        made.append(["pack", *runs])
    made.append(["diagnose", "--out", str(out / "geneval-shapes" / "diagnosis.json")])
    return made


def compress(journal: Path) -> None:
    """Move a journal's lines to the end of `<journal>.xz`, which hnbench reads before them."""
    packed = journal.with_name(journal.name + ".xz")
    before = lzma.decompress(packed.read_bytes()) if packed.exists() else b""
    write_whole(packed, lzma.compress(before + journal.read_bytes()))
    journal.unlink()


def main() -> None:
    """Run all commands; the first that fails ends the program with its exit code."""
    parser = argparse.ArgumentParser(description="Make the results of the embedded world.")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    for arguments in commands(chosen.out, chosen.processes):
        print("hnbench", shlex.join(arguments), flush=True)
        done = subprocess.run([sys.executable, "-m", "hnbench", *arguments], check=False)
        if done.returncode:
            sys.exit(done.returncode)
    for journal in chosen.out.glob("*/seed*/measures/journal.jsonl"):
        compress(journal)


if __name__ == "__main__":
    main()
