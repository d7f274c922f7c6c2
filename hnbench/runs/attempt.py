"""One batch of one method: warmed up, timed, counted, and taken apart when it fails.

What is timed is exactly `list(method.propose(...))`. Text is encoded before, because it is cached and every method needs
the same. A batch that does not fit the device is halved; a batch that raises is tried again task by task, so that one bad
sample costs nobody else their result.
"""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from hnbench.errors import HnbenchError
from hnbench.out_of_memory import first_line, is_out_of_memory
from hnbench.runs.cost import Meter, MeteredGenerator, MeteredReward, Usage, measured
from hnbench.runs.record import Cost, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method, Outcome
    from hnbench.rewards.base import Reward
    from hnbench.seeds import NoiseSource
    from hnbench.tasks import Task

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Attempt:
    """What came of a batch: an outcome per task and label, or an error."""

    tasks: Sequence[Task]
    meter: Meter
    usage: Usage
    outcomes: Mapping[tuple[Task, str], Outcome]
    error: Failure | None = None

    def cost(self, share: float = 1.0) -> Cost:
        """The cost of one image of the batch whose label needed `share` of its task's work."""
        each = share / len(self.tasks)
        passes = {name: count * each for name, count in asdict(self.meter).items()}
        peak = self.usage.peak_memory_bytes
        return Cost(**passes, seconds=self.usage.seconds * each, peak_memory_bytes=peak, batch_size=len(self.tasks))


class Models:
    """What a method works with, and which prompts' text is encoded already."""

    def __init__(self, generator: Generator, reward: Reward, noises: NoiseSource, steps: int) -> None:
        self.generator, self.reward, self.noises, self.steps = generator, reward, noises, steps
        self._warm: set[str] = set()
        self._blank: Tensor | None = None

    @torch.no_grad()
    def warm_up(self, tasks: Sequence[Task]) -> None:
        """Encode the batch's text; the first time, also pass the whole batch through generator and reward."""
        conditioning = self.generator.encode([task.prompt for task in tasks])
        if self._blank is None:
            seeded = conditioning.seeded(self.noises.step_seeds(tasks))
            images = self.generator.generate(self.noises.batch(tasks).to(self.generator.device), seeded, self.steps)
            self._blank = torch.zeros_like(images[:1])
            prompts = [task.prompt for task in tasks]
        else:
            images = self._blank
            prompts = sorted({task.prompt for task in tasks} - self._warm)
        if prompts:
            self.reward.score(images.expand(len(prompts), -1, -1, -1), prompts)
            self._warm.update(prompts)


class Proposer:
    """Runs the batches of one method. `batch_size` falls when memory runs out, and stays there."""

    def __init__(self, method: Method, models: Models, batch_size: int) -> None:
        self.method, self.models, self.batch_size = method, models, batch_size

    def attempt(self, tasks: Sequence[Task]) -> list[Attempt]:
        """Attempts that cover all of the tasks or, when memory runs out, the first half or less of them.

        Errors meant for the user (`HnbenchError`) and Ctrl-C pass through.
        """
        meter, usage = Meter(), Usage()
        try:
            self.models.warm_up(tasks)
            outcomes = self._propose(tasks, meter, usage)
        except HnbenchError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a method raises is its sample's failure, and is recorded
            failure = Failure(type=type(error).__name__, message=first_line(error))
            parts: list[Sequence[Task]] = [[task] for task in tasks]
            if is_out_of_memory(error):
                self.batch_size = max(1, len(tasks) // 2)
                parts = [tasks[: self.batch_size]]
        else:
            return [Attempt(tasks, meter, usage, outcomes)]
        if len(tasks) == 1:
            return [Attempt(tasks, meter, usage, {}, failure)]
        release_memory()
        return [attempt for part in parts for attempt in self.attempt(part)]

    def _propose(self, tasks: Sequence[Task], meter: Meter, usage: Usage) -> dict[tuple[Task, str], Outcome]:
        models = self.models
        generator = MeteredGenerator(models.generator, meter, models.steps)
        reward = MeteredReward(models.reward, meter)
        with measured(models.generator.device, usage):
            listed = list(self.method.propose(tasks, generator, reward, models.noises))
        outcomes = {(outcome.task, outcome.label): outcome for outcome in listed}
        expected = {(task, label) for task in tasks for label in self.method.labels}
        if outcomes.keys() != expected or len(listed) != len(expected):
            raise RuntimeError(
                f"{self.method.name} gave {len(listed)} outcomes; one for each of {len(tasks)} tasks and {self.method.labels} is due"
            )
        return outcomes


def in_chunks(function: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item], size: int) -> list[Result]:
    """Apply a batch function to all items, `size` at a time and fewer when memory runs out; the results in order."""
    results: list[Result] = []
    while len(results) < len(items):
        chunk = items[len(results) : len(results) + size]
        try:
            results.extend(function(chunk))
        except (RuntimeError, MemoryError) as error:
            if len(chunk) == 1 or not is_out_of_memory(error):
                raise
            size = len(chunk) // 2
            release_memory()
    return results


def release_memory() -> None:
    """Give back what a failed batch held, tracebacks' frames included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
