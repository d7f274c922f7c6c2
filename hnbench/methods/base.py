"""The method contract: a way to choose the noise for a (prompt, sample).

What is timed is exactly `propose`. A method sees prompts, noises, a generator and the optimised
reward; never a judge, never the metadata that a judge checks, never a held-out reward.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.generators.base import Conditioning, Generator
from hnbench.methods.training import Training
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


def starting_noise(
    generator: Generator, noises: NoiseSource, tasks: Sequence[Task], candidate: int = 0
) -> Tensor:
    """The tasks' noises on the generator's device, `[B, *noise_shape]`.

    They, their norms and what is computed from them stay in float32 (or wider) even where the model
    computes in bfloat16.
    """
    dtype = torch.promote_types(generator.dtype, torch.float32)
    return noises.batch(tasks, candidate).to(generator.device, dtype, non_blocking=True)


def conditioning_of(
    generator: Generator, noises: NoiseSource, tasks: Sequence[Task]
) -> Conditioning:
    """What the tasks' images are generated for: their prompts, and the seeds of the noise between
    steps.
    """
    return generator.encode([task.prompt for task in tasks]).seeded(noises.step_seeds(tasks))


def without_gradient() -> torch.no_grad:
    """A context, or a decorator, in which nothing is recorded for a gradient."""
    # no_grad, not inference_mode: what a model caches in it (text, positions) may be needed in a
    # graph by the next method.
    return torch.no_grad()


@dataclass(frozen=True)
class Outcome:
    """What a method chose for one task.

    `label` names the row of the table (`"reno"`, `"best-of-8"`); one method may yield several
    labels per task when one computation answers several questions: best-of-50 contains best-of-8.
    """

    task: Task
    label: str
    image: Tensor
    """`[3, H, W]` in [0, 1], detached."""
    noise: Tensor
    """The chosen noise, `[*noise_shape]`, detached, float32 or wider."""
    share: float = 1.0
    """The share of this task's cost in `propose` that this label alone would have needed (8/50 for
    best-of-8 out of 50).
    """
    trajectory: tuple[float, ...] | None = None
    """The optimised reward at each iteration (or of each candidate), where the method has any."""


def one_each(
    tasks: Sequence[Task], label: str, images: Tensor, noises: Tensor
) -> Iterator[Outcome]:
    """One outcome per task from a batch of images `[B, 3, H, W]` and the noises `[B, *noise_shape]`
    they were made from.
    """
    for row, task in enumerate(tasks):
        yield Outcome(task, label, images[row], noises[row])


class Method(ABC):
    """A way to choose the noise. Instances are cheap, hold no per-run state and may be used for
    several runs.
    """

    name: str

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The labels that `propose` yields for every task, in order."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that decides the outcome (JSON types only): the method's name, its parameters, an
        adapter's SHA-256.
        """

    def skip(self, generator: Generator) -> str | None:  # noqa: ARG002
        """Why the method cannot run on this generator, as a sentence without a capital; None if it
        can.

        A run leaves a skipped method out of its plan and shows the reason in `run.json` and in the
        report. It is for what the generator lacks. What the user got wrong, such as a file that is
        not there, is a `UsageError` of `prepare`. Asked before `prepare`; the base is not asked.
        """
        return None

    def prepare(self, generator: Generator) -> Training | None:  # noqa: ARG002
        """Load onto the generator what the method needs, and return what its training took; None
        for a method without training.

        Called once in a run, before the first batch. It is not timed. What it loads is found again
        by `propose` (which is also called without it) and changes nothing for the other methods.
        Something that does not fit the generator is a `UsageError`, before any work.
        """
        return None

    @abstractmethod
    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        """Yield, for every task, one outcome per label. The tasks are one batch: they fit the
        device together.

        The result for a task does not depend on the other tasks of the batch (beyond floating-point
        reduction order). Generate with `conditioning_of(generator, noises, tasks)`: its seeds are
        what samplers need that add noise between their steps.
        """
