"""File names of any text, against what three systems allow."""

from __future__ import annotations

import hashlib
import ntpath
import re
import sys
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnbench.files.names import LONGEST, OF_MODELS, distinct_name, plain_name

ENDINGS = st.sampled_from(["", "-seed0-0123abcd", "-01234567.json"])
DEVICES = st.sampled_from(["con", "NUL", "Com1", "lpt9", "aux", "prn"])
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(max_size=3).map(lambda text: text * 200),
    st.tuples(DEVICES, st.sampled_from(["", ".", ".txt", " ", ":", "/", "x"])).map("".join),
)


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a name for itself; Python moved the answer in 3.13."""
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


@given(TEXTS, ENDINGS, st.sampled_from(["", OF_MODELS]))
def test_any_text_becomes_a_file_name_everywhere(text: str, ending: str, also: str) -> None:
    name = plain_name(text, ending=ending, also=also)
    assert re.fullmatch(rf"[A-Za-z0-9._{re.escape(also)}-]+", name)
    assert len(name.encode()) <= LONGEST
    assert Path(name).name == PureWindowsPath(name).name == name
    assert not is_reserved(name)
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert name.endswith(ending)
    assert plain_name(name, also=also) == name.lstrip("-")


@given(st.lists(TEXTS, max_size=6, unique=True))
def test_different_texts_have_distinct_names(texts: list[str]) -> None:
    assert len({distinct_name(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("best-of-16", "best-of-16"),
        ("owner/name@rev", "owner_name_rev"),
        ("../models/x", "_models_x"),
        ("a:b", "a-b"),
        ("nul.txt", "_nul.txt"),
        ("CON", "_CON"),
        ("console", "console"),
        ("...", "_"),
        ("", "_"),
        ("half \ud800", "half__"),
        ("x.txt.", "x.txt"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert plain_name(text) == name


def test_what_is_cut_is_told_apart_by_a_hash() -> None:
    long = "x" * 300
    assert plain_name(long, ending=".json").endswith(
        f"x-{hashlib.sha256(long.encode()).hexdigest()[:8]}.json"
    )
    assert distinct_name("a/b") == f"a_b-{hashlib.sha256(b'a/b').hexdigest()[:8]}"


def test_a_file_of_such_a_name_can_be_made(tmp_path: Path) -> None:
    path = tmp_path / plain_name("日本\0/" * 100, ending=".json")
    path.with_name(f"{path.name}.tmp").write_text("")
    path.write_text("")
