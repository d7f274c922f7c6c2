"""GenEval's colour classifier: which of ten colour words CLIP finds nearest to a cut-out object.

The published evaluation uses OpenAI's ViT-L/14, whose activation is QuickGELU. open_clip from
2.29.0 on builds `ViT-L-14` with plain GELU and only warns; such a model gives other colours, so the
activation is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch.nn import functional

from hnbench.files.hashing import sha256_of_file
from hnbench.suites.geneval.rules import COLOURS
from hnbench.weights.hub import Source, download
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from open_clip import CLIP
    from torch import Tensor

    from hnbench.suites.geneval.detector import Instance

TEMPLATES = (
    "a photo of a {colour} {name}",
    "a photo of a {colour}-colored {name}",
    "a photo of a {colour} object",
)
BACKGROUND = "#999"
"""The grey that replaces all pixels outside of the object's mask."""
ARCHITECTURE = "ViT-L-14-quickgelu"
WEIGHTS = Source(
    "timm/vit_large_patch14_clip_224.openai", needs=((("open_clip_model.safetensors",),),)
)
"""OpenAI's ViT-L/14, with open_clip's names of tensors."""
BATCH = 64
"""Cut-outs in one pass."""


@dataclass(frozen=True)
class CutOut:
    """One detection of an image, and the name of its class."""

    image: Image.Image
    name: str
    instance: Instance

    def picture(self) -> Image.Image:
        """The image inside of the box, with the pixels outside of the mask grey."""
        image = rgb(self.image)
        blank = Image.new("RGB", image.size, BACKGROUND)
        return Image.composite(image, blank, Image.fromarray(self.instance.mask)).crop(
            self.instance.box
        )


class ColourClassifier:
    """A classifier of colours: CLIP, applied to colour words. `tokenize` turns n texts into ids
    `[n, length]`, `transform` a picture into `[3, size, size]`.
    """

    def __init__(
        self,
        model: CLIP,
        tokenize: Callable[[list[str]], Tensor],
        transform: Callable[[Image.Image], Tensor],
        *,
        fingerprint: str,
        device: str = "cpu",
    ) -> None:
        _require_quick_gelu(model)
        self.fingerprint = fingerprint
        self._model = model.to(device).requires_grad_(False).eval()
        self._tokenize, self._transform, self._device = tokenize, transform, torch.device(device)
        self._words: dict[str, Tensor] = {}

    @torch.no_grad()
    def classify(self, cut_outs: Sequence[CutOut]) -> list[str]:
        """The colour of each cut-out, in order. On a GPU the network runs in float16 autocast, as
        in the published evaluation.
        """
        found: list[str] = []
        for start in range(0, len(cut_outs), BATCH):
            chunk = cut_outs[start : start + BATCH]
            pictures = torch.stack([self._transform(item.picture()) for item in chunk]).to(
                self._device
            )
            with self._autocast():
                features = functional.normalize(self._model.encode_image(pictures), dim=-1).float()
            words = torch.stack([self._classifier(item.name) for item in chunk])
            nearest = (words @ features[:, :, None])[:, :, 0].argmax(1)
            found += [COLOURS[index] for index in nearest.tolist()]
        return found

    def _classifier(self, name: str) -> Tensor:
        """One unit vector for each colour of a class, `[10, width]`: the normalised mean of the
        templates' normalised embeddings.
        """
        if name not in self._words:
            texts = [
                template.format(colour=colour, name=name)
                for colour in COLOURS
                for template in TEMPLATES
            ]
            with self._autocast():
                features = functional.normalize(
                    self._model.encode_text(self._tokenize(texts).to(self._device)), dim=-1
                ).float()
            means = features.reshape(len(COLOURS), len(TEMPLATES), -1).mean(1)
            self._words[name] = functional.normalize(means, dim=-1)
        return self._words[name]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")


def _require_quick_gelu(model: CLIP) -> None:
    from open_clip.transformer import QuickGELU

    blocks = [*model.visual.transformer.resblocks, *model.transformer.resblocks]
    if not all(isinstance(block.mlp.gelu, QuickGELU) for block in blocks):
        raise ValueError(
            "GenEval's colour classifier must be a CLIP with QuickGELU, and this one has another"
            " activation"
        )


def load_colour_classifier(device: str) -> ColourClassifier:
    """The published classifier, downloaded on first use."""
    import open_clip
    from open_clip.transform import image_transform

    path = download(WEIGHTS) / WEIGHTS.files[0]
    model = open_clip.create_model(ARCHITECTURE, pretrained=str(path))
    size = model.visual.image_size
    transform = image_transform(size, is_train=False)
    return ColourClassifier(
        model,
        open_clip.get_tokenizer(ARCHITECTURE),
        transform,
        fingerprint=f"{ARCHITECTURE}:{sha256_of_file(path)}",
        device=device,
    )
