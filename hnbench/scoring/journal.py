"""The verdicts that were given, one JSON line each, in `journal.jsonl` of a folder of scores.

A verdict belongs to what was judged and who judged it: the image's bytes, the prompt with its metadata, the judge's fingerprint. Where the
image lies plays no part, so a folder that was moved or completed is judged only where it is new. Lines are on the disk before
the next batch begins; a torn last line is dropped, any other damage is a `StoreError` with file and line.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from hnbench.errors import StoreError
from hnbench.seeds import digest
from hnbench.suites.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hnbench.scoring.inventory import FoundImage

SCHEMA = 1
"""The version of a line that this package writes."""


def key_of(image: FoundImage, fingerprint: str) -> str:
    """The SHA-256 that a verdict of the judge with this fingerprint is known by."""
    prompt = image.prompt
    return digest([image.sha256, prompt.text, prompt.tag, dict(prompt.metadata), fingerprint])


class Journal:
    """The journal of a folder of scores, open for one process at a time. Use it in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made, locked and read on entering the `with` statement."""
        self.folder = folder
        self.path = folder / "journal.jsonl"
        self.verdicts: dict[str, Verdict] = {}
        self._lock = FileLock(folder / ".lock", timeout=0)

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise StoreError(f"{self.folder} is in use by another process; wait for it to end, or give another folder by --out.") from None
        except OSError as error:
            raise StoreError(f"{self.folder} cannot be written to ({error.strerror}); give another folder by --out.") from error
        try:
            self._read()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _read(self) -> None:
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            try:
                key, verdict = _parse(line)
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{self.path}:{number} is damaged ({error}); remove that line to have its image judged again.") from error
            self.verdicts[key] = verdict
        if len(whole) < len(content):
            os.truncate(self.path, len(whole))

    def add(self, judged: Iterable[tuple[str, FoundImage, Verdict]]) -> None:
        """Append the verdicts of a batch, with their keys, and wait until they are on the disk."""
        judged = list(judged)
        lines = b"".join(_line(key, image, verdict) for key, image, verdict in judged)
        try:
            with self.path.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error.strerror}); make room, and the same command continues.") from error
        self.verdicts.update({key: verdict for key, _, verdict in judged})


def _line(key: str, image: FoundImage, verdict: Verdict) -> bytes:
    about = {"sha256": image.sha256, "name": image.name, "prompt": image.prompt.text}
    value = {"schema": SCHEMA, "key": key, **about, "verdict": asdict(verdict)}
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _parse(line: bytes) -> tuple[str, Verdict]:
    value: Any = json.loads(line)
    if value["schema"] > SCHEMA:
        raise ValueError(f"schema {value['schema']} of a newer hnbench")
    if not isinstance(value["key"], str) or not isinstance(value["verdict"]["correct"], bool | None):
        raise TypeError("it is no verdict")
    return value["key"], Verdict(**value["verdict"])
