"""GenEval's judge: a detector, a classifier of colours, and the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hnbench.files.hashing import sha256_of_file
from hnbench.files.prompt_files import read_text
from hnbench.seeds import digest
from hnbench.suites.base import Judge
from hnbench.suites.geneval.colours import (
    BACKGROUND,
    TEMPLATES,
    ColourClassifier,
    CutOut,
    load_colour_classifier,
)
from hnbench.suites.geneval.conversion import VERSION, load, official_folder
from hnbench.suites.geneval.detector import Instance, InstanceDetector
from hnbench.suites.geneval.rules import (
    COLOURS,
    COUNTING_THRESHOLD,
    MAX_OBJECTS,
    POSITION_THRESHOLD,
    THRESHOLD,
    evaluate,
    filter_detections,
)
from hnbench.weights.hub import Source, download
from hnbench.weights.known_picture import distrusted, photograph
from hnbench.weights.pinned_files import data_file
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.suites.base import Verdict

    Found = Mapping[str, list[Instance]]

PLAIN = {"red": (220, 30, 30), "blue": (30, 60, 220)}
"""Colours that nobody can mistake, for the check of the classifier."""
HUGGING_FACE = Source(
    "facebook/mask2former-swin-small-coco-instance",
    needs=((("config.json",),), (("model.safetensors",),)),
)
"""The original authors' own training of the same architecture."""


class GenEvalJudge(Judge):
    """GenEval's published rules and thresholds, applied to a detector and a colour classifier.

    A verdict's `details` are the detections that counted, as in the `details` of GenEval's results:
    `{class: [[left, top, right, bottom, score], ...]}`, best first.
    """

    name = "geneval"

    def __init__(
        self, detector: InstanceDetector, classifier: ColourClassifier, *, fingerprint: str
    ) -> None:
        """`fingerprint` identifies the detector's weights."""
        self._detector, self._classifier = detector, classifier
        self._weights = fingerprint

    @property
    def fingerprint(self) -> str:
        rules = [THRESHOLD, COUNTING_THRESHOLD, MAX_OBJECTS, POSITION_THRESHOLD]
        return digest(
            [
                self.name,
                1,
                rules,
                self._weights,
                self._classifier.fingerprint,
                COLOURS,
                TEMPLATES,
                BACKGROUND,
            ]
        )

    @property
    def networks(self) -> dict[str, str]:
        return {"detector": self._weights, "colour classifier": self._classifier.fingerprint}

    @property
    def detector(self) -> InstanceDetector:
        """The detector of objects."""
        return self._detector

    def verify(self) -> None:
        """Find the person in a photograph, with the confidence that counting requires, and the
        colours of a red and a blue disc.
        """
        (found,) = self._detector.detect([photograph()], THRESHOLD)
        best = {
            name: max(instance.score for instance in instances) for name, instances in found.items()
        }
        if best.get("person", 0.0) <= COUNTING_THRESHOLD:
            listed = ", ".join(
                f"{name} {score:.2f}"
                for name, score in sorted(best.items(), key=lambda item: -item[1])[:5]
            )
            raise distrusted(
                "GenEval's detector",
                f"a person above {COUNTING_THRESHOLD}",
                listed or f"nothing above {THRESHOLD}",
            )
        named = self._classifier.classify([_disc(pixel) for pixel in PLAIN.values()])
        if named != list(PLAIN):
            raise distrusted(
                "GenEval's colour classifier", f"discs of {', '.join(PLAIN)}", ", ".join(named)
            )

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        """One verdict per image, in order. `metadata` are lines of GenEval's
        `evaluation_metadata.jsonl`.
        """
        images = [rgb(image) for image in images]
        everything = self._detector.detect(images, min(THRESHOLD, COUNTING_THRESHOLD))
        found = [
            filter_detections(each, str(about["tag"]))
            for each, about in zip(everything, metadata, strict=True)
        ]
        coloured = self._coloured(images, found, metadata)
        return [
            replace(evaluate(each, about), details=_details(each))
            for each, about in zip(coloured, metadata, strict=True)
        ]

    def _coloured(
        self,
        images: Sequence[Image.Image],
        found: Sequence[Found],
        metadata: Sequence[Mapping[str, Any]],
    ) -> list[dict[str, list[Instance]]]:
        """The detections with their colours, if the prompt asks for a colour. Only the `count` best
        detections of a class get one, because its clause looks at no others.
        """
        wanted = [
            (index, clause["class"], rank)
            for index, about in enumerate(metadata)
            for clause in about["include"]
            if clause.get("color") is not None
            for rank in range(min(clause["count"], len(found[index].get(clause["class"], []))))
        ]
        colours = self._classifier.classify(
            [CutOut(images[index], name, found[index][name][rank]) for index, name, rank in wanted]
        )
        coloured = [{name: list(instances) for name, instances in each.items()} for each in found]
        for (index, name, rank), colour in zip(wanted, colours, strict=True):
            coloured[index][name][rank] = replace(coloured[index][name][rank], colour=colour)
        return coloured


def _disc(pixel: tuple[int, int, int]) -> CutOut:
    """A plain disc of this colour, as if the detector had found a frisbee."""
    side = 224
    offset = np.arange(side) - (side - 1) / 2
    mask = np.hypot(offset[:, None], offset) < side / 2
    return CutOut(
        Image.new("RGB", (side, side), pixel),
        "frisbee",
        Instance((0.0, 0.0, side, side), 1.0, mask=mask),
    )


def _details(found: Found) -> dict[str, Any]:
    return {
        name: [[*instance.box, instance.score] for instance in instances]
        for name, instances in found.items()
    }


def class_names() -> tuple[str, ...]:
    """The 80 classes in the order of the network's outputs: those of COCO, three of them with other
    names in GenEval.
    """
    return tuple(read_text(data_file("geneval/object_names.txt")).split("\n")[:80])


def official_judge(device: str) -> GenEvalJudge:
    """The judge of the published protocol. Detector and classifier are downloaded on first use."""
    folder, sha256 = official_folder()
    detector = InstanceDetector(load(folder, "GenEval's detector"), class_names(), device)
    return GenEvalJudge(
        detector, load_colour_classifier(device), fingerprint=f"mmdet:{sha256}:{VERSION}"
    )


def hugging_face_judge(device: str) -> GenEvalJudge:
    """The same judge with the original authors' training of the same architecture, which finds
    other objects.
    """
    folder = download(HUGGING_FACE)
    detector = InstanceDetector(load(folder, str(HUGGING_FACE)), class_names(), device)
    fingerprint = f"{HUGGING_FACE}:{sha256_of_file(folder / 'model.safetensors')}"
    return GenEvalJudge(detector, load_colour_classifier(device), fingerprint=fingerprint)
