"""Prompts from files and from sets that are known by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue import training_prompts as prompts
from hnbench.catalogue.training_prompts import find_prompts
from hnbench.errors import UsageError
from hnbench.weights.pinned_files import FILES, VARIABLE

real_files = pytest.mark.skipif(
    not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder with the real prompt files"
)


def test_a_name_is_a_set_and_a_path_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").write_text("from the file\n")
    assert find_prompts("./shapes") == ("from the file",)
    (tmp_path / "shapes.csv").write_text("prompt\na cat\na cat\n")
    told: list[str] = []
    assert find_prompts("shapes.csv", None, told.append) == ("a cat",)
    assert told == ["shapes.csv: 1 prompt repeats an earlier one and is left out"]
    assert len(find_prompts("shapes")) == 504


def test_what_is_neither_a_set_nor_a_file() -> None:
    with pytest.raises(
        UsageError,
        match=(
            r"there is no prompt file abc-6, and no prompt set of that name; .* abc-6k, pick-a-pic"
        ),
    ):
        find_prompts("abc-6")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the list of Pick-a-Pic's prompts lies; any content is the known one."""
    path = tmp_path / "training" / "pickapic-prompts.json"
    path.parent.mkdir()
    monkeypatch.setenv("HNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("hnbench.weights.pinned_files.matches_pin", lambda *_: True)
    return path


def test_pick_a_pic_is_the_values_of_the_official_list_in_its_order(listed: Path) -> None:
    listed.write_text(json.dumps({"1": "two cats", "0": " a dog ", "2": "two cats", "3": ""}))
    assert find_prompts("pick-a-pic") == ("two cats", "a dog", "two cats")


@pytest.mark.parametrize("content", ["[", '["a dog"]', '{"0": 1}', "[" * 100_000])
def test_another_content_than_a_list_of_prompts_is_a_clear_error(
    listed: Path, content: str
) -> None:
    listed.write_text(content)
    with pytest.raises(
        UsageError, match=r"pickapic-prompts.json is n.*; remove it, and it is downloaded again"
    ):
        find_prompts("pick-a-pic")


def test_the_list_of_pick_a_pic_comes_from_the_pinned_commit() -> None:
    file = FILES["training/pickapic-prompts.json"]
    assert file.url.endswith(
        "/ExplainableML/HyperNoise/bbe3ab4f9e2df89d4ccdd468acdd5246afde5e56/assets/pickapic_prompts.json"
    )
    assert file.pin == "git:38a86027a3b0190538aa5ddb21b59e2c8665496c"


def test_a_set_reads_its_files_from_the_folder_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def data_file(name: str, folder: Path | None) -> Path:
        path = (folder or tmp_path) / name.replace("/", " ")
        path.write_text(f"{name}\r\n\r\n{folder}\r\n")
        return path

    monkeypatch.setattr(prompts, "data_file", data_file)
    monkeypatch.setattr(prompts, "pick_a_pic", lambda data: ["picked"])
    found = find_prompts("hypernoise", tmp_path)
    categories = ["color", "complex", "texture", "shape", "spatial", "non_spatial", "numeracy"]
    files = [
        *(f"t2i-compbench/{category}_train.txt" for category in categories),
        "training/abc-6k.txt",
    ]
    assert found == (*(line for file in files for line in (file, str(tmp_path))), "picked")


@real_files
@pytest.mark.parametrize(
    ("name", "count", "distinct"),
    [("t2i-compbench-train", 4900, 4859), ("abc-6k", 6434, 6388), ("hypernoise-examples", 25, 25)],
)
def test_the_real_sets_have_the_published_sizes(name: str, count: int, distinct: int) -> None:
    found = find_prompts(name)
    assert (len(found), len(set(found))) == (count, distinct)
    assert all(prompt == prompt.strip() != "" for prompt in found)


def test_every_set_can_be_imported() -> None:
    for entry in registry.PROMPTS.built_in:
        assert callable(entry.load())
