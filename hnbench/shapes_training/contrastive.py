"""Stage 2: the rewards, two dual encoders trained contrastively with hard negatives.

`clip` (a ViT in transformers' CLIPModel) is optimised; `resnet` (open_clip's CLIP with a
ModifiedResNet, another seed) is held out. Both learn from drawn images alone, with three kinds of
negatives: other captions of the batch (masked if they are true of the image), hard-negative
captions, and spoilt images that the caption is not wholly true of. Side tasks, which are dropped
afterwards, ask the image tower where each object is, and the text tower what the caption says.
Without them, colours and shapes are learned soon, but it takes many times longer to learn which
colour belongs to which shape, and where.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from hnbench.shapes.captions import by_text
from hnbench.shapes_training.contrastive_batches import PHASES, Batches
from hnbench.shapes_training.contrastive_losses import SideTasks, attacked, contrastive_loss
from hnbench.shapes_training.encoders import ResnetEncoder, VitEncoder
from hnbench.shapes_training.examples import Examples, to_tensor
from hnbench.shapes_training.loop import minimise

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from hnbench.shapes_training.encoders import TwoTowers

CHECKED = 400
"""Images per kind of hard negative, for the accuracies on the model card."""


def train(
    kind: str,
    folder: Path,
    *,
    steps: tuple[int, ...],
    batch_size: int = 48,
    seed: int,
    device: str = "cpu",
) -> dict[str, float]:
    """Train one reward (`"clip"` or `"resnet"`), with `steps` for each of `PHASES`, and save it in
    float16. Returns its accuracy on hard negatives, by kind.
    """
    torch.manual_seed(seed)
    model = (VitEncoder() if kind == "clip" else ResnetEncoder()).to(device)
    for index, (phase, count) in enumerate(zip(PHASES, steps, strict=True)):
        torch.manual_seed(seed + 100 * index)
        fit(model, Batches(batch_size, seed + 100 * index, phase), steps=count)
    # Rounded to float16 and back, so that the saved weights are those that are measured below.
    model.half().save(folder)
    model.float()
    return hard_negative_accuracy(model, per_kind=CHECKED)


def fit(model: TwoTowers, batches: Batches, *, steps: int) -> None:
    """Train the model in place, with new side tasks. Its averaged weights remain."""
    model.train()
    heads = SideTasks(model.dense_channels).to(model.device)

    def next_loss() -> tuple[Tensor, dict[str, float]]:
        batch = batches.next().to(model.device)
        if batches.phase.attack:
            batch = attacked(model, batch, batches.phase.attack)
        return contrastive_loss(model, batch, heads, batches.phase)

    minimise(
        model,
        next_loss,
        steps=steps,
        learning_rate=batches.phase.learning_rate,
        others=heads.parameters(),
        decay=0.05,
    )
    model.eval()


@torch.no_grad()
def hard_negative_accuracy(
    model: TwoTowers, *, per_kind: int, seed: int = 10_001
) -> dict[str, float]:
    """Kind of difference -> the share of newly drawn images whose own caption scores above a hard
    negative of that kind.

    `spoilt` is the share of images that score above their spoilt version.
    """
    examples, choices = Examples(seed), random.Random(seed)
    wanted = (
        "swapped_colours",
        "swapped_position",
        "turned_position",
        "count",
        "colour",
        "shape",
        "spoilt",
    )
    wins: dict[str, list[bool]] = {kind: [] for kind in wanted}
    captions = list(by_text())
    features = functional.normalize(
        torch.cat(
            [model.text(model.tokens(captions[i : i + 256])) for i in range(0, len(captions), 256)]
        ),
        dim=-1,
    )
    known = dict(zip(captions, features, strict=True))
    while min(len(found) for found in wins.values()) < per_kind:
        drawn = [examples.example() for _ in range(128)]
        images, _ = model.image(to_tensor([each.image for each in drawn]).to(model.device))
        spoilt, _ = model.image(
            to_tensor([examples.spoilt(each) for each in drawn]).to(model.device)
        )
        images, spoilt = functional.normalize(images, dim=-1), functional.normalize(spoilt, dim=-1)
        for row, example in enumerate(drawn):
            own = known[example.caption.text]
            for kind, negative in example.caption.hard_negatives(choices).items():
                wins[kind].append(bool(images[row] @ own > images[row] @ known[negative.text]))
            wins["spoilt"].append(bool(images[row] @ own > spoilt[row] @ own))
    return {kind: sum(found) / len(found) for kind, found in wins.items()}
