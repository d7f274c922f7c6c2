"""Uploads a trained adapter to the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import check_whole
from hnbench.weights.hub import Source
from hnbench.weights.hub_errors import reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class PushPlan:
    """An upload that was not made."""

    repo: str
    files: Mapping[str, int]
    """The files by name, and their sizes in bytes."""
    existing: frozenset[str] | None
    """The names of the repository's present files; None if it was not found."""
    remark: str
    """The reason why the repository was not found; empty if it was."""

    @property
    def overwritten(self) -> tuple[str, ...]:
        """The files that the repository has already."""
        return tuple(name for name in self.files if name in (self.existing or ()))


def plan_publish(folder: Path, repo: str) -> PushPlan:
    """Tell what `publish` would upload. This needs no token, and writes nothing.

    The Hub is asked for the repository's files; a repository that cannot be seen is a remark.
    Raises `UsageError` for an incomplete adapter, and for anything but `owner/name`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    _check(folder, repo)
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    existing, remark = None, ""
    try:
        existing = frozenset(HfApi().list_repo_files(repo))
    except RepositoryNotFoundError:
        remark = "it does not exist, and would be created, or is not visible with this token"
    except Exception as error:
        if not (because := reason(error, "use a token that may read there")):
            raise
        remark = f"it was not looked at: {because}"
    return PushPlan(repo, files, existing, remark)


def _check(folder: Path, repo: str) -> None:
    check_whole(folder)
    if Source.parse(repo).revision != "main":
        raise UsageError(f"{repo!r} names a revision; write owner/name")


def publish(folder: Path, repo: str, *, private: bool) -> str:
    """Upload an adapter's folder to the model repository `owner/name`, which is created if it does
    not exist. Returns the repository's address.

    Raises `UsageError` for an incomplete adapter, a missing token, a token that may not write
    there, no network, and an existing public repository if `private` was asked for.
    """
    from huggingface_hub import HfApi, get_token

    _check(folder, repo)
    if not get_token():
        raise UsageError(
            "there is no token for the Hub; type `hf auth login`, or set HF_TOKEN to a token that"
            " may write"
        )
    api = HfApi()
    try:
        # An existing repository stays public or private, whatever is asked for here.
        api.create_repo(repo, private=private, exist_ok=True)
        if not private or api.model_info(repo).private:
            api.upload_folder(
                repo_id=repo, folder_path=folder, commit_message="Upload an adapter with hnbench"
            )
            return f"https://huggingface.co/{repo}"
    except Exception as error:
        if because := reason(error, "use a token that may write there"):
            raise UsageError(f"{repo} was not written: {because}") from error
        raise
    raise UsageError(
        f"the repository {repo} exists and is public; make it private on the Hub, choose another,"
        " or leave out `private`"
    )
