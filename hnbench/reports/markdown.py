"""The report as GitHub Markdown: findings and plots, then a section for each part of the results.

Everything that comes from a run folder (names, tags, prompts, notes, versions) is `escaped` where
it enters the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.headlines import headlines
from hnbench.reports.notes import foreign_checkpoints, left_out
from hnbench.reports.sections import (
    acceptance,
    chosen_prompts,
    coverage,
    headroom,
    measures,
    methods,
    power,
    protocol,
    provenance,
    rewards,
    seen_prompts,
    tags,
    training_cost,
)
from hnbench.reports.sections import published as published_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.reports.summary import Summary


def markdown(
    summary: Summary, plots: Mapping[str, str], notes: Sequence[str], *, published: bool = False
) -> str:
    """The whole text. `plots` maps a file name in the report's folder to its title; `notes` say
    which plots are absent and why. With `published`, the text also compares the run's numbers with
    those of papers.
    """
    parts = [
        f"# {title(summary)}",
        lead(summary),
        findings(summary),
        headroom.section(summary),
        _plots(plots, notes),
        *sections(summary, published=published),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def title(summary: Summary) -> str:
    """The suite and the generator, without the sign of a heading."""
    manifest = summary.pool.manifests[0]
    return f"{escaped(manifest['suite']['name'])} on {escaped(manifest['generator']['name'])}"


def lead(summary: Summary) -> str:
    """The paragraphs under the title: whether all samples are there, the size of the run, the
    methods that were left out, and the rows whose training is not known.
    """
    pool = summary.pool
    seeds = ", ".join(str(seed) for seed in pool.seeds)
    named = escaped(pool.manifests[0]["plan"]["protocol"])
    told = [*left_out(pool), *foreign_checkpoints(pool)]
    absent = "".join(f"\n\n{escaped(sentence)}" for sentence in told)
    return f"{_completeness(summary)}\n\n{pool.size} ({seeds}), {named} protocol.{absent}"


def findings(summary: Summary) -> str:
    """The list of findings; empty if there are none."""
    lines = [f"- {escaped(headline.sentence)}" for headline in headlines(summary)]
    return "\n".join(["## Findings", "", *lines]) if lines else ""


def sections(summary: Summary, *, published: bool = False) -> list[str]:
    """The sections after the plots, the main table first, without empty ones."""
    found = [
        methods.section(summary),
        tags.section(summary),
        seen_prompts.section(summary),
        published_numbers.section(summary) if published else "",
        rewards.section(summary),
        measures.section(summary),
        acceptance.section(summary),
        chosen_prompts.section(summary),
        training_cost.section(summary),
        power.section(summary),
        coverage.section(summary),
        protocol.section(summary),
        provenance.section(summary),
    ]
    return [section for section in found if section]


def _completeness(summary: Summary) -> str:
    if not summary.incomplete:
        judged = " and judged" if summary.pool.judged else ""
        return (
            f"Complete: all {summary.pool.planned} planned samples of all {len(summary.rows)}"
            f" methods are there{judged}."
        )
    absent = sum(
        summary.rows[label].coverage.planned - summary.rows[label].coverage.done
        for label in summary.incomplete
    )
    return (
        f"> [!WARNING]\n> **Incomplete: {absent} planned samples failed or are missing**, in"
        f" {len(summary.incomplete)} of {len(summary.rows)} methods, marked ⚠ below. Their means"
        " cover only the samples that exist and have a base to be paired with, not the whole plan."
    )


def _plots(plots: Mapping[str, str], notes: Sequence[str]) -> str:
    images = [f"![{escaped(title)}]({name})" for name, title in plots.items()]
    return "\n\n".join(["## Plots", *images, *(f"_{escaped(note)}_" for note in notes)])
