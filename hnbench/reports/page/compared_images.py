"""The images of a comparison: its rows that started from the same noises, side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hnbench.reports.comparison.contrasts import SAME_NOISES
from hnbench.reports.comparison.plots import group_colour
from hnbench.reports.labels import style_of
from hnbench.reports.page.gallery_contents import GalleryContents, judge_of, reward_name
from hnbench.reports.pool import sample_rows
from hnbench.runs.frame import SCORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from hnbench.reports.comparison.comparison import Comparison
    from hnbench.reports.comparison.rows import ComparedRow
    from hnbench.reports.labels import Style
    from hnbench.reports.pool import Pool
    from hnbench.runs.plan import PlannedPrompt


def of_comparison(comparison: Comparison, rows: Sequence[ComparedRow]) -> GalleryContents | None:
    """The images of a comparison: the samples that all of its `matched_rows` have. None if these
    are of one run, or there is no such sample.

    The first view is the first of the comparison's contrasts, what was gained before what was lost.
    """
    if len(comparison.groups) > 1 and len({row.group.name for row in rows}) == 1:
        return None
    pool = _joined(rows)
    if pool is None:
        return None
    names = [row.name for row in rows]
    pools = [group.pool for group in comparison.groups]
    return GalleryContents(
        pool=pool,
        styles=tuple(_styles(comparison, rows)),
        shown=pool.labels,
        judge=judge_of(pool) if comparison.main == SCORE else "none",
        rewards={
            metric: reward_name(metric, *pools)
            for metric in comparison.metrics
            if metric != SCORE and metric in pool.frame
        },
        pairs=[
            pair.scores
            for pair in comparison.pairs
            if pair.scores and pair.first.name in names and pair.second.name in names
        ],
        start={"view": "pair", "order": "gain", **_first_contrast(comparison, names)},
    )


def matched_rows(comparison: Comparison) -> list[ComparedRow]:
    """The first row, and those that started from the same noises as all before them."""
    matched = {
        frozenset((pair.first.name, pair.second.name))
        for pair in comparison.pairs
        if pair.pairing == SAME_NOISES
    }
    found: list[ComparedRow] = []
    for level in comparison.levels:
        if all(frozenset((row.name, level.row.name)) in matched for row in found):
            found.append(level.row)
    return found


def _joined(rows: Sequence[ComparedRow]) -> Pool | None:
    """The samples that the pools of all rows have, with a label for each row; None without any."""
    pools = [row.group.pool for row in rows]
    first = pools[0]
    seeds = tuple(seed for seed in first.seeds if all(seed in pool.seeds for pool in pools))
    planned = [{prompt.id: prompt.samples for prompt in pool.prompts} for pool in pools]
    prompts = tuple(
        replace(prompt, samples=min(found[prompt.id] for found in planned))
        for prompt in first.prompts
    )
    if not seeds:
        return None
    import pandas as pd

    frames = [
        _records(row, at, seeds, {prompt.id: prompt for prompt in prompts})
        for at, row in enumerate(rows)
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame["row"] = sample_rows(frame, prompts, seeds)
    return replace(
        first,
        folders=tuple(dict.fromkeys(folder for pool in pools for folder in pool.folders)),
        labels=tuple(row.name for row in rows),
        prompts=prompts,
        seeds=seeds,
        frame=frame,
    )


def _records(
    row: ComparedRow, column: int, seeds: Sequence[int], prompts: dict[str, PlannedPrompt]
) -> pd.DataFrame:
    """The records of a row that are samples of these seeds and prompts."""
    frame = row.group.pool.frame
    most = frame["prompt_id"].map({name: prompt.samples for name, prompt in prompts.items()})
    kept = (frame["label"] == row.label) & frame["base_seed"].isin(seeds) & (frame["sample"] < most)
    return frame[kept].assign(label=row.name, column=column)


def _styles(comparison: Comparison, rows: Sequence[ComparedRow]) -> Iterator[Style]:
    """The rows' own names, which the tables have too, and the colours of their groups, which the
    plots have too; of a single run, the colours of its report.
    """
    for row in rows:
        style = style_of(row.group.pool.labels[row.column])
        colour = group_colour(comparison, row.group)
        yield replace(
            style,
            name=row.name,
            short=row.name,
            colour=colour if len(comparison.groups) > 1 else style.colour,
        )


def _first_contrast(comparison: Comparison, names: Sequence[str]) -> dict[str, str]:
    """The rows A and B of the first contrast whose two rows are shown."""
    for one in comparison.contrasts:
        if one.row.name in names and one.reference.name in names:
            return {"a": one.reference.name, "b": one.row.name}
    return {}
