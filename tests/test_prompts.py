"""Prompts from files and from sets that are known by name."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hnbench import prompts, registry
from hnbench.data import VARIABLE
from hnbench.errors import UsageError
from hnbench.prompts import find_prompts

real_files = pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder with the real prompt files")


def test_a_name_is_a_set_and_a_path_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").write_text("from the file\n")
    assert find_prompts("./shapes") == ("from the file",)
    (tmp_path / "shapes.csv").write_text("prompt\na cat\na cat\n")
    told: list[str] = []
    assert find_prompts("shapes.csv", None, told.append) == ("a cat",)
    assert told == ["shapes.csv: 1 prompt repeats an earlier one and is left out"]
    assert len(find_prompts("shapes")) == 504


def test_what_is_neither_a_set_nor_a_file() -> None:
    with pytest.raises(UsageError, match=r"there is no prompt file abc-6, and no prompt set of that name; .* abc-6k, pick-a-pic"):
        find_prompts("abc-6")


class Table:
    """What the library gives: a column with repeats, blanks and nothing."""

    def unique(self, column: str) -> list[Any]:
        assert column == "caption"
        return ["a dog", " a dog ", "two cats", "", None, "\n"]


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the library."""
    library, exceptions = ModuleType("datasets"), ModuleType("datasets.exceptions")
    asked: list[Any] = []
    vars(exceptions)["DatasetsError"] = type("DatasetsError", (Exception,), {})

    def load_dataset(*given: Any, **named: Any) -> Table:
        asked.append((given, named))
        return Table()

    vars(library).update(exceptions=exceptions, asked=asked, load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", library)
    monkeypatch.setitem(sys.modules, "datasets.exceptions", exceptions)
    return library


def test_pick_a_pic_is_its_distinct_captions(datasets: Any) -> None:
    assert find_prompts("pick-a-pic") == ("a dog", "two cats")
    assert datasets.asked == [(("yuvalkirstain/pickapic_v2_no_images",), {"split": "train"})]


@pytest.mark.parametrize("failure", [ConnectionError, ValueError, "DatasetsError"])
def test_pick_a_pic_without_a_network_is_a_clear_error(datasets: Any, failure: Any) -> None:
    def fail(*_given: Any, **_named: Any) -> None:
        raise (getattr(datasets.exceptions, failure) if isinstance(failure, str) else failure)("no way through")

    datasets.load_dataset = fail
    with pytest.raises(UsageError, match=r"pickapic_v2_no_images cannot be loaded \(no way through\); connect"):
        find_prompts("pick-a-pic")


def test_pick_a_pic_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'hnbench\[prompts\]'"):
        find_prompts("pick-a-pic")


def test_a_set_reads_its_files_from_the_folder_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def data_file(name: str, folder: Path | None) -> Path:
        path = (folder or tmp_path) / name.replace("/", " ")
        path.write_text(f"{name}\r\n\r\n{folder}\r\n")
        return path

    monkeypatch.setattr(prompts, "data_file", data_file)
    monkeypatch.setattr(prompts, "pick_a_pic", lambda data: ["picked"])
    found = find_prompts("hypernoise", tmp_path)
    categories = ["color", "complex", "texture", "shape", "spatial", "non_spatial", "numeracy"]
    files = [*(f"t2i-compbench/{category}_train.txt" for category in categories), "training/abc-6k.txt"]
    assert found == (*(line for file in files for line in (file, str(tmp_path))), "picked")


@real_files
@pytest.mark.parametrize(
    ("name", "count", "distinct"), [("t2i-compbench-train", 4900, 4859), ("abc-6k", 6434, 6388), ("hypernoise-examples", 25, 25)]
)
def test_the_real_sets_have_the_published_sizes(name: str, count: int, distinct: int) -> None:
    found = find_prompts(name)
    assert (len(found), len(set(found))) == (count, distinct)
    assert all(prompt == prompt.strip() != "" for prompt in found)


def test_every_set_can_be_imported() -> None:
    for entry in registry.PROMPTS.built_in:
        assert callable(entry.load())
