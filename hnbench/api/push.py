"""`hnbench.push`: uploads a trained adapter to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hnbench.hypernetwork.publish import PushPlan


def push(folder: str | Path, name: str, *, private: bool = False) -> str:
    """Upload a trained adapter, with its model card and configuration, to the Hub as `name`.

    `name` is `OWNER/NAME`; the repository is created if it does not exist. Returns its address.
    Then `hypernetwork="OWNER/NAME"` loads it.

    Raises `UsageError` for a folder that is not a complete adapter, and if the Hub refuses.
    """
    from hnbench.hypernetwork.publish import publish

    return publish(Path(folder), name, private=private)


def plan_push(folder: str | Path, name: str) -> PushPlan:
    """Tell what `hnbench.push` would upload, and which files of the repository it would overwrite.

    This needs no token, and writes nothing. Raises `UsageError` for a folder that is not a complete
    adapter, and for a name that is not `OWNER/NAME`.
    """
    from hnbench.hypernetwork.publish import plan_publish

    return plan_publish(Path(folder), name)
