"""`hnbench list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hnbench.catalogue import registry
from hnbench.cli.json_output import AsJson, print_json
from hnbench.cli.printing import needs_of, show_entries

if TYPE_CHECKING:
    from hnbench.catalogue.entries import Entry

EXAMPLES = (
    "hnbench list methods",
    "hnbench list rewards",
    "hnbench list suites --json",
)


def list_names(
    kind: Annotated[
        Literal["generators", "rewards", "methods", "suites", "measures", "prompts"],
        typer.Argument(help="What to list."),
    ],
    as_json: AsJson = False,
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
    entries = registries[kind].entries.values()
    if as_json:
        print_json({kind: [described(entry) for entry in entries]})
        return
    show_entries(entries)


def described(entry: Entry) -> dict[str, str]:
    """A name as JSON: its summary, what it needs, and the package that provides it."""
    return {
        "name": entry.name,
        "summary": entry.summary,
        "needs": needs_of(entry),
        "package": entry.package,
    }
