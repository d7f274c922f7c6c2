"""The SHA-256 of a file's content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: bytes) -> str:
    """The SHA-256 of bytes in memory, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
