"""T2I-CompBench's judge: one score per image, from the rules of the prompt's category and the
models that the user chose.

UniDet, the published detector, is on no package index, and its weights are for non-commercial use.
A detector of transformers takes its place, with other classes and other confidences. So scores of
`spatial`, `3d_spatial`, `numeracy` and `complex` are not comparable with the published tables; the
judge's name says which models it uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from hnbench.seeds import digest
from hnbench.suites.base import Judge, Verdict
from hnbench.suites.t2i_compbench import depth_order, spatial
from hnbench.suites.t2i_compbench.models import (
    BlipVqa,
    ClipCosine,
    Depth,
    ObjectDetector,
    folder_of,
)
from hnbench.suites.t2i_compbench.numeracy import counted_objects, numeracy_score
from hnbench.suites.t2i_compbench.parses import NOT_ASKED, Parse, load_parses, parse_of
from hnbench.suites.t2i_compbench.prompts import countable_objects, kinds_of_complex
from hnbench.suites.t2i_compbench.verification import (
    verify_blip,
    verify_clip,
    verify_depth,
    verify_detector,
)
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.known_picture import photograph
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL import Image

VERSION = 2
"""The version of this judge's computations; part of the fingerprint."""
PHRASES = 8
"""The most noun phrases of a prompt that BLIP is asked about."""
_ATTRIBUTES = ("color", "shape", "texture")
_USED = {
    **dict.fromkeys(_ATTRIBUTES, ("blip",)),
    "spatial": ("detector",),
    "3d_spatial": ("detector", "depth"),
    "numeracy": ("detector",),
    "non_spatial": ("clip",),
    "complex": ("blip", "detector", "clip"),
}
"""Category -> the models that judge it."""
_PARSED = frozenset(_USED) - {"numeracy", "non_spatial"}
"""The categories whose prompts are parsed."""


@dataclass(frozen=True)
class ModelNames:
    """The models, each a repository of the Hugging Face Hub (`owner/name` or `owner/name@revision`)
    or a local folder.
    """

    blip: str = "Salesforce/blip-vqa-capfilt-large"
    detector: str = "ustc-community/dfine-xlarge-obj365"
    depth: str = "Intel/dpt-hybrid-midas"
    clip: str = "openai/clip-vit-base-patch32"


class CompBenchJudge(Judge):
    """The judge of the given categories. Models are located (and downloaded) when the judge is
    made, and loaded when the first image needs them.
    """

    def __init__(
        self,
        categories: Sequence[str],
        names: ModelNames,
        rules: spatial.Rules,
        device: str,
        parser: str = "",
    ) -> None:
        """`parser` is one of `parses.PARSERS`. Without it, the user's own parses are used, or else
        those of the default parser.
        """
        self._rules, self._device = rules, device
        used = [
            item.name
            for item in fields(ModelNames)
            if any(item.name in _USED[category] for category in categories)
        ]
        self._names: dict[str, str] = {model: getattr(names, model) for model in used}
        self._parses = load_parses(parser) if _PARSED & set(categories) else None
        parsed_by = [f"parser {self._parses.parser}"] if self._parses else []
        self.name = "; ".join(
            [
                f"T2I-CompBench's rules, {rules}",
                *(f"{model} {name}" for model, name in self._names.items()),
                *parsed_by,
            ]
        )
        self._folders: dict[str, Path] = {
            model: folder_of(name) for model, name in self._names.items()
        }

    @cached_property
    def fingerprint(self) -> str:  # cached, because it reads all weights
        return digest(
            [
                "t2i-compbench",
                VERSION,
                self._rules,
                self.networks,
                self._parses.fingerprint if self._parses else None,
            ]
        )

    @cached_property
    def networks(self) -> dict[str, str]:  # cached, because it reads all weights
        return {model: fingerprint_of(folder) for model, folder in self._folders.items()}

    def verify(self) -> None:
        """Show a photograph of a person to every model in use (see `verification`)."""
        picture = photograph()
        checks = {
            "blip": lambda name: verify_blip(self._blip, name, picture),
            "detector": lambda name: verify_detector(self._detector, name, picture),
            "depth": lambda name: verify_depth(self._depth, name, picture),
            "clip": lambda name: verify_clip(self._clip, name, picture),
        }
        for model, name in self._names.items():
            checks[model](name)

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        return [
            self._verdict(rgb(image), str(about["category"]), str(about["prompt"]))
            for image, about in zip(images, metadata, strict=True)
        ]

    def _verdict(self, image: Image.Image, category: str, prompt: str) -> Verdict:
        if category in _ATTRIBUTES:
            score, reason = self._attributes(image, prompt)
        elif category == "non_spatial":
            score, reason = self._clip.cosine(image, prompt), ""
        elif category == "complex":
            score, reason = self._complex(image, prompt)
        else:
            score, reason = self._placed(image, category, prompt)
        return Verdict(correct=None, reason=reason, score=score)

    def _attributes(self, image: Image.Image, prompt: str) -> tuple[float, str]:
        """BLIP-VQA: the product of the probabilities that each noun phrase is in the image; 1 if
        there is no phrase. The reason has the doubtful phrases.
        """
        chunks = [chunk for chunk in self._parse(prompt).chunks if chunk not in NOT_ASKED][:PHRASES]
        chances = self._blip.yes(image, chunks)
        doubted = [
            f"{chunk}? {chance:.2f}"
            for chunk, chance in zip(chunks, chances, strict=True)
            if chance < 0.5
        ]
        # Rounded to four decimals, like the published results.
        return round(prod(chances), 4), "\n".join(doubted)

    def _placed(self, image: Image.Image, category: str, prompt: str) -> tuple[float, str]:
        """The score of the categories that are judged by detected objects."""
        found = self._detector.detect(image)
        if category == "numeracy":
            return numeracy_score(
                counted_objects(re.findall(r"\w+", prompt), countable_objects()), found, self._rules
            )
        words, tags = self._tagged(prompt)
        objects = spatial.objects_of(
            [word for word, tag in zip(words, tags, strict=True) if tag == "NOUN"]
        )
        if category == "spatial":
            return spatial.spatial_score(objects, spatial.relation_in(prompt), found, self._rules)
        return depth_order.depth_score(
            objects, depth_order.relation_in(prompt), found, self._depth.depth(image), self._rules
        )

    def _complex(self, image: Image.Image, prompt: str) -> tuple[float, str]:
        """3-in-1: the mean of BLIP-VQA and the position (prompts of kind `spatial`), CLIP's cosine
        (`action`), or both.
        """
        words, tags = self._tagged(prompt)
        parts = [self._attributes(image, prompt)]
        kind = kinds_of_complex()[prompt]
        if kind != "action":
            objects = spatial.objects_of_complex(words, tags)
            parts.append(
                spatial.spatial_score(
                    objects, spatial.relation_in(prompt), self._detector.detect(image), self._rules
                )
            )
        if kind != "spatial":
            plain = " ".join(word for word, tag in zip(words, tags, strict=True) if tag != "ADJ")
            parts.append((self._clip.cosine(image, plain), ""))
        return three_in_one([score for score, _ in parts]), "\n".join(
            reason for _, reason in parts if reason
        )

    def _parse(self, prompt: str) -> Parse:
        assert self._parses is not None  # noqa: S101
        return parse_of(self._parses, prompt)

    def _tagged(self, prompt: str) -> tuple[list[str], list[str]]:
        parse = self._parse(prompt)
        return list(parse.words), list(parse.tags)

    @cached_property
    def _blip(self) -> BlipVqa:
        return BlipVqa(self._folders["blip"], self._device)

    @cached_property
    def _clip(self) -> ClipCosine:
        return ClipCosine(self._folders["clip"], self._device)

    @cached_property
    def _detector(self) -> ObjectDetector:
        return ObjectDetector(self._folders["detector"], self._device)

    @cached_property
    def _depth(self) -> Depth:
        return Depth(self._folders["depth"], self._device)


def three_in_one(parts: Sequence[float]) -> float:
    """The score of a prompt of `complex`: the plain mean of the scores (BLIP-VQA, 2D-spatial, CLIP)
    that apply to it.

    >>> three_in_one([0.9, 0.6])
    0.75
    """
    return sum(parts) / len(parts)
