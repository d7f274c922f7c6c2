"""The training of the cross-attention reward: to tell true captions from false ones.

The data are those of the dual encoders (`contrastive_batches`): drawn images with captions, hard
negatives, and spoilt images. Two linear side tasks on the image tower, which are dropped
afterwards, ask what is in each patch and in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from hnbench.shapes.world import COLOURS, SHAPES
from hnbench.shapes_training.contrastive_batches import Batches, Phase
from hnbench.shapes_training.contrastive_losses import push
from hnbench.shapes_training.hard_negatives import CHECKED, hard_negative_accuracy
from hnbench.shapes_training.loop import minimise
from hnbench.shapes_training.matcher import WIDTH, Matcher
from hnbench.shapes_training.questions import SCENE_WIDTH, drawn_contents, scene_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.shapes_training.contrastive_batches import Batch

PHASES = (
    Phase(2e-3, (0.5, 1.0, 1.2, 1.0, 2.0, 2.0), grouped=True, place_weight=20.0),
    Phase(1e-3, (0.5, 1.0, 1.2, 1.0, 2.0, 2.0), grouped=True, place_weight=20.0),
    Phase(1e-3, (0.7, 1.0, 1.2, 1.0, 2.0, 1.5), grouped=True, place_weight=50.0, attack=3.0),
)
"""The first phase trains the image tower alone, on the side tasks. The second teaches which
captions are true, and the third the same under attack.
"""


class SideTasks(nn.Module):
    """Linear heads on the patches and on the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, 1 + len(SHAPES) * len(COLOURS))
        self.scene = nn.Linear(WIDTH, SCENE_WIDTH)


@dataclass(frozen=True)
class Pairs:
    """P pairs of an image and a text.

    `images` `[P]` are indices of the batch's images, then the spoilt ones. `true` `[P]` says
    whether the text is true of the image. The first B pairs are those of an image and its own
    caption.
    """

    images: Tensor
    texts: Sequence[str]
    true: Tensor


def pairs_of(batch: Batch) -> Pairs:
    """Each image with its own caption, with its hard negatives and with one random false caption of
    another image, if there is one; each spoilt image with the caption of the image it was made
    from.
    """
    size = len(batch.images)
    own = torch.arange(size)
    # The image's own caption is drawn only where every other one holds too.
    chances = batch.allowed[:, :size].float().cpu()
    chances[own, own] = 1e-9
    other = torch.multinomial(chances, 1)[:, 0]
    found = [(row, row) for row in range(size)]
    found += [(row, column) for row, column in enumerate(other.tolist()) if row != column]
    found += [(row, column) for column, row in enumerate(batch.negative_owners, size)]
    found += [(size + row, owner) for row, owner in enumerate(batch.owners.tolist())]
    return Pairs(
        torch.tensor([image for image, _ in found]),
        [batch.captions[column].text for _, column in found],
        torch.arange(len(found)) < size,
    )


def matching_loss(logits: Tensor, pairs: Pairs, size: int, owners: Tensor) -> Tensor:
    """The cross-entropy of the pairs' `logits` `[P]`, true and false ones with equal weight; plus
    that of choosing each image's own caption among its texts, and the clean image over the spoilt
    one.
    """
    true = pairs.true.to(logits.device)
    told = functional.softplus(-logits[true]).mean() + functional.softplus(logits[~true]).mean()
    clean = (pairs.images < size).to(logits.device)
    images = pairs.images.to(logits.device)
    total = torch.zeros(size, device=logits.device).index_add(
        0, images[clean], (logits[clean] - logits[images[clean]]).clamp(max=30).exp()
    )
    spoilt = logits[~clean] - logits[owners.to(logits.device)]
    return told + total.log().mean() + functional.softplus(spoilt).mean()


def train(
    folder: Path, *, steps: tuple[int, ...], batch_size: int = 48, seed: int, device: str = "cpu"
) -> dict[str, float]:
    """Train the reward, with `steps` for each of `PHASES`, and save it in float16. Returns its
    accuracy on hard negatives, by kind.
    """
    torch.manual_seed(seed)
    model = Matcher().to(device)
    for index, (phase, count) in enumerate(zip(PHASES, steps, strict=True)):
        torch.manual_seed(seed + 100 * index)
        batches = Batches(batch_size, seed + 100 * index, phase)
        fit(model, batches, steps=count, matched=index > 0)
    # Rounded to float16 and back, so that the saved weights are those that are measured below.
    model.half().save(folder)
    model.float()
    return hard_negative_accuracy(model.score, per_kind=CHECKED)


def fit(model: Matcher, batches: Batches, *, steps: int, matched: bool) -> None:
    """Train the model in place, with new side tasks; without `matched`, on these alone. Its
    averaged weights remain.
    """
    model.train()
    heads = SideTasks().to(model.device)
    phase = batches.phase

    def side_loss(seen: Tensor, batch: Batch) -> Tensor:
        dense = heads.dense(seen[:, 1:]).transpose(1, 2)
        scene = scene_loss(
            heads.scene(seen[:, 0]), drawn_contents(batch.scenes), phase.place_weight
        )
        return functional.cross_entropy(dense, batch.dense.flatten(1)) + scene

    def next_loss() -> tuple[Tensor, dict[str, float]]:
        batch = batches.next().to(model.device)
        if not matched:
            side = side_loss(model.seen(batch.images), batch)
            return side, {"side": float(side.detach())}
        pairs, size = pairs_of(batch), len(batch.images)

        def loss_of(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            seen = model.seen(images)
            logits = model.match(seen[pairs.images.to(seen.device)], pairs.texts)
            return matching_loss(logits, pairs, size, batch.owners), seen, logits

        images = torch.cat([batch.images, batch.spoilt])
        if phase.attack:
            images = push(images, lambda moved: loss_of(moved)[0], phase.attack)
        loss, seen, logits = loss_of(images)
        side = side_loss(seen[:size], batch)
        right = ((logits > 0).cpu() == pairs.true).float()
        return loss + 0.5 * side, {
            "loss": float(loss.detach()),
            "side": float(side.detach()),
            "true": float(right[pairs.true].mean()),
            "false": float(right[~pairs.true].mean()),
        }

    minimise(
        model,
        next_loss,
        steps=steps,
        learning_rate=phase.learning_rate,
        others=heads.parameters(),
        decay=0.05,
    )
    model.eval()
