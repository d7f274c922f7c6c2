"""Reads files in published archives without unpacking them: no path in an archive is ever written
to.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    Found = Iterator[tuple[str, int, Callable[[], BinaryIO | None]]]

LARGEST = 64 * 2**20
"""The most bytes of one file, which is a picture or a part of CIFAR-10."""


def read_files(archive: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Name -> content, for files of a tar or zip archive. A name is the end of a path in the
    archive, for example `style/00001.jpg`.

    All contents are kept in memory, as they are in the archive. `UsageError` if the archive is
    damaged, or if a file is missing, occurs more than once, or is larger than `LARGEST`. Links, and
    anything else that is not a plain file, count as missing.
    """
    wanted = defaultdict(set)
    for name in names:
        wanted[len(PurePosixPath(name).parts)].add(name)
    found: dict[str, bytes] = {}
    try:
        for path, size, opened in _files(archive):
            for depth, ends in wanted.items():
                end = "/".join(PurePosixPath(path).parts[-depth:])
                if end in ends:
                    if end in found:
                        raise UsageError(f"{archive} has more than one file {end}")
                    found[end] = _contents(archive, path, size, opened)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise UsageError(
            f"{archive} cannot be read as an archive ({error}); remove it, and it is downloaded"
            " again"
        ) from error
    missing = sorted(set().union(*wanted.values()) - found.keys())
    if missing:
        raise UsageError(
            f"{archive} lacks {len(missing)} files that the check needs, for example {missing[0]}"
        )
    return found


def _files(archive: Path) -> Found:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if not entry.is_dir():
                    yield entry.filename, entry.file_size, lambda entry=entry: opened.open(entry)  # type: ignore[misc]
    else:
        with tarfile.open(archive, "r:*") as packed:
            for member in packed:
                if member.isfile():
                    yield member.name, member.size, lambda member=member: packed.extractfile(member)  # type: ignore[misc]


def _contents(archive: Path, path: str, size: int, opened: Callable[[], BinaryIO | None]) -> bytes:
    file = opened()
    # One byte more is read, because the size that an archive states can be wrong.
    contents = file.read(LARGEST + 1) if file and size <= LARGEST else None
    if contents is None or len(contents) > LARGEST:
        raise UsageError(
            f"{path} in {archive} is larger than the {LARGEST // 2**20} MiB that a check reads"
        )
    return contents
