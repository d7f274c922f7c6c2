"""What a folder of model files is known by."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from hnbench.seeds import digest

if TYPE_CHECKING:
    from pathlib import Path


def fingerprint_of(folder: Path) -> str:
    """A SHA-256 over the names and contents of a model folder's weights and configurations (not of its card)."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".safetensors", ".txt"})
    return digest({path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files})
