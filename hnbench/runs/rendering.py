"""Images of the noises that methods chose, in other steps than those of the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from hnbench.devices.transfers import to_device
from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.methods.base import placed, without_gradient
from hnbench.runs.failures import RECORDED, is_for_user
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

if TYPE_CHECKING:
    from hnbench.generators.base import Generator
    from hnbench.methods.base import Outcome
    from hnbench.runs.steps import Steps


@without_gradient()
def rendered(
    outcomes: Sequence[Outcome], generator: Generator, noises: NoiseSource, at_once: int
) -> list[Outcome]:
    """The outcomes with the images that `generator` makes of their noises and prompts, at most
    `at_once` in a pass. The noise between steps is that of the sample.
    """
    return [
        new
        for start in range(0, len(outcomes), at_once)
        for new in _rendered(outcomes[start : start + at_once], generator, noises)
    ]


def _rendered(
    outcomes: Sequence[Outcome], generator: Generator, noises: NoiseSource
) -> Iterator[Outcome]:
    tasks = [one.task for one in outcomes]
    prompts = [
        one.task.prompt if one.chosen_prompt is None else one.chosen_prompt for one in outcomes
    ]
    noise = torch.stack([placed(generator, one.noise.detach()) for one in outcomes])
    conditioning = generator.encode(prompts).seeded(noises.step_seeds(tasks))
    images = generator.generate(noise, conditioning)
    for one, image in zip(outcomes, images, strict=True):
        yield replace(one, image=image)


@without_gradient()
def refuse_equal_steps(generator: Generator, steps: Steps) -> None:
    """Raise a `UsageError` for a generator that cannot take the steps of a run's images, or makes
    the same image with those of its searches: one that has a single step.
    """
    if steps.render is None or steps.render == steps.search:
        return
    task, noises = Task("", "", 0), NoiseSource(0, generator.noise_shape)
    noise = to_device(noises.batch([task]), generator.device)
    conditioning = generator.encode([task.prompt]).seeded(noises.step_seeds([task]))
    try:
        one, other = (
            generator.generate(noise, conditioning, each) for each in (steps.search, steps.render)
        )
    except RECORDED as error:
        if is_for_user(error):
            raise
        raise UsageError(
            f"the generator {generator.name} cannot make an image in {steps.search} and in"
            f" {steps.render} steps ({first_line(error)}); leave out `render_steps`"
        ) from error
    if torch.equal(one, other):
        raise UsageError(
            f"the generator {generator.name} makes the same image in {steps.search} and in"
            f" {steps.render} steps, so it has only one; leave out `render_steps`"
        )
