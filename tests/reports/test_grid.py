from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hnbench.reports import grid
from hnbench.reports.labels import style_of
from hnbench.reports.pictures import picture_of
from hnbench.reports.summary import Summary, summarise_runs
from tests.mutations import replaced
from tests.reports.synthetic import TAGS, write_run

Pixels = npt.NDArray[np.uint8]


def test_prompts_are_spread_over_the_tags_and_in_the_order_of_the_plan(summary: Summary) -> None:
    labels = grid._shown(summary)
    assert labels[:2] == ["random", "best-of-50"]
    rows = grid._rows(summary, labels)
    assert len(rows) == 8
    prompts = [row["random"].prompt for row in rows]
    expected = [
        f"a photo of a red circle, {tag} {at}"
        for tag in TAGS
        for at in ((0, 1) if tag in TAGS[:2] else (0,))
    ]
    assert prompts == expected
    assert all(row[label].prompt == row["random"].prompt for row in rows for label in labels)


def test_a_prompt_without_an_image_gives_way(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "run", ("random", "reno"), prompts_per_tag=2, samples=1, images=True
    )
    summary = summarise_runs([folder])
    first = grid._rows(summary, ["random", "reno"])[0]
    first["reno"].image.unlink()
    assert first["random"].prompt not in [
        row["random"].prompt for row in grid._rows(summary, ["random", "reno"])
    ]


def test_the_picture_holds_every_pixel_of_a_small_image(tmp_path: Path) -> None:
    """A 4x4 image of sixteen colours is enlarged 64 times, pixel by pixel, with exact colours."""
    folder = write_run(tmp_path / "run", ("random",), prompts_per_tag=1, samples=1, images=True)
    summary = summarise_runs([folder])
    pixels = np.random.default_rng(0).integers(0, 256, size=(4, 4, 3), dtype=np.uint8)
    for row in grid._rows(summary, ["random"]):
        Image.fromarray(pixels).save(row["random"].image)
    path = grid.write_grid(summary, tmp_path)
    assert isinstance(path, Path)
    whole = pixels_of(path)
    enlarged = np.kron(pixels, np.ones((64, 64, 1), dtype=np.uint8))
    corners = np.argwhere((whole[:-1, :-1] == pixels[0, 0]).all(axis=2))
    found = 0
    for top, left in corners.tolist():
        block = whole[top : top + 256, left : left + 256]
        found += block.shape == enlarged.shape and bool((block == enlarged).all())
    assert found == len(TAGS)


def test_a_photograph_keeps_its_pixels_if_a_cell_has_room(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size=(200, 250, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    assert (np.asarray(grid._picture(tmp_path / "photo.png", 256)) == noise).all()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((512, 256), (256, 128)),
        ((256, 512), (128, 256)),
        ((1, 3000), (1, 256)),
        ((3000, 1), (256, 1)),
        ((64, 64), (256, 256)),
        ((100, 60), (200, 120)),
    ],
)
def test_images_of_any_shape_fit_into_their_cells(
    tmp_path: Path, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    Image.new("RGB", size).save(tmp_path / "image.png")
    assert grid._picture(tmp_path / "image.png", 256).size == shown


def pixels_of(path: Path) -> Pixels:
    with Image.open(path) as opened:
        assert opened.mode == "RGB"
        return np.asarray(opened)


def test_large_images_are_reduced(tmp_path: Path) -> None:
    Image.new("RGB", (512, 256)).save(tmp_path / "large.png")
    assert picture_of(tmp_path / "large.png", 128).size == (128, 64)


def test_names_of_methods_have_exactly_their_colours(summary: Summary, tmp_path: Path) -> None:
    path = grid.write_grid(summary, tmp_path)
    assert isinstance(path, Path)
    colours = {tuple(colour) for colour in np.unique(pixels_of(path).reshape(-1, 3), axis=0)}
    for label in grid._shown(summary):
        ink = style_of(label).ink
        assert tuple(int(ink[at : at + 2], 16) for at in (1, 3, 5)) in colours, label


def test_many_columns_have_smaller_cells(summary: Summary, tmp_path: Path) -> None:
    path = grid.write_grid(summary, tmp_path)
    assert isinstance(path, Path)
    wide = pixels_of(path).shape[1]
    assert wide > 7 * 256
    rows = grid._rows(summary, grid._shown(summary))
    more = [*grid._shown(summary), *(f"method-{number}" for number in range(13))]
    cells = [dict.fromkeys(more, row["random"]) for row in rows]
    images = {cell.image: Image.new("RGB", (160, 160)) for row in cells for cell in row.values()}
    assert grid._grid(cells, more, images, 160).width < 1.8 * wide


def test_long_prompts_and_other_scripts_stay_in_their_column(tmp_path: Path) -> None:
    """Left of the images there is text, and a white gap before the first of them."""
    prompts = [
        {"id": f"counting/{at}", "text": text, "tag": "counting", "samples": 1}
        for at, text in enumerate(
            ["long " * 200, "x" * 400, "日本語" * 60, "Красный круг слева от синего квадрата " * 6]
        )
    ]
    labels = ("random", "reno")
    plan = {
        "protocol": "quick",
        "labels": list(labels),
        "methods": [{"name": "random"}, {"name": "reno"}],
        "method_of": {"random": 0, "reno": 1},
        "prompts": prompts,
    }
    run = write_run(tmp_path / "run", labels, images=True, changes={"plan": plan})
    path = grid.write_grid(summarise_runs([run]), tmp_path)
    assert isinstance(path, Path)
    whole = pixels_of(path)
    dark: npt.NDArray[np.bool_] = np.all(whole < 100, axis=2)
    assert whole.shape[0] < 5 * (256 + 18) + 100
    rows = slice(whole.shape[0] - 4 * 274, None)
    column = dark[rows, :350]
    assert column.any(axis=1).reshape(4, -1).any(axis=1).all()
    assert not column[:, 340:].any()


@pytest.mark.parametrize("place", range(2))
def test_anything_in_the_place_of_an_image_is_a_note(tmp_path: Path, place: int) -> None:
    """No traceback, and no grid of other images than the report's."""
    summary = summarise_runs(
        [write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=1, samples=1, images=True)]
    )
    image = grid._rows(summary, ["random", "reno"])[0][("random", "reno")[place]].image
    told = []
    for what, put in replaced(image.read_bytes()):
        put(image)
        found = grid.write_grid(summary, tmp_path)
        if isinstance(found, str):
            told.append(what)
            assert found.isprintable()
            assert image.name in found
    assert {"empty", "NUL bytes", "another format", "without its beginning"} <= set(told)


def test_an_image_of_too_many_pixels_is_a_note(tmp_path: Path) -> None:
    summary = summarise_runs(
        [write_run(tmp_path / "run", ("random",), prompts_per_tag=1, samples=1, images=True)]
    )
    image = grid._rows(summary, ["random"])[0]["random"].image
    for size in (10_000, 20_000):
        Image.new("1", (size, size)).save(image)
        found = grid.write_grid(summary, tmp_path)
        assert isinstance(found, str)
        assert f"{image.name} cannot be read (Image size ({size**2} pixels) exceeds limit" in found


def test_without_images_there_is_a_reason(gappy: Summary, tmp_path: Path) -> None:
    reason = grid.write_grid(gappy, tmp_path)
    assert isinstance(reason, str)
    assert "not on this disk" in reason
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("correct", "colour"), [(True, "#009E73"), (False, "#C1121F"), (None, "#BBBBBB")]
)
def test_a_verdict_is_told_by_line_as_well_as_by_colour(correct: bool | None, colour: str) -> None:
    canvas = Image.new("RGB", (300, 300), "white")
    grid._frame(canvas, (22, 22, 278, 278), correct=correct)
    pixels = np.asarray(canvas)
    own = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
    drawn = (pixels == own).all(axis=2)
    assert (drawn | (pixels == 255).all(axis=2)).all()
    # The image itself is not covered, and its frame is five pixels wide on all sides.
    assert not drawn[22:278, 22:278].any()
    for edge in (drawn[17:22], drawn[278:283], drawn[:, 17:22].T, drawn[:, 278:283].T):
        share = edge[:, 17:283].mean()
        assert share == 1 if correct is not False else 0.5 < share < 0.75
