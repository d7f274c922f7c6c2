"""The differences between two rows, whatever they differ in.

Rows that started from the same noises are paired sample by sample, as in a report. Otherwise their
samples are not matched, but both have images of the same prompts: each prompt's mean of one row is
taken from that of the other, and every prompt counts once. In both cases prompts are resampled
jointly, and the sign-flip test flips whole prompts. Without common noises, a flip exchanges all
images of a prompt between the rows, so it is the permutation test within prompts; it is exact if
both have equally many images of a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.costs import SECONDS, costs_of
from hnbench.reports.pairs import Pair, paired_score
from hnbench.stats.intervals import ClusterBootstrap, Estimate, Interval
from hnbench.stats.paired import cluster_sums, sign_flip_p, unmatched_differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from hnbench.reports.comparison.groups import Group
    from hnbench.reports.comparison.rows import ComparedRow
    from hnbench.stats.intervals import Array, Indices

SAME_NOISES = "same noises"
SAME_PROMPTS = "same prompts, other noises"


@dataclass(frozen=True)
class Difference:
    """One metric of a row minus that of its reference, overall and by tag."""

    overall: Interval
    tags: dict[str, Interval]
    p: float
    """The p-value of the sign-flip test of `overall`, not adjusted."""
    tag_p: dict[str, float]
    samples: int
    """The number of the row's samples that the difference is over."""
    reference_samples: int
    """The same of the reference; equal to `samples` with the same noises."""


class Samples:
    """The samples of several groups in one order: seed, prompt and number within the prompt.

    The groups must have the same prompts (`on_common_prompts`).
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        first = groups[0].pool
        self.tags, self.strata = first.tags, first.strata
        self.prompts = first.prompts
        self._prompt_index = {prompt.id: at for at, prompt in enumerate(first.prompts)}
        self._index: dict[tuple[int, str, int], int] = {}
        self._places: dict[str, Indices] = {}
        for group in groups:
            self._places[group.name] = np.array(
                [self._index.setdefault(key, len(self._index)) for key in _keys(group)],
                dtype=np.intp,
            )
        self._noises = {group.name: self._noises_of(group) for group in groups}
        self.clusters: Indices = np.array(
            [self._prompt_index[prompt] for _, prompt, _ in self._index], dtype=np.intp
        )
        self.bootstrap = ClusterBootstrap(self.strata)

    def values(self, row: ComparedRow, column: str) -> Array:
        """One column of a row's done samples, `[S]`; NaN for all others."""
        found = np.full(len(self._index), np.nan)
        found[self._places[row.group.name]] = row.group.pool.values(column)[:, row.column]
        return found

    def planned(self, row: ComparedRow) -> int:
        """The number of the row's planned samples."""
        return row.group.pool.planned

    def pairing(self, row: ComparedRow, reference: ComparedRow) -> str:
        """Whether the two rows started from the same noises (`SAME_NOISES`), or have only their
        prompts in common (`SAME_PROMPTS`).
        """
        own, other = self._noises[row.group.name], self._noises[reference.group.name]
        both = (own != "") & (other != "")
        return SAME_NOISES if both.any() and (own == other)[both].all() else SAME_PROMPTS

    def level(self, row: ComparedRow, column: str) -> tuple[Estimate, dict[str, Interval]]:
        """The mean of a column over the row's done samples, overall and by tag."""
        sums, counts = cluster_sums(
            self.values(row, column)[:, None], self.clusters, len(self.prompts)
        )
        means = self.bootstrap.means(sums, counts)
        return means.overall(0), {
            tag: means.stratum(at, 0).interval for at, tag in enumerate(self.tags)
        }

    def difference(self, row: ComparedRow, reference: ComparedRow, column: str) -> Difference:
        """One column of a row minus that of its reference."""
        own, other = self.values(row, column), self.values(reference, column)
        size = len(self.prompts)
        if self.pairing(row, reference) == SAME_NOISES:
            gaps = own - other
            sums, counts = cluster_sums(gaps[:, None], self.clusters, size)
            used = (int((~np.isnan(gaps)).sum()),) * 2
        else:
            sums, counts, used = unmatched_differences(own, other, self.clusters, size)
        means = self.bootstrap.means(sums, counts)
        return Difference(
            overall=means.overall(0).interval,
            tags={tag: means.stratum(at, 0).interval for at, tag in enumerate(self.tags)},
            p=float(sign_flip_p(sums, counts, self.strata)[0]),
            tag_p={
                tag: _p_of_tag(sums, counts, self.strata == at) for at, tag in enumerate(self.tags)
            },
            samples=used[0],
            reference_samples=used[1],
        )

    def pair(
        self, first: ComparedRow, second: ComparedRow, column: str, found: Difference
    ) -> Pair | None:
        """The `difference` of the second row to the first in one column, with its wins, losses and
        ties; None with other noises, where no sample has a counterpart.
        """
        if self.pairing(second, first) != SAME_NOISES:
            return None
        gaps = self.values(second, column) - self.values(first, column)
        tag_of = self.strata[self.clusters]
        return Pair(
            first.name,
            second.name,
            paired_score(found.overall, gaps),
            {
                tag: paired_score(found.tags[tag], gaps[tag_of == at])
                for at, tag in enumerate(self.tags)
            },
        )

    def cost_ratios(self, row: ComparedRow, reference: ComparedRow) -> dict[str, Interval]:
        """Cost -> the row's mean divided by that of its reference, for costs that both have; over
        the samples of both with the same noises, else over all of each.

        Seconds of two groups are compared only if their records name the same device.
        """
        theirs = costs_of(reference.group.pool)
        shared = [cost for cost in costs_of(row.group.pool) if cost in theirs]
        devices = {one.group.pool.timed_on for one in (row, reference)}
        if row.group is not reference.group and (len(devices) > 1 or "" in devices):
            shared.remove(SECONDS)
        matched = self.pairing(row, reference) == SAME_NOISES
        return {cost: self._ratio(row, reference, cost, matched=matched) for cost in shared}

    def _ratio(
        self, row: ComparedRow, reference: ComparedRow, cost: str, *, matched: bool
    ) -> Interval:
        values = np.stack([self.values(row, cost), self.values(reference, cost)], axis=1)
        if matched:
            values[np.isnan(values).any(axis=1)] = np.nan
        means = self.bootstrap.means(*cluster_sums(values, self.clusters, len(self.prompts)))
        return (means.overall(0) / means.overall(1)).interval

    def have_same_images(self, row: ComparedRow, reference: ComparedRow) -> bool:
        """Whether the two rows have the same images, so that every difference of them is zero."""
        own, other = self._images_of(row), self._images_of(reference)
        both = (own != "") & (other != "")
        return bool(both.any() and (own == other)[both].all())

    def _images_of(self, row: ComparedRow) -> npt.NDArray[np.str_]:
        """The SHA-256 of each sample's image, `[S]`; empty where there is none."""
        found = np.full(len(self._index), "", dtype="<U64")
        frame = row.group.pool.frame
        own = frame[frame["label"] == row.label]
        places = self._places[row.group.name][own["row"].to_numpy()]
        found[places] = own["image_sha256"].to_numpy(dtype=str)
        return found

    def _noises_of(self, group: Group) -> npt.NDArray[np.str_]:
        """The SHA-256 of each sample's starting noise, `[S]`; empty where there is no record."""
        found = np.full(len(self._index), "", dtype="<U64")
        frame = group.pool.frame.drop_duplicates("row")
        found[self._places[group.name][frame["row"].to_numpy()]] = frame["noise_sha256"].to_numpy(
            dtype=str
        )
        return found


def _keys(group: Group) -> list[tuple[int, str, int]]:
    """Seed, prompt and number of every planned sample, in the order of a pool's arrays."""
    return [
        (seed, prompt.id, sample)
        for seed in group.pool.seeds
        for prompt in group.pool.prompts
        for sample in range(prompt.samples)
    ]


def _p_of_tag(sums: Array, counts: Array, inside: npt.NDArray[np.bool_]) -> float:
    strata = np.zeros(int(inside.sum()), dtype=np.intp)
    return float(sign_flip_p(sums[inside], counts[inside], strata)[0])
