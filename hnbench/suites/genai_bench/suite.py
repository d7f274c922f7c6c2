"""GenAI-Bench: 1,600 prompts that designers wrote, one image each, graded by VQAScore.

Li et al., "GenAI-Bench: Evaluating and Improving Compositional Text-to-Visual Generation", arXiv
2406.13743. The prompts are `genai_image.json` of the data set BaiqiL/GenAI-Bench-1600 (Apache 2.0).
They are neither downloaded nor pinned, because no hash of the file was verified.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.prompt_files import checked_prompt, read_text, shown
from hnbench.suites.base import Prompt
from hnbench.suites.prompt_file import PromptSuite
from hnbench.weights.pinned_files import by_hand

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.suites.base import Judge

NAME = "genai-bench"
COUNT = 1600
"""The number of prompts; the 527 of the paper on VQAScore are another file."""
QUICK_PROMPTS = 64
FILE = "genai-bench/genai_image.json"
_KEY = re.compile(r"[0-9]{1,8}")


class GenAIBenchSuite(PromptSuite):
    """Prompts whose images are graded by VQAScore: the probability, in [0, 1], that the model `vlm`
    says that the image shows the prompt. The score is the mean over all prompts.
    """

    def __init__(self, prompts: Sequence[Prompt], *, vlm: str) -> None:
        super().__init__(NAME, prompts, samples=1, quick=QUICK_PROMPTS)
        self._vlm = vlm

    def judge(self, *, device: str = "cpu") -> Judge:
        from hnbench.suites.genai_bench.judge import VQAScoreJudge

        return VQAScoreJudge(device, self._vlm)


def genai_bench(*, vlm: str = "") -> GenAIBenchSuite:
    """The suite with the prompts of the user's file, which must have `COUNT`."""
    path = by_hand(FILE, "the data set BaiqiL/GenAI-Bench-1600 on the Hugging Face Hub")
    prompts = parse(path)
    if len(prompts) != COUNT:
        raise UsageError(f"{shown(path)} has {len(prompts)} prompts; {COUNT} are expected")
    return GenAIBenchSuite(prompts, vlm=vlm)


def genai_bench_protocol(*, vlm: str = "") -> GenAIBenchSuite:
    """The protocol of `genai_bench`: its prompts have no texts, and no file is read."""
    prompts = [Prompt(f"{number:05d}", "", NAME) for number in range(COUNT)]
    return GenAIBenchSuite(prompts, vlm=vlm)


class _Entry(msgspec.Struct):
    prompt: str


def parse(path: Path) -> list[Prompt]:
    """The prompts of a `genai_image.json`, in its order: a JSON object from a number of digits,
    which is the prompt's id, to an object with a `prompt`. Other keys, such as people's ratings,
    are not read.

    `UsageError` for another file, and for an empty prompt.
    """
    try:
        entries = decode(read_text(path), dict[str, _Entry])
    except MalformedError as error:
        raise UsageError(
            f"{shown(path)} is not GenAI-Bench's genai_image.json ({error}); give an object from"
            ' numbers to prompts, as in {"00001": {"prompt": "a cat"}}'
        ) from error
    return [_prompt(shown(path), key, entry.prompt) for key, entry in entries.items()]


def _prompt(path: str, key: str, text: str) -> Prompt:
    if not _KEY.fullmatch(key):
        raise UsageError(f"{path} has the prompt {key[:40]!r}; digits are expected, as in '00001'")
    prompt = checked_prompt(f"prompt {key} of {path}", text)
    if not prompt:
        raise UsageError(f"prompt {key} of {path} is empty")
    return Prompt(key, prompt, NAME, {"prompt": prompt})
