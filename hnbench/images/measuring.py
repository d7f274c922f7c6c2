"""Measures the images of an inventory in batches of prompts. Each batch is on the disk before the
next one begins, and nothing is measured twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from hnbench.errors import PluginError, UsageError
from hnbench.guards.answers import as_many, as_number, is_usable, shown
from hnbench.images.failed import refuse_failed
from hnbench.images.inventory import SHOWN, decode_png
from hnbench.measures.base import ImageMeasure, PromptMeasure, SetMeasure
from hnbench.measures.journal import (
    Definition,
    Measurements,
    definition_line,
    distance_line,
    row_line,
)
from hnbench.runs.attempt import attempted
from hnbench.runs.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from hnbench.files.journal import Journal
    from hnbench.images.inventory import FoundImage, Inventory, StageProgress
    from hnbench.measures.base import Measure
    from hnbench.measures.journal import Distance, Images, MeasureRow
    from hnbench.runs.shards import Shard

    ByPrompt = Mapping[str, Sequence[FoundImage]]


@dataclass(frozen=True)
class Measured:
    """One measure's result for an inventory."""

    definition: Definition
    images: Mapping[str, Images]
    """Label -> the images that were measured."""
    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    """Label -> prompt -> values; empty for a measure of sets."""
    distances: Mapping[str, Distance]
    """Label -> distance, without the base's label; empty for any other measure."""
    left_out: int
    """The number of prompts (of each label) left out because they have a single image, and so no
    diversity; only if the folder is incomplete.
    """
    new: int
    """The number of images read now; the others were measured before."""
    base: str | None = None
    """The label of the base's images."""

    @property
    def missing(self) -> list[str]:
        """The labels that have not all values yet, because other shards measure them."""
        if self.definition.kind == "set":
            return [
                label for label in self.images if label != self.base and label not in self.distances
            ]
        return [
            label for label, known in self.images.items() if len(self.values[label]) < len(known)
        ]


class Measurer:
    """Measures an inventory, whose images' SHA-256 are known, with one measure after another.

    A shard has whole labels of a measure: number j of all (measure, label) pairs, in the order in
    which they are measured.
    """

    def __init__(
        self,
        inventory: Inventory,
        journal: Journal[Definition | MeasureRow],
        *,
        base: str | None,
        batch_size: int | Callable[[Measure, FoundImage], int],
        progress: StageProgress,
        shard: Shard = WHOLE,
    ) -> None:
        """Measure images of `inventory` into `journal`, `batch_size` at a time, or as many as this
        function of the measure and of one image says. `base` is the label of the base's images,
        None if the images have no labels. If the base has no image, that is a `UsageError`.
        """
        self._journal, self._base, self._progress = journal, base, progress
        self._size_for = (lambda *_: batch_size) if isinstance(batch_size, int) else batch_size
        self._shard, self._pairs = shard, 0
        self._whole, self._folder = inventory.complete, inventory.folder
        self._found: dict[str, dict[str, list[FoundImage]]] = {}
        for image in inventory.images:
            self._found.setdefault(image.label, {}).setdefault(image.prompt.id, []).append(image)
        if base is not None and base not in self._found:
            raise UsageError(
                f"{self._folder} has no image of {base}, which every label is compared with; run it"
                " again first"
            )

    def measure(self, measure: Measure) -> Measured:
        """Compute the shard's values that the journal lacks; returns all known values.

        Raises `UsageError` for images that cannot be measured, before anything is computed;
        `PluginError` for a measure that breaks its contract; `SampleFailure` if the measure failed
        for some images, after the rest is measured.
        """
        if not isinstance(measure, ImageMeasure | PromptMeasure | SetMeasure):
            raise PluginError(
                f"the measure gave {shown(measure)}; an ImageMeasure, a PromptMeasure or a"
                " SetMeasure is expected"
            )
        definition = Definition.of(measure)
        found = {
            label: self._several(measure, by_prompt) for label, by_prompt in self._found.items()
        }
        images = {label: _hashes(by_prompt) for label, by_prompt in found.items()}
        own = [label for number, label in enumerate(found, self._pairs) if self._shard.has(number)]
        self._pairs += len(found)
        new = (
            self._measure_sets(measure, definition, found, images, own)
            if isinstance(measure, SetMeasure)
            else self._measure_prompts(
                measure, definition, {label: found[label] for label in own}, images
            )
        )
        left_out = sum(len(self._found[label]) - len(found[label]) for label in found)
        return self.known(Measured(definition, images, {}, {}, left_out, new, self._base))

    def known(self, measured: Measured) -> Measured:
        """The same result with the values that the journal has now."""
        known, definition, images = (
            Measurements(self._journal.lines),
            measured.definition,
            measured.images,
        )
        return replace(
            measured,
            values=(
                {label: known.by_prompt(definition, label, images[label]) for label in images}
                if definition.kind != "set"
                else {}
            ),
            distances={
                label: distance
                for label in images
                if (distance := self._distance(known, definition, label, images))
            },
        )

    def _several(self, measure: Measure, by_prompt: ByPrompt) -> ByPrompt:
        """The prompts that the measure applies to: a measure of prompts needs several images."""
        single = [
            f"{image.label} {prompt} {image.sample}".strip()
            for prompt, (image, *others) in by_prompt.items()
            if not others
        ]
        if not (single and isinstance(measure, PromptMeasure)):
            return by_prompt
        if self._whole or len(single) == len(by_prompt):
            shown = ", ".join([*single[:SHOWN], *(["..."] if len(single) > SHOWN else [])])
            raise UsageError(
                f"{measure.name} needs several images per prompt; in {self._folder} {len(single)}"
                f" prompts have only one ({shown}). Generate more of each, or choose another"
                " `measure`"
            )
        return {prompt: found for prompt, found in by_prompt.items() if len(found) > 1}

    def _measure_prompts(
        self,
        measure: ImageMeasure | PromptMeasure,
        definition: Definition,
        found: Mapping[str, ByPrompt],
        images: Mapping[str, Images],
    ) -> int:
        known = Measurements(self._journal.lines)
        done = {label: known.by_prompt(definition, label, images[label]) for label in found}
        pending = {
            label: [group for prompt, group in found[label].items() if prompt not in done[label]]
            for label in found
        }
        count = self._begin(
            definition,
            (image for groups in pending.values() for group in groups for image in group),
        )
        names: list[str] = []
        results: list[object] = []
        first = next((group[0] for groups in pending.values() for group in groups), None)
        size = self._size_for(measure, first) if first else 1
        for label, groups in pending.items():
            # The batch size counts images, and a group is never divided.
            largest = max((len(group) for group in groups), default=1)

            # `label` is a default so that the function keeps this turn's value.
            def batch(
                chunk: Sequence[Sequence[FoundImage]], label: str = label
            ) -> Sequence[Sequence[FoundImage]]:
                values = _values(measure, chunk)
                by_prompt = {
                    group[0].prompt.id: value for group, value in zip(chunk, values, strict=True)
                }
                self._journal.add([row_line(definition, label, images[label], by_prompt)])
                self._progress.advance(sum(len(group) for group in chunk))
                return chunk

            names += [f"{label} {group[0].prompt.id}".strip() for group in groups]
            results += attempted(
                batch,
                groups,
                max(1, size // largest),
                _named(measure),
                record_memory=False,
            )
        refuse_failed(_named(measure), names, results, "prompts")
        return count

    def _measure_sets(
        self,
        measure: SetMeasure,
        definition: Definition,
        found: Mapping[str, ByPrompt],
        images: Mapping[str, Images],
        own: Sequence[str],
    ) -> int:
        if self._base is None:
            raise UsageError(
                f"{measure.name} is the distance to the base's images, and {self._folder} is not a"
                " run folder, so it has no labels to find them by; give a run folder, or choose"
                " another `measure`"
            )
        known = Measurements(self._journal.lines)
        base = self._base
        pending = [
            label
            for label in own
            if label != base and not self._distance(known, definition, label, images)
        ]
        labels = [base, *pending] if pending else []  # no label lacks a value: nothing to load
        count = self._begin(
            definition,
            (image for label in labels for group in found[label].values() for image in group),
        )
        reference: Tensor | None = None
        for label in labels:
            features = self._features(
                measure, [image for group in found[label].values() for image in group]
            )
            if reference is None:
                reference = features
                continue
            value = self._distance_of(measure, label, features, reference)
            self._journal.add(
                [distance_line(definition, label, images[label], images[base], value)]
            )
        return count

    def _features(self, measure: SetMeasure, found: Sequence[FoundImage]) -> Tensor:
        who = _named(measure)

        size = self._size_for(measure, found[0]) if found else 1

        def batch(chunk: Sequence[FoundImage]) -> Sequence[Tensor]:
            features = measure.features(_pictures(chunk))
            if (
                not is_usable(features)
                or features.ndim != 2
                or len(features) != len(chunk)
                or not features.is_floating_point()
            ):
                raise PluginError(
                    f"{who} gave {shown(features)}; features [{len(chunk)}, D] are expected"
                )
            if not bool(features.isfinite().all()):
                raise PluginError(f"{who} gave features that are not finite")
            self._progress.advance(len(chunk))
            return list(features)

        features = attempted(batch, found, size, who, record_memory=False)
        refuse_failed(who, [image.name for image in found], features, "images")
        sizes = {len(row) for row in features if isinstance(row, torch.Tensor)}
        if len(sizes) > 1:
            raise PluginError(
                f"{who} gave features of {' and '.join(map(str, sorted(sizes)))} numbers; equally"
                " many for every image are expected"
            )
        return torch.stack([row for row in features if isinstance(row, torch.Tensor)])

    def _distance_of(
        self, measure: SetMeasure, label: str, features: Tensor, reference: Tensor
    ) -> float:
        """The distance to the base, computed on whole sets: they cannot be halved like a batch."""
        who = _named(measure)

        def distance(_: Sequence[str]) -> list[float]:
            return [as_number(who, measure.distance(features, reference), "the distance of a set")]

        (value,) = attempted(distance, [label], 1, who, record_memory=False)
        refuse_failed(who, [label], [value], "labels")
        return as_number(who, value)

    def _distance(
        self, known: Measurements, definition: Definition, label: str, images: Mapping[str, Images]
    ) -> Distance | None:
        if definition.kind != "set" or self._base is None or label == self._base:
            return None
        return known.distance(definition, label, images[label], images[self._base])

    def _begin(self, definition: Definition, pending: Iterable[FoundImage]) -> int:
        count = sum(1 for _ in pending)
        self._progress.label(definition.measure, count)
        # Each file has its own definitions, because others can be read after it.
        if count and definition not in self._journal.own:
            self._journal.add([definition_line(definition)])
        return count


def _values(
    measure: ImageMeasure | PromptMeasure, groups: Sequence[Sequence[FoundImage]]
) -> list[list[float]]:
    """The values of each group: one for each image, or one for the whole group."""
    who = _named(measure)
    if isinstance(measure, PromptMeasure):
        given = as_many(
            who, measure.values([_pictures(group) for group in groups]), len(groups), "values"
        )
        return [[as_number(who, value)] for value in given]
    flat = [image for group in groups for image in group]
    given = as_many(
        who,
        measure.values(_pictures(flat), [image.prompt.text for image in flat]),
        len(flat),
        "values",
    )
    remaining = iter(given)
    return [[as_number(who, next(remaining)) for _ in group] for group in groups]


def _named(measure: Measure) -> str:
    return f"the measure {measure.name}"


def _pictures(found: Sequence[FoundImage]) -> list[Image]:
    return [decode_png(image.read()) for image in found]


def _hashes(by_prompt: ByPrompt) -> dict[str, list[str]]:
    return {prompt: [image.sha256 for image in group] for prompt, group in by_prompt.items()}
