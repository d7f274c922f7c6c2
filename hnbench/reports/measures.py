"""What `hnbench measure` left in the runs: diversity, fidelity and other held-out measures, pooled
as everything else in a report.

Read from the journals alone. Values count only where they are of the images that the records have.
Means are over prompts within tags, all seeds of a prompt together, and differences to the base are
paired by prompt and seed; distances between sets are averaged over seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hnbench.measures.journal import Measurements, read_measurements, with_equal_numbers
from hnbench.reports.labels import BASE
from hnbench.stats.by_prompt import compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hnbench.measures.journal import Definition, Distance, Images
    from hnbench.reports.pool import Pool
    from hnbench.stats.by_prompt import Compared


@dataclass(frozen=True)
class SetDistance:
    """A label's distance to the base's images: the mean over the base seeds, and the smallest and
    the largest of them.
    """

    mean: float
    low: float
    high: float
    images: tuple[int, ...]
    """Numbers of images in the compared sets."""


@dataclass(frozen=True)
class PooledMeasure:
    """One measure of the pooled runs. Labels that were not measured whole, in every run, are in
    neither mapping.
    """

    definition: Definition
    by_prompt: Mapping[str, Compared] = field(default_factory=dict)
    distances: Mapping[str, SetDistance] = field(default_factory=dict)

    @property
    def labels(self) -> set[str]:
        """The labels that were measured."""
        return {*self.by_prompt, *self.distances}


@dataclass(frozen=True)
class PooledMeasures:
    """All measures of the pooled runs, and sentences on what was left out."""

    measures: tuple[PooledMeasure, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    """A run's measurements, and the images of its records by label."""

    folder: Path
    found: Measurements
    images: Mapping[str, Images]


def pooled_measures(pool: Pool) -> PooledMeasures | None:
    """The measures that every run has; None where no run has any."""
    journals = [read_measurements(folder) for folder in pool.folders]
    if not any(journals):
        return None
    without = [folder for folder, found in zip(pool.folders, journals, strict=True) if not found]
    if without:
        return PooledMeasures(
            (),
            (f"Not all of these runs were measured; missing is `hnbench measure {without[0]}`.",),
        )
    runs = [
        _Run(folder, found, _images(pool, seed))
        for folder, found, seed in zip(pool.folders, journals, pool.seeds, strict=True)
        if found is not None
    ]
    names = dict.fromkeys(name for run in runs for name in run.found.latest())
    measures, notes = [], _of_other_images(runs)
    for name in names:
        found = _pooled(pool, runs, name)
        if isinstance(found, PooledMeasure):
            measures.append(found)
        else:
            notes.append(found)
    return PooledMeasures(tuple(measures), tuple(notes))


def _images(pool: Pool, seed: int) -> dict[str, Images]:
    """Label -> prompt -> the SHA-256 of the run's images of it, by sample; in the plan's order of
    prompts.
    """
    frame = pool.frame
    done = frame[(frame["base_seed"] == seed) & (frame["status"] == "done")].sort_values("row")
    found: dict[str, dict[str, list[str]]] = {label: {} for label in pool.labels}
    for label, prompt, sha256 in zip(
        done["label"], done["prompt_id"], done["image_sha256"], strict=True
    ):
        found[label].setdefault(prompt, []).append(sha256)
    return dict(found)


def _of_other_images(runs: Sequence[_Run]) -> list[str]:
    notes = []
    for run in runs:
        pairs = dict.fromkeys(
            (row.measure, row.label) for row in run.found.rows if row.label in run.images
        )
        stale = [measure for measure, label in pairs if not _is_known(run, measure, label)]
        if stale:
            named = ", ".join(dict.fromkeys(stale))
            notes.append(
                f"{run.folder.name}: what was measured of other images than its records' is left"
                f" out ({named})."
            )
    return notes


def _is_known(run: _Run, measure: str, label: str) -> bool:
    """Whether anything is known of a measure and a label's present images."""
    definition = run.found.latest().get(measure)
    if definition is None:
        return False
    if definition.kind == "set":
        return (
            run.found.distance(definition, label, run.images[label], run.images[BASE]) is not None
        )
    return bool(run.found.by_prompt(definition, label, run.images[label]))


def _pooled(pool: Pool, runs: Sequence[_Run], name: str) -> PooledMeasure | str:
    """One measure, or a sentence on why there is none."""
    definitions = [run.found.latest().get(name) for run in runs]
    definition = definitions[0]
    if definition is None or None in definitions:
        lacking = next(
            run.folder for run, found in zip(runs, definitions, strict=True) if found is None
        )
        return (
            f"{name} was not measured in all of these runs: it is missing in {lacking} (see"
            " `hnbench measure`)."
        )
    if any(found and found.fingerprint != definition.fingerprint for found in definitions):
        return (
            f"{name} was not measured with the same weights in all of these runs, so it is left"
            " out."
        )
    if definition.kind == "set":
        distances = {
            label: found
            for label in pool.labels
            if label != BASE and (found := _distance(runs, definition, label))
        }
        return PooledMeasure(definition, distances=distances) if distances else _unknown(name)
    tables = [
        {
            label: run.found.by_prompt(definition, label, run.images[label])
            for label in pool.labels
            if _is_whole(run, definition, label)
        }
        for run in runs
    ]
    whole = [label for label in pool.labels if all(label in table for table in tables)]
    if BASE not in whole:
        return _unknown(name)
    equal = []
    for run, table in zip(runs, tables, strict=True):
        equal.append(with_equal_numbers({label: table[label] for label in whole}, run.images, BASE))
    return PooledMeasure(
        definition,
        by_prompt=compare(equal, {prompt.id: prompt.tag for prompt in pool.prompts}, BASE),
    )


def _unknown(name: str) -> str:
    return (
        f"{name} was not measured of all images of the base and of another method; the same"
        " `hnbench measure` goes on with it."
    )


def _is_whole(run: _Run, definition: Definition, label: str) -> bool:
    """Whether every prompt of a label that has images has its values."""
    least = 2 if definition.kind == "prompt" else 1
    wanted = {prompt for prompt, images in run.images[label].items() if len(images) >= least}
    return wanted <= run.found.by_prompt(definition, label, run.images[label]).keys()


def _distance(runs: Sequence[_Run], definition: Definition, label: str) -> SetDistance | None:
    found: list[Distance] = []
    for run in runs:
        one = run.found.distance(definition, label, run.images[label], run.images[BASE])
        if one is None:
            return None
        found.append(one)
    values = [one.value for one in found]
    sizes = sorted({size for one in found for size in (one.images, one.base_images)})
    return SetDistance(sum(values) / len(values), min(values), max(values), tuple(sizes))
