"""The inputs of checks: downloaded from a pinned address, checked by SHA-256, and kept in the
cache. None of them comes with hnbench.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.hashing import sha256_of_file
from hnbench.seeds import digest
from hnbench.weights import hub
from hnbench.weights.pinned_files import fetch

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.verification.reference import PinnedInput


def fetch_input(check: str, item: PinnedInput) -> Path:
    """The local copy of an input. `UsageError` if it cannot be downloaded, or if its bytes are not
    the published ones.
    """
    if item.url:
        # Named by its address, so that several checks share one copy.
        return fetch(f"verify/{digest(item.url)[:8]}-{item.name}", item.url, item.sha256)
    path = hub.download(hub.Source(item.repo, item.revision, (item.path,), item.kind)) / item.path
    if not path.is_file():
        raise UsageError(
            f"{item.repo}@{item.revision} has no file {item.path}, which {check} needs"
        )
    if item.sha256 and sha256_of_file(path) != item.sha256:
        raise UsageError(
            f"{path} is not the file that {check} needs (by SHA-256); remove it, and it is"
            " downloaded again"
        )
    return path
