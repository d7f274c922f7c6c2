"""A suite of any prompts: a file named on the command line. It has no judge, so its images get rewards only."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.seeds import digest
from hnbench.suites.base import Judge, Prompt, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = ("prompt", "Prompt", "text", "caption")
"""The column of a table, or the key of a JSON object, that holds the prompt: the first of these that is there."""


class PromptSuite(Suite):
    """Prompts without a judge. The quick protocol is the same number of images of a few prompts, evenly spread over each tag."""

    def __init__(self, name: str, prompts: Sequence[Prompt], *, samples: int, quick: int) -> None:
        """Take the prompts, the images of each, and how many prompts of each tag are the quick protocol."""
        self.name = name
        self._prompts = tuple(prompts)
        self.tags = tuple(dict.fromkeys(prompt.tag for prompt in prompts))
        self.version = digest([[prompt.id, prompt.text, prompt.tag] for prompt in prompts])[:12]
        self._samples, self._quick = samples, quick

    def prompts(self) -> tuple[Prompt, ...]:
        return self._prompts

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(prompt for tag in self.tags for prompt in evenly([one for one in self._prompts if one.tag == tag], self._quick))

    def samples(self, prompt: Prompt, *, full: bool) -> int:  # noqa: ARG002 - the same for all
        return self._samples

    def judge(self, *, device: str = "cpu") -> Judge | None:  # noqa: ARG002 - there is none
        return None


class PromptFileSuite(PromptSuite):
    """The prompts of a file, four images of each; quick: of 16 prompts."""

    def __init__(self, path: Path) -> None:
        texts = read_prompts(path)
        prompts = [Prompt(f"{index:05d}", text, "prompts") for index, text in enumerate(texts)]
        super().__init__(path.name, prompts, samples=4, quick=16)


def evenly(prompts: Sequence[Prompt], number: int) -> list[Prompt]:
    """At most so many of the prompts, at even distances from the first on."""
    number = min(number, len(prompts))
    return [prompts[index * len(prompts) // number] for index in range(number)]


def read_prompts(path: Path) -> list[str]:
    """The prompts of a text file (one per line), of a CSV or TSV table, or of a file of JSON lines; each prompt once.

    A table has a header, and a column named as in `COLUMNS`; a JSON line is a text, or an object with such a key. What cannot be read,
    and a file without any prompt, is a `UsageError` with the line where there is one.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"the prompt file {path} cannot be read ({reason}); give a UTF-8 text, CSV, TSV or JSONL file") from error
    kind = path.suffix.lower()
    if kind == ".jsonl":
        found = [_of_json(path, number, line) for number, line in enumerate(content.split("\n"), start=1) if line.strip()]
    elif kind in (".csv", ".tsv"):
        found = _of_table(path, content, "\t" if kind == ".tsv" else ",")
    else:
        found = content.split("\n")
    prompts = list(dict.fromkeys(text.strip() for text in found if text.strip()))
    if not prompts:
        raise UsageError(f"the prompt file {path} has no prompt")
    return prompts


def _of_table(path: Path, content: str, delimiter: str) -> list[str]:
    table = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
    column = next((name for name in COLUMNS if name in (table.fieldnames or ())), None)
    if column is None:
        raise UsageError(f"the prompt file {path} has no column for the prompts; name one {COLUMNS[0]!r} in its first line")
    return [row[column] or "" for row in table]


def _of_json(path: Path, number: int, line: str) -> str:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{path}:{number} is not JSON: {error}") from error
    if isinstance(value, dict):
        value = next((value[name] for name in COLUMNS if name in value), None)
    if not isinstance(value, str):
        raise UsageError(f"{path}:{number} is no prompt; write a text, or an object with the key {COLUMNS[0]!r}")
    return value
