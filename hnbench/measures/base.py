"""The contract of a measure of images. No method ever sees one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor


class Measure(ABC):
    """One number about images: the common part of the three kinds of measures."""

    name: str
    """The name that a user types, without the model's name if it is the default model."""
    about: str
    """One sentence for the report: what is measured, with which model, and its range."""
    higher_is_better: bool | None
    """None if neither higher nor lower is better."""
    source: str = ""
    """The origin of the weights; empty for weights that come with a package."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 of the weights and everything else that decides the value."""


class ImageMeasure(Measure):
    """A value for each (image, prompt), such as VQAScore."""

    @abstractmethod
    def values(self, pictures: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        """One value per picture, in order. Pictures are RGB, as saved, of any sizes. A value must
        not depend on the other pictures of the call.
        """


class PromptMeasure(Measure):
    """A value for all images that one method made of one prompt, such as their diversity."""

    @abstractmethod
    def values(self, groups: Sequence[Sequence[Image]]) -> list[float]:
        """One value per group, in order. A group is at least two RGB pictures of one prompt. A
        value must not depend on the other groups of the call.
        """


class SetMeasure(Measure):
    """A distance between two sets of images (a method's and the base's), computed from their
    features.
    """

    @abstractmethod
    def features(self, pictures: Sequence[Image]) -> Tensor:
        """Features `[B, D]`, float32 on the CPU, of RGB pictures."""

    @abstractmethod
    def distance(self, ours: Tensor, base: Tensor) -> float:
        """The distance between the features of two sets, `[N, D]` and `[M, D]`."""
