"""Executes a plan: every method on every pending sample, each batch measured and recorded before
the next one. On a GPU, the images of a batch are saved, and judged if that needs no GPU, while the
next one is proposed; its records are written before that one's images are measured.

The base (the label `random`) runs first, because every other record has the base's rewards of the
same sample. A sample is pending for a method as long as any of its labels has no done record. Done
records are never written again, so the same command continues a run and tries failed samples again.

The plan and the shard alone decide the batches: sample by sample, `batch_size` at a time
(`gradient_batch_size` for a method that needs the gradient), whether samples are done or not. A
batch with a pending sample is proposed and measured as a whole, and only its missing records are
written. So a run that was interrupted and continued equals an uninterrupted one to the bit, except
for times and memory. Another batch size, other shards, a plan that grew in between (`limit`,
`full`) or a sample that failed for a while gives other batches: then numbers are equal up to
rounding.
"""

from __future__ import annotations

import hashlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from hnbench.devices.transfers import has_queue
from hnbench.errors import HnbenchError, UsageError
from hnbench.files.digits import to_digits
from hnbench.guards.interrupts import exit_code_of, interrupt_deferred
from hnbench.metering import Meter, Usage
from hnbench.runs.attempt import Attempt, Models, Proposer
from hnbench.runs.coverage import cover
from hnbench.runs.environment import device_name, environment
from hnbench.runs.identity import describe, models_of
from hnbench.runs.judged_reward import JudgedReward
from hnbench.runs.plan import BASE, make_plan, oracles_of
from hnbench.runs.record import RECORD_DIGITS, TRAJECTORY_DIGITS, Failure, Record, Rewriting
from hnbench.runs.recorder import Chosen, Recorder
from hnbench.runs.sessions import session_of
from hnbench.runs.steps import Steps
from hnbench.runs.store import with_image
from hnbench.runs.tally import NO_BASE, Tally, tally_of
from hnbench.runs.verdicts import verify
from hnbench.runs.workload import batch_size_for, name_of, workload_of
from hnbench.seeds import NoiseSource
from hnbench.weights.verified import remembered, status_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from torch import Tensor

    from hnbench.methods.base import Method
    from hnbench.runs.experiment import Experiment
    from hnbench.runs.outcomes import Checked
    from hnbench.runs.plan import Expected, Plan
    from hnbench.runs.recorder import Measurement, Measuring
    from hnbench.runs.store import RunStore
    from hnbench.runs.workload import Done, Workload
    from hnbench.suites.base import Judge, Suite
    from hnbench.tasks import Task


class Interrupted(HnbenchError):  # noqa: N818
    """Ctrl-C or SIGTERM ended the run. All records are kept, and the same command continues."""

    def __init__(self, message: str, exit_code: int) -> None:
        """`message` says what is kept; `exit_code` is that of the signal."""
        super().__init__(message)
        self.exit_code = exit_code


class RunProgress(Protocol):
    """A display of a run's progress. Counts are in records, unless something else is said."""

    def expect(self, work: Workload) -> None:
        """The work of the whole run, and how much of it is left; called before `start`."""

    def start(self, total: int) -> None:
        """Begin. `total` is the number of records of the plan, including existing ones."""

    def label(self, name: str) -> None:
        """Name the method that runs now, or the work before the first one."""

    def passes(self, count: int) -> None:
        """The batch that runs now has made `count` passes through the generator so far, forward and
        backward, in images; 0 when it begins. Can be called from another thread.
        """

    def proposed(self, tasks: int, seconds: float) -> None:
        """A batch of `tasks` samples has ended; it took `seconds`."""

    def advance(self, count: int) -> None:
        """Add `count` records."""

    def done(self) -> None:
        """End, whether the run succeeded or not."""


def execute(experiment: Experiment, store: RunStore, progress: RunProgress) -> Tally:
    """Run or continue a run in an open store, or the store's shard of it. The first method must be
    the base, whose only label is `random`; `ValueError` otherwise.

    The training costs of the `prepared` methods are written to `run.json`. A method that cannot run
    on the generator is not in the plan, and `run.json` has the reason. Its records of earlier
    commands stay in the folder, like those of a method that this command does not ask for.

    Failed samples are recorded and counted, not raised. Ctrl-C and SIGTERM raise `Interrupted`; a
    folder of another run and a full disk raise `StoreError`. A judge that fails its check
    (`Judge.verify`, called if there is anything to compute) raises `UsageError` before anything is
    written.
    """
    config, suite, generator = experiment.config, experiment.suite, experiment.generator
    rewards, held_out = experiment.rewards, experiment.held_out
    methods = experiment.prepared.methods
    if not methods or methods[0].labels != (BASE,):
        raise ValueError(f"the first method of a run must be the one labelled {BASE!r}")
    judge = suite.judge(device=config.device)
    noises = NoiseSource(config.base_seed, generator.noise_shape, config.noise_policy)
    models = Models(generator, rewards, noises, config.steps, config.render_steps)
    graded = _graded(models, methods, suite, judge)
    described = describe(config, suite, judge, generator, rewards=rewards, held_out=held_out)
    plan = make_plan(config, suite, methods, described)
    surroundings = environment(config.device)
    known = remembered()
    verified = {
        name: status_of(fingerprint, known)
        for name, fingerprint in models_of(described, judge, methods).items()
    }
    manifest = {
        **described,
        "plan": plan.to_json(),
        "oracles": oracles_of(methods),
        "training": experiment.prepared.training,
        "skipped": experiment.prepared.reasons(store),
        "environment": surroundings,
        "verified": verified,
    }
    # This refuses a damaged record before anything is computed.
    shard, tasks = store.shard, store.shard.tasks(plan)
    before = cover(plan, store.records.values(), store.folder).of(shard.prompts(plan))
    there = with_image(store.folder, before.done)
    kept = {
        (record.label, record.prompt_id, record.sample)
        for record in before.done
        if record.id in there
    }
    done = len(kept)
    # If nothing is missing, no verdicts are needed, so the judge is not checked.
    if judge is not None and done < before.expected:
        verify(judge)
    store.begin(manifest, session_of(config, surroundings, shard))
    with _session_of(progress, store), ThreadPoolExecutor(max_workers=1) as worker:
        recorder = Recorder(
            store=store,
            rewards=rewards,
            held_out=held_out,
            judge=judge,
            metadata={prompt.id: prompt.metadata for prompt in suite.prompts()},
            device=generator.device,
            worker=worker,
        )
        execution = _Execution(plan, tasks, models, graded, recorder, store, progress)
        progress.expect(
            workload_of(
                methods,
                tasks,
                kept,
                steps=Steps(config.steps, config.render_steps),
                batch_size=config.batch_size,
                gradient_batch_size=config.gradient_batch_size,
            )
        )
        progress.start(before.expected)
        progress.advance(done)
        prompts = _prompts_of(tasks, plan, kept)
        if prompts and has_queue(generator.device):
            progress.label(f"the text of {len(prompts)} prompts")
            models.encode_ahead(prompts)
        for method in methods:
            execution.run(method, batch_size_for(method, config))
    if not shard.whole:
        store.refresh()
    return tally_of(plan, store, execution.written)


def _graded(models: Models, methods: Sequence[Method], suite: Suite, judge: Judge | None) -> Models:
    """The models of an oracle: the judge's grade takes the place of the reward. Without an oracle,
    the models as they are.
    """
    if not any(method.sees_judge for method in methods):
        return models
    if judge is None:
        raise UsageError(
            f"an oracle optimises the judge's grade, and the suite {suite.name} has no judge; leave"
            " the oracle out"
        )
    reward = JudgedReward(judge, suite.prompts())
    steps = models.steps
    return Models(models.generator, reward, models.noises, steps.search, steps.render)


def _prompts_of(tasks: Sequence[Task], plan: Plan, done: Collection[Done]) -> list[str]:
    """The prompts of the tasks that lack a record, each once, in order."""
    return list(
        dict.fromkeys(
            task.prompt
            for task in tasks
            if any((label, task.prompt_id, task.sample) not in done for label in plan.labels)
        )
    )


@contextmanager
def _session_of(progress: RunProgress, store: RunStore) -> Iterator[None]:
    """End the progress display in any case, and turn Ctrl-C into `Interrupted`."""
    try:
        yield
    except KeyboardInterrupt as signal:
        raise Interrupted(
            f"interrupted; {len(store.records)} records are kept in {store.folder}. Continue with"
            " the same command.",
            exit_code_of(signal),
        ) from None
    finally:
        progress.done()


@dataclass(frozen=True)
class _Begun:
    """An attempt whose records are not written yet."""

    attempt: Attempt
    owed: Sequence[tuple[Expected, Checked | Failure]]
    """The records to write."""
    measuring: Measuring | None
    """None if no record is to be written."""


class _Execution:
    """One session that works through some tasks of a plan."""

    def __init__(
        self,
        plan: Plan,
        tasks: Sequence[Task],
        models: Models,
        graded: Models,
        recorder: Recorder,
        store: RunStore,
        progress: RunProgress,
    ) -> None:
        self._plan, self._tasks, self._models, self._graded = plan, tasks, models, graded
        self._recorder, self._store, self._progress = recorder, store, progress
        self._device = device_name(str(models.generator.device))
        # On a CPU, saving and judging would slow down the method that is timed.
        self._overlaps = has_queue(models.generator.device)
        self._begun: _Begun | None = None
        self.written = 0

    def run(self, method: Method, batch_size: int) -> None:
        """Compute the missing records of one method, batch by batch."""
        self._progress.label(name_of(method))
        models = self._graded if method.sees_judge else self._models
        proposer = Proposer(method, models, batch_size, self._progress.passes)
        tasks = self._tasks
        try:
            for start in range(0, len(tasks), batch_size):
                batch = tasks[start : start + batch_size]
                owing = {task for task in batch if self._open(method, task)}
                if owing:
                    usable = self._with_base(method, batch, owing)
                    for attempt in proposer.attempts(usable, owing):
                        # Ctrl-C waits, so that no computed batch is lost.
                        with interrupt_deferred():
                            self._record(method, attempt)
        finally:
            with interrupt_deferred():
                self._finish()

    def _open(self, method: Method, task: Task) -> list[Expected]:
        """The planned records of this task and method that are not done."""
        return [item for item in self._items(method, task) if not self._store.is_done(item.id)]

    def _items(self, method: Method, task: Task) -> list[Expected]:
        return [self._plan.item(task, label) for label in method.labels]

    def _with_base(
        self, method: Method, batch: Sequence[Task], owing: AbstractSet[Task]
    ) -> list[Task]:
        """The tasks whose base is done. The missing records of the others are written as failed,
        because there is nothing to compare them with.
        """
        if method.labels == (BASE,):
            return list(batch)
        without = [
            task for task in batch if not self._store.is_done(self._plan.item(task, BASE).id)
        ]
        owed = [task for task in without if task in owing]
        if owed:
            failure = Failure(
                type=NO_BASE,
                message=(
                    f"the {BASE} image of this sample failed, so there is nothing to compare with"
                ),
            )
            self._record(
                method,
                Attempt(
                    owed,
                    Meter(),
                    Usage(),
                    self._models.noises.batch(owed),
                    {(task, label): failure for task in owed for label in method.labels},
                ),
            )
        return [task for task in batch if task not in without]

    def _record(self, method: Method, attempt: Attempt) -> None:
        """Measure the images of an attempt, and write the missing records of its tasks: at once, or
        after the next proposal.
        """
        self._progress.proposed(len(attempt.tasks), attempt.seconds)
        self._finish()
        self._begun = self._begin(method, attempt)
        if not self._overlaps:
            self._finish()

    def _begin(self, method: Method, attempt: Attempt) -> _Begun:
        items = [item for task in attempt.tasks for item in self._items(method, task)]
        owed = {item.id for item in items if not self._store.is_done(item.id)}
        outcomes = [(item, attempt.outcomes[item.task, item.label]) for item in items]
        chosen = [
            Chosen(item.id, item.task, found.pixels, item.id in owed)
            for item, found in outcomes
            if not isinstance(found, Failure)
        ]
        return _Begun(
            attempt,
            [(item, outcome) for item, outcome in outcomes if item.id in owed],
            self._recorder.begin(chosen, len(attempt.tasks)) if owed else None,
        )

    def _finish(self) -> None:
        """Write the records of the attempt that was begun, if there is one."""
        # First of all, it is no longer begun: if this fails, it is not tried again.
        begun, self._begun = self._begun, None
        if begun is None:
            return
        measured = begun.measuring.result() if begun.measuring else {}
        attempt = begun.attempt
        starts = dict(zip(attempt.tasks, attempt.starts, strict=True))
        for item, outcome in begun.owed:
            self._store.add(
                self._make(item, starts[item.task], attempt, outcome, measured.get(item.id))
            )
        self.written += len(begun.owed)
        self._progress.advance(len(begun.owed))

    def _make(
        self,
        item: Expected,
        start: Tensor,
        attempt: Attempt,
        outcome: Checked | Failure,
        result: Measurement | Failure | None,
    ) -> Record:
        common: dict[str, Any] = {
            "id": item.id,
            "prompt_id": item.task.prompt_id,
            "prompt": item.task.prompt,
            "tag": item.tag,
            "sample": item.task.sample,
            "base_seed": self._models.noises.base_seed,
            "label": item.label,
            "noise_sha256": hashlib.sha256(start.numpy().tobytes()).hexdigest(),
            "cost": replace(
                attempt.cost(1.0 if isinstance(outcome, Failure) else outcome.share),
                device=self._device,
            ),
            "written": round(time.time(), 3),
        }
        if isinstance(outcome, Failure):
            return Record(**common, status="failed", error=outcome)
        if isinstance(result, Failure):
            return Record(**common, status="failed", error=result)
        assert result is not None  # noqa: S101
        noise = outcome.noise.double()
        return Record(
            **common,
            status="done",
            displacement=to_digits(float((noise - start.double()).norm()), RECORD_DIGITS),
            noise_norm=to_digits(float(noise.norm()), RECORD_DIGITS),
            rewards=result.rewards,
            # The base ran first, so its record of this sample is there.
            initial_rewards=(
                result.rewards
                if item.label == BASE
                else self._store.records[self._plan.item(item.task, BASE).id].rewards
            ),
            verdict=result.verdict,
            trajectory=_trajectory(outcome),
            acceptance=(
                None if outcome.acceptance is None else to_digits(outcome.acceptance, RECORD_DIGITS)
            ),
            chosen_prompt=outcome.chosen_prompt,
            rewriter=None if outcome.rewriter is None else Rewriting(**asdict(outcome.rewriter)),
            image=result.image,
        )


def _trajectory(outcome: Checked) -> tuple[float | None, ...] | None:
    if outcome.trajectory is None:
        return None
    rounded = [to_digits(value, TRAJECTORY_DIGITS) for value in outcome.trajectory]
    return tuple(value if math.isfinite(value) else None for value in rounded)
