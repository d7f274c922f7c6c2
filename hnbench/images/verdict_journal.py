"""All verdicts, one JSON line each, in `journal.jsonl` of a folder of scores.

A verdict is identified by what was judged and who judged it: the image's bytes, the prompt with its
metadata, the judge's fingerprint. The image's path plays no part, so if a folder was moved or
completed, only its new images are judged. Lines are on the disk before the next batch begins
(`hnbench.files.journal`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from hnbench.files import journal
from hnbench.files.decoding import Sha256, as_kind, check_schema
from hnbench.runs.shards import WHOLE
from hnbench.seeds import digest
from hnbench.suites.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hnbench.images.inventory import FoundImage
    from hnbench.runs.shards import Shard

SCHEMA = 1
"""The version of a line that this package writes."""
PREFIX, NAME = "scores-", "journal.jsonl"
"""The beginning of the name of a folder of scores in a folder of images, and the journal's name."""


def key_of(image: FoundImage, fingerprint: str) -> str:
    """The SHA-256 that identifies a verdict of the judge with this fingerprint."""
    prompt = image.prompt
    return digest([image.sha256, prompt.text, prompt.tag, dict(prompt.metadata), fingerprint])


class VerdictJournal:
    """The journal of a folder of scores, open for one process at a time for each shard. Use it in a
    `with` statement.
    """

    def __init__(self, folder: Path, shard: Shard = WHOLE) -> None:
        """Name the folder; it is made, locked and read on entering the `with` statement."""
        self._file = journal.Journal(folder / NAME, parse_verdict, (shard.index, shard.count))
        self.verdicts: dict[str, Verdict] = {}

    def __enter__(self) -> Self:
        self.verdicts = dict(self._file.__enter__().lines)
        return self

    def refresh(self) -> None:
        """Read the verdicts of all processes."""
        self._file.refresh()
        self.verdicts = dict(self._file.lines)

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def add(self, judged: Iterable[tuple[str, FoundImage, Verdict]]) -> None:
        """Append the verdicts of a batch, with their keys, and wait until they are on the disk."""
        judged = list(judged)
        self._file.add(_line(key, image, verdict) for key, image, verdict in judged)
        self.verdicts.update({key: verdict for key, _, verdict in judged})


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    key: Sha256
    sha256: str
    """The image's SHA-256. This field, `name` and `prompt` are only for people."""
    name: str
    prompt: str
    verdict: Verdict


def _line(key: str, image: FoundImage, verdict: Verdict) -> dict[str, Any]:
    about = {"sha256": image.sha256, "name": image.name, "prompt": image.prompt.text}
    return {"schema": SCHEMA, "key": key, **about, "verdict": msgspec.to_builtins(verdict)}


def parse_verdict(value: dict[str, Any]) -> tuple[str, Verdict]:
    """The key and the verdict of a decoded line; `MalformedError` if it is none."""
    check_schema(value, SCHEMA)
    line = as_kind(value, _Line)
    return line.key, line.verdict
