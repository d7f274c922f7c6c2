"""Adapters in the layout of the official training code, and what they compute, by hand.

The official code trains with peft before 0.16 (0.15.2 was measured): the LoRA beside any
convolution, grouped or not, is a convolution to `rank` channels with the base's kernel, stride and
padding and no groups, then a 1x1 convolution without groups.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.checkpoint import PREFIX

RANK, ALPHA = 6, 12
SHORT = [
    "conv_inverted",
    "conv_depth",
    "conv_point",
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "linear",
    "linear_1",
    "linear_2",
    "proj",
    "proj_out",
]
"""The same layers of SANA, as peft shortens their names in the configuration."""


def adaptable(backbone: nn.Module) -> dict[str, Any]:
    """Every linear and 2-d convolution layer, as the official code chooses them."""
    return {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    }


def random_weights(backbone: nn.Module) -> dict[str, Tensor]:
    """LoRA weights without peft's prefix, none of them zero."""
    draw = torch.Generator().manual_seed(5)
    weights: dict[str, Tensor] = {}
    for name, layer in adaptable(backbone).items():
        if isinstance(layer, nn.Conv2d):
            shapes = [
                (RANK, layer.in_channels, *layer.kernel_size),
                (layer.out_channels, RANK, 1, 1),
            ]
        else:
            shapes = [(RANK, layer.in_features), (layer.out_features, RANK)]
        for half, shape in zip("AB", shapes, strict=True):
            weights[f"{name}.lora_{half}.weight"] = 0.1 * torch.randn(shape, generator=draw)
    return weights


def write(
    folder: Path, weights: Mapping[str, Tensor], targets: list[str], *, prefixed: bool
) -> Path:
    """`adapter_model.bin` and the `adapter_config.json` that peft 0.15.2 writes."""
    folder.mkdir(parents=True)
    torch.save(
        {(PREFIX if prefixed else "") + name: weight for name, weight in weights.items()},
        folder / "adapter_model.bin",
    )
    off: dict[str, Any] = dict.fromkeys(
        ["auto_mapping", "base_model_name_or_path", "corda_config", "eva_config", "exclude_modules"]
    )
    off |= dict.fromkeys(
        [
            "layer_replication",
            "layers_pattern",
            "layers_to_transform",
            "megatron_config",
            "modules_to_save",
            "revision",
        ]
    )
    off |= dict.fromkeys(["task_type", "trainable_token_indices"])
    off |= dict.fromkeys(
        ["fan_in_fan_out", "inference_mode", "lora_bias", "use_dora", "use_rslora"], False
    )
    off |= {
        "alpha_pattern": {},
        "rank_pattern": {},
        "loftq_config": {},
        "bias": "none",
        "lora_dropout": 0.0,
    }
    on = {"init_lora_weights": "gaussian", "megatron_core": "megatron.core", "peft_type": "LORA"}
    config = {**off, **on, "r": RANK, "lora_alpha": ALPHA, "target_modules": targets}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def displacement(
    generator: Generator, weights: Mapping[str, Tensor], noise: Tensor, conditioning: Conditioning
) -> Tensor:
    """The change that such an adapter gives: every layer's output plus its LoRA, and the LoRA alone
    of the last layer.
    """
    scale = ALPHA / RANK
    handles = []
    for name, layer in adaptable(generator.backbone).items():
        first, second = (weights[f"{name}.lora_{half}.weight"] for half in "AB")

        def add(
            layer: Any,
            inputs: tuple[Tensor],
            output: Tensor,
            name: str = name,
            first: Tensor = first,
            second: Tensor = second,
        ) -> Tensor:
            if isinstance(layer, nn.Conv2d):
                hidden = functional.conv2d(
                    inputs[0], first, stride=layer.stride, padding=layer.padding, groups=1
                )
                delta = functional.conv2d(hidden, second) * scale
            else:
                delta = inputs[0] @ first.T @ second.T * scale
            return delta if name == generator.last_layer else output + delta

        handles.append(layer.register_forward_hook(add))
    try:
        return generator.predict(noise, conditioning)
    finally:
        for handle in handles:
            handle.remove()
