"""Messages for users: why the Hugging Face Hub, or its cache on the disk, did not give or take a
file, and what helps.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from hnbench.errors import UsageError, origins
from hnbench.files.escaping import first_line

if TYPE_CHECKING:
    from hnbench.weights.hub import Source


def unavailable(source: Source, error: BaseException, lack: str) -> UsageError | None:
    """The error for a source that cannot be downloaded, with the cause and what to do; None if the
    cause is neither the Hub nor the disk. `lack` is what the cache lacks of the source.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # The order matters: a GatedRepoError is a RepositoryNotFoundError too.
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
    """Why the Hub, or its cache on the disk, did not do what it was asked, and what to do; None if
    the error comes from neither. `otherwise` is the advice if nothing better is known.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    chain = list(origins(error))
    # httpx's base class, or that of httpx2, whichever this huggingface_hub is built on
    unreachable: type[Exception] = HfHubHTTPError.__bases__[0]
    for one in chain:
        if isinstance(one, HfHubHTTPError):
            return _answered(one, otherwise)
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain):
        return f"HF_HUB_OFFLINE forbids asking the Hub; unset it, or {otherwise}"
    for one in chain:
        if isinstance(one, unreachable):
            return f"the Hub cannot be reached ({first_line(one)}); {_connect(one)}, or {otherwise}"
    for one in chain:
        # A LocalEntryNotFoundError is an OSError too, but says nothing about the disk.
        if isinstance(one, OSError) and not isinstance(one, LocalEntryNotFoundError):
            return disk_reason(one)
    return (
        f"the Hub cannot be reached; connect, or {otherwise}"
        if isinstance(error, LocalEntryNotFoundError)
        else None
    )


def _answered(error: BaseException, otherwise: str) -> str:
    """The message for an error that the Hub answered with."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return f"the Hub refused it ({first_line(error)}); try again, or {otherwise}"
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
    """The message for a cache that cannot hold a file, and what to do."""
    from huggingface_hub import constants

    place = error.filename if isinstance(error.filename, str) else constants.HF_HUB_CACHE
    advice = (
        "make room there, or set HF_HOME to another folder"
        if error.errno == errno.ENOSPC
        else "set HF_HOME to a folder that can"
    )
    return f"the cache cannot be written to ({error.strerror or error}: {place}); {advice}"
