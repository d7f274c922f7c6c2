"""Where the published rewards' files are. What is weighed comes first, a tokenizer from elsewhere second."""

from __future__ import annotations

from hnbench.hub import Source
from hnbench.weights.files import MODEL

_CLIP_PROCESSOR = (
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)

_LAION_H14 = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"

CLIP = (Source(_LAION_H14, patterns=MODEL + _CLIP_PROCESSOR),)
PICKSCORE = (Source("yuvalkirstain/PickScore_v1", patterns=MODEL), Source(_LAION_H14, patterns=("config.json", *_CLIP_PROCESSOR)))
HPSV2_0 = (Source("xswu/HPSv2", patterns=("HPS_v2_compressed.pt",)),)
HPSV2_1 = (Source("xswu/HPSv2", patterns=("HPS_v2.1_compressed.pt",)),)
IMAGEREWARD = (
    Source("THUDM/ImageReward", patterns=("ImageReward.pt",)),
    Source("google-bert/bert-base-uncased", patterns=("tokenizer.json", "tokenizer_config.json", "vocab.txt")),
)
AESTHETIC = (
    Source("camenduru/improved-aesthetic-predictor", patterns=("sac+logos+ava1-l14-linearMSE.pth",)),
    Source("openai/clip-vit-large-patch14", patterns=MODEL),
)
"""The head is in the authors' GitHub repository; this is a copy of it on the Hub. The record's fingerprint is by content."""
