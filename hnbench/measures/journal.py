"""The measured values of a folder's images: `measures/journal.jsonl` in it. Read
without torch, also by a report.

Two kinds of lines. A definition says what a measure is, once for every fingerprint. A row has the
values of some prompts of one label:

    {"schema":1,"measure":"lpips","fingerprint":"...","kind":"prompt","about":"...","higher_is_better":true,"source":"..."}
    {"schema":1,"measure":"lpips","fingerprint":"...","label":"random","images":"...","values":{"colors/0000":0.61,...}}

A row names its definition, which stands before it, by the beginning of the fingerprint. `values`
are numbers by prompt; of a measure of images, lists with one for each image of the prompt; of a
measure of sets, the distance and the sizes of both sets. `images` is the beginning of a SHA-256
over those of the images, in the order of `values` (of sets: this label's, then the base's), so that
a row counts only as long as the images are those that were measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from hnbench.files.decoding import as_kind, check_schema
from hnbench.files.digits import to_digits
from hnbench.files.journal import Journal, read_lines
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
MEASURE_DIGITS = 5
"""Significant digits of a value: far finer than any interval of it, and a reference run's file
stays small.
"""

Kind = Literal["image", "prompt", "set"]
Named = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
_KINDS: dict[type[Any], Kind] = {ImageMeasure: "image", PromptMeasure: "prompt", SetMeasure: "set"}

Images = Mapping[str, Sequence[str]]
"""Prompt -> the SHA-256 of its images, in order."""


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a measure is."""

    measure: Named
    fingerprint: Named
    kind: Kind
    about: str
    higher_is_better: bool | None
    source: str
    schema: int = SCHEMA

    @staticmethod
    def of(measure: Measure) -> Definition:
        """The definition of a loaded measure."""
        kind = next(kind for base, kind in _KINDS.items() if isinstance(measure, base))
        return Definition(
            measure.name,
            measure.fingerprint,
            kind,
            measure.about,
            measure.higher_is_better,
            measure.source,
        )


class MeasureRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of some prompts of one label, or the distance of its images to the base's."""

    measure: str
    fingerprint: str
    """The beginning of the definition's."""
    label: str
    images: str
    values: dict[str, Any]
    """As `VALUES` says for the measure's kind."""
    schema: int = SCHEMA

    def is_of(self, images: Images) -> bool:
        """Whether these are the images that were measured, each of them."""
        found = [images.get(prompt) for prompt in self.values]
        if None in found or self.images != images_digest(
            sha256 for one in found for sha256 in one or ()
        ):
            return False
        return all(
            len(value) == len(images[prompt])
            for prompt, value in self.values.items()
            if isinstance(value, list)
        )


class Distance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a label's images to the base's: the value and the sizes of both sets."""

    value: float
    images: Count
    base_images: Count


VALUES: dict[Kind, Any] = {
    "image": dict[str, list[float]],
    "prompt": dict[str, float],
    "set": Distance,
}
"""What a row's values are, by the kind of its measure."""


def images_digest(sha256s: Iterable[str]) -> str:
    """The digest that identifies a row's `images`."""
    return digest(list(sha256s))[:REFERENCE]


class Measurements:
    """What a journal's lines say of given images. A later line wins over an earlier one."""

    def __init__(self, lines: Iterable[Definition | MeasureRow]) -> None:
        """Sort the lines. A row without its definition before it counts for nothing: it is measured
        again.
        """
        self.definitions: dict[tuple[str, str], Definition] = {}
        """By measure and the fingerprint's beginning."""
        self.rows: list[MeasureRow] = []
        for line in lines:
            if isinstance(line, Definition):
                self.definitions[line.measure, line.fingerprint[:REFERENCE]] = line
            elif (line.measure, line.fingerprint) in self.definitions:
                self.rows.append(line)

    def latest(self) -> dict[str, Definition]:
        """Measure -> the definition that its last row is of."""
        return {row.measure: self.definitions[row.measure, row.fingerprint] for row in self.rows}

    def by_prompt(
        self, definition: Definition, label: str, images: Images
    ) -> dict[str, tuple[float, ...]]:
        """Prompt -> its values (one, but of a measure of images), of those images alone."""
        found: dict[str, tuple[float, ...]] = {}
        for row in self._rows(definition, label):
            if row.is_of(images):
                several = {
                    prompt: value if isinstance(value, list) else [value]
                    for prompt, value in row.values.items()
                }
                found.update(
                    {prompt: tuple(map(float, values)) for prompt, values in several.items()}
                )
        return found

    def distance(
        self, definition: Definition, label: str, images: Images, base: Images
    ) -> Distance | None:
        """The distance of those images to those of the base, if it is known."""
        known, sizes = _of_sets(images, base), _sizes(images, base)
        rows = [
            row
            for row in self._rows(definition, label)
            if row.images == known and row.values.items() >= sizes.items()
        ]
        return as_kind(rows[-1].values, Distance) if rows else None

    def _rows(self, definition: Definition, label: str) -> list[MeasureRow]:
        wanted = (definition.measure, definition.fingerprint[:REFERENCE], label)
        return [row for row in self.rows if (row.measure, row.fingerprint, row.label) == wanted]


def _of_sets(images: Images, base: Images) -> str:
    return images_digest(
        [
            images_digest(sha256 for one in each.values() for sha256 in one)
            for each in (images, base)
        ]
    )


def open_journal(folder: Path) -> Journal[Definition | MeasureRow]:
    """The journal in a folder of measures, for writing."""
    return Journal(folder / NAME, _Reader())


def read_measurements(run: Path) -> Measurements | None:
    """What was measured of a run's images, if anything was."""
    path = run / FOLDER / NAME
    lines = read_lines(path, _Reader())
    return Measurements(lines) if lines else None


def definition_line(definition: Definition) -> dict[str, Any]:
    """The line of a definition."""
    return msgspec.structs.asdict(definition)


def row_line(
    definition: Definition, label: str, images: Images, values: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """The line of some prompts' values."""
    measured = images_digest(sha256 for prompt in values for sha256 in images[prompt])
    rounded = {
        prompt: [to_digits(value, MEASURE_DIGITS) for value in found]
        for prompt, found in values.items()
    }
    return _row(
        definition,
        label,
        measured,
        (
            rounded
            if definition.kind == "image"
            else {prompt: one for prompt, (one,) in rounded.items()}
        ),
    )


def distance_line(
    definition: Definition, label: str, images: Images, base: Images, value: float
) -> dict[str, Any]:
    """The line of a distance between two sets."""
    return _row(
        definition,
        label,
        _of_sets(images, base),
        {"value": to_digits(value, MEASURE_DIGITS), **_sizes(images, base)},
    )


def _sizes(images: Images, base: Images) -> dict[str, int]:
    return {"images": sum(map(len, images.values())), "base_images": sum(map(len, base.values()))}


def _row(
    definition: Definition, label: str, images: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    about = {
        "measure": definition.measure,
        "fingerprint": definition.fingerprint[:REFERENCE],
        "label": label,
        "images": images,
    }
    return {"schema": SCHEMA, **about, "values": values}


class _Reader:
    """Reads the lines of a journal in order; the definition before a row says what its values must
    be.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], Kind] = {}

    def __call__(self, line: dict[str, Any]) -> Definition | MeasureRow:
        """One decoded line; `MalformedError` says what is wrong with it."""
        check_schema(line, SCHEMA)
        if "values" not in line:
            definition = as_kind(line, Definition)
            self._kinds[definition.measure, definition.fingerprint[:REFERENCE]] = definition.kind
            return definition
        row = as_kind(line, MeasureRow)
        kind = self._kinds.get((row.measure, row.fingerprint))
        if kind is not None:
            as_kind(row.values, VALUES[kind])
        return row
