"""The results of `hnbench verify` on this machine, by the fingerprints of the models that it
loaded.

The file has one line of JSON per check and run of the command, in huggingface_hub's cache for
assets. A run copies the results for its models into `run.json`, so that a report can show them. If
the file is lost, the command makes it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hnbench.errors import StoreError, UsageError
from hnbench.files.decoding import MalformedError, decode
from hnbench.weights.hub import assets_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = "verified.jsonl"


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of one check that compared something."""

    check: str
    """The check's name, as `hnbench verify --list` prints it."""
    equal: bool
    difference: float
    """The largest difference in units of its tolerance: at most 1 where all are equal."""
    date: str
    """The day, in ISO 8601, UTC."""
    seconds: float
    """The duration of the check, downloads included."""
    device: str
    """The name of the GPU or of the processor."""
    dtype: str
    """The type that the models computed in."""
    fingerprints: dict[str, str]
    """The models that were loaded: name -> fingerprint."""
    versions: dict[str, str | None]
    """Package -> version, for the packages that can change a number."""


def memory_file() -> Path:
    """The file with the outcomes."""
    return assets_folder("verified") / FILE


def remember(found: Iterable[Verification]) -> None:
    """Append outcomes. A file that cannot be written is a `StoreError`."""
    path = memory_file()
    lines = "".join(
        json.dumps(msgspec.structs.asdict(one), sort_keys=True, allow_nan=False) + "\n"
        for one in found
    )
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(lines)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written to ({error.strerror}); set HF_HOME to a folder that can"
        ) from error


def remembered() -> list[Verification]:
    """All outcomes on this machine, the oldest first. Lines that cannot be read are left out."""
    try:
        text = memory_file().read_text(encoding="utf-8", errors="replace")
    except (OSError, UsageError):
        return []
    return [one for line in text.splitlines() if (one := _read(line)) is not None]


def _read(line: str) -> Verification | None:
    try:
        return decode(line, Verification)
    except MalformedError:
        return None


def status_of(fingerprint: str, known: Iterable[Verification]) -> list[dict[str, Any]]:
    """The latest outcome of each check, device and type for the model with this fingerprint, as
    JSON types.
    """
    # Later outcomes replace earlier ones under the same key.
    latest = {
        (one.check, one.device, one.dtype): one
        for one in known
        if fingerprint in one.fingerprints.values()
    }
    keys = ("check", "equal", "difference", "date", "device", "dtype")
    return [{key: getattr(one, key) for key in keys} for one in latest.values()]
