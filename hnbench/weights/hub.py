"""Files of the Hugging Face Hub: found in the local cache, or downloaded with huggingface_hub's own
progress bars.

A repository is named as `owner/name` or `owner/name@revision`; the revision is a branch, a tag or a
commit. The folder of a snapshot is named after the commit that it holds, and runs record that
commit.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.weights.hub_errors import disk_reason, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Alternatives = tuple[tuple[str, ...], ...]
"""Alternative sets of files for one purpose, the preferred one first; each is the patterns of its
files.
"""
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\..+)")
_NO_FILE = ("*/:no file has such a name",)
"""A pattern that matches nothing: it asks for a snapshot's folder without any of its files."""


@dataclass(frozen=True)
class Source:
    """Files of one repository: those that match any of `patterns`, and those that are needed. If
    both are empty, all files.
    """

    repo: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()
    """Patterns of optional files, which are taken if the repository has them."""
    kind: str = "model"
    """`"model"` or `"dataset"`."""
    needs: tuple[Alternatives, ...] = ()
    """Required files. For each need, only the first alternative of which the repository has files
    is taken.
    """

    @staticmethod
    def parse(
        text: str, patterns: tuple[str, ...] = (), needs: tuple[Alternatives, ...] = ()
    ) -> Source:
        """The source of `owner/name` or `owner/name@revision`. Anything else is a `UsageError`."""
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        repo, _, revision = text.partition("@")
        try:
            validate_repo_id(repo)
        except HFValidationError:
            repo = ""
        if repo.count("/") != 1:
            raise UsageError(
                f"{text!r} is not a repository of the Hub; write owner/name or owner/name@revision"
            )
        return Source(repo, revision or "main", patterns, needs=needs)

    @property
    def files(self) -> tuple[str, ...]:
        """All patterns, including those of every alternative."""
        return (
            *self.patterns,
            *(pattern for need in self.needs for alternative in need for pattern in alternative),
        )

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


class Lacking(UsageError):  # noqa: N818
    """A repository, or the cached part of one, lacks a file that is needed."""


def select(source: Source, names: Iterable[str], shown: str = "") -> list[str]:
    """The files among `names` that belong to the source. If a need has no file, that is a
    `Lacking`, which calls the place `shown`.
    """
    there = sorted(names)
    if not source.files:
        return there
    chosen = dict.fromkeys(_matching(there, source.patterns))
    for need in source.needs:
        found = next(
            (files for alternative in need if (files := _matching(there, alternative))), []
        )
        if not found:
            wanted = " or ".join(dict.fromkeys(alternative[0] for alternative in need))
            raise Lacking(
                f"{shown} has no {wanted}"
                if shown
                else f"{source} has no {wanted}; check the name and the revision, or give a folder"
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def download(source: Source) -> Path:
    """The folder with the source's files. Files that are not in the cache are downloaded.

    If the Hub cannot be asked, a complete cached folder is enough.

    Raises `Lacking` if the repository lacks a needed file, before anything is downloaded. Raises
    `UsageError`, with the cause and what to do, for a repository or revision that does not exist,
    one that needs a token or an agreement, no network while not everything is cached, any other
    refusal of the Hub, and a cache that cannot be written to.
    """
    from huggingface_hub import snapshot_download

    try:
        chosen = select(source, _sizes(source))
        # The Hub takes patterns, and a file's name may have characters that mean something in one.
        patterns = [glob.escape(name) for name in chosen] or list(_NO_FILE)
        folder = snapshot_download(
            source.repo, revision=source.revision, repo_type=source.kind, allow_patterns=patterns
        )
    except Lacking:
        raise
    except Exception as error:
        cached, lack = _cached(source)
        if cached is not None:
            return cached
        if known := unavailable(source, error, lack):
            raise known from error
        raise
    return Path(folder)


def is_cached(source: Source) -> bool:
    """Whether all of the source's files are in the cache. Nothing is asked over the network."""
    return _cached(source)[0] is not None


def _cached(source: Source) -> tuple[Path | None, str]:
    """The source's folder in the cache, or None and what it lacks (empty if there is no folder)."""
    from huggingface_hub import snapshot_download

    try:
        # Only the snapshot's folder is asked for: `lacking` checks its files more strictly.
        found = snapshot_download(
            source.repo,
            revision=source.revision,
            repo_type=source.kind,
            local_files_only=True,
            allow_patterns=list(_NO_FILE),
        )
    except Exception:  # noqa: BLE001 - the caller reports why the download failed
        return None, ""
    folder = Path(found)
    lack = lacking(source, folder)
    return (None, lack) if lack else (folder, "")


def lacking(source: Source, folder: Path) -> str:
    """A description of what a folder lacks of a source's needs: a file, or shards of one. Empty if
    it has them all.
    """
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    try:
        chosen = select(source, names, "it")
    except Lacking as error:
        return str(error)
    if not chosen:
        return f"it has no {' or '.join(source.files)}" if source.files else "it is empty"
    missing = next(_missing_shards(chosen), "")
    return missing and f"it has no {missing}"


def _missing_shards(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if match := _SHARD.fullmatch(name):
            stem, _, count, ending = match.groups()
            yield from (
                shard
                for number in range(1, int(count) + 1)
                if (shard := f"{stem}-{number:05d}-of-{count}{ending}") not in names
            )


def size(source: Source) -> int:
    """The size of the source's files in bytes, as the Hub says. Raises `UsageError` as
    `download`.
    """
    try:
        sizes = _sizes(source)
    except Exception as error:
        if known := unavailable(source, error, ""):
            raise known from error
        raise
    return sum(sizes[name] for name in select(source, sizes))


def _sizes(source: Source) -> Mapping[str, int]:
    """The repository's files and their sizes in bytes."""
    from huggingface_hub import HfApi

    about = HfApi().repo_info(
        source.repo, revision=source.revision, repo_type=source.kind, files_metadata=True
    )
    return {item.rfilename: item.size or 0 for item in getattr(about, "siblings", None) or ()}


def assets_folder(namespace: str, subfolder: str = "default") -> Path:
    """This package's own folder in huggingface_hub's cache for other files ("assets"). If it cannot
    be made, that is a `UsageError`.
    """
    from huggingface_hub import cached_assets_path

    try:
        return Path(cached_assets_path("hnbench", namespace, subfolder))
    except OSError as error:
        raise UsageError(disk_reason(error)) from error
    except ValueError as error:  # a file lies where a folder should be
        raise UsageError(
            f"the cache cannot be written to ({first_line(error)}); set HF_HOME to a folder"
            " that can"
        ) from error


def commit_of(folder: Path) -> str:
    """The commit that a snapshot's folder holds; empty for any other folder."""
    return folder.name if folder.parent.name == "snapshots" else ""


def repo_of(folder: Path) -> str:
    """The repository `owner/name` of a snapshot's folder in the cache; empty for any other
    folder.
    """
    if not commit_of(folder):
        return ""
    kind, *parts = folder.parent.parent.name.split("--")
    return "/".join(parts) if kind == "models" else ""


@dataclass(frozen=True)
class Found:
    """The files of several sources on this machine: a folder for each, and their origin for
    people.
    """

    folders: tuple[Path, ...]
    origin: str


def name_at(name: str, where: str = "") -> str:
    """`NAME@where`: the name of something that is loaded from another folder or repository."""
    return f"{name}@{where}" if where else name


def wanted(sources: tuple[Source, ...], where: str = "") -> tuple[Source, ...]:
    """The sources that `NAME@where` needs from the Hub.

    Nothing if `where` is a local folder. If it is a repository, that one replaces the first source.
    Anything else is a `UsageError`.
    """
    if not where:
        return sources
    if Path(where).expanduser().is_dir():
        return ()
    try:
        other = Source.parse(where)
    except UsageError as error:
        raise UsageError(f"{where!r} is not a folder here, and {error}") from None
    return (replace(sources[0], repo=other.repo, revision=other.revision), *sources[1:])


def find(sources: tuple[Source, ...], where: str = "") -> Found:
    """The files of `NAME@where`, downloaded if needed. A local folder must hold the files of all
    sources.
    """
    needed = wanted(sources, where)
    if not needed:
        return Found((Path(where).expanduser(),) * len(sources), where)
    folders = tuple(download(source) for source in needed)
    commits = [
        commit_of(folder) or source.revision for folder, source in zip(folders, needed, strict=True)
    ]
    return Found(
        folders,
        ", ".join(
            f"{source.repo}@{commit}" for source, commit in zip(needed, commits, strict=True)
        ),
    )
