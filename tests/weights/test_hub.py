"""Names of repositories, and what is said when their files cannot be had."""

from __future__ import annotations

import errno
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from hnbench.errors import UsageError
from hnbench.weights import hub
from hnbench.weights.hub import Source

httpx: Any = import_module(errors.HfHubHTTPError.__bases__[0].__module__.split(".")[0])
"""httpx or httpx2, whichever this huggingface_hub is built on."""


def test_a_source_is_a_repository_and_a_revision() -> None:
    assert Source.parse("owner/name") == Source("owner/name", "main")
    assert Source.parse("owner/name@v1.0", ("*.json",)) == Source("owner/name", "v1.0", ("*.json",))
    assert [str(Source.parse(text)) for text in ("owner/name", "owner/name@v1.0")] == [
        "owner/name",
        "owner/name@v1.0",
    ]


@pytest.mark.parametrize(
    "text", ["", "name", "owner/name/more", "owner/", "own er/name", "../name", "@main"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match="is not a repository of the Hub; write owner/name or owner/name@revision"
    ):
        Source.parse(text)


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int | None]:
    """A repository `owner/name`, files and bytes, whose downloads lie in `tmp_path`; there is no
    cache.
    """
    files: dict[str, int | None] = {}

    def info(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(
            siblings=[SimpleNamespace(rfilename=name, size=size) for name, size in files.items()]
        )

    def snapshot(
        _repo: str, *, allow_patterns: list[str], local_files_only: bool = False, **_: object
    ) -> str:
        if local_files_only:
            raise errors.LocalEntryNotFoundError("no such folder")
        (tmp_path / "asked").write_text("\n".join(allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    return files


def failing(kind: type[Exception], status: int = 404, **headers: str) -> Callable[..., Any]:
    """What the Hub's library does when it fails."""
    request = httpx.Request("GET", "https://huggingface.co/owner/name")
    make: Any = kind

    def fail(*_: object, **__: object) -> None:
        if issubclass(kind, errors.HfHubHTTPError):
            raise make("refused", response=httpx.Response(status, request=request, headers=headers))
        raise make("no such thing")

    return fail


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            failing(errors.GatedRepoError, 403),
            (
                "owner/name@v1 is gated: accept its terms at https://huggingface.co/owner/name and"
                " type `hf auth login`"
            ),
        ),
        (
            failing(errors.RevisionNotFoundError),
            "owner/name has no revision 'v1'; write owner/name@REVISION with one that it has",
        ),
        (
            failing(errors.RepositoryNotFoundError, 401),
            r"the Hub has no repository 'owner/name' \(or it is private: type `hf auth login`\)",
        ),
        (
            failing(errors.HfHubHTTPError, 401),
            (
                "the Hub answered 401 Unauthorized; type `hf auth login` with a valid token, or"
                " unset HF_TOKEN"
            ),
        ),
        (failing(errors.HfHubHTTPError, 403), "the Hub answered 403 Forbidden; ask for access"),
        (
            failing(errors.HfHubHTTPError, 429, **{"Retry-After": "7"}),
            "the Hub answered 429 Too Many Requests; wait 7 seconds, or type `hf auth",
        ),
        (
            failing(errors.HfHubHTTPError, 503),
            (
                "the Hub answered 503 Service Unavailable; the Hub has a problem of its own: try"
                " again later"
            ),
        ),
        (
            failing(errors.LocalEntryNotFoundError),
            "owner/name@v1 is not in the local cache and the Hub cannot be reached; connect",
        ),
        (
            failing(errors.OfflineModeIsEnabled),
            "is not in the local cache and HF_HUB_OFFLINE forbids asking the Hub; unset it",
        ),
        (
            failing(httpx.ConnectError),
            (
                r"the Hub cannot be reached \(no such thing\); connect and type it again, or give a"
                r" local folder"
            ),
        ),
        (
            failing(httpx.ProxyError),
            r"the Hub cannot be reached \(no such thing\); check HTTPS_PROXY",
        ),
    ],
)
def test_what_cannot_be_had_is_explained(
    failure: Callable[..., Any],
    message: str,
    repository: dict[str, int | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", failure)
    with pytest.raises(UsageError, match=message) as caught:
        hub.download(Source.parse("owner/name@v1"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=message):
        hub.size(Source.parse("owner/name@v1"))


@pytest.mark.usefixtures("repository")
def test_the_cause_is_told_where_the_library_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> None:
        try:
            failing(errors.HfHubHTTPError, 429)()
        except errors.HfHubHTTPError as error:
            raise errors.LocalEntryNotFoundError("check your internet connection") from error

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", hidden)
    with pytest.raises(UsageError, match="the Hub answered 429"):
        hub.download(Source("owner/name"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/cache/models"),
            "Read-only file system: /cache/models.*set HF_HOME to a folder that can",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/file/hub"),
            "Not a directory: /file/hub.*set HF_HOME to a folder that can",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "No space left on device.*make room there, or set HF_HOME to another folder",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/root/hub"),
            "Permission denied: /root/hub",
        ),
    ],
)
def test_a_cache_that_cannot_be_written_to_is_named(
    error: OSError, message: str, repository: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    repository["a.json"] = 1
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(UsageError, match=f"the cache cannot be written to .{message}"):
        hub.download(Source("owner/name"))


@pytest.mark.usefixtures("repository")
def test_another_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", failing(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        hub.download(Source.parse("owner/name"))


WEIGHTS = (
    (("config.json",),),
    (
        ("model.safetensors", "model-*-of-*.safetensors"),
        ("pytorch_model.bin", "pytorch_model-*-of-*.bin"),
    ),
)


def asked(tmp_path: Path) -> list[str]:
    return (tmp_path / "asked").read_text().splitlines()


def test_safetensors_are_taken_and_pickled_weights_only_where_there_is_nothing_else(
    repository: dict[str, int | None], tmp_path: Path
) -> None:
    source = Source("owner/name", patterns=("*.txt",), needs=WEIGHTS)
    repository |= {"config.json": 1, "pytorch_model.bin": 100, "tf_model.h5": 100, "vocab.txt": 5}
    assert hub.download(source) == tmp_path
    assert asked(tmp_path) == ["vocab.txt", "config.json", "pytorch_model.bin"]
    assert hub.size(source) == 106
    repository |= {"model-00001-of-00002.safetensors": 50, "model-00002-of-00002.safetensors": 51}
    hub.download(source)
    assert asked(tmp_path) == [
        "vocab.txt",
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]
    assert hub.size(source) == 107


def test_a_repository_without_what_is_needed_is_refused_before_anything_is_downloaded(
    repository: dict[str, int | None], tmp_path: Path
) -> None:
    repository |= {"config.json": 1, "flax_model.msgpack": 100}
    with pytest.raises(
        UsageError,
        match=(
            r"owner/name has no model.safetensors or pytorch_model.bin; check the name and the"
            r" revision"
        ),
    ):
        hub.download(Source("owner/name", needs=WEIGHTS))
    assert not (tmp_path / "asked").exists()


def test_a_name_with_signs_of_patterns_is_that_file(
    repository: dict[str, int | None], tmp_path: Path
) -> None:
    repository |= {"a[1].json": 1, "a1.json": 1}
    hub.download(Source("owner/name", needs=((("a[[]1].json",),),)))
    assert asked(tmp_path) == ["a[[]1].json"]


@pytest.mark.parametrize(
    ("names", "lack"),
    [
        (["config.json", "model.safetensors"], ""),
        (["config.json", "pytorch_model.bin"], ""),
        (["model.safetensors"], "it has no config.json"),
        (["config.json"], "it has no model.safetensors or pytorch_model.bin"),
        (
            ["config.json", "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"],
            "it has no model-00002-of-00003.safetensors",
        ),
        ([], "it has no config.json"),
    ],
)
def test_a_half_filled_cache_says_what_it_lacks(
    names: list[str],
    lack: str,
    tmp_path: Path,
    repository: dict[str, int | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "snapshots" / "abc"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", failing(errors.OfflineModeIsEnabled))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    source = Source("owner/name", needs=WEIGHTS)
    if not lack:
        assert hub.download(source) == folder
        return
    with pytest.raises(
        UsageError,
        match=(
            rf"only a part of owner/name is in the local cache \({lack}\) and HF_HUB_OFFLINE"
            r" forbids"
        ),
    ):
        hub.download(source)


def test_the_commit_is_the_name_of_a_snapshots_folder() -> None:
    assert hub.commit_of(Path("models--owner--name/snapshots/abc")) == "abc"
    assert hub.commit_of(Path("some/folder")) == ""
