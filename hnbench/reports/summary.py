"""All numbers of a report, computed once. Tables, plots and text are made from them.

A label's mean is taken over the samples that are done for both the label and the base. Every number
is a mean of tag means, and all numbers use the same resampled prompts, so the difference or ratio
of any two of them is paired.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.costs import PASSES, SECONDS, TFLOPS, costs_of, training_costs
from hnbench.reports.labels import (
    HYPERNOISE,
    RENO,
    best_of_labels,
    compared_with,
    first_of,
    is_oracle,
    method_of,
)
from hnbench.reports.measures import pooled_measures
from hnbench.reports.pairs import all_pairs
from hnbench.reports.pool import pool_runs
from hnbench.runs.frame import OPTIMISED, REWARD, SCORE
from hnbench.runs.plan import BASE
from hnbench.stats.equivalence import equivalent_budget
from hnbench.stats.intervals import Estimate, Interval
from hnbench.stats.multiplicity import holm
from hnbench.stats.paired import cluster_sums, differences, sign_flip_p

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Any

    from hnbench.reports.measures import PooledMeasures
    from hnbench.reports.pairs import Pair
    from hnbench.reports.pool import Pool
    from hnbench.runs.store import Run
    from hnbench.stats.intervals import Array, Indices, StratifiedMeans


@dataclass(frozen=True)
class LabelCoverage:
    """The numbers of planned, done and failed samples of a label."""

    planned: int
    done: int
    failed: int

    @property
    def missing(self) -> int:
        """The number of planned samples that are neither done nor failed."""
        return self.planned - self.done - self.failed

    @property
    def complete(self) -> bool:
        """Whether every planned sample is done."""
        return self.done == self.planned


@dataclass(frozen=True)
class Row:
    """The numbers of one label. Gains are paired differences to the base; the base's own gains are
    zero, and their p-values NaN.
    """

    label: str
    coverage: LabelCoverage
    pairs: int
    """The number of samples that are done for both this label and the base; the means are over
    these.
    """
    overall: Interval
    tags: dict[str, Interval]
    gain: Interval
    p_holm: float
    """The p-value of `gain`, adjusted over all labels of the table."""
    tag_gains: dict[str, Interval]
    tag_p_holm: dict[str, float]
    """Tag -> p-value, adjusted over all labels and tags together."""
    rewards: dict[str, Interval]
    """Reward name -> mean; the weighted total of the optimised ones is named `optimised`."""
    reward_gains: dict[str, Interval]
    standard_gains: dict[str, Interval]
    """`reward_gains` in units of the base's standard deviation over samples."""
    costs: dict[str, Interval]
    """Costs per image: `tflops` (10^12 floating-point operations; absent unless every compared
    record has them), `generator_passes` (forward and backward, each counted as one) and `seconds`.
    """
    peak_memory_bytes: float
    """The largest peak of a batch's memory on a GPU; NaN if none was measured."""


@dataclass(frozen=True)
class PairedDifference:
    """HyperNoise minus another label, paired; `p_holm` is adjusted over the comparisons shown
    together. The row of HyperNoise is `Summary.hypernoise`.
    """

    against: str
    gain: Interval
    p_holm: float


@dataclass(frozen=True)
class Shares:
    """HyperNoise divided by ReNO: the share of ReNO's gain over the base that it reaches, and the
    share of ReNO's costs per image that it needs.
    """

    gain: Interval
    costs: dict[str, Interval]


@dataclass(frozen=True)
class BreakEven:
    """The number of images after which the training of HyperNoise is paid back, if `against` is the
    alternative; infinite if it never is, and NaN if a cost is not known.
    """

    against: str
    by_work: float
    """In the cost `Summary.paid_in`."""
    by_seconds: float


@dataclass(frozen=True)
class Summary:
    """A report's numbers."""

    pool: Pool
    rows: dict[str, Row]
    comparisons: tuple[PairedDifference, ...]
    shares: Shares | None
    """None without HyperNoise or ReNO, or when ReNO's own gain cannot be told from zero."""
    equivalent: Interval | None
    """The N at which best-of-N has the same score as HyperNoise."""
    curve: dict[int, Interval]
    """N -> overall score of best-of-N; 1 is the base."""
    break_even: tuple[BreakEven, ...]
    paid_in: str
    """The cost of `break_even` next to seconds: `tflops` if images and training have it, else
    `generator_passes`.
    """
    training: dict[str, dict[str, float]]
    """Trained method -> the costs of its training, named like those of an image."""
    seen: dict[str, list[str] | None] = field(default_factory=dict)
    """Trained method -> ids of the planned prompts that its training saw; None if its adapter does
    not say. Empty for runs of an older hnbench, which did not note this.
    """
    unseen: Summary | None = None
    """The same numbers without the prompts that any training saw; None if no training saw one, or
    if no other prompts are left.
    """
    measured: PooledMeasures | None = None
    """The results of `hnbench measure`; None if nothing was measured."""

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every two rows, compared."""
        return all_pairs(self.pool)

    @property
    def work(self) -> str:
        """The cost that methods are compared by, next to seconds: `tflops` if every compared record
        has it, else `generator_passes`.
        """
        return next(iter(self.rows[BASE].costs))

    @property
    def hypernoise(self) -> str | None:
        """The row of HyperNoise that the findings speak of: its first setting. None without any."""
        return first_of(self.rows, HYPERNOISE)

    @property
    def reno(self) -> str | None:
        """The row of ReNO that the findings speak of: its first setting. None without any."""
        return first_of(self.rows, RENO)

    @property
    def incomplete(self) -> list[str]:
        """The labels with failed or missing samples."""
        return [label for label, row in self.rows.items() if not row.coverage.complete]


def summarise_runs(runs: Sequence[Run | Path], *, check: bool = False) -> Summary:
    """Analyse runs, given as folders or as runs that were read before. The result is the only input
    of tables, plots and text. With `check`, every image is also compared with its record.

    Several runs are pooled; only their base seeds may differ. `UsageError` if anything else
    differs, if no run is given, or if a run has no record yet; `StoreError` if one is damaged.
    """
    return summarise(pool_runs(runs, check=check))


def summarise(pool: Pool) -> Summary:
    """Compute all numbers of a report from pooled runs."""
    summary = replace(
        _Analysis(pool).summary(), seen=seen_prompts(pool), measured=pooled_measures(pool)
    )
    contaminated = {prompt for seen in summary.seen.values() for prompt in seen or ()}
    # If all prompts were seen, none is left to compute a score from.
    if not 0 < len(contaminated) < len(pool.prompts):
        return summary
    return replace(summary, unseen=_Analysis(pool.without(contaminated)).summary())


def seen_prompts(pool: Pool) -> dict[str, list[str] | None]:
    """The planned prompts that each training saw, as noted in `run.json`."""
    planned = {prompt.id for prompt in pool.prompts}
    found: dict[str, list[str] | None] = {}
    for manifest in pool.manifests:
        for name, entry in manifest.get("training", {}).items():
            if "seen_prompts" in entry:
                seen = entry["seen_prompts"]
                found[name] = (
                    None if seen is None else [prompt for prompt in seen if prompt in planned]
                )
    return found


class _Analysis:
    """The means of every metric, per label and as paired differences, over one set of resamples."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.base = pool.labels.index(BASE)
        self.trained = first_of(pool.labels, HYPERNOISE)
        self.others = compared_with(self.trained, pool.labels) if self.trained else []
        self.rewards = [column.removeprefix(REWARD) for column in _reward_columns(pool)]
        self.costs = costs_of(pool)
        columns = [SCORE, *(f"{REWARD}{name}" for name in self.rewards), *self.costs]
        self.values = {column: pool.values(column) for column in columns}
        # Every metric is over the same samples: those done for both the label and the base.
        there = ~np.isnan(self.values[SCORE if pool.judged else OPTIMISED])
        self.paired = there & there[:, [self.base]]
        # There are no gains of costs, because costs are compared by ratio.
        gained = [column for column in columns if column not in self.costs]
        means = self._means(
            chain(
                (np.where(self.paired, self.values[column], np.nan) for column in columns),
                (differences(self.values[column], self.base) for column in gained),
            )
        )
        self.levels = dict(zip(columns, means, strict=False))
        self.gains = dict(zip(gained, means[len(columns) :], strict=True))

    def _sums(self, values: Array) -> tuple[Array, Array]:
        return cluster_sums(values, self.pool.clusters, len(self.pool.prompts))

    def _means(self, tables: Iterable[Array]) -> list[StratifiedMeans]:
        """The means of several tables `[S, L]`."""
        labels = len(self.pool.labels)
        sums, counts = zip(*map(self._sums, tables), strict=True)
        means = self.pool.bootstrap.means(np.hstack(sums), np.hstack(counts))
        return [means.part(labels * at, labels) for at in range(len(sums))]

    def _index(self, label: str) -> int:
        return self.pool.labels.index(label)

    def level(self, column: str, label: str) -> Estimate:
        return self.levels[column].overall(self._index(label))

    def gain(self, column: str, label: str) -> Estimate:
        return self.gains[column].overall(self._index(label))

    def summary(self) -> Summary:
        training = {name: training_costs(entry) for name, entry in self._training().items()}
        labels = self.pool.labels
        trained, reno = self.trained, first_of(labels, RENO)
        # A training has the name of the row that it is for.
        own = None if trained is None else training.get(str(trained))
        # A training before hnbench counted operations has none, whatever the records have.
        paid_in = PASSES if own is None or np.isnan(own[TFLOPS]) else self.costs[0]
        judged = self.pool.judged
        return Summary(
            pool=self.pool,
            rows=self._rows(),
            comparisons=self._comparisons() if judged and self.others else (),
            shares=self._shares(trained, reno) if trained and reno else None,
            equivalent=(
                self._equivalent(trained)
                if trained and judged and len(best_of_labels(labels)) > 1
                else None
            ),
            curve=self._curve(),
            break_even=self._break_even(trained, own, paid_in) if trained and own else (),
            paid_in=paid_in,
            training=training,
        )

    def _rows(self) -> dict[str, Row]:
        labels, tags = self.pool.labels, self.pool.tags
        done, failed = self.pool.counts("done"), self.pool.counts("failed")
        memory = self.pool.frame.groupby("label")["peak_memory_bytes"].max()
        p_overall, p_tags = self._p_values()
        units = {
            name: _deviation(self.values[f"{REWARD}{name}"][:, self.base]) for name in self.rewards
        }
        rows = {}
        for index, label in enumerate(labels):
            gains = {name: self.gain(f"{REWARD}{name}", label) for name in self.rewards}
            rows[label] = Row(
                label=label,
                coverage=LabelCoverage(self.pool.planned, done[label], failed[label]),
                pairs=int(self.paired[:, index].sum()),
                overall=self.level(SCORE, label).interval,
                tags={
                    tag: self.levels[SCORE].stratum(at, index).interval
                    for at, tag in enumerate(tags)
                },
                gain=self.gain(SCORE, label).interval,
                p_holm=float(p_overall[index]),
                tag_gains={
                    tag: self.gains[SCORE].stratum(at, index).interval
                    for at, tag in enumerate(tags)
                },
                tag_p_holm={tag: float(p_tags[at, index]) for at, tag in enumerate(tags)},
                rewards={
                    name: self.level(f"{REWARD}{name}", label).interval for name in self.rewards
                },
                reward_gains={name: gain.interval for name, gain in gains.items()},
                # A reward that is the same for all images of the base has no unit for its gains.
                standard_gains={
                    name: gain.scaled(1 / units[name]).interval
                    for name, gain in gains.items()
                    if units[name] > 0
                },
                costs={column: self.level(column, label).interval for column in self.costs},
                peak_memory_bytes=float(memory.get(label, np.nan)),
            )
        return rows

    @cached_property
    def _differences(self) -> tuple[Array, Array]:
        """The clusters' sums and counts of paired differences in score: of every label to the base,
        then of the trained method to `others`.
        """
        scores = self.values[SCORE]
        gaps = differences(scores, self.base)
        if self.trained:
            others = [self._index(label) for label in self.others]
            gaps = np.hstack([gaps, scores[:, [self._index(self.trained)]] - scores[:, others]])
        return self._sums(gaps)

    @cached_property
    def _p_overall(self) -> Array:
        """The p-values of `_differences`, from the same sign flips."""
        return sign_flip_p(*self._differences, self.pool.strata)

    def _p_values(self) -> tuple[Array, Array]:
        """Holm-adjusted p-values of the paired differences to the base: overall `[L]` and by tag
        `[T, L]`.
        """
        number, strata = len(self.pool.labels), self.pool.strata
        sums, counts = (values[:, :number] for values in self._differences)
        overall = self._p_overall[:number].copy()
        by_tag = np.stack(
            [_p_of_stratum(sums, counts, strata, stratum) for stratum in range(len(self.pool.tags))]
        )
        # The base is not compared with itself, and an oracle is not compared at all: as NaN, they
        # do not count as comparisons in `holm`.
        left = [
            at for at, label in enumerate(self.pool.labels) if label == BASE or is_oracle(label)
        ]
        overall[left], by_tag[:, left] = np.nan, np.nan
        return holm(overall), holm(by_tag.ravel()).reshape(by_tag.shape)

    def _comparisons(self) -> tuple[PairedDifference, ...]:
        number = len(self.pool.labels)
        means = self.pool.bootstrap.means(*(values[:, number:] for values in self._differences))
        p_values = holm(self._p_overall[number:])
        return tuple(
            PairedDifference(label, means.overall(at).interval, float(p_values[at]))
            for at, label in enumerate(self.others)
        )

    def _shares(self, trained: str, reno: str) -> Shares | None:
        gain = self.gain(SCORE, reno)
        # A share of a gain that may be zero can be anything.
        if not gain.interval.excludes_zero:
            return None
        costs = {
            column: (self.level(column, trained) / self.level(column, reno)).interval
            for column in self.costs
        }
        return Shares((self.gain(SCORE, trained) / gain).interval, costs)

    def _equivalent(self, trained: str) -> Interval:
        numbered = best_of_labels(self.pool.labels)
        curve = [self.level(SCORE, label) for label in numbered.values()]
        return equivalent_budget(list(numbered), curve, self.level(SCORE, trained)).interval

    def _curve(self) -> dict[int, Interval]:
        if not self.pool.judged:
            return {}
        return {
            number: self.level(SCORE, label).interval
            for number, label in best_of_labels(self.pool.labels).items()
        }

    def _training(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        # Runs that can be pooled have the same adapters, so any run's entry will do: the first.
        for manifest in self.pool.manifests:
            found = {**manifest.get("training", {}), **found}
        return found

    def _break_even(
        self, trained: str, training: dict[str, float], work: str
    ) -> tuple[BreakEven, ...]:
        # Only a search is an alternative to a training: it costs more for every image instead.
        rivals = [
            label
            for label in self.pool.labels
            if method_of(label) == RENO
            or label in list(best_of_labels(self.pool.labels).values())[1:]
        ]

        def images(column: str, rival: str) -> float:
            saved = self.level(column, rival).value - self.level(column, trained).value
            if np.isnan(saved):
                return np.nan
            return float(np.ceil(training[column] / saved)) if saved > 0 else np.inf

        return tuple(
            BreakEven(rival, images(work, rival), images(SECONDS, rival)) for rival in rivals
        )


def _reward_columns(pool: Pool) -> Iterable[str]:
    return [OPTIMISED, *(f"{REWARD}{name}" for name in (*pool.optimised, *pool.held_out))]


def _p_of_stratum(sums: Array, counts: Array, strata: Indices, stratum: int) -> Array:
    inside = strata == stratum
    return sign_flip_p(sums[inside], counts[inside], np.zeros(int(inside.sum()), dtype=np.intp))


def _deviation(values: Array) -> float:
    """The standard deviation of the values that are not NaN; NaN if there are fewer than two of
    them, for example because all samples of the base failed.
    """
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else np.nan
