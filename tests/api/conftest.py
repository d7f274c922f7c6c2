"""The door with toys for models, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.catalogue import registry
from tests.toy_plugins import toy_registries


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Toys in the registries; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    for name, entries in toy_registries().items():
        monkeypatch.setattr(registry, name, entries)
    return tmp_path
