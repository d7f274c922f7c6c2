"""2D-spatial: the relative position of two objects on the image plane.

Quirks of the published rules, kept under the name `published`:

- *on top of* is among the relations and has no rule, so it scores 0 (33 of the 88 prompts of
  `complex` that are about places);
- an object counts only if its noun is exactly a label of the detector, so "wallet" or "table" may
  never be found.

Under `repaired`, "on top of" means "on the top of", and a noun also matches a label that means it
in more or in other words (`names`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hnbench.detections import Box, iou
from hnbench.suites.t2i_compbench.detections import Detections, LabelledBox, offset
from hnbench.suites.t2i_compbench.names import named

if TYPE_CHECKING:
    from collections.abc import Sequence

Rules = Literal["published", "repaired"]

RELATIONS = (
    "on side of",
    "next to",
    "near",
    "on the left of",
    "on the right of",
    "on the bottom of",
    "on the top of",
    "on top of",
)
"""The relations, in the order in which a prompt is searched for them."""
PREPOSITIONS = (
    "on top of",
    "on bottom of",
    "on the left",
    "on the right",
    "next to",
    "on side of",
    "near",
)
"""The prepositions between the two objects of a prompt of `complex`."""
PEOPLE = frozenset({"girl", "boy", "man", "woman"})
"""Nouns for which the label is "person"."""
DISTANCE = 150
"""Two things closer than this on an axis are near each other, in pixels of the frame."""
OVERLAP = 0.1
"""From this intersection over union on, a position counts for less."""
LEAST = 0.5
"""A score below this becomes 0."""

_DIRECTIONS = {
    "on the right of": (0, -1),
    "on the left of": (0, 1),
    "on the bottom of": (1, -1),
    "on the top of": (1, 1),
}
"""Relation -> the axis (0 is x, 1 is y) and the sign of the offset from the first object to the
second.
"""


def relation_in(prompt: str) -> str | None:
    """The first relation of `RELATIONS` that the prompt contains; None if it contains none.

    >>> relation_in("a cat on the left of a dog")
    'on the left of'
    """
    return next((relation for relation in RELATIONS if relation in prompt), None)


def position_score(relation: str | None, first: Box, second: Box) -> float:
    """The score, in [0, 1], of the first box's position relative to the second; 0 for a relation
    without a rule.
    """
    across, down = offset(first, second)
    if relation in ("next to", "on side of", "near"):
        return (
            1.0
            if min(abs(across), abs(down)) < DISTANCE
            else DISTANCE / max(abs(across), abs(down))
        )
    if relation not in _DIRECTIONS:
        return 0.0
    axis, sign = _DIRECTIONS[relation]
    along, other = (across, down) if axis == 0 else (down, across)
    if along * sign <= 0 or abs(along) <= abs(other):
        return 0.0
    overlap = iou(first, second)
    return 1.0 if overlap < OVERLAP else OVERLAP / overlap


def objects_of(nouns: Sequence[str]) -> tuple[str | None, str | None]:
    """The two objects of a plain prompt: its first and last noun."""
    return (as_label(nouns[0]), as_label(nouns[-1])) if nouns else (None, None)


def objects_of_complex(words: Sequence[str], tags: Sequence[str]) -> tuple[str | None, str | None]:
    """The nouns before and after the preposition in a prompt of `complex`; (None, None) if there
    are not exactly two.
    """
    found: list[str] = []
    for start in range(len(words)):
        length = next(
            (size for size in (3, 2, 1) if " ".join(words[start : start + size]) in PREPOSITIONS), 0
        )
        if length:
            found += _first(words, tags, range(start - 1, -1, -1), {"NOUN", "PROPN"})
            found += _first(
                words, tags, range(start + length, len(words)), {"NOUN"}
            ) or _end_of_name(words, tags, start + length)
    return (as_label(found[0]), as_label(found[1])) if len(found) == 2 else (None, None)


def _first(words: Sequence[str], tags: Sequence[str], places: range, kinds: set[str]) -> list[str]:
    """The first word with one of these parts of speech, in the order of `places`."""
    return next(([words[at]] for at in places if tags[at] in kinds), [])


def _end_of_name(words: Sequence[str], tags: Sequence[str], start: int) -> list[str]:
    """The end of the first name after `start`, for a preposition that no common noun follows."""
    ends = (
        at for at in range(start, len(words) - 1) if tags[at] == "PROPN" and tags[at + 1] != "PROPN"
    )
    return next(([words[at]] for at in ends), [])


def as_label(noun: str) -> str:
    """The detector's label for a noun: a girl, a boy, a man or a woman is a person."""
    return "person" if noun in PEOPLE else noun


def spatial_score(
    objects: tuple[str | None, str | None], relation: str | None, found: Detections, rules: Rules
) -> tuple[float, str]:
    """The score of one image, in [0, 1], and the reason if it is low. Each object's confidence
    makes a quarter of the score, the position half.
    """
    first, second = (_find(name, found, rules) for name in objects)
    if rules == "repaired" and relation == "on top of":
        relation = "on the top of"
    score = sum(0.25 * one.score for one in (first, second) if one)
    if first and second:
        score += 0.5 * position_score(relation, first.box, second.box)
    missing = [str(name) for name, one in zip(objects, (first, second), strict=True) if one is None]
    reason = (
        f"not found: {', '.join(missing)}"
        if missing
        else ""
        if score >= 0.75
        else f"not {relation}"
    )
    return (score if score >= LEAST else 0.0), reason


def _find(name: str | None, found: Detections, rules: Rules) -> LabelledBox | None:
    """The most confident object with that name."""
    if rules == "published":
        return next((one for one in found if one.label == name), None)
    return next((found[place] for place in named(name, [one.label for one in found])), None)
