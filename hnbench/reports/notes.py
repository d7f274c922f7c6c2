"""Sentences that a reader needs to understand the numbers."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from hnbench.files.escaping import printable
from hnbench.reports.labels import adapter_of, style_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hnbench.reports.pool import Pool
    from hnbench.reports.summary import Summary

SMALL = 20
"""A tag with fewer prompts than this has intervals that are too narrow, because a bootstrap of
prompts can only draw from the prompts of the tag.
"""

_JUDGES = {
    "geneval": (
        "GenEval's judge drifts: for recent models, its scores were off by up to 17.7 points from"
        " 23,000 annotations by people, mostly because it rejects images that are right (GenEval 2,"
        " arXiv 2512.16853). Differences of methods on one generator depend on it less than the"
        " order of generators does, but they depend on it."
    )
}
"""Judge's name -> what others found out about its errors."""


def left_out(pool: Pool) -> list[str]:
    """Sentences on what the latest command left out: one for each method that could not run on the
    generator, with the reason (and the runs, if it is not true of all of them); one on the rows of
    earlier commands, which the report has; and one on the records that it cannot show.
    """
    runs_of: dict[tuple[str, str], list[str]] = {}
    for folder, manifest in zip(pool.folders, pool.manifests, strict=True):
        for name, reason in manifest.get("skipped", {}).items():
            runs_of.setdefault((name, reason.removesuffix(".")), []).append(folder.name)
    sentences = []
    for (name, reason), runs in runs_of.items():
        where = "" if len(runs) == len(pool.folders) else f" (only in {', '.join(runs)})"
        sentences.append(f"Left out: {style_of(name).name}, because {reason}{where}.")
    return [*sentences, *_of_earlier_commands(pool)]


def foreign_checkpoints(pool: Pool) -> list[str]:
    """A sentence for each row with the weights of another program, whose training is not known."""
    training = {
        name: entry
        for manifest in pool.manifests
        for name, entry in manifest.get("training", {}).items()
    }
    return [
        f"{style_of(label).name} is a checkpoint of another program ({printable(form)}, SHA-256"
        f" {str(adapter_of(label))[:8]}): hnbench does not know what it was trained on, nor what"
        " that cost."
        for label in pool.labels
        if (form := training.get(label, {}).get("checkpoint"))
    ]


def _of_earlier_commands(pool: Pool) -> Iterator[str]:
    if pool.earlier:
        names = ", ".join(style_of(label).name for label in pool.earlier)
        yield f"Not asked for by the last command, but shown from earlier ones: {names}."
    if pool.unnamed:
        listed = ", ".join(
            f"{printable(label)} ({number:,})" for label, number in pool.unnamed.items()
        )
        yield (
            f"Not shown are records of earlier commands: {listed}. Either run.json does not have"
            " the parameters of their methods, or not all of these runs have them; the command that"
            " made them brings them back."
        )


def judge_notes(pool: Pool) -> list[str]:
    """A sentence on the errors of the suite's judge, if any are known."""
    judge = pool.manifests[0]["suite"]["judge"]
    return [_JUDGES[judge["name"]]] if judge and judge["name"] in _JUDGES else []


def interval_notes(summary: Summary) -> list[str]:
    """Sentences on how far the intervals can be trusted: they are not adjusted as p-values are, and
    some tags are too small.

    The percentages come from simulated data sets (400 per design, standard error about one point).
    """
    notes = []
    if summary.pool.judged and len(summary.rows) > 1:
        notes.append(
            "Intervals are not adjusted for the number of comparisons; p-values are (Holm). So an"
            " interval can exclude zero although its p-value is 0.05 or more."
        )
    counts = Counter(prompt.tag for prompt in summary.pool.prompts)
    small = [f"{tag} ({counts[tag]})" for tag in summary.pool.tags if counts[tag] < SMALL]
    if small:
        notes.append(
            f"Tags with fewer than {SMALL} prompts have intervals that are too narrow:"
            f" {', '.join(small)}. In simulations with 4 prompts, 95% intervals contained the true"
            " score in 84% to 89% of cases and the true gain in 78%; with 8 prompts, in 88% to 94%"
            " and in 87%."
        )
    return notes


def timing_notes(summary: Summary) -> list[str]:
    """A sentence on the device of the seconds, if the records are those of several devices."""
    elsewhere = summary.pool.timed_elsewhere
    if not elsewhere:
        return []
    others = ", ".join(f"{name or 'unknown'} ({count:,})" for name, count in elsewhere.items())
    without = [
        style_of(label).name
        for label, row in summary.rows.items()
        if math.isnan(row.costs["seconds"].estimate)
    ]
    missing = f" So there are none for {', '.join(without)}." if without else ""
    sentence = (
        f"Seconds are those of one device, {summary.pool.timed_on or 'unknown'}. Records that were"
        f" measured on another device are left out of them: {others}."
    )
    return [sentence + missing]
