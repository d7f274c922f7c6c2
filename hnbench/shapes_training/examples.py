"""Endless, seeded training examples: captions, scenes and drawn images, and images that are spoilt
in one way.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from hnbench.shapes.captions import TAGS, Caption, all_captions
from hnbench.shapes.drawing import draw
from hnbench.shapes.world import COLOURS, SHAPES, Item, Scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """A caption, a scene that it is true of, and the drawn image `[64, 64, 3]` uint8."""

    caption: Caption
    scene: Scene
    image: Pixels


class Examples:
    """Draws examples. `weights` gives the share of each task (equal shares by default)."""

    def __init__(self, seed: int, weights: Mapping[str, float] | None = None) -> None:
        self.pixels = np.random.default_rng(seed)
        self.choices = random.Random(seed)
        self.weights = [1.0 if weights is None else weights[tag] for tag in TAGS]

    def caption(self) -> Caption:
        """One caption: first a task, then any of its captions."""
        tag = self.choices.choices(TAGS, self.weights)[0]
        return self.choices.choice(all_captions(tag))

    def example(self, caption: Caption | None = None) -> Example:
        """A random scene of the caption (of a random caption, if none is given) and its image."""
        caption = caption or self.caption()
        scene = caption.scene(self.pixels)
        return Example(caption, scene, draw(scene, self.pixels))

    def spoilt(self, example: Example) -> Pixels:
        """A similar image that the example's caption is not wholly true of.

        One object is missing, faded, of another shape, half of another shape, or, if the caption
        states its colour, of another colour.
        """
        items = list(example.scene.items)
        index = self.choices.randrange(len(items))
        item = items[index]
        kinds = ["missing", "faded", "shape", "blend"]
        if any(example.caption.colours) and example.caption.colours[index]:
            kinds.append("colour")
        kind = self.choices.choice(kinds)
        other = self.choices.choice(
            [shape for shape in SHAPES if all(shape != each.shape for each in items)]
        )
        if kind == "missing":
            del items[index]
        elif kind == "faded":
            items[index] = replace(item, opacity=self.choices.uniform(0.15, 0.5))
        elif kind == "shape":
            items[index] = replace(item, shape=other)
        elif kind == "blend":
            items[index] = replace(item, opacity=0.6)
            items.insert(index, Item(other, item.colour, item.x, item.y, item.radius, 0.6))
        else:
            items[index] = replace(
                item,
                colour=self.choices.choice([colour for colour in COLOURS if colour != item.colour]),
            )
        return draw(Scene(tuple(items)), self.pixels)


def to_tensor(images: Sequence[Pixels]) -> Tensor:
    """Images as float32 `[B, 3, 64, 64]` in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
