"""A run that is killed with SIGKILL at random moments and continued is the run that was never killed."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from pathlib import Path

from hnbench.runs.store import read_run
from tests.runs.world import run, run_slowly, timeless

KILLS = 8
BATCH = 4


def test_killed_and_continued_equals_uninterrupted(tmp_path: Path) -> None:
    killed, whole, log = tmp_path / "killed", tmp_path / "whole", tmp_path / "log"
    context = multiprocessing.get_context("forkserver")  # torch is imported once, by the server
    context.set_forkserver_preload(["tests.runs.world"])
    dice = random.Random(4)
    kills, sizes = 0, [0]
    while True:
        process = context.Process(target=run_slowly, args=(killed, log, 0.02))
        process.start()
        # The first session is given the time to begin: until it has written its first record.
        if kills == 0:
            while not list(killed.glob("journal-*")):
                process.join(0.01)
        process.join(dice.uniform(0.0, 0.3) if kills < KILLS else 60)
        if process.exitcode is not None:
            assert process.exitcode == 0
            break
        process.kill()
        process.join()
        kills += 1
        if (killed / "run.json").exists():
            sizes.append(len(read_run(killed).records))
    assert kills >= 3, "the processes ended before they could be killed"
    assert sizes == sorted(sizes), "a kill lost records"
    assert len(set(sizes)) >= 3, "the kills all fell outside the work"

    run(whole)
    one, other = ({record.id: timeless(record) for record in read_run(folder).records} for folder in (whole, killed))
    assert one == other
    assert read_run(killed).damaged_images() == []
    assert not [path for path in killed.rglob("*.png") if path.stem not in one]
    repeated = sum(count - 1 for count in Counter(log.read_text().splitlines()).values())
    assert repeated <= kills * BATCH, "more than the batch under way was done again"
