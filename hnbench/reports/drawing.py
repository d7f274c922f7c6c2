"""The common parts of all plots: size and type, and files that are equal for equal data."""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hnbench.reports.glyphs import drawable
from hnbench.weights.quiet import import_matplotlib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

WIDTH = 9.0
"""Inches; at 100 pixels per inch a plot is 900 pixels wide and its smallest type 12 pixels high."""
DPI = 150
"""Pixels per inch of PNG files."""
_TAG = re.compile("<[^<>]+>")
_ID = re.compile(r' id="|href="#|url\(#')
"""The text before an id, where an SVG file declares one or refers to one."""

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

    # Texts are measured at the size at which they are saved: letters do not grow evenly.
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)  # needs no display
    figure.suptitle(drawable(title), x=0.01, ha="left", fontweight="bold", wrap=True)
    return figure


def new_canvas(width: int, height: int) -> Figure:
    """Make an empty figure of exactly this many pixels, without a layout of its own."""
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def measuring(fonts: list[str], points: float, *, bold: bool = False) -> Callable[[str], float]:
    """The function from a text in one line to its width in pixels, in these fonts at this size."""
    import_matplotlib()
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer = RendererAgg(1, 1, DPI)
    looks = FontProperties(family=fonts, size=points, weight="bold" if bold else "normal")
    return lambda text: float(renderer.get_text_width_height_descent(text, looks, ismath=False)[0])


CROWD = 14
"""From this number of methods on, panels stand below each other, so that all names find room."""


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `<name>.png` and `<name>.svg`; the same figure gives the same bytes."""
    # Dates and versions of matplotlib are left out, because they would change the bytes. Level 6
    # takes a quarter of the time of level 9, for files that are 3% larger.
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 6})
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": "hnbench"})
    svg.write_text(_with_own_ids(drawn.getvalue(), name), encoding="utf-8", newline="\n")
    return [png, svg]


def _with_own_ids(svg: str, name: str) -> str:
    """Begin every id with the plot's name, so that several plots can stand in one HTML page."""

    def own(tag: re.Match[str]) -> str:
        return _ID.sub(lambda found: f"{found[0]}{name}-", tag[0])

    # Within text, neither of the brackets occurs: they are written as entities.
    return _TAG.sub(own, svg)


def fix_layout(figure: Figure) -> None:
    """Lay the figure out as it is now and keep this layout: labels placed afterwards move
    nothing.
    """
    figure.draw_without_rendering()
    # Not "none": its placeholder makes every `savefig` draw twice.
    figure.set_layout_engine(None)
