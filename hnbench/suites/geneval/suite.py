"""GenEval: 553 prompts in six tasks, four images each, as published.

Ghosh et al., "GenEval: An Object-Focused Framework for Evaluating Text-to-Image Alignment", arXiv
2310.11513; prompts and protocol are those of djghosh13/geneval. Its overall score is the mean of
the six tasks' shares of correct images, not the share over all images.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.prompt_files import read_text
from hnbench.suites.base import Prompt, Suite
from hnbench.weights.pinned_files import data_file

if TYPE_CHECKING:
    from hnbench.suites.base import Judge

COUNTS = {
    "single_object": 80,
    "two_object": 99,
    "counting": 80,
    "colors": 94,
    "position": 100,
    "color_attr": 100,
}
"""The number of prompts of each task: 553 in all."""
SAMPLES = 4
QUICK_PROMPTS = 7
"""The quick protocol: the first 7 prompts of each task, 168 images."""


class GenEvalSuite(Suite):
    """GenEval as published: Mask2Former as mmdet runs it, CLIP for colours, the published rules."""

    name = "geneval"
    version = "1"
    tags = tuple(COUNTS)

    def prompts(self) -> tuple[Prompt, ...]:
        return _published()

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(
            prompt
            for tag in self.tags
            for prompt in [each for each in self.prompts() if each.tag == tag][:QUICK_PROMPTS]
        )

    def samples(self, prompt: Prompt, *, full: bool) -> int:  # noqa: ARG002
        return SAMPLES

    def judge(self, *, device: str = "cpu") -> Judge:
        from hnbench.suites.geneval.judge import official_judge

        return official_judge(device)


class GenEvalProtocol(GenEvalSuite):
    """The protocol of GenEval: its prompts have tags and no texts, and no file is read."""

    def prompts(self) -> tuple[Prompt, ...]:
        tags = (tag for tag, count in COUNTS.items() for _ in range(count))
        return tuple(Prompt(f"{index:05d}", "", tag) for index, tag in enumerate(tags))


class GenEvalHuggingFaceSuite(GenEvalSuite):
    """The same prompts and rules with another training of the detector. Its scores are not
    comparable with published ones.
    """

    name = "geneval-hf"

    def judge(self, *, device: str = "cpu") -> Judge:
        from hnbench.suites.geneval.judge import hugging_face_judge

        return hugging_face_judge(device)


@cache
def _published() -> tuple[Prompt, ...]:
    return parse(read_text(data_file("geneval/evaluation_metadata.jsonl")))


def parse(text: str) -> tuple[Prompt, ...]:
    """The prompts of the text of GenEval's `evaluation_metadata.jsonl`.

    A prompt's id is the number of its folder in GenEval's layout; its metadata is its line.
    `UsageError` if the tasks do not have the published numbers of prompts.
    """
    rows = [json.loads(line) for line in text.split("\n") if line]
    found = Counter(row["tag"] for row in rows)
    if found != COUNTS:
        raise UsageError(
            f"GenEval has {COUNTS} prompts, and the file has {dict(found)}; give the published"
            " evaluation_metadata.jsonl"
        )
    return tuple(
        Prompt(f"{index:05d}", row["prompt"], row["tag"], row) for index, row in enumerate(rows)
    )
