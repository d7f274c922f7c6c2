"""The answers of a method, checked where they enter a run: one usable `Outcome` for each task and
label, or a `Failure` in its place.

The checks that need a value are done on the CPU, after one copy of the whole batch: the host waits
once for the device, however many outcomes there are.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from hnbench.devices.transfers import to_host
from hnbench.errors import PluginError
from hnbench.guards.answers import is_usable, real, shown
from hnbench.methods.base import Outcome
from hnbench.methods.rewriting import RewriterCost
from hnbench.runs.failures import failure_of
from hnbench.runs.pixels import quantise
from hnbench.runs.record import Failure
from hnbench.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

TOLERANCE = 0.5 / 255
"""The distance outside of [0, 1] that a pixel may have: half a level of the saved image, so
clamping changes no more than rounding does.
"""
TELLING_DIMENSIONS = 32
"""The entries that a noise needs for the check of swapped noises. With fewer, unrelated noises can
be near to each other by chance.
"""
NEARER = 4.0
"""A chosen noise that is more than this many times nearer to another task's starting noise than to
its own belongs to that other task. A noise that is unrelated to both is about as far from both.
"""


class NotFinite(PluginError):  # noqa: N818
    """An image or a noise has values that are not finite."""


@dataclass(frozen=True)
class Checked:
    """A usable outcome, on the CPU. The fields from `share` on are those of the `Outcome`."""

    task: Task
    label: str
    pixels: Tensor
    """The image as it is saved: uint8 `[3, H, W]`."""
    noise: Tensor
    """The chosen noise, `[*noise_shape]`, float32 or wider."""
    share: float
    trajectory: tuple[float, ...] | None
    acceptance: float | None
    chosen_prompt: str | None
    rewriter: RewriterCost | None


class _Queued(NamedTuple):
    """The tensors of an outcome that are copied, still on the device."""

    pixels: Tensor
    bounds: Tensor
    """The smallest and the largest value of the image, `[2]`."""
    noise: Tensor


Key = tuple[Task, str]
"""The task and the label of an outcome."""
Outcomes = dict[Key, Checked | Failure]


@dataclass(frozen=True)
class Expectation:
    """The requirements on the outcomes of one batch."""

    who: str
    """The method in a message, for example `"the method reno"`."""
    tasks: Sequence[Task]
    labels: tuple[str, ...]
    image_shape: tuple[int, ...]
    """`(3, H, W)` of the generator's images."""
    starts: Tensor
    """The tasks' starting noises, `[B, *noise_shape]`, on the CPU."""

    def check(self, given: Sequence[Any]) -> Outcomes:
        """The outcomes by task and label, with a `Failure` for each outcome that cannot be used.

        `PluginError` if there is not exactly one `Outcome` for each task and label.
        """
        for item in given:
            if (
                not isinstance(item, Outcome)
                or not isinstance(item.task, Task)
                or not isinstance(item.label, str)
            ):
                raise PluginError(
                    f"{self.who} gave {shown(item)}; an Outcome with its task and label is expected"
                )
        found = Counter((item.task, item.label) for item in given)
        if found != Counter((task, label) for task in self.tasks for label in self.labels):
            raise PluginError(
                f"{self.who} gave {len(given)} outcomes; one for each of {len(self.tasks)} tasks"
                f" and each label ({', '.join(self.labels)}) is expected"
            )
        queued = {(item.task, item.label): self._queued(item) for item in given}
        landed = _landed({key: one for key, one in queued.items() if isinstance(one, _Queued)})
        return {
            (item.task, item.label): self._checked(item, landed, queued[item.task, item.label])
            for item in given
        }

    def _queued(self, outcome: Outcome) -> _Queued | Failure:
        """Check what needs no value of a tensor, and begin what needs one."""
        try:
            image = self._image(outcome.image)
            noise = self._noise(outcome.noise)
            return _Queued(quantise(image), torch.stack(image.aminmax()), noise)
        # A plug-in's tensor can raise any error when it is used.
        except Exception as error:  # noqa: BLE001
            return failure_of(error)

    def _checked(
        self,
        outcome: Outcome,
        landed: Mapping[Key, _Queued | Failure],
        queued: _Queued | Failure,
    ) -> Checked | Failure:
        found = queued if isinstance(queued, Failure) else landed[outcome.task, outcome.label]
        if isinstance(found, Failure):
            return found
        try:
            self._check_bounds(*found.bounds.tolist())
            self._check_noise(found.noise, self.tasks.index(outcome.task))
            return Checked(
                outcome.task,
                outcome.label,
                found.pixels,
                found.noise,
                self._share("the share of a task's cost", outcome.share),
                self._trajectory(outcome.trajectory),
                (
                    None
                    if outcome.acceptance is None
                    else self._share("the share of accepted proposals", outcome.acceptance)
                ),
                self._prompt(outcome.chosen_prompt, outcome.task.prompt),
                self._rewriter(outcome.rewriter),
            )
        # A plug-in's values can raise any error when they are used.
        except Exception as error:  # noqa: BLE001
            return failure_of(error)

    def _image(self, image: Any) -> Tensor:
        wanted = self._wanted_image()
        if not is_usable(image) or not image.is_floating_point():
            raise PluginError(f"{self.who} gave as an image {shown(image)}; {wanted}")
        if tuple(image.shape) != self.image_shape:
            raise PluginError(f"{self.who} gave an image of shape {list(image.shape)}; {wanted}")
        checked: Tensor = image.detach()
        return checked

    def _check_bounds(self, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise NotFinite(f"{self.who} gave an image that has values that are not finite")
        if low < -TOLERANCE or high > 1 + TOLERANCE:
            raise PluginError(
                f"{self.who} gave an image with values from {low:.3g} to {high:.3g};"
                f" {self._wanted_image()}"
            )

    def _wanted_image(self) -> str:
        return f"{list(self.image_shape)} of floating-point numbers in [0, 1] is expected"

    def _noise(self, noise: Any) -> Tensor:
        shape = tuple(self.starts.shape[1:])
        wanted = f"{list(shape)} in float32 or wider is expected"
        if not is_usable(noise) or noise.dtype not in (torch.float32, torch.float64):
            raise PluginError(f"{self.who} gave as the chosen noise {shown(noise)}; {wanted}")
        if tuple(noise.shape) != shape:
            raise PluginError(
                f"{self.who} gave a chosen noise of shape {list(noise.shape)}; {wanted}"
            )
        checked: Tensor = noise.detach()
        return checked

    def _check_noise(self, noise: Tensor, row: int) -> None:
        if not math.isfinite(float(noise.double().norm())):
            raise NotFinite(f"{self.who} gave a chosen noise that has values that are not finite")
        self._refuse_swapped(noise, row)

    def _refuse_swapped(self, noise: Tensor, row: int) -> None:
        if noise.numel() < TELLING_DIMENSIONS:
            return
        distances = (self.starts - noise).flatten(1).norm(dim=1)
        nearest = int(distances.argmin())
        if NEARER * float(distances[nearest]) < float(distances[row]):
            raise PluginError(
                f"{self.who} gave one task the noise of another of its batch; each task has to keep"
                " its own"
            )

    def _share(self, what: str, given: Any) -> float:
        share = real(given)
        if share is None or not 0 <= share <= 1:
            raise PluginError(
                f"{self.who} gave {shown(given)} as {what}; a number from 0 to 1 is expected"
            )
        return share

    def _prompt(self, given: Any, original: str) -> str | None:
        # A suite's own prompt may have any characters.
        if given is None:
            return None
        if isinstance(given, str) and (given == original or given.isprintable()):
            return given
        raise PluginError(
            f"{self.who} gave {shown(given)} as the chosen prompt; one line of printable text, or"
            " None, is expected"
        )

    def _rewriter(self, given: Any) -> RewriterCost | None:
        if given is None:
            return None
        if isinstance(given, RewriterCost):
            counts = (given.calls, given.dropped, 0 if given.tokens is None else given.tokens)
            seconds = real(given.seconds)
            if (
                all(type(count) is int and count >= 0 for count in counts)
                and seconds is not None
                and 0 <= seconds < math.inf
            ):
                return given
        raise PluginError(
            f"{self.who} gave {shown(given)} as the cost of its rewriter; a RewriterCost of numbers"
            " from 0 on, or None, is expected"
        )

    def _trajectory(self, given: Any) -> tuple[float, ...] | None:
        if given is None:
            return None
        numbers = [real(value) for value in given] if isinstance(given, tuple | list) else [None]
        known = tuple(number for number in numbers if number is not None)
        if len(known) < len(numbers):
            raise PluginError(
                f"{self.who} gave as a trajectory {shown(given)} that does not hold numbers; a"
                " tuple of them, or None, is expected"
            )
        return known


def _landed(queued: Mapping[Key, _Queued]) -> dict[Key, _Queued | Failure]:
    """The queued tensors on the CPU, after one wait for the device."""
    try:
        flat = iter(to_host([tensor for one in queued.values() for tensor in one]))
        return {key: _Queued(next(flat), next(flat), next(flat)) for key in queued}
    # As in `Expectation._queued`: a plug-in's tensor can raise any error.
    except Exception as error:  # noqa: BLE001
        if len(queued) == 1:
            return {key: failure_of(error) for key in queued}
    # One tensor cannot be copied; the others can.
    return {key: found for each in queued for key, found in _landed({each: queued[each]}).items()}
