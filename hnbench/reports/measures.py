"""The results of `hnbench measure` in the runs: diversity, fidelity and other held-out measures,
pooled like everything else in a report.

They are read from the journals alone. A value counts only if it was measured on the images that the
records have now. Means are over prompts within tags, all seeds of a prompt together, and
differences to the base are paired by prompt and seed; distances between sets are averaged over
seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hnbench.measures.journal import Measurements, read_measurements
from hnbench.runs.plan import BASE
from hnbench.stats.by_prompt import compare
from hnbench.stats.equal_numbers import with_equal_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hnbench.measures.journal import Definition, Distance, Images
    from hnbench.reports.pool import Pool
    from hnbench.stats.by_prompt import Compared


@dataclass(frozen=True)
class SetDistance:
    """A label's distance to the base's images: the mean over the base seeds, and the smallest and
    the largest distance of a seed.
    """

    mean: float
    low: float
    high: float
    images: tuple[int, ...]
    """Numbers of images in the compared sets."""


@dataclass(frozen=True)
class PooledMeasure:
    """One measure of the pooled runs. A label that was not measured completely in every run is in
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
    """All measures of the pooled runs, and sentences that say what was left out and why."""

    measures: tuple[PooledMeasure, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    """A run's measurements, and the images of its records by label."""

    folder: Path
    found: Measurements
    images: Mapping[str, Images]


def pooled_measures(pool: Pool) -> PooledMeasures | None:
    """The measures that every run has; None if no run has any."""
    runs, without = _measured(pool)
    if not runs:
        return None
    if without:
        return PooledMeasures(
            (),
            (f"Not all of these runs were measured; missing is `hnbench measure {without[0]}`.",),
        )
    names = dict.fromkeys(name for run in runs for name in run.found.latest())
    measures, notes = [], _of_other_images(runs)
    for name in names:
        found = _pooled(pool, runs, name)
        if isinstance(found, PooledMeasure):
            measures.append(found)
        else:
            notes.append(found)
    return PooledMeasures(tuple(measures), tuple(notes))


def _measured(pool: Pool) -> tuple[list[_Run], list[Path]]:
    """The runs that have measurements, and the folders of those that have none."""
    runs: list[_Run] = []
    without: list[Path] = []
    for folder, seed in zip(pool.folders, pool.seeds, strict=True):
        found = read_measurements(folder)
        if found:
            runs.append(_Run(folder, found, _images(pool, seed)))
        else:
            without.append(folder)
    return runs, without


def _images(pool: Pool, seed: int) -> dict[str, Images]:
    """Label -> prompt -> the SHA-256 of the run's images of that prompt, in the order of samples;
    prompts in the plan's order.
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
    """A sentence for each run with measurements of images that its records no longer have."""
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
    """Whether the run has a value of this measure for a label's present images."""
    definition = run.found.latest().get(measure)
    if definition is None:
        return False
    if definition.kind == "set":
        return (
            run.found.distance(definition, label, run.images[label], run.images[BASE]) is not None
        )
    return bool(run.found.by_prompt(definition, label, run.images[label]))


def _pooled(pool: Pool, runs: Sequence[_Run], name: str) -> PooledMeasure | str:
    """One measure, or a sentence that says why it is left out."""
    by_run = {run.folder: run.found.latest().get(name) for run in runs}
    definitions = [definition for definition in by_run.values() if definition is not None]
    if len(definitions) < len(runs):
        lacking = next(folder for folder, definition in by_run.items() if definition is None)
        return (
            f"{name} was not measured in all of these runs: it is missing in {lacking} (see"
            " `hnbench measure`)."
        )
    if len({definition.fingerprint for definition in definitions}) > 1:
        return (
            f"{name} was not measured with the same weights in all of these runs, so it is left"
            " out."
        )
    pooled = _pooled_sets if definitions[0].kind == "set" else _pooled_prompts
    return pooled(pool, runs, definitions[0]) or (
        f"{name} was not measured of all images of the base and of another method; the same"
        " `hnbench measure` goes on with it."
    )


def _pooled_sets(pool: Pool, runs: Sequence[_Run], definition: Definition) -> PooledMeasure | None:
    """The distances to the base; None if no label has one in every run."""
    distances = {
        label: found
        for label in pool.labels
        if label != BASE and (found := _distance(runs, definition, label))
    }
    return PooledMeasure(definition, distances=distances) if distances else None


def _pooled_prompts(
    pool: Pool, runs: Sequence[_Run], definition: Definition
) -> PooledMeasure | None:
    """The means over prompts; None if the base was not measured completely."""
    whole = [
        label for label in pool.labels if all(_is_whole(run, definition, label) for run in runs)
    ]
    # Without the base there is nothing to pair with, and a level alone would invite comparing.
    if BASE not in whole:
        return None
    tables = []
    for run in runs:
        values = {
            label: run.found.by_prompt(definition, label, run.images[label]) for label in whole
        }
        # If a sample failed, its prompt has fewer images, and fewer images are less diverse: such
        # a prompt is compared only where both methods have equally many.
        tables.append(with_equal_numbers(values, run.images, BASE))
    tags = {prompt.id: prompt.tag for prompt in pool.prompts}
    return PooledMeasure(definition, by_prompt=compare(tables, tags, BASE))


def _is_whole(run: _Run, definition: Definition, label: str) -> bool:
    """Whether every prompt of a label with enough images has its values."""
    # Diversity compares images of one prompt with each other, so it needs two of them.
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
