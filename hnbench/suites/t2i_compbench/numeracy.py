"""Numeracy: are the objects there, and as many of them as the prompt says?

Quirks of the published rules, kept under the name `published`:

- *near duplicates*: an object is dropped where it, or an earlier one of its label, lies to nine
  tenths within the other, so a small thing
  before a large one of its kind is not counted;
- *renaming*: where no object has the name, all whose label contains it as a part of a word are
  renamed to it, for the objects after it too;
- a prompt without any countable object is a division by zero, and an error here.

Under `repaired` only boxes of nearly the same place are duplicates, and labels that say the object
(`names`) count without being renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.detections import Box
from hnbench.suites.t2i_compbench.detections import Detections, LabelledBox
from hnbench.suites.t2i_compbench.names import named
from hnbench.suites.t2i_compbench.spatial import PEOPLE, as_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.suites.t2i_compbench.spatial import Rules

NUMBERS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
}
SAME = 0.9
"""The share from which on two boxes are of one object."""
_RENAMED = {
    **dict.fromkeys(PEOPLE, "person"),
    "ship": "boat",
    "telivision": "tv",
    "goldfish": "fish",
    "painting": "picture",
}
"""Object of a prompt -> what the detector calls it; the spelling of the second is upstream's."""


def counted_objects(words: Sequence[str], singular_of: Mapping[str, str]) -> list[tuple[str, int]]:
    """The objects that a prompt counts, in the singular, with their numbers. Two words are tried
    before one.
    """
    singulars = set(singular_of.values())
    counted: list[tuple[str, int]] = []
    for at, word in enumerate(words):
        number = NUMBERS.get(word)
        if number is None:
            continue
        for size in (2, 1):
            name = " ".join(words[at + 1 : at + 1 + size])
            if name in singulars or name in singular_of:
                plural = name in singular_of and (number > 1 or name not in singulars)
                counted.append(
                    (singular_of[name] if plural else name, number if plural or number == 1 else 1)
                )
                break
    return counted


def is_duplicate(first: Box, second: Box, rules: Rules = "published") -> bool:
    """Whether two boxes of one label are of one object. Areas are those of whole pixels: a box from
    0 to 9 is 10 wide.
    """
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]) + 1)
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]) + 1)
    shared = width * height
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second)]
    if shared / (sum(areas) - shared) > SAME:
        return True
    return rules == "published" and any(shared / area > SAME for area in areas)


def without_duplicates(found: Detections, rules: Rules) -> list[LabelledBox]:
    """The objects without those that an earlier one of the same label covers."""
    kept: list[LabelledBox] = []
    for one in found:
        if not any(
            one.label == other.label and is_duplicate(one.box, other.box, rules) for other in kept
        ):
            kept.append(one)
    return kept


def numeracy_score(
    counted: Sequence[tuple[str, int]], found: Detections, rules: Rules
) -> tuple[float, str]:
    """The score in [0, 1] of one image, and what was wrong: each object has half its share for
    being there, half for the right number.
    """
    if not counted:
        raise ValueError("the prompt counts nothing, and the published score divides by that")
    labels = [one.label for one in without_duplicates(found, rules)]
    score, wrong = 0.0, []
    for name, wanted in counted:
        number = (
            _published_count(name, labels)
            if rules == "published"
            else len(named(as_label(name), labels))
        )
        score += (0.5 * (number > 0) + 0.5 * (number > 0 and number == wanted)) / len(counted)
        if number != wanted:
            wrong.append(f"expected {wanted} {name}, found {number}")
    return score, "\n".join(wrong)


def _published_count(name: str, labels: list[str]) -> int:
    """Count an object's labels; the list is changed where nothing has that label and something
    contains it.
    """
    label = _RENAMED.get(name, name)
    if label not in labels:
        labels[:] = [label if label in other else other for other in labels]
    return labels.count(label)
