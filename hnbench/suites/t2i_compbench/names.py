"""Matches nouns with the labels of detected objects, under the repaired rules.

A label may have more words than the noun ("dining table"), several alternatives ("picture/frame"),
or another word ("couch" for a sofa). The other words were looked up in the vocabularies of
Objects365 and COCO. A special kind does not match: "pigeon" is not a label for "bird".
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
"""Noun of a prompt -> labels of detectors for the same thing. "telivision" is upstream's
spelling.
"""
OTHER_THINGS = frozenset({"baseball bat", "head phone", "hot dog", "teddy bear"})
"""Labels whose last word means another thing: a hot dog is not a dog."""


def named(noun: str | None, labels: Sequence[str]) -> list[int]:
    """The indices of the labels that equal the noun or, if there are none, of those that mean it in
    more or in other words.
    """
    exact = [place for place, label in enumerate(labels) if label == noun]
    if exact or noun is None:
        return exact
    words = (noun, *OTHER_WORDS.get(noun, ()))
    return [
        place for place, label in enumerate(labels) if any(_says(label, word) for word in words)
    ]


def _says(label: str, word: str) -> bool:
    """Whether one of a label's parts (they are separated by slashes) is the word, or ends with it:
    a "dining table" is a table.
    """
    parts = [part.strip() for part in label.split("/")]
    return any(
        part == word or (part not in OTHER_THINGS and part.endswith(f" {word}")) for part in parts
    )
