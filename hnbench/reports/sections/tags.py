"""The score of every method in every tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.numbers import spanned
from hnbench.reports.sections.cells import all_escaped, name_of, table

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The scores by tag; empty if the suite has no judge."""
    if not summary.pool.judged:
        return ""
    tags = summary.pool.tags
    rows = [
        [name_of(row), *(spanned(row.tags[tag], digits=2) for tag in tags)]
        for row in summary.rows.values()
    ]
    absent = [tag for tag in summary.pool.manifests[0]["suite"]["tags"] if tag not in tags]
    note = (
        f"\n\nNot in this plan, and so not in the overall score: {', '.join(all_escaped(absent))}."
        if absent
        else ""
    )
    return f"## By tag\n\n{table(['method', *all_escaped(tags)], rows)}{note}"
