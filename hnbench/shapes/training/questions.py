"""What a caption says and what a scene holds, as questions with a few possible answers: side tasks for text and image towers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from hnbench.shapes.world import COLOURS, RELATIONS, SHAPES, SIZE, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.shapes.captions import Caption

QUESTIONS: dict[str, tuple[str | int | None, ...]] = {
    "count": (1, 2, 3, 4),
    "relation": (None, *RELATIONS),
    **{f"shape {index}": (None, *SHAPES) for index in range(2)},
    **{f"colour {index}": (None, *COLOURS) for index in range(2)},
}
"""What a caption can be asked, and the possible answers."""


def answers(caption: Caption) -> list[int]:
    """The index of the right answer to each of `QUESTIONS`."""
    found: dict[str, str | int | None] = {"count": caption.count, "relation": caption.relation}
    found |= {f"shape {index}": shape for index, shape in enumerate(caption.shapes)}
    found |= {f"colour {index}": colour for index, colour in enumerate(caption.colours)}
    return [choices.index(found.get(question)) for question, choices in QUESTIONS.items()]


def answer_loss(logits: Tensor, captions: Sequence[Caption]) -> Tensor:
    """Cross-entropy, summed over the questions, of `logits` `[B, total number of answers]`."""
    parts = torch.split(logits, [len(choices) for choices in QUESTIONS.values()], dim=1)
    right = torch.tensor([answers(caption) for caption in captions]).unbind(1)
    return torch.stack([functional.cross_entropy(*pair) for pair in zip(parts, right, strict=True)]).sum()


SCENE_WIDTH = len(SHAPES) * (1 + len(COLOURS) + 2 + 4)
"""Outputs that `scene_loss` needs: for each shape whether it is there, its colour, its mean place and its number."""


def scene_loss(outputs: Tensor, scenes: Sequence[Scene]) -> Tensor:
    """How well `outputs` `[B, SCENE_WIDTH]` tell what a scene holds, summed over the kinds of question."""
    present, colour, place, number = (
        part.unflatten(1, (len(SHAPES), -1))
        for part in torch.split(outputs, [len(SHAPES) * width for width in (1, len(COLOURS), 2, 4)], dim=1)
    )
    there = torch.zeros(len(scenes), len(SHAPES))
    colours, numbers = torch.zeros(2, len(scenes), len(SHAPES), dtype=torch.long)
    places = torch.zeros(len(scenes), len(SHAPES), 2)
    for row, scene in enumerate(scenes):
        for item in scene.items:
            column = SHAPES.index(item.shape)
            numbers[row, column] += int(there[row, column])
            there[row, column] = 1
            colours[row, column] = COLOURS.index(item.colour)
            places[row, column] += torch.tensor([item.x, item.y]) / SIZE - 0.5
    chosen = there.bool()
    places = places[chosen] / (numbers[chosen] + 1)[:, None]
    return (
        4 * functional.binary_cross_entropy_with_logits(present[..., 0], there)
        + functional.cross_entropy(colour[chosen], colours[chosen])
        + functional.cross_entropy(number[chosen], numbers[chosen])
        + 20 * functional.mse_loss(place[chosen], places)
    )
