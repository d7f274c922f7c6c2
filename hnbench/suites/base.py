"""The suite contract: prompts, the protocol (the number of images of each prompt) and the judge
that scores the images.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Prompt:
    """One prompt of a suite. Its score counts towards the task `tag`; only the judge sees
    `metadata`.
    """

    id: str
    text: str
    tag: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's verdict on one image. `reason` says what is wrong, and must be empty if `correct`.

    `ValueError` for a verdict with neither `correct` nor `score`, for a correct one with a reason,
    and for a score that is not finite.
    """

    correct: bool | None
    """Whether the image is right; None from a judge that grades instead."""
    reason: str = ""
    score: float | None = None
    """The grade; higher is better, and most grades are in [0, 1]. None from a judge that only says
    right or wrong.
    """
    details: Mapping[str, Any] = field(default_factory=dict)
    """The evidence for the verdict, as JSON types; it is recorded if there is any."""

    def __post_init__(self) -> None:
        if self.correct is None and self.score is None:
            raise ValueError("a verdict says right or wrong, or gives a score")
        if self.correct and self.reason:
            raise ValueError(
                "a correct verdict has no reason: the reason of a verdict says what is wrong"
            )
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"the score {self.score} is not finite")

    @property
    def value(self) -> float:
        """The number that a suite's score averages: the grade if there is one, else 1 for correct
        and 0 for wrong.
        """
        return float(bool(self.correct)) if self.score is None else self.score


@dataclass(frozen=True)
class JudgedImage:
    """One judged image, as a suite's own result files need it."""

    prompt: Prompt
    number: int
    """The image's number among all images of its tag, if the folder's layout has such numbers;
    else 0.
    """
    verdict: Verdict


class Judge(ABC):
    """A held-out verdict on (image, prompt metadata). Never optimised."""

    name: str
    uses_device: bool = True
    """Whether judging keeps the device busy that the judge was made for. If not, a run on a GPU
    judges a batch while the next one is proposed, without changing what that takes.
    """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 of everything that decides a verdict (thresholds, weights, version); part of a
        run's identity.
        """

    @property
    def networks(self) -> Mapping[str, str]:
        """The networks that decide a verdict: name -> fingerprint of the weights; empty for a judge
        without networks.
        """
        return {}

    def verify(self) -> None:  # noqa: B027
        """Judge a picture of known content, and raise a `UsageError` if the answer is wrong. This
        is called once, before the first image.

        Judges that use no network may keep this default, which checks nothing.
        """

    @abstractmethod
    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        """One verdict per image, in order. Images are RGB, as saved."""


class Suite(ABC):
    """Prompts and protocol. Reading a suite imports no torch; making its judge may."""

    name: str
    version: str
    tags: tuple[str, ...]
    """The tasks, in the order of the table. The overall score is the unweighted mean over them."""
    notes: tuple[str, ...] = ()
    """Facts about the prompts that a user should know before a run, one line each."""

    @abstractmethod
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts of the full protocol, in a fixed order."""

    @abstractmethod
    def subset(self) -> tuple[Prompt, ...]:
        """The prompts of the quick protocol: some of `prompts()`."""

    @abstractmethod
    def samples(self, prompt: Prompt, *, full: bool) -> int:
        """The number of images of one prompt under the full or the quick protocol, at least 1."""

    @abstractmethod
    def judge(self, *, device: str = "cpu") -> Judge | None:
        """The judge that defines this suite's scores. Its networks, if any, are loaded onto
        `device`.

        None for a suite without a judge, whose images have rewards only.
        """

    def result_files(self, judged: Sequence[JudgedImage]) -> Mapping[str, bytes]:  # noqa: ARG002
        """The files that the benchmark's own scripts would write for these images, which all have
        one label: path in the results folder, with slashes -> content.

        Most suites have none.
        """
        return {}
