"""Prompt files come whole or not at all, from the folder given, the cache or the network, in that
order.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.weights import pinned_files as data
from hnbench.weights.pinned_files import FILES, DataFile, Origin, data_file, fetch

NAME, TEXT = "toys/prompts.txt", b"a red cube\r\na dog\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One known file, whose origin is a folder of this machine, and an empty cache."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "prompts.txt").write_bytes(TEXT)
    known = DataFile(
        Origin("o/r", "0" * 40, "MIT"), "prompts.txt", hashlib.sha256(TEXT).hexdigest()
    )
    monkeypatch.setattr(data, "FILES", {NAME: known})
    monkeypatch.setattr(DataFile, "url", property(lambda file: (served / file.path).as_uri()))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv(data.VARIABLE, raising=False)
    folder = tmp_path / "cache" / "toys"
    folder.mkdir(parents=True)
    monkeypatch.setattr(data, "_cache", lambda name: folder / Path(name).name)
    return folder


def test_a_download_is_cached_and_not_repeated(cache: Path) -> None:
    path = data_file(NAME)
    assert path == cache / "prompts.txt"
    assert path.read_bytes() == TEXT
    (cache.parents[1] / "served" / "prompts.txt").unlink()
    assert data_file(NAME) == path


def test_a_damaged_copy_in_the_cache_is_downloaded_again(cache: Path) -> None:
    (cache / "prompts.txt").write_bytes(b"something else")
    assert data_file(NAME).read_bytes() == TEXT


def test_other_bytes_than_the_pinned_ones_are_refused_and_leave_nothing_behind(cache: Path) -> None:
    (cache.parents[1] / "served" / "prompts.txt").write_bytes(b"a blue cube\n")
    with pytest.raises(UsageError, match="gave other content than expected"):
        data_file(NAME)
    assert not list(cache.iterdir())


def test_the_beginning_of_a_hash_is_enough_where_no_more_is_published(cache: Path) -> None:
    url, sha256 = data.FILES[NAME].url, data.FILES[NAME].pin
    assert fetch(NAME, url, sha256[:8]).read_bytes() == TEXT
    (cache / "prompts.txt").write_bytes(b"something else")
    assert fetch(NAME, url, sha256[:8]).read_bytes() == TEXT
    with pytest.raises(UsageError, match="gave other content than expected"):
        fetch(NAME, url, "00000000")


def test_the_folder_of_the_variable_comes_first_and_what_it_lacks_comes_from_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv(data.VARIABLE, str(own))
    assert data_file(NAME).parent == cache
    (own / "toys").mkdir()
    (own / NAME).write_bytes(TEXT)
    assert data_file(NAME) == own / NAME


def test_a_folder_given_wins_over_the_variable(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("variable", "given"):
        (tmp_path / name / "toys").mkdir(parents=True)
        (tmp_path / name / NAME).write_bytes(TEXT)
    monkeypatch.setenv(data.VARIABLE, str(tmp_path / "variable"))
    assert data_file(NAME, tmp_path / "given") == tmp_path / "given" / NAME


def test_a_changed_file_in_the_given_folder_is_refused(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    (tmp_path / NAME).write_bytes(TEXT + b"one more\n")
    with pytest.raises(UsageError, match="is not the known file"):
        data_file(NAME, tmp_path)


def test_a_folder_that_is_not_there_is_a_clear_error(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        data_file(NAME, tmp_path / "nowhere")


def test_no_network_is_a_clear_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache.parents[1] / "served" / "prompts.txt").unlink()
    with pytest.raises(
        UsageError,
        match=f"connect and type it again, or put it at FOLDER/{NAME} and set HNBENCH_DATA=FOLDER",
    ):
        data_file(NAME)


def test_offline_forbids_the_download(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
        data_file(NAME)
    assert not list(cache.iterdir())


def test_the_cache_is_the_hub_s_folder_for_assets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path))
    assert data._cache(NAME) == tmp_path / "hnbench" / "data" / "toys" / "prompts.txt"


def test_a_pin_may_be_what_git_calls_the_content(cache: Path) -> None:
    # `printf 'a red cube\\r\\na dog\\n' | git hash-object --stdin`
    url = data.FILES[NAME].url
    assert fetch(NAME, url, "git:a28b3f38c66ecc1cc37e7417527bb137c3d91cc6").read_bytes() == TEXT
    (cache / "prompts.txt").write_bytes(TEXT + b"one more")
    assert fetch(NAME, url, "git:a28b3f38c66ecc1cc37e7417527bb137c3d91cc6").read_bytes() == TEXT
    with pytest.raises(UsageError, match="git's 000000000000"):
        fetch(NAME, url, f"git:{'0' * 40}")


def test_a_cache_that_cannot_hold_the_file_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/some/place")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(
        UsageError, match=r"No space left on device: /some/place\); make room there, or set HF_HOME"
    ):
        data_file(NAME)


def test_a_cache_without_a_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "file" / "assets")
    )
    with pytest.raises(
        UsageError,
        match=(
            r"the cache cannot be written to \(Corrupted assets folder.*\); set HF_HOME to a folder"
            r" that can"
        ),
    ):
        data._cache(NAME)


def test_every_file_is_pinned() -> None:
    for name, file in FILES.items():
        assert re.fullmatch(r"[\w-]+/[\w.-]+", name)
        assert re.fullmatch(r"[0-9a-f]{64}|git:[0-9a-f]{40}", file.pin)
        assert re.fullmatch(r"[0-9a-f]{40}", file.origin.commit)
        # GenEval 2 may not be used commercially: it is downloaded, and nothing of it is shipped.
        own = ("CC-BY-NC-4.0",) if name.startswith("geneval2/") else ("MIT", "Apache-2.0")
        assert file.origin.licence in own
    assert len({file.pin for file in FILES.values()}) == len(FILES)


@pytest.mark.skipif(
    not os.environ.get(data.VARIABLE), reason="HNBENCH_DATA names no folder with the real files"
)
def test_the_real_files_are_the_pinned_ones() -> None:
    folder = Path(os.environ[data.VARIABLE])
    known = [name for name in FILES if (folder / name).parent.is_dir()]
    assert known
    for name in known:
        assert data_file(name) == folder / name
