"""Carrying out a plan: every method over every pending sample, each batch measured and recorded before the next one.

The base (the label `random`) runs first, because every other record carries the base's rewards of the same sample. A
sample is pending for a method while any of its labels has no done record; records that are done are never made again, so
the same command again continues a run and does the failed samples anew.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hnbench.errors import HnbenchError
from hnbench.runs.attempt import Attempt, Models, Proposer
from hnbench.runs.cost import Meter, Usage
from hnbench.runs.coverage import cover
from hnbench.runs.environment import environment
from hnbench.runs.identity import describe, models_of
from hnbench.runs.measure import Chosen, Measurer
from hnbench.runs.plan import make_plan
from hnbench.runs.record import DIGITS, TRAJECTORY_DIGITS, Failure, Record, to_digits
from hnbench.seeds import NoiseSource, digest
from hnbench.verified import remembered, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from hnbench.config import RunConfig
    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method, Outcome
    from hnbench.rewards.base import Mixture, Reward
    from hnbench.runs.measure import Measurement
    from hnbench.runs.plan import Expected, Plan
    from hnbench.runs.store import RunStore
    from hnbench.suites.base import Suite
    from hnbench.tasks import Task

BASE = "random"
"""The label that every other one is compared with."""


class Interrupted(HnbenchError):  # noqa: N818 - it names what the user did
    """Ctrl-C: what was measured is kept, and the same command continues."""

    exit_code = 130


class Progress(Protocol):
    """Who is told how far a run is. Counts are in records."""

    def start(self, total: int) -> None:
        """Say how many records the plan has, those already there included."""

    def label(self, name: str) -> None:
        """Say which method is worked on now."""

    def advance(self, count: int) -> None:
        """Say that so many more records are there."""

    def done(self) -> None:
        """Say that the run is over, well or not."""


@dataclass(frozen=True)
class Summary:
    """What became of the plan."""

    expected: int
    done: int
    failed: int
    new: int
    """Records that this session wrote, done or failed."""


def execute(
    config: RunConfig,
    suite: Suite,
    generator: Generator,
    rewards: Mixture,
    held_out: Sequence[Reward],
    methods: Sequence[Method],
    store: RunStore,
    progress: Progress,
    *,
    training: Mapping[str, Any] | None = None,
) -> Summary:
    """Run or continue a run in an open store. The first method must be the base, with the one label `random`.

    `training` is what the trained methods cost to train, by method name; it is kept in `run.json`. Failed samples are recorded and
    counted, not raised. Ctrl-C raises `Interrupted`, a folder of another run or a full disk `StoreError`, a judge that fails its check
    (`Judge.verify`, asked when there is something to do) `UsageError`, before anything is written.
    """
    if not methods or methods[0].labels != (BASE,):
        raise ValueError(f"the first method of a run must be the one labelled {BASE!r}")
    judge = suite.judge(device=config.device)
    described = describe(config, suite, judge, generator, rewards=rewards, held_out=held_out)
    plan = make_plan(config, suite, methods, described)
    surroundings = environment(config.device)
    known = remembered()
    verified = {name: status_of(fingerprint, known) for name, fingerprint in models_of(described, judge, methods).items()}
    manifest = {
        **described,
        "plan": plan.to_json(),
        "training": dict(training or {}),
        "environment": surroundings,
        "verified": verified,
    }
    cover(plan, store.records.values(), store.folder)  # a damaged record is refused before anything is computed
    expected = list(plan.expected())
    done = sum(store.is_done(item.id) for item in expected)
    if judge is not None and done < len(expected):
        judge.verify()
    store.begin(manifest, _session(config, surroundings))
    models = Models(generator, rewards, NoiseSource(config.base_seed, generator.noise_shape, config.noise_policy), config.steps)
    with _session_of(progress, store), ThreadPoolExecutor(max_workers=1) as worker:
        measurer = Measurer(
            store=store,
            rewards=rewards,
            held_out=held_out,
            judge=judge,
            metadata={prompt.id: prompt.metadata for prompt in suite.prompts()},
            device=generator.device,
            worker=worker,
        )
        execution = _Execution(plan, models, measurer, store, progress)
        progress.start(len(expected))
        progress.advance(done)
        for method in methods:
            execution.run(method, config.batch_size)
    coverage = cover(plan, store.records.values(), store.folder)
    return Summary(coverage.expected, len(coverage.done), len(coverage.failed), execution.written)


def _as_text(argument: str) -> str:
    """An argument as valid Unicode: a file's name can have bytes that are none."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def _session(config: RunConfig, surroundings: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `"sessions"`; the environment's digest shows whether sessions were made with different ones."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": [_as_text(part) for part in (Path(sys.argv[0]).name, *sys.argv[1:])],
        "device": config.device,
        "batch_size": config.batch_size,
        "environment": digest(surroundings),
    }


@contextmanager
def _session_of(progress: Progress, store: RunStore) -> Iterator[None]:
    """End the progress display in any case, and turn Ctrl-C into a clean error."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; {len(store.records)} records are kept in {store.folder}. Continue with the same command."
        ) from None
    finally:
        progress.done()


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Hold a first Ctrl-C back until the block has ended; a second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    received: list[int] = []

    def note(number: int, _: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if received:
        raise KeyboardInterrupt


class _Execution:
    """One session's way through a plan."""

    def __init__(self, plan: Plan, models: Models, measurer: Measurer, store: RunStore, progress: Progress) -> None:
        self._plan, self._models, self._measurer, self._store, self._progress = plan, models, measurer, store, progress
        self.written = 0

    def run(self, method: Method, batch_size: int) -> None:
        """Bring one method up to the plan."""
        self._progress.label(method.labels[0] if len(method.labels) == 1 else method.name)
        pending = [task for task in self._plan.tasks if self._open(method, task)]
        if method.labels != (BASE,):
            pending = self._with_base(method, pending)
        proposer = Proposer(method, self._models, batch_size)
        start = 0
        while start < len(pending):
            attempts = proposer.attempt(pending[start : start + proposer.batch_size])
            with interrupt_deferred():
                for attempt in attempts:
                    self._record(method, attempt)
            start += sum(len(attempt.tasks) for attempt in attempts)

    def _open(self, method: Method, task: Task) -> list[Expected]:
        """The records of this task that the method still owes."""
        items = [self._plan.item(task, label) for label in method.labels]
        return [item for item in items if not self._store.is_done(item.id)]

    def _with_base(self, method: Method, tasks: Sequence[Task]) -> list[Task]:
        """The tasks whose base is done. The others are recorded as failed: without a base there is nothing to compare with."""
        without = [task for task in tasks if not self._store.is_done(self._plan.item(task, BASE).id)]
        if without:
            failure = Failure(type="BaseFailed", message=f"the {BASE} image of this sample failed, so there is nothing to compare with")
            self._record(method, Attempt(without, Meter(), Usage(), {}, failure))
        return [task for task in tasks if task not in set(without)]

    def _record(self, method: Method, attempt: Attempt) -> None:
        """Measure what an attempt gave and record all that the method still owed for its tasks."""
        owed = [item for task in attempt.tasks for item in self._open(method, task)]
        chosen = [Chosen(item.id, item.task, attempt.outcomes[item.task, item.label].image) for item in owed if attempt.error is None]
        measured = self._measurer.measure(chosen, len(attempt.tasks))
        starts = {task: self._models.noises.draw(task) for task in attempt.tasks}
        for item in owed:
            outcome = attempt.outcomes.get((item.task, item.label))
            result = attempt.error or _noise_failure(outcome) or measured[item.id]
            self._store.add(self._make(item, starts[item.task], attempt, result))
        self.written += len(owed)
        self._progress.advance(len(owed))

    def _make(self, item: Expected, start: Tensor, attempt: Attempt, result: Measurement | Failure) -> Record:
        outcome = attempt.outcomes.get((item.task, item.label))
        common: dict[str, Any] = {
            "id": item.id,
            "prompt_id": item.task.prompt_id,
            "prompt": item.task.prompt,
            "tag": item.tag,
            "sample": item.task.sample,
            "base_seed": self._models.noises.base_seed,
            "label": item.label,
            "noise_sha256": hashlib.sha256(start.numpy().tobytes()).hexdigest(),
            "cost": attempt.cost(outcome.share if outcome else 1.0),
        }
        if isinstance(result, Failure):
            return Record(**common, status="failed", error=result)
        assert outcome is not None  # noqa: S101 - what was measured had an outcome
        noise = outcome.noise.cpu().double()
        return Record(
            **common,
            status="done",
            displacement=to_digits(float((noise - start.double()).norm()), DIGITS),
            noise_norm=to_digits(float(noise.norm()), DIGITS),
            rewards=result.rewards,
            initial_rewards=result.rewards if item.label == BASE else self._store.records[self._plan.item(item.task, BASE).id].rewards,
            verdict=result.verdict,
            trajectory=_trajectory(outcome),
            image=result.image,
        )


def _noise_failure(outcome: Outcome | None) -> Failure | None:
    if outcome is None or bool(outcome.noise.isfinite().all()):
        return None
    return Failure(type="NotFinite", message="the chosen noise has values that are not finite")


def _trajectory(outcome: Outcome) -> tuple[float | None, ...] | None:
    if outcome.trajectory is None:
        return None
    return tuple(to_digits(value, TRAJECTORY_DIGITS) if math.isfinite(value) else None for value in outcome.trajectory)
