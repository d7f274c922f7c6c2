"""`hnbench.push`: uploads a trained adapter to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path


def push(folder: str | Path, name: str, *, private: bool = False) -> str:
    """Upload a trained adapter, with its model card and configuration, to the Hub as `name`.

    `name` is `OWNER/NAME`; the repository is created if it does not exist. Returns its address.
    Then `hypernetwork="OWNER/NAME"` loads it.

    Raises `UsageError` for a folder that is not a complete adapter, and if the Hub refuses.
    """
    from hnbench.hypernetwork.publish import publish

    return publish(Path(folder), name, private=private)
