from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hnbench.reports import grid
from hnbench.reports.pictures import picture_of
from hnbench.reports.summary import Summary, summarise_runs
from tests.mutations import replaced
from tests.reports.synthetic import TAGS, write_run


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
    """One red pixel of a 4x4 image must come out as a square of one colour: enlarged, not
    smoothed.
    """
    folder = write_run(tmp_path / "run", ("random",), prompts_per_tag=1, samples=1, images=True)
    summary = summarise_runs([folder])
    for row in grid._rows(summary, ["random"]):
        pixels = np.zeros((4, 4, 3), dtype=np.uint8)
        pixels[1, 2] = (255, 0, 0)
        Image.fromarray(pixels).save(row["random"].image)
    path = grid.write_grid(summary, tmp_path)
    assert isinstance(path, Path)
    with Image.open(path) as opened:
        assert opened.width == 1350
        red = np.all(np.asarray(opened.convert("RGB")) == (255, 0, 0), axis=2)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert red[:, columns].any(axis=0).all()
    block = red[rows[0] : rows[0] + 5, columns[0] : columns[0] + 5]
    assert block.all()


def test_large_images_are_reduced(tmp_path: Path) -> None:
    Image.new("RGB", (512, 256)).save(tmp_path / "large.png")
    assert picture_of(tmp_path / "large.png", 128).size == (128, 64)


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


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)])
def test_an_image_of_any_shape_is_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "thin.png")
    assert picture_of(tmp_path / "thin.png", 128).size == ((128, 1) if size[0] == 3000 else size)


def test_without_images_there_is_a_reason(gappy: Summary, tmp_path: Path) -> None:
    reason = grid.write_grid(gappy, tmp_path)
    assert isinstance(reason, str)
    assert "not on this disk" in reason
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("correct", [True, False])
def test_a_verdict_is_told_by_line_as_well_as_by_colour(correct: bool) -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    grid._frame(axes, correct=correct)
    assert (axes.spines["left"].get_linestyle() == "-") is correct
