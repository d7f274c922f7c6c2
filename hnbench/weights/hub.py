"""Files of the Hugging Face Hub: found in the local cache, or downloaded with huggingface_hub's own
progress bars.

What is wanted is named as `owner/name` or `owner/name@revision`, where the revision is a branch, a
tag or a commit. The folder of a snapshot is named after the commit that it holds, which is what a
run records.
"""

from __future__ import annotations

import errno
import glob
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import UsageError, origins

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
        if explained := _explained(source, error, lack):
            raise explained from error
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
        if explained := _explained(source, error, ""):
            raise explained from error
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
            f"the cache cannot be written to ({_first_line(error)}); set HF_HOME to a folder"
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


def _explained(source: Source, error: BaseException, lack: str) -> UsageError | None:
    """The error of a source that cannot be had, with its cause and what to do; None for what comes
    from neither the Hub nor the disk.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    for kind, text in (
        (
            GatedRepoError,
            (
                f"{source} is gated: accept its terms at https://huggingface.co/{source.repo} and"
                " type `hf auth login`"
            ),
        ),
        (
            RevisionNotFoundError,
            (
                f"{source.repo} has no revision {source.revision!r}; write {source.repo}@REVISION"
                " with one that it has"
            ),
        ),
        (
            RepositoryNotFoundError,
            (
                f"the Hub has no repository {source.repo!r} (or it is private: type `hf auth"
                " login`); check the name or give a local folder"
            ),
        ),
    ):
        if any(isinstance(one, kind) for one in origins(error)):
            return UsageError(text)
    because = reason(error)
    if because is None:
        return None
    cached = (
        f"only a part of {source} is in the local cache ({lack})"
        if lack
        else f"{source} is not in the local cache"
    )
    return UsageError(f"{cached} and {because}")


def reason(error: BaseException, otherwise: str = "give a local folder") -> str | None:
    """Why the Hub, or its cache on the disk, did not do what it was asked, and what to do; None
    where the error is of neither.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    chain = list(origins(error))
    unreachable: type[Exception] = HfHubHTTPError.__bases__[
        0
    ]  # of httpx or httpx2, whichever this huggingface_hub is built on
    for one in chain:
        if isinstance(one, HfHubHTTPError):
            return _answered(one, otherwise)
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain):
        return f"HF_HUB_OFFLINE forbids to ask the Hub; unset it, or {otherwise}"
    for one in chain:
        if isinstance(one, unreachable):
            return (
                f"the Hub cannot be reached ({_first_line(one)}); {_connect(one)}, or {otherwise}"
            )
    for one in chain:
        if isinstance(one, OSError) and not isinstance(one, LocalEntryNotFoundError):
            return disk_reason(one)
    return (
        f"the Hub cannot be reached; connect, or {otherwise}"
        if isinstance(error, LocalEntryNotFoundError)
        else None
    )


def _answered(error: BaseException, otherwise: str) -> str:
    """An answer of the Hub that is not a file."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return f"the Hub refused it ({_first_line(error)}); try again, or {otherwise}"
    waiting = getattr(response, "headers", {}).get("Retry-After")
    advice = {
        401: "type `hf auth login` with a valid token, or unset HF_TOKEN",
        403: (
            "ask for access on its page of the Hub, and type `hf auth login` with a token that"
            " has it"
        ),
        429: (
            f"wait{f' {waiting} seconds' if waiting else ' a while'}, or type `hf auth login` for a"
            " higher limit"
        ),
    }.get(
        status,
        (
            "the Hub has a problem of its own: try again later"
            if status >= 500
            else f"try again, or {otherwise}"
        ),
    )
    return (
        f"the Hub answered {status} {getattr(response, 'reason_phrase', '')}".rstrip()
        + f"; {advice}"
    )


def _connect(error: BaseException) -> str:
    text = str(error).lower()
    if "certificate" in text:
        return "set SSL_CERT_FILE to the certificates of your network"
    if "proxy" in text or "Proxy" in type(error).__name__:
        return "check HTTPS_PROXY"
    return "connect and type it again"


def disk_reason(error: OSError) -> str:
    """Why the cache cannot hold a file, and what to do."""
    from huggingface_hub import constants

    place = error.filename if isinstance(error.filename, str) else constants.HF_HUB_CACHE
    advice = (
        "make room there, or set HF_HOME to another folder"
        if error.errno == errno.ENOSPC
        else "set HF_HOME to a folder that can"
    )
    return f"the cache cannot be written to ({error.strerror or error}: {place}); {advice}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
