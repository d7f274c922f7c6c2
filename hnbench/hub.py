"""Files of the Hugging Face Hub: found in the local cache, or downloaded with huggingface_hub's own progress bars.

What is wanted is named as `owner/name` or `owner/name@revision`, where the revision is a branch, a tag or a commit. The folder of
a snapshot is named after the commit that it holds, which is what a run records.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Files of one repository: those that match any of `patterns` (all of them, when there is none)."""

    repo: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()
    kind: str = "model"
    """`"model"` or `"dataset"`."""

    @staticmethod
    def parse(text: str, patterns: tuple[str, ...] = ()) -> Source:
        """The source of `owner/name` or `owner/name@revision`. Anything else is a `UsageError`."""
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        repo, _, revision = text.partition("@")
        try:
            validate_repo_id(repo)
        except HFValidationError:
            repo = ""
        if repo.count("/") != 1:
            raise UsageError(f"{text!r} is no repository of the Hub; write owner/name or owner/name@revision")
        return Source(repo, revision or "main", patterns)

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def download(source: Source) -> Path:
    """The folder with the source's files: from the cache where all of them are there, else downloaded.

    A repository or revision that does not exist, one that needs a token or an agreement, and no network with nothing cached are
    `UsageError`s that name what to do.
    """
    from huggingface_hub import snapshot_download

    def fetch() -> str:
        return snapshot_download(source.repo, revision=source.revision, repo_type=source.kind, allow_patterns=list(source.patterns) or None)

    return Path(_translated(source, fetch))


def size(source: Source) -> int:
    """How many bytes the source's files have, as the Hub says."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils._paths import filter_repo_objects

    def ask() -> int:
        about = HfApi().repo_info(source.repo, revision=source.revision, repo_type=source.kind, files_metadata=True)
        found = getattr(about, "siblings", None) or []
        chosen = filter_repo_objects(found, allow_patterns=list(source.patterns) or None, key=lambda item: item.rfilename)
        return sum(item.size or 0 for item in chosen)

    return _translated(source, ask)


def commit_of(folder: Path) -> str:
    """The commit that a snapshot's folder holds; empty for any other folder."""
    return folder.name if folder.parent.name == "snapshots" else ""


@dataclass(frozen=True)
class Found:
    """The files of several sources on this machine: a folder for each, and for people where they come from."""

    folders: tuple[Path, ...]
    origin: str


def wanted(sources: tuple[Source, ...], where: str = "") -> tuple[Source, ...]:
    """What has to come from the Hub for `NAME@where`.

    Nothing, where that is a local folder; where it is a repository, that one in place of the first source. Anything else is a `UsageError`.
    """
    if not where:
        return sources
    if Path(where).expanduser().is_dir():
        return ()
    try:
        other = Source.parse(where)
    except UsageError as error:
        raise UsageError(f"{where!r} is no folder here, and {error}") from None
    return (replace(sources[0], repo=other.repo, revision=other.revision), *sources[1:])


def find(sources: tuple[Source, ...], where: str = "") -> Found:
    """The files of `NAME@where`, downloaded where needed. A local folder has to hold those of all sources."""
    needed = wanted(sources, where)
    if not needed:
        return Found((Path(where).expanduser(),) * len(sources), where)
    folders = tuple(download(source) for source in needed)
    commits = [commit_of(folder) or source.revision for folder, source in zip(folders, needed, strict=True)]
    return Found(folders, ", ".join(f"{source.repo}@{commit}" for source, commit in zip(needed, commits, strict=True)))


def _translated(source: Source, ask: Callable[[], T]) -> T:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    any_http_error: type[Exception] = HfHubHTTPError.__bases__[0]  # of httpx or httpx2, whichever this huggingface_hub is built on
    try:
        return ask()
    except GatedRepoError as error:
        raise UsageError(
            f"{source} is gated: accept its terms at https://huggingface.co/{source.repo} and type `hf auth login` with your token"
        ) from error
    except RevisionNotFoundError as error:
        raise UsageError(f"{source.repo} has no revision {source.revision!r}; write {source.repo}@REVISION with one that it has") from error
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"the Hub has no repository {source.repo!r} (or it is private: type `hf auth login`); check the name or give a local folder"
        ) from error
    except HfHubHTTPError as error:
        raise UsageError(f"the Hub refused {source}: {error}; try again, or give a local folder") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, any_http_error) as error:
        raise UsageError(
            f"{source} is not in the local cache and the Hub cannot be reached; connect, fetch it beforehand with `hnbench fetch`, "
            "or give a local folder"
        ) from error
