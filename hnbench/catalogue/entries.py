"""One entry of the catalogue, for each kind of thing that has a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hnbench.weights.hub import Source


@dataclass(frozen=True)
class Entry:
    """A name, where its factory is, and what a user reads about it."""

    name: str
    target: str
    """`"package.module:attribute"`, the factory."""
    summary: str
    needs: str = ""
    """Requirements beyond hnbench itself (files, a download, a device)."""
    package: str = "hnbench"
    """The installed package that provides it."""
    sources: tuple[Source, ...] = ()
    """The Hub's files that it is loaded from. `NAME@WHERE` takes them from a local folder, or the
    first of them from another repository.
    """
    data_files: tuple[str, ...] = ()
    """The files of `hnbench.weights.pinned_files` that it reads, wherever its sources are."""

    def load(self) -> Callable[..., Any]:
        """Import the factory. A third-party factory that cannot be imported is a `UsageError` that
        names its package.
        """
        try:
            factory: Callable[..., Any] = EntryPoint(self.name, self.target, "").load()
        except (ImportError, AttributeError) as error:
            if self.package == "hnbench":
                raise
            raise UsageError(
                f"{self.name!r} of package {self.package} cannot be imported from {self.target}:"
                f" {error}"
            ) from error
        return factory

    def components(self) -> tuple[str, ...]:
        """The names of the same kind that it is put together from."""
        return ()


@dataclass(frozen=True)
class GeneratorEntry(Entry):
    """Its factory is called as `factory(*, device: str, dtype: str, **options) -> Generator`; see
    `hnbench.catalogue.loading.load_generator` for the options.
    """

    dtype: str = "float32"
    """The precision it computes in unless the user chooses another."""
    image_size: int | None = None
    """Width and height of its images in pixels, unless the user chooses another; None if only the
    loaded generator knows.
    """
    steps: int = 1
    """The steps per image, unless the user chooses another number."""


@dataclass(frozen=True)
class RewardEntry(Entry):
    """Its factory is called as `factory(*, device: str, dtype: str) -> Reward`."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """For a mixture: reward name -> weight."""

    def components(self) -> tuple[str, ...]:
        """The rewards of a mixture."""
        return tuple(self.weights)


@dataclass(frozen=True)
class MethodEntry(Entry):
    """Its factory is called as `factory(**parameters) -> Method`: a dataclass, whose fields are the
    parameters.
    """

    adapter: str = ""
    """The kind of training (`"hypernoise"`, `"finetune"`, `"regression"`) whose adapter it takes as
    `adapter`.
    """
    default: bool = True
    """Whether a run takes it if no method is named."""


@dataclass(frozen=True)
class SuiteEntry(Entry):
    """Its factory is called as `factory(**given) -> Suite`, with `part` and those of the options
    that the user gave.
    """

    parts: tuple[str, ...] = ()
    """The parts that can be asked for as `NAME:PART`."""
    options: tuple[str, ...] = ()
    """The keys that can be given as `NAME:KEY=VALUE`."""
    protocol: str = ""
    """`"package.module:attribute"`, the factory of the same suite with the published numbers of
    prompts, whose texts are empty. A plan uses it if the files with the prompts are missing.
    """


@dataclass(frozen=True)
class MeasureEntry(Entry):
    """Its factory is called as `factory(device: str) -> Measure`."""


@dataclass(frozen=True)
class PromptsEntry(Entry):
    """Its factory is called as `factory(folder: Path | None) -> Sequence[str]`. The folder has
    other projects' prompt files.
    """
