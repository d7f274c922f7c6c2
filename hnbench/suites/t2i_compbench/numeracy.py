"""Numeracy: are the objects in the image, and in the number that the prompt states?

Quirks of the published rules, kept under the name `published`:

- *near duplicates*: an object is dropped if nine tenths of it lie within an earlier one of its
  label, or nine tenths of the earlier one within it; so of a small thing in front of a large one of
  its kind, only one is counted;
- *renaming*: if no object has the name, all objects whose label contains it, even as a part of a
  word, are renamed to it, which also affects the counts of later names;
- a prompt without any countable object divides by zero; here it is an error.

Under `repaired`, only boxes at nearly the same place are duplicates, and labels that mean the
object (`names`) count without being renamed.
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
"""Two boxes whose common share is larger than this are one object."""
_RENAMED = {
    **dict.fromkeys(PEOPLE, "person"),
    "ship": "boat",
    "telivision": "tv",
    "goldfish": "fish",
    "painting": "picture",
}
"""Object of a prompt -> the detector's label; the spelling "telivision" is upstream's."""


def counted_objects(words: Sequence[str], singular_of: Mapping[str, str]) -> list[tuple[str, int]]:
    """The objects that a prompt counts, in the singular, with their numbers. Names of two words are
    tried before names of one. `singular_of` maps plurals to singulars.
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
    """Whether two boxes with the same label show one object. Boxes cover whole pixels, including
    the last: a box from 0 to 9 is 10 wide.
    """
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]) + 1)
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]) + 1)
    shared = width * height
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second)]
    if shared / (sum(areas) - shared) > SAME:
        return True
    return rules == "published" and any(shared / area > SAME for area in areas)


def without_duplicates(found: Detections, rules: Rules) -> list[LabelledBox]:
    """The objects without the duplicates of earlier ones with the same label."""
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
    """The score of one image, in [0, 1], and the reason if it is not full. Each object has an equal
    share of the score: half of it if the object is found, half for the right number.

    `ValueError` if nothing is counted.
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
    """The number of an object's labels. If no label equals its name, those that contain the name
    are renamed in the list, as in the published script.
    """
    label = _RENAMED.get(name, name)
    if label not in labels:
        labels[:] = [label if label in other else other for other in labels]
    return labels.count(label)
