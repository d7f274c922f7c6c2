"""Content hashes of model folders."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

from hnbench.files.hashing import sha256_of_file
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MODEL_FILES = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")


FileVersion = tuple[str, int, int]
"""A file's path, its time of modification in nanoseconds and its size in bytes."""


def versions_in(place: Path) -> tuple[FileVersion, ...]:
    """The present versions of the file, or of all files in the folder, in the order of their paths.
    A link's target counts.
    """
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    return tuple(
        (str(file.resolve()), file.stat().st_mtime_ns, file.stat().st_size)
        for file in files
        if file.is_file()
    )


def fingerprint_of(folder: Path, patterns: Iterable[str] = _MODEL_FILES) -> str:
    """A SHA-256 over the names and contents of a model folder's weights and configurations, without
    its card.

    Only files whose path in the folder matches one of `patterns` count: a folder may hold files
    that the model does not use. A `.bin` next to safetensors is never loaded, so it does not count
    either.
    """
    found = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    chosen = sorted(name for name in found if any(fnmatch(name, pattern) for pattern in patterns))
    safe = {found[name].parent for name in chosen if name.endswith(".safetensors")}
    return digest(
        {
            name: sha256_of_file(found[name])
            for name in chosen
            if not (name.endswith(".bin") and found[name].parent in safe)
        }
    )
