from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.suites.base import Prompt
from hnbench.suites.prompt_file import PromptFileSuite, evenly, read_prompts

SAME = ["a cat", "a dog, and a cat"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prompts.txt", "a cat\r\n\r\n  a dog, and a cat\r\na cat"),
        ("prompts.csv", 'id,prompt\r\n1,a cat\r\n2,"a dog, and a cat"\r\n3,\r\n'),
        ("prompts.tsv", "Prompt\tCategory\na cat\tAnimals\na dog, and a cat\tAnimals\n"),
        ("prompts.jsonl", '"a cat"\n\n{"text": "a dog, and a cat", "id": 2}\n'),
        ("PROMPTS.JSONL", '\ufeff{"prompt": "a cat"}\n{"caption": "a dog, and a cat"}'),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert read_prompts(path) == SAME


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\n \n", "a.txt has no prompt"),
        ("a.txt", b"\xff\xfe", "it is not UTF-8"),
        ("a.csv", b"words\na cat\n", "has no column for the prompts; name one 'prompt'"),
        ("a.csv", b"", "has no column for the prompts"),
        ("a.jsonl", b'"a cat"\n{', "a.jsonl:2 is not JSON"),
        ("a.jsonl", b'{"words": "a cat"}', "a.jsonl:1 is no prompt"),
        ("a.jsonl", b"7", "a.jsonl:1 is no prompt"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_prompts(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")


def test_the_suite_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"prompt {number}\n" for number in range(40)))
    suite = PromptFileSuite(path)
    assert (suite.name, suite.judge(), len(suite.tasks(full=True)), len(suite.subset())) == ("many.txt", None, 160, 16)
    assert set(suite.tasks(full=False)) <= set(suite.tasks(full=True))
    before = suite.version
    path.write_text("another prompt\n")
    assert PromptFileSuite(path).version != before


def test_evenly_spread() -> None:
    prompts = [Prompt(str(number), str(number), "prompts") for number in range(10)]
    assert [prompt.text for prompt in evenly(prompts, 4)] == ["0", "2", "5", "7"]
    assert evenly(prompts, 100) == prompts
