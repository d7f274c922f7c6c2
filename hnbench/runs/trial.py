"""A trial of a run: a few samples through everything that a run does, to measure what it takes.

The trial is a small run of its own, in a folder that is deleted afterwards. Each method makes two
batches, and the second is measured: the first one warms up what only its own passes use. A run of
fewer samples is measured as a whole.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import SampleFailure
from hnbench.runs.execute import execute
from hnbench.runs.plan import Plan
from hnbench.runs.store import RunStore
from hnbench.runs.workload import batch_size_for, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.methods.base import Method
    from hnbench.runs.execute import RunProgress
    from hnbench.runs.experiment import Experiment
    from hnbench.runs.record import Cost, Record
    from hnbench.runs.store import Run
    from hnbench.runs.workload import Workload
    from hnbench.tasks import Task


@dataclass(frozen=True)
class Trial:
    """The costs of the samples of a trial."""

    costs: Mapping[str, Cost]
    """Method's name (`hnbench.runs.workload.name_of`) -> the cost of one task, over all labels."""
    seconds_per_image: float
    """The time of the work that follows a batch (saving, scoring, judging), for one image."""
    bytes_per_image: float
    """The mean size of a PNG file."""
    skipped: Mapping[str, str]
    """Methods that cannot run on the generator -> the reason."""
    device: str
    """The device's name."""


def try_out(experiment: Experiment, progress: RunProgress) -> Trial:
    """Try out an experiment. `SampleFailure` if a sample fails; otherwise raises what `execute`
    raises.
    """
    watch = _Stopwatch(progress)
    limited = replace(experiment, config=replace(experiment.config, limit=_prompts(experiment)))
    with tempfile.TemporaryDirectory(prefix="hnbench-plan-") as folder:
        with RunStore(folder) as store:
            tally = execute(limited, store, watch)
            run = store.run()
        if tally.failed:
            raise SampleFailure(f"samples failed while they were measured: {tally.commonest}")
        images = [record.image for record in run.records if record.image]
        sizes = [(Path(folder) / image.path).stat().st_size for image in images]
    tasks = Plan.from_manifest(run.manifest).tasks
    methods = experiment.prepared.methods
    return Trial(
        {
            name_of(method): _cost(
                method, run, _measured(tasks, batch_size_for(method, experiment.config))
            )
            for method in methods
        },
        watch.recording / max(watch.records, 1),
        sum(sizes) / max(len(sizes), 1),
        run.manifest["skipped"],
        str(run.manifest["environment"]["device"]),
    )


def _prompts(experiment: Experiment) -> int:
    """The number of prompts whose samples fill two batches, at most those of the run."""
    config, suite = experiment.config, experiment.suite
    prompts = suite.prompts() if config.full else suite.subset()
    fewest = min(suite.samples(prompt, full=config.full) for prompt in prompts)
    needed = -(-2 * config.batch_size // fewest)
    return min(needed, config.limit or len(prompts), len(prompts))


def _measured(tasks: Sequence[Task], batch: int) -> Sequence[Task]:
    """The second batch if it is a whole one, otherwise the first."""
    return tasks[batch : 2 * batch] if len(tasks) >= 2 * batch else tasks[:batch]


def _cost(method: Method, run: Run, tasks: Sequence[Task]) -> Cost:
    """The cost of one task: that of the label that needed all of it."""
    chosen = {(task.prompt_id, task.sample) for task in tasks}
    found: list[Record] = [
        record
        for record in run.records
        if record.label in method.labels and (record.prompt_id, record.sample) in chosen
    ]
    return max((record.cost for record in found), key=lambda cost: cost.seconds)


class _Stopwatch:
    """A run's progress that is handed on, and the time from a batch's end to its last record."""

    def __init__(self, other: RunProgress) -> None:
        self._other = other
        self._ended = 0.0
        self.records, self.recording = 0, 0.0

    def expect(self, work: Workload) -> None:
        self._other.expect(work)

    def start(self, total: int) -> None:
        self._other.start(total)

    def label(self, name: str) -> None:
        self._other.label(name)
        self._ended = 0.0

    def passes(self, count: int) -> None:
        self._other.passes(count)

    def proposed(self, tasks: int, seconds: float) -> None:
        self._ended = time.perf_counter()
        self._other.proposed(tasks, seconds)

    def advance(self, count: int) -> None:
        if self._ended:
            self.records += count
            self.recording += time.perf_counter() - self._ended
        self._other.advance(count)

    def done(self) -> None:
        self._other.done()
