"""The dual encoders among the rewards, trained contrastively with hard negatives.

`clip` (a ViT in transformers' CLIPModel), `resnet` (open_clip's CLIP with a ModifiedResNet) and
`byobnet` (the same with a ByobNet) are optimised; `efficientnet` is held out. They have different
seeds. All learn from drawn images alone, with three kinds of negatives: other captions of the batch
(masked if they are true of the image), hard-negative captions, and spoilt images that the caption
is not wholly true of. Side tasks, which are dropped afterwards, ask the image tower where each
object is, and the text tower what the caption says. Without them, colours and shapes are learned
soon, but it takes many times longer to learn which colour belongs to which shape, and where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from hnbench.shapes_training.contrastive_batches import PHASES, Batches
from hnbench.shapes_training.contrastive_losses import SideTasks, attacked, contrastive_loss
from hnbench.shapes_training.encoders import (
    BYOBNET,
    EFFICIENTNET,
    RESNET,
    OpenClipEncoder,
    VitEncoder,
)
from hnbench.shapes_training.hard_negatives import CHECKED, hard_negative_accuracy
from hnbench.shapes_training.loop import minimise

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from hnbench.shapes_training.encoders import TwoTowers


ENCODERS: dict[str, Callable[[], TwoTowers]] = {
    "clip": VitEncoder,
    "byobnet": lambda: OpenClipEncoder(BYOBNET),
    "efficientnet": lambda: OpenClipEncoder(EFFICIENTNET),
    "resnet": lambda: OpenClipEncoder(RESNET),
}


def train(
    kind: str,
    folder: Path,
    *,
    steps: tuple[int, ...],
    attacks: tuple[float, ...],
    batch_size: int = 48,
    seed: int,
    device: str = "cpu",
) -> dict[str, float]:
    """Train one of `ENCODERS` and save it in float16. Returns its accuracy on hard negatives, by
    kind.

    There are `steps` for each of `PHASES`; the last phase is repeated for each of `attacks`, the
    largest norms of the adversary's changes.
    """
    torch.manual_seed(seed)
    model = ENCODERS[kind]().to(device)
    phases = (*PHASES[:-1], *(replace(PHASES[-1], attack=radius) for radius in attacks))
    for index, (phase, count) in enumerate(zip(phases, steps, strict=True)):
        torch.manual_seed(seed + 100 * index)
        fit(model, Batches(batch_size, seed + 100 * index, phase), steps=count)
    # Rounded to float16 and back, so that the saved weights are those that are measured below.
    model.half().save(folder)
    model.float()
    return hard_negative_accuracy(model.score, per_kind=CHECKED)


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
