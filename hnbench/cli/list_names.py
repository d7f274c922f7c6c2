"""`hnbench list`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from hnbench.catalogue import registry
from hnbench.cli.printing import show_entries

EXAMPLES = (
    "hnbench list methods",
    "hnbench list rewards",
)


def list_names(
    kind: Annotated[
        Literal["generators", "rewards", "methods", "suites", "measures", "prompts"],
        typer.Argument(help="What to list."),
    ],
) -> None:
    """List generators, rewards, methods, suites, measures or prompt sets.

    Those of installed third-party packages are included.
    """
    registries: dict[str, registry.Registry[Any]] = {
        "generators": registry.GENERATORS,
        "rewards": registry.REWARDS,
        "methods": registry.METHODS,
        "suites": registry.SUITES,
        "measures": registry.MEASURES,
        "prompts": registry.PROMPTS,
    }
    show_entries(registries[kind].entries.values())
