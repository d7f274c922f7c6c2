"""The models and tasks of the benchmarks on the shapes world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.catalogue.presets import preset_of
from hnbench.rewards.base import Mixture
from hnbench.shapes.models import load_clip, load_generator
from hnbench.tasks import Task

if TYPE_CHECKING:
    from hnbench.generators.stable_diffusion import StableDiffusionGenerator

REWARD = "shapes-clip"
WEIGHT = preset_of("shapes").optimised[REWARD]
PROMPTS = (
    "a photo of a red circle",
    "a photo of a circle and a square",
    "a photo of three stars",
    "a photo of a square left of a triangle",
    "a photo of a blue star and a green circle",
)


def load(device: str) -> tuple[StableDiffusionGenerator, Mixture]:
    """The generator and the optimised reward, in float32."""
    generator = load_generator(device=device, dtype="float32")
    reward = load_clip(device=device, dtype="float32")
    return generator, Mixture({REWARD: (reward, WEIGHT)})


def tasks(count: int) -> list[Task]:
    """Tasks whose prompts repeat after five; each has a noise of its own."""
    prompts = [PROMPTS[place % len(PROMPTS)] for place in range(count)]
    return [Task(prompt, prompt, place) for place, prompt in enumerate(prompts)]
