"""What the rewards' side tasks are told lies where, against the pixels of the drawn image.

The pixels know nothing of scenes: an object is where the image is not pale, and its colour is the
nearest of the palette.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hnbench.shapes.captions import TAGS, Caption, all_captions
from hnbench.shapes.drawing import draw
from hnbench.shapes.world import Item, Scene
from hnbench.shapes_training.contrastive_batches import PHASES, Batches, dense_labels
from hnbench.shapes_training.examples import Example, Examples
from hnbench.shapes_training.questions import UNKNOWN, drawn_contents, stated_contents

Pixels = npt.NDArray[np.uint8]

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart")
PALETTE = {
    "red": (214, 38, 38),
    "green": (36, 150, 60),
    "blue": (38, 70, 214),
    "yellow": (245, 208, 20),
    "purple": (142, 48, 178),
    "orange": (245, 128, 16),
    "black": (28, 28, 28),
    "cyan": (36, 196, 214),
}
COLOURS = tuple(PALETTE)
CELLS, PIXELS = 8, 64
PALE = 150
"""A background has no channel below 180, every colour of the palette has one below 60."""


def label_of(shape: str, colour: str) -> int:
    return 1 + 8 * SHAPES.index(shape) + COLOURS.index(colour)


def objects(image: Pixels) -> npt.NDArray[np.bool_]:
    """`[rows, columns]`, where anything lies."""
    found: npt.NDArray[np.bool_] = image.min(axis=2) < PALE
    return found


def colour_at(image: Pixels, row: int, column: int) -> str:
    """The nearest colour of the palette."""
    pixel = image[row, column].astype(float)
    return min(PALETTE, key=lambda name: math.dist(pixel, PALETTE[name]))


def middle_of(image: Pixels) -> tuple[float, float]:
    """(row, column), in pixels from the upper left corner, of the middle of all that lies there."""
    rows, columns = np.nonzero(objects(image))
    return float(rows.min() + rows.max() + 1) / 2, float(columns.min() + columns.max() + 1) / 2


def one_item(shape: str, colour: str, x: float, y: float, radius: float = 10.0) -> Example:
    scene = Scene((Item(shape, colour, x, y, radius),))
    caption = Caption("single_object", (shape,), (None,))
    return Example(caption, scene, draw(scene, np.random.default_rng(0)))


def test_an_object_at_the_upper_right_is_labelled_there() -> None:
    """X is to the right and y down: the first index of a label is the row."""
    example = one_item("square", "blue", x=50.0, y=14.0)
    assert middle_of(example.image) == pytest.approx((14, 50), abs=1)
    (labels,) = dense_labels([example]).tolist()
    there = {(row, column) for row in range(8) for column in range(8) if labels[row][column]}
    # The middles of the cells within ten pixels of row 14 and column 50.
    assert there == {(1, 5), (1, 6), (2, 5), (2, 6)}
    assert {labels[row][column] for row, column in there} == {label_of("square", "blue")}
    (place,) = drawn_contents([example.scene]).places[0, SHAPES.index("square")][None].tolist()
    assert place == [pytest.approx(50 / 64 - 0.5), pytest.approx(14 / 64 - 0.5)]


@pytest.mark.parametrize("tag", TAGS)
def test_a_cell_has_the_label_of_the_object_whose_disc_its_middle_is_in(tag: str) -> None:
    examples = Examples(3)
    drawn = [examples.example(caption) for caption in all_captions(tag)[::7][:40]]
    for example, labels in zip(drawn, dense_labels(drawn).tolist(), strict=True):
        for row in range(CELLS):
            for column in range(CELLS):
                down, right = 8 * row + 4, 8 * column + 4
                expected = 0
                for item in example.scene.items:
                    if (right - item.x) ** 2 + (down - item.y) ** 2 < item.radius**2:
                        expected = label_of(item.shape, item.colour)
                assert labels[row][column] == expected


@pytest.mark.parametrize("tag", TAGS)
def test_the_pixels_of_labelled_cells_have_the_label_s_colour(tag: str) -> None:
    """Of circles, which are filled: most of the pixels in the middle of their cells."""
    examples = Examples(4)
    circles = [caption for caption in all_captions(tag) if "circle" in caption.shapes]
    drawn = [examples.example(caption) for caption in (circles * 40)[:40]]
    for example, labels in zip(drawn, dense_labels(drawn).numpy(), strict=True):
        votes: dict[int, Counter[str]] = defaultdict(Counter)
        for row, column in np.argwhere(labels):
            rows, columns = (range(8 * at + 3, 8 * at + 5) for at in (row, column))
            for pixel in product(rows, columns):
                votes[int(labels[row, column])][colour_at(example.image, *pixel)] += 1
        found = {divmod(label - 1, len(COLOURS)): names for label, names in votes.items()}
        of_circles = {colour: names for (shape, colour), names in found.items() if shape == 0}
        assert of_circles
        for colour, names in of_circles.items():
            assert names.most_common(1)[0][0] == COLOURS[colour]


def test_every_labelled_cell_lies_over_an_object_and_objects_are_labelled() -> None:
    """For all shapes: the labelled cells and the coloured pixels have the same middle."""
    for shape in SHAPES:
        for x, y in ((14.0, 50.0), (50.0, 14.0), (20.0, 30.0)):
            example = one_item(shape, "red", x, y, radius=12.0)
            (labels,) = dense_labels([example]).numpy()
            rows, columns = np.nonzero(labels)
            row, column = middle_of(example.image)
            assert abs(8 * rows.mean() + 4 - row) < 4
            assert abs(8 * columns.mean() + 4 - column) < 4
            assert set(labels[labels > 0].tolist()) == {label_of(shape, "red")}


def test_a_batch_s_labels_and_scenes_are_of_its_images() -> None:
    """Images are degraded a little, and still show where the objects are and in which colour."""
    batch = Batches(24, 5, PHASES[1]).next()
    shown = (batch.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    contents = drawn_contents(batch.scenes)
    singles = 0
    for row, (image, scene) in enumerate(zip(shown, batch.scenes, strict=True)):
        there = {SHAPES[at] for at in torch.nonzero(contents.there[row])[:, 0].tolist()}
        assert there == {item.shape for item in scene.items}
        dense = batch.dense[row].numpy()
        labelled = np.kron(dense > 0, np.ones((8, 8), bool))
        assert (objects(image) & labelled).sum() > 0.5 * objects(image).sum()
        if len(scene.items) == 1:
            singles += 1
            down, right = middle_of(image)
            (place,) = contents.places[row, SHAPES.index(scene.items[0].shape)][None].tolist()
            assert place[0] == pytest.approx(right / PIXELS - 0.5, abs=0.06)
            assert place[1] == pytest.approx(down / PIXELS - 0.5, abs=0.06)
    assert singles >= 2


def test_what_a_scene_holds_is_told_by_shape() -> None:
    scene = Scene(
        (
            Item("star", "cyan", 10.0, 40.0, 8.0),
            Item("star", "cyan", 30.0, 20.0, 8.0),
            Item("ring", "black", 48.0, 56.0, 8.0),
        )
    )
    found = drawn_contents([scene])
    star, ring = SHAPES.index("star"), SHAPES.index("ring")
    assert found.there[0].tolist() == [float(at in (star, ring)) for at in range(7)]
    assert found.colours[0, [star, ring]].tolist() == [
        COLOURS.index("cyan"),
        COLOURS.index("black"),
    ]
    assert found.numbers[0, [star, ring]].tolist() == [1, 0]  # one less than there are
    assert found.places[0, star].tolist() == pytest.approx([20 / 64 - 0.5, 30 / 64 - 0.5])
    assert found.places[0, ring].tolist() == pytest.approx([48 / 64 - 0.5, 56 / 64 - 0.5])
    assert set(found.colours[0].tolist()) == {
        UNKNOWN,
        COLOURS.index("cyan"),
        COLOURS.index("black"),
    }


@pytest.mark.parametrize(
    ("relation", "first"),
    [
        ("left of", (-0.2, 0.0)),
        ("right of", (0.2, 0.0)),
        ("above", (0.0, -0.2)),
        ("below", (0.0, 0.2)),
    ],
)
def test_a_stated_place_lies_on_the_side_on_which_scenes_are_drawn(
    relation: str, first: tuple[float, float]
) -> None:
    caption = Caption("position", ("heart", "cross"), (None, None), relation=relation)
    stated = stated_contents([caption])
    heart, cross = SHAPES.index("heart"), SHAPES.index("cross")
    assert stated.places[0, heart].tolist() == pytest.approx(first)
    assert stated.places[0, cross].tolist() == pytest.approx([-first[0], -first[1]])
    assert (stated.colours == UNKNOWN).all()
    scenes = [caption.scene(np.random.default_rng(seed)) for seed in range(20)]
    drawn = drawn_contents(scenes).places
    # The mean of drawn scenes agrees with what is stated, in direction and roughly in size.
    between = (drawn[:, heart] - drawn[:, cross]).mean(0).tolist()
    assert between == pytest.approx([2 * first[0], 2 * first[1]], abs=0.15)


def test_a_stated_colour_is_of_the_shape_that_it_is_said_of() -> None:
    caption = Caption("color_attr", ("circle", "heart"), ("yellow", "purple"))
    stated = stated_contents([caption])
    for shape, colour in (("circle", "yellow"), ("heart", "purple")):
        assert stated.colours[0, SHAPES.index(shape)] == COLOURS.index(colour)
        assert stated.numbers[0, SHAPES.index(shape)] == 0
    assert stated.places.isnan().all()
