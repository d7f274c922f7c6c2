"""Z-Image-Turbo: a rectified flow with text and image in one stream, 8 Euler steps. No guidance.

Team Z-Image, "Z-Image", arXiv 2511.22699; diffusers' ZImagePipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hnbench.generators.encoded_texts import MASK
from hnbench.generators.flow_matching import FlowMatchingGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from hnbench.generators.base import Conditioning

PATCH = 2
"""Width and height of a token, in latents."""
MAX_TOKENS = 512
"""The longest text, with the chat template around it; longer ones are cut. The pipeline's
default.
"""
DEFAULT_SIZE = 1024


class ZImageGenerator(FlowMatchingGenerator):
    """A frozen ZImagePipeline.

    Texts are not padded to one length: the network takes each with its own number of tokens, and
    masks what is behind the shorter ones of a batch.
    """

    pipeline_class = "ZImagePipeline"
    last_layer = f"all_final_layer.{PATCH}-1.linear"
    first_time = 0.0
    beside_float16: ClassVar[Mapping[str, torch.dtype]] = {
        "text_encoder": torch.bfloat16,
        "vae": torch.float32,
    }

    def stock_latents(self, noise: Tensor) -> Tensor:
        return noise.float()  # the pipeline takes no other type

    def _default_size(self) -> int:
        return DEFAULT_SIZE

    def _patch(self) -> int:
        return PATCH

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        # The pipeline writes the chat template into the list.
        rows, _ = self.pipeline.encode_prompt(
            list(prompts),
            device=self._device,
            do_classifier_free_guidance=False,
            max_sequence_length=MAX_TOKENS,
        )
        hidden = rows[0].new_zeros(len(rows), MAX_TOKENS, rows[0].shape[-1])
        mask = torch.zeros(len(rows), MAX_TOKENS, dtype=torch.bool, device=hidden.device)
        for index, row in enumerate(rows):
            hidden[index, : len(row)] = row
            mask[index, : len(row)] = True
        return {"hidden_states": hidden.to(self._dtype), MASK: mask}

    def _denoise(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass; `time` is in the network's own units, 0 for noise to 1 for the image."""
        hidden = conditioning.tensors["hidden_states"]
        lengths = conditioning.text_lengths or [hidden.shape[1]] * len(hidden)
        # The network takes a list of images `[C, frames, h, w]`, and a list of texts.
        found: list[Tensor] = self.backbone(
            list(latents.to(self._dtype).unsqueeze(2)),
            self._on_device(time).expand(len(latents)),
            [row[:length] for row, length in zip(hidden, lengths, strict=True)],
            return_dict=False,
        )[0]
        return torch.stack(found).squeeze(2)

    def _velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        # The network's time and velocity go the other way, from noise to image.
        return -self._denoise(latents, (1000 - timestep) / 1000, conditioning)
