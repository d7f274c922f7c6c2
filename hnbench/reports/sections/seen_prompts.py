"""The prompts that a training saw, and the scores without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.numbers import spanned
from hnbench.reports.sections.cells import all_escaped, name_of, named, score_cells, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The prompts that a training saw, and the scores without them; empty for runs that did not
    note these prompts.
    """
    if not summary.seen:
        return ""
    said = [
        _seen_sentence(named(name), seen, len(summary.pool.prompts))
        for name, seen in summary.seen.items()
    ]
    parts = ["## Prompts seen in training", "\n".join(f"- {sentence}" for sentence in said)]
    if summary.unseen:
        parts += [f"Without them, {summary.unseen.pool.size}:", _without_table(summary.unseen)]
    texts = {prompt.id: prompt.text for prompt in summary.pool.prompts}
    seen = sorted({texts[prompt] for found in summary.seen.values() for prompt in found or ()})
    if seen:
        listed = "\n".join(f"- {escaped(text)}" for text in seen)
        parts.append(f"<details><summary>The prompts</summary>\n\n{listed}\n\n</details>")
    return "\n\n".join(parts)


def _seen_sentence(name: str, seen: Sequence[str] | None, planned: int) -> str:
    if seen is None:
        return f"{name}: its adapter does not say what it was trained on, so this was not checked."
    return f"{name}: {len(seen)} of the {planned} prompts were among its training prompts."


def _without_table(unseen: Summary) -> str:
    if unseen.pool.judged:
        return table(
            ["method", "overall [95%]", "Δ base, paired [95%]", "p (Holm)"],
            [[name_of(row), *score_cells(row)] for row in unseen.rows.values()],
        )
    names = ["optimised", *unseen.pool.held_out]
    return table(
        ["method", *all_escaped(names)],
        [
            [name_of(row), *(spanned(row.rewards[name]) for name in names)]
            for row in unseen.rows.values()
        ],
    )
