from __future__ import annotations

from itertools import combinations

import pytest

from hnbench.reports import colours
from hnbench.reports.colours import readable
from hnbench.reports.labels import row_labels, style_of
from tests.reports.synthetic import LABELS

BUILT_IN = [label for label in LABELS if not label.startswith("best-of-")] + [
    "best-of-2",
    "amortised",
]
FOREIGN = [f"method-{number}" for number in range(300)]
SETTINGS = [f"{name}:value={number}" for name in [*BUILT_IN, "mine"] for number in range(30)]


def channel(text: str) -> float:
    value = int(text, 16) / 255
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def contrast_on_white(colour: str) -> float:
    """By the definition of WCAG 2.2."""
    red, green, blue = (channel(colour[at : at + 2]) for at in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def distance(one: str, other: str) -> float:
    """The largest difference of a channel, of 255."""
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return max(abs(a - b) for a, b in pairs)


def test_the_contrast_of_known_colours() -> None:
    assert contrast_on_white("#000000") == pytest.approx(21)
    assert contrast_on_white("#FFFFFF") == pytest.approx(1)
    assert contrast_on_white("#777777") == pytest.approx(4.48, abs=0.01)


def test_every_text_can_be_read_on_white() -> None:
    for label in [*LABELS, *FOREIGN, *SETTINGS]:
        assert contrast_on_white(style_of(label).ink) >= 4.5, label


def test_a_colour_is_darkened_no_more_than_needed() -> None:
    for colour in ("#FFFF00", "#3A9BD9", "#009E73", "#FF8888"):
        assert 4.5 <= contrast_on_white(readable(colour)) < 4.65
    assert readable("#0072B2") == "#0072B2"


def test_methods_of_other_packages_differ_from_the_built_in_ones() -> None:
    styles = [style_of(label) for label in BUILT_IN]
    for label in FOREIGN:
        own = style_of(label)
        assert own.marker not in {style.marker for style in styles}
        assert all(distance(own.colour, style.colour) >= 32 for style in styles)
    for one, other in combinations(colours._PALETTE, 2):
        assert distance(one, other) >= 32


def test_methods_of_other_packages_differ_from_each_other() -> None:
    looks = {(style_of(label).colour, style_of(label).marker) for label in FOREIGN}
    assert len(looks) > 0.9 * len(colours._PALETTE) * len(colours._MARKERS)
    # The looks of a label are fixed: they are part of reports that were written before.
    assert (style_of("mine").colour, style_of("mine").marker) == ("#332288", "8")


def hue(colour: str) -> list[float]:
    """The shares of red, green and blue in the light of a colour."""
    light = [channel(colour[at : at + 2]) for at in (1, 3, 5)]
    return [part / sum(light) for part in light]


@pytest.mark.parametrize("family", ["reno", "hypernoise", "finetune", "mine"])
def test_settings_of_a_method_have_its_hue_and_other_markers(family: str) -> None:
    rows = {family: {"name": family, "value": 0}}
    rows |= {
        f"{family}:value={number}": {"name": family, "value": number} for number in range(1, 7)
    }
    own, *others = [style_of(label) for label in row_labels(rows)]
    looks = {(style.colour, style.marker) for style in others}
    assert len(looks) == len(others)
    for number, style in enumerate(others, start=1):
        assert style.marker != own.marker
        assert style.colour != own.colour
        assert hue(style.colour) == pytest.approx(hue(own.colour), abs=0.08)
        assert f"value={number}" in style.short
