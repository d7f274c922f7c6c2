"""Where a generator's parts come from, by the text that a user types: the Hub or this machine, a
folder or a file.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.hashing import sha256_of_file
from hnbench.generators.samplers import Sampler
from hnbench.weights import hub
from hnbench.weights.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Place = str | Path
"""A text is a place on the Hub: a repository `owner/name`, or a file in one `owner/name/FILE`, both
with `@revision` after it if need be. A path is a folder or file on this machine.
"""
_CHANGES = re.compile(r":(?=\s*\w+\s*=)")
_KEYS = ("unet", "lora", "scheduler", "first_timestep", "eta", "prediction")


@dataclass(frozen=True)
class Changed:
    """A pipeline with other weights or another scheduler, as `BASE:KEY=VALUE,KEY=VALUE` says."""

    base: Place
    replaced: Mapping[str, Place]
    """Part -> where it is taken from instead."""
    lora: Place | None
    sampler: Sampler | None


def has_changes(text: str) -> bool:
    """Whether a text is `BASE:KEY=VALUE` and no folder's name."""
    return bool(_CHANGES.search(text)) and not Path(text).expanduser().is_dir()


def parse_changes(text: str) -> Changed:
    """The parts of `BASE` or `BASE:KEY=VALUE,KEY=VALUE`.

    The keys are `unet` (a folder, a repository or a file), `lora` (a file), and those of a
    `Sampler`. Anything else, and settings without a `scheduler`, are a `UsageError`.

    >>> parse_changes("o/r:lora=o/l/lora.safetensors,scheduler=tcd,eta=0.3").sampler
    Sampler(scheduler='tcd', first_timestep=None, eta=0.3, prediction=None)
    """
    base, *listed = _CHANGES.split(text, maxsplit=1) if has_changes(text) else [text]
    given: dict[str, str] = {}
    for item in listed[0].split(",") if listed else ():
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in _KEYS:
            raise UsageError(
                f"generator {text!r}: {item.strip()!r} is not key=value with one of the keys"
                f" {', '.join(_KEYS)}"
            )
        if key in given or not value:
            raise UsageError(f"generator {text!r}: give {key} once, and a value with it")
        given[key] = value
    pipeline = place_of(base)
    if isinstance(pipeline, str):
        hub.Source.parse(pipeline)  # a file holds no pipeline
    unet, lora = given.pop("unet", ""), given.pop("lora", "")
    if lora and not is_file(place_of(lora)):
        raise UsageError(
            f"`lora` was {lora!r}; give a file, or owner/name/FILE of a repository on the Hub"
        )
    return Changed(
        pipeline,
        {"unet": place_of(unet)} if unet else {},
        place_of(lora) if lora else None,
        _sampler(text, given),
    )


def is_file(place: Place) -> bool:
    """Whether a place is a file, as far as its text says if it is on the Hub."""
    return place.is_file() if isinstance(place, Path) else bool(_file_in(place))


def _sampler(text: str, given: Mapping[str, str]) -> Sampler | None:
    if not given:
        return None
    if "scheduler" not in given:
        raise UsageError(f"generator {text!r}: give a scheduler with {', '.join(given)}")
    try:
        first = int(given["first_timestep"]) if "first_timestep" in given else None
        eta = float(given.get("eta", 0.0))
    except ValueError:
        raise UsageError(
            f"generator {text!r}: first_timestep must be a whole number, and eta a number"
        ) from None
    return Sampler(given["scheduler"], first, eta, given.get("prediction"))


def place_of(text: str) -> Place:
    """The place of a text as a user types it: what is on this machine comes first. A text that is
    neither a path here nor a place on the Hub is a `UsageError`.
    """
    path = Path(text).expanduser()
    if path.exists():
        return path
    if text.startswith((".", "/", "~")):
        raise UsageError(
            f"there is no folder or file {text}; give a diffusers pipeline's folder, or owner/name"
            " of a repository on the Hub"
        )
    source_of(text)
    return text


def source_of(place: str) -> hub.Source:
    """The source of a place on the Hub; of a file, with that file alone as its need. A text that is
    no such place is a `UsageError`.
    """
    file = _file_in(place)
    if file is None:
        return hub.Source.parse(place)
    repo, at, revision = place.partition("@")
    source = hub.Source.parse("/".join(repo.split("/")[:2]) + at + revision)
    return replace(source, needs=(((glob.escape(file),),),))


def _file_in(place: str) -> str | None:
    """The path within its repository of a file on the Hub; None for a repository."""
    file = "/".join(place.partition("@")[0].split("/")[2:])
    return file or None


def find(place: Place, source: hub.Source | None) -> Path:
    """The folder or file of a place. What is on the Hub, as `source` says, is downloaded if it is
    not cached.
    """
    if isinstance(place, Path):
        return place
    folder = hub.download(source or source_of(place))
    file = _file_in(place)
    return folder / file if file else folder


def origin_of(place: Place, found: Path) -> str:
    """A place for people: its path, or its repository, commit and file."""
    if isinstance(place, Path):
        return str(place)
    source, file = source_of(place), _file_in(place)
    folder = found.parents[len(Path(file).parts) - 1] if file else found
    shown = f"{source.repo}/{file}" if file else source.repo
    return f"{shown}@{hub.commit_of(folder) or source.revision}"


def identity_of(place: Place, found: Path) -> str:
    """The identity of a place's weights: their origin on the Hub, or their content's hash."""
    if isinstance(place, Path):
        return sha256_of_file(found) if found.is_file() else fingerprint_of(found)
    return origin_of(place, found)
