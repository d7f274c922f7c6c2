"""The labels of a run's methods: no two rows of a folder have the same one.

A method alone keeps its own label (`reno`), whatever its parameters are. If another setting has
that label, in the same command or in the folder, the parameters in which they differ are added
(`reno:iterations=20`). A setting that has rows in the folder keeps the label that it has there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hnbench.errors import UsageError
from hnbench.files.escaping import printable
from hnbench.methods.base import Method
from hnbench.methods.relabelled import Relabelled
from hnbench.seeds import canonical, digest

Identity = Mapping[str, Any]
Named = tuple[Method, str | None]
"""A method, and the label that the user gave it; None without one."""

LONGEST = 40
"""The most characters of a parameter's value in a label."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def labelled(
    methods: Sequence[Named], known: Mapping[str, Identity] | None = None
) -> tuple[Method, ...]:
    """The methods, with labels that tell them apart from each other and from the rows that are
    `known` in the folder: label -> identity of its method.

    Settings whose rows come out of one search become one method (`Method.together`). `UsageError`
    if two methods are the same, or if a given label cannot be used.
    """
    known = known or {}
    asked = _together(methods)
    _refuse_same([method for method, _ in asked])
    fixed = [_fixed(method, label, known) for method, label in asked]
    own = [
        {} if labels else {label: label for label in method.labels}
        for (method, _), labels in zip(asked, fixed, strict=True)
    ]
    taken = Counter([*known, *_all_of(fixed), *_all_of(own)])
    longer = [
        _with(asked[place][0], _difference(place, asked, known)) if _is_among(labels, taken) else {}
        for place, labels in enumerate(own)
    ]
    taken += Counter(_all_of(longer))
    found = []
    for place, (method, _) in enumerate(asked):
        labels = longer[place] or own[place] or fixed[place]
        # Two adapters in folders of the same name, for example, have the same text.
        if longer[place] and _is_among(labels, taken):
            labels = {one: f"{label}-{_digits(method)}" for one, label in labels.items()}
        found.append(_relabelled(method, labels, known))
    _refuse_twice(found)
    return tuple(found)


def _is_among(labels: Mapping[str, str], taken: Mapping[str, int]) -> bool:
    """Whether any of the labels, which are counted in `taken` themselves, is another's too."""
    return any(taken[label] > 1 for label in labels.values())


def _all_of(several: Sequence[Mapping[str, str]]) -> list[str]:
    return [label for labels in several for label in labels.values()]


def _together(methods: Sequence[Named]) -> list[Named]:
    found: list[Named] = []
    for method, label in methods:
        for place, (other, name) in enumerate(found):
            if label is name is None and other.name == method.name:
                both = other.together(method)
                if both is not None:
                    found[place] = (both, None)
                    break
        else:
            found.append((method, label))
    return found


def _refuse_same(methods: Sequence[Method]) -> None:
    names = Counter(method.name for method in methods)
    seen: set[str] = set()
    for method in methods:
        # An identity can need a file that is not there yet, so it is asked for only if it matters.
        if names[method.name] == 1:
            continue
        identity = canonical(method.identity())
        if identity in seen:
            raise UsageError(
                f"the method {method.name} is asked for twice with the same parameters; ask for it"
                " once"
            )
        seen.add(identity)


def _fixed(method: Method, label: str | None, known: Mapping[str, Identity]) -> dict[str, str]:
    """Own label -> the one that the user gave or the folder has; empty if there is none."""
    return _given(method, label, known) or _kept(method, known)


def _given(method: Method, label: str | None, known: Mapping[str, Identity]) -> dict[str, str]:
    """Own label -> the one that the user gave; empty if there is none."""
    if label is None:
        return {}
    if len(method.labels) > 1:
        raise UsageError(
            f"{method.name} gives several rows ({', '.join(method.labels)}), so it cannot be named"
            f" {label!r}; leave out `{label}=`"
        )
    identity = canonical(method.identity())
    if label in known and canonical(known[label]) != identity:
        raise UsageError(
            f"the folder has a row named {label!r} of another method or setting; give another name"
        )
    for there, other in known.items():
        if there != label and canonical(other) == identity:
            raise UsageError(
                f"the folder has these images in the row {there!r}, so they cannot be named"
                f" {label!r}; leave out `{label}=`"
            )
    return {method.labels[0]: label}


def _kept(method: Method, known: Mapping[str, Identity]) -> dict[str, str]:
    """Own label -> the one that this setting has in the folder; empty if it has none there."""
    if not known:
        return {}
    identity = canonical(method.identity())
    alone = len(method.labels) == 1
    found: dict[str, str] = {}
    for own in method.labels:
        if own in known and method.gives_same(own, known[own]):
            found[own] = own
            continue
        for label, other in known.items():
            if canonical(other) == identity and (alone or label.startswith(f"{own}:")):
                found[own] = label
                break
    if not found or any(own in known for own in method.labels if own not in found):
        return {}
    return {own: found.get(own, own) for own in method.labels}


def _difference(place: int, asked: Sequence[Named], known: Mapping[str, Identity]) -> str:
    """The parameters in which a method differs from any other that has, or would have, the same
    label, as they are typed.
    """
    method = asked[place][0]
    rivals, identity = _rivals(place, asked, known), method.identity()
    # A method can leave out a parameter at its default.
    left_out = {
        key: getattr(method, key)
        for other in rivals
        for key in other
        if key not in identity and hasattr(method, key)
    }
    differing = {
        key: value
        for key, value in {**identity, **left_out}.items()
        if any(canonical(other.get(key)) != canonical(value) for other in rivals)
    }
    shown = [f"{key}={_shown(method, key, value)}" for key, value in differing.items()]
    return ",".join(shown) or _digits(method)


def _rivals(
    place: int, asked: Sequence[Named], known: Mapping[str, Identity]
) -> list[dict[str, Any]]:
    """The identities of the other methods that have, or would have, a label of this one."""
    method = asked[place][0]
    in_command = [
        other.identity()
        for at, (other, label) in enumerate(asked)
        if at != place and label is None and not set(method.labels).isdisjoint(other.labels)
    ]
    in_folder = [
        dict(identity)
        for label, identity in known.items()
        if any(label == own or label.startswith(f"{own}:") for own in method.labels)
    ]
    return in_command + in_folder


def _shown(method: Method, key: str, value: Any) -> str:
    typed = getattr(method, key, None)
    if isinstance(typed, Path):
        return _short(folder_name(typed))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value[:8] if _SHA256.fullmatch(value) else _short(value)
    return _short(canonical(value))


def _short(text: str) -> str:
    return printable(text)[:LONGEST]


def folder_name(folder: Path) -> str:
    """The name that people know an adapter's folder by: that of the training or of the repository.

    >>> folder_name(Path("results/my-training/adapter"))
    'my-training'
    >>> folder_name(Path("hub/models--owner--nice/snapshots/0123"))
    'nice'
    """
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    whole = folder if folder.name else folder.resolve()
    return whole.parent.name or whole.name if whole.name == "adapter" else whole.name


def _digits(method: Method) -> str:
    """Eight digits that only this setting has: of its adapter's SHA-256, or of its identity."""
    adapter = str(method.identity().get("adapter"))
    return (adapter if _SHA256.fullmatch(adapter) else digest(method.identity()))[:8]


def _with(method: Method, text: str) -> dict[str, str]:
    return {own: f"{own}:{text}" for own in method.labels}


def _relabelled(method: Method, labels: Mapping[str, str], known: Mapping[str, Identity]) -> Method:
    own = {}
    if known:
        identity = canonical(method.identity())
        own = {
            label: known[label]
            for label in labels.values()
            if label in known and canonical(known[label]) != identity
        }
    if not own and all(one == label for one, label in labels.items()):
        return method
    return Relabelled(method, dict(labels), own)


def _refuse_twice(methods: Sequence[Method]) -> None:
    twice = [
        label
        for label, number in Counter(one for method in methods for one in method.labels).items()
        if number > 1
    ]
    if twice:
        raise UsageError(
            f"two of the methods give a row named {twice[0]!r}; give one of them another name, for"
            " example mine=reno:iterations=20"
        )
