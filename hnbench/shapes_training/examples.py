"""Endless, seeded training examples: captions, scenes and drawn images, and images that are spoilt
in one way.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from hnbench.shapes.captions import TAGS, Caption, all_captions
from hnbench.shapes.drawing import draw
from hnbench.shapes.world import COLOURS, SHAPES, SIZE, Item, Scene

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

        One object is missing, faded, of another shape, half of another shape, or has a lump on its
        outline; or, if the caption states its colour, it is of another colour or half of it; or the
        whole image is warped. These are the faults of generated images.
        """
        items = list(example.scene.items)
        index = self.choices.randrange(len(items))
        stated = any(example.caption.colours) and example.caption.colours[index]
        kind = self.choices.choice([*_FAULTS, *(_COLOUR_FAULTS if stated else ())])
        if kind == "warped":
            return warped(draw(example.scene, self.pixels), self.pixels)
        items[index : index + 1] = self._changed(kind, items[index], items)
        return draw(Scene(tuple(items)), self.pixels)

    def _changed(self, kind: str, item: Item, items: Sequence[Item]) -> list[Item]:
        """The objects in the place of one."""
        if kind == "missing":
            return []
        if kind == "faded":
            return [replace(item, opacity=self.choices.uniform(0.15, 0.5))]
        if kind == "lump":
            return [item, self._lump(item)]
        if kind in _COLOUR_FAULTS:
            other = replace(item, colour=self._other(COLOURS, [item.colour]))
            return [other] if kind == "colour" else [item, replace(other, opacity=0.5)]
        other = replace(item, shape=self._other(SHAPES, [each.shape for each in items]))
        if kind == "shape":
            return [other]
        return [replace(other, opacity=0.6), replace(item, opacity=0.6)]

    def _lump(self, item: Item) -> Item:
        """A disc of the object's colour on its edge, a third to two thirds of its size."""
        angle = self.choices.uniform(0, 2 * math.pi)
        return Item(
            "circle",
            item.colour,
            item.x + 0.9 * item.radius * math.cos(angle),
            item.y + 0.9 * item.radius * math.sin(angle),
            item.radius * self.choices.uniform(0.33, 0.67),
        )

    def _other(self, known: Sequence[str], without: Sequence[str]) -> str:
        return self.choices.choice([each for each in known if each not in without])


_FAULTS = ("missing", "faded", "shape", "blend", "lump", "warped")
_COLOUR_FAULTS = ("colour", "tint")
WARP = (1.2, 2.5)
"""The range of a warp: the root mean square of its displacement along each axis, in pixels."""
_WARP_SCALE = 5.0
"""The sigma of the Gaussian that smooths a warp, in pixels."""


def warped(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The image `[64, 64, 3]` under a smooth random displacement that bends its objects."""
    fields = ndimage.gaussian_filter(
        rng.normal(size=(2, SIZE, SIZE)), (0, _WARP_SCALE, _WARP_SCALE)
    )
    fields *= rng.uniform(*WARP) / fields.std(axis=(1, 2), keepdims=True)
    grid = np.indices((SIZE, SIZE)) + fields
    moved = [
        ndimage.map_coordinates(image[..., channel], grid, order=1, mode="nearest")
        for channel in range(3)
    ]
    return np.stack(moved, axis=-1)


def to_tensor(images: Sequence[Pixels]) -> Tensor:
    """Images as float32 `[B, 3, 64, 64]` in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
