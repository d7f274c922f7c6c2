"""A run's journal as tests change it: read without check values, written with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hnbench.files.journal import sealed, unsealed


def journal_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(unsealed(line)[0]) for line in path.read_bytes().splitlines()]


def write_journal(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(sealed(row) for row in rows))


def change_journal(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Every line changed, as somebody would who knows how check values are made."""
    write_journal(path, [change(row) for row in journal_rows(path)])
