"""The option --json, and the one JSON document that it prints on stdout."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON document, and no tables."),
]


def print_json(document: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print one JSON object, or a list of them, in ASCII, which any terminal and any program can
    read. A number that is not finite is null, and a path is a text.
    """
    typer.echo(json.dumps(_plain(document), indent=1, allow_nan=False))


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by the names of the columns; a missing value is None."""
    return [
        {str(name): None if value != value else value for name, value in row.items()}  # noqa: PLR0124
        for row in frame.astype(object).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
