from __future__ import annotations

from pathlib import Path

from hnbench.suites.base import Prompt
from hnbench.suites.prompt_file import PromptFileSuite, evenly
from tests.suites.protocols import tasks_of


def test_the_suite_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"prompt {number}\n" for number in range(40)))
    suite = PromptFileSuite(path)
    assert (suite.name, suite.judge(), len(tasks_of(suite, full=True)), len(suite.subset())) == (
        "many.txt",
        None,
        160,
        16,
    )
    assert set(tasks_of(suite, full=False)) <= set(tasks_of(suite, full=True))
    before = suite.version
    path.write_text("another prompt\n")
    assert PromptFileSuite(path).version != before


def test_a_suite_of_a_file_says_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "twice").write_text("a cat\na cat\n")
    suite = PromptFileSuite(tmp_path / "twice")
    assert suite.name == "twice.txt"
    assert suite.notes == ("twice.txt: 1 prompt repeats an earlier one and is left out",)


def test_evenly_spread() -> None:
    prompts = [Prompt(str(number), str(number), "prompts") for number in range(10)]
    assert [prompt.text for prompt in evenly(prompts, 4)] == ["0", "2", "5", "7"]
    assert evenly(prompts, 100) == prompts
