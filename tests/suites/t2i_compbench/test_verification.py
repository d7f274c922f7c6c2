"""Random models of the real classes are refused; models that see what is there are not, and each
judge asks its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hnbench.errors import UsageError
from hnbench.suites.t2i_compbench.detections import LabelledBox, frame_of
from hnbench.suites.t2i_compbench.judge import CompBenchJudge, ModelNames

WHERE = (10.0, 15.0, 405.0, 478.0)


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


class Seeing:
    """Sees a person, as a model of each of the four kinds would say it."""

    def __init__(
        self,
        found: LabelledBox = LabelledBox("person", 0.6, WHERE),  # noqa: B008
        favourite: str = "person",
        nearest: float = 200.0,
    ) -> None:
        self.found, self.favourite, self.nearest = found, favourite, nearest
        self.asked: list[str] = []

    def yes(self, image: Image.Image, phrases: list[str]) -> list[float]:
        del image
        self.asked.append("blip")
        return [0.7 if self.favourite in phrase else 0.2 for phrase in phrases]

    def cosine(self, image: Image.Image, text: str) -> float:
        del image
        self.asked.append("clip")
        return 0.3 if self.favourite in text else 0.1

    def detect(self, image: Image.Image) -> list[LabelledBox]:
        del image
        self.asked.append("detector")
        return [LabelledBox("hat", 0.9, (60.0, 20.0, 290.0, 140.0)), self.found]

    def depth(self, image: Image.Image) -> npt.NDArray[np.float64]:
        self.asked.append("depth")
        width, height = frame_of(*image.size)
        depth = np.full((height, width), 100.0)
        depth[height // 4 :, width // 5 : -width // 5] = self.nearest
        return depth


def judge_of(category: str, names: ModelNames, model: Seeing | None) -> CompBenchJudge:
    made = CompBenchJudge([category], names, "published", "cpu")
    if model is not None:
        made.__dict__.update(
            dict.fromkeys(("_blip", "_detector", "_depth", "_clip"), model)
        )  # in the place of the cached properties
    return made


@pytest.mark.parametrize(
    ("category", "models"),
    [
        ("color", ["blip"]),
        ("numeracy", ["detector"]),
        ("3d_spatial", ["detector", "depth"]),
        ("complex", ["blip", "detector", "clip"]),
    ],
)
def test_a_judge_shows_the_photograph_to_the_models_that_it_uses(
    names: ModelNames, category: str, models: list[str]
) -> None:
    model = Seeing()
    judge_of(category, names, model).verify()
    assert list(dict.fromkeys(model.asked)) == models


@pytest.mark.parametrize(
    ("category", "message"),
    [
        (
            "color",
            (
                r"BLIP model .* expected 'a person\?' to be the most likely, and found 'a person\?'"
                r" 0\.\d+, 'a bicycle\?' 0"
            ),
        ),
        (
            "non_spatial",
            (
                r"CLIP model .* expected 'a photo of a person' to be the most likely, and found 'a"
                r" photo of a person' "
            ),
        ),
        (
            "spatial",
            (
                r"detector .* expected a 'person' at about \[8, 17, 409, 480\], and found"
                r" (dog|dining table) [01]\.\d+ at "
            ),
        ),
    ],
)
def test_random_models_are_refused(names: ModelNames, category: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"{message}.*; its scores would mean nothing"):
        judge_of(category, names, None).verify()


def test_a_random_depth_model_is_refused(names: ModelNames) -> None:
    judge = judge_of("3d_spatial", names, None)
    judge.__dict__["_detector"] = Seeing()
    with pytest.raises(
        UsageError, match=f"the depth model {re.escape(names.depth)} .* expected a person nearer"
    ):
        judge.verify()


@pytest.mark.parametrize("nearest", [100.0, 50.0, float("nan")])
def test_depth_that_is_constant_inverse_or_not_finite_is_refused(
    names: ModelNames, nearest: float
) -> None:
    with pytest.raises(UsageError, match=r"found (100|50|nan)\S* and 100.0 of 255"):
        judge_of("3d_spatial", names, Seeing(nearest=nearest)).verify()


@pytest.mark.parametrize(
    "found", [LabelledBox("man", 0.9, WHERE), LabelledBox("person", 0.9, (0.0, 0.0, 100.0, 480.0))]
)
def test_another_label_or_another_place_is_refused(names: ModelNames, found: LabelledBox) -> None:
    with pytest.raises(UsageError, match="expected a 'person' at about"):
        judge_of("spatial", names, Seeing(found)).verify()


@pytest.mark.parametrize("category", ["color", "non_spatial"])
@pytest.mark.parametrize("favourite", ["pizza", "a "])
def test_what_is_not_there_must_be_less_likely(
    names: ModelNames, category: str, favourite: str
) -> None:
    """`a ` is in all of them: a tie is refused as well."""
    with pytest.raises(UsageError, match="to be the most likely"):
        judge_of(category, names, Seeing(favourite=favourite)).verify()
