"""Whether a run is finished, read from its folder alone: no model is loaded for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hnbench
from hnbench.config import values_of
from hnbench.runs.coverage import cover
from hnbench.runs.plan import Plan
from hnbench.runs.store import read_run, with_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.config import RunConfig
    from hnbench.runs.journals import JournalReader
    from hnbench.runs.store import Run
    from hnbench.suites.base import Suite


def finished_run(
    reader: JournalReader, manifest: Mapping[str, Any], config: RunConfig, suite: Suite
) -> Run | None:
    """The run in the folder of `reader`, if it is the one that `config` asks for and every record
    of its plan is done and has its image; None otherwise. `manifest` is the folder's `run.json`.

    Models are compared by their names only, so a name must stand for the same model as before.
    Another version of hnbench can give another plan, so the last session's must be this one.
    `StoreError` for a damaged folder.
    """
    if not is_of(manifest, config, suite):
        return None
    asked = values_of(config, "plan")
    same = all(manifest["config"].get(name) == value for name, value in asked.items())
    if not same or manifest.get("environment", {}).get("hnbench") != hnbench.__version__:
        return None
    run = read_run(reader.folder, reader)
    plan = Plan.from_manifest(run.manifest)
    covered = cover(plan, run.records, run.folder)
    if len(covered.done) < covered.expected:
        return None
    return run if len(with_image(run.folder, covered.done)) == covered.expected else None


def is_of(manifest: Mapping[str, Any], config: RunConfig, suite: Suite) -> bool:
    """Whether the run of a `run.json` is the one that `config` asks for, models by their names."""
    asked = values_of(config, "identity")
    return (
        manifest["identity_fields"] == sorted(asked)
        and all(manifest["config"].get(name) == value for name, value in asked.items())
        and (manifest["suite"]["name"], manifest["suite"]["version"]) == (suite.name, suite.version)
    )
