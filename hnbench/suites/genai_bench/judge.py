"""VQAScore as a judge: the same values as the measure `vqascore` of `hnbench measure`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnbench.measures.vqascore import load
from hnbench.suites.base import Judge, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image


class VQAScoreJudge(Judge):
    """Grades an image by its VQAScore for the `prompt` of its metadata, in [0, 1]. It has the name
    and the fingerprint of the measure, so that its verdicts can be told from other models'.
    """

    def __init__(self, device: str, where: str = "") -> None:
        """Load the default model, or the one that `where` names: a folder, or
        `owner/name[@revision]` of the Hub.
        """
        self.measure = load(device, where)
        self.name = self.measure.name

    @property
    def fingerprint(self) -> str:
        return self.measure.fingerprint

    @property
    def networks(self) -> dict[str, str]:
        return {"vlm": self.measure.model.fingerprint}

    def verify(self) -> None:
        """Check the model on a photograph, as the measure does. `UsageError` if it fails."""
        self.measure.verify()

    def judge(
        self, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        values = self.measure.values(images, [about["prompt"] for about in metadata])
        return [Verdict(None, score=value) for value in values]
