"""CLIP score: the scaled cosine between image and text features, for checkpoints of transformers'
CLIPModel.

Radford et al., arXiv 2103.00020. The score is exp(logit_scale) * cos, as ReNO (arXiv 2406.04312)
uses it. PickScore (Kirstain et al., arXiv 2305.01569) is the same score from a CLIP model that was
trained further, on people's choices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AutoTokenizer

from hnbench.errors import UsageError
from hnbench.rewards.checkpoint import load_clip_model
from hnbench.rewards.dual_encoder import DualEncoder
from hnbench.rewards.sources import CLIP, PICKSCORE
from hnbench.seeds import digest
from hnbench.weights.checkpoint import existing
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.hub import find, name_at
from hnbench.weights.pixels import Pixels
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor, nn

    from hnbench.weights.hub import Source


class ClipReward(DualEncoder):
    """The reward of a folder with a CLIPModel.

    `mean` and `std` normalise images in [0, 1]. Images of another size than the model's are resized
    (bicubic, antialiased, by the short side) and cropped to the centre.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        mean: Sequence[float],
        std: Sequence[float],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        tokenizer: Path | None = None,
        fingerprint: str = "",
        source: str = "",
        published: Callable[[Image], Tensor] | None = None,
    ) -> None:
        """Load the model, and the tokenizer from the folder `tokenizer`, if it is given. The
        fingerprint is the folder's by default.
        """
        model = load_clip_model(folder, torch.float32)
        # Before the weights are cast: ln 100 rounded to bfloat16 would make every score 1.1% too
        # low.
        self._scale = float(model.logit_scale.detach().exp())
        self.model = model.to(device, dtype)
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer or folder, local_files_only=True)
        super().__init__(
            name=name,
            fingerprint=fingerprint or fingerprint_of(folder),
            source=source,
            pixels=Pixels(self.model.config.vision_config.image_size, mean, std, device),
            published=published,
        )

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"image tower": self.model.vision_model}

    def encode_text(self, prompts: list[str]) -> Tensor:
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(
            prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).to(self.model.device)
        pooled = self.model.text_model(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        ).pooler_output
        features: Tensor = self.model.text_projection(pooled)
        return features

    def encode_image(self, pixels: Tensor) -> Tensor:
        pooled = self.model.vision_model(pixels.to(self.model.dtype)).pooler_output
        features: Tensor = self.model.visual_projection(pooled)
        return features

    def scale(self) -> float:
        return self._scale


def load(*, device: str, dtype: str, where: str = "") -> ClipReward:
    """CLIP score with OpenCLIP's ViT-H-14, as in ReNO, or with any CLIPModel that `where` names."""
    return _published("clip", CLIP, where, device, dtype)


def load_pickscore(*, device: str, dtype: str, where: str = "") -> ClipReward:
    """PickScore v1."""
    return _published("pickscore", PICKSCORE, where, device, dtype)


def _published(
    name: str, sources: tuple[Source, ...], where: str, device: str, dtype: str
) -> ClipReward:
    """A model from the first source; its tokenizer, statistics and preprocessing come from the last
    one, which may be the same.
    """
    files = find(sources, where)
    folder, processor_folder = files.folders[0], files.folders[-1]
    mean, std, published = _processor(processor_folder)
    prints = [
        fingerprint_of(place, source.files)
        for place, source in zip(files.folders, sources, strict=True)
    ]
    existing(processor_folder, "tokenizer.json", "vocab.json")
    return ClipReward(
        folder,
        name=name_at(name, where),
        mean=mean,
        std=std,
        device=device,
        dtype=getattr(torch, dtype),
        tokenizer=processor_folder,
        fingerprint=digest(["scaled cosine", *prints]),
        source=files.origin,
        published=published,
    )


def _processor(folder: Path) -> tuple[Sequence[float], Sequence[float], Callable[[Image], Tensor]]:
    """Mean, standard deviation and the processor itself (with Pillow's resize), from a
    `preprocessor_config.json`.
    """
    from transformers import CLIPImageProcessorPil

    path = existing(folder, "preprocessor_config.json")
    try:
        processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is not an image processor of a CLIP model ({error}); give a folder or a"
            " repository of one"
        ) from error

    def published(picture: Image) -> Tensor:
        pixels: Tensor = processor(rgb(picture), return_tensors="pt").pixel_values[0]
        return pixels

    return processor.image_mean, processor.image_std, published
