"""Measured values as a table for a terminal, and the sentences that belong to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hnbench.stats.by_prompt import compare
from hnbench.stats.equal_numbers import with_equal_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from hnbench.images.inventory import Inventory
    from hnbench.images.measuring import Measured
    from hnbench.stats.intervals import Interval


def table_of(inventory: Inventory, found: Sequence[Measured], base: str | None) -> Table:
    """A line for each measure and label: the mean over prompts and tags and, in a run, the paired
    difference from the base. `base` is the base's label, None for images that are not a run's.
    """
    from rich.table import Table

    labels, differences = (["label"], ["Δ base", "95%"]) if base is not None else ([], [])
    table = Table("measure", *labels, box=None, padding=(0, 1, 0, 0), header_style="bold")
    for header in ("prompts", "mean", "95%", *differences):
        table.add_column(header, justify="right", no_wrap=True)
    for measured in found:
        for label, *cells in _lines(inventory, measured, base):
            table.add_row(
                measured.definition.measure, *([label] if base is not None else []), *cells
            )
    return table


def _lines(inventory: Inventory, measured: Measured, base: str | None) -> Iterator[list[str]]:
    """Label, prompts, mean, bounds, difference, bounds."""
    if measured.definition.kind == "set":
        for label, distance in measured.distances.items():
            sizes = f"{distance.images} against {distance.base_images} images"
            yield [label, str(len(measured.images[label])), _number(distance.value), sizes, "", ""]
        return
    tag_of = {image.prompt.id: image.prompt.tag for image in inventory.images}
    table = with_equal_numbers(measured.values, measured.images, base)
    used = {prompt for by_prompt in table.values() for prompt in by_prompt}
    compared = compare(
        [table], {prompt: tag for prompt, tag in tag_of.items() if prompt in used}, base
    )
    for label, one in compared.items():
        differences = (
            ["", ""]
            if one.difference is None
            else [f"{one.difference.estimate:+.4g}", _bounds(one.difference)]
        )
        shown = [label, str(one.prompts), _number(one.level.estimate), _bounds(one.level)]
        yield [*shown, *(differences if base is not None else ())]


def sentences(inventory: Inventory, found: Sequence[Measured]) -> list[str]:
    """The sentences that a reader must know: what each number means, and what it leaves out."""
    lines = []
    if not inventory.complete:
        lines.append(f"PARTIAL: {inventory.described()}. The means cover only the images found.")
    for measured in found:
        left_out = (
            f" {measured.left_out} prompts with a single image are not in it."
            if measured.left_out
            else ""
        )
        lines.append(f"{measured.definition.measure}: {measured.definition.about}.{left_out}")
    return lines


def _number(value: float) -> str:
    return f"{value:.4g}"


def _bounds(interval: Interval) -> str:
    return "" if math.isnan(interval.low) else f"[{interval.low:.4g}, {interval.high:.4g}]"
