"""A run that is killed with SIGKILL at random moments and continued is the run that was never
killed.
"""

from __future__ import annotations

import math
import multiprocessing
import random
from collections import Counter
from pathlib import Path

from hnbench.runs.store import read_run
from tests.runs.world import damaged, run, run_slowly, timeless

KILLS = 6
BATCH = 4


def lines(folder: Path) -> int:
    """Whole records in a run folder."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("journal-*"))


def test_killed_and_continued_equals_uninterrupted(tmp_path: Path) -> None:
    killed, whole, log = tmp_path / "killed", tmp_path / "whole", tmp_path / "log"
    context = multiprocessing.get_context("forkserver")  # torch is imported once, by the server
    context.set_forkserver_preload(["tests.runs.world"])
    dice = random.Random(4)
    kills, sizes = 0, [0]
    while True:
        process = context.Process(target=run_slowly, args=(killed, log, 0.02))
        process.start()
        # Counted in records and only then in time, so that the kills fall within the work on a slow
        # machine too.
        target = lines(killed) + dice.randint(0, 6) if kills < KILLS else math.inf
        while process.exitcode is None and lines(killed) < target:
            process.join(0.002)
        process.join(
            dice.choice((0.0, 0.0, 0.05))
        )  # often at once: while the rest of the batch is being written
        if process.exitcode is not None:
            assert process.exitcode == 0
            break
        process.kill()
        process.join()
        kills += 1
        if (killed / "run.json").exists():
            sizes.append(len(read_run(killed).records))
    assert kills >= KILLS // 2, "the processes ended before they could be killed"
    assert sizes == sorted(sizes), "a kill lost records"
    assert len(set(sizes)) >= 3, "the kills all fell outside the work"

    run(whole)
    one, other = (
        {record.id: timeless(record) for record in read_run(folder).records}
        for folder in (whole, killed)
    )
    assert one == other
    assert damaged(killed) == []
    assert not [path for path in killed.rglob("*.png") if path.stem not in one]
    repeated = sum(count - 1 for count in Counter(log.read_text().splitlines()).values())
    assert repeated <= kills * BATCH, "more than the batch under way was done again"
