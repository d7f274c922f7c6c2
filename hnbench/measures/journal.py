"""What was measured of a folder's images: `measures/journal.jsonl` in it. Read without torch, by a report too.

Two kinds of lines. A definition says what a measure is, once for every fingerprint. A row has the values of some prompts of one label:

    {"schema":1,"measure":"lpips","fingerprint":"...","kind":"prompt","about":"...","higher_is_better":true,"source":"..."}
    {"schema":1,"measure":"lpips","fingerprint":"...","label":"random","images":"...","values":{"colors/0000":0.61,...}}

A row names its definition by the beginning of the fingerprint. `values` are numbers by prompt; of a measure of images, lists with one for
each image of the prompt; of a measure of sets, the distance and the sizes of both sets. `images` is the beginning of a SHA-256 over those
of the images, in the order of `values` (of sets: this label's, then the base's), so that a row counts only as long as the images are those
that were measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hnbench.journal import Journal, read_lines
from hnbench.measures.base import ImageMeasure, PromptMeasure, SetMeasure
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hnbench.measures.base import Measure

SCHEMA = 1
"""The version of a line that this package writes."""
FOLDER, NAME = "measures", "journal.jsonl"
REFERENCE = 16
"""Hexadecimal digits of a fingerprint, or of the images' digest, in a row."""
DIGITS = 5
"""Significant digits of a value: far finer than any interval of it, and a reference run's file stays small."""

Kind = Literal["image", "prompt", "set"]
_KINDS: dict[type[Any], Kind] = {ImageMeasure: "image", PromptMeasure: "prompt", SetMeasure: "set"}

Images = Mapping[str, Sequence[str]]
"""Prompt -> the SHA-256 of its images, in order."""


@dataclass(frozen=True)
class Definition:
    """What a measure is."""

    measure: str
    fingerprint: str
    kind: Kind
    about: str
    higher_is_better: bool | None
    source: str

    @staticmethod
    def of(measure: Measure) -> Definition:
        """The definition of a loaded measure."""
        kind = next(kind for base, kind in _KINDS.items() if isinstance(measure, base))
        return Definition(measure.name, measure.fingerprint, kind, measure.about, measure.higher_is_better, measure.source)


@dataclass(frozen=True)
class Row:
    """The values of some prompts of one label, or the distance of its images to the base's."""

    measure: str
    fingerprint: str
    """The beginning of the definition's."""
    label: str
    images: str
    values: Mapping[str, Any]

    def is_of(self, images: Images) -> bool:
        """Whether these are the images that were measured."""
        found = [images.get(prompt) for prompt in self.values]
        return None not in found and self.images == images_digest(sha256 for one in found for sha256 in one or ())


@dataclass(frozen=True)
class Distance:
    """Of a label's images to the base's: the value and the sizes of both sets."""

    value: float
    images: int
    base_images: int


def images_digest(sha256s: Iterable[str]) -> str:
    """What a row's `images` are known by."""
    return digest(list(sha256s))[:REFERENCE]


class Measurements:
    """What a journal's lines say of given images. A later line wins over an earlier one."""

    def __init__(self, lines: Iterable[Definition | Row]) -> None:
        """Sort the lines."""
        self.definitions: dict[tuple[str, str], Definition] = {}
        """By measure and the fingerprint's beginning."""
        self.rows: list[Row] = []
        for line in lines:
            if isinstance(line, Definition):
                self.definitions[line.measure, line.fingerprint[:REFERENCE]] = line
            else:
                self.rows.append(line)

    def latest(self) -> dict[str, Definition]:
        """Measure -> the definition that its last row is of."""
        order = dict.fromkeys(row.measure for row in self.rows)
        last = {row.measure: self.definitions.get((row.measure, row.fingerprint)) for row in self.rows}
        return {name: found for name in order if (found := last[name])}

    def by_prompt(self, definition: Definition, label: str, images: Images) -> dict[str, tuple[float, ...]]:
        """Prompt -> its values (one, but of a measure of images), of those images alone."""
        found: dict[str, tuple[float, ...]] = {}
        for row in self._rows(definition, label):
            if row.is_of(images):
                found.update({prompt: tuple(value) if isinstance(value, list) else (value,) for prompt, value in row.values.items()})
        return found

    def distance(self, definition: Definition, label: str, images: Images, base: Images) -> Distance | None:
        """The distance of those images to those of the base, if it is known."""
        known = _of_sets(images, base)
        rows = [row for row in self._rows(definition, label) if row.images == known]
        return Distance(**rows[-1].values) if rows else None

    def _rows(self, definition: Definition, label: str) -> list[Row]:
        wanted = (definition.measure, definition.fingerprint[:REFERENCE], label)
        return [row for row in self.rows if (row.measure, row.fingerprint, row.label) == wanted]


def _of_sets(images: Images, base: Images) -> str:
    return images_digest([images_digest(sha256 for one in each.values() for sha256 in one) for each in (images, base)])


def open_journal(folder: Path) -> Journal[Definition | Row]:
    """The journal in a folder of measures, for writing."""
    return Journal(folder / NAME, _parse)


def read_measurements(run: Path) -> Measurements | None:
    """What was measured of a run's images, if anything was."""
    path = run / FOLDER / NAME
    lines = read_lines(path, _parse)
    return Measurements(lines) if lines else None


def definition_line(definition: Definition) -> dict[str, Any]:
    """The line of a definition."""
    return {"schema": SCHEMA, **asdict(definition)}


def row_line(definition: Definition, label: str, images: Images, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """The line of some prompts' values."""
    measured = images_digest(sha256 for prompt in values for sha256 in images[prompt])
    rounded = {prompt: [_rounded(value) for value in found] for prompt, found in values.items()}
    return _row(definition, label, measured, rounded if definition.kind == "image" else {prompt: one for prompt, (one,) in rounded.items()})


def distance_line(definition: Definition, label: str, images: Images, base: Images, value: float) -> dict[str, Any]:
    """The line of a distance between two sets."""
    sizes = {"images": sum(map(len, images.values())), "base_images": sum(map(len, base.values()))}
    return _row(definition, label, _of_sets(images, base), {"value": _rounded(value), **sizes})


def _row(definition: Definition, label: str, images: str, values: Mapping[str, Any]) -> dict[str, Any]:
    about = {"measure": definition.measure, "fingerprint": definition.fingerprint[:REFERENCE], "label": label, "images": images}
    return {"schema": SCHEMA, **about, "values": values}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _parse(value: Any) -> Definition | Row:
    if value["schema"] > SCHEMA:
        raise ValueError(f"schema {value['schema']} of a newer hnbench")
    fields = {name: item for name, item in value.items() if name != "schema"}
    if "values" not in fields:
        return Definition(**fields)
    row = Row(**fields)
    numbers = [number for item in row.values.values() for number in (item if isinstance(item, list) else [item])]
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        raise TypeError("a value is not a number")
    return row


def with_equal_numbers(
    values: Mapping[str, Mapping[str, tuple[float, ...]]], images: Mapping[str, Images], base: str | None
) -> dict[str, dict[str, tuple[float, ...]]]:
    """By label, the values of the prompts that have as many images as the base has of them: diversity depends on the number."""

    def is_equal(label: str, prompt: str) -> bool:
        return base is None or len(images[label][prompt]) == len(images[base].get(prompt, ()))

    return {label: {prompt: value for prompt, value in found.items() if is_equal(label, prompt)} for label, found in values.items()}
