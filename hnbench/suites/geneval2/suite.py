"""GenEval 2: 800 prompts, a hundred of each number of atoms from 3 to 10, one image each.

Kamath et al., "GenEval 2: Addressing Benchmark Drift in Text-to-Image Evaluation", arXiv
2512.16853; prompts and questions are those of facebookresearch/GenEval2. They are under CC-BY-NC
4.0, so they are downloaded and not part of the package.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from hnbench.errors import UsageError
from hnbench.files.prompt_files import read_text
from hnbench.suites.base import Prompt, Suite
from hnbench.weights.pinned_files import data_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.suites.base import Judge

Mean = Literal["geometric", "arithmetic"]
COUNT = 100
"""The number of prompts of each number of atoms."""
ATOMS = range(3, 11)
QUICK_PROMPTS = 6
"""The quick protocol: the first 6 prompts of each number of atoms, 48 images."""
FILE = "geneval2/geneval2_data.jsonl"


class GenEval2Suite(Suite):
    """The score of an image is the `mean` of the probabilities of its atoms, as the model `vlm`
    answers (Soft-TIFA): the geometric mean, or the arithmetic one. `UsageError` for another.

    All scores are means over prompts, because each tag has as many of them.
    """

    version = "1"
    tags = tuple(f"{number}_atoms" for number in ATOMS)

    def __init__(self, *, mean: str = "geometric", vlm: str = "") -> None:
        if mean not in get_args(Mean):
            raise UsageError(
                f"geneval2: the mean was {mean!r}; choose one of {', '.join(get_args(Mean))}"
            )
        self.name = "geneval2" if mean == "geometric" else f"geneval2:mean={mean}"
        self._mean: Mean = "geometric" if mean == "geometric" else "arithmetic"
        self._vlm = vlm

    def prompts(self) -> tuple[Prompt, ...]:
        return _published()

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(
            prompt
            for tag in self.tags
            for prompt in [each for each in self.prompts() if each.tag == tag][:QUICK_PROMPTS]
        )

    def samples(self, prompt: Prompt, *, full: bool) -> int:  # noqa: ARG002
        return 1

    def judge(self, *, device: str = "cpu") -> Judge:
        from hnbench.suites.geneval2.judge import soft_tifa

        return soft_tifa(self._mean, self._vlm, device)


class GenEval2Protocol(GenEval2Suite):
    """The protocol of GenEval 2: its prompts have tags and no texts, and no file is read."""

    def prompts(self) -> tuple[Prompt, ...]:
        tags = (tag for tag in self.tags for _ in range(COUNT))
        return tuple(Prompt(f"{index:03d}", "", tag) for index, tag in enumerate(tags))


@cache
def _published() -> tuple[Prompt, ...]:
    return parse(read_text(data_file(FILE)))


def parse(text: str) -> tuple[Prompt, ...]:
    """The prompts of the text of GenEval 2's `geneval2_data.jsonl`, by their number of atoms. A
    prompt's id is the number of its line, its metadata its `vqa_list`: questions and answers.

    `UsageError` if the numbers of prompts are not the published ones, or a line is another.
    """
    rows = [json.loads(line) for line in text.split("\n") if line]
    prompts = [_prompt(number, row) for number, row in enumerate(rows)]
    found, wanted = Counter(one.tag for one in prompts), dict.fromkeys(GenEval2Suite.tags, COUNT)
    if found != wanted:
        raise UsageError(
            f"GenEval 2 has {COUNT} prompts of each of 3 to 10 atoms, and the file has"
            f" {dict(found)}; give the published geneval2_data.jsonl"
        )
    return tuple(sorted(prompts, key=lambda one: GenEval2Suite.tags.index(one.tag)))


def _prompt(number: int, row: Mapping[str, Any]) -> Prompt:
    try:
        questions = [[str(question), str(answer)] for question, answer in row["vqa_list"]]
        tag = f"{int(row['atom_count'])}_atoms"
        return Prompt(f"{number:03d}", row["prompt"], tag, {"vqa_list": questions})
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"line {number + 1} of GenEval 2's prompts is not one of them ({error!r}); give the"
            " published geneval2_data.jsonl"
        ) from error
