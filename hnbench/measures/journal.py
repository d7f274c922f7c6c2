"""The measured values of a folder's images, in its file `measures/journal.jsonl`. A report reads it
without torch.

It has two kinds of lines. A definition describes a measure, once for each fingerprint. A row has
the values of some prompts of one label:

    {"schema":1,"measure":"lpips","fingerprint":"...","kind":"prompt","about":"...","higher_is_better":true,"source":"..."}
    {"schema":1,"measure":"lpips","fingerprint":"...","label":"random","images":"...","values":{"colors/0000":0.61,...}}

A row names its definition, which comes before it, by the beginning of the fingerprint. `values` has
a number for each prompt. For a measure of images it has a list for each prompt, with one number per
image; for a measure of sets it has the distance and the sizes of both sets. `images` is the
beginning of a SHA-256 of the images' own SHA-256s, in the order of `values` (for sets: this
label's, then the base's). So a row counts only as long as the images are those that were measured.
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
"""The number of hexadecimal digits of a fingerprint, or of the images' digest, in a row."""
MEASURE_DIGITS = 5
"""Significant digits of a value. They are far finer than any interval, and keep a reference run's
file small.
"""

Kind = Literal["image", "prompt", "set"]
Named = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
_KINDS: dict[type[Any], Kind] = {ImageMeasure: "image", PromptMeasure: "prompt", SetMeasure: "set"}

Images = Mapping[str, Sequence[str]]
"""Prompt -> the SHA-256 of its images, in order."""


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The description of a measure."""

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
    """The beginning of the definition's fingerprint."""
    label: str
    images: str
    """The digest of the measured images (`images_digest`)."""
    values: dict[str, Any]
    """Their type depends on the measure's kind (`VALUES`)."""
    schema: int = SCHEMA

    def is_of(self, images: Images) -> bool:
        """Whether all of the row's prompts still have exactly the images that were measured."""
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
    """The distance of a label's images to the base's, and the sizes of both sets."""

    value: float
    images: Count
    base_images: Count


VALUES: dict[Kind, Any] = {
    "image": dict[str, list[float]],
    "prompt": dict[str, float],
    "set": Distance,
}
"""Kind of a measure -> the type of a row's values."""


def images_digest(sha256s: Iterable[str]) -> str:
    """The digest that identifies a row's `images`."""
    return digest(list(sha256s))[:REFERENCE]


class Measurements:
    """The values of a journal's lines. A later line wins over an earlier one."""

    def __init__(self, lines: Iterable[Definition | MeasureRow]) -> None:
        """Sort the lines. A row without its definition before it is ignored, so its values are
        measured again.
        """
        self.definitions: dict[tuple[str, str], Definition] = {}
        """(Measure, beginning of the fingerprint) -> definition."""
        self.rows: list[MeasureRow] = []
        for line in lines:
            if isinstance(line, Definition):
                self.definitions[line.measure, line.fingerprint[:REFERENCE]] = line
            elif (line.measure, line.fingerprint) in self.definitions:
                self.rows.append(line)

    def latest(self) -> dict[str, Definition]:
        """Measure -> the definition of its last row."""
        return {row.measure: self.definitions[row.measure, row.fingerprint] for row in self.rows}

    def by_prompt(
        self, definition: Definition, label: str, images: Images
    ) -> dict[str, tuple[float, ...]]:
        """Prompt -> its values, measured on exactly these images: one per image for a measure of
        images, else one.
        """
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
        """The distance of these images to those of the base; None if it was not measured."""
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


def open_journal(folder: Path, part: tuple[int, int] = (1, 1)) -> Journal[Definition | MeasureRow]:
    """The journal in a folder of measures, for writing; `part` is the number of this process and
    the number of processes.
    """
    return Journal(folder / NAME, MeasureReader(), part)


def read_measurements(run: Path) -> Measurements | None:
    """The values that were measured on a run's images; None if there are none."""
    path = run / FOLDER / NAME
    lines = read_lines(path, MeasureReader())
    return Measurements(lines) if lines else None


def definition_line(definition: Definition) -> dict[str, Any]:
    """A definition as a line of the journal."""
    return msgspec.structs.asdict(definition)


def row_line(
    definition: Definition, label: str, images: Images, values: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Some prompts' values as a line of the journal."""
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
    """A distance between two sets as a line of the journal."""
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


class MeasureReader:
    """Reads the lines of a journal in order, because the definition before a row says which type
    its values must have.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], Kind] = {}

    def __call__(self, line: dict[str, Any]) -> Definition | MeasureRow:
        """The definition or row of a decoded line; `MalformedError` if it is neither."""
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
