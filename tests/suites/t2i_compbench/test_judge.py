from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hnbench.suites.t2i_compbench import judge as judging
from hnbench.suites.t2i_compbench.detections import LabelledBox
from hnbench.suites.t2i_compbench.judge import CompBenchJudge, ModelNames
from hnbench.suites.t2i_compbench.spatial import Rules
from tests.suites.t2i_compbench.conftest import GOLDEN

COLOR = "a green bench and a blue bowl"
SPATIAL = "The black chair was on the left of the white table."


@pytest.fixture(scope="module")
def names(
    blip_folder: Path, detector_folder: Path, depth_folder: Path, clip_folder: Path
) -> ModelNames:
    return ModelNames(
        blip=str(blip_folder),
        detector=str(detector_folder),
        depth=str(depth_folder),
        clip=str(clip_folder),
    )


@pytest.fixture
def image() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB")


class Recorded:
    """Models that say what was recorded, and note what they were asked."""

    def __init__(
        self,
        chances: list[float] | None = None,
        found: list[LabelledBox] | None = None,
        cosine: float = 0.0,
    ) -> None:
        self.chances, self.found, self.similarity = chances or [], found or [], cosine
        self.asked: list[Any] = []

    def yes(self, image: Image.Image, phrases: list[str]) -> list[float]:
        self.asked += phrases
        return self.chances[: len(phrases)]

    def detect(self, image: Image.Image) -> list[LabelledBox]:
        return self.found

    def cosine(self, image: Image.Image, text: str) -> float:
        self.asked.append(text)
        return self.similarity


def recorded(
    category: str, model: Recorded, names: ModelNames, rules: Rules = "published"
) -> CompBenchJudge:
    made = CompBenchJudge([category], names, rules, "cpu")
    for name in ("_blip", "_detector", "_clip"):
        made.__dict__[name] = model  # in the place of the cached property
    return made


def about(category: str, prompt: str) -> dict[str, str]:
    return {"category": category, "prompt": prompt}


def test_attributes_are_a_product_over_the_phrases(names: ModelNames, image: Image.Image) -> None:
    model = Recorded(chances=[0.9, 0.4])
    (verdict,) = recorded("color", model, names).judge([image], [about("color", COLOR)])
    assert model.asked == ["a green bench", "a blue bowl"]
    assert (verdict.correct, verdict.score, verdict.reason) == (None, 0.36, "a blue bowl? 0.40")


def test_chunks_that_are_no_things_are_not_asked_for(
    names: ModelNames, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "kinds_of_complex", lambda: {SPATIAL: "spatial"})
    found = [
        LabelledBox("chair", 1.0, (0, 0, 100, 100)),
        LabelledBox("table", 1.0, (200, 0, 300, 100)),
    ]
    model = Recorded(chances=[0.5, 0.5], found=found)
    (verdict,) = recorded("complex", model, names).judge([image], [about("complex", SPATIAL)])
    assert model.asked == ["The black chair", "the white table"]
    assert verdict.score == pytest.approx((0.25 + 1.0) / 2)


@pytest.mark.parametrize(
    ("kind", "score"), [("action", (0.25 + 0.3) / 2), ("spatialaction", (0.25 + 0.0 + 0.3) / 3)]
)
def test_three_in_one(
    names: ModelNames, image: Image.Image, monkeypatch: pytest.MonkeyPatch, kind: str, score: float
) -> None:
    monkeypatch.setattr(judging, "kinds_of_complex", lambda: {SPATIAL: kind})
    model = Recorded(chances=[0.5, 0.5], cosine=0.3)
    (verdict,) = recorded("complex", model, names).judge([image], [about("complex", SPATIAL)])
    assert verdict.score == pytest.approx(score)
    assert model.asked[-1] == "The chair was on the left of the table ."


def test_non_spatial_is_the_cosine_itself(names: ModelNames, image: Image.Image) -> None:
    (verdict,) = recorded("non_spatial", Recorded(cosine=-0.01), names).judge(
        [image], [about("non_spatial", "A man sings.")]
    )
    assert verdict.value == -0.01


def test_numeracy(names: ModelNames, image: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "countable_objects", lambda: {"boys": "boy"})
    model = Recorded(found=[LabelledBox("person", 0.9, (0, 0, 9, 9))])
    (verdict,) = recorded("numeracy", model, names).judge([image], [about("numeracy", "two boys")])
    assert (verdict.score, verdict.reason) == (0.5, "expected 2 boy, found 1")


def test_every_category_with_real_classes(
    names: ModelNames, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "kinds_of_complex", lambda: {SPATIAL: "spatialaction"})
    monkeypatch.setattr(judging, "countable_objects", lambda: {"dogs": "dog"})
    prompts = {
        "color": COLOR,
        "spatial": "a giraffe next to a lamp",
        "3d_spatial": "a dog in front of a desk",
        "numeracy": "two dogs",
        "non_spatial": "a photo of a bench",
        "complex": SPATIAL,
    }
    made = CompBenchJudge(list(prompts), names, "published", "cpu")
    verdicts = made.judge([image] * len(prompts), [about(*item) for item in prompts.items()])
    scores = [verdict.value for verdict in verdicts]
    assert all(-1 <= score <= 1 for score in scores)
    assert made.judge([image], [about("color", COLOR)])[0].value == scores[0]


def test_the_name_says_models_rules_and_parser(names: ModelNames) -> None:
    spatial = CompBenchJudge(["spatial"], names, "repaired", "cpu").name
    assert (
        spatial == f"T2I-CompBench's rules, repaired; detector {names.detector}; parser spaCy 3.6.1"
        " en_core_web_sm 3.6.0"
    )
    own = CompBenchJudge(["spatial"], names, "repaired", "cpu", "hnbench-rules")
    assert own.name == spatial.replace("spaCy 3.6.1 en_core_web_sm 3.6.0", "hnbench-rules 2")
    assert own.fingerprint != CompBenchJudge(["spatial"], names, "repaired", "cpu").fingerprint
    assert (
        CompBenchJudge(["numeracy"], names, "published", "cpu").name
        == f"T2I-CompBench's rules, published; detector {names.detector}"
    )


def test_only_the_category_s_models_are_needed(names: ModelNames) -> None:
    absent = replace(names, detector="absent", depth="absent", clip="absent")
    assert CompBenchJudge(["color"], absent, "published", "cpu").fingerprint


def test_rules_and_models_are_the_fingerprint(
    names: ModelNames, detector_folder: Path, depth_folder: Path
) -> None:
    made = [
        CompBenchJudge(["spatial"], names, "published", "cpu"),
        CompBenchJudge(["spatial"], names, "repaired", "cpu"),
        CompBenchJudge(["spatial"], replace(names, detector=str(depth_folder)), "published", "cpu"),
        CompBenchJudge(["color"], names, "published", "cpu"),
    ]
    assert len({one.fingerprint for one in made}) == len(made)
    assert CompBenchJudge(["spatial"], names, "published", "cpu").fingerprint == made[0].fingerprint


def test_the_golden_file_is_the_upstream_s() -> None:
    assert len(GOLDEN["t2icompbench_2d_determine_position"]) == 27
    assert len(GOLDEN["t2icompbench_3d_determine_position"]["cases"]) == 15
