"""Side tasks for text and image towers: questions with a few possible answers about the content of
a caption or a scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from hnbench.shapes.world import COLOURS, RELATIONS, SHAPES, SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.shapes.captions import Caption
    from hnbench.shapes.world import Scene

QUESTIONS: dict[str, tuple[str | int | None, ...]] = {
    "count": (1, 2, 3, 4),
    "relation": (None, *RELATIONS),
    **{f"shape {index}": (None, *SHAPES) for index in range(2)},
    **{f"colour {index}": (None, *COLOURS) for index in range(2)},
}
"""Question about a caption -> the possible answers."""


def answers(caption: Caption) -> list[int]:
    """The index of the right answer to each of `QUESTIONS`."""
    found: dict[str, str | int | None] = {"count": caption.count, "relation": caption.relation}
    found |= {f"shape {index}": shape for index, shape in enumerate(caption.shapes)}
    found |= {f"colour {index}": colour for index, colour in enumerate(caption.colours)}
    return [choices.index(found.get(question)) for question, choices in QUESTIONS.items()]


def answer_loss(logits: Tensor, captions: Sequence[Caption]) -> Tensor:
    """The cross-entropy of `logits` `[B, total number of answers]`, summed over the questions."""
    parts = torch.split(logits, [len(choices) for choices in QUESTIONS.values()], dim=1)
    right = torch.tensor([answers(caption) for caption in captions], device=logits.device).unbind(1)
    return torch.stack(
        [functional.cross_entropy(*pair) for pair in zip(parts, right, strict=True)]
    ).sum()


SCENE_WIDTH = len(SHAPES) * (1 + len(COLOURS) + 2 + 4)
"""The number of outputs for `scene_loss`: for each shape, whether it is there, its colour, its mean
place and its number.
"""
UNKNOWN = -100
"""Marks an unknown colour or number."""
TYPICAL = 0.2
"""The assumed distance from the middle of an object in a stated relation, as a share of the image's
size.
"""
OFFSETS = {
    "left of": (-TYPICAL, 0.0),
    "right of": (TYPICAL, 0.0),
    "above": (0.0, -TYPICAL),
    "below": (0.0, TYPICAL),
}


@dataclass(frozen=True)
class Contents:
    """The content of B scenes, shape by shape.

    `there` `[B, 7]` is 1 for a shape that is in the scene. `colours` and `numbers` `[B, 7]` are
    indices, or UNKNOWN. `places` `[B, 7, 2]` are offsets from the middle as shares of the image's
    size, or NaN if they are unknown.
    """

    there: Tensor
    colours: Tensor
    numbers: Tensor
    places: Tensor

    def to(self, device: torch.device) -> Contents:
        """The same contents on another device."""
        return Contents(
            self.there.to(device),
            self.colours.to(device),
            self.numbers.to(device),
            self.places.to(device),
        )

    @staticmethod
    def empty(size: int) -> Contents:
        """Scenes without objects, and with everything else unknown."""
        unknown = torch.full((size, len(SHAPES)), UNKNOWN)
        return Contents(
            torch.zeros(size, len(SHAPES)),
            unknown,
            unknown.clone(),
            torch.full((size, len(SHAPES), 2), torch.nan),
        )


def drawn_contents(scenes: Sequence[Scene]) -> Contents:
    """The contents of drawn scenes, of which everything is known."""
    found = Contents.empty(len(scenes))
    for row, scene in enumerate(scenes):
        for shape in {item.shape for item in scene.items}:
            column, items = (
                SHAPES.index(shape),
                [item for item in scene.items if item.shape == shape],
            )
            found.there[row, column] = 1
            found.colours[row, column] = COLOURS.index(items[0].colour)
            found.numbers[row, column] = len(items) - 1
            middle = torch.tensor([[item.x, item.y] for item in items]).mean(0)
            found.places[row, column] = middle / SIZE - 0.5
    return found


def stated_contents(captions: Sequence[Caption]) -> Contents:
    """The contents that captions state: the shapes and their number, stated colours, and typical
    places for stated relations.
    """
    found = Contents.empty(len(captions))
    for row, caption in enumerate(captions):
        for index, shape in enumerate(caption.shapes):
            column = SHAPES.index(shape)
            found.there[row, column] = 1
            found.numbers[row, column] = caption.count - 1
            if caption.colours and caption.colours[index]:
                found.colours[row, column] = COLOURS.index(str(caption.colours[index]))
            if caption.relation:
                found.places[row, column] = torch.tensor(OFFSETS[caption.relation]) * (
                    1 if index == 0 else -1
                )
    return found


def scene_loss(outputs: Tensor, contents: Contents, place_weight: float) -> Tensor:
    """The loss of `outputs` `[B, SCENE_WIDTH]` against the known contents, summed over the kinds of
    questions.
    """
    present, colour, place, number = (
        part.reshape(len(outputs), len(SHAPES), -1)
        for part in torch.split(
            outputs, [len(SHAPES) * width for width in (1, len(COLOURS), 2, 4)], dim=1
        )
    )
    contents = contents.to(outputs.device)
    placed = ~contents.places.isnan()
    distance = functional.mse_loss(
        place[placed], contents.places[placed], reduction="sum"
    ) / placed.sum().clamp(min=1)
    return (
        4 * functional.binary_cross_entropy_with_logits(present[..., 0], contents.there)
        + _told(colour, contents.colours)
        + _told(number, contents.numbers)
        + place_weight * distance
    )


def _told(logits: Tensor, right: Tensor) -> Tensor:
    """The mean cross-entropy over known answers; 0 if none is known."""
    total = functional.cross_entropy(
        logits.flatten(0, 1), right.flatten(), ignore_index=UNKNOWN, reduction="sum"
    )
    return total / (right != UNKNOWN).sum().clamp(min=1)
