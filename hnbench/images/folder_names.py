"""How the folder of a label or a tag is called."""

from __future__ import annotations

from hnbench.files.names import distinct_name


def folder_name(name: str) -> str:
    """The name of the folder of a label or a tag; different ones have different names."""
    return distinct_name(name, also="=+")
