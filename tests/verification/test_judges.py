"""Checks of judges on stand-ins: equal as the package is, and different with each fault planted.

What is published of the real weights is replaced by what transformers itself computes of the
stand-ins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from transformers import (
    AutoTokenizer,
    BlipForQuestionAnswering,
    CLIPImageProcessorPil,
    CLIPModel,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
    Mask2FormerForUniversalSegmentation,
    pipeline,
)

from hnbench.catalogue import registry, specifications
from hnbench.images.inventory import decode_png
from hnbench.suites.base import Judge, Verdict
from hnbench.suites.geneval import colours
from hnbench.suites.geneval.detector import InstanceDetector as GenEvalDetector
from hnbench.suites.geneval.rules import COLOURS
from hnbench.suites.t2i_compbench import models
from hnbench.suites.t2i_compbench.models import folder_of
from hnbench.verification import judges
from hnbench.verification.check import CheckContext, CheckResult, run_check
from hnbench.verification.reference import PinnedInput, Reference, all_references
from hnbench.weights import hub as hub_module
from hnbench.weights import pixels as pixels_module
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD
from hnbench.weights.rgb import rgb
from tests.rewards.samples import picture
from tests.standin.hub import StandInHub

KNOWN = {one.name: one for one in all_references() if one.kind == "judge"}
Expected = Callable[[Reference], dict[str, Any]]


@pytest.fixture(autouse=True)
def inputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A picture of our own in the place of every published one."""

    def fetch(_: str, item: PinnedInput) -> Path:
        path = tmp_path / f"{abs(hash(item.name))}.png"
        shown(item.name).save(path)
        return path

    monkeypatch.setattr("hnbench.verification.check.fetch_input", fetch)


def shown(name: str) -> Image.Image:
    return picture((320, 200), len(name))


def checked(
    name: str, expected: dict[str, Any] | None = None, tolerance: float | None = None
) -> CheckResult:
    made = KNOWN[name]
    if expected is not None:
        made = replace(
            made, expected=expected, tolerance={"float32": tolerance or made.tolerance["float32"]}
        )
    return run_check(made, "cpu", slow=True)


def test_every_suite_with_a_judge_has_a_check() -> None:
    covered = {name for one in KNOWN.values() for name in (one.component, *one.covers)}
    parts = {f"t2i-compbench:{part}" for part in registry.SUITES.entry("t2i-compbench").parts}
    assert covered == {"geneval", "geneval-hf", *parts}


# What transformers says of the stand-ins.


def blip(reference: Reference) -> dict[str, Any]:
    folder = folder_of("Salesforce/blip-vqa-capfilt-large")
    model = BlipForQuestionAnswering.from_pretrained(folder, use_safetensors=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = {}
    for name, phrases in reference.given["phrases"].items():
        squashed = (
            np.asarray(shown(name).resize((480, 480), Image.Resampling.BICUBIC), dtype=np.float32)
            / 255
        )
        pixels = (
            torch.tensor((squashed - np.array(OPENAI_MEAN)) / np.array(OPENAI_STD))
            .float()
            .permute(2, 0, 1)[None]
        )
        product = 1.0
        for phrase in phrases:
            ids = tokenizer([f"{phrase}?"], return_tensors="pt").input_ids
            ids[:, 0] = 30523
            options = {"max_new_tokens": 1, "return_dict_in_generate": True, "output_logits": True}
            made = model.generate(
                input_ids=ids, pixel_values=pixels, interpolate_pos_encoding=True, **options
            )
            chances = made.logits[0][0].double().softmax(-1)
            product *= float(chances[2748] / (chances[2748] + chances[2053]))
        found[name] = product
    return found


def cosines(texts: list[str]) -> dict[str, float]:
    folder = folder_of("openai/clip-vit-base-patch32")
    model, words = (
        CLIPModel.from_pretrained(folder, use_safetensors=False).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(
        shown("picture"), return_tensors="pt"
    ).pixel_values
    with torch.no_grad():
        logits = [
            model(**words([text], return_tensors="pt"), pixel_values=pixels).logits_per_image[0, 0]
            for text in texts
        ]
    return {
        text: float(logit / model.logit_scale.detach().exp())
        for text, logit in zip(texts, logits, strict=True)
    }


def clip(reference: Reference) -> dict[str, Any]:
    return cosines(list(reference.expected))


def shares(reference: Reference) -> dict[str, Any]:
    found = np.exp(100 * np.array(list(cosines(list(reference.expected)).values())))
    return dict(zip(reference.expected, (found / found.sum()).tolist(), strict=True))


def corner(name: str, values: torch.Tensor) -> dict[str, float]:
    return {
        f"{name} {row} {column}": float(values[row, column])
        for row in range(3)
        for column in range(3)
    }


def depth(_: Reference) -> dict[str, Any]:
    folder = folder_of("Intel/dpt-hybrid-midas")
    model = DPTForDepthEstimation.from_pretrained(folder, use_safetensors=False).eval()
    pixels = DPTImageProcessorPil.from_pretrained(folder)(
        shown("cats"), return_tensors="pt"
    ).pixel_values
    with torch.no_grad():
        return corner("depth", model(pixels).predicted_depth[0] / 100)


def objects(_: Reference) -> dict[str, Any]:
    folder = folder_of("ustc-community/dfine-xlarge-obj365")
    found = sorted(
        pipeline("object-detection", model=str(folder))(shown("cats"), threshold=0.5),
        key=lambda one: -one["score"],
    )[:4]
    return {
        **{f"score {number}": float(one["score"]) for number, one in enumerate(found)},
        **{f"label {number}": str(one["label"]).lower() for number, one in enumerate(found)},
    }


def masks(_: Reference) -> dict[str, Any]:
    folder = hub_module.download(
        hub_module.Source(
            "facebook/mask2former-swin-small-coco-instance",
            needs=((("config.json",),), (("model.safetensors",),)),
        )
    )
    model = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    square = (
        np.asarray(shown("cats").resize((384, 384), Image.Resampling.BILINEAR), dtype=np.float32)
        / 255
    )
    pixels = (square - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    with torch.no_grad():
        found = model(pixel_values=torch.tensor(pixels).float().permute(2, 0, 1)[None])
    return {
        **corner("masks", found.masks_queries_logits[0, 0]),
        **corner("classes", found.class_queries_logits[0]),
    }


ROWS: dict[str, tuple[Expected, float]] = {
    "t2i-blipvqa-examples": (blip, 2e-4),
    "t2i-clip-cats": (clip, 1e-5),
    "openai-clip-readme": (shares, 1e-3),
    "t2i-dpt-hybrid-cats": (depth, 1e-5),
    "t2i-dfine-cats": (objects, 1e-3),
    "geneval-hf-cats": (masks, 1e-3),
}


def standin(name: str) -> Reference:
    """The detector's sibling has no repository of its own here."""
    made = KNOWN[name]
    return (
        replace(made, given={**made.given, "model": "ustc-community/dfine-xlarge-obj365"})
        if name == "t2i-dfine-cats"
        else made
    )


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ROWS)
def test_what_transformers_says_is_equal(name: str) -> None:
    expected, tolerance = ROWS[name]
    reference = replace(
        standin(name), expected=expected(KNOWN[name]), tolerance={"float32": tolerance}
    )
    result = run_check(reference, "cpu", slow=True)
    assert (result.verdict, result.why) == ("equal", ""), result.worst
    assert result.fingerprints


@pytest.mark.usefixtures("published")
def test_transformers_own_pipeline_is_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    result = checked("t2i-detector-pipeline")
    assert (result.verdict, result.why) == ("equal", ""), result.worst
    assert len(result.comparisons) > 2
    monkeypatch.setattr(models, "CONFIDENCE", 1.0)
    assert checked("t2i-detector-pipeline").verdict == "differs"


def blue_for_red(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        models, "rgb", lambda image: Image.fromarray(np.asarray(rgb(image))[..., ::-1].copy())
    )


def lost_token(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(models, "ENCODE", 2)


def unloaded_head(patch: pytest.MonkeyPatch) -> None:
    real = GenEvalDetector.__init__

    def begin(self: Any, model: Any, *given: Any, **named: Any) -> None:
        torch.nn.init.normal_(model.class_predictor.weight)
        real(self, model, *given, **named)

    patch.setattr(GenEvalDetector, "__init__", begin)


def unloaded_depth(patch: pytest.MonkeyPatch) -> None:
    real = models.Depth.__init__

    def begin(self: Any, *given: Any) -> None:
        real(self, *given)
        torch.manual_seed(0)
        torch.nn.init.normal_(self.model.head.head[0].weight)

    patch.setattr(models.Depth, "__init__", begin)


def not_normalised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        torch.nn.functional, "cosine_similarity", lambda one, other: (one * other).sum(-1)
    )


FAULTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "blue for red, seen by CLIP": ("t2i-clip-cats", blue_for_red),
    "blue for red, seen by BLIP": ("t2i-blipvqa-examples", blue_for_red),
    "a token that is not BLIP's": ("t2i-blipvqa-examples", lost_token),
    "another normalisation": (
        "t2i-blipvqa-examples",
        lambda patch: patch.setattr(pixels_module, "OPENAI_MEAN", (0.5, 0.5, 0.5)),
    ),
    "blue for red, seen by the detector": ("t2i-dfine-cats", blue_for_red),
    "a head that was not loaded": ("geneval-hf-cats", unloaded_head),
    "features that are not normalised": ("openai-clip-readme", not_normalised),
    "a head of depth that was not loaded": ("t2i-dpt-hybrid-cats", unloaded_depth),
}


SEEN_ELSEWHERE = {"t2i-detector-pipeline", "geneval-colours-transformers", "blip-demo-answers"}
"""Checks whose faults are planted in other tests here, as are those of GenEval's published images.
"""


def test_every_check_has_a_fault_that_it_sees() -> None:
    rates = {name for name in KNOWN if name.startswith("geneval-aigen-")}
    assert {name for name, _ in FAULTS.values()} | SEEN_ELSEWHERE | rates == KNOWN.keys()


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = FAULTS[fault]
    expected, tolerance = ROWS[name]
    reference = replace(
        standin(name), expected=expected(KNOWN[name]), tolerance={"float32": tolerance}
    )
    plant(monkeypatch)
    result = run_check(reference, "cpu", slow=True)
    assert (result.verdict, result.crashed) == ("differs", False), result.why


@pytest.fixture
def same_clip(published: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """One CLIP in open_clip's names and in transformers': the weights of the stand-in's classifier,
    laid out anew.
    """
    monkeypatch.setattr(
        judges,
        "_nearest_by_transformers",
        lambda check, pictures, things: _by_open_clip(published, pictures, things),
    )


def _by_open_clip(
    published: StandInHub, pictures: list[Image.Image], things: list[str]
) -> list[str]:
    """By hand from the file: what another implementation of the same weights finds nearest."""
    import open_clip
    from safetensors.torch import load_file

    model = open_clip.create_model("tiny-quickgelu").eval()
    path = (
        published.root
        / "models/timm/vit_large_patch14_clip_224.openai/main/open_clip_model.safetensors"
    )
    model.load_state_dict(load_file(path))
    prepare, words = (
        open_clip.transform.image_transform(32, is_train=False),
        open_clip.get_tokenizer("tiny-quickgelu"),
    )
    found = []
    with torch.no_grad():
        for image, thing in zip(pictures, things, strict=True):
            seen = model.encode_image(prepare(image)[None])[0]
            means = []
            for colour in COLOURS:
                texts = [
                    f"a photo of a {colour} {thing}",
                    f"a photo of a {colour}-colored {thing}",
                    f"a photo of a {colour} object",
                ]
                unit = torch.nn.functional.normalize(model.encode_text(words(texts)), dim=-1).mean(
                    0
                )
                means.append(float(torch.nn.functional.cosine_similarity(unit, seen, dim=0)))
            found.append(COLOURS[int(np.argmax(means))])
    return found


@pytest.mark.usefixtures("same_clip")
def test_the_colours_of_another_implementation_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked("geneval-colours-transformers").verdict == "equal"
    monkeypatch.setattr(
        colours.ColourClassifier, "_classifier", _other_order(colours.ColourClassifier._classifier)
    )
    assert checked("geneval-colours-transformers").verdict == "differs"


def _other_order(real: Any) -> Any:
    return lambda self, name: real(self, name).flip(0)


class Half(Judge):
    """Every image with an even number of red is right."""

    name = "half"
    networks: ClassVar[dict[str, str]] = {"detector": "d" * 64}

    @property
    def fingerprint(self) -> str:
        return "h" * 64

    def judge(self, images: Any, metadata: Any) -> list[Verdict]:
        assert all("include" in about for about in metadata)
        return [Verdict(bool(np.asarray(image)[0, 0, 0] % 2 == 0)) for image in images]


@pytest.mark.parametrize("source", ["clip", "sdv2", "if-xl"])
def test_genevals_rates_go_from_the_folder_to_the_table(
    source: str, published: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"geneval-aigen-{source}"
    root = (
        published.root / "datasets/djghosh/aigen-images/main/images" / KNOWN[name].given["source"]
    )
    suite = specifications.make_suite("geneval")
    right: dict[str, list[bool]] = {}
    for prompt in suite.prompts():
        samples = root / prompt.id / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        for number in range(4):
            red = (7 * int(prompt.id) + 3 * number) % 11
            Image.new("RGB", (8 + number, 8), (red, 0, 0)).save(samples / f"{number:05d}.png")
            right.setdefault(prompt.tag, []).append(red % 2 == 0)
    assert decode_png((root / "00000/samples/00000.png").read_bytes()).size == (8, 8)
    monkeypatch.setattr(type(suite), "judge", lambda *_, **__: Half())
    rates = {tag: sum(found) / len(found) for tag, found in right.items()}
    expected = {**rates, "overall": sum(rates.values()) / 6}
    result = checked(name, expected, 1e-6)
    assert (result.verdict, result.why) == ("equal", "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # the 2,212 images are in the cache now
    assert (
        checked(name, {**expected, "counting": expected["counting"] + 0.02}, 0.015).verdict
        == "differs"
    )


def test_answers_in_words(published: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    del published
    reference = replace(KNOWN["blip-demo-answers"], expected={"a red apple?": "on beach"})
    context = CheckContext(reference, "cpu", "float32")
    monkeypatch.setattr(models.BlipVqa, "answer", lambda *_: "on beach")
    judges.blip_words(context)
    assert [one.equal for one in context.comparisons] == [True]
    monkeypatch.setattr(models.BlipVqa, "answer", lambda *_: "on a beach")
    assert run_check(reference, "cpu").verdict == "differs"


def test_the_references_are_json_of_this_schema() -> None:
    for name in ("judges", "generators", "hypernetworks"):
        path = Path(judges.__file__).with_name("references") / f"{name}.json"
        assert json.loads(path.read_text(encoding="utf-8"))
