"""Small random models of the real classes, saved as the published ones are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    BlipTextConfig,
    BlipVisionConfig,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from hnbench.rewards.hpsv3_network import HPSv3Network
from hnbench.rewards.imagereward import ImageRewardNetwork
from hnbench.rewards.linear_head import linear_head
from hnbench.rewards.open_clip import build
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD
from tests.measures.vision_language_models import (
    QWEN_CHAT,
    QWEN_MARKS,
    byte_tokenizer,
    decoder,
)
from tests.rewards.samples import PROMPTS, bert_vocabulary

Module = TypeVar("Module", bound=nn.Module)

SIZE = 32
TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
OPEN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
VISION = BlipVisionConfig(**TOWER, image_size=SIZE, patch_size=8, hidden_act="gelu")
TEXT = BlipTextConfig(
    **TOWER,
    vocab_size=82,
    encoder_hidden_size=16,
    max_position_embeddings=64,
    hidden_act="gelu",
    is_decoder=True,
)


def lively(module: Module) -> Module:
    """Weights large enough that different inputs give clearly different outputs."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            if value.ndim > 1:
                value.copy_(
                    torch.randn(value.shape, generator=generator) / value.flatten(1).shape[1] ** 0.5
                )
    module.eval()
    return module


def clip(folder: Path, **vision: Any) -> CLIPModel:
    """A CLIPModel's folder as on the Hub: model, tokenizer, processor. Words are the samples'
    own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [
        "<start>",
        "<end>",
        "<unk>",
        *dict.fromkeys(re.findall(r"\w+|[^\w\s]", " ".join(PROMPTS))),
    ]
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 0), ("<end>", 1)]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<start>",
        eos_token="<end>",
        pad_token="<end>",
        unk_token="<unk>",
    )
    wrapped.save_pretrained(folder)
    text = {
        **TOWER,
        "vocab_size": len(words),
        "max_position_embeddings": 20,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    config = CLIPConfig(
        text_config=text,
        vision_config={**TOWER, "image_size": SIZE, "patch_size": 8, **vision},
        projection_dim=16,
    )
    model = lively(CLIPModel(config))
    model.save_pretrained(folder)
    processor = {
        "size": SIZE,
        "crop_size": SIZE,
        "resample": 3,
        "image_mean": OPENAI_MEAN,
        "image_std": OPENAI_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model


def hpsv2(path: Path) -> nn.Module:
    """A checkpoint with the keys and the half precision of the published one; the model has what is
    left of the weights.
    """
    model: nn.Module = lively(build(OPEN_CLIP)).half()
    torch.save({"state_dict": model.state_dict()}, path)
    return model.float()


def imagereward(folder: Path) -> ImageRewardNetwork:
    """`ImageReward.pt` with the published names, and a vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    bert_vocabulary(folder, TEXT.vocab_size - 2)
    network = ImageRewardNetwork(VISION, TEXT)
    lively(network)
    torch.save(
        {_published(name): value for name, value in network.state_dict().items()} | _surplus(),
        folder / "ImageReward.pt",
    )
    return network


_PUBLISHED = (
    (r"^vision\.encoder\.layers\.", "blip.visual_encoder.blocks."),
    (r"^vision\.embeddings\.patch_embedding\.", "blip.visual_encoder.patch_embed.proj."),
    (r"^vision\.embeddings\.position_embedding$", "blip.visual_encoder.pos_embed"),
    (r"^vision\.embeddings\.class_embedding$", "blip.visual_encoder.cls_token"),
    (r"^vision\.post_layernorm\.", "blip.visual_encoder.norm."),
    (r"\.self_attn\.projection\.", ".attn.proj."),
    (r"\.self_attn\.", ".attn."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"^text\.", "blip.text_encoder."),
    (r"^head\.", "mlp.layers."),
)


def _published(name: str) -> str:
    for pattern, replacement in _PUBLISHED:
        name = re.sub(pattern, replacement, name)
    return name


def _surplus() -> dict[str, Tensor]:
    """What the published checkpoint has beyond the score's needs."""
    return {
        "blip.vision_proj.weight": torch.zeros(2, 2),
        "blip.text_proj.bias": torch.zeros(2),
        "blip.text_encoder.embeddings.position_ids": torch.arange(64)[None],
    }


def hpsv3(folder: Path) -> HPSv3Network:
    """`HPSv3.safetensors` with the published names and types, and what a folder of Qwen2-VL has
    beside its weights.
    """
    tokenizer = byte_tokenizer(QWEN_MARKS, "<|im_end|>")
    Qwen2VLProcessor(
        Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=QWEN_CHAT
    ).save_pretrained(folder)
    marks = {
        name: tokenizer.convert_tokens_to_ids(f"<|{name}|>")
        for name in ("image_pad", "video_pad", "vision_start", "vision_end")
    }
    rope = {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [2, 1, 1]}
    config = Qwen2VLConfig(
        text_config={**decoder(tokenizer), "rope_parameters": rope},
        vision_config={
            "depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2,
        },
        image_token_id=marks["image_pad"], video_token_id=marks["video_pad"],
        vision_start_token_id=marks["vision_start"], vision_end_token_id=marks["vision_end"],
    )  # fmt: skip
    config.save_pretrained(folder)
    config.text_config.vocab_size += 1  # the rated token
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the head's biases
        network = lively(HPSv3Network(config))
    network.model.bfloat16()
    weights = {_of_hpsv3(name): value for name, value in network.state_dict().items()}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, folder / "HPSv3.safetensors", {"format": "pt"})
    return network


def _of_hpsv3(name: str) -> str:
    """The published name of a weight."""
    if name.startswith("head."):
        return f"rm_{name}"
    own = name.removeprefix("model.")
    return own.replace("language_model.", "model.", 1)


def head(path: Path, width: int) -> nn.Module:
    """The aesthetic head's file."""
    made = lively(linear_head(width))
    torch.save({f"layers.{name}": value for name, value in made.state_dict().items()}, path)
    return made
