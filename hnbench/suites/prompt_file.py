"""Suites of plain prompts, for example from a user's file. They have no judge, so their images have
rewards only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.prompt_files import read_prompt_file
from hnbench.seeds import digest
from hnbench.suites.base import Judge, Prompt, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class PromptSuite(Suite):
    """Prompts without a judge. The quick protocol has as many images of a prompt as the full one,
    but only a few prompts, evenly spaced within each tag.
    """

    def __init__(self, name: str, prompts: Sequence[Prompt], *, samples: int, quick: int) -> None:
        """`samples` is the number of images of each prompt, `quick` the number of prompts of each
        tag in the quick protocol.
        """
        self.name = name
        self._prompts = tuple(prompts)
        self.tags = tuple(dict.fromkeys(prompt.tag for prompt in prompts))
        self.version = digest([[prompt.id, prompt.text, prompt.tag] for prompt in prompts])[:12]
        self._samples, self._quick = samples, quick

    def prompts(self) -> tuple[Prompt, ...]:
        return self._prompts

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(
            prompt
            for tag in self.tags
            for prompt in evenly([one for one in self._prompts if one.tag == tag], self._quick)
        )

    def samples(self, prompt: Prompt, *, full: bool) -> int:  # noqa: ARG002
        return self._samples

    def judge(self, *, device: str = "cpu") -> Judge | None:  # noqa: ARG002
        return None


class PromptFileSuite(PromptSuite):
    """The prompts of a file, four images of each; the quick protocol has 16 of the prompts."""

    def __init__(self, path: Path) -> None:
        file = read_prompt_file(path)
        prompts = [Prompt(f"{index:05d}", text, "prompts") for index, text in enumerate(file.texts)]
        super().__init__(file.name, prompts, samples=4, quick=16)
        self.notes = file.notes


def evenly(prompts: Sequence[Prompt], number: int) -> list[Prompt]:
    """At most `number` of the prompts, evenly spaced, beginning with the first."""
    number = min(number, len(prompts))
    return [prompts[index * len(prompts) // number] for index in range(number)]
