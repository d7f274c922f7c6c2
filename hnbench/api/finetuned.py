"""The sources of `finetuned`: one adapter, or several checkpoints with a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hnbench.api.arguments import adapters_of
from hnbench.catalogue.loading import find_adapter
from hnbench.catalogue.presets import Preset
from hnbench.catalogue.specifications import given_label
from hnbench.errors import UsageError

Finetuned = str | Path | Sequence[str | Path] | None
"""One source, several, or None for the preset's. A source is a folder, a file, or a name on the
Hub, with `NAME=` before it to name its row.
"""
METHOD = "finetune"


@dataclass(frozen=True)
class FinetunedSource:
    """One fine-tuned checkpoint, found."""

    place: Path
    label: str | None
    """The name that the user gave its row; None without one."""

    def specification(self) -> str:
        """The method of its row, as it would be typed. A path with a comma is a `UsageError`."""
        if "," in str(self.place):
            raise UsageError(
                f"the path {self.place} has a comma, which separates parameters; rename it"
            )
        named = "" if self.label is None else f"{self.label}="
        return f"{named}{METHOD}:adapter={self.place}"


def finetuned_sources(given: Finetuned) -> tuple[FinetunedSource, ...]:
    """The checkpoints of these sources; those on the Hub are downloaded. None gives nothing. A
    source that cannot be used is a `UsageError`.
    """
    listed = [given] if given is None or isinstance(given, (str, Path)) else list(given)
    return tuple(_found(str(one)) for one in listed if one is not None)


def named_sources(given: Finetuned) -> str | list[str] | None:
    """The sources as they were given, as JSON has them."""
    if given is None or isinstance(given, (str, Path)):
        return given if given is None else str(given)
    return [str(one) for one in given]


def adapters_with(
    preset: Preset,
    sources: Sequence[FinetunedSource],
    *,
    hypernetwork: str | Path | None,
    amortised: str | Path | None,
) -> dict[str, str | Path]:
    """Kind of training -> its adapter: the given ones and the first of the sources, and the
    preset's for other kinds.
    """
    found = adapters_of(preset, hypernoise=hypernetwork, regression=amortised)
    return found | ({METHOD: sources[0].place} if sources else {})


def rows_of(methods: Sequence[str], sources: Sequence[FinetunedSource]) -> tuple[str, ...]:
    """The methods, with `finetune` in a row for each source if there are several or if they are
    named. A single source without a name is the adapter of `finetune` itself.
    """
    if all(one.label is None for one in sources) and len(sources) < 2:
        return tuple(methods)
    if METHOD not in methods:
        raise UsageError(
            f"`finetuned` names rows of the method {METHOD}, which is not among the methods; add"
            f" `method` {METHOD}"
        )
    rows = [one.specification() for one in sources]
    return tuple(row for text in methods for row in (rows if text == METHOD else [text]))


def _found(text: str) -> FinetunedSource:
    label, equals, place = text.partition("=")
    if not equals or Path(text).exists():
        return FinetunedSource(find_adapter(text, METHOD), None)
    name = given_label(f"{label}={METHOD}")
    return FinetunedSource(find_adapter(place, METHOD), name)
