"""Small random vision-language models of the real classes, with real processors and tokenizers,
saved as the published ones are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

TEXTS = [
    'Does this figure show "a photo of a person"? Please answer yes or no.',
    "Yes Yes Yes No No No",
    "user assistant USER: ASSISTANT: Yes No",
]

QWEN_CHAT = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}\
{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}\
{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
QWEN_MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]

LLAVA_CHAT = """\
{% for message in messages %}{{ message.role | upper }}: \
{% for part in message.content %}\
{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }} {% endif %}\
{% endfor %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"""

IDEFICS_CHAT = """\
<|im_start|>{% for message in messages %}{{ message.role | capitalize }}{{ ':' if message.content[0].type == 'image' else ': ' }}\
{% for part in message.content %}\
{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}\
{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"""
IDEFICS_MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<end_of_utterance>",
    "<fake_token_around_image>",
    "<image>",
    "<global-img>",
]


def qwen(folder: Path, seed: int = 0) -> Path:
    """A Qwen2.5-VL: bytes and their merges, images of any size, and an answer that begins a
    line.
    """
    tokenizer = byte_tokenizer(QWEN_MARKS, "<|im_end|>")
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=112 * 112),
        tokenizer,
        Qwen2VLVideoProcessor(),
        chat_template=QWEN_CHAT,
    )
    marks = {
        name: tokenizer.convert_tokens_to_ids(f"<|{name}|>")
        for name in ("image_pad", "video_pad", "vision_start", "vision_end")
    }
    config = Qwen2_5_VLConfig(
        text_config={
            **decoder(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 16, "fullatt_block_indexes": [1],
        },
        image_token_id=marks["image_pad"], video_token_id=marks["video_pad"],
        vision_start_token_id=marks["vision_start"], vision_end_token_id=marks["vision_end"],
    )  # fmt: skip
    return _save(folder, Qwen2_5_VLForConditionalGeneration, config, processor, seed)


def llava(folder: Path, seed: int = 0) -> Path:
    """A LLaVA 1.5: words with the space before them, images of one size, a start token, and an
    answer after a colon.
    """
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    words.decoder = decoders.Metaspace(prepend_scheme="first")
    marks = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    alphabet = [chr(code) for code in range(33, 127)]
    words.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
        ),
    )
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=["<image>"],
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), tokenizer,
        patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=LLAVA_CHAT,
    )  # fmt: skip
    vision = CLIPVisionConfig(**_SIZE, image_size=32, patch_size=8, projection_dim=8)
    config = LlavaConfig(
        vision_config=vision, text_config=LlamaConfig(**decoder(tokenizer)), image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2, vision_feature_select_strategy="default",
    )  # fmt: skip
    return _save(folder, LlavaForConditionalGeneration, config, processor, seed)


def idefics(folder: Path, seed: int = 0) -> Path:
    """An Idefics3, as SmolVLM is: images in tiles, and an answer after a colon, with a space that
    is part of its token.
    """
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = byte_tokenizer([*IDEFICS_MARKS, *tiles], "<end_of_utterance>")
    image_processor = Idefics3ImageProcessor(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    processor = Idefics3Processor(
        image_processor, tokenizer, image_seq_len=4, chat_template=IDEFICS_CHAT
    )
    config = Idefics3Config(
        vision_config={**_SIZE, "image_size": 32, "patch_size": 8}, text_config={"model_type": "llama", **decoder(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2,
    )  # fmt: skip
    return _save(folder, Idefics3ForConditionalGeneration, config, processor, seed)


def byte_tokenizer(marks: list[str], end: str) -> PreTrainedTokenizerFast:
    """A tokenizer of bytes and their merges, with these special tokens."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<|endoftext|>", eos_token=end)


_SIZE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def decoder(tokenizer: Any) -> dict[str, Any]:
    """The settings of a small decoder for a tokenizer."""
    marks = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    return {
        **_SIZE,
        **marks,
        "num_key_value_heads": 2,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 512,
    }


def _save(folder: Path, kind: Any, config: Any, processor: Any, seed: int) -> Path:
    """Weights are large enough that other pictures and other words give clearly other answers."""
    generator = torch.Generator().manual_seed(seed)
    model = kind(config)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.copy_(
                    torch.randn(value.shape, generator=generator) / value.flatten(1).shape[1] ** 0.5
                )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
