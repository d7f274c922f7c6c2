"""Where the measures' weights are on the Hub."""

from __future__ import annotations

from hnbench.weights.files import MODEL
from hnbench.weights.hub import Source

DINOV2_BASE = Source("facebook/dinov2-base", needs=MODEL)
DINOV2_LARGE = Source("facebook/dinov2-large", needs=MODEL)
CLIP_336 = Source("openai/clip-vit-large-patch14-336", needs=MODEL)
VQASCORE = Source(
    "Qwen/Qwen2.5-VL-7B-Instruct", patterns=("*.json", "*.jinja", "*.txt", "*.model"), needs=MODEL
)
"""The default model: Apache 2.0 (the 3B is for research only), and the one that t2v-metrics 3.1
shows in its examples.
"""
