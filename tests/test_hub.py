"""Names of repositories, and what is said when their files cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from hnbench import hub
from hnbench.errors import UsageError
from hnbench.hub import Source

httpx: Any = import_module(errors.HfHubHTTPError.__bases__[0].__module__.split(".")[0])
"""httpx or httpx2, whichever this huggingface_hub is built on."""


def test_a_source_is_a_repository_and_a_revision() -> None:
    assert Source.parse("owner/name") == Source("owner/name", "main")
    assert Source.parse("owner/name@v1.0", ("*.json",)) == Source("owner/name", "v1.0", ("*.json",))
    assert [str(Source.parse(text)) for text in ("owner/name", "owner/name@v1.0")] == ["owner/name", "owner/name@v1.0"]


@pytest.mark.parametrize("text", ["", "name", "owner/name/more", "owner/", "own er/name", "../name", "@main"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no repository of the Hub; write owner/name or owner/name@revision"):
        Source.parse(text)


def failing(kind: type[Exception]) -> Callable[..., str]:
    """What `snapshot_download` does when it fails."""
    request = httpx.Request("GET", "https://huggingface.co/owner/name")
    make: Any = kind

    def fail(*_: object, **__: object) -> str:
        if issubclass(kind, errors.HfHubHTTPError):
            raise make("refused", response=httpx.Response(404, request=request))
        raise make("no such thing")

    return fail


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (errors.GatedRepoError, "owner/name@v1 is gated: accept its terms at https://huggingface.co/owner/name and type `hf auth login`"),
        (errors.RevisionNotFoundError, "owner/name has no revision 'v1'; write owner/name@REVISION with one that it has"),
        (errors.RepositoryNotFoundError, r"the Hub has no repository 'owner/name' \(or it is private: type `hf auth login`\)"),
        (errors.HfHubHTTPError, "the Hub refused owner/name@v1"),
        (errors.LocalEntryNotFoundError, "owner/name@v1 is not in the local cache and the Hub cannot be reached; connect"),
        (errors.OfflineModeIsEnabled, "not in the local cache"),
        (httpx.ConnectError, "not in the local cache"),
    ],
)
def test_what_cannot_be_had_is_explained(kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", failing(kind))
    with pytest.raises(UsageError, match=message):
        hub.download(Source.parse("owner/name@v1"))


def test_another_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", failing(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        hub.download(Source.parse("owner/name"))


def test_what_is_asked_for_is_what_the_source_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo, **how: asked.append((repo, how)) or "/some/where")  # type: ignore[func-returns-value]
    assert hub.download(Source("owner/name", "v1", ("*.json",), kind="dataset")) == Path("/some/where")
    hub.download(Source("owner/name"))
    assert asked == [
        ("owner/name", {"revision": "v1", "repo_type": "dataset", "allow_patterns": ["*.json"]}),
        ("owner/name", {"revision": "main", "repo_type": "model", "allow_patterns": None}),
    ]


def test_the_size_is_that_of_the_files_that_match(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [SimpleNamespace(rfilename=name, size=size) for name, size in (("a.json", 3), ("b.json", None), ("c.bin", 5))]
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda *_, **__: SimpleNamespace(siblings=files))
    assert hub.size(Source("owner/name", patterns=("*.json",))) == 3
    assert hub.size(Source("owner/name")) == 8


def test_the_commit_is_the_name_of_a_snapshots_folder() -> None:
    assert hub.commit_of(Path("models--owner--name/snapshots/abc")) == "abc"
    assert hub.commit_of(Path("some/folder")) == ""
