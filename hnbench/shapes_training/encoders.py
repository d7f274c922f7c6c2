"""The dual encoders of the rewards: a ViT as transformers' CLIPModel, and open_clip's CLIP with a
ModifiedResNet, a ByobNet or an EfficientNet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hnbench.shapes.world import SIZE
from hnbench.shapes_training import tokenizer as vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

DIM = 96
"""The number of features."""
GRID = 8
"""The cells of the dense features in each direction."""


class TwoTowers(nn.Module):
    """The interface of the architectures for training: image and text features, dense features,
    and a logit scale.
    """

    dense_channels: int
    """The channels of the dense features."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer: PreTrainedTokenizerFast = vocabulary.build()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Ids of tokens `[B, 16]`."""
        found: Tensor = self.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return found.to(self.device)

    def image(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features `[B, D]` and dense features `[B, C, 8, 8]` of images `[B, 3, 64, 64]` in [0,
        1].
        """
        raise NotImplementedError

    def text(self, ids: Tensor) -> Tensor:
        """Features `[B, D]` of ids of tokens `[B, 16]`."""
        raise NotImplementedError

    def logit_scale(self) -> Tensor:
        """The logarithm of the learned inverse temperature."""
        raise NotImplementedError

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """The cosine `[B]` of images `[B, 3, 64, 64]` in [0, 1] and texts."""
        features, _ = self.image(images.to(self.device))
        return functional.cosine_similarity(features, self.text(self.tokens(texts)))

    def save(self, folder: Path) -> None:
        """Save in the layout that the reward loads."""
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


_TEXT: dict[str, Any] = {"context_length": vocabulary.MAX_TOKENS, "width": 64, "heads": 4}
RESNET: dict[str, Any] = {
    "embed_dim": DIM,
    "vision_cfg": {"layers": [1, 2, 2, 1], "width": 8, "image_size": 128, "head_width": 32},
    "text_cfg": {**_TEXT, "layers": 3},
}
"""open_clip's model configuration of the ModifiedResNet, without the vocabulary's size."""


def _timm(name: str) -> dict[str, Any]:
    """open_clip's model configuration of a tower of timm with attention pooling."""
    vision = {
        "timm_model_name": name,
        "timm_pool": "abs_attn",
        "timm_proj": "",
        "image_size": 96,
    }
    return {"embed_dim": DIM, "vision_cfg": vision, "text_cfg": {**_TEXT, "layers": 2}}


BYOBNET = _timm("test_byobnet")
"""timm's smallest ByobNet: grouped convolutions, batch norm and squeeze-and-excitation, as in
RegNet (Radosavovic et al., arXiv 2003.13678).
"""
EFFICIENTNET = _timm("test_efficientnet")
"""timm's smallest EfficientNet: depthwise convolutions in inverted bottlenecks (Tan and Le, arXiv
1905.11946).
"""
_DENSE = {None: "layer3", "test_byobnet": "trunk.stages.1", "test_efficientnet": "trunk.blocks.2"}
"""timm's name -> the layer of dense features, whose cells are 8 or 16 pixels of the enlarged image.
"""


class OpenClipEncoder(TwoTowers):
    """open_clip's CLIP with one of these image towers, on enlarged images."""

    def __init__(self, config: dict[str, Any]) -> None:
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

        super().__init__()
        self.config = {
            **config,
            "text_cfg": {
                **config["text_cfg"],
                "vocab_size": len(self.tokenizer),
                "eos_id": self.tokenizer.eos_token_id,
                "pool_type": "eos",
            },
        }
        self.model = CLIP(
            DIM,
            CLIPVisionCfg(**config["vision_cfg"]),
            CLIPTextCfg(**self.config["text_cfg"]),
            init_logit_scale=3.2,
        )
        # open_clip returns only pooled features, so a hook keeps the dense ones.
        self._dense = torch.empty(0)
        visual, size = self.model.visual, config["vision_cfg"]["image_size"]
        layer = _DENSE[config["vision_cfg"].get("timm_model_name")]
        visual.get_submodule(layer).register_forward_hook(self._keep)
        with torch.no_grad():
            visual.eval()(torch.zeros(1, 3, size, size))
        self.dense_channels = self._dense.shape[1]

    def _keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._dense = output

    def image(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = self.config["vision_cfg"]["image_size"]
        enlarged = functional.interpolate(
            images * 2 - 1, size=(size, size), mode="bilinear", align_corners=False
        )
        features = self.model.encode_image(enlarged)
        return features, functional.adaptive_avg_pool2d(self._dense, GRID)

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
        (folder / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": self.config}, indent=2) + "\n"
        )
        self.tokenizer.save_pretrained(folder)
