"""How much the choice of the noise can change, before any method is compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.headroom import headroom
from hnbench.reports.labels import best_of_labels
from hnbench.reports.numbers import number, spanned
from hnbench.reports.sections.cells import named, table
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The spread of the rewards over noises, next to what the largest search gains; empty if no
    prompt has two images.
    """
    found = headroom(summary.pool)
    if not found:
        return ""
    searched = best_of_labels(summary.pool.labels)
    largest = searched[max(searched)] if max(searched) > 1 else None
    header = ["reward", "sd within a prompt", "sd between prompts", "share of variance within"]
    header += [f"gain of {named(largest)}"] if largest else []
    rows = []
    for name, one in found.items():
        share = "" if math.isnan(one.share) else f"{one.share:.0%}"
        cells = [escaped(name), number(one.within), number(one.between), share]
        if largest:
            cells.append(spanned(summary.rows[largest].reward_gains[name], sign=True))
        rows.append(cells)
    return "\n\n".join(["## Headroom", table(header, rows), _note(summary, largest)])


def _note(summary: Summary, largest: str | None) -> str:
    text = (
        "Rewards of random noise's images. What differs within a prompt is the noise alone, so this"
        " spread limits what any choice of the noise can gain."
    )
    if largest and summary.pool.judged:
        text += (
            f" In the judge's score {named(largest)} gains"
            f" {spanned(summary.rows[largest].gain, sign=True)}."
        )
    for measure in summary.measured.measures if summary.measured else ():
        name = measure.definition.measure
        if name.endswith("vendi") and BASE in measure.by_prompt:
            level = spanned(measure.by_prompt[BASE].level)
            text += f" The Vendi score of random noise's images ({escaped(name)}) is {level}."
    return text
