"""Places for the names of points: clear of the points, of their intervals, of lines and of each
other.

Lengths are points (1/72 inch), boxes are (left, bottom, right, top), and segments (x0, y0, x1, y1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.reports.glyphs import drawable, shortened
from hnbench.stats.intervals import Array

Segment = tuple[float, float, float, float]
"""A straight line from (x0, y0) to (x1, y1), in data coordinates: x0, y0, x1, y1."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes


@dataclass(frozen=True)
class PointLabel:
    """A text that belongs to a point, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str
    bold: bool = False


_ANGLES = np.deg2rad(
    [
        *(0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 65, 295, 115, 245),
        *(10, 350, 170, 190, 55, 305, 125, 235, 75, 285, 105, 255, 32, 328, 148, 212),
    ]
)
"""Directions of a text from its point, the preferred ones first."""
_DISTANCES = (8.5, 12.0, 17.0, 24.0, 33.0, 44.0, 57.0, 72.0, 92.0, 116.0, 142.0)
"""Distances of a text from its point."""
_NEAR = 13.0
"""A text farther than this from its point gets a line to it."""
_MARK = 6.0
"""Half the size of a mark."""
_ROOM = 2.0
"""Room around a text."""
_EDGE = 2.0
"""Room between a text and the frame of the axes."""
_LONGEST = 26
"""Characters of a label; a longer one loses its middle."""
_SWEEPS = 8
"""All labels are placed again, given the others, at most this many times."""

# Prices of a place. One overlap costs more than any distance; a text must not leave the axes.
_OUTSIDE, _OVERLAP, _HIDES, _CROSSES = 1e5, 3000.0, 1200.0, 20.0
_STRETCH, _RANK = 0.025, 0.1


def label_points(axes: Axes, labels: Sequence[PointLabel], busy: Iterable[Segment] = ()) -> None:
    """Put each text next to its point, where it is clear of all points, of the other texts and of
    the `busy` segments. A text that finds no room near its point has a thin line to it.

    The places follow from the arguments alone. If no place is free, the least crowded one is taken.
    Call this when all data and limits are set and the layout is fixed (`fix_layout`).
    """
    if not labels:
        return
    figure: Any = axes.get_figure()
    scale = figure.dpi / 72
    points = np.array([axes.transData.transform((label.x, label.y)) for label in labels]) / scale
    sizes = np.array([_size(axes, label) for label in labels]) / scale
    frame = np.array(axes.get_window_extent().extents) / scale
    lines = _in_points(axes, busy, scale)
    crowd = _Crowd(points, sizes, frame + np.array([_EDGE, _EDGE, -_EDGE, -_EDGE]), lines)
    for label, point, place in zip(labels, points, crowd.places(), strict=True):
        _write(axes, label, point, place)


@dataclass(frozen=True)
class _Place:
    """A text's box and the line from its point to the box, and whether the line is drawn."""

    box: Array
    leader: Array
    leads: bool


class _Crowd:
    """The labels of one plot, and the prices of all places that each of them could take."""

    def __init__(self, points: Array, sizes: Array, frame: Array, lines: Array) -> None:
        distances = np.repeat(_DISTANCES, len(_ANGLES))
        ways = np.tile(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1), (len(_DISTANCES), 1))
        # Texts lie next to their point rather than centred on the direction, but for the steepest.
        leans = np.clip(np.round(ways, 6) * 1.6, -1, 1)
        marks = np.hstack([points - _MARK, points + _MARK])
        preference = _RANK * np.tile(np.arange(len(_ANGLES)), len(_DISTANCES))
        self._leads = distances > _NEAR
        self._boxes: list[Array] = []
        self._leaders: list[Array] = []
        self._prices: list[Array] = []
        for at, (point, size) in enumerate(zip(points, sizes, strict=True)):
            centres = point + ways * distances[:, None] + leans * size / 2
            boxes = np.hstack([centres - size / 2 - _ROOM, centres + size / 2 + _ROOM])
            leaders = self._from(point, boxes)
            inside = _shared(boxes, frame[None])[:, 0]
            others = np.delete(marks, at, axis=0)
            price = (
                _STRETCH * distances**2
                + preference
                + _OUTSIDE * (inside < _area(boxes) - 0.1)
                + _overlaps(_shared(boxes, marks))
                + _overlaps(_inside(lines, boxes).T)
                + _HIDES * self._led((_inside(leaders, others) > 0).sum(axis=1))
                + _CROSSES * self._led(_crossing(leaders, lines).sum(axis=1))
            )
            self._boxes.append(boxes)
            self._leaders.append(leaders)
            self._prices.append(price)
        self._points = points

    def places(self) -> list[_Place]:
        """The place of each label, in order: the cheapest of several attempts."""
        x, y = self._points.T
        # The first texts to be placed take the best places, so who comes first matters: at best
        # those that have the fewest places.
        free = np.array([(price < _OVERLAP).sum() for price in self._prices])
        orders = [np.argsort(by, kind="stable") for by in (free, x, -x, y, -y)]
        best, least = self._attempt(orders[0])
        for order in orders[1:]:
            if least < _OVERLAP:
                break
            chosen, price = self._attempt(order)
            if price < least:
                best, least = chosen, price
        return [
            _Place(self._boxes[at][which], self._leaders[at][which], bool(self._leads[which]))
            for at, which in enumerate(best)
        ]

    def _attempt(self, order: Iterable[int]) -> tuple[list[int], float]:
        """Place the labels in an order, and again until none moves. Returns each label's place, and
        the sum of their prices.
        """
        chosen: dict[int, int] = {}
        total = 0.0
        for _ in range(_SWEEPS):
            before, total = dict(chosen), 0.0
            for at in order:
                others = {one: which for one, which in chosen.items() if one != at}
                # Rounded, so that the sums of another processor do not lead to another place.
                prices = np.round(self._price(int(at), others), 3)
                chosen[int(at)] = int(np.argmin(prices))
                total += float(prices.min())
            if before == chosen:
                break
        return [chosen[at] for at in range(len(self._points))], total

    def _price(self, label: int, others: Mapping[int, int]) -> Array:
        """The prices `[C]` of a label's places, given the places of `others`."""
        price = self._prices[label]
        if not others:
            return price
        boxes, leaders = self._boxes[label], self._leaders[label]
        taken = np.array([self._boxes[at][which] for at, which in others.items()])
        led = [self._leaders[at][which] for at, which in others.items() if self._leads[which]]
        lines = np.array(led).reshape(-1, 4)
        price = price + _overlaps(_shared(boxes, taken))
        price = price + _HIDES * (_inside(lines, boxes) > 0).sum(axis=0)
        blocked = (_inside(leaders, taken) > 0).sum(axis=1) + _crossing(leaders, lines).sum(axis=1)
        crowded: Array = price + _HIDES * self._led(blocked)
        return crowded

    def _led(self, values: Any) -> Array:
        """Values `[C]` that count only for places with a line."""
        led: Array = np.where(self._leads, values, 0.0)
        return led

    @staticmethod
    def _from(point: Array, boxes: Array) -> Array:
        """The lines from the edge of a point's mark to the nearest points of boxes."""
        nearest = np.clip(point, boxes[:, :2] + _ROOM, boxes[:, 2:] - _ROOM)
        away = nearest - point
        length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-9)[:, None]
        # It stops short of its own box, so that it does not count as covered by it.
        start, end = np.minimum(_MARK / length, 1), np.maximum(1 - _ROOM / length, 0)
        leaders: Array = np.hstack([point + away * start, point + away * end])
        return leaders


def _size(axes: Axes, label: PointLabel) -> Array:
    """The width and height of a text in pixels."""
    text = axes.text(0, 0, _shown(label), fontweight=_weight(label))
    size: Array = np.array(text.get_window_extent().size)
    text.remove()
    return size


def _write(axes: Axes, label: PointLabel, point: Array, place: _Place) -> None:
    low, high = place.box[:2] + _ROOM, place.box[2:] - _ROOM
    line = None
    if place.leads:
        line = {
            "arrowstyle": "-",
            "color": label.colour,
            "linewidth": 0.6,
            "shrinkA": 0,
            "shrinkB": _MARK - 2,
            "relpos": tuple((np.clip(point, low, high) - low) / (high - low)),
        }
    axes.annotate(
        _shown(label),
        (label.x, label.y),
        xytext=tuple((low + high) / 2 - point),
        textcoords="offset points",
        color=label.colour,
        ha="center",
        va="center",
        arrowprops=line,
        fontweight=_weight(label),
        zorder=6,
    )


def _shown(label: PointLabel) -> str:
    return drawable(shortened(label.text, _LONGEST))


def _weight(label: PointLabel) -> str:
    return "bold" if label.bold else "normal"


def _in_points(axes: Axes, segments: Iterable[Segment], scale: float) -> Array:
    """Segments `[S, 4]` in points; those with an end that is not finite are left out."""
    ends = np.array(list(segments), dtype=np.float64).reshape(-1, 2)
    shown: Array = axes.transData.transform(ends).reshape(-1, 4) / scale
    return shown[np.isfinite(shown).all(axis=1)]


def _area(boxes: Array) -> Array:
    area: Array = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return area


def _overlaps(shared: Array) -> Array:
    """The prices `[A]` of common areas or lengths `[A, B]`."""
    price: Array = (_OVERLAP * (shared > 0) + shared).sum(axis=1)
    return price


def _shared(boxes: Array, others: Array) -> Array:
    """The common areas `[A, B]` of boxes `[A, 4]` and `[B, 4]`."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    area: Array = np.maximum(high - low, 0).prod(axis=2)
    return area


def _inside(segments: Array, boxes: Array) -> Array:
    """The lengths `[A, B]` of segments `[A, 4]` within boxes `[B, 4]`."""
    start, way = segments[:, None, :2], (segments[:, 2:] - segments[:, :2])[:, None]
    safe = np.where(way == 0, 1e-12, way)
    first, second = (boxes[None, :, :2] - start) / safe, (boxes[None, :, 2:] - start) / safe
    enters = np.maximum(np.minimum(first, second).max(axis=2), 0)
    leaves = np.minimum(np.maximum(first, second).min(axis=2), 1)
    length: Array = np.maximum(leaves - enters, 0) * np.hypot(way[..., 0], way[..., 1])
    return length


def _crossing(segments: Array, others: Array) -> Array:
    """1 where segments `[A, 4]` cross others `[B, 4]`, else 0, as `[A, B]`."""
    a, b = segments[:, None, :2], segments[:, None, 2:]
    c, d = others[None, :, :2], others[None, :, 2:]

    def side(start: Array, end: Array, point: Array) -> Array:
        way, to = end - start, point - start
        turn: Array = way[..., 0] * to[..., 1] - way[..., 1] * to[..., 0]
        return turn

    apart = side(a, b, c) * side(a, b, d) < 0
    both = apart & (side(c, d, a) * side(c, d, b) < 0)
    crossed: Array = both.astype(np.float64)
    return crossed
