"""The grid of images: a row for each prompt, a column for each method, all from the same starting
noise, with the judge's verdict as the frame's colour.
"""

from __future__ import annotations

import io
import math
import textwrap
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import PIL.Image

from hnbench.reports.drawing import new_figure
from hnbench.reports.glyphs import drawable, drawable_with
from hnbench.reports.labels import candidates_of, featured, style_of
from hnbench.reports.pictures import DamagedPictureError, picture_of
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from PIL.Image import Image

    from hnbench.reports.summary import Summary

_PROMPTS = 8
_CELL = 128
"""The width of a cell in pixels: smaller images are enlarged without smoothing, larger ones
reduced.
"""
_DPI = 150
_LONGEST = 200
"""Characters of a prompt that are considered; the five lines of a cell show fewer."""
_RIGHT, _WRONG, _UNJUDGED = "#009E73", "#D55E00", "#BBBBBB"


def write_grid(summary: Summary, folder: Path) -> Path | str:
    """Write `grid.png`: the first sample of some prompts, spread over the tags. Returns its path,
    or a sentence that says why it is not drawn: images are missing or damaged.
    """
    labels = _shown(summary)
    rows = _rows(summary, labels)
    if not rows:
        return "The grid of images is not drawn: the images of these runs are not on this disk."
    path = folder / "grid.png"
    try:
        pictures = {
            cell.image: picture_of(cell.image, _CELL) for row in rows for cell in row.values()
        }
    except DamagedPictureError as error:
        return f"The grid of images is not drawn: {error}; put the run's own image back."
    _grid(rows, labels, pictures).save(path, optimize=True)
    return path


def _shown(summary: Summary) -> list[str]:
    """Return the base and the featured methods, without the smallest of several best-of-N."""
    # A picture of many columns has room for one best-of-N: the largest, which is featured last.
    labels = featured(list(summary.rows))
    searched = [label for label in labels if candidates_of(label)]
    return [BASE, *(label for label in labels if label not in searched[:-1])]


@dataclass(frozen=True)
class _Cell:
    prompt: str
    image: Path
    correct: bool | None
    """None without a judge, and for a judge that grades instead of saying right or wrong."""


def _rows(summary: Summary, labels: Sequence[str]) -> list[dict[str, _Cell]]:
    """Return the cells of the chosen prompts by label. Only prompts with an image of every label
    are chosen.
    """
    cells = _first_samples(summary)
    by_tag: dict[str, list[dict[str, _Cell]]] = {}
    for prompt in summary.pool.prompts:
        row = cells.get(prompt.id, {})
        if all(label in row for label in labels):
            by_tag.setdefault(prompt.tag, []).append(row)
    # The first prompt of every tag, then the second of every tag, and so on.
    ranked = [row for rank in zip_longest(*by_tag.values()) for row in rank if row]
    chosen = list(
        islice(
            (row for row in ranked if all(row[label].image.is_file() for label in labels)), _PROMPTS
        )
    )
    # They were chosen from all tags in turn, but are shown tag by tag.
    return [row for rows in by_tag.values() for row in rows if row in chosen]


def _first_samples(summary: Summary) -> dict[str, dict[str, _Cell]]:
    """Prompt -> label -> the first sample under the first base seed, if it is done."""
    frame = summary.pool.frame
    first = frame[
        (frame["base_seed"] == summary.pool.seeds[0])
        & (frame["sample"] == 0)
        & (frame["status"] == "done")
    ]
    cells: dict[str, dict[str, _Cell]] = {}
    for record in first[
        ["prompt_id", "prompt", "label", "folder", "image_path", "correct"]
    ].to_dict("records"):
        correct = (
            None
            if record["correct"] is None or math.isnan(record["correct"])
            else bool(record["correct"])
        )
        cell = _Cell(record["prompt"], Path(record["folder"]) / record["image_path"], correct)
        cells.setdefault(record["prompt_id"], {})[record["label"]] = cell
    return cells


def _grid(
    rows: Sequence[dict[str, _Cell]], labels: Sequence[str], pictures: Mapping[Path, Image]
) -> Image:
    verdicts = any(cell.correct is not None for row in rows for cell in row.values())
    title = (
        "Same prompts, same starting noise"
        + "; judged correct: green frame, wrong: dashed red" * verdicts
    )
    figure = new_figure(0.75 + 1.06 * len(rows), title)
    panels = figure.subplots(
        len(rows),
        len(labels) + 1,
        squeeze=False,
        gridspec_kw={"width_ratios": [1.35, *[1.0] * len(labels)]},
    )
    for line, row in zip(panels, rows, strict=True):
        line[0].axis("off")
        prompt, fonts = drawable_with(row[labels[0]].prompt[:_LONGEST])
        wrapped = textwrap.fill(prompt, 17, max_lines=5)
        line[0].text(
            0, 0.5, wrapped, va="center", fontsize=9, transform=line[0].transAxes, fontfamily=fonts
        )
        for axes, label in zip(line[1:], labels, strict=True):
            axes.imshow(pictures[row[label].image], interpolation="nearest")
            axes.grid(visible=False)
            axes.set(xticks=[], yticks=[])
            _frame(axes, correct=row[label].correct)
    for axes, label in zip(panels[0][1:], labels, strict=True):
        axes.set_title(
            drawable(style_of(label).short), color=style_of(label).colour, fontsize=9, loc="center"
        )
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DPI, format="png")
    # A palette keeps a grid of photographs within a few hundred kilobytes.
    return PIL.Image.open(drawn).convert("RGB").quantize(256)


def _frame(axes: Axes, *, correct: bool | None) -> None:
    colour = {True: _RIGHT, False: _WRONG, None: _UNJUDGED}[correct]
    for spine in axes.spines.values():
        spine.set(
            visible=True,
            color=colour,
            linewidth=2.5,
            linestyle=(0, (2, 1.2)) if correct is False else "-",
        )
