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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hnbench.shapes.captions import NUMBERS, TAGS, Caption, by_text, holds
from hnbench.shapes.world import COLOURS, RELATIONS, SHAPES, SIZE, Scene
from hnbench.shapes_training import tokenizer as vocabulary
from hnbench.shapes_training.examples import Example, Examples, Pixels, to_tensor
from hnbench.shapes_training.loop import minimise
from hnbench.shapes_training.questions import (
    QUESTIONS,
    SCENE_WIDTH,
    answer_loss,
    drawn_contents,
    scene_loss,
    stated_contents,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

DIM = 96
GRID = 8
POOL = 20_000
"""Distinct groups of scenes that a reward is trained on; drawing is a third of the cost of a step
otherwise.
"""
CHECKED = 400
"""Images per kind of hard negative on the model card."""


@dataclass(frozen=True)
class Phase:
    """A part of the training.

    `weights` are the shares of the tasks; with `grouped`, captions come together with their rivals;
    `attack` is the largest Euclidean norm, in pixel values of 0..1, of the change that an adversary
    makes to an image before it is shown.
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
    Phase(7e-4, (0.7, 1.0, 1.2, 1.0, 2.0, 1.5), grouped=True, place_weight=50.0, attack=2.0),
)
"""First what there is, then what belongs to what, then where it lies, then all of it under attack.

A reward that was never attacked has gradients that raise it without making the image truer;
adversarial training turns them towards what a person sees (Santurkar et al. 1906.09453), which is
what optimising the noise by the reward needs.
"""


class TwoTowers(nn.Module):
    """What the two architectures have in common for training: image and text features, dense
    features, a logit scale.
    """

    dense_channels: int
    """Channels of the dense features."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer: PreTrainedTokenizerFast = vocabulary.build()

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids `[B, 16]`."""
        found: Tensor = self.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return found.to(self.device)

    def image(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(features `[B, D]`, dense features `[B, C, 8, 8]`) of images in [0, 1]."""
        raise NotImplementedError

    def text(self, ids: Tensor) -> Tensor:
        """Features `[B, D]`."""
        raise NotImplementedError

    def logit_scale(self) -> Tensor:
        """The learned inverse temperature."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Save as the reward loads it."""
        raise NotImplementedError


class VitEncoder(TwoTowers):
    """transformers' CLIPModel: ViT with 8x8 patches, 4 layers of width 96; text of 3 layers of
    width 64.
    """

    dense_channels = 96

    def __init__(self) -> None:
        from transformers import CLIPConfig, CLIPModel

        super().__init__()
        tower = {"num_attention_heads": 4, "projection_dim": DIM, "hidden_act": "gelu"}
        ids = {name: getattr(self.tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
        self.model = CLIPModel(
            CLIPConfig(
                vision_config={
                    **tower,
                    "hidden_size": 96,
                    "intermediate_size": 384,
                    "image_size": SIZE,
                    "patch_size": SIZE // GRID,
                    "num_hidden_layers": 4,
                },
                text_config={
                    **tower,
                    "hidden_size": 64,
                    "intermediate_size": 256,
                    **{f"{name}_token_id": value for name, value in ids.items()},
                    "vocab_size": len(self.tokenizer),
                    "max_position_embeddings": vocabulary.MAX_TOKENS,
                    "num_hidden_layers": 3,
                },
                projection_dim=DIM,
                logit_scale_init_value=3.2,
            )
        )

    def image(self, images: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model.vision_model(images * 2 - 1)
        dense = out.last_hidden_state[:, 1:].transpose(1, 2).unflatten(2, (GRID, GRID))
        return self.model.visual_projection(out.pooler_output), dense

    def text(self, ids: Tensor) -> Tensor:
        found: Tensor = self.model.text_projection(self.model.text_model(ids).pooler_output)
        return found

    def logit_scale(self) -> Tensor:
        scale: Tensor = self.model.logit_scale
        return scale

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


RESNET: dict[str, Any] = {
    "embed_dim": DIM,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 12, "image_size": 128, "head_width": 32},
    "text_cfg": {"context_length": vocabulary.MAX_TOKENS, "width": 64, "heads": 4, "layers": 3},
}
"""open_clip's model configuration of the held-out reward, without the vocabulary's size."""


class ResnetEncoder(TwoTowers):
    """open_clip's CLIP with a ModifiedResNet on images enlarged to 128x128; text of 3 layers of
    width 64.
    """

    dense_channels = 12 * 16

    def __init__(self) -> None:
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

        super().__init__()
        text = CLIPTextCfg(
            **RESNET["text_cfg"],
            vocab_size=len(self.tokenizer),
            eos_id=self.tokenizer.eos_token_id,
            pool_type="eos",
        )
        self.model = CLIP(DIM, CLIPVisionCfg(**RESNET["vision_cfg"]), text, init_logit_scale=3.2)
        self._dense: Tensor | None = None
        self.model.visual.layer3.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._dense = output

    def image(self, images: Tensor) -> tuple[Tensor, Tensor]:
        enlarged = functional.interpolate(
            images * 2 - 1, size=(128, 128), mode="bilinear", align_corners=False
        )
        features = self.model.encode_image(enlarged)
        assert self._dense is not None  # noqa: S101
        return features, self._dense

    def text(self, ids: Tensor) -> Tensor:
        found: Tensor = self.model.encode_text(ids)
        return found

    def logit_scale(self) -> Tensor:
        scale: Tensor = self.model.logit_scale
        return scale

    def save(self, folder: Path) -> None:
        import json

        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        save_file(state, folder / "open_clip_model.safetensors")
        config = {
            **RESNET,
            "text_cfg": {
                **RESNET["text_cfg"],
                "vocab_size": len(self.tokenizer),
                "eos_id": self.tokenizer.eos_token_id,
                "pool_type": "eos",
            },
        }
        (folder / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": config}, indent=2) + "\n"
        )
        self.tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    `images` `[B]` and `spoilt` `[S]`, made of the images `owners` `[S]`; `captions`: the B own
    ones, then hard negatives; `allowed[i, c]`: caption c is image i's own or false of it; `dense`:
    what lies where; `scenes`: what was drawn.
    """

    images: Tensor
    spoilt: Tensor
    owners: Tensor
    allowed: Tensor
    dense: Tensor
    captions: list[Caption]
    scenes: list[Scene]

    def to(self, device: torch.device) -> Batch:
        """The same with its tensors on another device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("images", "spoilt", "owners", "allowed", "dense")
        }
        return replace(self, **moved)


class SideTasks(nn.Module):
    """Linear heads on the towers' outputs."""

    def __init__(self, dense_channels: int) -> None:
        super().__init__()
        self.dense = nn.Conv2d(dense_channels, 1 + len(SHAPES) * len(COLOURS), 1)
        self.scene = nn.Linear(DIM, SCENE_WIDTH)
        self.answers = nn.Linear(DIM, sum(map(len, QUESTIONS.values())))


def rivals(caption: Caption) -> list[Caption]:
    """The caption, and those that differ from it in the relation, in which colour is whose, or in
    the number: what is easily confused.
    """
    if caption.relation:
        return [replace(caption, relation=relation) for relation in RELATIONS]
    if caption.tag == "counting":
        return [replace(caption, count=count) for count in NUMBERS]
    if caption.tag == "color_attr":
        return [caption, replace(caption, colours=caption.colours[::-1])]
    return [caption]


class Batches:
    """Endless contrastive batches; in a grouped phase every rival has an image of its own."""

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
        """For every caption of the world, whether it is false of the scenes of `truth`; bool
        `[2646]`.
        """
        if truth.text not in self._false:
            self._false[truth.text] = torch.tensor(
                [not holds(caption, truth) for caption in self._captions]
            )
        return self._false[truth.text]

    def next(self) -> Batch:
        """One batch. The first `POOL` groups are drawn, later ones chosen again from among
        those.
        """
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
        owners = torch.arange(0, self.size, 2)
        spoilt = [pairs[int(owner)][1] for owner in owners]
        return Batch(
            self._degraded(to_tensor([each.image for each in drawn])),
            self._degraded(to_tensor(spoilt)),
            owners,
            allowed,
            dense_labels(drawn),
            captions,
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
        """A third of the images blurred a little, and mild changes of contrast: generated images
        are never as clean as drawn ones.
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
    """For each cell of an 8x8 grid, what lies there: 0 for nothing, else 1 + shape * 8 + colour;
    int64 `[B, 8, 8]`.
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


def contrastive_loss(
    model: TwoTowers, batch: Batch, heads: SideTasks, phase: Phase
) -> tuple[Tensor, dict[str, float]]:
    """Image-to-text over captions and hard negatives, text-to-image over images and spoilt images,
    and the side tasks.

    In a grouped phase the image tower's linear head is asked of the text tower too, which makes
    both put the same thing in the same place.
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
    """(image-to-text loss, text-to-image loss, share of images whose own caption is the best) of a
    batch's features.
    """
    size = len(batch.images)
    logits = (
        model.logit_scale().exp().clamp(max=100)
        * functional.normalize(features, dim=-1)
        @ functional.normalize(words, dim=-1).T
    )
    target = torch.arange(size, device=logits.device)
    by_image = logits[:size].masked_fill(~batch.allowed, -1e4)
    own_spoilt = torch.zeros(len(batch.spoilt), size, dtype=torch.bool, device=logits.device)
    own_spoilt[torch.arange(len(batch.spoilt), device=logits.device), batch.owners] = True
    usable = own_spoilt | batch.allowed[batch.owners, :size]
    of_text = torch.cat([by_image[:, :size], logits[size:, :size].masked_fill(~usable, -1e4)]).T
    right = (by_image.argmax(1) == target).float().mean()
    return (
        functional.cross_entropy(by_image, target),
        functional.cross_entropy(of_text, target),
        right,
    )


def attacked(model: TwoTowers, batch: Batch, radius: float) -> Batch:
    """The batch with every image, spoilt ones too, moved to confuse the model.

    One step up the gradient of the matching loss from a random start, within a ball of a radius
    drawn up to `radius` for each image (the projected gradient of Madry et al. 1706.06083, with the
    random start of Wong et al. 2001.03994).
    """
    clean = torch.cat([batch.images, batch.spoilt])
    reach = radius * torch.rand(len(clean), 1, 1, 1, device=clean.device)
    change = (
        reach * torch.rand_like(reach) * _directions(torch.randn_like(clean))
    ).requires_grad_()
    with torch.no_grad():
        words = model.text(model.tokens([caption.text for caption in batch.captions]))
    features, _ = model.image(clean + change)
    to_text, to_image, _ = match_losses(model, features, words, batch)
    (gradient,) = torch.autograd.grad(to_text + to_image, change)
    moved = change.detach() + reach * _directions(gradient)
    moved = moved * (reach / _norms(moved)).clamp(max=1)
    shown, size = (clean + moved).clamp(0, 1), len(batch.images)
    return replace(batch, images=shown[:size], spoilt=shown[size:])


def _directions(values: Tensor) -> Tensor:
    return values / _norms(values)


def _norms(values: Tensor) -> Tensor:
    norms: Tensor = values.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
    return norms


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
