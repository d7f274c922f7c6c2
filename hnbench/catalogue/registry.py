"""Names -> factories, imported only when asked for.

A registry knows the names that come with hnbench (`hnbench.catalogue.builtin`) and those that
installed packages add through its entry-point group, for example `hnbench.generators`. Listing
imports none of them. What follows `NAME@` is a factory's `where`, if the entry has sources: a
folder or a repository to use instead of them. `hnbench.catalogue.entries` has each kind's factory.
"""

from __future__ import annotations

from functools import cached_property, partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hnbench.catalogue import builtin
from hnbench.catalogue.entries import (
    Entry,
    GeneratorEntry,
    MeasureEntry,
    MethodEntry,
    PromptsEntry,
    RewardEntry,
    SuiteEntry,
)
from hnbench.catalogue.suggestions import suggestion
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hnbench.weights.hub import Source

AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Registry(Generic[AnyEntry]):
    """The names of one kind."""

    def __init__(
        self, kind: str, group: str, entry_type: type[AnyEntry], *built_in: AnyEntry
    ) -> None:
        """Know the names that are built in. `kind` is the word for messages, `group` the
        entry-point group of other packages, whose names become entries of `entry_type`.
        """
        self.kind = kind
        self.group = group
        self.entry_type = entry_type
        self.built_in = built_in

    @cached_property
    def entries(self) -> dict[str, AnyEntry]:
        """All entries by name, built-in ones first. Two providers of one name are a `UsageError`
        that names both.
        """
        found: dict[str, AnyEntry] = {}
        for entry in (*self.built_in, *self._third_party()):
            if entry.name in found:
                other = found[entry.name]
                raise UsageError(
                    f"the {self.kind} {entry.name!r} has two providers: {other.target} of"
                    f" {other.package} and {entry.target} of {entry.package}; uninstall one of the"
                    " packages or rename its entry point"
                )
            found[entry.name] = entry
        return found

    def _third_party(self) -> Iterable[AnyEntry]:
        for point in sorted(
            entry_points(group=self.group), key=lambda point: (point.name, point.value)
        ):
            package = point.dist.name if point.dist else "an unknown package"
            yield self.entry_type(
                point.name, point.value, f"provided by the package {package}", package=package
            )

    def entry(self, name: str) -> AnyEntry:
        """The entry of `NAME` or `NAME@WHERE`; its factory is not imported. An unknown name is a
        `UsageError` that lists the known ones.
        """
        own, at, where = name.partition("@")
        if own not in self.entries:
            shown = own if len(own) <= 60 else f"{own[:57]}..."
            raise UsageError(f"unknown {self.kind} {shown!r}{suggestion(shown, self.entries)}")
        entry = self.entries[own]
        if at and not (where and entry.sources):
            raise UsageError(
                f"the {self.kind} was {name!r}; "
                + (f"type {own}@FOLDER" if entry.sources else f"nothing can follow {own!r}")
            )
        return entry

    def get(self, name: str) -> Callable[..., Any]:
        """Import and return the factory of `NAME`, or of `NAME@WHERE` with its `where`."""
        factory = self.entry(name).load()
        where = name.partition("@")[2]
        return partial(factory, where=where) if where else factory

    def sources(self, name: str) -> tuple[Source, ...]:
        """The Hub's files that `NAME` or `NAME@WHERE` needs; of a mixture, those of its parts."""
        from hnbench.weights.hub import wanted

        entry = self.entry(name)
        others = [source for part in entry.components() for source in self.sources(part)]
        return (*wanted(entry.sources, name.partition("@")[2]), *others)

    def data_files(self, name: str) -> tuple[str, ...]:
        """Other projects' files that `NAME` or `NAME@WHERE` reads (`Entry.data_files`); of a
        mixture, those of its parts.
        """
        entry = self.entry(name)
        others = [file for part in entry.components() for file in self.data_files(part)]
        return (*entry.data_files, *others)


GENERATORS = Registry("generator", "hnbench.generators", GeneratorEntry, *builtin.GENERATORS)
REWARDS = Registry("reward", "hnbench.rewards", RewardEntry, *builtin.REWARDS)
METHODS = Registry("method", "hnbench.methods", MethodEntry, *builtin.METHODS)
SUITES = Registry("suite", "hnbench.suites", SuiteEntry, *builtin.SUITES)
MEASURES = Registry("measure", "hnbench.measures", MeasureEntry, *builtin.MEASURES)
PROMPTS = Registry("prompt set", "hnbench.prompts", PromptsEntry, *builtin.PROMPTS)
