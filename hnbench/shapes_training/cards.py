"""Model cards from measured scores: a `README.md` in each model's folder, and one `scores.json` for
all stages.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WHAT = {
    "autoencoder": (
        "The autoencoder (diffusers' AutoencoderTiny): 64x64 RGB to 8x8x16 latents and back."
    ),
    "clip": (
        "A part of the optimised reward (transformers' CLIPModel): a ViT of 4 layers of width 96 "
        "and a text transformer of 3 layers of width 64."
    ),
    "resnet": (
        "A part of the optimised reward (open_clip): a ModifiedResNet of width 8 on 128x128 images"
        " and a text transformer of 3 layers of width 64."
    ),
    "byobnet": (
        "A part of the optimised reward (open_clip): timm's smallest ByobNet on 96x96 images and a"
        " text transformer of 2 layers of width 64."
    ),
    "efficientnet": (
        "The reward that is held out (open_clip): timm's smallest EfficientNet on 96x96 images and"
        " a text transformer of 2 layers of width 64."
    ),
    "pretrained": "Where the teacher begins: its network, first taught to draw.",
    "teacher": (
        "A flow-matching model in latent space with its text encoder; the generator is distilled"
        " from it."
    ),
    "generator": (
        "The one-step text-to-image generator (diffusers' StableDiffusionPipeline:"
        " UNet2DConditionModel, AutoencoderTiny, CLIPTextModel), distilled from a flow-matching"
        " teacher: regressed onto the ends of the teacher's guided trajectories. Imperfect on"
        " purpose: its score leaves room for what is compared on it."
    ),
}
BUILT_ON = {"pretrained": ("autoencoder",), "teacher": ("pretrained",), "generator": ("teacher",)}
_DUAL = (
    "Share of fresh drawn images whose caption scores above the hard negative of that kind (chance"
    " 0.5); `spoilt`: share whose clean image scores above a spoilt one."
)
MEANING = {
    "clip": _DUAL,
    "resnet": _DUAL,
    "byobnet": _DUAL,
    "efficientnet": _DUAL,
    "teacher": (
        "Share judged right by the classical detector under GenEval's rules, 8 guided steps."
    ),
    "generator": (
        "Share judged right by the classical detector under GenEval's rules, one step, captions of"
        " the whole world."
    ),
}


def note(out: Path, stage: str, found: Mapping[str, Any]) -> None:
    """Add a stage's outcome to `scores.json`, and write the card if the stage has a folder."""
    path = out / "scores.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    earlier = {name: known[name] for name in BUILT_ON.get(stage, ()) if name in known}
    known[stage] = {**found, "earlier": earlier} if earlier else dict(found)
    path.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    # Adapters are not in WHAT, because `hnbench train` writes their cards.
    if stage in WHAT and (out / stage).is_dir():
        (out / stage / "README.md").write_text(card(stage, known[stage]), "utf-8")


def card(stage: str, found: Mapping[str, Any]) -> str:
    """One model card in Markdown."""
    lines = [
        "---",
        "license: mit",
        "library_name: hnbench",
        "---",
        "",
        f"# shapes: {stage}",
        "",
        WHAT[stage],
        "",
    ]
    lines += [
        (
            "Data: images drawn by `hnbench.shapes.drawing` from captions of"
            " `hnbench.shapes.captions`; nothing else."
        ),
        "",
    ]
    if found["scores"]:
        lines += [
            MEANING[stage],
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value:.3f} |" for name, value in found["scores"].items()),
            "",
        ]
    lines += [
        f"Trained in {_minutes(found)} with {found['threads']} thread(s), on {found['device']}, by",
        "",
        (
            f"    python -m hnbench.shapes_training {stage} --out FOLDER --threads"
            f" {found['threads']} --device {found['device']}"
        ),
        "",
    ]
    for earlier, its in found.get("earlier", {}).items():
        lines += [f"Built on the stage `{earlier}` ({_minutes(its)}).", ""]
    return "\n".join(lines)


def _minutes(found: Mapping[str, Any]) -> str:
    return f"{found['seconds'] / 60:.0f} minutes"
