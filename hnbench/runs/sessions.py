"""The sessions of a run in its `run.json`: what each process was asked for, and where it worked.
Several sessions write the same file, so each one joins its part to what is there.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.runs.plan import identities_in, oracles_in
from hnbench.seeds import digest, digest_of_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hnbench.config import RunConfig
    from hnbench.runs.shards import Shard


def session_of(config: RunConfig, surroundings: Mapping[str, Any], shard: Shard) -> dict[str, Any]:
    """One entry of `"sessions"`. It has digests of the environment and of the host's name, which
    show whether sessions had different ones.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "argv": [_as_text(part) for part in (_program(), *sys.argv[1:])],
        "device": config.device,
        "device_name": surroundings["device"],
        "host": digest_of_text(platform.node())[:8],
        "shard": str(shard),
        "batch_size": config.batch_size,
        **(
            {"gradient_batch_size": config.gradient_batch_size}
            if config.gradient_batch_size
            else {}
        ),
        "environment": digest(surroundings),
    }


def _program() -> str:
    """The name that a command line begins with: that of the package for `python -m PACKAGE`."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def _as_text(argument: str) -> str:
    """An argument as valid Unicode, so that it can be written: a file's name can have other
    bytes.
    """
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def joined(
    earlier: Mapping[str, Any], manifest: Mapping[str, Any], sessions: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The `run.json` of a later command: `manifest` with `sessions`, and with what is kept of the
    `earlier` one. Trainings are kept, and so are the identities of methods that the later command
    does not ask for: their rows are still reported. If the plan is the same, and so the models are,
    methods that were left out and the outcomes of checks are kept too.
    """
    alike = [earlier, manifest] if earlier.get("plan") == manifest.get("plan") else [manifest]
    planned, oracles = manifest["plan"]["method_of"], oracles_in(manifest)
    before = oracles_in(earlier) if earlier else []
    known = {**manifest.get("earlier", {}), **(identities_in(earlier) if earlier else {})}
    return {
        **manifest,
        "earlier": {label: identity for label, identity in known.items() if label not in planned},
        "oracles": list(dict.fromkeys([*oracles, *(one for one in before if one not in planned)])),
        "training": {**earlier.get("training", {}), **manifest.get("training", {})},
        "skipped": {name: why for one in alike for name, why in one.get("skipped", {}).items()},
        "verified": _joined_checks(one.get("verified", {}) for one in alike),
        "sessions": [dict(session) for session in sessions],
    }


def _joined_checks(several: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The `"verified"` of several sessions as one: model -> the latest outcome of each check,
    device and type.
    """
    latest: dict[str, dict[tuple[str, ...], Mapping[str, Any]]] = {}
    for verified in several:
        for model, outcomes in verified.items():
            found = latest.setdefault(model, {})
            for one in outcomes:
                key = (one["check"], one["device"], one["dtype"])
                if key not in found or one["date"] >= found[key]["date"]:
                    found[key] = one
    return {model: [found[key] for key in sorted(found)] for model, found in latest.items()}


def with_journal(
    manifest: Mapping[str, Any], session: Mapping[str, Any], journal: str
) -> dict[str, Any]:
    """A `run.json` in which that session has the name of its journal."""
    sessions = list(manifest.get("sessions", []))
    own = [number for number, one in enumerate(sessions) if one == session]
    for number in own[-1:]:
        sessions[number] = {**session, "journal": journal}
    return {**manifest, "sessions": sessions}
