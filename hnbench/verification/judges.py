"""Checks of judges: they are compared with published answers of their networks, with published
scores from end to end, or with other implementations.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from hnbench.catalogue import specifications
from hnbench.images.judging import score
from hnbench.images.layouts.geneval import METADATA, SAMPLES, read_geneval
from hnbench.images.score_table import summarise
from hnbench.suites.geneval.colours import TEMPLATES, CutOut, load_colour_classifier
from hnbench.suites.geneval.detector import Instance
from hnbench.suites.geneval.judge import hugging_face_judge
from hnbench.suites.geneval.rules import COLOURS
from hnbench.suites.t2i_compbench.judge import ModelNames
from hnbench.suites.t2i_compbench.models import (
    BlipVqa,
    ClipCosine,
    Depth,
    ObjectDetector,
    folder_of,
)
from hnbench.weights import hub
from hnbench.weights.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.verification.check import CheckContext

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def compbench_attributes(check: CheckContext) -> None:
    """Compare the product of BLIP's answers to each picture's phrases, by the picture's name."""
    model = BlipVqa(_compbench_model(check, "blip"), check.device)
    for name, phrases in check.reference.given["phrases"].items():
        answers = model.yes(check.picture(name), phrases)
        check.compare(name, float(np.prod(answers)))


def blip_words(check: CheckContext) -> None:
    """Compare BLIP's answer in words to each question about a picture."""
    model = BlipVqa(_compbench_model(check, "blip"), check.device)
    for question in check.reference.expected:
        check.compare(question, model.answer(check.picture("demo.jpg"), question))


def clip_cosines(check: CheckContext) -> None:
    """Compare the cosine of a picture and each text."""
    model = ClipCosine(_compbench_model(check, "clip"), check.device)
    for text in check.reference.expected:
        check.compare(text, model.cosine(check.picture("picture"), text))


def clip_shares(check: CheckContext) -> None:
    """Compare the shares of several texts: the softmax of 100 times their cosines."""
    model = ClipCosine(_compbench_model(check, "clip"), check.device)
    texts = list(check.reference.expected)
    cosines = torch.tensor(
        [model.cosine(check.picture("picture"), text) for text in texts], dtype=torch.float64
    )
    for text, share in zip(texts, (100 * cosines).softmax(0).tolist(), strict=True):
        check.compare(text, share)


def depth_slice(check: CheckContext) -> None:
    """Compare the upper left corner of a picture's depth, divided by 100. The picture is prepared
    by the model's own processor.
    """
    model = Depth(_compbench_model(check, "depth"), check.device)
    pixels = model.processor(images=check.picture("cats"), return_tensors="pt").pixel_values.to(
        check.device
    )
    with torch.no_grad():
        depth = model.model(pixels).predicted_depth[0].float().cpu() / 100
    _compare_corner(check, "depth", depth)


def detector_scores(check: CheckContext) -> None:
    """Compare the objects of a picture, the most confident first, by number: name and score."""
    found = ObjectDetector(_compbench_model(check, "detector"), check.device).detect(
        check.picture("cats")
    )
    for name in check.reference.expected:
        what, _, number = name.partition(" ")
        one = found[int(number)] if int(number) < len(found) else None
        check.compare(
            name, "nothing" if one is None else one.label if what == "label" else one.score
        )


def detector_by_pipeline(check: CheckContext) -> None:
    """Compare the objects of a picture with those of transformers' own pipeline from the same
    folder.
    """
    from transformers import pipeline

    folder = _compbench_model(check, "detector")
    ours = ObjectDetector(folder, check.device).detect(check.picture("cats"))
    theirs = pipeline("object-detection", model=str(folder), device=check.device)(
        check.picture("cats"), threshold=0.5
    )
    theirs = sorted(theirs, key=lambda one: -one["score"])
    check.compare("objects", float(len(ours)), float(len(theirs)), tolerance=0.5)
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        check.compare(f"label {number}", one.label, str(other["label"]).lower())
        check.compare(f"score {number}", one.score, float(other["score"]))


def detector_logits(check: CheckContext) -> None:
    """Compare the upper left corners of the class logits and the mask logits of a picture of 384
    pixels.
    """
    judge = hugging_face_judge(check.device)
    for name, fingerprint in judge.networks.items():
        check.uses(name, fingerprint)
    square = check.picture("cats").resize((384, 384), Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
    pixels = (values - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[
        :, None, None
    ]
    classes, masks = judge.detector.forward(pixels[None])
    _compare_corner(check, "masks", masks[0, 0].float().cpu())
    _compare_corner(check, "classes", classes[0].float().cpu())


def colours(check: CheckContext) -> None:
    """Compare the colours of plain discs with those that transformers' CLIP with the same weights
    finds in the same cut-outs.
    """
    classifier = load_colour_classifier(check.device)
    check.uses("colour classifier", classifier.fingerprint)
    cut_outs = [_disc(name, tuple(pixel)) for name, pixel in check.reference.given["discs"].items()]
    expected = _nearest_by_transformers(
        check, [cut_out.picture() for cut_out in cut_outs], [cut_out.name for cut_out in cut_outs]
    )
    names = check.reference.given["discs"]
    for name, found, other in zip(names, classifier.classify(cut_outs), expected, strict=True):
        check.compare(f"a disc of {name}", found, other)


def _disc(name: str, pixel: tuple[int, ...]) -> CutOut:
    side = 224
    offset = np.arange(side) - (side - 1) / 2
    mask = np.hypot(offset[:, None], offset) < side / 2
    thing = "frisbee" if len(name) % 2 else "sports ball"
    return CutOut(
        Image.new("RGB", (side, side), pixel),
        thing,
        Instance((0.0, 0.0, side, side), 1.0, mask=mask),
    )


def _nearest_by_transformers(
    check: CheckContext, pictures: list[Image.Image], things: list[str]
) -> list[str]:
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    folder = folder_of(check.reference.given["other"])
    model = CLIPModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    found = []
    with torch.no_grad():
        for picture, thing in zip(pictures, things, strict=True):
            pixels = processor(picture, return_tensors="pt").pixel_values
            seen = model.visual_projection(model.vision_model(pixels).pooler_output)[0]
            texts = [
                template.format(colour=colour, name=thing)
                for colour in COLOURS
                for template in TEMPLATES
            ]
            words = model.text_projection(
                model.text_model(
                    **tokenizer(texts, padding=True, return_tensors="pt")
                ).pooler_output
            )
            unit = words / words.norm(dim=-1, keepdim=True)
            means = unit.reshape(len(COLOURS), len(TEMPLATES), -1).mean(1)
            nearest = (means / means.norm(dim=-1, keepdim=True) @ (seen / seen.norm())).argmax()
            found.append(COLOURS[int(nearest)])
    return found


def geneval_rates(check: CheckContext) -> None:
    """Compare GenEval's overall score and its tasks' scores of a published set of images, from the
    folder to the table.
    """
    suite = specifications.make_suite("geneval")
    judge: Any = suite.judge(device=check.device)
    for name, fingerprint in judge.networks.items():
        check.uses(name, fingerprint)
    source = check.reference.given["source"]
    folder = _with_metadata(
        check, source, {prompt.id: prompt.metadata for prompt in suite.prompts()}
    )
    found = read_geneval(folder, suite, full=True).usable(_Silent(), partial=False)
    scores = score(found, judge, folder / "scores-verify", batch_size=8, progress=_Silent())
    for line in summarise(scores):
        check.compare(
            line.task, line.score.estimate, tolerance=0.01 if line.task == "overall" else None
        )


def _with_metadata(check: CheckContext, source: str, metadata: dict[str, Any]) -> Path:
    """A folder of the published images in GenEval's layout: links to their folders, and the
    metadata that the data set lacks.
    """
    given = check.reference.given
    images = (
        hub.download(
            hub.Source(given["repo"], given["revision"], (f"images/{source}/*",), "dataset")
        )
        / "images"
        / source
    )
    folder = hub.assets_folder("verify", f"geneval-{source}")
    for number, about in metadata.items():
        place = folder / number
        place.mkdir(parents=True, exist_ok=True)
        (place / METADATA).write_text(json.dumps(about) + "\n", encoding="utf-8")
        if not (place / SAMPLES).exists():
            (place / SAMPLES).symlink_to(images / number / SAMPLES, target_is_directory=True)
    return folder


class _Silent:
    """Shows no progress."""

    def label(self, name: str, total: int) -> None:
        """Ignore the name of a stage."""

    def advance(self, count: int) -> None:
        """Ignore a number of images."""


def _compbench_model(check: CheckContext, model: str) -> Path:
    folder = folder_of(check.reference.given.get("model", getattr(ModelNames(), model)))
    check.uses(model, fingerprint_of(folder))
    return folder


def _compare_corner(check: CheckContext, name: str, values: torch.Tensor) -> None:
    """Compare the expected values named `NAME row column`, which are in the upper left corner."""
    for key in check.reference.expected:
        what, row, column = key.split(" ")
        if what == name:
            check.compare(key, float(values[int(row), int(column)]))
