"""Kinds of drawn test images for the judge: clean scenes, and scenes with one difficulty each.

Every kind shows its caption to a person: the rules of GenEval hold for the drawn objects themselves
(their outlines' boxes and their colours), and no two objects touch except where the kind says so.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hnbench.detections import Detection
from hnbench.shapes.captions import TAGS, all_captions, holds
from hnbench.shapes.drawing import (
    any_background,
    blend,
    coverage_of,
    draw,
    finish,
    inside,
    spread,
    tone,
)
from hnbench.shapes.pieces import box_around
from hnbench.shapes.world import COLOURS, GAP, SIZE, Item, Scene
from hnbench.suites.geneval.rules import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hnbench.detections import Box
    from hnbench.shapes.captions import Caption
    from hnbench.shapes.drawing import Image, Mask
    from hnbench.shapes.pieces import Bools

Floats = npt.NDArray[np.float64]

BLUR = 1.2
"""The sigma of the kind `blurred` in pixels."""
CUT = 0.15
"""The share of an object's area that the kind `cut` removes."""
SECOND = (0.2, 0.35)
"""The share of an object's area in its second colour, in the kind `two_coloured`."""
SMALL = 4.0
"""The radius of all objects in the kind `small`, in pixels."""
WOBBLE = 0.08
"""The standard deviation of the outline's displacement along each axis, in radii, in the kind
`wobbly`.
"""
BEND = 0.35
"""The sigma, in radii, of the Gaussian that smooths these displacements."""
STRETCH = 1.25
"""How much longer one axis of all objects is than the other, in the kind `stretched`."""
DEEP = 0.2
"""The share of the smaller object's area that the first two objects have in common, in the kind
`overlapping`.
"""
DEPTHS = {"touching": 0.0, "overlapping": DEEP}
"""The kinds whose first two objects are together: kind -> the share that they have in common."""
_FINER = 2
"""Points per pixel and axis of an outline that is not a stamp."""
_TOGETHER = ("two_object", "counting", "position")
"""The tasks of those kinds: their captions allow two objects of one colour."""


@dataclass(frozen=True)
class Drawn:
    """One drawn image of `caption`; `other` is a caption of the same task that is not true of
    it.
    """

    image: Image
    caption: Caption
    other: Caption


def blurred(scene: Scene, rng: np.random.Generator) -> Image:
    """The scene under a Gaussian blur of `BLUR` pixels."""
    return blurred_by(scene, rng, BLUR)


def blurred_by(scene: Scene, rng: np.random.Generator, sigma: float) -> Image:
    """The scene under a Gaussian blur of `sigma` pixels."""
    image = draw(scene, rng).astype(np.float32)
    return np.rint(ndimage.gaussian_filter(image, (sigma, sigma, 0))).astype(np.uint8)


def small(scene: Scene, rng: np.random.Generator) -> Image:
    """The scene with all objects of radius `SMALL`, at their places."""
    return draw(Scene(tuple(replace(item, radius=SMALL) for item in scene.items)), rng)


def cut(scene: Scene, rng: np.random.Generator) -> Image:
    """The scene with a share `CUT` of one object's area removed by a straight cut."""
    chosen = rng.integers(len(scene.items))
    canvas = spread(any_background(rng))
    for index, item in enumerate(scene.items):
        mask = coverage_of(item)
        if index == chosen:
            mask = mask * ~_side(mask, CUT, rng)
        blend(canvas, mask, tone(item.colour, rng))
    return finish(canvas, rng)


def two_coloured(scene: Scene, rng: np.random.Generator) -> Image:
    """The scene with a share of one object, within `SECOND`, beyond a straight line in another
    colour.
    """
    return two_coloured_by(scene, rng, rng.uniform(*SECOND))


def two_coloured_by(scene: Scene, rng: np.random.Generator, share: float) -> Image:
    """The scene with this share of one object in another colour."""
    chosen = rng.integers(len(scene.items))
    canvas = spread(any_background(rng))
    for index, item in enumerate(scene.items):
        mask = coverage_of(item)
        colours = np.broadcast_to(tone(item.colour, rng), (SIZE, SIZE, 3))
        if index == chosen:
            other = rng.choice([colour for colour in COLOURS if colour != item.colour])
            side = _side(mask, share, rng)
            colours = np.where(side[..., None], tone(other, rng), colours)
        blend(canvas, mask, colours)
    return finish(canvas, rng)


def wobbly(scene: Scene, rng: np.random.Generator) -> Image:
    """The scene with the outlines of all objects displaced smoothly."""

    def warp(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        shifts = rng.normal(0, 1, (2, *x.shape))
        smooth = ndimage.gaussian_filter(shifts, (0, *[BEND / (x[0, 1] - x[0, 0])] * 2))
        smooth *= WOBBLE / smooth.std()
        return x + smooth[0], y + smooth[1]

    return _warped(scene, rng, warp)


def stretched(scene: Scene, rng: np.random.Generator) -> Image:
    """The scene with all objects longer along one axis than along the other."""
    factor = math.sqrt(STRETCH) ** rng.choice([-1, 1])
    return _warped(scene, rng, lambda x, y: (x * factor, y / factor))


def _warped(
    scene: Scene,
    rng: np.random.Generator,
    warp: Callable[[Floats, Floats], tuple[Floats, Floats]],
) -> Image:
    """The scene with each object's own coordinates, in radii, changed by `warp`."""
    canvas = spread(any_background(rng))
    axis = (np.arange(SIZE * _FINER) + 0.5) / _FINER
    for item in scene.items:
        x, y = np.meshgrid((axis - item.x) / item.radius, (axis - item.y) / item.radius)
        cells = inside(item.shape, *warp(x, y)).reshape(SIZE, _FINER, SIZE, _FINER)
        blend(canvas, cells.mean((1, 3)).astype(np.float32), tone(item.colour, rng))
    return finish(canvas, rng)


def together(scene: Scene, deep: float = 0.0) -> Scene | None:
    """The scene with its second object in the first one's colour and moved straight towards it, in
    steps of half a pixel, until one of its half-covered pixels is beside one of the first's, or
    until they have more than the share `deep` of the smaller one's pixels in common. None if it
    then comes nearer to a third object than scenes allow.
    """
    first, second, *others = scene.items
    core = coverage_of(first) > 0.5
    reach = core if deep else ndimage.binary_dilation(core)
    enough = deep * min(core.sum(), (coverage_of(second) > 0.5).sum())
    way = np.asarray((second.x - first.x, second.y - first.y))
    distance = float(np.hypot(*way))
    moved = replace(second, colour=first.colour)
    for left in np.arange(distance, 0, -0.5):
        x, y = (first.x, first.y) + way * left / distance
        moved = replace(moved, x=float(x), y=float(y))
        if (reach & (coverage_of(moved) > 0.5)).sum() > enough:
            break
    free = all(
        math.hypot(moved.x - other.x, moved.y - other.y) >= moved.radius + other.radius + GAP
        for other in others
    )
    return Scene((first, moved, *others)) if free else None


KINDS: dict[str, Callable[[Scene, np.random.Generator], Image]] = {
    "clean": draw,
    "two_coloured": two_coloured,
    "touching": draw,
    "overlapping": draw,
    "cut": cut,
    "blurred": blurred,
    "small": small,
    "wobbly": wobbly,
    "stretched": stretched,
}
"""Kind -> how its images are drawn from a scene."""


def drawn(
    kind: str,
    number: int,
    seed: int,
    way: Callable[[Scene, np.random.Generator], Image] | None = None,
) -> Iterator[Drawn]:
    """`number` images of one kind, task by task in turn, with captions of the whole world. `way`
    replaces the kind's own way of drawing.
    """
    pixels, choices = np.random.default_rng(seed), random.Random(seed)
    tags = _TOGETHER if kind in DEPTHS else TAGS
    made = 0
    while made < number:
        captions = all_captions(tags[made % len(tags)])
        caption = choices.choice(captions)
        scene: Scene | None = caption.scene(pixels)
        if kind in DEPTHS and scene:
            scene = together(scene, DEPTHS[kind])
        if scene is None or not is_true(caption, scene):
            continue
        other = choices.choice([each for each in captions if not holds(each, caption)])
        yield Drawn((way or KINDS[kind])(scene, pixels), caption, other)
        made += 1


def is_true(caption: Caption, scene: Scene) -> bool:
    """Whether GenEval's rules accept the scene itself for the caption."""
    found: dict[str, list[Detection]] = {}
    for item in scene.items:
        found.setdefault(item.shape, []).append(Detection(box_of(item), 1.0, item.colour))
    return bool(evaluate(found, caption.metadata()).correct)


def box_of(item: Item) -> Box:
    """The box around the half-covered pixels of an object."""
    return box_around(coverage_of(item) >= 0.5)


def _side(mask: Mask, share: float, rng: np.random.Generator) -> Bools:
    """The pixels beyond a line in a random direction that leaves this share of the mask beyond."""
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.indices(mask.shape)
    along = np.asarray(columns * math.cos(angle) + rows * math.sin(angle))
    return np.asarray(along > np.quantile(along[mask > 0.5], 1 - share))
