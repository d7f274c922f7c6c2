"""HPSv3's network: Qwen2-VL without its words, and a head that rates one token.

The published weights were trained in a way that transformers' own forward pass does not repeat:

- tokens have plain positions, one after another, also those of the image. The class of the package
  hpsv3 passes none to the decoder, and transformers 4.45.2 then counts;
- the frequencies of all rotary embeddings, and the angles of the image's, are in bfloat16, because
  the whole model is, buffers included.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import Qwen2VLModel

from hnbench.rewards.qwen2_vl_pixels import patch_positions, patches_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from torch import Tensor
    from transformers import Qwen2VLConfig

    _Places: TypeAlias = tuple[Tensor, tuple[Tensor, Tensor]]

OUTPUTS = 2
"""The mean of a preference's normal distribution, and the logarithm of its standard deviation."""


class HPSv3Network(nn.Module):
    """The network of a configuration; it has the names of `renamed` weights."""

    def __init__(self, config: Qwen2VLConfig) -> None:
        super().__init__()
        vision = config.vision_config
        self.patch, self.frames = vision.patch_size, vision.temporal_patch_size
        self.merge, self._width = vision.spatial_merge_size, vision.embed_dim // vision.num_heads
        self.model = Qwen2VLModel(config)
        # An identity takes the place of dropout, so that the layers have the published numbers.
        self.head = nn.Sequential(
            nn.Linear(config.text_config.hidden_size, 1024),
            nn.ReLU(),
            nn.Identity(),
            nn.Linear(1024, 16),
            nn.ReLU(),
            nn.Linear(16, OUTPUTS),
        )
        frequencies = self.model.language_model.rotary_emb.inv_freq
        frequencies.copy_(frequencies.bfloat16())
        self._known: dict[tuple[int, int], _Places] = {}

    def forward(self, pixels: Tensor, ids: Tensor, place: int, rated: int) -> Tensor:
        """The head's outputs `[2]` in float32 for an image `[3, h, w]`, in the network's type, and
        the tokens `[L]` of a text. The image's features replace the token at `place`; the token at
        `rated`, which comes later, is rated.
        """
        decoder = self.model.language_model
        words, seen = decoder.embed_tokens(ids), self._seen(pixels)
        given = torch.cat([words[:place], seen.to(words.dtype), words[place + 1 :]])[None]
        positions = torch.arange(given.shape[1], device=given.device).expand(3, 1, -1)
        read = decoder(inputs_embeds=given, position_ids=positions, use_cache=False)
        at_token = read.last_hidden_state[0, rated + len(seen) - 1]
        outputs: Tensor = self.head(at_token.float())
        return outputs

    def _seen(self, pixels: Tensor) -> Tensor:
        """The image's features `[N, D]`, one for each block of merged patches."""
        visual = self.model.visual
        hidden = visual.patch_embed(patches_of(pixels, self.patch, self.frames, self.merge))
        rows, columns = (side // self.patch for side in pixels.shape[-2:])
        ends, turn = self._places(rows, columns, hidden.device)
        for block in visual.blocks:
            hidden = block(hidden, cu_seqlens=ends, position_embeddings=turn)
        features: Tensor = visual.merger(hidden)
        return features

    def _places(self, rows: int, columns: int, device: torch.device) -> _Places:
        """The image's first and last patch, which stay on the CPU because the host reads them, and
        the cosines and sines `[N, D]` of the patches' angles.
        """
        if (rows, columns) not in self._known:
            steps = torch.arange(0, self._width // 2, 2, dtype=torch.float) / (self._width // 2)
            frequencies = (1 / 10000**steps).bfloat16()
            places = patch_positions(rows, columns, self.merge).bfloat16()
            angles = (places[..., None] * frequencies).flatten(1).repeat(1, 2).to(device)
            ends = torch.tensor([0, rows * columns], dtype=torch.int32)
            turn = (angles.cos().float(), angles.sin().float())
            self._known[rows, columns] = (ends, turn)
        return self._known[rows, columns]


_NAMES = (
    (r"^visual\.", "model.visual."),
    (r"^model\.", "model.language_model."),
    (r"^rm_head\.", "head."),
)
_UNUSED = "lm_head.weight"
"""The published checkpoint's layer that would predict words."""


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published checkpoint's weights under the names of `HPSv3Network`. Unknown names stay as
    they are.
    """
    return {_new_name(name): value for name, value in weights.items() if name != _UNUSED}


def _new_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    return name
