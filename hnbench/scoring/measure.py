"""Measuring the images of an inventory: in batches of prompts, each on the disk before the next, and none of them twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hnbench.errors import UsageError
from hnbench.measures.base import ImageMeasure, PromptMeasure, SetMeasure
from hnbench.measures.journal import Definition, Measurements, definition_line, distance_line, row_line
from hnbench.runs.attempt import in_chunks
from hnbench.scoring.inventory import SHOWN, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from hnbench.journal import Journal
    from hnbench.measures.base import Measure
    from hnbench.measures.journal import Distance, Images, Row
    from hnbench.scoring.inventory import FoundImage, Inventory, Progress

    ByPrompt = Mapping[str, Sequence[FoundImage]]


@dataclass(frozen=True)
class Measured:
    """What one measure says of an inventory."""

    definition: Definition
    images: Mapping[str, Images]
    """By label: what was measured."""
    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    """By label and prompt; empty for a measure of sets."""
    distances: Mapping[str, Distance]
    """By label, without the base; empty for any other measure."""
    left_out: int
    """Prompts of labels with a single image, of a folder that is not whole: they have no diversity."""
    new: int
    """How many images were looked at now; what is known of the others was known before."""


class Measurer:
    """Measures an inventory, whose images' SHA-256 are known, with one measure after another."""

    def __init__(
        self, inventory: Inventory, journal: Journal[Definition | Row], *, base: str | None, batch_size: int, progress: Progress
    ) -> None:
        """Take what is measured, and where values go. `base` is the label of the base's images, None where images have no labels."""
        self._journal, self._base, self._batch_size, self._progress = journal, base, batch_size, progress
        self._whole, self._folder = inventory.complete, inventory.folder
        self._found: dict[str, dict[str, list[FoundImage]]] = {}
        for image in inventory.images:
            self._found.setdefault(image.label, {}).setdefault(image.prompt.id, []).append(image)
        if base is not None and base not in self._found:
            raise UsageError(f"{self._folder} has no image of {base}, which every label is compared with; run it again first")

    def measure(self, measure: Measure) -> Measured:
        """Compute what the journal lacks. What cannot be measured is a `UsageError` before anything is computed."""
        definition = Definition.of(measure)
        found = {label: self._several(measure, by_prompt) for label, by_prompt in self._found.items()}
        images = {label: _hashes(by_prompt) for label, by_prompt in found.items()}
        new = 0
        if isinstance(measure, SetMeasure):
            new = self._measure_sets(measure, definition, found, images)
        elif isinstance(measure, (ImageMeasure, PromptMeasure)):
            new = self._measure_prompts(measure, definition, found, images)
        known = Measurements(self._journal.lines)
        return Measured(
            definition,
            images,
            {label: known.by_prompt(definition, label, images[label]) for label in found} if definition.kind != "set" else {},
            {label: distance for label in found if (distance := self._distance(known, definition, label, images))},
            sum(len(self._found[label]) - len(found[label]) for label in found),
            new,
        )

    def _several(self, measure: Measure, by_prompt: ByPrompt) -> ByPrompt:
        """The prompts that the measure can say something of."""
        single = [f"{image.label} {prompt} {image.sample}".strip() for prompt, (image, *others) in by_prompt.items() if not others]
        if not (single and isinstance(measure, PromptMeasure)):
            return by_prompt
        if self._whole or len(single) == len(by_prompt):
            shown = ", ".join([*single[:SHOWN], *(["..."] if len(single) > SHOWN else [])])
            raise UsageError(
                f"{measure.name} is of several images of a prompt; in {self._folder} {len(single)} prompts have a single one ({shown}): "
                "generate more of each, or choose others by --measure"
            )
        return {prompt: found for prompt, found in by_prompt.items() if len(found) > 1}

    def _measure_prompts(
        self, measure: ImageMeasure | PromptMeasure, definition: Definition, found: Mapping[str, ByPrompt], images: Mapping[str, Images]
    ) -> int:
        known = Measurements(self._journal.lines)
        done = {label: known.by_prompt(definition, label, images[label]) for label in found}
        pending = {label: [group for prompt, group in found[label].items() if prompt not in done[label]] for label in found}
        count = self._begin(definition, (image for groups in pending.values() for group in groups for image in group))
        for label, groups in pending.items():
            largest = max((len(group) for group in groups), default=1)

            def batch(chunk: Sequence[Sequence[FoundImage]], label: str = label) -> Sequence[Sequence[FoundImage]]:
                values = _values(measure, chunk)
                by_prompt = {group[0].prompt.id: value for group, value in zip(chunk, values, strict=True)}
                self._journal.add([row_line(definition, label, images[label], by_prompt)])
                self._progress.advance(sum(len(group) for group in chunk))
                return chunk

            in_chunks(batch, groups, max(1, self._batch_size // largest))
        return count

    def _measure_sets(
        self, measure: SetMeasure, definition: Definition, found: Mapping[str, ByPrompt], images: Mapping[str, Images]
    ) -> int:
        if self._base is None:
            raise UsageError(
                f"{measure.name} is the distance to the base's images, and {self._folder} is no run and has no labels to tell them by; "
                "give a run's folder, or choose others by --measure"
            )
        known = Measurements(self._journal.lines)
        base = self._base
        pending = [label for label in found if label != base and not self._distance(known, definition, label, images)]
        labels = [base, *pending] if pending else []
        count = self._begin(definition, (image for label in labels for group in found[label].values() for image in group))
        reference: Tensor | None = None
        for label in labels:
            features = self._features(measure, [image for group in found[label].values() for image in group])
            if reference is None:
                reference = features
                continue
            value = _finite(measure, label, measure.distance(features, reference))
            self._journal.add([distance_line(definition, label, images[label], images[base], value)])
        return count

    def _features(self, measure: SetMeasure, found: Sequence[FoundImage]) -> Tensor:
        def batch(chunk: Sequence[FoundImage]) -> Sequence[Tensor]:
            features = measure.features(_pictures(chunk))
            self._progress.advance(len(chunk))
            return list(features)

        return torch.stack(in_chunks(batch, found, self._batch_size))

    def _distance(self, known: Measurements, definition: Definition, label: str, images: Mapping[str, Images]) -> Distance | None:
        if definition.kind != "set" or self._base is None or label == self._base:
            return None
        return known.distance(definition, label, images[label], images[self._base])

    def _begin(self, definition: Definition, pending: Iterable[FoundImage]) -> int:
        count = sum(1 for _ in pending)
        self._progress.label(definition.measure, count)
        if count and definition not in self._journal.lines:
            self._journal.add([definition_line(definition)])
        return count


def _values(measure: ImageMeasure | PromptMeasure, groups: Sequence[Sequence[FoundImage]]) -> list[list[float]]:
    """The values of each group: one of each image, or one of all."""
    if isinstance(measure, PromptMeasure):
        values = [[value] for value in measure.values([_pictures(group) for group in groups])]
    else:
        flat = [image for group in groups for image in group]
        remaining = iter(measure.values(_pictures(flat), [image.prompt.text for image in flat]))
        values = [[next(remaining) for _ in group] for group in groups]
    for group, found in zip(groups, values, strict=True):
        for value in found:
            _finite(measure, f"{group[0].label} {group[0].prompt.id}", value)
    return values


def _finite(measure: Measure, what: str, value: float) -> float:
    if not math.isfinite(value):
        raise UsageError(f"{measure.name} gave {value} for {what.strip()}, which is no number; look at its images")
    return value


def _pictures(found: Sequence[FoundImage]) -> list[Image]:
    return [decode(image.read()) for image in found]


def _hashes(by_prompt: ByPrompt) -> dict[str, list[str]]:
    return {prompt: [image.sha256 for image in group] for prompt, group in by_prompt.items()}
