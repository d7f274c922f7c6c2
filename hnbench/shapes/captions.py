"""Captions in GenEval's six task styles, their metadata, their scenes and their hard negatives.

There are 2646 captions: 7 single-object, 42 two-object, 21 counting, 56 colour, 168 position and
2352 colour-attribution captions. `evaluation_captions` and `training_captions` share no caption of
a task that has enough of them (two_object, colors, position, color_attr). The 7 captions of
single_object and the 21 of counting are in both.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

from hnbench.shapes.world import COLOURS, RELATIONS, SHAPES, Item, Scene, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
NUMBERS = {2: "two", 3: "three", 4: "four"}
EVALUATED = {
    "single_object": 7,
    "two_object": 21,
    "counting": 21,
    "colors": 28,
    "position": 84,
    "color_attr": 84,
}
"""The number of captions of each task that are used in evaluation."""
SHARED = ("single_object", "counting")
"""Tasks with too few captions to be split: all are used in evaluation and in training."""
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_SPLIT_SEED = 2508
"""Must not change: another split would move captions of the trained models into the evaluation."""


@dataclass(frozen=True)
class Caption:
    """The content of one caption: its tag, shapes, colours, relation and number. Colours and
    relations that it does not state are None.
    """

    tag: str
    shapes: tuple[str, ...]
    colours: tuple[str | None, ...] = ()
    relation: str | None = None
    count: int = 1

    @property
    def text(self) -> str:
        """The caption as a prompt."""
        if self.tag == "counting":
            return f"a photo of {NUMBERS[self.count]} {_plural(self.shapes[0])}"
        colours = self.colours or (None,) * len(self.shapes)
        phrases = [
            _article(f"{colour} {shape}" if colour else shape)
            for colour, shape in zip(colours, self.shapes, strict=True)
        ]
        return (
            "a photo of"
            f" {f' {self.relation} '.join(phrases) if self.relation else ' and '.join(phrases)}"
        )

    def metadata(self) -> dict[str, Any]:
        """The caption as GenEval's evaluation metadata (tag, include, exclude, prompt)."""
        clauses: list[dict[str, Any]] = [
            {"class": shape, "count": self.count} for shape in self.shapes
        ]
        for clause, colour in zip(clauses, self.colours, strict=False):
            if colour:
                clause["color"] = colour
        if self.relation:
            # GenEval lists the target first, and refers to it by its index.
            clauses = [clauses[1], {**clauses[0], "position": [self.relation, 0]}]
        found: dict[str, Any] = {"tag": self.tag, "include": clauses, "prompt": self.text}
        if self.tag == "counting":
            found["exclude"] = [{"class": self.shapes[0], "count": self.count + 1}]
        return found

    def scene(self, rng: np.random.Generator) -> Scene:
        """A random scene that the caption is true of, with no other objects. Everything that the
        caption leaves open is drawn at random.
        """
        if self.tag == "counting":
            colour = COLOURS[rng.integers(len(COLOURS))]
            return Scene(
                tuple(Item(self.shapes[0], colour, *spot) for spot in place(self.count, rng))
            )
        spots = place(len(self.shapes), rng, self.relation)
        colours = self.colours or (None,) * len(self.shapes)
        return Scene(
            tuple(
                Item(shape, colour or COLOURS[rng.integers(len(COLOURS))], *spot)
                for shape, colour, spot in zip(self.shapes, colours, spots, strict=True)
            )
        )

    def hard_negatives(self, rng: random.Random) -> dict[str, Caption]:
        """Kind of difference -> a caption that differs in one thing and is false of this caption's
        scenes.

        Kinds: `swapped_colours`, `swapped_position` (the inverse relation), `turned_position` (the
        other axis), `count`, `colour`, `shape`.
        """
        found: dict[str, Caption] = {}
        if self.tag == "color_attr":
            found["swapped_colours"] = Caption(self.tag, self.shapes, self.colours[::-1])
        if self.relation:
            turned = (
                ("above", "below")
                if self.relation in ("left of", "right of")
                else ("left of", "right of")
            )
            found["swapped_position"] = Caption(
                self.tag, self.shapes, relation=INVERSE[self.relation]
            )
            found["turned_position"] = Caption(self.tag, self.shapes, relation=rng.choice(turned))
        if self.tag == "counting":
            found["count"] = Caption(
                self.tag, self.shapes, count=rng.choice([n for n in NUMBERS if n != self.count])
            )
        if any(self.colours):
            index = rng.randrange(len(self.colours))
            other = rng.choice([colour for colour in COLOURS if colour not in self.colours])
            found["colour"] = Caption(
                self.tag, self.shapes, (*self.colours[:index], other, *self.colours[index + 1 :])
            )
        index = rng.randrange(len(self.shapes))
        shape = rng.choice([shape for shape in SHAPES if shape not in self.shapes])
        shapes = (*self.shapes[:index], shape, *self.shapes[index + 1 :])
        found["shape"] = Caption(self.tag, shapes, self.colours, self.relation, self.count)
        return found


def _plural(shape: str) -> str:
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


@cache
def all_captions(tag: str) -> tuple[Caption, ...]:
    """Every caption of one task, in a fixed order."""
    pairs, colours = list(permutations(SHAPES, 2)), list(permutations(COLOURS, 2))
    found = {
        "single_object": (Caption(tag, (shape,)) for shape in SHAPES),
        "two_object": (Caption(tag, pair) for pair in pairs),
        "counting": (Caption(tag, (shape,), count=n) for shape, n in product(SHAPES, NUMBERS)),
        "colors": (Caption(tag, (shape,), (colour,)) for shape, colour in product(SHAPES, COLOURS)),
        "position": (Caption(tag, pair, relation=way) for pair, way in product(pairs, RELATIONS)),
        "color_attr": (Caption(tag, pair, two) for pair, two in product(pairs, colours)),
    }
    return tuple(found[tag])


@cache
def _split(tag: str) -> tuple[tuple[Caption, ...], tuple[Caption, ...]]:
    """(evaluation, training) captions of one task: disjoint unless the task is in `SHARED`."""
    shuffled = list(all_captions(tag))
    random.Random(f"{_SPLIT_SEED}/{tag}").shuffle(shuffled)
    evaluated = tuple(shuffled[: EVALUATED[tag]])
    return evaluated, tuple(shuffled) if tag in SHARED else tuple(shuffled[EVALUATED[tag] :])


def evaluation_captions() -> tuple[Caption, ...]:
    """The captions of the suite `geneval-shapes`, task by task."""
    return tuple(caption for tag in TAGS for caption in _split(tag)[0])


def training_captions(tag: str) -> tuple[Caption, ...]:
    """The captions of one task that hypernetworks and fine-tuned baselines are trained on."""
    return _split(tag)[1]


def training_prompts() -> tuple[str, ...]:
    """The prompts for `hnbench train`: 84 of each of the six tasks. Tasks with fewer captions
    repeat them.
    """
    share = 84
    return tuple(
        _cycle(training_captions(tag), share)[index].text for index in range(share) for tag in TAGS
    )


def _cycle(captions: Sequence[Caption], length: int) -> list[Caption]:
    return [captions[index % len(captions)] for index in range(length)]


@cache
def by_text() -> dict[str, Caption]:
    """Text -> caption, for all 2646 captions."""
    return {caption.text: caption for tag in TAGS for caption in all_captions(tag)}


def holds(caption: Caption, truth: Caption) -> bool:
    """Whether `caption` is true of every scene of `truth`, judged by the words of `truth` alone.

    Contrastive training uses this to mask negatives within a batch: a caption that is also true of
    another image is not a negative.
    """
    if caption == truth:
        return True
    stated = dict(zip(truth.shapes, truth.colours or (None,) * len(truth.shapes), strict=True))
    if caption.tag == "counting":
        return False
    if caption.relation:
        inverse = Caption("position", caption.shapes[::-1], relation=INVERSE[caption.relation])
        return inverse == truth
    wanted = zip(caption.shapes, caption.colours or (None,) * len(caption.shapes), strict=True)
    return all(
        shape in stated and (colour is None or stated[shape] == colour) for shape, colour in wanted
    )
