from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import FAMILIES


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A saved tiny pipeline of each family."""
    return {name: family.save(tmp_path_factory.mktemp(name)) for name, family in FAMILIES.items()}
