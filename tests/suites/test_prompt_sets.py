from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.suites import prompt_sets
from hnbench.suites.prompt_sets import STYLES, dpg, hpdv2, parti
from tests.suites.protocols import tasks_of

DATA = os.environ.get("HNBENCH_DATA", "")


@pytest.mark.skipif(
    not (Path(DATA) / "partiprompts").is_dir(),
    reason="HNBENCH_DATA names no folder with PartiPrompts, and tests download nothing",
)
def test_the_1632_parti_prompts() -> None:
    suite = parti()
    texts = [prompt.text for prompt in suite.prompts()]
    assert (len(texts), len(set(texts)), len(tasks_of(suite, full=True)), len(suite.subset())) == (
        1632,
        1632,
        1632,
        64,
    )
    assert texts[:2] == ["bond", "element"]
    assert not any("\t" in text or not text for text in texts)
    assert suite.judge() is None


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(prompt_sets, "HPDV2", 3)
    monkeypatch.setattr(prompt_sets, "DPG", 2)
    (tmp_path / "hpdv2").mkdir()
    for style in STYLES:
        (tmp_path / f"hpdv2/{style}.json").write_text(
            json.dumps([f"{style} {number}" for number in range(3)])
        )
    (tmp_path / "dpg/prompts").mkdir(parents=True)
    for name in ("b", "a"):
        (tmp_path / f"dpg/prompts/{name}.txt").write_text(f"a long prompt {name}\n")
    return tmp_path


@pytest.mark.usefixtures("data")
def test_hpdv2_is_four_styles() -> None:
    suite = hpdv2()
    assert suite.tags == STYLES
    assert [prompt.id for prompt in suite.prompts()][:4] == [
        "anime/0000",
        "anime/0001",
        "anime/0002",
        "concept-art/0000",
    ]
    assert len(tasks_of(suite, full=True)) == 12


@pytest.mark.usefixtures("data")
def test_dpg_has_four_images_of_each_prompt() -> None:
    suite = dpg()
    assert [(prompt.id, prompt.text) for prompt in suite.prompts()] == [
        ("a", "a long prompt a"),
        ("b", "a long prompt b"),
    ]
    assert len(tasks_of(suite, full=True)) == 8


@pytest.mark.usefixtures("data")
def test_a_byte_order_mark_is_no_part_of_a_prompt(data: Path) -> None:
    before = (dpg(), hpdv2())
    for path in (data / "dpg/prompts/a.txt", data / "hpdv2/photo.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [suite.version for suite in (dpg(), hpdv2())] == [suite.version for suite in before]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbf \n", "a.txt has no prompt"),
        (b"a\0b", "a.txt has a control character"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_bad_dpg_prompts_are_refused(data: Path, content: bytes, message: str) -> None:
    (data / "dpg/prompts/a.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        dpg()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ("[" * 100000, "is nested too deeply"),
        ('["a", "\\ud800", "b"]', "entry 2 has half of a surrogate pair"),
        ('["a", " ", "b"]', "entry 2 is empty"),
        ('{"a": 1}', "is not a list of texts"),
        ('["a"]', "has 1 prompts; 3 are expected"),
    ],
)
def test_other_hpdv2_files_are_refused(data: Path, content: str, message: str) -> None:
    (data / "hpdv2/photo.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        hpdv2()


def test_a_missing_dpg_prompt_is_told(data: Path) -> None:
    (data / "dpg/prompts/a.txt").unlink()
    with pytest.raises(UsageError, match="has 1 prompts; 2 are expected"):
        dpg()


def test_what_is_not_downloaded_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HNBENCH_DATA", raising=False)
    with pytest.raises(
        UsageError,
        match=(
            r"dpg/prompts is not downloaded by hnbench; get it from .*ELLA.* set"
            r" HNBENCH_DATA=FOLDER"
        ),
    ):
        dpg()
