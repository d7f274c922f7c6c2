"""Several runs as one table of samples: the same plan under one or more base seeds.

The unit of the statistics is the prompt, so all samples and seeds of a prompt form one cluster.
Absent samples stay visible: every array has a place for each planned sample, with NaN for those
that failed or are missing.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.errors import StoreError, UsageError
from hnbench.reports.labels import row_labels
from hnbench.runs.coverage import cover
from hnbench.runs.frame import REWRITER, frame_of, on_cpu
from hnbench.runs.plan import BASE, Plan, oracles_in
from hnbench.runs.store import Run, damaged_images, read_run
from hnbench.stats.intervals import ClusterBootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pandas as pd

    from hnbench.runs.coverage import Coverage
    from hnbench.runs.plan import PlannedPrompt
    from hnbench.runs.record import Record
    from hnbench.stats.intervals import Array, Indices


@dataclass(frozen=True)
class Pool:
    """The planned samples of all runs: S samples per label (seed by seed, prompt by prompt), L
    labels, P prompts.
    """

    folders: tuple[Path, ...]
    manifests: tuple[dict[str, Any], ...]
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    """The suite's tags that have prompts in the plan, in the suite's order."""
    prompts: tuple[PlannedPrompt, ...]
    strata: Indices
    """`[P]`, the index of each prompt's tag."""
    seeds: tuple[int, ...]
    frame: pd.DataFrame
    """One row per planned record that exists, done or failed (`frame_of`)."""
    unchecked: int = 0
    """Lines of the journals that have no check value."""
    damaged: tuple[str, ...] | None = None
    """Images that are missing, or that are not the files that were written; None if this was not
    checked.
    """
    earlier: tuple[str, ...] = ()
    """The labels that the latest command did not ask for."""
    unnamed: Mapping[str, int] = field(default_factory=dict)
    """Label -> number of records for planned samples that belong to no row, because `run.json` does
    not have their method's parameters.
    """

    @property
    def timed_on(self) -> str:
        """The device whose records give the seconds: the one with the most done records. Seconds of
        different devices are never compared. It is empty if the records do not name their devices.
        """
        found = self.frame.loc[self.frame["status"] == "done", "device"].value_counts()
        return (
            min((-int(number), str(name)) for name, number in found.items())[1]
            if len(found)
            else ""
        )

    @property
    def timed_elsewhere(self) -> dict[str, int]:
        """Other device -> number of its done records, whose seconds are left out."""
        done = self.frame.loc[self.frame["status"] == "done", "device"]
        found = done[done != self.timed_on].value_counts()
        return {str(name): int(found[name]) for name in sorted(found.index)}

    @property
    def clusters(self) -> Indices:
        """`[S]`, the index of each planned sample's prompt."""
        one_seed = np.repeat(
            np.arange(len(self.prompts)), [prompt.samples for prompt in self.prompts]
        )
        return np.tile(one_seed, len(self.seeds))

    @cached_property
    def bootstrap(self) -> ClusterBootstrap:
        """The resamples of prompts within tags for every interval of a report."""
        return ClusterBootstrap(self.strata)

    @property
    def planned(self) -> int:
        """The number of samples planned per label (S)."""
        return len(self.clusters)

    @property
    def size(self) -> str:
        """The planned numbers of prompts, samples and seeds, in words."""
        samples = sorted({prompt.samples for prompt in self.prompts})
        each = f"{samples[0]}" if len(samples) == 1 else f"{samples[0]} to {samples[-1]}"
        return f"{len(self.prompts)} prompts x {each} samples x {len(self.seeds)} base seed(s)"

    @property
    def judged(self) -> bool:
        """Whether the suite has a judge; without one there are rewards only."""
        return self.manifests[0]["suite"]["judge"] is not None

    @property
    def optimised(self) -> dict[str, float]:
        """Optimised reward -> weight."""
        weights: dict[str, float] = self.manifests[0]["rewards"]["optimised"]
        return weights

    @property
    def held_out(self) -> list[str]:
        """The rewards that no method saw."""
        return list(self.manifests[0]["rewards"]["held_out"])

    def values(self, column: str) -> Array:
        """One numeric column as `[S, L]`; NaN for samples without a done record. Seconds are those
        of one device (`timed_on`).
        """
        table = np.full((self.planned, len(self.labels)), np.nan)
        if column not in self.frame:
            # `frame_of` makes columns only of the rewards that some record has.
            return table
        counted = self.frame["status"] == "done"
        if column in ("seconds", f"{REWRITER}seconds"):
            counted &= self.frame["device"] == self.timed_on
        rows, columns, values = (
            self.frame.loc[counted, name].to_numpy() for name in ("row", "column", column)
        )
        table[rows, columns] = values
        return table

    def without(self, prompt_ids: Collection[str]) -> Pool:
        """The same pool without some prompts. `UsageError` if no prompt is left."""
        kept = [index for index, prompt in enumerate(self.prompts) if prompt.id not in prompt_ids]
        if not kept:
            raise UsageError("no prompt is left")
        prompts = tuple(self.prompts[index] for index in kept)
        tags = tuple(tag for tag in self.tags if any(prompt.tag == tag for prompt in prompts))
        frame = self.frame[~self.frame["prompt_id"].isin(list(prompt_ids))].copy()
        frame["row"] = sample_rows(frame, prompts, self.seeds)
        strata = _strata(prompts, tags)
        return replace(self, prompts=prompts, tags=tags, strata=strata, frame=frame)

    def counts(self, status: str) -> dict[str, int]:
        """Label -> number of records of that status."""
        found = self.frame.loc[self.frame["status"] == status, "label"].value_counts()
        return {label: int(found.get(label, 0)) for label in self.labels}


def pool_runs(given: Sequence[Run | Path], *, check: bool = False) -> Pool:
    """Pool runs that differ only in the base seed, given as folders or as runs that were read
    before.

    With `check`, every image is read and compared with the SHA-256 of its record. `UsageError` if
    the runs cannot be pooled or hold nothing to report, `StoreError` if one is damaged.
    """
    if not given:
        raise UsageError(
            "no run was given; name at least one run folder, for example `hnbench report"
            " results/<run>`"
        )
    runs = [one if isinstance(one, Run) else read_run(one) for one in given]
    latest = [Plan.from_manifest(run.manifest) for run in runs]
    _require_same_measurement(runs, latest)
    seeds = [_seed(run) for run in runs]
    _require_different(seeds)
    _require_base(latest[0])
    earlier = _earlier(runs, latest)
    plans = [plan.with_rows(earlier) for plan in latest]
    plan = plans[0]
    manifests = tuple(run.manifest for run in runs)
    # An older hnbench may have made some of the runs.
    labels = row_labels(plan.identities, {*chain.from_iterable(map(oracles_in, manifests))})
    covered = [cover(own, run.records, run.folder) for own, run in zip(plans, runs, strict=True)]
    tags = _tags(plan, runs[0])
    cpu_seeds = [seed for seed, run in zip(seeds, runs, strict=True) if on_cpu(run.manifest)]
    frame = frame_of(_records(runs, covered), cpu_seeds)
    frame["row"] = sample_rows(frame, plan.prompts, seeds)
    frame["column"] = frame["label"].map(_positions(plan.labels))
    frame["folder"] = frame["base_seed"].map(
        {seed: str(run.folder) for seed, run in zip(seeds, runs, strict=True)}
    )
    _require_same_noise(frame)
    return Pool(
        folders=tuple(run.folder for run in runs),
        manifests=manifests,
        labels=labels,
        tags=tags,
        prompts=plan.prompts,
        strata=_strata(plan.prompts, tags),
        seeds=tuple(seeds),
        frame=frame,
        unchecked=sum(run.unchecked for run in runs),
        damaged=_damaged(runs, covered) if check else None,
        earlier=labels[len(latest[0].labels) :],
        unnamed=_unnamed(runs, plans, covered),
    )


def _earlier(runs: Sequence[Run], plans: Sequence[Plan]) -> dict[str, Mapping[str, Any]]:
    """The rows of earlier commands that every run has records of: label -> method's identity."""
    known = [_with_records(run, plan) for run, plan in zip(runs, plans, strict=True)]
    return {
        label: identity
        for label, identity in known[0].items()
        if all(other.get(label) == identity for other in known)
    }


def _with_records(run: Run, plan: Plan) -> dict[str, Mapping[str, Any]]:
    rows: Mapping[str, Mapping[str, Any]] = run.manifest.get("earlier", {})
    whole = plan.with_rows(rows)
    there = {record.id for record in run.records}
    return {
        label: identity
        for label, identity in rows.items()
        if any(whole.item(task, label).id in there for task in plan.tasks)
    }


def _unnamed(
    runs: Sequence[Run], plans: Sequence[Plan], covered: Sequence[Coverage]
) -> dict[str, int]:
    """Label -> number of records for planned samples that no row of the report has."""
    found: Counter[str] = Counter()
    for run, plan, coverage in zip(runs, plans, covered, strict=True):
        tasks = {(task.prompt_id, task.prompt, task.sample) for task in plan.tasks}
        rows = {record.id for record in (*coverage.done, *coverage.failed)}
        found.update(
            record.label
            for record in run.records
            if record.id not in rows and (record.prompt_id, record.prompt, record.sample) in tasks
        )
    return dict(found)


def _require_different(seeds: Sequence[int]) -> None:
    """Refuse two runs of one seed: they have the same samples, which would count twice."""
    twice = sorted({str(seed) for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise UsageError(
            f"two of the runs have base seed {', '.join(twice)}; pooled runs need different base"
            " seeds"
        )


def _require_base(plan: Plan) -> None:
    if BASE not in plan.labels:
        raise UsageError(
            f"the runs have no {BASE!r}, which every method is compared with; run again with"
            f" `{BASE}` among the methods"
        )


def _tags(plan: Plan, run: Run) -> tuple[str, ...]:
    """The tags that have prompts in the plan, in the suite's order; then those that the suite
    forgot to list.
    """
    used = {prompt.tag for prompt in plan.prompts}
    listed = [tag for tag in run.manifest["suite"]["tags"] if tag in used]
    return tuple(dict.fromkeys([*listed, *sorted(used)]))


def _strata(prompts: Sequence[PlannedPrompt], tags: Sequence[str]) -> Indices:
    return np.array([tags.index(prompt.tag) for prompt in prompts], dtype=np.intp)


def _records(runs: Sequence[Run], covered: Sequence[Coverage]) -> list[Record]:
    """All records of the plans, run by run. `UsageError` for a run that has none."""
    found: list[Record] = []
    for run, coverage in zip(runs, covered, strict=True):
        own = (*coverage.done, *coverage.failed)
        if not own:
            raise UsageError(
                f"{run.folder} has no record of its plan yet; run `hnbench run` first, the same"
                " command continues it"
            )
        found += own
    return found


def _damaged(runs: Sequence[Run], covered: Sequence[Coverage]) -> tuple[str, ...]:
    pairs = zip(runs, covered, strict=True)
    return tuple(
        str(run.folder / path)
        for run, coverage in pairs
        for path in damaged_images(run.folder, coverage.done)
    )


def sample_rows(
    frame: pd.DataFrame, prompts: Sequence[PlannedPrompt], seeds: Sequence[int]
) -> pd.Series[int]:
    """The row of each record's sample in the arrays `[S, L]` of a pool of these prompts and base
    seeds, which must have all samples of `frame`.
    """
    starts = np.cumsum([0, *(prompt.samples for prompt in prompts)])
    start_of = {prompt.id: int(start) for prompt, start in zip(prompts, starts, strict=False)}
    rows = (
        frame["base_seed"].map(_positions(seeds)) * int(starts[-1])
        + frame["prompt_id"].map(start_of)
        + frame["sample"]
    )
    # pandas gives an empty frame's column the type float, which cannot be an index.
    return rows.astype(np.intp)


def _positions(names: Sequence[Any]) -> dict[Any, int]:
    return {name: index for index, name in enumerate(names)}


def _seed(run: Run) -> int:
    return int(run.manifest["config"]["base_seed"])


def _require_same_measurement(runs: Sequence[Run], plans: Sequence[Plan]) -> None:
    """Refuse runs that differ in what was measured, in the methods or in the prompts."""
    first = runs[0].folder
    facets: dict[str, Callable[[int], Any]] = {
        "generators": lambda index: runs[index].manifest["generator"]["name"],
        "suites": lambda index: runs[index].manifest["suite"]["name"],
        "prompts or samples": lambda index: plans[index].prompts,
        "methods": lambda index: (plans[index].labels, list(plans[index].methods)),
    }
    # These are compared first, because their messages say more than that of the identity below,
    # which differs too.
    for what, facet in facets.items():
        others = [index for index in range(len(runs)) if facet(index) != facet(0)]
        if others:
            named = f" ({facet(0)} and {facet(others[0])})" if isinstance(facet(0), str) else ""
            raise UsageError(
                f"{first} and {runs[others[0]].folder} have different {what}{named};"
                f" {_not_poolable(runs)}"
            )
    for run, plan in zip(runs, plans, strict=True):
        if differing := _differing(plans[0].shared, plan.shared):
            raise UsageError(
                f"{first} and {run.folder} differ in {', '.join(differing)}; {_not_poolable(runs)}"
            )


def _not_poolable(runs: Sequence[Run]) -> str:
    folders = " ".join(shlex.quote(str(run.folder)) for run in runs)
    return (
        "only runs that differ in nothing but the base seed can be pooled. To compare them, type"
        f" `hnbench compare {folders}`."
    )


def _differing(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields of the identity that differ, without the base seed, which may."""
    return sorted(
        name for name, value in other.items() if name != "base_seed" and value != first.get(name)
    )


def _require_same_noise(frame: pd.DataFrame) -> None:
    """Refuse records whose methods started from different noises, since their differences would
    not be paired.
    """
    # A row is one sample under one seed, whatever the label.
    kinds = frame.groupby("row")["noise_sha256"].nunique()
    if (kinds > 1).any():
        first = frame.loc[frame["row"] == kinds.index[kinds > 1][0]].iloc[0]
        raise StoreError(
            f"{first['folder']}: the methods started {first['prompt_id']} sample {first['sample']}"
            " from different noises, so their differences are not paired; run it again in a fresh"
            " folder"
        )
