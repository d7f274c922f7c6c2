"""Converts mmdet's Mask2Former checkpoints for transformers' Mask2Former: every tensor gets another
name, and three kinds of tensors another layout.

GenEval's detector was trained with mmdet 2.x and published as `CHECKPOINT_URL`. transformers has
the same architecture, with other names of tensors. (mmdet 3.x has a third set of names, which is
read too.) There are three other differences:

- mmdet keeps query, key and value of Swin's attention and of the decoder's self-attention in one
  matrix.
- mmdet's patch merging (`unfold`) takes the four pixels of a patch in another order, with the
  channels outermost.
- transformers computes Swin's table of relative positions, and mmdet stores it.

The tensors get the names of transformers' published Mask2Former checkpoints, which
`from_pretrained` reads in every version of 5.x.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from hnbench.errors import UsageError
from hnbench.files.hashing import sha256_of_file
from hnbench.weights.checkpoint import load_pretrained
from hnbench.weights.hub import assets_folder
from hnbench.weights.pinned_files import fetch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

CHECKPOINT_NAME = (
    "geneval/mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth"
)
CHECKPOINT_URL = (
    "https://download.openmmlab.com/mmdetection/v2.0/mask2former/mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco/"
    "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth"
)
CHECKPOINT_SHA256 = "743b7d99"
"""The beginning of the file's SHA-256, as its name gives it."""
VERSION = 1
"""The version of this conversion. Increase it if a change gives other tensors, so that files which
an older version cached are not used.
"""

_SWIN = "model.pixel_level_module.encoder."
_PIXELS = "model.pixel_level_module.decoder."
_QUERIES = "model.transformer_module."
_DECODER = f"{_QUERIES}decoder.layers."
_BLOCK = rf"{_SWIN}encoder.layers.\1.blocks.\2."
_LAYER = rf"{_PIXELS}encoder.layers.\1."

_NEWER = (
    (r"(pixel_decoder\.encoder\.layers\.\d+\.)attentions\.0\.", r"\1self_attn."),
    (r"(transformer_decoder\.layers\.\d+\.)attentions\.0\.", r"\1cross_attn."),
    (r"(transformer_decoder\.layers\.\d+\.)attentions\.1\.", r"\1self_attn."),
    (r"(layers\.\d+\.)ffns\.0\.", r"\1ffn."),
)
"""Names of mmdet 2.x -> names of mmdet 3.x, if they differ."""

_BACKBONE = r"backbone\.stages\.(\d+)\."
_HEAD = r"panoptic_head\."
_ENCODER = rf"{_HEAD}pixel_decoder\.encoder\.layers\.(\d+)\."
_TRANSFORMER = rf"{_HEAD}transformer_decoder\.layers\.(\d+)\."

_NAMES = (
    (r"backbone\.patch_embed\.projection\.", rf"{_SWIN}embeddings.patch_embeddings.projection."),
    (r"backbone\.patch_embed\.norm\.", rf"{_SWIN}embeddings.norm."),
    (rf"{_BACKBONE}downsample\.", rf"{_SWIN}encoder.layers.\1.downsample."),
    (rf"{_BACKBONE}blocks\.(\d+)\.norm1\.", rf"{_BLOCK}layernorm_before."),
    (rf"{_BACKBONE}blocks\.(\d+)\.norm2\.", rf"{_BLOCK}layernorm_after."),
    (
        rf"{_BACKBONE}blocks\.(\d+)\.attn\.w_msa\.relative_position_bias_table",
        rf"{_BLOCK}attention.self.relative_position_bias_table",
    ),
    (rf"{_BACKBONE}blocks\.(\d+)\.attn\.w_msa\.qkv\.", rf"{_BLOCK}attention.self.QKV."),
    (rf"{_BACKBONE}blocks\.(\d+)\.attn\.w_msa\.proj\.", rf"{_BLOCK}attention.output.dense."),
    (rf"{_BACKBONE}blocks\.(\d+)\.ffn\.layers\.0\.0\.", rf"{_BLOCK}intermediate.dense."),
    (rf"{_BACKBONE}blocks\.(\d+)\.ffn\.layers\.1\.", rf"{_BLOCK}output.dense."),
    (r"backbone\.norm0\.", rf"{_SWIN}hidden_states_norms.stage1."),
    (r"backbone\.norm1\.", rf"{_SWIN}hidden_states_norms.stage2."),
    (r"backbone\.norm2\.", rf"{_SWIN}hidden_states_norms.stage3."),
    (r"backbone\.norm3\.", rf"{_SWIN}hidden_states_norms.stage4."),
    (rf"{_HEAD}pixel_decoder\.input_convs\.(\d+)\.conv\.", rf"{_PIXELS}input_projections.\1.0."),
    (rf"{_HEAD}pixel_decoder\.input_convs\.(\d+)\.gn\.", rf"{_PIXELS}input_projections.\1.1."),
    (rf"{_HEAD}pixel_decoder\.lateral_convs\.0\.conv\.", rf"{_PIXELS}adapter_1.0."),
    (rf"{_HEAD}pixel_decoder\.lateral_convs\.0\.gn\.", rf"{_PIXELS}adapter_1.1."),
    (rf"{_HEAD}pixel_decoder\.output_convs\.0\.conv\.", rf"{_PIXELS}layer_1.0."),
    (rf"{_HEAD}pixel_decoder\.output_convs\.0\.gn\.", rf"{_PIXELS}layer_1.1."),
    (rf"{_HEAD}pixel_decoder\.mask_feature\.", rf"{_PIXELS}mask_projection."),
    (rf"{_HEAD}pixel_decoder\.level_encoding\.weight", rf"{_PIXELS}level_embed"),
    (rf"{_ENCODER}self_attn\.", rf"{_LAYER}self_attn."),
    (rf"{_ENCODER}ffn\.layers\.0\.0\.", rf"{_LAYER}fc1."),
    (rf"{_ENCODER}ffn\.layers\.1\.", rf"{_LAYER}fc2."),
    (rf"{_ENCODER}norms\.0\.", rf"{_LAYER}self_attn_layer_norm."),
    (rf"{_ENCODER}norms\.1\.", rf"{_LAYER}final_layer_norm."),
    (rf"{_TRANSFORMER}cross_attn\.attn\.", rf"{_DECODER}\1.cross_attn."),
    (rf"{_TRANSFORMER}self_attn\.attn\.in_proj_", rf"{_DECODER}\1.self_attn.QKV_proj."),
    (rf"{_TRANSFORMER}self_attn\.attn\.out_proj\.", rf"{_DECODER}\1.self_attn.out_proj."),
    (rf"{_TRANSFORMER}ffn\.layers\.0\.0\.", rf"{_DECODER}\1.fc1."),
    (rf"{_TRANSFORMER}ffn\.layers\.1\.", rf"{_DECODER}\1.fc2."),
    (rf"{_TRANSFORMER}norms\.0\.", rf"{_DECODER}\1.cross_attn_layer_norm."),
    (rf"{_TRANSFORMER}norms\.1\.", rf"{_DECODER}\1.self_attn_layer_norm."),
    (rf"{_TRANSFORMER}norms\.2\.", rf"{_DECODER}\1.final_layer_norm."),
    (rf"{_HEAD}transformer_decoder\.post_norm\.", rf"{_QUERIES}decoder.layernorm."),
    (rf"{_HEAD}mask_embed\.0\.", rf"{_QUERIES}decoder.mask_predictor.mask_embedder.0.0."),
    (rf"{_HEAD}mask_embed\.2\.", rf"{_QUERIES}decoder.mask_predictor.mask_embedder.1.0."),
    (rf"{_HEAD}mask_embed\.4\.", rf"{_QUERIES}decoder.mask_predictor.mask_embedder.2.0."),
    (rf"{_HEAD}query_embed\.", rf"{_QUERIES}queries_embedder."),
    (rf"{_HEAD}query_feat\.", rf"{_QUERIES}queries_features."),
    (rf"{_HEAD}level_embed\.", rf"{_QUERIES}level_embed."),
    (rf"{_HEAD}cls_embed\.", "class_predictor."),
)
"""The beginning of a name in mmdet 3.x -> in transformers. `QKV` stands for three tensors, which
mmdet keeps in one.
"""
_QKV = {
    "attention.self.QKV": ("query", "key", "value"),
    "self_attn.QKV_proj": ("q_proj", "k_proj", "v_proj"),
}
_COMPUTED = "relative_position_index"
_UNUSED = r"(criterion|.*\bswin\.layernorm|model\.pixel_level_module\.encoder\.layernorm)\..*"
"""Tensors of transformers' class that a checkpoint need not have: those of the training loss, and a
norm after the last stage.
"""


def official_config() -> Mask2FormerConfig:
    """The architecture of the published detector: Swin-S, 80 classes, 100 queries, 6 encoder and 9
    decoder layers.
    """
    backbone = SwinConfig(
        embed_dim=96,
        depths=[2, 2, 18, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        image_size=224,
        drop_path_rate=0.3,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return Mask2FormerConfig(backbone_config=backbone, num_labels=80, num_queries=100)


def official_folder() -> tuple[Path, str]:
    """The folder of the published detector, for `load`, and the SHA-256 of the checkpoint that it
    was converted from.

    The checkpoint is downloaded and converted on first use; the converted files stay in
    huggingface_hub's cache for assets.
    """
    checkpoint = fetch(CHECKPOINT_NAME, CHECKPOINT_URL, CHECKPOINT_SHA256, progress=True)
    sha256 = sha256_of_file(checkpoint)
    cache = assets_folder("converted", "mask2former")
    folder = cache / f"{sha256}-v{VERSION}"
    if not folder.is_dir():
        convert_checkpoint(checkpoint, official_config(), folder)
    return folder, sha256


def convert_checkpoint(checkpoint: Path, config: Mask2FormerConfig, folder: Path) -> None:
    """Write the model of an mmdet checkpoint into a new folder. The folder appears only if the
    model can be loaded with every tensor in its place; `UsageError` otherwise.
    """
    tensors = convert(_state_of(checkpoint), checkpoint.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk as the folder, so that the finished model can be moved in one step.
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        config.save_pretrained(made)
        save_file(
            tensors,
            made / "model.safetensors",
            {"format": "pt", "source_sha256": sha256_of_file(checkpoint)},
        )
        load(made, checkpoint.name)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def _state_of(checkpoint: Path) -> dict[str, Tensor]:
    from pickle import UnpicklingError

    try:
        found: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise UsageError(
            f"{checkpoint} is not a checkpoint of plain tensors ({str(error).splitlines()[0]}); "
            "remove it, and it is downloaded again"
        ) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(
            f"{checkpoint} holds no weights of mmdet; remove it, and it is downloaded again"
        )
    return dict(state)


def convert(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors of an mmdet (2.x or 3.x) state dict under transformers' names. `UsageError` if a
    name is unknown; `source` names the checkpoint in the message.
    """
    converted: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in state.items():
        if name.endswith(_COMPUTED):
            continue
        target = _renamed(name)
        if target is None:
            unknown.append(name)
        else:
            converted.update(_laid_out(target, tensor))
    if unknown:
        raise UsageError(
            f"{source} is not a Mask2Former checkpoint of mmdet: {len(unknown)} of its {len(state)}"
            f" names have no place, for example {', '.join(unknown[:2])}"
        )
    # safetensors refuses tensors that share memory, as the three parts of a split matrix do.
    return {name: tensor.contiguous().clone() for name, tensor in converted.items()}


def _renamed(name: str) -> str | None:
    for pattern, replacement in _NEWER:
        name = re.sub(pattern, replacement, name)
    for pattern, replacement in _NAMES:
        if match := re.match(pattern, name):
            return match.expand(replacement) + name[match.end() :]
    return None


def _laid_out(name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name.endswith("downsample.reduction.weight"):
        return {name: _by_pixel(tensor)}
    if ".downsample.norm." in name:
        return {name: _by_pixel(tensor[None])[0]}
    for merged, parts in _QKV.items():
        if merged in name:
            kept = merged.split("QKV", maxsplit=1)[0]
            return {
                name.replace(merged, f"{kept}{part}"): piece
                for part, piece in zip(parts, tensor.chunk(3), strict=True)
            }
    return {name: tensor}


def _by_pixel(weight: Tensor) -> Tensor:
    """The columns of `[rows, channels x 4]`, reordered from (channel, row-major pixel) to
    (column-major pixel, channel).
    """
    rows, columns = weight.shape
    pixels = weight.reshape(rows, columns // 4, 2, 2)  # channel, y, x
    return pixels.permute(0, 3, 2, 1).reshape(rows, columns)


def load(folder: Path, source: str) -> Mask2FormerForUniversalSegmentation:
    """The model of a folder in transformers' layout, in float32 on the CPU, ready for inference.

    `UsageError`, with `source` in its message, if a tensor is missing, left over or of another
    shape: such a model would run and find nothing.
    """
    model: Mask2FormerForUniversalSegmentation = load_pretrained(
        Mask2FormerForUniversalSegmentation, folder, unneeded=_UNUSED, name=source
    )
    return model
