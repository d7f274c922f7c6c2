"""The places of the published rewards' files, and the published mixture of these rewards. A
reward's first source has its weights; a second one has a tokenizer or another model from elsewhere.
"""

from __future__ import annotations

from hnbench.weights.files import MODEL
from hnbench.weights.hub import Source

_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_PROCESSOR = (("preprocessor_config.json",),)
_WORDS = (("tokenizer.json",), ("vocab.json",)), (("tokenizer.json",), ("merges.txt",))
"""A tokenizer of CLIP in one file, or in two of which both are needed."""

_LAION_H14 = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


def _one(name: str) -> tuple[tuple[str, ...], ...]:
    """The need for one file (`Source.needs`)."""
    return ((name,),)


CLIP = (Source(_LAION_H14, patterns=_TOKENIZER, needs=(*MODEL, _PROCESSOR, *_WORDS)),)
PICKSCORE = (
    Source("yuvalkirstain/PickScore_v1", needs=MODEL),
    Source(_LAION_H14, patterns=_TOKENIZER, needs=(_one("config.json"), _PROCESSOR, *_WORDS)),
)
HPSV2_0 = (Source("xswu/HPSv2", needs=(_one("HPS_v2_compressed.pt"),)),)
HPSV2_1 = (Source("xswu/HPSv2", needs=(_one("HPS_v2.1_compressed.pt"),)),)
IMAGEREWARD = (
    Source("THUDM/ImageReward", needs=(_one("ImageReward.pt"),)),
    Source(
        "google-bert/bert-base-uncased",
        patterns=("tokenizer_config.json", "vocab.txt"),
        needs=((("tokenizer.json",), ("vocab.txt",)),),
    ),
)
AESTHETIC = (
    Source(
        "camenduru/improved-aesthetic-predictor", needs=(_one("sac+logos+ava1-l14-linearMSE.pth"),)
    ),
    Source("openai/clip-vit-large-patch14", needs=MODEL),
)
"""The head is in the authors' GitHub repository; this is a copy on the Hub. A record's fingerprint
depends on the content, not on the place.
"""
HPSV3 = (
    Source("MizzenAI/HPSv3", needs=(_one("HPSv3.safetensors"),)),
    Source(
        "Qwen/Qwen2-VL-7B-Instruct",
        patterns=(*_TOKENIZER, "chat_template.json", "chat_template.jinja"),
        needs=(
            _one("config.json"),
            (("preprocessor_config.json",), ("processor_config.json",)),
            *_WORDS,
        ),
    ),
)
"""The second repository has the configuration and the processor of the model that HPSv3 began as;
its weights are not needed.
"""
HPSV3_TEXT = "hpsv3/data_collator_qwen.py"
"""The file of `hnbench.weights.pinned_files` with the text that HPSv3 reads."""

HUMAN_PREFERENCE = {"hpsv2.1": 5.0, "imagereward": 1.0, "clip": 0.01, "pickscore": 0.05}
"""Reward name -> weight: the mixture that ReNO (arXiv 2406.04312) and HyperNoise (arXiv 2508.09968)
optimise, with HPS v2.1.
"""
