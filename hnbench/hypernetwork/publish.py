"""Uploads a trained adapter to the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import check_whole
from hnbench.weights.hub import Source
from hnbench.weights.hub_errors import reason

if TYPE_CHECKING:
    from pathlib import Path


def publish(folder: Path, repo: str, *, private: bool) -> str:
    """Upload an adapter's folder to the model repository `owner/name`, which is created if it does
    not exist. Returns the repository's address.

    Raises `UsageError` for an incomplete adapter, a missing token, a token that may not write
    there, no network, and an existing public repository if `private` was asked for.
    """
    from huggingface_hub import HfApi, get_token

    check_whole(folder)
    if Source.parse(repo).revision != "main":
        raise UsageError(f"{repo!r} names a revision; write owner/name")
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
