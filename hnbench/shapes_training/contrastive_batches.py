"""The training batches of the dual encoders: drawn images with captions, hard negatives, and spoilt
images that the caption is not wholly true of.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hnbench.shapes.captions import NUMBERS, TAGS, Caption, by_text, holds
from hnbench.shapes.world import COLOURS, RELATIONS, SHAPES, SIZE, Scene
from hnbench.shapes_training.encoders import GRID
from hnbench.shapes_training.examples import Example, Examples, Pixels, to_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

POOL = 10_000
"""The number of distinct groups of scenes that a reward is trained on. Without a limit, drawing
would be a third of the cost of a step.
"""


@dataclass(frozen=True)
class Phase:
    """A phase of the training.

    `weights` are the shares of the tasks. With `grouped`, captions come together with their rivals.
    `place_weight` is that of `scene_loss`. `attack` is the largest Euclidean norm, in pixel values
    of 0..1, of an adversary's change of an image.
    """

    learning_rate: float
    weights: tuple[float, ...]
    grouped: bool
    place_weight: float
    attack: float = 0.0


PHASES = (
    Phase(1.5e-3, (0.5, 1.0, 1.2, 1.0, 2.0, 2.0), grouped=False, place_weight=20.0),
    Phase(1e-3, (0.5, 1.0, 1.2, 1.0, 2.0, 2.0), grouped=True, place_weight=20.0),
    Phase(1e-3, (0.5, 1.0, 0.6, 1.0, 3.0, 1.0), grouped=True, place_weight=100.0),
    Phase(7e-4, (0.7, 1.0, 1.2, 1.0, 2.0, 1.5), grouped=True, place_weight=50.0, attack=3.0),
)
"""The phases teach which objects there are, then which colour belongs to which shape, then where
objects are, then all of this under attack.

Without attacks in training, the gradients of a reward raise it without making the image truer.
Adversarial training turns them towards what a person sees (Santurkar et al., arXiv 1906.09453),
which optimising the noise by the reward needs.
"""


@dataclass(frozen=True)
class Batch:
    """The data of one step: B images and S spoilt ones.

    `images` are `[B, 3, 64, 64]`, `spoilt` are `[S, 3, 64, 64]`, each made from the image with the
    index in `owners` `[S]`. `captions` are the B own ones, then the hard negatives. `allowed` `[B,
    captions]` says whether a caption is the image's own or false of it. `negative_owners` are the
    indices of the images that the hard negatives belong to. `dense` are `dense_labels`, and
    `scenes` the drawn scenes.
    """

    images: Tensor
    spoilt: Tensor
    owners: Tensor
    allowed: Tensor
    dense: Tensor
    captions: list[Caption]
    negative_owners: list[int]
    scenes: list[Scene]

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on another device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("images", "spoilt", "owners", "allowed", "dense")
        }
        return replace(self, **moved)


def rivals(caption: Caption) -> list[Caption]:
    """The caption and those that are easily confused with it: they differ in the relation, in the
    order of the colours, or in the number.
    """
    if caption.relation:
        return [replace(caption, relation=relation) for relation in RELATIONS]
    if caption.tag == "counting":
        return [replace(caption, count=count) for count in NUMBERS]
    if caption.tag == "color_attr":
        return [caption, replace(caption, colours=caption.colours[::-1])]
    return [caption]


class Batches:
    """Endless contrastive batches. In a grouped phase, every rival also has an image."""

    def __init__(self, size: int, seed: int, phase: Phase) -> None:
        self.size, self.phase, self.examples = (
            size,
            phase,
            Examples(seed, dict(zip(TAGS, phase.weights, strict=True))),
        )
        self.choices = random.Random(seed + 1)
        self.pixels = np.random.default_rng(seed + 2)
        self._pool: list[list[tuple[Example, Pixels]]] = []
        self._captions = list(by_text().values())
        self._index = {caption.text: index for index, caption in enumerate(self._captions)}
        self._false: dict[str, Tensor] = {}

    def _false_of(self, truth: Caption) -> Tensor:
        """Whether each caption of the world is false of the scenes of `truth`; bool `[2646]`."""
        if truth.text not in self._false:
            self._false[truth.text] = torch.tensor(
                [not holds(caption, truth) for caption in self._captions]
            )
        return self._false[truth.text]

    def next(self) -> Batch:
        """One batch. The first `POOL` groups are drawn; later ones are chosen from these."""
        pairs: list[tuple[Example, Pixels]] = []
        while len(pairs) < self.size:
            pairs += self._group()
        pairs = pairs[: self.size]
        drawn = [example for example, _ in pairs]
        negatives = [list(each.caption.hard_negatives(self.choices).values()) for each in drawn]
        captions = [each.caption for each in drawn] + [
            caption for found in negatives for caption in found
        ]
        columns = torch.tensor([self._index[caption.text] for caption in captions])
        allowed = torch.stack([self._false_of(each.caption)[columns] for each in drawn])
        allowed[torch.arange(self.size), torch.arange(self.size)] = True
        # Every second image also has a spoilt version.
        owners = torch.arange(0, self.size, 2)
        spoilt = [pairs[int(owner)][1] for owner in owners]
        return Batch(
            self._degraded(to_tensor([each.image for each in drawn])),
            self._degraded(to_tensor(spoilt)),
            owners,
            allowed,
            dense_labels(drawn),
            captions,
            [row for row, found in enumerate(negatives) for _ in found],
            [each.scene for each in drawn],
        )

    def _group(self) -> list[tuple[Example, Pixels]]:
        if len(self._pool) == POOL:
            return self.choices.choice(self._pool)
        caption = self.examples.caption()
        drawn = [
            self.examples.example(each)
            for each in (rivals(caption) if self.phase.grouped else [caption])
        ]
        self._pool.append([(example, self.examples.spoilt(example)) for example in drawn])
        return self._pool[-1]

    def _degraded(self, images: Tensor) -> Tensor:
        """The images with mild changes of contrast and noise, and about a third of them slightly
        blurred, because generated images are never as clean as drawn ones.
        """
        blurred = images
        if self.choices.random() < 0.5:
            sigma = self.choices.uniform(0.4, 1.1)
            offsets = torch.arange(-2, 3, dtype=torch.float32)
            kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), 0)
            weight = (kernel[:, None] * kernel[None, :]).expand(3, 1, 5, 5)
            chosen = torch.from_numpy(self.pixels.random(len(images)) < 0.6)[:, None, None, None]
            padded = functional.pad(images, (2, 2, 2, 2), mode="replicate")
            blurred = torch.where(chosen, functional.conv2d(padded, weight, groups=3), images)
        gain = torch.from_numpy(
            self.pixels.uniform(0.9, 1.05, (len(images), 1, 1, 1)).astype(np.float32)
        )
        noise = torch.from_numpy(
            self.pixels.normal(0, self.choices.uniform(0, 0.02), images.shape).astype(np.float32)
        )
        return (blurred * gain + noise).clamp(0, 1)


def dense_labels(drawn: Sequence[Example]) -> Tensor:
    """The object in each cell of an 8x8 grid, int64 `[B, 8, 8]`: 0 for none, else 1 + shape * 8 +
    colour.
    """
    centres = (np.arange(GRID) + 0.5) * SIZE / GRID
    labels = np.zeros((len(drawn), GRID, GRID), np.int64)
    for row, example in enumerate(drawn):
        for item in example.scene.items:
            near = np.hypot(centres[None, :] - item.x, centres[:, None] - item.y) < item.radius
            labels[row][near] = (
                1 + SHAPES.index(item.shape) * len(COLOURS) + COLOURS.index(item.colour)
            )
    return torch.from_numpy(labels)
