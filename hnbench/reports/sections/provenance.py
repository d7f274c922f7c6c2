"""The provenance of each run: its environment, the models that were verified there, and the
commands.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.files.escaping import markdown as escaped
from hnbench.files.escaping import printable
from hnbench.reports.sections.cells import all_escaped, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """For each run, its environment, the models that were verified there, and its commands."""
    parts = ["## Provenance"]
    for folder, manifest in zip(summary.pool.folders, summary.pool.manifests, strict=True):
        sessions = manifest.get("sessions", [])
        parts += [f"### {escaped(folder.name)}", table(["", "value"], _rows(manifest), align="---")]
        if len({session.get("environment") for session in sessions}) > 1:
            parts.append(
                "This is the environment of the latest session; an earlier one had another."
            )
        parts += ["```\n" + "\n".join(map(_command, sessions)) + "\n```"]
    return "\n\n".join(parts)


def _rows(manifest: Mapping[str, Any]) -> list[list[str]]:
    environment = dict(manifest.get("environment", {}))
    packages = environment.pop("packages", None) or {}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    facts = [
        ("identity", manifest["identity"]),
        *(
            (name, value if isinstance(value, str) else json.dumps(value, sort_keys=True))
            for name, value in environment.items()
        ),
        ("packages", versions),
    ]
    verified = manifest.get("verified", {})
    return [
        *(all_escaped(fact) for fact in facts),
        *([f"verified: {escaped(name)}", _verified(found)] for name, found in verified.items()),
    ]


def _verified(found: Sequence[Mapping[str, Any]]) -> str:
    """The results that `hnbench verify` had for a model on the run's machine at the time of the
    run.
    """
    said = [
        escaped(
            f"{one['check']} {'equal' if one['equal'] else 'DIFFERS'} ({one['date']},"
            f" {one['device']}, {one['dtype']}, at {one['difference']:.0%} of its tolerance)"
        )
        for one in found
    ]
    return "; ".join(said) or "not on this machine (`hnbench verify --list` says how)"


def _command(session: Mapping[str, Any]) -> str:
    """The command as it was typed, with the time, device and batch size as a comment of the
    shell.
    """
    about = [
        str(session.get("started", "")),
        f"device {session.get('device', 'n/a')}",
        f"batch size {session.get('batch_size', 'n/a')}",
        *([f"shard {session['shard']}"] if session.get("shard", "1/1") != "1/1" else []),
    ]
    program, *arguments = map(str, session.get("argv") or ["hnbench"])
    # The program's folder is left out: it says only where somebody keeps their files.
    command = shlex.join([Path(program).name, *arguments])
    return printable(f"{command}    # {', '.join(about)}")
