"""The work of a run, in images and passes: what each method makes in all, and what is left of it.

It follows from the plan and from what the methods announce (`Method.passes`), so no model is needed
to know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hnbench.config import RunConfig
    from hnbench.methods.base import Method, Passes
    from hnbench.runs.steps import Steps
    from hnbench.tasks import Task

Done = tuple[str, str, int]
"""A record that is done: label, prompt's id, sample."""


@dataclass(frozen=True)
class MethodWork:
    """The work of one method."""

    name: str
    """Its only label, or the method's own name if it has several labels."""
    labels: tuple[str, ...]
    tasks: int
    """The number of (prompt, sample) pairs."""
    passes: Passes | None
    """The passes for one task; None if the method does not announce them."""
    tasks_left: int
    """The number of tasks that are still to be proposed. A batch is proposed as a whole, so this
    includes the done tasks of a batch in which another one is missing.
    """
    images_left: int

    @property
    def images(self) -> int:
        """The number of images, done or not."""
        return self.tasks * len(self.labels)

    @property
    def generator_passes(self) -> int | None:
        """Forward and backward passes through the generator for all tasks; None if unknown."""
        return None if self.passes is None else self.passes.generator * self.tasks


@dataclass(frozen=True)
class Workload:
    """The work of all methods of a run, in order."""

    methods: tuple[MethodWork, ...]

    @property
    def images(self) -> int:
        """The number of planned images, done or not."""
        return sum(work.images for work in self.methods)

    @property
    def images_left(self) -> int:
        """The number of planned images that are not done."""
        return sum(work.images_left for work in self.methods)

    @property
    def unannounced(self) -> tuple[str, ...]:
        """The methods that do not announce their passes."""
        return tuple(work.name for work in self.methods if work.passes is None)

    @property
    def generator_passes(self) -> int:
        """Passes through the generator, forward and backward, of all methods that announce them."""
        return sum(work.generator_passes or 0 for work in self.methods)

    def sentence(self) -> str:
        """The whole work in one line, and how many images are done."""
        methods = "1 method" if len(self.methods) == 1 else f"{len(self.methods)} methods"
        passes = f"{self.generator_passes:,} generator passes"
        if self.unannounced:
            passes += f", not counting {', '.join(self.unannounced)}"
        done = self.images - self.images_left
        return f"{self.images:,} images by {methods}, {passes}; {done:,} of {self.images:,} done"


def workload_of(
    methods: Sequence[Method],
    tasks: Sequence[Task],
    done: Collection[Done],
    *,
    steps: Steps,
    batch_size: int,
    gradient_batch_size: int | None = None,
) -> Workload:
    """The work of `methods` on `tasks`, of which the records `done` are done. The generator takes
    these steps, and `batch_size` tasks go together, or `gradient_batch_size` for a
    method that needs the gradient (None: as many).
    """
    return Workload(
        tuple(
            _work_of(
                method,
                tasks,
                done,
                steps,
                (gradient_batch_size or batch_size)
                if needs_gradient(method, steps.search)
                else batch_size,
            )
            for method in methods
        )
    )


def needs_gradient(method: Method, steps: int) -> bool:
    """Whether a method makes backward passes. One that does not announce its passes may do so."""
    passes = method.passes(steps)
    return passes is None or passes.generator_backward > 0 or passes.reward_backward > 0


def batch_size_for(method: Method, config: RunConfig) -> int:
    """The number of a method's tasks that go together in a run."""
    if config.gradient_batch_size and needs_gradient(method, config.steps):
        return config.gradient_batch_size
    return config.batch_size


def name_of(method: Method) -> str:
    """The name of a method's work: its only label, or its own name if it has several."""
    return method.labels[0] if len(method.labels) == 1 else method.name


def _work_of(
    method: Method, tasks: Sequence[Task], done: Collection[Done], steps: Steps, batch_size: int
) -> MethodWork:
    left = [
        sum((label, task.prompt_id, task.sample) not in done for label in method.labels)
        for task in tasks
    ]
    return MethodWork(
        name_of(method),
        tuple(method.labels),
        len(tasks),
        steps.passes(method),
        sum(
            len(batch)
            for start in range(0, len(left), batch_size)
            if any(batch := left[start : start + batch_size])
        ),
        sum(left),
    )
