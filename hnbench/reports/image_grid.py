"""The grid of generated images: a row for each prompt and sample, a column for each method, and the
rewards and seconds of each image under it.

The pixels are those of the images. Small images are enlarged, and large ones reduced, by whole
factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from hnbench.reports.glyphs import MAIN, drawable, drawable_with
from hnbench.reports.labels import style_of
from hnbench.reports.wrapping import wrapped
from hnbench.weights.quiet import import_matplotlib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROWS = 8
"""The most rows of a page."""
SMALL, LARGE = 256, 512
"""Images are enlarged up to `SMALL` pixels, and reduced to at most `LARGE`, by their longer side.
"""

_LINES = 3
"""The most lines of a prompt."""
_CONSIDERED = 600
"""The most characters of a prompt that are measured; its lines show fewer."""
_LETTERS = 32
"""The least width of a page, in widths of the type's size."""
_PAPER, _INK, _FAINT, _BEST, _RULE = "#FFFFFF", "#222222", "#6B6B6B", "#00704F", "#E2E2E2"
_STAR = "\N{BLACK STAR} "


@dataclass(frozen=True)
class GridImage:
    """An image with its numbers."""

    image: Image.Image
    rewards: Mapping[str, float]
    """Reward -> its value for the image; higher is better."""
    seconds: float


@dataclass(frozen=True)
class GridRow:
    """The images of one prompt and sample, which began from the same noise."""

    prompt: str
    sample: int
    images: Mapping[str, GridImage]
    """Label of the method -> its image, from left to right."""


def draw_pages(rows: Sequence[GridRow]) -> Iterator[Image.Image]:
    """Draw the rows, of the same labels and at least one, on RGB pages of at most `ROWS` rows.

    In each row, the highest value of each reward has a star, if the values differ.
    """
    several = any(row.sample for row in rows)
    for start in range(0, len(rows), ROWS):
        yield _Page(rows[start : start + ROWS], several=several).drawn()


def at_good_size(image: Image.Image) -> Image.Image:
    """The image enlarged or reduced by a whole factor, so that its longer side has at most `LARGE`
    pixels, and as many as fit into `SMALL` if it has fewer. Reduced pixels are averages of squares.
    """
    longer = max(image.size)
    if longer > LARGE:
        return image.reduce(-(-longer // LARGE))
    factor = max(1, SMALL // longer)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


class _Page:
    """The layout of some rows, in pixels."""

    def __init__(self, rows: Sequence[GridRow], *, several: bool) -> None:
        self.rows, self.several = rows, several
        self.shown = [
            {label: at_good_size(one.image) for label, one in row.images.items()} for row in rows
        ]
        pictures = [picture for row in self.shown for picture in row.values()]
        self.height_of_images = max(picture.height for picture in pictures)
        width = max(picture.width for picture in pictures)
        self.type = max(15, max(width, self.height_of_images) // 18)
        self.line = round(self.type * 1.35)
        self.margin, self.gap = self.type, self.type
        texts = [
            f"{name}  {_STAR}{value}"
            for row in rows
            for one in row.images.values()
            for name, value in _values(one)
        ]
        self.column = max(width, *(round(_width(text, self.type, bold=True)) for text in texts))
        self.labels = {
            label: _wrapped(style_of(label).name, self.column, self.type, lines=3, bold=True)
            for label in rows[0].images
        }
        self.label_lines = max(map(len, self.labels.values()))
        columns = len(self.labels)
        self.inner = max(
            columns * self.column + (columns - 1) * self.gap, _LETTERS * self.type // 2
        )

    def drawn(self) -> Image.Image:
        """Draw the page on a sheet that is too high, and cut it where it ends."""
        values = max(len(_values(one)) for row in self.rows for one in row.images.values())
        of_row = self.height_of_images + self.line * (self.label_lines + values + _LINES + 4)
        size = (self.inner + 2 * self.margin, of_row * len(self.rows) + 4 * self.line)
        page = Image.new("RGB", size, _PAPER)
        draw = ImageDraw.Draw(page)
        top = self.margin
        previous: str | None = None
        for row, pictures in zip(self.rows, self.shown, strict=True):
            top = self._heading(draw, row, top, begins=row.prompt != previous)
            top = self._images(page, draw, row, pictures, top) + self.line
            previous = row.prompt
        top = self._legend(draw, top)
        return page.crop((0, 0, page.width, top + self.margin))

    def _heading(self, draw: ImageDraw.ImageDraw, row: GridRow, top: int, *, begins: bool) -> int:
        """Write the prompt over its first row, and the sample over every row if there are several.
        Returns the position below.
        """
        if begins:
            if top > self.margin:
                ends = (self.margin, top, self.margin + self.inner, top)
                draw.line(ends, fill=_RULE, width=max(1, self.type // 12))
                top += self.line // 2
            for text in _wrapped(row.prompt, self.inner, self.type, lines=_LINES, bold=True):
                _write(draw, (self.margin, top), text, self.type, _INK, bold=True)
                top += self.line
        if self.several:
            _write(draw, (self.margin, top), f"sample {row.sample}", self.type, _FAINT)
            top += self.line
        return top + self.line // 3

    def _images(
        self,
        page: Image.Image,
        draw: ImageDraw.ImageDraw,
        row: GridRow,
        pictures: Mapping[str, Image.Image],
        top: int,
    ) -> int:
        """Draw a row's images between labels and numbers. Returns the position below."""
        below = top + self.line * self.label_lines
        under = below + self.height_of_images + self.line // 4
        end = under
        best = _best(row)
        for index, (label, picture) in enumerate(pictures.items()):
            left = self.margin + index * (self.column + self.gap)
            lines = self.labels[label]
            for number, text in enumerate(lines, start=self.label_lines - len(lines)):
                place = (left, top + number * self.line)
                _write(draw, place, text, self.type, style_of(label).colour, bold=True)
            page.paste(picture, (left, below))
            for number, (name, value) in enumerate(_values(row.images[label])):
                leads = (label, name) in best
                self._value(draw, left, under + number * self.line, (name, value), leads=leads)
                end = max(end, under + (number + 1) * self.line)
        return end

    def _value(
        self,
        draw: ImageDraw.ImageDraw,
        left: int,
        top: int,
        written: tuple[str, str],
        *,
        leads: bool,
    ) -> None:
        """Write a name at the column's left edge, and its value at the right one."""
        name, value = written
        shown = f"{_STAR}{value}" if leads else value
        _write(draw, (left, top), name, self.type, _FAINT)
        start = left + self.column - round(_width(shown, self.type, bold=leads))
        _write(draw, (start, top), shown, self.type, _BEST if leads else _INK, bold=leads)

    def _legend(self, draw: ImageDraw.ImageDraw, top: int) -> int:
        """Say what a row and a star mean. Returns the position below."""
        if len(self.labels) == 1:
            return top - self.line
        text = f"Each row begins from one noise. {_STAR}highest of the row"
        for part in _wrapped(text, self.inner, self.type, lines=2):
            _write(draw, (self.margin, top), part, self.type, _FAINT)
            top += self.line
        return top


def _values(one: GridImage) -> list[tuple[str, str]]:
    """The lines under an image: what is measured, and its value."""
    rewards = [(name, f"{value:#.4g}".rstrip(".")) for name, value in one.rewards.items()]
    return [*rewards, ("seconds", f"{one.seconds:.3g}")]


def _best(row: GridRow) -> set[tuple[str, str]]:
    """The label and the name of each reward's highest value; none of values that are all equal."""
    found = set()
    for name in next(iter(row.images.values())).rewards:
        values = {label: one.rewards[name] for label, one in row.images.items()}
        highest = max(values.values())
        if any(value < highest for value in values.values()):
            found |= {(label, name) for label, value in values.items() if value == highest}
    return found


def _wrapped(text: str, width: int, size: int, *, lines: int, bold: bool = False) -> list[str]:
    """The text in at most `lines` lines of at most `width` pixels; what is cut ends in dots."""
    long = len(text) > _CONSIDERED
    considered = f"{text[:_CONSIDERED].rstrip()}..." if long else text
    shown = drawable_with(considered)[0]
    return wrapped(shown, width, lines, partial(_width, size=size, bold=bold), "...").split("\n")


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The text in parts, each with the name of a font that has its characters."""
    shown, fonts = drawable_with(text)

    def font_of(character: str) -> str:
        return fonts[0] if character == " " or drawable(character) == character else fonts[-1]

    for font, characters in groupby(shown, font_of):
        yield "".join(characters), font


def _width(text: str, size: int, *, bold: bool = False) -> float:
    return sum(_font(name, size, bold=bold).getlength(part) for part, name in _parts(text))


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    colour: str,
    *,
    bold: bool = False,
) -> None:
    left, top = float(place[0]), place[1]
    baseline = top + _font(MAIN, size, bold=bold).getmetrics()[0]
    for part, name in _parts(text):
        font = _font(name, size, bold=bold)
        draw.text((left, baseline), part, fill=colour, font=font, anchor="ls")
        left += font.getlength(part)


@cache
def _font(name: str, size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    import_matplotlib()
    from matplotlib.font_manager import FontProperties, findfont

    # Other fonts may lack the characters in bold.
    weight = "bold" if bold and name == MAIN else "regular"
    path = findfont(FontProperties(family=name, weight=weight))
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
