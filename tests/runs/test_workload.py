"""The work of a run before and after parts of it, and the passes that it tells of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hnbench.methods.base import Passes
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.runs.steps import Steps
from hnbench.runs.workload import Workload, workload_of
from hnbench.tasks import Task
from tests.runs.world import CONFIG, Best, Climb, Count, run

METHODS = (Random(), BestOfN(n=3), ReNO(iterations=5))
TASKS = [Task("a", "a dog", sample) for sample in range(6)]


def expected(done: set[tuple[str, str, int]] = frozenset()) -> Workload:  # type: ignore[assignment]
    return workload_of(METHODS, TASKS, done, steps=Steps(2), batch_size=4)


def test_all_of_it_is_left_of_a_new_run() -> None:
    work = expected()
    assert [(one.name, one.labels) for one in work.methods] == [
        ("random", ("random",)),
        ("best-of-n", ("best-of-2", "best-of-3")),
        ("reno", ("reno",)),
    ]
    assert [(one.images, one.images_left) for one in work.methods] == [(6, 6), (12, 12), (6, 6)]
    assert [one.tasks_left for one in work.methods] == [6, 6, 6]
    assert [one.generator_passes for one in work.methods] == [12, 36, 108]
    assert work.sentence() == "24 images by 3 methods, 156 generator passes; 0 of 24 done"


def test_a_batch_with_one_missing_image_is_made_as_a_whole() -> None:
    done = {("random", "a", sample) for sample in range(6)}
    done |= {(label, "a", sample) for label in ("best-of-2", "best-of-3") for sample in range(6)}
    done -= {("best-of-3", "a", 5)}
    work = expected(done)
    assert [one.tasks_left for one in work.methods] == [0, 2, 6]
    assert [one.images_left for one in work.methods] == [0, 1, 6]
    assert work.sentence().endswith("; 17 of 24 done")


@dataclass(frozen=True)
class Unsure(Random):
    name = "unsure"

    def passes(self, steps: int) -> Passes:
        return None  # type: ignore[return-value]


def test_passes_that_are_not_announced_are_named() -> None:
    work = workload_of([Unsure()], TASKS, set(), steps=Steps(1), batch_size=4)
    assert work.sentence() == (
        "6 images by 1 method, 0 generator passes, not counting unsure; 0 of 6 done"
    )


def test_a_run_tells_of_every_pass(tmp_path: Path) -> None:
    """12 samples in batches of 4: one pass of random, 4 of best-of-n, 3 forward and 3 backward of
    climb.
    """
    shown = Count()
    run(tmp_path, progress=shown)
    random, best = [0, 4, -4], [0, 4, 8, 12, 16, -4]
    assert shown.made[:9] == random * 3
    assert shown.made[9:27] == best * 3
    assert shown.made[27:36] == [0, 4, 8, 12, 16, 20, 24, -4, 0]
    assert shown.work.images_left == shown.work.images == 48
    assert [one.tasks_left for one in shown.work.methods] == [12, 12, 12]


def test_a_run_that_goes_on_expects_only_what_is_left(tmp_path: Path) -> None:
    run(tmp_path, methods=None)
    next((tmp_path / "images").rglob("*.png")).unlink()
    shown = Count()
    run(tmp_path, progress=shown)
    assert shown.work.images_left == 1
    assert sum(one.tasks_left for one in shown.work.methods) == CONFIG.batch_size
    assert sum(count < 0 for count in shown.made) == 1


@pytest.mark.parametrize("method", [Best(), Climb()])
def test_what_plug_ins_do_not_announce_is_unknown(method: Best | Climb) -> None:
    assert method.passes(1) is None
