"""The contract of a measure: what it is a measure of, and its value. No method ever sees one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor


class Measure(ABC):
    """One number about images."""

    name: str
    """As typed, without the model's name where that is the default one."""
    about: str
    """One sentence for the report: what is measured, with which model, and its range."""
    higher_is_better: bool | None
    """None where neither is better."""
    source: str = ""
    """Where the weights come from; empty for what comes with a package."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over the weights and what else decides the value."""


class ImageMeasure(Measure):
    """A value of each (image, prompt), such as VQAScore."""

    @abstractmethod
    def values(self, pictures: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        """One value per picture, in order. Pictures are RGB, as saved, of any sizes; a value does
        not depend on its neighbours.
        """


class PromptMeasure(Measure):
    """A value of all images that one method made of one prompt, such as their diversity."""

    @abstractmethod
    def values(self, groups: Sequence[Sequence[Image]]) -> list[float]:
        """One value per group, in order: a group is at least two RGB pictures of one prompt. A
        value depends on no other group.
        """


class SetMeasure(Measure):
    """A distance between two sets of images, such as a method's and the base's, by their
    features.
    """

    @abstractmethod
    def features(self, pictures: Sequence[Image]) -> Tensor:
        """Features `[B, D]`, float32 on the CPU, of RGB pictures."""

    @abstractmethod
    def distance(self, ours: Tensor, base: Tensor) -> float:
        """The distance between the features of two sets, `[N, D]` and `[M, D]`."""
