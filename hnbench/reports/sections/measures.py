"""Diversity, fidelity and other measures of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.labels import OTHER_NOISE, RANDOM_DIRECTION, rows_of, style_of
from hnbench.reports.numbers import spanned
from hnbench.reports.sections.cells import name_of, table
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from hnbench.reports.measures import PooledMeasure
    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """A table of all measures of the images; empty if nothing was measured."""
    if summary.measured is None:
        return ""
    measures = summary.measured.measures
    parts = [
        "## Diversity and fidelity",
        *(f"_{escaped(note)}_" for note in summary.measured.notes),
    ]
    if measures:
        rows = [
            [
                name_of(row),
                *(
                    _measure_cell(measure, row.label, len(summary.pool.seeds))
                    for measure in measures
                ),
            ]
            for row in summary.rows.values()
            if any(row.label in measure.labels for measure in measures)
        ]
        parts += [
            table(["method", *(escaped(measure.definition.measure) for measure in measures)], rows),
            "\n".join(f"- {_described(measure)}" for measure in measures),
            _measures_note(summary),
        ]
    return "\n\n".join(parts)


def _measure_cell(measure: PooledMeasure, label: str, seeds: int) -> str:
    if label in measure.distances:
        one = measure.distances[label]
        return f"{one.mean:.4g}" + (f" ({one.low:.4g} to {one.high:.4g})" if seeds > 1 else "")
    if label not in measure.by_prompt:
        return "" if label == BASE else "not measured"
    compared = measure.by_prompt[label]
    difference = (
        "" if compared.difference is None else f" (Δ {spanned(compared.difference, sign=True)})"
    )
    return f"{spanned(compared.level)}{difference}"


def _described(measure: PooledMeasure) -> str:
    definition = measure.definition
    sizes = sorted({size for one in measure.distances.values() for size in one.images})
    images = f" Sets of {' and '.join(map(str, sizes))} images." if sizes else ""
    return (
        escaped(f"{definition.measure} ({definition.fingerprint[:12]}): {definition.about}.")
        + images
    )


def _measures_note(summary: Summary) -> str:
    text = (
        "Measures by prompt are means over prompts within tags, and then over tags; in brackets Δ,"
        " the paired difference to random noise. Distances to random noise's images are means over"
        " base seeds; in brackets the smallest and the largest."
    )
    controls = [
        style_of(label).name
        for method in (RANDOM_DIRECTION, OTHER_NOISE)
        for label in rows_of(summary.rows, method)
    ]
    if summary.hypernoise and controls:
        text += (
            " Even a meaningless change has a distance above zero: the floor for a change as large"
            f" as HyperNoise's is the distance of {' and '.join(controls)}."
        )
    return text
