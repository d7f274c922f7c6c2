"""Stage 2: the rewards, two dual encoders trained contrastively with hard negatives.

`clip` (a ViT with transformers' CLIPModel) is optimised; `resnet` (open_clip's CLIP with a
ModifiedResNet, another seed) is held out. Both learn from drawn images alone: in-batch negatives
(captions that happen to hold of another image are masked), hard-negative captions, and spoilt
images that the caption is not wholly true of. Side tasks, dropped afterwards, ask the image tower
what lies where and the text tower what a caption says; without them colours and shapes are learned
soon, but which colour belongs to which shape, and where, takes many times longer.
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
"""Images per kind of hard negative on the model card."""


def train(
    kind: str,
    folder: Path,
    *,
    steps: tuple[int, ...],
    batch_size: int = 48,
    seed: int,
    device: str = "cpu",
) -> dict[str, float]:
    """Train one reward (`"clip"` or `"resnet"`), `steps` in each of `PHASES`, save it in float16;
    its accuracy on hard negatives.
    """
    torch.manual_seed(seed)
    model = (VitEncoder() if kind == "clip" else ResnetEncoder()).to(device)
    for index, (phase, count) in enumerate(zip(PHASES, steps, strict=True)):
        torch.manual_seed(seed + 100 * index)
        fit(model, Batches(batch_size, seed + 100 * index, phase), steps=count)
    model.half().save(folder)
    model.float()
    return hard_negative_accuracy(model, per_kind=CHECKED)


def fit(model: TwoTowers, batches: Batches, *, steps: int) -> None:
    """Train in place, with side tasks of its own; the averaged weights remain."""
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
    """Share of fresh drawn images whose own caption scores above a hard negative, by kind of
    difference.

    `spoilt`: the share that scores above its spoilt self.
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
