"""Checkpoints as other programs save them: LoRAs by peft and by diffusers, and changed weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from torch import nn

from hnbench.weights.quiet import quiet_loading

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


def change(network: nn.Module, names: str = "lora_", by: float = 0.2, seed: int = 5) -> None:
    """Add random numbers of this size to the weights with this in their names."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if names in name:
                noise = torch.randn(weight.shape, generator=draw, dtype=torch.float64)
                weight.add_(by * noise.to(weight.dtype))


def save_peft(folder: Path, network: Any, seed: int = 5, **options: Any) -> Path:
    """Save a LoRA for a network, which is changed, as peft's users do."""
    config = LoraConfig(**({"r": 4, "lora_alpha": 6, "target_modules": TARGETS} | options))
    model = get_peft_model(network, config)
    change(model, seed=seed)
    model.save_pretrained(str(folder))
    return folder


def save_by_diffusers(folder: Path, pipeline: Any, part: str, **options: Any) -> Path:
    """Save a LoRA for a part of a pipeline, which is changed, as diffusers' training scripts do."""
    network = getattr(pipeline, part)
    config = LoraConfig(**({"r": 4, "lora_alpha": 6, "target_modules": TARGETS} | options))
    network.add_adapter(config)
    change(network)
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(network))
    described = {f"{part}_lora_adapter_metadata": config.to_dict()}
    with quiet_loading():
        pipeline.save_lora_weights(folder, **{f"{part}_lora_layers": layers}, **described)
    return folder
