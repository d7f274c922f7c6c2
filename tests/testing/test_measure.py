from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hnbench.catalogue.registry import MEASURES
from hnbench.measures.base import ImageMeasure, Measure
from hnbench.testing import ContractError, check_measure
from tests.toy_plugins import RedRange, Shift


@pytest.mark.parametrize("name", ["shapes-similarity", "shapes-vendi", "shapes-mmd", "shapes-fd"])
def test_the_built_in_measures_keep_the_contract(name: str) -> None:
    check_measure(MEASURES.get(name)("cpu"))


class Level(ImageMeasure):
    """The mean level."""

    name, about, higher_is_better = "level", "The mean level", None
    fingerprint = "7" * 64

    def values(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        return [float(np.asarray(picture).mean()) for picture in pictures]


@pytest.mark.parametrize("measure", [Level(), RedRange(), Shift()])
def test_the_toys_keep_the_contract(measure: Measure) -> None:
    check_measure(measure)


class Relative(Level):
    def values(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        found = super().values(pictures, prompts)
        return [value - min(found) for value in found]


class Short(Level):
    def values(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        return super().values(pictures, prompts)[1:]


class Undefined(Level):
    def values(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        return [float("nan") for _ in pictures]


class Painting(Level):
    def values(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        found = super().values(pictures, prompts)
        for picture in pictures:
            picture.paste((0, 0, 0), (0, 0, picture.width, picture.height))
        return found if len(pictures) > 5 else [0.0 for _ in found]


class Whole(RedRange):
    def values(self, groups: Sequence[Sequence[Image.Image]]) -> list[float]:
        found = super().values(groups)
        return [sum(found)] * len(found)


class Positional(RedRange):
    def values(self, groups: Sequence[Sequence[Image.Image]]) -> list[float]:
        return [value + row for row, value in enumerate(super().values(groups))]


class Wide(Shift):
    def features(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return super().features(pictures).double()


class Centred(Shift):
    def features(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        found = super().features(pictures)
        return found - found.mean()


class Ordered(Shift):
    def distance(self, ours: torch.Tensor, base: torch.Tensor) -> float:
        return float(ours[0, 0] - base[0, 0])


class Infinite(Shift):
    def distance(self, ours: torch.Tensor, base: torch.Tensor) -> float:
        return float("inf")


class Unfounded(Measure):
    name, about, higher_is_better = "level", "The mean level", True
    fingerprint = "7" * 64


def with_attribute(name: str, value: Any) -> Level:
    measure = Level()
    setattr(measure, name, value)
    return measure


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Relative(), "a picture's value must not depend on its neighbours"),
        (Short(), "gave 2 values for 3 items"),
        (Undefined(), "a finite number is expected"),
        (Painting(), "must not change the pictures"),
        (Whole(), "a group's value must not depend on another group"),
        (Positional(), "a group's value must not depend on another group"),
        (Wide(), r"\[B, D\] in float32 on the CPU; got a tensor of float64"),
        (Centred(), "the features of a picture must not depend on its neighbours"),
        (Ordered(), "a distance must not depend on the order within the sets"),
        (Infinite(), "a finite number is expected"),
        (Unfounded(), "an ImageMeasure, a PromptMeasure or a SetMeasure"),
        (with_attribute("about", ""), "about has to be printable text"),
        (with_attribute("higher_is_better", "yes"), "higher_is_better has to be True, False"),
        (with_attribute("fingerprint", "level"), "a SHA-256"),
    ],
)
def test_a_broken_rule_is_named(broken: Measure, rule: str) -> None:
    with pytest.raises(ContractError, match=rule) as raised:
        check_measure(broken)
    assert str(raised.value).startswith("the measure ")
