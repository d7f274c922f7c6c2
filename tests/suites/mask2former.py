"""A small random Mask2Former of the real classes, and the same weights as mmdet would name them."""

from __future__ import annotations

import re

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

NAMES = [f"class {index}" for index in range(8)]


def config() -> Mask2FormerConfig:
    stages = [f"stage{index}" for index in (1, 2, 3, 4)]
    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 2, 1],
        num_heads=[1, 1, 2, 2],
        window_size=7,
        image_size=64,
        out_features=stages,
    )
    return Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=3,
        num_attention_heads=2,
        num_queries=10,
        num_labels=len(NAMES),
    )


def network() -> Mask2FormerForUniversalSegmentation:
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(config())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.class_predictor.weight.mul_(5)
    return model.requires_grad_(False).eval()


def mmdet_state(version: str) -> dict[str, torch.Tensor]:
    """Random tensors under mmdet's names, of the shapes that it has for the same architecture."""
    state: dict[str, tuple[int, ...]] = {
        "backbone.patch_embed.projection.weight": (8, 3, 4, 4),
        "backbone.patch_embed.projection.bias": (8,),
    }
    _affine(state, "backbone.patch_embed.norm", 8)
    for stage, (depth, heads) in enumerate(zip([1, 1, 2, 1], [1, 1, 2, 2], strict=True)):
        width = 8 * 2**stage
        for block in range(depth):
            name = f"backbone.stages.{stage}.blocks.{block}"
            state[f"{name}.attn.w_msa.relative_position_bias_table"] = (169, heads)
            state[f"{name}.attn.w_msa.relative_position_index"] = (49, 49)
            _linear(state, f"{name}.attn.w_msa.qkv", width, 3 * width)
            _linear(state, f"{name}.attn.w_msa.proj", width, width)
            _linear(state, f"{name}.ffn.layers.0.0", width, 4 * width)
            _linear(state, f"{name}.ffn.layers.1", 4 * width, width)
            _affine(state, f"{name}.norm1", width)
            _affine(state, f"{name}.norm2", width)
        if stage < 3:
            _affine(state, f"backbone.stages.{stage}.downsample.norm", 4 * width)
            state[f"backbone.stages.{stage}.downsample.reduction.weight"] = (2 * width, 4 * width)
        _affine(state, f"backbone.norm{stage}", width)
    _pixel_decoder(state)
    _head(state)
    generator = torch.Generator().manual_seed(0)
    names = {name: _older(name) if version == "2.x" else name for name in state}
    return {names[name]: torch.randn(shape, generator=generator) for name, shape in state.items()}


def _linear(state: dict[str, tuple[int, ...]], name: str, width: int, out: int) -> None:
    state[f"{name}.weight"], state[f"{name}.bias"] = (out, width), (out,)


def _affine(state: dict[str, tuple[int, ...]], name: str, width: int) -> None:
    state[f"{name}.weight"] = state[f"{name}.bias"] = (width,)


def _pixel_decoder(state: dict[str, tuple[int, ...]]) -> None:
    name = "panoptic_head.pixel_decoder"
    for level, width in enumerate((64, 32, 16)):
        (
            state[f"{name}.input_convs.{level}.conv.weight"],
            state[f"{name}.input_convs.{level}.conv.bias"],
        ) = (32, width, 1, 1), (32,)
        _affine(state, f"{name}.input_convs.{level}.gn", 32)
    layer = f"{name}.encoder.layers.0"
    _linear(state, f"{layer}.self_attn.sampling_offsets", 32, 2 * 3 * 4 * 2)
    _linear(state, f"{layer}.self_attn.attention_weights", 32, 2 * 3 * 4)
    _linear(state, f"{layer}.self_attn.value_proj", 32, 32)
    _linear(state, f"{layer}.self_attn.output_proj", 32, 32)
    _linear(state, f"{layer}.ffn.layers.0.0", 32, 16)
    _linear(state, f"{layer}.ffn.layers.1", 16, 32)
    _affine(state, f"{layer}.norms.0", 32)
    _affine(state, f"{layer}.norms.1", 32)
    state[f"{name}.level_encoding.weight"] = (3, 32)
    state[f"{name}.lateral_convs.0.conv.weight"] = (32, 8, 1, 1)
    _affine(state, f"{name}.lateral_convs.0.gn", 32)
    state[f"{name}.output_convs.0.conv.weight"] = (32, 32, 3, 3)
    _affine(state, f"{name}.output_convs.0.gn", 32)
    state[f"{name}.mask_feature.weight"], state[f"{name}.mask_feature.bias"] = (32, 32, 1, 1), (32,)


def _head(state: dict[str, tuple[int, ...]]) -> None:
    for index in range(2):
        layer = f"panoptic_head.transformer_decoder.layers.{index}"
        for attention in ("cross_attn", "self_attn"):
            (
                state[f"{layer}.{attention}.attn.in_proj_weight"],
                state[f"{layer}.{attention}.attn.in_proj_bias"],
            ) = (96, 32), (96,)
            _linear(state, f"{layer}.{attention}.attn.out_proj", 32, 32)
        _linear(state, f"{layer}.ffn.layers.0.0", 32, 16)
        _linear(state, f"{layer}.ffn.layers.1", 16, 32)
        for norm in range(3):
            _affine(state, f"{layer}.norms.{norm}", 32)
    _affine(state, "panoptic_head.transformer_decoder.post_norm", 32)
    for name, rows in (("query_embed", 10), ("query_feat", 10), ("level_embed", 3)):
        state[f"panoptic_head.{name}.weight"] = (rows, 32)
    _linear(state, "panoptic_head.cls_embed", 32, len(NAMES) + 1)
    for number in (0, 2, 4):
        _linear(state, f"panoptic_head.mask_embed.{number}", 32, 32)


def _older(name: str) -> str:
    """A name of mmdet 3.x in mmdet 2.x, where attentions and feed-forward networks of a layer were
    numbered.
    """
    name = re.sub(r"(decoder\.encoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.0.", name)
    name = re.sub(r"(transformer_decoder\.layers\.\d+)\.cross_attn\.", r"\1.attentions.0.", name)
    name = re.sub(r"(transformer_decoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.1.", name)
    return re.sub(r"(panoptic_head\..*\.layers\.\d+)\.ffn\.", r"\1.ffns.0.", name)
