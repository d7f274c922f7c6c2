"""All checks, as data: the model, its input, the expected output, and the source of that.

`references/*.json` has one entry per check. Reading them imports no model library. All facts are
public, and each has its source. The inputs are not included; they are at pinned addresses.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hnbench.catalogue.registry import REWARDS
from hnbench.errors import UsageError
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Value = float | str
FOLDER = Path(__file__).with_name("references")
KINDS = ("generator", "reward", "judge", "measure", "hypernetwork")


@dataclass(frozen=True, kw_only=True)
class PinnedInput:
    """One input file of a check: at an address that contains a commit, or in a repository of the
    Hub at a revision.
    """

    name: str
    """The file's name in the check."""
    url: str = ""
    repo: str = ""
    """`owner/name` of the Hub, if `url` is empty."""
    revision: str = ""
    path: str = ""
    """The file's path in the repository."""
    kind: Literal["model", "dataset"] = "dataset"
    sha256: str = ""
    """The SHA-256 of the file; empty if no public source states it and only the revision pins
    it.
    """
    unpinned: str = ""
    """The reason why the bytes are not pinned, if neither a revision nor a SHA-256 pins them."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One check."""

    name: str
    component: str
    """The generator, reward, suite, measure or hypernetwork that is checked, with the name that a
    user types for it.
    """
    kind: Literal["generator", "reward", "judge", "measure", "hypernetwork"]
    covers: tuple[str, ...] = ()
    """Other components that use the same model, so that the check holds for them too."""
    about: str
    """The comparison, in one line."""
    truth: Literal["published", "independent"]
    """`published`: a number that somebody else published. `independent`: another implementation,
    which computes the number when the check runs.
    """
    function: str
    """`"package.module:function"`, which is called with a `CheckContext`."""
    source: str
    """The publication of the number, or the name of the other implementation."""
    expected: Mapping[str, Value] = field(default_factory=dict)
    """Name -> published value; empty for an independent truth."""
    tolerance: Mapping[str, float] = field(default_factory=dict)
    """dtype of the model -> largest absolute difference; the entry of `float32` also applies to
    dtypes without one.
    """
    given: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the function: prompts, questions, sizes."""
    inputs: tuple[PinnedInput, ...] = ()
    dtype: str = "float32"
    """The dtype that the model computes in, unless the user chooses another."""
    gpu: bool = False
    """Whether the check needs a GPU: on a CPU it takes hours, or too much memory."""
    download: int = 0
    """The approximate number of bytes of models and inputs."""
    strength: str = ""
    """The conclusion that an equal result allows."""
    made_with: str = ""
    """The versions and the machine with which the published number was computed, as far as they are
    known.
    """
    pitfalls: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A SHA-256 of everything that decides the verdict."""
        return digest(
            [
                self.name,
                dict(self.expected),
                dict(self.tolerance),
                dict(self.given),
                [item.sha256 for item in self.inputs],
            ]
        )

    def tolerance_in(self, dtype: str) -> float:
        """The largest absolute difference that counts as equal."""
        return self.tolerance.get(dtype, self.tolerance["float32"])


def read_references(path: Path) -> tuple[Reference, ...]:
    """The entries of one file. `ValueError`, with the entry's name, if a key is unknown or
    missing.
    """
    return tuple(_reference(entry, path) for entry in json.loads(path.read_text(encoding="utf-8")))


def _reference(entry: dict[str, Any], path: Path) -> Reference:
    try:
        inputs = tuple(PinnedInput(**item) for item in entry.get("inputs", ()))
        texts = {name: tuple(entry.get(name, ())) for name in ("pitfalls", "covers")}
        made = Reference(**{**entry, "inputs": inputs, **texts})
    except TypeError as error:
        raise ValueError(f"{path.name}: {entry.get('name')}: {error}") from error
    if (
        made.kind not in KINDS
        or "float32" not in made.tolerance
        or (made.truth == "published") != bool(made.expected)
    ):
        raise ValueError(
            f"{path.name}: {made.name}: kind, tolerance or expected values are not what a check"
            " needs"
        )
    return made


@cache
def all_references() -> tuple[Reference, ...]:
    """All checks, sorted by their kinds."""
    found = [one for path in sorted(FOLDER.glob("*.json")) for one in read_references(path)]
    return tuple(sorted(found, key=lambda one: KINDS.index(one.kind)))


def choose(names: Iterable[str], known: Iterable[Reference]) -> tuple[Reference, ...]:
    """The checks with these names, or of components with these names. `UsageError`, with the known
    names, if one is unknown.
    """
    listed = tuple(known)
    chosen: dict[str, Reference] = {}
    for name in names:
        found = [
            one
            for one in listed
            if {one.component, _family(one.component), one.name, *one.covers} & _parts(name)
        ]
        if not found:
            raise UsageError(_unknown(name, listed))
        chosen |= {one.name: one for one in found}
    return tuple(chosen.values())


def _family(component: str) -> str:
    """The component without its part or place: `geneval` for `geneval:counting`, `clip` for
    `clip@OWNER/NAME`.
    """
    return re.split("[:@]", component)[0]


def _parts(name: str) -> set[str]:
    """The name and, for a mixture, the names of its rewards."""
    return {name, *(REWARDS.entries[name].weights if name in REWARDS.entries else ())}


def _unknown(name: str, listed: Iterable[Reference]) -> str:
    components = list(
        dict.fromkeys(component for one in listed for component in (one.component, *one.covers))
    )
    near = difflib.get_close_matches(name, [*components, *(one.name for one in listed)], n=1)
    return (
        f"there is no check {name!r}{f'; did you mean {near[0]!r}?' if near else ';'} known:"
        f" {', '.join(components)}"
    )


def field_names() -> tuple[str, ...]:
    """The keys that an entry may have."""
    return tuple(item.name for item in fields(Reference))
