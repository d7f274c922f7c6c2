"""Finds shapes, their colours and their places in an image, by classical computer vision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from hnbench.detections import Detection
from hnbench.shapes.pieces import SMALLEST, Piece, pieces_of
from hnbench.shapes.silhouettes import Fit, distances, fit, forgiving, moments, overlap, points, starts
from hnbench.shapes.world import SHAPES

if TYPE_CHECKING:
    from hnbench.shapes.drawing import Image

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

THRESHOLD = 0.75
PLAIN = .93
GAIN = 0.04
MOST = 4
ANGLES = 12
CUTS = 6
MOVES = ((0.0, 0.0), (-0.2, 0.0), (0.2, 0.0), (0.0, -0.2), (0.0, 0.2))
REACH = 0.2
SPLIT = 0.8
_ALL = np.arange(len(SHAPES))


class Part(NamedTuple):
    score: float
    shape: int
    mask: Bools


def fit_each(seen: Floats, size, steps: int = 6) -> list[Fit]:
    """The fits of the seven shapes to each target of `seen` `[b, p]`."""
    batch = len(seen)
    shapes = np.tile(_ALL, batch)[:, None]
    found = fit(np.repeat(seen, 7, 0) if batch > 1 else seen, size, shapes, starts(seen, size).reshape(-1, 1, 3), steps)
    return [found.take(np.arange(7 * i, 7 * i + 7)) for i in range(batch)]


def best_of(found: Fit) -> Fit:
    return found.take([int(found.scores.argmax())])


def thorough(seen, size, found: Fit) -> Fit:
    good = np.flatnonzero(found.scores > found.scores.max() - REACH)
    more = np.repeat(found.places[good], len(MOVES), 0)
    more[:, 0, :2] += np.tile(np.asarray(MOVES, np.float32), (len(good), 1)) * more[:, 0, 2:]
    more[:, 0, 2] *= 1.08
    again = fit(seen, size, np.repeat(found.shapes[good], len(MOVES), 0), more, 5)
    every = Fit(*(np.concatenate(pair) for pair in zip(found, again, strict=True)))
    return best_of(every._replace(scores=forgiving(seen, size, every)))


def cuts_of(mask: Bools, xy: Floats) -> list[Bools]:
    """Masks [p] of one side of the best straight cuts."""
    inside = np.flatnonzero(mask)
    total = len(inside)
    options = []
    for angle in np.arange(ANGLES) * np.pi / ANGLES:
        along = xy @ np.asarray([np.cos(angle), np.sin(angle)], np.float32)
        mine = along[inside]
        low = mine.min()
        counts = np.bincount((mine - low).astype(int))
        before = np.cumsum(counts) - counts / 2
        smaller = np.minimum(before, total - before)
        cost = counts / np.sqrt(np.maximum(smaller, 1))
        cost[smaller < max(SMALLEST, 0.08 * total)] = np.inf
        inner = np.pad(cost, 1, constant_values=np.inf)
        for i in np.flatnonzero((cost <= inner[:-2]) & (cost <= inner[2:]) & np.isfinite(cost)):
            options.append((cost[i], angle, low + i + 0.5, along))
    options.sort(key=lambda o: o[0])
    sides = []
    for _, _, at, along in options:
        side = along < at
        own = side[inside]
        if all(min((own != other[inside]).sum(), (own == other[inside]).sum()) > 0.08 * total for other in sides):
            sides.append(side)
        if len(sides) == CUTS:
            break
    return sides


def halves(seen: Floats, size, keep: int) -> list[list]:
    """The best `keep` cuts of seen [1,p], as two (target, Fit) each."""
    sides = cuts_of(seen[0] > 0.5, points(size))
    if not sides:
        return []
    targets = np.concatenate([np.stack([seen[0] * side, seen[0] * ~side]) for side in sides])
    fits = [best_of(each) for each in fit_each(targets, size, 3)]
    weights = targets.sum(1)
    scores = np.asarray([f.scores[0] for f in fits])
    value = (scores * weights).reshape(-1, 2).sum(1)
    return [[(targets[k : k + 1], fits[k]) for k in (2 * cut, 2 * cut + 1)] for cut in np.argsort(-value)[:keep]]


def split(seen: Floats, size, one: float):
    """Best explanation of seen [1,p] as 2..MOST shapes, or None."""
    best = None
    for parts in halves(seen, size, 2):
        while len(parts) < MOST:
            worst = min(range(len(parts)), key=lambda i: parts[i][1].scores[0])
            if parts[worst][1].scores[0] >= 0.8:
                break
            more = halves(parts[worst][0], size, 1)
            if not more:
                break
            was = parts[worst]
            value = sum(t.sum() * f.scores[0] for t, f in more[0]) / was[0].sum()
            if value < was[1].scores[0] + GAIN:
                break
            parts = parts[:worst] + parts[worst + 1 :] + more[0]
        joined = refine(seen, size, np.concatenate([f.shapes for _, f in parts], 1), np.concatenate([f.places for _, f in parts], 1))
        if best is None or joined.scores[0] > best.scores[0] + GAIN * (joined.shapes.shape[1] - best.shapes.shape[1]):
            best = joined
        if joined.scores[0] > PLAIN:
            break
    if best is None or best.scores[0] < one + GAIN * (best.shapes.shape[1] - 1):
        return None
    return best


def refine(seen: Floats, size, shapes, places) -> Fit:
    joined = fit(seen, size, shapes, places, 3)
    number = shapes.shape[1]
    area, ox, oy = moments().T
    for _ in range(2):
        if joined.scores[0] > 0.94:
            break
        # every shape for each object in turn
        shapes = np.repeat(joined.shapes, 7 * number, 0)
        places = np.repeat(joined.places, 7 * number, 0)
        for i in range(number):
            old = int(joined.shapes[0, i])
            x, y, r = joined.places[0, i]
            radius = r * np.sqrt(area[old] / area)
            rows = slice(7 * i, 7 * i + 7)
            shapes[rows, i] = _ALL
            places[rows, i] = np.stack([x + r * ox[old] - radius * ox, y + r * oy[old] - radius * oy, radius], -1)
        options = fit(seen, size, shapes, places, 4)
        best = options.scores.reshape(number, 7).argmax(1)
        rows = np.arange(number) * 7 + best
        picked = options.take(rows)
        each = np.arange(number)
        both = fit(seen, size, picked.shapes[each, each][None], picked.places[each, each][None], 4)
        top = best_of(Fit(*(np.concatenate(p) for p in zip(joined, options, both, strict=True))))
        same = (top.shapes == joined.shapes).all()
        joined = top
        if same:
            break
    return joined


def parts_of(found: Fit, seen: Floats, size) -> list[Part]:
    away = distances(found.shapes, found.places, size)[0]
    nearest = away.argmin(0)
    out = []
    for i in range(len(away)):
        own = nearest == i
        score = overlap(np.where(own, seen[0], 0), np.where(own, found.drawn[0], 0))
        out.append(Part(float(score), int(found.shapes[0, i]), (own & (seen[0] > 0.5)).reshape(size)))
    return out


def explain(piece: Piece) -> list[Part]:
    seen = piece.coverage.reshape(1, -1)
    size = piece.coverage.shape
    found = fit_each(seen, size)[0]
    one = best_of(found)
    if one.scores[0] >= PLAIN:
        return parts_of(one, seen, size)
    one = thorough(seen, size, found)
    value = float(one.scores[0])
    best = [Part(value, int(one.shapes[0, 0]), (seen[0] > 0.5).reshape(size))]
    if value >= PLAIN:
        return best
    colours = piece.parts_by_colour()
    if len(colours) > 1:
        from scipy import ndimage
        targets = np.stack([
            np.where((ndimage.binary_dilation(mask) & (piece.labels < 0)) | mask, piece.coverage, 0).ravel() for mask in colours
        ])
        fits = [best_of(f) for f in fit_each(targets, size)]
        parts = [Part(float(f.scores[0]), int(f.shapes[0, 0]), mask) for f, mask in zip(fits, colours)]
        weakest = min(p.score for p in parts)
        if weakest > value + (GAIN if value >= THRESHOLD else 0):
            best, value = parts, weakest
    if value < SPLIT:
        several = split(seen, size, float(one.scores[0]))
        if several is not None:
            parts = parts_of(several, seen, size)
            weakest = min(p.score for p in parts)
            if weakest > value + (GAIN if value >= THRESHOLD else 0):
                best = parts
    return best


def detect(image: Image) -> dict[str, list[Detection]]:
    found: dict[str, list[Detection]] = {}
    for piece in pieces_of(image):
        for part in explain(piece):
            if not part.mask.any():
                continue
            rows, columns = np.flatnonzero(part.mask.any(1)), np.flatnonzero(part.mask.any(0))
            box = (float(columns[0] + piece.left), float(rows[0] + piece.top), float(columns[-1] + 1 + piece.left), float(rows[-1] + 1 + piece.top))
            found.setdefault(SHAPES[part.shape], []).append(Detection(box, part.score, piece.colour(part.mask)))
    return found
