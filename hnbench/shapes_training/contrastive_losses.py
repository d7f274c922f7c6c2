"""The losses of the dual encoders: contrastive losses, side tasks, and the attack that makes the
rewards harder to fool.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from hnbench.shapes.world import COLOURS, SHAPES
from hnbench.shapes_training.encoders import DIM
from hnbench.shapes_training.questions import (
    QUESTIONS,
    SCENE_WIDTH,
    answer_loss,
    drawn_contents,
    scene_loss,
    stated_contents,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hnbench.shapes_training.contrastive_batches import Batch, Phase
    from hnbench.shapes_training.encoders import TwoTowers


class SideTasks(nn.Module):
    """Linear heads on the towers' outputs, one for each kind of side task."""

    def __init__(self, dense_channels: int) -> None:
        super().__init__()
        self.dense = nn.Conv2d(dense_channels, 1 + len(SHAPES) * len(COLOURS), 1)
        self.scene = nn.Linear(DIM, SCENE_WIDTH)
        self.answers = nn.Linear(DIM, sum(map(len, QUESTIONS.values())))


def contrastive_loss(
    model: TwoTowers, batch: Batch, heads: SideTasks, phase: Phase
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its parts for the log: image-to-text over captions and hard
    negatives, text-to-image over images and spoilt images, and the side tasks.

    In a grouped phase, the image tower's linear head is also applied to the text tower. So both
    towers learn to represent the same fact in the same way.
    """
    features, dense = model.image(torch.cat([batch.images, batch.spoilt]))
    words = model.text(model.tokens([caption.text for caption in batch.captions]))
    size = len(batch.images)
    lies = functional.cross_entropy(heads.dense(dense[:size]), batch.dense)
    side = (
        lies
        + scene_loss(heads.scene(features[:size]), drawn_contents(batch.scenes), phase.place_weight)
        + answer_loss(heads.answers(words), batch.captions)
    )
    if phase.grouped:
        side = side + scene_loss(
            heads.scene(words), stated_contents(batch.captions), phase.place_weight
        )
    to_text, to_image, right = match_losses(model, features, words, batch)
    return to_text + to_image + 0.5 * side, {
        "i2t": float(to_text.detach()),
        "t2i": float(to_image.detach()),
        "side": float(side.detach()),
        "right": float(right),
    }


def match_losses(
    model: TwoTowers, features: Tensor, words: Tensor, batch: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """The image-to-text loss, the text-to-image loss, and the share of images whose own caption
    scores best.

    `features` `[B + S, D]` are those of the images and the spoilt images, `words` `[captions, D]`
    those of the captions.
    """
    size = len(batch.images)
    logits = (
        # The limit of 100 is that of CLIP.
        model.logit_scale().exp().clamp(max=100)
        * functional.normalize(features, dim=-1)
        @ functional.normalize(words, dim=-1).T
    )
    target = torch.arange(size, device=logits.device)
    by_image = logits[:size].masked_fill(~batch.allowed, -1e4)
    own_spoilt = torch.zeros(len(batch.spoilt), size, dtype=torch.bool, device=logits.device)
    own_spoilt[torch.arange(len(batch.spoilt), device=logits.device), batch.owners] = True
    # A spoilt image is a negative for its own caption, and for captions that are false of the
    # image it was made from.
    usable = own_spoilt | batch.allowed[batch.owners, :size]
    of_text = torch.cat([by_image[:, :size], logits[size:, :size].masked_fill(~usable, -1e4)]).T
    right = (by_image.argmax(1) == target).float().mean()
    return (
        functional.cross_entropy(by_image, target),
        functional.cross_entropy(of_text, target),
        right,
    )


def attacked(model: TwoTowers, batch: Batch, radius: float) -> Batch:
    """The batch with every image (also the spoilt ones) changed by `push` to confuse the model."""
    with torch.no_grad():
        words = model.text(model.tokens([caption.text for caption in batch.captions]))

    def loss_of(images: Tensor) -> Tensor:
        features, _ = model.image(images)
        to_text, to_image, _ = match_losses(model, features, words, batch)
        return to_text + to_image

    shown = push(torch.cat([batch.images, batch.spoilt]), loss_of, radius)
    size = len(batch.images)
    return replace(batch, images=shown[:size], spoilt=shown[size:])


def push(images: Tensor, loss_of: Callable[[Tensor], Tensor], radius: float) -> Tensor:
    """Images `[B, 3, H, W]` in [0, 1], each moved to raise a loss.

    It is one step up the gradient of the loss from a random start, within a ball whose radius is
    drawn up to `radius` (Euclidean norm, pixels in [0, 1]) for each image: the projected gradient
    of Madry et al. (arXiv 1706.06083) with the random start of Wong et al. (arXiv 2001.03994).
    """
    reach = radius * torch.rand(len(images), 1, 1, 1, device=images.device)
    change = (
        reach * torch.rand_like(reach) * _directions(torch.randn_like(images))
    ).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(images + change), change)
    moved = change.detach() + reach * _directions(gradient)
    moved = moved * (reach / _norms(moved)).clamp(max=1)
    return (images + moved).clamp(0, 1)


def _directions(values: Tensor) -> Tensor:
    return values / _norms(values)


def _norms(values: Tensor) -> Tensor:
    norms: Tensor = values.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
    return norms
