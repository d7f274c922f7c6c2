"""Files of the Hugging Face Hub: found in the local cache, or downloaded with huggingface_hub's own
progress bars.

What is wanted is named as `owner/name` or `owner/name@revision`, where the revision is a branch, a
tag or a commit. The folder of a snapshot is named after the commit that it holds, which is what a
run records.
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
"""Ways to have one thing, the preferred one first: each is the patterns of its files."""
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\..+)")
_NO_FILE = ("*/:no file has such a name",)


@dataclass(frozen=True)
class Source:
    """Files of one repository: those that match any of `patterns`, and what it `needs`; all of
    them, when both are empty.
    """

    repo: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()
    """What is taken where it is there."""
    kind: str = "model"
    """`"model"` or `"dataset"`."""
    needs: tuple[Alternatives, ...] = ()
    """What has to be there. Of each, the first alternative is taken that the repository has files
    of, and no other.
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
        """All patterns, those of every alternative too."""
        return (
            *self.patterns,
            *(pattern for need in self.needs for alternative in need for pattern in alternative),
        )

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


class Lacking(UsageError):  # noqa: N818
    """A repository or a cached part of one has no file that is needed."""


def select(source: Source, names: Iterable[str], shown: str = "") -> list[str]:
    """Those of the given files that the source stands for. Where a need has none,
    `Lacking` says which, of `shown`.
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
    """The folder with the source's files: from the cache where all of them are there, else
    downloaded.

    What is needed and not in the repository is refused before anything is downloaded. A repository
    or revision that does not exist, one that needs a token or an agreement, no network with nothing
    or only a part cached, any other answer of the Hub, and a cache that cannot be written to are
    `UsageError`s that name the cause and what to do.
    """
    from huggingface_hub import snapshot_download

    try:
        chosen = select(source, _sizes(source))
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


def _cached(source: Source) -> tuple[Path | None, str]:
    """The source's folder in the cache, or None and what it lacks (empty without any folder)."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            source.repo,
            revision=source.revision,
            repo_type=source.kind,
            local_files_only=True,
            allow_patterns=list(_NO_FILE),
        )
    except Exception:  # noqa: BLE001
        return None, ""
    folder = Path(found)
    lack = lacking(source, folder)
    return (None, lack) if lack else (folder, "")


def lacking(source: Source, folder: Path) -> str:
    """What a folder lacks of a source's needs, in words: a file, or shards of one; empty where it
    has them all.
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
    """How many bytes the source's files have, as the Hub says."""
    try:
        sizes = _sizes(source)
    except Exception as error:
        if known := unavailable(source, error, ""):
            raise known from error
        raise
    return sum(sizes[name] for name in select(source, sizes))


def _sizes(source: Source) -> Mapping[str, int]:
    """The repository's files and their bytes."""
    from huggingface_hub import HfApi

    about = HfApi().repo_info(
        source.repo, revision=source.revision, repo_type=source.kind, files_metadata=True
    )
    return {item.rfilename: item.size or 0 for item in getattr(about, "siblings", None) or ()}


def assets_folder(namespace: str, subfolder: str = "default") -> Path:
    """A folder of this package's own in huggingface_hub's cache for other files. One that cannot be
    made is a `UsageError`.
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


@dataclass(frozen=True)
class Found:
    """The files of several sources on this machine: a folder for each, and for people where they
    come from.
    """

    folders: tuple[Path, ...]
    origin: str


def name_at(name: str, where: str = "") -> str:
    """`NAME@where`: what something is called that is taken from a folder or another repository."""
    return f"{name}@{where}" if where else name


def wanted(sources: tuple[Source, ...], where: str = "") -> tuple[Source, ...]:
    """The sources that `NAME@where` needs from the Hub.

    Nothing, where that is a local folder; where it is a repository, that one in place of the first
    source. Anything else is a `UsageError`.
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
    """The files of `NAME@where`, downloaded where needed. A local folder has to hold those of all
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
