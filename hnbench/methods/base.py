"""The method contract: a way to choose the noise for a (prompt, sample).

Exactly `propose` is timed. A method sees prompts, noises, a generator and the optimised reward. It
never sees a judge, the metadata that a judge checks, or a held-out reward. An oracle (`sees_judge`)
does, and its rows are kept apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.devices.transfers import to_device
from hnbench.generators.base import Conditioning, Generator
from hnbench.methods.rewriting import RewriterCost
from hnbench.methods.training import Training
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource, canonical
from hnbench.tasks import Task


def starting_noise(
    generator: Generator, noises: NoiseSource, tasks: Sequence[Task], candidate: int = 0
) -> Tensor:
    """The tasks' noises on the generator's device, `[B, *noise_shape]`, in float32 or wider even if
    the model computes in bfloat16. `candidate` 0 is the sample's own starting noise.
    """
    return placed(generator, noises.batch(tasks, candidate))


def placed(generator: Generator, noise: Tensor) -> Tensor:
    """A noise on the generator's device, in float32 or wider."""
    # Norms and small changes of a noise need float32; a generator casts the noise itself.
    dtype = torch.promote_types(generator.dtype, torch.float32)
    return to_device(noise, generator.device).to(dtype)


def conditioning_of(
    generator: Generator, noises: NoiseSource, tasks: Sequence[Task]
) -> Conditioning:
    """The conditioning of the tasks' images: their encoded prompts, and the seeds of the noise
    between steps.
    """
    return generator.encode([task.prompt for task in tasks]).seeded(noises.step_seeds(tasks))


def without_gradient() -> torch.no_grad:
    """A context manager and decorator that records nothing for gradients."""
    # no_grad instead of inference_mode: the next method may need tensors that a model caches here
    # (text, positions) in a graph.
    return torch.no_grad()


@dataclass(frozen=True)
class Outcome:
    """The image and the noise that a method chose for one task.

    `label` names the row of the table (`"reno"`, `"best-of-8"`). A method may yield several labels
    per task if one computation answers several questions: best-of-50 contains best-of-8.
    """

    task: Task
    label: str
    image: Tensor
    """`[3, H, W]` in [0, 1], detached."""
    noise: Tensor
    """The chosen noise, `[*noise_shape]`, detached, float32 or wider."""
    share: float = 1.0
    """The share of this task's cost in `propose` that this label alone would have needed, from 0 to
    1: 8/50 for best-of-8 out of 50 candidates.
    """
    trajectory: tuple[float, ...] | None = None
    """The optimised reward at each iteration or of each candidate; None if the method has
    neither.
    """
    acceptance: float | None = None
    """The share of a Markov chain's proposals that were accepted, from 0 to 1; None without one."""
    chosen_prompt: str | None = None
    """The prompt that the image was generated from, if the method looks for another one; otherwise
    None, and it is the task's own.
    """
    rewriter: RewriterCost | None = None
    """The cost of rewriting the task's prompt; None for a method that does not."""


@dataclass(frozen=True)
class Passes:
    """Passes through the models, in images, as `hnbench.metering.Meter` counts them."""

    generator_forward: int
    generator_backward: int = 0
    reward_forward: int = 0
    reward_backward: int = 0

    @property
    def generator(self) -> int:
        """Forward and backward passes through the generator."""
        return self.generator_forward + self.generator_backward


def one_each(
    tasks: Sequence[Task], label: str, images: Tensor, noises: Tensor
) -> Iterator[Outcome]:
    """One outcome per task, from a batch of images `[B, 3, H, W]` and the noises `[B,
    *noise_shape]` that they were generated from.
    """
    for row, task in enumerate(tasks):
        yield Outcome(task, label, images[row], noises[row])


class Method(ABC):
    """A way to choose the noise. Instances are cheap, have no state of a run, and may be used for
    several runs.
    """

    name: str
    sees_judge: bool = False
    """Whether `propose` is given the judge's grade as its reward: then it is an oracle, and no
    method.
    """

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The labels that `propose` yields for every task, in order."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that decides the outcome, as JSON types: the method's name, its parameters, an
        adapter's SHA-256.
        """

    def identity_of(self, label: str) -> dict[str, Any]:  # noqa: ARG002
        """The identity that the records of one of its labels have. It is `identity()`, unless a
        method of another identity gives the same row.
        """
        return self.identity()

    def gives_same(self, label: str, identity: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether its row `label` is the same as the one that a method with this `identity()` gives
        under this label. If so, a run takes the records that are there.
        """
        return canonical(identity) == canonical(self.identity())

    def together(self, other: Method) -> Method | None:  # noqa: ARG002
        """One method that gives the rows of both, for less work than both; None if there is none.

        A run asks this if it is to run two methods with the same name.
        """
        return None

    def skip(self, generator: Generator) -> str | None:  # noqa: ARG002
        """The reason why the method cannot run on this generator, as a sentence without a capital;
        None if it can run.

        A run leaves a skipped method out of its plan, and shows the reason in `run.json` and in the
        report. Use it if the generator lacks something. For a mistake of the user, such as a
        missing file, raise a `UsageError` in `prepare`. `skip` is called before `prepare`, but not
        for the base.
        """
        return None

    def among(self, prompts: Sequence[str]) -> Method:  # noqa: ARG002
        """The method for a suite with these prompts.

        A run calls this before `skip`. Only a method that works on a prompt with the help of the
        others needs it. The result must not depend on their order, or on which of them the run
        takes.
        """
        return self

    def prepare(self, generator: Generator) -> Training | None:  # noqa: ARG002
        """Load everything that the method needs onto the generator. Returns the cost of its
        training, or None for a method without training.

        A run calls this once, before the first batch, and does not time it. `propose` must find
        what was loaded, and must also work without this call; other methods must not be affected.
        Raise a `UsageError` if something does not fit the generator.
        """
        return None

    def passes(self, steps: int) -> Passes | None:  # noqa: ARG002
        """The passes that `propose` makes for one task, over all labels, when the generator takes
        `steps` steps per image. None if the method cannot know them in advance.

        It makes fewer if its rewriter's prompts are dropped. A plan and the end time of a run are
        computed from them; the cost of an image is counted.
        """
        return None

    @abstractmethod
    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        """Yield, for every task, one outcome per label. The tasks are one batch, which fits on the
        device.

        Before its first batch, a run also calls this with one task alone, to count the method's
        floating-point operations. It throws the outcomes away.

        The result for a task must not depend on the other tasks of the batch (except for the order
        of floating-point sums). Generate with `conditioning_of(generator, noises, tasks)`, because
        samplers that add noise between their steps need its seeds.
        """
