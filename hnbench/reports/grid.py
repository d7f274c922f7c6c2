"""The grid of images: a row for each prompt, a column for each method, all from the same starting
noise, with the judge's verdict as the frame's colour and line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageDraw

from hnbench.reports.drawing import DPI, measuring, new_canvas
from hnbench.reports.glyphs import MAIN, drawable, drawable_with
from hnbench.reports.labels import candidates_of, featured, style_of
from hnbench.reports.pictures import DamagedPictureError, picture_of
from hnbench.reports.wrapping import wrapped
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure
    from PIL.Image import Image

    from hnbench.reports.summary import Summary

_PROMPTS = 8
_SMALLEST, _LARGEST = 160, 256
"""Pixels of a cell's sides."""
_ALL = 2048
"""Pixels of all columns together, unless the cells would be smaller than `_SMALLEST`."""
_GAP = 18
"""Pixels between cells; a frame takes `_FRAME` of them on each side."""
_FRAME, _DASH = 5, 16
_LONGEST = 300
"""Characters of a prompt that are considered; its cell may show fewer."""
_RIGHT, _WRONG, _UNJUDGED = "#009E73", "#C1121F", "#BBBBBB"


def write_grid(summary: Summary, folder: Path) -> Path | str:
    """Write `grid.png`: the first sample of some prompts, spread over the tags. Returns its path,
    or a sentence that says why it is not drawn: images are missing or damaged.
    """
    labels = _shown(summary)
    rows = _rows(summary, labels)
    if not rows:
        return "The grid of images is not drawn: the images of these runs are not on this disk."
    path = folder / "grid.png"
    side = max(_SMALLEST, min(_LARGEST, _ALL // len(labels)))
    try:
        pictures = {cell.image: _picture(cell.image, side) for row in rows for cell in row.values()}
    except DamagedPictureError as error:
        return f"The grid of images is not drawn: {error}; put the run's own image back."
    _grid(rows, labels, pictures, side).save(path)
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
    folder: str
    path: str
    correct: bool | None
    """None without a judge, and for a judge that grades instead of saying right or wrong."""

    @property
    def image(self) -> Path:
        return Path(self.folder) / self.path


def _rows(summary: Summary, labels: Sequence[str]) -> list[dict[str, _Cell]]:
    """Return the cells of the chosen prompts by label. Only prompts with an image of every label
    are chosen.
    """
    cells = _first_samples(summary, labels)
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


def _first_samples(summary: Summary, labels: Sequence[str]) -> dict[str, dict[str, _Cell]]:
    """Prompt -> label -> the first sample under the first base seed, if it is done."""
    frame = summary.pool.frame
    first = frame[
        (frame["base_seed"] == summary.pool.seeds[0])
        & (frame["sample"] == 0)
        & (frame["status"] == "done")
        & frame["label"].isin(labels)
    ]
    cells: dict[str, dict[str, _Cell]] = {}
    columns = ("prompt_id", "prompt", "label", "folder", "image_path", "correct")
    for prompt_id, *values in zip(*(first[name].tolist() for name in columns), strict=True):
        prompt, label, folder, image, correct = values
        verdict = None if math.isnan(correct) else bool(correct)
        cells.setdefault(prompt_id, {})[label] = _Cell(prompt, folder, image, verdict)
    return cells


def _picture(path: Path, side: int) -> Image:
    """A picture that fits into a cell: as it is, enlarged by a whole factor without smoothing, or
    reduced.
    """
    picture = picture_of(path, side)
    if picture.height > side:
        size = max(1, round(picture.width * side / picture.height)), side
        return picture.resize(size, PIL.Image.Resampling.LANCZOS)
    factor = side // max(picture.size)
    size = picture.width * factor, picture.height * factor
    return picture.resize(size, PIL.Image.Resampling.NEAREST)


def _grid(
    rows: Sequence[dict[str, _Cell]],
    labels: Sequence[str],
    pictures: Mapping[Path, Image],
    side: int,
) -> Image:
    verdicts = any(cell.correct is not None for row in rows for cell in row.values())
    title = (
        "Same prompts, same starting noise"
        + "; judged correct: solid green frame, wrong: dashed red frame" * verdicts
    )
    step = side + _GAP
    texts = _Texts(side, left=max(int(1.25 * side), 300) + 2 * _GAP, columns=len(labels))
    figure = texts.draw(title, rows, labels)
    figure.canvas.draw()
    drawn: Any = figure.canvas
    # matplotlib draws the text; the images are put in pixel by pixel.
    grid = PIL.Image.fromarray(np.asarray(drawn.buffer_rgba())[..., :3].copy())
    for at, row in enumerate(rows):
        for column, label in enumerate(labels):
            cell, picture = row[label], pictures[row[label].image]
            left = texts.left + column * step + (side - picture.width) // 2
            top = texts.top + at * step + (side - picture.height) // 2
            grid.paste(picture, (left, top))
            box = (left, top, left + picture.width, top + picture.height)
            _frame(grid, box, correct=cell.correct)
    return grid


class _Texts:
    """The text of a grid, and the places that it leaves for the images. Lengths are pixels."""

    def __init__(self, side: int, left: int, columns: int) -> None:
        self.left = left
        self._side, self._step = side, side + _GAP
        self._width = max(left + columns * self._step, 4 * side)
        # The picture is shown about 900 pixels wide, so larger pictures need larger letters.
        self._size = max(18, min(self._width // 75, side // 8))
        self._line = 1.25 * self._size
        self.top = 0

    def draw(self, title: str, rows: Sequence[dict[str, _Cell]], labels: Sequence[str]) -> Figure:
        """A figure with all texts. Sets `top`, where the first row of images begins."""
        title = wrapped(title, self._width - 2 * _GAP, 3, self._measure([MAIN], bold=True))
        heads = [
            wrapped(drawable(style_of(label).short), self._side, 4, self._measure([MAIN]))
            for label in labels
        ]
        below = round(_GAP + self._line * (title.count("\n") + 1))
        self.top = round(below + self._line * (max(head.count("\n") for head in heads) + 2))
        height = self.top + len(rows) * self._step
        figure = new_canvas(self._width, height)

        def write(text: str, x: float, y: float, **looks: Any) -> None:
            looks = {"fontsize": self._points, "parse_math": False, **looks}
            figure.text(x / self._width, 1 - y / height, text, **looks)

        write(title, _GAP, _GAP, va="top", fontweight="bold")
        for column, (head, label) in enumerate(zip(heads, labels, strict=True)):
            x = self.left + column * self._step + self._side / 2
            write(head, x, self.top - _GAP, va="bottom", ha="center", color=style_of(label).ink)
        lines = int(self._side / self._line)
        for at, row in enumerate(rows):
            prompt, fonts = drawable_with(row[labels[0]].prompt[:_LONGEST])
            prompt = wrapped(prompt, self.left - 2 * _GAP, lines, self._measure(fonts))
            y = self.top + at * self._step + self._side / 2
            write(prompt, _GAP, y, va="center", fontfamily=fonts)
        return figure

    @property
    def _points(self) -> float:
        return self._size * 72 / DPI

    def _measure(self, fonts: list[str], *, bold: bool = False) -> Callable[[str], float]:
        """The function from a text in one line to its width."""
        return measuring(fonts, self._points, bold=bold)


def _frame(grid: Image, box: tuple[int, int, int, int], *, correct: bool | None) -> None:
    """Draw a frame around a box (left, top, right, bottom), dashed if the verdict is wrong."""
    colour = {True: _RIGHT, False: _WRONG, None: _UNJUDGED}[correct]
    brush = PIL.ImageDraw.Draw(grid)
    left, top, right, bottom = (
        box[0] - _FRAME,
        box[1] - _FRAME,
        box[2] + _FRAME - 1,
        box[3] + _FRAME - 1,
    )
    if correct is not False:
        brush.rectangle((left, top, right, bottom), outline=colour, width=_FRAME)
        return
    for x in range(left, right + 1, _DASH):
        end = min(x + _DASH * 5 // 8, right)
        brush.rectangle((x, top, end, top + _FRAME - 1), fill=colour)
        brush.rectangle((x, bottom - _FRAME + 1, end, bottom), fill=colour)
    for y in range(top, bottom + 1, _DASH):
        end = min(y + _DASH * 5 // 8, bottom)
        brush.rectangle((left, y, left + _FRAME - 1, end), fill=colour)
        brush.rectangle((right - _FRAME + 1, y, right, end), fill=colour)
