"""The templates of GenEval 2's prompts: which of them a set of training prompts has, as they are or
with other words in the same places.

Equal text alone says little here. The prompts are put together by rule from forty things and
eighteen looks, so training prompts made by the same rule teach the task without repeating one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hnbench.files.prompt_files import normalised
from hnbench.suites.geneval2.judge import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hnbench.suites.base import Prompt

_OF_A_THING = re.compile(r"(?:How many (\w+) are|Are there any (\w+)) in the image\?")
_OF_A_LOOK = re.compile(r"(?:Are|Is) the \w+ (\w+)\?")
_JOIN = re.compile(r",? and ")
_COUNTS = {"a", "an", *NUMBERS}
COUNT, LOOK, THING = "[count]", "[look]", "[thing]"

Likeness = Literal["equal", "in another order", "of the same template", "new"]
"""The relation of a prompt to training prompts, the nearest first."""


def vocabulary(prompts: Iterable[Prompt]) -> dict[str, str]:
    """Word -> `LOOK` or `THING`, from the questions about the prompts; a thing in the plural and
    without its last s.
    """
    found: dict[str, str] = {}
    for prompt in prompts:
        for question, _ in prompt.metadata["vqa_list"]:
            if match := _OF_A_LOOK.fullmatch(question):
                found[match[1]] = LOOK
            if match := _OF_A_THING.fullmatch(question):
                plural = match[1] or match[2]
                found |= {plural: THING, plural.removesuffix("s"): THING}
    return found


def template(text: str, words: Mapping[str, str]) -> str:
    """The prompt with its counts, looks and things replaced by their kinds.

    >>> template("Two red cats, and a dog.", {"red": LOOK, "cats": THING, "dog": THING})
    '[count] [look] [thing], and [count] [thing]'
    """
    return re.sub(
        r"\w+",
        lambda match: COUNT if match[0] in _COUNTS else words.get(match[0], match[0]),
        normalised(text),
    )


def parts(text: str) -> tuple[str, ...]:
    """The parts that a prompt joins by "and", in alphabetical order. Prompts with equal parts show
    the same.

    >>> parts("two cats and a red dog") == parts("A red dog, and two cats")
    True
    """
    return tuple(sorted(_JOIN.split(normalised(text))))


@dataclass(frozen=True)
class TrainedTexts:
    """Training prompts, in the three forms that `likeness` looks for."""

    texts: frozenset[str]
    parts: frozenset[tuple[str, ...]]
    templates: frozenset[str]
    words: Mapping[str, str]

    @staticmethod
    def of(texts: Sequence[str], words: Mapping[str, str]) -> TrainedTexts:
        """The forms of the training prompts `texts`, by a `vocabulary`."""
        return TrainedTexts(
            frozenset(map(normalised, texts)),
            frozenset(map(parts, texts)),
            frozenset(template(text, words) for text in texts),
            words,
        )

    def likeness(self, text: str) -> Likeness:
        """The first likeness to a training prompt that holds."""
        if normalised(text) in self.texts:
            return "equal"
        if parts(text) in self.parts:
            return "in another order"
        return "of the same template" if template(text, self.words) in self.templates else "new"
