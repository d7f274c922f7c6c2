"""A rule that couples the noise to the drawn scene, for pretraining. With it, a network learns to
draw long before it could learn to denoise.

The rule is as local and smooth as possible, because a convolutional network learns that best. The
k-th object of a caption lies at the peak of the k-th noise channel, after a blur; its size grows
with the height of the peak. A colour that the caption leaves open is the strongest of eight further
channels at that place. The background's tint and slopes are projections of three more channels.

Nothing of this rule remains in the teacher, whose noise is drawn independently of the image, or in
the generator, which is distilled from the teacher.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr

from hnbench.shapes.world import COLOURS, GAP, RADII, SIZE, Item, Scene

if TYPE_CHECKING:
    from hnbench.shapes.captions import Caption

Floats = npt.NDArray[np.float64]

STRIDE = 2
"""The spacing, in pixels, of the grid on which objects lie."""
BLUR = 1.1
"""The standard deviation of the blur, in cells of the noise (8 pixels each)."""
PLACES, TINT, HUES = slice(0, 4), slice(4, 7), slice(8, 16)
"""The noise channels that decide the places of up to four objects, the background, and the colours
that a caption leaves open.
"""


@cache
def _axis() -> Floats:
    return np.arange(STRIDE / 2, SIZE, STRIDE)


def _peaks(noise: Floats) -> Floats:
    """The channels of places, blurred, scaled to unit variance, and interpolated to the grid of
    positions; `[4, 32, 32]`.
    """
    blurred = ndimage.gaussian_filter(noise[PLACES], (0, BLUR, BLUR), mode="constant") * (
        2 * np.sqrt(np.pi) * BLUR
    )
    cells = _axis() / (SIZE / noise.shape[-1]) - 0.5
    return np.stack(
        [
            ndimage.map_coordinates(
                each, np.meshgrid(cells, cells, indexing="ij"), order=1, mode="nearest"
            )
            for each in blurred
        ]
    )


def scene_of(caption: Caption, noise: Floats) -> Scene:
    """The scene that the rule gives for a caption and a noise `[16, 8, 8]`."""
    shapes = caption.shapes * caption.count
    colours = (caption.colours or (None,) * len(caption.shapes)) * caption.count
    low, high = RADII[len(shapes)]
    peaks, items = _peaks(noise), list[Item]()
    for index, (shape, colour) in enumerate(zip(shapes, colours, strict=True)):
        allowed = _allowed(items, high, caption.relation)
        value = np.where(allowed, peaks[index], -np.inf)
        row, column = np.unravel_index(int(value.argmax()), value.shape)
        x, y = float(_axis()[column]), float(_axis()[row])
        radius = low + (high - low) * float(ndtr(value[row, column] - 1.5))
        shared = items[0].colour if items and caption.tag == "counting" else None
        items.append(Item(shape, colour or shared or _hue(noise, x, y), x, y, radius))
    return Scene(tuple(items))


def _allowed(items: list[Item], radius: float, relation: str | None) -> npt.NDArray[np.bool_]:
    """The positions, bool `[32, 32]`, where one more object of at most `radius` fits and the
    relation (if there is one) holds.
    """
    x, y = np.meshgrid(_axis(), _axis())
    inside = (np.minimum(x, y) >= radius + 1) & (np.maximum(x, y) <= SIZE - radius - 1)
    free = inside.copy()
    for item in items:
        free &= np.hypot(x - item.x, y - item.y) >= 2 * radius + GAP
    if relation and items:
        free &= _beside(x - items[0].x, y - items[0].y, relation)
    if relation and not items:
        free &= _leaves_room(x, y, radius, relation)
    if not free.any():  # three objects leave no room for a fourth: take the farthest place
        nearest = np.min([np.hypot(x - item.x, y - item.y) for item in items], axis=0)
        free = inside & (nearest >= np.where(inside, nearest, 0).max() - 1e-9)
    return np.asarray(free)


def _beside(dx: Floats, dy: Floats, relation: str) -> npt.NDArray[np.bool_]:
    """The offsets from the first object to the second at which the first has the relation to the
    second.
    """
    along = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[relation]
    across = np.abs(dy) if relation in ("left of", "right of") else np.abs(dx)
    return np.asarray(along >= 1.4 * across)


def _leaves_room(x: Floats, y: Floats, radius: float, relation: str) -> npt.NDArray[np.bool_]:
    """The positions of the first object at which the second one still fits."""
    room = 3 * radius + GAP + 2
    return {
        "left of": x <= SIZE - room,
        "right of": x >= room,
        "above": y <= SIZE - room,
        "below": y >= room,
    }[relation]


def _hue(noise: Floats, x: float, y: float) -> str:
    cell = SIZE / noise.shape[-1]
    return COLOURS[int(noise[HUES, int(y / cell), int(x / cell)].argmax())]


def background_of(noise: Floats) -> tuple[Floats, Floats]:
    """The background that the rule gives for a noise: base colour `[3]`, and slopes `[2, 3]` to the
    right and down, in 0..255, in the same ranges as `drawing.any_background`.
    """
    channels = noise[TINT]
    ramp = np.linspace(-1, 1, channels.shape[-1])
    spread = np.sqrt(channels.shape[-1] * (ramp**2).sum())
    right, down = (
        (channels * ramp).sum((1, 2)) / spread,
        (channels * ramp[:, None]).sum((1, 2)) / spread,
    )
    base = 218 + 26 * ndtr(channels.sum((1, 2)) / channels.shape[-1])
    return base, 16 * ndtr(np.stack([right, down])) - 8
