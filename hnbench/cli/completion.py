"""The names that a shell completes: of the registries, and of run folders.

Nothing here imports a model library, because a shell waits for the answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.api.arguments import RESULTS
from hnbench.catalogue import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def _of(name: str) -> Callable[[str], list[str]]:
    """A completion from one registry, which is looked up when it is asked."""

    def complete(incomplete: str) -> list[str]:
        known: registry.Registry[Any] = getattr(registry, name)
        return _beginning(known.entries, incomplete)

    return complete


generators = _of("GENERATORS")
rewards = _of("REWARDS")
methods = _of("METHODS")
suites = _of("SUITES")
measures = _of("MEASURES")
prompts = _of("PROMPTS")


def runs(incomplete: str) -> list[str]:
    """The folders of runs under results/, and below what is typed already."""
    typed = Path(incomplete)
    above = typed if incomplete.endswith("/") else typed.parent
    folders = {RESULTS, above}
    found = {str(one.parent) for folder in folders for one in folder.glob("*/run.json")}
    return _beginning(sorted(found), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
