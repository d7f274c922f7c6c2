"""The grid of generated images, against a search for the images' pixels in it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hnbench.reports import image_grid
from hnbench.reports.image_grid import ROWS, GridImage, GridRow, at_good_size, draw_pages
from tests.hostile import TEXTS


def noise(width: int, height: int, seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def row_of(prompt: str, sample: int, size: tuple[int, int], labels: list[str]) -> GridRow:
    seeds = [zlib.crc32(repr((prompt, sample, label)).encode()) for label in labels]
    images = {
        label: GridImage(noise(*size, seed), {"clip": float(seed % 7)}, 0.5)
        for label, seed in zip(labels, seeds, strict=True)
    }
    return GridRow(prompt, sample, images)


def enlarged(image: Image.Image, factor: int) -> np.ndarray:
    return np.kron(np.asarray(image), np.ones((factor, factor, 1), dtype=np.uint8))


def reduced(image: Image.Image, factor: int) -> np.ndarray:
    height, width = image.height // factor, image.width // factor
    blocks = np.asarray(image, dtype=float).reshape(height, factor, width, factor, 3)
    return np.asarray(blocks.mean(axis=(1, 3)))


def packed(image: np.ndarray) -> np.ndarray:
    """One number for each pixel."""
    red, green, blue = np.moveaxis(image.astype(np.int32), -1, 0)
    return np.asarray(red * 65536 + green * 256 + blue)


def place_of(picture: np.ndarray, page: Image.Image) -> tuple[int, int]:
    """Where the picture's pixels are in the page: top and left, of exactly one place."""
    wanted, values = packed(picture), packed(np.asarray(page))
    height, width = wanted.shape
    rows, columns = values.shape[0] - height + 1, values.shape[1] - width + 1
    found = np.ones((rows, columns), dtype=bool)
    for y, x in np.random.default_rng(0).integers(0, (height, width), (6, 2)):
        found &= values[y : y + rows, x : x + columns] == wanted[y, x]
    (place,) = [
        (int(top), int(left))
        for top, left in np.argwhere(found)
        if (values[top : top + height, left : left + width] == wanted).all()
    ]
    return place


@pytest.mark.parametrize(("size", "factor"), [((64, 64), 4), ((96, 48), 2), ((300, 200), 1)])
def test_every_image_is_in_its_row_and_column_pixel_by_pixel(
    size: tuple[int, int], factor: int
) -> None:
    labels = ["random", "hypernoise", "best-of-4"]
    rows = [row_of(prompt, sample, size, labels) for prompt in ("a", "b") for sample in (0, 1)]
    (page,) = draw_pages(rows)
    assert page.mode == "RGB"
    places = np.array(
        [
            [place_of(enlarged(row.images[label].image, factor), page) for label in labels]
            for row in rows
        ]
    )
    tops, lefts = places[..., 0], places[..., 1]
    assert (tops == tops[:, :1]).all()
    assert (lefts == lefts[:1]).all()
    assert (np.diff(tops[:, 0]) > size[1] * factor).all()
    assert (np.diff(lefts[0]) > size[0] * factor).all()


def test_a_large_image_is_averaged_over_squares() -> None:
    image = noise(1024, 1024, 3)
    shown = np.asarray(at_good_size(image), dtype=float)
    assert shown.shape == (512, 512, 3)
    assert np.abs(shown - reduced(image, 2)).max() <= 0.5
    assert at_good_size(noise(1025, 40, 0)).size == (342, 14)
    assert at_good_size(noise(512, 512, 0)).size == (512, 512)
    assert at_good_size(noise(8, 8, 0)).size == (256, 256)


def test_many_rows_are_on_several_pages() -> None:
    rows = [row_of(f"prompt {number}", 0, (8, 8), ["random"]) for number in range(ROWS * 2 + 1)]
    pages = list(draw_pages(rows))
    assert len(pages) == 3
    for number, row in enumerate(rows):
        place_of(enlarged(row.images["random"].image, 32), pages[number // ROWS])


def written_by(row: GridRow, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every text that a page shows, with its left edge and its width."""
    texts: list[tuple[str, int, int]] = []
    real = image_grid._write

    def write(
        draw: Any, place: tuple[int, int], text: str, size: int, colour: str, *, bold: bool = False
    ) -> None:
        texts.append((text, place[0], round(image_grid._width(text, size, bold=bold))))
        real(draw, place, text, size, colour, bold=bold)

    monkeypatch.setattr(image_grid, "_write", write)
    (page,) = draw_pages([row])
    assert all(left >= 0 and left + width <= page.width for _, left, width in texts)
    return texts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, 0.0], ["1.000", "★ 2.000", "0.000"]),
        ([2.0, 2.0, -1234567.0], ["★ 2.000", "★ 2.000", "-1.235e+06"]),
        ([15.2, 15.2, 15.2], ["15.20", "15.20", "15.20"]),
        ([1234.0, 0.004713, 12.5], ["★ 1234", "0.004713", "12.50"]),
    ],
)
def test_the_highest_reward_of_a_row_has_a_star(
    values: list[float], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {
        f"m{index}": GridImage(noise(8, 8, index), {"clip": value}, 9.87)
        for index, value in enumerate(values)
    }
    texts = [text for text, _, _ in written_by(GridRow("a", 0, images), monkeypatch)]
    shown = [texts[index + 1] for index, text in enumerate(texts) if text == "clip"]
    assert shown == expected
    assert texts.count("9.87") == 3


@pytest.mark.parametrize("prompt", [*TEXTS, "x" * 15_000, "word " * 3000])
def test_any_text_stays_on_the_page(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = written_by(row_of(prompt, 0, (8, 8), ["random", prompt[:300]]), monkeypatch)
    assert all(text.isprintable() for text, _, _ in texts)


def test_a_prompt_is_wrapped_and_a_long_one_says_that_it_goes_on() -> None:
    width = 300
    words = [*"abcdefghij"] * 6
    lines = image_grid._wrapped(" ".join(words), width, 15, lines=9)
    assert " ".join(lines).split() == words
    assert len(lines) > 1
    cut = image_grid._wrapped("word " * 3000, width, 15, lines=3)
    assert len(cut) == 3
    assert cut[-1].endswith("...")
    pieces = image_grid._wrapped("y" * 100, width, 15, lines=20)
    assert "".join(pieces) == "y" * 100
    assert len(pieces) > 1
