"""Which detected objects a noun names, under the repaired rules.

A label may say it in more words ("dining table"), in several words at once ("picture/frame"), or in
another one ("couch" for a sofa). The other words were looked up in the vocabularies of Objects365
and COCO. A kind of a thing is not the thing: "pigeon" is not a label for "bird".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "apples": ("apple",),
    "armchair": ("chair",),
    "bag": ("handbag",),
    "balloons": ("balloon",),
    "bookshelf": ("shelf",),
    "computer": ("laptop", "computer box"),
    "couch": ("sofa",),
    "goldfish": ("fish",),
    "headphones": ("head phone",),
    "mug": ("cup",),
    "painting": ("picture",),
    "phone": ("telephone",),
    "rug": ("carpet",),
    "ship": ("boat",),
    "shoe": ("shoes",),
    "sofa": ("couch",),
    "suitcase": ("luggage",),
    "telivision": ("tv",),
    "television": ("tv",),
}
"""Noun of a prompt -> what detectors call the same thing. "telivision" is upstream's spelling."""
OTHER_THINGS = frozenset({"baseball bat", "head phone", "hot dog", "teddy bear"})
"""Labels that are not a kind of what their last word says."""


def named(noun: str | None, labels: Sequence[str]) -> list[int]:
    """The places of the labels that are the noun; where none is, of those that say it in more or in
    other words.
    """
    exact = [place for place, label in enumerate(labels) if label == noun]
    if exact or noun is None:
        return exact
    words = (noun, *OTHER_WORDS.get(noun, ()))
    return [
        place for place, label in enumerate(labels) if any(_says(label, word) for word in words)
    ]


def _says(label: str, word: str) -> bool:
    """Whether one of a label's parts between slashes is the word, or is a kind of it: the word
    comes last.
    """
    parts = [part.strip() for part in label.split("/")]
    return any(
        part == word or (part not in OTHER_THINGS and part.endswith(f" {word}")) for part in parts
    )
