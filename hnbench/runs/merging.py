"""Merges the folders of one run, from machines without a common disk.

Journals are copied as they are and numbered by the time of their first record, so the result does
not depend on the order of the folders. Of each image, the file counts whose SHA-256 is that of the
record that counts; it is linked if possible, else copied. Images come before the journals. So if
the process is killed, the folder is a run with fewer records, and the same command completes it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hnbench.errors import StoreError, UsageError
from hnbench.files.escaping import quoted
from hnbench.files.hashing import sha256_of
from hnbench.files.sharing import gate, part_locked
from hnbench.files.writing import write_whole, writing
from hnbench.runs.identity import differences
from hnbench.runs.journals import (
    Union,
    journal_name,
    journals_of,
    lines_of,
    next_number,
    number_of,
    read_line,
)
from hnbench.runs.manifest import MANIFEST, read_manifest
from hnbench.runs.plan import identities_in
from hnbench.runs.sessions import joined
from hnbench.runs.store import manifest_of, manifest_text
from hnbench.seeds import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hnbench.runs.record import SavedImage


class MergeProgress(Protocol):
    """A display of a merge's progress."""

    def label(self, name: str, total: int) -> None:
        """A stage begins that has `total` steps."""

    def advance(self, count: int) -> None:
        """Add `count` steps."""


@dataclass(frozen=True)
class Additions:
    """The additions of a merge to its folder."""

    journals: int
    images: int
    damaged: tuple[str, ...]
    """The paths of images that no folder has as they were written. Their records count as missing:
    the next `hnbench run` computes them.
    """


def merge(folders: Sequence[Path], out: Path, progress: MergeProgress) -> Additions:
    """Merge run folders into `out`, which may be one of them, or any folder of the same run.

    `UsageError` if no folder is given; `StoreError` if one is not a run folder or is damaged, if
    they are not of one run with one plan, or if `out` is in use or cannot be written to.
    """
    parts = _distinct(folders, out)
    if not parts:
        raise UsageError(
            f"there is nothing to merge into {out}; give at least one other run folder"
        )
    manifests = {part: manifest_of(part) for part in parts}
    _require_one_run(manifests)
    with part_locked(out, 1, 1), writing(out, "The same command continues."):
        there = read_manifest(out)
        if there is not None:
            manifests = {out: there, **manifests}
            _require_one_run(manifests)
        elif journals_of(out):
            raise StoreError(
                f"{out} has journals but no {MANIFEST}; put it back, or give another folder."
            )
        names = _names(out, list(manifests))
        with gate(out):
            write_whole(out / MANIFEST, manifest_text(_joined(manifests, names)))
        # Journals with the same name have the same content, so any of them will do.
        sources = {name: path for path, name in names.items()}
        records = Union(sources[name] for name in _in_order(sources)).records.values()
        images = [record.image for record in records if record.image]
        added, damaged = _bring_images(images, parts, out, progress)
        copied = [name for name in _in_order(sources) if not (out / name).exists()]
        for name in copied:
            write_whole(out / name, sources[name].read_bytes())
    return Additions(len(copied), added, damaged)


def _distinct(folders: Iterable[Path], out: Path) -> list[Path]:
    """The folders, each once, without `out`."""
    found = {folder.resolve(): folder for folder in folders}
    found.pop(out.resolve(), None)
    return list(found.values())


def _require_one_run(manifests: Mapping[Path, Mapping[str, Any]]) -> None:
    (first, one), *others = manifests.items()
    for folder, other in others:
        if differing := differences(one, other, ("in the first", "in the second")):
            raise StoreError(
                f"{first} and {folder} are different runs ({differing}); only parts of one run can"
                " be merged."
            )
        plans = one["plan"], other["plan"]
        if differing := ", ".join(
            name for name in plans[0] if plans[0][name] != plans[1].get(name)
        ):
            raise StoreError(
                f"{first} and {folder} have different plans ({differing}); continue both with the"
                " same methods, `limit` and `full`, and merge them then."
            )
        if twice := _labelled_twice(identities_in(one), identities_in(other)):
            raise StoreError(
                f"{first} and {folder} have different settings in the row {quoted(twice)} of"
                " earlier commands; `hnbench compare` shows them side by side."
            )


def _labelled_twice(
    one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]
) -> str:
    """The first label that stands for different settings; empty if there is none."""
    return next(
        (name for name in one if name in other and canonical(one[name]) != canonical(other[name])),
        "",
    )


def _names(out: Path, folders: Iterable[Path]) -> dict[Path, str]:
    """The journals of all folders, and the name that each has in `out`. Those of `out` keep theirs,
    equal ones have the same, and empty ones have none.
    """
    known = {sha256_of(path.read_bytes()): path.name for path in journals_of(out)}
    found = [_Journal.at(path) for folder in folders for path in journals_of(folder)]
    number = next_number(out)
    for journal in sorted(found, key=lambda one: one.place):
        if journal.sha256 not in known and not journal.empty:
            known[journal.sha256] = journal_name(number, "".join(journal.path.suffixes))
            number += 1
    return {one.path: known[one.sha256] for one in found if one.sha256 in known}


@dataclass(frozen=True)
class _Journal:
    path: Path
    sha256: str
    empty: bool
    place: tuple[float, int, str]
    """Its place among others: by the time of its first record, then by its content. Journals of an
    older hnbench have no times; they come first, and keep their order.
    """

    @staticmethod
    def at(path: Path) -> _Journal:
        sha256 = sha256_of(path.read_bytes())
        first = next(lines_of(path), None)
        written = None if first is None else read_line(first)[0].written
        number = number_of(path) if written is None else 0
        return _Journal(path, sha256, first is None, (written or 0.0, number, sha256))


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (number_of(Path(name)), name))


def _joined(
    manifests: Mapping[Path, Mapping[str, Any]], names: Mapping[Path, str]
) -> dict[str, Any]:
    """The `run.json` of all: that of the latest session, with the sessions of all."""
    # By number: a session's journal has another name since it was compressed or packed.
    numbered = {(path.parent, number_of(path)): name for path, name in names.items()}
    sessions: dict[str, dict[str, Any]] = {}
    for folder, manifest in manifests.items():
        for session in manifest.get("sessions", []):
            own = {name: value for name, value in session.items() if name != "journal"}
            journal = numbered.get((folder, number_of(Path(session.get("journal", "")))))
            # A session that was merged before is the same, and its journal has one name.
            known = sessions.setdefault(canonical(own), own)
            if journal:
                known["journal"] = journal
    listed = sorted(sessions.values(), key=lambda one: (one.get("started", ""), canonical(one)))
    result: dict[str, Any] = {}
    for manifest in sorted(manifests.values(), key=_age):
        result = joined(result, manifest, listed)
    return result


def _age(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """The order of manifests: the one with the latest session is the last."""
    started = (session.get("started", "") for session in manifest.get("sessions", []))
    rest = {name: value for name, value in manifest.items() if name != "sessions"}
    return max(started, default=""), canonical(rest)


def _bring_images(
    images: Sequence[SavedImage], parts: Sequence[Path], out: Path, progress: MergeProgress
) -> tuple[int, tuple[str, ...]]:
    """Bring every image that `out` does not have yet. Returns how many were brought, and the paths
    of those that no folder has intact; a file that is not the image is removed from `out`.
    """
    progress.label("merging images", len(images))
    added, damaged = 0, []
    for image in images:
        target = out / image.path
        if _content(target, image) is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            if any(_bring(part / image.path, target, image) for part in parts):
                added += 1
            else:
                damaged.append(image.path)
                target.unlink(missing_ok=True)
        progress.advance(1)
    return added, tuple(damaged)


def _bring(source: Path, target: Path, image: SavedImage) -> bool:
    """Link or copy an image, if it is the one that the record has. No half-written file can have
    the image's name.
    """
    content = _content(source, image)
    if content is None:
        return False
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary, follow_symlinks=False)
        temporary.replace(target)
    except OSError:  # another disk, or one without links
        write_whole(target, content)
    return True


def _content(path: Path, image: SavedImage) -> bytes | None:
    """The bytes of an image's file; None if it is missing, or not the image."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if sha256_of(content) == image.sha256 else None
