"""T2I-CompBench's models: small random ones of the real classes, saved as the published ones
are.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tests.rewards.tiny import lively

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "red",
    "green",
    "apple",
    "bench",
    "and",
    "of",
    "?",
    "the",
    "photo",
]
WORDS += [
    "an",
    "person",
    "bicycle",
    "zebra",
    "pizza",
    "bathtub",
    "elephant",
    "train",
    "banana",
    "giraffe",
    "toilet",
]
WORDS += ["cat", "dog", "diagram"]


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(
        WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    plain.pre_tokenizer = BertPreTokenizer()
    plain.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=plain, **names).save_pretrained(folder)


def blip(folder: Path) -> Path:
    from transformers import BlipConfig, BlipForQuestionAnswering

    torch.manual_seed(0)
    text = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "encoder_hidden_size": 16,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 384,
    }
    config = BlipConfig(
        text_config={**text, "projection_dim": 8, "initializer_range": 0.5},
        vision_config={**vision, "patch_size": 96, "initializer_range": 0.5},
        image_text_hidden_size=8,
    )
    BlipForQuestionAnswering(config).save_pretrained(folder)
    _tokenizer(folder)
    return folder


def clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(1)
    size = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {**size, "vocab_size": len(WORDS), "max_position_embeddings": 12, "eos_token_id": 3}
    config = CLIPConfig(
        text_config=text,
        vision_config={**size, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    lively(CLIPModel(config)).save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    _tokenizer(folder)
    return folder


def detector(folder: Path) -> Path:
    """A DETR that finds something in every query: its classifier is biased towards three
    classes.
    """
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    torch.manual_seed(2)
    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 8, 8],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage4"],
    )
    layers = {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
    }
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        d_model=16,
        num_queries=6,
        id2label={0: "Person", 1: "Dog", 2: "Dining Table"},
        label2id={"Person": 0, "Dog": 1, "Dining Table": 2},
        **layers,
        **heads,
    )
    model = DetrForObjectDetection(config)
    with torch.no_grad():
        model.class_labels_classifier.weight.mul_(100)
        model.class_labels_classifier.bias.copy_(torch.tensor([2.0, 2.0, 2.0, -9.0]))
    model.save_pretrained(folder)
    DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


def depth(folder: Path) -> Path:
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    torch.manual_seed(3)
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=96,
        patch_size=48,
        is_hybrid=False,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        use_batch_norm_in_fusion_residual=False,
        initializer_range=0.3,
    )
    model = DPTForDepthEstimation(config)
    with torch.no_grad():
        model.head.head[4].weight.mul_(1e-3)
        model.head.head[4].bias.fill_(10.0)  # the last ReLU has to let it through
    model.save_pretrained(folder)
    DPTImageProcessor(size={"height": 96, "width": 96}).save_pretrained(folder)
    return folder
