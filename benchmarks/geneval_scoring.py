"""Our judge of GenEval over the published structure, on random networks.

    python -m benchmarks.geneval_scoring --size tiny --images 8 --repeats 5
    python -m benchmarks.geneval_scoring --size published --images 2 --repeats 3

The published structure takes one picture at a time, enlarges the masks of all pairs of query and
class, and asks the colour classifier clause by clause. Ours takes all pictures at once. Both read
the same PNG files, and use the same networks with random weights: a small Mask2Former and a small
CLIP, or (`--size published`) those of the published sizes. Every prompt asks for the colour of the
object that the detector is most sure of. `over_published` is the ratio of images per second, ours
over theirs: the median, the smallest and the largest of the repeats; on a CPU 1.25 is the target,
at the published size, where the network has about 88% of the time. `same_verdicts` is the number of
pictures with the same verdict, reasons and detections included. On two cores, the first command
(the defaults) takes a minute, the second two.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.transform import image_transform
from PIL import Image
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from benchmarks.pairs import alternating, machine, options, ratios, spread, timed
from benchmarks.published.geneval import Scoring
from hnbench.suites.base import Verdict
from hnbench.suites.geneval.colours import ARCHITECTURE, ColourClassifier
from hnbench.suites.geneval.conversion import official_config
from hnbench.suites.geneval.detector import InstanceDetector
from hnbench.suites.geneval.judge import GenEvalJudge
from hnbench.suites.geneval.rules import THRESHOLD

SIZES = ("tiny", "published")
NAMES = tuple(f"thing {number}" for number in range(80))
"""The classes, as many as there are in COCO."""
SURE = {"tiny": 5.0, "published": 12.0}
"""Size -> the factor of the random class weights with which some detections pass the threshold."""


def tiny_config() -> Mask2FormerConfig:
    """A Mask2Former with 80 classes and few of everything else."""
    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 2, 1],
        num_heads=[1, 1, 2, 2],
        window_size=7,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
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
        num_queries=20,
        num_labels=80,
    )


def detector_of(size: str, device: str) -> InstanceDetector:
    """A random detector."""
    torch.manual_seed(0)
    config = official_config() if size == "published" else tiny_config()
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        if size == "tiny":  # its masks would be nearly empty
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.class_predictor.weight.mul_(SURE[size])
    return InstanceDetector(model.requires_grad_(False).eval(), NAMES, device)


def classifier_of(size: str, device: str) -> ColourClassifier:
    """A random classifier of colours."""
    torch.manual_seed(0)
    if size == "published":
        model = open_clip.create_model(ARCHITECTURE, pretrained=None)
    else:
        vision = CLIPVisionCfg(layers=2, width=32, head_width=16, patch_size=8, image_size=32)
        text = CLIPTextCfg(width=32, heads=2, layers=2)
        model = CLIP(16, vision, text, quick_gelu=True)
    return ColourClassifier(
        model,
        open_clip.SimpleTokenizer(),
        image_transform(model.visual.image_size, is_train=False),
        fingerprint="random",
        device=device,
    )


def write_pictures(folder: Path, count: int, side: int) -> list[Path]:
    """Pictures of smooth random colours, as PNG files."""
    draw = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        blocks = draw.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(blocks).resize((side, side), Image.Resampling.BICUBIC).save(path)
    return paths


def opened(paths: Sequence[Path]) -> list[Image.Image]:
    """The pictures of these files, decoded."""
    return [Image.open(path).convert("RGB") for path in paths]


def prompts_for(detector: InstanceDetector, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """For each picture the metadata of a prompt that asks for the most likely class in red, or for
    a class that is not there.
    """
    prompts = []
    for found in detector.detect(opened(paths), THRESHOLD):
        best = max(found, key=lambda name: max(one.score for one in found[name]), default=NAMES[0])
        prompts.append({"tag": "colors", "include": [{"class": best, "count": 1, "color": "red"}]})
    return prompts


def same(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts are the same, with the same detections up to rounding: boxes to a pixel,
    scores to 0.001.
    """
    if (one.correct, one.reason) != (other.correct, other.reason):
        return False
    if {name: len(found) for name, found in one.details.items()} != {
        name: len(found) for name, found in other.details.items()
    }:
        return False
    return all(
        np.allclose(found, other.details[name], rtol=0, atol=[1, 1, 1, 1, 1e-3])
        for name, found in one.details.items()
    )


def measure(
    device: str, size: str, images: int, repeats: int, side: int | None = None
) -> dict[str, Any]:
    """The comparison as JSON types."""
    detector, classifier = detector_of(size, device), classifier_of(size, device)
    judge = GenEvalJudge(detector, classifier, fingerprint="random")
    published = Scoring(detector, classifier)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_pictures(Path(folder), images, side or (512 if size == "published" else 64))
        prompts = prompts_for(detector, paths)
        verdicts: dict[str, list[Verdict]] = {}

        def ours() -> None:
            verdicts["ours"] = judge.judge(opened(paths), prompts)

        def theirs() -> None:
            verdicts["published"] = [
                published.score(path, about) for path, about in zip(paths, prompts, strict=True)
            ]

        works = {"ours": ours, "published": theirs}
        for work in works.values():
            work()
        seconds = alternating(
            {
                name: lambda work=work: timed(work, torch.device(device)).seconds  # type: ignore[misc]
                for name, work in works.items()
            },
            repeats,
            "geneval",
        )
    return {
        "over_published": ratios(seconds["published"], seconds["ours"]),
        "images_per_second": {
            name: images / spread(taken)["median"] for name, taken in seconds.items()
        },
        "same_verdicts": sum(
            same(one, other)
            for one, other in zip(verdicts["ours"], verdicts["published"], strict=True)
        ),
        "detections": sum(
            len(instances) for verdict in verdicts["ours"] for instances in verdict.details.values()
        ),
    }


def main() -> None:
    """Measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--images", type=int, default=8)
    chosen = parser.parse_args()
    print(
        json.dumps({**vars(chosen), **machine(chosen.device), **measure(**vars(chosen))}, indent=2)
    )


if __name__ == "__main__":
    main()
