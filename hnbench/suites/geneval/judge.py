"""GenEval's judge: what the detector finds, the colours that a prompt asks for, and the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hnbench.data import data_file, sha256_of
from hnbench.errors import UsageError
from hnbench.hub import Source, download
from hnbench.seeds import digest
from hnbench.suites.base import Judge
from hnbench.suites.geneval.colours import BACKGROUND, COLOURS, TEMPLATES, ColourClassifier, CutOut, load_colour_classifier
from hnbench.suites.geneval.conversion import VERSION, load, official_folder
from hnbench.suites.geneval.detector import Detector
from hnbench.suites.geneval.rules import COUNTING_THRESHOLD, MAX_OBJECTS, POSITION_THRESHOLD, THRESHOLD, evaluate, filter_detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

    from hnbench.suites.base import Verdict
    from hnbench.suites.geneval.detector import Instance

    Found = Mapping[str, list[Instance]]

UNTRUSTED = 8
"""So many images without any detection, from the first one on, are taken for a detector that does not work."""
HUGGING_FACE = Source("facebook/mask2former-swin-small-coco-instance", patterns=("config.json", "model.safetensors"))
"""The original authors' own training of the same architecture."""


class GenEvalJudge(Judge):
    """GenEval's published rules and thresholds over a detector and a colour classifier.

    A verdict's `details` are the detections that counted, as in the `details` of GenEval's results: `{class: [[left, top, right, bottom,
    score], ...]}`, best first.
    """

    name = "geneval"

    def __init__(self, detector: Detector, classifier: ColourClassifier, *, fingerprint: str) -> None:
        """Take the parts; `fingerprint` is the detector's: whatever decides its weights."""
        self._detector, self._classifier = detector, classifier
        self._weights = fingerprint
        self._blank = 0
        self._trusted = False

    @property
    def fingerprint(self) -> str:
        rules = [THRESHOLD, COUNTING_THRESHOLD, MAX_OBJECTS, POSITION_THRESHOLD]
        return digest([self.name, 1, rules, self._weights, self._classifier.fingerprint, COLOURS, TEMPLATES, BACKGROUND])

    def judge(self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        """One verdict per image, in order. Images are RGB; `metadata` are lines of GenEval's `evaluation_metadata.jsonl`.

        A detector that found nothing in any of the first images is a `UsageError`: broken ones are known by an all-zero score.
        """
        everything = self._detector.detect(images, min(THRESHOLD, COUNTING_THRESHOLD))
        self._watch(everything)
        found = [filter_detections(each, str(about["tag"])) for each, about in zip(everything, metadata, strict=True)]
        coloured = self._coloured(images, found, metadata)
        return [replace(evaluate(each, about), details=_details(each)) for each, about in zip(coloured, metadata, strict=True)]

    def _watch(self, found: Sequence[Found]) -> None:
        self._trusted = self._trusted or any(found)
        if self._trusted:
            return
        self._blank += len(found)
        if self._blank >= UNTRUSTED:
            raise UsageError(
                f"the detector found nothing at all in the first {self._blank} images, so a score of them would say nothing: look at the "
                "images; if there are objects in them, the detector does not work here. Begin again in a new folder (--out)"
            )

    def _coloured(
        self, images: Sequence[Image.Image], found: Sequence[Found], metadata: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, list[Instance]]]:
        """The detections with the colours that the prompts ask for: of each class, as many as its clause looks at."""
        wanted = [
            (index, clause["class"], rank)
            for index, about in enumerate(metadata)
            for clause in about["include"]
            if clause.get("color") is not None
            for rank in range(min(clause["count"], len(found[index].get(clause["class"], []))))
        ]
        colours = self._classifier.classify([CutOut(images[index], name, found[index][name][rank]) for index, name, rank in wanted])
        coloured = [{name: list(instances) for name, instances in each.items()} for each in found]
        for (index, name, rank), colour in zip(wanted, colours, strict=True):
            coloured[index][name][rank] = replace(coloured[index][name][rank], colour=colour)
        return coloured


def _details(found: Found) -> dict[str, Any]:
    return {name: [[*instance.box, instance.score] for instance in instances] for name, instances in found.items()}


def class_names() -> tuple[str, ...]:
    """The 80 classes in the order of the network's outputs: COCO's, of which GenEval words three differently."""
    return tuple(data_file("geneval/object_names.txt").read_text("utf-8").split("\n")[:80])


def official_judge(device: str) -> GenEvalJudge:
    """The judge of the published protocol. Detector and classifier are downloaded on first use."""
    folder, sha256 = official_folder()
    detector = Detector(load(folder, "GenEval's detector"), class_names(), device)
    return GenEvalJudge(detector, load_colour_classifier(device), fingerprint=f"mmdet:{sha256}:{VERSION}")


def hugging_face_judge(device: str) -> GenEvalJudge:
    """The same judge over transformers' own checkpoint of the same architecture, which finds other objects."""
    folder = download(HUGGING_FACE)
    detector = Detector(load(folder, str(HUGGING_FACE)), class_names(), device)
    fingerprint = f"{HUGGING_FACE}:{sha256_of(folder / HUGGING_FACE.patterns[1])}"
    return GenEvalJudge(detector, load_colour_classifier(device), fingerprint=fingerprint)
