"""Soft-TIFA: a vision-language model is asked for each atom of a prompt, and the probabilities of
its answers are averaged.

GenEval 2, arXiv 2512.16853, and `evaluation.py` of facebookresearch/GenEval2: the question,
followed by "Answer in one word.", in the model's chat template; the probability that the answer's
first token begins an accepted answer, by a softmax over the whole vocabulary. Values of different
models are not comparable.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.seeds import digest
from hnbench.suites.base import Judge, Verdict
from hnbench.weights.files import MODEL
from hnbench.weights.honest_answers import require_honest
from hnbench.weights.hub import Source, find
from hnbench.weights.vision_language import SUPPORTED, VisionLanguageModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

    from hnbench.suites.geneval2.suite import Mean

QWEN3_VL = Source(
    "Qwen/Qwen3-VL-8B-Instruct", patterns=("*.json", "*.jinja", "*.txt", "*.model"), needs=MODEL
)
"""The model of the published scores. Its licence is Apache 2.0."""
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNTING = "How many"
"""The beginning of the questions for a number; all others are to be answered with yes."""
YES, NO = ("Yes", "yes", " yes", " Yes"), ("No", "no", " no", " No")
VERSION = 1
"""The version of the computation from the picture to the verdict; part of the fingerprint."""
DIGITS = 4
"""Decimals of the atoms' probabilities in a verdict's details."""


class SoftTIFA(Judge):
    """Grades an image by the `mean` of its atoms' probabilities, in [0, 1]; `details` has both
    means, and the probability of each atom in the order of the questions.

    A first token of several spellings of an answer is counted once; upstream counts it for each of
    them. One that other answers begin with too, such as a space before digits, is not counted.
    """

    def __init__(self, model: VisionLanguageModel, mean: Mean, source: str) -> None:
        self.model, self.mean, self.source = model, mean, source
        self.name = f"soft-tifa-{mean}"
        answers = {**{word: spellings(word) for word in NUMBERS}, "yes": YES, "no": NO}
        begun = {word: model.first_tokens(texts) for word, texts in answers.items()}
        self._tokens = {word: own - _of_others(word, begun) for word, own in begun.items()}
        if alike := [word for word, own in self._tokens.items() if not own]:
            raise UsageError(
                f"the answer {alike[0]!r} begins like others in {source}, so its answers cannot be"
                f" told apart; {SUPPORTED}"
            )

    @cached_property
    def fingerprint(self) -> str:
        return digest(["Soft-TIFA", VERSION, self.mean, self.model.fingerprint])

    @property
    def networks(self) -> dict[str, str]:
        return {"vlm": self.model.fingerprint}

    def verify(self) -> None:
        """Ask a true and a false question about a photograph. `UsageError` unless the model says
        yes to the true one, and not to the false one.
        """
        # Of the benchmark's own questions none is false, so a model that always says yes would do
        # well.
        require_honest(
            self.source,
            lambda picture, question: self._atom(picture, [question, "Yes"]),
            "geneval2:vlm=OWNER/NAME",
        )

    def judge(
        self, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        return [
            self._verdict([self._atom(image, atom) for atom in about["vqa_list"]])
            for image, about in zip(images, metadata, strict=True)
        ]

    def _verdict(self, atoms: Sequence[float]) -> Verdict:
        means = {"arithmetic": sum(atoms) / len(atoms), "geometric": geometric_mean(atoms)}
        details: dict[str, Any] = {name: round(mean, DIGITS) for name, mean in means.items()}
        details["atoms"] = [round(atom, DIGITS) for atom in atoms]
        return Verdict(None, score=means[self.mean], details=details)

    def _atom(self, image: Image, atom: Sequence[str]) -> float:
        """The probability of the answer to one question."""
        question, answer = atom
        expected = NUMBERS if question.startswith(COUNTING) else ("Yes",)
        if answer not in expected:
            raise UsageError(
                f"the answer to {question!r} was {answer!r}; one of {', '.join(expected)} is"
                " expected"
            )
        tokens = self._tokens[answer.lower()]
        value = self.model.probability(image, f"{question} Answer in one word.", *sorted(tokens))
        if not math.isfinite(value):
            raise UsageError(
                f"{self.source} gave {value} for {question!r}, not a probability; choose another"
                " model, or the device cpu"
            )
        return value


def _of_others(word: str, begun: Mapping[str, frozenset[int]]) -> frozenset[int]:
    """The first tokens of all other answers."""
    return frozenset().union(*(own for other, own in begun.items() if other != word))


def spellings(word: str) -> tuple[str, ...]:
    """The accepted spellings of a number.

    >>> spellings("two")
    ('two', 'Two', ' two', ' Two', '2', ' 2')
    """
    digit = str(NUMBERS.index(word) + 1)
    capital = word.capitalize()
    return (word, capital, f" {word}", f" {capital}", digit, f" {digit}")


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of numbers of at least 0; 0 if one of them is.

    >>> round(geometric_mean([0.25, 1.0]), 12)
    0.5
    """
    if min(values) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, values)) / len(values))


def soft_tifa(mean: Mean, where: str, device: str) -> SoftTIFA:
    """The judge with the default model, or with the one that `where` names: a folder, or
    `owner/name[@revision]` of the Hub.
    """
    found = find((QWEN3_VL,), where)
    return SoftTIFA(
        VisionLanguageModel(found.folders[0], device, QWEN3_VL.files), mean, found.origin
    )
