"""`hnbench.push`: a trained adapter on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path


def push(folder: str | Path, name: str, *, private: bool = False) -> str:
    """Put a trained adapter, with its model card and configuration, on the Hub as `name`.

    `name` is `OWNER/NAME`; the repository is made where there is none. The result is its address.
    Then `hypernetwork="OWNER/NAME"` takes it from there.

    Raises `UsageError` for a folder that is not a whole adapter, and for what the Hub refuses.
    """
    from hnbench.hypernetwork.publish import publish

    return publish(Path(folder), name, private=private)
