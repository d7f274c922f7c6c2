"""Draws scenes: antialiased shapes on a pale, softly tinted background with some pixel noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from hnbench.shapes.world import PALETTE, SIZE, Item, Scene

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

NOISE_SIGMA = 2.0
"""The standard deviation of the pixel noise; pixels are 0 to 255."""
_OVERSAMPLE = 4
"""Points per pixel and axis, for antialiasing."""


def inside(shape: str, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Whether points lie within the shape of radius 1; x points right, y down, both in -1..1.
    `ValueError` for an unknown shape.
    """
    if shape not in _OUTLINES:
        raise ValueError(f"unknown shape {shape!r}; known: {', '.join(_OUTLINES)}")
    return np.asarray(_OUTLINES[shape](x, y), np.bool_)


def _heart(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """A heart: a curve of degree six, with the point down."""
    u, v = x * 1.22, -y * 1.22 + 0.12
    return np.asarray((u**2 + v**2 - 1) ** 3 - u**2 * v**3 <= 0)


def _star(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """A five-pointed star with one point up. Its boundary is linear between the tips at radius 1
    and the dents at radius 0.42.
    """
    tip, dent = 1.0, 0.42
    # All ten half-points are mirrored onto one, so a single edge has to be tested.
    angle = np.abs((np.arctan2(x, -y) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    ends = np.array([[0.0, tip], [dent * np.sin(np.pi / 5), dent * np.cos(np.pi / 5)]])
    px, py = np.hypot(x, y) * np.sin(angle), np.hypot(x, y) * np.cos(angle)
    (ax, ay), (bx, by) = ends
    return np.asarray((bx - ax) * (py - ay) - (by - ay) * (px - ax) <= 0)


_OUTLINES: dict[str, Callable[[Floats, Floats], npt.NDArray[np.bool_]]] = {
    "circle": lambda x, y: np.hypot(x, y) <= 1,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) <= 0.9,
    "triangle": lambda x, y: (y <= 0.85) & (np.abs(x) * 1.75 <= y + 0.95),
    "star": _star,
    "cross": lambda x, y: (
        ((np.abs(x) <= 0.34) & (np.abs(y) <= 1)) | ((np.abs(y) <= 0.34) & (np.abs(x) <= 1))
    ),
    "ring": lambda x, y: (np.hypot(x, y) <= 1) & (np.hypot(x, y) >= 0.52),
    "heart": _heart,
}


@cache
def stamp(shape: str, radius: float, shift_x: float, shift_y: float) -> Mask:
    """The coverage, in [0, 1], of each pixel by the shape, on a small square grid. Its central
    pixel contains the object's centre, `shift_x` and `shift_y` pixels from the pixel's own centre.
    """
    reach = int(np.ceil(radius)) + 2
    fine = (np.arange((2 * reach + 1) * _OVERSAMPLE) + 0.5) / _OVERSAMPLE - reach - 0.5
    x, y = np.meshgrid((fine - shift_x) / radius, (fine - shift_y) / radius)
    side = 2 * reach + 1
    cells = inside(shape, x, y).reshape(side, _OVERSAMPLE, side, _OVERSAMPLE)
    return np.asarray(cells.mean(axis=(1, 3)), np.float32)


def _quantised(value: float, step: float) -> float:
    return round(value / step) * step


def _paste(canvas: npt.NDArray[np.float32], item: Item, colour: npt.NDArray[np.float32]) -> None:
    """Blend one object into the canvas."""
    cx, cy = int(np.floor(item.x)), int(np.floor(item.y))
    # Radius and position are rounded to quarters of a pixel, so that cached stamps can be reused.
    mask = stamp(
        item.shape,
        _quantised(item.radius, 0.25),
        _quantised(item.x - cx - 0.5, 0.25),
        _quantised(item.y - cy - 0.5, 0.25),
    )
    reach = mask.shape[0] // 2
    top, left = max(cy - reach, 0), max(cx - reach, 0)
    bottom, right = min(cy + reach + 1, SIZE), min(cx + reach + 1, SIZE)
    part = mask[
        top - cy + reach : bottom - cy + reach, left - cx + reach : right - cx + reach, None
    ]
    window = canvas[top:bottom, left:right]
    window += item.opacity * part * (colour - window)


Background = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""A pale colour `[3]` in 0..255, and its change from the middle to the right and to the bottom,
`[2, 3]`.
"""


def any_background(rng: np.random.Generator) -> Background:
    """A random background: a pale, slightly tinted colour with a smooth gradient."""
    return rng.uniform(218, 244, 3), rng.uniform(-8, 8, (2, 3))


def spread(background: Background) -> npt.NDArray[np.float32]:
    """The background as an empty canvas, float32 `[64, 64, 3]` in 0..255."""
    base, slopes = (part.astype(np.float32) for part in background)
    axis = np.linspace(-1, 1, SIZE, dtype=np.float32)
    return np.asarray(base + axis[None, :, None] * slopes[0] + axis[:, None, None] * slopes[1])


def tone(colour: str, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A random tone of a palette colour: each channel, in 0..255, differs by at most 10, `[3]`."""
    return np.asarray(PALETTE[colour], np.float32) + rng.uniform(-10, 10, 3).astype(np.float32)


def coverage_of(item: Item) -> Mask:
    """The coverage, in [0, 1], of each pixel of an image by one object, `[64, 64]`."""
    canvas = np.zeros((SIZE, SIZE, 1), np.float32)
    _paste(canvas, item, np.ones(1, np.float32))
    return canvas[..., 0]


def blend(canvas: npt.NDArray[np.float32], mask: Mask, colours: npt.NDArray[np.float32]) -> None:
    """Blend colours, `[3]` or one for each pixel, into the canvas where the mask covers it."""
    canvas += mask[..., None] * (colours - canvas)


def finish(canvas: npt.NDArray[np.float32], rng: np.random.Generator) -> Image:
    """The canvas with pixel noise, as an RGB image, uint8 `[64, 64, 3]`."""
    noisy = canvas + rng.normal(0, NOISE_SIGMA, canvas.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def draw(scene: Scene, rng: np.random.Generator, background: Background | None = None) -> Image:
    """The scene as an RGB image, uint8 `[64, 64, 3]`, on the given background or a random one."""
    canvas = spread(background or any_background(rng))
    for item in scene.items:
        _paste(canvas, item, tone(item.colour, rng))
    return finish(canvas, rng)
