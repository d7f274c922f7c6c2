from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hnbench.errors import PluginError
from hnbench.images.inventory import FoundImage, Inventory
from hnbench.images.judging import Scores
from hnbench.images.result_files import write_results
from hnbench.suites.base import JudgedImage, Prompt, Verdict
from tests.images.conftest import SmallSuite

PROMPT = Prompt("single_object/0000", "a photo of a square", "single_object")


class WithFiles(SmallSuite):
    """Leaves what it is told to."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()
        self.files, self.asked = files, list[Sequence[JudgedImage]]()

    def result_files(self, judged: Sequence[JudgedImage]) -> Mapping[str, bytes]:
        self.asked.append(judged)
        return self.files


def write(out: Path, suite: SmallSuite, labels: Sequence[str] = ("",)) -> Path:
    images = [
        FoundImage(out, f"{label}{number}.png", PROMPT, number, label, number=number)
        for label in labels
        for number in range(2)
    ]
    verdicts = tuple(Verdict(None, score=image.number / 4) for image in images)
    found = Inventory(out, "run", suite, tuple(images))
    return write_results(Scores(found, "judge", "0" * 64, verdicts, 0), out)


def test_a_suite_leaves_files_of_its_own(tmp_path: Path) -> None:
    suite = WithFiles({"theirs/table.csv": b"a,b"})
    assert write(tmp_path, suite) == tmp_path / "results.jsonl"
    assert (tmp_path / "theirs/table.csv").read_bytes() == b"a,b"
    assert [
        [(one.prompt, one.number, one.verdict.value) for one in told] for told in suite.asked
    ] == [[(PROMPT, 0, 0.0), (PROMPT, 1, 0.25)]]


def test_of_a_run_each_label_has_a_folder(tmp_path: Path) -> None:
    suite = WithFiles({"theirs/table.csv": b"a,b"})
    write(tmp_path, suite, ("random", "reno"))
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")} == {
        "random/theirs/table.csv",
        "reno/theirs/table.csv",
    }
    assert [len(told) for told in suite.asked] == [2, 2]


def test_most_suites_leave_none(tmp_path: Path) -> None:
    write(tmp_path, SmallSuite())
    assert {path.name for path in tmp_path.iterdir()} == {"results.jsonl", "scores.json"}


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "../up/x", "a/../../x", "scores.json", "results.jsonl", "", "C:/x", "a\\..\\x"],
)
def test_a_path_outside_of_folders_of_its_own_is_refused(tmp_path: Path, path: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(PluginError, match="folder/file"):
        write(out, WithFiles({path: b""}))
    assert list(out.iterdir()) == []
    assert list(tmp_path.iterdir()) == [out]


def test_content_that_is_not_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="as bytes"):
        write(tmp_path, WithFiles({"a/b": "text"}))  # type: ignore[dict-item]
