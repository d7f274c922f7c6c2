"""DPG-Bench's 1,065 long prompts, four images each, with the questions of `dpg_bench.csv`.

Hu et al., "ELLA: Equip Diffusion Models with LLM for Enhanced Semantic Alignment", arXiv
2403.05135; prompts and questions are those of TencentQQGYLab/ELLA (Apache 2.0). DPG-Bench's own
score is that of mPLUG-large; another model's is another number, and has another name here.
"""

from __future__ import annotations

import csv
import io
from functools import cache
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.files.prompt_files import checked_prompt, read_text
from hnbench.suites.base import Prompt
from hnbench.suites.geneval2.judge import QWEN3_VL
from hnbench.suites.prompt_file import PromptSuite
from hnbench.suites.prompt_sets import DPG
from hnbench.weights.hub import name_at
from hnbench.weights.pinned_files import data_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.suites.base import Judge

NAME = "dpg-vlm"
FILE = "dpg/dpg_bench.csv"
NO_PARENT = 0
"""The number in the column `dependency` of a question that depends on none."""

_ADVICE = "give the published dpg_bench.csv"


class DPGVLMSuite(PromptSuite):
    """An image's score is the share of its questions that count, in [0, 1], as the model `vlm`
    answers. The suite's name has the model's, because scores of different models, and those of
    mPLUG, are not comparable.
    """

    def __init__(self, prompts: Sequence[Prompt], *, vlm: str, notes: Sequence[str] = ()) -> None:
        super().__init__(name_at(NAME, vlm or str(QWEN3_VL)), prompts, samples=4, quick=16)
        self.notes = tuple(notes)
        self._vlm = vlm

    def judge(self, *, device: str = "cpu") -> Judge:
        from hnbench.suites.dpg_vlm.judge import dependent_questions

        return dependent_questions(self.name, self._vlm, device)


def dpg_vlm(*, vlm: str = "") -> DPGVLMSuite:
    """The suite with the published prompts and questions."""
    prompts, notes = _published()
    return DPGVLMSuite(prompts, vlm=vlm, notes=notes)


def dpg_vlm_protocol(*, vlm: str = "") -> DPGVLMSuite:
    """The protocol of `dpg_vlm`: its prompts have no texts, and no file is read."""
    return DPGVLMSuite([Prompt(str(index), "", NAME) for index in range(DPG)], vlm=vlm)


@cache
def _published() -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
    prompts, notes = parse(read_text(data_file(FILE)))
    if len(prompts) != DPG:
        raise UsageError(f"DPG-Bench has {DPG} prompts, and the file has {len(prompts)}; {_ADVICE}")
    return prompts, notes


Questions = dict[int, tuple[str, list[int]]]
"""The questions of one prompt by number, each with the numbers of those that it depends on."""


def parse(text: str) -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
    """The prompts of the text of a `dpg_bench.csv`, and notes about it. A prompt's id is its
    `item_id`, its text that of its first line; its metadata has `questions`: number, question, and
    the numbers of those that it depends on, in the order of the file.

    The script of DPG-Bench skips the first question of the file; here it is asked like all others.
    `UsageError` for a line that is no question, with its number in the file.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    texts: dict[str, str] = {}
    items: dict[str, Questions] = {}
    try:
        for row in reader:
            _add(f"line {reader.line_num} of DPG-Bench's questions", row, texts, items)
    except csv.Error as error:
        raise _bad(f"line {reader.line_num} of DPG-Bench's questions", error) from error
    lost = sum(map(_lost, items.values()))
    notes = (f"{lost} questions depend on one that dpg_bench.csv lacks; they do without it",)
    prompts = (Prompt(item, texts[item], NAME, _metadata(asked)) for item, asked in items.items())
    return tuple(prompts), notes if lost else ()


def _add(
    place: str, row: Mapping[str, str], texts: dict[str, str], items: dict[str, Questions]
) -> None:
    """Put one line's question among those of its prompt."""
    try:
        item, number = row["item_id"].strip(), int(row["proposition_id"])
        parents = [int(one) for one in row["dependency"].split(",")]
        prompt, question = row["text"], row["question_natural_language"].strip()
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise _bad(place, error) from error
    if item not in texts:
        texts[item] = checked_prompt(place, prompt)
    if not (item and texts[item] and question):
        raise UsageError(f"{place} has no item, no prompt or no question; {_ADVICE}")
    items.setdefault(item, {})[number] = (question, parents)


def _metadata(questions: Questions) -> dict[str, Any]:
    return {
        "questions": [
            [number, question, [parent for parent in parents if parent in questions]]
            for number, (question, parents) in questions.items()
        ]
    }


def _lost(questions: Questions) -> int:
    """The number of questions that depend on one that is not there."""
    there = {NO_PARENT, *questions}
    return sum(not there.issuperset(parents) for _, parents in questions.values())


def _bad(place: str, error: Exception) -> UsageError:
    return UsageError(f"{place} is not one of them ({error!r}); {_ADVICE}")
