"""Names of the folders for labels and tags."""

from __future__ import annotations

from hnbench.files.names import distinct_name


def folder_name(name: str) -> str:
    """The name of the folder for a label or a tag. Different ones have different folders."""
    return distinct_name(name, also="=+")
