"""What a folder of model files is known by."""

from __future__ import annotations

from hashlib import file_digest
from typing import TYPE_CHECKING

from hnbench.seeds import digest

if TYPE_CHECKING:
    from pathlib import Path


def fingerprint_of(folder: Path) -> str:
    """A SHA-256 over the names and contents of a model folder's weights and configurations (not of its card)."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".safetensors", ".txt", ".model"})
    return digest({path.relative_to(folder).as_posix(): _sha256(path) for path in files})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
