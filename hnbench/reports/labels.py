"""The roles of a report's rows (the base, the rival, the controls), and the name, colour and marker
of each label.

Colours of built-in methods follow Okabe and Ito, and remain distinct under colour-vision
deficiency. A method has the same colour and marker in every plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hnbench.reports.colours import Marker, colour_of, marker_of, readable, shade_of
from hnbench.runs.plan import BASE

HYPERNOISE = "hypernoise"
RENO = "reno"
FINETUNE = "finetune"
RANDOM_DIRECTION = "hypernoise-random-direction"
OTHER_NOISE = "hypernoise-other-noise"
RIVAL = "best-of-2"
"""The search with HyperNoise's number of generator passes, which is two: one for the hypernetwork
and one for the image.
"""
CONTROLS = (FINETUNE, RANDOM_DIRECTION, OTHER_NOISE)
"""The methods that HyperNoise is compared with to find out where its gain comes from."""

_BEST_OF = "best-of-"


@dataclass(frozen=True)
class Style:
    """The names of a method, in full and for narrow places, and the colour and marker of its
    points.
    """

    name: str
    short: str
    colour: str
    marker: Marker

    @property
    def ink(self) -> str:
        """The colour of text about the method: dark enough to be read on white."""
        return readable(self.colour)


_STYLES = {
    BASE: Style("random noise", "random", "#555555", "o"),
    RENO: Style("ReNO", "ReNO", "#D55E00", "D"),
    HYPERNOISE: Style("HyperNoise", "HyperNoise", "#009E73", "*"),
    FINETUNE: Style("direct fine-tuning", "fine-tuning", "#AA4499", "v"),
    RANDOM_DIRECTION: Style("random direction (control)", "random dir.", "#B07D00", "P"),
    OTHER_NOISE: Style("other noise (control)", "other noise", "#3A9BD9", "X"),
}


def style_of(label: str) -> Style:
    """The style of any label. It depends on nothing but the label.

    All best-of-N share one. The settings of one method, such as "reno:iterations=20", have shades
    of the method's colour with other markers. A method of another package has a colour and a marker
    that no built-in one has.
    """
    if label in _STYLES:
        return _STYLES[label]
    if candidates_of(label):
        return Style(label, label, "#0072B2", "s")
    family, _, setting = label.partition(":")
    if setting:
        own = style_of(family)
        return Style(
            f"{own.name} {setting}",
            f"{own.short} {setting}",
            shade_of(label, own.colour),
            marker_of(label),
        )
    return Style(label, label, colour_of(label), marker_of(label))


def candidates_of(label: str) -> int | None:
    """The N of "best-of-N"; None for any other label.

    >>> candidates_of("best-of-16")
    16
    >>> candidates_of("reno")
    """
    number = label.removeprefix(_BEST_OF)
    return int(number) if label.startswith(_BEST_OF) and number.isdigit() else None


def best_of_labels(labels: Sequence[str]) -> dict[int, str]:
    """The best-of-N labels by N, ascending; the base is the best of one.

    >>> best_of_labels(["random", "best-of-4", "best-of-2"])
    {1: 'random', 2: 'best-of-2', 4: 'best-of-4'}
    """
    found = {number: label for label in labels if (number := candidates_of(label))}
    return {1: BASE, **dict(sorted(found.items()))}


def featured(labels: Sequence[str]) -> list[str]:
    """The labels for plots with little room: all but the base, and only the smallest and the
    largest of the best-of-N.
    """
    numbers = [number for number in best_of_labels(labels) if number > 1]
    kept = {min(numbers), max(numbers)} if numbers else set()
    return [
        label
        for label in labels
        if label != BASE and (candidates_of(label) is None or candidates_of(label) in kept)
    ]
