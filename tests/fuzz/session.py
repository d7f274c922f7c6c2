"""One damaged folder after another through the commands, and what came of it. Also a script:
`python -m tests.fuzz.session SEED`.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from hnbench.reports.plots import PLOTS
from tests.fuzz.calls import call
from tests.fuzz.mutator import FREE, Damage, damage
from tests.fuzz.world import COMPLETE, PARTS, commands_of_prompts, make_world, rows_of, toys

MEMORY = 3_000_000_000
"""Bytes of addresses that all commands together may need more than this process has before."""
WITH_GRID, WITH_PLOTS = 0.25, 0.05
"""The share of the folders whose reports have them."""


@dataclass
class Outcomes:
    """What became of the calls."""

    folders: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By command and outcome."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """What went wrong -> for each time, the seed, the command and the damage."""
    warned: Counter[str] = field(default_factory=Counter)
    """Python's own warnings that a user would see; not counted as faults."""

    def __str__(self) -> str:
        lines = [f"{self.folders} damaged folders, {self.calls.total()} calls"]
        commands = sorted({command for command, _ in self.calls})
        for command in commands:
            found = {
                outcome: count
                for (name, outcome), count in sorted(self.calls.items())
                if name == command
            }
            lines.append(
                f"  {command}: "
                + ", ".join(f"{outcome}: {count}" for outcome, count in found.items())
            )
        lines += [f"  warned: {count} x {what}" for what, count in self.warned.most_common()]
        lines += [f"{sum(map(len, self.faults.values()))} faults of {len(self.faults)} kinds"]
        for what, where in sorted(self.faults.items(), key=lambda item: -len(item[1])):
            lines += [
                f"  {len(where)} x {what}",
                *(f"      python -m tests.fuzz.session {one}" for one in where[:2]),
            ]
        return "\n".join(lines)

    def fault(self, what: str, seed: int, command: str, done: str) -> None:
        """Note one."""
        self.faults.setdefault(what, []).append(f"{seed}  # {command}: {done[:300]}")


def try_folder(seed: int, world: Path, folder: Path, outcomes: Outcomes) -> None:
    """Copy the world, damage the copy as the seed says, and run all commands that read what was
    damaged.
    """
    dice = random.Random(seed)
    name = dice.choices(list(PARTS), [part.weight for part in PARTS.values()])[0]
    part = PARTS[name]
    os.chdir(world)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world, folder)
    os.chdir(folder)
    patterns = (dice.choice(part.files),) if name == "prompts" else part.files
    done = [damage(folder, patterns, dice) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
    outcomes.folders += 1
    for number, arguments in enumerate(
        part.commands if name != "prompts" else commands_of_prompts(patterns[0])
    ):
        what = "; ".join(one.what for one in done)
        with drawing(dice):
            called = call(*arguments)
        outcomes.warned.update(called.warnings)
        outcomes.calls[arguments[0], "fault" if called.fault else f"exit {called.code}"] += 1
        if called.fault:
            outcomes.fault(called.fault, seed, arguments[0], what)
        if arguments[0] == "report" and number == 0 and called.code == 0:
            for wrong in untrue(folder / "run/report", world / "run/report", done):
                outcomes.fault(wrong, seed, arguments[0], what)


@contextmanager
def drawing(dice: random.Random | None = None) -> Iterator[None]:
    """Most reports have no plots and no grid, which take longest; without dice, none has."""
    with ExitStack() as stack:
        if dice is None or dice.random() > WITH_PLOTS:
            stack.enter_context(patch.dict(PLOTS, clear=True))
        if dice is None or dice.random() > WITH_GRID:
            stack.enter_context(patch("hnbench.reports.report.write_grid", return_value="No grid."))
        yield


def untrue(report: Path, true: Path, done: list[Damage]) -> Iterator[str]:
    """What a report that says that it is complete says otherwise than the one of the whole run."""
    if COMPLETE not in (report / "report.md").read_text(encoding="utf-8"):
        return
    rows, wanted = rows_of(report), rows_of(true)
    forged = frozenset().union(*(one.forged for one in done))
    missing = wanted.keys() - rows.keys()
    if rows.keys() - wanted.keys() or (missing and not any(one.plan for one in done)):
        yield "Complete over other labels, prompts or samples"
    for key in rows.keys() & wanted.keys():
        row, other = rows[key], wanted[key]
        if row["correct"] == "" != other["correct"]:
            yield "Complete over a missing verdict"
            return
        differing = sorted(
            name for name in row.keys() | other.keys() if row.get(name) != other.get(name)
        )
        if differing and not (forged and forged <= FREE):
            yield f"Complete over a changed {differing[0]}"
            return


def limit_memory() -> None:
    """What reads an endless file ends in an error, and not the machine."""
    pages = (
        int(Path("/proc/self/statm").read_text().split()[0])
        if Path("/proc/self/statm").exists()
        else 0
    )
    if pages:
        resource.setrlimit(
            resource.RLIMIT_AS,
            (pages * resource.getpagesize() + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]),
        )


def show(seed: int) -> None:
    """Do what one seed says, and print all of it; the folder stays for a look."""
    outcomes = Outcomes()
    place = Path(tempfile.mkdtemp())
    with toys():
        make_world(place / "world")
        limit_memory()
        try_folder(seed, place / "world", place / "folder", outcomes)
    print(f"{outcomes}\nThe folder: {place / 'folder'}")


if __name__ == "__main__":
    show(int(sys.argv[1]))
