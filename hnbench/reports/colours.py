"""Colours of marks and of text: contrast on white, and the looks of methods that are not built in.

Built-in methods have their colours in `hnbench.reports.labels`, after Okabe and Ito. Those of other
methods differ from all of them.
"""

from __future__ import annotations

import hashlib

CONTRAST = 4.5
"""The lowest contrast of text on white (WCAG 2.2, level AA)."""

_PALETTE = (
    "#882255",
    "#332288",
    "#7A3B10",
    "#D81B60",
    "#7B5CD6",
    "#111111",
    "#E377C2",
    "#6E8F00",
    "#8B0000",
    "#1F6F6B",
)
_MARKERS = ("^", "<", ">", "p", "h", "d", "8", (4, 1, 0), (6, 1, 0))
"""Markers as matplotlib names them. No built-in method has one of these."""

Marker = str | tuple[int, int, int]
"""A marker by matplotlib's name, or a star as number of points, style and angle."""


def colour_of(name: str) -> str:
    """The colour of a method that is not built in, from its name alone: it does not change when
    other methods join a report.
    """
    return _PALETTE[_number(name, "colour") % len(_PALETTE)]


def marker_of(name: str) -> Marker:
    """The marker of a method or setting that is not built in, from its name alone."""
    return _MARKERS[_number(name, "marker") % len(_MARKERS)]


def shaded(colour: str, factor: float) -> str:
    """A colour of the same hue with `factor` times the light."""
    return _written([min(1.0, part * factor) for part in _light(colour)])


def readable(colour: str) -> str:
    """The colour itself if text in it has a contrast of at least `CONTRAST` on white, else a darker
    one of the same hue that has.

    >>> readable("#009E73")
    '#008762'
    >>> readable("#555555")
    '#555555'
    """
    light = _light(colour)
    # Contrast on white is 1.05 / (luminance + 0.05), and luminance is linear in light.
    most = 1.05 / CONTRAST - 0.05
    luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    return colour if luminance <= most else _written([part * most / luminance for part in light])


def _number(name: str, purpose: str) -> int:
    text = f"{purpose}:{name}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def _light(colour: str) -> list[float]:
    """Linear red, green and blue in [0, 1] of an sRGB colour "#RRGGBB"."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def _written(light: list[float]) -> str:
    parts = (
        12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in light
    )
    # Rounded down: a rounded-up part could lower the contrast again.
    return "#" + "".join(f"{int(255 * part):02X}" for part in parts)
