"""The suite contract: prompts, the protocol (how many images of each) and the judge that scores
them.
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
    """One prompt of a suite. `tag` is the task that its score counts towards; `metadata` is for the
    judge alone.
    """

    id: str
    text: str
    tag: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's word on one image. `reason` says what was found to be wrong, and is empty when
    `correct`.
    """

    correct: bool | None
    """None from a judge that grades: it says how good, and not whether right or wrong."""
    reason: str = ""
    score: float | None = None
    """The grade, higher is better, mostly in [0, 1]; None where `correct` says it all."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the verdict rests on, as JSON; recorded where there is any."""

    def __post_init__(self) -> None:
        if self.correct is None and self.score is None:
            raise ValueError("a verdict says right or wrong, or gives a score")
        if self.correct and self.reason:
            raise ValueError(
                "a verdict says what is wrong by its reason: a correct one has no reason"
            )
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"the score {self.score} is not finite")

    @property
    def value(self) -> float:
        """What a suite's score is the mean of: the grade, or else 1 for correct and 0 for wrong."""
        return float(bool(self.correct)) if self.score is None else self.score


@dataclass(frozen=True)
class JudgedImage:
    """One image that was scored, as a suite's own result files need it."""

    prompt: Prompt
    number: int
    """Its number in the folder's layout: among all images of its tag, where the layout has such a
    number, else 0.
    """
    verdict: Verdict


class Judge(ABC):
    """A held-out verdict on (image, prompt metadata). Never optimised."""

    name: str

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over whatever decides a verdict (thresholds, weights, version); part of a run's
        identity.
        """

    @property
    def networks(self) -> Mapping[str, str]:
        """The networks that a verdict rests on: name -> fingerprint of the weights; empty for a
        judge without any.
        """
        return {}

    def verify(self) -> None:  # noqa: B027
        """Find what is known to be in a picture, and raise a `UsageError` if it is not found;
        called once, before the first image.

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
    """The tasks that the overall score is the unweighted mean of, in the order of the table."""
    notes: tuple[str, ...] = ()
    """What a user should know of the prompts before a run, one line each."""

    @abstractmethod
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts of the full protocol, in a fixed order."""

    @abstractmethod
    def subset(self) -> tuple[Prompt, ...]:
        """The prompts of the stated quick protocol: some of `prompts()`."""

    @abstractmethod
    def samples(self, prompt: Prompt, *, full: bool) -> int:
        """Images of one prompt under the full or the quick protocol."""

    @abstractmethod
    def judge(self, *, device: str = "cpu") -> Judge | None:
        """The judge that this suite's scores are defined by; what it has of networks is loaded onto
        `device`.

        None for a suite of prompts alone, whose images get rewards only.
        """

    def result_files(self, judged: Sequence[JudgedImage]) -> Mapping[str, bytes]:  # noqa: ARG002
        """Files that the benchmark's own scripts would leave of these images, all of one label:
        path, with slashes, within the folder of the score -> content.

        Most suites have none.
        """
        return {}
