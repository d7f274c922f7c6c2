"""All numbers of a comparison, computed once. Tables, plots and text are made from them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.errors import UsageError
from hnbench.reports.comparison.contrasts import SAME_NOISES, SAME_PROMPTS, Samples
from hnbench.reports.comparison.groups import grouped, on_common_prompts
from hnbench.reports.comparison.rows import compared_rows
from hnbench.reports.costs import SECONDS, costs_of
from hnbench.reports.folder import PAGE
from hnbench.reports.labels import method_of
from hnbench.runs.frame import OPTIMISED, REWARD, SCORE
from hnbench.stats.multiplicity import holm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from hnbench.reports.comparison.contrasts import Difference
    from hnbench.reports.comparison.groups import Group
    from hnbench.reports.comparison.rows import ComparedRow
    from hnbench.reports.pairs import Pair
    from hnbench.runs.store import Run
    from hnbench.stats.intervals import Interval


@dataclass(frozen=True)
class Level:
    """The means of a row over its done samples, overall and by tag, and its costs per image."""

    row: ComparedRow
    metrics: dict[str, Interval]
    """Metric -> mean; `score`, or `reward:NAME`."""
    tags: dict[str, dict[str, Interval]]
    """Metric -> tag -> mean."""
    costs: dict[str, Interval]
    planned: int
    done: int


@dataclass(frozen=True)
class Contrast:
    """A row minus its reference."""

    row: ComparedRow
    reference: ComparedRow
    pairing: str
    """`SAME_NOISES` or `SAME_PROMPTS`."""
    metrics: dict[str, Difference]
    p_holm: float
    """The p-value of the main metric's overall difference, adjusted over all contrasts."""
    tag_p_holm: dict[str, float]
    """Tag -> the same, adjusted over all contrasts and tags together."""
    cost_ratios: dict[str, Interval]
    """Cost -> the row's mean divided by the reference's."""


@dataclass(frozen=True)
class PairOfRows:
    """Any two rows: the second minus the first in the main metric, not adjusted."""

    first: ComparedRow
    second: ComparedRow
    pairing: str
    difference: Difference
    scores: Pair | None
    """The difference with its wins, losses and ties; None with other noises."""


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in more than the base seed, compared on their common prompts."""

    groups: tuple[Group, ...]
    levels: tuple[Level, ...]
    """Every row once, those of the first group first."""
    contrasts: tuple[Contrast, ...]
    """Each row against the row of its label in the first group; rows of one group pairwise."""
    pairs: tuple[PairOfRows, ...]
    """Every two rows."""
    main: str
    """The metric of p-values and pairs: `score`, or a reward if no score is comparable."""
    metrics: tuple[str, ...]
    tags: tuple[str, ...]
    prompts: int
    """The number of prompts that are compared."""
    notes: tuple[str, ...]
    """A sentence for each thing that is left out, with the reason."""
    path: Path | None = None
    """The `comparison.md` that was written; tables and plots are in the same folder."""

    @property
    def page(self) -> Path | None:
        """The `index.html` that was written, with the images."""
        return None if self.path is None else self.path.with_name(PAGE)

    def frame(self) -> pd.DataFrame:
        """The table of `comparison.csv`: one row per row, reference, metric and tag.

        `docs/compare.md` describes every column.
        """
        import pandas as pd

        return pd.DataFrame([*self._level_rows(), *self._contrast_rows()], columns=list(_COLUMNS))

    def pairs_frame(self) -> pd.DataFrame:
        """The table of `pairs.csv`: every two rows in the main metric."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "first": pair.first.name,
                    "second": pair.second.name,
                    "metric": self.main,
                    **_bounds(pair.difference.overall),
                    "p": pair.difference.p,
                    "pairing": pair.pairing,
                    "first_samples": pair.difference.reference_samples,
                    "second_samples": pair.difference.samples,
                }
                for pair in self.pairs
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON types; numbers that are not finite are None."""
        return {
            "main": self.main,
            "prompts": self.prompts,
            "notes": list(self.notes),
            "numbers": _records(self.frame()),
            "pairs": _records(self.pairs_frame()),
        }

    def _level_rows(self) -> Iterator[dict[str, Any]]:
        for level in self.levels:
            own = {**_of(level.row), "samples": level.done, "left_out": level.planned - level.done}
            for metric, mean in level.metrics.items():
                yield {**own, "metric": metric, "tag": "overall", **_bounds(mean)}
                for tag, part in level.tags[metric].items():
                    yield {**own, "metric": metric, "tag": tag, **_bounds(part)}
            for cost, mean in level.costs.items():
                yield {**own, "metric": cost, "tag": "overall", **_bounds(mean)}

    def _contrast_rows(self) -> Iterator[dict[str, Any]]:
        planned = {level.row.name: level.planned for level in self.levels}
        for one in self.contrasts:
            shared = {**_of(one.row), "reference": one.reference.name, "pairing": one.pairing}
            for metric, found in one.metrics.items():
                own = {
                    **shared,
                    "metric": metric,
                    "samples": found.samples,
                    "left_out": planned[one.row.name] - found.samples,
                    "reference_samples": found.reference_samples,
                    "reference_left_out": planned[one.reference.name] - found.reference_samples,
                }
                main = metric == self.main
                tested = {"p": found.p, "p_holm": one.p_holm} if main else {}
                yield {**own, "tag": "overall", **_bounds(found.overall), **tested}
                for tag, part in found.tags.items():
                    tested = {"p": found.tag_p[tag], "p_holm": one.tag_p_holm[tag]} if main else {}
                    yield {**own, "tag": tag, **_bounds(part), **tested}
            for cost, ratio in one.cost_ratios.items():
                yield {**shared, "metric": f"{cost}_ratio", "tag": "overall", **_bounds(ratio)}


_COLUMNS = (
    *("row", "reference", "metric", "tag", "label", "run", "also_in"),
    *("estimate", "low", "high", "p", "p_holm", "pairing"),
    *("samples", "left_out", "reference_samples", "reference_left_out"),
)


def compared(
    given: Sequence[tuple[str | None, Run | Path]],
    *,
    labels: Sequence[str] = (),
    unseen: bool = False,
) -> Comparison:
    """Compare runs, each given with the name that its rows shall have, or None.

    With `labels`, only these rows are compared. With `unseen`, prompts that any of the trainings
    saw are left out. `UsageError` if there is nothing to compare, `StoreError` if a run is damaged.
    """
    groups, notes = on_common_prompts(grouped(given), unseen=unseen)
    rows = compared_rows(groups, labels)
    metrics, missing = _metrics(groups)
    samples = Samples(groups)
    couples, alone = _couples(samples, groups, rows)
    if not couples:
        raise UsageError(
            "no two of these rows can be compared: give runs that have a row of the same label but"
            " differ in something, or two settings of one run with `rows`"
        )
    contrasts = _adjusted(
        [_contrast(samples, row, reference, metrics) for row, reference in couples], metrics[0]
    )
    return Comparison(
        groups=tuple(groups),
        levels=tuple(_level(samples, row, metrics) for row in rows),
        contrasts=tuple(contrasts),
        pairs=tuple(_pairs(samples, rows, metrics[0])),
        main=metrics[0],
        metrics=tuple(metrics),
        tags=samples.tags,
        prompts=len(samples.prompts),
        notes=(*notes, *missing, *alone, *_sample_notes(contrasts, metrics[0])),
    )


def _metrics(groups: Sequence[Group]) -> tuple[list[str], list[str]]:
    """The columns that all groups have by the same judge and rewards, the main one first, and a
    sentence on each that is left out. `UsageError` if there is none.
    """
    metrics, notes = [], []
    if len({group.judge for group in groups}) > 1:
        notes.append(
            "Scores are not compared: the runs were scored by different judges. Only rewards are."
        )
    elif groups[0].judge is not None:
        metrics.append(SCORE)
    optimised = [_optimised(group) for group in groups]
    if all(one == optimised[0] for one in optimised):
        metrics.append(OPTIMISED)
    else:
        notes.append(
            "The total of the optimised rewards is not compared: the runs optimised different"
            f" rewards ({'; '.join(_mixture(group) for group in groups)})."
        )
    names = dict.fromkeys(
        name for group in groups for name in group.manifest["rewards"]["fingerprints"]
    )
    for name in names:
        metric, note = _reward(groups, name)
        metrics += metric
        notes += note
    if not metrics:
        raise UsageError(
            "the runs have neither a judge nor a reward in common, so nothing can be compared;"
            " score their images by the same judge or rewards"
        )
    return metrics, notes


def _reward(groups: Sequence[Group], name: str) -> tuple[list[str], list[str]]:
    """The column of a reward, or none if the groups do not have the same; and what to say of it."""
    found = {group.manifest["rewards"]["fingerprints"].get(name) for group in groups}
    if len(found) > 1:
        why = "not all runs have it" if None in found else "its weights differ between the runs"
        return [], [f"The reward {name} is not compared: {why}."]
    column = [f"{REWARD}{name}"]
    by = [group.name for group in groups if name in group.pool.optimised]
    others = [group.name for group in groups if name not in group.pool.optimised]
    if not by or not others:
        return column, []
    return column, [
        f"The reward {name} is optimised by {', '.join(by)} and held out by {', '.join(others)}."
    ]


def _optimised(group: Group) -> dict[str, tuple[str, float]]:
    prints = group.manifest["rewards"]["fingerprints"]
    return {name: (prints[name], weight) for name, weight in group.pool.optimised.items()}


def _mixture(group: Group) -> str:
    parts = ", ".join(f"{name}={weight:g}" for name, weight in group.pool.optimised.items())
    return f"{group.name}: {parts}"


def _couples(
    samples: Samples, groups: Sequence[Group], rows: Sequence[ComparedRow]
) -> tuple[list[tuple[ComparedRow, ComparedRow]], list[str]]:
    """The rows that are compared, each with its reference, and a sentence on each that is not."""
    if len(groups) == 1:
        return [(second, first) for first, second in combinations(rows, 2)], []
    references = [row for row in rows if row.group is groups[0]]
    couples: list[tuple[ComparedRow, ComparedRow]] = []
    notes = _same_records(rows)
    used: set[str] = set()
    for row in rows:
        if row.group is groups[0]:
            continue
        reference = _counterpart(row, references)
        if reference is None:
            notes.append(
                f"{row.name} is compared with no row: {groups[0].name} has no row {row.label!r}."
            )
            continue
        used.add(reference.name)
        if samples.have_same_images(row, reference):
            notes.append(
                f"{row.name} and {reference.name} have the same images, so they are not compared."
            )
        else:
            couples.append((row, reference))
    notes += [
        f"{row.name} is compared with no row: no other run has its label."
        for row in references
        if not row.also_in and row.name not in used
    ]
    return couples, notes


def _same_records(rows: Sequence[ComparedRow]) -> list[str]:
    """A sentence for the rows that several groups have."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.also_in:
            shared.setdefault((row.group.name, *row.also_in), []).append(row.name)
    return [
        f"{' and '.join(owners)} have the same records of {', '.join(names)}, which are shown once."
        for owners, names in shared.items()
    ]


def _counterpart(row: ComparedRow, references: Sequence[ComparedRow]) -> ComparedRow | None:
    """The reference of the same label, or the only one of the same method."""
    equal = [one for one in references if one.label == row.label]
    if equal:
        return equal[0]
    method = _method(row)
    alike = [one for one in references if _method(one) == method]
    return alike[0] if len(alike) == 1 and not method.startswith("best-of-") else None


def _method(row: ComparedRow) -> str:
    return method_of(row.group.pool.labels[row.column])


def _level(samples: Samples, row: ComparedRow, metrics: Sequence[str]) -> Level:
    found = {metric: samples.level(row, metric) for metric in metrics}
    costs = costs_of(row.group.pool)
    return Level(
        row=row,
        metrics={metric: mean.interval for metric, (mean, _) in found.items()},
        tags={metric: tags for metric, (_, tags) in found.items()},
        costs={cost: samples.level(row, cost)[0].interval for cost in costs},
        planned=samples.planned(row),
        done=row.group.pool.counts("done")[row.label],
    )


def _contrast(
    samples: Samples, row: ComparedRow, reference: ComparedRow, metrics: Sequence[str]
) -> Contrast:
    return Contrast(
        row=row,
        reference=reference,
        pairing=samples.pairing(row, reference),
        metrics={metric: samples.difference(row, reference, metric) for metric in metrics},
        p_holm=math.nan,
        tag_p_holm={},
        cost_ratios=samples.cost_ratios(row, reference),
    )


def _adjusted(contrasts: Sequence[Contrast], main: str) -> list[Contrast]:
    """The contrasts with p-values adjusted over the table."""
    found = [one.metrics[main] for one in contrasts]
    overall = holm(np.array([one.p for one in found]))
    tags = list(found[0].tag_p)
    by_tag = np.array([[one.tag_p[tag] for tag in tags] for one in found])
    by_tag = holm(by_tag.ravel()).reshape(by_tag.shape)
    return [
        replace(
            one,
            p_holm=float(overall[at]),
            tag_p_holm={tag: float(by_tag[at, place]) for place, tag in enumerate(tags)},
        )
        for at, one in enumerate(contrasts)
    ]


def _pairs(samples: Samples, rows: Sequence[ComparedRow], main: str) -> Iterator[PairOfRows]:
    for first, second in combinations(rows, 2):
        difference = samples.difference(second, first, main)
        yield PairOfRows(
            first,
            second,
            samples.pairing(second, first),
            difference,
            samples.pair(first, second, main, difference),
        )


def _sample_notes(contrasts: Sequence[Contrast], main: str) -> Iterator[str]:
    """Sentences on the samples of the contrasts: how they are paired, and which are left out."""
    kinds = Counter(one.pairing for one in contrasts)
    if kinds[SAME_PROMPTS]:
        yield (
            f"In {kinds[SAME_PROMPTS]} of {len(contrasts)} comparisons the starting noises differ,"
            " so their samples are not matched: the prompts' means are compared."
        )
    for one in contrasts:
        used = one.metrics[main]
        for row, number in ((one.row, used.samples), (one.reference, used.reference_samples)):
            pool = row.group.pool
            absent = pool.planned - number
            if absent:
                without = pool.planned - pool.counts("done")[row.label]
                other = one.reference if row is one.row else one.row
                unmatched = "sample" if one.pairing == SAME_NOISES else "image of the prompt"
                yield (
                    f"{absent} of the {pool.planned} samples of {row.name} are left out against"
                    f" {other.name}: {without} failed or missing, {absent - without} without a"
                    f" counterpart ({unmatched}) there."
                )
    if any(SECONDS not in one.cost_ratios for one in contrasts):
        yield ("Seconds are compared only where the records of both rows name the same device.")


def _of(row: ComparedRow) -> dict[str, Any]:
    return {
        "row": row.name,
        "reference": "",
        "label": row.label,
        "run": row.group.name,
        "also_in": " ".join(row.also_in),
        "pairing": "",
    }


def _bounds(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(name): None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in frame.to_dict("records")
    ]
