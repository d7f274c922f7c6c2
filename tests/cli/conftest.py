"""A command line in an empty folder, with toys for models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hnbench.catalogue import registry
from hnbench.cli.app import app
from tests.toy_plugins import toy_registries

Hnbench = Callable[..., Result]


@pytest.fixture
def hnbench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hnbench:
    """Run a command line in an empty folder, with toys for models."""
    monkeypatch.chdir(tmp_path)
    for name, toys in toy_registries().items():
        monkeypatch.setattr(registry, name, toys)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="hnbench")

    return call
