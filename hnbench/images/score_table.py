"""Scores as numbers: the mean of each task, and overall the unweighted mean of the tasks, as every
suite here defines it.

Intervals are computed as in a report: a stratified cluster bootstrap over prompts
(`hnbench.stats.intervals`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.stats.intervals import ClusterBootstrap, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from hnbench.images.inventory import FoundImage
    from hnbench.images.judging import Scores
    from hnbench.suites.base import Verdict

OVERALL = "overall"


@dataclass(frozen=True)
class TaskScore:
    """The score of one task, or overall, for one label (empty for images that are not a run's)."""

    label: str
    task: str
    images: int
    prompts: int
    score: Interval


def summarise(scores: Scores) -> list[TaskScore]:
    """The scores of the tasks in the suite's order, then overall, label by label. Tasks without any
    image are left out (see `sentences`).
    """
    judged = list(zip(scores.inventory.images, scores.verdicts, strict=True))
    labels = dict.fromkeys(image.label for image, _ in judged)
    return [
        line
        for label in labels
        for line in _of_label(
            label, scores.inventory.suite.tags, [pair for pair in judged if pair[0].label == label]
        )
    ]


def _of_label(
    label: str, tags: Sequence[str], judged: Sequence[tuple[FoundImage, Verdict]]
) -> list[TaskScore]:
    clusters: dict[str, list[float]] = {}
    tag_of: dict[str, str] = {}
    for image, verdict in judged:
        clusters.setdefault(image.prompt.id, []).append(verdict.value)
        tag_of[image.prompt.id] = image.prompt.tag
    present = [tag for tag in tags if tag in tag_of.values()]
    strata = np.array([present.index(tag_of[prompt]) for prompt in clusters], dtype=np.intp)
    # One column: the bootstrap takes several metrics at once, and here there is one.
    sums = np.array([[math.fsum(values)] for values in clusters.values()])
    counts = np.array([[float(len(values))] for values in clusters.values()])
    means = ClusterBootstrap(strata).means(sums, counts)
    lines = []
    for stratum, tag in enumerate(present):
        inside = strata == stratum
        lines.append(
            TaskScore(
                label,
                tag,
                int(counts[inside].sum()),
                int(inside.sum()),
                means.stratum(stratum, 0).interval,
            )
        )
    return [
        *lines,
        TaskScore(label, OVERALL, len(judged), len(clusters), means.overall(0).interval),
    ]


@dataclass(frozen=True)
class CorrectShares:
    """One label's shares in [0, 1] that GenEval's own summary prints in addition to its score."""

    label: str
    images: float
    """Correct images among all images, whatever their tasks."""
    prompts: float
    """Prompts with at least one correct image among all prompts."""


def correct_shares(scores: Scores) -> list[CorrectShares]:
    """The shares of each label; none if the judge gives grades instead of right or wrong."""
    by_label: dict[str, dict[str, list[bool]]] = {}
    for image, verdict in zip(scores.inventory.images, scores.verdicts, strict=True):
        if verdict.correct is None:
            return []
        by_label.setdefault(image.label, {}).setdefault(image.prompt.id, []).append(verdict.correct)
    return [
        CorrectShares(
            label,
            fmean(correct for found in prompts.values() for correct in found),
            fmean(map(any, prompts.values())),
        )
        for label, prompts in by_label.items()
    ]


def correct_lines(scores: Scores) -> list[str]:
    """The shares in words, with two decimals as GenEval prints them."""
    return [
        f"{f'{share.label}: ' if share.label else ''}{share.images:.2%} of the images are correct,"
        f" and {share.prompts:.2%} of the prompts have a correct image; neither is the score."
        for share in correct_shares(scores)
    ]


def sentences(scores: Scores) -> list[str]:
    """The sentences that a reader must know: what the numbers leave out, and their protocol."""
    inventory = scores.inventory
    suite, tags = inventory.suite, {image.prompt.tag for image in inventory.images}
    found = []
    if not inventory.complete:
        found.append(
            f"PARTIAL: {inventory.described()}. The score covers only the images found and is not"
            f" {suite.name}'s."
        )
    if absent := [tag for tag in suite.tags if tag not in tags]:
        found.append(
            f"Overall is the mean of {len(suite.tags) - len(absent)} of {len(suite.tags)} tasks;"
            f" without {', '.join(absent)}."
        )
    prompts, all_prompts = (
        len({image.prompt.id for image in inventory.images}),
        len(suite.prompts()),
    )
    if prompts < all_prompts:
        found.append(f"{prompts} of the {all_prompts} prompts of {suite.name} are in it.")
    return found


def to_json(scores: Scores) -> dict[str, Any]:
    """The content of `scores.json`; bounds that the data do not determine are None."""
    inventory = scores.inventory
    return {
        "suite": {"name": inventory.suite.name, "version": inventory.suite.version},
        "judge": {"name": scores.judge, "fingerprint": scores.fingerprint},
        "layout": inventory.layout,
        "complete": inventory.complete,
        "problems": {kind: list(found) for kind, found in inventory.problems.items()},
        "scores": [
            {
                **asdict(line),
                "score": {
                    name: value if math.isfinite(value) else None
                    for name, value in asdict(line.score).items()
                },
            }
            for line in summarise(scores)
        ],
        "correct": [asdict(share) for share in correct_shares(scores)],
    }


def table_of(scores: Scores) -> Table:
    """The scores as a table for a terminal."""
    from rich.table import Table

    lines = summarise(scores)
    labelled = any(line.label for line in lines)
    table = Table(
        *(["label"] if labelled else []),
        "task",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for header in ("prompts", "images", "score", "95%"):
        table.add_column(header, justify="right", no_wrap=True)
    for line in lines:
        low, high = line.score.low, line.score.high
        numbers = [
            str(line.prompts),
            str(line.images),
            f"{line.score.estimate:.4f}",
            "" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]",
        ]
        table.add_row(
            *([line.label] if labelled else []),
            line.task,
            *numbers,
            style="bold" if line.task == OVERALL else "",
        )
    return table
