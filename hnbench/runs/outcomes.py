"""The answers of a method, checked where they enter a run: one usable `Outcome` for each task and
label, or a `Failure` in its place.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from hnbench.errors import PluginError
from hnbench.guards.answers import is_usable, real, shown
from hnbench.methods.base import Outcome
from hnbench.runs.failures import failure_of
from hnbench.runs.record import Failure
from hnbench.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

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


Outcomes = dict[tuple[Task, str], Outcome | Failure]


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
        return {(item.task, item.label): self._checked(item) for item in given}

    def _checked(self, outcome: Outcome) -> Outcome | Failure:
        try:
            trajectory = self._trajectory(outcome.trajectory)
            return replace(
                outcome,
                image=self._image(outcome.image),
                noise=self._noise(outcome),
                share=self._share(outcome.share),
                trajectory=trajectory,
            )
        # A plug-in's tensor can raise any error when it is used.
        except Exception as error:  # noqa: BLE001
            return failure_of(error)

    def _image(self, image: Any) -> Tensor:
        wanted = f"{list(self.image_shape)} of floating-point numbers in [0, 1] is expected"
        if not is_usable(image) or not image.is_floating_point():
            raise PluginError(f"{self.who} gave as an image {shown(image)}; {wanted}")
        if tuple(image.shape) != self.image_shape:
            raise PluginError(f"{self.who} gave an image of shape {list(image.shape)}; {wanted}")
        checked: Tensor = image.detach()
        low, high = (float(value) for value in checked.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise NotFinite(f"{self.who} gave an image that has values that are not finite")
        if low < -TOLERANCE or high > 1 + TOLERANCE:
            raise PluginError(
                f"{self.who} gave an image with values from {low:.3g} to {high:.3g}; {wanted}"
            )
        return checked

    def _noise(self, outcome: Outcome) -> Tensor:
        noise: Any = outcome.noise
        shape = tuple(self.starts.shape[1:])
        wanted = f"{list(shape)} in float32 or wider is expected"
        if not is_usable(noise) or noise.dtype not in (torch.float32, torch.float64):
            raise PluginError(f"{self.who} gave as the chosen noise {shown(noise)}; {wanted}")
        if tuple(noise.shape) != shape:
            raise PluginError(
                f"{self.who} gave a chosen noise of shape {list(noise.shape)}; {wanted}"
            )
        checked: Tensor = noise.detach().cpu()
        if not math.isfinite(float(checked.double().norm())):
            raise NotFinite(f"{self.who} gave a chosen noise that has values that are not finite")
        self._refuse_swapped(checked, self.tasks.index(outcome.task))
        return checked

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

    def _share(self, given: Any) -> float:
        share = real(given)
        if share is None or not 0 <= share <= 1:
            raise PluginError(
                f"{self.who} gave {shown(given)} as the share of a task's cost; a number from 0 to"
                " 1 is expected"
            )
        return share

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
