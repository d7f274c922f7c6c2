"""The repositories of the measures' weights on the Hub."""

from __future__ import annotations

from hnbench.weights.files import MODEL
from hnbench.weights.hub import Source

DINOV2_BASE = Source("facebook/dinov2-base", needs=MODEL)
DINOV2_LARGE = Source("facebook/dinov2-large", needs=MODEL)
CLIP_336 = Source("openai/clip-vit-large-patch14-336", needs=MODEL)
VQASCORE = Source(
    "Qwen/Qwen2.5-VL-7B-Instruct", patterns=("*.json", "*.jinja", "*.txt", "*.model"), needs=MODEL
)
"""The default model. Its licence is Apache 2.0 (that of the 3B model allows research only), and
t2v-metrics 3.1 has it in its examples.
"""
