"""The rows of a comparison: every setting once, with a name that says in what it differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.files.escaping import printable
from hnbench.reports.labels import LONGEST, value_in_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.reports.comparison.groups import Group


@dataclass(frozen=True)
class ComparedRow:
    """One label of one group."""

    name: str
    label: str
    group: Group
    also_in: tuple[str, ...] = ()
    """Names of the other groups that have the same records under this label."""

    @property
    def column(self) -> int:
        """The index of the label in the group's pool."""
        return self.group.pool.labels.index(self.label)


def compared_rows(groups: Sequence[Group], labels: Sequence[str] = ()) -> list[ComparedRow]:
    """All rows of the groups, or those of some labels. Rows of the same records on the same kind of
    device appear once.

    `UsageError` for a label that no group has.
    """
    known = list(dict.fromkeys(str(label) for group in groups for label in group.pool.labels))
    if unknown := [label for label in labels if label not in known]:
        raise UsageError(
            f"no run has a row {unknown[0]!r}; the rows are {', '.join(map(repr, known))}"
        )
    found: dict[tuple[str, frozenset[str], str], list[Group]] = {}
    for group in groups:
        ids = group.pool.frame.groupby("label")["id"]
        own = {str(label): frozenset(part) for label, part in ids}
        for label in map(str, group.pool.labels):
            if not labels or label in labels:
                key = (label, own.get(label, frozenset()), group.device)
                found.setdefault(key, []).append(group)
    pairs = [(label, owners) for (label, _, _), owners in found.items()]
    names = _names(groups, pairs)
    return [
        ComparedRow(name, label, owners[0], tuple(group.name for group in owners[1:]))
        for name, (label, owners) in zip(names, pairs, strict=True)
    ]


def _names(groups: Sequence[Group], rows: Sequence[tuple[str, Sequence[Group]]]) -> list[str]:
    if len(groups) == 1:
        return [label for label, _ in rows]
    names = [
        label if len(owners) == len(groups) else f"{label} ({_what(groups, owners[0], label)})"
        for label, owners in rows
    ]
    twice = {name for name, number in Counter(names).items() if number > 1}
    return [
        f"{name} [{owners[0].name}]" if name in twice else name
        for name, (_, owners) in zip(names, rows, strict=True)
    ]


def _what(groups: Sequence[Group], owner: Group, label: str) -> str:
    """The text that tells a group's row from those of the others: its given name, else the facts in
    which it differs, else its device.
    """
    if owner.named:
        return owner.name
    own = _facts(owner) | _parameters(owner, label)
    others = [
        _facts(group) | _parameters(group, label) for group in groups if group.name != owner.name
    ]
    devices = [{"device": group.device} for group in groups]
    return _difference(own, others) or _difference({"device": owner.device}, devices) or owner.name


def _facts(group: Group) -> dict[str, Any]:
    """The facts of a group by the names that a row shows, models by name and fingerprint."""
    manifest, config = group.manifest, group.manifest["config"]
    generator = manifest["generator"]
    by_value = {
        name: config.get(name)
        for name in manifest["identity_fields"]
        if name not in ("base_seed", "suite", "suite_version", "generator", "optimised", "held_out")
    }
    prints = manifest["rewards"]["fingerprints"]
    return {
        "generator": (generator["name"], generator["fingerprint"]),
        "optimised": (
            "+".join(f"{name}:{weight:g}" for name, weight in group.pool.optimised.items()),
            [prints[name] for name in group.pool.optimised],
        ),
        **by_value,
        "seeds": "+".join(map(str, group.pool.seeds)),
    }


def _parameters(group: Group, label: str) -> dict[str, Any]:
    """The identity of a row's method, without its name; adapters by their SHA-256."""
    identities = {str(one): one.identity for one in group.pool.labels}  # type: ignore[attr-defined]
    return {name: value for name, value in identities.get(label, {}).items() if name != "name"}


def _difference(own: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    differing = {
        name: value
        for name, value in own.items()
        if any(other[name] != value for other in others if name in other)
    }
    return ", ".join(f"{name}={_shown(name, value, others)}" for name, value in differing.items())


def _shown(name: str, value: Any, others: Sequence[Mapping[str, Any]]) -> str:
    if isinstance(value, tuple):
        shown, fingerprint = value
        same_name = any(
            other[name][0] == shown and other[name][1] != fingerprint for other in others
        )
        first = (
            fingerprint
            if isinstance(fingerprint, str)
            else "+".join(one[:8] for one in fingerprint)
        )
        return f"{printable(shown)[:LONGEST]}@{first[:8]}" if same_name else printable(shown)
    return value_in_name(value)
