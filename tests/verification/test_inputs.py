"""Inputs: from a pinned address or repository, by SHA-256, one copy for all checks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.verification.inputs import fetch_input
from hnbench.verification.reference import PinnedInput
from hnbench.weights import hub
from hnbench.weights.hub import Source

BYTES = b"a picture"
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "assets")
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that were downloaded from; each gives the same bytes."""
    found: list[str] = []

    def download(url: str, path: str, progress: bool) -> None:
        del progress
        found.append(url)
        Path(path).write_bytes(BYTES)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    return found


def test_checks_share_what_is_at_one_address(asked: list[str]) -> None:
    item = PinnedInput(name="cat.png", url="https://host/cat.png", sha256=SHA256)
    first, second = fetch_input("one", item), fetch_input("two", item)
    assert first == second
    assert first.read_bytes() == BYTES
    other = fetch_input(
        "two", PinnedInput(name="cat.png", url="https://host/other/cat.png", sha256=SHA256)
    )
    assert other != first
    assert asked == ["https://host/cat.png", "https://host/other/cat.png"]


def test_what_is_not_pinned_is_downloaded_once(asked: list[str]) -> None:
    item = PinnedInput(name="cat.png", url="https://host/cat.png", unpinned="an attachment")
    assert fetch_input("one", item) == fetch_input("one", item)
    assert len(asked) == 1


@pytest.mark.usefixtures("asked")
def test_other_bytes_are_refused() -> None:
    with pytest.raises(
        UsageError,
        match=(
            r"https://host/cat\.png gave other content than expected \(SHA-256"
            r" 000000000000\)"
        ),
    ):
        fetch_input("one", PinnedInput(name="cat.png", url="https://host/cat.png", sha256="0" * 64))


def test_a_file_of_the_hub_is_of_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.tar").write_bytes(BYTES)
    sources: list[Source] = []
    monkeypatch.setattr(hub, "download", lambda source: sources.append(source) or tmp_path)  # type: ignore[func-returns-value]
    item = PinnedInput(
        name="images", repo="owner/name", revision="0123abc", path="a/b.tar", sha256=SHA256
    )
    assert fetch_input("one", item) == tmp_path / "a" / "b.tar"
    assert sources == [Source("owner/name", "0123abc", ("a/b.tar",), "dataset")]
    with pytest.raises(
        UsageError, match=r"owner/name@0123abc has no file a/c\.tar, which one needs"
    ):
        fetch_input(
            "one", PinnedInput(name="images", repo="owner/name", revision="0123abc", path="a/c.tar")
        )
    (tmp_path / "a" / "b.tar").write_bytes(b"others")
    with pytest.raises(UsageError, match="is not the file that one needs"):
        fetch_input("one", item)
