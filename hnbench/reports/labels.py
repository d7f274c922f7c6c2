"""The roles of a report's rows (the base, the rival, the controls), and the name, colour and marker
of each label.

A role follows the method, not the label: all settings of ReNO are ReNO. Colours of built-in methods
follow Okabe and Ito, and remain distinct under colour-vision deficiency. A method has the same
colour and marker in every plot; its other settings have a shade of the colour and another marker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from hnbench.files.escaping import printable
from hnbench.reports.colours import Marker, colour_of, marker_of, readable, shaded
from hnbench.runs.plan import BASE, ORACLE

HYPERNOISE = "hypernoise"
RENO = "reno"
FINETUNE = "finetune"
AMORTISED = "amortised"
RANDOM_DIRECTION = "hypernoise-random-direction"
OTHER_NOISE = "hypernoise-other-noise"
OTHER_PROMPT = "hypernoise-other-prompt"
STATIC = "hypernoise-static"
RIVAL = "best-of-2"
"""The search with HyperNoise's number of generator passes, which is two: one for the hypernetwork
and one for the image.
"""
CONTROLS = (FINETUNE, RANDOM_DIRECTION, OTHER_NOISE, OTHER_PROMPT, STATIC)
"""The methods that HyperNoise is compared with to find out where its gain comes from."""

LONGEST = 40
"""The most characters of a parameter's value in a name."""

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
    AMORTISED: Style("amortised ReNO", "amort. ReNO", "#4B6FD0", (7, 1, 0)),
    RANDOM_DIRECTION: Style("random direction (control)", "random dir.", "#B07D00", "P"),
    OTHER_NOISE: Style("other noise (control)", "other noise", "#3A9BD9", "X"),
    OTHER_PROMPT: Style("other prompt (control)", "other prompt", "#7A5C99", (3, 1, 0)),
    STATIC: Style("static change (control)", "static", "#8C6D5A", (8, 1, 0)),
}
_NAMES = {
    "zero-order": ("zero-order search", "zero-order"),
    "spectral": ("spectral evolution search", "SES"),
    "evolution": ("evolutionary search", "evolution"),
    "prompt-search": ("prompt search", "prompt search"),
    "gper": ("GPER", "GPER"),
    "mpgr": ("MPGR", "MPGR"),
    "dno": ("DNO", "DNO"),
    "hybrid": ("DNO without the reward's gradient", "hybrid DNO"),
    "pcn": ("pCN chain, last state", "pCN"),
    "pcn-best": ("pCN chain, best state", "pCN best"),
    "langevin": ("Langevin chain, last state", "Langevin"),
    "langevin-best": ("Langevin chain, best state", "Langevin best"),
    ORACLE: ("oracle (sees the judge)", "oracle"),
}
"""Label -> the names of the other built-in methods, which have the looks of a plug-in's."""

# A training has the name of its method, but for this one's.
_STYLES["regression"] = replace(_STYLES[AMORTISED], name="amortised ReNO (by regression)")

_MARKERS = ("^", "<", ">", "p", "d", "H")
"""The markers of a method's settings after the first one."""
_SHADES = (0.5, 1.3, 0.3)
"""Factors of the light of a method's colour, for its settings after the first one."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Label(str):
    """The label of a row, which knows its method."""

    __slots__ = ("detail", "identity", "method", "oracle", "setting")

    identity: Mapping[str, Any]
    """The identity of its method."""
    method: str
    setting: int
    """Its number among the settings of its method, from 0."""
    detail: str
    """The parameters in which it differs from them; empty if it is the only one."""
    oracle: bool
    """Whether its method is given the judge's grade."""

    def __new__(
        cls,
        text: str,
        identity: Mapping[str, Any],
        *,
        setting: int = 0,
        detail: str = "",
        oracle: bool = False,
    ) -> Self:
        """`text` is the label itself; see the attributes for the others."""
        made = super().__new__(cls, text)
        made.identity = identity
        made.method = text if text in _STYLES else str(identity.get("name", text))
        made.setting, made.detail, made.oracle = setting, detail, oracle
        return made


def row_labels(
    rows: Mapping[str, Mapping[str, Any]], oracles: Collection[str] = ()
) -> tuple[Label, ...]:
    """The labels of a report's rows, from label -> identity of its method. `oracles` are those
    whose methods are given the judge's grade.
    """
    settings: dict[str, list[Mapping[str, Any]]] = {}
    for identity in rows.values():
        known = settings.setdefault(json.dumps(identity.get("name")), [])
        if identity not in known:
            known.append(identity)
    found = []
    for label, identity in rows.items():
        known = settings[json.dumps(identity.get("name"))]
        own = method_of(label)
        detail = label.removeprefix(f"{own}:") if own != label else _difference(identity, known)
        setting, oracle = known.index(identity), label in oracles
        found.append(Label(label, identity, setting=setting, detail=detail, oracle=oracle))
    return tuple(found)


def _difference(identity: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> str:
    """The parameters in which a setting differs from any other of its method; empty if it is the
    only one.
    """
    differing = {
        key: value
        for key, value in identity.items()
        if any(other.get(key) != value for other in settings)
    }
    return ",".join(f"{key}={value_in_name(value)}" for key, value in differing.items())


def value_in_name(value: Any) -> str:
    """A parameter's value as a part of a name: printable and short; of a SHA-256, eight digits."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:8] if _SHA256.fullmatch(text) else printable(text)[:LONGEST]


def method_of(label: str) -> str:
    """The name of the method that gives a row.

    >>> method_of("reno:iterations=20")
    'reno'
    """
    return label.method if isinstance(label, Label) else label.partition(":")[0]


def rows_of(labels: Iterable[str], method: str) -> list[str]:
    """The rows of a method's settings, in order. `best-of-8` is one of its own."""
    return [label for label in labels if method_of(label) == method]


def first_of(labels: Iterable[str], method: str) -> str | None:
    """The row of a method that findings speak of: its first setting. None without any."""
    return next(iter(rows_of(labels, method)), None)


def compared_with(trained: str, labels: Sequence[str]) -> list[str]:
    """The rows that a row of HyperNoise is compared with: its rival, the controls, and its other
    settings. Of the controls, those of another setting's adapter are left out.
    """
    others = [label for label in rows_of(labels, HYPERNOISE) if label != trained]
    foreign = {adapter_of(label) for label in others} - {adapter_of(trained), None}
    controls = [label for method in CONTROLS for label in rows_of(labels, method)]
    return [
        *(label for label in labels if label == RIVAL),
        *(label for label in controls if adapter_of(label) not in foreign),
        *others,
    ]


def is_oracle(label: str) -> bool:
    """Whether a row is an oracle's, which is no method's: it optimises what is reported."""
    return label.oracle if isinstance(label, Label) else method_of(label) == ORACLE


def is_control(label: str) -> bool:
    """Whether a row is a control: a change of the noise that should not help."""
    return method_of(label) in CONTROLS and method_of(label) != FINETUNE


def adapter_of(label: str) -> str | None:
    """The SHA-256 of the adapter of a row; None without one."""
    return label.identity.get("adapter") if isinstance(label, Label) else None


def style_of(label: str) -> Style:
    """The style of any label. All best-of-N share one. A method of another package has a colour and
    a marker that no built-in one has, and its name says if it is an oracle. A further setting of a
    method has another shade and marker.
    """
    style = _style_of_method(label)
    if is_oracle(label) and method_of(label) != ORACLE:
        return replace(style, name=f"{style.name} (sees the judge)")
    return style


def _style_of_method(label: str) -> Style:
    if candidates_of(label):
        return Style(label, label, "#0072B2", "s")
    method, row = method_of(label), label.partition(":")[0]
    if method in _STYLES:
        style, own = _STYLES[method], method
    elif row in _NAMES:
        # A method may have several rows, such as the last and the best state of a chain.
        style, own = Style(*_NAMES[row], colour_of(method), marker_of(row)), row
    elif budget := budget_of(label):
        whole = style_of(budget[0])
        name, short = f"{whole.name}, {budget[1]} evaluations", f"{whole.short}-of-{budget[1]}"
        return replace(whole, name=name, short=short)
    else:
        return _shaded(Style(label, label, colour_of(method), marker_of(row)), label)
    if row != own:
        # The user named it.
        return _shaded(replace(style, name=str(label), short=str(label)), label)
    detail = label.detail if isinstance(label, Label) and label == method else label[len(own) + 1 :]
    if not detail:
        return _shaded(style, label)
    return _shaded(
        replace(style, name=f"{style.name} ({detail})", short=f"{style.short} ({detail})"), label
    )


def _shaded(style: Style, label: str) -> Style:
    """The style of a setting: the first one has that of its method."""
    setting = label.setting if isinstance(label, Label) else int(":" in label)
    if not setting:
        return style
    shade = _SHADES[(setting - 1) % len(_SHADES)]
    marker = _MARKERS[(setting - 1) % len(_MARKERS)]
    return replace(style, colour=shaded(style.colour, shade), marker=marker)


def candidates_of(label: str) -> int | None:
    """The N of "best-of-N"; None for any other label.

    >>> candidates_of("best-of-16")
    16
    >>> candidates_of("reno")
    """
    number = label.removeprefix(_BEST_OF)
    return int(number) if label.startswith(_BEST_OF) and number.isdigit() else None


def budget_of(label: str) -> tuple[str, int] | None:
    """The row of a whole search and the number of evaluations, for the row of a smaller budget of
    it; None for any other label, best-of-N included.

    >>> budget_of(Label("spectral-of-16:population=8", {"name": "spectral"}))
    ('spectral:population=8', 16)
    >>> budget_of("spectral")
    """
    row, colon, detail = label.partition(":")
    name, of, number = row.rpartition("-of-")
    if not of or not number.isdigit() or candidates_of(row) or name != method_of(label):
        return None
    return f"{name}{colon}{detail}", int(number)


def best_of_labels(labels: Sequence[str]) -> dict[int, str]:
    """The best-of-N labels by N, ascending; the base is the best of one.

    >>> best_of_labels(["random", "best-of-4", "best-of-2"])
    {1: 'random', 2: 'best-of-2', 4: 'best-of-4'}
    """
    found = {number: label for label in labels if (number := candidates_of(label))}
    return {1: BASE, **dict(sorted(found.items()))}


def has_point(label: str) -> bool:
    """Whether plots have a point for a row: all rows but an oracle's and the smaller budgets of a
    search.
    """
    return not (is_oracle(label) or budget_of(label))


def featured(labels: Sequence[str]) -> list[str]:
    """The labels for plots with little room: those that have a point, without the base, and of the
    best-of-N only the smallest and the largest.
    """
    numbers = [number for number in best_of_labels(labels) if number > 1]
    kept = {min(numbers), max(numbers)} if numbers else set()
    return [
        label
        for label in labels
        if label != BASE
        and has_point(label)
        and (candidates_of(label) is None or candidates_of(label) in kept)
    ]
