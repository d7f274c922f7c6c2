"""VQAScore: the probability that a vision-language model answers "Yes" to the question whether the
image shows the prompt.

Lin et al., arXiv 2404.01291: P("Yes" | image, `Does this figure show "{prompt}"? Please answer yes
or no.`). Here it is the probability of the answer's first token under the model's own chat
template, by a softmax over the whole vocabulary. Values of different models or wordings are never
comparable, and so are not comparable with published ones (docs/vqascore.md).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.measures.base import ImageMeasure
from hnbench.measures.sources import VQASCORE
from hnbench.seeds import digest
from hnbench.weights.hub import find, name_at
from hnbench.weights.known_picture import photograph
from hnbench.weights.vision_language import SUPPORTED, VisionLanguageModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

QUESTION = 'Does this figure show "{}"? Please answer yes or no.'
ANSWER, OTHER_ANSWER = "Yes", "No"
SHOWN, NOT_SHOWN = "a photo of a person", "a photo of a bicycle"
"""A true and a false claim about the photograph that a model is checked on."""
VERSION = 1
"""The version of the computation from the picture to the value; part of the fingerprint."""


class VQAScore(ImageMeasure):
    """The VQAScore of one model. Before the first value, the model is checked on a photograph."""

    higher_is_better = True

    def __init__(self, model: VisionLanguageModel, *, name: str, about: str, source: str) -> None:
        self.model, self.name, self.about, self.source = model, name, about, source
        self._token = model.first_token(ANSWER)
        if self._token == model.first_token(OTHER_ANSWER):
            raise UsageError(
                f"{ANSWER!r} and {OTHER_ANSWER!r} begin with the same token in the chat of"
                f" {source}; {SUPPORTED}"
            )
        self._verified = False

    @cached_property
    def fingerprint(self) -> str:
        return digest(["VQAScore", VERSION, QUESTION, ANSWER, self.model.fingerprint])

    def values(self, pictures: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        if not self._verified:
            self.verify()
        return [
            self._value(picture, prompt) for picture, prompt in zip(pictures, prompts, strict=True)
        ]

    def verify(self) -> None:
        """Check the model on a photograph of a person. `UsageError` if it finds a bicycle at least
        as probable.
        """
        shown, not_shown = (self._value(photograph(), claim) for claim in (SHOWN, NOT_SHOWN))
        if shown <= not_shown:
            raise UsageError(
                f"{self.source} cannot be trusted: of a photograph of a person, {SHOWN!r} has"
                f" VQAScore {shown:.4g} and {NOT_SHOWN!r} has {not_shown:.4g}; give another model"
            )
        self._verified = True

    def _value(self, picture: Image, prompt: str) -> float:
        value = self.model.probability(picture, QUESTION.format(prompt), self._token)
        if not math.isfinite(value):
            raise UsageError(
                f"{self.source} gave {value} for the prompt {prompt!r}, not a probability; choose"
                " another model, or the device cpu"
            )
        return value


def load(device: str, where: str = "") -> VQAScore:
    """VQAScore with the default model, or with the one that `where` names: a folder, or
    `owner/name[@revision]` of the Hub.
    """
    found = find((VQASCORE,), where)
    shown = where or str(VQASCORE)
    return VQAScore(
        VisionLanguageModel(found.folders[0], device, VQASCORE.files),
        name=name_at("vqascore", where),
        about=(
            f'The probability, in [0, 1], that {shown} answers "{ANSWER}" when asked whether the'
            " image shows the prompt; not comparable with other models' values."
        ),
        source=found.origin,
    )
