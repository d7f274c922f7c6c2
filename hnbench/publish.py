"""A trained adapter, put on the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.hub import Source
from hnbench.hypernetwork.checkpoint import check_whole

if TYPE_CHECKING:
    from pathlib import Path


def publish(folder: Path, repo: str, *, private: bool) -> str:
    """Put an adapter's folder into the model repository `owner/name`, which is made where there is none; the repository's address.

    A folder that is not all of an adapter, no token, a token that may not write there, no network, and a public repository where a
    private one was asked for are `UsageError`s.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    check_whole(folder)
    if Source.parse(repo).revision != "main":
        raise UsageError(f"{repo!r} names a revision; write owner/name")
    if not get_token():
        raise UsageError("there is no token of the Hub; type `hf auth login`, or set HF_TOKEN to a token that may write")
    any_http_error: type[Exception] = HfHubHTTPError.__bases__[0]  # of httpx or httpx2, whichever this huggingface_hub is built on
    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        if private and not api.model_info(repo).private:
            raise UsageError(
                f"the repository {repo} is there and public; make it private on the Hub, choose another, or leave --private out"
            )
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Upload an adapter with hnbench")
    except HfHubHTTPError as error:
        raise UsageError(f"the Hub refused to write {repo}: {error}; type `hf auth login` with a token that may write there") from error
    except (OfflineModeIsEnabled, any_http_error) as error:
        raise UsageError(f"the Hub cannot be reached to write {repo} ({error}); connect and type it again") from error
    return f"https://huggingface.co/{repo}"
