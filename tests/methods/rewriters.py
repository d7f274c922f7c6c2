"""Rewriters for tests: programs of a few lines, and a small random language model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKS = ["<|end|>", "<|user|>", "<|assistant|>"]
CLOSED = ("a cat", "a sleeping cat", "one cat", "a cat in a garden", "the cat", "a small cat")
"""A closed set of proposals."""


def program(folder: Path, code: str, name: str = "rewrite.py") -> str:
    """The command of a program with the request as `request`."""
    path = folder / name
    path.write_text(f"import json, sys\nrequest = json.load(sys.stdin)\n{code}\n", "utf-8")
    return f"{shlex.quote(sys.executable)} -I {shlex.quote(str(path))}"


def closed(folder: Path) -> str:
    """A program that proposes those of `CLOSED` that were not tried yet, from the front."""
    return program(
        folder,
        f"tried = [one['prompt'] for one in request['tried']]\n"
        f"left = [text for text in {CLOSED!r} if text not in tried]\n"
        "print(*left[:request['proposals']], sep='\\n')",
    )


def language_model_folder(folder: Path, seed: int = 0, *, chat: bool = True) -> Path:
    """A Llama over bytes, with weights so large that its replies depend on every word."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_tokens(sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token=MARKS[0], extra_special_tokens=MARKS[1:]
    )
    if chat:
        tokenizer.chat_template = CHAT
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    draw = torch.Generator().manual_seed(seed)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.copy_(torch.randn(value.shape, generator=draw) / value.shape[1] ** 0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
