"""HPSv3's text is read from a source file that is never run."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.rewards.hpsv3_instruction import read_instruction
from hnbench.rewards.sources import HPSV3_TEXT
from hnbench.weights.pinned_files import FILES, VARIABLE
from tests.rewards.hpsv3_text import INSTRUCTION, RATED, SOURCE, TEXT


@pytest.fixture
def hpsv3_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of ours in the folder that `HNBENCH_DATA` names, pinned by its own content."""
    path = tmp_path / "data" / HPSV3_TEXT
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    pin = hashlib.sha256(SOURCE.encode()).hexdigest()
    monkeypatch.setitem(FILES, HPSV3_TEXT, replace(FILES[HPSV3_TEXT], pin=pin))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "data"))
    return path


def test_the_text_is_the_file_s_two_constants(hpsv3_file: Path) -> None:
    assert read_instruction() == TEXT == INSTRUCTION + RATED


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('\nINSTRUCTION = "', '\nTEXT = "', "does not give INSTRUCTION as a plain string"),
        ("prompt_with_special_token = ", "x = ", "does not give prompt_with_special_token as"),
        (
            'prompt_with_special_token = """',
            'prompt_with_special_token = f"""',
            "does not give prompt_with_special_token as",
        ),
        ("class Collator:", "class Collator", r"cannot be read as Python \(expected ':'.*1\.0\.0"),
    ],
)
def test_a_file_without_the_text_is_refused(
    hpsv3_file: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.setattr("hnbench.weights.pinned_files.matches_pin", lambda *_: True)
    assert old in SOURCE
    hpsv3_file.write_text(SOURCE.replace(old, new))
    with pytest.raises(UsageError, match=said):
        read_instruction()


def test_another_file_than_the_pinned_one_is_refused(
    hpsv3_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(hpsv3_file.parents[1]))
    with pytest.raises(UsageError, match=r"data_collator_qwen\.py is not the known file"):
        read_instruction()


@pytest.mark.skipif(
    not (Path(os.environ.get(VARIABLE, "")) / HPSV3_TEXT).is_file(),
    reason="HNBENCH_DATA names no folder with the real file",
)
def test_the_real_text_is_the_one_that_was_compared() -> None:
    digest = hashlib.sha256(read_instruction().encode()).hexdigest()
    assert digest == "f6ee57479d4e9eee76b49c00dc962e1e696a5a2b3cc32cebd9b1fa76fe27502c"
    assert read_instruction().count("{") == read_instruction().count("<|Reward|>") == 1
