"""The common parts of all plots: size and type, labels next to the points that keep clear of the
data, and files that are equal for equal data.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.reports.glyphs import drawable
from hnbench.stats.intervals import Array
from hnbench.weights.quiet import import_matplotlib

Segment = tuple[float, float, float, float]
"""A straight line from (x0, y0) to (x1, y1), in data coordinates: x0, y0, x1, y1."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.0
"""Inches; at 100 pixels per inch a plot is 900 pixels wide and its smallest type 12 pixels high."""
_DPI = 150

_SETTINGS = {
    # Without a fixed salt, the ids inside an SVG are random and the file differs each time.
    "svg.hashsalt": "hnbench",
    "text.parse_math": False,  # a `$` in a name does not begin a formula
    # Text stays text: it can be searched and edited, and takes a third of the bytes of outlines.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "figure.titlesize": 11,
    "lines.linewidth": 1.6,
}


@contextmanager
def settings() -> Iterator[None]:
    """Draw and save with the plots' own settings, whatever the settings of the user's
    matplotlib.
    """
    mpl = import_matplotlib()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(height: float, title: str) -> Figure:
    """Make a figure of the common width, `height` inches high. It is not registered with pyplot, so
    it belongs to no global state and needs no closing.
    """
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    FigureCanvasAgg(figure)  # needs no display
    figure.suptitle(drawable(title), x=0.01, ha="left", fontweight="bold", wrap=True)
    return figure


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `<name>.png` and `<name>.svg`; the same figure gives the same bytes."""
    # Dates and versions of matplotlib are left out, because they would change the bytes. Level 6
    # takes a quarter of the time of level 9, for files that are 3% larger.
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, dpi=_DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 6})
    figure.savefig(svg, metadata={"Date": None, "Creator": "hnbench"})
    return [png, svg]


def fix_layout(figure: Figure) -> None:
    """Lay the figure out as it is now and keep this layout: labels placed afterwards move
    nothing.
    """
    figure.draw_without_rendering()
    # Not "none": its placeholder makes every `savefig` draw twice.
    figure.set_layout_engine(None)


@dataclass(frozen=True)
class PointLabel:
    """A text that belongs to a point, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str
    bold: bool = False


_ANGLES = (0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 65, 295, 115, 245)
"""Directions of a text from its point in degrees, the preferred ones first."""
_DISTANCES = (8.0, 14.0, 22.0, 32.0, 44.0, 58.0)
"""Distances of a text from its point, in points (1/72 inch)."""
_NEAR = 16.0
"""A text farther than this many points (1/72 inch) from its point gets a line to it."""


def label_points(axes: Axes, labels: Sequence[PointLabel], busy: Iterable[Segment] = ()) -> None:
    """Put each text next to its point, clear of all points, of each other and of the `busy`
    segments.

    Places are tried from near to far. The first free one is taken, or the least crowded if none is
    free. Call this when all data and limits are set and the layout is fixed (`fix_layout`).
    """
    figure: Any = axes.get_figure()
    renderer, scale = figure.canvas.get_renderer(), figure.dpi / 72
    frame = np.array(axes.get_window_extent(renderer).extents)
    points = [axes.transData.transform((label.x, label.y)) for label in labels]
    # All points count as taken before the first text is placed; it could hide a later point.
    taken = [_around(point, 5 * scale) for point in points]
    taken += [_around(point, 2 * scale) for segment in busy for point in _along(axes, segment)]
    distances, centres = _places(scale)
    for label, point in zip(labels, points, strict=True):
        note = _note(axes, label)
        half = np.array(note.get_window_extent(renderer).size) / 2
        offsets = centres + np.sign(np.round(centres, 6)) * half * np.minimum(
            1, np.abs(centres / (distances[:, None] * scale)) * 1.6
        )
        boxes = np.hstack([point + offsets - half, point + offsets + half])
        outside = 4 * half.prod() - _shared(boxes, frame[None])[:, 0]
        # A text that leaves the frame is worse than one that covers something.
        crowding = _shared(boxes, np.array(taken)).sum(axis=1) + 4 * outside
        # Rounded, so that free places are equal and the first, nearest one of them is taken.
        best = int(np.argmin(np.round(crowding, 3)))
        note.set_position(tuple(offsets[best] / scale))
        note.arrow_patch.set_visible(bool(distances[best] > _NEAR))
        taken.append(boxes[best])


def _note(axes: Axes, label: PointLabel) -> Any:
    line = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
    weight = "bold" if label.bold else "normal"
    note: Any = axes.annotate(
        drawable(label.text),
        (label.x, label.y),
        xytext=(0, 0),
        textcoords="offset points",
        color=label.colour,
        ha="center",
        va="center",
        arrowprops=line,
        fontweight=weight,
        zorder=6,
    )
    note.arrow_patch.set_visible(False)
    return note


def _places(scale: float) -> tuple[Array, Array]:
    """Distances `[P]` in points, from near to far, and the offsets `[P, 2]` in pixels of a text's
    edge from its point.
    """
    distances = np.repeat(_DISTANCES, len(_ANGLES))
    angles = np.tile(np.deg2rad(_ANGLES), len(_DISTANCES))
    return (
        distances,
        np.stack([np.cos(angles), np.sin(angles)], axis=1) * distances[:, None] * scale,
    )


def _shared(boxes: Array, others: Array) -> Array:
    """The common areas `[A, B]` of boxes `[A, 4]` and `[B, 4]` (left, bottom, right, top)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    area: Array = np.maximum(high - low, 0).prod(axis=2)
    return area


def _around(point: Array, radius: float) -> Array:
    return np.concatenate([point - radius, point + radius])


def _along(axes: Axes, segment: Segment) -> Array:
    """Points `[N, 2]`, in pixels, every few pixels along a segment given in data coordinates."""
    ends: Array = axes.transData.transform([segment[:2], segment[2:]])
    if not np.isfinite(ends).all():
        return np.empty((0, 2))
    count = max(2, int(np.hypot(*(ends[1] - ends[0])) / 4))
    steps: Array = np.linspace(0, 1, count)[:, None]
    points: Array = ends[0] + (ends[1] - ends[0]) * steps
    return points
