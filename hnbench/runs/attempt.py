"""One batch of one method: warmed up, timed, counted, and split when it fails.

Exactly `list(method.propose(...))` is timed and, with other steps for the images
(`hnbench.runs.steps`), their rendering. Text is encoded before, because it is cached and every
method needs the same. Floating-point operations are counted before too, once, while the method
works on one task alone; what it makes then is thrown away.

A batch that does not fit the device is halved; a batch that raises is tried again task by task, so
that one bad sample does not cost the others their results. Batches of rewards, judges and measures
are split in the same way (`in_chunks`, `attempted`).
"""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch
from msgspec.structs import replace

from hnbench.devices.compilation import eager, settled
from hnbench.devices.transfers import to_device
from hnbench.errors import PluginError
from hnbench.files.digits import to_digits
from hnbench.flops import counted
from hnbench.guards.answers import as_many, is_usable, shown
from hnbench.guards.out_of_memory import KINDS, is_out_of_memory
from hnbench.metering import Meter, MeteredGenerator, MeteredReward, Usage, measured
from hnbench.methods.base import Outcome
from hnbench.runs.failures import RECORDED, failure_of, is_for_user
from hnbench.runs.outcomes import Expectation
from hnbench.runs.record import RECORD_DIGITS, Cost, Failure
from hnbench.runs.rendering import rendered
from hnbench.runs.steps import Steps
from hnbench.runs.watched import WatchedMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from torch import Tensor

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.rewards.base import Reward
    from hnbench.runs.outcomes import Checked
    from hnbench.seeds import NoiseSource
    from hnbench.tasks import Task

Item = TypeVar("Item")
Result = TypeVar("Result")

COUNTS = 3
"""How often a method's operations are counted at most, if the count fails. The first task can be
one that always fails.
"""


@dataclass(frozen=True)
class Attempt:
    """The outcome of a batch."""

    tasks: Sequence[Task]
    meter: Meter
    usage: Usage
    starts: Tensor
    """The starting noises of the tasks, `[B, *noise_shape]`, on the CPU. No method was given this
    tensor, so none could change it.
    """
    outcomes: Mapping[tuple[Task, str], Checked | Failure]
    """(Task, label) -> outcome, for every task and label."""
    flops: int | None = None
    """Floating-point operations for one task; None if they are not known."""
    rendering: Rendering | None = None
    """The work after the search; None if the search itself made the images."""

    @property
    def seconds(self) -> float:
        """The wall time of the batch."""
        return self.usage.seconds + (self.rendering.usage.seconds if self.rendering else 0.0)

    def cost(self, share: float = 1.0) -> Cost:
        """The cost of one image of the batch whose label needed `share` of its task's search."""
        each = share / len(self.tasks)
        passes = {name: count * each for name, count in asdict(self.meter).items()}
        searched = Cost(
            **passes,
            seconds=self.usage.seconds * each,
            peak_memory_bytes=self.usage.peak_memory_bytes,
            batch_size=len(self.tasks),
            flops=None if self.flops is None else to_digits(self.flops * share, RECORD_DIGITS),
        )
        return self.rendering.added_to(searched) if self.rendering else searched


@dataclass
class Rendering:
    """The work of rendering the noises that a batch chose, once for each task and label."""

    meter: Meter
    images: int
    usage: Usage = field(default_factory=Usage)
    flops: int | None = None
    """Floating-point operations for one image; None if they are not known."""

    def added_to(self, searched: Cost) -> Cost:
        """The cost of a search with that of rendering one image."""
        peaks = (searched.peak_memory_bytes, self.usage.peak_memory_bytes)
        known = [peak for peak in peaks if peak is not None]
        flops = None
        if searched.flops is not None and self.flops is not None:
            flops = to_digits(searched.flops + self.flops, RECORD_DIGITS)
        return replace(
            searched,
            generator_forward=(
                searched.generator_forward + self.meter.generator_forward / self.images
            ),
            seconds=searched.seconds + self.usage.seconds / self.images,
            peak_memory_bytes=max(known) if known else None,
            flops=flops,
        )


class Models:
    """The models that a method works with, and a note of the prompts whose text is encoded
    already.
    """

    def __init__(
        self,
        generator: Generator,
        reward: Reward,
        noises: NoiseSource,
        steps: int,
        render_steps: int | None = None,
    ) -> None:
        """`steps` are those of the methods' searches, `render_steps` those of the images if they
        are others.
        """
        self.generator, self.reward, self.noises = generator, reward, noises
        self.steps = Steps(steps, render_steps)
        self._warm: set[str] = set()
        self._blank: Tensor | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(3, H, W)` of the generator's images, known after the first `warm_up`."""
        if self._blank is None:
            raise RuntimeError("the generator has not made an image yet")
        return tuple(self._blank.shape[1:])

    def encode_ahead(self, prompts: Sequence[str]) -> None:
        """Encode the prompts of a run, so that the text encoders can leave a GPU. A failure is not
        raised: the batch that has the prompt encodes it again, and records it.
        """
        try:
            self.generator.encode_ahead(prompts)
        except RECORDED as error:
            if is_for_user(error):
                raise
        release_memory()

    @eager()  # `settled` makes the graphs, for the shapes that the batches have
    @torch.no_grad()
    def warm_up(self, tasks: Sequence[Task]) -> None:
        """Encode the batch's text. The first time, also pass the whole batch through generator and
        reward, so that no method is charged for what only the first pass of this size pays.
        """
        prompts = [task.prompt for task in tasks]
        conditioning = self.generator.encode(prompts)
        if self._blank is None:
            seeded = conditioning.seeded(self.noises.step_seeds(tasks))
            noise = to_device(self.noises.batch(tasks), self.generator.device)
            images = self.generator.generate(noise, seeded, self.steps.search)
            self._check(images, len(tasks))
            self.reward.score(images, prompts)
            self._warm.update(prompts)
            self._blank = torch.zeros_like(images[:1])
        # A reward caches a prompt's text when it first scores it, so any image will do.
        if new := sorted(set(prompts) - self._warm):
            self.reward.score(self._blank.expand(len(new), -1, -1, -1), new)
            self._warm.update(new)

    def _check(self, images: object, count: int) -> None:
        if not (
            is_usable(images)
            and isinstance(images, torch.Tensor)
            and images.ndim == 4
            and images.shape[:2] == (count, 3)
        ):
            raise PluginError(
                f"the generator {self.generator.name} gave {shown(images)}; images [{count}, 3, H,"
                " W] are expected"
            )


class Proposer:
    """Runs the batches of one method. `size`, the most tasks that may fit together, and `images`,
    the most images that the method may generate at once, fall when memory runs out, and never grow
    again.
    """

    def __init__(
        self,
        method: Method,
        models: Models,
        size: int,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`told` is called with the passes through the generator that the running batch has made so
        far: 0 when it begins, and then whenever their number grows.
        """
        self.method, self.models, self.size, self.images = method, models, size, size
        self._told = told
        self._used = 0
        """The most images that the latest attempt generated at once."""
        self._who = f"the method {method.name}"
        self._flops: int | None = None
        self._render_flops: int | None = None
        self._apart = models.steps.are_apart_for(method)
        self._counts_left = COUNTS

    def attempts(self, batch: Sequence[Task], wanted: AbstractSet[Task]) -> Iterator[Attempt]:
        """Attempts that cover the `wanted` tasks of a batch, and the others that are proposed
        together with them.

        A batch larger than `size` is halved until it fits, so the batch and the size alone decide
        which tasks go together, and not which of them are wanted. A batch that raises is tried
        again task by task. Errors meant for the user and Ctrl-C pass through.
        """
        if wanted.isdisjoint(batch):
            return
        half = (len(batch) + 1) // 2
        if len(batch) > self.size:
            yield from self.attempts(batch[:half], wanted)
            yield from self.attempts(batch[half:], wanted)
            return
        attempt, fits = self._attempt(batch, alone=len(batch) == 1)
        if attempt is not None:
            yield attempt
            return
        # Only here, after the `except` of `_attempt`: until then, the traceback holds the batch.
        release_memory()
        if not fits and self._used > len(batch):
            # One image of every task may still fit.
            self.images = max(len(batch), (self._used + 1) // 2)
            yield from self.attempts(batch, wanted)
            return
        if not fits:
            # Only this size is known not to fit. Batches that are smaller already are not halved,
            # so that a later session, which knows nothing of this failure, makes the same batches.
            self.size, self.images = len(batch) - 1, half
            yield from self.attempts(batch, wanted)
            return
        for task in batch:
            yield from self.attempts([task], wanted)

    def _attempt(self, tasks: Sequence[Task], *, alone: bool) -> tuple[Attempt | None, bool]:
        """The attempt, or None if it raised; and False if the cause was a lack of memory. If a task
        that is `alone` raises, its attempt is one whose outcomes are failures, unless there were
        several images of it at once and they did not fit.
        """
        meter, usage = WatchedMeter(self._told), Usage()
        self._used = 0
        starts = self.models.noises.batch(tasks)
        try:
            self.models.warm_up(tasks)
            flops = self.flops_of(tasks[0])
            found, rendering = self._propose(tasks, starts, meter, usage)
            return Attempt(tasks, meter, usage, starts, found, flops, rendering), True
        except RECORDED as error:
            if is_for_user(error):
                raise
            failure = failure_of(error)
            fits = not is_out_of_memory(error)
        failed = Attempt(
            tasks,
            meter,
            usage,
            starts,
            {(task, label): failure for task in tasks for label in self.method.labels},
        )
        return (failed if alone and (fits or self._used <= 1) else None), fits

    def _propose(
        self, tasks: Sequence[Task], starts: Tensor, meter: Meter, usage: Usage
    ) -> tuple[Mapping[tuple[Task, str], Checked | Failure], Rendering | None]:
        models = self.models

        def timed() -> list[Outcome]:
            vars(meter).update(vars(Meter()))
            self._told(0)
            with measured(models.generator.device, usage):
                return self._listed(tasks, meter, self.images)

        listed, rendering = settled(timed), None
        # A wrong answer is refused below, and not rendered.
        if self._apart and listed and all(isinstance(one, Outcome) for one in listed):
            before = meter.generator_forward + meter.generator_backward
            told = WatchedMeter(lambda passes: self._told(before + passes))
            rendering = Rendering(told, len(listed), flops=self._render_flops)
            listed = self._timed_rendering(listed, rendering, len(tasks))
        expected = Expectation(self._who, tasks, self.method.labels, models.image_shape, starts)
        return expected.check(listed), rendering

    def _timed_rendering(
        self, listed: Sequence[Outcome], rendering: Rendering, at_once: int
    ) -> list[Outcome]:
        def timed() -> list[Outcome]:
            vars(rendering.meter).update(vars(Meter()))
            with measured(self.models.generator.device, rendering.usage):
                return self._rendered(listed, rendering.meter, at_once)

        return settled(timed)

    def _rendered(self, listed: Sequence[Outcome], meter: Meter, at_once: int) -> list[Outcome]:
        models = self.models
        generator = MeteredGenerator(models.generator, meter, models.steps.of_image())
        return rendered(listed, generator, models.noises, at_once)

    def _listed(self, tasks: Sequence[Task], meter: Meter, at_once: int) -> list[Outcome]:
        models = self.models
        steps = models.steps.of_proposals(self.method)
        generator = MeteredGenerator(models.generator, meter, steps, images_at_once=at_once)
        reward = MeteredReward(models.reward, meter)
        try:
            return list(self.method.propose(tasks, generator, reward, models.noises))
        finally:
            self._used = generator.most_at_once

    def flops_of(self, task: Task) -> int | None:
        """The method's floating-point operations for one task; they are counted the first time. A
        count that fails is tried again with later tasks, a few times.

        The method itself works while they are counted. Its passes times the operations of a pass
        would be cheaper, but wrong for a method that also computes on its own.
        """
        if self._flops is None and self._counts_left:
            self._counts_left -= 1
            # Full passes are the quickest, and no larger than those of the batch. If they fail,
            # single images have the same operations, and need least memory.
            for at_once in dict.fromkeys((self.images, 1)):
                self._flops = self._counted(task, at_once)
                if self._flops is not None:
                    break
                release_memory()
        return self._flops

    def _counted(self, task: Task, at_once: int) -> int | None:
        try:
            with counted() as work:
                listed = self._listed([task], Meter(), at_once)
            if self._apart:
                with counted() as more:
                    self._rendered(listed[:1], Meter(), 1)
                self._render_flops = more.flops
        except RECORDED:
            # The batch itself comes next: a fault that is not the counter's shows there.
            return None
        return work.flops


def in_chunks(
    function: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    size: int,
    who: str = "the function",
) -> list[Result]:
    """Apply a batch function to all items, `size` at a time and fewer when memory runs out. Returns
    the results in order.

    `PluginError`, with `who` in its message, if the function gives another number of results than
    of items; `ValueError` if `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"batches of {size} items were asked for; at least 1 is needed")
    results: list[Result] = []
    while len(results) < len(items):
        chunk = items[len(results) : len(results) + size]
        try:
            results.extend(as_many(who, function(chunk), len(chunk)))
        except KINDS as error:
            if len(chunk) == 1 or not is_out_of_memory(error):
                raise
            size = len(chunk) // 2
            release_memory()
    return results


def attempted(
    function: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    size: int,
    who: str,
    *,
    record_memory: bool = True,
) -> list[Result | Failure]:
    """Like `in_chunks`, but a chunk that fails is tried again item by item, and an item that also
    fails alone has a `Failure` in its place.

    Errors meant for the user pass through. So does a lack of memory for a single item, unless
    `record_memory`.
    """

    def chunk_or_each(chunk: Sequence[Item]) -> Sequence[Result | Failure]:
        alone = len(chunk) == 1
        try:
            return as_many(who, function(chunk), len(chunk))
        except RECORDED as error:
            if is_for_user(error) or (is_out_of_memory(error) and not (alone and record_memory)):
                raise
            failure = failure_of(error)
        # Outside of the `except`, because its traceback holds the chunk's tensors.
        if alone:
            return [failure]
        return [result for item in chunk for result in chunk_or_each([item])]

    return in_chunks(chunk_or_each, items, size, who)


def release_memory() -> None:
    """Free the memory of a failed batch."""
    # The frames of a traceback can form cycles, which only the collector frees.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
