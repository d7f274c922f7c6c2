"""A vision-language model that answers DPG-Bench's questions about an image with yes or no.

The answer is yes if the first token of the reply more probably begins "yes" than "no". The rule of
dependencies is DPG-Bench's; the model and the words after the question are not, so the values are
never those of DPG-Bench.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.seeds import digest
from hnbench.suites.base import Judge, Verdict
from hnbench.suites.dpg_vlm.dependencies import counted
from hnbench.suites.geneval2.judge import NO, QWEN3_VL, YES
from hnbench.weights.honest_answers import require_honest
from hnbench.weights.hub import find
from hnbench.weights.vision_language import SUPPORTED, VisionLanguageModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

QUESTION = "{} Please answer yes or no."
VERSION = 1
"""The version of the computation from the picture to the verdict; part of the fingerprint."""
DIGITS = 4
"""Decimals of the probabilities in a verdict's details."""


class DependentQuestions(Judge):
    """Grades an image by the share of its questions that count, in [0, 1]. `details` has, in the
    order of the questions, `yes`: the probability of yes among yes and no; and `counted`.
    """

    def __init__(self, model: VisionLanguageModel, name: str, source: str) -> None:
        self.model, self.name, self.source = model, name, source
        yes, no = model.first_tokens(YES), model.first_tokens(NO)
        # A token that both begin with, such as a space, says nothing.
        self._yes, self._no = sorted(yes - no), sorted(no - yes)
        if not (self._yes and self._no):
            raise UsageError(
                f"yes and no begin alike in {source}, so its answers cannot be told apart;"
                f" {SUPPORTED}"
            )

    @cached_property
    def fingerprint(self) -> str:
        return digest(["DPG-VLM", VERSION, QUESTION, YES, NO, self.model.fingerprint])

    @property
    def networks(self) -> dict[str, str]:
        return {"vlm": self.model.fingerprint}

    def verify(self) -> None:
        """Ask a true and a false question about a photograph. `UsageError` unless the model says
        yes to the true one, and no to the false one.
        """
        require_honest(self.source, self._yes_to, "dpg-vlm:vlm=OWNER/NAME")

    def judge(
        self, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        return [
            self._verdict(image, about["questions"])
            for image, about in zip(images, metadata, strict=True)
        ]

    def _verdict(self, image: Image, questions: Sequence[Sequence[Any]]) -> Verdict:
        yes = {number: self._yes_to(image, question) for number, question, _ in questions}
        counts = counted(
            {number: chance > 0.5 for number, chance in yes.items()},
            {number: parents for number, _, parents in questions},
        )
        details = {
            "yes": [round(chance, DIGITS) for chance in yes.values()],
            "counted": list(counts.values()),
        }
        return Verdict(None, score=sum(counts.values()) / len(counts), details=details)

    def _yes_to(self, image: Image, question: str) -> float:
        """The probability of yes, among yes and no, as the answer to one question."""
        asked = QUESTION.format(question)
        yes, no = self.model.probabilities(image, asked, self._yes, self._no)
        if not (math.isfinite(yes + no) and yes + no > 0):
            raise UsageError(
                f"{self.source} gave {yes} for yes and {no} for no to {question!r}; choose another"
                " model, or the device cpu"
            )
        return yes / (yes + no)


def dependent_questions(name: str, where: str, device: str) -> DependentQuestions:
    """The judge with the default model, or with the one that `where` names: a folder, or
    `owner/name[@revision]` of the Hub.
    """
    found = find((QWEN3_VL,), where)
    model = VisionLanguageModel(found.folders[0], device, QWEN3_VL.files)
    return DependentQuestions(model, name, found.origin)
